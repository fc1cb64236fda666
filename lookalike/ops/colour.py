"""Colour to luma."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Luma = Literal["bt601", "rounded", "matlab", "matlab-unrounded"]
BT601 = (0.299, 0.587, 0.114)
BT601_SINGLE = (0.29899999499320984, 0.5870000123977661, 0.11400000005960464)
MATLAB = (0.298936021293776, 0.587043074451121, 0.114020904255103)
_WEIGHTS = {"bt601": BT601, "rounded": BT601_SINGLE, "matlab": MATLAB, "matlab-unrounded": MATLAB}


def luma(x: Tensor, rule: Luma = "bt601") -> Tensor:
    """Luma of gamma-encoded RGB.

    Args:
        x: ``(n, 3, h, w)`` in [0, 1]; one channel passes as it is (rounded where the rule rounds).
        rule: ``"bt601"``: 0.299 R + 0.587 G + 0.114 B; ``"rounded"``: the same to the nearest of 256 levels, with
            weights in single precision, which decide the ties; ``"matlab"``: MATLAB's rgb2gray, likewise rounded;
            ``"matlab-unrounded"``: its weights alone. Rounding passes the gradient straight through.

    Returns:
        ``(n, 1, h, w)``.

    Raises:
        ValueError: for another number of channels.

    Example:
        >>> round(float(luma(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1))), 6)
        0.5925
    """
    if x.shape[1] not in (1, 3):
        raise ValueError(f"luma: needs 1 or 3 channels, got {x.shape[1]} in shape {tuple(x.shape)}")
    if x.shape[1] == 3:
        weights = x.new_tensor(_WEIGHTS[rule])
        x = (x * weights.view(3, *[1] * (x.ndim - 2))).sum(1, keepdim=True)
    return to_levels(x) if rule in ("rounded", "matlab") else x


def to_levels(x: Tensor) -> Tensor:
    """Round the unit range to 256 levels, halves upward; the gradient passes straight through.

    Example:
        >>> float(to_levels(torch.tensor(0.5)) * 255)
        128.0
    """
    # Sums of three products land a few ulp below a half that is exact in decimals; MATLAB's do not.
    levels = torch.floor(x.detach() * 255 + 0.5 + 1e-9) / 255
    return levels if not x.requires_grad else x + (levels - x).detach()
