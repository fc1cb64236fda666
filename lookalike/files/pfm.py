"""Portable float maps: grey (``Pf``) or RGB (``PF``) in single precision, bottom row first.

Source: Paul Debevec's description, http://www.pauldebevec.com/Research/HDR/PFM/.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.files.refusal import check_size

MAGIC = (b"PF", b"Pf")
_HEAD = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+.0-9eE]{1,30})\s")


def load(file: BinaryIO, who: str, max_pixels: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The values as stored, ``(h, w)`` or ``(h, w, 3)``, and a remark where the file states a scale.

    Raises:
        ValueError: for a file that is cut, or no such map.
    """
    file.seek(0)
    head = _HEAD.match(file.read(200))
    if head is None:
        raise ValueError("its header is not that of a float map")
    channels, width, height = (3 if head[1] == b"PF" else 1), int(head[2]), int(head[3])
    scale = float(head[4])
    check_size(who, width, height, max_pixels)
    file.seek(head.end())
    size = width * height * channels
    values = file.read(4 * size)
    if len(values) < 4 * size:
        raise ValueError(f"{len(values)} of {4 * size} bytes")
    array = np.frombuffer(values, "<f4" if scale < 0 else ">f4").astype(np.float32)
    shape = (height, width, 3) if channels == 3 else (height, width)
    remarks = () if abs(scale) == 1 else (f"states a scale of {abs(scale):g}, which is not applied",)
    return np.ascontiguousarray(array.reshape(shape)[::-1]), remarks
