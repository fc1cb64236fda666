"""DSS, similarity of DCT subbands: how alike the local contrast of each frequency is, at the worst places.

Balanov, Schwartz, Moshe, Peleg: Image quality assessment based on DCT subband similarity, ICIP 2015,
doi 10.1109/ICIP.2015.7351172.

Differs from the paper: nothing; where its roots have no derivative the gradient is 0.
Conventions: the authors' program (version 1.00 of 2015), to 1e-12 in float64, and to 3e-8 where images are flat:
blocks of 8x8 pixels side by side, what is left at the end dropped; zeros beyond the border of a subband; subbands
of a weight below 0.01 do not count; the number of the worst 5 % of the blocks is rounded, halves up. Luma is taken
of colour.
piq 0.8.0 rounds halves to even, and differs where 5 % of the blocks is a number and a half.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import signature
from lookalike.metric import Facts, Metric
from lookalike.ops import colour, dct
from lookalike.ops.constants import Arrays, kept
from lookalike.ops.pairs import halves
from lookalike.ops.window import gaussian
from lookalike.options import real, reals, width

WEIGHTS_SIGMA, SIGMA, WORST, CONSTANTS = 1.55, 1.5, 0.05, (1000.0, 300.0)


def _weights(sigma: float) -> dict[int, float]:
    """The weight of each subband that counts, by its place among the 64."""
    weights = {
        8 * row + column: math.exp(-((row + 0.5) ** 2 + (column + 0.5) ** 2) / (2 * sigma**2))
        for row in range(8)
        for column in range(8)
    }
    kept = {place: weight for place, weight in weights.items() if place == 0 or weight >= 1e-2}
    total = math.fsum(list(kept.values()))  # a list, which torch.compile follows
    return {place: weight / total for place, weight in kept.items()}


def dss(
    x: Tensor,
    y: Tensor,
    *,
    sigma: float = SIGMA,
    weights_sigma: float = WEIGHTS_SIGMA,
    worst: float = WORST,
    constants: tuple[float, float] = CONSTANTS,
) -> Tensor:
    """DCT subband similarity of a pair in the unit range, Balanov et al. 2015.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 32 px a side; luma is taken of colour.
        y: references, same shape.
        sigma: standard deviation of the 3x3 window of local statistics, in blocks.
        weights_sigma: standard deviation of the weights over frequency, in coefficients.
        worst: the share of the blocks that counts, those that are least alike; at least one block does.
        constants: of the similarity, for the first subband and for the others, on the scale of 0–255.

    Returns:
        ``(n,)``, 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(dss(y * 0.5, y)), 4)
        0.9014
    """
    subbands = _weights(weights_sigma)
    bands = dct.transform(255 * torch.cat([colour.luma(x), colour.luma(y)]))[:, list(subbands)]
    signals_x, signals_y = halves(bands)
    first_x, first_y, covariance = _moments(signals_x[:, :1], signals_y[:, :1], sigma)
    others_x, others_y = signals_x[:, 1:], signals_y[:, 1:]
    local = _blur(torch.cat([others_x, others_y, others_x.square(), others_y.square()], 1), sigma)
    mean_x, mean_y, xx, yy = local.chunk(4, 1)
    var_x = torch.cat([first_x, xx - mean_x * mean_x], 1).relu()
    var_y = torch.cat([first_y, yy - mean_y * mean_y], 1).relu()
    count = len(subbands)
    first, others = constants
    added = bands.new_tensor([first] + [others] * (count - 1)).view(-1, 1, 1)
    deviations = colour.root(var_x * var_y)
    contrast = (2 * deviations + added) / (var_x + var_y + added)
    structure = (covariance + first) / (deviations[:, :1] + first)
    lost = 1 - torch.cat([contrast, structure], 1).flatten(2)  # the largest of these hold any NaN
    # Halves are rounded up, as MATLAB does and Python's round does not.
    alike = 1 - lost.topk(max(1, math.floor(worst * lost.shape[2] + 0.5)))[0].mean(2)
    alike = torch.cat([alike[:, :1] * alike[:, -1:], alike[:, 1:-1]], 1)
    return (alike * alike.new_tensor(list(subbands.values()))).sum(1)


@kept(8)
def _window(sigma: float) -> Arrays:
    """The Gaussian of 3x3, row by row."""
    squares = np.array([2, 1, 2, 1, 0, 1, 2, 1, 2])
    taps = np.exp(-squares / (2 * sigma**2))
    return (taps / taps.sum(),)


def _moments(x: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Local variances and covariance of two planes."""
    [window] = _window(x.dtype, x.device, sigma)
    window = window.unsqueeze(1)
    of_x, of_y = (F.unfold(image, 3, padding=1) for image in (x, y))
    if x.dtype != torch.float64:
        # Beside the brightness float32 loses small variances; what differs from the window's middle keeps them.
        # In float64 the rounding of the plain sums is the authors' too: it shows, to 3e-8, where images are flat.
        of_x, of_y = of_x - of_x[:, 4:5], of_y - of_y[:, 4:5]
    mean_x, mean_y, xx, yy, xy = (
        (window * part).sum(1) for part in (of_x, of_y, of_x * of_x, of_y * of_y, of_x * of_y)
    )
    moments = xx - mean_x * mean_x, yy - mean_y * mean_y, xy - mean_x * mean_y
    variance_x, variance_y, covariance = (moment.view_as(x) for moment in moments)
    return variance_x, variance_y, covariance


