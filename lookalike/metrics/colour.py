"""Colour: CIEDE2000, the same without texture, signed casts, chroma ratio, and an inversion test.

Sharma, Wu, Dalal: The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
mathematical observations, Color Research and Application 30(1), 2005, doi 10.1002/col.20070. The others have no
single source.

Conventions: images are sRGB, turned to CIE L*a*b* under D65 (`lookalike.ops.colour.lab`); scores are in units of
L*a*b*. A grey one-channel image has no colour and is refused, except by the correlation of luma. At identical
colours and at greys, where the formula's roots and angles have no derivative, the gradient is 0.
Differs from the paper: nothing; parametric weights k_L = k_C = k_H = 1 by default.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.ciede2000 import ciede2000
from lookalike.ops.masks import masked_mean, of_pixels
from lookalike.options import real, reals
from lookalike.signature import numbers, unusual

_NO_PAPER = "textbook"
_PAPER = "Sharma, Wu, Dalal 2005, doi 10.1002/col.20070"
_COLOURS = "it measures colour as it is seen: red and blue do not count alike"
_SIGNED = "signed: shifts of opposite sign cancel, and one of them counts as below none"
_NO_LOSS = "its best value is neither its least nor its greatest"


def low_frequencies(x: Tensor, sigma: float) -> Tensor:
    """Every plane blurred by a Gaussian over the whole image, mirrored about its outer edge.

    Args:
        x: ``(n, c, h, w)``.
        sigma: standard deviation in pixels, at most an eighth of the shorter side, so that what lies beyond the
            first mirror images does not count.

    Returns:
        ``(n, c, h, w)``.

    Example:
        >>> [round(value, 3) for value in low_frequencies(torch.eye(4).view(1, 1, 4, 4), 0.5)[0, 0, 0].tolist()]
        [0.809, 0.179, 0.012, 0.0]
    """
    down, across = (_mirrored_gaussian(side, sigma).to(x) for side in x.shape[2:])
    # Two matrix products: with windows a quarter of the image wide, many times faster than a convolution.
    return down @ x @ across.T


def _mirrored_gaussian(side: int, sigma: float) -> Tensor:
    """The matrix ``(side, side)`` that blurs a mirrored line; its rows sum to 1."""
    at = torch.arange(side, dtype=torch.float64, device="cpu")
    copies = (at, -1 - at, 2 * side - 1 - at)
    weights = torch.stack([torch.exp(-((at[:, None] - copy) ** 2) / (2 * sigma * sigma)) for copy in copies]).sum(0)
    return weights / weights.sum(1, keepdim=True)


def delta(x: Tensor, y: Tensor) -> Tensor:
    """Signed mean differences x − y of L*, a* and b*, ``(n, 3, h, w) -> (n, 3)``.

    Args:
        x, y: a pair of sRGB images in the unit range.

    Returns:
        ΔL (positive: x is lighter), Δa (redder, against greener), Δb (yellower, against bluer).

    Example:
        >>> found = delta(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
        >>> [round(value, 4) for value in found.flatten().tolist()]
        [100.0, 0.0, 0.0]
    """
    return (colour.lab(x) - colour.lab(y)).flatten(2).mean(2)


def chroma_ratio(x: Tensor, y: Tensor, floor: float = 1.0) -> Tensor:
    """Mean chroma of x over that of y, C(x) / C(y), ``(n, 3, h, w) -> (n,)``.

    A reference that is nearly grey has no chroma to be a share of. Below ``floor`` both chromas are raised by what
    C(y) lacks to it: (C(x) + f − C(y)) / f. So the ratio is that of the definition wherever there is colour, has no
    jump, is 1 for identical images, and at a grey reference is 1 + C(x) / f instead of noise over nothing.

    Args:
        x, y: a pair of sRGB images in the unit range.
        floor: f, in units of L*a*b*; 1 is about the least difference that is seen.

    Example:
        >>> grey = torch.full((1, 3, 2, 2), 0.5)
        >>> round(float(chroma_ratio(grey + torch.tensor([0.004, 0, 0]).view(1, 3, 1, 1), grey)), 4)
        1.4052
        >>> red, pale = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1), torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1)
        >>> round(float(chroma_ratio(pale, red)), 4), float(chroma_ratio(red, red))
        (0.5118, 1.0)
    """
    chroma_x, chroma_y = (colour.length(*colour.lab(image)[:, 1:].unbind(1)).flatten(1).mean(1) for image in (x, y))
    raised = (floor - chroma_y).relu()
    return (chroma_x + raised) / (chroma_y + raised)


def luma_correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson's correlation of luma over the whole image, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        x, y: a pair in the unit range. A deviation below 1e-6 of it is rounding: that image is flat. Two flat
            images correlate by 1, a flat one and another by 0, with gradient 0.

    Example:
        >>> ramp = torch.linspace(0, 1, 16).view(1, 1, 4, 4)
        >>> round(float(luma_correlation(ramp / 2, ramp)), 6), round(float(luma_correlation(1 - ramp, ramp)), 6)
        (1.0, -1.0)
    """
    a, b = (colour.luma(image).flatten(1) for image in (x, y))
    means = a.mean(1, keepdim=True), b.mean(1, keepdim=True)
    a, b = a - means[0], b - means[1]
    variances = a.square().mean(1), b.square().mean(1)
    flat_a, flat_b = (
        variance <= 1e-12 * (1 + mean.detach().squeeze(1) ** 2)
        for variance, mean in zip(variances, means, strict=True)
    )
    either = (flat_a | flat_b) & ~(variances[0] + variances[1]).isnan()
    deviations = [torch.where(either, 1.0, variance).sqrt() for variance in variances]
    correlation = (a * b).mean(1) / (deviations[0] * deviations[1])
    return torch.where(either, (flat_a & flat_b).to(a.dtype), correlation)


