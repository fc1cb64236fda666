"""Several batches correlated with one symmetric window, zeros beyond the border: ``smooth(parts, taps)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lookalike.ops._autograd import apply
from lookalike.ops._kernels import Op
from lookalike.ops.smooth import cpu, reference

filtered = Op(reference.filtered, cpu.filtered_kernel)


def smooth(parts: Sequence[Tensor], taps: tuple[float, ...]) -> tuple[Tensor, ...]:
    """`filtered`, whose gradient is itself: a symmetric window with zeros beyond the border is its own adjoint.

    One call for all is cheaper than one for each, and no gradient is made of those that want none.

    Args:
        parts: ``(n, c, h, w)`` each, c their own.
        taps: the window along each axis, an odd number, symmetric.

    Returns:
        As many, of the same shapes.

    Example:
        >>> x = torch.ones(1, 1, 3, 3, requires_grad=True)
        >>> [whole, _] = smooth([x, torch.ones(1, 2, 3, 3)], (0.25, 0.5, 0.25))
        >>> whole[0, 0, 1].tolist(), torch.autograd.grad(whole.sum(), x)[0][0, 0, 1].tolist()
        ([0.75, 1.0, 0.75], [0.75, 1.0, 0.75])
    """
    return apply(_Smooth, taps, *parts)


class _Smooth(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(taps: tuple[float, ...], *parts: Tensor) -> tuple[Tensor, ...]:
        return filtered(parts, taps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.taps = inputs[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        smoothed = iter(
            smooth([gradient for gradient, want in zip(gradients, wanted, strict=True) if want], ctx.taps)
        )
        return None, *(next(smoothed) if want else None for want in wanted)
