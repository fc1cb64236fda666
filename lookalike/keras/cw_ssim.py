"""CW-SSIM with `keras.ops`: the formula of `metrics.cw_ssim`.

Sampat, Wang, Gupta, Bovik, Markey, IEEE TIP 18(11), 2009, doi 10.1109/TIP.2009.2025923. Only the lowest frequencies
of a level are wanted, so both Fourier transforms are matrix products with constants; complex numbers are pairs.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from lookalike.keras import colour, planes
from lookalike.metrics.cw_ssim import CWSSIM
from lookalike.ops import pyramid
from lookalike.ops import window as windows

Complex = tuple[Any, Any]


def cw_ssim(metric: CWSSIM, x: Any, y: Any) -> Any:
    """The scores ``(n,)`` of a pair ``(n, c, h, w)`` in the unit range."""
    if metric.colour == "luma":
        x, y = colour.luma(x), colour.luma(y)
    bands_x, bands_y = (bands(image, metric.levels, metric.orientations) for image in (x, y))
    (ax, bx), (ay, by) = bands_x, bands_y
    products = [ax * ay + bx * by, bx * ay - ax * by, (ax * ax + bx * bx) + (ay * ay + by * by)]
    real, imaginary, energy = (_box(product, metric.win_size) for product in products)

    kind = np.dtype(keras.backend.standardize_dtype(x.dtype))
    eps, tiny = float(np.finfo(kind).eps), float(np.finfo(kind).tiny)
    # Energy that the rounding of the pixels makes, or whose square is too small to be a number, is none.
    power = sum(ops.mean(ops.square(image), (2, 3), keepdims=True) for image in (x, y))
    least = ops.maximum(ops.expand_dims(power, 2) * (eps * 2**metric.levels) ** 2, tiny**0.5)
    flat = energy <= ops.stop_gradient(least)
    total = ops.where(flat, 1.0, energy + metric.K / 255**2)
    squared = ops.square(real / total) + ops.square(imaginary / total)
    # The modulus has no derivative at 0 and takes 0 there; within rounding of 0 it would be that of noise.
    zero = squared <= eps * eps
    modulus = ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, squared)))
    lost = ops.where(flat, 0.0, energy / total - 2 * modulus)
    if metric.pooling == "gaussian":
        [weights] = planes.made(_pooling, *ops.shape(lost)[-2:], ops.shape(bands_x[0])[-2])
        lost = ops.sum(lost * ops.convert_to_tensor(weights, x.dtype), (3, 4))
    else:
        lost = ops.mean(lost, (3, 4))
    return 1 - ops.mean(lost, (1, 2))


def bands(x: Any, level: int, orientations: int) -> Complex:
    """The oriented bands of one level, real and imaginary, each ``(n, c, orientations, h', w')``."""
    kind = keras.backend.standardize_dtype(x.dtype)
    # No band sees the mean; without it float32 has all its digits for what they see.
    x = x - ops.mean(x, (2, 3), keepdims=True)
    constants = planes.made(partial(_matrices, level, orientations), *planes.sides(x))
    down, across, gains, upward, along = (_constant(matrix, kind) for matrix in constants)
    low = _times(down, _times((x, None), across))
    low = tuple(ops.expand_dims(part, 2) for part in low)
    re, im = gains
    filtered = low[0] * re - low[1] * im, low[0] * im + low[1] * re
    return _times(_times(upward, filtered), along)


def _times(a: Complex, b: Complex) -> Complex:
    """A matrix product of complex numbers as pairs; None for no imaginary part."""
    (ar, ai), (br, bi) = a, b
    if ai is None:
        return planes.product_of(ar, br), planes.product_of(ar, bi)
    real = planes.product_of(ar, br) - planes.product_of(ai, bi)
    return real, planes.product_of(ar, bi) + planes.product_of(ai, br)


def _constant(matrix: planes.Matrix, dtype: str) -> Complex:
    if not isinstance(matrix, np.ndarray):
        return ops.cast(ops.real(matrix), dtype), ops.cast(ops.imag(matrix), dtype)
    real, imaginary = (np.ascontiguousarray(part) for part in (np.real(matrix), np.imag(matrix)))
    return ops.convert_to_tensor(real, dtype), ops.convert_to_tensor(imaginary, dtype)


@lru_cache(maxsize=32)
def _matrices(level: int, orientations: int, height: int, width: int) -> tuple[np.ndarray, ...]:
    """The transforms of both axes, the gains of the bands, and the transforms back."""
    [gains] = pyramid.filters(height, width, level, orientations)
    back = [np.linalg.inv(np.fft.fft(np.eye(side))) for side in gains.shape[-2:]]
    return _transform(height, level), _transform(width, level).T, gains, back[0], back[1].T


@lru_cache(maxsize=32)
def _pooling(height: int, width: int, side: int) -> tuple[np.ndarray, ...]:
    """The weights of the windows of a band of ``side`` rows."""
    down, across = (np.asarray(windows.gaussian(count, side / 4)) for count in (height, width))
    return (np.outer(down, across),)


def _transform(side: int, level: int) -> np.ndarray:
    """The lowest frequencies of an axis, those that a level keeps: ``(side', side)``, complex."""
    count = pyramid.halved(side, level - 1)
    kept = np.fft.ifftshift(np.arange(-(count // 2), count - count // 2))
    # The exponent is reduced in whole numbers: products of large ones would lose digits.
    return np.exp(-2j * np.pi * (np.outer(kept, np.arange(side)) % side) / side)


def _box(x: Any, size: int) -> Any:
    """Means of the windows of ``size`` x ``size`` that fit, over the last two axes."""
    return planes.apply(x, *(planes.window(side, windows.uniform(size), "valid") for side in ops.shape(x)[-2:]))
