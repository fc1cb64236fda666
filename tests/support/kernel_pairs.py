"""Images that the tests of kernels run on."""

from __future__ import annotations

import torch
from torch import Tensor


def images(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise, and the same with a little more."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator)
    return x, (x + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1)
