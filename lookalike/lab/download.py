"""Fetch the seeds' data set: with progress, resumed where it stopped, checked against its sha256, then unpacked.

The images were gathered from WikiArt and Flickr for research and carry no licence; nothing of them is distributed
here. Addresses and sizes: https://efrosgans.eecs.berkeley.edu/cyclegan/datasets.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from lookalike.options import meant
from lookalike.weights.download import stream


@dataclass(frozen=True)
class Archive:
    """A zip file: where it is, how many bytes it has and which."""

    address: str
    size: int
    sha256: str


ARCHIVES = {
    "monet2photo": Archive(
        "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/monet2photo.zip",
        305_231_073,
        "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
    ),
}


def fetch(name: str, folder: Path, *, archive: Archive | None = None) -> Path:
    """Download and unpack a data set.

    Args:
        name: of `ARCHIVES`.
        folder: where the data set's own folder is laid.
        archive: another address for it.

    Returns:
        The folder with trainA, trainB, testA and testB.

    Raises:
        ValueError: for an unknown name, with the nearest; for a file of other content than expected.
        ConnectionError: when the address cannot be reached, with what to do.
    """
    if name not in ARCHIVES:
        raise ValueError(
            f"lab data: no set is called {name!r}{meant(name, ARCHIVES)}; there are {', '.join(ARCHIVES)}"
        )
    archive = archive or ARCHIVES[name]
    done = folder / name
    if done.is_dir():
        return done
    partial = folder / f"{name}.zip.part"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _download(archive, partial, name)
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(
            f"lab data: {archive.address} cannot be reached ({reason}). On a machine with internet, download it, "
            f"unpack it, and give its folder (trainA, trainB, testA, testB) to --data; the same command resumes"
        ) from None
    _check(archive, partial)
    _unpack(partial, folder, name)
    partial.unlink()
    return done


def _download(archive: Archive, partial: Path, name: str) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    if have >= archive.size:
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task(name, total=archive.size, completed=have)
        got = stream(
            archive.address, partial, most=archive.size, resume=True,
            progress=lambda done, total: bar.update(row, completed=done),
        )  # fmt: skip
    if got < archive.size:
        raise ConnectionError(f"the connection ended after {got:,} of {archive.size:,} bytes")


def _check(archive: Archive, partial: Path) -> None:
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != archive.sha256:
        size = partial.stat().st_size
        partial.unlink()
        raise ValueError(
            f"lab data: {archive.address} gave {size:,} bytes with sha256 {digest}, expected {archive.size:,} "
            f"bytes with {archive.sha256}; the file was removed, try again"
        )


def _unpack(partial: Path, folder: Path, name: str) -> None:
    """Unpack under another name, then rename: the folder is complete as soon as it exists."""
    unpacked = folder / f".{name}.unpacking"
    shutil.rmtree(unpacked, ignore_errors=True)
    with zipfile.ZipFile(partial) as packed:
        packed.extractall(unpacked)  # zipfile keeps every member inside
    (unpacked / name).rename(folder / name)
    shutil.rmtree(unpacked)
