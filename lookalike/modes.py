"""Which of torch's modes are at work, and what a tensor really holds: the one file that asks torch's private parts.

Each function has an answer where a version of torch lacks the private name: the one that lets plain torch compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any, TypeVar, cast

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
_exporting = _private("compiler.is_exporting", lambda: False)


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


@contextmanager
def fake_tensors() -> Iterator[Callable[[Tensor], Tensor]]:
    """Fake tensors, which have no values, for all that is made inside; gives what makes them of others.

    Example:
        >>> with fake_tensors() as fake:
        ...     tuple((fake(torch.ones(2)) + torch.ones(2)).shape)
        (2,)
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # which loads torch's compiler

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode.from_tensor


def lazy(tensor: Tensor) -> bool:
    """Whether a tensor is a negative, a conjugate or a zero that torch keeps as a mark, not written out.

    Example:
        >>> lazy(torch.ones(1)), lazy(torch._neg_view(torch.ones(1)))
        (False, True)
    """
    return not torch.compiler.is_compiling() and (tensor.is_neg() or tensor.is_conj() or _is_zero(tensor))


def materialised(tensor: Tensor) -> Tensor:
    """A tensor whose values stand in its memory: a negative or a zero that torch keeps as a mark is written out.

    Example:
        >>> lazy = torch._neg_view(torch.ones(1))
        >>> lazy.is_neg(), materialised(lazy).is_neg(), float(materialised(lazy))
        (True, False, -1.0)
    """
    if not lazy(tensor):
        return tensor
    return tensor.clone() if _is_zero(tensor) else tensor.resolve_conj().resolve_neg()


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


def exporting() -> bool:
    """Whether `torch.export` is at work, which leaves fake tensors where a call keeps its values.

    Example:
        >>> exporting()
        False
    """
    return _exporting()


_OWN = "_own_forward"
Forward = TypeVar("Forward", bound=Callable[..., Any])


def compiled_apart(function: Forward) -> Forward:
    """A method of a module whose code each object has to itself; a decorator.

    `torch.compile` counts recompilations by code, and gives up after eight: the ninth metric of a process would not
    compile, for all of them come in by the same ``forward``. A class gives the function as it is written.

    Example:
        >>> class Twice(torch.nn.Module):
        ...     @compiled_apart
        ...     def forward(self, x):
        ...         return 2 * x
        >>> a, b = Twice(), Twice()
        >>> a(1), a.forward.__code__ is a.forward.__code__, a.forward.__code__ is b.forward.__code__
        (2, True, False)
    """
    return cast(Forward, _Apart(function))


class _Apart:
    def __init__(self, function: Any) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        if instance is None:
            return self.function
        if torch.compiler.is_compiling():  # inside somebody's graph, whose code is what counts
            return partial(self.function, instance)
        own = instance.__dict__.get(_OWN)
        if own is None:
            code = self.function.__code__
            code = code.replace(co_consts=(*code.co_consts, id(instance)))  # equal codes would count as one
            own = FunctionType(code, self.function.__globals__, self.function.__name__, self.function.__defaults__)
            own.__kwdefaults__ = self.function.__kwdefaults__
            instance.__dict__[_OWN] = own
        return MethodType(own, instance)


def without_own_code(state: dict[str, Any]) -> dict[str, Any]:
    """What a module with such a method is pickled and copied by: its attributes without the code.

    Example:
        >>> without_own_code({"a": 1, "_own_forward": abs})
        {'a': 1}
    """
    return {name: value for name, value in state.items() if name != _OWN}


def _never_a_graph(code: Any) -> None:
    """Keep `torch.compile` from taking a function for the beginning of a graph; inside one it is traced as ever."""
    frames = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    if all(hasattr(frames, name) for name in ("set_code_exec_strategy", "_FrameExecStrategy", "_FrameAction")):
        actions: Any = frames._FrameAction  # pyright: ignore[reportOptionalMemberAccess]
        strategy: Any = frames._FrameExecStrategy(actions.SKIP, actions.DEFAULT)  # pyright: ignore[reportOptionalMemberAccess]
        frames.set_code_exec_strategy(code, strategy)  # pyright: ignore[reportOptionalMemberAccess]


_never_a_graph(_Apart.__get__.__code__)


def constant_in_graphs(function: Forward) -> Forward:
    """A function whose result is a constant of a compiled graph; a decorator.

    The mark of `torch.compiler.assume_constant_result`, which itself imports the whole compiler: that takes longer
    than the rest of a start, and brings triton, whose LLVM ends a process in which TensorFlow runs.

    Example:
        >>> constant_in_graphs(lambda: 3)()
        3
    """
    setattr(function, "_dynamo_marked_constant", True)  # noqa: B010 - functions have no such attribute to types
    return function


@constant_in_graphs
def constant(key: str) -> Any:
    """The numbers kept under a key by `kept_constant`; in a compiled graph they are constants of it.

    Raises:
        KeyError: for a key that `kept_constant` did not give.
    """
    return _constants[key]


_constants: dict[str, Any] = {}  # plain numbers by what they are in writing: no call can notice another's


def kept_constant(value: Any) -> str:
    """A key under which `constant` gives these numbers: a float, or a tuple or frozen dataclass of such.

    `torch.compile` makes an input of a float that it meets with a second value, and input cannot decide what is
    computed. A key is text, which it takes as it is.

    Example:
        >>> constant(kept_constant((0.5, 1.0)))
        (0.5, 1.0)
    """
    key = f"{type(value).__module__}.{type(value).__qualname__} {value!r}"
    _constants.setdefault(key, value)
    return key


def holds_floats(value: Any) -> bool:
    """Whether a value is a float, or a tuple or frozen dataclass with a float in it.

    Example:
        >>> holds_floats(0.5), holds_floats((1, (0.5,))), holds_floats(1), holds_floats([0.5])
        (True, True, False, False)
    """
    if isinstance(value, tuple):
        return any(map(holds_floats, value))
    if is_dataclass(value) and not isinstance(value, type):
        return any(holds_floats(getattr(value, field.name)) for field in fields(value))
    return type(value) is float
