"""PSNR-HVS and PSNR-HVS-M: PSNR of DCT coefficients, weighted by the eye's contrast sensitivity, with masking.

Egiazarian, Astola, Ponomarenko, Lukin, Battisti, Carli: New full-reference quality metrics based on HVS, VPQM 2006.
Ponomarenko, Silvestri, Egiazarian, Carli, Astola, Lukin: On between-coefficient contrast masking of DCT basis
functions, VPQM 2007.

Differs from the papers: nothing; capped (default 100 dB) so that identical images have a finite value.
Conventions: the authors' program (psnrhvsm of 2006), to 1e-12 dB in float64: blocks of 8x8 pixels side by side,
what is left at the end dropped. Luma is taken of colour.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, dct
from lookalike.ops._autograd import apply

# The quantisation of luma that the JPEG standard proposes (ITU-T T.81, table K.1). Sensitivity is its reciprocal
# times 25.73509, which makes the mean of the squares 1; masking is the square of ten times the reciprocal.
_STEPS = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_SENSITIVITY = tuple(round(25.73509 / step, 6) for step in _STEPS)  # six digits, as published
_MASKING = tuple(round((10 / step) ** 2, 6) for step in _STEPS)
# The mean of a block neither masks nor is masked.
_MASKED = (0.0, *(1 / masking for masking in _MASKING[1:]))
_ENERGIES = ((0.0, *(1.0,) * 63), (0.0, *_MASKING[1:]))
# What the frequencies of a row add to the mean of either half of it, and so the coefficients but the first to the
# mean of each quarter of a block.
_HALVES = tuple(
    tuple(
        sum(math.cos((2 * at + 1) * frequency * math.pi / 16) for at in half) / (8 if frequency else 8 * 2**0.5)
        for frequency in range(8)
    )
    for half in (range(4), range(4, 8))
)
_QUARTERS = tuple((0.0, *[v * u for v in down for u in across][1:]) for down in _HALVES for across in _HALVES)


def psnr_hvs(x: Tensor, y: Tensor, *, cap: float | None = 100.0) -> Tensor:
    """PSNR of sensitivity-weighted DCT coefficients of a pair in the unit range, in decibels.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 8 px a side; luma is taken of colour.
        y: references, same shape.
        cap: values above it, identical images among them, give it, with gradient 0; None: no cap.

    Returns:
        ``(n,)``.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(psnr_hvs(y * 0.9, y)), 4)
        19.2002
    """
    return _decibels(_weighted(dct.transform(colour.luma(x) - colour.luma(y)).flatten(2)), cap)


def psnr_hvs_m(x: Tensor, y: Tensor, *, cap: float | None = 100.0) -> Tensor:
    """PSNR-HVS of what is left of the errors where the texture of a block masks them; arguments as `psnr_hvs`.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(psnr_hvs_m(y * 0.9, y)), 4)
        20.066
    """
    tables = x.new_tensor(_ENERGIES), x.new_tensor(_QUARTERS)
    coefficients_x, masks_x = _spectrum(colour.luma(x), *tables)
    coefficients_y, masks_y = _spectrum(colour.luma(y), *tables)
    masks = torch.maximum(masks_x, masks_y).unsqueeze(1)
    error = (coefficients_x - coefficients_y).abs()
    return _decibels(
        _weighted(torch.addcmul(error, masks, masks.new_tensor(_MASKED)[:, None], value=-1).relu()), cap
    )


def _weighted(error: Tensor) -> Tensor:
    """Mean square of the coefficients ``(n, 64, blocks)``, weighted by sensitivity."""
    weights = error.new_tensor(_SENSITIVITY).square().unsqueeze(0)
    return apply(_Energies, error, weights).mean((1, 2)) / len(_STEPS)


class _Energies(torch.autograd.Function):
    """Weighted sums of squares over the coefficients of each block, ``(n, 64, blocks) -> (n, sums, blocks)``."""

    generate_vmap_rule = True

    @staticmethod
    def forward(coefficients: Tensor, weights: Tensor) -> Tensor:
        return weights @ coefficients.square()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        coefficients, weights = ctx.saved_tensors
        return (2 * weights).T @ gradients[0] * coefficients, None


def _spectrum(x: Tensor, energies: Tensor, quarters: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of every block, ``(n, 64, blocks)``, and how much it masks, ``(n, blocks)``: 2007."""
    coefficients = dct.transform(x).flatten(2)
    # By Parseval the coefficients but the first hold the block's sum of squares about its mean.
    around_mean, masks = apply(_Energies, coefficients, energies).unbind(1)
    around_quarters = (around_mean - 16 * (quarters @ coefficients).square().sum(1)).relu()
    flat = around_mean == 0
    share = torch.where(flat, 0.0, around_quarters * (16 / 15) / torch.where(flat, 1.0, around_mean * (64 / 63)))
    return coefficients, colour.root(masks * share) / 32


def _decibels(error: Tensor, cap: float | None) -> Tensor:
    if cap is not None:
        floor = 10 ** (-cap / 10)
        error = torch.where(error <= floor, floor, error)
    return -10 * error.log10()


class _OfBlocks(Metric):
    """What the two share: the cap."""

    def __init__(self, *, cap_db: float | None = 100.0, **base: Any) -> None:
        super().__init__(**base)
        if cap_db is not None and not cap_db > 0:
            raise ValueError(f"{self.facts.name}: cap_db must be positive or None, got {cap_db!r}")
        self.cap_db = cap_db

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601", "cap": "none" if self.cap_db is None else self.cap_db}


class PSNRHVS(_OfBlocks):
    """PSNR weighted by contrast sensitivity, ``(n, 1 or 3, h, w) -> (n,)``, in decibels.

    Args:
        cap_db: the highest value given, also for identical images; None gives infinity there.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for a cap that is not positive.

    Example:
        >>> PSNRHVS(data_range=255).signature()
        'psnr_hvs|colour:luma-bt601|cap:100|range:255|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="psnr_hvs",
        suits="for compression, weighted by what the eye resolves",
        fails="for colour",
        written="PSNR-HVS",
        title="PSNR weighted by contrast sensitivity", paper="Egiazarian et al. 2006, VPQM",
        better="higher", range=(-math.inf, 100.0), identical=100.0, smooth=False, min_side=8, channels=(1, 3),
        unit="dB", declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return psnr_hvs(x, y, cap=self.cap_db)


class PSNRHVSM(_OfBlocks):
    """PSNR-HVS with masking between coefficients, ``(n, 1 or 3, h, w) -> (n,)``, in decibels; see `PSNRHVS`.

    Example:
        >>> float(PSNRHVSM()(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8)))
        100.0
    """

    facts: ClassVar[Facts] = Facts(
        name="psnr_hvs_m",
        suits="as PSNR-HVS where texture hides errors",
        fails="for colour",
        written="PSNR-HVS-M",
        title="PSNR-HVS with masking", paper="Ponomarenko et al. 2007, VPQM",
        better="higher", range=(-math.inf, 100.0), identical=100.0, smooth=False, min_side=8, channels=(1, 3),
        unit="dB", declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return psnr_hvs_m(x, y, cap=self.cap_db)
