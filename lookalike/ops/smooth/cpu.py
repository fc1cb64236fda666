"""Smoothing on the CPU: the compiled kernel. `kernel.cpp` explains the passes.

In a function transform, or where a graph is compiled, the reference runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lookalike.ops._kernels import Kernel
from lookalike.ops.ssim import cpu as compiled

_MOST_TAPS = 33


def _refuses(parts: Sequence[Tensor], taps: tuple[float, ...]) -> list[str]:
    reasons = [reason for part in parts for reason in compiled.refusals(part, part)]
    reasons += [f"{part.dtype}; float32 is compiled" for part in parts if part.dtype != torch.float32]
    sizes = {(len(part), *part.shape[2:]) for part in parts}
    if len(sizes) != 1:
        reasons.append(f"batches of {len(sizes)} sizes")
    if len(taps) % 2 == 0 or len(taps) > _MOST_TAPS or taps != taps[::-1]:
        reasons.append(f"a window of {len(taps)} taps; odd, symmetric ones of up to {_MOST_TAPS} are compiled")
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
        reasons.append("a gradient is wanted of the values themselves")
    if torch.compiler.is_compiling():
        reasons.append("a graph is compiled")
    return list(dict.fromkeys(reasons))


def filtered(parts: Sequence[Tensor], taps: tuple[float, ...]) -> tuple[Tensor, ...]:
    """`reference.filtered`, compiled."""
    rows = [part if part.stride(3) == 1 else part.contiguous() for part in parts]
    found = tuple(torch.empty(part.shape, dtype=torch.float32) for part in parts)
    batches = [
        (tuple(part.shape), part.data_ptr(), part.stride()[:3], to.data_ptr())
        for part, to in zip(rows, found, strict=True)
    ]
    compiled._cpu.smooth(batches, taps, torch.get_num_threads())
    return found


filtered_kernel = Kernel("cpu", filtered, _refuses, 1e-6)
