"""S-CIELAB: CIELAB differences after the eye has blurred what is too fine for it to see.

Zhang and Wandell: A spatial extension of CIELAB for digital color-image reproduction, Journal of the Society for
Information Display 5(1), 1997, doi 10.1889/1.1985127 (presented at the SID symposium of 1996).

The default is what the authors' program (of 1996–98) computes, to 1e-12, where both are given the same XYZ;
``convention="paper"`` is the plainer reading:

==================== =============================================== ===============================================
step                 ``"authors"``                                   ``"paper"``
==================== =============================================== ===============================================
Gaussians            widths at half height and weights of the        spreads and weights as published, each
                     program: 0.05° × 1.00327, 0.225° × 0.114416 …   opponent colour's divided by their sum
sampling             below 224 samples a degree so many times finer  at the pixels
                     that 224 are reached, then convolved with a
                     triangle and picked
spread               (half width in fine pixels − 1) / (2 √ln 2)     as published
beyond the border    mirrored, the border pixel twice                the border pixel goes on
L*a*b*               903.3, 7.787 and 0.008856                       the exact fractions of CIE 15:2004
==================== =============================================== ===============================================

CIEDE2000 may take the place of the difference of 1976.
Conventions: sRGB under D65, linear light by IEC 61966-2-1; filters reach half a degree to each side; the opponent
matrix has the seven digits of the authors' program; the mean over pixels. Images smaller than the filters' reach
are mirrored again and again; what the program does there was not tried.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.ciede2000 import ciede2000
from lookalike.ops.constants import Arrays, kept
from lookalike.ops.pairs import halves
from lookalike.ops.window import separable
from lookalike.options import choice, real

Difference = Literal["cie76", "ciede2000"]
Convention = Literal["authors", "paper"]
SAMPLES_PER_DEGREE = 60.0
_D65 = (0.95047, 1.0, 1.08883)
# CIE XYZ to luminance, red-green and blue-yellow.
_OPPONENT = (
    (0.2787336, 0.7218031, -0.1065520),
    (-0.4487736, 0.2898056, 0.0771569),
    (0.0859513, -0.5899859, 0.5011089),
)
# Per opponent colour the weights of its Gaussians, and their spreads σ in degrees: exp(−r²/σ²).
_FILTERS = (
    ((0.921, 0.0283), (0.105, 0.133), (-0.108, 4.336)),
    ((0.531, 0.0392), (0.330, 0.494)),
    ((0.488, 0.0536), (0.371, 0.386)),
)
# In the program the weights, and the widths at half height in degrees.
_PROGRAM_FILTERS = (
    ((1.00327, 0.05), (0.114416, 0.225), (-0.117686, 7.0)),
    ((0.616725, 0.0685), (0.383275, 0.826)),
    ((0.567885, 0.0920), (0.432115, 0.6451)),
)
_FINE = 224  # samples a degree, of which the program's Gaussians have at least so many


def s_cielab_map(
    x: Tensor,
    y: Tensor,
    *,
    difference: Difference = "cie76",
    spd: float = SAMPLES_PER_DEGREE,
    convention: Convention = "authors",
) -> Tensor:
    """The S-CIELAB difference of every pixel of a pair of sRGB images in the unit range.

    Args:
        x: images judged, ``(n, 3, h, w)``.
        y: references, same shape.
        difference: ``"cie76"``, the distance in L*a*b*, or ``"ciede2000"``.
        spd: samples (pixels) per degree of visual angle.
        convention: ``"authors"``, what their program computes, or ``"paper"``.

    Returns:
        ``(n, 1, h, w)``, in units of L*a*b*.

    Example:
        >>> grey = torch.full((1, 3, 2, 2), 0.5)
        >>> round(float(s_cielab_map(grey, grey + 0.1).mean()), 4)
        9.8441
        >>> round(float(s_cielab_map(grey, grey + 0.1, convention="paper").mean()), 4)
        9.8336
    """
    opponent, back = _opponent(x.dtype, x.device)
    seen = colour.mixed(colour.xyz(colour.linear(torch.cat([x, y]))), opponent)
    filtered = colour.mixed(_filtered(seen, spd, convention), back)
    lab_x, lab_y = halves((_program_lab if convention == "authors" else colour.lab_of_xyz)(filtered))
    if difference == "ciede2000":
        return ciede2000(lab_x, lab_y)
    return colour.root((lab_x - lab_y).square().sum(1, keepdim=True))


@kept(1)
def _opponent() -> Arrays:
    """From XYZ relative to the white to the opponent colours, and back."""
    matrix = np.array(_OPPONENT) * np.array(_D65)
    return matrix, np.linalg.inv(matrix)


def _program_lab(x: Tensor) -> Tensor:
    """L*a*b* with the rounded constants of the authors' program, of X/Xn, Y/Yn and Z/Zn, ``(n, 3, h, w)``."""
    curved = x > 0.008856
    root = torch.where(curved, x, 1.0) ** (1 / 3)
    fx, fy, fz = torch.where(curved, root, 7.787 * x + 16 / 116).unbind(1)
    lightness = torch.where(curved[:, 1], 116 * fy - 16, 903.3 * x[:, 1])
    return torch.stack([lightness, 500 * (fx - fy), 200 * (fy - fz)], 1)


