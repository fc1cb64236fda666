"""Why a file is refused: the one exception of this room, and its words."""

from __future__ import annotations

import struct
import zlib

MAX_PIXELS = 178_956_970  # where Pillow itself refuses a file as a decompression bomb

DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError,
    AssertionError, NotImplementedError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What decoders raise on bytes that are not what their header says."""


class UnreadableImage(ValueError):  # noqa: N818 - it names what is wrong, as FileNotFoundError's kin do
    """A file that is not an image this library reads, or cannot be read as one without guessing."""


def damage(error: BaseException) -> str:
    """A decoder's complaint, in one line.

    Example:
        >>> damage(ValueError("no end\\nof data"))
        'truncated or damaged (no end of data)'
    """
    return f"truncated or damaged ({' '.join(str(error).split()) or type(error).__name__})"


def check_size(who: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by its header, before anything is decoded.

    Raises:
        UnreadableImage: for more pixels than allowed, and for none.
    """
    if width < 1 or height < 1:
        raise UnreadableImage(f"{who}: {damage(ValueError(f'{width}x{height} pixels'))}")
    if width * height > max_pixels:
        raise UnreadableImage(
            f"{who}: claims more than {max_pixels:,} pixels ({width}x{height}); "
            "--max-pixels (max_pixels=) allows more"
        )


def needs(who: str, kind: str, extra: str) -> UnreadableImage:
    """What is said where a package that reads this kind of file is not installed."""
    return UnreadableImage(f"{who}: {kind} needs a package more: pip install 'lookalike[{extra}]'")
