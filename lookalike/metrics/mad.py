"""MAD, most apparent distortion: what is seen of the errors, and what they make of the image's appearance.

Larson and Chandler: Most apparent distortion: full-reference image quality assessment and the role of strategy,
Journal of Electronic Imaging 19(1), 011006, 2010, doi 10.1117/1.3267105.

The default is what the authors' program computes (`MAD_index` of September 2011, times 200, with its compiled block
statistics of 2010), to 1e-9 relative in float64. ``convention="paper"`` is the plainer reading of the formulas:

==================== ==================================================== =====================================
step                 ``"authors"``                                        ``"paper"``
==================== ==================================================== =====================================
lightness            k · I^(γ/3); too dark to see below grey 49           (k · I)^(γ/3); below grey 12
sensitivity          64 px a degree; both axes in units of the width,     32 px a degree; at the frequencies of
                     half a step off the frequencies of even sides        the transform
masking contrast     least of four 8×8 blocks 4 px apart; a neighbour     least of the four quarters of a block
                     counts where it begins above the last 16 px
deviations           divided by n − 1 (skewness and kurtosis by n)        divided by n
local error          mean of the 16×16 pixels around each pixel           mean of the block
maps                 a block paints the 4×4 px at its corner; 16 px       one value a block
                     above and left, 17 below and right do not count
β1, β2               exp(−2.55 / 3.35), 1 / (3.35 · ln 10)                0.467, 0.130
log Gabor filters    half a step off the frequencies of odd sides         odd sides end at half a cycle a pixel
==================== ==================================================== =====================================

Where a formula has no value: a block without variation in a band has skewness and kurtosis 0; identical images, and
others whose errors cannot be detected, score 0 with a gradient of 0, as in the authors' program. So do changes of
colour alone: MAD looks at luma.
Conventions: luma of BT.601 on 0 to 255; blocks of 16×16 pixels that fit, one every 4 pixels from the upper left;
statistics of the magnitudes of the responses of Kovesi's log Gabor filters, with wavelengths of 3 to 243 px.
vIQA 3.0.1 differs from the authors in some of these steps (`tests/metrics/test_mad.py` names them) and gives 0.6 to
1 of their value; pyiqa 0.1.16, with other log Gabor filters, gives 1.4 to 2.1 times it.
"""

from __future__ import annotations

import math
import operator
from functools import reduce
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.constants import Arrays, kept
from lookalike.ops.log_gabor import Odd, log_gabor
from lookalike.options import choice, real

Convention = Literal["authors", "paper"]


class _Reading(NamedTuple):
    """What the paper leaves open, as the authors' program or the plainer reading has it."""

    ppd: float  # pixels a degree of visual angle
    brightness: float  # what the power of a pixel value is multiplied by
    freedom: int  # what is taken from the number of pixels in a variance
    odd: Odd  # frequencies of the log Gabor filters along odd sides
    painted: bool  # maps of pixels, whose border does not count
    beta: tuple[float, float]  # how fast appearance takes over from detection
    min_side: int


_K, _GAMMA = 0.02874, 2.2
_BETA = math.exp(-2.55 / 3.35), 1 / (math.log(10) * 3.35)  # which the paper rounds
_READINGS: dict[str, _Reading] = {
    "authors": _Reading(ppd=64, brightness=_K, freedom=1, odd="between", painted=True, beta=_BETA, min_side=34),
    "paper": _Reading(
        ppd=32,
        brightness=_K ** (_GAMMA / 3),
        freedom=0,
        odd="ends",
        painted=False,
        beta=(0.467, 0.130),
        min_side=16,
    ),
}
_SIDE = 16  # of a block
_STEP = 4  # a block is 4 x 4 tiles of 4 x 4 pixels, a quarter of it 2 x 2 tiles
_BLOCK, _QUARTER = 4, 2
_DELTA = -5.0  # contrasts below its exponential are not seen
_DARK = 0.5  # the lightness below which no error is seen
_PEAK = 7.8909  # cycles a degree, where the sensitivity is greatest
_WEIGHTS = (0.5, 0.75, 1.0, 5.0, 6.0)  # of the scales, the finest first
_ORIENTATIONS = 4


