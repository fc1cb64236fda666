"""What has been scored, kept as it comes: batches with checksums, appended to a file beside the table.

Line 1 says how the numbers are made; every further line is a batch of entries. A line begins with the CRC-32 of the
rest. What a killed run left half written is cut off when the file is opened again; a damaged line, or one that
holds something else than entries with a score a column, is passed over. Only what stood there is scored again.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

try:
    import fcntl
except ImportError:  # Windows: two runs on one table are not kept apart there
    fcntl = None

_FORMAT = 2
_ENTRIES_A_LINE = 256
_SECONDS = 1.0  # between writes at most
_KEPT = 16  # lines decoded at a time, while entries are read in an order near that of writing


class Entry(NamedTuple):
    """A scored pair as the journal keeps it.

    Attributes:
        key: method and pair.
        stamp: of reference and image, as they were when they were read.
        size: width and height in pixels, or None.
        values: one score a metric, None where there is none.
        error: why, or None.
        declined: metrics that were not asked for by name and have no number, each with the reason.
        profile: what was done to the colours of a file: ``"srgb"`` converted, ``"ignore"`` read as they are; None
            where nothing was to be done.
    """

    key: tuple[str, str]
    stamp: tuple[str, str]
    size: tuple[int, int] | None
    values: tuple[float | None, ...]
    error: str | None
    declined: dict[str, str]
    profile: str | None = None


class Journal:
    """A file of entries that one process at a time writes; a context manager.

    Args:
        path: of the file; it and its folder are made as needed.
        header: how the numbers are made, as JSON holds it; a file that says otherwise is refused. Under
            ``"signatures"`` it has an entry for each score of a pair; without any, their number is not looked at.

    Raises:
        ValueError: when the file was made with another header, is no journal, or another process writes it.
        OSError: when it cannot be read or written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._columns = len(header.get("signatures", ())) or None
        self._writer = path.open("ab", buffering=0)  # nothing stays in a buffer that a full disk would not take
        self._reader = path.open("rb")
        try:
            _lock(self._writer.fileno(), path)
            self._begin = self._opened(_packed({"format": _FORMAT, **header}))
        except BaseException:
            self._close()
            raise
        self._waiting: list[Entry] = []
        self._decoded: OrderedDict[int, list[Entry]] = OrderedDict()
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(error, OSError):  # a full disk takes no more
                self.flush()
        finally:
            self._close()

    def replay(self) -> Iterator[tuple[int, Entry]]:
        """Every entry and the place where `read` finds it; later entries replace earlier ones of the same key."""
        offset = self._begin
        self._reader.seek(offset)
        for line in self._reader:
            for index, entry in enumerate(_entries(line, self._columns) or ()):
                yield offset * _ENTRIES_A_LINE + index, entry
            offset += len(line)

    def read(self, place: int) -> Entry:
        """The entry at a place that `replay` gave.

        Raises:
            OSError: when the file is not what it was.
        """
        offset, index = divmod(place, _ENTRIES_A_LINE)
        if offset not in self._decoded:
            self._reader.seek(offset)
            entries = _entries(self._reader.readline(), self._columns)
            if entries is None:
                raise OSError(f"{self.path}: changed while it was read; run the command again")
            self._decoded[offset] = entries
            if len(self._decoded) > _KEPT:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(offset)
        return self._decoded[offset][index]

    def append(self, entry: Entry) -> None:
        """Keep an entry: a kill within the next second may lose it, and then it is scored again."""
        self._waiting.append(entry)
        if len(self._waiting) >= _ENTRIES_A_LINE or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Bring everything to the disk, past the caches."""
        if self._waiting:
            self._put(_packed(self._waiting))
            self._waiting.clear()
            os.fsync(self._writer.fileno())
        self._written = time.monotonic()

    def _close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _put(self, line: bytes) -> None:
        """Write a line whole, or leave no part of it: the next one must begin on a line of its own."""
        end, rest = os.fstat(self._writer.fileno()).st_size, memoryview(line)
        try:
            while rest:
                rest = rest[self._writer.write(rest) :]
        except BaseException as error:
            self._writer.truncate(end)
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            raise

    def _opened(self, header: bytes) -> int:
        """Where the batches begin, once the header is there and the right one, and the last line is whole."""
        first = self._reader.readline()
        if header.startswith(first) and first != header:  # a new file, or killed while it was begun
            self._writer.truncate(0)
            self._put(header)
        elif first != header:
            raise ValueError(f"{self.path}: {_difference(_content(first), header)}")
        end = self._reader.seek(0, os.SEEK_END)
        whole = end
        while whole > len(header):
            start = max(len(header), whole - 65536)
            self._reader.seek(start)
            newline = self._reader.read(whole - start).rfind(b"\n")
            whole = start + newline + 1 if newline >= 0 else start
            if newline >= 0:
                break
        if whole < end:
            self._writer.truncate(whole)
        return len(header)


def _packed(value: Any) -> bytes:
    content = json.dumps(value, separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(content), content)


def _content(line: bytes) -> Any:
    """What a line holds; None where it is torn or damaged."""
    checksum, _, content = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(content):
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _entries(line: bytes, columns: int | None) -> list[Entry] | None:
    """The entries of a line; None where it is damaged, or holds something else whatever its checksum says."""
    found = _content(line)
    if not isinstance(found, list):
        return None
    entries = [_entry(cells, columns) for cells in found]
    return None if None in entries else [entry for entry in entries if entry is not None]


def _entry(cells: Any, columns: int | None) -> Entry | None:
    if not isinstance(cells, list) or len(cells) != len(Entry._fields):
        return None
    key, stamp, size, values, error, declined, profile = cells
    right = (
        _are(key, 2, str)
        and _are(stamp, 2, str)
        and (size is None or (_are(size, 2, int) and min(size) > 0))
        and _are(values, columns, int | float | None)
        and isinstance(error, str | None)
        and isinstance(declined, dict)
        and profile in (None, "srgb", "ignore")
        and all(isinstance(reason, str) for reason in declined.values())
        # A score that is not there has a reason.
        and (error is not None or bool(declined) or None not in values)
    )
    if not right:
        return None
    return Entry(
        tuple(key), tuple(stamp), None if size is None else tuple(size), tuple(values), error, declined, profile
    )


def _are(cells: Any, count: int | None, kind: Any) -> bool:
    return (
        isinstance(cells, list)
        and count in (None, len(cells))
        and all(isinstance(cell, kind) and not isinstance(cell, bool) for cell in cells)
    )


def _difference(found: Any, header: bytes) -> str:
    wanted = _content(header)
    if not isinstance(found, dict) or "format" not in found:
        return "is no journal of scores; name another output, or move that file away"
    changed = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    said = "; ".join(f"{name} was {found.get(name)}, is {wanted.get(name)}" for name in changed)
    if not changed:  # the same settings in another order: that of the columns
        said = "; ".join(
            f"{name} were in the order {', '.join(found[name])}, are in {', '.join(wanted[name])}"
            for name in wanted
            if isinstance(wanted[name], dict) and list(wanted[name]) != list(found.get(name, ()))
        )
    return f"begun with other settings ({said}), which are not mixed; name another output, or delete that file"


def _lock(handle: int, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path}: another run writes it; wait for it, or name another output") from None
    except OSError:  # a file system without locks
        return
