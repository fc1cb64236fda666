"""Colour to luma, to linear light, to XYZ and to L*a*b*."""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.conventions import Luma

BT601 = (0.299, 0.587, 0.114)
BT601_SINGLE = (0.29899999499320984, 0.5870000123977661, 0.11400000005960464)
MATLAB = (0.298936021293776, 0.587043074451121, 0.114020904255103)
WEIGHTS = {"bt601": BT601, "rounded": BT601_SINGLE, "matlab": MATLAB, "matlab-unrounded": MATLAB}


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
        weights = x.new_tensor(WEIGHTS[rule])
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


# The primaries of IEC 61966-2-1 to XYZ under D65, derived from their chromaticities (the standard rounds to four
# digits), each row divided by its sum: XYZ relative to the white point.
_ROWS = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
XYZ_OF_RGB = tuple(tuple(weight / sum(row) for weight in row) for row in _ROWS)


def linear(x: Tensor) -> Tensor:
    """Linear light of sRGB values, IEC 61966-2-1; values below 0 go along the straight part.

    Example:
        >>> round(float(linear(torch.tensor(0.5))), 6)
        0.214041
    """
    return torch.where(x > 0.04045, x.clamp_min(0.04045).add_(0.055).div_(1.055) ** 2.4, x / 12.92)


def xyz(x: Tensor) -> Tensor:
    """CIE XYZ of linear sRGB, relative to the white point D65.

    Args:
        x: linear light, ``(n, 3, *spatial)``; white is (1, 1, 1).

    Returns:
        X/Xn, Y/Yn and Z/Zn, ``(n, 3, *spatial)``; white is (1, 1, 1), and a grey has three equal values.

    Example:
        >>> [round(value, 4) for value in xyz(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).flatten().tolist()]
        [0.4339, 0.2127, 0.0178]
    """
    red, green, blue = x.unbind(1)
    # Since the weights sum to 1, this is their sum, without rounding where red = green = blue.
    return torch.stack([green + r * (red - green) + b * (blue - green) for r, _, b in XYZ_OF_RGB], 1)


def lab(x: Tensor) -> Tensor:
    """CIE L*a*b* of gamma-encoded sRGB under D65, CIE 15:2004.

    Args:
        x: ``(n, 3, *spatial)`` in [0, 1].

    Returns:
        L* (0–100), a* and b*, ``(n, 3, *spatial)``; a* = b* = 0 for greys, to rounding.

    Raises:
        ValueError: for another number of channels.

    Example:
        >>> [round(value, 2) for value in lab(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).flatten().tolist()]
        [53.24, 80.09, 67.2]
    """
    if x.shape[1] != 3:
        raise ValueError(f"lab: needs 3 channels, got {x.shape[1]} in shape {tuple(x.shape)}")
    return lab_of_xyz(xyz(linear(x)))


def lab_of_xyz(x: Tensor) -> Tensor:
    """CIE L*a*b* of X/Xn, Y/Yn and Z/Zn, ``(n, 3, *spatial)``; values below 0 go along the straight part.

    Example:
        >>> [round(value, 2) for value in lab_of_xyz(torch.full((1, 3, 1, 1), 0.5)).flatten().tolist()]
        [76.07, 0.0, 0.0]
    """
    curved = x > (6 / 29) ** 3
    root = torch.where(curved, x, 1.0) ** (1 / 3)
    fx, fy, fz = torch.where(curved, root, x * (841 / 108) + 4 / 29).unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], 1)


def mixed(x: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    """A matrix applied to the channels of ``(n, c, *spatial)``, and a shift of each added.

    Example:
        >>> mixed(torch.ones(1, 2, 1, 1), torch.tensor([[1.0, 2.0], [3.0, 4.0]])).flatten().tolist()
        [3.0, 7.0]
    """
    matrix, flat = matrix.to(x.dtype), x.flatten(2)
    if shift is None:
        found = matrix @ flat
    else:
        found = torch.baddbmm(shift.to(x.dtype)[:, None], matrix.expand(x.shape[0], -1, -1), flat)
    return found.view(x.shape[0], len(matrix), *x.shape[2:])


def length(x: Tensor, y: Tensor) -> Tensor:
    """√(x² + y²), whose gradient at zero is 0 instead of NaN.

    Example:
        >>> float(length(torch.tensor(3.0), torch.tensor(4.0)))
        5.0
    """
    return root(x * x + y * y)


def root(x: Tensor) -> Tensor:
    """√x, whose gradient at zero is 0 instead of infinite; what rounding left below zero is zero.

    Example:
        >>> root(torch.tensor([4.0, 0.0, -1e-9])).tolist()
        [2.0, 0.0, 0.0]
    """
    none = x <= 0
    return torch.where(none, 0.0, torch.where(none, 1.0, x).sqrt())
