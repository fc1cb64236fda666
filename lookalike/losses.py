"""Losses from expressions, and weights that make their terms pull equally.

An expression is a sum of metrics by name, ``"0.84*ms_ssim + 0.16*l1"``, or a preset's name; what it makes is an
`algebra.Loss`.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lookalike import presets, registry
from lookalike.algebra import Loss as Loss
from lookalike.algebra import as_loss as as_loss
from lookalike.algebra import combine
from lookalike.batches import Check
from lookalike.conventions import CONVENTIONS
from lookalike.metric import Metric, Prepared
from lookalike.options import meant, real
from lookalike.ranges import DataRange


def loss(
    expression: str,
    *,
    data_range: DataRange = 1.0,
    check: Check = "shapes",
    convention: str | None = None,
) -> Loss:
    """A loss from an expression: numbers, ``+ - *``, parentheses, metric names, ``name(option=value)``; or by name.

    Args:
        expression: such as ``"0.84*ms_ssim + 0.16*l1"`` or ``"ssim(win_size=7)"``, or one of `presets.PRESETS`,
            such as ``"seed/ssim_l1"`` or ``"3dgs"``.
        data_range: range of float inputs.
        check: ``"shapes"`` (default) lets unclamped outputs train; ``"values"`` raises on them.
        convention: for every term that has conventions and names none itself.

    Returns:
        A `Loss`; its ``terms`` are keyed by name, with ``#2``, ``#3`` … for a name used again.

    Raises:
        ValueError: for another grammar, or an unknown name, with the nearest one; for settings of a preset that
            has its own (a convention; range and check of a published one, which takes values as they are).
        TypeError: for an unknown option, with the nearest one, and for what is not text.

    Example:
        >>> mix = loss("0.84*ssim + 0.16*l1")
        >>> image = torch.rand(1, 3, 32, 32)
        >>> float(mix(image, image)), sorted(mix.terms)
        (0.0, ['l1', 'ssim'])
    """
    _check_text(expression)
    if convention is not None and convention not in CONVENTIONS:
        raise ValueError(
            f"loss: no convention {convention!r}{meant(convention, CONVENTIONS)}; "
            f"there are {', '.join(CONVENTIONS)}"
        )
    if is_preset(expression.strip()):
        row = presets.preset(expression.strip())
        if convention is not None:
            raise ValueError(f"loss: {row.name} says its own convention: {row.formula}")
        if row.parts:
            if (data_range, check) != (1.0, "shapes"):
                low, high = row.fed
                raise ValueError(
                    f"loss: {row.name} takes values as they are, its authors' from {low:g} to {high:g}; "
                    "leave data_range and check alone"
                )
            return presets.published(row)
        expression = row.expression
    shared = {"data_range": data_range, "check": check}
    parts: list[tuple[float, nn.Module]] = []
    for term in parse(expression):
        options = dict(term.options)
        if convention is not None and "convention" in registry.options_of(term.name):
            options.setdefault("convention", convention)
        parts.append((term.weight, registry.get(term.name, **{**shared, **options})))
    made = combine(parts)
    made.warn_if_blind()
    return made


def is_preset(name: str) -> bool:
    """Whether this is a preset's name or meant to be one: a word whose nearest name is a preset's.

    Example:
        >>> is_preset("3dgs"), is_preset("seed/ssm"), is_preset("0.5*ssim")
        (True, True, False)
    """
    if name in presets.PRESETS or name in registry.names() or not re.fullmatch(r"(?=.*[A-Za-z])[\w/@]+", name):
        return name in presets.PRESETS
    near = difflib.get_close_matches(name, [*registry.names(), *presets.PRESETS], 1, 0.3)
    return "/" in name or "@" in name or any(one in presets.PRESETS for one in near)


def calibrate(
    loss: Loss,
    x: Tensor,
    y: Tensor,
    *,
    ratio: Mapping[str, float] | None = None,
    report: Callable[[str], object] | None = print,
) -> Loss:
    """The same terms with weights that make their gradients equally strong: equal weights are not equal influence.

    The strength of a term is the mean over the images of the norm of its gradient to ``x``. The first weighted term
    keeps its weight.

    Args:
        loss: with at least one weighted term.
        x, y: images such as the training will see, outputs and targets, ``(n, c, h, w)``.
        ratio: name → wanted share of the pull, more than 0; terms not named get 1.
        report: called with each line of the table of before and after; None for silence.

    Returns:
        A new loss; watched terms (weight 0) stay watched.

    Raises:
        TypeError: for what is no loss, or integer images, which have no gradient.
        ValueError: when a term has no finite gradient at these images, or the ratio names no term or is not
            positive; for a loss with schedules, which say their weights themselves.

    Example:
        >>> from lookalike.metrics.pixel import L1, L2
        >>> y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> equal = calibrate(L1() + L2(), y * 0.5, y, report=None)
        >>> [round(strength, 6) for strength in strengths(equal, y * 0.5, y).values()]
        [0.125, 0.125]
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"calibrate: needs a loss, such as lookalike.loss('ssim + l1'); got {type(loss).__name__}")
    loss.refuse_schedules("calibrate")
    wanted = dict.fromkeys(loss.weights, 1.0)
    for name, share in (ratio or {}).items():
        if name not in loss.weights:
            raise ValueError(f"calibrate: no term is called {name!r}; there are {', '.join(loss.weights)}")
        wanted[name] = real("calibrate", f"the ratio of {name}", share, above=0)
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"calibrate: x must be a float tensor, for it needs gradients; got {kind}. Use x / 255")
    if len(x) == 0:
        raise ValueError("calibrate: needs at least one image, got an empty batch")
    before = strengths(loss, x, y)
    active = [name for name, weight in loss.weights.items() if weight]
    for name in active:
        if not math.isfinite(before[name]):
            raise ValueError(
                f"calibrate: the gradient of {name} is not finite at these images; do they hold NaN or infinity?"
            )
        if not before[name] > 0:
            raise ValueError(f"calibrate: {name} has no gradient at these images; use some that differ")
    weights = dict.fromkeys(loss.weights, 0.0)
    for name in active:
        scale = before[active[0]] / wanted[active[0]]
        weights[name] = loss.weights[name] * scale * wanted[name] / before[name]
    made = Loss({name: (weights[name], metric) for name, metric in zip(loss.weights, loss.metrics, strict=True)})
    if report is not None:
        after = strengths(made, x, y)
        report(f"{'term':<20}{'weight':>12}{'pull':>12}{'→ weight':>14}{'pull':>12}")
        for name in loss.weights:
            report(
                f"{name:<20}{loss.weights[name]:>12.5g}{before[name]:>12.5g}{weights[name]:>14.5g}{after[name]:>12.5g}"
            )
    return made


