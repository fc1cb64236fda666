"""GMSD and MS-GMSD, how unevenly the gradients of two images agree.

Xue, Zhang, Mou, Bovik: Gradient magnitude similarity deviation: a highly efficient perceptual image quality index,
IEEE TIP 23(2), 2014, doi 10.1109/TIP.2013.2293423. Zhang, Sun, Rahmani: Gradient magnitude similarity deviation on
multiple scales for color image quality assessment, ICASSP 2017, doi 10.1109/ICASSP.2017.7952357.

Differs from the papers: nothing where their formulas have a value; MS-GMSD without the chrominance term of its
colour variant, MS-GMSDc.
Conventions: GMSD is the authors' program, to 1e-12 in float64: halved first (pixels i and i + 1, zeros beyond the
border), Prewitt's operator with zeros beyond the border, sample deviation. MS-GMSD is built from the paper and not
proved against its authors: four scales, the first of full size, population deviation, masking 0.5. Luma is taken
of colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops import gmsd as gradients
from lookalike.ops.masks import of_pixels

_C = 170 / 255**2
_MASKING = 0.5
_WEIGHTS = (0.096, 0.596, 0.289, 0.019)


def gmsd(x: Tensor, y: Tensor) -> Tensor:
    """Gradient magnitude similarity deviation of a pair in the unit range, eq. 3–6 of Xue et al. 2014.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 3 px a side; luma is taken of colour.
        y: references, same shape.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> import torch
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(gmsd(y.roll(2, -1), y)), 4)
        0.174
    """
    x, y = colour.luma(x), colour.luma(y)
    return gradients.deviation(x, y, (0.0, 1.0), constant=_C, correction=1)[:, 0]


def ms_gmsd(x: Tensor, y: Tensor, *, weights: Sequence[float] = _WEIGHTS) -> Tensor:
    """Multi-scale GMSD of a pair in the unit range, eq. 5 of Zhang et al. 2017.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)``; luma is taken of colour.
        y: references, same shape.
        weights: of the scales, full size first.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> import torch
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(ms_gmsd(y.roll(2, -1), y)), 4)
        0.244
    """
    x, y = colour.luma(x), colour.luma(y)
    return gradients.deviation(x, y, weights, masking=_MASKING, constant=_C, correction=0)[:, 0]


class GMSD(Metric):
    """Gradient magnitude similarity deviation, ``(n, 1 or 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> GMSD().signature()
        'gmsd|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="gmsd", title="Gradient magnitude similarity deviation", better="lower", range=(0.0, 1.0),
        identical=0.0, paper="Xue et al. 2014, doi 10.1109/TIP.2013.2293423", smooth=False, min_side=3,
        channels=(1, 3), masks=True,
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return gmsd(x, y)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """A window counts by the share of it that is valid."""
        x, y = colour.luma(x), colour.luma(y)
        return gradients.masked_deviation(x, y, of_pixels(mask), constant=_C)[:, 0]

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601"}


class MSGMSD(Metric):
    """Multi-scale gradient magnitude similarity deviation, ``(n, 1 or 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> MSGMSD().signature()
        'ms_gmsd|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="ms_gmsd", title="Multi-scale gradient magnitude similarity deviation", better="lower",
        range=(0.0, 1.0), identical=0.0, paper="Zhang et al. 2017, doi 10.1109/ICASSP.2017.7952357", smooth=False,
        min_side=16, channels=(1, 3),
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return ms_gmsd(x, y)

    def settings(self) -> dict[str, object]:
        return {"colour": "luma-bt601"}