def mad(x: Tensor, y: Tensor, *, convention: Convention = "authors", ppd: float | None = None) -> Tensor:
    """Most apparent distortion of a pair in the unit range: d_detect^α · d_appear^(1−α).

    α = 1 / (1 + β1 · d_detect^β2): small errors count as they are detected, great ones by what they do to the
    image's appearance.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least `smallest_side`.
        y: references, same shape; they mask the errors, so that the two are no equals.
        convention: ``"authors"``, what their program computes, or ``"paper"``.
        ppd: pixels per degree of visual angle; None: 64 (authors) or 32 (paper).

    Returns:
        ``(n,)``, 0 for identical images; badly distorted photographs have some hundred.

    Raises:
        ValueError: for another convention, pixels per degree that are not positive, and images that are too small.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> [round(float(mad(y.roll(2, -1), y, convention=name)), 1) for name in ("authors", "paper")]
        [85.0, 92.2]
    """
    choice("mad", "convention", convention, get_args(Convention))
    least = smallest_side(convention)
    if min(x.shape[2:]) < least:
        raise ValueError(
            f"mad: needs images of at least {least} px a side by the convention {convention!r}; "
            f"got {'x'.join(map(str, x.shape[2:]))}. Use larger images"
        )
    if not x.shape[0]:
        return (x + y).sum((1, 2, 3))  # the Fourier transform of no image at all is an error
    x, y = (255 * colour.luma(image) for image in (x, y))
    return _combined(detection(x, y, convention, ppd), appearance(x, y, convention), *_READINGS[convention].beta)


def smallest_side(convention: Convention = "authors") -> int:
    """The smallest side of an image in pixels: a block, or by the authors' program a pixel inside the border.

    Example:
        >>> smallest_side(), smallest_side("paper")
        (34, 16)
    """
    return _READINGS[convention].min_side


def _combined(detected: Tensor, appeared: Tensor, factor: float, exponent: float) -> Tensor:
    none = (detected <= 0) | (appeared <= 0)
    nothing = 0 * (detected + appeared).detach()  # or NaN, which is no number even to the power 0
    detected, appeared = (torch.where(none, 1.0, part) for part in (detected, appeared))
    share = 1 / (1 + factor * detected**exponent)
    return torch.where(none, nothing, detected**share * appeared ** (1 - share))