def prepare(target: str | Metric | Loss, reference: Tensor, **options: Any) -> Prepared:
    """Keep a reference that many images are held against: ``prepare("ssim", y)(x)`` is ``get("ssim")(x, y)``.

    A metric on learned features takes those of the reference once, for about half the time; others keep the
    reference alone. The terms of a loss do so each.

    Args:
        target: a metric's name or a metric (scores ``(n,)``), an expression or preset or a loss (a scalar).
        reference: ``(n, c, h, w)`` in the target's range; it gets no gradient.
        options: of `registry.get` or `loss`, where the target is text.

    Returns:
        What is called with ``x`` alone, images of the reference's shape. After moving the metric, prepare anew.

    Raises:
        ValueError: for an unknown name, with the nearest one, and for images that do not fit.
        TypeError: for another target, or options of one that is made already.

    Example:
        >>> y = torch.rand(2, 3, 32, 32)
        >>> float(prepare("0.8*l1 + 0.2*ssim", y)(y)), prepare("l1", y)(y).tolist()
        (0.0, [0.0, 0.0])
    """
    if isinstance(target, str):
        made = registry.get(target, **options) if target in registry.names() else loss(target, **options)
        return made.prepare(reference)
    if not isinstance(target, Metric | Loss):
        raise TypeError(f"prepare: needs a metric, a loss, or text that names one; got {type(target).__name__}")
    if options:
        raise TypeError(f"prepare: {type(target).__name__} is made already; it takes no {', '.join(options)} here")
    return target.prepare(reference)


