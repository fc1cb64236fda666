"""SSIM in plain torch: the meaning that every kernel is held to.

Local moments are taken of the sum p = x + y and the difference m = x - y, each about its plane mean. With
P, M their local means and V_p, V_m their local variances,

    2 mu_x mu_y = (P² - M²) / 2        mu_x² + mu_y² = (P² + M²) / 2
    2 sigma_xy  = (V_p - V_m) / 2      sigma_x² + sigma_y² = (V_p + V_m) / 2

so identical images give exactly 1, four blurs suffice, and no large numbers are subtracted where the images
agree. Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, doi 10.1109/TIP.2003.819861, eq. 6-13.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lookalike.conventions import Halving
from lookalike.ops.ssim.setting import Mixture, Scales, Setting
from lookalike.ops.window import blur, extend, extend_mask, halve, margins, of_valid


class Moments(NamedTuple):
    """Local statistics of p = x + y and m = x - y, each ``(n, c, *spatial')``, and the weight of each position."""

    mean_p: Tensor
    mean_m: Tensor
    var_p: Tensor
    var_m: Tensor
    cov_pm: Tensor | None
    weight: Tensor | None


def moments(
    x: Tensor, y: Tensor, setting: Setting, *, mask: Tensor | None = None, covariance: bool = False
) -> Moments:
    """Local means and variances of the sum and the difference of two batches.

    Args:
        x, y: ``(n, c, *spatial)`` in the unit range.
        setting: of which the window, its border and ``unbias`` matter.
        mask: validity ``(n, c, *spatial)`` in [0, 1]; windows are renormalised to their valid pixels
            (normalised convolution), and a position weighs as much as its window is valid. Where it is 0 the
            images must be finite.
        covariance: whether the covariance of p and m is wanted too (a fifth blur).
    """
    taps, border, unbias = setting.taps, setting.border, setting.unbias
    before, after = margins(taps, x.ndim - 2)
    weight = None if mask is None else extend_mask(mask, before, after, border)
    p, m = (extend(image, before, after, border) for image in (x + y, x - y))
    if weight is None:
        p, shift_p = _centred(p)
        m, shift_m = _centred(m)
        share, valid = 1.0, None
    else:
        p, shift_p = _centred_masked(p, weight)
        m, shift_m = _centred_masked(m, weight)
        valid = blur(weight, taps)
        share = torch.where(valid > 0, valid, 1.0)

    signals = torch.cat([p, m, p * p, m * m, p * m] if covariance else [p, m, p * p, m * m], 1)
    if weight is not None:
        signals = signals * weight.repeat(1, signals.shape[1] // weight.shape[1], *[1] * (signals.ndim - 2))
    # One call for all signals: a depthwise convolution of many channels is several times faster than many of few.
    local = [part / share for part in blur(signals, taps).split(x.shape[1], 1)]
    mean_p, mean_m = local[:2]
    var_p = unbias * (local[2] - mean_p * mean_p)
    var_m = unbias * (local[3] - mean_m * mean_m)
    cov_pm = unbias * (local[4] - mean_p * mean_m) if covariance else None
    return Moments(mean_p + shift_p, mean_m + shift_m, var_p, var_m, cov_pm, valid)


def _centred(image: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract each plane's mean; the shift is a constant to autograd, for no moment depends on it."""
    shift = image.detach().mean(dim=tuple(range(2, image.ndim)), keepdim=True)
    return image - shift, shift


def _centred_masked(image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract each plane's mean over valid pixels, and set the others to zero, whatever they held."""
    dims = tuple(range(2, image.ndim))
    image = torch.where(weight > 0, image, 0.0)
    total = weight.sum(dims, keepdim=True)
    shift = (weight * image).detach().sum(dims, keepdim=True) / torch.where(total > 0, total, 1.0)
    return torch.where(weight > 0, image - shift, 0.0), shift


def maps(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    """The maps of SSIM and of its contrast-structure part.

    Args:
        x, y: ``(n, c, *spatial)`` in the unit range.
        setting: the window and the constants.

    Returns:
        ``(2, n, c, *spatial')``: SSIM and contrast·structure.
    """
    local = moments(x, y, setting)
    contrast_structure = contrast_structure_of(local, setting.c2)
    return torch.stack([luminance_of(local, setting.c1) * contrast_structure, contrast_structure])


def means(x: Tensor, y: Tensor, setting: Setting, mask: Tensor | None = None) -> Tensor:
    """Per plane the mean of SSIM and the mean of contrast·structure.

    Args:
        x, y, setting: as in `maps`.
        mask: as in `moments`.

    Returns:
        ``(n, c, 2)``. A plane without a valid pixel scores 1: nothing in it differs.
    """
    local = moments(x, y, setting, mask=mask)
    contrast_structure = contrast_structure_of(local, setting.c2)
    both = luminance_of(local, setting.c1) * contrast_structure, contrast_structure
    if local.weight is None:
        return torch.stack([part.flatten(2).mean(2) for part in both], -1)
    return torch.stack([valid_mean(part, local.weight, 1.0) for part in both], -1)


def looked_means(x: Tensor, y: Tensor, setting: Setting) -> tuple[Tensor, float, float]:
    """`means`, and the least and the greatest value of both images; all three NaN where one is.

    Example:
        >>> y = torch.linspace(0, 1, 9).view(1, 1, 3, 3)
        >>> looked_means(y, y, Setting((0.25, 0.5, 0.25)))[1:]
        (0.0, 1.0)
    """
    extremes = torch.stack([*torch.aminmax(x.detach()), *torch.aminmax(y.detach())]).tolist()
    return means(x, y, setting), min(extremes[::2]), max(extremes[1::2])


def clipped_means(x: Tensor, y: Tensor, setting: Setting, mask: Tensor | None = None) -> Tensor:
    """`means` with negative contrast·structure set to 0 at every position."""
    local = moments(x, y, setting, mask=mask)
    structure = contrast_structure_of(local, setting.c2).relu()
    both = luminance_of(local, setting.c1) * structure, structure
    return torch.stack([valid_mean(part, weight_of(local), 1.0) for part in both], -1)


def weight_of(local: Moments) -> Tensor:
    """What each position counts: 1 where there is no mask."""
    return torch.ones_like(local.mean_p) if local.weight is None else local.weight


def valid_mean(values: Tensor, weight: Tensor, of_none: float) -> Tensor:
    """The weighted mean of each plane ``(n, c)``; ``of_none`` where no weight is greater than 0.

    Example:
        >>> valid_mean(torch.tensor([[[1.0, 4.0]]]), torch.tensor([[[1.0, 0.5]]]), 0.0).tolist()
        [[2.0]]
    """
    values, weight = values.flatten(2), weight.flatten(2)
    total = weight.sum(2)
    return torch.where(total > 0, (weight * values).sum(2) / torch.where(total > 0, total, 1.0), of_none)


def l1_ssim(x: Tensor, y: Tensor, mixture: Mixture, mask: Tensor | None = None) -> Tensor:
    """Per plane (1 − share) · mean |x − y| + share · (1 − mean SSIM).

    With a share of 0.2 it is the loss of 3-D Gaussian splatting: Kerbl, Kopanas, Leimkühler, Drettakis, ACM TOG
    42(4), 2023, doi 10.1145/3592433, eq. 7.

    Args:
        x, y: as in `maps`.
        mixture: a setting and the share of the structural part.
        mask: as in `moments`; the first mean is over the pixels, each by its weight.

    Returns:
        ``(n, c)``; 0 for a plane without a valid pixel.

    Example:
        >>> flat = torch.ones(1, 1, 3, 3)
        >>> round(float(l1_ssim(flat, 0.5 * flat, Mixture(Setting((0.25, 0.5, 0.25))))), 6)
        0.439997
    """
    ssim = means(x, y, mixture.setting, mask)[..., 0]
    difference = (x - y).abs()
    l1 = difference.flatten(2).mean(2) if mask is None else valid_mean(difference, mask, 0.0)
    return (1 - mixture.share) * l1 + mixture.share * (1 - ssim)


def pyramid(
    x: Tensor, y: Tensor, scales: Scales, mask: Tensor | None = None, *, at_scale: Callable[..., Tensor] = means
) -> Tensor:
    """The per-scale means that MS-SSIM is made of.

    Args:
        x, y: as in `maps`.
        scales: a setting, and how the pyramid is built.
        mask: as in `moments`; it is halved with the images, whose valid pixels alone are averaged.
        at_scale: what takes the means of one scale; a kernel may stand in.

    Returns:
        ``(n, c, levels)``: mean contrast·structure of each scale but the last, whose mean SSIM it is.
    """
    columns = []
    for level in range(scales.levels):
        if level and mask is not None:
            x, y, mask = halve_valid(x, y, mask, scales.halving)
        elif level:
            x, y = halve(x, scales.halving), halve(y, scales.halving)
        columns.append(at_scale(x, y, scales.at(level), mask)[..., 0 if level == scales.levels - 1 else 1])
    return torch.stack(columns, -1)


def halve_valid(x: Tensor, y: Tensor, mask: Tensor, rule: Halving) -> tuple[Tensor, Tensor, Tensor]:
    """A pair and its mask, halved: the means of valid pixels, and the share of those."""
    reduce = partial(halve, rule=rule)
    return of_valid(reduce, x, mask)[0], *of_valid(reduce, y, mask)


def luminance_of(local: Moments, c1: float) -> Tensor:
    """(2 mu_x mu_y + C1) / (mu_x² + mu_y² + C1), eq. 6."""
    p2, m2 = local.mean_p * local.mean_p, local.mean_m * local.mean_m
    return (p2 - m2 + 2 * c1) / (p2 + m2 + 2 * c1)


def contrast_structure_of(local: Moments, c2: float) -> Tensor:
    """(2 sigma_xy + C2) / (sigma_x² + sigma_y² + C2), the product of eq. 9 and 10 with C3 = C2/2."""
    return (local.var_p - local.var_m + 2 * c2) / (local.var_p + local.var_m + 2 * c2)


def contrast_and_structure_of(local: Moments, c2: float) -> tuple[Tensor, Tensor]:
    """Contrast (eq. 9) and structure (eq. 10, C3 = C2/2) apart; needs ``covariance=True``."""
    if local.cov_pm is None:
        raise ValueError("contrast_and_structure_of: moments were taken without covariance=True")
    total = (local.var_p + local.var_m) / 2
    var_x = (total + local.cov_pm) / 2
    var_y = (total - local.cov_pm) / 2
    sigma_xy = (local.var_p - local.var_m) / 4
    product = _safe_sqrt(var_x) * _safe_sqrt(var_y)
    contrast = (2 * product + c2) / (total + c2)
    structure = (sigma_xy + c2 / 2) / (product + c2 / 2)
    return contrast, structure


def _safe_sqrt(variance: Tensor) -> Tensor:
    """The root with gradient 0 where rounding leaves no variance: there its true slope has no bound."""
    nothing = variance <= 1e-12
    return torch.where(nothing, 0.0, torch.where(nothing, 1.0, variance).sqrt())
