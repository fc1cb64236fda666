"""L1 and SSIM as one loss, in plain torch.

With a share of 0.2 it is the loss of 3-D Gaussian splatting: Kerbl, Kopanas, Leimkühler, Drettakis, ACM TOG 42(4),
2023, doi 10.1145/3592433, eq. 7.
"""

from __future__ import annotations

from torch import Tensor

from lookalike.ops.ssim import reference
from lookalike.ops.window import Border


def l1_ssim(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    share: float = 0.2,
    border: Border = "valid",
    c1: float,
    c2: float,
    unbias: float = 1.0,
) -> Tensor:
    """Per plane (1 − share) · mean |x − y| + share · (1 − mean SSIM).

    Args:
        x, y, taps, border, c1, c2, unbias: as in `reference.means`.
        share: of the structural part.

    Returns:
        ``(n, c)``.

    Example:
        >>> import torch
        >>> flat = torch.ones(1, 1, 3, 3)
        >>> round(float(l1_ssim(flat, 0.5 * flat, (0.25, 0.5, 0.25), c1=1e-4, c2=9e-4)), 6)
        0.439997
    """
    ssim = reference.means(x, y, taps, border=border, c1=c1, c2=c2, unbias=unbias)[..., 0]
    return (1 - share) * (x - y).abs().flatten(2).mean(2) + share * (1 - ssim)