class CIEDE2000(Metric):
    """Mean CIEDE2000 difference over pixels, ``(n, 3, h, w) -> (n,)``.

    Args:
        k: the parametric weights k_L, k_C and k_H; textiles take (2, 1, 1).
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        TypeError, ValueError: for weights that are not three positive numbers.

    Example:
        >>> round(float(CIEDE2000()(torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.6))), 4)
        8.8615
    """

    facts: ClassVar[Facts] = Facts(
        name="ciede2000",
        suits="for colour differences, pixel by pixel",
        fails="for texture and blur, which hardly change it",
        written="CIEDE2000",
        map_high=100.0,
        title="CIEDE2000 colour difference", paper=_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, smooth=False, channels=(3,), masks=True,
        declines={"channels": _COLOURS},
    )  # fmt: skip

    def __init__(self, *, k: tuple[float, float, float] = (1.0, 1.0, 1.0), **base: Any) -> None:
        super().__init__(**base)
        lightness, chroma, hue = reals("ciede2000", "k", k, count=3, above=0)
        self.k = lightness, chroma, hue

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(self.score_map(x, y), of_pixels(mask))

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return ciede2000(colour.lab(x), colour.lab(y), self.k)

    def settings(self) -> dict[str, object]:
        return unusual({"k": (numbers(self.k), "1,1,1")})


class CIEDE2000Low(Metric):
    """Mean CIEDE2000 difference of low frequencies: a cast without the texture, ``(n, 3, h, w) -> (n,)``.

    L*a*b* is blurred before the difference is taken, by a Gaussian whose deviation is a share of the shorter side.

    Args:
        share: of the shorter side.
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        ValueError: for a share that is not in (0, 1/8].

    Example:
        >>> round(float(CIEDE2000Low()(torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.6))), 4)
        8.8615
    """

    facts: ClassVar[Facts] = Facts(
        name="ciede2000_low",
        suits="for colour casts over areas",
        fails="for anything finer than its blur",
        map_high=100.0,
        title="CIEDE2000 of low frequencies", paper=_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, smooth=False, channels=(3,), declines={"channels": _COLOURS},
        alone="it does not see texture",
    )  # fmt: skip

    def __init__(self, *, share: float = 1 / 16, **base: Any) -> None:
        super().__init__(**base)
        if not 0 < share <= 1 / 8:
            raise ValueError(f"{self.facts.name}: share must be in (0, 1/8], got {share!r}")
        self.share = float(share)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        sigma = self.share * min(x.shape[2:])
        return ciede2000(low_frequencies(colour.lab(x), sigma), low_frequencies(colour.lab(y), sigma))

    def settings(self) -> dict[str, object]:
        return {"sigma": f"side*{self.share:g}"}


