"""What can be added and weighted, and the weighted sum as a loss: ``0.84 * MSSSIM() + 0.16 * L1()``.

Turning a metric into a loss: higher is better with identical = v gives v − s; PSNR gives −PSNR; lower is better
gives s; then the mean over the batch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lookalike.batches import mask_for
from lookalike.modes import compiled_apart, exporting, readable, transformed, without_own_code
from lookalike.options import real
from lookalike.ranges import mismatch

Reduction = Literal["none", "mean", "sum"]
Schedule = Callable[[int], float]


class Term(nn.Module):
    """What a loss is made of: it can be added, subtracted, negated and multiplied by numbers.

    Attributes:
        reduction: what its own call does over the batch; a term that sums cannot be one of several.
    """

    reduction: Reduction = "none"

    @property
    def label(self) -> str:
        """Its name among the terms of a loss."""
        return type(self).__name__

    @property
    def blind(self) -> str:
        """Why it cannot train a network alone; "" where it can."""
        return ""

    @property
    def expected(self) -> tuple[float, float] | None:
        """The range in which it expects float targets; None where it takes any."""
        return None

    def signature(self) -> str:
        """How its number is made."""
        return type(self).__name__

    def prepare(self, y: Tensor) -> Prepared:
        """Keep a reference: the result is called with ``x`` alone.

        Args:
            y: references ``(n, c, h, w)``; they get no gradient.
        """
        return Prepared(self, y.detach())

    def as_loss(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """The mean over the batch, turned so that lower is better; what a kind of term defines."""
        raise NotImplementedError(f"{type(self).__name__} defines no as_loss(x, y, mask)")

    def map(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        """Where the images differ, for terms that have a map."""
        raise TypeError(f"{self.label}: has no map")

    def parts(self) -> list[tuple[float, nn.Module]]:
        """The weighted terms that it stands for in a sum."""
        return [(1.0, self)]

    def __getstate__(self) -> dict[str, Any]:
        return without_own_code(self.__dict__)

    def __add__(self, other: Term) -> Loss:
        return combine([*self.parts(), *_parts_of(other)])

    def __sub__(self, other: Term) -> Loss:
        return combine([*self.parts(), *((-weight, term) for weight, term in _parts_of(other))])

    def __mul__(self, factor: float) -> Loss:
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            return NotImplemented
        return combine([(factor * weight, term) for weight, term in self.parts()])

    __rmul__ = __mul__

    def __neg__(self) -> Loss:
        return self * -1.0


class Prepared:
    """A reference that is kept: ``prepared(x)`` is ``metric(x, y)``, with one pass of a network instead of two.

    Made by the ``prepare`` of a metric or loss. It gets no gradient. After moving the metric prepare anew.

    Attributes:
        metric: that made it.
        y: the reference as given, ``(n, c, h, w)``.
        kept: what the metric computed of it; None where it keeps the reference alone.
    """

    def __init__(self, metric: Term, y: Tensor, kept: Any = None) -> None:
        self.metric, self.y, self.kept = metric, y, kept

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What ``metric(x, y, mask)`` gives, for images of the reference's shape."""
        return self.metric(x, self) if mask is None else self.metric(x, self, mask)

    def map(self, x: Tensor) -> Tensor:
        """Where the images differ, as ``metric.map(x, y)`` gives it.

        Raises:
            TypeError: for a loss, or a metric without a map.
        """
        return self.metric.map(x, self)


