"""The discrete cosine transform of blocks of 8x8 pixels."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

SIZE = 8


def transform(x: Tensor) -> Tensor:
    """The orthonormal two-dimensional DCT-II of the whole blocks of an image; what is left at the end is dropped.

    Args:
        x: ``(n, 1, h, w)``.

    Returns:
        ``(n, 64, h // 8, w // 8)``: the coefficients by vertical, then by horizontal frequency.

    Example:
        >>> flat = torch.ones(1, 1, 17, 8, dtype=torch.float64)
        >>> [round(value, 6) for value in transform(flat)[0, :2].abs().flatten().tolist()]
        [8.0, 8.0, 0.0, 0.0]
    """
    down, across = (side // SIZE for side in x.shape[2:])
    whole = x[..., : down * SIZE, : across * SIZE].reshape(len(x), down, SIZE, across, SIZE)
    rows = _rows(x.dtype, x.device)
    # Blocks come last: so they are the long side of every product.
    pixels = whole.permute(0, 2, 4, 1, 3).flatten(3)
    return (rows @ (rows @ pixels).flatten(2)).view(len(x), SIZE * SIZE, down, across)


def _rows(dtype: torch.dtype, device: torch.device) -> Tensor:
    return _cached(dtype, device)


setattr(_rows, "_dynamo_marked_constant", True)  # noqa: B010 - see ops.pyramid: a constant of compiled graphs


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _cached(dtype: torch.dtype, device: torch.device) -> Tensor:
    at = torch.arange(SIZE, dtype=torch.float64, device="cpu")
    rows = torch.cos((2 * at + 1) * at[:, None] * (torch.pi / (2 * SIZE))) / 2
    return torch.cat([rows[:1] * 0.5**0.5, rows[1:]]).to(device, dtype)
