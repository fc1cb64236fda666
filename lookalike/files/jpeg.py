"""Damage in JPEGs that decoders paint over: libjpeg warns of it, and Pillow does not hear.

The check decodes once more at an eighth of the size, which costs a sixth of the time; libjpeg-turbo's warnings are
errors there (package simplejpeg). Zeros written over the middle of a scan often decode to coefficients that no
image has, without a warning: they are looked for apart.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

MOST_SCANS = 500  # of a progressive file: as djpeg's own limit against files that decode for hours
MOST_BYTES = 1 << 29  # of a file that is checked
_WARNINGS = ("Corrupt JPEG data", "Premature end", "Inconsistent progression", "Invalid SOS parameters")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xff]")  # neither stuffing nor a restart
_ZEROS = re.compile(rb"\0{64,}")  # 24 bytes of zeros are a block in the usual tables


def checked() -> bool:
    """Whether the package is here that hears libjpeg's warnings."""
    return find_spec("simplejpeg") is not None


def check(content: bytes) -> None:
    """Raise on a JPEG whose data are damaged or end early.

    Args:
        content: of the file.

    Raises:
        ValueError: with what libjpeg says.
    """
    for number, scan in enumerate(_scans(content), 1):
        if number > MOST_SCANS:
            raise ValueError(f"more than {MOST_SCANS} scans; no picture needs as many")
        if scan.dense and _ZEROS.search(content, scan.start, scan.end):
            raise ValueError("zeros where coefficients should be")
    if not checked() or len(content) > MOST_BYTES:
        return
    import simplejpeg

    try:
        _, _, kind, _ = simplejpeg.decode_jpeg_header(content)
        space = {"CMYK": "CMYK", "YCCK": "CMYK", "Gray": "GRAY"}.get(kind, "RGB")
        simplejpeg.decode_jpeg(
            content, space, fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8
        )
    except ValueError as error:
        if str(error).startswith(_WARNINGS):
            raise
        # else a kind of JPEG that this package does not read, and Pillow may


class _Scan(NamedTuple):
    """Where the data of a scan stand, and whether zeros in it are a coefficient after the other."""

    start: int
    end: int
    dense: bool


def _scans(content: bytes) -> Iterator[_Scan]:
    """The scans of the first picture in a file; what stands behind its end (previews, films) is not looked at."""
    position, first_codes, sequential = 2, {}, False
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xD9:
            return
        if marker == 0xFF:  # fill bytes
            position += 1
            continue
        (size,) = struct.unpack_from(">H", content, position + 2)
        segment = content[position + 4 : position + 2 + size]
        position += 2 + size
        if marker in (0xC0, 0xC1, 0xC2):
            sequential = marker != 0xC2
        elif marker == 0xC4:
            first_codes |= _first_codes(segment)
        elif marker == 0xDA:
            following = _MARKER.search(content, position)
            end = following.start() if following else len(content)
            yield _Scan(position, end, sequential and _dense(segment, first_codes))
            position = end


def _first_codes(tables: bytes) -> dict[int, int]:
    """Of each Huffman table of a segment, by class and number, what its code of zeros stands for."""
    codes, at = {}, 0
    while at + 17 <= len(tables):
        count = sum(tables[at + 1 : at + 17])
        if count and at + 17 < len(tables):
            codes[tables[at]] = tables[at + 17]
        at += 17 + count
    return codes


def _dense(scan: bytes, first_codes: dict[int, int]) -> bool:
    """Whether zeros stand for coefficients, not for ends of blocks, in a component of a scan: luma, as a rule."""
    components = scan[0] if scan else 0
    used = [0x10 | (scan[2 + 2 * index] & 15) for index in range(components) if len(scan) > 2 + 2 * index]
    return any(first_codes.get(table, 0) & 15 and first_codes[table] >> 4 < 4 for table in used)
