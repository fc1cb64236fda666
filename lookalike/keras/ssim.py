"""SSIM, its three parts and MS-SSIM with `keras.ops`: the formulas of `ops.ssim.reference`, for every convention.

Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, doi 10.1109/TIP.2003.819861; Wang, Simoncelli, Bovik,
Asilomar 2003, doi 10.1109/ACSSC.2003.1292216. Moments are taken of the sum and the difference of the images, so
identical ones give exactly 1.
"""

from __future__ import annotations

import math
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
    """Local statistics of p = x + y and m = x - y, each ``(n, c, h', w')``."""

    mean_p: Any
    mean_m: Any
    var_p: Any
    var_m: Any
    cov_pm: Any | None


def ssim(metric: SSIM, x: Any, y: Any) -> Any:
    """The scores ``(n,)`` of a metric of `metrics.ssim`, for a pair ``(n, c, *spatial)`` in the unit range."""
    return _across_channels(planes.spatial_mean(ssim_map(metric, x, y)), metric.channel_weights)


def ssim_map(metric: SSIM, x: Any, y: Any) -> Any:
    """The score of every window, ``(n, c, *spatial')``."""
    c = metric.convention
    x, y = _shrunk(*prepared(c, x, y), c)
    c1, c2 = (k * k for k in c.K)
    apart = isinstance(metric, SSIMLuminance) or metric.exponents != (1.0, 1.0, 1.0)
    local = moments(x, y, taps_of(c, c.window), c.border, unbias(c, x), covariance=apart)
    luminance = luminance_of(local, c1)
    if c.epsilon:
        means, variances = ops.square(local.mean_p) + ops.square(local.mean_m), local.var_p + local.var_m
        denominator = (means / 2 + c1) * (variances / 2 + c2)
        luminance = luminance * denominator / (denominator + c.epsilon)
    if not apart:
        both = contrast_structure_of(local, c2)
        return luminance * (ops.relu(both) if c.clip_structure else both)
    contrast, structure = contrast_and_structure_of(local, c2)
    parts = {SSIMLuminance: luminance, SSIMContrast: contrast, SSIMStructure: structure}
    if type(metric) in parts:
        return parts[cast(Any, type(metric))]
    alpha, beta, gamma = metric.exponents
    return _signed_power(luminance, alpha) * _signed_power(contrast, beta) * _signed_power(structure, gamma)


def ms_ssim(metric: MSSSIM, x: Any, y: Any) -> Any:
    """The scores ``(n,)`` of an MS-SSIM that `metrics.ssim` defines, for a pair in the unit range."""
    x, y = prepared(metric.convention, x, y)
    shortest, *others = planes.sides(x)
    for side in others:
        shortest = min(shortest, side) if planes.known(shortest, side) else ops.minimum(shortest, side)
    if metric.small == "raise":
        return _of_scales(metric, x, y, metric.weights)
    fitting = _fitting(metric, shortest)
    if planes.known(fitting):
        return _of_scales(metric, x, y, _renormalised(metric.weights, fitting))
    each = [
        partial(_of_scales, metric, x, y, _renormalised(metric.weights, count + 1))
        for count in range(len(metric.weights))
    ]
    return ops.switch(fitting - 1, each)


def _of_scales(metric: MSSSIM, x: Any, y: Any, weights: tuple[float, ...]) -> Any:
    c = metric.convention
    means = means_by_scale(
        x, y, taps_of(c, c.ms_window or c.window), levels=len(weights), border=c.ms_border or c.border,
        last_border=c.ms_last_border, halving=metric.halving, K=c.K, unbias=unbias(c, x), clip=c.clip_structure,
    )  # fmt: skip
    if c.joint:
        means = ops.mean(means, 1, keepdims=True)
    if metric.scales == "sum":
        scores = ops.sum(means * ops.convert_to_tensor(weights, x.dtype), -1) / sum(weights)
    else:
        scores = product(means, weights, metric.negative)
    return scores[:, 0] if scores.shape[1] == 1 else _across_channels(scores, metric.channel_weights)


def means_by_scale(
    x: Any,
    y: Any,
    taps: tuple[float, ...],
    *,
    levels: int,
    border: Border = "valid",
    last_border: Border | None = None,
    halving: Any = "symmetric",
    K: tuple[float, float] = (0.01, 0.03),
    unbias: float = 1.0,
    clip: bool = False,
) -> Any:
    """``(n, c, levels)``: mean contrast·structure of each scale but the last, whose mean SSIM it is."""
    columns = []
    for level in range(levels):
        last = level == levels - 1
        if level:
            x, y = planes.halve(halving, x, y)
        # Where negatives are clipped at every position, the coarsest scale has the border of the others.
        local = moments(x, y, taps, (last_border or border) if last and not clip else border, unbias)
        part = contrast_structure_of(local, K[1] ** 2)
        part = ops.relu(part) if clip else part
        part = luminance_of(local, K[0] ** 2) * part if last else part
        columns.append(planes.spatial_mean(part))
    return ops.stack(columns, -1)


