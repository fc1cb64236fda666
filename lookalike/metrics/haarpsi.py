"""HaarPSI, similarity of Haar wavelet coefficients, weighted by the coarser ones.

Reisenhofer, Bosse, Kutyniok, Wiegand: A Haar wavelet-based perceptual similarity index for image quality
assessment, Signal Processing: Image Communication 61, 2018, doi 10.1016/j.image.2017.11.001.

Differs from the paper: nothing where its formula has a value. Where no pixel has any weight, all count alike.
Conventions: the authors' program, to 1e-11 in float64: halved first (pixels i and i + 1), zeros beyond the border,
also with odd sides. Colour is judged in YIQ with the authors' coefficients; greyscale has no chrominance term.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.options import real
from lookalike.signature import unusual

_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
C, ALPHA = 30.0, 4.2  # the constant on the scale of 0–255


def haarpsi(x: Tensor, y: Tensor, *, C: float = C, alpha: float = ALPHA) -> Tensor:
    """HaarPSI of a pair in the unit range, eq. 12 of Reisenhofer et al. 2018, eq. 15 for colour.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 16 px a side.
        y: references, same shape.
        C: the constant of the similarity, on the scale of 0–255.
        alpha: steepness of the logistic function.

    Returns:
        ``(n,)`` in [0, 1], 1 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(haarpsi(y.roll(2, -1), y)), 4)
        0.3884
    """
    constant = C / 255**2
    if x.shape[1] == 3:
        mix = x.new_tensor(_YIQ)[:, :, None, None]
        x, y = F.conv2d(x, mix), F.conv2d(y, mix)
    x, y = (F.avg_pool2d(image, 2, ceil_mode=True, divisor_override=4) for image in (x, y))
    details_x, details_y = _details(x[:, :1]), _details(y[:, :1])
    lost = weights = torch.zeros_like(details_x[0][0])
    for orientation in range(2):
        fine, middle, coarse = ((a[orientation], b[orientation]) for a, b in zip(details_x, details_y, strict=True))
        similar = _similarity(*fine, 4 * constant) + _similarity(*middle, 16 * constant)
        weight = torch.maximum(coarse[0].abs(), coarse[1].abs())
        # What the sigmoid lacks to 1, which near 1 has more digits than the sigmoid.
        missing = torch.sigmoid(similar * (-alpha / 2))
        lost = lost + missing * weight
        weights = weights + weight
    parts = 2 * torch.sigmoid(x.new_tensor(-alpha))
    if x.shape[1] == 3:
        similar = _similarity(_box(x[:, 1:]), _box(y[:, 1:]), 16 * constant).sum(1, keepdim=True)
        lost = lost + torch.sigmoid(similar * (-alpha / 2)) * (weights / 2)
        weights = weights * 1.5
    lost, weights = (term.sum((1, 2, 3)) for term in (lost, weights))
    none = weights == 0
    share = torch.where(none, parts / 2, lost / torch.where(none, 1.0, weights))
    return ((torch.log1p(-share) - share.log()) / alpha).square()


def _details(image: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Haar coefficients along rows and columns at three scales, times 2, 4 and 8; each ``(n, 1, h, w)``."""
    height, width = image.shape[2:]
    found = []
    sums = F.pad(image, (3, 4, 3, 4))
    for scale in range(3):
        reach = 2**scale
        first = 3 - (reach - 1)  # where the window of the pixel at the upper left begins
        left, right = sums[..., :-reach], sums[..., reach:]
        across, level = left - right, left + right
        upper, lower = (
            (slice(start, start + height), slice(first, first + width)) for start in (first, first + reach)
        )
        found.append((level[..., *upper] - level[..., *lower], across[..., *upper] + across[..., *lower]))
        sums = level[..., :-reach, :] + level[..., reach:, :]
    return found


def _box(image: Tensor) -> Tensor:
    """Sums of 2 x 2 pixels, zeros beyond the border."""
    padded = F.pad(image, (0, 1, 0, 1))
    rows = padded[..., :-1] + padded[..., 1:]
    return rows[..., :-1, :] + rows[..., 1:, :]


def _similarity(a: Tensor, b: Tensor, constant: float) -> Tensor:
    return (2 * (a * b).abs() + constant) / (a * a + b * b + constant)


class HaarPSI(Metric):
    """Haar wavelet-based perceptual similarity, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        C, alpha: as for `haarpsi`; the defaults are the authors'.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a constant or steepness that is not a positive number.

    Example:
        >>> HaarPSI().signature()
        'haarpsi|colour:yiq|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="haarpsi",
        suits="for quality of photographs at little cost",
        fails="for errors below the finest wavelets",
        written="HaarPSI",
        title="Haar wavelet-based perceptual similarity", better="higher", range=(0.0, 1.0),
        identical=1.0, paper="Reisenhofer et al. 2018, doi 10.1016/j.image.2017.11.001", smooth=False, min_side=16,
        channels=(1, 3),
        declines={
            "channels": "luma weighs green most",
            "negative": "it sees how strong edges are, not which side of them is bright",
        },
    )  # fmt: skip

    def __init__(self, *, C: float = C, alpha: float = ALPHA, **base: Any) -> None:
        super().__init__(**base)
        self.C = real("haarpsi", "C", C, above=0)
        self.alpha = real("haarpsi", "alpha", alpha, above=0)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return haarpsi(x, y, C=self.C, alpha=self.alpha)

    def settings(self) -> dict[str, object]:
        return {"colour": "yiq"} | unusual({"C": (self.C, C), "alpha": (self.alpha, ALPHA)})
