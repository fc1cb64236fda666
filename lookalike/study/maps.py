"""Where pictures differ: maps of the error, of SSIM and its parts, and of SSIM's gradient, in fixed colours.

Nothing is stretched to its own minimum and maximum: one colour means one value in every map of a kind. The gradient
alone has no natural range; its limit is chosen per map and printed with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike.metrics.ssim import SSIM
from lookalike.study.columns import LEVELS, batch_of
from lookalike.study.pictures import Levels

_STEPS = 255  # colours of a map, an odd number so that 0 has one


@dataclass(frozen=True, kw_only=True)
class Map:
    """One map, ready to be written.

    Attributes:
        name: "error", "luminance", "contrast", "structure", "ssim" or "gradient".
        pixels: ``(h, w)`` or ``(h, w, 3)`` uint8; indices where there is a palette.
        palette: ``(256, 3)`` uint8, or None.
        limit: the value at either end of the colours.
        mean: of the map, None where it says nothing.
    """

    name: str
    pixels: NDArray[np.uint8]
    palette: NDArray[np.uint8] | None
    limit: float
    mean: float | None = None


def _blend(*stops: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A palette through evenly spaced colours; its last entry is unused."""
    at = np.linspace(0, _STEPS - 1, len(stops))
    channels = [np.interp(np.arange(256), at, [stop[channel] for stop in stops]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


SIMILARITY = _blend((222, 60, 30), (0, 0, 0), (255, 255, 255))
SIGNED = _blend((5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31))


def legends() -> dict[str, dict[str, Any]]:
    """What the colours of each map mean: the values at both ends, the colours between, a sentence."""
    grey = ["#000000", "#808080", "#ffffff"]
    similarity = {"low": "−1", "high": "1", "colours": _stops(SIMILARITY)}
    signed = {"low": "−limit", "high": "+limit", "colours": _stops(SIGNED)}
    window = "windows that fit, so 5 px are missing at every edge; mean over the channels"
    return {
        "error": {
            "title": "error signal", "low": "−128", "high": "+127", "colours": grey,
            "text": "Distorted minus original at full scale, laid on mid-grey: original + (this − 128) = "
                    "distorted, in every channel. Errors beyond either end are cut off.",
        },
        "luminance": similarity | {
            "title": "luminance", "text": f"l, eq. 6: are the local means alike? White is alike ({window})."},
        "contrast": similarity | {
            "title": "contrast", "text": f"c, eq. 9: are the local deviations alike? White is alike ({window})."},
        "structure": similarity | {
            "title": "structure",
            "text": "s, eq. 10: do the patterns vary together? White is together, black unrelated, red opposed "
                    f"({window})."},
        "ssim": similarity | {
            "title": "SSIM", "text": f"l·c·s; its mean is the score ({window})."},
        "gradient": signed | {
            "title": "gradient",
            "text": "Of 1 − SSIM by each pixel of the distorted picture, times the number of pixels, summed over "
                    "the channels. Red: brightening this pixel makes SSIM worse; blue: better. Each map has its "
                    "own limit."},
    }  # fmt: skip


def _stops(palette: NDArray[np.uint8]) -> list[str]:
    return ["#" + bytes(palette[index]).hex() for index in np.linspace(0, _STEPS - 1, 9).round().astype(int)]


def maps_of(picture: Levels, original: Levels, device: str = "cpu") -> list[Map]:
    """The six maps of a picture against its original.

    Args:
        picture, original: ``(h, w)`` or ``(h, w, 3)`` uint8, sides of at least 11 px.
        device: that computes.
    """
    metric = SSIM(data_range=LEVELS)
    x, y = batch_of(picture, device), batch_of(original, device)
    x.requires_grad_()
    loss = (1 - metric(x, y)).sum()
    (slope,) = torch.autograd.grad(loss, x)
    maps = [error_map(picture, original)]
    with torch.no_grad():
        terms = metric.terms(x, y)
        named = {**terms._asdict(), "ssim": metric.map(x, y)}
    for name, values in named.items():
        flat = _plane(values.mean(1))
        pixels = _indices(flat, 1.0)
        maps.append(Map(name=name, pixels=pixels, palette=SIMILARITY, limit=1.0, mean=float(flat.mean())))
    pixels_there = original.shape[0] * original.shape[1]
    pull = _plane(slope.sum(1)) * LEVELS * pixels_there
    limit = _round_up(float(np.quantile(np.abs(pull), 0.99)))
    maps.append(Map(name="gradient", pixels=_indices(pull, limit), palette=SIGNED, limit=limit))
    return maps


def error_map(picture: Levels, original: Levels) -> Map:
    """The error signal on mid-grey, cut off at ±half the range.

    Example:
        >>> error_map(np.full((2, 2), 30, np.uint8), np.full((2, 2), 10, np.uint8)).pixels[0, 0].item()
        148
    """
    error = picture.astype(np.int16) - original
    return Map(name="error", pixels=np.clip(error + 128, 0, 255).astype(np.uint8), palette=None, limit=128.0)


def _plane(values: Tensor) -> NDArray[np.float64]:
    return values[0].detach().double().cpu().numpy()


def _indices(values: NDArray[np.float64], limit: float) -> NDArray[np.uint8]:
    """Palette entries: 0 for -limit, the middle one for 0, the last for +limit."""
    half = (_STEPS - 1) / 2
    return np.clip(np.rint(values / limit * half + half), 0, _STEPS - 1).astype(np.uint8)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 … times a power of ten; 1 for nothing.

    Example:
        >>> _round_up(0.0031), _round_up(0.0)
        (0.005, 1.0)
    """
    if not value > 0:
        return 1.0
    power = floor(log10(value))
    step = next(step for step in (1, 2, 5, 10) if step * 10.0**power >= value)
    return float(f"{step}e{power}")
