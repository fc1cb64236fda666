"""Luma, L*a*b* and CIEDE2000 with `keras.ops`: the formulas of `ops.colour` and `metrics.colour`.

Sharma, Wu, Dalal, Color Research and Application 30(1), 2005, doi 10.1002/col.20070.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from lookalike.conventions import Luma
from lookalike.keras import planes
from lookalike.metric import Metric
from lookalike.ops import colour


def luma(x: Any, rule: Luma = "bt601") -> Any:
    """Luma of gamma-encoded RGB ``(n, 1 or 3, h, w)``, as `ops.colour.luma` has it."""
    if x.shape[1] == 3:
        red, green, blue = (weight * x[:, i : i + 1] for i, weight in enumerate(colour.WEIGHTS[rule]))
        x = red + green + blue
    return to_levels(x) if rule in ("rounded", "matlab") else x


def to_levels(x: Any) -> Any:
    """Round the unit range to 256 levels, halves upward; the gradient passes straight through.

    Example:
        >>> round(float(to_levels(ops.convert_to_tensor(0.5))) * 255, 3)
        128.0
    """
    return x + ops.stop_gradient(ops.floor(x * 255 + 0.5) / 255 - x)


def ciede2000(metric: Metric, x: Any, y: Any, mask: Any = None) -> Any:
    """Mean CIEDE2000 difference ``(n,)`` of a pair of sRGB images ``(n, 3, h, w)`` in the unit range.

    A pixel counts as much as the channel of the mask in which it counts least.
    """
    return planes.mean(ciede2000_map(metric, x, y), None if mask is None else ops.min(mask, 1, keepdims=True))


def ciede2000_map(metric: Metric, x: Any, y: Any) -> Any:
    """The CIEDE2000 difference of each pixel, ``(n, 1, h, w)``."""
    return ops.expand_dims(difference(lab(x), lab(y)), 1)


def lab(x: Any) -> tuple[Any, Any, Any]:
    """L*, a* and b* of gamma-encoded sRGB under D65, each ``(n, h, w)``.

    Example:
        >>> red = ops.reshape(ops.convert_to_tensor([1.0, 0.0, 0.0]), (1, 3, 1, 1))
        >>> [round(float(ops.squeeze(value)), 1) for value in lab(red)]
        [53.2, 80.1, 67.2]
    """
    red, green, blue = (_linear(x[:, channel]) for channel in range(3))
    # The weights sum to 1, so this is their sum, without rounding where red = green = blue.
    relative = [green + r * (red - green) + b * (blue - green) for r, _, b in colour.XYZ_OF_RGB]
    fx, fy, fz = (_compressed(value) for value in relative)
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(x: tuple[Any, Any, Any], y: tuple[Any, Any, Any]) -> Any:
    """ΔE00 of colours given as L*, a*, b*, eq. 2–22 of the paper, ``(n, h, w)``.

    Example:
        >>> a, b = (tuple(map(ops.convert_to_tensor, lab)) for lab in ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0]))
        >>> round(float(difference(a, b)), 3)
        27.149
    """
    (L1, a1, b1), (L2, a2, b2) = x, y
    G = 0.5 * (1 - _seventh((_length(a1, b1) + _length(a2, b2)) / 2))
    a1, a2 = (1 + G) * a1, (1 + G) * a2
    C1, C2 = _length(a1, b1), _length(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)

    grey = ops.equal(C1 * C2, 0)
    gap = ops.stop_gradient(h2 - h1)
    turn = ops.where(gap < -math.pi, 2 * math.pi, ops.where(gap > math.pi, -2 * math.pi, 0.0))
    turn = ops.cast(turn, h1.dtype)
    dH = 2 * _root(C1 * C2) * ops.sin(ops.where(grey, 0.0, h2 - h1 + turn) / 2)
    dL, dC = L2 - L1, C2 - C1

    around = ops.where(h1 + h2 < 2 * math.pi, ops.abs(turn), -ops.abs(turn))
    h = ops.where(grey, h1 + h2, (h1 + h2 + around) / 2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    T = (
        1 - 0.17 * ops.cos(h - math.radians(30)) + 0.24 * ops.cos(2 * h)
        + 0.32 * ops.cos(3 * h + math.radians(6)) - 0.20 * ops.cos(4 * h - math.radians(63))
    )  # fmt: skip
    turned = math.radians(30) * ops.exp(-ops.square((h - math.radians(275)) / math.radians(25)))
    RT = -ops.sin(2 * turned) * 2 * _seventh(C)
    SL = 1 + 0.015 * ops.square(L - 50) / ops.sqrt(20 + ops.square(L - 50))
    l, c, h = dL / SL, dC / (1 + 0.045 * C), dH / (1 + 0.015 * C * T)  # noqa: E741 - as in the paper
    return _root(l * l + c * c + h * h + RT * c * h)


def _linear(x: Any) -> Any:
    curved = x > 0.04045
    return ops.where(curved, ops.power((ops.where(curved, x, 1.0) + 0.055) / 1.055, 2.4), x / 12.92)


def _compressed(relative: Any) -> Any:
    curved = relative > (6 / 29) ** 3
    root = ops.power(ops.where(curved, relative, 1.0), 1 / 3)
    return ops.where(curved, root, relative * (841 / 108) + 4 / 29)


def _seventh(chroma: Any) -> Any:
    """√(C⁷ / (C⁷ + 25⁷)), without powers that float32 cannot hold."""
    power = ops.power(chroma / 25, 7.0)
    return _root(power / (1 + power))


def _hue(a: Any, b: Any) -> Any:
    """The angle of a colour in [0, 2π); 0 for a grey."""
    grey = a * a + b * b < 1e-30  # less, and the derivative, which divides by it, overflows in float32
    angle = ops.arctan2(ops.where(grey, 0.0, b), ops.where(grey, 1.0, a))
    return ops.where(angle < 0, angle + 2 * math.pi, angle)


def _length(x: Any, y: Any) -> Any:
    return _root(x * x + y * y)


def _root(x: Any) -> Any:
    """√x, whose gradient at zero is 0 instead of infinite; what rounding left below zero is zero."""
    none = x <= 0
    return ops.where(none, 0.0, ops.sqrt(ops.where(none, 1.0, x)))
