"""Windows of local statistics, and separable filtering under a stated border rule, in two or three dimensions."""

from __future__ import annotations

import math
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.conventions import Border, Halving
from lookalike.modes import transformed
from lookalike.options import choice

BORDERS = get_args(Border)


def gaussian(size: int, sigma: float) -> tuple[float, ...]:
    """A sampled Gaussian, normalised to sum 1.

    Args:
        size: number of taps, odd.
        sigma: standard deviation in pixels.

    Example:
        >>> [round(tap, 6) for tap in gaussian(3, 1.5)]
        [0.307801, 0.384397, 0.307801]
    """
    taps = [math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma * sigma)) for i in range(size)]
    total = math.fsum(taps)
    return tuple(tap / total for tap in taps)


def uniform(size: int) -> tuple[float, ...]:
    """``size`` equal taps that sum to 1.

    Example:
        >>> uniform(4)
        (0.25, 0.25, 0.25, 0.25)
    """
    return (1.0 / size,) * size


def extend(x: Tensor, before: int, after: int, border: Border) -> Tensor:
    """Extend every spatial side of ``(n, c, *spatial)`` by a border rule.

    ``reflect`` mirrors about the edge pixel, ``symmetric`` about its outer edge, ``zero`` adds zeros, ``valid``
    adds nothing. The mirror is built from slices, so that its gradient is deterministic on every device.

    Raises:
        ValueError: for an unknown rule, or a side shorter than the mirror needs.

    Example:
        >>> extend(torch.arange(3.0).view(1, 1, 1, 3).expand(1, 1, 3, 3), 1, 1, "symmetric")[0, 0, 0].tolist()
        [0.0, 0.0, 1.0, 2.0, 2.0]
    """
    choice("extend", "border", border, BORDERS)
    if border == "valid" or before == after == 0:
        return x
    spatial = x.ndim - 2
    if border == "zero":
        return F.pad(x, (before, after) * spatial)
    skip = 1 if border == "reflect" else 0
    if min(x.shape[2:]) < max(before, after) + skip:
        raise ValueError(
            f"border {border!r}: sides {tuple(x.shape[2:])} are too short to mirror {max(before, after)} px; "
            "use larger images or a smaller window"
        )
    for dim in range(2, x.ndim):
        side = x.shape[dim]
        parts = [x]
        if before:
            parts.insert(0, x.narrow(dim, skip, before).flip(dim))
        if after:
            parts.append(x.narrow(dim, side - skip - after, after).flip(dim))
        x = torch.cat(parts, dim)
    return x


