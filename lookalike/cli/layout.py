"""Tables for a given width: cells break between words and after the bars of signatures, never within a word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_GAP = 2
_TALLEST = 4  # lines of a row; where a cell would take more, each row becomes a block
_PIECE = re.compile(r"[^\s|]*\|?\s*")  # what is not broken, and the space after it


def cells_wide(text: str) -> int:
    """How many cells of a terminal a text takes.

    Example:
        >>> cells_wide("ssim"), cells_wide("日本"), cells_wide("e\\u0301")
        (4, 4, 1)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(bool(unicodedata.combining(letter)) for letter in text)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most a width, broken at spaces and after ``|``; a longer piece is cut.

    Example:
        >>> wrapped("ssim|win:gauss11s1.5|border:valid of two words", 22)
        ['ssim|win:gauss11s1.5|', 'border:valid of two', 'words']
    """
    lines = [""]
    for piece in (part for part in _PIECE.findall(text) if part):
        if lines[-1] and cells_wide((lines[-1] + piece).rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece
        while cells_wide(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], width: int | None) -> str:
    """A table as text.

    Args:
        header: names of the columns.
        rows: cells, as many as names.
        numbers: the columns aligned to the right; they, and the first column, are never broken.
        width: of the terminal; None: a line a row, however long.

    Returns:
        Lines; where the columns have no room beside one another, a block a row, with a line a cell.

    Example:
        >>> print(table(("metric", "value"), [("ssim", "0.5"), ("psnr", "30")], [1], 80))
        metric  value
        ─────────────
        ssim      0.5
        psnr       30
    """
    natural = [max(cells_wide(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    if width is None or sum(natural) + _GAP * (len(header) - 1) <= width:
        return _beside(header, rows, numbers, natural)
    fixed = {0, *numbers}
    least = [
        natural[index] if index in fixed else max(_longest_piece(cell) for cell in column)
        for index, column in enumerate(zip(header, *rows, strict=True))
    ]
    widths = _shared(natural, least, width - _GAP * (len(header) - 1))
    if widths is not None and all(
        len(wrapped(cell, widths[index])) <= _TALLEST for row in rows for index, cell in enumerate(row)
    ):
        return _beside(header, rows, numbers, widths)
    return _blocks(header, rows, width)


def _longest_piece(text: str) -> int:
    return max((cells_wide(piece.rstrip()) for piece in _PIECE.findall(text)), default=0)


def _shared(natural: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Widths that fit, the narrow columns whole; None where the longest words have no room."""
    if sum(least) > room:
        return None
    widths = list(least)
    for index in sorted(range(len(natural)), key=lambda index: natural[index] - least[index]):
        widths[index] += min(natural[index] - least[index], room - sum(widths))
    return widths


def _beside(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], widths: list[int]) -> str:
    lines = [_line(header, numbers, widths), ["─" * (sum(widths) + _GAP * (len(widths) - 1))]]
    lines += [_line(row, numbers, widths) for row in rows]
    return "\n".join(line for row in lines for line in row)


def _line(cells: Sequence[str], numbers: Sequence[int], widths: Sequence[int]) -> list[str]:
    columns = [wrapped(cell, width) if cell else [""] for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, columns))
    lines = []
    for at in range(height):
        parts = []
        for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
            text = column[at] if at < len(column) else ""
            space = " " * (width - cells_wide(text))
            parts.append(space + text if index in numbers else text + space)
        lines.append((" " * _GAP).join(parts).rstrip())
    return lines


def _blocks(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """The first cell on a line of its own, the others below it, each after its name."""
    lines = []
    for row in rows:
        lines += wrapped(f"{header[0]} {row[0]}" if header[0] else row[0], width)
        named = [f"  {name}" for name in header[1:]]
        lines.append(pairs(list(zip(named, row[1:], strict=True)), width))
    return "\n".join(lines)


def pairs(named: Sequence[tuple[str, str]], width: int | None) -> str:
    """Names and what they are, one below the other; what is long goes on below its beginning.

    Example:
        >>> print(pairs([("better", "higher"), ("range", "0 to 1")], 80))
        better  higher
        range   0 to 1
    """
    across = max(cells_wide(name) for name, _ in named) + _GAP
    lines = []
    for name, text in named:
        first, *rest = wrapped(text, max(width - across, 8)) if text and width else [text]
        lines.append(f"{name}{' ' * (across - cells_wide(name))}{first}".rstrip())
        lines += [" " * across + line for line in rest]
    return "\n".join(lines)
