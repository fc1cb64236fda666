"""Phase congruency: where the frequencies of an image are in step, as at edges and lines of any contrast.

Kovesi: Image features from phase congruency, Videre 1(3), 1999, with the filters and constants that FSIM states
(Zhang et al. 2011, doi 10.1109/TIP.2011.2109730): log Gabor filters of 4 scales and 4 orientations.
"""

from __future__ import annotations

import math
import operator

import numpy as np
import torch
from torch import Tensor

from lookalike.ops.colour import root
from lookalike.ops.constants import Arrays, kept
from lookalike.ops.log_gabor import frequencies, log_gabor

_SCALES, _ORIENTATIONS = 4, 4
_EPSILON = 1e-4 / 255  # of the energy, on the scale of the unit range


def phase_congruency(x: Tensor) -> Tensor:
    """Phase congruency of planes, in [0, 1].

    Args:
        x: planes in the unit range, ``(n, 1, h, w)``.

    Returns:
        ``(n, 1, h, w)``; 0 where the image has no contrast at all.

    Example:
        >>> step = torch.zeros(1, 1, 32, 32)
        >>> step[..., 8:24] = 1
        >>> [round(float(value), 3) for value in phase_congruency(step)[0, 0, 16, [0, 7, 8]]]
        [0.653, 0.717, 0.717]
    """
    height, width = map(operator.index, x.shape[-2:])
    filters, noise = _filters(x.dtype, x.device, height, width)
    # No filter sees the mean; without it float32 has all its digits for what they see.
    spectrum = torch.fft.fft2(x - x.mean((2, 3), keepdim=True))
    even, odd = torch.view_as_real(torch.fft.ifft2(spectrum.unsqueeze(2) * filters)).unbind(-1)
    squares = even * even + odd * odd
    total_even, total_odd = even.sum(2), odd.sum(2)
    length = root(total_even.square() + total_odd.square()) + _EPSILON
    along, across = total_even / length, total_odd / length
    apart = (even * across.unsqueeze(2) - odd * along.unsqueeze(2)).abs().sum(2)
    energy = total_even * along + total_odd * across - apart
    # Of noise alone the squares at the finest scale have a known median.
    finest = squares[:, :, 0].flatten(2)
    median = (finest.median(2).values - (-finest).median(2).values) / 2
    threshold = root(median) * noise
    energy = (energy - threshold[..., None, None]).relu().sum(1, keepdim=True)
    amplitude = root(squares).sum((1, 2)).unsqueeze(1)
    none = amplitude <= torch.finfo(x.dtype).eps * x.detach().abs().amax((2, 3), keepdim=True)
    return torch.where(none, 0.0, energy / torch.where(none, 1.0, amplitude))


@kept(16)
def _filters(height: int, width: int) -> Arrays:
    """The filters, ``(orientations, scales, h, w)``, and what the root of the median is multiplied by."""
    radial, angular = log_gabor(
        height, width, wavelengths=[6 * 2**scale for scale in range(_SCALES)], ratio=0.55,
        orientations=_ORIENTATIONS, spread=math.pi / _ORIENTATIONS / 1.2,
    )  # fmt: skip
    down, right = (frequencies(side) for side in (height, width))
    low = 1 / (1 + (np.hypot(down[:, None], right) / 0.45) ** 30)
    filters = angular[:, None] * (radial * low)
    # The expected energy of noise whose squares have median 1, and 2 deviations, over 1.7.
    impulse = (np.fft.ifft2(filters).real.sum(1) ** 2).sum((1, 2)) * (height * width)
    power = impulse / (filters[:, 0] ** 2).sum((1, 2)) / math.log(2)
    noise = np.sqrt(power) * (math.sqrt(math.pi / 2) + 2 * math.sqrt(2 - math.pi / 2)) / 1.7
    return filters, noise
