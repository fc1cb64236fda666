"""Op and Kernel: an op is its reference; a kernel is an accelerator that may decline one call and says why.

The first kernel that does not refuse runs; else the reference, which is plain torch and is the meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lookalike.options import choice

KERNELS = ("cpu", "gpu")
_allowed: frozenset[str] | None = None  # None: every kernel; else these names alone


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
        for kernel in self.kernels:
            if (_allowed is None or kernel.name in _allowed) and not kernel.refuses(*args, **options):
                return kernel.run(*args, **options)
        return self.reference(*args, **options)

    def explain(self, *args: Any, **options: Any) -> str:
        """Which way this call would take, and why each kernel before it declined."""
        lines = []
        for kernel in self.kernels:
            reasons = kernel.refuses(*args, **options)
            if _allowed is not None and kernel.name not in _allowed:
                reasons = ["switched off by use_kernels", *reasons]
            if not reasons:
                return "\n".join([*lines, f"{kernel.name}: runs"])
            lines.append(f"{kernel.name}: {'; '.join(reasons)}")
        return "\n".join([*lines, "reference: runs"])


@contextmanager
def use_kernels(*names: str) -> Iterator[None]:
    """Allow only these kernels inside the block; ``use_kernels()`` is the reference alone. Process-wide.

    Args:
        names: ``"cpu"``, ``"gpu"``.

    Raises:
        ValueError: for another name.

    Example:
        >>> with use_kernels():
        ...     Op(abs, Kernel("cpu", abs, lambda value: [], 0.0)).explain(-2)
        'cpu: switched off by use_kernels\\nreference: runs'
    """
    global _allowed
    for name in names:
        choice("use_kernels", "a kernel", name, KERNELS)
    before = _allowed
    _allowed = frozenset(names)
    try:
        yield
    finally:
        _allowed = before
