"""The complex steerable pyramid: an image as oriented bands, octave by octave, without aliasing.

Simoncelli & Freeman: The steerable pyramid, ICIP 1995, doi 10.1109/ICIP.1995.537667; its complex form is that
of Portilla & Simoncelli, IJCV 40(1), 2000, doi 10.1023/A:1026553619983. In frequency, band b of n at level j is

    cos(π/2 · (log2 r + j)) · g · cos(θ − πb/n)^(n−1)    where |log2 r + j| < 1 and |θ − πb/n| < π/2, else 0,

r being 1 at half the sampling rate along either axis, and g a constant. Level 1 is the finest; each level is
sampled half as densely as the one before, odd sides rounded up.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lookalike.ops.constants import Arrays, kept

# The authors' program reads both curves from tables with linear interpolation, and so is the pyramid in use
# defined: with exact cosines its scores would be off by up to 1e-6.
_STEPS_PER_OCTAVE = 256
_STEPS_PER_HALF_TURN = 1024


def bands(x: Tensor, *, levels: Sequence[int], orientations: int) -> list[Tensor]:
    """The complex bands of the levels asked for; only those are computed.

    Args:
        x: images ``(…, h, w)``, float32 or float64, of any size. Their border is periodic.
        levels: which levels, 1 being the finest.
        orientations: bands a level; band 0 is of upright stripes, each next one π / orientations on.

    Returns:
        One complex tensor ``(…, orientations, ⌈h / 2^(level−1)⌉, ⌈w / 2^(level−1)⌉)`` a level, in the order
        asked for, on the scale of the authors' program. The mean of the image is in none of them.

    Raises:
        ValueError: for no level or a level below 1, or fewer than 1 orientation.

    Example:
        >>> stripes = torch.arange(64).mul(math.pi / 4).cos().expand(64, 64)  # a stripe in 8 px
        >>> [across] = bands(stripes, levels=[2], orientations=4)
        >>> tuple(across.shape), [round(float(band.abs().mean()), 3) for band in across]
        ((4, 32, 32), [3.578, 1.265, 0.0, 1.265])
    """
    if not levels or min(levels) < 1 or orientations < 1:
        raise ValueError(
            f"pyramid: needs levels from 1, the finest, up and orientations from 1; got levels={list(levels)} and "
            f"orientations={orientations}"
        )
    height, width = map(operator.index, x.shape[-2:])  # makes torch.compile take them for fixed numbers
    spectrum = x
    for dim, side in ((-1, width), (-2, height)):  # what no level needs is dropped between the two axes
        spectrum = _lowest(torch.fft.fft(spectrum, dim=dim), dim, halved(side, min(levels) - 1))
    found = []
    for level in levels:
        low = spectrum
        for dim, side in ((-1, width), (-2, height)):
            low = _lowest(low, dim, halved(side, level - 1))
        [own] = _filters(x.dtype, x.device, height, width, level, orientations)
        found.append(torch.fft.ifft2(low.unsqueeze(-3) * own))
    return found


def halved(side: int, times: int) -> int:
    """A side after so many halvings, odd ones rounded up.

    Example:
        >>> halved(451, 3)
        57
    """
    return -(-side // 2**times)


def _lowest(spectrum: Tensor, dim: int, count: int) -> Tensor:
    """The ``count`` lowest frequencies of one axis, in the order of the discrete Fourier transform."""
    side = spectrum.shape[dim]
    if side == count:
        return spectrum
    negative = count // 2
    parts = spectrum.narrow(dim, 0, count - negative), spectrum.narrow(dim, side - negative, negative)
    return torch.cat(parts, dim)


def filters(height: int, width: int, level: int, orientations: int) -> Arrays:
    """The filters of one level on its own, cropped, spectrum: one array ``(orientations, h', w')``, complex."""
    v, u = (_frequencies(halved(side, level - 1)) / (side / 2) for side in (height, width))
    radius, angle = np.hypot(v[:, None], u), np.arctan2(v[:, None], u)
    radius[0, 0] = 1
    octave = (np.log2(radius) + level).clip(-1, 1)
    octave[0, 0] = -1  # the response to the mean is 0
    radial = _interpolated(lambda t: np.cos(t * math.pi / 2), octave, 1 / _STEPS_PER_OCTAVE)
    order = orientations - 1
    # The squares of all bands' gains then sum to the same in every direction.
    gain = 2 * 2**order / math.sqrt(orientations * math.comb(2 * order, order))
    centre = np.arange(orientations).reshape(-1, 1, 1) * (math.pi / orientations)
    turn = np.remainder(angle - centre + math.pi, 2 * math.pi) - math.pi

    def lobe(t: np.ndarray) -> np.ndarray:
        return np.where(np.abs(t) < math.pi / 2, gain * np.cos(t) ** order, 0.0)

    angular = _interpolated(lobe, turn, math.pi / _STEPS_PER_HALF_TURN)
    return ((-1j) ** order * radial * angular,)


_filters = kept(32)(filters)


def _frequencies(count: int) -> np.ndarray:
    """The whole numbers nearest 0, in the order of the discrete Fourier transform."""
    return np.roll(np.arange(-(count // 2), count - count // 2, dtype=np.float64), -(count // 2))


def _interpolated(curve: Callable[[np.ndarray], np.ndarray], t: np.ndarray, step: float) -> np.ndarray:
    """``curve(t)``, read from a table of its values at multiples of ``step`` with linear interpolation."""
    below = np.floor(t / step)
    share = t / step - below
    start = curve(below * step)
    return start + share * (curve((below + 1) * step) - start)
