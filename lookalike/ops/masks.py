"""Means over what counts: what masked metrics share."""

from __future__ import annotations

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
