"""Metric and Facts: what every metric promises, and the one path of a pair through it.

``Metric.forward`` checks the pair once (`batches.pair`), turns autocast off, scores in float32 (float64 stays
float64) and reduces. A metric adds a pure function, a class with ``facts`` and ``score``, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from lookalike import batches, signature
from lookalike.algebra import Prepared, Reduction, Term
from lookalike.batches import Check, Range
from lookalike.modes import compiled_apart, constant, full_precision, holds_floats, kept_constant
from lookalike.ops.frozen import Frozen
from lookalike.options import choice
from lookalike.ranges import DataRange, bounds

Better = Literal["higher", "lower"]

PROMISES = (
    "identical", "range", "symmetric", "monotone", "negative", "batch", "pure", "data_range", "channels",
    "gradcheck", "gradgradcheck", "reach", "finite", "nan", "autocast", "compile", "copies",
    "threads", "modes", "moves", "checkpoint",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a metric states about itself; `lookalike.audit` turns each line into a check.

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
        suits: when to take it, and
        fails: when not, in half a sentence each.
        written: how print writes its name, "" for the name itself.
        map_high: the value at which a map of it is drawn as far from alike as can be.
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
    suits: str = ""
    fails: str = ""
    written: str = ""
    map_high: float = 1.0

    def __post_init__(self) -> None:
        unknown = set(self.declines) - set(PROMISES)
        if unknown:
            raise ValueError(f"{self.name}: no promise is called {', '.join(sorted(unknown))}; see metric.PROMISES")


class Metric(Frozen, Term):
    """A full-reference metric: ``metric(x, y) -> (n,)``.

    Args:
        data_range: range of float inputs, a width from 0 or ``(low, high)``, or a tensor ``(n,)`` of widths, one an
            image; None is 1 for floats. uint8 is 0–255 and uint16 0–65535, and saying otherwise is an error; other
            integers need it.
        reduction: ``"none"`` gives ``(n,)``; ``"mean"`` and ``"sum"`` a scalar.
        check: ``"values"`` raises on values outside ``data_range``; ``"shapes"`` looks at shapes and dtypes only.

    Raises:
        ValueError: for an unknown reduction or check, or a range without positive width.
    """

    facts: ClassVar[Facts]

    def __init__(
        self, *, data_range: Range | None = None, reduction: Reduction = "none", check: Check = "values"
    ) -> None:
        super().__init__()
        who = self.facts.name
        for name, value, choices in (("reduction", reduction, Reduction), ("check", check, Check)):
            choice(who, name, value, get_args(choices))
        self._stated_range: Range | None = None
        if data_range is not None:
            self.data_range = data_range
        self.reduction = reduction
        self.check: Check = check

    def __setattr__(self, name: str, value: Any) -> None:
        if not holds_floats(value) or isinstance(getattr(type(self), name, None), property):
            self.__dict__.get("_numbers", {}).pop(name, None)
            super().__setattr__(name, value)
            return
        # Stored apart, so that __getattr__ looks them up: in a compiled graph they have to be constants.
        self.__dict__.pop(name, None)
        self.__dict__.setdefault("_numbers", {})[name] = (value, kept_constant(value))

    def __getattr__(self, name: str) -> Any:
        numbers = self.__dict__.get("_numbers", {})
        if name in numbers:
            value, key = numbers[name]
            return constant(key) if torch.compiler.is_compiling() else value
        return super().__getattr__(name)

    @property
    def data_range(self) -> Range:
        """The range of float inputs; 1 where none was given."""
        return 1.0 if self._stated_range is None else self._stated_range

    @data_range.setter
    def data_range(self, value: Range) -> None:
        batches.check_range(value, self.facts.name)
        self._stated_range = value

    @property
    def label(self) -> str:
        """Its name in the catalogue."""
        return self.facts.name

    @property
    def blind(self) -> str:
        """Why it cannot train a network alone; "" where it can."""
        return self.facts.alone

    @property
    def expected(self) -> tuple[float, float] | None:
        """The ends of ``data_range``; None where each image has its own."""
        return None if isinstance(self.data_range, Tensor) else bounds(self.data_range)

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
        raise TypeError(f"{self.facts.name}: has no map; `lookalike metrics NAME` says whether a metric has one")

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

    @compiled_apart
    def forward(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """Score a pair of batches.

        Args:
            x: images judged, ``(n, c, h, w)``.
            y: references, same shape, or what `prepare` made of them.
            mask: what counts, ``(n, 1 or c, h, w)``, boolean or weights in [0, 1], for metrics whose facts say
                ``masks``. What lies where it is 0 never matters, NaN included.

        Returns:
            ``(n,)``, or a scalar when a reduction was asked for. NaN for an image without a valid pixel.

        Raises:
            TypeError, ValueError: as `batches.pair` says, and for a mask where the metric takes none.
        """
        return reduce(self._scores(x, y, mask), self.reduction)

    def _scores(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None) -> Tensor:
        """Scores ``(n,)``."""
        if mask is None:
            x, reference = self._enter(x, y)
            with full_precision(x):
                return self.score(x, reference)
        x, reference, mask = self._enter_masked(x, y, mask)
        with full_precision(x):
            scores = self.score_masked(x, reference, mask)
        return torch.where(batches.has_valid(mask), scores, math.nan)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """Scores over the valid pixels alone, where the metric's facts say ``masks``.

        Both images are 0 where the mask is. The score and gradient of an image without a valid pixel must be
        finite; `forward` puts NaN in its place.

        Args:
            x, y: as in `score`.
            mask: weights in [0, 1] in the dtype and shape of ``x``.
        """
        raise TypeError(f"{self.facts.name}: takes no mask")

    def as_loss(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """The mean over the batch, turned so that lower is better; images without a valid pixel are left out."""
        if mask is None:
            return self._turned(self(x, y).mean())
        counts = batches.has_valid(mask)
        losses = torch.where(counts, self._turned(self._scores(x, y, mask)), 0.0)
        return losses.sum() / counts.sum().clamp(min=1)

    def _turned(self, scores: Tensor) -> Tensor:
        if self.facts.better == "lower":
            return scores
        best = self.facts.identical
        return -scores if self.facts.unit == "dB" or math.isinf(best) else best - scores

    def map(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        """Where the images differ: ``(n, c, h', w')``, in the direction of the score.

        Raises:
            TypeError: for a metric without a map.
        """
        x, reference = self._enter(x, y)
        with full_precision(x):
            return self.score_map(x, reference)

    def settings(self) -> dict[str, object]:
        """What the score depends on beyond the pair, in reading order; it becomes the signature."""
        return {}

    def signature(self, data_range: DataRange | None = None) -> str:
        """How a number of this metric was made.

        Args:
            data_range: the range that the pair carried, where it was not the metric's (uint8: 255).
        """
        carried = self.data_range if data_range is None else data_range
        shown = "per-image" if isinstance(carried, Tensor) else signature.data_range(carried)
        settings = {**self.settings(), "range": shown}
        return signature.write(self.facts.name, settings, self.facts.version)

    def extra_repr(self) -> str:  # noqa: D102 - as nn.Module says
        return self.signature()

    def _enter(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        """The checked pair; what a prepared reference keeps is used as it is."""
        if isinstance(y, Prepared):
            x, reference = self._enter(x, y.y)
            return x, reference if y.kept is None else y
        return batches.pair(x, y, **self._demands())

    def _enter_masked(self, x: Tensor, y: Any, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The checked pair and its mask; what a prepared reference kept is of all its pixels, and not used."""
        if not self.facts.masks:
            raise TypeError(
                f"{self.facts.name}: takes no mask; `lookalike metrics` says which do, or crop to what counts"
            )
        return batches.masked_pair(x, y.y if isinstance(y, Prepared) else y, mask, **self._demands())

    def _demands(self) -> dict[str, Any]:
        """What `batches.pair` is to check, as its arguments."""
        return {
            "who": self.facts.name,
            "data_range": self._stated_range,
            "check": self.check,
            "channels": self.channels,
            "min_side": self.min_side,
            "volumes": self.facts.volumes,
        }


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
