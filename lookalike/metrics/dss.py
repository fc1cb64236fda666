"""DSS, similarity of DCT subbands: how alike the local contrast of each frequency is, at the worst places.

Balanov, Schwartz, Moshe, Peleg: Image quality assessment based on DCT subband similarity, ICIP 2015,
doi 10.1109/ICIP.2015.7351172.

Differs from the paper: nothing; where its roots have no derivative the gradient is 0.
Conventions: blocks of 8x8 pixels side by side, what is left at the end dropped; zeros beyond the border of a
subband; subbands of a weight below 0.01 do not count. Luma is taken of colour. Not proved against the authors,
whose program was not at hand: equal to piq 0.8.0, and to the two values of that program that piq's tests quote.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, dct
from lookalike.ops.pairs import halves
from lookalike.ops.window import gaussian

_SIDE_TAP, _MIDDLE_TAP, _ = gaussian(3, 1.5)
_CONSTANT_DC, _CONSTANT_AC = 1000 / 255**2, 300 / 255**2
_WORST = 0.05
_SPREAD = 1.55  # of the weights over frequency, in coefficients


def _weights() -> dict[int, float]:
    """The weight of each subband that counts, by its place among the 64."""
    weights = {
        8 * row + column: math.exp(-((row + 0.5) ** 2 + (column + 0.5) ** 2) / (2 * _SPREAD**2))
        for row in range(8)
        for column in range(8)
    }
    kept = {place: weight for place, weight in weights.items() if weight >= 1e-2}
    return {place: weight / math.fsum(kept.values()) for place, weight in kept.items()}


_WEIGHTS = _weights()


def dss(x: Tensor, y: Tensor) -> Tensor:
    """DCT subband similarity of a pair in the unit range, Balanov et al. 2015.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 32 px a side; luma is taken of colour.
        y: references, same shape.

    Returns:
        ``(n,)``, 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(dss(y * 0.5, y)), 4)
        0.9014
    """
    bands = dct.transform(torch.cat([colour.luma(x), colour.luma(y)]))[:, list(_WEIGHTS)]
    signals_x, signals_y = halves(bands)
    first_x, first_y = signals_x[:, :1], signals_y[:, :1]
    local = _blur(torch.cat([signals_x, signals_y, signals_x.square(), signals_y.square(), first_x * first_y], 1))
    count = len(_WEIGHTS)
    mean_x, mean_y, xx, yy, xy = local.split([count, count, count, count, 1], 1)
    var_x, var_y = (xx - mean_x * mean_x).relu(), (yy - mean_y * mean_y).relu()
    covariance = xy - mean_x[:, :1] * mean_y[:, :1]
    constants = bands.new_tensor([_CONSTANT_DC] + [_CONSTANT_AC] * (count - 1)).view(-1, 1, 1)
    deviations = colour.root(var_x * var_y)
    contrast = (2 * deviations + constants) / (var_x + var_y + constants)
    structure = (covariance + _CONSTANT_DC) / (deviations[:, :1] + _CONSTANT_DC)
    lost = 1 - torch.cat([contrast, structure], 1).flatten(2)  # the largest of these hold any NaN
    alike = 1 - lost.topk(max(1, round(_WORST * lost.shape[2])))[0].mean(2)
    alike = torch.cat([alike[:, :1] * alike[:, -1:], alike[:, 1:-1]], 1)
    return (alike * alike.new_tensor(list(_WEIGHTS.values()))).sum(1)


def _blur(x: Tensor) -> Tensor:
    """Local means by a Gaussian of 3x3, zeros beyond the border."""
    for dim, border in ((-2, (0, 0, 1, 1)), (-1, (1, 1, 0, 0))):
        count, padded = x.shape[dim], F.pad(x, border)
        outer = padded.narrow(dim, 0, count) + padded.narrow(dim, 2, count)
        x = outer * _SIDE_TAP + x * _MIDDLE_TAP
    return x


class DSS(Metric):
    """DCT subband similarity, ``(n, 1 or 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> DSS().signature()
        'dss|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="dss", title="DCT subband similarity", better="higher", range=(-1.0, 1.0), identical=1.0,
        paper="Balanov et al. 2015, doi 10.1109/ICIP.2015.7351172", smooth=False, min_side=32, channels=(1, 3),
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return dss(x, y)

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601"}
