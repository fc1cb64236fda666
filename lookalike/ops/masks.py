"""Means over what counts: what masked metrics share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of each image over its valid pixels, ``(n,)``; 0 for an image without one.

    Args:
        values: ``(n, c, *spatial)``, finite where the mask is 0.
        mask: weights of the same shape in [0, 1].

    Example:
        >>> import torch
        >>> masked_mean(torch.tensor([[[1.0, 5.0]]]), torch.tensor([[[1.0, 0.0]]])).tolist()
        [1.0]
    """
    total = mask.flatten(1).sum(1)
    return (mask * values).flatten(1).sum(1) / total.masked_fill(total == 0, 1.0)


def of_pixels(mask: Tensor) -> Tensor:
    """What counts of a pixel whose channels are looked at together, ``(n, 1, h, w)``: its least valid channel.

    Example:
        >>> import torch
        >>> of_pixels(torch.tensor([1.0, 0.5, 1.0]).reshape(1, 3, 1, 1)).tolist()
        [[[[0.5]]]]
    """
    return mask.amin(1, keepdim=True)


def shares_of_windows(mask: Tensor, size: int, stride: int = 1) -> Tensor:
    """The valid share of each window of ``size`` pixels about every ``stride``-th one, ``(n, c, h', w')``.

    What lies beyond the border is valid, as zeros that a rule adds are.

    Example:
        >>> import torch
        >>> shares_of_windows(torch.ones(1, 1, 3, 3), 3).unique().tolist()
        [1.0]
    """
    before = (size - stride) // 2
    after = size - stride - before
    height, width = (-(-side // stride) * stride - side for side in mask.shape[2:])
    missing = F.pad(1 - mask, (before, after + width, before, after + height))
    return (1 - F.avg_pool2d(missing, size, stride)).clamp(0, 1)


def masked_deviation(values: Tensor, weights: Tensor, correction: int) -> Tensor:
    """The variance of each plane over what counts, ``(n, c)``; 0 for a plane without it.

    Args:
        values, weights: ``(n, c, h, w)``.
        correction: subtracted from the sum of the weights, as in the sample variance.

    Example:
        >>> import torch
        >>> plane = torch.tensor([1.0, 3.0, 9.0]).reshape(1, 1, 1, 3)
        >>> float(masked_deviation(plane, torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 1, 3), 1))
        2.0
    """
    values, weights = values.flatten(2), weights.flatten(2)
    total = weights.sum(2)
    mean = (weights * values).sum(2) / total.masked_fill(total == 0, 1.0)
    spread = (weights * (values - mean.unsqueeze(2)).square()).sum(2)
    freedom = total - correction
    return torch.where(freedom > 0, spread, 0.0) / freedom.masked_fill(freedom <= 0, 1.0)
