"""The discrete cosine transform of blocks of 8x8 pixels."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from lookalike.ops.constants import Arrays, kept

SIZE = 8


def transform(x: Tensor) -> Tensor:
    """The orthonormal two-dimensional DCT-II of the whole blocks of an image; what is left at the end is dropped.

    Args:
        x: ``(n, 1, h, w)``.

    Returns:
        ``(n, 64, h // 8, w // 8)``: the coefficients by vertical, then by horizontal frequency.

    Example:
        >>> import torch
        >>> flat = torch.ones(1, 1, 17, 8, dtype=torch.float64)
        >>> [round(value, 6) for value in transform(flat)[0, :2].abs().flatten().tolist()]
        [8.0, 8.0, 0.0, 0.0]
    """
    down, across = (side // SIZE for side in x.shape[2:])
    whole = x[..., : down * SIZE, : across * SIZE].reshape(x.shape[0], down, SIZE, across, SIZE)
    [rows] = _rows(x.dtype, x.device)
    # Blocks come last: so they are the long side of every product.
    pixels = whole.permute(0, 2, 4, 1, 3).flatten(3)
    return (rows @ (rows @ pixels).flatten(2)).view(x.shape[0], SIZE * SIZE, down, across)


@kept(1)
def _rows() -> Arrays:
    at = np.arange(SIZE, dtype=np.float64)
    rows = np.cos((2 * at + 1) * at[:, None] * (math.pi / (2 * SIZE))) / 2
    rows[0] *= 0.5**0.5
    return (rows,)
