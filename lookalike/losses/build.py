"""Losses from text: an expression such as ``"0.84*ms_ssim + 0.16*l1"``, or a preset's name."""

from __future__ import annotations

import difflib
import re
from typing import Any

from torch import Tensor, nn

from lookalike import registry
from lookalike.algebra import Loss, Prepared, combine
from lookalike.batches import Check, Range
from lookalike.conventions import CONVENTIONS
from lookalike.losses import presets
from lookalike.losses.expressions import check_text, parse
from lookalike.metric import Metric
from lookalike.options import meant, there_are


def loss(
    expression: str,
    *,
    data_range: Range | None = None,
    check: Check = "shapes",
    convention: str | None = None,
) -> Loss:
    """A loss from an expression: numbers, ``+ - *``, parentheses, metric names, ``name(option=value)``; or by name.

    Args:
        expression: such as ``"0.84*ms_ssim + 0.16*l1"`` or ``"ssim(win_size=7)"``, or one of `presets.PRESETS`,
            such as ``"seed/ssim_l1"`` or ``"3dgs"``.
        data_range: range of float inputs, as in `metric.Metric`; None is 1.
        check: ``"shapes"`` (default) lets unclamped outputs train; ``"values"`` raises on them.
        convention: for every term that has conventions and names none itself.

    Returns:
        A `Loss`; its ``terms`` are keyed by name, with ``#2``, ``#3`` … for a name used again.

    Raises:
        ValueError: for another grammar, or an unknown name, with the nearest one; for settings of a preset that
            has its own (a convention; range and check of a published one, which takes values as they are).
        TypeError: for an unknown option, with the nearest one, and for what is not text.

    Example:
        >>> import torch
        >>> mix = loss("0.84*ssim + 0.16*l1")
        >>> image = torch.rand(1, 3, 32, 32)
        >>> float(mix(image, image)), sorted(mix.terms)
        (0.0, ['l1', 'ssim'])
    """
    check_text(expression)
    if convention is not None and convention not in CONVENTIONS:
        raise ValueError(
            f"loss: no convention {convention!r}{meant(convention, CONVENTIONS)}; "
            f"{there_are(convention, CONVENTIONS)}"
        )
    if is_preset(expression.strip()):
        row = presets.preset(expression.strip())
        if convention is not None:
            raise ValueError(f"loss: {row.name} says its own convention: {row.formula}")
        if row.parts:
            if data_range is not None or check != "shapes":
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
    combined = combine(parts)
    combined.warn_if_blind()
    return combined


def is_preset(name: str) -> bool:
    """Whether this is a preset's name or meant to be one: a word whose nearest name is a preset's.

    Example:
        >>> is_preset("3dgs"), is_preset("seed/ssm"), is_preset("0.5*ssim")
        (True, True, False)
    """
    if name in presets.PRESETS or name in registry.names() or not re.fullmatch(r"(?=.*[A-Za-z])[\w/@]+", name):
        return name in presets.PRESETS
    if name.partition("/")[0] in registry.names():  # a division, which the grammar answers
        return False
    near = difflib.get_close_matches(name, [*registry.names(), *presets.PRESETS], 1, 0.3)
    return "/" in name or "@" in name or any(word in presets.PRESETS for word in near)


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
        >>> import torch
        >>> y = torch.rand(2, 3, 32, 32)
        >>> float(prepare("0.8*l1 + 0.2*ssim", y)(y)), prepare("l1", y)(y).tolist()
        (0.0, [0.0, 0.0])
    """
    if isinstance(target, str):
        term = registry.get(target, **options) if target in registry.names() else loss(target, **options)
        return term.prepare(reference)
    if not isinstance(target, Metric | Loss):
        raise TypeError(f"prepare: needs a metric, a loss, or text that names one; got {type(target).__name__}")
    if options:
        raise TypeError(f"prepare: {type(target).__name__} is made already; it takes no {', '.join(options)} here")
    return target.prepare(reference)
