"""Windows of local statistics, and separable filtering under a stated border rule, in two or three dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.conventions import Border, Halving
from lookalike.modes import transformed
from lookalike.options import choice

BORDERS = get_args(Border)
Taps = tuple[float, ...] | tuple[tuple[float, ...], ...]  # one window for every axis, or one for each


def gaussian(size: int, sigma: float) -> tuple[float, ...]:
    """A sampled Gaussian about the middle of its taps, normalised to sum 1.

    Args:
        size: number of taps.
        sigma: standard deviation in pixels.

    Example:
        >>> [round(tap, 6) for tap in gaussian(3, 1.5)]
        [0.307801, 0.384397, 0.307801]
    """
    offsets = [abs(i - (size - 1) / 2) for i in range(size)]
    least = min(offsets)  # relative to the largest tap, so that the narrowest Gaussian leaves something
    taps = [math.exp(-0.5 * ((offset - least) / sigma) * ((offset + least) / sigma)) for offset in offsets]
    total = math.fsum(taps)
    return tuple(tap / total for tap in taps)


def uniform(size: int) -> tuple[float, ...]:
    """``size`` equal taps that sum to 1.

    Example:
        >>> uniform(4)
        (0.25, 0.25, 0.25, 0.25)
    """
    return (1.0 / size,) * size


def along_axes(taps: Taps, spatial: int) -> list[tuple[float, ...]]:
    """The window along each axis.

    Raises:
        ValueError: where there is one for each of another number of axes.

    Example:
        >>> along_axes(((1.0,), (0.5, 0.5)), 2), along_axes((0.5, 0.5), 2)
        ([(1.0,), (0.5, 0.5)], [(0.5, 0.5), (0.5, 0.5)])
    """
    windows: list[Any] = list(taps) if isinstance(taps[0], tuple) else [taps] * spatial
    if len(windows) != spatial:
        raise ValueError(f"a window along {len(windows)} axes does not suit images of {spatial}")
    return windows


def margins(taps: Taps, spatial: int) -> tuple[list[int], list[int]]:
    """How far a window reaches before its centre along each axis, and how far beyond it.

    An even window has its centre right of the middle, as SciPy's filters have.

    Example:
        >>> margins(((1.0,), (0.25,) * 4), 2)
        ([0, 2], [0, 1])
    """
    windows = along_axes(taps, spatial)
    return [len(window) // 2 for window in windows], [(len(window) - 1) // 2 for window in windows]


def extend(x: Tensor, before: int | Sequence[int], after: int | Sequence[int], border: Border) -> Tensor:
    """Extend every spatial side of ``(n, c, *spatial)`` by a border rule, all alike or each by its own amount.

    ``reflect`` mirrors about the edge pixel, ``symmetric`` about its outer edge, ``zero`` adds zeros, ``valid``
    adds nothing. The mirror is built from slices, so that its gradient is deterministic on every device.

    Raises:
        ValueError: for an unknown rule, or a side shorter than the mirror needs.

    Example:
        >>> extend(torch.arange(3.0).view(1, 1, 1, 3).expand(1, 1, 3, 3), 1, 1, "symmetric")[0, 0, 0].tolist()
        [0.0, 0.0, 1.0, 2.0, 2.0]
    """
    choice("extend", "border", border, BORDERS)
    if border == "valid":
        return x
    spatial = x.ndim - 2
    firsts = [before] * spatial if isinstance(before, int) else before
    lasts = [after] * spatial if isinstance(after, int) else after
    if border == "zero":
        amounts = [amount for pair in zip(reversed(firsts), reversed(lasts), strict=True) for amount in pair]
        return F.pad(x, amounts) if any(amounts) else x
    skip = 1 if border == "reflect" else 0
    for dim, first, last in zip(range(2, x.ndim), firsts, lasts, strict=True):
        side = x.shape[dim]
        if first == last == 0:
            continue
        if side < max(first, last) + skip:
            raise ValueError(
                f"border {border!r}: sides {tuple(x.shape[2:])} are too short to mirror {max(first, last)} px; "
                "use larger images or a smaller window"
            )
        parts = [x]
        if first:
            parts.insert(0, x.narrow(dim, skip, first).flip(dim))
        if last:
            parts.append(x.narrow(dim, side - skip - last, last).flip(dim))
        x = torch.cat(parts, dim)
    return x


def extend_mask(mask: Tensor, before: int | Sequence[int], after: int | Sequence[int], border: Border) -> Tensor:
    """A mask extended as the images are: valid where the pixel mirrored is; zeros that a rule adds are valid.

    Example:
        >>> mask = torch.tensor([[[[0.0, 1.0, 1.0]]]])
        >>> [extend_mask(mask, (0, 1), (0, 1), border).flatten().tolist() for border in ("symmetric", "zero")]
        [[0.0, 0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0, 1.0]]
    """
    extended = extend(mask, before, after, border)
    return extended if border != "zero" else extended + 1 - extend(torch.ones_like(mask), before, after, border)


def least_side(taps: int, border: Border) -> int:
    """The smallest side of an image that a window can be moved over under a border rule.

    Example:
        >>> [least_side(11, border) for border in ("valid", "reflect", "symmetric", "zero")]
        [11, 6, 5, 1]
    """
    return {"valid": taps, "reflect": taps // 2 + 1, "symmetric": max(1, taps // 2), "zero": 1}[border]


def blur(x: Tensor, taps: Taps) -> Tensor:
    """Correlate every plane of ``(n, c, *spatial)`` with a separable window, without extension.

    Args:
        x: ``(n, c, h, w)`` or ``(n, c, d, h, w)``.
        taps: the window along each axis, or one for each axis.

    Returns:
        ``(n, c, *(side - taps + 1))``.

    Example:
        >>> float(blur(torch.ones(1, 1, 5, 5), uniform(3)).mean())
        1.0
    """
    channels, spatial = x.shape[1], x.ndim - 2
    convolve = F.conv2d if spatial == 2 else F.conv3d
    divisor = 1
    for axis, window in enumerate(along_axes(taps, spatial)):
        if window == uniform(len(window)):
            x = _run_sums(x, len(window), 2 + axis)
            divisor *= len(window)
            continue
        if spatial == 2:  # on a CPU depthwise convolutions run up to 17 times faster in this layout
            x = channels_last(x)
        shape = [1] * spatial
        shape[axis] = len(window)
        weight = _rounded(window, x).view(1, 1, *shape).expand(channels, 1, *shape)
        x = convolve(x, weight, groups=channels)
    return x / divisor if divisor > 1 else x  # rounds once, where rounded taps would err to one side


def _run_sums(x: Tensor, count: int, dim: int) -> Tensor:
    """The sums of ``count`` neighbours along an axis, built from sums of 1, 2, 4 …"""
    length = x.shape[dim] - count + 1
    total, start = None, 0
    for power in range(count.bit_length()):
        if count >> power & 1:
            part = x.narrow(dim, start, length)
            total = part if total is None else total + part
            start += 1 << power
        if count >> (power + 1):
            half = 1 << power
            x = x.narrow(dim, 0, x.shape[dim] - half) + x.narrow(dim, half, x.shape[dim] - half)
    assert total is not None  # a window has a tap
    return total


def _rounded(taps: tuple[float, ...], like: Tensor) -> Tensor:
    """Taps as a tensor like another; those that sum to 1 do so exactly in its precision too.

    A window whose rounded taps sum to 1 + e takes e times the squared mean for variance, which flat places feel. So
    the taps become multiples of what the largest of them can tell apart, and the middle makes up for the rest.
    """
    window = torch.tensor(taps, dtype=torch.float64, device="cpu")  # some devices have no float64
    if like.dtype != torch.float64 and abs(math.fsum(taps) - 1) < 1e-9:
        _, exponent = math.frexp(max(taps))
        unit = 2.0 ** (exponent - 24)
        counts = (window / unit).round()
        missing = (1 / unit - counts.sum()) / (2 - len(taps) % 2)
        place = torch.arange(len(taps), dtype=torch.float64, device="cpu")
        counts = counts + missing * ((2 * place - len(taps) + 1).abs() <= 1)
        window = counts * unit
    return window.to(like)


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


def of_valid(reduce: Callable[[Tensor], Tensor], x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A reduction of the valid pixels alone, and how valid its pixels are.

    Args:
        reduce: takes weighted means of neighbours, as `halve` and `shrink` do; zeros that it adds are valid.
        x: ``(n, c, *spatial)``, finite where the mask is 0.
        mask: weights of the same shape in [0, 1].

    Example:
        >>> x, mask = torch.tensor([[[[2.0, 4.0], [9.0, 9.0]]]]), torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
        >>> [float(part) for part in of_valid(halve, x, mask)]
        [3.0, 0.5]
    """
    share = reduce(mask) + (1 - reduce(torch.ones_like(mask)))
    return torch.where(share > 0, reduce(mask * x) / torch.where(share > 0, share, 1.0), 0.0), share


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
