"""A symmetric separable window with zeros beyond the border, in plain torch: the meaning the kernel is held to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def filtered(parts: Sequence[Tensor], taps: tuple[float, ...]) -> tuple[Tensor, ...]:
    """Correlate every plane of several batches with one window, zeros beyond the border.

    Args:
        parts: ``(n, c, h, w)`` each, c their own.
        taps: the window along each axis, an odd number.

    Returns:
        As many, of the same shapes.

    Example:
        >>> [whole, _] = filtered([torch.ones(1, 1, 3, 3), torch.ones(1, 2, 3, 3)], (0.25, 0.5, 0.25))
        >>> whole[0, 0, 1].tolist()
        [0.75, 1.0, 0.75]
    """
    # With the channels innermost depthwise convolutions run up to 17 times faster on a CPU.
    x = torch.cat([part.movedim(1, 3) for part in parts], 3).movedim(3, 1)
    channels, size, reach = x.shape[1], len(taps), len(taps) // 2
    window = x.new_tensor(taps)
    x = F.conv2d(x, window.view(1, 1, 1, size).expand(channels, 1, 1, size), None, 1, (0, reach), 1, channels)
    x = F.conv2d(x, window.view(1, 1, size, 1).expand(channels, 1, size, 1), None, 1, (reach, 0), 1, channels)
    return x.contiguous().split([part.shape[1] for part in parts], 1)
