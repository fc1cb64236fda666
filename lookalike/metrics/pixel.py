"""Errors of single pixels: L1, L2, RMSE, PSNR, Charbonnier, and L1 and L2 spread by a Gaussian filter.

Charbonnier et al.: Two deterministic half-quadratic regularization algorithms for computed imaging, ICIP 1994,
doi 10.1109/ICIP.1994.413553. The others have no single source.

Conventions: every metric is the mean over pixels and channels of the unit range, so data_range=255 gives the
same number as dividing by 255; multiply L2 by 255² to compare with an MSE in grey levels. PSNR is capped (default
100 dB) so that identical images have a finite value; cap_db=None gives infinity.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops import window as windows
from lookalike.ops.masks import masked_mean, of_pixels
from lookalike.options import choice, real, whole, width
from lookalike.signature import number

Luma = Literal["bt601", "studio"]
_NO_PAPER = "textbook"


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute error of a pair in the unit range, ``(n, c, *spatial) -> (n,)``.

    Example:
        >>> float(l1(torch.full((1, 1, 2, 2), 0.25), torch.ones(1, 1, 2, 2)))
        0.75
    """
    return (x - y).abs().flatten(1).mean(1)


def l2(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of a pair in the unit range, ``(n, c, *spatial) -> (n,)``.

    Example:
        >>> float(l2(torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)))
        0.25
    """
    return (x - y).square().flatten(1).mean(1)


def rmse(x: Tensor, y: Tensor) -> Tensor:
    """Root of the mean squared error, ``(n,)``; its gradient at identical images is 0.

    Example:
        >>> float(rmse(torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)))
        0.5
    """
    return _root(l2(x, y))


def _root(mse: Tensor) -> Tensor:
    """The root, whose gradient at 0, where it has none, is 0."""
    same = mse == 0
    return torch.where(same, 0.0, torch.where(same, 1.0, mse).sqrt())


def psnr(x: Tensor, y: Tensor, cap: float | None = 100.0) -> Tensor:
    """Peak signal-to-noise ratio −10·log10(MSE) in decibels, ``(n,)``.

    Args:
        x, y: a pair in the unit range.
        cap: values above it, identical images among them, give it, with gradient 0; None: no cap.

    Example:
        >>> round(float(psnr(torch.full((1, 1, 2, 2), 0.9), torch.ones(1, 1, 2, 2))), 4)
        20.0
    """
    return _decibels(l2(x, y), cap)


def _decibels(mse: Tensor, cap: float | None) -> Tensor:
    if cap is not None:
        floor = 10 ** (-cap / 10)
        # Not clamp, which would turn a NaN of the input into the best score.
        mse = torch.where(mse <= floor, floor, mse)
    return -10 * mse.log10()


def charbonnier(x: Tensor, y: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of √(d² + ε²), an L1 that is smooth at 0, ``(n,)``.

    Args:
        x, y: a pair in the unit range.
        epsilon: width of the smooth region, and the value for identical images.

    Example:
        >>> round(float(charbonnier(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))), 6)
        1.0
    """
    return ((x - y).square() + epsilon * epsilon).sqrt().flatten(1).mean(1)


