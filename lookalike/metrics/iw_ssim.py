"""IW-SSIM, multi-scale SSIM in which a place counts by the information it gives about the reference.

Wang, Li: Information content weighting for perceptual image quality assessment, IEEE TIP 20(5), 2011,
doi 10.1109/TIP.2010.2092435.

Differs from the paper: where a mean contrast-structure is negative, its product of powers is complex; see
``negative``. Where no place holds information, all count alike. Neither changes the value of a usual pair.
Conventions: the authors' program, to 1e-12 in float64 and 1e-5 in float32, for sides of any length. It is not
symmetric: the weights rest on the statistics of the reference. A published value of 0.946804801436296 for TID's
i01_01_5 belongs to the pair with reference and distorted image exchanged. Luma is taken of colour, not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from lookalike.conventions import MS_WEIGHTS, Negative
from lookalike.metric import Facts, Metric
from lookalike.ops import colour, laplacian
from lookalike.ops.pairs import halves
from lookalike.ops.ssim import multiscale, reference
from lookalike.ops.ssim.setting import Setting
from lookalike.ops.window import gaussian
from lookalike.options import choice, reals
from lookalike.signature import numbers, unusual

_TAPS = (1 / 16, 4 / 16, 6 / 16)
_NOISE = 0.4 / 255**2  # variance of the noise of seeing, σₙ² of the paper
_SETTING = Setting(gaussian(11, 1.5))
_NONE = 1e-15 / 255**2  # variance up to which a window is flat


def iw_ssim(x: Tensor, y: Tensor, *, negative: Negative = "leak", weights: Sequence[float] = MS_WEIGHTS) -> Tensor:
    """Information content weighted SSIM of a pair in the unit range, Wang and Li 2011.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 161 px a side; luma is taken of colour.
        y: references, same shape.
        negative: what becomes of a negative mean, see `ops.ssim.multiscale.product`; ``"real"`` is the real part
            of what the authors' program gives.
        weights: of the scales, the finest first; divided by their sum, which in MS-SSIM is 1.0001. With fewer of
            them smaller images can be scored, `smallest_side`.

    Returns:
        ``(n,)`` in [-1, 1], 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 30, 192).square().cos().add(1).div(2).expand(1, 1, 192, 192)
        >>> float(iw_ssim(y, y))
        1.0
    """
    rest = torch.cat([colour.luma(x), colour.luma(y)])
    bands, grains = [], []
    for _ in weights[1:]:
        height, width = rest.shape[2:]
        less = laplacian.reduce(rest, _scaled(math.sqrt(2)), "reflect")
        bands.append(rest - laplacian.expand(less, height, width, _scaled(math.sqrt(0.5)), "reflect"))
        grains.append((torch.finfo(rest.dtype).eps * rest.detach()).square())
        rest = less
    bands.append(rest)
    means = []
    for level, band in enumerate(bands):
        band_x, band_y = halves(band)
        similarity, structure = reference.maps(band_x, band_y, _SETTING)
        if level == len(bands) - 1:
            means.append(similarity.mean((1, 2, 3)))
            continue
        parent = halves(bands[level + 1])[1] if level < len(bands) - 2 else None
        bits = _information(band_x, band_y, parent, *halves(grains[level]))
        total = bits.sum((1, 2, 3))
        none = total <= 0
        weighted = (bits * structure).sum((1, 2, 3)) / torch.where(none, 1.0, total)
        means.append(torch.where(none, structure.mean((1, 2, 3)), weighted))
    powers = [weight / sum(weights) for weight in weights]
    return multiscale.product(torch.stack(means, -1), rest.new_tensor(powers), negative)


def smallest_side(scales: int = len(MS_WEIGHTS)) -> int:
    """The smallest side of an image in pixels whose coarsest scale holds a window of 11.

    Example:
        >>> smallest_side(), smallest_side(3)
        (161, 41)
    """
    return 10 * 2 ** (scales - 1) + 1


def _scaled(factor: float) -> tuple[float, float, float]:
    outer, inner, middle = _TAPS
    return outer * factor, inner * factor, middle * factor


def _information(x: Tensor, y: Tensor, parent: Tensor | None, grain_x: Tensor, grain_y: Tensor) -> Tensor:
    """Bits that the two images share with the reference in each window of an SSIM map, eq. 28 of the paper.

    Args:
        x, y: a band, ``(n, 1, h, w)``.
        parent: the reference's next band, of half the size.
        grain_x, grain_y: variance that rounding may leave in a flat place of each band, ``(n, 1, h, w)``.

    Returns:
        ``(n, 1, h - 10, w - 10)``.
    """
    height, width = y.shape[2:]
    inside_x, inside_y = (band[..., 4:-4, 4:-4] for band in (x, y))
    signals = (inside_x, inside_y, inside_x.square(), inside_y.square(), inside_x * inside_y)
    mean_x, mean_y, xx, yy, xy = _box(torch.cat(signals, 1)).split(1, 1)
    var_x, var_y = (xx - mean_x * mean_x).relu(), (yy - mean_y * mean_y).relu()
    covariance = xy - mean_x * mean_y
    # What the distorted band is of the reference: gain g and additive noise v.
    flat_x, flat_y = (var < grain[..., 5:-5, 5:-5] + _NONE for var, grain in ((var_x, grain_x), (var_y, grain_y)))
    lost = flat_x | flat_y
    gain = torch.where(lost, 0.0, covariance / torch.where(lost, 1.0, var_y + _NONE))
    noise = torch.where(flat_x, 0.0, (var_x - gain * covariance).relu())

    # The neighbourhoods of the reference: 3x3 pixels and the parent's pixel above them.
    down, across = height - 2, width - 2
    near = [y[..., top : top + down, left : left + across] for top in range(3) for left in range(3)]
    if parent is not None:
        above = (
            _enlarging(parent.shape[2], y)[1 : 1 + down] @ parent @ _enlarging(parent.shape[3], y)[1 : 1 + across].T
        )
        near.append(above)
    vectors = torch.cat(near, 1).flatten(2)
    size = vectors.shape[1]
    scatter = vectors.double() @ vectors.double().transpose(1, 2) / vectors.shape[2]
    # The routines below refuse NaN, which the vectors bring into the score all the same.
    scatter = torch.where(scatter.isfinite(), scatter, 0.0)
    # A flat band has no inverse, nor a multiplier: then no vector has a length, and there is no information.
    trace = scatter.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    small = 1e-30 + trace * torch.finfo(torch.float64).eps
    scatter = scatter + small * torch.eye(size, dtype=scatter.dtype, device=y.device)
    spread = torch.linalg.eigvalsh(scatter).to(y.dtype).relu()
    inverse = torch.linalg.inv(scatter)
    multiplier = (inverse.to(y.dtype) @ vectors * vectors).sum(1).view(-1, 1, down, across) / size
    multiplier = multiplier[..., 4:-4, 4:-4].relu()

    signal = (noise + (1 + gain * gain) * _NOISE) * multiplier / _NOISE**2
    return torch.log1p(signal * spread.view(-1, size, 1, 1) + noise / _NOISE).sum(1, keepdim=True) / math.log(2)


def _box(x: Tensor) -> Tensor:
    """Means of the windows of 3x3 that fit."""
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) / 9


def _enlarging(side: int, like: Tensor) -> Tensor:
    """The matrix ``(2 side, side)`` that doubles one axis as the authors do.

    It is every second row of a linear interpolation to 4 side − 3 points, continued by one point at either end.
    """
    fine = 4 * side - 3
    at = torch.arange(1, fine, 2, dtype=torch.float64, device=like.device)
    ends = torch.tensor([0.0, 1.0, fine - 1.0, fine - 2.0], dtype=torch.float64, device=like.device)
    place = ((torch.cat([ends, at]) + 0.5) * (side / fine) - 0.5).clamp(0, side - 1)
    rows = (1 - (place[:, None] - torch.arange(side, dtype=torch.float64, device=like.device)).abs()).relu()
    first, last = 2 * rows[:1] - rows[1:2], 2 * rows[2:3] - rows[3:4]
    return torch.cat([first, rows[4:], last]).to(like.dtype)


class IWSSIM(Metric):
    """Information content weighted SSIM, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        negative, weights: as for `iw_ssim`; the authors' weights are those of MS-SSIM.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for an unknown rule, weights that are not two or more positive numbers, and images
            with a side below `smallest_side`, 161 px by default.

    Example:
        >>> IWSSIM().signature()
        'iw_ssim|colour:luma-bt601|negative:leak|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="iw_ssim",
        suits="where busy parts should weigh more than flat ones",
        fails="below 176 px a side; it is not symmetric",
        written="IW-SSIM",
        title="Information content weighted SSIM", better="higher", range=(-1.0, 1.0),
        identical=1.0, paper="Wang and Li 2011, doi 10.1109/TIP.2010.2092435", symmetric=False, smooth=False,
        min_side=161, channels=(1, 3), declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, negative: Negative = "leak", weights: Sequence[float] = MS_WEIGHTS, **base: Any) -> None:
        super().__init__(**base)
        self.weights = reals("iw_ssim", "weights", weights, above=0)
        if len(self.weights) < 2:
            raise ValueError(f"iw_ssim: weights must be two or more, one a scale, got {weights!r}")
        choice("iw_ssim", "negative", negative, get_args(Negative))
        self.negative: Negative = negative

    @property
    def min_side(self) -> int:
        return smallest_side(len(self.weights))

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return iw_ssim(x, y, negative=self.negative, weights=self.weights)

    def settings(self) -> dict[str, object]:
        own = unusual({"weights": (numbers(self.weights), numbers(MS_WEIGHTS))})
        return {"colour": "luma-bt601", "negative": self.negative} | own
