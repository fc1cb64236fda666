"""VSI, similarity of saliency, gradients and chrominance, weighted by saliency.

Zhang, Shen, Li: VSI: a visual saliency-induced index for perceptual image quality assessment, IEEE TIP 23(10),
2014, doi 10.1109/TIP.2014.2346028. The saliency is SDSP, of Zhang, Gu, Li: SDSP: a novel saliency detection method
by combining simple priors, ICIP 2013, doi 10.1109/ICIP.2013.6738036.

Differs from the paper: nothing where its formula has a value. A colour axis, or a saliency, that is flat but for
rounding has nothing salient; where nothing is, all pixels count alike (the authors' program gives NaN there).
Conventions: the authors' program, to 1e-12 in float64: saliency is found on 256 x 256 px, whatever the image's
shape (MATLAB's smoothed bilinear ``imresize``), and brought back; then images and saliency are reduced to about
256 px by a box with zeros beyond the border, sides of half a multiple upward (640 px by three). The similarity of
chrominance can be negative: of its power the real part counts. Greyscale is taken as three equal channels.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.constants import Arrays, kept
from lookalike.ops.gradient import SCHARR, energy
from lookalike.ops.resize import resize
from lookalike.ops.window import shrink

_LMN = ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
_C1, _C2, _C3 = 1.27, 386 / 255**2, 130 / 255**2
_ALPHA, _BETA = 0.40, 0.02
_SIDE = 256
_OMEGA, _SIGMA_F, _SIGMA_D, _SIGMA_C = 0.021, 1.34, 145.0, 0.001
_DARK = 0.008856
_X, _Y, _Z = (0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)
# X − Y, Y and Y − Z relative to the white point, of linear light.
_ROWS = (
    tuple(x / 0.9642 - y for x, y in zip(_X, _Y, strict=True)),
    _Y,
    tuple(y - z / 0.8251 for y, z in zip(_Y, _Z, strict=True)),
)


def vsi(x: Tensor, y: Tensor) -> Tensor:
    """Visual saliency-induced index of a pair in the unit range, Zhang et al. 2014.

    The mean of S_VS · S_G^0.4 · S_C^0.02, the similarities of saliency, gradients and chrominance, weighted by the
    greater saliency of the two images.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 3 px a side.
        y: references, same shape.

    Returns:
        ``(n,)`` in [0, 1], 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 3, 64, 64)
        >>> round(float(vsi(y.roll(2, -1), y)), 4)
        0.7806
    """
    if not x.shape[0]:
        return (x + y).sum((1, 2, 3))  # the Fourier transform of no image at all is an error
    factor = max(1, math.floor(min(x.shape[2:]) / 256 + 0.5))
    # Apart, so that where one of them needs no gradient half of the work on the way back is saved.
    sx, sy = (shrink(_saliency(image), factor, "zero") for image in (x, y))
    (lx, mx, nx), (ly, my, ny) = (_lmn(shrink(image, factor, "zero")) for image in (x, y))
    ex, ey = energy(lx, SCHARR), energy(ly, SCHARR)
    slopes = (2 * colour.root(ex * ey) + _C2) / (ex + ey + _C2)
    chroma = _similarity(mx, my, _C3) * _similarity(nx, ny, _C3)
    similar = _similarity(sx, sy, _C1) * slopes**_ALPHA * _real_power(chroma)
    weight = torch.maximum(sx, sy)
    total = weight.sum((1, 2, 3))
    none = total == 0
    score = (similar * weight).sum((1, 2, 3)) / torch.where(none, 1.0, total)
    return torch.where(none, similar.mean((1, 2, 3)), score)


def _lmn(image: Tensor) -> tuple[Tensor, ...]:
    red, green, blue = image.split(1, 1) if image.shape[1] == 3 else (image, image, image)
    return tuple(r * red + g * green + b * blue for r, g, b in _LMN)


def _similarity(a: Tensor, b: Tensor, constant: float) -> Tensor:
    return (2 * a * b + constant) / (a * a + b * b + constant)


def _real_power(base: Tensor) -> Tensor:
    """The real part of ``base`` to the power β; 0, with gradient 0, at 0."""
    none = base.abs() <= torch.finfo(base.dtype).eps ** 2
    size = torch.where(none, 0.0, torch.where(none, 1.0, base).abs() ** _BETA)
    return torch.where(base < 0, size * math.cos(math.pi * _BETA), size)


def _saliency(image: Tensor) -> Tensor:
    """SDSP: mid frequencies near the centre, of colours that are not the coldest, in [0, 1], ``(n, 1, h, w)``."""
    height, width = image.shape[2:]
    lab = _lab(resize(image, _SIDE, _SIDE, kernel="linear"))
    band, centre = _priors(image.dtype, image.device)
    # The filter does not see the mean; without it float32 has all its digits for what it sees.
    spectrum = torch.fft.rfft2(lab - lab.mean((2, 3), keepdim=True))
    found = torch.fft.irfft2(spectrum * band, s=(_SIDE, _SIDE))
    warm = _scaled(lab[:, 1:]).square().sum(1, keepdim=True)
    salient = colour.root(found.square().sum(1, keepdim=True)) * centre * -torch.expm1(-warm / _SIGMA_C**2)
    return _scaled(resize(salient, height, width, kernel="linear"))


def _scaled(planes: Tensor) -> Tensor:
    """Each plane from its least to its most as 0 to 1; 0 where it is flat but for the rounding of L*a*b*."""
    least, most = planes.amin((2, 3), keepdim=True), planes.amax((2, 3), keepdim=True)
    flat = most - least <= 4096 * torch.finfo(planes.dtype).eps
    return (planes - least) / torch.where(flat, math.inf, most - least)


def _lab(image: Tensor) -> Tensor:
    """L*a*b* with the constants of SDSP's program, whose white point makes greys a little coloured."""
    red, green, blue = colour.linear(image).expand(-1, 3, -1, -1).unbind(1)
    # The coldest colours decide what is salient: of greys, fx − fy has too few digits for that in float32.
    warm, cold = red - green, blue - green
    more, y, less = (sum(row) * green + row[0] * warm + row[2] * cold for row in _ROWS)
    x, z = y + more, y - less
    fx, fy, fz = _curve(x), _curve(y), _curve(z)
    a, b = _apart(more, x, y, fx, fy), _apart(less, y, z, fy, fz)
    return torch.stack([116 * fy - 16, 500 * a, 200 * b], 1)


