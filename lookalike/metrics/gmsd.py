"""GMSD and MS-GMSD, how unevenly the gradients of two images agree.

Xue, Zhang, Mou, Bovik: Gradient magnitude similarity deviation: a highly efficient perceptual image quality index,
IEEE TIP 23(2), 2014, doi 10.1109/TIP.2013.2293423. Bo Zhang, Pedro V. Sander, Amine Bermak: Gradient magnitude
similarity deviation on multiple scales for color image quality assessment, ICASSP 2017,
doi 10.1109/ICASSP.2017.7952357.

Differs from the papers: nothing where their formulas have a value. The colour variant of MS-GMSD, MS-GMSDc, is
``chromatic=True``.
Conventions: GMSD is the authors' program, to 1e-12 in float64: halved first (pixels i and i + 1, zeros beyond the
border), Prewitt's operator with zeros beyond the border, sample deviation. MS-GMSD is built from the paper and not
proved against its authors: four scales, the first of full size, population deviation, masking 0.5. Luma is taken
of colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops import gmsd as gradients
from lookalike.ops.masks import of_pixels
from lookalike.options import real
from lookalike.signature import unusual

C = 170.0  # constant of the similarity, for gradients of levels 0–255
_MASKING = 0.5
_WEIGHTS = (0.096, 0.596, 0.289, 0.019)


# Of MS-GMSDc: the weight of chrominance, and how the share of the two goes with MS-GMSD.
_BETAS = (0.01, 0.32, 15.0)
_IQ = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def gmsd(x: Tensor, y: Tensor, *, C: float = C) -> Tensor:
    """Gradient magnitude similarity deviation of a pair in the unit range, eq. 3–6 of Xue et al. 2014.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 3 px a side; luma is taken of colour.
        y: references, same shape.
        C: the constant of the similarity, for gradients of levels 0–255.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> import torch
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(gmsd(y.roll(2, -1), y)), 4)
        0.174
    """
    x, y = colour.luma(x), colour.luma(y)
    return gradients.deviation(x, y, (0.0, 1.0), constant=C / 255**2, correction=1)[:, 0]


def ms_gmsd(
    x: Tensor, y: Tensor, *, weights: Sequence[float] = _WEIGHTS, C: float = C, chromatic: bool = False
) -> Tensor:
    """Multi-scale GMSD of a pair in the unit range, eq. 5 of Zhang, Sander, Bermak 2017.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)``; luma is taken of colour.
        y: references, same shape.
        weights: of the scales, full size first.
        C: the constant of the similarity, for gradients of levels 0–255.
        chromatic: MS-GMSDc, where errors of I and Q count beside those of gradients; three channels. They are taken
            at full size; piq 0.8.0 takes them at the coarsest scale.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> import torch
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(ms_gmsd(y.roll(2, -1), y)), 4)
        0.244
        >>> round(float(ms_gmsd((y * 0.9).expand(1, 3, 64, 64), y.expand(1, 3, 64, 64), chromatic=True)), 4)
        0.0009
    """
    luma_x, luma_y = colour.luma(x), colour.luma(y)
    constant = C / 255**2
    score = gradients.deviation(luma_x, luma_y, weights, masking=_MASKING, constant=constant, correction=0)[:, 0]
    if not chromatic:
        return score
    beta1, beta2, beta3 = _BETAS
    apart = colour.mixed(255 * (x - y), x.new_tensor(_IQ, dtype=torch.float64))
    chrominance = colour.root(apart.square().mean((2, 3)).sum(1))
    share = 2 / (1 + beta2 * torch.exp(-beta3 * score)) - 1
    return share * score + (1 - share) * beta1 * chrominance


class GMSD(Metric):
    """Gradient magnitude similarity deviation, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        C: as for `gmsd`; the authors' is 170.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a constant that is not a positive number.

    Example:
        >>> GMSD().signature()
        'gmsd|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="gmsd",
        suits="for compression, blur and noise, at little cost",
        fails="for colour, and errors that are even everywhere",
        written="GMSD",
        title="Gradient magnitude similarity deviation", better="lower", range=(0.0, 1.0),
        identical=0.0, paper="Xue et al. 2014, doi 10.1109/TIP.2013.2293423", smooth=False, min_side=3,
        channels=(1, 3), masks=True,
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, C: float = C, **base: Any) -> None:
        super().__init__(**base)
        self.C = real("gmsd", "C", C, above=0)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return gmsd(x, y, C=self.C)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """A window counts by the share of it that is valid."""
        x, y = colour.luma(x), colour.luma(y)
        return gradients.masked_deviation(x, y, of_pixels(mask), constant=self.C / 255**2)[:, 0]

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601"} | unusual({"C": (self.C, C)})


class MSGMSD(Metric):
    """Multi-scale gradient magnitude similarity deviation, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        C, chromatic: as for `ms_gmsd`; MS-GMSDc takes three channels.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a constant that is not a positive number.

    Example:
        >>> MSGMSD().signature()
        'ms_gmsd|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="ms_gmsd",
        suits="as GMSD over several scales",
        fails="for colour; it is not proved against its authors",
        written="MS-GMSD",
        title="Multi-scale gradient magnitude similarity deviation", better="lower",
        range=(0.0, 1.0), identical=0.0, paper="Zhang et al. 2017, doi 10.1109/ICASSP.2017.7952357", smooth=False,
        min_side=16, channels=(1, 3),
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, C: float = C, chromatic: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.C = real("ms_gmsd", "C", C, above=0)
        self.chromatic = bool(chromatic)

    @property
    def channels(self) -> tuple[int, ...] | None:
        return (3,) if self.chromatic else self.facts.channels

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return ms_gmsd(x, y, C=self.C, chromatic=self.chromatic)

    def settings(self) -> dict[str, object]:
        seen = "luma-bt601+iq" if self.chromatic else "luma-bt601"
        return {"colour": seen} | unusual({"C": (self.C, C)})
