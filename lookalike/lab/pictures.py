"""The pictures of a judged run: inputs, targets, outputs of every loss and seed, and maps of where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike.lab.cells import Row
from lookalike.lab.data import as_levels
from lookalike.lab.task import Sets, Task
from lookalike.metrics.ssim import SSIM
from lookalike.records import runs

GAIN = 4  # of difference maps: a quarter of the range is white


def write_pictures(out: Path, task: Task[Any], sets: Sets, rows: Sequence[Row]) -> None:
    """Inputs, targets, outputs of every loss and seed, and maps of seed 0."""
    for direction in task.directions:
        inputs, targets = task.held(sets, direction)
        _write(out / runs.SAMPLES / "input" / direction.name, inputs)
        if direction.paired:
            _write(out / runs.SAMPLES / "target" / direction.name, targets)
        for row in rows:
            for seed, outputs in enumerate(row.outputs if row.loss else []):
                _write(out / str(row.loss) / f"seed{seed}" / runs.SAMPLES / direction.name, outputs[direction.name])
            if row.loss and row.outputs:
                _write_maps(out / runs.MAPS / row.loss / direction.name, row.outputs[0][direction.name], targets)


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
        padded = F.pad(likeness, (rim, rim, rim, rim), mode="replicate")
        _write(folder, padded.clamp(0, 1).expand_as(outputs), "_ssim")
