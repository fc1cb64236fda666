"""Errors of single pixels with `keras.ops`: the formulas of `metrics.pixel`, and their maps.

A mask has the shape of the pair, which is 0 where it is.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from lookalike.keras import planes
from lookalike.metrics import pixel
from lookalike.ops import window as windows


def l1(metric: pixel.L1, x: Any, y: Any, mask: Any = None) -> Any:
    """Mean absolute error ``(n,)`` of a pair ``(n, c, *spatial)`` in the unit range."""
    return planes.mean(l1_map(metric, x, y), mask)


def l1_map(metric: pixel.L1, x: Any, y: Any) -> Any:
    """The absolute error of each value, ``(n, c, *spatial)``."""
    return ops.abs(x - y)


def l2(metric: pixel.L2, x: Any, y: Any, mask: Any = None) -> Any:
    """Mean squared error, likewise."""
    return planes.mean(l2_map(metric, x, y), mask)


def l2_map(metric: pixel.L2, x: Any, y: Any) -> Any:
    """The squared error of each value."""
    return ops.square(x - y)


def rmse(metric: pixel.RMSE, x: Any, y: Any, mask: Any = None) -> Any:
    """Root of the mean squared error; its gradient at identical images is 0."""
    mse = planes.mean(ops.square(x - y), mask)
    none = ops.equal(mse, 0)
    return ops.where(none, 0.0, ops.sqrt(ops.where(none, 1.0, mse)))


def psnr(metric: pixel.PSNR, x: Any, y: Any, mask: Any = None) -> Any:
    """Peak signal-to-noise ratio in decibels, capped as the metric says."""
    mse = planes.mean(ops.square(x - y), mask)
    if metric.cap_db is not None:
        floor = 10 ** (-metric.cap_db / 10)
        mse = ops.where(mse <= floor, ops.cast(floor, mse.dtype), mse)
    elif mask is not None:  # an image of which nothing counts has no score, and no gradient to spoil
        mse = ops.where(planes.counts(mask), mse, 1.0)
    return ops.log(mse) * (-10 / math.log(10))


def charbonnier(metric: pixel.Charbonnier, x: Any, y: Any, mask: Any = None) -> Any:
    """Mean of √(d² + ε²)."""
    return planes.mean(charbonnier_map(metric, x, y), mask)


def charbonnier_map(metric: pixel.Charbonnier, x: Any, y: Any) -> Any:
    """√(d² + ε²) of each value."""
    return ops.sqrt(ops.square(x - y) + metric.epsilon**2)


def gaussian(metric: pixel.GaussianL1, x: Any, y: Any, mask: Any = None) -> Any:
    """Mean of the Gaussian-filtered absolute or squared error; under a mask a window counts by its valid share."""
    if mask is None:
        return planes.mean(gaussian_map(metric, x, y))
    shares = _spread(metric, mask)
    return planes.mean(planes.quotient(_spread(metric, mask * _error(metric, x, y)), shares), shares)


def gaussian_map(metric: pixel.GaussianL1, x: Any, y: Any) -> Any:
    """The Gaussian-filtered absolute or squared error."""
    return _spread(metric, _error(metric, x, y))


def _error(metric: pixel.GaussianL1, x: Any, y: Any) -> Any:
    return ops.square(x - y) if isinstance(metric, pixel.GaussianL2) else ops.abs(x - y)


def _spread(metric: pixel.GaussianL1, values: Any) -> Any:
    return planes.blur(values, windows.gaussian(2 * metric.radius + 1, metric.sigma), "reflect")
