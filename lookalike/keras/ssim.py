"""SSIM, its three parts and MS-SSIM with `keras.ops`: the formulas of `ops.ssim.reference`, for every convention.

Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, doi 10.1109/TIP.2003.819861; Wang, Simoncelli, Bovik,
Asilomar 2003, doi 10.1109/ACSSC.2003.1292216. Moments are taken of the sum and the difference of the images, so
identical ones give exactly 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from keras import ops

from lookalike.conventions import Border, Convention, Downsample, Negative, Window
from lookalike.keras import colour, planes
from lookalike.metrics.ssim import MSSSIM, SSIM, SSIMContrast, SSIMLuminance, SSIMStructure
from lookalike.ops import window as windows

_KNEE = 1e-3  # below it the chord of a power through 0 stands in for it: its slope is finite
_SHRINK_BORDER: dict[str, Border] = {"matlab": "symmetric", "piq": "valid", "blazediff": "reflect"}
_DROPS_ODD = ("floor", "reflect")


class Moments(NamedTuple):
    """Local statistics of p = x + y and m = x - y, each ``(n, c, *spatial')``, and what each position counts."""

    mean_p: Any
    mean_m: Any
    var_p: Any
    var_m: Any
    cov_pm: Any | None
    weight: Any | None


def ssim(metric: SSIM, x: Any, y: Any, mask: Any = None) -> Any:
    """The scores ``(n,)`` of a metric of `metrics.ssim`, for a pair ``(n, c, *spatial)`` in the unit range.

    Under a mask of the shape of the pair a window is averaged over its valid pixels and counts by its valid share.
    """
    local, mask = _moments_of(metric, x, y, mask)
    return _across_channels(valid_mean(_score_of(metric, local), local.weight), metric.channel_weights, mask)


def ssim_map(metric: SSIM, x: Any, y: Any) -> Any:
    """The score of every window, ``(n, c, *spatial')``."""
    return _score_of(metric, _moments_of(metric, x, y)[0])


def _moments_of(metric: SSIM, x: Any, y: Any, mask: Any = None) -> tuple[Moments, Any]:
    """The moments that a metric sees of a pair, and the mask after what its convention does to images."""
    c = metric.convention
    x, y, mask = _shrunk(*prepared(c, x, y, mask), c)
    taps = taps_of(metric, c.window, x)
    return moments(x, y, taps, c.border, unbias(c, taps), covariance=_has_separate_factors(metric), mask=mask), mask


def _has_separate_factors(metric: SSIM) -> bool:
    """Whether contrast and structure are wanted apart."""
    return isinstance(metric, SSIMLuminance) or metric.exponents != (1.0, 1.0, 1.0)


def _score_of(metric: SSIM, local: Moments) -> Any:
    c = metric.convention
    c1, c2 = (k * k for k in c.K)
    luminance = luminance_of(local, c1)
    if c.epsilon:
        means, variances = ops.square(local.mean_p) + ops.square(local.mean_m), local.var_p + local.var_m
        denominator = (means / 2 + c1) * (variances / 2 + c2)
        luminance = luminance * denominator / (denominator + c.epsilon)
    if not _has_separate_factors(metric):
        both = contrast_structure_of(local, c2)
        return luminance * (ops.relu(both) if c.clip_structure else both)
    contrast, structure = contrast_and_structure_of(local, c2)
    parts = {SSIMLuminance: luminance, SSIMContrast: contrast, SSIMStructure: structure}
    if type(metric) in parts:
        return parts[cast(Any, type(metric))]
    alpha, beta, gamma = metric.exponents
    return _signed_power(luminance, alpha) * _signed_power(contrast, beta) * _signed_power(structure, gamma)


def ms_ssim(metric: MSSSIM, x: Any, y: Any, mask: Any = None) -> Any:
    """The scores ``(n,)`` of an MS-SSIM that `metrics.ssim` defines, for a pair in the unit range."""
    x, y, mask = prepared(metric.convention, x, y, mask)
    if metric.small == "raise":
        return _of_scales(metric, x, y, mask, metric.weights)
    fitting = _fitting(metric, x)
    if planes.known(fitting):
        return _of_scales(metric, x, y, mask, _renormalised(metric.weights, fitting))
    counts = range(1, len(metric.weights) + 1)
    each = [partial(_of_scales, metric, x, y, mask, _renormalised(metric.weights, count)) for count in counts]
    return ops.switch(fitting - 1, each)


def _of_scales(metric: MSSSIM, x: Any, y: Any, mask: Any, weights: tuple[float, ...]) -> Any:
    c = metric.convention
    taps = taps_of(metric, c.ms_window or c.window, x)
    means = means_by_scale(
        x, y, taps, levels=len(weights), border=c.ms_border or c.border, last_border=c.ms_last_border,
        halving=metric.halving, K=c.K, unbias=unbias(c, taps), clip=c.clip_structure, mask=mask,
    )  # fmt: skip
    if c.joint:
        if mask is None:
            means = ops.mean(means, 1, keepdims=True)
        else:
            counts = ops.expand_dims(_counts(mask), 2)
            means = planes.quotient(ops.sum(means * counts, 1, keepdims=True), ops.sum(counts, 1, keepdims=True))
    if metric.scales == "sum":
        scores = ops.sum(means * ops.convert_to_tensor(weights, x.dtype), -1) / sum(weights)
    else:
        scores = product(means, weights, metric.negative)
    return scores[:, 0] if scores.shape[1] == 1 else _across_channels(scores, metric.channel_weights, mask)


def means_by_scale(
    x: Any,
    y: Any,
    taps: Sequence[tuple[float, ...]],
    *,
    levels: int,
    border: Border = "valid",
    last_border: Border | None = None,
    halving: Any = "symmetric",
    K: tuple[float, float] = (0.01, 0.03),
    unbias: float = 1.0,
    clip: bool = False,
    mask: Any = None,
) -> Any:
    """``(n, c, levels)``: mean contrast·structure of each scale but the last, whose mean SSIM it is."""
    columns = []
    for level in range(levels):
        last = level == levels - 1
        if level:
            x, y, mask = _of_valid(partial(planes.halve, halving), x, y, mask)
        # Where negatives are clipped at every position, the coarsest scale has the border of the others.
        local = moments(x, y, taps, (last_border or border) if last and not clip else border, unbias, mask=mask)
        part = contrast_structure_of(local, K[1] ** 2)
        part = ops.relu(part) if clip else part
        part = luminance_of(local, K[0] ** 2) * part if last else part
        columns.append(valid_mean(part, local.weight))
    return ops.stack(columns, -1)


def moments(
    x: Any,
    y: Any,
    taps: Sequence[tuple[float, ...]],
    border: Border = "valid",
    unbias: float = 1.0,
    covariance: bool = False,
    mask: Any = None,
) -> Moments:
    """Local means and variances of the sum and the difference of two batches ``(n, c, *spatial)``.

    Args:
        x, y: in the unit range, 0 where the mask is.
        taps: the window along each axis.
        border: how images are extended.
        unbias: factor of variances.
        covariance: whether the covariance of the two is wanted too.
        mask: weights in [0, 1] of the shape of ``x``: windows are averaged over what counts.
    """
    if (
        border == "zero"
    ):  # the zeros are pixels like others: they are there, and count, before the mean is taken off
        edges = ((0, 0), (0, 0), *((len(along) // 2, (len(along) - 1) // 2) for along in taps))
        x, y = ops.pad(x, edges), ops.pad(y, edges)
        mask = None if mask is None else ops.pad(mask, edges, constant_values=1.0)
        border = "valid"
    (p, shift_p), (m, shift_m) = _centred(x + y, mask), _centred(x - y, mask)
    signals = [p, m, p * p, m * m, p * m] if covariance else [p, m, p * p, m * m]
    weight = None
    if mask is None:
        local = ops.split(planes.blur(ops.concatenate(signals, 1), taps, border), len(signals), 1)
    else:
        weighted = ops.concatenate([*(mask * signal for signal in signals), mask], 1)
        *local, weight = ops.split(planes.blur(weighted, taps, border), len(signals) + 1, 1)
        local = [planes.quotient(part, weight) for part in local]
    mean_p, mean_m = local[:2]
    var_p = unbias * (local[2] - mean_p * mean_p)
    var_m = unbias * (local[3] - mean_m * mean_m)
    cov_pm = unbias * (local[4] - mean_p * mean_m) if covariance else None
    return Moments(mean_p + shift_p, mean_m + shift_m, var_p, var_m, cov_pm, weight)


def _centred(image: Any, mask: Any) -> tuple[Any, Any]:
    """Subtract each plane's mean; the shift is a constant to the gradient, for no moment depends on it."""
    if mask is None:
        shift = ops.stop_gradient(planes.spatial_mean(image, keepdims=True))
        return image - shift, shift
    axes = tuple(range(2, len(image.shape)))
    total = ops.sum(mask * image, axes, keepdims=True)
    shift = ops.stop_gradient(planes.quotient(total, ops.sum(mask, axes, keepdims=True)))
    return ops.where(mask > 0, image - shift, 0.0), shift


def valid_mean(values: Any, weight: Any) -> Any:
    """The mean of each plane ``(n, c)``, weighted where there are weights; 1 where all of them are 0."""
    if weight is None:
        return planes.spatial_mean(values)
    axes = tuple(range(2, len(values.shape)))
    total = ops.sum(weight, axes)
    return ops.where(total > 0, planes.quotient(ops.sum(weight * values, axes), total), 1.0)


def _of_valid(reduce: Callable[..., tuple[Any, ...]], x: Any, y: Any, mask: Any) -> tuple[Any, Any, Any]:
    """A pair made smaller, by the means of what counts where there is a mask, and how much that was."""
    if mask is None:
        return *reduce(x, y), None
    x, y, share, added = reduce(mask * x, mask * y, mask, ops.ones_like(mask))
    share = share + (1 - added)  # zeros that a rule adds count
    return planes.quotient(x, share), planes.quotient(y, share), share


def luminance_of(local: Moments, c1: float) -> Any:
    """Eq. 6 of Wang et al. 2004."""
    p2, m2 = local.mean_p * local.mean_p, local.mean_m * local.mean_m
    return (p2 - m2 + 2 * c1) / (p2 + m2 + 2 * c1)


def contrast_structure_of(local: Moments, c2: float) -> Any:
    """The product of eq. 9 and 10 with C3 = C2/2."""
    return (local.var_p - local.var_m + 2 * c2) / (local.var_p + local.var_m + 2 * c2)


def contrast_and_structure_of(local: Moments, c2: float) -> tuple[Any, Any]:
    """Contrast (eq. 9) and structure (eq. 10, C3 = C2/2) apart; needs ``covariance=True``."""
    total = (local.var_p + local.var_m) / 2
    deviations = _deviation((total + local.cov_pm) / 2) * _deviation((total - local.cov_pm) / 2)
    sigma_xy = (local.var_p - local.var_m) / 4
    return (2 * deviations + c2) / (total + c2), (sigma_xy + c2 / 2) / (deviations + c2 / 2)


def _deviation(variance: Any) -> Any:
    """The root with gradient 0 where rounding leaves no variance: there its true slope has no bound."""
    nothing = variance <= 1e-12
    return ops.where(nothing, 0.0, ops.sqrt(ops.where(nothing, 1.0, variance)))


def product(means: Any, powers: tuple[float, ...], negative: Negative = "leak") -> Any:
    """Π_j m_j^w_j over the last axis, eq. 7 of Wang et al. 2003; ``negative`` as in `ops.ssim.multiscale.product`.

    Example:
        >>> round(float(product(ops.convert_to_tensor([0.25, -0.5]), (0.5, 0.25))), 4)
        -0.1667
    """
    factors = [means[..., scale] for scale in range(len(powers))]
    if negative == "real":
        angle = sum(
            math.pi * power * ops.cast(mean < 0, mean.dtype) for mean, power in zip(factors, powers, strict=True)
        )
        return product(ops.abs(means), powers, "relu") * ops.cos(angle)
    result = 1.0
    for mean, power in zip(factors, powers, strict=True):
        positive = ops.relu(mean)
        above = positive > _KNEE
        curve = ops.power(ops.where(above, positive, 1.0), power)
        # A weight of 0 asks for the factor 1, whatever the mean.
        result = result * (ops.where(above, curve, positive * _KNEE ** (power - 1)) if power else 1.0)
    if negative == "leak":
        total = sum(powers)
        for mean, power in zip(factors, powers, strict=True):
            result = result + power / total * (mean - ops.relu(mean))
    return result


def _signed_power(term: Any, power: float) -> Any:
    """sign(t)·|t|^p, within a small knee about 0 its chord, whose slope is finite."""
    if power in (0.0, 1.0):
        return term if power else ops.ones_like(term)
    size = ops.abs(term)
    far = size > _KNEE
    curve = ops.power(ops.where(far, size, 1.0), power) * ops.sign(term)
    return ops.where(far, curve, term * _KNEE ** (power - 1))


def prepared(c: Convention, x: Any, y: Any, mask: Any = None) -> tuple[Any, Any, Any]:
    """What a convention does to a pair and its mask before the windows: luma, and rounding to 8-bit levels."""
    if c.colour == "luma":
        x, y = colour.luma(x, c.luma), colour.luma(y, c.luma)
        mask = None if mask is None else ops.min(mask, 1, keepdims=True)
    return (colour.to_levels(x), colour.to_levels(y), mask) if c.levels else (x, y, mask)


def taps_of(metric: SSIM | MSSSIM, kind: Window, x: Any) -> list[tuple[float, ...]]:
    """The window of a definition along each axis of images."""
    c = metric.convention
    axes: Any = metric.axes or ((c.win_size, c.sigma),) * (len(x.shape) - 2)
    return [windows.gaussian(size, sigma) if kind == "gaussian" else windows.uniform(size) for size, sigma in axes]


def unbias(c: Convention, taps: Sequence[tuple[float, ...]]) -> float:
    """The factor of variances that the convention's covariance asks for."""
    pixels = math.prod(map(len, taps))
    return pixels / (pixels - 1) if c.covariance == "n-1" else 1.0


def _shrunk(x: Any, y: Any, mask: Any, c: Convention) -> tuple[Any, Any, Any]:
    if c.downsample == "no":
        return x, y, mask
    factor = _factor(planes.sides(x), c.downsample)
    if planes.known(factor) and factor <= 1:
        return x, y, mask
    return _of_valid(partial(planes.shrink, factor, _SHRINK_BORDER[c.downsample]), x, y, mask)


def _factor(sides: tuple[planes.Side, ...], rule: Downsample) -> planes.Side:
    """How often images of these sides are down-sampled to about 256 px, at least 1."""
    if planes.known(*sides):
        ratio = min(sides) / 256
        return max(1, round(ratio) if rule == "piq" else math.floor(ratio + 0.5))
    ratio = ops.cast(ops.min(ops.stack([ops.convert_to_tensor(side) for side in sides])), "float32") / 256
    return ops.maximum(1, ops.cast(ops.round(ratio) if rule == "piq" else ops.floor(ratio + 0.5), "int32"))


def _fitting(metric: MSSSIM, x: Any) -> planes.Side:
    """How many scales the window fits in, at most all."""
    fitting: planes.Side = 0
    sides = list(planes.sides(x))
    sizes = [len(along) for along in taps_of(metric, "uniform", x)]
    for _ in metric.weights:
        fits: planes.Side = 1
        for side, size in zip(sides, sizes, strict=True):
            fits = fits * (int(side >= size) if planes.known(side) else ops.cast(side >= size, "int32"))
        fitting = fitting + fits
        sides = [side // 2 if metric.halving in _DROPS_ODD else (side + 1) // 2 for side in sides]
    return fitting


def _renormalised(weights: tuple[float, ...], fitting: int) -> tuple[float, ...]:
    """The weights of the first scales, with the sum of all."""
    kept = weights[:fitting]
    if fitting == len(weights) or not sum(kept):
        return kept
    return tuple(weight * sum(weights) / sum(kept) for weight in kept)


def _across_channels(scores: Any, weights: tuple[float, ...] | None, mask: Any = None) -> Any:
    """Mean or weighted mean of ``(n, c)`` over channels; with a mask each counts by its valid pixels."""
    if mask is None and weights is None:
        return ops.mean(scores, 1)
    each = ops.ones_like(scores) if mask is None else _counts(mask)
    if weights is not None:
        each = each * ops.convert_to_tensor(np.asarray(weights), scores.dtype)
    return planes.quotient(ops.sum(scores * each, 1), ops.sum(each, 1))


def _counts(mask: Any) -> Any:
    """How many pixels of each plane count, ``(n, c)``."""
    return ops.sum(mask, tuple(range(2, len(mask.shape))))
