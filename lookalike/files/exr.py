"""OpenEXR: grey (Y) or RGB in half or single precision, with or without A, by the package OpenEXR.

The values are light, as stored: nothing is encoded, clipped or scaled. EXR's colours are premultiplied by A.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.files.refusal import UnreadableImage, check_size, needs

MAGIC = b"\x76\x2f\x31\x01"


def load(path: Path, max_pixels: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The values, ``(h, w, c)`` with c = 1 to 4 (the last of 2 and 4 is A), and a remark on channels left out.

    Raises:
        UnreadableImage: where the package is missing, and for files of another kind than stated.
        RuntimeError, ValueError: for a damaged file.
    """
    try:
        import Imath
        import OpenEXR
    except ImportError:
        raise needs(str(path), "OpenEXR", "formats") from None
    whole: Any = OpenEXR.File  # its stubs do not know all that it takes
    head = whole(str(path), header_only=True)
    if len(head.parts) != 1:
        raise UnreadableImage(f"{path}: holds {len(head.parts)} parts; extract the one you mean")
    header = head.header()
    low, high = (np.asarray(corner, np.int64) for corner in header["dataWindow"])
    width, height = (int(side) for side in high - low + 1)
    check_size(str(path), width, height, max_pixels)
    if any((np.asarray(a) != b).any() for a, b in zip(header["displayWindow"], (low, high), strict=True)):
        raise UnreadableImage(f"{path}: its data do not fill its display window; crop or fill it")
    channels = {channel.name: channel for channel in header["channels"]}
    wanted = next((names for names in (("R", "G", "B"), ("Y",)) if set(names) <= set(channels)), None)
    if wanted is None or {"RY", "BY"} & set(channels):
        raise UnreadableImage(
            f"{path}: holds the channels {', '.join(channels)}; needed are R, G and B, or Y alone"
        )
    if "A" in channels:
        wanted = (*wanted, "A")
    if any((channels[name].xSampling, channels[name].ySampling) != (1, 1) for name in wanted):
        raise UnreadableImage(f"{path}: holds subsampled channels; save it at full resolution")
    opened: Any = OpenEXR.InputFile(str(path))  # raises on damage, of which `File` prints and goes on
    kinds = opened.header()["channels"]
    if "deep" in str(header.get("type")) or any(kinds[name].type.v == Imath.PixelType.UINT for name in wanted):
        raise UnreadableImage(f"{path}: holds integers or deep samples; save it as half or float scan lines")
    planes = opened.channels(list(wanted), Imath.PixelType(Imath.PixelType.FLOAT))
    arrays = [np.frombuffer(plane, np.float32).reshape(height, width) for plane in planes]
    left_out = sorted(set(channels) - set(wanted))
    remarks = (f"channels left out: {', '.join(left_out)}",) if left_out else ()
    return np.stack(arrays, 2), remarks
