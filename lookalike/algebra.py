"""A weighted sum of metrics as a loss, and the arithmetic that makes one: ``0.84 * MSSSIM() + 0.16 * L1()``.

Turning a metric into a loss: higher is better with identical = v gives v − s; PSNR gives −PSNR; lower is better
gives s; then the mean over the batch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.metric import Metric, Prepared
from lookalike.options import real

Schedule = Callable[[int], float]


class Loss(nn.Module):
    """A weighted sum of metrics turned so that lower is better: ``loss(x, y) -> scalar``.

    Sums, differences, negatives and multiples of metrics and losses are losses. A term of weight 0 is watched:
    its value is among ``terms``, without a gradient. Weights and step are part of the state dict.

    Args:
        terms: name → (weight, metric), in reading order.

    Attributes:
        weights: name → weight, as they are at this step.
        terms: after each call, name → unweighted value of that term (detached, 0-dimensional).
        step: how often `advance` was called.

    Raises:
        ValueError: without terms, for a weight that is not finite, or a metric that sums over the batch.
        UserWarning: at the first call, when no term can train a network alone, with the reasons.

    Example:
        >>> from lookalike.metrics.pixel import L1, L2
        >>> mix = 0.5 * L1() + 0.5 * L2()
        >>> float(mix(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5)))
        0.375
        >>> {name: float(value) for name, value in mix.weighted_terms.items()}
        {'l1': 0.25, 'l2': 0.125}
    """

    def __init__(self, terms: Mapping[str, tuple[float, nn.Module]]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("loss: needs at least one term, such as '0.84*ms_ssim + 0.16*l1'")
        for name, (weight, metric) in terms.items():
            if not math.isfinite(weight):
                raise ValueError(f"loss: the weight of {name} must be a finite number, got {weight!r}")
            if isinstance(metric, Metric) and metric.reduction == "sum":
                raise ValueError(
                    f"loss: {name} has reduction='sum', but a loss is a mean over the batch; leave reduction out, "
                    "and multiply the loss by the size of the batch if you mean the sum"
                )
        self.weights = {name: float(weight) for name, (weight, _) in terms.items()}
        self.metrics = nn.ModuleList([metric for _, metric in terms.values()])
        self.schedules: dict[str, Schedule] = {}
        self.terms: dict[str, Tensor] = {}
        self.step = 0
        self._warned = False

    def prepare(self, y: Tensor) -> Prepared:
        """Keep a reference for every term: the result is called with ``x`` alone, with the weights of that time.

        Args:
            y: references ``(n, c, h, w)``; they get no gradient.

        Raises:
            TypeError, ValueError: as a term says.
        """
        y = y.detach()
        return Prepared(self, y, [one.prepare(y) if isinstance(one, Metric) else y for one in self.metrics])

    def forward(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        """The loss of a batch.

        Args:
            x: images judged, ``(n, c, h, w)``.
            y: references, same shape, or what `prepare` made of them.

        Returns:
            A scalar.
        """
        if not self._warned and not torch.compiler.is_compiling():
            self.warn_if_blind()
        weighted = []
        terms = {}
        references = y.kept if isinstance(y, Prepared) else [y] * len(self.metrics)
        for (name, weight), metric, reference in zip(self.weights.items(), self.metrics, references, strict=True):
            with torch.set_grad_enabled(torch.is_grad_enabled() and weight != 0):
                value = as_loss(metric, x, reference)
            terms[name] = value.detach()
            if weight != 0:
                weighted.append(weight * value)
        self.terms = terms
        return reduce(torch.add, weighted) if weighted else 0.0 * x.sum()

    @property
    def weighted_terms(self) -> dict[str, Tensor]:
        """What each term gave to the last value: name → weight times value."""
        return {name: self.weights[name] * value for name, value in self.terms.items()}

    def schedule(self, **schedules: Schedule) -> Loss:
        """Let weights depend on the step: ``loss.schedule(l1=lambda step: max(0.0, 1 - step / 1000))``.

        Returns:
            This loss, with the weights of the present step.

        Raises:
            TypeError: for what cannot be called.
            ValueError: for a name that is no term, and for a weight that is not finite, at its step.
        """
        for name, schedule in schedules.items():
            if name not in self.weights:
                raise ValueError(f"loss: no term is called {name!r}; there are {', '.join(self.weights)}")
            if not callable(schedule):
                raise TypeError(
                    f"loss: the schedule of {name} must be a function of the step, such as "
                    f"lambda step: 0.5; got {schedule!r}"
                )
        self.schedules.update(schedules)
        self._apply_schedules()
        return self

    def advance(self) -> None:
        """Go on to the next step of the schedules; call it after each optimiser step."""
        self.step += 1
        self._apply_schedules()

    def signature(self) -> str:
        """The formula with each term's signature."""
        return " + ".join(f"{weight:g}*[{_signature(metric)}]" for weight, metric in self._parts())

    def warn_if_blind(self) -> None:
        """Warn once when no term can train a network alone, with the reasons."""
        self._warned = True
        facts = [metric.facts if isinstance(metric, Metric) else None for weight, metric in self._parts() if weight]
        blind = [fact for fact in facts if fact is not None and fact.alone]
        if blind and len(blind) == len(facts):
            reasons = "; ".join(f"{fact.name}: {fact.alone}" for fact in blind)
            warnings.warn(f"loss: cannot train alone – {reasons}. Add a pixel or low-pass term", stacklevel=3)

    def refuse_schedules(self, who: str) -> None:
        """Raise where weights follow schedules: sums, multiples and calibration make a new loss, which has none."""
        if self.schedules:
            raise ValueError(
                f"{who}: {', '.join(self.schedules)} follows a schedule, which would be lost; "
                "make the loss first, then call schedule on it"
            )

    def get_extra_state(self) -> dict[str, Any]:
        """Weights and step, for ``state_dict``."""
        return {"weights": dict(self.weights), "step": self.step}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Weights and step, from ``load_state_dict``.

        Raises:
            ValueError: when they are another loss's.
        """
        if list(state["weights"]) != list(self.weights):
            raise ValueError(
                f"loss: the state is of {', '.join(state['weights'])}, this loss has {', '.join(self.weights)}"
            )
        self.weights = {name: float(weight) for name, weight in state["weights"].items()}
        self.step = int(state["step"])

    def extra_repr(self) -> str:  # noqa: D102 - as nn.Module says
        return " + ".join(f"{weight:g}*{name}" for name, weight in self.weights.items())

    def __add__(self, other: Loss | Metric) -> Loss:
        other = as_sum(other)
        for one in (self, other):
            one.refuse_schedules("loss")
        return combine([*self._parts(), *other._parts()])

    def __sub__(self, other: Loss | Metric) -> Loss:
        return self + as_sum(other) * -1.0

    def __mul__(self, factor: float) -> Loss:
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            return NotImplemented
        self.refuse_schedules("loss")
        scaled = combine([(factor * weight, metric) for weight, metric in self._parts()])
        scaled._warned = self._warned  # of the same terms, once is enough
        return scaled

    __rmul__ = __mul__

    def __neg__(self) -> Loss:
        return self * -1.0

    def _parts(self) -> list[tuple[float, nn.Module]]:
        return list(zip(self.weights.values(), self.metrics, strict=True))

    def _apply_schedules(self) -> None:
        for name, schedule in self.schedules.items():
            self.weights[name] = real("loss", f"the schedule of {name} at step {self.step}", schedule(self.step))


def _signature(metric: nn.Module) -> str:
    """What a metric says of how its number is made; of a stranger that says nothing, the name of its class."""
    say = getattr(metric, "signature", None)
    return str(say()) if callable(say) else type(metric).__name__


def as_loss(metric: nn.Module, x: Tensor, y: Tensor | Prepared) -> Tensor:
    """The mean over the batch of a metric, turned so that lower is better and identical images are best.

    Example:
        >>> from lookalike.metrics.ssim import SSIM
        >>> image = torch.rand(2, 1, 16, 16)
        >>> float(as_loss(SSIM(), image, image))
        0.0
    """
    score = metric(x, y).mean()
    if not isinstance(metric, Metric) or metric.facts.better == "lower":
        return score
    best = metric.facts.identical
    return -score if metric.facts.unit == "dB" or math.isinf(best) else best - score


def as_sum(term: Loss | Metric) -> Loss:
    """A metric as a loss of one term; a loss as it is.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(term, Loss):
        return term
    if isinstance(term, Metric):
        return combine([(1.0, term)])
    raise TypeError(f"loss: only metrics and losses can be added, got {type(term).__name__}")


def combine(parts: list[tuple[float, nn.Module]]) -> Loss:
    """A loss of weighted metrics, each named as in the catalogue; a name used again gets ``#2``, ``#3`` …

    Example:
        >>> from lookalike.metrics.pixel import L1
        >>> list(combine([(1.0, L1()), (0.5, L1())]).weights)
        ['l1', 'l1#2']
    """
    terms: dict[str, tuple[float, nn.Module]] = {}
    for weight, metric in parts:
        name = metric.facts.name if isinstance(metric, Metric) else type(metric).__name__
        key, count = name, 1
        while key in terms:
            count += 1
            key = f"{name}#{count}"
        terms[key] = (weight, metric)
    return Loss(terms)
