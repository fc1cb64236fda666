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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike import registry, signature, weights
from lookalike.lab import bakeoff, kid
from lookalike.lab.data import Report, as_levels
from lookalike.lab.recipe import Recipe, from_json
from lookalike.lab.task import Direction, Sets, Task
from lookalike.metric import Metric
from lookalike.metrics.ssim import SSIM
from lookalike.ops import colour
from lookalike.records import outputs, runs

RESAMPLES = 2000
FLIPS = 9999
EXACT_UP_TO = 12  # images: all sign flips are tried
ROUNDING = 1e-6  # of scores, which are float32
AT_ONCE = 8  # images through a network
_NOT_FINITE = "scores are not finite"
GAIN = 4  # of difference maps: a quarter of the range is white

Scores = NDArray[np.float64]
Judged = Callable[[Tensor, Tensor], Tensor]
JudgedWhole = Callable[[Tensor], tuple[float, float]]


@dataclass(frozen=True)
class Column:
    """One metric on some directions; scores of all their images stand in one column.

    Attributes:
        name: unique.
        title: as tables print it.
        better: ``"higher"``, ``"lower"`` or ``"none"`` where neither end is best.
        signature: how its numbers were made.
        directions: names of those it judges.
        score: of outputs and targets, ``(n,)``; None where it cannot be computed here.
        min_side: the smallest side it takes.
        metric: its name in the catalogue, "" for none: whose loss it is the own metric of.
        absent: why there is no score at all.
        whole: instead of ``score``, of all outputs of its one direction: a mean, and a deviation over subsets.
    """

    name: str
    title: str
    better: str
    signature: str
    directions: tuple[str, ...]
    score: Judged | None
    min_side: int = 1
    metric: str = ""
    absent: str = ""
    whole: JudgedWhole | None = None


@dataclass
class Row:
    """One line of the matrix: what it drew, by seed and direction."""

    label: str
    kind: str
    loss: str | None = None
    metrics: tuple[str, ...] = ()
    outputs: list[dict[str, Tensor]] = field(default_factory=list)
    reason: str = ""


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
        written += (runs.MATRIX_TEXT, runs.SAMPLES, runs.MAPS, *(one["name"] for one in lab["losses"]))
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
    targets = {way.name: task.held(sets, way)[1] for way in task.directions}
    columns = columns_of(task, targets, features)
    matrix = {
        "columns": [
            {"name": one.name, "title": one.title, "better": one.better, "signature": one.signature}
            for one in columns
        ],
        "rows": _table(rows, columns, targets),
    }
    _pictures(out, task, sets, rows)
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


# ---- rows


def _losses(
    folder: Path, lab: dict[str, Any], recipe: Recipe, task: Task[Any], sets: Sets, device: str
) -> list[Row]:
    rows = []
    for one in lab["losses"]:
        row = Row(one["label"], "loss", one["name"], tuple(term.split("#")[0] for term in one["calibrated"]))
        missing = []
        for seed in lab["seeds"]:
            networks = bakeoff.trained(recipe, folder, one["name"], seed, device)
            if networks is None:
                missing.append(seed)
            else:
                row.outputs.append(_drawn(task, networks, sets))
        if missing:
            row.outputs.clear()
            row.reason = f"not trained to the end: seed {', '.join(map(str, missing))}"
        rows.append(row)
    return rows


def _drawn(task: Task[Any], networks: nn.ModuleDict, sets: Sets) -> dict[str, Tensor]:
    """What networks make of the held-out images, by direction."""
    drawn = {}
    for way in task.directions:
        inputs, _ = task.held(sets, way)
        drawn[way.name] = torch.cat([task.render(networks, way, part) for part in inputs.split(AT_ONCE)])
    return drawn


def _baselines(task: Task[Any], sets: Sets) -> list[Row]:
    """What a network must beat: its input as it is, that as a negative, one colour, and no training."""
    made: dict[str, Callable[[Tensor], Tensor]] = {
        "identity": lambda image: image,
        "negative": lambda image: 1 - image,
        "mean colour": lambda image: image.mean((2, 3), keepdim=True).expand_as(image),
    }
    rows = [
        Row(label, "baseline", outputs=[{way.name: change(task.held(sets, way)[0]) for way in task.directions}])
        for label, change in made.items()
    ]
    return [*rows, Row("untrained", "baseline", outputs=[_drawn(task, task.averages, sets)])]


