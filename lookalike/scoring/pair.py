"""Numbers for one pair of anything that is an image, through one front door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lookalike import images, registry
from lookalike.images import Check, DataRange, ImageLike
from lookalike.metric import Metric


class Measurement(NamedTuple):
    """One number and how it was made.

    Attributes:
        metric: its name in the catalogue.
        value: the score; None where the metric declined the pair.
        signature: how the number was made.
        reason: why the metric declined, "" otherwise.
    """

    metric: str
    value: float | None
    signature: str
    reason: str = ""


def measure(
    a: ImageLike,
    b: ImageLike,
    metrics: Sequence[str | Metric] | None = None,
    *,
    data_range: DataRange | None = None,
    convention: str | None = None,
    check: Check = "values",
    alpha: str | None = None,
    device: str | None = None,
) -> list[Measurement]:
    """Measure how alike two images are.

    Args:
        a: the image judged: a path, PIL image, NumPy array ``(h, w)`` / ``(h, w, c)`` or tensor ``(c, h, w)``.
        b: the reference, likewise.
        metrics: names, or metrics made with `lookalike.get`; None takes every metric without learned weights, and
            one that declines the pair (too small, say) is reported with its reason rather than raised.
        data_range: of float images; None means 1, with values checked. uint8 is 0–255, uint16 0–65535.
        convention: for the metrics that have conventions.
        check: ``"values"`` raises on values outside the range; ``"shapes"`` does not look.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        device: where to compute, such as ``"cuda"``.

    Returns:
        One `Measurement` a metric, in the order asked.

    Raises:
        TypeError, ValueError: for input that no metric could take, or a metric asked for by name that declines.

    Example:
        >>> import numpy as np
        >>> a, b = np.zeros((16, 16), np.uint8), np.full((16, 16), 51, np.uint8)
        >>> [found] = measure(a, b, ["l1"])
        >>> round(found.value, 6), found.signature
        (0.2, 'l1|range:255|v:1')
    """
    x, y, carried = load_pair(a, b, data_range=data_range, alpha=alpha, device=device)
    asked = registry.cheap() if metrics is None else metrics
    found = []
    for entry in asked:
        options = {} if convention is None or isinstance(entry, Metric) else _with_convention(entry, convention)
        try:
            made = entry if isinstance(entry, Metric) else registry.get(
                entry, data_range=carried, check=check, **options
            )  # fmt: skip
            with torch.no_grad():
                value = float(made(x, y).mean())
            found.append(Measurement(made.facts.name, value, made.signature(carried)))
        except ValueError as error:
            if metrics is not None or isinstance(entry, Metric):
                raise
            declined = registry.metric_class(entry)(data_range=carried)
            found.append(Measurement(entry, None, declined.signature(), str(error)))
    return found


def load_pair(
    a: ImageLike,
    b: ImageLike,
    *,
    data_range: DataRange | None = None,
    alpha: str | None = None,
    device: str | None = None,
) -> tuple[Tensor, Tensor, DataRange]:
    """Two images of any kind as batches, and the range that both carry.

    Returns:
        ``x`` (judged), ``y`` (reference), and the range of their values.

    Raises:
        TypeError, ValueError: when they cannot be compared: sizes, channels or depths differ.
    """
    x, x_range = images.as_batch(a, who="the image judged", alpha=alpha)
    y, y_range = images.as_batch(b, who="the reference", alpha=alpha)
    if x_range != y_range:
        depths = [images.describe_range(carried) for carried in (x_range, y_range)]
        raise ValueError(
            f"measure: the image judged is {depths[0]}, the reference {depths[1]}; convert one to the other's depth"
        )
    if x.shape[-2:] != y.shape[-2:]:
        sizes = [f"{batch.shape[-1]}x{batch.shape[-2]}" for batch in (x, y)]
        raise ValueError(
            f"measure: the image judged is {sizes[0]} px, the reference {sizes[1]}; crop or resize one of them "
            "yourself, for the way it is done changes every number"
        )
    if x.shape[1] != y.shape[1]:
        kinds = ["grey" if batch.shape[1] == 1 else f"{batch.shape[1]} channels" for batch in (x, y)]
        raise ValueError(f"measure: the image judged is {kinds[0]}, the reference {kinds[1]}; convert one of them")
    carried = x_range if x_range is not None else (1.0 if data_range is None else data_range)
    return (x.to(device), y.to(device), carried) if device else (x, y, carried)


def _with_convention(name: str, convention: str) -> dict[str, str]:
    return {"convention": convention} if "convention" in registry.options_of(name) else {}
