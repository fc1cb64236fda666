"""Pictures, maps and numbers for the viewer: a reference and one or more images of its size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike import images, registry, runs, tables, weights
from lookalike.images import DataRange
from lookalike.metric import Metric
from lookalike.metrics.ssim import SSIM
from lookalike.scoring.pair import measure
from lookalike.views import LEVELS, Kind, Number, Picture, View

METRICS = ("psnr", "ssim", "ms_ssim", "lpips_alex")
MAPS = ("ssim", "ssim_luminance", "ssim_contrast", "ssim_structure", "lpips_alex")
MOST_PX = 16384  # a side: no browser draws a larger canvas
_STRIP = 128  # rows of a map at a time: local moments of a whole 4K picture would take gigabytes
_DEPTHS = {"uint8": 8, "uint16": 16}

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def view(
    reference: str | Path,
    judged: Sequence[str | Path],
    metrics: Sequence[str] | None = None,
    maps: Sequence[str] | None = None,
    *,
    alpha: str | None = None,
    device: str | None = None,
) -> View:
    """All that the viewer's page shows of a reference and the images judged against it.

    Args:
        reference: the file that is right, of 8 or 16 bits a channel, grey or RGB, read as `images.load` says.
        judged: files of the same size, depth and kind.
        metrics: names; None takes `METRICS`, of which one that declines (too small a picture, weights that are not
            on this machine) is listed with its reason instead of raised.
        maps: names of metrics that have a map; None takes `MAPS`, likewise.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        device: where to compute, such as ``"cuda"``.

    Raises:
        TypeError, ValueError: for files that cannot be shown beside one another, unknown metrics, metrics without a
            map, and metrics asked for that decline.
        lookalike.weights.MissingWeights: for metrics asked for whose weights are not to be had.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, level in (("a.png", 0), ("b.png", 51)):
        ...         runs.write_png(Path(folder, name), np.full((16, 16), level, np.uint8))
        ...     shown = view(f"{folder}/a.png", [f"{folder}/b.png"], ["l1"], ["ssim"])
        >>> round(shown.numbers[0].values[0], 6), shown.kinds[0].left, shown.kinds[0].width
        (0.2, 5, 6)
    """
    if not judged:
        raise ValueError(f"view: {reference} needs something to be compared with: name what is judged after it")
    # What is wrong with a name is said before a picture is read.
    measured, not_measured = _made(metrics, METRICS)
    mapped, absent = _made(maps, MAPS)
    paths = [Path(reference), *map(Path, judged)]
    y, *others = [_readable(path, alpha) for path in paths]
    names = labels(paths)
    numbers: dict[str, Number] = {}
    kinds: dict[str, Kind] = {}
    shown = []
    for path, name, x in zip(paths[1:], names[1:], others, strict=True):
        try:
            batch, reference_batch, carried = images.load_pair(x, y, device=device)
        except ValueError as error:
            raise ValueError(f"view: {path}: {error}") from None
        for metric in measured:
            found = _number(metric, x, y, device, may_decline=metrics is None)
            before = numbers.get(found.metric, found._replace(values=()))
            numbers[found.metric] = found._replace(values=before.values + found.values)
        pair = images.pair(batch, reference_batch, who="view", data_range=carried)
        maps_of: dict[str, bytes] = {}
        for metric in mapped:
            try:
                kind, levels = _map(metric, *pair, carried)
            except ValueError as error:
                if maps is not None:
                    raise
                absent[metric.facts.name] = str(error)
            else:
                kinds[kind.name], maps_of[kind.name] = kind, runs.as_png(levels)
        shown.append(_picture(name, x, maps_of))
    return View(
        width=y.shape[1],
        height=y.shape[0],
        bits=_DEPTHS[y.dtype.name],
        channels=y.shape[2] if y.ndim == 3 else 1,
        reference=_picture(names[0], y, {}),
        judged=tuple(shown),
        kinds=tuple(kinds.values()),
        absent=absent,
        numbers=(
            *numbers.values(),
            *(_none(name, len(judged), reason) for name, reason in not_measured.items()),
        ),
    )


def labels(paths: Sequence[Path]) -> list[str]:
    """Names of files to be shown, with as much of the path as tells them apart, in text that UTF-8 can hold.

    Example:
        >>> labels([Path("a.png"), Path("x/b.png"), Path("y/b.png")])
        ['a.png', 'x/b.png', 'y/b.png']
    """
    names = [path.name for path in paths]
    for length in range(2, max(len(path.parts) for path in paths) + 1):
        counts = Counter(names)
        names = [
            str(Path(*path.parts[-length:])) if counts[name] > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return [tables.as_text(name) for name in names]


def _made(asked: Sequence[str] | None, default: Sequence[str]) -> tuple[list[Metric], dict[str, str]]:
    """Metrics, and of those that nobody asked for which cannot be had without a download, with the reason."""
    made, lacking = [], {}
    for name in dict.fromkeys(registry.metric_class(name).facts.name for name in asked or default):
        needed = registry.metric_class(name).facts.weights
        if asked is None and needed and not weights.present(needed):
            lacking[name] = f"{name}: {weights.missing(needed)}; lookalike weights fetch {needed} brings them"
        else:
            made.append(registry.get(name, check="shapes"))
    return made, lacking


def _readable(path: Path, alpha: str | None) -> Pixels:
    pixels = images.load(path, alpha=alpha)
    if pixels.dtype.name not in _DEPTHS:
        raise ValueError(f"view: {path}: holds floats; the viewer shows 8 and 16 bits, save it as 16-bit PNG")
    height, width = pixels.shape[:2]
    if max(width, height) > MOST_PX:
        raise ValueError(
            f"view: {path}: is {width}x{height} px; browsers draw at most {MOST_PX} px a side, crop the images"
        )
    return pixels


def _number(metric: Metric, x: Pixels, y: Pixels, device: str | None, *, may_decline: bool) -> Number:
    """The number of one picture, or why it has none."""
    try:
        [found] = measure(x, y, metric.to(device), device=device)
    except ValueError as error:
        if not may_decline:
            raise
        return _none(metric.facts.name, 1, str(error))
    facts = metric.facts
    return Number(facts.name, facts.better, facts.unit, found.signature, (found.value,), "")


def _none(name: str, count: int, reason: str) -> Number:
    facts = registry.metric_class(name).facts
    return Number(name, facts.better, facts.unit, "", (None,) * count, reason)


def _map(metric: Metric, x: Tensor, y: Tensor, carried: DataRange) -> tuple[Kind, NDArray[np.uint8]]:
    """What a map's levels mean, and the levels ``(h', w')``: the mean over channels on a fixed scale.

    Args:
        metric: in the unit range.
        x, y: one checked pair ``(1, c, h, w)`` in the unit range.
        carried: the range of the pictures, for the signature.
    """
    facts = metric.facts
    similar = facts.better == "higher"
    low, high = (-1.0, 1.0) if similar else (0.0, facts.range[1] if math.isfinite(facts.range[1]) else 1.0)
    metric = metric.to(x.device)
    with torch.no_grad():
        parts = [_levels(metric.map(*strip)[0].mean(0), low, high) for strip in _strips(metric, x, y)]
    levels = torch.cat(parts).cpu().numpy()
    (rows, columns), (height, width) = levels.shape, x.shape[2:]
    if (height - rows) % 2 or (width - columns) % 2:
        raise ValueError(f"{facts.name}: its map of {columns}x{rows} px cannot be laid over {width}x{height} px")
    return (
        Kind(
            name=facts.name,
            title=facts.title,
            signature=metric.signature(carried),
            low=low,
            high=high,
            alike=high if similar else low,
            left=(width - columns) // 2,
            top=(height - rows) // 2,
            width=columns,
            height=rows,
        ),
        levels,
    )


def _strips(metric: Metric, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """A pair in strips whose maps, one below the other, are SSIM's map of the whole; for other metrics the whole."""
    if not isinstance(metric, SSIM):
        return [(x, y)]
    overlap = metric.convention.win_size - 1
    tops = range(0, max(x.shape[2] - overlap, 1), _STRIP)
    return [(x[:, :, top : top + _STRIP + overlap], y[:, :, top : top + _STRIP + overlap]) for top in tops]


def _levels(values: Tensor, low: float, high: float) -> Tensor:
    return ((values - low) * (LEVELS / (high - low))).round().clamp(0, LEVELS).to(torch.uint8)


def _picture(name: str, pixels: Pixels, maps: Mapping[str, bytes]) -> Picture:
    deep = pixels.dtype == np.uint16
    high = (pixels >> 8 if deep else pixels).astype(np.uint8, copy=False)
    low = runs.as_png((pixels & 255).astype(np.uint8)) if deep else None
    return Picture(name, runs.as_png(high), low, maps)
