"""What the boxes of AVIF and JPEG 2000 say that Pillow does not: depth and colours.

Sources: ISO/IEC 14496-12 (boxes), AV1-ISOBMFF (``av1C``), ISO/IEC 15444-1 annexes A and I (``colr``, SIZ).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_NESTED = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0}  # and the bytes before their first box
_MOST = 10_000  # boxes
_MOST_BYTES = 1 << 24  # of one that is read


def boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes that describe a picture; large ones, its data, have no content.

    Raises:
        ValueError: for a file whose boxes do not fit into one another.
    """
    size = file.seek(0, 2)
    spans = [(0, size)]
    for _ in range(_MOST):
        if not spans:
            return
        start, end = spans.pop()
        if start + 8 > end:
            continue
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,), head = struct.unpack(">Q", file.read(8)), 16
        stop = end if length == 0 else start + length
        if stop > end or stop < start + head:
            raise ValueError(f"a box {kind!r} does not fit")
        spans.append((stop, end))
        if kind in _NESTED:
            spans.append((start + head + _NESTED[kind], stop))
        elif stop - start - head <= _MOST_BYTES and kind != b"mdat":
            file.seek(start + head)
            yield kind, file.read(stop - start - head)
        else:
            yield kind, b""


def avif_bits(file: BinaryIO) -> int:
    """Bits a sample of an AVIF: the most that one of its pictures has."""
    found = [content[2] for kind, content in boxes(file) if kind == b"av1C" and len(content) >= 4]
    return max((8 if not flags & 0x40 else 12 if flags & 0x20 else 10 for flags in found), default=8)


def code_points(file: BinaryIO) -> tuple[int, int, bool] | None:
    """Primaries, transfer and full range of an AVIF's ``nclx``; None where it has none."""
    for kind, content in boxes(file):
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 11:
            primaries, transfer, _ = struct.unpack_from(">3H", content, 4)
            return primaries, transfer, True  # the range is that of YCbCr, which Pillow's decoder undoes
    return None


def jpeg2000_bits(file: BinaryIO) -> tuple[int, ...]:
    """Bits of each component of a JPEG 2000 file, by its SIZ marker.

    Raises:
        ValueError: where there is none.
    """
    file.seek(0)
    head = file.read(1 << 20)
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise ValueError("no SIZ marker")
    (count,) = struct.unpack_from(">H", head, at + 40)
    return tuple((head[at + 42 + 3 * index] & 0x7F) + 1 for index in range(count))


def jpeg2000_profile(file: BinaryIO) -> bytes | None:
    """The ICC profile of a JP2 file; None where it names a colour space instead, or is a bare codestream."""
    file.seek(0)
    if file.read(4) == b"\xff\x4f\xff\x51":
        return None
    for kind, content in boxes(file):
        if kind == b"colr":
            return content[3:] if content[:1] == b"\x02" else None
    return None