def detection(x: Tensor, y: Tensor, convention: Convention = "authors", ppd: float | None = None) -> Tensor:
    """d_detect: the local error, where contrast stands out of the reference's.

    Args:
        x, y: luma ``(n, 1, h, w)`` on 0 to 255.
        convention: as for `mad`.
        ppd: pixels per degree, as for `mad`.

    Returns:
        ``(n,)``.

    Example:
        >>> y = torch.full((1, 1, 48, 48), 100.0)
        >>> float(detection(y, y)), float(detection(y + 50 * (torch.arange(48) % 8 < 4), y)) > 1000
        (0.0, True)
    """
    reading = _READINGS[convention]
    lightness_x, lightness_y = (_lightness(image, reading.brightness) for image in (x, y))
    height, width = map(operator.index, x.shape[-2:])
    ppd = reading.ppd if ppd is None else ppd
    [sensitivity] = _sensitivity(x.dtype, x.device, height, width, ppd, convention)
    seen = torch.stack([lightness_y, lightness_x - lightness_y])
    reference, error = torch.fft.irfft2(torch.fft.rfft2(seen) * sensitivity, s=(height, width)).unbind()
    mean = F.avg_pool2d(F.avg_pool2d(reference, _STEP), _BLOCK, 1)
    lit = mean >= _DARK
    level = torch.where(lit, mean, 1.0).square()
    texture = _moments(reference, _QUARTER)[1]
    if reading.painted:
        texture = _least_ahead(_least_ahead(texture, height, -2), width, -1)
    else:
        texture = torch.minimum(texture[..., :-2, :], texture[..., 2:, :])
        texture = torch.minimum(texture[..., :-2], texture[..., 2:])
    variance = _moments(error, _BLOCK)[1]
    pixels = _SIDE**2
    parts = (variance * (pixels / (pixels - reading.freedom)), texture * (pixels / (pixels - 4 * reading.freedom)))
    faintest = math.exp(2 * _DELTA)
    contrast, masking = ((part / level).clamp_min(faintest).log() / 2 for part in parts)
    visible = torch.where(lit, (contrast - masking).relu(), 0.0)
    squares = (x - y).square()
    if not reading.painted:
        local = F.avg_pool2d(F.avg_pool2d(squares, _STEP), _BLOCK, 1)
        return 200 * colour.root((visible * local).square().mean((1, 2, 3)))
    local = F.avg_pool2d(F.avg_pool2d(squares, (_SIDE, 1), 1), (1, _SIDE), 1)  # around the pixel 7 px on
    inner = local[..., 9 : height - 24, 9 : width - 24].square()
    down, across = (-side % _STEP for side in inner.shape[2:])
    tiles = _STEP**2 * F.avg_pool2d(F.pad(inner, (0, across, 0, down)), _STEP)
    visible = visible[..., 4 : 4 + tiles.shape[2], 4 : 4 + tiles.shape[3]]
    return 200 * colour.root((visible.square() * tiles).sum((1, 2, 3)) / (inner.shape[2] * inner.shape[3]))


def _least_ahead(quarters: Tensor, side: int, dim: int) -> Tensor:
    """The lesser of each block's first quarter and of the next block's, if that begins above the last 16 px."""
    count = (side - _SIDE) // _STEP + 1
    paired = (side - _SIDE - 1) // _STEP
    least = torch.minimum(quarters.narrow(dim, 0, paired), quarters.narrow(dim, 1, paired))
    return torch.cat([least, quarters.narrow(dim, paired, count - paired)], dim)


def appearance(x: Tensor, y: Tensor, convention: Convention = "authors") -> Tensor:
    """d_appear: how the statistics of log Gabor responses differ, block by block.

    Args:
        x, y: luma ``(n, 1, h, w)`` on 0 to 255.
        convention: as for `mad`.

    Returns:
        ``(n,)``.

    Example:
        >>> y = torch.arange(2304.0).square().remainder(97).view(1, 1, 48, 48)
        >>> float(appearance(y, y)), round(float(appearance(y, y.mT)), 2)
        (0.0, 5.8)
    """
    reading = _READINGS[convention]
    height, width = map(operator.index, x.shape[-2:])
    [filters] = _filters(x.dtype, x.device, height, width, reading.odd)
    differences = []
    for oriented in filters:
        of_x, of_y = (_statistics(image, oriented, reading.freedom) for image in (x, y))
        moments = zip((1, 2, 1), of_x, of_y, strict=True)
        differences += [weight * (one - other).abs() for weight, one, other in moments]
    weights = x.new_tensor(_WEIGHTS) / sum(_WEIGHTS)
    squares = (reduce(torch.add, differences) * weights[:, None, None]).sum(1).square()
    if not reading.painted:
        return colour.root(squares.mean((1, 2)))
    for dim, side in ((2, width), (1, height)):
        shares = _shares(side)
        squares = (squares.narrow(dim, 4, len(shares)).movedim(dim, -1) * x.new_tensor(shares)).sum(-1)
    return colour.root(squares)


def _shares(side: int) -> list[float]:
    """What each row of tiles from the fifth on has of the pixels that count."""
    inside = side - _SIDE - (_SIDE + 1)
    return [min(_STEP, inside - start) / inside for start in range(0, inside, _STEP)]


def _statistics(image: Tensor, filters: Tensor, freedom: int) -> tuple[Tensor, Tensor, Tensor]:
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
    deviation = deviation * math.sqrt(_SIDE**2 / (_SIDE**2 - freedom))
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


