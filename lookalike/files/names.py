"""Which files are images, by their names; and that something is a file at all, before it is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from lookalike.files.refusal import UnreadableImage

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm",
    ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".jxl", ".exr",
)  # fmt: skip


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its name alone: any of `SUFFIXES`, and not hidden.

    Example:
        >>> [is_image(name) for name in ("a/b.PNG", "a.jfif", "a/.b.png", "a.txt")]
        [True, True, False, False]
    """
    last = os.path.basename(name)
    return not last.startswith(".") and os.path.splitext(last)[1].lower() in SUFFIXES


def walk(folder: str | Path, report: Callable[[str, str], object] = lambda path, reason: None) -> Iterator[str]:
    """The files of a folder to the bottom, links followed, hidden files and folders left out.

    Args:
        folder: where to begin.
        report: told the path of what is left out, and why: a folder that cannot be listed, a link to one above it.

    Returns:
        Paths relative to the folder, with forward slashes; of one folder sorted by name.
    """
    top = str(folder)
    stack: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(top),))]
    while stack:
        inner, above = stack.pop()
        try:
            with os.scandir(os.path.join(top, inner)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            report(os.path.join(top, inner), f"cannot be listed ({error.strerror})")
            continue
        for entry in entries:
            path = f"{inner}/{entry.name}" if inner else entry.name
            if entry.name.startswith("."):
                continue
            if not _is_folder(entry):
                yield path
                continue
            real = os.path.realpath(entry.path)
            if real in above:
                report(entry.path, "a link to a folder above it")
            else:
                stack.append((path, (*above, real)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: what is wrong with it is said when it is read
        return False


def check_regular(path: str | Path) -> None:
    """Refuse what is not a file before anything is opened: opening a FIFO would wait for ever.

    Raises:
        UnreadableImage: with the path and the reason.
        PermissionError: where a folder above it may not be entered.
    """
    if path == "":  # which pathlib takes for the current folder
        raise UnreadableImage("'': an empty name is no file")
    try:
        kind = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableImage(f"{path}: no such file") from None
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"{path}: cannot be a file ({getattr(error, 'strerror', None) or error})") from None
    if stat.S_ISDIR(kind):
        raise UnreadableImage(f"{path}: is a folder")
    if not stat.S_ISREG(kind):
        raise UnreadableImage(f"{path}: not a regular file")
