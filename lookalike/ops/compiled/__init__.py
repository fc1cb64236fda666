"""The compiled module that the `cpu.py` of every operation calls, and what all of them decline.

It holds each kernel once per instruction set and takes the fastest that this machine has; the environment variable
``LOOKALIKE_CPU_ISA`` names another: ``avx512``, ``avx2`` or ``baseline``, in capitals or not.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lookalike.modes import materialised, recorded, transformed, wrapped

if TYPE_CHECKING:
    from lookalike.ops.compiled import _cpu as cpu

    absence: str
else:
    try:
        from lookalike.ops.compiled import _cpu as cpu
    except ImportError as error:
        cpu, absence = None, f"not compiled here ({error})"
    else:
        absence = ""

INSTRUCTION_SET = "LOOKALIKE_CPU_ISA"


def _obey(wish: str) -> None:
    """Use the instruction set that was asked for, or say which there are and leave it at the fastest."""
    known = cpu.instruction_sets()
    name = wish.strip().lower().replace("-", "")
    if name in known:
        cpu.use_instruction_set(name)
    elif name:
        warnings.warn(
            f"{INSTRUCTION_SET}={wish!r} is none of this machine's instruction sets, {', '.join(known)}; "
            f"{known[0]} is used",
            stacklevel=2,
        )


if cpu is not None:
    _obey(os.environ.get(INSTRUCTION_SET, ""))

PLAIN = (Tensor, torch.nn.Parameter)
MOST_TAPS = 33


def refusals(x: Tensor, y: Tensor) -> list[str]:
    """Why no compiled kernel can take two batches of images; empty where one could.

    Example:
        >>> refusals(torch.ones(1, 1, 8, 8, dtype=torch.float64), torch.ones(1, 1, 8, 8, dtype=torch.float64))[-1]
        'torch.float64 and torch.float64; float32 and uint8 are compiled'
    """
    reasons = [absence] if absence else []
    if x.device.type != "cpu" or y.device.type != "cpu":
        reasons.append(f"tensors on {x.device} and {y.device}")
    if type(x) not in PLAIN or type(y) not in PLAIN or x.layout != torch.strided or y.layout != torch.strided:
        reasons.append("tensors of a type of their own")
    if x.dtype != y.dtype or x.dtype not in (torch.float32, torch.uint8):
        reasons.append(f"{x.dtype} and {y.dtype}; float32 and uint8 are compiled")
    if x.ndim != 4 or x.shape != y.shape:
        reasons.append(f"shapes {tuple(x.shape)} and {tuple(y.shape)}, not twice (n, c, h, w)")
    if wrapped(x) or wrapped(y):
        reasons.append("wrappers of a function transform")
    elif transformed():
        reasons.append("a function transform or forward-mode differentiation is at work")
    if recorded():
        reasons.append("calls are recorded, by torch.jit.trace or a dispatch mode")
    return reasons


def taps_refusals(taps: Sequence[float]) -> list[str]:
    """Why no kernel can take a window; empty where one could.

    Example:
        >>> taps_refusals((0.25, 0.5, 0.25)), taps_refusals((0.5, 0.5))
        ([], ['a window of 2 taps; odd, symmetric ones of up to 33 are compiled'])
    """
    if len(taps) % 2 and len(taps) <= MOST_TAPS and tuple(taps) == tuple(taps[::-1]):
        return []
    return [f"a window of {len(taps)} taps; odd, symmetric ones of up to {MOST_TAPS} are compiled"]


def rows_of(x: Tensor) -> Tensor:
    """A batch whose rows stand in memory as they are: one pixel beside the next, nothing left to be done lazily.

    Example:
        >>> rows_of(torch.arange(6.0).view(1, 1, 2, 3).mT).stride()
        (6, 6, 2, 1)
    """
    x = materialised(x)
    return x if x.stride(3) == 1 else x.contiguous()


def shape_of(x: Tensor) -> tuple[int, int, int, int]:
    """The shape of a batch ``(n, c, h, w)``."""
    n, c, height, width = x.shape
    return n, c, height, width


def strides_of(x: Tensor) -> tuple[int, int, int]:
    """From image to image, channel to channel and row to row of a batch, in elements."""
    return x.stride(0), x.stride(1), x.stride(2)


def images_of(x: Tensor, y: Tensor, mask: Tensor | None = None) -> tuple[cpu.Images, float, list[Tensor]]:
    """The batches as the module wants them, the largest pixel value, and the tensors that hold the memory."""
    x, y = (rows_of(image) for image in (x, y))
    whole = x.dtype == torch.uint8
    pixels = shape_of(x), x.data_ptr(), strides_of(x), y.data_ptr(), strides_of(y), whole
    if mask is None:
        return cpu.Images(*pixels), 255.0 if whole else 1.0, [x, y]
    mask = rows_of(mask)
    return cpu.Images(*pixels, mask.data_ptr(), strides_of(mask)), 255.0 if whole else 1.0, [x, y, mask]
