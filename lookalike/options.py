"""Every error about an option: a number, several numbers, or one of some words; and the word that was meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

_MOST_NUMBERS = 32  # of an option that takes any number of them: more scales than halvings of any image
_SIGMAS = (0.01, 10_000.0)  # in pixels: below, a Gaussian is one tap; above, its window is larger than any image


def meant(given: object, known: Iterable[str]) -> str:
    """The nearest of the words that exist, as the end of a clause; "" where none is near.

    Capitals, and hyphens for underscores, keep no word away.

    Example:
        >>> meant("SSIM", ["l1", "ssim", "ms_ssim"]), meant("LPIPS-Alex", ["lpips_alex"]), meant("x", ["ssim"])
        (" (did you mean 'ssim'?)", " (did you mean 'lpips_alex'?)", '')
    """
    words = {_canonical(word): word for word in known}
    near = difflib.get_close_matches(_canonical(str(given)), words, 1, 0.3)
    return f" (did you mean {words[near[0]]!r}?)" if near else ""


def there_are(given: object, known: Iterable[str], most: int = 8) -> str:
    """What there is, for the end of an error: all of a few words, of many those that are nearest to what was given.

    Example:
        >>> there_are("x", ["ssim", "l1"]), there_are("ssm", ["l1", "l2", "ssim", "ms_ssim"], 2)
        ('there are ssim, l1', 'there are ssim, ms_ssim and 2 more')
    """
    words = list(known)
    if len(words) <= most:
        return f"there are {', '.join(words)}"
    plain = {_canonical(word): word for word in words}
    near = [plain[word] for word in difflib.get_close_matches(_canonical(str(given)[:80]), plain, most, 0.0)]
    return f"there are {', '.join(near)} and {len(words) - len(near)} more"


def _canonical(word: str) -> str:
    return word.lower().replace("-", "_")


def choice(who: str, name: str, value: object, choices: Iterable[str]) -> None:
    """Raise unless ``value`` is one of the words.

    Raises:
        ValueError: with the nearest word.

    Example:
        >>> choice("ssim", "border", "valide", ("valid", "zero"))
        Traceback (most recent call last):
        ValueError: ssim: border must be one of valid, zero; got 'valide' (did you mean 'valid'?)
    """
    known = tuple(choices)
    if isinstance(value, str) and value in known:
        return
    hint = meant(value, known) if isinstance(value, str) else ""
    shown = ", ".join(known) if len(known) <= 8 else there_are(value, known).removeprefix("there are ")
    raise ValueError(f"{who}: {name} must be one of {shown}; got {value!r}{hint}")


def real(
    who: str, name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> float:
    """A finite number within bounds, as a float.

    Args:
        who, name: of the metric and the option, for the error.
        value: what was given.
        above: the value must be greater.
        least, most: bounds that count as inside.

    Raises:
        TypeError: for what is not a number.
        ValueError: for a number out of bounds.

    Example:
        >>> real("ssim", "sigma", 2, above=0)
        2.0
        >>> real("ssim", "sigma", "2", above=0)
        Traceback (most recent call last):
        TypeError: ssim: sigma must be a number, got '2'
        >>> real("ssim", "sigma", -2, above=0)
        Traceback (most recent call last):
        ValueError: ssim: sigma must be a number greater than 0, got -2
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{who}: {name} must be a number, got {value!r}")
    number = float(value)
    if not (math.isfinite(number) and number > above and least <= number <= most):
        raise ValueError(f"{who}: {name} must be a number{_bounds(above, least, most)}, got {value!r}")
    return number


def width(who: str, name: str, value: Any) -> float:
    """The standard deviation of a Gaussian in pixels, 0.01 to 10,000.

    Raises:
        TypeError: for what is not a number.
        ValueError: for a number out of bounds.

    Example:
        >>> width("ssim", "sigma", 1.5)
        1.5
        >>> width("ssim", "sigma", 1e-300)
        Traceback (most recent call last):
        ValueError: ssim: sigma must be a number from 0.01 to 10000, got 1e-300
    """
    return real(who, name, value, least=_SIGMAS[0], most=_SIGMAS[1])


def _bounds(above: float, least: float, most: float) -> str:
    if least > -math.inf and most < math.inf:
        return f" from {least:g} to {most:g}"
    parts = [
        f"greater than {above:g}" if above > -math.inf else "",
        f"of at least {least:g}" if least > -math.inf else "",
        f"of at most {most:g}" if most < math.inf else "",
    ]
    clause = " and ".join(part for part in parts if part)
    return f" {clause}" if clause else " that is finite"


def whole(who: str, name: str, value: Any, *, least: int = 1, most: int | None = None, odd: bool = False) -> int:
    """A whole number of at least ``least`` and at most ``most``, where wanted an odd one.

    Raises:
        TypeError: for what is not a number.
        ValueError: for another number.

    Example:
        >>> whole("ssim", "win_size", 11, odd=True)
        11
        >>> whole("ssim", "win_size", 8, odd=True)
        Traceback (most recent call last):
        ValueError: ssim: win_size must be an odd whole number of at least 1, got 8
    """
    number = real(who, name, value)
    if number != int(number) or number < least or (odd and number % 2 == 0):
        kind = "an odd whole number" if odd else "a whole number"
        raise ValueError(f"{who}: {name} must be {kind} of at least {least}, got {value!r}")
    if most is not None and number > most:
        raise ValueError(f"{who}: {name} must be at most {most:,}, got {value!r}")
    return int(number)


def reals(
    who: str,
    name: str,
    values: Any,
    *,
    count: int | None = None,
    above: float = -math.inf,
    least: float = -math.inf,
) -> tuple[float, ...]:
    """Several finite numbers, as a tuple of floats.

    Args:
        who, name: of the metric and the option, for the error.
        values: what was given.
        count: how many there must be; None: 1 to 32.
        above, least: bounds of each, as in `real`.

    Raises:
        TypeError: for what is not a sequence of numbers.
        ValueError: for a wrong count or numbers out of bounds.

    Example:
        >>> reals("ssim", "K", (0.01, 0.03), count=2, above=0)
        (0.01, 0.03)
        >>> reals("ssim", "K", 0.01, count=2)
        Traceback (most recent call last):
        TypeError: ssim: K must be 2 numbers, got 0.01
    """
    expected = f"{count} numbers" if count is not None else f"1 to {_MOST_NUMBERS} numbers"
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{who}: {name} must be {expected}, got {values!r}")
    if len(values) != count if count is not None else not 0 < len(values) <= _MOST_NUMBERS:
        raise ValueError(f"{who}: {name} must be {expected}, got {values!r}")
    return tuple(real(who, f"each of {name}", value, above=above, least=least) for value in values)
