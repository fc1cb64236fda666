"""Functions with a backward pass of their own, called the same way in eager mode and under torch.compile."""

from __future__ import annotations

from typing import Any

import torch


def apply(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """``function.apply(*inputs)``; in a compiled graph its forward pass, which torch.compile differentiates itself.

    It would make an object of the function, against which torch itself warns.

    Args:
        function: its ``forward`` takes the inputs alone and is differentiable as it stands.
        inputs: what it takes.

    Example:
        >>> class Double(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(x):
        ...         return 2 * x
        ...     @staticmethod
        ...     def setup_context(ctx, inputs, output):
        ...         pass
        ...     @staticmethod
        ...     def backward(ctx, gradient):
        ...         return 2 * gradient
        >>> float(apply(Double, torch.tensor(3.0)))
        6.0
    """
    return function.forward(*inputs) if torch.compiler.is_compiling() else function.apply(*inputs)
