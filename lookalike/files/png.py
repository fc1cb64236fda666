"""What Pillow does not look at in a PNG: checksums, colour chunks, and 16 bits a channel.

Source: PNG (Third Edition), W3C 2025: chunks, CRC-32, cICP, gAMA, cHRM.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STEP = 1 << 20
_KEPT = {b"IHDR": 13, b"cICP": 4, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"acTL": 8}


@dataclass(frozen=True)
class Chunks:
    """The small chunks of a PNG.

    Attributes:
        content: of those that say size, depth, colour and frames.
    """

    content: dict[bytes, bytes] = field(repr=False)

    @property
    def bits(self) -> int:
        """A sample."""
        return self.content[b"IHDR"][8]

    @property
    def animated(self) -> bool:
        """Whether it holds more than one frame (APNG)."""
        frames = self.content.get(b"acTL")
        return frames is not None and struct.unpack(">I", frames[:4])[0] > 1

    @property
    def code_points(self) -> tuple[int, int, int, int] | None:
        """Of cICP: primaries, transfer, matrix, full range."""
        said = self.content.get(b"cICP")
        return struct.unpack("4B", said) if said else None

    @property
    def gamma(self) -> float | None:
        """Of gAMA."""
        said = self.content.get(b"gAMA")
        return struct.unpack(">I", said)[0] / 100_000 if said else None

    @property
    def chromaticities(self) -> tuple[float, ...] | None:
        """Of cHRM: white, red, green and blue, x and y each."""
        said = self.content.get(b"cHRM")
        return tuple(value / 100_000 for value in struct.unpack(">8I", said)) if said else None


def chunks(file: BinaryIO) -> Chunks:
    """Walk the chunks of a PNG up to its end, and check every checksum; nothing is inflated.

    Raises:
        ValueError: for a damaged or cut file.
    """
    file.seek(len(SIGNATURE))
    content: dict[bytes, bytes] = {}
    kind = b""
    while kind != b"IEND":
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("it ends before its end chunk")
        size, kind = struct.unpack(">I4s", head)
        if not content and kind != b"IHDR":
            raise ValueError("its first chunk is not its header")
        start, check, left = file.tell(), zlib.crc32(kind), size
        while left:
            part = file.read(min(left, _STEP))
            if not part:
                raise ValueError(f"it ends within a chunk {_name(kind)}")
            check = zlib.crc32(part, check)
            left -= len(part)
        if file.read(4) != check.to_bytes(4, "big"):
            raise ValueError(f"the checksum of a chunk {_name(kind)} is wrong")
        if kind in _KEPT and kind not in content:
            if size != _KEPT[kind]:
                raise ValueError(f"a chunk {_name(kind)} has {size} bytes instead of {_KEPT[kind]}")
            after = file.tell()
            file.seek(start)
            content[kind] = file.read(size)
            file.seek(after)
    return Chunks(content)


def _name(kind: bytes) -> str:
    return kind.decode("ascii") if kind.isalpha() else repr(kind)


def load_deep(image: ImageFile.ImageFile, reopened: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """16 bits a channel, of which Pillow keeps the high byte: the low byte is another decoding of the same rows.

    No more is inflated than the rows that the header tells of.

    Args:
        image: opened and not yet loaded: colour, or grey with alpha.
        reopened: the same file once more.

    Returns:
        ``(h, w, c)``, c = 2 (grey and alpha), 3 or 4.
    """
    [tile] = image.tile
    raw = tile.args
    if raw == "LA;16B":  # its four bytes a pixel are those of 8-bit RGBA
        image._mode = "RGBA"
        image.tile = [tile._replace(args="RGBA")]
        return _array(image).reshape(image.height, image.width, 2, 2) @ np.array([256, 1], np.uint16)
    if raw not in ("RGB;16B", "RGBA;16B"):
        raise ValueError(f"Pillow reads it as {raw}")
    reopened.tile = [reopened.tile[0]._replace(args=f"{raw[:-1]}L")]
    deep = _array(image).astype(np.uint16)
    deep <<= 8
    deep |= _array(reopened)
    return deep


def _array(image: Image.Image) -> NDArray[Any]:
    image.load()
    return np.asarray(image)


def with_alpha(deep: NDArray[np.uint16], transparent: tuple[int, ...] | int) -> NDArray[np.uint16]:
    """16-bit colours, ``(h, w, c)``, with the one colour that the file calls transparent."""
    seen = (deep != np.array(transparent, np.int64)).any(2, keepdims=True)
    return np.concatenate([deep, np.where(seen, np.uint16(65535), np.uint16(0))], 2)
