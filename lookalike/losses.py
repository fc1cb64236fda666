"""A metric, or a weighted sum of metrics, as a loss: a scalar to minimise whose terms can be read by name.

Turning a metric into a loss: higher is better with identical = v gives v − s; PSNR gives −PSNR; lower is better
gives s; then the mean over the batch.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from lookalike import registry
from lookalike.images import Check, DataRange
from lookalike.metric import Metric


class Loss(nn.Module):
    """A weighted sum of metrics turned so that lower is better: ``loss(x, y) -> scalar``.

    Args:
        terms: name → (weight, metric), in reading order.

    Attributes:
        terms: after each call, name → unweighted value of that term (detached, 0-dimensional).

    Raises:
        ValueError: without terms.
        UserWarning: when the only term cannot train a network alone, with the reason.

    Example:
        >>> value = loss("0.5*l1 + 0.5*l2")(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5))
        >>> float(value)
        0.375
    """

    def __init__(self, terms: Mapping[str, tuple[float, Metric]]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("loss: needs at least one term, such as '0.84*ms_ssim + 0.16*l1'")
        self.weights = {name: float(weight) for name, (weight, _) in terms.items()}
        self.metrics = nn.ModuleList([metric for _, metric in terms.values()])
        self.terms: dict[str, Tensor] = {}
        self._warn_if_blind()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            x: images judged, ``(n, c, h, w)``.
            y: references, same shape.

        Returns:
            A scalar.
        """
        values = [as_loss(metric, x, y) for metric in self.metrics]
        self.terms = {name: value.detach() for name, value in zip(self.weights, values, strict=True)}
        return reduce(torch.add, [w * value for w, value in zip(self.weights.values(), values, strict=True)])

    def signature(self) -> str:
        """The formula with each term's signature."""
        parts = (
            f"{weight:g}*[{metric.signature()}]"
            for weight, metric in zip(self.weights.values(), self.metrics, strict=True)
            if isinstance(metric, Metric)
        )
        return " + ".join(parts)

    def extra_repr(self) -> str:  # noqa: D102 - as nn.Module says
        return " + ".join(f"{weight:g}*{name}" for name, weight in self.weights.items())

    def _warn_if_blind(self) -> None:
        facts = [
            metric.facts
            for weight, metric in zip(self.weights.values(), self.metrics, strict=True)
            if weight and isinstance(metric, Metric)
        ]
        if facts and all(fact.alone for fact in facts):
            reasons = "; ".join(f"{fact.name}: {fact.alone}" for fact in facts)
            warnings.warn(f"loss: cannot train alone – {reasons}. Add a pixel or low-pass term", stacklevel=3)


def as_loss(metric: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The mean over the batch of a metric, turned so that lower is better and identical images are best.

    Example:
        >>> image = torch.rand(2, 1, 16, 16)
        >>> float(as_loss(registry.get("ssim"), image, image))
        0.0
    """
    score = metric(x, y).mean()
    if not isinstance(metric, Metric) or metric.facts.better == "lower":
        return score
    best = metric.facts.identical
    return -score if metric.facts.unit == "dB" or math.isinf(best) else best - score


def loss(
    expression: str,
    *,
    data_range: DataRange = 1.0,
    check: Check = "shapes",
    convention: str | None = None,
) -> Loss:
    """A loss from an expression: numbers, ``+ - *``, parentheses, metric names, ``name(option=value)``.

    Args:
        expression: such as ``"0.84*ms_ssim + 0.16*l1"`` or ``"ssim(win_size=7)"``.
        data_range: range of float inputs.
        check: ``"shapes"`` (default) lets unclamped outputs train; ``"values"`` raises on them.
        convention: for every term that has conventions and names none itself.

    Returns:
        A `Loss`; its ``terms`` are keyed by name, with ``#2``, ``#3`` … for a name used again.

    Raises:
        ValueError: for another grammar, or an unknown name, with the nearest one.
        TypeError: for an unknown option, with the nearest one.

    Example:
        >>> mix = loss("0.84*ssim + 0.16*l1")
        >>> image = torch.rand(1, 3, 32, 32)
        >>> float(mix(image, image)), sorted(mix.terms)
        (0.0, ['l1', 'ssim'])
    """
    shared = {"data_range": data_range, "check": check}
    terms: dict[str, tuple[float, Metric]] = {}
    for term in parse(expression):
        options = dict(term.options)
        if convention is not None and "convention" in registry.options_of(term.name):
            options.setdefault("convention", convention)
        key, count = term.name, 1
        while key in terms:
            count += 1
            key = f"{term.name}#{count}"
        terms[key] = (term.weight, registry.get(term.name, **{**shared, **options}))
    return Loss(terms)


@dataclass(frozen=True)
class Term:
    """One summand of an expression: a weight, a metric's name and its options."""

    weight: float
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(expression: str) -> list[Term]:
    """The terms of an expression, multiplied out.

    Raises:
        ValueError: where it does not follow the grammar, with the part that does not.

    Example:
        >>> [(term.weight, term.name) for term in parse("2*(ssim - 0.5*l1)")]
        [(2.0, 'ssim'), (-1.0, 'l1')]
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(
            f"loss: cannot read {expression!r} ({error.msg}); write e.g. '0.84*ms_ssim + 0.16*l1'"
        ) from None
    constant, terms = _walk(tree, expression)
    if constant:
        raise ValueError(
            f"loss: {expression!r} adds the number {constant:g}, which has no gradient; multiply instead"
        )
    return terms


def _walk(node: ast.expr, text: str) -> tuple[float, list[Term]]:
    """A node as a number plus terms."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value), []
        case ast.Name(id=name):
            return 0.0, [Term(1.0, registry.metric_class(name).facts.name)]
        case ast.Call(func=ast.Name(id=name), args=[]):
            return 0.0, [Term(1.0, registry.metric_class(name).facts.name, _options(node, text))]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _scaled(-1.0, _walk(operand, text))
        case ast.BinOp(op=ast.Add() | ast.Sub() as op, left=left, right=right):
            first, second = _walk(left, text), _walk(right, text)
            second = _scaled(-1.0, second) if isinstance(op, ast.Sub) else second
            return first[0] + second[0], first[1] + second[1]
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            first, second = _walk(left, text), _walk(right, text)
            if first[1] and second[1]:
                raise ValueError(f"loss: {_part(node, text)!r} multiplies metrics; only numbers may multiply")
            factor, rest = (second[0], first) if first[1] else (first[0], second)
            return _scaled(factor, rest)
    raise ValueError(
        f"loss: cannot read {_part(node, text)!r} in {text!r}; "
        "the grammar is numbers, + - *, parentheses, names and name(option=value)"
    )


def _scaled(factor: float, value: tuple[float, list[Term]]) -> tuple[float, list[Term]]:
    number, terms = value
    return factor * number, [Term(factor * term.weight, term.name, term.options) for term in terms]


def _options(call: ast.Call, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError:
            value = _word(keyword.value, text)
        if keyword.arg is None:
            raise ValueError(f"loss: ** is not part of the grammar in {text!r}")
        options[keyword.arg] = value
    return options


def _word(node: ast.expr, text: str) -> str:
    """A value written without quotes, as in ``border=reflect``."""
    if isinstance(node, ast.Name):
        return node.id
    raise ValueError(f"loss: cannot read the value {_part(node, text)!r} in {text!r}")


def _part(node: ast.expr, text: str) -> str:
    return ast.get_source_segment(text.strip(), node) or text