def moments(
    x: Any, y: Any, taps: tuple[float, ...], border: Border = "valid", unbias: float = 1.0, covariance: bool = False
) -> Moments:
    """Local means and variances of the sum and the difference of two batches ``(n, c, *spatial)``."""
    if border == "zero":  # the zeros are pixels like others: they are there before the mean is taken off
        edge = (len(taps) // 2,) * 2
        x, y = (ops.pad(image, ((0, 0), (0, 0), *[edge] * (len(image.shape) - 2))) for image in (x, y))
        border = "valid"
    (p, shift_p), (m, shift_m) = _centred(x + y), _centred(x - y)
    signals = [p, m, p * p, m * m, p * m] if covariance else [p, m, p * p, m * m]
    local = ops.split(planes.blur(ops.concatenate(signals, 1), taps, border), len(signals), 1)
    mean_p, mean_m = local[:2]
    var_p = unbias * (local[2] - mean_p * mean_p)
    var_m = unbias * (local[3] - mean_m * mean_m)
    cov_pm = unbias * (local[4] - mean_p * mean_m) if covariance else None
    return Moments(mean_p + shift_p, mean_m + shift_m, var_p, var_m, cov_pm)


def _centred(image: Any) -> tuple[Any, Any]:
    """Subtract each plane's mean; the shift is a constant to the gradient, for no moment depends on it."""
    shift = ops.stop_gradient(planes.spatial_mean(image, keepdims=True))
    return image - shift, shift


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
    whole = 1.0
    for mean, power in zip(factors, powers, strict=True):
        positive = ops.relu(mean)
        above = positive > _KNEE
        curve = ops.power(ops.where(above, positive, 1.0), power)
        # A weight of 0 asks for the factor 1, whatever the mean.
        whole = whole * (ops.where(above, curve, positive * _KNEE ** (power - 1)) if power else 1.0)
    if negative == "leak":
        total = sum(powers)
        for mean, power in zip(factors, powers, strict=True):
            whole = whole + power / total * (mean - ops.relu(mean))
    return whole


def _signed_power(term: Any, power: float) -> Any:
    """sign(t)·|t|^p, within a small knee about 0 its chord, whose slope is finite."""
    if power in (0.0, 1.0):
        return term if power else ops.ones_like(term)
    size = ops.abs(term)
    far = size > _KNEE
    curve = ops.power(ops.where(far, size, 1.0), power) * ops.sign(term)
    return ops.where(far, curve, term * _KNEE ** (power - 1))


def prepared(c: Convention, x: Any, y: Any) -> tuple[Any, Any]:
    """What a convention does to a pair before the windows: luma, and rounding to 8-bit levels."""
    if c.colour == "luma":
        x, y = colour.luma(x, c.luma), colour.luma(y, c.luma)
    return (colour.to_levels(x), colour.to_levels(y)) if c.levels else (x, y)


def taps_of(c: Convention, kind: Window) -> tuple[float, ...]:
    """The window of a convention along one axis."""
    return windows.gaussian(c.win_size, c.sigma) if kind == "gaussian" else windows.uniform(c.win_size)


def unbias(c: Convention, x: Any) -> float:
    """The factor of variances that the convention's covariance asks for, on images of these dimensions."""
    pixels = c.win_size ** (len(x.shape) - 2)
    return pixels / (pixels - 1) if c.covariance == "n-1" else 1.0


def _shrunk(x: Any, y: Any, c: Convention) -> tuple[Any, Any]:
    if c.downsample == "no":
        return x, y
    factor, border = _factor(planes.sides(x), c.downsample), _SHRINK_BORDER[c.downsample]
    if planes.known(factor) and factor <= 1:
        return x, y
    x, y = planes.shrink(factor, border, x, y)
    return x, y


def _factor(sides: tuple[planes.Side, ...], rule: Downsample) -> planes.Side:
    """How often images of these sides are down-sampled to about 256 px, at least 1."""
    if planes.known(*sides):
        ratio = min(sides) / 256
        return max(1, round(ratio) if rule == "piq" else math.floor(ratio + 0.5))
    ratio = ops.cast(ops.min(ops.stack([ops.convert_to_tensor(side) for side in sides])), "float32") / 256
    return ops.maximum(1, ops.cast(ops.round(ratio) if rule == "piq" else ops.floor(ratio + 0.5), "int32"))


def _fitting(metric: MSSSIM, side: planes.Side) -> planes.Side:
    """How many scales the window fits in, at most all."""
    fitting: planes.Side = 0
    for _ in metric.weights:
        fits = side >= metric.convention.win_size
        fitting = fitting + (int(fits) if planes.known(side) else ops.cast(fits, "int32"))
        side = side // 2 if metric.halving in _DROPS_ODD else (side + 1) // 2
    return fitting


def _renormalised(weights: tuple[float, ...], fitting: int) -> tuple[float, ...]:
    """The weights of the first scales, with the sum of all."""
    kept = weights[:fitting]
    if fitting == len(weights) or not sum(kept):
        return kept
    return tuple(weight * sum(weights) / sum(kept) for weight in kept)


def _across_channels(scores: Any, weights: tuple[float, ...] | None) -> Any:
    """Mean or weighted mean of ``(n, c)`` over channels."""
    if weights is None:
        return ops.mean(scores, 1)
    return ops.sum(scores * ops.convert_to_tensor(np.asarray(weights), scores.dtype), 1)
