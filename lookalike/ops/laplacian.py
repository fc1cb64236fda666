"""Steps of a Laplacian pyramid with five taps: reduce by two, and expand again."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lookalike.ops.window import extend

Border = Literal["symmetric", "reflect"]


def reduce(x: Tensor, taps: tuple[float, float, float], border: Border) -> Tensor:
    """Filter every plane of ``(n, c, h, w)`` and keep every second pixel, the first among them.

    Args:
        x: planes of at least 2 px a side, 3 with ``"reflect"``.
        taps: the filter's outer, inner and middle tap; outer and inner count twice.
        border: mirrors about the outer edge of the last pixel, or (``"reflect"``) about the pixel itself.

    Returns:
        ``(n, c, ceil(h / 2), ceil(w / 2))``.

    Example:
        >>> reduce(torch.arange(5.0).expand(1, 1, 5, 5), (0.05, 0.25, 0.4), "symmetric")[0, 0, 0].tolist()
        [0.4000000059604645, 2.0, 3.5999999046325684]
    """
    outer, inner, middle = taps
    x = extend(x, 2, 2, border)
    for dim in (-2, -1):
        last = x.shape[dim] - 4
        rows = [x[..., at : at + last : 2, :] if dim == -2 else x[..., at : at + last : 2] for at in range(5)]
        x = (rows[0] + rows[4]) * outer + (rows[1] + rows[3]) * inner + rows[2] * middle
    return x


def expand(x: Tensor, height: int, width: int, taps: tuple[float, float, float], border: Border) -> Tensor:
    """Put zeros between the pixels of ``(n, c, h, w)`` and filter with twice the taps on both axes.

    Args:
        x: what `reduce` made of planes of the height and width wanted.
        height, width: of the result.
        taps: as for `reduce`.
        border: ``"symmetric"`` repeats the pixels of x before the zeros are put in; ``"reflect"`` mirrors the
            result about its first and last pixel.

    Returns:
        ``(n, c, height, width)``.

    Example:
        >>> row = torch.tensor([0.0, 2.0]).expand(1, 1, 2, 2)
        >>> [round(value, 3) for value in expand(row, 3, 3, (0.05, 0.25, 0.4), "symmetric")[0, 0, 0].tolist()]
        [0.2, 1.0, 1.8]
    """
    outer, inner, middle = (2 * tap for tap in taps)
    for dim, side in ((-1, width), (-2, height)):  # the wider axis last, where pixels lie side by side
        count = x.shape[dim]
        if border == "symmetric":
            first, last = 0, count - 1
        else:
            first, last = 1, count - 1 if side % 2 == 0 else count - 2
        padded = torch.cat([x.narrow(dim, first, 1), x, x.narrow(dim, last, 1)], dim)
        before, here, after = (padded.narrow(dim, at, count) for at in range(3))
        even, odd = (before + after) * outer + here * middle, (here + after) * inner
        pair = torch.stack([even, odd], -1 if dim == -1 else -2)
        x = (pair.flatten(-2) if dim == -1 else pair.flatten(-3, -2)).narrow(dim, 0, side)
    return x
