"""The cells of the matrix: means over images with their intervals, the best of a column, and tests against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike.lab.columns import AT_ONCE, Column
from lookalike.lab.data import Report
from lookalike.records.statistics import interval, sign_flip_p

NOT_FINITE = "scores are not finite"
_COLUMNS_A_REPORT = 10

Scores = NDArray[np.float64]


@dataclass
class Row:
    """One row of the matrix, with its outputs by seed and direction."""

    label: str
    kind: str
    loss: str | None = None
    metrics: tuple[str, ...] = ()
    outputs: list[dict[str, Tensor]] = field(default_factory=list)
    reason: str = ""


def table_of(
    rows: Sequence[Row], columns: Sequence[Column], targets: dict[str, Tensor], report: Report
) -> list[dict[str, Any]]:
    """The matrix: one entry for each row, with one cell for each column; every tenth column is reported."""
    lines = [
        {
            "label": row.label,
            "kind": row.kind,
            "loss": row.loss,
            "own": [entry.name for entry in columns if entry.metric and entry.metric in row.metrics],
            "cells": {},
        }
        for row in rows
    ]
    for count, column in enumerate(columns, 1):
        cells = whole_cells(rows, column, targets) if column.whole else image_cells(rows, column, targets)
        for line, cell in zip(lines, cells, strict=True):
            line["cells"][column.name] = cell
        if count % _COLUMNS_A_REPORT == 0 or count == len(columns):
            report(f"judged {len(rows)} rows by {count} of {len(columns)} metrics")
    return lines


def image_cells(rows: Sequence[Row], column: Column, targets: dict[str, Tensor]) -> list[dict[str, Any]]:
    """The cells of a column that scores each image: means, intervals, the best, and p against it."""
    scores = [_scores(row, column, targets) for row in rows]
    common = _common([entry for entry in scores if not isinstance(entry, str)])
    best = best_of(
        [_per_image(entry) if row.kind == "loss" else None for row, entry in zip(rows, scores, strict=True)],
        column.better,
    )
    winner = None if best is None else _per_image(scores[best])
    cells: list[dict[str, Any]] = []
    for at, (row, values) in enumerate(zip(rows, scores, strict=True)):
        if isinstance(values, str):
            cells.append({"absent": values})
            continue
        undefined = int((~np.isfinite(_images(values))).sum())
        if not common.any() or undefined == values.shape[1]:
            reason = f"{undefined} of {values.shape[1]} {NOT_FINITE}"
            cells.append({"absent": reason, "undefined": undefined})
            continue
        compared = winner is not None and row.kind == "loss" and at != best
        p = sign_flip_p(_images(values), winner) if compared and winner is not None else None
        cells.append(_cell(values[:, common]) | {"best": at == best, "p": p, "undefined": undefined})
    return cells


def _common(scores: Sequence[Scores]) -> NDArray[np.bool_]:
    """The images that every row has a finite score of, rows without any left out."""
    finite = [np.isfinite(_images(entry)) for entry in scores]
    present = [entry for entry in finite if entry.any()]
    return np.all(present, axis=0) if present else np.zeros(finite[0].shape if finite else 0, bool)


def whole_cells(rows: Sequence[Row], column: Column, targets: dict[str, Tensor]) -> list[dict[str, Any]]:
    """The cells of a column that judges a set: means over seeds, of each seed's value over subsets.

    The deviations over subsets are averaged as squares.
    """
    [direction] = column.directions
    entries: list[tuple[Scores, Scores] | str] = []
    for row in rows:
        absent = _absent(row, column, targets)
        if absent or column.whole is None:
            entries.append(absent)
            continue
        with torch.no_grad():
            values, spreads = zip(*(column.whole(outputs[direction]) for outputs in row.outputs), strict=True)
        undefined = int((~np.isfinite(values)).sum())
        if undefined:
            entries.append(f"{undefined} of {len(values)} {NOT_FINITE}")
            continue
        entries.append((np.array(values), np.array(spreads)))
    best = best_of(
        [
            None if isinstance(entry, str) or row.kind != "loss" else entry[0]
            for row, entry in zip(rows, entries, strict=True)
        ],
        column.better,
    )
    return [
        {"absent": entry, "undefined": int(entry.endswith(NOT_FINITE))}
        if isinstance(entry, str)
        else {
            "mean": float(entry[0].mean()), "low": None, "high": None,
            "sd_subsets": float(np.sqrt(np.square(entry[1]).mean())), "sd_seeds": _between(entry[0]),
            "n": len(targets[direction]), "best": at == best, "p": None,
        }
        for at, entry in enumerate(entries)
    ]  # fmt: skip


def _absent(row: Row, column: Column, targets: dict[str, Tensor]) -> str:
    """Why a row has no score in a column, "" when it has one."""
    if not row.outputs:
        return row.reason
    side = min(targets[column.directions[0]].shape[2:])
    if not column.absent and side < column.min_side:
        return f"needs sides of at least {column.min_side} px, these have {side}"
    return column.absent


def _scores(row: Row, column: Column, targets: dict[str, Tensor]) -> Scores | str:
    """Scores ``(seeds, images)``, or why there are none."""
    absent = _absent(row, column, targets)
    if absent or column.score is None:
        return absent
    with torch.no_grad():
        return np.stack([
            torch.cat([
                column.score(part, target)
                for direction in column.directions
                for part, target in zip(
                    outputs[direction].split(AT_ONCE), targets[direction].split(AT_ONCE), strict=True
                )
            ]).double().cpu().numpy()
            for outputs in row.outputs
        ])  # fmt: skip


def _images(scores: Scores) -> Scores:
    return scores.mean(0)


def _per_image(scores: Scores | str) -> Scores | None:
    return None if isinstance(scores, str) else _images(scores)


def best_of(scores: Sequence[Scores | None], better: str) -> int | None:
    """Which row has the best mean; None where neither direction is best, or no row has a finite one.

    Example:
        >>> best_of([np.array([1.0]), None, np.array([3.0])], "higher")
        2
    """
    means = {
        at: float(values.mean())
        for at, values in enumerate(scores)
        if values is not None and np.isfinite(values.mean())
    }
    if better == "none" or not means:
        return None
    return (max if better == "higher" else min)(means, key=means.__getitem__)


def _cell(scores: Scores) -> dict[str, Any]:
    images = _images(scores)
    low, high = interval(images, np.random.default_rng(0))
    between = _between(scores.mean(1))
    return {"mean": float(images.mean()), "low": low, "high": high, "sd_seeds": between, "n": len(images)}


def _between(seeds: Scores) -> float | None:
    """The deviation between seeds, where there are several."""
    return float(seeds.std(ddof=1)) if len(seeds) > 1 else None
