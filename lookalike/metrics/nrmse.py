"""NRMSE, the root of the mean squared error as a share of the reference.

No single source; the three normalisations are those of scikit-image's ``normalized_root_mse``.

Conventions: of each image over all pixels and channels of the unit range: a range that does not begin at 0 is moved
there first. A reference whose norm, extent or mean is 0 has no such share: 1 is taken, the whole range.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.masks import masked_mean
from lookalike.options import choice

Normalisation = Literal["euclidean", "min-max", "mean"]


def nrmse(x: Tensor, y: Tensor, *, normalisation: Normalisation = "euclidean") -> Tensor:
    """The root of the mean squared error of a pair in the unit range, divided by a size of the reference.

    Args:
        x: images judged, ``(n, c, *spatial)``.
        y: references, same shape.
        normalisation: what it is divided by: ``"euclidean"``, the root of the reference's mean square;
            ``"min-max"``, its greatest less its least value; ``"mean"``.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> round(float(nrmse(torch.full((1, 1, 2, 2), 0.4), torch.full((1, 1, 2, 2), 0.5))), 4)
        0.2
    """
    return _share(x, y, torch.ones_like(y), normalisation)


def _share(x: Tensor, y: Tensor, mask: Tensor, normalisation: Normalisation) -> Tensor:
    choice("nrmse", "normalisation", normalisation, get_args(Normalisation))
    counts = mask > 0
    if normalisation == "euclidean":
        size = colour.root(masked_mean(y.square(), mask))
    elif normalisation == "mean":
        size = masked_mean(y, mask)
    else:
        least, most = (torch.where(counts, y, end).flatten(1) for end in (math.inf, -math.inf))
        size = torch.where(counts.flatten(1).any(1), most.amax(1) - least.amin(1), 0.0)
    error = colour.root(masked_mean((x - y).square(), mask))
    return error / torch.where(size == 0, 1.0, size)


class NRMSE(Metric):
    """Normalised root of the mean squared error, ``(n, c, h, w) -> (n,)``.

    Args:
        normalisation: as for `nrmse`.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for another normalisation.

    Example:
        >>> NRMSE(normalisation="min-max").signature()
        'nrmse|norm:min-max|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="nrmse",
        suits="as an error relative to the reference's own size",
        fails="to be compared across normalisations",
        written="NRMSE",
        title="Normalised root of the mean squared error", paper="textbook", better="lower",
        range=(0.0, math.inf), identical=0.0, symmetric=False, smooth=False, volumes=True, masks=True,
    )  # fmt: skip

    def __init__(self, *, normalisation: Normalisation = "euclidean", **base: Any) -> None:
        super().__init__(**base)
        choice("nrmse", "normalisation", normalisation, get_args(Normalisation))
        self.normalisation: Normalisation = normalisation

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return nrmse(x, y, normalisation=self.normalisation)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return _share(x, y, mask, self.normalisation)

    def settings(self) -> dict[str, object]:
        return {"norm": self.normalisation}
