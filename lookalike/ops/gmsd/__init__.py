"""How unevenly the gradients of two batches agree: ``deviation(x, y, weights, …)``, compiled for values."""

from __future__ import annotations

from lookalike.ops._kernels import Op
from lookalike.ops.gmsd import cpu, reference

deviation = Op(reference.deviation, cpu.deviation_kernel)
masked_deviation = Op(reference.masked_deviation)
