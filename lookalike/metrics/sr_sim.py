"""SR-SIM, similarity of gradients and of spectral residual saliency, weighted by saliency.

Zhang, Li: SR-SIM: a fast and high performance IQA index based on spectral residual, ICIP 2012,
doi 10.1109/ICIP.2012.6467149. The saliency is that of Hou, Zhang: Saliency detection: a spectral residual approach,
CVPR 2007, doi 10.1109/CVPR.2007.383267.

Differs from the paper: nothing where its formula has a value. A frequency that the image does not hold counts as
one within rounding, an image without structure as one without saliency; where nothing is salient, all pixels count
alike (the authors' program gives NaN there).
Conventions: the authors' program, to 1e-12 in float64: images are reduced to about 256 px by a box with zeros
beyond the border, sides of half a multiple upward (640 px by three). Luma is taken of colour. ``chromatic=True``
adds the similarity of I and Q with the constants of FSIMc (Zhang et al. 2011, doi 10.1109/TIP.2011.2109730).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.gradient import SCHARR, energy
from lookalike.ops.pairs import halves
from lookalike.ops.resize import resize
from lookalike.ops.window import blur, gaussian, shrink

_C1, _C2 = 0.40, 225 / 255**2
_BLUR = gaussian(10, 3.8)
_IQ = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_CHROMA, _CHROMA_POWER = 200 / 255**2, 0.03


def sr_sim(x: Tensor, y: Tensor, *, chromatic: bool = False) -> Tensor:
    """Spectral residual based similarity of a pair in the unit range, Zhang and Li 2012.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 16 px a side; luma is taken of colour.
        y: references, same shape.
        chromatic: count the similarity of I and Q as well; three channels.

    Returns:
        ``(n,)``, 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(sr_sim(y.roll(2, -1), y)), 4)
        0.7915
    """
    if not x.shape[0]:
        return (x + y).sum((1, 2, 3))  # the Fourier transform of no image at all is an error on some machines
    pair = torch.cat([colour.luma(x), colour.luma(y)])
    factor = max(1, math.floor(min(pair.shape[2:]) / 256 + 0.5))
    pair = shrink(pair, factor, "zero")
    saliency_x, saliency_y = halves(_saliency(pair))
    ex, ey = halves(energy(pair, SCHARR))
    slopes = (2 * colour.root(ex * ey) + _C2) / (ex + ey + _C2)
    similar = _similarity(saliency_x, saliency_y, _C1) * slopes.sqrt()
    if chromatic:
        colours = colour.mixed(torch.cat([x, y]), x.new_tensor(_IQ, dtype=torch.float64))
        alike = _similarity(*halves(shrink(colours, factor, "zero")), _CHROMA).prod(1, keepdim=True).abs()
        none = alike == 0
        similar = similar * torch.where(none, 0.0, torch.where(none, 1.0, alike) ** _CHROMA_POWER)
    weight = torch.maximum(saliency_x, saliency_y)
    total = weight.sum((1, 2, 3))
    none = total == 0
    score = (similar * weight).sum((1, 2, 3)) / torch.where(none, 1.0, total)
    return torch.where(none, similar.mean((1, 2, 3)), score)


def _similarity(a: Tensor, b: Tensor, constant: float) -> Tensor:
    return (2 * a * b + constant) / (a * a + b * b + constant)


def _saliency(image: Tensor) -> Tensor:
    """What in an image is not as in its surroundings of frequencies, in [0, 1], ``(n, 1, h, w)``."""
    height, width = image.shape[2:]
    small = resize(image, math.ceil(height / 4), math.ceil(width / 4), 0.25)
    spectrum = torch.fft.fft2(small)
    power = spectrum.real.square() + spectrum.imag.square()
    eps = torch.finfo(image.dtype).eps
    floor = power.detach().amax((2, 3), keepdim=True) * eps**2 + 1e-30
    amplitude = (power + floor).log() / 2
    around = F.avg_pool2d(F.pad(amplitude, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    # exp(log|f| − around + i·arg f) of the paper, without its logarithm's and angle's singularities.
    residual = torch.fft.ifft2(spectrum * torch.exp(-around))
    energy = residual.real.square() + residual.imag.square()
    energy = blur(F.pad(energy, (4, 5, 4, 5)), _BLUR)
    least, most = energy.amin((2, 3), keepdim=True), energy.amax((2, 3), keepdim=True)
    flat = most - least <= most * eps**0.5
    scaled = torch.where(flat, 0.0, (energy - least) / torch.where(flat, 1.0, most - least))
    return resize(scaled, height, width)


class SRSIM(Metric):
    """Spectral residual based similarity, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        chromatic: as for `sr_sim`; it takes three channels.
        data_range, reduction, check: as in `Metric`.

    Example:
        >>> SRSIM().signature()
        'sr_sim|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="sr_sim",
        suits="for quality weighted by saliency, at little cost",
        fails="where nothing stands out",
        written="SR-SIM",
        title="Spectral residual based similarity", better="higher", range=(0.0, 1.0), identical=1.0,
        paper="Zhang and Li 2012, doi 10.1109/ICIP.2012.6467149", smooth=False, min_side=16, channels=(1, 3),
        declines={
            "channels": "luma weighs green most",
            "negative": "it sees how strong edges are, not which side of them is bright",
        },
    )  # fmt: skip

    def __init__(self, *, chromatic: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.chromatic = bool(chromatic)

    @property
    def channels(self) -> tuple[int, ...] | None:
        return (3,) if self.chromatic else self.facts.channels

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return sr_sim(x, y, chromatic=self.chromatic)

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601+iq" if self.chromatic else "luma-bt601"}
