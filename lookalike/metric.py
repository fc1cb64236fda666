"""Metric and Facts: what every metric promises, and the one way a pair walks through it.

``Metric.forward`` checks the pair once (`batches.pair`), turns autocast off, scores in float32 (float64 stays
float64) and reduces. A metric adds a pure function, a class with ``facts`` and ``score``, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from torch import Tensor, nn

from lookalike import batches, ranges, signature
from lookalike.batches import Check
from lookalike.modes import full_precision
from lookalike.options import choice
from lookalike.ranges import DataRange

if TYPE_CHECKING:
    from lookalike.algebra import Loss

Better = Literal["higher", "lower"]
Reduction = Literal["none", "mean", "sum"]

PROMISES = (
    "identical", "range", "symmetric", "monotone", "negative", "batch", "pure", "data_range", "channels",
    "gradcheck", "gradgradcheck", "reach", "finite", "nan", "autocast", "compile", "copies",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a metric says of itself; `lookalike.audit` turns each line into a check.

    Attributes:
        name: as in the catalogue, words with underscores.
        aliases: other names it answers to.
        title: one line for tables.
        paper: the source, with DOI.
        better: which direction is better.
        range: the values it can take, in the unit of its scores.
        identical: the score of two identical images.
        symmetric: whether ``f(x, y) = f(y, x)``.
        smooth: whether it has a gradient everywhere (False: almost everywhere).
        min_side: the smallest side of an image in pixels, with default options.
        channels: accepted channel counts; None accepts any.
        volumes: whether ``(n, c, d, h, w)`` is accepted.
        masks: whether ``forward`` takes a mask.
        unit: of the score, "" when it has none.
        weights: the parts of `lookalike.weights.known` that it needs with default options.
        quadratic: whether its time grows with the square of the number of pixels: minutes for a photograph.
        version: of the formula; it changes only when a number changes.
        alone: why it cannot be the only term of a training loss, "" when it can.
        tolerates: distortions that it is not promised to punish, each with the reason.
        declines: promises that it does not make, each with the reason.
    """

    name: str
    title: str
    paper: str
    aliases: tuple[str, ...] = ()
    better: Better
    range: tuple[float, float]
    identical: float
    symmetric: bool = True
    smooth: bool = True
    min_side: int = 1
    channels: tuple[int, ...] | None = None
    volumes: bool = False
    masks: bool = False
    unit: str = ""
    weights: tuple[str, ...] = ()
    quadratic: bool = False
    version: int = 1
    alone: str = ""
    tolerates: Mapping[str, str] = field(default_factory=dict)
    declines: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.declines) - set(PROMISES)
        if unknown:
            raise ValueError(f"{self.name}: no promise is called {', '.join(sorted(unknown))}; see metric.PROMISES")


class Prepared:
    """A reference that is kept: ``prepared(x)`` is ``metric(x, y)``, with one pass of a network instead of two.

    Made by the ``prepare`` of a metric or loss. It gets no gradient. After moving the metric prepare anew.

    Attributes:
        metric: that made it.
        y: the reference as given, ``(n, c, h, w)``.
        kept: what the metric computed of it; None where it keeps the reference alone.
    """

    def __init__(self, metric: Callable[..., Tensor], y: Tensor, kept: Any = None) -> None:
        self.metric, self.y, self.kept = metric, y, kept

    def __call__(self, x: Tensor) -> Tensor:
        """What ``metric(x, y)`` gives, for images of the reference's shape."""
        return self.metric(x, self)

    def map(self, x: Tensor) -> Tensor:
        """Where the images differ, as ``metric.map(x, y)`` gives it.

        Raises:
            TypeError: for a loss, or a metric without a map.
        """
        if not isinstance(self.metric, Metric):
            raise TypeError("prepare: a loss is a scalar and has no map; prepare one of its metrics")
        return self.metric.map(x, self)


