"""Two batches that are computed as one, judged images and references behind each other."""

from __future__ import annotations

from torch import Tensor


def halves(both: Tensor) -> tuple[Tensor, Tensor]:
    """The two batches that ``torch.cat([x, y])`` joined; for what was made of them, ``(2n, …) -> (n, …), (n, …)``.

    Unlike ``chunk`` it needs no number for n, which an exported graph does not know.

    Example:
        >>> import torch
        >>> [half.tolist() for half in halves(torch.arange(4))]
        [[0, 1], [2, 3]]
    """
    first, second = both.unflatten(0, (2, both.shape[0] // 2)).unbind()
    return first, second
