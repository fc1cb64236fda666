"""Constants of formulas, such as filters: kept from call to call as NumPy arrays, made tensors anew by each call.

A tensor made once and kept would carry the mode of the call that made it – fake tensors, inference mode, a trace –
into every later one. An array has no mode, no device and no graph. On a CPU the tensor is a view of the array,
which costs a microsecond; nothing may be computed in place on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Concatenate, ParamSpec

import numpy as np
import torch
from torch import Tensor

from lookalike.modes import constant_in_graphs

P = ParamSpec("P")
Arrays = tuple[np.ndarray, ...]
Tensors = Callable[Concatenate[torch.dtype, torch.device, P], tuple[Tensor, ...]]


def kept(maxsize: int) -> Callable[[Callable[P, Arrays]], Tensors[P]]:
    """Turn a function that makes float64 arrays of numbers into one that gives tensors: ``f(dtype, device, …)``.

    Its arrays are kept in single or double precision; complex ones become complex tensors, whole numbers stay what
    they are. In compiled and exported graphs the tensors are constants, copies of the arrays.

    Args:
        maxsize: for how many arguments arrays are kept.

    Example:
        >>> @kept(4)
        ... def ramp(count: int) -> Arrays:
        ...     return (np.arange(count) / 2,)
        >>> [values] = ramp(torch.float32, torch.device("cpu"), 3)
        >>> values
        tensor([0.0000, 0.5000, 1.0000])
    """

    def decorate(make: Callable[P, Arrays]) -> Tensors[P]:
        @lru_cache(maxsize)
        def arrays(double: bool, *args: P.args, **options: P.kwargs) -> Arrays:
            return tuple(_in_precision(array, double) for array in make(*args, **options))

        @constant_in_graphs
        def in_graph(
            dtype: torch.dtype, device: torch.device, *args: P.args, **options: P.kwargs
        ) -> tuple[Tensor, ...]:
            made = arrays(dtype == torch.float64, *args, **options)
            return tuple(_tensor(array.copy(), dtype, device) for array in made)

        def tensors(
            dtype: torch.dtype, device: torch.device, *args: P.args, **options: P.kwargs
        ) -> tuple[Tensor, ...]:
            if torch.compiler.is_compiling():
                return in_graph(dtype, device, *args, **options)
            made = arrays(dtype == torch.float64, *args, **options)
            return tuple(_tensor(array, dtype, device) for array in made)

        tensors.__doc__ = make.__doc__
        return tensors

    return decorate


def _in_precision(array: np.ndarray, double: bool) -> np.ndarray:
    if array.dtype.kind in "fc" and not double:
        return array.astype(np.complex64 if array.dtype.kind == "c" else np.float32)
    return np.ascontiguousarray(array)


def _tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    made = torch.from_numpy(array)
    if made.is_floating_point():
        return made.to(device=device, dtype=dtype)
    return made.to(device=device)
