"""Resizing with a cubic or linear kernel, smoothed where the image shrinks, as MATLAB's ``imresize`` does.

Along an axis the result is a matrix times the pixels, whose rows hold a few neighbours each: on a CPU it is taken
in blocks of rows, of which each needs a short stretch of the pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lookalike.ops.constants import Arrays, kept

Kernel = Literal["cubic", "linear"]
Axis = tuple[int, int, float, Kernel]  # pixels, pixels wanted, scale, kernel


def resize(x: Tensor, height: int, width: int, scale: float | None = None, kernel: Kernel = "cubic") -> Tensor:
    """Resize every plane of ``(n, c, h, w)``, the image mirrored about the outer edge of its last pixels.

    Args:
        x: planes, float32 or float64.
        height, width: of the result.
        scale: by how much, where the sides do not say it exactly: a quarter of 451 px is 113.
        kernel: ``"cubic"`` or ``"linear"`` (MATLAB's bicubic and bilinear).

    Returns:
        ``(n, c, height, width)``.

    Example:
        >>> row = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
        >>> [round(value, 4) for value in resize(row, 2, 2)[0, 0, 0].tolist()]
        [0.0547, 0.9453]
    """
    # A compiled graph may know a side as a symbol only; a range of it has a length, which is a number.
    tall, wide, height, width = (len(range(side)) for side in (*x.shape[2:], height, width))
    down: Axis = (tall, height, scale or height / tall, kernel)
    across: Axis = (wide, width, scale or width / wide, kernel)
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return _Resized.apply(x, down, across, False)
    [rows], [columns] = (_matrix(x.dtype, x.device, axis) for axis in (down, across))
    return rows @ x @ columns.T


class _Resized(torch.autograd.Function):
    """A x Bᵀ of banded A and B. So is its gradient, Aᵀ g B, while that of a slice is as large as the image."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, down: Axis, across: Axis, turned: bool) -> Tensor:
        blocks = _blocks(down, turned, x.dtype, x.device)
        x = torch.cat([weights @ x[..., first:last, :] for weights, first, last in blocks], -2)
        blocks, shape = _blocks(across, turned, x.dtype, x.device), x.shape[:-1]
        x = x.flatten(0, -2)
        return torch.cat([x[:, first:last] @ weights.T for weights, first, last in blocks], -1).unflatten(0, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Axis, Axis, bool], output: Tensor) -> None:
        _, *ctx.axes, ctx.turned = inputs

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Resized.apply(upstream, *ctx.axes, not ctx.turned), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Resized.apply(tangent, *ctx.axes, ctx.turned)


def _blocks(axis: Axis, turned: bool, dtype: torch.dtype, device: torch.device) -> list[tuple[Tensor, int, int]]:
    """The matrix of an axis in blocks of rows: the weights, and from which pixel to which each has some."""
    return list(zip(_weights_of_blocks(dtype, device, axis, turned), *_reaches(axis, turned), strict=True))


@lru_cache(maxsize=64)
def _reaches(axis: Axis, turned: bool) -> tuple[list[int], list[int]]:
    """From which pixel to which each block of rows has weights."""
    seen = [np.flatnonzero(block.any(0)) for block in _rows_of_blocks(axis, turned)]
    return [int(at[0]) if len(at) else 0 for at in seen], [int(at[-1]) + 1 if len(at) else 1 for at in seen]


@kept(64)
def _weights_of_blocks(axis: Axis, turned: bool) -> Arrays:
    """The weights of each block of rows where it has some."""
    blocks = _rows_of_blocks(axis, turned)
    return tuple(block[:, first:last] for block, first, last in zip(blocks, *_reaches(axis, turned), strict=True))


def _rows_of_blocks(axis: Axis, turned: bool) -> list[np.ndarray]:
    [matrix] = _matrix_of(axis)
    matrix = matrix.T if turned else matrix
    rows = 16 if len(matrix) < matrix.shape[1] else 32
    return [matrix[start : start + rows] for start in range(0, len(matrix), rows)]


def _matrix_of(axis: Axis) -> Arrays:
    """The weights of an axis, one array ``(wanted, side)``."""
    side, wanted, scale, kernel = axis
    shrink = min(scale, 1.0)
    reach = (2 if kernel == "cubic" else 1) / shrink
    centre = np.arange(1, wanted + 1)[:, None] / scale + 0.5 * (1 - 1 / scale)
    pixels = np.floor(centre - reach) + np.arange(math.ceil(2 * reach) + 2)
    distance = shrink * (centre - pixels)
    weights = shrink * (_cubic(distance) if kernel == "cubic" else (1 - np.abs(distance)).clip(0))
    weights = weights / weights.sum(1, keepdims=True)
    place = np.remainder(pixels - 1, 2 * side)  # the image and its mirror image, again and again
    place = np.where(place < side, place, 2 * side - 1 - place).astype(np.intp)
    matrix = np.zeros((wanted, side))
    np.add.at(matrix, (np.arange(wanted)[:, None], place), weights)
    return (matrix,)


_matrix = kept(64)(_matrix_of)


def _cubic(t: np.ndarray) -> np.ndarray:
    """Keys's kernel with a = −1/2."""
    t = np.abs(t)
    near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t <= 1, near, np.where(t <= 2, far, 0.0))
