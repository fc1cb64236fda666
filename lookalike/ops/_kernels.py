"""Op and Kernel: an op is its reference; a kernel is an accelerator that may decline one call and says why.

The first kernel that does not refuse runs; else the reference, which is plain torch and is the meaning.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from lookalike.options import choice

KERNELS = ("cpu", "gpu")


class _Block:
    """One open block of `use_kernels`."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names


class _Thread(threading.local):
    """What the blocks of this thread allow; torch.compile can watch it, and knows no context variables."""

    def __init__(self) -> None:
        self.allowed: frozenset[str] | None = None


_open: ContextVar[tuple[_Block, ...]] = ContextVar("lookalike_kernels", default=())  # the innermost last
_thread = _Thread()


def _allowed() -> frozenset[str] | None:
    """The names of the kernels that may run here; None for every one."""
    if torch.compiler.is_compiling():
        return _thread.allowed
    blocks = _open.get()
    return blocks[-1].names if blocks else None


@dataclass(frozen=True)
class Kernel:
    """One accelerated way to compute an op.

    Attributes:
        name: ``"cpu"`` or ``"gpu"``.
        run: the same call as the reference.
        refuses: the same arguments; returns the reasons against running, empty when it will run.
        tolerance: largest difference of its values from the float64 reference.
    """

    name: str
    run: Callable[..., Any]
    refuses: Callable[..., list[str]]
    tolerance: float


class Op:
    """A reference and its kernels, called as the reference is.

    Example:
        >>> never = Kernel("cpu", run=abs, refuses=lambda value: ["not today"], tolerance=0.0)
        >>> op = Op(abs, never)
        >>> op(-2), op.explain(-2)
        (2, 'cpu: not today\\nreference: runs')
    """

    def __init__(self, reference: Callable[..., Any], *kernels: Kernel) -> None:
        self.reference = reference
        self.kernels = kernels

    def __call__(self, *args: Any, **options: Any) -> Any:
        allowed = _allowed()
        for kernel in self.kernels:
            if (allowed is None or kernel.name in allowed) and not kernel.refuses(*args, **options):
                return kernel.run(*args, **options)
        return self.reference(*args, **options)

    def explain(self, *args: Any, **options: Any) -> str:
        """Which way this call would take, and why each kernel before it declined."""
        lines, allowed = [], _allowed()
        for kernel in self.kernels:
            reasons = kernel.refuses(*args, **options)
            if allowed is not None and kernel.name not in allowed:
                reasons = ["switched off by use_kernels", *reasons]
            if not reasons:
                return "\n".join([*lines, f"{kernel.name}: runs"])
            lines.append(f"{kernel.name}: {'; '.join(reasons)}")
        return "\n".join([*lines, "reference: runs"])


@contextmanager
def use_kernels(*names: str) -> Iterator[None]:
    """Allow only these kernels inside the block; ``use_kernels()`` is the reference alone.

    It holds for what this thread, or this task of asyncio, calls inside the block. A thread that is started inside
    begins with every kernel, unless it runs in a copy of the context (``contextvars.copy_context().run``). Of
    several open blocks the last one begun counts; they may end in any order.

    Args:
        names: ``"cpu"``, ``"gpu"``.

    Raises:
        ValueError: for another name.

    Example:
        >>> with use_kernels():
        ...     Op(abs, Kernel("cpu", abs, lambda value: [], 0.0)).explain(-2)
        'cpu: switched off by use_kernels\\nreference: runs'
    """
    for name in names:
        choice("use_kernels", "a kernel", name, KERNELS)
    block = _Block(frozenset(names))
    _set((*_open.get(), block))
    try:
        yield
    finally:
        _set(tuple(other for other in _open.get() if other is not block))


def _set(blocks: tuple[_Block, ...]) -> None:
    _open.set(blocks)
    _thread.allowed = blocks[-1].names if blocks else None
