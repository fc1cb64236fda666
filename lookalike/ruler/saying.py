"""Which conventions a printed number can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from lookalike.ruler.reading import Reading

FINEST = 1e-6  # programs that compute in float32 scatter by this much, however many digits they print


def printed(text: str) -> tuple[float, float]:
    """A number as it was printed, and how far from it the number meant may be.

    Args:
        text: such as ``"0.7719"`` or ``"7.7e-1"``; its digits say how far it was rounded.

    Returns:
        The number, and half a unit of its last digit.

    Raises:
        ValueError: when it is not a number.

    Example:
        >>> printed("0.7720")
        (0.772, 5e-05)
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"ruler: --is takes a number as it was printed, such as 0.7719; got {text!r}") from None
    if number.is_finite():
        half = float(Decimal((0, (5,), int(number.as_tuple().exponent) - 1)))
        if math.isfinite(float(number)) and math.isfinite(half):  # 1e999 is finite as a decimal alone
            return float(number), half
    raise ValueError(f"ruler: --is takes a finite number, such as 0.7719; got {text!r}")


def giving(readings: Sequence[Reading], text: str) -> list[Reading]:
    """The readings that would print as a number does.

    Args:
        readings: as `run` gives them.
        text: the number as it was printed.

    Raises:
        ValueError: when it is not a number.
    """
    number, half = printed(text)
    within = max(half * (1 + 1e-9), FINEST)  # the half itself counts, rounded up or to even
    return [reading for reading in readings if reading.value is not None and abs(reading.value - number) <= within]


def nearest(readings: Sequence[Reading], text: str, count: int = 3) -> list[Reading]:
    """The readings closest to a number, closest first; those without a value are left out."""
    number, _ = printed(text)
    distances = [
        (abs(reading.value - number), index)
        for index, reading in enumerate(readings)
        if reading.value is not None and not math.isnan(reading.value)
    ]
    return [readings[index] for _, index in sorted(distances)[:count]]


def distance(reading: Reading, text: str) -> float:
    """How far a reading is from a number as it was printed."""
    number, _ = printed(text)
    return math.inf if reading.value is None else abs(reading.value - number)


def summary(readings: Sequence[Reading]) -> str:
    """One line: how far the conventions are apart.

    Example:
        >>> reading = Reading(convention="a", source="", proof="", value=0.5, signature="")
        >>> summary([reading])
        '1 convention from 0.5000 to 0.5000, 0 declined'
    """
    values = [reading.value for reading in readings if reading.value is not None and not math.isnan(reading.value)]
    declined = f"{len(readings) - len(values)} declined"
    if not values:
        return declined
    plural = "" if len(values) == 1 else "s"
    return f"{len(values)} convention{plural} from {min(values):.4f} to {max(values):.4f}, {declined}"
