"""ΔE*ab, the CIE's colour difference of 1976: the distance in L*a*b*.

CIE 15:2004, Colorimetry.

Conventions: images are sRGB, turned to CIE L*a*b* under D65 (`lookalike.ops.colour.lab`); the mean over pixels.
"""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, delta_e
from lookalike.ops.masks import masked_mean, of_pixels


class DeltaE76(Metric):
    """Mean distance in L*a*b* over pixels, ``(n, 3, h, w) -> (n,)``; options as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Example:
        >>> import torch
        >>> reference = torch.tensor([0.8, 0.3, 0.3]).view(1, 3, 1, 1)
        >>> round(float(DeltaE76()(reference * 0.9, reference)), 4)
        6.7936
    """

    facts: ClassVar[Facts] = Facts(
        name="delta_e76",
        suits="to repeat figures in the oldest difference of L*a*b*",
        fails="for saturated colours, whose differences it overstates",
        written="CIE76",
        map_high=100.0,
        title="CIE 1976 colour difference", better="lower", range=(0.0, math.inf), identical=0.0,
        paper="CIE 15:2004", smooth=False, channels=(3,), masks=True,
        declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(self.score_map(x, y), of_pixels(mask))

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return delta_e.cie76(colour.lab(x), colour.lab(y))
