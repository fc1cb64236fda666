"""JPEG XL: its header read here, its pixels by the package imagecodecs.

Source: ISO/IEC 18181-1, annex D: SizeHeader, ImageMetadata, BitDepth, ColourEncoding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.files.refusal import UnreadableImage, check_size, needs

MAGIC = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_MOST_BYTES = 1 << 30
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True)
class Header:
    """What the beginning of a codestream says.

    Attributes:
        width, height: in pixels, as stored.
        animated: whether it holds frames.
        bits: a sample.
        floats: whether samples are floats.
        code_points: primaries and transfer in H.273's numbers; None where the file carries an ICC profile.
    """

    width: int
    height: int
    animated: bool
    bits: int
    floats: bool
    code_points: tuple[int, int] | None


class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self.value, self.left = int.from_bytes(content, "little"), 8 * len(content)

    def read(self, count: int) -> int:
        if count > self.left:
            raise ValueError("it ends within its header")
        found = self.value & ((1 << count) - 1)
        self.value >>= count
        self.left -= count
        return found

    def u32(self, *choices: tuple[int, int]) -> int:
        """One of four ways to write a number, each (offset, bits)."""
        offset, bits = choices[self.read(2)]
        return offset + self.read(bits)

    def enum(self) -> int:
        return self.u32((0, 0), (1, 0), (2, 4), (18, 6))


def header(codestream: bytes) -> Header:
    """Read a header.

    Raises:
        ValueError: for one that is cut, or of a kind that nobody writes.
    """
    bits = _Bits(codestream[2:400])
    width, height = _size(bits)
    if bits.read(1):  # all as usual: 8 bits, sRGB
        return Header(width, height, False, 8, False, (1, 13))
    animated = False
    if bits.read(1):
        bits.read(3)  # orientation, which the decoder applies
        if bits.read(1):
            _size(bits)  # intrinsic
        if bits.read(1):
            raise ValueError("it has a preview")
        animated = bool(bits.read(1))
        if animated:
            return Header(width, height, True, 8, False, None)
    depth, floats = _depth(bits)
    bits.read(1)
    for _ in range(bits.u32((0, 0), (1, 0), (2, 4), (1, 12))):
        if not bits.read(1):  # else alpha of 8 bits
            kind = bits.enum()
            _depth(bits)
            bits.u32((0, 0), (3, 0), (4, 0), (1, 3))
            bits.read(8 * bits.u32((0, 0), (0, 4), (16, 5), (48, 10)))  # its name
            if kind == 0:
                bits.read(1)
            else:
                raise ValueError(f"it has an extra channel of kind {kind}")
    bits.read(1)  # whether it is lossy
    return Header(width, height, animated, depth, floats, _colours(bits))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.read(1)
    sizes = ((1, 9), (1, 13), (1, 18), (1, 30))
    height = 8 * (bits.read(5) + 1) if small else bits.u32(*sizes)
    ratio = bits.read(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height
    return (8 * (bits.read(5) + 1) if small else bits.u32(*sizes)), height


def _depth(bits: _Bits) -> tuple[int, bool]:
    if bits.read(1):
        depth = bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.read(4)
        return depth, True
    return bits.u32((8, 0), (10, 0), (12, 0), (1, 6)), False


def _colours(bits: _Bits) -> tuple[int, int] | None:
    if bits.read(1):
        return 1, 13
    if bits.read(1):  # an ICC profile
        return None
    space = bits.enum()
    white, primaries = bits.enum(), 1
    if white == 2:
        return None
    if space == 0:
        primaries = bits.enum()
        if primaries == 2:
            return None
    if bits.read(1):  # a gamma
        return None
    transfer = bits.enum()
    return (11 if (white, primaries) == (11, 11) else 12 if (white, primaries) == (1, 11) else primaries), transfer


def load(file: BinaryIO, who: str, max_pixels: int) -> tuple[NDArray[Any], Header]:
    """Pixels ``(h, w, c)``, c = 1 to 4 (the last of 2 and 4 is alpha), uint8, uint16 or float32.

    Raises:
        UnreadableImage: where the package is missing, for animations and depths without a stated range.
        ValueError: for a damaged file.
    """
    file.seek(0)
    content = file.read(_MOST_BYTES)
    about = header(_codestream(content))
    check_size(who, about.width, about.height, max_pixels)
    if about.animated:
        raise UnreadableImage(f"{who}: holds more than one frame; extract the one you mean")
    if not about.floats and about.bits not in (8, 16):
        raise UnreadableImage(f"{who}: {about.bits}-bit samples have no stated range here; save it as 16-bit PNG")
    try:
        import imagecodecs
    except ImportError:
        raise needs(who, "JPEG XL", "formats") from None
    array = np.asarray(imagecodecs.jpegxl_decode(content))
    array = np.atleast_3d(array)
    if array.ndim != 3 or array.shape[2] > 4 or array.shape[0] * array.shape[1] != about.width * about.height:
        raise UnreadableImage(f"{who}: decodes to {array.shape}, which is no picture of grey or RGB")
    return (array.astype(np.float32) if about.floats else array), about


def _codestream(content: bytes) -> bytes:
    """The beginning of the codestream, out of its container."""
    if content[:2] == MAGIC[0]:
        return content
    at, found = 0, b""
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", content, at + 8), 16
        stop = len(content) if length == 0 else at + length
        if stop <= at:
            break
        if kind == b"jxlc":
            return content[at + head : min(stop, at + head + 500)]
        if kind == b"jxlp":
            found += content[at + head + 4 : min(stop, at + head + 504)]
            if len(found) >= 400:
                break
        at = stop
    if found[:2] != MAGIC[0]:
        raise ValueError("it holds no codestream")
    return found
