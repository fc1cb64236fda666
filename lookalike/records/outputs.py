"""Where results may go: never onto what is read, and never onto a file that lookalike did not write.

Files are known by what stands in them, so that a moved or copied result is still known:

=========  ==================================================================
kind       known by
=========  ==================================================================
``.html``  ``<meta name="generator" content="lookalike">``
``.png``   a text chunk ``Software: lookalike``
``.svg``   a comment, ``<!-- lookalike -->``, after the first line
``.tex``   the first line, ``% lookalike …``
table      the columns of `tables`, or parquet's key ``lookalike``
``.csv``   of `lookalike agree`: its columns
JSON       an object with the key ``lookalike`` or ``signatures``
=========  ==================================================================

An empty file holds nothing that could be lost and counts as ours. A link is followed: what it leads to is judged,
and written; the link stays.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from lookalike.records import tables
from lookalike.records.runs import SOFTWARE

_HEAD = 4096  # bytes at the beginning of a file that tell its kind
_AGREE = b"reference,image,distortion,"  # the first columns of `lookalike agree`'s csv

StrPath = str | os.PathLike[str]


def claim(path: Path, *, who: str, inputs: Iterable[StrPath] = (), force: bool | None = False) -> Path:
    """A file that may be written, once it is known to replace nothing but what lookalike wrote.

    Args:
        path: where a result is to go.
        who: the command, for errors.
        inputs: files that are read, which nothing replaces, ``force`` or not; compared as files, through links.
        force: replace a file that lookalike did not write; None: the command has no such option.

    Raises:
        ValueError: when it is an input, no regular file, or somebody else's.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     notes = Path(folder, "notes.tex")
        ...     _ = notes.write_text("mine")
        ...     claim(Path(folder, "new.tex"), who="score").name, claim(notes, who="score", force=True).name
        ('new.tex', 'notes.tex')
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{who}: {path}: cannot be written ({reason})") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{who}: {path}: is a folder; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{who}: {path}: is no regular file; name another output")
    for read in inputs:
        if _same(status, read):
            raise ValueError(f"{who}: {path}: is an input ({read}), which nothing replaces; name another output")
    if not force and not is_ours(path):
        advice = "name another output" + ("" if force is None else ", or say --force")
        raise ValueError(f"{who}: {path}: is there and not of lookalike; {advice}")
    return path


def claim_folder(
    folder: Path,
    names: Iterable[str],
    *,
    who: str,
    record: Callable[[Path], bool],
    inputs: Iterable[StrPath] = (),
    force: bool = False,
) -> Path:
    """A folder that may be written to, once it is known that lookalike wrote all of its files that are replaced.

    Args:
        folder: where results are to go.
        names: of files and folders that are written in it.
        who: the command, for errors.
        record: whether the folder was left by an earlier run, all of whose files may be replaced.
        inputs: files that are read, which must not lie in the folders that are written.
        force: replace files that lookalike did not write.

    Raises:
        NotADirectoryError: when it is a file.
        ValueError: when an input lies where results go, or files that would be replaced are not ours.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{who}: {folder}: is a file; name a folder to write to")
    existing = [name for name in names if os.path.lexists(folder / name)]
    for read in map(Path, inputs):
        if not read.exists():
            continue
        for name in existing:
            path = folder / name
            inside = path.is_dir() and read.resolve().is_relative_to(path.resolve())
            if inside or (path.exists() and path.samefile(read)):
                raise ValueError(f"{who}: {read}: is an input and lies where results go ({path}); name another")
    if existing and not force and not record(folder):
        names = ", ".join(existing[:3]) + (" …" if len(existing) > 3 else "")
        raise ValueError(f"{who}: {folder}: its {names} is not of lookalike; name another folder, or say --force")
    return folder


def is_ours(path: Path) -> bool:
    """Whether lookalike wrote a file, by what stands in it; an empty file is nobody's loss.

    Raises:
        ValueError: when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read, nor replaced ({error.strerror})") from None
    if not head:
        return True
    if head.startswith(b"\x89PNG"):
        return b"tEXtSoftware\0" + SOFTWARE.encode() in head
    if head.startswith(b"PAR1"):
        return tables.is_table(path)
    if head.lstrip()[:15].lower() == b"<!doctype html>":
        return f'<meta name="generator" content="{SOFTWARE}">'.encode() in head
    if head.startswith(b"<?xml"):
        return f"?>\n<!-- {SOFTWARE} -->\n".encode() in head
    if head.startswith(b"{"):
        return tables.is_first_line(head) or _is_record(path)
    return head.startswith((b"% " + SOFTWARE.encode(), _AGREE)) or tables.is_first_line(head)


def _is_record(path: Path) -> bool:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(value, dict) and ("signatures" in value or SOFTWARE in value)


def _same(status: os.stat_result, other: StrPath) -> bool:
    try:
        return os.path.samestat(status, os.stat(other))
    except (OSError, ValueError):
        return False
