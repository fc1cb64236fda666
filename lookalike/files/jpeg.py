"""Damage in JPEGs that decoders paint over: libjpeg warns of it, and Pillow does not hear.

The check decodes once more at an eighth of the size, which costs a sixth of the time; libjpeg-turbo's warnings are
errors there (package simplejpeg). Zeros written over the middle of a scan often decode to coefficients that no
image has, without a warning: they are looked for apart.
"""

from __future__ import annotations

import re
import struct
from importlib.util import find_spec

MOST_SCANS = 500  # of a progressive file: as djpeg's own limit against files that decode for hours
_MOST_BYTES = 1 << 30
_WARNINGS = ("Corrupt JPEG data", "Premature end", "Inconsistent progression", "Invalid SOS parameters")
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
    scans = content.count(b"\xff\xda")
    if scans > MOST_SCANS:
        raise ValueError(f"{scans} scans; no picture needs more than {MOST_SCANS}")
    if _zeros_in_scan(content):
        raise ValueError("zeros where coefficients should be")
    if not checked() or len(content) > _MOST_BYTES:
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


def _zeros_in_scan(content: bytes) -> bool:
    """Whether a sequential scan holds zeros that its own tables turn into coefficients by the dozen.

    Zeros are the first code of each table. Where that means "end of block", they are a flat area and good.
    """
    if not _ZEROS.search(content):
        return False
    position, first_codes, sequential = 2, {}, False
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # fill bytes
            position += 1
            continue
        (size,) = struct.unpack_from(">H", content, position + 2)
        segment = content[position + 4 : position + 2 + size]
        if marker in (0xC0, 0xC1, 0xC2):
            sequential = marker != 0xC2
        elif marker == 0xC4:
            first_codes |= _first_codes(segment)
        position += 2 + size
        if marker == 0xDA:
            return sequential and _dense(segment, first_codes) and _scan_has_zeros(content, position)
    return False


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
    """Whether zeros stand for a coefficient after the other in a component of a scan's header: luma, as a rule."""
    used = (
        [0x10 | (scan[2 + 2 * index] & 15) for index in range(scan[0])] if scan and len(scan) > 2 * scan[0] else []
    )
    return any(first_codes.get(table, 0) & 15 and first_codes[table] >> 4 < 4 for table in used)


def _scan_has_zeros(content: bytes, start: int) -> bool:
    end = re.compile(rb"\xff[\x01-\xcf\xd8-\xff]").search(content, start)
    return _ZEROS.search(content, start, end.start() if end else len(content)) is not None