def _blur(x: Tensor, sigma: float) -> Tensor:
    """Local means by a Gaussian of 3x3, zeros beyond the border."""
    side, middle, _ = gaussian(3, sigma)
    for dim, border in ((-2, (0, 0, 1, 1)), (-1, (1, 1, 0, 0))):
        count, padded = x.shape[dim], F.pad(x, border)
        outer = padded.narrow(dim, 0, count) + padded.narrow(dim, 2, count)
        x = outer * side + x * middle
    return x


class DSS(Metric):
    """DCT subband similarity, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        sigma, weights_sigma, worst, constants: as for `dss`; the defaults are the authors'.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for deviations or constants that are not positive, or a share outside (0, 1].

    Example:
        >>> DSS().signature()
        'dss|colour:luma-bt601|range:1|v:2'
        >>> DSS(worst=1).signature()
        'dss|colour:luma-bt601|worst:1|range:1|v:2'
    """

    facts: ClassVar[Facts] = Facts(
        name="dss",
        suits="for compression and noise at the cost of a DCT",
        fails="below 40 px a side",
        written="DSS",
        title="DCT subband similarity", better="higher", range=(-1.0, 1.0), identical=1.0,
        paper="Balanov et al. 2015, doi 10.1109/ICIP.2015.7351172", smooth=False, min_side=32, channels=(1, 3),
        version=2,
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(
        self,
        *,
        sigma: float = SIGMA,
        weights_sigma: float = WEIGHTS_SIGMA,
        worst: float = WORST,
        constants: tuple[float, float] = CONSTANTS,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.sigma = width("dss", "sigma", sigma)
        self.weights_sigma = width("dss", "weights_sigma", weights_sigma)
        self.worst = real("dss", "worst", worst, above=0, most=1)
        first, others = reals("dss", "constants", constants, count=2, above=0)
        self.constants = first, others

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return dss(
            x, y, sigma=self.sigma, weights_sigma=self.weights_sigma, worst=self.worst, constants=self.constants
        )

    def settings(self) -> dict[str, object]:
        own = {
            "sigma": (self.sigma, SIGMA),
            "weights": (self.weights_sigma, WEIGHTS_SIGMA),
            "worst": (self.worst, WORST),
            "constants": (signature.numbers(self.constants), signature.numbers(CONSTANTS)),
        }
        return {"colour": "luma-bt601"} | signature.unusual(own)
