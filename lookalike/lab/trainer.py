"""One training run, one loop, read from top to bottom. Time is counted in images seen."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lookalike.algebra import Loss
from lookalike.lab import checkpoint, processes
from lookalike.lab.recipe import Precision
from lookalike.lab.task import Phase, Sets, Task
from lookalike.records import runs

Show = Callable[[int, Mapping[str, float]], object]  # steps done, terms as last logged


class NonFinite(ArithmeticError):  # noqa: N818 - the name says what happened
    """A term or a gradient that is not finite."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after the step was finished and saved."""


def train(
    task: Task[Any],
    sets: Sets,
    loss: Loss,
    folder: Path,
    *,
    until: int | None = None,
    show: Show = lambda step, terms: None,
    board: Any = None,
) -> int:
    """Train from where the folder's checkpoint stands, or from the beginning.

    Args:
        task: fresh networks and their optimisers.
        sets: the images.
        loss: what similarity means here.
        folder: gets ``terms.jsonl`` and ``checkpoint.pt``.
        until: stop after this step of the recipe's; None goes to the end.
        show: told of every step.
        board: a TensorBoard writer, or None.

    Returns:
        Steps done, those of earlier calls included.

    Raises:
        NonFinite: with the term and the number of images seen; the last good checkpoint stays.
        Interrupted: on Ctrl-C, once the step is finished and saved.
        OSError: when the folder cannot be written; the last good checkpoint stays.
    """
    recipe = task.recipe
    saved = folder / runs.CHECKPOINT
    start = checkpoint.load(saved, task) if saved.exists() else 0
    lines = _lines_until(folder / runs.TERMS, start)
    end = recipe.steps if until is None else min(until, recipe.steps)
    kept = start

    show(start, {})
    with _stopping() as stop:
        for step in range(start, end):
            began = time.perf_counter()
            seen = (step + 1) * recipe.batch_size
            for optimiser in task.optimisers.values():
                for group in optimiser.param_groups:
                    group["lr"] = recipe.rate(step)

            # Each optimiser in turn: value, guard, gradient, guard, step.
            batch = task.batch(sets, processes.share(range(step * recipe.batch_size, seen)))
            terms: dict[str, tuple[float, float]] = {}
            norms: dict[str, float] = {}
            for phase in task.phases(batch, loss):
                terms |= _values(phase, seen)
                optimiser = task.optimisers[phase.optimiser]
                optimiser.zero_grad(set_to_none=True)
                phase.total.backward()
                parameters = [weight for group in optimiser.param_groups for weight in group["params"]]
                processes.average_gradients(parameters)
                norms[phase.optimiser] = _clip(parameters, recipe.clip, phase, seen)
                optimiser.step()
            task.average(min(recipe.ema, (step + 1) / (step + 10)))  # so that the first weights are soon forgotten

            # Log, show, save.
            stopped = processes.any_of(stop())
            last = step + 1 == end or stopped
            if step == 0 or (step + 1) % recipe.log_every == 0 or step + 1 == recipe.steps:
                line = {
                    "images": seen,
                    "step": step + 1,
                    "terms": {name: {"value": v, "weighted": weight * v} for name, (weight, v) in terms.items()},
                    "loss": sum(weight * v for weight, v in terms.values()),
                    "gradient": norms,
                    "rate": recipe.rate(step),
                    "seconds": round(time.perf_counter() - began, 4),
                }
                lines.append(json.dumps(line))
                if board is not None:
                    for name, (_, value) in terms.items():
                        board.add_scalar(name, value, seen)
            show(step + 1, {name: value for name, (_, value) in terms.items()})
            if last or (step + 1) % recipe.save_every == 0:
                with _naming_checkpoint(kept):
                    if processes.rank() == 0:
                        runs.write_text(folder / runs.TERMS, "\n".join([*lines, ""]))
                    checkpoint.save(saved, task, step + 1)
                kept = step + 1
            if stopped:
                raise Interrupted(f"stopped after step {step + 1}; the same command goes on")
    return max(start, end)


@contextmanager
def _naming_checkpoint(kept: int) -> Iterator[None]:
    """Name the checkpoint that remains in the error of a failed save."""
    try:
        yield
    except OSError as error:
        stays = f"the checkpoint of step {kept} stays" if kept else "there is no earlier checkpoint"
        raise OSError(f"{error}; {stays}. Once there is room, the same command goes on") from None


def _lines_until(path: Path, step: int) -> list[str]:
    """The log up to a step; later steps will be logged again."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] <= step]


def _values(phase: Phase, seen: int) -> dict[str, tuple[float, float]]:
    """The terms of a phase as numbers: name → (weight, value); one wait for the device.

    Raises:
        NonFinite: naming the term.
    """
    stacked: Tensor = torch.stack([value.double() for _, value in phase.terms.values()])
    values = processes.mean(stacked).tolist()
    for name, value in zip(phase.terms, values, strict=True):
        if not math.isfinite(value):
            raise NonFinite(f"{name} is {value} after {seen} images; the last checkpoint is from before")
    return {name: (weight, value) for (name, (weight, _)), value in zip(phase.terms.items(), values, strict=True)}


def _clip(parameters: list[Tensor], most: float, phase: Phase, seen: int) -> float:
    """The norm of a gradient, which is cut to ``most`` where that is not 0.

    Raises:
        NonFinite: naming the optimiser and its terms.
    """
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, most or math.inf))
    if not math.isfinite(norm):
        raise NonFinite(
            f"the gradient of {' + '.join(phase.terms)} is not finite after {seen} images; "
            "the last checkpoint is from before"
        )
    return norm


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second one interrupts at once. Outside the main thread, never."""
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def precision_for(asked: Precision, device: str) -> torch.dtype:
    """What networks compute in: bfloat16 where the device really has it.

    Raises:
        ValueError: when bfloat16 is asked for where it is only imitated, hundreds of times slower.

    Example:
        >>> precision_for("auto", "cpu")
        torch.float32
    """
    on_gpu = device.startswith("cuda")
    supported = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else False
    if asked == "bfloat16" and not supported:
        raise ValueError(f"precision: {device} has no bfloat16 of its own here; use --precision float32")
    return torch.bfloat16 if supported and asked != "float32" else torch.float32