def _filtered(seen: Tensor, spd: float, convention: Convention) -> Tensor:
    """Luminance, red-green and blue-yellow as far as the eye resolves them."""
    taps, weights = _gaussians(seen.dtype, seen.device, spd, convention)
    repeated = [seen[:, i : i + 1].expand(-1, len(channel), -1, -1) for i, channel in enumerate(_FILTERS)]
    planes, radius = torch.cat(repeated, 1), taps.shape[1] // 2
    if convention == "authors":
        planes = _mirrored(_mirrored(planes, radius, 2), radius, 3)
    else:
        planes = F.pad(planes, (radius,) * 4, mode="replicate")
    return colour.mixed(separable(planes, taps, taps), weights)


def _mirrored(planes: Tensor, count: int, dim: int) -> Tensor:
    """So many pixels mirrored at both ends of an axis, the last one twice, as often as it takes."""
    while count:
        side = planes.shape[dim]
        step = min(count, side)
        ends = planes.narrow(dim, 0, step), planes.narrow(dim, side - step, step)
        planes = torch.cat([ends[0].flip(dim), planes, ends[1].flip(dim)], dim)
        count -= step
    return planes


@kept(8)
def _gaussians(spd: float, convention: Convention) -> Arrays:
    """The taps of every Gaussian, ``(7, taps)``, and what each counts in each opponent colour, ``(3, 7)``."""
    filters = _PROGRAM_FILTERS if convention == "authors" else _FILTERS
    widths = np.array([[width] for channel in filters for _, width in channel])
    weights = np.zeros((len(filters), len(widths)))
    place = 0
    for row, channel in zip(weights, filters, strict=True):
        row[place : place + len(channel)] = [weight for weight, _ in channel]
        place += len(channel)
    if convention == "paper":
        radius = math.ceil(spd / 2) - 1
        taps = np.exp(-((np.arange(-radius, radius + 1) / spd / widths) ** 2))
        return taps / taps.sum(1, keepdims=True), weights / weights.sum(1, keepdims=True)
    finer = max(1, math.ceil(_FINE / spd))
    radius = math.ceil(spd * finer / 2) - 1
    spreads = (widths * spd * finer - 1) / (2 * math.sqrt(math.log(2)))
    taps = np.exp(-((np.arange(-radius, radius + 1) / spreads) ** 2))
    taps /= taps.sum(1, keepdims=True)
    if finer > 1:
        rising = np.arange(1, finer) / finer
        triangle = np.concatenate([rising, [1.0], rising[::-1]])
        first = radius % finer + finer - 1  # of the samples that lie a whole number of pixels off the middle
        picked = slice(first, first + 2 * (radius // finer) * finer + 1, finer)
        taps = np.stack([np.convolve(row, triangle)[picked] for row in taps])
    return taps, weights


class SCIELAB(Metric):
    """Mean S-CIELAB difference, ``(n, 3, h, w) -> (n,)``.

    Args:
        difference: ``"cie76"`` (the paper's) or ``"ciede2000"``.
        spd: samples (pixels) per degree of visual angle; 60 is a pixel a minute of arc. At 2 and below the filters
            have one tap, and with ``"paper"`` nothing is blurred.
        convention: ``"authors"``, what their program computes, or ``"paper"``; the file's head says what differs.
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        ValueError: for an unknown difference or convention, or samples per degree that are not positive.

    Example:
        >>> rows = torch.arange(64) % 2 * torch.ones(1, 3, 64, 64)
        >>> [round(float(SCIELAB(spd=spd)(rows, 1 - rows)), 2) for spd in (6, 20, 60)]
        [62.38, 28.44, 1.35]
    """

    facts: ClassVar[Facts] = Facts(
        name="s_cielab",
        suits="for colour differences at a known viewing distance",
        fails="without knowing samples a degree",
        written="S-CIELAB",
        map_high=100.0,
        title="S-CIELAB colour difference", paper="Zhang and Wandell 1997, doi 10.1889/1.1985127",
        better="lower", range=(0.0, math.inf), identical=0.0, smooth=False, channels=(3,), version=2,
        declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def __init__(
        self,
        *,
        difference: Difference = "cie76",
        spd: float = SAMPLES_PER_DEGREE,
        convention: Convention = "authors",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        choice("s_cielab", "difference", difference, get_args(Difference))
        choice("s_cielab", "convention", convention, get_args(Convention))
        self.difference: Difference = difference
        self.convention: Convention = convention
        self.spd = real("s_cielab", "spd", spd, least=0.1, most=1000)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return s_cielab_map(x, y, difference=self.difference, spd=self.spd, convention=self.convention)

    def settings(self) -> dict[str, object]:
        return {"conv": self.convention, "difference": self.difference, "spd": round(self.spd, 4)}