def _lightness(x: Tensor, brightness: float) -> Tensor:
    """The cube root of the luminance of 0 to 255; black, where its slope is infinite, has slope 0."""
    black = x <= 0
    return brightness * torch.where(black, 0.0, torch.where(black, 1.0, x) ** (_GAMMA / 3))


@kept(16)
def _sensitivity(height: int, width: int, ppd: float, convention: Convention) -> Arrays:
    """The contrast sensitivity at the frequencies of a real transform, ``(h, w // 2 + 1)``."""
    if convention == "paper":
        down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
        return (_sensitivity_at(down * ppd, right * ppd),)
    down, right = (np.fft.ifftshift(np.arange(side) - side / 2 + 0.5) / width for side in (height, width))
    whole = _sensitivity_at(down[:, None] * ppd, right * ppd)
    # The real part of an image filtered off the frequencies: so much passes of either frequency of a pair.
    opposite = np.roll(whole[::-1, ::-1], 1, (0, 1))
    return (((whole + opposite) / 2)[:, : width // 2 + 1],)


def _sensitivity_at(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    # The eye sees less along the diagonals.
    frequency = np.hypot(down, right) / (0.15 * np.cos(4 * np.arctan2(down, right)) + 0.85)
    falling = 2.6 * (0.0192 + 0.114 * frequency) * np.exp(-((0.114 * frequency) ** 1.1))
    return np.where(frequency < _PEAK, 0.9809, falling)


@kept(16)
def _filters(height: int, width: int, odd: Odd) -> Arrays:
    """The log Gabor filters, ``(orientations, scales, h, w)``."""
    radial, angular = log_gabor(
        height, width, wavelengths=[3.0 * 3**scale for scale in range(len(_WEIGHTS))], ratio=0.55,
        orientations=_ORIENTATIONS, spread=math.pi / _ORIENTATIONS / 1.5, odd=odd,
    )  # fmt: skip
    return (angular[:, None] * radial,)


class MAD(Metric):
    """Most apparent distortion, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        convention: ``"authors"``, what their program computes, or ``"paper"``; the file's head says what differs.
        ppd: pixels per degree of visual angle; None: 64 (authors) or 32 (paper).
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for an unknown convention, or pixels per degree that are not positive.

    Example:
        >>> MAD().signature(), MAD(convention="paper").signature()
        ('mad|conv:authors|ppd:64|range:1|v:2', 'mad|conv:paper|ppd:32|range:1|v:2')
    """

    facts: ClassVar[Facts] = Facts(
        name="mad",
        suits="for errors near the threshold of visibility",
        fails="in haste: it is the slowest of the rack",
        written="MAD",
        title="Most apparent distortion", paper="Larson and Chandler 2010, doi 10.1117/1.3267105",
        better="lower", range=(0.0, math.inf), identical=0.0, symmetric=False, smooth=False, min_side=34,
        channels=(1, 3), version=2,
        alone="it is 0, without a gradient, where no error stands out of the reference's own contrast",
        tolerates={
            "mean_shift": "its blocks are judged by their contrast, which an even shift leaves as it was",
            "hsv_value": "a change of brightness keeps the contrasts, up to what the reference masks",
        },
        declines={"reach": "where the reference's contrast hides all errors, the score is 0 without a gradient"},
    )  # fmt: skip

    def __init__(self, *, convention: Convention = "authors", ppd: float | None = None, **base: Any) -> None:
        super().__init__(**base)
        choice("mad", "convention", convention, get_args(Convention))
        self.convention: Convention = convention
        self.ppd = _READINGS[convention].ppd if ppd is None else real("mad", "ppd", ppd, least=0.1, most=1000)

    @property
    def min_side(self) -> int:
        return smallest_side(self.convention)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return mad(x, y, convention=self.convention, ppd=self.ppd)

    def settings(self) -> dict[str, object]:
        return {"conv": self.convention, "ppd": round(self.ppd, 4)}
