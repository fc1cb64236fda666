"""The string that says how a number was made: every number that is printed or saved carries one.

``ssim|conv:wang2004|win:gauss11s1.5|…|v:1`` – the metric, its settings, and last the version of the metric's
formula, which changes only when a number changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def number(value: float) -> str:
    """A number in the shortest form that loses nothing.

    Example:
        >>> number(1.0), number(0.03), number(1 / 3)
        ('1', '0.03', '0.3333333333333333')
    """
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def numbers(values: Iterable[float]) -> str:
    """Several numbers as a signature says them.

    Example:
        >>> numbers((1, 0.5))
        '1,0.5'
    """
    return ",".join(number(value) for value in values)


def unusual(settings: Mapping[str, tuple[object, object]]) -> dict[str, object]:
    """Of settings with their defaults, those with another value: a formula's own numbers need no naming.

    Example:
        >>> unusual({"worst": (0.1, 0.05), "sigma": (1.5, 1.5)})
        {'worst': 0.1}
    """
    return {key: value for key, (value, default) in settings.items() if value != default}


def data_range(value: float | tuple[float, float]) -> str:
    """A range as a signature says it: ``255``, or ``-1..1``.

    Example:
        >>> data_range(255.0), data_range((-1, 1))
        ('255', '-1..1')
    """
    return "..".join(number(end) for end in value) if isinstance(value, tuple) else number(value)


def write(name: str, settings: Mapping[str, object], version: int) -> str:
    """One signature.

    Args:
        name: the metric's name.
        settings: what the number depends on, in reading order; values None are left out.
        version: of the metric's formula.

    Raises:
        ValueError: when a part holds the separator.

    Example:
        >>> write("psnr", {"range": 255.0, "colour": "rgb"}, 1)
        'psnr|range:255|colour:rgb|v:1'
    """
    parts = [name]
    for key, value in settings.items():
        if value is not None:
            parts.append(f"{key}:{number(value) if isinstance(value, int | float) else value}")
    parts.append(f"v:{version}")
    for part in parts:
        if "|" in part:
            raise ValueError(f"signature: {part!r} holds '|', which separates the parts")
    return "|".join(parts)


def extended(text: str, before: Mapping[str, object]) -> str:
    """A signature that also says what was done before the metric; the version stays last.

    Args:
        text: a signature.
        before: what was done, in order; values None are left out. What the metric has a setting of the same name
            for is marked, ``crop-before``: neither replaces the other.

    Raises:
        ValueError: as `read` and `write`.

    Example:
        >>> extended("psnr|range:255|v:1", {"alpha": "white", "profile": None})
        'psnr|range:255|alpha:white|v:1'
        >>> extended("psnr|crop:4|range:255|v:1", {"crop": 2, "alpha": None})
        'psnr|crop:4|range:255|crop-before:2|v:1'
    """
    name, settings = read(text)
    version = int(settings.pop("v"))
    done = {key: value for key, value in before.items() if value is not None}
    return write(
        name, {**settings, **{f"{key}-before" if key in settings else key: done[key] for key in done}}, version
    )


def read(text: str) -> tuple[str, dict[str, str]]:
    """The name and the settings of a signature.

    Raises:
        ValueError: when the text is no signature.

    Example:
        >>> read("psnr|range:255|v:1")
        ('psnr', {'range': '255', 'v': '1'})
    """
    name, *parts = text.split("|")
    settings = dict(part.split(":", 1) for part in parts if ":" in part)
    if not name or len(settings) != len(parts) or "v" not in settings:
        raise ValueError(f"signature: {text!r} is not of the form name|key:value|…|v:1")
    return name, settings
