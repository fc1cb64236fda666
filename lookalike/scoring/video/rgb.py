"""From planes as decoded to the picture that is seen: levels, matrix, transparency, turn.

``Y' = (Y - black) / (white - black)``, ``R = Y' + 2 (1 - Kr) Cr``, ``B = Y' + 2 (1 - Kb) Cb`` and
``Y' = Kr R + Kg G + Kb B`` (ITU-R BT.601-7, BT.709-6, BT.2020-2; levels of ITU-T H.273, 8.3), each sample of chroma
standing for the pixels that it covers. Rounded half up, so that every machine has the same picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.scoring.video.frames import Coding, Frame

# Kr and Kb.
_WEIGHTS = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}


def displayed(frame: Frame, deep: bool = False, alpha: str | None = None) -> NDArray[Any]:
    """A frame as it is seen.

    Args:
        frame: as decoded.
        deep: to 16 bits a channel instead of 8.
        alpha: ``"white"`` or ``"black"``: the background of transparent pixels; None refuses them.

    Returns:
        ``(h, w, 3)``, uint8 or uint16.

    Raises:
        ValueError: for transparent pixels without a background.

    Example:
        >>> from fractions import Fraction
        >>> from lookalike.scoring.video.frames import Turn
        >>> planes = tuple(np.full((1, 1), value, np.uint8) for value in (235, 128, 128))
        >>> white = Coding("yuv444p", "yuv", 8, "bt709", "limited", False, False)
        >>> displayed(Frame(planes, white, Turn(), None, Fraction(0), Fraction(0), {})).tolist()
        [[[255, 255, 255]]]
    """
    coding = frame.coding
    *planes, cover = frame.planes if coding.alpha else (*frame.planes, None)
    channels = _channels(planes, coding)
    if cover is not None and not _is_opaque(cover, coding.bits):
        if alpha is None:
            raise ValueError("has transparent pixels; name the background with --alpha white or --alpha black")
        share = cover.astype(np.float32) / np.float32((1 << coding.bits) - 1)
        background = (1 - share) * np.float32(alpha == "white")
        channels = [channel.clip(0, 1) * share + background for channel in channels]
    most = 65535 if deep else 255
    picture = np.empty((*channels[0].shape, 3), np.uint16 if deep else np.uint8)
    for index, channel in enumerate(channels):
        picture[..., index] = np.floor(channel.clip(0, 1) * np.float32(most) + np.float32(0.5))
    return np.ascontiguousarray(frame.turn(picture))


def has_transparency(frame: Frame) -> bool:
    """Whether some pixel is not opaque."""
    return frame.coding.alpha and not _is_opaque(frame.planes[-1], frame.coding.bits)


def _is_opaque(cover: NDArray[Any], bits: int) -> bool:
    return bool((cover == (1 << bits) - 1).all())


def _channels(planes: list[Any], coding: Coding) -> list[NDArray[np.float32]]:
    """Red, green and blue in the unit range, not yet clipped."""
    top = np.float32((1 << coding.bits) - 1)
    if coding.model == "rgb":
        green, blue, red = (plane.astype(np.float32) / top for plane in planes)
        return [red, green, blue]
    step = np.float32(1 << (coding.bits - 8))  # of one level of 8 bits
    limited = coding.levels == "limited"
    luma = planes[0].astype(np.float32)
    luma = (luma - 16 * step) / (219 * step) if limited else luma / top
    if coding.model == "gray":
        return [luma] * 3
    middle, spread = 128 * step, 224 * step if limited else top
    blue, red = ((plane.astype(np.float32) - middle) / spread for plane in planes[1:3])
    kr, kb = _WEIGHTS[coding.matrix]
    kg = 1 - kr - kb
    added = [
        np.float32(2 * (1 - kr)) * red,
        np.float32(-2 * kr * (1 - kr) / kg) * red + np.float32(-2 * kb * (1 - kb) / kg) * blue,
        np.float32(2 * (1 - kb)) * blue,
    ]
    return [luma + _spread(chroma, luma.shape) for chroma in added]


def _spread(chroma: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Each sample repeated over the pixels that it stands for."""
    for axis in (0, 1):
        if chroma.shape[axis] != shape[axis]:
            times = 1 << max(0, (-(-shape[axis] // chroma.shape[axis]) - 1).bit_length())
            chroma = chroma.repeat(times, axis)
    return chroma[: shape[0], : shape[1]]
