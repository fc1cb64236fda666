"""Contextual similarity written as its formula: the meaning of the op. It holds the matrix of all pairs.

Mechrez, Talmi, Zelnik-Manor: The contextual loss for image transformation with non-aligned data, ECCV 2018,
doi 10.1007/978-3-030-01264-9_47, eq. 2–4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Distance = Literal["cosine", "l1", "l2"]


def distances(x: Tensor, y: Tensor, kind: Distance = "cosine") -> Tensor:
    """Distances of all pairs of vectors.

    Args:
        x: ``(..., N, C)``, of length 1 (or 0) for ``"cosine"``.
        y: ``(..., M, C)``, likewise.
        kind: ``"cosine"``: (1 − x·y) / 2; ``"l1"``: Σ|x − y|; ``"l2"``: Σ(x − y)². What rounding left below zero is
            zero, with gradient 0. ``"l1"`` has no second derivative in torch.

    Returns:
        ``(..., N, M)``.

    Example:
        >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> [distances(a, b, kind).tolist()[0] for kind in ("cosine", "l1", "l2")]
        [[0.5, 0.0], [2.0, 0.0], [2.0, 0.0]]
    """
    if kind == "l1":
        return torch.cdist(x, y, p=1)
    products = x @ y.mT
    if kind == "cosine":
        return products.mul_(-0.5).add_(0.5).relu_()  # in place: a product does not keep its result
    squares_x, squares_y = x.square().sum(-1).unsqueeze(-1), y.square().sum(-1).unsqueeze(-2)
    return products.mul_(-2).add_(squares_x).add_(squares_y).relu_()


def apart(places: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances of positions, ``(N, 2), (M, 2) -> (N, M)``."""
    return torch.cdist(places, others, compute_mode="donot_use_mm_for_euclid_dist")


def contextual(
    x: Tensor,
    y: Tensor,
    places: Tensor | None = None,
    *,
    distance: Distance = "cosine",
    bandwidth: float = 0.5,
    epsilon: float = 1e-5,
) -> Tensor:
    """Contextual similarity CX of two sets of vectors.

    Args:
        x: vectors of the image judged, ``(n, N, C)``.
        y: vectors of the reference, ``(n, M, C)``.
        places: where the vectors are, ``(N, 2)``, the same for both (then N = M): their distance is added, which
            makes it contextual bilateral. None adds nothing.
        distance: as in `distances`.
        bandwidth: h; the smaller, the more the nearest counts.
        epsilon: added to the smallest distance of a row before the others are divided by it.

    Returns:
        ``(n,)``, in (0, 1].

    Example:
        >>> x = torch.eye(3).view(1, 3, 3)
        >>> round(float(contextual(x, x)), 6), round(float(contextual(x, x[:, :1])), 6)
        (1.0, 1.0)
    """
    d = distances(x, y, distance)
    if places is not None:
        d = d + apart(places, places)
    # The 1 in exp((1 − d/min d)/h) cancels in the quotient, and a softmax does not overflow for a small h.
    relative = d / (d.min(2, keepdim=True).values + epsilon)
    return torch.softmax(-relative / bandwidth, 2).max(1).values.mean(1)
