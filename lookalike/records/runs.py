"""The run folder: what a study or an experiment writes, and all that a report reads.

::

    scores.json         every number, with the signature of its column and the reason where there is none
    scores.csv          the same as one table
    environment.json    versions of what computed it
    images/*.png        lossless
    index.html          the page

A lab run holds, beside ``environment.json`` and the page::

    recipe.json         the resolved recipe
    lab.json            task, losses with raw and used weights, seeds, and which samples there are
    matrix.json         training loss × metric, with intervals; the same as .csv and .md
    samples/input/ROW.png, samples/target/ROW.png, maps/LOSS/ROW_difference.png, maps/LOSS/ROW_ssim.png
    LOSS/seedN/         terms.jsonl, checkpoint.pt, network.safetensors, samples/ROW.png

Every file is written beside its place, flushed to the disk and renamed: whoever reads finds the old file or the new
one, never half of one. Nothing here needs torch, so that a report can be made and read without it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

SOFTWARE = "lookalike"  # by which its files are known
SCORES = "scores.json"
SCORES_TABLE = "scores.csv"
ENVIRONMENT = "environment.json"
IMAGES = "images"
PAGE = "index.html"
LAB = "lab.json"
RECIPE = "recipe.json"
TERMS = "terms.jsonl"
CHECKPOINT = "checkpoint.pt"
NETWORK = "network.safetensors"
SAMPLES = "samples"
MAPS = "maps"
MATRIX = "matrix.json"
MATRIX_TABLE = "matrix.csv"
MATRIX_TEXT = "matrix.md"

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # beginnings of cells that a spreadsheet would run
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_PACKAGES = ("lookalike", "torch", "numpy", "scipy", "pillow", "scikit-image")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write in the block; it replaces ``path`` when the block ends without an error. Folders are made.

    A link stays a link: the file that it leads to is replaced. What killed runs left in the folder is removed.

    Raises:
        OSError: when it cannot be written; an earlier file stays as it was.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(target)
    partial = None
    try:
        partial, file = _open_partial(target)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                partial.replace(target)  # still locked, or another run could take it for one that was left
        if fcntl is None:
            partial.replace(target)  # Windows renames no open file
    except BaseException as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # the error of a full disk names no file
        raise
    _sync_folder(target.parent)


def _open_partial(target: Path) -> tuple[Path, BinaryIO]:
    """A new file in the target's folder, locked while it is open: one without a lock was left by a killed run."""
    while True:
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        file = partial.open("xb")
        if fcntl is None:
            return partial, file
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            return partial, file
        if os.fstat(file.fileno()).st_nlink:
            return partial, file
        file.close()  # another run took it for one that was left, before it was locked


def _remove_left_over(target: Path) -> None:
    """Remove what killed runs left in the target's folder; what another run is writing is locked, and stays."""
    named = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}")
    with os.scandir(target.parent) as listing:
        left_over = [entry.path for entry in listing if named.fullmatch(entry.name)]
    for path in left_over:
        with suppress(OSError), open(path, "ab") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; folders are made as needed.

    Raises:
        OSError: when the place cannot be written.
    """
    with replacing(path) as file:
        file.write(content)


def _sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON that any parser reads: numbers that are not finite become ``"inf"``, ``"-inf"`` and ``"nan"``,
    which ``float`` turns back.
    """
    write_text(path, json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """What JSON can hold of a value: numbers that are not finite as text.

    Example:
        >>> plain({"a": (1.0, float("nan"))})
        {'a': [1.0, 'nan']}
    """
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: when there is no such file, or it holds no JSON, with the path.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; is {path.parent} a finished run folder?") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); make the run again") from None


def is_study(folder: Path) -> bool:
    """Whether a folder holds a study, finished or begun."""
    begun = not (folder / SCORES).exists() and _entry(folder / ENVIRONMENT, SOFTWARE) is not None
    return begun or _entry(folder / SCORES, "kind") == "study"


def is_lab(folder: Path) -> bool:
    """Whether a lab run was begun in a folder."""
    return _entry(folder / LAB, "kind") == "lab" or _entry(folder / RECIPE, "task") is not None


