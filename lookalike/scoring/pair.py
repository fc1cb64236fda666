"""Numbers for one pair of anything that is an image, through one front door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lookalike import batches, ranges, registry, signature
from lookalike.batches import ChannelAxis, Check, ImageLike
from lookalike.conventions import CONVENTIONS
from lookalike.files import MAX_PIXELS
from lookalike.metric import Metric
from lookalike.options import meant, there_are
from lookalike.ranges import DataRange


class Measurement(NamedTuple):
    """One number and how it was made.

    Attributes:
        metric: its name in the catalogue.
        value: the score; None where the metric declined the pair.
        signature: how the number was made.
        reason: why the metric declined, "" otherwise.
        remarks: on the files that were read, the same for every metric.
    """

    metric: str
    value: float | None
    signature: str
    reason: str = ""
    remarks: tuple[str, ...] = ()


def measure(
    judged: ImageLike,
    reference: ImageLike,
    metrics: str | Metric | Sequence[str | Metric] | None = None,
    *,
    data_range: DataRange | None = None,
    convention: str | None = None,
    mask: ImageLike | None = None,
    check: Check = "values",
    alpha: str | None = None,
    profile: str = "srgb",
    max_pixels: int = MAX_PIXELS,
    channel_axis: ChannelAxis = "last",
    device: str | None = None,
) -> list[Measurement]:
    """Measure how alike two images are.

    Args:
        judged: the image judged: a path, PIL image, NumPy array ``(h, w)`` / ``(h, w, c)`` or tensor
            ``(c, h, w)``. On the shell the reference comes first; by keywords there is no mistaking them.
        reference: the reference, likewise.
        metrics: a name, several, or metrics made with `lookalike.get`, to whose range the pair is brought; None
            takes every cheap metric, and one that declines the pair (too small, say) is reported
            with its reason rather than raised.
        data_range: of float images; None means 1. uint8 is 0–255 and uint16 0–65535; saying otherwise is an error.
        convention: for the metrics that have conventions; the others are as they are.
        mask: what counts, as `batches.read_mask` takes it: a file of which white counts, or a boolean array. The
            signature says ``mask:yes``; metrics that take none decline.
        check: ``"values"`` raises on values outside the range; ``"shapes"`` does not look.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        profile: ``"srgb"`` converts the colours of files with another profile, ``"ignore"`` reads their numbers;
            the signature says so where it made a difference.
        max_pixels: the most that a file may claim.
        channel_axis: of NumPy arrays with other channels than 1 or 3 at the end: the axis that holds them, or None
            for a volume ``(d, h, w)`` without any.
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
        >>> [found] = measure(judged=a, reference=b, metrics="l1", mask=np.eye(16, dtype=bool))
        >>> found.signature
        'l1|range:255|mask:yes|v:1'
    """
    loaded = batches.read_pair(
        judged,
        reference,
        data_range=data_range,
        alpha=alpha,
        profile=profile,
        max_pixels=max_pixels,
        channel_axis=channel_axis,
        device=device,
    )
    x, y, carried = loaded[:3]
    # Once and for all metrics: what fails here no metric could take. Then every metric sees the unit range.
    before = loaded.before
    counts = None
    if mask is None:
        x, y = batches.pair(x, y, who="measure", data_range=carried, check=check, volumes=x.ndim == 5)
    else:
        before = {**before, "mask": "yes"}
        x, y, counts = batches.masked_pair(
            x, y, batches.read_mask(mask, x), who="measure", data_range=carried, check=check, volumes=x.ndim == 5
        )
    one = [metrics] if isinstance(metrics, str | Metric) else metrics
    asked = registry.cheap() if one is None else one
    for entry in asked:
        if not isinstance(entry, str | Metric):
            raise TypeError(f"measure: metrics are names or made with get; got {type(entry).__name__}")
    check_convention(convention, asked)
    measured = [_measured(entry, x, y, counts, carried, convention, may_decline=metrics is None) for entry in asked]
    return [
        found._replace(
            signature=found.signature and signature.extended(found.signature, before), remarks=loaded.remarks
        )
        for found in measured
    ]


def _measured(
    entry: str | Metric,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None,
    carried: DataRange,
    convention: str | None,
    may_decline: bool,
) -> Measurement:
    """The number of one metric for a pair in the unit range, or why it has none."""
    name = entry if isinstance(entry, str) else entry.facts.name
    said = ""
    try:
        metric = entry if isinstance(entry, Metric) else made(entry, convention)
        said = metric.signature(carried)
        if isinstance(metric.data_range, Tensor):
            raise TypeError(f"{name}: data_range holds a width for each image of a batch; measure takes one pair")
        low, high = ranges.bounds(metric.data_range, name)
        if (low, high) != (0.0, 1.0):
            x, y = (image * (high - low) + low for image in (x, y))
        with torch.no_grad():
            value = float((metric(x, y) if mask is None else metric(x, y, mask)).mean())
    except (ValueError, TypeError) as error:
        if not may_decline or (isinstance(error, TypeError) and mask is None):
            raise
        return Measurement(name, None, said, str(error))
    return Measurement(metric.facts.name, value, said)


def made(name: str, convention: str | None) -> Metric:
    """A metric for pairs that are checked already, under a convention where it has conventions."""
    has = convention is not None and "convention" in registry.options_of(name)
    return registry.get(name, check="shapes", **({"convention": convention} if has else {}))


def check_convention(convention: str | None, asked: Sequence[str | Metric]) -> None:
    """Refuse a convention that nobody knows, or that no metric asked for has: a mistake, no reason to decline."""
    if convention is None:
        return
    if convention not in CONVENTIONS:
        hint = meant(convention, CONVENTIONS)
        raise ValueError(f"measure: no convention {convention!r}{hint}; {there_are(convention, CONVENTIONS)}")
    if not any(isinstance(entry, str) and "convention" in registry.options_of(entry) for entry in asked):
        names = ", ".join(entry if isinstance(entry, str) else entry.facts.name for entry in asked)
        raise ValueError(f"measure: {names} has no conventions, {convention!r} would change nothing")
