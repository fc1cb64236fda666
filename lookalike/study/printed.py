"""A study as text, for terminals and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from lookalike.records import runs


def table(record: Mapping[str, Any]) -> str:
    """A table a photograph, the reasons for what is missing, and the signature of every column.

    Args:
        record: as `lookalike.study.run` returns it, or ``scores.json`` read back.
    """
    lines: list[str] = []
    for photograph in record["photographs"]:
        lines += [*_photograph(photograph, record["columns"]), ""]
    signatures = {column["title"]: column["signature"] for column in record["columns"]}
    if record["paper"]:
        lines += [*_paper(record["paper"]), ""]
        for compared in record["paper"]["compared"]:
            signatures |= {f"{compared['title']} {ours['title']}": ours["signature"] for ours in compared["ours"]}
    lines += [f"{title}: {signature}" for title, signature in signatures.items()]
    return "\n".join(lines)


def _photograph(photograph: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> list[str]:
    colour = "grey" if photograph["channels"] == 1 else "RGB"
    rows: list[list[str]] = []
    notes: list[str] = []
    for picture in photograph["pictures"]:
        scores = [picture["scores"][column["name"]] for column in columns]
        numbers = [
            runs.shown(score["value"], column["digits"]) for score, column in zip(scores, columns, strict=True)
        ]
        rows.append([f"{picture['title']} {picture['setting']}".rstrip(), *numbers])
        if picture["note"]:
            notes.append(f"{picture['title']}: {picture['note']}")
        notes += [score["reason"] for score in scores if score["value"] is None]
    return [
        f"{photograph['title']}, {photograph['width']}x{photograph['height']} {colour}; "
        f"equal-error set at MSE {runs.shown(photograph['target_mse'], 1)}",
        *_aligned([column["title"] for column in columns], rows),
        *(f"  {note}" for note in dict.fromkeys(notes)),
    ]


def _paper(paper: Mapping[str, Any]) -> list[str]:
    titles = [
        title
        for comparison in paper["compared"]
        for title in (comparison["title"], *(ours["title"] for ours in comparison["ours"]))
    ]
    rows: list[list[str]] = []
    for row in paper["rows"]:
        numbers: list[str] = []
        for comparison in paper["compared"]:
            numbers.append(runs.shown(row["paper"][comparison["paper"]], comparison["digits"]))
            numbers += [
                runs.shown(row["ours"][ours["name"]]["value"], ours["digits"]) for ours in comparison["ours"]
            ]
        rows.append([f"{row['letter']} {row['title']}", *numbers])
    return [
        f"the paper beside ours: {paper['citation']}",
        *_aligned(titles, rows),
        *(f"  {reason}" for reason in paper["reasons"]),
    ]


def _aligned(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what they hold, titles broken at their spaces and set above them."""
    title_words = [title.split()[::-1] for title in titles]
    head = [["", *parts] for parts in zip_longest(*title_words, fillvalue="")][::-1]
    cells = [*head, *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(titles) + 1)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]
