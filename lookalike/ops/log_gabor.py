"""Log Gabor filters: Gaussians over the logarithm of frequency and over its direction.

Field: Relations between the statistics of natural images and the response properties of cortical cells, JOSA A
4(12), 1987, doi 10.1364/JOSAA.4.002379, in the form of Kovesi: Image features from phase congruency, Videre 1(3),
1999. A filter is a radial times an angular factor; its response is complex, the even and the odd part of one band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

Odd = Literal["ends", "between"]


def log_gabor(
    height: int,
    width: int,
    *,
    wavelengths: Sequence[float],
    ratio: float,
    orientations: int,
    spread: float,
    odd: Odd = "ends",
) -> tuple[np.ndarray, np.ndarray]:
    """The two factors of the filters, in the order of the discrete Fourier transform.

    Args:
        height, width: of the images.
        wavelengths: the centre of every scale in pixels.
        ratio: of the deviation of the radial Gaussian to the centre frequency; 0.55 is about two octaves.
        orientations: directions, evenly over half a turn.
        spread: deviation of the angular Gaussian, in radians.
        odd: the frequencies along an odd side, as for `frequencies`.

    Returns:
        Radial ``(scales, h, w)`` and angular ``(orientations, h, w)``, float64; 0 for the mean.

    Example:
        >>> radial, angular = log_gabor(8, 8, wavelengths=[4], ratio=0.55, orientations=2, spread=0.5)
        >>> [round(value, 3) for value in radial[0, 0].tolist()[:5]], round(float(angular[1, 0, 2]), 4)
        ([0.0, 0.511, 1.0, 0.795, 0.511], 0.0072)
    """
    down, right = (frequencies(side, odd) for side in (height, width))
    radius, angle = np.hypot(down[:, None], right), np.arctan2(-down[:, None], right)
    radius[0, 0] = 1
    radial = []
    for wavelength in wavelengths:
        band = np.exp(-(np.log(radius * wavelength) ** 2) / (2 * math.log(ratio) ** 2))
        band[0, 0] = 0
        radial.append(band)
    angular = []
    for orientation in range(orientations):
        turn = angle - orientation * math.pi / orientations
        turn = np.arctan2(np.sin(turn), np.cos(turn))
        angular.append(np.exp(-(turn**2) / (2 * spread**2)))
    return np.stack(radial), np.stack(angular)


def frequencies(count: int, odd: Odd = "ends") -> np.ndarray:
    """Cycles a pixel in the order of the discrete Fourier transform.

    Args:
        count: pixels of the side.
        odd: of an odd side: ``"ends"`` reaches 1/2 at both ends, as in Kovesi's later program; ``"between"`` lies
            half a step beside the frequencies of the transform, as in his earlier one, which MAD copied.

    Example:
        >>> frequencies(4).tolist(), frequencies(3).tolist()
        ([0.0, 0.25, -0.5, -0.25], [0.0, 0.5, -0.5])
        >>> [round(value, 4) for value in frequencies(3, "between").tolist()]
        [0.1667, -0.5, -0.1667]
    """
    whole = np.fft.ifftshift(np.arange(count, dtype=np.float64) - count // 2)
    if count % 2 == 0:
        return whole / count
    if odd == "ends":
        return whole / max(1, count - 1)
    return np.fft.fftshift(np.arange(count) - count / 2) / count
