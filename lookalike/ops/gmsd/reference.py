"""How unevenly the gradients of two images agree, in plain torch: the meaning that the kernel is held to.

Xue, Zhang, Mou, Bovik, IEEE TIP 23(2), 2014, doi 10.1109/TIP.2013.2293423, eq. 3–6; with masking Zhang,
Sander, Bermak, ICASSP 2017, doi 10.1109/ICASSP.2017.7952357, eq. 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lookalike.ops import colour, masks
from lookalike.ops.gradient import PREWITT, energy


def deviation(
    x: Tensor, y: Tensor, weights: Sequence[float], *, masking: float = 0.0, constant: float, correction: int
) -> Tensor:
    """√Σ w·v: over scales, the weight times the variance of the similarity of gradient lengths.

    Args:
        x, y: planes, ``(n, c, h, w)``.
        weights: of the scales, full size first, each half as large as the one before, with zeros beyond an odd
            border; a scale of weight 0 is passed over.
        masking: α of Zhang et al. 2017; 0 is the similarity of Xue et al. 2014.
        constant: of the similarity, for squared gradients of the images' range.
        correction: 1 for the sample variance, 0 for that of the population.

    Returns:
        ``(n, c)``, 0 for identical planes.

    Example:
        >>> import torch
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(deviation(y.roll(2, -1), y, (0.0, 1.0), constant=170 / 255**2, correction=1)), 4)
        0.174
    """
    total = x.new_zeros(x.shape[:2])
    for scale, weight in enumerate(weights):
        if scale:
            x, y = _halved(x), _halved(y)
        if weight:
            total = total + weight * _variance(_similarity(x, y, masking, constant), correction)
    return colour.root(total)


def masked_deviation(x: Tensor, y: Tensor, mask: Tensor, *, constant: float) -> Tensor:
    """√v at half size over the windows that count, with the sample variance, as Xue et al. 2014.

    Args:
        x, y: planes, ``(n, 1, h, w)``, 0 where the mask is 0.
        mask: ``(n, 1, h, w)`` in [0, 1]; a window, 6 x 6 pixels, counts by its valid share.
        constant: as in `deviation`.

    Returns:
        ``(n, 1)``.

    Example:
        >>> import torch
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(masked_deviation(y.roll(2, -1), y, torch.ones_like(y), constant=170 / 255**2)), 4)
        0.174
    """
    x, y = _halved(x), _halved(y)
    similarity = _similarity(x, y, 0.0, constant).view_as(x)
    shares = masks.shares_of_windows(mask, 6, 2)
    return colour.root(masks.masked_deviation(similarity, shares, 1))


def _halved(x: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; where a side is odd, the last pixel is averaged with zeros."""
    return F.avg_pool2d(x, 2, ceil_mode=True, divisor_override=4)


def _similarity(x: Tensor, y: Tensor, masking: float, constant: float) -> Tensor:
    """The similarity of gradient lengths, ``(n, c, h·w)``."""
    a, b = energy(x, PREWITT), energy(y, PREWITT)
    both = colour.root(a * b)  # one root instead of two; for identical images it is exactly a
    if masking:
        return (((2 - masking) * both + constant) / (a + b - masking * both + constant)).flatten(2)
    return ((2 * both + constant) / (a + b + constant)).flatten(2)


def _variance(values: Tensor, correction: int) -> Tensor:
    """The variance of each plane; unlike that of torch, without a warning where there are none."""
    spread = (values - values.mean(2, keepdim=True)).square().sum(2)
    return spread / (values.shape[2] - correction)
