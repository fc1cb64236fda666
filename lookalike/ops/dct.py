"""The discrete cosine transform of blocks of 8x8 pixels."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

SIZE = 8


def blocks(x: Tensor) -> Tensor:
    """The whole blocks of 8x8 pixels of ``(n, 1, h, w)``, row by row; what is left at the end is dropped.

    Returns:
        ``(n, h // 8, w // 8, 64)``.

    Example:
        >>> tuple(blocks(torch.zeros(2, 1, 17, 24)).shape)
        (2, 2, 3, 64)
    """
    down, across = (side // SIZE for side in x.shape[2:])
    whole = x[..., : down * SIZE, : across * SIZE].reshape(len(x), down, SIZE, across, SIZE)
    return whole.transpose(2, 3).flatten(3)


def basis(like: Tensor) -> Tensor:
    """The orthonormal two-dimensional DCT-II of a block, ``(64, 64)``: ``blocks(x) @ basis(x).T``.

    Example:
        >>> flat = torch.ones(1, 1, 8, 8, dtype=torch.float64)
        >>> [round(value, 6) for value in (blocks(flat) @ basis(flat).T).flatten()[:2].abs().tolist()]
        [8.0, 0.0]
    """
    return _basis(like.dtype, like.device)


def _basis(dtype: torch.dtype, device: torch.device) -> Tensor:
    return _cached(dtype, device)


setattr(_basis, "_dynamo_marked_constant", True)  # noqa: B010 - see ops.pyramid: a constant of compiled graphs


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _cached(dtype: torch.dtype, device: torch.device) -> Tensor:
    at = torch.arange(SIZE, dtype=torch.float64, device="cpu")
    rows = torch.cos((2 * at + 1) * at[:, None] * (torch.pi / (2 * SIZE))) / 2
    rows = torch.cat([rows[:1] * 0.5**0.5, rows[1:]])
    return torch.kron(rows, rows).to(device, dtype)
