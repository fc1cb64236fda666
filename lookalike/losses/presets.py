"""Losses of the literature by name: formulas that `losses.loss` reads, and nine published ones with their faults.

``seed/NAME`` are the cycle losses of A. Tandon's CycleGAN_ssim (2018, https://github.com/Tandon-A/CycleGAN_ssim) as
its write-up means them: on the unit range, every pixel counted alike, means instead of sums.
``seed/NAME@published`` are what its program computes, for reproduction. It feeds values from −1 to 1; these take
values as they come, and each says which promises of the audit it breaks when fed so:

- S is ``tf.image.ssim(x, y, max_val=1)`` of the first image of a batch alone. SSIM is defined for values that are
  not negative; on signed ones it prefers a photographic negative to mild noise.
- Σ is the sum over all values, where its L1 has the mean: 49,152 times as much on 3 x 128 x 128.
- g is one Gaussian over the whole image with a deviation of half a pixel and a sum of 1. The nine pixels at the
  centre hold 99.9 % of it, so that terms with g see almost nothing. N·C is the number of planes of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from lookalike import batches
from lookalike.algebra import Loss, Prepared, Term
from lookalike.ops import ssim as op
from lookalike.ops import window as windows
from lookalike.ops.ssim.setting import Setting
from lookalike.options import meant, there_are

SIGNED = (-1.0, 1.0)
CENTRE_SIGMA = 0.5  # of g, in pixels
_SEED = "Tandon 2018, CycleGAN_ssim"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A loss by name.

    Attributes:
        name: as users write it.
        source: where it is from.
        expression: that `losses.loss` reads; "" of a published one.
        written: what the expression is in writing, where its names do not say it.
        parts: of a published one, name in `PARTS` → weight.
        fed: the range of the values that its authors feed it.
        breaks: the promises of `lookalike.audit` that it breaks, fed so.
    """

    name: str
    source: str
    expression: str = ""
    written: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    fed: tuple[float, float] = (0.0, 1.0)
    breaks: tuple[str, ...] = ()

    @property
    def formula(self) -> str:
        """What is computed, in one line."""
        if self.expression:
            return f"{self.expression} = {self.written}" if self.written else self.expression
        return " + ".join(
            PARTS[part].formula if weight == 1 else f"{weight:.6g}·{PARTS[part].formula}"
            for part, weight in self.parts.items()
        )


@dataclass(frozen=True)
class Part:
    """One part of the published losses, in writing and in torch, of a pair whose values are as they come."""

    formula: str
    of: Callable[[Tensor, Tensor], Tensor]
    min_side: int = 1


class Published(Term):
    """One of `PARTS` as a term of a loss: ``(n, c, h, w), (n, c, h, w) -> ()``.

    Values are taken as they are (those of 8-bit images as 0 to 1), in float32 with autocast off; float64 stays.

    Example:
        >>> y = torch.rand(2, 3, 16, 16)
        >>> round(float(Published("ssim")(torch.cat([y[:1], -y[1:]]), y)), 6)  # sees the first image alone
        0.0
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The value of a pair of batches."""
        part = PARTS[self.name]
        x, y = batches.pair(x, y, who=f"published {self.name}", check="shapes", min_side=part.min_side)
        with torch.autocast(x.device.type, enabled=False):
            return part.of(x, y)

    def as_loss(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """Its value: lower is better as it is."""
        if mask is not None:
            raise TypeError(f"published {self.name}: takes no mask, for its authors' program has none")
        return self(x, y.y if isinstance(y, Prepared) else y)

    def signature(self) -> str:
        """How the number is made."""
        return f"published {PARTS[self.name].formula}"


def centre(image: Tensor) -> Tensor:
    """The Gaussian g of an image ``(n, c, h, w)``: ``(h, w)``, about the pixel (h // 2, w // 2), of sum 1.

    Example:
        >>> g = centre(torch.empty(1, 3, 128, 128))
        >>> round(float(g[64, 64]), 4), round(float(g[63:66, 63:66].sum()), 4)
        (0.6187, 0.9989)
    """
    offsets = (torch.arange(side, dtype=image.dtype, device=image.device) - side // 2 for side in image.shape[2:])
    row, column = (torch.softmax(-offset.square() / (2 * CENTRE_SIGMA**2), 0) for offset in offsets)
    return torch.outer(row, column)


def _first_ssim(x: Tensor, y: Tensor) -> Tensor:
    return 1 - op.means(x[:1], y[:1], Setting(windows.gaussian(11, 1.5)))[..., 0].mean()


def _at_centre(error: Tensor) -> Tensor:
    return (centre(error) * error).sum((2, 3)).mean()


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "ssim": Part("(1 − S)", _first_ssim, min_side=11),
        "l1": Part("mean |x − y|", lambda x, y: (x - y).abs().mean()),
        "sum_l1": Part("Σ |x − y|", lambda x, y: (x - y).abs().sum()),
        "sum_l2": Part("Σ (x − y)²", lambda x, y: (x - y).square().sum()),
        "centre_l1": Part("Σ g·|x − y| / (N·C)", lambda x, y: _at_centre((x - y).abs())),
        "centre_l2": Part("Σ g·(x − y)² / (N·C)", lambda x, y: _at_centre((x - y).square())),
    }
)


