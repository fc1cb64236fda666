"""What range the values of an image have: the two ends of a ``data_range``, and what to pass where it is wrong."""

from __future__ import annotations

import math

DataRange = float | tuple[float, float]

_LEAST = 1e-30  # of a range: its square is no number in single precision, but it and values in it are
TOLERANCE = 1e-3  # of the range: resampling and compression overshoot by less


def bounds(data_range: DataRange, who: str = "data_range") -> tuple[float, float]:
    """The two ends of a range, checked.

    Args:
        data_range: the width of a range that starts at 0, or its two ends.
        who: named in the error.

    Returns:
        ``(low, high)``.

    Raises:
        ValueError: when it is neither, or its width is not positive and finite.

    Example:
        >>> bounds(255), bounds((-1, 1))
        ((0.0, 255.0), (-1.0, 1.0))
    """
    ends = data_range if isinstance(data_range, tuple) else (0.0, data_range)
    try:
        low, high = (float(end) for end in ends if not isinstance(end, str))
    except (TypeError, ValueError):
        raise ValueError(
            f"{who}: data_range must be a number such as 1 or 255, or a pair such as (-1, 1); got {data_range!r}"
        ) from None
    if not (high > low and math.isfinite(high - low)):
        raise ValueError(f"{who}: data_range must have a positive, finite width; got {data_range!r}")
    if not _LEAST <= high - low <= 1 / _LEAST:
        raise ValueError(
            f"{who}: data_range must be between {_LEAST:g} and {1 / _LEAST:g} wide, what single precision can "
            f"divide by; got {data_range!r}"
        )
    return low, high


def advice(least: float, most: float) -> str:
    """What to pass for values from ``least`` to ``most``, as the end of a sentence.

    Example:
        >>> advice(-1.0, 0.9), advice(0.0, 255.0)
        ('pass data_range=(-1, 1)', 'pass data_range=255')
    """
    if -1.001 <= least < 0 and most <= 1.001:
        return "pass data_range=(-1, 1)"
    if least >= 0 and 1 < most <= 255.3:
        return "pass data_range=255"
    if least >= 0 and 255 < most <= 65600:
        return "pass data_range=65535"
    return "pass the data_range these values have"


def mismatch(least: float, most: float, low: float, high: float, *, fractions: bool = True) -> str | None:
    """What speaks against a range in the values of a reference, with what to pass; None where they fit.

    A reference holds no values beyond its range but for the overshoot of resampling. Values that fill a small part
    of the range only are doubted where that part is another usual range: [0, 1] in 0-255, 0-255 in 0-65535, and
    values that start at 0 in (-1, 1).

    Args:
        least, most: of the values; NaN where there are none, which says nothing.
        low, high: the two ends of the range, as `bounds` gives them.
        fractions: whether any value is no whole number. Whole numbers 0 and 1 are also dark 8-bit images, and a
            mask of 0 and 1 may be meant in (-1, 1); they are not doubted.

    Example:
        >>> mismatch(0.0, 255.0, 0.0, 1.0)
        'its values lie in [0, 255], outside data_range=(0, 1); pass data_range=255'
        >>> mismatch(0.0, 0.98, 0.0, 255.0)
        'all its values lie in [0, 0.98], a small part of data_range=(0, 255); pass data_range=1'
        >>> mismatch(-0.0004, 1.0004, 0.0, 1.0) is None, mismatch(12.0, 255.0, 0.0, 255.0) is None
        (True, True)
    """
    width = high - low
    slack = TOLERANCE * width
    extent = f"its values lie in [{least:.4g}, {most:.4g}]"
    if least < low - slack or most > high + slack:
        # Lanczos and bicubic filters overshoot by up to a tenth of what the values span, a wrong range by more.
        overshoot = least >= low - width / 10 and most <= high + width / 10 and most - least > width / 4
        remedy = "clip them, or pass the data_range these values have" if overshoot else advice(least, most)
        return f"{extent}, outside data_range=({low:g}, {high:g}); {remedy}"
    if not fractions or least < 0 or most <= 0:
        return None
    part = f"all {extent}, a small part of data_range=({low:g}, {high:g})"
    if low == 0 and high >= 100 and most <= 1:
        return f"{part}; pass data_range=1"
    if low == 0 and high >= 65000 and most <= 255:
        return f"{part}; pass data_range=255"
    if low == -high and least <= high / 50 and most > high / 2:
        return f"all {extent}, the upper half of data_range=({low:g}, {high:g}); pass data_range={high:g}"
    return None


def describe_range(carried: DataRange | None) -> str:
    """The kind of image that carries a range, in words.

    Example:
        >>> describe_range(255.0), describe_range(None)
        ('8-bit', 'float')
    """
    return {None: "float", 255.0: "8-bit", 65535.0: "16-bit"}.get(carried, f"of range {carried}")  # type: ignore
