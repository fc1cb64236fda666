"""The matrix: training loss × metric, on images that no network has seen.

A cell is the mean over images with a bootstrap 95 % interval; with several seeds an image's score is its mean over
the seeds, and the deviation between seeds is given. The best of each column is marked, and every other loss has the
p of a paired sign-flip test against it. Baselines are rows too, but never the best. KID judges whole sets: its cell
is a mean and a deviation over subsets of the images, without a test.

A score that is NaN is in no mean: rows are compared on the images that all of them have a finite score of, a row
with NaN is never the best, and its cell says how many there are (``undefined``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.lab import bakeoff, kid
from lookalike.lab.cells import NOT_FINITE, Row, table_of
from lookalike.lab.columns import AT_ONCE, columns_of
from lookalike.lab.data import Report
from lookalike.lab.pictures import write_pictures
from lookalike.lab.recipe import Recipe, from_json
from lookalike.lab.task import Sets, Task
from lookalike.records import outputs, runs


def judge(
    folder: Path,
    *,
    data: str = "",
    out: Path | None = None,
    device: str = "cpu",
    features: str = kid.DEFAULT,
    force: bool = False,
    report: Report = print,
) -> dict[str, Any]:
    """Judge a finished bake-off and write matrix, samples and maps.

    Args:
        folder: the run folder.
        data: other images to judge on: a folder of the kind that the task takes; "" takes the held-out images.
        out: where to write; None writes into the run folder.
        device: that computes.
        features: for KID, as `kid.describer_of` takes it.
        force: replace files of ``out`` that lookalike did not write.
        report: told what is left out.

    Returns:
        What ``matrix.json`` holds.

    Raises:
        ValueError: when the folder is no run of the lab, nothing in it is trained, or there are no such features;
            and when ``out`` holds somebody's files.
    """
    recipe = from_json(runs.read_json(folder / runs.RECIPE))
    lab = runs.read_json(folder / runs.LAB)
    out = folder if out is None else out
    task = bakeoff.TASKS[recipe.task](recipe, 0, device)
    if out != folder:
        written = (runs.RECIPE, runs.LAB, runs.ENVIRONMENT, runs.PAGE, runs.MATRIX, runs.MATRIX_TABLE)
        written += (runs.MATRIX_TEXT, runs.SAMPLES, runs.MAPS, *(entry["name"] for entry in lab["losses"]))
        outputs.claim_folder(out, written, who="lab judge", record=runs.is_lab, force=force)
    if data:
        sets = Sets({}, type(task).to_judge(recipe.but(data=data), out / bakeoff.DATA, report))
    else:
        sets = bakeoff.load(recipe, folder, report)
    rows = [*_losses(folder, lab, recipe, task, sets, device), *_baselines(task, sets)]
    if not any(row.outputs for row in rows if row.kind == "loss"):
        raise ValueError(f"{folder}: no loss is trained to the end yet; run the same lab command again")
    if out != folder:
        lab["samples"]["rows"] = bakeoff.sample_rows(sets)
        _copy_record(folder, out, lab)
    targets = {direction.name: task.held(sets, direction)[1] for direction in task.directions}
    columns = columns_of(task, targets, features)
    matrix = {
        "columns": [
            {"name": entry.name, "title": entry.title, "better": entry.better, "signature": entry.signature}
            for entry in columns
        ],
        "rows": table_of(rows, columns, targets, report),
    }
    write_pictures(out, task, sets, rows)
    runs.write_json(out / runs.MATRIX, matrix)
    _write_tables(out, matrix)
    return matrix


def _copy_record(folder: Path, out: Path, lab: dict[str, Any]) -> None:
    """What a page needs beside the matrix: recipe, losses, environment, curves."""
    for name in (runs.RECIPE, runs.ENVIRONMENT):
        runs.write_json(out / name, runs.read_json(folder / name))
    for curves in folder.glob(f"*/seed*/{runs.TERMS}"):
        runs.write_bytes(out / curves.relative_to(folder), curves.read_bytes())
    runs.write_json(out / runs.LAB, lab)


def _losses(
    folder: Path, lab: dict[str, Any], recipe: Recipe, task: Task[Any], sets: Sets, device: str
) -> list[Row]:
    rows = []
    for entry in lab["losses"]:
        row = Row(entry["label"], "loss", entry["name"], tuple(term.split("#")[0] for term in entry["calibrated"]))
        missing = []
        for seed in lab["seeds"]:
            networks = bakeoff.trained(recipe, folder, entry["name"], seed, device)
            if networks is None:
                missing.append(seed)
            else:
                row.outputs.append(_outputs(task, networks, sets))
        if missing:
            row.outputs.clear()
            row.reason = f"not trained to the end: seed {', '.join(map(str, missing))}"
        rows.append(row)
    return rows


def _outputs(task: Task[Any], networks: nn.ModuleDict, sets: Sets) -> dict[str, Tensor]:
    """The networks' outputs for the held-out images, by direction."""
    rendered = {}
    for direction in task.directions:
        inputs, _ = task.held(sets, direction)
        rendered[direction.name] = torch.cat(
            [task.render(networks, direction, part) for part in inputs.split(AT_ONCE)]
        )
    return rendered


