"""Smoothing on the CPU: the compiled kernel under torch.compile as well. `kernel.cpp` explains the passes.

In a function transform the reference runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lookalike.ops import compiled
from lookalike.ops._autograd import differentiated
from lookalike.ops._kernels import Kernel


def _refuses(parts: Sequence[Tensor], taps: tuple[float, ...]) -> list[str]:
    reasons = [reason for part in parts for reason in compiled.refusals(part, part)]
    reasons += [f"{part.dtype}; float32 is compiled" for part in parts if part.dtype != torch.float32]
    sizes = [(part.shape[0], *part.shape[2:]) for part in parts]  # symbols in a graph, which no set takes
    if not sizes or any(size != sizes[0] for size in sizes):
        reasons.append("batches of several sizes, or none")
    reasons += compiled.taps_refusals(taps)
    if differentiated(*parts) and not torch.compiler.is_compiling():
        reasons.append("a gradient is wanted of the values themselves")
    return list(dict.fromkeys(reasons))


def _run(parts: Sequence[Tensor], taps: Sequence[float]) -> list[Tensor]:
    rows = [compiled.rows_of(part) for part in parts]
    found = [torch.empty(part.shape, dtype=torch.float32, device=part.device) for part in parts]
    batches = [
        (compiled.shape_of(part), part.data_ptr(), compiled.strides_of(part), to.data_ptr())
        for part, to in zip(rows, found, strict=True)
    ]
    compiled.cpu.smooth(batches, taps, torch.get_num_threads())
    return found


# In a compiled graph, which knows no `torch.autograd.Function` of ours.
@torch.library.custom_op("lookalike::smooth", mutates_args=())
def _operator(parts: Sequence[Tensor], taps: Sequence[float]) -> list[Tensor]:
    return _run(parts, taps)


@_operator.register_fake
def _(parts: Sequence[Tensor], taps: Sequence[float]) -> list[Tensor]:
    return [part.new_empty(part.shape) for part in parts]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.taps = inputs[1]


def _backward(ctx: Any, gradients: Sequence[Tensor]) -> tuple[list[Tensor | None], None]:
    wanted = ctx.needs_input_grad[0]
    smoothed = iter(_operator([g for g, want in zip(gradients, wanted, strict=True) if want], ctx.taps))
    return [next(smoothed) if want else None for want in wanted], None


_operator.register_autograd(_backward, setup_context=_remember)


def filtered(parts: Sequence[Tensor], taps: tuple[float, ...]) -> tuple[Tensor, ...]:
    """`reference.filtered`, compiled."""
    run = _operator if torch.compiler.is_compiling() else _run
    return tuple(run(list(parts), list(taps)))


filtered_kernel = Kernel("cpu", filtered, _refuses, 1e-6)
