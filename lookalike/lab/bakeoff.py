"""The bake-off: every loss and seed in turn, the same network and the same images for all, into one run folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file

from lookalike.algebra import Loss
from lookalike.lab import checkpoint, processes, trainer
from lookalike.lab.data import Report
from lookalike.lab.fairness import calibrated
from lookalike.lab.recipe import Recipe
from lookalike.lab.task import Sets, Task
from lookalike.lab.tasks.autoencode import AutoencodeTask
from lookalike.lab.tasks.restore import RestoreTask
from lookalike.lab.tasks.translate import TranslateTask
from lookalike.losses import loss as loss_of
from lookalike.losses.presets import is_published
from lookalike.metric import Metric
from lookalike.records import outputs, runs

TASKS: dict[str, type[Task[Any]]] = {
    "autoencode": AutoencodeTask,
    "restore": RestoreTask,
    "translate": TranslateTask,
}
TITLES = {
    "autoencode": "An autoencoder trained with each loss",
    "restore": "A restoration network trained with each loss",
    "translate": "CycleGAN trained with each loss",
}
DATA = "data"  # of a run folder: decoded images, which may be removed at any time


@dataclass(frozen=True)
class Candidate:
    """One loss of a bake-off.

    Attributes:
        name: of its folder.
        label: the expression as it was written.
        loss: what trains.
        raw: the weights as written; ``loss.weights`` holds those used.
    """

    name: str
    label: str
    loss: Loss
    raw: dict[str, float]


def run(
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "cpu",
    until: int | None = None,
    tensorboard: bool = False,
    force: bool = False,
    report: Report = print,
) -> dict[str, str]:
    """Train every loss with every seed; go on where an earlier call stopped.

    Args:
        recipe: what to do.
        folder: the run folder.
        device: that computes.
        until: stop each run after this step; None trains to the end.
        tensorboard: also write event files, one folder a run.
        force: replace files of the folder that lookalike did not write.
        report: told what is going on, a line at a time.

    Returns:
        What failed: ``LOSS/seedN`` → the reason. The others are trained.

    Raises:
        ValueError: for data, losses or an earlier recipe that do not fit, and a folder that holds somebody's files.
        trainer.Interrupted: on Ctrl-C, everything saved.
    """
    kind = TASKS[recipe.task]
    with processes.together(device) as local_device:
        log = report if processes.rank() == 0 else _silent
        recipe_file = folder / runs.RECIPE
        if recipe_file.exists():
            checkpoint.check_recipe(recipe_file, runs.read_json(recipe_file), recipe.as_json())
        precision = trainer.precision_for(recipe.precision, local_device)
        losses = parsed(recipe, log)
        written = (
            runs.RECIPE, runs.LAB, runs.ENVIRONMENT, runs.PAGE, runs.MATRIX, runs.MATRIX_TABLE, runs.MATRIX_TEXT,
            runs.SAMPLES, runs.MAPS, *(entry.name for entry in losses),
        )  # fmt: skip
        if processes.rank() == 0:
            outputs.claim_folder(folder, written, who="lab", record=runs.is_lab, force=force)
        sets = load(recipe, folder, log)
        candidates = fair(losses, kind(recipe, 0, local_device), sets, log) if recipe.calibrate else losses
        if processes.rank() == 0:
            runs.write_json(recipe_file, recipe.as_json())
            runs.write_json(folder / runs.ENVIRONMENT, runs.environment(local_device))
            runs.write_json(folder / runs.LAB, described(recipe, candidates, sets))
        failed: dict[str, str] = {}
        for candidate in candidates:
            for seed in range(recipe.seeds):
                task = kind(recipe, seed, local_device, precision)
                name = f"{candidate.name}/seed{seed}"
                board = _board(folder / name, tensorboard and processes.rank() == 0)
                with _bar(recipe, f"{candidate.label} · seed {seed}") as show, board as events:
                    loss = candidate.loss.to(local_device)
                    try:
                        steps_done = trainer.train(
                            task, sets, loss, folder / name, until=until, show=show, board=events
                        )
                    except trainer.NonFinite as error:
                        failed[name] = str(error)
                        log(f"{name}: {error}")
                        continue
                if steps_done >= recipe.steps and processes.rank() == 0:
                    checkpoint.export(folder / name / runs.NETWORK, task, candidate.label)
        processes.wait()
        return failed


def load(recipe: Recipe, folder: Path, report: Report) -> Sets:
    """The images of a recipe; the first process decodes, the others read what it kept."""
    if processes.rank() == 0:
        sets = TASKS[recipe.task].load(recipe, folder / DATA, report)
        processes.wait()
        return sets
    processes.wait()
    return TASKS[recipe.task].load(recipe, folder / DATA, _silent)


def parsed(recipe: Recipe, report: Report) -> list[Candidate]:
    """The losses of a recipe.

    Raises:
        ValueError: for an expression that cannot be read or an unknown name, with the nearest; for one that needs
            larger crops.
    """
    candidates: list[Candidate] = []
    for label in recipe.losses:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loss = loss_of(label)
        for warning in caught:
            report(f"{label}: {warning.message}")
        if is_published(loss):
            report(f"{label}: sees values from -1 to 1 and keeps its weights, as published; it is never calibrated")
        for metric in loss.metrics:
            if isinstance(metric, Metric) and metric.min_side > recipe.side:
                raise ValueError(
                    f"{label}: {metric.facts.name} needs {metric.min_side} px a side, crops have {recipe.side}; "
                    f"take --side {-(-metric.min_side // 8) * 8}"
                )
        name = runs.file_name(label, [*(candidate.name for candidate in candidates), *_RESERVED])
        candidates.append(Candidate(name, label, loss, dict(loss.weights)))
    return candidates


_RESERVED = (runs.SAMPLES, runs.MAPS, DATA)


def fair(candidates: list[Candidate], task: Task[Any], sets: Sets, report: Report) -> list[Candidate]:
    """Each loss scaled until its gradient is as strong as that of L1; raw and used weights are reported.

    The published losses keep their weights: they are what was published.
    """
    start, target = (image.to(task.device) for image in task.beginning(sets))
    scaled = []
    for candidate in candidates:
        if is_published(candidate.loss):
            scaled.append(candidate)
            continue
        loss = calibrated(candidate.loss.to(task.device), start, target)
        scaled.append(Candidate(candidate.name, candidate.label, loss, candidate.raw))
        weights = ", ".join(f"{term} {raw:g} → {loss.weights[term]:.4g}" for term, raw in candidate.raw.items())
        report(f"calibrated {candidate.label}: {weights}")
    return scaled


def described(recipe: Recipe, candidates: list[Candidate], sets: Sets) -> dict[str, Any]:
    """What ``lab.json`` holds."""
    directions = [direction.name for direction in TASKS[recipe.task].directions if direction.name]
    return {
        "kind": "lab",
        "task": recipe.task,
        "title": TITLES[recipe.task],
        "losses": [
            {
                "name": candidate.name,
                "label": candidate.label,
                "calibrated": {
                    term: {"raw": raw, "used": candidate.loss.weights[term]} for term, raw in candidate.raw.items()
                },
            }
            for candidate in candidates
        ],
        "seeds": list(range(recipe.seeds)),
        "samples": {
            "views": [{"id": "input", "label": "input"}]
            + ([{"id": "target", "label": "target"}] if recipe.task == "restore" else []),
            "rows": sample_rows(sets),
        },
        "directions": directions,
    }


def sample_rows(sets: Sets) -> list[dict[str, str]]:
    """The held-out images as ``lab.json`` names them; of two sides, one of each a row."""
    names = zip(*(held.names for held in sets.held.values()), strict=False)
    return [{"id": f"{at:03d}", "name": " / ".join(row)} for at, row in enumerate(names)]


def trained(recipe: Recipe, folder: Path, name: str, seed: int, device: str) -> torch.nn.ModuleDict | None:
    """The judged networks of a run, or None where it is not finished."""
    file = folder / name / f"seed{seed}" / runs.NETWORK
    if not file.exists():
        return None
    networks = TASKS[recipe.task](recipe, seed, device).averages
    networks.load_state_dict(load_file(file, device=device))
    return networks


def _silent(line: str) -> None:
    """Report nothing: process 0 reports."""


@contextmanager
def _board(folder: Path, wanted: bool) -> Iterator[Any]:
    """A writer of TensorBoard's event files, or None."""
    if not wanted:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ImportError("--tensorboard needs the package: pip install 'lookalike[tensorboard]'") from None
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        yield writer


@contextmanager
def _bar(recipe: Recipe, title: str) -> Iterator[Callable[[int, Any], object]]:
    """A progress bar with images a second, the time left, and each term."""
    columns = (
        TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[rate]} {task.fields[terms]}"),
    )  # fmt: skip
    bar = Progress(*columns, console=Console(stderr=True), disable=processes.rank() != 0)
    with bar:
        row = bar.add_task(title, total=recipe.steps, rate="", terms="")

        def show(step: int, terms: Any) -> None:
            speed = bar.tasks[row].speed
            bar.update(
                row,
                completed=step,
                rate=f"{speed * recipe.batch_size:.0f} images/s" if speed else "",
                terms=" ".join(f"{name} {value:.3g}" for name, value in terms.items()),
            )

        yield show