def _entry(path: Path, key: str) -> Any:
    """The value of a record under a key; None where there is no such record."""
    try:
        record = read_json(path)
    except (ValueError, OSError):
        return None
    return record.get(key) if isinstance(record, dict) else None


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with one header line; None is an empty cell."""
    write_text(path, "".join(csv_line(row) for row in (header, *rows)))


def csv_line(cells: Iterable[object]) -> str:
    """A line of a table; None is an empty cell.

    Text that a spreadsheet would take for a formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab or a
    carriage return, has an apostrophe before it; numbers, and text that is a number, have not. `csv_text` takes the
    apostrophe away again.

    Example:
        >>> csv_line(["a,b", None, -0.5]), csv_line(["a\\rb"])
        ('"a,b",,-0.5\\n', '"a\\rb"\\n')
        >>> csv_line(["=1+1", "-1", "'=x", "'x"])
        "'=1+1,-1,''=x,'x\\n"
    """
    line = io.StringIO(newline="")
    # Python 3.11 quotes the line ends that stand in its own, and readers take a lone \r for one.
    written = ("" if cell is None else _escaped(cell) if isinstance(cell, str) else cell for cell in cells)
    csv.writer(line, lineterminator="\r\n").writerow(list(written))
    return line.getvalue().removesuffix("\r\n") + "\n"


def csv_text(cell: str) -> str:
    """What a cell that `csv_line` wrote stands for.

    Example:
        >>> csv_text("'=1+1"), csv_text("''=x"), csv_text("'x"), csv_text("-1")
        ('=1+1', "'=x", "'x", '-1')
    """
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def _escaped(text: str) -> str:
    formula = text.lstrip("'").startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text


def write_png(path: Path, pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> None:
    """Write an 8-bit picture without loss; arguments as for `as_png`.

    Raises:
        TypeError: when the array is not uint8.
        OSError: when the place cannot be written.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"write_png: {path.name} must be uint8, got {pixels.dtype}; round it first")
    write_bytes(path, as_png(pixels, palette))


def as_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """An 8-bit picture as the bytes of a PNG file, which says that lookalike made it.

    Args:
        pixels: ``(h, w)`` or ``(h, w, 3)`` uint8; ``(h, w)`` indices where there is a palette.
        palette: colours ``(256, 3)`` uint8.

    Raises:
        TypeError: when the array is not uint8; nothing is stretched or rounded here.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"as_png: pixels must be uint8, got {pixels.dtype}; round them first")
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())
    info = PngInfo()
    info.add_text("Software", SOFTWARE)
    file = io.BytesIO()
    # 6, the default, takes two to three times as long for 2 %
    image.save(file, format="PNG", compress_level=4, pnginfo=info)
    return file.getvalue()


def shown(value: float | str | None, digits: int) -> str:
    """A number as tables show it, of a run or read back from its file; a dash where there is none.

    Example:
        >>> shown(0.98765, 3), shown("inf", 3), shown(-0.0001, 2), shown(None, 3)
        ('0.988', '∞', '0.00', '—')
    """
    if value is None:
        return "—"
    number = float(value)
    if not isfinite(number):
        return {"inf": "∞", "-inf": "−∞"}.get(str(number), "not a number")
    return f"{number:z.{digits}f}"


def file_name(text: str, taken: Iterable[str] = ()) -> str:
    """A name for files made from any text: small letters, digits and hyphens, unlike those taken.

    Example:
        >>> file_name("Été à Nîmes <2>.JPG"), file_name("a/b", taken=["a-b"])
        ('ete-a-nimes-2-jpg', 'a-b-2')
    """
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:60] or "image"
    used = set(taken)
    name, count = stem, 1
    while name in used:
        count += 1
        name = f"{stem}-{count}"
    return name


def environment(device: str = "cpu") -> dict[str, str]:
    """What computed a run: versions, processor, device, and when. No name of a user, machine or folder.

    Args:
        device: as the run names it.
    """
    record = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
    }
    for package in _PACKAGES:
        try:
            record[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return record
