"""FSIM and FSIMc, similarity of phase congruency and gradients, weighted by phase congruency.

Zhang, Zhang, Mou, Zhang: FSIM: a feature similarity index for image quality assessment, IEEE TIP 20(8), 2011,
doi 10.1109/TIP.2011.2109730.

Differs from the paper: nothing where its formula has a value. Where nothing has phase congruency, all pixels count
alike (the authors' program gives NaN there).
Conventions: the authors' program, to 1e-6 in float64: images are reduced to about 256 px by a box with zeros beyond
the border, sides of half a multiple upward (640 px by three). Colour is FSIMc, in YIQ.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour as colours
from lookalike.ops.gradient import SCHARR, energy
from lookalike.ops.phase_congruency import phase_congruency
from lookalike.ops.window import shrink

Colour = Literal["yiq", "luma"]
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
_T1, _T2, _T3 = 0.85, 160 / 255**2, 200 / 255**2
_LAMBDA = 0.03


def fsim(x: Tensor, y: Tensor, *, colour: Colour = "yiq") -> Tensor:
    """Feature similarity of a pair in the unit range, eq. 9 of Zhang et al. 2011; of RGB FSIMc, eq. 13.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 16 px a side.
        y: references, same shape.
        colour: ``"yiq"`` judges chrominance too, ``"luma"`` does not.

    Returns:
        ``(n,)``, 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(fsim(y.roll(2, -1), y)), 4)
        0.6562
    """
    if not x.shape[0]:
        return (x + y).sum((1, 2, 3))  # the Fourier transform of no image at all is an error
    factor = max(1, math.floor(min(x.shape[2:]) / 256 + 0.5))
    # Apart, so that where one of them needs no gradient half of the work on the way back is saved.
    x, y = (shrink(_mixed(image, colour), factor, "zero") for image in (x, y))
    px, py = phase_congruency(x[:, :1]), phase_congruency(y[:, :1])
    ex, ey = energy(x[:, :1], SCHARR), energy(y[:, :1], SCHARR)
    slopes = (2 * colours.root(ex * ey) + _T2) / (ex + ey + _T2)
    similar = slopes * _similarity(px, py, _T1)
    if x.shape[1] == 3:
        in_phase, quadrature = _similarity(x[:, 1:], y[:, 1:], _T3).split(1, 1)
        similar = similar * _real_power(in_phase * quadrature)
    weight = torch.maximum(px, py)
    total = weight.sum((1, 2, 3))
    none = total == 0
    score = (similar * weight).sum((1, 2, 3)) / torch.where(none, 1.0, total)
    return torch.where(none, similar.mean((1, 2, 3)), score)


def _mixed(image: Tensor, colour: Colour) -> Tensor:
    """YIQ of RGB, or its Y alone; greyscale as it is."""
    if image.shape[1] == 1:
        return image
    mix = image.new_tensor(_YIQ if colour == "yiq" else _YIQ[:1])
    return F.conv2d(image, mix[:, :, None, None])


def _similarity(a: Tensor, b: Tensor, constant: float) -> Tensor:
    return (2 * a * b + constant) / (a * a + b * b + constant)


def _real_power(base: Tensor) -> Tensor:
    """The real part of ``base`` to the power λ; 0, with gradient 0, at 0."""
    none = base.abs() <= torch.finfo(base.dtype).eps ** 2
    size = torch.where(none, 0.0, torch.where(none, 1.0, base).abs() ** _LAMBDA)
    return torch.where(base < 0, size * math.cos(math.pi * _LAMBDA), size)


class FSIM(Metric):
    """Feature similarity, ``(n, 1 or 3, h, w) -> (n,)``; FSIMc of RGB.

    Args:
        colour: as for `fsim`.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for another colour.

    Example:
        >>> FSIM().signature()
        'fsim|colour:yiq|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="fsim",
        suits="for quality of photographs by their edges and phase",
        fails="for small pictures and drawings of flat areas",
        written="FSIM",
        title="Feature similarity", better="higher", range=(0.0, 1.0), identical=1.0,
        paper="Zhang et al. 2011, doi 10.1109/TIP.2011.2109730", smooth=False, min_side=16, channels=(1, 3),
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, colour: Colour = "yiq", **base: Any) -> None:
        super().__init__(**base)
        if colour not in get_args(Colour):
            raise ValueError(f"fsim: colour must be one of {', '.join(get_args(Colour))}; got {colour!r}")
        self.colour: Colour = colour

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return fsim(x, y, colour=self.colour)

    def settings(self) -> dict[str, object]:
        return {"colour": self.colour}