def _baselines(task: Task[Any], sets: Sets) -> list[Row]:
    """What a network must beat: its input as it is, that as a negative, one colour, and no training."""
    changes: dict[str, Callable[[Tensor], Tensor]] = {
        "identity": lambda image: image,
        "negative": lambda image: 1 - image,
        "mean colour": lambda image: image.mean((2, 3), keepdim=True).expand_as(image),
    }
    rows = [
        Row(
            label,
            "baseline",
            outputs=[{direction.name: change(task.held(sets, direction)[0]) for direction in task.directions}],
        )
        for label, change in changes.items()
    ]
    return [*rows, Row("untrained", "baseline", outputs=[_outputs(task, task.averages, sets)])]


def _write_tables(out: Path, matrix: dict[str, Any]) -> None:
    """The same numbers as CSV, one line a cell, and as Markdown, one line a row."""
    header = [
        "row",
        "kind",
        "metric",
        "mean",
        "low",
        "high",
        "sd_seeds",
        "sd_subsets",
        "n",
        "best",
        "own",
        "p",
        "absent",
        "signature",
    ]
    keys = ("mean", "low", "high", "sd_seeds", "sd_subsets", "n", "best")
    lines = [
        [row["label"], row["kind"], column["name"], *(cell.get(key) for key in keys), column["name"] in row["own"],
         cell.get("p"), cell.get("absent"), column["signature"]]
        for row in matrix["rows"]
        for column in matrix["columns"]
        for cell in [row["cells"][column["name"]]]
    ]  # fmt: skip
    runs.write_csv(out / runs.MATRIX_TABLE, header, lines)
    runs.write_text(out / runs.MATRIX_TEXT, as_markdown(matrix))


def as_markdown(matrix: dict[str, Any], names: Sequence[str] = ()) -> str:
    """The matrix as a table: best of a column bold, own metric with °, not told from the best (p ≥ 0.05) with ≈;
    the deviation over subsets in parentheses; beside a mean, how many images have no finite score.

    Args:
        matrix: as ``matrix.json`` holds it.
        names: the columns shown, all where none are named.
    """
    columns = [column for column in matrix["columns"] if not names or column["name"] in names]
    marks = {"higher": " ↑", "lower": " ↓", "none": ""}
    heads = [f"{column['name']}{marks[column['better']]}" for column in columns]
    lines = ["| trained with | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for row in matrix["rows"]:
        label = row["label"] if row["kind"] == "loss" else f"*{row['label']}*"
        cells = [_shown(row, column["name"]) for column in columns]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(row: dict[str, Any], name: str) -> str:
    cell = row["cells"][name]
    if "absent" in cell:
        return "NaN" if cell.get("undefined") else "—"
    value = f"{cell['mean']:.4g} "
    value += f"({cell['sd_subsets']:.2g})" if cell["low"] is None else f"[{cell['low']:.3g}, {cell['high']:.3g}]"
    if cell["sd_seeds"] is not None:
        value += f" ± {cell['sd_seeds']:.2g}"
    if cell["best"]:
        value = f"**{value}**"
    if cell.get("undefined"):
        value += f" and {cell['undefined']} NaN"
    return value + ("°" if name in row["own"] else "") + ("≈" if (cell["p"] or 0) >= 0.05 else "")


def undefined_of(matrix: dict[str, Any]) -> list[str]:
    """Of which losses by which metrics scores are NaN or infinite, a line each.

    Example:
        >>> cells = {"psnr": {"mean": 30.0, "undefined": 2}, "ssim": {"mean": 0.9, "undefined": 0}}
        >>> undefined_of({"rows": [{"label": "l1", "kind": "loss", "cells": cells}]})
        ['l1: psnr: 2 scores are not finite']
    """
    return [
        f"{row['label']}: {name}: {cell.get('absent') or str(cell['undefined']) + ' ' + NOT_FINITE}"
        for row in matrix["rows"]
        if row["kind"] == "loss"
        for name, cell in row["cells"].items()
        if cell.get("undefined")
    ]