# ---- columns


def columns_of(task: Task[Any], targets: dict[str, Tensor], features: str = kid.DEFAULT) -> list[Column]:
    """Every cheap metric, LPIPS and DISTS where their weights are here; for translations also what is kept of the
    input, how near the colours are to the other side's, and KID to the other side's images.
    """
    paired = tuple(way.name for way in task.directions if way.paired)
    names = registry.cheap() + [
        name
        for name in ("lpips_alex", "lpips_vgg", "dists")
        if weights.present(*registry.metric_class(name).facts.weights)
    ]
    columns = [_metric_column(registry.get(name, check="shapes").to(task.device), paired) for name in names]
    ways = [way for way in task.directions if not way.paired]
    describer = _describer(features, task.device) if ways else ""
    for way in ways:
        goal = targets[next(other.name for other in ways if other != way)]
        columns += _translation_columns(task, way, goal)
        columns.append(_kid_column(way, len(targets[way.name]), goal, describer, features))
    return columns


def _describer(features: str, device: str) -> kid.Describer | str:
    """The features of KID, or why they are not here."""
    try:
        return kid.describer_of(features, device)
    except weights.MissingWeights as missing:
        return str(missing)


def _metric_column(metric: Metric, directions: tuple[str, ...]) -> Column:
    facts = metric.facts
    two_sided = facts.range[0] < facts.identical < facts.range[1]
    return Column(
        facts.name, facts.title, "none" if two_sided else facts.better, metric.signature(), directions, metric,
        metric.min_side, facts.name,
    )  # fmt: skip


def _translation_columns(task: Task[Any], way: Direction, goal: Tensor) -> list[Column]:
    structure = SSIM(check="shapes")
    low = registry.get("ciede2000_low", check="shapes").to(task.device)
    mean, spread = _lab_statistics(goal)

    def kept(outputs: Tensor, inputs: Tensor) -> Tensor:
        return structure(colour.luma(outputs), colour.luma(inputs))

    def far(outputs: Tensor, _: Tensor) -> Tensor:
        return ((_lab_means(outputs) - mean) / spread).norm(dim=1)

    of_luma = f"{structure.signature()}|of:luma,input"
    from_goal = signature.write("lab_distance", {"of": "image-means", "in": "deviations-of-the-other-side"}, 1)
    return [
        Column(f"{way.name}:ssim_luma", f"{way.label}: SSIM of luma to the input", "higher", of_luma, (way.name,),
               kept, 11),
        Column(f"{way.name}:ciede2000_low", f"{way.label}: colour shift from the input", "none",
               f"{low.signature()}|of:input", (way.name,), low),
        Column(f"{way.name}:lab_distance", f"{way.label}: mean colour from the other side's", "lower", from_goal,
               (way.name,), far),
    ]  # fmt: skip


def _kid_column(way: Direction, count: int, goal: Tensor, describer: kid.Describer | str, asked: str) -> Column:
    """How far the outputs are, as a set, from the images of the other side."""
    if isinstance(describer, str):
        name, title = f"{way.name}:kid_{asked}_{kid.LAYER}", f"{way.label}: KID ({asked} {kid.LAYER})"
        return Column(name, title, "lower", "", (way.name,), None, absent=describer)
    few = min(count, len(goal)) < kid.LEAST
    vectors: list[Tensor] = []

    def described(images: Tensor) -> Tensor:
        return torch.cat([describer.vectors(part).double() for part in images.split(AT_ONCE)])

    def far(outputs: Tensor) -> tuple[float, float]:
        if not vectors:
            vectors.append(described(goal))
        return kid.kid(described(outputs), vectors[0])

    return Column(
        f"{way.name}:kid_{describer.name}", f"{way.label}: KID ({describer.title})", "lower",
        "" if few else kid.sign(describer, count, len(goal)), (way.name,), None, describer.min_side,
        absent=f"needs {kid.LEAST} images a side, there are {count} and {len(goal)}" if few else "", whole=far,
    )  # fmt: skip


