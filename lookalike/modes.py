"""Which of torch's modes are at work, and what a tensor really holds: the one file that asks torch's private parts.

Each function has an answer where a version of torch lacks the private name: the one that lets plain torch compute.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def _private(path: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """A private function of torch by its dotted name, or what to call instead."""
    value: Any = torch
    for name in path.split("."):
        value = getattr(value, name, None)
    return value if callable(value) else otherwise


_transforms_active = _private("_C._are_functorch_transforms_active", lambda: False)
_wrapped = _private("_C._functorch.is_functorch_wrapped_tensor", lambda tensor: False)
_dispatch_modes = _private("_C._len_torch_dispatch_stack", lambda: 0)
_tracing = _private("_C._is_tracing", lambda: False)
_is_zero = _private("_is_zerotensor", lambda tensor: False)


def transformed() -> bool:
    """Whether one of `torch.func`'s transforms or forward-mode differentiation is at work, outside compiled graphs.

    Example:
        >>> transformed(), float(torch.func.vmap(lambda x: x + transformed())(torch.zeros(1)))
        (False, 1.0)
    """
    if torch.compiler.is_compiling():
        return False
    return _transforms_active() or getattr(torch.autograd.forward_ad, "_current_level", -1) >= 0


def recorded() -> bool:
    """Whether somebody writes down the operators called – torch.jit.trace, make_fx, fake tensors – and would miss
    what a kernel does behind their back. Not in compiled graphs, whose kernels are operators.

    Example:
        >>> from torch.fx.experimental.proxy_tensor import make_fx
        >>> recorded(), float(make_fx(lambda x: x + recorded())(torch.zeros(1))(torch.zeros(1)))
        (False, 1.0)
    """
    if torch.compiler.is_compiling():
        return False
    return _dispatch_modes() > 0 or _tracing()


def readable(*tensors: Tensor) -> bool:
    """Whether the values of tensors can be looked at now: not in graphs, transforms and recordings, nor on meta.

    Example:
        >>> readable(torch.ones(1)), readable(torch.ones(1), torch.ones(1, device="meta"))
        (True, False)
    """
    if torch.compiler.is_compiling() or transformed() or recorded():
        return False
    if any(tensor.is_meta or _wrapped(tensor) for tensor in tensors):
        return False
    return not (tensors and tensors[0].is_cuda and torch.cuda.is_current_stream_capturing())


def wrapped(tensor: Tensor) -> bool:
    """Whether a tensor is a wrapper that a transform of `torch.func` made, its own or one left behind.

    Example:
        >>> wrapped(torch.ones(1)), torch.func.vmap(lambda x: x + wrapped(x))(torch.zeros(1)).tolist()
        (False, [1.0])
    """
    return not torch.compiler.is_compiling() and _wrapped(tensor)


def materialised(tensor: Tensor) -> Tensor:
    """A tensor whose values stand in its memory: a negative or a zero that torch keeps as a mark is written out.

    Example:
        >>> lazy = torch._neg_view(torch.ones(1))
        >>> lazy.is_neg(), materialised(lazy).is_neg(), float(materialised(lazy))
        (True, False, -1.0)
    """
    if tensor.is_neg() or tensor.is_conj():
        tensor = tensor.resolve_conj().resolve_neg()
    return tensor.clone() if _is_zero(tensor) else tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Autocast off for what is computed inside; where it is off already, without the microseconds that this costs.

    Example:
        >>> x = torch.ones(2, 2)
        >>> with torch.autocast("cpu", torch.bfloat16), full_precision(x):
        ...     (x @ x).dtype
        torch.float32
    """
    kind = x.device.type
    # Devices without autocast, such as meta, do not even answer whether it is on.
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()
