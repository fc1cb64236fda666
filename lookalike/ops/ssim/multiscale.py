"""Powers and products of the means of several scales, finite in value and gradient where the papers' are not."""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from lookalike.conventions import Negative

_KNEE = 1e-3  # below it the chord of a power through 0 stands in for it: its slope is finite


def product(means: Tensor, powers: Tensor, negative: Negative = "leak") -> Tensor:
    """Π_j m_j^w_j, eq. 7 of Wang et al. 2003, with a stated meaning where a mean is negative.

    Args:
        means: ``(…, scales)``.
        powers: ``(scales,)``, not negative.
        negative: ``"relu"``: a negative mean counts as 0, and so does the product; ``"leak"``: likewise, and
            Σ_j w_j · min(m_j, 0) / Σ_j w_j is added, so that a loss still pulls the mean upward; ``"real"``: the
            real part of the product of complex powers, as the authors' program goes.

    Returns:
        ``(…)``.

    Example:
        >>> means = torch.tensor([0.25, -0.5])
        >>> [round(float(product(means, torch.tensor([0.5, 0.25]), rule)), 4) for rule in ("relu", "leak", "real")]
        [0.0, -0.1667, 0.2973]
    """
    if negative == "real":
        angle = math.pi * torch.where(means < 0, powers, 0.0).sum(-1)
        return product(means.abs(), powers, "relu") * angle.cos()
    positive = means.relu()
    above = positive > _KNEE
    curve = torch.where(above, positive, 1.0) ** powers
    chord = positive * _KNEE ** (powers - 1)
    # A weight of 0 asks for the factor 1, whatever the mean.
    factors = torch.where(powers == 0, 1.0, torch.where(above, curve, chord))
    # Multiplied one by one: the derivative of prod() divides, and its second derivative is wrong at zeros.
    whole = reduce(torch.mul, factors.unbind(-1))
    return whole + (powers / powers.sum() * (means - positive)).sum(-1) if negative == "leak" else whole


def signed_power(term: Tensor, power: float) -> Tensor:
    """sign(t)·|t|^p, within a small knee about 0 its chord, whose slope is finite.

    Example:
        >>> [round(value, 4) for value in signed_power(torch.tensor([-0.25, 0.0, 0.25]), 0.5).tolist()]
        [-0.5, 0.0, 0.5]
    """
    if power == 1.0:
        return term
    if power == 0.0:
        return torch.ones_like(term)
    size = term.abs()
    far = size > _KNEE
    curve = torch.where(far, size, 1.0) ** power * term.sign()
    return torch.where(far, curve, term * _KNEE ** (power - 1))