# The promises that they break: any takes a data range; sums and a first image are not means over a batch; and on
# signed values a negative pleases SSIM, unless a pixel term sees the whole image.
_UNITS = ("data_range",)
_SUMS = ("batch", *_UNITS)
_SIGNED_SSIM = ("negative", *_SUMS)


def _published(name: str, parts: Mapping[str, float], breaks: tuple[str, ...]) -> Preset:
    return Preset(name=f"seed/{name}@published", source=_SEED, parts=parts, fed=SIGNED, breaks=breaks)


def _corrected(name: str, expression: str) -> Preset:
    return Preset(name=f"seed/{name}", source=_SEED, expression=expression)


# 0.00005 times the sum of 3·128·128 squares of signed values is 9.8304 times their mean in the unit range.
_ROWS = (
    _corrected("l1", "l1"),
    _corrected("l2", "l2"),
    _corrected("ssim", "ssim"),
    _corrected("ssim_l1", "0.84*ssim + 0.16*gaussian_l1"),
    _corrected("ssim_l2_a", "ssim + 9.8304*l2"),
    _corrected("ssim_l2_b", "0.84*ssim + 0.08*gaussian_l2"),
    _corrected("l1_l2", "l1 + l2"),
    _corrected("ssim_l1l2_a", "0.84*ssim + 0.16*gaussian_l1 + 9.8304*l2"),
    _corrected("ssim_l1l2_b", "0.84*ssim + 0.106667*gaussian_l1 + 0.0266667*gaussian_l2"),
    _published("l1", {"l1": 1}, _UNITS),
    _published("l2", {"sum_l2": 1}, _SUMS),
    _published("ssim", {"ssim": 1}, _SIGNED_SSIM),
    _published("ssim_l1", {"ssim": 0.84, "centre_l1": 0.16}, _SIGNED_SSIM),
    _published("ssim_l2_a", {"ssim": 1, "sum_l2": 0.00005}, _SUMS),
    _published("ssim_l2_b", {"ssim": 0.84, "centre_l2": 0.16 / 2}, _SIGNED_SSIM),
    _published("l1_l2", {"sum_l1": 1, "sum_l2": 1}, _SUMS),
    _published("ssim_l1l2_a", {"ssim": 0.84, "centre_l1": 0.16, "sum_l2": 0.00005}, _SUMS),
    _published("ssim_l1l2_b", {"ssim": 0.84, "centre_l1": 0.16 * 2 / 3, "centre_l2": 0.16 / 6}, _SIGNED_SSIM),
    Preset(
        name="zhao", source="Zhao et al. 2017, doi 10.1109/TCI.2016.2644865, eq. 13 and 14", expression="zhao_mix",
        written="mean of 0.84·(1 − l_M·Π_j cs_j) + 0.16·G_σM * |x − y|",
    ),
    Preset(
        name="3dgs", source="Kerbl et al. 2023, doi 10.1145/3592433, eq. 7, and its program's border of zeros",
        expression="0.8*l1 + 0.2*ssim(border=zero)",
    ),
)  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType({row.name: row for row in _ROWS})


def preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        ValueError: for an unknown name, with the nearest one.

    Example:
        >>> preset("3dgs").formula
        '0.8*l1 + 0.2*ssim(border=zero)'
    """
    if name not in PRESETS:
        raise ValueError(f"loss: no preset is called {name!r}{meant(name, PRESETS)}; {there_are(name, PRESETS)}")
    return PRESETS[name]


def is_published(loss: Loss) -> bool:
    """Whether a loss takes values as its authors fed them, from −1 to 1, and not those of the unit range.

    Example:
        >>> is_published(published(preset("seed/l1@published")))
        True
    """
    return any(isinstance(metric, Published) for metric in loss.metrics)


def published(row: Preset) -> Loss:
    """A published preset as a loss, its parts as terms.

    Example:
        >>> loss = published(preset("seed/ssim_l1@published"))
        >>> y = torch.rand(1, 3, 32, 32) * 2 - 1
        >>> float(loss(y, y)), list(loss.terms)
        (0.0, ['ssim', 'centre_l1'])
    """
    return Loss({part: (weight, Published(part)) for part, weight in row.parts.items()})