def least_side(taps: int, border: Border) -> int:
    """The smallest side of an image that a window can be moved over under a border rule.

    Example:
        >>> [least_side(11, border) for border in ("valid", "reflect", "symmetric", "zero")]
        [11, 6, 5, 1]
    """
    return {"valid": taps, "reflect": taps // 2 + 1, "symmetric": max(1, taps // 2), "zero": 1}[border]


def blur(x: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Correlate every plane of ``(n, c, *spatial)`` with a separable window, without extension.

    Args:
        x: ``(n, c, h, w)`` or ``(n, c, d, h, w)``.
        taps: the window along each axis.

    Returns:
        ``(n, c, *(side - len(taps) + 1))``.

    Example:
        >>> float(blur(torch.ones(1, 1, 5, 5), uniform(3)).mean())
        1.0
    """
    channels, spatial = x.shape[1], x.ndim - 2
    window = x.new_tensor(taps)
    convolve = F.conv2d if spatial == 2 else F.conv3d
    if spatial == 2:  # on a CPU depthwise convolutions run up to 17 times faster in this layout
        x = channels_last(x)
    for dim in range(spatial):
        shape = [1] * spatial
        shape[dim] = len(taps)
        weight = window.view(1, 1, *shape).expand(channels, 1, *shape)
        x = convolve(x, weight, groups=channels)
    return x


def channels_last(x: Tensor) -> Tensor:
    """``(n, c, h, w)`` with the channels innermost in memory; as it is under `torch.func`, which knows no layouts.

    Example:
        >>> channels_last(torch.ones(1, 2, 3, 4)).stride()
        (24, 1, 8, 2)
    """
    return x if transformed() else x.contiguous(memory_format=torch.channels_last)


def separable(x: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Correlate every channel of ``(n, c, h, w)`` with windows of its own, without extension.

    Args:
        x: ``(n, c, h, w)``.
        across, down: the taps along the rows and along the columns, ``(c, taps)``.

    Returns:
        ``(n, c, h - taps + 1, w - taps + 1)``.

    Example:
        >>> ones = torch.ones(1, 2, 3, 3)
        >>> separable(ones, torch.ones(2, 3), torch.tensor([[1.0, 0, 0], [1, 1, 1]])).flatten().tolist()
        [3.0, 9.0]
    """
    x = channels_last(x)  # on a CPU several times faster
    x = F.conv2d(x, across[:, None, None, :], groups=x.shape[1])
    return F.conv2d(x, down[:, None, :, None], groups=x.shape[1])


def shrink(x: Tensor, factor: int, border: Border = "symmetric") -> Tensor:
    """Box-filter by ``factor`` and keep every ``factor``-th pixel.

    ``symmetric`` does as MATLAB's ``imfilter`` and ``1:f:end``: the box of an even factor is anchored at its upper
    left middle (a 2x2 box averages pixels i and i + 1), and what is left at the end counts. ``reflect`` anchors it
    at its lower right middle (pixels i - 1 and i) and drops what is left, ``valid`` keeps boxes that fit.

    Example:
        >>> row = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 5, 5)
        >>> [shrink(row, 2, border)[0, 0, 0].tolist() for border in ("symmetric", "reflect", "valid")]
        [[0.5, 2.5, 4.0], [0.5, 1.5], [0.5, 2.5]]
    """
    if border == "reflect":
        whole = [slice(side // factor * factor) for side in x.shape[2:]]
        x = extend(x, factor // 2, 0, border)[(..., *whole)]
    else:
        before = (factor - 1) // 2
        after = max(-side % factor for side in x.shape[2:]) - before
        x = extend(x, before, max(0, after), border)
    return _boxes(x, factor)


def _boxes(x: Tensor, factor: int) -> Tensor:
    """Means of boxes side by side; what fills none is dropped. On a CPU several times faster than pooling."""
    for dim in range(2, x.ndim):
        whole = x.narrow(dim, 0, x.shape[dim] // factor * factor)
        first, *others = whole.unflatten(dim, (-1, factor)).unbind(dim + 1)
        x = sum(others, first)
    return x / factor ** (x.ndim - 2)


def halve(x: Tensor, rule: Halving = "symmetric") -> Tensor:
    """Average 2x2 pixels (2x2x2 in volumes) and keep one of each: the step between two scales of MS-SSIM.

    Libraries differ where a side is odd. ``symmetric`` mirrors the last pixel (the authors' program); ``zero``
    counts a zero before and after; ``replicate`` repeats the first pixel on both axes if either is odd; ``floor``
    drops the last pixel. Two differ everywhere: ``reflect`` averages each pixel with its upper left neighbours, at
    the edge with the pixels within, and drops the last; ``colour`` takes the same neighbours, repeats the edge, and
    averages each channel with the one before it as well.

    Example:
        >>> [halve(torch.ones(1, 1, 3, 3), rule)[0, 0, 0].tolist() for rule in ("symmetric", "zero", "floor")]
        [[1.0, 1.0], [0.25, 0.5], [1.0]]
    """
    spatial = x.ndim - 2
    pool = F.avg_pool2d if spatial == 2 else F.avg_pool3d
    odd = [side % 2 for side in x.shape[2:]]
    if rule == "floor":
        return pool(x, 2)
    if rule == "zero":
        return pool(x, 2, padding=odd)
    if rule == "reflect":
        return shrink(x, 2, "reflect")
    if rule == "replicate":
        return pool(F.pad(x, (max(odd), 0) * spatial, mode="replicate"), 2)
    if rule == "colour":
        before = torch.cat([x[:, :1], x[:, :-1]], 1)
        return pool(extend((x + before) / 2, 1, 0, "symmetric"), 2)
    after = [amount for side in reversed(odd) for amount in (0, side)]
    x = F.pad(x, after, mode="replicate") if any(odd) else x
    return _quarter(x) if spatial == 2 else pool(x, 2)


def _quarter(x: Tensor) -> Tensor:
    """The means of 2x2 pixels, several times faster on a CPU than pooling."""
    upper, lower = x.unflatten(2, (-1, 2)).unbind(3)
    left, right = (upper + lower).unflatten(3, (-1, 2)).unbind(4)
    return (left + right) * 0.25
