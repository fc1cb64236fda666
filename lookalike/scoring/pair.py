"""Numbers for one pair of anything that is an image, through one front door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lookalike import batches, ranges, registry, signature
from lookalike.batches import ChannelAxis, Check, ImageLike
from lookalike.files import MAX_PIXELS
from lookalike.metric import Metric
from lookalike.ranges import DataRange
from lookalike.scoring.columns import Column, check_convention, column, cropped, luma
from lookalike.scoring.masks import Mask, fingerprint


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
    grey: bool = False,
    skip: bool | None = None,
    device: str | None = None,
) -> list[Measurement]:
    """Measure how alike two images are.

    Args:
        judged: the image judged: a path, PIL image, NumPy array ``(h, w)`` / ``(h, w, c)`` or tensor
            ``(c, h, w)``. On the shell the reference comes first; by keywords there is no mistaking them.
        reference: the reference, likewise.
        metrics: a name (with options where `columns.column` takes them), several, or metrics made with
            `lookalike.get`, to whose range the pair is brought; None takes every cheap metric, and one that
            declines the pair (too small, say) is reported with its reason rather than raised.
        data_range: of float images; None means 1. uint8 is 0–255 and uint16 0–65535; saying otherwise is an error.
        convention: for the metrics that have conventions; the others are as they are.
        mask: what counts, as `batches.read_mask` takes it: a file of which white counts, or a boolean array; or a
            `masks.Mask`. The signature holds its `masks.fingerprint`; metrics that take none decline.
        check: ``"values"`` raises on values outside the range; ``"shapes"`` does not look.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        profile: ``"srgb"`` converts the colours of files with another profile, ``"ignore"`` reads their numbers;
            the signature says so where it made a difference.
        max_pixels: the most that a file may claim.
        channel_axis: of NumPy arrays with other channels than 1 or 3 at the end: the axis that holds them, or None
            for a volume ``(d, h, w)`` without any.
        grey: compare the images in grey, coloured ones by their luma (BT.601), one of them or both.
        skip: report a metric that declines with its reason instead of raising; None: where no metric is named.
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
        'l1|range:255|mask:a1bd2c2d|v:1'
    """
    loaded = batches.read_pair(
        judged, reference, data_range=data_range, alpha=alpha, profile=profile, max_pixels=max_pixels,
        channel_axis=channel_axis, widen=grey, device=device,
    )  # fmt: skip
    x, y, carried = loaded[:3]
    # Once and for all metrics: what fails here no metric could take. Then every metric sees the unit range.
    before: dict[str, object] = dict(loaded.before)
    counts = None
    if mask is None:
        x, y = batches.pair(x, y, who="measure", data_range=carried, check=check, volumes=x.ndim == 5)
    else:
        counted = mask.weights(x) if isinstance(mask, Mask) else batches.read_mask(mask, x)
        x, y, counts = batches.masked_pair(
            x, y, counted, who="measure", data_range=carried, check=check, volumes=x.ndim == 5
        )
        before |= mask.settings() if isinstance(mask, Mask) else {"mask": fingerprint(counted)}
    if grey:
        x, y = luma(x, "bt601"), luma(y, "bt601")
        before["luma"] = "bt601"
    one = [metrics] if isinstance(metrics, str | Metric) else metrics
    asked = [
        entry if isinstance(entry, Metric) else column(entry)
        for entry in (registry.cheap() if one is None else one)
    ]
    check_convention(convention, asked)
    pair = _Pair(x, y, counts, carried, before)
    measured = [_measured(entry, pair, convention, metrics is None if skip is None else skip) for entry in asked]
    return [found._replace(remarks=loaded.remarks) for found in measured]


class _Pair(NamedTuple):
    """A pair in the unit range, what counts of it, and what was done to it."""

    x: Tensor
    y: Tensor
    mask: Tensor | None
    carried: DataRange
    before: dict[str, object]


def _measured(entry: Column | Metric, pair: _Pair, convention: str | None, may_decline: bool) -> Measurement:
    """The number of one column, or why it has none."""
    name = entry.facts.name if isinstance(entry, Metric) else entry.name
    x, y, mask, before = pair.x, pair.y, pair.mask, pair.before
    made = ""
    try:
        metric = entry if isinstance(entry, Metric) else entry.made(convention)
        if isinstance(metric.data_range, Tensor):
            raise TypeError(f"{name}: data_range holds a width for each image of a batch; measure takes one pair")
        if isinstance(entry, Column):
            x, y = entry.treated(x), entry.treated(y)
            mask = None if mask is None else cropped(mask[:, : x.shape[1]], entry.crop_border)
            if entry.luma and before.get("luma"):
                raise ValueError(f"{name}: is of luma, and so is everything by --grey; keep one of them")
            before = {**before, "crop": entry.crop_border or None, "luma": entry.luma or before.get("luma")}
        made = signature.extended(metric.signature(pair.carried), before)
        low, high = ranges.bounds(metric.data_range, name)
        if (low, high) != (0.0, 1.0):
            x, y = (image * (high - low) + low for image in (x, y))
        with torch.no_grad():
            value = float((metric(x, y) if mask is None else metric(x, y, mask)).mean())
    except (ValueError, TypeError) as error:
        if not may_decline or (isinstance(error, TypeError) and mask is None):
            raise
        return Measurement(name, None, made, str(error))
    return Measurement(name, value, made)