def _curve(light: Tensor) -> Tensor:
    return torch.where(light > _DARK, light.clamp_min(_DARK) ** (1 / 3), (903.3 * light + 16) / 116)


def _apart(lost: Tensor, a: Tensor, b: Tensor, fa: Tensor, fb: Tensor) -> Tensor:
    """``fa − fb``, of a − b where both are cube roots."""
    roots = (a > _DARK) & (b > _DARK)
    return torch.where(roots, lost / (fa * fa + fa * fb + fb * fb).clamp_min(0.1), fa - fb)


@kept(1)
def _priors() -> Arrays:
    """The log Gabor filter of a real transform, ``(256, 129)``, and the prior of the centre, ``(256, 256)``."""
    radius = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE))
    radius[0, 0] = 1
    band = np.exp(-(np.log(radius / _OMEGA) ** 2) / (2 * _SIGMA_F**2)) * (radius <= 0.5)
    away = (np.arange(1, _SIDE + 1) - _SIDE / 2) ** 2
    return band, np.exp(-(away[:, None] + away) / _SIGMA_D**2)


class VSI(Metric):
    """Visual saliency-induced index, ``(n, 1 or 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> VSI().signature()
        'vsi|colour:lmn|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="vsi",
        suits="for quality weighted by saliency and colour",
        fails="in haste",
        written="VSI",
        title="Visual saliency-induced index", better="higher", range=(0.0, 1.0), identical=1.0,
        paper="Zhang, Shen and Li 2014, doi 10.1109/TIP.2014.2346028", smooth=False, min_side=3, channels=(1, 3),
        declines={"channels": "luminance weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return vsi(x, y)

    def settings(self) -> dict[str, object]:
        return {"colour": "lmn"}
