"""The grammar of losses: numbers, ``+ - *``, parentheses, metric names and ``name(option=value)``."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lookalike import registry

_LEAST = 2.0**-126  # the least number that single precision has in full


@dataclass(frozen=True)
class Summand:
    """One summand of an expression: a weight, a metric's name and its options."""

    weight: float
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(expression: str) -> list[Summand]:
    """The terms of an expression, multiplied out.

    Raises:
        TypeError: for what is not text.
        ValueError: where it does not follow the grammar, with the part that does not.

    Example:
        >>> [(term.weight, term.name) for term in parse("2*(ssim - 0.5*l1)")]
        [(2.0, 'ssim'), (-1.0, 'l1')]
        >>> parse("ssim(convention=wang-matlab)")[0].options
        {'convention': 'wang-matlab'}
    """
    check_text(expression)
    # Names such as wang-matlab and torchmetrics-1.4.1 need no quotes as values; Python would subtract them.
    expression = re.sub(r"=(\s*)([A-Za-z]\w*(?:[-.]\w+)+)(?=\s*[,)])", r"=\1'\2'", expression)
    try:
        constant, terms = _walk(ast.parse(expression.strip(), mode="eval").body, expression)
    except SyntaxError as error:
        raise ValueError(
            f"loss: cannot read {_shortened(expression)!r} ({error.msg}); write e.g. '0.84*ms_ssim + 0.16*l1'"
        ) from None
    except UnicodeEncodeError:  # a surrogate alone, as names of files that are no text have
        raise ValueError(f"loss: cannot read {_shortened(expression)!a}: it holds what is no character") from None
    except (RecursionError, MemoryError):
        raise ValueError(
            f"loss: {_shortened(expression)!r} is nested too deeply or has too many terms; "
            "add such losses as objects, losses.combine([(0.84, MSSSIM()), ...])"
        ) from None
    if constant:
        raise ValueError(
            f"loss: {expression!r} adds the number {constant:g}, which has no gradient; {_suggestion(terms)}"
        )
    return terms


def _suggestion(terms: list[Summand]) -> str:
    """What to write instead of ``1 - ssim``: a loss turns its metrics so that lower is better."""
    if terms and all(term.weight < 0 for term in terms):
        written = " + ".join(f"{-term.weight:g}*{term.name}" if term.weight != -1 else term.name for term in terms)
        return f"write {written!r}: a metric is turned so that lower is better, ssim to 1 − SSIM"
    return "leave it out, or multiply by it"


def check_text(expression: object) -> None:
    """Raise `TypeError` for what is not text."""
    if not isinstance(expression, str):
        raise TypeError(
            f"loss: needs an expression such as '0.84*ms_ssim + 0.16*l1', got {type(expression).__name__}"
        )


def _walk(node: ast.expr, text: str) -> tuple[float, list[Summand]]:
    """A node as a number plus terms."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _finite(value, node, text), []
        case ast.Name(id=name):
            return 0.0, [Summand(1.0, registry.metric_class(name).facts.name)]
        case ast.Call(func=ast.Name(id=name), args=[]):
            return 0.0, [Summand(1.0, registry.metric_class(name).facts.name, _options(node, text))]
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
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            divisor, divided = _walk(right, text)
            factor = _part(left, text)
            factor = f"({factor})" if isinstance(left, ast.BinOp) else factor
            written = f"{1 / divisor:.6g}*{factor}" if divisor and not divided else ""
            advice = f"multiply instead: {written}" if written else "only numbers may multiply, and none divides"
            raise ValueError(f"loss: {_part(node, text)!r} divides, which is not part of the grammar; {advice}")
        case ast.BinOp(op=ast.Pow()):
            raise ValueError(
                f"loss: {_part(node, text)!r} is a power, which is not part of the grammar; compute it yourself "
                "from lookalike.get(NAME)(x, y), which gives scores with a gradient"
            )
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
            f"loss: {_shortened(_part(node, text))!r} makes a weight that is not finite; use a smaller one"
        )
    written = _part(node, text)
    if abs(number) < _LEAST and (
        number != 0 or (isinstance(node, ast.Constant) and re.match(r"[0._]*[1-9]", written))
    ):
        raise ValueError(
            f"loss: {_shortened(written)!r} makes a weight that single precision takes for 0; "
            "use a larger one, or 0"
        )
    return number


def _scaled(factor: float, value: tuple[float, list[Summand]]) -> tuple[float, list[Summand]]:
    number, terms = value
    return factor * number, [Summand(factor * term.weight, term.name, term.options) for term in terms]


def _options(call: ast.Call, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            value = ast.literal_eval(keyword.value)
        except (ValueError, TypeError):
            value = _unquoted(keyword.value, text)
        if keyword.arg is None:
            raise ValueError(f"loss: ** is not part of the grammar in {text!r}")
        if keyword.arg in options:
            raise ValueError(f"loss: {_part(call, text)!r} names {keyword.arg} twice; keep the one you mean")
        options[keyword.arg] = value
    return options


def _unquoted(node: ast.expr, text: str) -> str:
    """A value written without quotes, as in ``border=reflect``."""
    if isinstance(node, ast.Name):
        return node.id
    raise ValueError(f"loss: cannot read the value {_part(node, text)!r} in {text!r}")


def _part(node: ast.expr, text: str) -> str:
    return ast.get_source_segment(text.strip(), node) or text


def _shortened(text: str) -> str:
    """The beginning of a text that may be very long."""
    return text if len(text) <= 80 else f"{text[:77]}..."
