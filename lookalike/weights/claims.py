"""What a pickle claims, looked at before it is unpickled: a few bytes can ask for a hundred gigabytes of memory."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

_HARMLESS = 1 << 16  # numbers that no memory is short of
_MOST = 1 << 26  # bytes of a pickle that holds names and shapes
_LEGACY = 5  # pickles at the beginning of a file of torch before 1.6
_MAGIC = 0x1950A86A20F9469CFC6C  # which the first of them holds


def check(path: Path, *, pickled: bool = False) -> None:
    """Raise where a file of weights claims more than it can hold.

    Each number in a pickle – a length, a shape, a place in its memory – is compared with the size of the file.

    Args:
        path: of the file.
        pickled: whether it is one pickle and nothing else, instead of a file of torch's.

    Raises:
        ValueError: with what is claimed, and for a pickle that is none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.ckpt")
        ...     _ = path.write_bytes(b"\\x80\\x02\\x8e" + (93 << 30).to_bytes(8, "little"))
        ...     check(path)
        Traceback (most recent call last):
        ValueError: it claims 99857989632 bytes or numbers and is a file of 11 bytes
    """
    size = path.stat().st_size
    for pickle in [io.BytesIO(path.read_bytes())] if pickled else _pickles(path):
        _check_numbers(pickle, max(size, _HARMLESS), size)


def _pickles(path: Path) -> Iterator[io.BytesIO]:
    """The pickles of a file: in a zip archive the one of that name, else those at its beginning."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for about in archive.infolist():
                if about.filename.endswith("data.pkl"):
                    with archive.open(about) as member:
                        content = member.read(_MOST + 1)
                    if len(content) > _MOST:
                        raise ValueError("its pickle is larger than any set of names and shapes")
                    yield io.BytesIO(content)
        return
    with path.open("rb") as file:
        content = file.read(_MOST)
    start = 0
    for _ in range(_LEGACY):
        stream = io.BytesIO(content)
        stream.seek(start)
        if content[start : start + 1] != b"\x80":
            return
        yield stream
        start = stream.tell()


def _check_numbers(stream: io.BytesIO, most: int, size: int) -> None:
    """Read a pickle's instructions without following them."""
    length = len(stream.getbuffer())
    for opcode, argument, position in pickletools.genops(cast(IO[bytes], _Bounded(stream, most, size))):
        claimed = argument if isinstance(argument, int) and not isinstance(argument, bool) else 0
        if claimed > most and claimed != _MAGIC:
            raise ValueError(_too_much(claimed, size))
        if opcode.name == "FRAME" and position is not None and position + claimed > length:
            raise ValueError(_too_much(claimed, size))


class _Bounded:
    """A stream that raises where more is asked for than the file has."""

    def __init__(self, stream: io.BytesIO, most: int, size: int) -> None:
        self._stream, self._most, self._size = stream, most, size
        self.readline, self.tell = stream.readline, stream.tell

    def read(self, count: int) -> bytes:
        """That many bytes."""
        if count > self._most:
            raise ValueError(_too_much(count, self._size))
        return self._stream.read(count)


def _too_much(claimed: int, size: int) -> str:
    return f"it claims {claimed} bytes or numbers and is a file of {size} bytes"
