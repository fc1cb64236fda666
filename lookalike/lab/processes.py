"""One process or several: everything the lab knows of ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def together(device: str) -> Iterator[str]:
    """Join the other processes where ``torchrun`` started any, and leave them at the end; once, if nested.

    Args:
        device: as asked for.

    Yields:
        The device of this process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield device
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world() -> int:
    """How many processes compute this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(positions: range) -> range:
    """The part of a batch that this process computes.

    Raises:
        ValueError: when it cannot be divided evenly.
    """
    if len(positions) % world():
        raise ValueError(f"recipe: batch_size={len(positions)} cannot be divided among {world()} processes")
    return positions[rank() :: world()]


def mean(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes."""
    if world() > 1:
        dist.all_reduce(values)
        values /= world()
    return values


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Give every process the mean of the gradients, as one process with the whole batch would have."""
    if world() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def any_of(flag: bool) -> bool:
    """Whether a flag is set in any process."""
    return bool(gathered(flag).count(True)) if world() > 1 else flag


def gathered(value: Any) -> list[Any]:
    """The value of each process, in order."""
    values: list[Any] = [None] * world()
    if world() == 1:
        return [value]
    dist.all_gather_object(values, value)
    return values


def wait() -> None:
    """Wait until every process has arrived."""
    if world() > 1:
        dist.barrier()
