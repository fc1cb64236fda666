"""MDSI, the deviation of gradient and chromaticity similarity from its mean.

Nafchi, Shahkolaei, Hedjam, Cheriet: Mean deviation similarity index: efficient and reliable full-reference image
quality evaluator, IEEE Access 4, 2016, doi 10.1109/ACCESS.2016.2604042.

Differs from the paper: nothing where its formula has a value.
Conventions: the authors' program, to 1e-11 in float64: similarities are added, by option multiplied; images are
reduced to about 256 px by a box with zeros beyond the border, sides of half a multiple upward (640 px by three);
Prewitt's operator. The similarity of a pixel can be negative: its fourth root is complex. Greyscale is taken as
three equal channels.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.gradient import PREWITT, gradient
from lookalike.ops.window import shrink
from lookalike.options import choice
from lookalike.signature import unusual

Combination = Literal["sum", "product"]

# Luminance and two of chromaticity, of which a grey has a little.
_LHM = ((0.2989, 0.5870, 0.1140), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
_C1, _C2, _C3 = 140 / 255**2, 55 / 255**2, 550 / 255**2
_ALPHA = 0.6  # of the sum
_GAMMA, _BETA = 0.2, 0.1  # powers of gradient and chromaticity in the product


def mdsi(x: Tensor, y: Tensor, *, combination: Combination = "sum") -> Tensor:
    """Mean deviation similarity index of a pair in the unit range, eq. 11 of Nafchi et al. 2016.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 3 px a side.
        y: references, same shape.
        combination: ``"sum"`` adds the two similarities, ``"product"`` multiplies powers of them.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 3, 64, 64)
        >>> round(float(mdsi(y.roll(2, -1), y)), 4)
        0.512
        >>> round(float(mdsi(y.roll(2, -1), y, combination="product")), 4)
        0.4287
    """
    choice("mdsi", "combination", combination, get_args(Combination))
    factor = max(1, math.floor(min(x.shape[2:]) / 256 + 0.5))
    (lx, hx, mx), (ly, hy, my) = (_lhm(shrink(image, factor, "zero")) for image in (x, y))
    (ax, dx), (ay, dy) = gradient(lx, PREWITT), gradient(ly, PREWITT)
    ex, ey = ax * ax + dx * dx, ay * ay + dy * dy
    fused = ((ax + ay).square() + (dx + dy).square()) / 4
    # 1 − each similarity of the paper, which is exactly 0 for identical images: (|a| − |b|)² / (a² + b² + c).
    lost = _unlike(ex, ey, _C1) + _unlike(ex, fused, _C2) - _unlike(ey, fused, _C2)
    chroma = ((hx - hy).square() + (mx - my).square()) / (hx * hx + hy * hy + mx * mx + my * my + _C3)
    if combination == "sum":
        similar = (1 - _ALPHA * lost - (1 - _ALPHA) * chroma).flatten(1)
        # The fourth root of a negative number has the angle π/4: cos = sin = √½.
        size, angle = _fourth_root(similar.abs()), torch.where(similar < 0, math.pi / 4, 0.0)
    else:
        slopes, colours = (1 - lost).flatten(1), (1 - chroma).flatten(1)
        size = _power(slopes.abs(), _GAMMA / 4) * _power(colours.abs(), _BETA / 4)
        turn = torch.where(slopes < 0, _GAMMA, 0.0) + torch.where(colours < 0, _BETA, 0.0)
        angle = turn * (math.pi / 4)
    real, imaginary = size * torch.cos(angle), size * torch.sin(angle)
    deviation = colour.length(real - real.mean(1, keepdim=True), imaginary - imaginary.mean(1, keepdim=True))
    return _fourth_root(deviation.mean(1))


def _lhm(image: Tensor) -> tuple[Tensor, ...]:
    red, green, blue = image.split(1, 1) if image.shape[1] == 3 else (image, image, image)
    return tuple(r * red + g * green + b * blue for r, g, b in _LHM)


def _unlike(a: Tensor, b: Tensor, constant: float) -> Tensor:
    """1 − (2 √(a b) + c) / (a + b + c)."""
    return (a + b - 2 * colour.root(a * b)) / (a + b + constant)


def _power(x: Tensor, exponent: float) -> Tensor:
    """x to a power, whose gradient at zero is 0."""
    none = x == 0
    return torch.where(none, 0.0, torch.where(none, 1.0, x) ** exponent)


def _fourth_root(x: Tensor) -> Tensor:
    """∜x, whose gradient at zero is 0."""
    return colour.root(colour.root(x))


class MDSI(Metric):
    """Mean deviation similarity index, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        combination: ``"sum"``, which the authors recommend, or ``"product"``.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for another combination.

    Example:
        >>> MDSI().signature()
        'mdsi|colour:lhm|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="mdsi",
        suits="for colour and edges together, at little cost",
        fails="for small pictures: it halves them first",
        written="MDSI",
        title="Mean deviation similarity index", better="lower", range=(0.0, math.inf), identical=0.0,
        paper="Nafchi et al. 2016, doi 10.1109/ACCESS.2016.2604042", symmetric=False, smooth=False,
        min_side=3, channels=(1, 3),
        declines={"channels": "luminance weighs green most"},
    )  # fmt: skip

    def __init__(self, *, combination: Combination = "sum", **base: Any) -> None:
        super().__init__(**base)
        choice("mdsi", "combination", combination, get_args(Combination))
        self.combination: Combination = combination

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return mdsi(x, y, combination=self.combination)

    def settings(self) -> dict[str, object]:
        return {"colour": "lhm"} | unusual({"combination": (self.combination, "sum")})
