"""Errors of single pixels with `keras.ops`: the formulas of `metrics.pixel`."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from lookalike.keras import planes
from lookalike.metrics import pixel
from lookalike.ops import window as windows


def l1(metric: pixel.L1, x: Any, y: Any) -> Any:
    """Mean absolute error ``(n,)`` of a pair ``(n, c, h, w)`` in the unit range."""
    return ops.mean(ops.abs(x - y), (1, 2, 3))


def l2(metric: pixel.L2, x: Any, y: Any) -> Any:
    """Mean squared error, likewise."""
    return ops.mean(ops.square(x - y), (1, 2, 3))


def rmse(metric: pixel.RMSE, x: Any, y: Any) -> Any:
    """Root of the mean squared error; its gradient at identical images is 0."""
    mse = ops.mean(ops.square(x - y), (1, 2, 3))
    none = ops.equal(mse, 0)
    return ops.where(none, 0.0, ops.sqrt(ops.where(none, 1.0, mse)))


def psnr(metric: pixel.PSNR, x: Any, y: Any) -> Any:
    """Peak signal-to-noise ratio in decibels, capped as the metric says."""
    mse = ops.mean(ops.square(x - y), (1, 2, 3))
    if metric.cap_db is not None:
        floor = 10 ** (-metric.cap_db / 10)
        mse = ops.where(mse <= floor, ops.cast(floor, mse.dtype), mse)
    return ops.log(mse) * (-10 / math.log(10))


def charbonnier(metric: pixel.Charbonnier, x: Any, y: Any) -> Any:
    """Mean of √(d² + ε²)."""
    return ops.mean(ops.sqrt(ops.square(x - y) + metric.epsilon**2), (1, 2, 3))


def gaussian(metric: pixel.GaussianL1, x: Any, y: Any) -> Any:
    """Mean of the Gaussian-filtered absolute or squared error."""
    error = ops.square(x - y) if isinstance(metric, pixel.GaussianL2) else ops.abs(x - y)
    taps = windows.gaussian(2 * metric.radius + 1, metric.sigma)
    return ops.mean(planes.blur(error, taps, "reflect"), (1, 2, 3))