class DeltaL(Metric):
    """Signed mean of L*(x) − L*(y), positive where x is lighter, ``(n, 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> round(float(DeltaL()(torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.6))), 4)
        -9.8336
    """

    facts: ClassVar[Facts] = Facts(
        name="delta_l",
        suits="to see a shift of lightness, with its sign",
        fails="as a quality score",
        title="Signed shift of lightness L*", paper=_NO_PAPER, better="lower",
        range=(-math.inf, math.inf), identical=0.0, symmetric=False, channels=(3,), alone=_NO_LOSS,
        declines={"monotone": _SIGNED, "channels": _COLOURS},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return delta(x, y)[:, 0]


class DeltaA(Metric):
    """Signed mean of a*(x) − a*(y), positive where x is redder, negative where greener; as `DeltaL`.

    Example:
        >>> red, grey = torch.tensor([0.6, 0.5, 0.5]).view(1, 3, 1, 1), torch.full((1, 3, 1, 1), 0.5)
        >>> round(float(DeltaA()(red, grey)), 4)
        9.7724
    """

    facts: ClassVar[Facts] = Facts(
        name="delta_a",
        suits="to see a shift between green and red, with its sign",
        fails="as a quality score",
        title="Signed shift of a* (green to red)", paper=_NO_PAPER, better="lower",
        range=(-math.inf, math.inf), identical=0.0, symmetric=False, channels=(3,), alone=_NO_LOSS,
        declines={"monotone": _SIGNED, "channels": _COLOURS},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return delta(x, y)[:, 1]


class DeltaB(Metric):
    """Signed mean of b*(x) − b*(y), positive where x is yellower, negative where bluer; as `DeltaL`.

    Example:
        >>> blue, grey = torch.tensor([0.5, 0.5, 0.6]).view(1, 3, 1, 1), torch.full((1, 3, 1, 1), 0.5)
        >>> round(float(DeltaB()(blue, grey)), 4)
        -13.638
    """

    facts: ClassVar[Facts] = Facts(
        name="delta_b",
        suits="to see a shift between blue and yellow, with its sign",
        fails="as a quality score",
        title="Signed shift of b* (blue to yellow)", paper=_NO_PAPER, better="lower",
        range=(-math.inf, math.inf), identical=0.0, symmetric=False, channels=(3,), alone=_NO_LOSS,
        declines={"monotone": _SIGNED, "negative": _SIGNED, "channels": _COLOURS},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return delta(x, y)[:, 2]


class ChromaRatio(Metric):
    """Mean chroma of x over that of y: below 1 paler, above 1 more vivid, ``(n, 3, h, w) -> (n,)``.

    Args:
        floor: as for `chroma_ratio`, which says what a nearly grey reference gives.
        data_range, reduction, check: as in `Metric`.

    Raises:
        TypeError, ValueError: for a floor that is not a positive number.

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> float(ChromaRatio()(image.mean(1, keepdim=True).expand_as(image), image)) < 0.01
        True
    """

    facts: ClassVar[Facts] = Facts(
        name="chroma_ratio",
        suits="to see whether colours got paler or stronger",
        fails="as a quality score",
        title="Ratio of mean chroma", paper=_NO_PAPER, better="higher",
        range=(0.0, math.inf), identical=1.0, symmetric=False, smooth=False, channels=(3,), alone=_NO_LOSS,
        version=2,
        declines={
            "monotone": "more chroma than the reference's counts as more, not as worse",
            "channels": _COLOURS,
        },
    )  # fmt: skip

    def __init__(self, *, floor: float = 1.0, **base: Any) -> None:
        super().__init__(**base)
        self.floor = real("chroma_ratio", "floor", floor, above=0)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return chroma_ratio(x, y, self.floor)

    def settings(self) -> dict[str, object]:
        return {"floor": self.floor}


class LumaCorrelation(Metric):
    """Correlation of luma, the test for inverted images: −1 for a negative, ``(n, 1 or 3, h, w) -> (n,)``.

    Options as in `Metric`; see `luma_correlation`.

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> round(float(LumaCorrelation()(1 - image, image)), 5)
        -1.0
    """

    facts: ClassVar[Facts] = Facts(
        name="luma_correlation",
        suits="to find negatives and inverted contrasts",
        fails="as a quality score",
        title="Correlation of luma (inversion test)", paper=_NO_PAPER, better="higher",
        range=(-1.0, 1.0), identical=1.0, channels=(1, 3), declines={"channels": "luma weighs green most"},
        alone="it does not see brightness, contrast or colour",
        tolerates={
            "contrast_stretch": "a correlation does not see contrast",
            "mean_shift": "a correlation does not see brightness",
        },
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return luma_correlation(x, y)
