"""A metric's map as a picture in fixed colours: one colour means one value, whatever the pair."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike import batches, registry, signature
from lookalike.batches import Check, ImageLike
from lookalike.files import MAX_PIXELS
from lookalike.ranges import DataRange
from lookalike.records import outputs, runs

_STEPS = 255  # colours of a similarity map, an odd number so that 0 has one
_STOPS = ((222, 60, 30), (0, 0, 0), (255, 255, 255))  # -1, 0 and 1
_SIMILARITY = "red -1, black 0, white 1"
_ERROR = "black 0, white 1 (the whole range) and above"


class Drawn(NamedTuple):
    """A map that was written.

    Attributes:
        file: where.
        metric: whose map it is.
        signature: how its values were made.
        width, height: in pixels; smaller than the images where only windows that fit are scored.
        low, high: values at the ends of the colours.
        legend: what it shows, in words.
    """

    file: str
    metric: str
    signature: str
    width: int
    height: int
    low: float
    high: float
    legend: str


def write_map(
    file: str | Path,
    a: ImageLike,
    b: ImageLike,
    metric: str = "ssim",
    *,
    data_range: DataRange | None = None,
    convention: str | None = None,
    check: Check = "values",
    alpha: str | None = None,
    profile: str = "srgb",
    max_pixels: int = MAX_PIXELS,
    device: str | None = None,
    force: bool = False,
) -> Drawn:
    """Write a metric's map of a pair as a PNG, whole or not at all; the mean over channels, in fixed colours.

    Metrics for which higher is better run from red (-1) over black (0) to white (1); errors from black (0) to white
    (1, the whole data range).

    Args:
        file: ends in ``.png``.
        a: the image judged.
        b: the reference.
        metric: one that has a map.
        data_range, convention, check, alpha, profile, max_pixels, device: as in `scoring.pair.measure`.
        force: replace a file that lookalike did not write.

    Raises:
        TypeError: for a metric without a map.
        ValueError: for a pair that cannot be compared, another ending, and a file that is an input or not ours.
        OSError: when the file cannot be written.
    """
    file = Path(file)
    if file.suffix.lower() != ".png":
        raise ValueError(f"{file}: maps are written as PNG, name a file that ends in .png")
    outputs.claim(file, who="score", inputs=[one for one in (a, b) if isinstance(one, str | Path)], force=force)
    loaded = batches.read_pair(
        a, b, data_range=data_range, alpha=alpha, profile=profile, max_pixels=max_pixels, device=device
    )
    x, y, carried = loaded[:3]
    options = {} if convention is None else {"convention": convention}
    made = registry.get(metric, data_range=carried, check=check, **options)
    with torch.no_grad():
        values = made.map(x, y)[0].mean(0).double().cpu().numpy()
    if values.ndim != 2:
        raise ValueError(f"{made.facts.name}: maps of volumes have no picture")
    if np.isnan(values).any():
        raise ValueError(f"{made.facts.name}: the map holds NaN, which has no colour")
    similar = made.facts.better == "higher"
    if similar:
        runs.write_png(file, _levels((values + 1) / 2, _STEPS - 1), _palette())
    else:
        runs.write_png(file, _levels(values, 255))
    height, width = values.shape
    legend = f"{made.facts.name} map, {width}x{height} px, {_SIMILARITY if similar else _ERROR}"
    said = signature.extended(made.signature(carried), loaded.before)
    return Drawn(str(file), made.facts.name, said, width, height, -1.0 if similar else 0.0, 1.0, legend)


def _levels(unit: NDArray[np.float64], most: int) -> NDArray[np.uint8]:
    return np.clip(np.rint(unit * most), 0, most).astype(np.uint8)


def _palette() -> NDArray[np.uint8]:
    """Colours through the stops; the last entry is unused."""
    at = np.linspace(0, _STEPS - 1, len(_STOPS))
    channels = [np.interp(np.arange(256), at, channel) for channel in zip(*_STOPS, strict=True)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
