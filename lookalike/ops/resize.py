"""Resizing with a cubic or linear kernel, smoothed where the image shrinks, as MATLAB's ``imresize`` does."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Kernel = Literal["cubic", "linear"]


def resize(
    x: Tensor, height: int, width: int, scale: float | None = None, kernel: Kernel = "cubic"
) -> Tensor:
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
    down, across = (
        _matrix(side, wanted, scale or wanted / side, kernel, x.dtype, x.device)
        for side, wanted in zip(x.shape[2:], (height, width), strict=True)
    )
    return down @ x @ across.T


def _matrix(
    side: int, wanted: int, scale: float, kernel: Kernel, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The weights of one axis, ``(wanted, side)``."""
    return _cached(side, wanted, scale, kernel, dtype, device)


setattr(_matrix, "_dynamo_marked_constant", True)  # noqa: B010 - see ops.pyramid: a constant of compiled graphs


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _cached(
    side: int, wanted: int, scale: float, kernel: Kernel, dtype: torch.dtype, device: torch.device
) -> Tensor:
    shrink = min(scale, 1.0)
    reach = (2 if kernel == "cubic" else 1) / shrink
    at = torch.arange(1, wanted + 1, dtype=torch.float64, device="cpu")[:, None]
    centre = at / scale + 0.5 * (1 - 1 / scale)
    pixels = (centre - reach).floor() + torch.arange(math.ceil(2 * reach) + 2, dtype=torch.float64, device="cpu")
    distance = shrink * (centre - pixels)
    weights = shrink * (_cubic(distance) if kernel == "cubic" else (1 - distance.abs()).relu())
    weights = weights / weights.sum(1, keepdim=True)
    place = torch.remainder(pixels - 1, 2 * side)  # the image and its mirror image, again and again
    place = torch.where(place < side, place, 2 * side - 1 - place).long()
    return (
        torch.zeros(wanted, side, dtype=torch.float64, device="cpu")
        .scatter_add_(1, place, weights)
        .to(device, dtype)
    )


def _cubic(t: Tensor) -> Tensor:
    """Keys's kernel with a = −1/2."""
    t = t.abs()
    near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t <= 1, near, torch.where(t <= 2, far, 0.0))
