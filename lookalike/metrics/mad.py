"""MAD, most apparent distortion: what is seen of the errors, and what they make of the image's appearance.

Larson and Chandler: Most apparent distortion: full-reference image quality assessment and the role of strategy,
Journal of Electronic Imaging 19(1), 011006, 2010, doi 10.1117/1.3267105.

Written without the paper's text at hand, from what is known of its formulas; constants were checked in vIQA 3.0.1
(BSD-3-Clause), so that equation numbers are missing here. Where a formula has no value: a block without variation
in a band has skewness and kurtosis 0; identical images, and others whose errors cannot be detected, score 0 with a
gradient of 0.
Conventions: luma of BT.601 on 0 to 255; blocks of 16 x 16 pixels that fit, one every 4 pixels from the upper left;
deviations of the whole block (divided by 256); statistics of the magnitudes of the log Gabor responses, whose
filters are Kovesi's with wavelengths of 3 to 243 px. The local error is that of pixel values, times 200 in all: the
scale on which the authors chose β1 and β2.
Not proved against the authors: their program was not at hand, and values published with other packages come from
those packages. The formula with vIQA 3.0.1's conventions gives vIQA's values to 1e-9 where sides are even
(`tests/metrics/test_mad.py` names them: 64 px a degree, another threshold of darkness, maps shifted by half a
block). On photographs that is 0.5 to 0.9 of the value here; pyiqa 0.1.16, with other log Gabor filters, gives 1.2
to 2 times it.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.log_gabor import log_gabor

PIXELS_PER_DEGREE = 32.0
_K, _GAMMA = 0.02874, 2.2
_STEP = 4  # a block is 4 x 4 tiles of 4 x 4 pixels, a quarter of it 2 x 2 tiles
_BLOCK, _QUARTER = 4, 2
_DELTA = -5.0  # contrasts below its exponential are not seen
_DARK = 0.5  # the lightness below which no error is seen
_PEAK = 7.8909  # cycles a degree, where the sensitivity is greatest
_WEIGHTS = (0.5, 0.75, 1.0, 5.0, 6.0)  # of the scales, the finest first
_ORIENTATIONS = 4
_BETA1, _BETA2 = 0.467, 0.130


def mad(x: Tensor, y: Tensor, *, ppd: float = PIXELS_PER_DEGREE) -> Tensor:
    """Most apparent distortion of a pair in the unit range: d_detect^α · d_appear^(1−α).

    α = 1 / (1 + 0.467 · d_detect^0.130): small errors count as they are detected, great ones by what they do to the
    image's appearance.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 16 px a side.
        y: references, same shape; they mask the errors, so that the two are no equals.
        ppd: pixels per degree of visual angle.

    Returns:
        ``(n,)``, 0 for identical images; badly distorted photographs have some hundred.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(mad(y.roll(2, -1), y)), 2)
        92.25
    """
    if not len(x):
        return (x + y).sum((1, 2, 3))  # the Fourier transform of no image at all is an error
    x, y = (255 * colour.luma(image) for image in (x, y))
    return _combined(detection(x, y, ppd), appearance(x, y))


def _combined(detected: Tensor, appeared: Tensor) -> Tensor:
    none = (detected <= 0) | (appeared <= 0)
    nothing = 0 * (detected + appeared).detach()  # or NaN, which is no number even to the power 0
    detected, appeared = (torch.where(none, 1.0, part) for part in (detected, appeared))
    share = 1 / (1 + _BETA1 * detected**_BETA2)
    return torch.where(none, nothing, detected**share * appeared ** (1 - share))


def detection(x: Tensor, y: Tensor, ppd: float = PIXELS_PER_DEGREE) -> Tensor:
    """d_detect: the local error of the blocks, as far as contrast stands out of the reference's.

    Args:
        x, y: luma ``(n, 1, h, w)`` on 0 to 255.
        ppd: pixels per degree.

    Returns:
        ``(n,)``.

    Example:
        >>> y = torch.full((1, 1, 32, 32), 100.0)
        >>> float(detection(y, y)), float(detection(y + 50 * (torch.arange(32) % 8 < 4), y)) > 1000
        (0.0, True)
    """
    lightness_x, lightness_y = _lightness(x), _lightness(y)
    height, width = map(operator.index, x.shape[-2:])
    sensitivity = _sensitivity(height, width, ppd, x.dtype, x.device)
    seen = torch.stack([lightness_y, lightness_x - lightness_y])
    reference, error = torch.fft.irfft2(torch.fft.rfft2(seen) * sensitivity, s=(height, width)).unbind()
    mean = F.avg_pool2d(F.avg_pool2d(reference, _STEP), _BLOCK, 1)
    lit = mean > _DARK
    level = torch.where(lit, mean, 1.0).square()
    texture = _least_of_four(_moments(reference, _QUARTER)[1])
    variance = _moments(error, _BLOCK)[1]
    faintest = math.exp(2 * _DELTA)
    contrast, masking = ((part / level).clamp_min(faintest).log() / 2 for part in (variance, texture))
    visible = torch.where(lit, (contrast - masking).relu(), 0.0)
    local = F.avg_pool2d(F.avg_pool2d((x - y).square(), _STEP), _BLOCK, 1)
    return 200 * colour.root((visible * local).square().mean((1, 2, 3)))


def _least_of_four(quarters: Tensor) -> Tensor:
    """The least of the four that make up each block."""
    upper, lower = quarters[..., :-2, :], quarters[..., 2:, :]
    least = torch.minimum(upper, lower)
    return torch.minimum(least[..., :-2], least[..., 2:])


def appearance(x: Tensor, y: Tensor) -> Tensor:
    """d_appear: how the statistics of log Gabor responses differ, block by block.

    Args:
        x, y: luma ``(n, 1, h, w)`` on 0 to 255.

    Returns:
        ``(n,)``.

    Example:
        >>> y = torch.arange(1024.0).square().remainder(97).view(1, 1, 32, 32)
        >>> float(appearance(y, y)), round(float(appearance(y, y.mT)), 2)
        (0.0, 6.41)
    """
    height, width = map(operator.index, x.shape[-2:])
    filters = _filters(height, width, x.dtype, x.device)
    differences: Tensor | float = 0.0
    for oriented in filters:
        of_x, of_y = _statistics(x, oriented), _statistics(y, oriented)
        for weight, one, other in zip((1, 2, 1), of_x, of_y, strict=True):
            differences = differences + weight * (one - other).abs()
    weights = x.new_tensor(_WEIGHTS) / sum(_WEIGHTS)
    per_block = (torch.as_tensor(differences) * weights[:, None, None]).sum(1)
    return colour.root(per_block.square().mean((1, 2)))


def _statistics(image: Tensor, filters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Deviation, skewness and kurtosis in the blocks of each response, ``(n, scales, …)``."""
    # No filter sees the mean; without it float32 has all its digits for what they see.
    spectrum = torch.fft.fft2(image - image.mean((2, 3), keepdim=True))
    response = torch.fft.ifft2(spectrum * filters).abs()
    _, variance, third, fourth = _moments(response, _BLOCK)
    # What varies less than the transforms round has no shape.
    rounding = torch.maximum(
        *(part.detach().abs().amax((2, 3), keepdim=True) for part in (4 * response, image / 8))
    )
    even = variance <= (torch.finfo(image.dtype).eps * rounding).square()
    safe = torch.where(even, 1.0, variance)
    deviation = safe.sqrt()
    skewness, kurtosis = third / safe / deviation, fourth / safe / safe
    return torch.where(even, 0.0, deviation), torch.where(even, 0.0, skewness), torch.where(even, 0.0, kurtosis)