class L1(Metric):
    """Mean absolute error (MAE), ``(n, c, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> L1(data_range=255).signature()
        'l1|range:255|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="l1",
        suits="as a plain error and a steady loss",
        fails="for quality as people see it",
        written="MAE",
        aliases=("mae",), title="Mean absolute error", paper=_NO_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, smooth=False, volumes=True, masks=True,
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return l1(x, y)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean((x - y).abs(), mask)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs()


class L2(Metric):
    """Mean squared error (MSE), ``(n, c, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> round(float(L2(data_range=255)(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 51.0))), 6)
        0.04
    """

    facts: ClassVar[Facts] = Facts(
        name="l2",
        suits="as a plain error; its minimum is the mean of what is possible",
        fails="for quality as people see it",
        written="MSE",
        aliases=("mse",), title="Mean squared error", paper=_NO_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, volumes=True, masks=True,
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return l2(x, y)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean((x - y).square(), mask)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).square()


class RMSE(Metric):
    """Root of the mean squared error, ``(n, c, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> float(RMSE()(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.25)))
        0.25
    """

    facts: ClassVar[Facts] = Facts(
        name="rmse",
        suits="as an error in the unit of the pixels",
        fails="for quality as people see it",
        written="RMSE",
        title="Root of the mean squared error", paper=_NO_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, smooth=False, volumes=True, masks=True,
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return rmse(x, y)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return _root(masked_mean((x - y).square(), mask))


class PSNR(Metric):
    """Peak signal-to-noise ratio in decibels, ``(n, c, h, w) -> (n,)``.

    Args:
        cap_db: the highest value given, also for identical images; None gives infinity there.
        luma: of what: None, all channels; ``"bt601"``, luma of 0 to 1; ``"studio"``, the Y of BT.601's YCbCr, 16 to
            235 of 255, which papers on super-resolution mean by PSNR-Y. One or three channels.
        crop: so many pixels are left out on every side, as many as the factor of a super-resolution by custom.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a cap that is not positive, unknown luma, or a crop below 0.

    Example:
        >>> PSNR(data_range=255).signature(), PSNR(luma="studio", crop=4).signature()
        ('psnr|cap:100|range:255|v:1', 'psnr|cap:100|colour:luma-studio|crop:4|range:1|v:1')
    """

    facts: ClassVar[Facts] = Facts(
        name="psnr",
        suits="to be compared with what others report; say luma, range and crop",
        fails="for quality across kinds of error",
        written="PSNR",
        title="Peak signal-to-noise ratio", paper=_NO_PAPER, better="higher",
        range=(-math.inf, 100.0), identical=100.0, smooth=False, unit="dB", volumes=True, masks=True,
    )  # fmt: skip

    def __init__(
        self, *, cap_db: float | None = 100.0, luma: Luma | None = None, crop: int = 0, **base: Any
    ) -> None:
        super().__init__(**base)
        if cap_db is not None:
            real("psnr", "cap_db", cap_db, above=0)
        if luma is not None:
            choice("psnr", "luma", luma, get_args(Luma))
        self.cap_db = cap_db
        self.luma: Luma | None = luma
        self.crop = whole("psnr", "crop", crop, least=0)

    @property
    def min_side(self) -> int:
        return 2 * self.crop + 1

    @property
    def channels(self) -> tuple[int, ...] | None:
        return None if self.luma is None else (1, 3)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return psnr(self._seen(x), self._seen(y), self.cap_db)

    def _seen(self, x: Tensor) -> Tensor:
        """What counts of an image."""
        if self.crop:
            x = x[(..., *[slice(self.crop, -self.crop)] * (x.ndim - 2))]
        if self.luma is None:
            return x
        # The offset of studio range, 16, falls out of the difference.
        return colour.luma(x) * (219 / 255 if self.luma == "studio" else 1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        if self.luma is not None:
            mask = of_pixels(mask)
        if self.crop:
            mask = mask[(..., *[slice(self.crop, -self.crop)] * (mask.ndim - 2))]
        x, y = self._seen(x), self._seen(y)
        mse = masked_mean((x - y).square(), mask)
        empty = (mask == 0).flatten(1).all(1)  # the root of nothing would be infinite without a cap
        return _decibels(torch.where(empty, 1.0, mse), self.cap_db)

    def settings(self) -> dict[str, object]:
        seen = None if self.luma is None else f"luma-{self.luma}"
        return {
            "cap": "none" if self.cap_db is None else self.cap_db,
            "colour": seen,
            "crop": self.crop or None,
        }


class Charbonnier(Metric):
    """Mean of √(d² + ε²), Charbonnier et al. 1994, ``(n, c, h, w) -> (n,)``.

    Args:
        epsilon: width of the smooth region about 0 in the unit range; identical images score it.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for an epsilon that is not positive.

    Example:
        >>> Charbonnier().signature()
        'charbonnier|eps:0.001|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="charbonnier",
        suits="as a robust L1 with a gradient at zero, to train with",
        fails="to compare pictures as people do",
        title="Charbonnier error (smooth L1)", better="lower", range=(1e-3, math.inf),
        paper="Charbonnier et al. 1994, doi 10.1109/ICIP.1994.413553", identical=1e-3, volumes=True, masks=True,
    )  # fmt: skip

    def __init__(self, *, epsilon: float = 1e-3, **base: Any) -> None:
        super().__init__(**base)
        real("charbonnier", "epsilon", epsilon, above=0)
        self.epsilon = epsilon

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return charbonnier(x, y, self.epsilon)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(self.score_map(x, y), mask)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return ((x - y).square() + self.epsilon**2).sqrt()

    def settings(self) -> dict[str, object]:
        return {"eps": self.epsilon}


class GaussianL1(Metric):
    """L1 spread by a Gaussian filter: mean of G_σ * |x − y|, ``(n, c, h, w) -> (n,)``.

    The filter runs over the whole image with a mirrored border, so that every pixel counts. Its mean is L1 but for
    the border; what it changes is the map, and any product with another map.

    Args:
        sigma: of the Gaussian in pixels; it has 2·⌈3σ⌉ + 1 taps.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for a sigma that is not positive.

    Example:
        >>> GaussianL1(sigma=8).signature()
        'gaussian_l1|sigma:8|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="gaussian_l1",
        suits="as L1 that forgives the finest detail",
        fails="where the finest detail counts",
        title="Gaussian-filtered L1", paper="Zhao et al. 2017, doi 10.1109/TCI.2016.2644865",
        better="lower", range=(0.0, math.inf), identical=0.0, smooth=False, min_side=6, volumes=True, masks=True,
    )  # fmt: skip

    def __init__(self, *, sigma: float = 1.5, **base: Any) -> None:
        super().__init__(**base)
        width(self.facts.name, "sigma", sigma)
        self.sigma = float(sigma)

    @property
    def radius(self) -> int:
        """Taps on each side of the centre."""
        return math.ceil(3 * self.sigma)

    @property
    def min_side(self) -> int:
        return self.radius + 1

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """A window counts by the share of it that is valid."""
        shares = self.spread(mask)
        errors = self.spread(mask * self.error(x, y))
        return masked_mean(errors / torch.where(shares > 0, shares, 1.0), shares)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return self.spread(self.error(x, y))

    def spread(self, values: Tensor) -> Tensor:
        """The Gaussian filter over a whole image."""
        extended = windows.extend(values, self.radius, self.radius, "reflect")
        return windows.blur(extended, windows.gaussian(2 * self.radius + 1, self.sigma))

    def error(self, x: Tensor, y: Tensor) -> Tensor:
        """The error of each pixel before the filter."""
        return (x - y).abs()

    def settings(self) -> dict[str, object]:
        return {"sigma": number(self.sigma)}


class GaussianL2(GaussianL1):
    """L2 spread by a Gaussian filter: mean of G_σ * (x − y)²; as `GaussianL1` otherwise.

    Example:
        >>> GaussianL2().signature()
        'gaussian_l2|sigma:1.5|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="gaussian_l2",
        suits="as L2 that forgives the finest detail",
        fails="where the finest detail counts",
        title="Gaussian-filtered L2", paper=_NO_PAPER,
        better="lower", range=(0.0, math.inf), identical=0.0, min_side=6, volumes=True, masks=True,
    )  # fmt: skip

    def error(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).square()
