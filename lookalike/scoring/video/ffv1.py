"""The checksums of FFV1, which FFmpeg's decoder finds wrong and tells nobody.

RFC 9043, 4.9: from version 3 on a slice ends with its size (3 bytes) and, where the encoder was asked for it, a
byte of error status and a checksum (4 bytes): the CRC-32 of the polynomial 0x04C11DB7, most significant bit first,
is 0 over the whole slice. Version 4 may begin with another value, and end with it.
"""

from __future__ import annotations

import zlib

_FOOTER = 8
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_INVERTED = 0xFFFFFFFF  # zlib inverts a checksum at both ends
_BEGINNINGS = (0, 0x5E31029E)  # the latter is 0x79408C7A, mirrored


def is_damaged(packet: bytes) -> bool:
    """Whether a slice of a frame has another checksum than it says; False where the frame has no checksums.

    Args:
        packet: a coded frame.

    Example:
        >>> slice_ = bytes([7] * 5) + (5).to_bytes(3, "big") + b"\\0"
        >>> mirrored = zlib.crc32(slice_.translate(_MIRRORED), _INVERTED) ^ _INVERTED
        >>> whole = slice_ + int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "big")
        >>> is_damaged(whole), is_damaged(b"\\0" + whole[1:]), is_damaged(b"no slices")
        (False, True, False)
    """
    end, slices = len(packet), []
    while end > _FOOTER:
        footer = end - _FOOTER
        start = footer - int.from_bytes(packet[footer : footer + 3], "big")
        if start < 0 or packet[footer + 3]:
            return False
        slices.append(packet[start:end])
        end = start
    return end == 0 and not any(all(_is_intact(part, value) for part in slices) for value in _BEGINNINGS)


def _is_intact(part: bytes, beginning: int) -> bool:
    value = beginning ^ _INVERTED
    return zlib.crc32(part.translate(_MIRRORED), value) == value
