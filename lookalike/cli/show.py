"""How the commands print: tables that fit a terminal, or one row a line into a pipe, and JSON."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lookalike.cli import layout

DASH = "—"
# Controls, ends of lines, and what turns the direction of writing.
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Text of others, a file's name say, that cannot move the cursor or end a line: controls stand escaped.

    Example:
        >>> visible("a\x1b[31m\nb"), visible("\u202e")
        ('a\\x1b[31m\\nb', '\\u202e')
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def as_json(value: Any) -> None:
    """Print JSON that any parser reads; numbers that are not finite become ``"inf"``, ``"-inf"`` and ``"nan"``."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def as_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """Print a table.

    Args:
        header: names of the columns.
        rows: cells, as many as names.
        numbers: the columns aligned to the right.
    """
    cells = [[visible(cell) for cell in row] for row in rows]
    print(layout.table([visible(name) for name in header], cells, numbers, _width()))


def as_line(text: str) -> None:
    """Print text as it is, but for controls, folded at words where a terminal is narrow."""
    width = _width()
    for line in (visible(line) for line in text.split("\n")):
        print("\n".join(layout.wrapped(line, width)) if width else line)


def as_text(text: str) -> None:
    """Print lines that are laid out already, as they are but for controls."""
    print("\n".join(visible(line) for line in text.split("\n")))


def as_pairs(lines: Mapping[str, str]) -> None:
    """Print names and what they are, one below the other."""
    print(layout.pairs([(name, visible(text)) for name, text in lines.items()], _width()))


def as_path(path: object) -> None:
    """Print where something was written, or what is said of it: on one line, whatever its name holds."""
    as_line(visible(str(path)))


def as_remarks(lines: Iterable[str]) -> None:
    """Print lines beside the result, a line each whatever stands in them."""
    for line in lines:
        print(visible(line), file=sys.stderr)


def number(value: float | None, digits: int = 6) -> str:
    """A score in a table: six significant digits, a dash where there is none.

    Example:
        >>> number(0.77193512), number(None), number(float("inf"))
        ('0.771935', '—', 'inf')
    """
    return DASH if value is None else f"{value:.{digits}g}"


def extent(data_range: Sequence[float], who: str) -> float | tuple[float, float] | None:
    """``--data-range`` as the library takes it: nothing, a width from 0, or two ends.

    Raises:
        ValueError: for more than two numbers.

    Example:
        >>> extent([], "doc"), extent([255.0], "doc"), extent([-1.0, 1.0], "doc")
        (None, 255.0, (-1.0, 1.0))
    """
    match data_range:
        case []:
            return None
        case [high]:
            return high
        case [low, high]:
            return low, high
    raise ValueError(f"{who}: --data-range takes one number or two, got {len(data_range)}")


def limit(max_pixels: int | None, who: str) -> dict[str, Any]:
    """The option ``max_pixels`` where it was given.

    Raises:
        ValueError: for less than one pixel.
    """
    if max_pixels is not None and max_pixels < 1:
        raise ValueError(f"{who}: --max-pixels is a number of pixels >= 1, got {max_pixels}")
    return {} if max_pixels is None else {"max_pixels": max_pixels}


def is_terminal() -> bool:
    """Whether somebody looks at what is printed."""
    return sys.stdout.isatty()


def _width() -> int | None:
    """Of the terminal that is printed to; None for a pipe, which has none."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
