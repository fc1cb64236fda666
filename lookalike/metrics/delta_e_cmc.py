"""ΔE CMC(l:c), the textile industry's colour difference.

Clarke, McDonald, Rigg: Modification to the JPC79 colour-difference formula, Journal of the Society of Dyers and
Colourists 100(4), 1984, doi 10.1111/j.1478-4408.1984.tb00969.x.

Conventions: images are sRGB, turned to CIE L*a*b* under D65 (`lookalike.ops.colour.lab`); the reference weighs,
so that the two images are no equals; l:c is 1:1, what is seen, as in scikit-image; the mean over pixels.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour, delta_e
from lookalike.ops.masks import masked_mean, of_pixels
from lookalike.options import reals
from lookalike.signature import numbers


class DeltaECMC(Metric):
    """Mean CMC(l:c) difference over pixels, ``(n, 3, h, w) -> (n,)``.

    Args:
        lc: l and c; (1, 1) for what is seen, (2, 1) for what is acceptable.
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        TypeError, ValueError: for l and c that are not two positive numbers.

    Example:
        >>> import torch
        >>> reference = torch.tensor([0.8, 0.3, 0.3]).view(1, 3, 1, 1)
        >>> round(float(DeltaECMC()(reference * 0.9, reference)), 4)
        4.7785
    """

    facts: ClassVar[Facts] = Facts(
        name="delta_e_cmc",
        suits="for textiles, with their tolerances l and c",
        fails="where CIEDE2000 may be used; it is not symmetric",
        written="CMC(l:c)",
        map_high=100.0,
        title="CMC(l:c) colour difference", better="lower", range=(0.0, math.inf),
        identical=0.0, paper="Clarke et al. 1984, doi 10.1111/j.1478-4408.1984.tb00969.x", smooth=False,
        channels=(3,), masks=True, symmetric=False,
        declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def __init__(self, *, lc: tuple[float, float] = (1.0, 1.0), **base: Any) -> None:
        super().__init__(**base)
        lightness, chroma = reals("delta_e_cmc", "lc", lc, count=2, above=0)
        self.lc = lightness, chroma

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(self.score_map(x, y), of_pixels(mask))

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return delta_e.cmc(colour.lab(x), colour.lab(y), self.lc)

    def settings(self) -> dict[str, object]:
        return {"lc": numbers(self.lc)}
