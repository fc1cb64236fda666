"""A real steerable pyramid of small filters: two of its six orientations, octave by octave, by convolution.

Simoncelli & Freeman: The steerable pyramid, ICIP 1995, doi 10.1109/ICIP.1995.537667. Unlike `pyramid`, which is
defined in frequency, this one is defined by its taps: those of "sp5" of the pyramid toolbox of the Laboratory for
Computational Vision, as in pyrtools, Copyright (c) 2016 LabForComputationalVision, under the MIT licence.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.ops.window import extend

# Every filter is symmetric or antisymmetric about both axes; these are the quarters up to the middle.
_FIRST = (
    (0.00341614, -0.01551246, -0.03848215),
    (-0.01551246, 0.05586982, 0.15925570),
    (-0.03848215, 0.15925570, 0.40304148),
)
_HALVING = (
    (0.00170808, -0.00489834, -0.00775624, -0.01888864, -0.01924108),
    (-0.00489834, -0.01046562, -0.01322234, 0.00821200, 0.02005976),
    (-0.00775624, -0.01322234, 0.02793492, 0.06554076, 0.07962786),
    (-0.01888864, 0.00821200, 0.06554076, 0.12852666, 0.16339236),
    (-0.01924108, 0.02005976, 0.07962786, 0.16339236, 0.20193080),
)
_BAND = (
    (0.00277643, -0.00986904, -0.01021852, 0.0),
    (0.00496194, -0.00893064, -0.03075356, 0.0),
    (0.01026699, 0.01189859, -0.08226445, 0.0),
    (0.01455399, 0.02755155, -0.11732297, 0.0),
)


def bands(x: Tensor, levels: int) -> list[Tensor]:
    """The upright and the level band of every octave.

    Args:
        x: planes ``(n, 1, h, w)``, float32 or float64. They are mirrored about their edge pixels.
        levels: octaves; the last must be at least 5 px a side.

    Returns:
        One ``(n, 2, ⌈h / 2^k⌉, ⌈w / 2^k⌉)`` an octave, k from 0, the finest first: changes along a row, then
        along a column.

    Raises:
        ValueError: for sides too short to mirror.

    Example:
        >>> [tuple(band.shape) for band in bands(torch.zeros(1, 1, 65, 80), 2)]
        [(1, 2, 65, 80), (1, 2, 33, 40)]
        >>> ramp = torch.arange(32.0).expand(1, 1, 32, 32)
        >>> [abs(round(value, 4)) for value in bands(ramp, 1)[0][0, :, 16, 16].tolist()]
        [0.3689, 0.0]
    """
    band = _whole(x, _BAND, -1)
    both = torch.stack([band, -band.mT]).unsqueeze(1)
    halving = _whole(x, _HALVING, 1).expand(1, 1, -1, -1)
    x = F.conv2d(extend(x, 2, 2, "reflect"), _whole(x, _FIRST, 1).expand(1, 1, -1, -1))
    found = []
    for level in range(levels):
        if level:
            x = F.conv2d(extend(x, 4, 4, "reflect"), halving, stride=2)
        found.append(F.conv2d(extend(x, 3, 3, "reflect"), both))
    return found


def _whole(like: Tensor, quarter: tuple[tuple[float, ...], ...], sign: int) -> Tensor:
    """The filter of a quarter: mirrored downwards, and to the right with a sign."""
    rows = [[*row, *(sign * tap for tap in row[-2::-1])] for row in quarter]
    return like.new_tensor(rows + rows[-2::-1])