def _lab_means(images: Tensor) -> Tensor:
    return colour.lab(images).flatten(2).mean(2)


def _lab_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    means = _lab_means(images)
    return means.mean(0), means.std(0, correction=0).clamp_min(1.0)


# ---- cells


def _table(rows: Sequence[Row], columns: Sequence[Column], targets: dict[str, Tensor]) -> list[dict[str, Any]]:
    table = [
        {
            "label": row.label,
            "kind": row.kind,
            "loss": row.loss,
            "own": [one.name for one in columns if one.metric and one.metric in row.metrics],
            "cells": {},
        }
        for row in rows
    ]
    for column in columns:
        cells = _whole_cells(rows, column, targets) if column.whole else _image_cells(rows, column, targets)
        for line, cell in zip(table, cells, strict=True):
            line["cells"][column.name] = cell
    return table


def _image_cells(rows: Sequence[Row], column: Column, targets: dict[str, Tensor]) -> list[dict[str, Any]]:
    scores = [_scores(row, column, targets) for row in rows]
    common = _common([one for one in scores if not isinstance(one, str)])
    best = best_of(
        [_per_image(one) if row.kind == "loss" else None for row, one in zip(rows, scores, strict=True)],
        column.better,
    )
    winner = None if best is None else _per_image(scores[best])
    cells: list[dict[str, Any]] = []
    for at, (row, found) in enumerate(zip(rows, scores, strict=True)):
        if isinstance(found, str):
            cells.append({"absent": found})
            continue
        undefined = int((~np.isfinite(_images(found))).sum())
        if not common.any() or undefined == found.shape[1]:
            said = f"{undefined} of {found.shape[1]} {_NOT_FINITE}"
            cells.append({"absent": said, "undefined": undefined})
            continue
        compared = winner is not None and row.kind == "loss" and at != best
        p = paired_p(_images(found), winner) if compared and winner is not None else None
        cells.append(_cell(found[:, common]) | {"best": at == best, "p": p, "undefined": undefined})
    return cells


def _common(scores: Sequence[Scores]) -> NDArray[np.bool_]:
    """The images that every row has a finite score of, rows without any left out."""
    finite = [np.isfinite(_images(one)) for one in scores]
    having = [one for one in finite if one.any()]
    return np.all(having, axis=0) if having else np.zeros(finite[0].shape if finite else 0, bool)


def _whole_cells(rows: Sequence[Row], column: Column, targets: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Means over seeds, of each seed's value over subsets; the deviations over subsets are averaged as squares."""
    [way] = column.directions
    found: list[tuple[Scores, Scores] | str] = []
    for row in rows:
        absent = _absent(row, column, targets)
        if absent or column.whole is None:
            found.append(absent)
            continue
        with torch.no_grad():
            values, spreads = zip(*(column.whole(drawn[way]) for drawn in row.outputs), strict=True)
        broken = int((~np.isfinite(values)).sum())
        if broken:
            found.append(f"{broken} of {len(values)} {_NOT_FINITE}")
            continue
        found.append((np.array(values), np.array(spreads)))
    best = best_of(
        [
            None if isinstance(one, str) or row.kind != "loss" else one[0]
            for row, one in zip(rows, found, strict=True)
        ],
        column.better,
    )
    return [
        {"absent": one, "undefined": int(one.endswith(_NOT_FINITE))}
        if isinstance(one, str)
        else {
            "mean": float(one[0].mean()), "low": None, "high": None,
            "sd_subsets": float(np.sqrt(np.square(one[1]).mean())), "sd_seeds": _between(one[0]),
            "n": len(targets[way]), "best": at == best, "p": None,
        }
        for at, one in enumerate(found)
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
                for way in column.directions
                for part, target in zip(drawn[way].split(AT_ONCE), targets[way].split(AT_ONCE), strict=True)
            ]).double().cpu().numpy()
            for drawn in row.outputs
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
    means = {at: float(one.mean()) for at, one in enumerate(scores) if one is not None and np.isfinite(one.mean())}
    if better == "none" or not means:
        return None
    return (max if better == "higher" else min)(means, key=means.__getitem__)


