"""UQI, the universal quality index: SSIM's ancestor, without constants.

Wang, Bovik: A universal image quality index, IEEE Signal Processing Letters 9(3), 2002, doi 10.1109/97.995823.

Differs from the paper: nothing where its formula has a value. A window without contrast in either image is judged
by its luminance alone, one that is black in both has 1, as in the authors' program.
Conventions: the authors' program, to 1e-11 in float64: boxes of 8 x 8 pixels that fit, by option of another side.
Colour is the mean of the channels.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.options import whole


def uqi(x: Tensor, y: Tensor, *, win_size: int = 8) -> Tensor:
    """Universal quality index of a pair, eq. 1 of Wang and Bovik 2002, averaged over windows and channels.

    Args:
        x: images judged, ``(n, c, h, w)`` of at least ``win_size`` px a side.
        y: references, same shape.
        win_size: the side of the window in pixels, at least 2.

    Returns:
        ``(n,)`` in [-1, 1], 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(uqi(y.roll(2, -1), y)), 4)
        -0.262
    """
    (sums, sum_spread), (difference, difference_spread) = (_moments(image, win_size) for image in (x + y, x - y))
    # 2 σxy / (σx² + σy²) and 2 μx μy / (μx² + μy²), of the sum and the difference of the images.
    structure = _agreement(sum_spread, difference_spread)
    return (structure * _agreement(sums.square(), difference.square())).flatten(1).mean(1)


def _agreement(same: Tensor, other: Tensor) -> Tensor:
    """(a − b) / (a + b), 1 for 0/0."""
    total = same + other
    none = total <= torch.finfo(total.dtype).tiny ** 0.5
    return 1 - torch.where(none, 0.0, 2 * other) / torch.where(none, 1.0, total)


def _moments(image: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The sum, and the sum of squared deviations from the mean, of every window of that side.

    Windows grow from two smaller ones, whose deviations add up with that of their means: nothing cancels, and a
    flat window has exactly 0. Along each axis they double, and by the binary digits of the side one pixel is added.
    """
    total, spread, pixels = image, torch.zeros_like(image), 1
    for dim in (-1, -2):
        line, line_spread, of_line, reach = total, spread, pixels, 1
        for digit in bin(side)[3:]:
            total, spread = _joined(total, spread, pixels, total, spread, pixels, reach, dim)
            pixels, reach = 2 * pixels, 2 * reach
            if digit == "1":
                total, spread = _joined(total, spread, pixels, line, line_spread, of_line, reach, dim)
                pixels, reach = pixels + of_line, reach + 1
    return total, spread


def _joined(
    first: Tensor, spread: Tensor, pixels: int, second: Tensor, other: Tensor, others: int, reach: int, dim: int
) -> tuple[Tensor, Tensor]:
    """Windows and those that begin ``reach`` pixels on, together."""
    count = min(first.shape[dim], second.shape[dim] - reach)
    first, spread = first.narrow(dim, 0, count), spread.narrow(dim, 0, count)
    second, other = second.narrow(dim, reach, count), other.narrow(dim, reach, count)
    apart = (others * first - pixels * second).square() / (pixels * others * (pixels + others))
    return first + second, spread + other + apart


class UQI(Metric):
    """Universal quality index, ``(n, c, h, w) -> (n,)``.

    Args:
        win_size: the side of the window in pixels; the authors' is 8.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a side that is no whole number of at least 2.

    Example:
        >>> UQI().signature()
        'uqi|win:uniform8|colour:rgb-mean|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="uqi",
        suits="to repeat figures of its time",
        fails="in place of SSIM: it breaks on flat areas",
        written="UQI",
        title="Universal quality index", better="higher", range=(-1.0, 1.0), identical=1.0,
        paper="Wang and Bovik 2002, doi 10.1109/97.995823", smooth=False, min_side=8,
    )  # fmt: skip

    def __init__(self, *, win_size: int = 8, **base: Any) -> None:
        super().__init__(**base)
        self.win_size = whole("uqi", "win_size", win_size, least=2)

    @property
    def min_side(self) -> int:
        return self.win_size

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return uqi(x, y, win_size=self.win_size)

    def settings(self) -> dict[str, object]:
        return {"win": f"uniform{self.win_size}", "colour": "rgb-mean"}
