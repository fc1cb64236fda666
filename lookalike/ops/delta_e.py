"""Differences of two colours in L*a*b* before CIEDE2000: CIE 1976, CIE 1994, and CMC(l:c).

CIE 15:2004, Colorimetry; CIE 116:1995, Industrial colour-difference evaluation; Clarke, McDonald, Rigg:
Modification to the JPC79 colour-difference formula, Journal of the Society of Dyers and Colourists 100(4), 1984,
doi 10.1111/j.1478-4408.1984.tb00969.x. The latter two weigh by the second colour alone, the reference, and are not
symmetric. At equal colours, where the roots have no derivative, the gradient is 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lookalike.ops import colour


def cie76(x: Tensor, y: Tensor) -> Tensor:
    """The distance in L*a*b*.

    Args:
        x, y: L*, a*, b*, ``(n, 3, *spatial)``.

    Returns:
        ΔE*ab, ``(n, 1, *spatial)``.

    Example:
        >>> float(cie76(torch.tensor([50.0, 3, 0]).view(1, 3, 1), torch.tensor([50.0, 0, 4]).view(1, 3, 1)))
        5.0
    """
    return colour.root((x - y).square().sum(1, keepdim=True))


def cie94(
    x: Tensor, y: Tensor, k: tuple[float, float, float] = (1.0, 1.0, 1.0), K: tuple[float, float] = (0.045, 0.015)
) -> Tensor:
    """The difference of 1994.

    Args:
        x: L*, a*, b* of the colours judged, ``(n, 3, *spatial)``.
        y: of the references, whose chroma weighs.
        k: the parametric weights k_L, k_C and k_H.
        K: K1 and K2, how chroma and hue count less in vivid colours.

    Returns:
        ΔE*94, ``(n, 1, *spatial)``.

    Example:
        >>> vivid, other = (torch.tensor(lab).view(1, 3, 1) for lab in ([50.0, 60, 0], [50.0, 63, 0]))
        >>> round(float(cie94(other, vivid)), 4)
        0.8108
    """
    lightness, chroma, hue, _, of_reference = _parts(x, y)
    kL, kC, kH = k
    of_chroma, of_hue = (1 + weight * of_reference for weight in K)
    squares = (lightness / kL) ** 2 + (chroma / (kC * of_chroma)) ** 2 + hue / (kH * of_hue) ** 2
    return colour.root(squares).unsqueeze(1)


def cmc(x: Tensor, y: Tensor, lc: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """The difference of the Colour Measurement Committee.

    Args:
        x: L*, a*, b* of the colours judged, ``(n, 3, *spatial)``.
        y: of the references, whose lightness, chroma and hue weigh.
        lc: l and c; (1, 1) for what is seen, (2, 1) for what is acceptable.

    Returns:
        ΔE CMC(l:c), ``(n, 1, *spatial)``.

    Example:
        >>> vivid, other = (torch.tensor(lab).view(1, 3, 1) for lab in ([50.0, 60, 0], [50.0, 63, 0]))
        >>> round(float(cmc(other, vivid)), 4)
        1.0786
    """
    lightness, chroma, hue, of_lightness, C = _parts(x, y)
    _, a, b = y.unbind(1)
    angle = torch.rad2deg(torch.atan2(b, torch.where(C < 1e-15, 1.0, a)))
    turned = torch.deg2rad(angle)
    blue = ((angle < 0) & (angle <= 345 - 360)) | (angle >= 164)
    T = torch.where(
        blue,
        0.56 + 0.2 * torch.cos(turned + math.radians(168)).abs(),
        0.36 + 0.4 * torch.cos(turned + math.radians(35)).abs(),
    )
    fourth = C**4
    F = colour.root(fourth / (fourth + 1900))
    dark = of_lightness < 16
    S_L = torch.where(dark, 0.511, 0.040975 * of_lightness / (1 + 0.01765 * torch.where(dark, 16.0, of_lightness)))
    S_C = 0.638 + 0.0638 * C / (1 + 0.0131 * C)
    S_H = S_C * (F * T + 1 - F)
    light, vivid = lc
    squares = (lightness / (light * S_L)) ** 2 + (chroma / (vivid * S_C)) ** 2 + hue / S_H**2
    return colour.root(squares).unsqueeze(1)


def _parts(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """ΔL*, ΔC*, the square of ΔH*, and L* and C* of the reference."""
    (L1, a1, b1), (L2, a2, b2) = x.unbind(1), y.unbind(1)
    C1, C2 = colour.length(a1, b1), colour.length(a2, b2)
    # ΔH² = Δa² + Δb² − ΔC² = 2 (C1 C2 − a1 a2 − b1 b2), as (a1 b2 − a2 b1)² over a sum, where nothing cancels.
    along = C1 * C2 + (a1 * a2 + b1 * b2)
    across = (a1 * b2 - a2 * b1) ** 2
    opposite = along <= C1 * C2
    hue = torch.where(opposite, 2 * (C1 * C2 - (a1 * a2 + b1 * b2)), 2 * across / torch.where(opposite, 1.0, along))
    return L1 - L2, C1 - C2, hue, L2, C2
