"""UQI, the universal quality index: SSIM's ancestor, without constants.

Wang, Bovik: A universal image quality index, IEEE Signal Processing Letters 9(3), 2002, doi 10.1109/97.995823.

Differs from the paper: nothing where its formula has a value. A window without contrast in either image is judged
by its luminance alone, one that is black in both has 1, as in the authors' program.
Conventions: the authors' program, to 1e-11 in float64: boxes of 8 x 8 pixels that fit. Colour is the mean of the
channels.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric


def uqi(x: Tensor, y: Tensor) -> Tensor:
    """Universal quality index of a pair, eq. 1 of Wang and Bovik 2002, averaged over windows and channels.

    Args:
        x: images judged, ``(n, c, h, w)`` of at least 8 px a side.
        y: references, same shape.

    Returns:
        ``(n,)`` in [-1, 1], 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(uqi(y.roll(2, -1), y)), 4)
        -0.262
    """
    (sums, sum_spread), (difference, difference_spread) = _moments(x + y), _moments(x - y)
    # 2 σxy / (σx² + σy²) and 2 μx μy / (μx² + μy²), of the sum and the difference of the images.
    structure = _agreement(sum_spread, difference_spread)
    return (structure * _agreement(sums.square(), difference.square())).flatten(1).mean(1)


def _agreement(same: Tensor, other: Tensor) -> Tensor:
    """(a − b) / (a + b), 1 for 0/0."""
    total = same + other
    none = total <= torch.finfo(total.dtype).tiny ** 0.5
    return 1 - torch.where(none, 0.0, 2 * other) / torch.where(none, 1.0, total)


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """The sum, and the sum of squared deviations from the mean, of every 8 x 8 window.

    Windows grow from two of half the size, whose deviations add up with that of their means: nothing cancels, and
    a flat window has exactly 0.
    """
    total, spread, pixels = image, image.new_zeros(()), 1
    for dim in (-1, -2):
        for reach in (1, 2, 4):
            count = total.shape[dim] - reach
            first, second = total.narrow(dim, 0, count), total.narrow(dim, reach, count)
            if pixels > 1:
                spread = spread.narrow(dim, 0, count) + spread.narrow(dim, reach, count)
            spread = spread + (first - second).square() / (2 * pixels)
            total, pixels = first + second, 2 * pixels
    return total, spread


class UQI(Metric):
    """Universal quality index, ``(n, c, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> UQI().signature()
        'uqi|win:uniform8|colour:rgb-mean|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="uqi", title="Universal quality index", better="higher", range=(-1.0, 1.0), identical=1.0,
        paper="Wang and Bovik 2002, doi 10.1109/97.995823", smooth=False, min_side=8,
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return uqi(x, y)

    def settings(self) -> dict[str, object]:
        return {"win": "uniform8", "colour": "rgb-mean"}
