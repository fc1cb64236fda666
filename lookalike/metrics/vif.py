"""VIF, the share of the reference's information that reaches the eye through the distorted image.

Sheikh, Bovik: Image information and visual quality, IEEE TIP 15(2), 2006, doi 10.1109/TIP.2005.859378.

Differs from the paper: nothing in the wavelet domain but where its formula has no value, in bands and windows
without contrast; contrast within the rounding of the pixels counts as none. The pixel domain is the variant of the
authors' second program: scalar instead of vector Gaussian mixtures, on four scales of the image itself. A reference
without contrast holds no information; the score is 1.
Conventions: the authors' programs, to 1e-6 (wavelet) and 5e-10 (pixel) in float64. Wavelet: two orientations of a
steerable pyramid of 4 octaves, vectors of 3×3 coefficients, windows of 17, 9, 5 and 3 coefficients from the finest,
eye noise of variance 0.4 on the scale of 0–255. Pixel: Gaussian windows of 17, 9, 5 and 3 px that fit, sigma a
fifth, noise of variance 2. Luma is taken of colour.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, steerable
from lookalike.ops.pairs import halves
from lookalike.ops.window import channels_last, gaussian
from lookalike.options import choice, real
from lookalike.signature import unusual

Domain = Literal["wavelet", "pixel"]
_DOMAINS = get_args(Domain)
_SIZES = (17, 9, 5, 3)
NOISE: dict[str, float] = {"wavelet": 0.4, "pixel": 2.0}  # variance of the eye's noise on the scale of 0–255
_EPSILON = 1e-10 / 255**2  # what the authors' program adds to the variance that a gain is divided by
_BLOCK = 3
_LEAST = 1e-15 / 255**2  # a sum of squares that the authors' program takes for none, in the wavelet domain


def vif(x: Tensor, y: Tensor, *, domain: Domain = "wavelet", noise: float | None = None) -> Tensor:
    """Visual information fidelity of a pair in the unit range.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least `smallest_side`; luma is taken of colour.
        y: references, same shape.
        domain: ``"wavelet"`` is the metric of the paper, ``"pixel"`` its quicker variant.
        noise: variance σₙ² of the eye's noise on the scale of 0–255; None: the authors', 0.4 (wavelet)
            or 2 (pixel).

    Returns:
        ``(n,)`` from 0; 1 for identical images, more for a contrast raised without noise.

    Raises:
        ValueError: for another domain, and sides below `smallest_side`.

    Example:
        >>> t = torch.linspace(0, 8, 80)
        >>> y = (t * t[:, None]).cos().add(1).div(2).view(1, 1, 80, 80)
        >>> [round(float(vif(y.roll(1, -1), y, domain=domain)), 3) for domain in ("wavelet", "pixel")]
        [0.333, 0.269]
    """
    choice("vif", "domain", domain, _DOMAINS)
    if min(x.shape[-2:]) < smallest_side(domain):
        raise ValueError(
            f"vif: needs images of at least {smallest_side(domain)} px a side in the {domain} domain; "
            f"got {'x'.join(map(str, x.shape[-2:]))}. Use larger images"
        )
    variance = (NOISE[domain] if noise is None else noise) / 255**2
    kept, held = (_of_bands if domain == "wavelet" else _of_pixels)(colour.luma(x), colour.luma(y), variance)
    none = (held == 0) & ~kept.isnan()
    return torch.where(none, 1.0, kept / torch.where(none, 1.0, held))


def smallest_side(domain: Domain = "wavelet") -> int:
    """The smallest side of an image, in pixels, with a window on the coarsest of four scales.

    Example:
        >>> smallest_side(), smallest_side("pixel")
        (65, 41)
    """
    return 65 if domain == "wavelet" else 41


def _of_bands(x: Tensor, y: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Information that the eye gets of the judged image and of the reference, in the wavelet domain."""
    # Contrast within the rounding of the pixels is none.
    rounding = torch.finfo(x.dtype).eps ** 2 * y.detach().square().mean((1, 2, 3))[:, None, None, None]
    # The reference and the error: where that is exactly zero, so is all that is lost.
    pair = torch.cat([y - y.detach().mean((1, 2, 3), keepdim=True), x - y])
    kept = held = torch.zeros((), dtype=x.dtype, device=x.device)
    for size, bands in zip(_SIZES, steerable.bands(pair, len(_SIZES)), strict=True):
        rows, columns = (side // _BLOCK for side in bands.shape[-2:])
        reference, error = halves(bands[..., : rows * _BLOCK, : columns * _BLOCK])
        # Blocks whose window would not fit are left out.
        rim = -(-(size // 2) // _BLOCK)
        strength, variances = _mixture(reference, rim, rounding)
        gain, rest = _channel(reference, error, size, rim, rounding)
        shown = strength * gain.square() / (rest + noise)
        strength = strength / noise
        kept = kept + torch.log1p(shown.unsqueeze(2) * variances).sum((1, 2, 3, 4))
        held = held + torch.log1p(strength.unsqueeze(2) * variances).sum((1, 2, 3, 4))
    return kept, held


def _mixture(band: Tensor, rim: int, rounding: Tensor) -> tuple[Tensor, Tensor]:
    """A band as a Gaussian scale mixture: the strength of every block, and the variances along the axes of one.

    Of ``(n, b, h, w)``: ``(n, b, h / 3 − 2 rim, w / 3 − 2 rim)`` and ``(n, b, 9, 1, 1)``.
    """
    n, count, height, width = band.shape
    down, along = height - _BLOCK + 1, width - _BLOCK + 1
    places = [(i, j) for i in range(_BLOCK) for j in range(_BLOCK)]
    vectors = torch.stack([band[..., i : i + down, j : j + along] for i, j in places], 3)
    vectors = vectors - vectors.mean((2, 4), keepdim=True)
    # The least variances of a smooth band need more than float32.
    vectors = vectors.double()
    covariance = (vectors @ vectors.mT).sum(2) / (down * along)
    # The routines below refuse NaN, which the gains will bring into the score.
    covariance = torch.where(covariance.isfinite(), covariance, 0.0)
    power = covariance.detach().diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    flat = power <= rounding.clamp(min=_LEAST)
    # As much of the identity as rounding makes: the inverse exists where a vector's parts repeat each other.
    ridge = torch.where(flat, 1.0, power * max(torch.finfo(band.dtype).eps / 1000, 1e-12) + rounding)
    identity = torch.eye(len(places), dtype=covariance.dtype, device=band.device)
    factor, _ = torch.linalg.cholesky_ex(covariance + ridge * identity)
    whiten = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
    inner = band[..., rim * _BLOCK : height - rim * _BLOCK, rim * _BLOCK : width - rim * _BLOCK]
    blocks = torch.stack([inner[..., i::_BLOCK, j::_BLOCK] for i, j in places], 2)
    strength = (whiten.to(band.dtype) @ blocks.flatten(3)).square().mean(2).view(n, count, *blocks.shape[3:])
    variances = torch.linalg.eigvalsh(covariance).clamp(min=0).to(band.dtype)
    return torch.where(flat, strength * 0.0, strength), torch.where(flat[..., 0], 0.0, variances)[..., None, None]


def _channel(y: Tensor, e: Tensor, size: int, rim: int, rounding: Tensor) -> tuple[Tensor, Tensor]:
    """What became of a band around every block: the gain, and the variance that it does not explain."""
    first = rim * _BLOCK + _BLOCK // 2 - size // 2
    planes = torch.cat([y, e, y * y, e * e, y * e], 1)[
        ..., first : y.shape[-2] - first, first : y.shape[-1] - first
    ]
    planes = F.avg_pool2d(F.avg_pool2d(planes, (size, 1), (_BLOCK, 1)), (1, size), (1, _BLOCK))
    mean_y, mean_e, square_y, square_e, product = planes.chunk(5, 1)
    yy = square_y - mean_y * mean_y
    ee = (square_e - mean_e * mean_e).clamp(min=0)
    ye = product - mean_y * mean_e
    least = rounding.clamp(min=_LEAST / size**2)
    flat = yy <= torch.maximum(square_y.detach() * torch.finfo(y.dtype).eps, least)
    slope = ye / torch.where(flat, 1.0, yy)
    gain = torch.where(flat, (square_e <= least).to(y.dtype), (1 + slope).clamp(min=0))
    return gain, torch.where(flat, ee, (ee - ye * slope).clamp(min=0))


def _of_pixels(x: Tensor, y: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """The same in the pixel domain."""
    mean = y.detach().mean((1, 2, 3), keepdim=True)
    # The reference and the error: where that is exactly zero, so is all that is lost.
    pair = torch.cat([y - mean, x - y], 1)
    kept = held = torch.zeros((), dtype=x.dtype, device=x.device)
    for scale, size in enumerate(_SIZES):
        taps = gaussian(size, size / 5)
        if scale:
            pair = _blur(pair, taps, stride=2)
        reference, error = pair.split(1, 1)
        planes = torch.cat([pair, reference * reference, error * error, reference * error], 1)
        mean_y, mean_e, yy, ee, ye = _blur(planes, taps).unbind(1)
        yy = yy - mean_y * mean_y
        ee = (ee - mean_e * mean_e).clamp(min=0)
        ye = ye - mean_y * mean_e
        # Less than the rounding of the squares is no variance.
        power = planes[:, 2].detach().mean((1, 2), keepdim=True)
        flat = yy <= (power * torch.finfo(x.dtype).eps).clamp(min=_EPSILON)
        yy = torch.where(flat, 0.0, yy)
        judged = (yy + 2 * ye + ee).clamp(min=0)
        explained = ~flat & (yy + ye > 0)
        # What of the judged image's variance a gain on the reference, 1 more than on the error, does not explain.
        gain = (ye - _EPSILON) / torch.where(flat, 1.0, yy + _EPSILON)
        rest = torch.where(explained, (ee + _EPSILON - (ye - _EPSILON) * gain).clamp(min=0), judged)
        judged = torch.where(explained, judged - _EPSILON * (1 + gain).square(), judged)
        kept = kept + (torch.log1p(judged / noise) - torch.log1p(rest / noise)).sum((1, 2))
        held = held + torch.log1p(yy / noise).sum((1, 2))
    return kept, held


def _of_sum_one(taps: tuple[float, ...]) -> list[float]:
    """The taps rounded to float32, of sum 1 there too: else variances are off by a share of a square."""
    rounded = np.asarray(taps, np.float32)
    rounded[len(taps) // 2] += np.float32(1 - rounded.sum(dtype=np.float64))
    return rounded.tolist()


def _blur(x: Tensor, taps: tuple[float, ...], stride: int = 1) -> Tensor:
    """Correlate every plane with a separable window that fits, and keep every ``stride``-th place of each axis."""
    channels = x.shape[1]
    window = x.new_tensor(taps if x.dtype == torch.float64 else _of_sum_one(taps))
    x = channels_last(x)
    down, across = (window.view(shape).expand(channels, -1, -1, -1) for shape in ((1, 1, -1, 1), (1, 1, 1, -1)))
    x = F.conv2d(x, down, stride=(stride, 1), groups=channels)
    return F.conv2d(x, across, stride=(1, stride), groups=channels)


class VIF(Metric):
    """Visual information fidelity, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        domain, noise: as for `vif`.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for another domain, noise that is not a positive number, and images with a side below
            `smallest_side`: 65 px by default.

    Example:
        >>> VIF().signature()
        'vif|domain:wavelet|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="vif",
        suits="for information that is left of the reference",
        fails="to rank pictures whose contrast was raised",
        written="VIF",
        title="Visual information fidelity", better="higher", range=(0.0, math.inf), identical=1.0,
        paper="Sheikh and Bovik 2006, doi 10.1109/TIP.2005.859378", symmetric=False, smooth=False, min_side=65,
        channels=(1, 3),
        tolerates={"contrast_stretch": "a contrast raised without noise shows more than the reference, by design"},
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, domain: Domain = "wavelet", noise: float | None = None, **base: Any) -> None:
        super().__init__(**base)
        choice("vif", "domain", domain, _DOMAINS)
        self.domain: Domain = domain
        self.noise = NOISE[domain] if noise is None else real("vif", "noise", noise, above=0)

    @property
    def min_side(self) -> int:
        return smallest_side(self.domain)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return vif(x, y, domain=self.domain, noise=self.noise)

    def settings(self) -> dict[str, object]:
        own = unusual({"noise": (self.noise, NOISE[self.domain])})
        return {"domain": self.domain, "colour": "luma-bt601"} | own