def strengths(loss: Loss, x: Tensor, y: Tensor) -> dict[str, float]:
    """How hard each term pulls: the mean over images of the norm of its weighted gradient to ``x``.

    Example:
        >>> y = torch.rand(1, 1, 16, 16)
        >>> round(strengths(combine([(2.0, registry.get("l1"))]), y * 0.5, y)["l1"], 6)
        0.125
    """
    pulls = {}
    for (name, weight), metric in zip(loss.weights.items(), loss.metrics, strict=True):
        image = x.detach().clone().requires_grad_()
        # The sum over the batch: each image's gradient is then that of its own value.
        [gradient] = torch.autograd.grad(as_loss(metric, image, y) * len(x), image)
        pulls[name] = abs(weight) * float(gradient.flatten(1).norm(dim=1).mean())
    return pulls


@dataclass(frozen=True)
class Term:
    """One summand of an expression: a weight, a metric's name and its options."""

    weight: float
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(expression: str) -> list[Term]:
    """The terms of an expression, multiplied out.

    Raises:
        TypeError: for what is not text.
        ValueError: where it does not follow the grammar, with the part that does not.

    Example:
        >>> [(term.weight, term.name) for term in parse("2*(ssim - 0.5*l1)")]
        [(2.0, 'ssim'), (-1.0, 'l1')]
    """
    _check_text(expression)
    try:
        constant, terms = _walk(ast.parse(expression.strip(), mode="eval").body, expression)
    except SyntaxError as error:
        raise ValueError(
            f"loss: cannot read {_short(expression)!r} ({error.msg}); write e.g. '0.84*ms_ssim + 0.16*l1'"
        ) from None
    except (RecursionError, MemoryError):
        raise ValueError(
            f"loss: {_short(expression)!r} is nested too deeply or has too many terms; "
            "add such losses as objects, losses.combine([(0.84, MSSSIM()), ...])"
        ) from None
    if constant:
        raise ValueError(
            f"loss: {expression!r} adds the number {constant:g}, which has no gradient; multiply instead"
        )
    return terms


def _check_text(expression: object) -> None:
    if not isinstance(expression, str):
        raise TypeError(
            f"loss: needs an expression such as '0.84*ms_ssim + 0.16*l1', got {type(expression).__name__}"
        )


def _walk(node: ast.expr, text: str) -> tuple[float, list[Term]]:
    """A node as a number plus terms."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _finite(value, node, text), []
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
            number, terms = _scaled(factor, rest)
            for weight in (number, *(term.weight for term in terms)):
                _finite(weight, node, text)
            return number, terms
    raise ValueError(
        f"loss: cannot read {_part(node, text)!r} in {text!r}; "
        "the grammar is numbers, + - *, parentheses, names and name(option=value)"
    )


def _finite(value: float, node: ast.expr, text: str) -> float:
    """A number that is one in float64 too."""
    try:
        number = float(value)
    except OverflowError:  # of a whole number with hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(
            f"loss: {_short(_part(node, text))!r} makes a weight that is not finite; use a smaller one"
        )
    return number


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
        if keyword.arg in options:
            raise ValueError(f"loss: {_part(call, text)!r} names {keyword.arg} twice; keep the one you mean")
        options[keyword.arg] = value
    return options


def _word(node: ast.expr, text: str) -> str:
    """A value written without quotes, as in ``border=reflect``."""
    if isinstance(node, ast.Name):
        return node.id
    raise ValueError(f"loss: cannot read the value {_part(node, text)!r} in {text!r}")


def _part(node: ast.expr, text: str) -> str:
    return ast.get_source_segment(text.strip(), node) or text


def _short(text: str) -> str:
    """The beginning of a text that may be very long."""
    return text if len(text) <= 80 else f"{text[:77]}..."