class Metric(nn.Module):
    """A full-reference metric: ``metric(x, y) -> (n,)``.

    Args:
        data_range: range of float inputs, a width from 0 or ``(low, high)``; uint8 is always 0–255.
        reduction: ``"none"`` gives ``(n,)``; ``"mean"`` and ``"sum"`` a scalar.
        check: ``"values"`` raises on values outside ``data_range``; ``"shapes"`` looks at shapes and dtypes only.

    Raises:
        ValueError: for an unknown reduction or check, or a range without positive width.
    """

    facts: ClassVar[Facts]

    def __init__(
        self, *, data_range: DataRange = 1.0, reduction: Reduction = "none", check: Check = "values"
    ) -> None:
        super().__init__()
        who = self.facts.name
        ranges.bounds(data_range, who)
        for name, value, choices in (("reduction", reduction, Reduction), ("check", check, Check)):
            choice(who, name, value, get_args(choices))
        self.data_range: DataRange = data_range
        self.reduction: Reduction = reduction
        self.check: Check = check

    @property
    def min_side(self) -> int:
        """The smallest side in pixels that this metric accepts with its options."""
        return self.facts.min_side

    @property
    def channels(self) -> tuple[int, ...] | None:
        """The channel counts accepted with its options; None accepts any."""
        return self.facts.channels

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores ``(n,)`` of a checked pair in the unit range; what a metric's file defines."""
        raise NotImplementedError(f"{type(self).__name__} defines no score(x, y)")

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        """The map ``(n, c, h', w')`` of a checked pair, where the metric has one."""
        raise TypeError(f"{self.facts.name}: has no map; ssim, l1, flip, ciede2000 and lpips_alex have one")

    def prepare(self, y: Tensor) -> Prepared:
        """Keep a reference: the result is called with ``x`` alone; learned features are taken once.

        Args:
            y: references ``(n, c, h, w)`` in ``data_range``; they get no gradient.

        Raises:
            TypeError, ValueError: as `batches.pair` says.

        Example:
            >>> import torch
            >>> from lookalike.metrics.pixel import L1
            >>> L1().prepare(torch.ones(2, 1, 4, 4))(torch.zeros(2, 1, 4, 4)).tolist()
            [1.0, 1.0]
        """
        self._enter(y, y)
        return Prepared(self, y.detach())

    def forward(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """Score a pair of batches.

        Args:
            x: images judged, ``(n, c, h, w)``.
            y: references, same shape, or what `prepare` made of them.
            mask: validity ``(n, 1 or c, h, w)`` in [0, 1], for metrics whose facts say ``masks``.

        Returns:
            ``(n,)``, or a scalar when a reduction was asked for.

        Raises:
            TypeError, ValueError: as `batches.pair` says.
        """
        x, reference = self._enter(x, y)
        with full_precision(x):
            if mask is None:
                scores = self.score(x, reference)
            else:
                scores = self.score_masked(x, reference, batches.mask_for(x, mask, self.facts.name))
        return reduce(scores, self.reduction)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """Scores over the valid pixels alone, where the metric's facts say ``masks``."""
        raise TypeError(f"{self.facts.name}: takes no mask")

    def map(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        """Where the images differ: ``(n, c, h', w')``, in the direction of the score.

        Raises:
            TypeError: for a metric without a map.
        """
        x, reference = self._enter(x, y)
        with full_precision(x):
            return self.score_map(x, reference)

    def __add__(self, other: Metric | Loss) -> Loss:
        return _sum_of(self) + other

    def __sub__(self, other: Metric | Loss) -> Loss:
        return _sum_of(self) - other

    def __mul__(self, weight: float) -> Loss:
        return _sum_of(self) * weight

    __rmul__ = __mul__

    def __neg__(self) -> Loss:
        return -_sum_of(self)

    def settings(self) -> dict[str, object]:
        """What the score depends on beyond the pair, in reading order; it becomes the signature."""
        return {}

    def signature(self, data_range: DataRange | None = None) -> str:
        """How a number of this metric was made.

        Args:
            data_range: the range that the pair carried, where it was not the metric's (uint8: 255).
        """
        said = self.data_range if data_range is None else data_range
        settings = {**self.settings(), "range": signature.data_range(said)}
        return signature.write(self.facts.name, settings, self.facts.version)

    def extra_repr(self) -> str:  # noqa: D102 - as nn.Module says
        return self.signature()

    def _enter(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        """The checked pair; of a prepared reference whatever was kept stays as it is."""
        if isinstance(y, Prepared):
            x, reference = self._enter(x, y.y)
            return x, reference if y.kept is None else y
        return batches.pair(
            x,
            y,
            who=self.facts.name,
            data_range=self.data_range,
            check=self.check,
            channels=self.channels,
            min_side=self.min_side,
            volumes=self.facts.volumes,
        )


def _sum_of(metric: Metric) -> Loss:
    """A metric as a loss of one term: where the arithmetic begins."""
    from lookalike.algebra import as_sum  # the two know each other; the one that is used first loads the other

    return as_sum(metric)


def reduce(scores: Tensor, reduction: Reduction) -> Tensor:
    """``(n,)`` as it is, or its mean or sum.

    Example:
        >>> import torch
        >>> float(reduce(torch.tensor([0.0, 1.0]), "mean"))
        0.5
    """
    if reduction == "mean":
        return scores.mean()
    return scores.sum() if reduction == "sum" else scores
