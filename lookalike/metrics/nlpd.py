"""NLPD, distance of normalised Laplacian pyramids: contrast divided by the contrast around it.

Laparra, Ballé, Berardino, Simoncelli: Perceptual image quality assessment using a normalized Laplacian pyramid,
Human Vision and Electronic Imaging 2016, doi 10.2352/ISSN.2470-1173.2016.16.HVEI-103.

Differs from the paper: nothing; at identical images, where its roots have no derivative, the gradient is 0.
Conventions: the authors' program, to 1e-12 in float64: six bands, the last of them low-pass; the pyramid's border
repeats pixels, that of the normalisation is zero; luma in the unit range. The authors round luma to 8 bits, which
moves distances between images that differ in colour alone (0.014 or 0.020); here it is not rounded.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, laplacian
from lookalike.ops.pairs import halves

_TAPS = (0.05, 0.25, 0.4)
# Per band: the constant σ, and the weights P of the neighbours above, below, left, right and two to the left, as
# the authors fitted them to natural images.
_BANDS = (
    (0.0248, (0.1015, 0.1011, 0.1460, 0.1493, 0.0072)),
    (0.0185, (0.0837, 0.0757, 0.1846, 0.1986, 0.0)),
    (0.0179, (0.0467, 0.0477, 0.2243, 0.2138, 0.0)),
    (0.0191, (0.0, 0.0, 0.2616, 0.2503, 0.0)),
    (0.0220, (0.0, 0.0, 0.2552, 0.2598, 0.0)),
    (0.2782, (0.0, 0.0, 0.0717, 0.2215, 0.0)),
)


def nlpd(x: Tensor, y: Tensor) -> Tensor:
    """Normalised Laplacian pyramid distance of a pair in the unit range, Laparra et al. 2016.

    A band z of the pyramid becomes z / (σ + P ∗ |z|); the distance is the root mean square of the difference,
    averaged over the bands.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 17 px a side; luma is taken of colour.
        y: references, same shape.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(nlpd(y.roll(1, -1), y)), 6)
        0.865817
    """
    rest = torch.cat([colour.luma(x), colour.luma(y)])
    distances = []
    for level, (sigma, weights) in enumerate(_BANDS):
        band = rest
        if level < len(_BANDS) - 1:
            height, width = rest.shape[2:]
            rest = laplacian.reduce(band, _TAPS, "symmetric")
            band = band - laplacian.expand(rest, height, width, _TAPS, "symmetric")
        normal_x, normal_y = halves(band / (_around(band.abs(), weights) + sigma))
        distances.append(colour.root((normal_x - normal_y).square().mean((1, 2, 3))))
    return torch.stack(distances).mean(0)


def _around(contrast: Tensor, weights: tuple[float, ...]) -> Tensor:
    """The weighted sum of a pixel's neighbours, nothing beyond the border."""
    above, below, left, right, far = weights
    height, width = contrast.shape[2:]
    padded = F.pad(contrast, (2, 1, 0, 0))
    total = padded[..., 1 : 1 + width] * left + padded[..., 3:] * right
    if far:
        total = total + padded[..., :width] * far
    if above:
        padded = F.pad(contrast, (0, 0, 1, 1))
        total = total + padded[..., :height, :] * above + padded[..., 2:, :] * below
    return total


class NLPD(Metric):
    """Normalised Laplacian pyramid distance, ``(n, 1 or 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(NLPD()(1 - y, y)), 6)
        3.077458
    """

    facts: ClassVar[Facts] = Facts(
        name="nlpd",
        suits="for contrast as the eye normalises it",
        fails="where its unit must mean something",
        written="NLPD",
        title="Normalised Laplacian pyramid distance", better="lower", range=(0.0, float("inf")),
        paper="Laparra et al. 2016, doi 10.2352/ISSN.2470-1173.2016.16.HVEI-103", identical=0.0, smooth=False,
        min_side=17, channels=(1, 3), declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return nlpd(x, y)

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601"}
