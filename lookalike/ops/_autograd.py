"""Functions with a backward pass of their own, called the same way in eager mode, torch.compile and torch.func."""

from __future__ import annotations

from typing import Any

import torch

from lookalike.modes import transformed


def apply(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """``function.apply(*inputs)``; in a compiled graph or a function transform its forward pass alone.

    torch.compile would make an object of the function, against which torch itself warns; forward-mode
    differentiation would want a derivative of its own. Both differentiate the forward pass themselves.

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
    alone = torch.compiler.is_compiling() or transformed()
    return function.forward(*inputs) if alone else function.apply(*inputs)


def differentiated(*tensors: torch.Tensor) -> bool:
    """Whether autograd is to know of a call with these tensors.

    Example:
        >>> differentiated(torch.ones(1)), differentiated(torch.ones(1), torch.ones(1, requires_grad=True))
        (False, True)
    """
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
