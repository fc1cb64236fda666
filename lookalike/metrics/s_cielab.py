"""S-CIELAB: CIELAB differences after the eye has blurred what is too fine for it to see.

Zhang and Wandell: A spatial extension of CIELAB for digital color-image reproduction, Journal of the Society for
Information Display 5(1), 1997, doi 10.1889/1.1985127 (presented at the SID symposium of 1996).

Differs from the paper: the opponent matrix has the seven digits of the authors' program; CIEDE2000 may take the
place of the difference of 1976.
Conventions: sRGB under D65; the filters reach half a degree to each side, as the authors' do, and each of their
Gaussians sums to 1 there; they are sampled at the pixels, which the program samples more finely below 224 a degree;
the border pixel goes on beyond the border; the mean over pixels. Not proved against the authors' own values: as
frame-analytics 0.7 away from the border, given the same Gaussians.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.ciede2000 import ciede2000
from lookalike.ops.pairs import halves
from lookalike.ops.window import separable
from lookalike.options import choice

Difference = Literal["cie76", "ciede2000"]
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


def s_cielab_map(
    x: Tensor, y: Tensor, *, difference: Difference = "cie76", spd: float = SAMPLES_PER_DEGREE
) -> Tensor:
    """The S-CIELAB difference of every pixel of a pair of sRGB images in the unit range.

    Args:
        x: images judged, ``(n, 3, h, w)``.
        y: references, same shape.
        difference: ``"cie76"``, the distance in L*a*b*, or ``"ciede2000"``.
        spd: samples (pixels) per degree of visual angle.

    Returns:
        ``(n, 1, h, w)``, in units of L*a*b*.

    Example:
        >>> grey = torch.full((1, 3, 2, 2), 0.5)
        >>> round(float(s_cielab_map(grey, grey + 0.1).mean()), 4)
        9.8336
    """
    opponent = x.new_tensor(_OPPONENT, dtype=torch.float64) * x.new_tensor(_D65, dtype=torch.float64)
    seen = colour.mixed(colour.xyz(colour.linear(torch.cat([x, y]))), opponent)
    filtered = colour.mixed(_filtered(seen, spd), torch.linalg.inv(opponent))
    lab_x, lab_y = halves(colour.lab_of_xyz(filtered))
    if difference == "ciede2000":
        return ciede2000(lab_x, lab_y)
    return colour.root((lab_x - lab_y).square().sum(1, keepdim=True))


def _filtered(seen: Tensor, spd: float) -> Tensor:
    """Luminance, red-green and blue-yellow as far as the eye resolves them."""
    radius = math.ceil(spd / 2) - 1
    at = torch.arange(-radius, radius + 1, dtype=torch.float64, device=seen.device) / spd
    spreads = at.new_tensor([spread for channel in _FILTERS for _, spread in channel])
    taps = torch.exp(-(at / spreads[:, None]).square())
    taps = (taps / taps.sum(1, keepdim=True)).to(seen.dtype)
    repeated = [seen[:, i : i + 1].expand(-1, len(channel), -1, -1) for i, channel in enumerate(_FILTERS)]
    planes = separable(F.pad(torch.cat(repeated, 1), (radius,) * 4, mode="replicate"), taps, taps)
    weights = torch.block_diag(*(at.new_tensor([[weight for weight, _ in channel]]) for channel in _FILTERS))
    return colour.mixed(planes, weights / weights.sum(1, keepdim=True))


class SCIELAB(Metric):
    """Mean S-CIELAB difference, ``(n, 3, h, w) -> (n,)``.

    Args:
        difference: ``"cie76"`` (the paper's) or ``"ciede2000"``.
        spd: samples (pixels) per degree of visual angle; 60 is a pixel a minute of arc. At 2 and below nothing is
            blurred.
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        ValueError: for an unknown difference, or samples per degree that are not positive.

    Example:
        >>> rows = torch.arange(64) % 2 * torch.ones(1, 3, 64, 64)
        >>> coarse = SCIELAB(spd=2)(rows, 1 - rows)
        >>> round(float(coarse), 2), round(float(SCIELAB()(rows, 1 - rows)), 2)
        (100.0, 4.9)
    """

    facts: ClassVar[Facts] = Facts(
        name="s_cielab", title="S-CIELAB colour difference", paper="Zhang and Wandell 1997, doi 10.1889/1.1985127",
        better="lower", range=(0.0, math.inf), identical=0.0, smooth=False, channels=(3,),
        declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def __init__(self, *, difference: Difference = "cie76", spd: float = SAMPLES_PER_DEGREE, **base: Any) -> None:
        super().__init__(**base)
        choice("s_cielab", "difference", difference, get_args(Difference))
        if not 0 < spd < math.inf:
            raise ValueError(f"s_cielab: spd must be a positive number of samples per degree, got {spd!r}")
        self.difference: Difference = difference
        self.spd = float(spd)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return s_cielab_map(x, y, difference=self.difference, spd=self.spd)

    def settings(self) -> dict[str, object]:
        return {"difference": self.difference, "spd": round(self.spd, 4)}
