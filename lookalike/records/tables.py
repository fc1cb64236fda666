"""The score table: one row a pair of images; the contract between scoring, which writes it, and the report.

A table is a ``.parquet``, ``.csv`` or ``.jsonl`` file with these columns:

====================  ======  ==============================================================================
``method``            text    the folder judged, as short as it can be told from the others
``pair``              text    what both images of the pair are called: relative path, stem or key
``reference``         text    the reference's path, as given
``image``             text    the judged image's path, as given
``width, height``     int     of the pair as scored, in pixels; null where it could not be read
one per metric        float   named as the metric; null where there is no number
``error``             text    why there is none, null for a good row
====================  ======  ==============================================================================

A score that came out as NaN stands as NaN and its row has an error. What has no partner has a row too, behind the
others: ``image`` is empty and the error begins with ``missing:`` where a method lacks an image, ``reference`` is
empty and the error begins with ``extra:`` where an image has no reference.

A table comes with metadata ``{"signatures": {metric: …}, "better": {metric: "higher" | "lower"}, "statistics": …,
"unpaired": …, "folder": …, "pictures": …}`` (the last two as `provenance` says): in parquet JSON under the schema's
key ``lookalike``, for the others the file beside it, ``scores.csv.json``. Paths are UTF-8; bytes of a name that are
not stand as ``\\xff``. In csv an empty cell is null, and text that a spreadsheet would run has an apostrophe before
it (`runs.csv_line`); in jsonl numbers that are not finite are ``"nan"``, ``"inf"`` and ``"-inf"``. Nothing here
needs torch; parquet needs pyarrow.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lookalike.records import runs

KINDS = (".parquet", ".csv", ".jsonl")
BEFORE, AFTER = ("method", "pair", "reference", "image", "width", "height"), ("error",)
MISSING, EXTRA = "missing: ", "extra: "  # how the errors of rows begin that are half a pair
_KEY = b"lookalike"
_NOT_TEXT = re.compile("[\udc80-\udcff]")  # how Python holds such bytes
_ROWS_A_GROUP = 8192
_HEAD = 65536  # bytes of a file that tell it from another, with its size


class Row(NamedTuple):
    """One pair of images.

    Attributes:
        method, pair, reference, image: as the module says.
        width, height: in pixels, None where unknown.
        values: one score a metric, in the table's order, None where there is none.
        error: why, None for a good row.
    """

    method: str
    pair: str
    reference: str
    image: str
    width: int | None
    height: int | None
    values: tuple[float | None, ...]
    error: str | None


class Table(NamedTuple):
    """A table that was read.

    Attributes:
        metrics: names, in the order of the columns.
        metadata: with ``signatures``, ``better`` and ``statistics``.
        rows: all of them.
    """

    metrics: tuple[str, ...]
    metadata: dict[str, Any]
    rows: list[Row]


def check(path: Path) -> Path:
    """The path of a table that can be written here.

    Raises:
        ValueError: for another ending, or a folder.
        ImportError: for parquet without pyarrow, with the command that installs it.

    Example:
        >>> check(Path("scores.csv")).name
        'scores.csv'
    """
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"{path}: a table of scores ends in {', '.join(KINDS)}")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, name a file in it")
    if path.suffix.lower() == ".parquet":
        _parquet()
    return path


def is_first_line(head: bytes) -> bool:
    """Whether a file that begins so is a csv or jsonl table of scores.

    Example:
        >>> is_first_line(b"method,pair,reference,image,width,height,psnr,error"), is_first_line(b"a,b")
        (True, False)
    """
    head = head.removeprefix(b"\xef\xbb\xbf")
    return head.startswith(",".join(BEFORE).encode()) or (head.startswith(b'{"method": ') and b'"pair": ' in head)


def is_table(path: Path) -> bool:
    """Whether a parquet file is a table of scores; without pyarrow it cannot be read and counts as none."""
    try:
        import pyarrow.parquet as parquet
        from pyarrow import ArrowException
    except ImportError:
        return False
    try:
        with path.open("rb") as file:
            return _KEY in (parquet.read_schema(file).metadata or {})
    except (ArrowException, OSError):
        return False


def metadata_file(path: Path) -> Path:
    """Where the metadata of a csv or jsonl table stand.

    Example:
        >>> metadata_file(Path("out/scores.csv")).name
        'scores.csv.json'
    """
    return path.with_name(f"{path.name}.json")


def as_text(name: str) -> str:
    """A file's name as tables hold it: bytes that are not UTF-8 stand as ``\\\\xff``.

    Example:
        >>> as_text("a\\udcff.png")
        'a\\\\xff.png'
    """
    escaped = _NOT_TEXT.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)
    return escaped.encode("utf-8", "backslashreplace").decode()


def provenance(table: Path, pictures: Iterable[str]) -> dict[str, Any]:
    """What a table records so that its pictures are found again, and no others are mistaken for them.

    Args:
        table: where it is written.
        pictures: paths as the table holds them, relative ones from the current folder.

    Returns:
        ``{"folder": from the table's to the current folder, "pictures": {path: what tells it from another}}``.
    """
    current, table_folder = Path.cwd(), Path(os.path.realpath(table)).parent
    try:
        folder = {"folder": os.path.relpath(current, table_folder)}
    except ValueError:  # another drive
        folder = {}
    identities = {as_text(path): identity(Path(path)) for path in sorted(pictures)}
    return folder | {"pictures": {path: known for path, known in identities.items() if known}}


def identity(path: Path) -> str:
    """What distinguishes a file from others: its size and the CRC-32 of its first 64 KiB; "" for a missing file.

    Example:
        >>> identity(Path("nowhere.png"))
        ''
    """
    try:
        with path.open("rb") as file:
            return f"{os.fstat(file.fileno()).st_size}:{zlib.crc32(file.read(_HEAD)):08x}"
    except (OSError, ValueError):
        return ""


def places(beside: Path, metadata: Mapping[str, Any], path: str) -> list[Path]:
    """Where a path of a table may lie: from the folder that it was given in, then beside the table.

    Never from the current folder, in which another project may have files of the same names.

    Args:
        beside: the folder of the table.
        metadata: of the table.
        path: as the table holds it.
    """
    return list(dict.fromkeys(folder / path for folder in (beside / metadata.get("folder", "."), beside)))


def write(path: Path, metrics: tuple[str, ...], metadata: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Write a table, row by row, under another name, and rename it when it is complete.

    Args:
        path: ends in one of ``KINDS``.
        metrics: names of the columns with scores.
        metadata: as the module says; values that JSON can hold.
        rows: taken one by one; never all in memory.

    Raises:
        ValueError, ImportError: as `check` says.
        OSError: when the disk does not take it; a table that stood there stays.
    """
    kind = check(path).suffix.lower()
    if kind == ".parquet":
        with runs.replacing(path) as file:
            _write_parquet(file, metrics, metadata, rows)
        return
    with runs.replacing(path) as file:
        {".csv": _write_csv, ".jsonl": _write_jsonl}[kind](file, metrics, rows)
        runs.write_json(metadata_file(path), metadata)


def read(path: Path) -> Table:
    """Read a table.

    Raises:
        ValueError: when there is none, or it is not one of these, with the path and the reason.
        ImportError: for parquet without pyarrow, with the command that installs it.
    """
    kind = check(path).suffix.lower()
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    try:
        if kind == ".parquet":
            return _read_parquet(path)
        cells, metadata = _cells(path, kind), runs.read_json(metadata_file(path))
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise ValueError(f"{path}: not a table of scores ({' '.join(str(error).split())})") from None
    return _table(path, cells, metadata)


# Parquet.


def _parquet() -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise ImportError(
            "parquet tables need pyarrow: pip install 'lookalike[scoring]', or name a .csv or .jsonl file"
        ) from None
    return parquet


def _write_parquet(
    file: BinaryIO, metrics: tuple[str, ...], metadata: Mapping[str, Any], rows: Iterable[Row]
) -> None:
    parquet = _parquet()
    import pyarrow as arrow

    kinds = [arrow.string()] * 4 + [arrow.int32()] * 2 + [arrow.float64()] * len(metrics) + [arrow.string()]
    schema = arrow.schema(
        list(zip((*BEFORE, *metrics, *AFTER), kinds, strict=True)),
        metadata={_KEY: json.dumps(runs.plain(dict(metadata)), allow_nan=False).encode()},
    )
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(rows):
            columns = zip(*(_flat(row) for row in group), strict=True)
            arrays = [arrow.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _read_parquet(path: Path) -> Table:
    parquet = _parquet()
    from pyarrow import ArrowException

    try:
        with path.open("rb") as file:  # pyarrow opens no path that is not text
            table = parquet.read_table(file)
        if len(set(table.column_names)) < len(table.column_names):
            raise KeyError("a column is there twice")
        metadata = json.loads(table.schema.metadata[_KEY])
    except (ArrowException, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a table of scores ({' '.join(str(error).split())})") from None
    return _table(path, table.to_pylist(), metadata)


# CSV and JSON lines.


def _write_csv(file: BinaryIO, metrics: tuple[str, ...], rows: Iterable[Row]) -> None:
    with _text(file) as text:
        text.write(runs.csv_line((*BEFORE, *metrics, *AFTER)))
        text.writelines(runs.csv_line(_flat(row)) for row in rows)


def _write_jsonl(file: BinaryIO, metrics: tuple[str, ...], rows: Iterable[Row]) -> None:
    names = (*BEFORE, *metrics, *AFTER)
    with _text(file) as text:
        for row in rows:
            cells = {name: _plain(cell) for name, cell in zip(names, _flat(row), strict=True)}
            text.write(json.dumps(cells, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    yield text
    text.detach()  # flushed; the caller, who opened the file, closes it


def _cells(path: Path, kind: str) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets begin a file with a byte order mark
        if kind == ".jsonl":
            return [json.loads(line, object_pairs_hook=_cells_of) for line in file]
        reader = csv.reader(file)
        names = next(reader, [])
        return [_cells_of(zip(names, (runs.csv_text(cell) or None for cell in row), strict=True)) for row in reader]


def _cells_of(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A row by its columns.

    Raises:
        LookupError: for a column that is there twice: the last would silently win.
    """
    listed = list(pairs)
    cells = dict(listed)
    if len(cells) != len(listed):
        names = [name for name, _ in listed]
        twice = next(name for name in names if names.count(name) > 1)
        raise LookupError(f"the column {twice!r} is there twice")
    return cells


# Rows and cells.


def _flat(row: Row) -> tuple[Any, ...]:
    error = None if row.error is None else as_text(row.error)
    return (*(as_text(text) for text in row[:4]), row.width, row.height, *row.values, error)


def _plain(cell: Any) -> Any:
    return str(cell) if isinstance(cell, float) and not isfinite(cell) else cell


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while group := list(islice(remaining, _ROWS_A_GROUP)):
        yield group


def _table(path: Path, cells: list[dict[str, Any]], metadata: dict[str, Any]) -> Table:
    try:
        metrics = tuple(metadata["signatures"])
        rows = [_row(row, metrics) for row in cells]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a table of scores ({type(error).__name__}: {error})") from None
    return Table(metrics, metadata, rows)


def _row(cells: dict[str, Any], metrics: tuple[str, ...]) -> Row:
    texts = ("" if cells[name] is None else str(cells[name]) for name in BEFORE[:4])
    sides = (_optional(int, cells[name]) for name in BEFORE[4:])
    values = tuple(_optional(float, cells[name]) for name in metrics)
    return Row._make((*texts, *sides, values, cells["error"]))


def _optional(kind: Callable[[Any], Any], cell: Any) -> Any:
    return None if cell is None else kind(cell)