def _moments(x: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean and central moments to the fourth of squares of ``reach`` tiles a side, one from every tile on.

    First about the mean of each tile, then put together: sums of powers would lose the digits of small deviations.
    """
    rows, columns = (side // _STEP for side in x.shape[2:])
    x = x[..., : rows * _STEP, : columns * _STEP]
    means = F.avg_pool2d(x, _STEP)
    within = x.unflatten(3, (columns, _STEP)).unflatten(2, (rows, _STEP)) - means[:, :, :, None, :, None]
    within = within.flatten(4).flatten(2, 3)
    square = within * within
    tiles = [F.avg_pool2d(power, _STEP) for power in (square, square * within, square * square)]
    mean = F.avg_pool2d(means, reach, 1)
    second, third, fourth = (F.avg_pool2d(tile, reach, 1) for tile in tiles)
    share = 1 / reach**2
    for top in range(reach):
        for left in range(reach):
            place = (..., slice(top, top + mean.shape[-2]), slice(left, left + mean.shape[-1]))
            spread, skew, _ = (tile[place] for tile in tiles)
            away = means[place] - mean
            distance = away * away
            second = torch.add(second, distance, alpha=share)
            third = torch.add(third, away * (3 * spread + distance), alpha=share)
            fourth = torch.add(fourth, 4 * away * skew + distance * (6 * spread + distance), alpha=share)
    return mean, second, third, fourth


def _lightness(x: Tensor) -> Tensor:
    """The cube root of the luminance of 0 to 255; black, where its slope is infinite, has slope 0."""
    black = x <= 0
    return torch.where(black, 0.0, (_K * torch.where(black, 1.0, x)) ** (_GAMMA / 3))


def _sensitivity(height: int, width: int, ppd: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The contrast sensitivity at the frequencies of a real transform, ``(h, w // 2 + 1)``."""
    return _cached_sensitivity(height, width, ppd, dtype, device)


def _filters(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The log Gabor filters, ``(orientations, scales, h, w)``."""
    return _cached_filters(height, width, dtype, device)


for _constant in (_sensitivity, _filters):  # see ops.pyramid: constants of compiled graphs
    setattr(_constant, "_dynamo_marked_constant", True)  # noqa: B010


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _cached_sensitivity(height: int, width: int, ppd: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    down = torch.fft.fftfreq(height, dtype=torch.float64, device="cpu")[:, None] * ppd
    right = torch.fft.rfftfreq(width, dtype=torch.float64, device="cpu") * ppd
    # The eye sees less along the diagonals.
    frequency = torch.hypot(down, right) / (0.15 * (4 * torch.atan2(down, right)).cos() + 0.85)
    falling = 2.6 * (0.0192 + 0.114 * frequency) * torch.exp(-((0.114 * frequency) ** 1.1))
    return torch.where(frequency < _PEAK, 0.9809, falling).to(device, dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _cached_filters(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    radial, angular = log_gabor(
        height, width, wavelengths=[3.0 * 3**scale for scale in range(len(_WEIGHTS))], ratio=0.55,
        orientations=_ORIENTATIONS, spread=math.pi / _ORIENTATIONS / 1.5,
    )  # fmt: skip
    return torch.from_numpy(angular[:, None] * radial).to(device, dtype)


class MAD(Metric):
    """Most apparent distortion, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        ppd: pixels per degree of visual angle; packages that follow the authors' program take 64.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for pixels per degree that are not positive.

    Example:
        >>> MAD().signature()
        'mad|ppd:32|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="mad", title="Most apparent distortion", paper="Larson and Chandler 2010, doi 10.1117/1.3267105",
        better="lower", range=(0.0, math.inf), identical=0.0, symmetric=False, smooth=False, min_side=16,
        channels=(1, 3),
        alone="it is 0, without a gradient, where no error stands out of the reference's own contrast",
        tolerates={
            "mean_shift": "its blocks are judged by their contrast, which an even shift leaves as it was",
            "hsv_value": "a change of brightness keeps the contrasts, up to what the reference masks",
        },
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, ppd: float = PIXELS_PER_DEGREE, **base: Any) -> None:
        super().__init__(**base)
        if not 0 < ppd < math.inf:
            raise ValueError(f"mad: ppd must be a positive number of pixels per degree, got {ppd!r}")
        self.ppd = float(ppd)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return mad(x, y, ppd=self.ppd)

    def settings(self) -> dict[str, object]:
        return {"ppd": round(self.ppd, 4)}
