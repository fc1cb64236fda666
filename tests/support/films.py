"""Videos for tests, written by FFmpeg's encoders."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

av: Any = pytest.importorskip("av", reason="videos need PyAV: pip install 'lookalike[video]'")

RANGES = {"": 0, "limited": 1, "full": 2}
SPACES = {"": 2, "bt709": 1, "bt601": 6, "bt2020": 9}


def walk(count: int = 8, side: int = 64, sigma: float = 0.0, start: int = 0) -> list[NDArray[np.uint8]]:
    """A walk over a photograph, ``(side, side, 3)`` each, noisier with time."""
    generator = np.random.default_rng(0)
    pictures = []
    for index in range(count):
        still = data.astronaut()[start + index : start + index + side, 150 : 150 + side]
        noise = generator.normal(0, sigma * (1 + index), still.shape) if sigma else 0
        pictures.append(np.clip(still + noise, 0, 255).astype(np.uint8))
    return pictures


def frame_of(planes: Sequence[NDArray[Any]], pixels: str) -> Any:
    """A frame of these planes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixels)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
        rows[:, : samples.shape[1]] = samples
        plane.update(rows.tobytes())
    return frame


def write(
    path: Path,
    pictures: Sequence[Any],
    *,
    codec: str = "ffv1",
    pixels: str = "bgr0",
    rate: Fraction | int = 10,
    times: Sequence[int] | None = None,
    lost: int | None = None,
    turn: dict[str, Any] | None = None,
    levels: str = "",
    matrix: str = "",
    curve: int = 2,
    shape: Fraction | None = None,
    options: dict[str, str] | None = None,
    kind: str | None = None,
) -> Path:
    """A video of pictures ``(h, w, 3)``, or of frames of its own kind of pixels.

    Args:
        path: of the file; it is returned.
        pictures: one a frame.
        codec, pixels, options: of the encoder.
        rate: frames a second.
        times: of the frames, in units of one frame; None: one after the other.
        lost: a frame whose packet is not written.
        turn: what `VideoStream.set_display_rotation` takes.
        levels, matrix, curve: what the file says of its colours.
        shape: of a pixel.
        kind: of the container; None: as the ending says.
    """
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        first = pictures[0]
        height, width = first.shape[:2] if isinstance(first, np.ndarray) else (first.height, first.width)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_trc = RANGES[levels], SPACES[matrix], curve
        if shape is not None:
            context.sample_aspect_ratio = shape
        if turn is not None:
            stream.set_display_rotation(**turn)
        for index, picture in enumerate(pictures):
            frame = picture
            if isinstance(picture, np.ndarray):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                if pixels != "rgb24":
                    frame = frame.reformat(format=pixels)
            frame.color_range, frame.colorspace = RANGES[levels], SPACES[matrix]
            frame.pts, frame.time_base = (index if times is None else times[index]), 1 / Fraction(rate)
            packets = stream.encode(frame)
            container.mux([] if index == lost else packets)
        container.mux(stream.encode())
    return path
