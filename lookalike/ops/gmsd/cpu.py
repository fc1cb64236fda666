"""The deviation of gradient similarity on the CPU: the compiled kernel. `kernel.cpp` explains the passes.

It makes values alone; where a gradient is wanted, or a graph is compiled, the reference runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lookalike.ops import compiled
from lookalike.ops._autograd import differentiated
from lookalike.ops._kernels import Kernel


def _refuses(
    x: Tensor, y: Tensor, weights: Sequence[float], *, masking: float = 0.0, constant: float, correction: int
) -> list[str]:
    reasons = compiled.refusals(x, y)
    if x.dtype != torch.float32 or y.dtype != torch.float32:
        reasons.append(f"{x.dtype} and {y.dtype}; float32 is compiled")
    if x.ndim == 4 and min(x.shape[2:]) < 1:
        reasons.append("images without pixels")
    if not constant >= 1e-12:
        reasons.append("a constant of zero")
    if differentiated(x, y):
        reasons.append("a gradient is wanted")
    if torch.compiler.is_compiling():
        reasons.append("a graph is compiled")
    return reasons


def deviation(
    x: Tensor, y: Tensor, weights: Sequence[float], *, masking: float = 0.0, constant: float, correction: int
) -> Tensor:
    """`reference.deviation`, compiled."""
    images, _, _held = compiled.images_of(x, y)
    found = torch.empty(x.shape[:2], dtype=torch.float32, device=x.device)
    setting = list(weights), masking, constant, correction
    compiled.cpu.gradient_deviation(images, *setting, torch.get_num_threads(), found.data_ptr())
    return found


deviation_kernel = Kernel("cpu", deviation, _refuses, 1e-6)
