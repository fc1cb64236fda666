"""Pictures, maps and numbers for the viewer: a reference and one or more images of its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike import batches, files, registry, signature, weights
from lookalike.metric import Metric, Prepared
from lookalike.metrics.ssim import SSIM
from lookalike.ranges import DataRange
from lookalike.records import runs, tables
from lookalike.records.views import LEVELS, Kind, Number, Picture, View

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
    profile: str = "srgb",
    max_pixels: int = files.MAX_PIXELS,
    device: str | None = None,
) -> View:
    """All that the viewer's page shows of a reference and the images judged against it.

    Args:
        reference: the file that is right, of 8 or 16 bits a channel, grey or RGB, read as `files.load` says.
        judged: files of the same size, depth and kind.
        metrics: names; None takes `METRICS`, of which one that declines (too small a picture, weights that are not
            on this machine) is listed with its reason instead of raised.
        maps: names of metrics that have a map; None takes `MAPS`, likewise.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        profile: ``"srgb"`` converts the colours of files with another profile, ``"ignore"`` reads their numbers.
        max_pixels: the most that a file may claim.
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
    measured, not_measured = _obtainable(metrics, METRICS)
    mapped, absent = _obtainable(maps, MAPS)
    made = {name: registry.get(name, check="shapes") for name in (*measured, *mapped)}
    paths = [Path(reference), *map(Path, judged)]
    read = [files.read(path, alpha=alpha, profile=profile, max_pixels=max_pixels) for path in paths]
    y, *others = [_showable(path, picture.pixels) for path, picture in zip(paths, read, strict=True)]
    before = {"alpha": alpha, "profile": next((found.profile for found in read if found.profile), None)}
    y_unit, carried = _unit(paths[0], y, y, device)
    references = {name: _Reference(metric.to(y_unit.device), y_unit, carried) for name, metric in made.items()}

    numbers: dict[str, list[Number]] = {name: [] for name in measured}
    kinds: dict[str, Kind] = {}
    shown = []
    names = labels(paths)
    for path, label, x in zip(paths[1:], names[1:], others, strict=True):
        x_unit, _ = _unit(path, x, y, device)
        for name in measured:
            try:
                numbers[name].append(references[name].number(x_unit))
            except ValueError as error:
                if metrics is not None:
                    raise
                numbers[name].append(_none(name, str(error)))
        maps_of: dict[str, bytes] = {}
        for name in mapped:
            try:
                kinds[name], levels = references[name].map(x_unit)
            except ValueError as error:
                if maps is not None:
                    raise
                absent[name] = str(error)
            else:
                maps_of[name] = runs.as_png(levels)
        shown.append(_picture(label, x, maps_of))
    numbers |= {name: [_none(name, reason)] * len(judged) for name, reason in not_measured.items()}
    return View(
        width=y.shape[1],
        height=y.shape[0],
        bits=_DEPTHS[y.dtype.name],
        channels=y.shape[2] if y.ndim == 3 else 1,
        reference=_picture(names[0], y, {}),
        judged=tuple(shown),
        kinds=tuple(kind._replace(signature=signature.extended(kind.signature, before)) for kind in kinds.values()),
        absent=absent,
        numbers=tuple(_row(row, before) for row in numbers.values()),
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


def _obtainable(asked: Sequence[str] | None, default: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Metrics by their first names, and why some that nobody asked for cannot be had without a download."""
    there, lacking = [], {}
    for name in dict.fromkeys(registry.metric_class(name).facts.name for name in asked or default):
        needed = registry.metric_class(name).facts.weights
        if asked is None and not weights.present(*needed):
            lacking[name] = f"{name}: {weights.missing(*needed)}; lookalike weights fetch {name} brings them"
        else:
            there.append(name)
    return there, lacking


def _row(row: Sequence[Number], before: Mapping[str, object]) -> Number:
    """One metric's numbers of all pictures, whose signature says what was done to the files."""
    said = next((one.signature for one in row if one.signature), "")
    values = tuple(one.values[0] for one in row)
    return row[0]._replace(values=values, signature=said and signature.extended(said, before))


def _showable(path: Path, pixels: NDArray[Any]) -> Pixels:
    if pixels.dtype.name not in _DEPTHS:
        raise ValueError(f"view: {path}: holds floats; the viewer shows 8 and 16 bits, save it as 16-bit PNG")
    height, width = pixels.shape[:2]
    if max(width, height) > MOST_PX:
        raise ValueError(
            f"view: {path}: is {width}x{height} px; browsers draw at most {MOST_PX} px a side, crop the images"
        )
    return pixels


def _unit(path: Path, x: Pixels, y: Pixels, device: str | None) -> tuple[Tensor, DataRange]:
    """A judged picture as a batch in the unit range, and the range it carried, once it fits its reference."""
    try:
        batch, reference, carried = batches.load_pair(x, y, device=device)
    except ValueError as error:
        raise ValueError(f"view: {path}: {error}") from None
    return batches.pair(batch, reference, who="view", data_range=carried)[0], carried


class _Reference:
    """One metric and the reference, of which a network sees no more than one pass.

    Args:
        metric: in the unit range.
        y: ``(1, c, h, w)`` in the unit range.
        carried: the range of the pictures, for the signature.
    """

    def __init__(self, metric: Metric, y: Tensor, carried: DataRange) -> None:
        self.metric, self.y, self.carried = metric, y, carried

    @cached_property
    def prepared(self) -> Prepared:
        return self.metric.prepare(self.y)

    def number(self, x: Tensor) -> Number:
        """The score of a picture."""
        facts = self.metric.facts
        with torch.no_grad():
            value = float(self.prepared(x))
        return Number(facts.name, facts.better, facts.unit, self.metric.signature(self.carried), (value,), "")

    def map(self, x: Tensor) -> tuple[Kind, NDArray[np.uint8]]:
        """What a map's levels mean, and the levels ``(h', w')``: the mean over channels on a fixed scale."""
        facts = self.metric.facts
        similar = facts.better == "higher"
        low, high = (-1.0, 1.0) if similar else (0.0, min(facts.range[1], facts.map_high))
        with torch.no_grad():
            levels = torch.cat([_levels(part[0].mean(0), low, high) for part in self._maps(x)]).cpu().numpy()
        (rows, columns), (height, width) = levels.shape, x.shape[2:]
        if (height - rows) % 2 or (width - columns) % 2:
            raise ValueError(f"{facts.name}: a map of {columns}x{rows} px has no place on {width}x{height} px")
        kind = Kind(
            name=facts.name,
            title=facts.title,
            signature=self.metric.signature(self.carried),
            low=low,
            high=high,
            alike=high if similar else low,
            left=(width - columns) // 2,
            top=(height - rows) // 2,
            width=columns,
            height=rows,
        )
        return kind, levels

    def _maps(self, x: Tensor) -> Iterator[Tensor]:
        """The map, of windows in strips: one below the other they are the map of the whole."""
        if not isinstance(self.metric, SSIM):
            yield self.prepared.map(x)
            return
        overlap = self.metric.convention.win_size - 1
        for top in range(0, max(x.shape[2] - overlap, 1), _STRIP):
            rows = slice(top, top + _STRIP + overlap)
            yield self.metric.map(x[:, :, rows], self.y[:, :, rows])


def _none(name: str, reason: str) -> Number:
    facts = registry.metric_class(name).facts
    return Number(name, facts.better, facts.unit, "", (None,), reason)


def _levels(values: Tensor, low: float, high: float) -> Tensor:
    return ((values - low) * (LEVELS / (high - low))).round().clamp(0, LEVELS).to(torch.uint8)


def _picture(name: str, pixels: Pixels, maps: Mapping[str, bytes]) -> Picture:
    deep = pixels.dtype == np.uint16
    high = (pixels >> 8 if deep else pixels).astype(np.uint8, copy=False)
    low = runs.as_png((pixels & 255).astype(np.uint8)) if deep else None
    return Picture(name, runs.as_png(high), low, maps)
