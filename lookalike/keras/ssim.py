"""SSIM, its three parts and MS-SSIM with `keras.ops`: the formulas of `ops.ssim.reference`, for every convention.

Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, doi 10.1109/TIP.2003.819861; Wang, Simoncelli, Bovik,
Asilomar 2003, doi 10.1109/ACSSC.2003.1292216. Moments are taken of the sum and the difference of the images, so
identical ones give exactly 1.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np
from keras import ops

from lookalike.conventions import Border, Convention, Negative, Window
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
    """The scores ``(n,)`` of a metric of `metrics.ssim`, for a pair ``(n, c, h, w)`` in the unit range."""
    c = metric.convention
    x, y = _shrunk(*prepared(c, x, y), c)
    taps = taps_of(c, c.window)
    c1, c2 = (k * k for k in c.K)
    apart = isinstance(metric, SSIMLuminance) or metric.exponents != (1.0, 1.0, 1.0)
    local = moments(x, y, taps, c.border, unbias(c), covariance=apart)
    luminance = luminance_of(local, c1)
    if c.epsilon:
        means, variances = ops.square(local.mean_p) + ops.square(local.mean_m), local.var_p + local.var_m
        denominator = (means / 2 + c1) * (variances / 2 + c2)
        luminance = luminance * denominator / (denominator + c.epsilon)
    if apart:
        contrast, structure = contrast_and_structure_of(local, c2)
        parts = {SSIMLuminance: luminance, SSIMContrast: contrast, SSIMStructure: structure}
        if type(metric) in parts:
            found = parts[cast(Any, type(metric))]
        else:
            alpha, beta, gamma = metric.exponents
            found = (
                _signed_power(luminance, alpha) * _signed_power(contrast, beta) * _signed_power(structure, gamma)
            )
    else:
        both = contrast_structure_of(local, c2)
        found = luminance * (ops.relu(both) if c.clip_structure else both)
    return _across_channels(ops.mean(found, (2, 3)), metric.channel_weights)


def ms_ssim(metric: MSSSIM, x: Any, y: Any) -> Any:
    """The scores ``(n,)`` of an MS-SSIM that `metrics.ssim` defines, for a pair in the unit range."""
    c = metric.convention
    x, y = prepared(c, x, y)
    weights = _weights_for(metric, min(x.shape[2:]))
    taps = taps_of(c, c.ms_window or c.window)
    means = means_by_scale(
        x, y, taps, levels=len(weights), border=c.ms_border or c.border, last_border=c.ms_last_border,
        halving=metric.halving, K=c.K, unbias=unbias(c), clip=c.clip_structure,
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
            x, y = planes.halve(x, halving), planes.halve(y, halving)
        # Where negatives are clipped at every position, the coarsest scale has the border of the others.
        local = moments(x, y, taps, (last_border or border) if last and not clip else border, unbias)
        part = contrast_structure_of(local, K[1] ** 2)
        part = ops.relu(part) if clip else part
        part = luminance_of(local, K[0] ** 2) * part if last else part
        columns.append(ops.mean(part, (2, 3)))
    return ops.stack(columns, -1)


def moments(
    x: Any, y: Any, taps: tuple[float, ...], border: Border = "valid", unbias: float = 1.0, covariance: bool = False
) -> Moments:
    """Local means and variances of the sum and the difference of two batches ``(n, c, h, w)``."""
    if border == "zero":  # the zeros are pixels like others: they are there before the mean is taken off
        edge = len(taps) // 2
        x, y = (ops.pad(image, ((0, 0), (0, 0), (edge, edge), (edge, edge))) for image in (x, y))
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
    shift = ops.stop_gradient(ops.mean(image, (2, 3), keepdims=True))
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


def unbias(c: Convention) -> float:
    """The factor of variances that the convention's covariance asks for."""
    pixels = c.win_size**2
    return pixels / (pixels - 1) if c.covariance == "n-1" else 1.0


def _shrunk(x: Any, y: Any, c: Convention) -> tuple[Any, Any]:
    rule, ratio = c.downsample, min(x.shape[2:]) / 256
    factor = round(ratio) if rule == "piq" else math.floor(ratio + 0.5)
    if rule == "no" or factor <= 1:
        return x, y
    border = _SHRINK_BORDER[rule]
    return planes.shrink(x, factor, border), planes.shrink(y, factor, border)


def _weights_for(metric: MSSSIM, side: int) -> tuple[float, ...]:
    """The weights of the scales that fit, renormalised to the sum of all when some do not."""
    fitting = 0
    while fitting < len(metric.weights) and side >= metric.convention.win_size:
        fitting += 1
        side = side // 2 if metric.halving in _DROPS_ODD else (side + 1) // 2
    kept = metric.weights[:fitting]
    if fitting == len(metric.weights) or not sum(kept):
        return kept
    return tuple(weight * sum(metric.weights) / sum(kept) for weight in kept)


def _across_channels(scores: Any, weights: tuple[float, ...] | None) -> Any:
    """Mean or weighted mean of ``(n, c)`` over channels."""
    if weights is None:
        return ops.mean(scores, 1)
    return ops.sum(scores * ops.convert_to_tensor(np.asarray(weights), scores.dtype), 1)
