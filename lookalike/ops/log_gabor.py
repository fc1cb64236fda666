"""Log Gabor filters: Gaussians over the logarithm of frequency and over its direction.

Field: Relations between the statistics of natural images and the response properties of cortical cells, JOSA A
4(12), 1987, doi 10.1364/JOSAA.4.002379, in the form of Kovesi: Image features from phase congruency, Videre 1(3),
1999. A filter is a radial times an angular factor; its response is complex, the even and the odd part of one band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def log_gabor(
    height: int, width: int, *, wavelengths: Sequence[float], ratio: float, orientations: int, spread: float
) -> tuple[Tensor, Tensor]:
    """The two factors of the filters, in the order of the discrete Fourier transform.

    Args:
        height, width: of the images.
        wavelengths: the centre of every scale in pixels.
        ratio: of the deviation of the radial Gaussian to the centre frequency; 0.55 is about two octaves.
        orientations: directions, evenly over half a turn.
        spread: deviation of the angular Gaussian, in radians.

    Returns:
        Radial ``(scales, h, w)`` and angular ``(orientations, h, w)``, float64 on the CPU; 0 for the mean.

    Example:
        >>> radial, angular = log_gabor(8, 8, wavelengths=[4], ratio=0.55, orientations=2, spread=0.5)
        >>> [round(value, 3) for value in radial[0, 0].tolist()[:5]], round(float(angular[1, 0, 2]), 4)
        ([0.0, 0.511, 1.0, 0.795, 0.511], 0.0072)
    """
    down, right = (frequencies(side) for side in (height, width))
    radius, angle = torch.hypot(down[:, None], right), torch.atan2(-down[:, None], right)
    radius[0, 0] = 1
    radial = []
    for wavelength in wavelengths:
        band = torch.exp(-((radius * wavelength).log() ** 2) / (2 * math.log(ratio) ** 2))
        band[0, 0] = 0
        radial.append(band)
    angular = []
    for orientation in range(orientations):
        turn = angle - orientation * math.pi / orientations
        turn = torch.atan2(turn.sin(), turn.cos())
        angular.append(torch.exp(-(turn**2) / (2 * spread**2)))
    return torch.stack(radial), torch.stack(angular)


def frequencies(count: int) -> Tensor:
    """Cycles a pixel in the order of the discrete Fourier transform; odd sides end at 1/2, as in Kovesi's program.

    Example:
        >>> frequencies(4).tolist(), frequencies(3).tolist()
        ([0.0, 0.25, -0.5, -0.25], [0.0, 0.5, -0.5])
    """
    whole = torch.arange(count, dtype=torch.float64, device="cpu") - count // 2
    return (whole / (count if count % 2 == 0 else max(1, count - 1))).roll(-(count // 2))
