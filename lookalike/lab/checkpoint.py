"""Checkpoints hold everything: 2N steps equal N, a checkpoint, and N more, bit for bit on a CPU."""

from __future__ import annotations

import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as as_safetensors

from lookalike.lab import processes
from lookalike.lab.recipe import differences
from lookalike.lab.task import Task
from lookalike.records import runs


def save(path: Path, task: Task[Any], step: int) -> None:
    """Write networks, averages, optimisers, memory, random states and recipe, whole or not at all.

    Every process must call it; the first writes.

    Raises:
        OSError: when the place cannot be written, such as a full disk; the checkpoint before it stays.
    """
    memories = processes.gathered(task.memory())
    if processes.rank():
        return
    state = {
        "step": step,
        "images": step * task.recipe.batch_size,
        "recipe": json.dumps(task.recipe.as_json()),
        "seed": task.seed,
        "networks": task.networks.state_dict(),
        "averages": task.averages.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in task.optimisers.items()},
        "memories": memories,
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "versions": {name: version(name) for name in ("lookalike", "torch")},
    }
    file = io.BytesIO()
    torch.save(state, file)
    runs.write_bytes(path, file.getvalue())


def load(path: Path, task: Task[Any]) -> int:
    """Restore a task from its checkpoint.

    Returns:
        The step to go on from.

    Raises:
        ValueError: for a damaged file, or one of another recipe, with what differs and how to go on.
    """
    try:
        state = torch.load(path, map_location=task.device, weights_only=True)
    except Exception as error:  # whatever unpickling meets in a damaged file
        # After its first sentence torch advises to read the file unsafely.
        reason = str(error).split(". ")[0] or type(error).__name__
        raise ValueError(f"{path}: cannot be read ({reason}); remove it to train from the beginning") from None
    check_recipe(path, json.loads(state["recipe"]), task.recipe.as_json())
    memories = state["memories"]
    if any(memories) and len(memories) != processes.world():
        raise ValueError(
            f"{path}: was written by {len(memories)} processes, each with a memory of its own; go on with as many, "
            f"not {processes.world()}"
        )
    task.networks.load_state_dict(state["networks"])
    task.averages.load_state_dict(state["averages"])
    for name, optimiser in task.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    if any(memories):
        task.remember(memories[processes.rank()])
    torch.set_rng_state(state["random"].cpu())
    if state["cuda_random"] and len(state["cuda_random"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([random_state.cpu() for random_state in state["cuda_random"]])
    return int(state["step"])


def check_recipe(path: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to go on with a run of another recipe.

    Raises:
        ValueError: with what differs and how to go on.
    """
    differing = differences(stored, asked)
    if differing:
        raise ValueError(
            f"{path}: belongs to another recipe – {'; '.join(differing)}. "
            f"Go on with --recipe {path.parent / runs.RECIPE}, or choose another --out"
            if path.name == runs.RECIPE
            else f"{path}: belongs to another recipe – {'; '.join(differing)}. Remove it, or choose another --out"
        )


def export(path: Path, task: Task[Any], label: str) -> None:
    """Write the averaged networks as safetensors, with the recipe and the loss they were trained with."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in task.averages.state_dict().items()}
    about = {"recipe": task.recipe.as_json(), "loss": label, "lookalike": version("lookalike")}
    # one key: safetensors writes several in no fixed order, and equal networks should be equal files
    runs.write_bytes(path, as_safetensors(tensors, {"lookalike": json.dumps(about)}))
