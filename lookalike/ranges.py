"""What range the values of an image have: the two ends of a ``data_range``, and what to pass where it is wrong."""

from __future__ import annotations

import math

DataRange = float | tuple[float, float]

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


def describe_range(carried: DataRange | None) -> str:
    """The kind of image that carries a range, in words.

    Example:
        >>> describe_range(255.0), describe_range(None)
        ('8-bit', 'float')
    """
    return {None: "float", 255.0: "8-bit", 65535.0: "16-bit"}.get(carried, f"of range {carried}")  # type: ignore
