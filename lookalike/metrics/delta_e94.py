"""ΔE*94, the CIE's colour difference of 1994: differences of vivid colours count less.

CIE 116:1995, Industrial colour-difference evaluation.

Conventions: images are sRGB, turned to CIE L*a*b* under D65 (`lookalike.ops.colour.lab`); the reference's chroma
weighs, so that the two images are no equals; graphic arts' weights by default; the mean over pixels.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, delta_e
from lookalike.ops.masks import masked_mean, of_pixels
from lookalike.options import reals
from lookalike.signature import numbers, unusual


class DeltaE94(Metric):
    """Mean CIE94 difference over pixels, ``(n, 3, h, w) -> (n,)``.

    Args:
        k: the parametric weights k_L, k_C and k_H; textiles take (2, 1, 1).
        K: K1 and K2 of graphic arts; textiles take (0.048, 0.014).
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        TypeError, ValueError: for weights that are not three positive numbers, or K that are not two from 0.

    Example:
        >>> import torch
        >>> reference = torch.tensor([0.8, 0.3, 0.3]).view(1, 3, 1, 1)
        >>> round(float(DeltaE94()(reference * 0.9, reference)), 4)
        5.0317
    """

    facts: ClassVar[Facts] = Facts(
        name="delta_e94",
        suits="to repeat figures in CIE 1994, of graphic arts and textiles",
        fails="where CIEDE2000 may be used; it is not symmetric",
        written="CIE94",
        map_high=100.0,
        title="CIE 1994 colour difference", better="lower", range=(0.0, math.inf), identical=0.0,
        paper="CIE 116:1995", smooth=False, channels=(3,), masks=True, symmetric=False,
        declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def __init__(
        self,
        *,
        k: tuple[float, float, float] = (1.0, 1.0, 1.0),
        K: tuple[float, float] = (0.045, 0.015),
        **base: Any,
    ) -> None:
        super().__init__(**base)
        lightness, chroma, hue = reals("delta_e94", "k", k, count=3, above=0)
        first, second = reals("delta_e94", "K", K, count=2, least=0)
        self.k, self.K = (lightness, chroma, hue), (first, second)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(self.score_map(x, y), of_pixels(mask))

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return delta_e.cie94(colour.lab(x), colour.lab(y), self.k, self.K)

    def settings(self) -> dict[str, object]:
        return unusual({"k": (numbers(self.k), "1,1,1"), "K": (numbers(self.K), "0.045,0.015")})