class Loss(Term):
    """A weighted sum of metrics turned so that lower is better: ``loss(x, y) -> scalar``.

    Sums, differences, negatives and multiples of metrics and losses are losses. A term of weight 0 is watched:
    its value is among ``terms``, without a gradient. The state dict holds the weights and the step as tensors
    without dimensions, and nothing that is frozen; one without them loads too, and leaves both as they are.

    Args:
        terms: name → (weight, metric), in reading order.

    Attributes:
        terms: after each call, name → unweighted value of that term (detached, 0-dimensional). Empty after a call
            inside a transform of ``torch.func``, whose values do not outlive it.
        step: how often `advance` was called.

    Raises:
        ValueError: without terms, for a weight that is not finite, or a metric that sums over the batch.
        UserWarning: at the first call, when no term can train a network alone, with the reasons; and when the
            targets do not lie in the ``data_range`` of the terms, with the range to pass.

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
        for name, (weight, term) in terms.items():
            if not math.isfinite(weight):
                raise ValueError(f"loss: the weight of {name} must be a finite number, got {weight!r}")
            if isinstance(term, Term) and term.reduction == "sum":
                raise ValueError(
                    f"loss: {name} has reduction='sum', but a loss is a mean over the batch; leave reduction out, "
                    "and multiply the loss by the size of the batch if you mean the sum"
                )
        self.metrics = nn.ModuleList([term for _, term in terms.values()])
        self.schedules: dict[str, Schedule] = {}
        self.terms: dict[str, Tensor] = {}
        self.step = 0
        self._warned_blind = False
        self._seen_targets = False
        self._seen_mask = False
        self._set_weights({name: float(weight) for name, (weight, _) in terms.items()})

    @property
    def weights(self) -> Mapping[str, float]:
        """Name → weight, as they are at this step; `schedule` and sums change them, not assignment."""
        return MappingProxyType(self._weights)

    def _set_weights(self, weights: dict[str, float]) -> None:
        # The weights of the last values, where they have changed since.
        self._before: dict[str, float] | None = getattr(self, "_weights", None)
        self._weights = weights
        self._active = tuple(weight != 0 for weight in weights.values())
        # For compiled graphs, in which a number would be a constant and each step of a schedule another graph.
        self._factors = [torch.tensor(weight, dtype=torch.float64, device="cpu") for weight in weights.values()]

    @property
    def label(self) -> str:
        """Its name."""
        return "loss"

    @property
    def blind(self) -> str:
        """Why none of its terms can train a network alone; "" where one can."""
        weighted = [term for weight, term in self.parts() if weight]
        reasons = [f"{term.label}: {term.blind}" for term in weighted if isinstance(term, Term) and term.blind]
        return "; ".join(reasons) if len(reasons) == len(weighted) else ""

    def prepare(self, y: Tensor) -> Prepared:
        """Keep a reference for every term: the result is called with ``x`` alone, with the weights of that time.

        Args:
            y: references ``(n, c, h, w)``; they get no gradient.

        Raises:
            TypeError, ValueError: as a term says.
        """
        y = y.detach()
        return Prepared(self, y, [term.prepare(y) if isinstance(term, Term) else y for term in self.metrics])

    @compiled_apart
    def forward(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            x: images judged, ``(n, c, h, w)``.
            y: references, same shape, or what `prepare` made of them.
            mask: what counts, ``(n, 1 or c, h, w)``, boolean or in [0, 1]; every term must take masks. An image
                without a valid pixel is left out of the mean; where no image has one, the loss is 0 with a
                gradient of 0.

        Returns:
            A scalar.
        """
        compiling = torch.compiler.is_compiling()
        if not compiling:
            if not self._warned_blind:
                self.warn_if_blind()
            if mask is not None and not self._seen_mask:
                mask_for(x, mask, "loss", "values")
                self._seen_mask = isinstance(x, Tensor) and readable(x, mask)
            if not self._seen_targets:
                self._check_targets(y.y if isinstance(y, Prepared) else y, mask)
        weighted = []
        terms = {}
        references = y.kept if isinstance(y, Prepared) else [y] * len(self.metrics)
        for index, (name, term, reference) in enumerate(zip(self._weights, self.metrics, references, strict=True)):
            with torch.set_grad_enabled(torch.is_grad_enabled() and self._active[index]):
                value = as_loss(term, x, reference, mask)
            terms[name] = value.detach()
            if self._active[index]:
                weight = self._factors[index].to(value.dtype) if compiling else self._weights[name]
                weighted.append(weight * value)
        # Tensors made inside a transform or an export are wrappers that are invalid once it ends.
        self.terms = {} if transformed() or exporting() else terms
        self._before = None
        return reduce(torch.add, weighted) if weighted else 0.0 * x.sum()

    def as_loss(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
        """The loss itself."""
        return self(x, y, mask)

    def map(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        """A loss has none.

        Raises:
            TypeError: always, with what to do.
        """
        raise TypeError("prepare: a loss is a scalar and has no map; prepare one of its metrics")

    @property
    def weighted_terms(self) -> dict[str, Tensor]:
        """What each term gave to the last value: name → the weight it had then times its value."""
        weights = self._weights if self._before is None else self._before
        return {name: weights[name] * value for name, value in self.terms.items()}

    def schedule(self, **schedules: Schedule) -> Loss:
        """Let weights depend on the step: ``loss.schedule(l1=lambda step: max(0.0, 1 - step / 1000))``.

        Returns:
            This loss, with the weights of the present step.

        Raises:
            TypeError: for what cannot be called.
            ValueError: for a name that is no term, and for a weight that is not finite, at its step.
        """
        for name, schedule in schedules.items():
            if name not in self._weights:
                raise ValueError(f"loss: no term is called {name!r}; there are {', '.join(self._weights)}")
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
        return " + ".join(f"{weight:g}*[{_signature(term)}]" for weight, term in self.parts())

    def warn_if_blind(self) -> None:
        """Warn once when no term can train a network alone, with the reasons."""
        self._warned_blind = True
        if self.blind:
            warnings.warn(f"loss: cannot train alone – {self.blind}. Add a pixel or low-pass term", stacklevel=3)

    def _check_targets(self, y: Tensor, mask: Tensor | None) -> None:
        """Compare the first targets whose values can be read with the range that each term expects."""
        if not isinstance(y, Tensor) or y.numel() == 0 or not readable(y):
            return
        self._seen_targets = True
        if not y.is_floating_point():
            return
        values = y.detach()
        if mask is not None:
            values = values[(mask > 0).expand_as(values)]
        values = values[values.isfinite()]  # NaN and infinity say nothing of a range
        if values.numel() == 0:
            return
        least, most = (float(end) for end in torch.aminmax(values))
        fractions = bool((values != values.round()).any())
        expected = {term.expected for term in self.metrics if isinstance(term, Term)} - {None}
        doubts = {mismatch(least, most, *ends, fractions=fractions) for ends in expected if ends is not None}
        for doubt in sorted(doubt for doubt in doubts if doubt is not None):
            warnings.warn(f"loss: the first targets do not fit: {doubt}", stacklevel=4)

    def refuse_schedules(self, who: str) -> None:
        """Raise where weights follow schedules: sums, multiples and calibration make a new loss, which has none."""
        if self.schedules:
            raise ValueError(
                f"{who}: {', '.join(self.schedules)} follows a schedule, which would be lost; "
                "make the loss first, then call schedule on it"
            )

    def parts(self) -> list[tuple[float, nn.Module]]:
        """Its weighted terms.

        Raises:
            ValueError: where weights follow schedules, see `refuse_schedules`.
        """
        return list(zip(self._weights.values(), self.metrics, strict=True))

    def __mul__(self, factor: float) -> Loss:
        self.refuse_schedules("loss")
        scaled = super().__mul__(factor)
        if isinstance(scaled, Loss):  # the same terms warn once
            scaled._warned_blind, scaled._seen_targets = self._warned_blind, self._seen_targets
        return scaled

    __rmul__ = __mul__

    def __add__(self, other: Term) -> Loss:
        self.refuse_schedules("loss")
        return super().__add__(other)

    def __sub__(self, other: Term) -> Loss:
        self.refuse_schedules("loss")
        return super().__sub__(other)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for key, value in self._state(prefix).items():
            # In float64 both, so that averages of state dicts (EMA) need no exception for a whole number.
            destination[key] = torch.tensor(value, dtype=torch.float64, device="cpu")

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = self._state(prefix)
        start = f"{prefix}weights."
        stored = {key for key in state_dict if key.startswith(start) or key == f"{prefix}step"}
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        unexpected_keys[:] = [key for key in unexpected_keys if key not in stored]
        if not stored:
            return
        if stored != set(own):
            names = ", ".join(key.removeprefix(start) for key in state_dict if key.startswith(start))
            own_names = ", ".join(self._weights)
            error_msgs.append(f"loss: the state is of {names or 'no terms'}, this loss has {own_names}")
            return
        self._set_weights({name: float(state_dict[start + name]) for name in self._weights})
        self.step = round(float(state_dict[f"{prefix}step"]))

    def _state(self, prefix: str) -> dict[str, float]:
        weights = {f"{prefix}weights.{name}": weight for name, weight in self._weights.items()}
        return {**weights, f"{prefix}step": float(self.step)}

    def extra_repr(self) -> str:  # noqa: D102 - as nn.Module says
        return " + ".join(f"{weight:g}*{name}" for name, weight in self._weights.items())

    def _apply_schedules(self) -> None:
        scheduled = {
            name: real("loss", f"the schedule of {name} at step {self.step}", schedule(self.step))
            for name, schedule in self.schedules.items()
        }
        if scheduled:
            self._set_weights({**self._weights, **scheduled})


def _signature(term: nn.Module) -> str:
    """The signature of a term; of a third-party module without one, the name of its class."""
    signature = getattr(term, "signature", None)
    return str(signature()) if callable(signature) else type(term).__name__


def as_loss(term: nn.Module, x: Tensor, y: Tensor | Prepared, mask: Tensor | None = None) -> Tensor:
    """The mean over the batch of a term, turned so that lower is better and identical images are best.

    Args:
        term: one of ours, or any module that is called with two batches and is better when lower.
        x, y, mask: as in `Loss.forward`.

    Raises:
        TypeError: for a mask and a third-party module, which takes none.

    Example:
        >>> from lookalike.metrics.ssim import SSIM
        >>> image = torch.rand(2, 1, 16, 16)
        >>> float(as_loss(SSIM(), image, image))
        0.0
    """
    if isinstance(term, Term):
        return term.as_loss(x, y, mask)
    if mask is not None:
        raise TypeError(f"loss: {type(term).__name__} takes no mask; leave it out of a masked loss")
    return term(x, y).mean()


def _parts_of(term: object) -> list[tuple[float, nn.Module]]:
    """The weighted terms of an operand of a sum.

    Raises:
        TypeError: for what is neither a metric nor a loss.
    """
    if isinstance(term, Loss):
        term.refuse_schedules("loss")
    if isinstance(term, Term):
        return term.parts()
    raise TypeError(f"loss: only metrics and losses can be added, got {type(term).__name__}")


def combine(parts: list[tuple[float, nn.Module]]) -> Loss:
    """A loss of weighted metrics, each named as in the catalogue; a name used again gets ``#2``, ``#3`` …

    Example:
        >>> from lookalike.metrics.pixel import L1
        >>> list(combine([(1.0, L1()), (0.5, L1())]).weights)
        ['l1', 'l1#2']
    """
    terms: dict[str, tuple[float, nn.Module]] = {}
    for weight, term in parts:
        name = term.label if isinstance(term, Term) else type(term).__name__
        key, count = name, 1
        while key in terms:
            count += 1
            key = f"{name}#{count}"
        terms[key] = (weight, term)
    return Loss(terms)
