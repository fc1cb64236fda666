"""PSNR-B, PSNR that counts the steps at the borders of blocks as well: for images coded in blocks.

Yim, Bovik: Quality assessment of deblocked images, IEEE TIP 20(1), 2011, doi 10.1109/TIP.2010.2061859.

Differs from the paper: nothing; capped (default 100 dB) so that identical images have a finite value.
Conventions: the blocking effect is that of the judged image alone, for each image of a batch; luma is taken of
colour. The number of steps at block borders is that of the paper, also where sides are no multiples of a block.
Equal to torchmetrics 1.9.0 on grey images.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.options import real, whole

BLOCK = 8


def psnr_b(x: Tensor, y: Tensor, *, block: int = BLOCK, cap: float | None = 100.0) -> Tensor:
    """−10 log10(MSE + blocking effect factor) of a pair in the unit range, in decibels.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of more than ``block`` px a side; luma is taken of colour.
        y: references, same shape.
        block: the side of a block in pixels.
        cap: values above it give it, with gradient 0; None: no cap.

    Returns:
        ``(n,)``.

    Example:
        >>> rows = (torch.arange(32) // 8 % 2).float().expand(1, 1, 32, 32)
        >>> round(float(psnr_b(0.5 + 0.1 * rows, 0.5 + 0.05 * rows)), 3)
        24.537
    """
    x, y = colour.luma(x), colour.luma(y)
    error = (x - y).square().mean((1, 2, 3)) + blocking_effect(x, block)
    if cap is not None:
        floor = 10 ** (-cap / 10)
        error = torch.where(error <= floor, floor, error)
    return -10 * error.log10()


def blocking_effect(x: Tensor, block: int = BLOCK) -> Tensor:
    """The blocking effect factor of grey images, eq. 11–15 of the paper, ``(n, 1, h, w) -> (n,)``.

    Example:
        >>> float(blocking_effect(torch.linspace(0, 1, 32).expand(1, 1, 32, 32)))
        0.0
    """
    height, width = x.shape[2:]
    at_borders = others = x.new_zeros(x.shape[0])
    for dim, side in ((3, width), (2, height)):
        steps = (x.narrow(dim, 1, side - 1) - x.narrow(dim, 0, side - 1)).square().sum((1, 5 - dim))
        last = torch.arange(side - 1, dtype=torch.int64, device=x.device) % block == block - 1
        at_borders = at_borders + torch.where(last, steps, 0.0).sum(1)
        others = others + torch.where(last, 0.0, steps).sum(1)
    borders = 2 * height * width / block - 2
    inside = height * (width - 1) + width * (height - 1) - borders
    excess = at_borders / borders - others / inside
    return math.log2(block) / math.log2(min(height, width)) * torch.where(excess < 0, 0.0, excess)


class PSNRB(Metric):
    """PSNR with the blocking effect, ``(n, 1 or 3, h, w) -> (n,)``, in decibels.

    Args:
        block: the side of a block in pixels.
        cap_db: the highest value given; None gives infinity for identical images without steps at block borders.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a block of fewer than 2 pixels, or a cap that is not positive.

    Example:
        >>> PSNRB().signature()
        'psnr_b|colour:luma-bt601|block:8|cap:100|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="psnr_b",
        suits="for blocks of JPEG and video, beside PSNR",
        fails="for pictures without blocks",
        written="PSNR-B",
        title="PSNR with the blocking effect", better="higher", range=(-math.inf, 100.0),
        identical=100.0, paper="Yim and Bovik 2011, doi 10.1109/TIP.2010.2061859", symmetric=False, smooth=False,
        min_side=9, channels=(1, 3), unit="dB",
        declines={
            "channels": "luma weighs green most",
            "identical": "an image whose own steps lie at block borders has less than 100 dB against itself",
        },
    )  # fmt: skip

    def __init__(self, *, block: int = BLOCK, cap_db: float | None = 100.0, **base: Any) -> None:
        super().__init__(**base)
        self.block = whole("psnr_b", "block", block, least=2)
        self.cap_db = None if cap_db is None else real("psnr_b", "cap_db", cap_db, above=0)

    @property
    def min_side(self) -> int:
        return self.block + 1

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return psnr_b(x, y, block=self.block, cap=self.cap_db)

    def settings(self) -> dict[str, object]:
        return {
            "colour": "luma-bt601",
            "block": self.block,
            "cap": "none" if self.cap_db is None else self.cap_db,
        }
