"""The columns of the matrix: by what the outputs of networks are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lookalike import registry, signature, weights
from lookalike.lab import kid
from lookalike.lab.task import Direction, Task
from lookalike.metric import Metric
from lookalike.metrics.ssim import SSIM
from lookalike.ops import colour

AT_ONCE = 8  # images through a network

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


def columns_of(task: Task[Any], targets: dict[str, Tensor], features: str = kid.DEFAULT) -> list[Column]:
    """Every cheap metric, LPIPS and DISTS where their weights are here; for translations also what is kept of the
    input, how near the colours are to the other side's, and KID to the other side's images.
    """
    paired = tuple(direction.name for direction in task.directions if direction.paired)
    names = registry.cheap() + [
        name
        for name in ("lpips_alex", "lpips_vgg", "dists")
        if weights.present(*registry.metric_class(name).facts.weights)
    ]
    columns = [_metric_column(registry.get(name, check="shapes").to(task.device), paired) for name in names]
    unpaired = [direction for direction in task.directions if not direction.paired]
    describer = _describer(features, task.device) if unpaired else ""
    for direction in unpaired:
        goal = targets[next(other.name for other in unpaired if other != direction)]
        columns += _translation_columns(task, direction, goal)
        columns.append(_kid_column(direction, len(targets[direction.name]), goal, describer, features))
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


def _translation_columns(task: Task[Any], direction: Direction, goal: Tensor) -> list[Column]:
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
        Column(f"{direction.name}:ssim_luma", f"{direction.label}: SSIM of luma to the input", "higher", of_luma,
               (direction.name,), kept, 11),
        Column(f"{direction.name}:ciede2000_low", f"{direction.label}: colour shift from the input", "none",
               f"{low.signature()}|of:input", (direction.name,), low),
        Column(f"{direction.name}:lab_distance", f"{direction.label}: mean colour from the other side's", "lower",
               from_goal, (direction.name,), far),
    ]  # fmt: skip


def _kid_column(
    direction: Direction, count: int, goal: Tensor, describer: kid.Describer | str, features: str
) -> Column:
    """How far the outputs are, as a set, from the images of the other side."""
    if isinstance(describer, str):
        name = f"{direction.name}:kid_{features}_{kid.LAYER}"
        title = f"{direction.label}: KID ({features} {kid.LAYER})"
        return Column(name, title, "lower", "", (direction.name,), None, absent=describer)
    too_few = min(count, len(goal)) < kid.LEAST
    vectors: list[Tensor] = []

    def described(images: Tensor) -> Tensor:
        return torch.cat([describer.vectors(part).double() for part in images.split(AT_ONCE)])

    def far(outputs: Tensor) -> tuple[float, float]:
        if not vectors:
            vectors.append(described(goal))
        return kid.kid(described(outputs), vectors[0])

    return Column(
        f"{direction.name}:kid_{describer.name}", f"{direction.label}: KID ({describer.title})", "lower",
        "" if too_few else kid.sign(describer, count, len(goal)), (direction.name,), None, describer.min_side,
        absent=f"needs {kid.LEAST} images a side, there are {count} and {len(goal)}" if too_few else "", whole=far,
    )  # fmt: skip


def _lab_means(images: Tensor) -> Tensor:
    return colour.lab(images).flatten(2).mean(2)


def _lab_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    means = _lab_means(images)
    return means.mean(0), means.std(0, correction=0).clamp_min(1.0)
