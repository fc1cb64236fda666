"""The CIEDE2000 difference of two colours.

Sharma, Wu, Dalal: The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
mathematical observations, Color Research and Application 30(1), 2005, doi 10.1002/col.20070.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lookalike.ops import colour

# The mean hue jumps where two hues are opposite, as a pure green's and a pure magenta's are: so many radians count
# as exactly opposite, lest rounding choose the side. The closest of the published pairs are 4e-5 from it.
_OPPOSITE = 1e-5


def ciede2000(x: Tensor, y: Tensor, k: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Tensor:
    """The CIEDE2000 difference of colours, eq. 2–22 of the paper.

    Args:
        x, y: L*, a*, b*, ``(n, 3, *spatial)``.
        k: the parametric weights k_L, k_C and k_H.

    Returns:
        ΔE00, ``(n, 1, *spatial)``; 1 is about the least difference seen between two patches side by side.

    Example:
        >>> a, b = (torch.tensor(lab).view(1, 3, 1, 1) for lab in ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0]))
        >>> round(float(ciede2000(a, b)), 4)
        27.1492
    """
    (L1, a1, b1), (L2, a2, b2) = x.unbind(1), y.unbind(1)
    G = 0.5 * (1 - _seventh((colour.length(a1, b1) + colour.length(a2, b2)) / 2))
    a1, a2 = (1 + G) * a1, (1 + G) * a2
    C1, C2 = colour.length(a1, b1), colour.length(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)

    grey = C1 * C2 == 0
    apart = (h2 - h1).detach()
    half = math.pi + _OPPOSITE
    turn = 2 * math.pi * ((apart < -half).to(h1) - (apart > half).to(h1))
    dH = 2 * colour.root(C1 * C2) * torch.sin(torch.where(grey, 0.0, h2 - h1 + turn) / 2)
    dL, dC = L2 - L1, C2 - C1

    around = turn.abs() * torch.where(h1 + h2 < 2 * math.pi, 1, -1)
    h = torch.where(grey, h1 + h2, (h1 + h2 + around) / 2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    T = (
        1 - 0.17 * torch.cos(h - math.radians(30)) + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + math.radians(6)) - 0.20 * torch.cos(4 * h - math.radians(63))
    )  # fmt: skip
    turned = math.radians(30) * torch.exp(-(((h - math.radians(275)) / math.radians(25)) ** 2))
    RT = -torch.sin(2 * turned) * 2 * _seventh(C)
    SL = 1 + 0.015 * (L - 50) ** 2 / (20 + (L - 50) ** 2).sqrt()
    kL, kC, kH = k
    l, c, h = dL / (kL * SL), dC / (kC * (1 + 0.045 * C)), dH / (kH * (1 + 0.015 * C * T))  # noqa: E741 - as there
    return colour.root(l * l + c * c + h * h + RT * c * h).unsqueeze(1)


def _seventh(chroma: Tensor) -> Tensor:
    """√(C⁷ / (C⁷ + 25⁷)), without powers that float32 cannot hold."""
    power = (chroma / 25) ** 7
    return colour.root(power / (1 + power))


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """The angle of a colour in [0, 2π); 0 for a grey."""
    grey = a * a + b * b < 1e-30  # less, and the derivative, which divides by it, overflows in float32
    angle = torch.atan2(b, torch.where(grey, 1.0, a))
    return torch.where(angle < 0, angle + 2 * math.pi, angle)