def _cell(scores: Scores) -> dict[str, Any]:
    images = _images(scores)
    low, high = interval(images)
    between = _between(scores.mean(1))
    return {"mean": float(images.mean()), "low": low, "high": high, "sd_seeds": between, "n": len(images)}


def _between(seeds: Scores) -> float | None:
    """The deviation between seeds, where there are several."""
    return float(seeds.std(ddof=1)) if len(seeds) > 1 else None


def interval(scores: Scores) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a mean; always the same for the same scores.

    Example:
        >>> low, high = interval(np.arange(10.0))
        >>> low < 4.5 < high, interval(np.ones(3))
        (True, (1.0, 1.0))
    """
    picks = np.random.default_rng(0).integers(0, len(scores), (RESAMPLES, len(scores)))
    low, high = np.percentile(scores[picks].mean(1), [2.5, 97.5])
    return float(low), float(high)


def paired_p(scores: Scores, best: Scores) -> float:
    """Two-sided p of no difference between two rows on the same images: the signs of the differences are flipped,
    all ways up to 12 images, 9,999 random ways beyond. Images that one of them has no finite score of are left out;
    where none is left nothing speaks for a difference, and p is 1.

    Example:
        >>> paired_p(np.arange(8.0), np.arange(8.0) + 1)
        0.0078125
        >>> paired_p(np.full(8, np.nan), np.arange(8.0))
        1.0
    """
    both = np.isfinite(scores) & np.isfinite(best)
    difference = scores[both] - best[both]
    count = len(difference)
    # As far as float32 can tell: sums that are equal but for rounding count as equal.
    reached = abs(difference.sum()) - ROUNDING * np.abs(difference).sum()
    if count <= EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((np.abs(signs @ difference) >= reached).mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (FLIPS, count))
    hits = int((np.abs(signs @ difference) >= reached).sum())
    return (hits + 1) / (FLIPS + 1)


# ---- pictures and tables


def _pictures(out: Path, task: Task[Any], sets: Sets, rows: Sequence[Row]) -> None:
    """Inputs, targets, outputs of every loss and seed, and maps of seed 0."""
    for way in task.directions:
        inputs, targets = task.held(sets, way)
        _write(out / runs.SAMPLES / "input" / way.name, inputs)
        if way.paired:
            _write(out / runs.SAMPLES / "target" / way.name, targets)
        for row in rows:
            for seed, drawn in enumerate(row.outputs if row.loss else []):
                _write(out / str(row.loss) / f"seed{seed}" / runs.SAMPLES / way.name, drawn[way.name])
            if row.loss and row.outputs:
                _write_maps(out / runs.MAPS / row.loss / way.name, row.outputs[0][way.name], targets)


def _write(folder: Path, images: Tensor, suffix: str = "") -> None:
    for at, image in enumerate(images):
        runs.write_png(folder / f"{at:03d}{suffix}.png", as_levels(image))


def _write_maps(folder: Path, outputs: Tensor, targets: Tensor) -> None:
    """|x − y| times four, and SSIM from 0 (black) to 1 (white); never stretched."""
    difference = (GAIN * (outputs - targets).abs().mean(1, keepdim=True)).clamp(0, 1)
    _write(folder, difference.expand_as(outputs), "_difference")
    metric = SSIM(check="shapes")
    if min(outputs.shape[2:]) >= metric.min_side:
        with torch.no_grad():
            likeness = metric.map(outputs, targets).mean(1, keepdim=True)
        rim = (outputs.shape[-1] - likeness.shape[-1]) // 2
        whole = F.pad(likeness, (rim, rim, rim, rim), mode="replicate")
        _write(folder, whole.clamp(0, 1).expand_as(outputs), "_ssim")


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
        f"{row['label']}: {name}: {cell.get('absent') or str(cell['undefined']) + ' ' + _NOT_FINITE}"
        for row in matrix["rows"]
        if row["kind"] == "loss"
        for name, cell in row["cells"].items()
        if cell.get("undefined")
    ]
