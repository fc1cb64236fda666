"""Which image of a folder belongs to which reference: found, matched, and every file that has no partner listed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from lookalike.files import SUFFIXES, is_image, walk
from lookalike.scoring.video.streams import SUFFIXES as VIDEOS
from lookalike.scoring.video.streams import is_video

_SHOWN = 3  # names in an error
_LISTED = ("reference", "image", "method", "pair")  # columns of a list


Kind = Literal["image", "video"]
Lack = Literal["missing", "extra", "other"]


class Unpaired(NamedTuple):
    """A file that is not scored.

    Attributes:
        path: of the file or folder.
        reason: why.
        kind: ``"missing"``: a reference that some method has no image of; ``"extra"``: an image without a
            reference; ``"other"``: what is left out of the matching.
    """

    path: str
    reason: str
    kind: Lack = "other"


class Lacking(NamedTuple):
    """Half a pair.

    Attributes:
        method: number of the method.
        pair: what the pair would be called.
        reference, image: paths; "" for the half that is not there.
    """

    method: int
    pair: str
    reference: str
    image: str


class Group(NamedTuple):
    """One reference and what the methods made of it.

    Attributes:
        pair: what the images are called: the key by which they were matched.
        reference: path under the folder of references.
        images: one path a method, under its folder; None where it has none.
    """

    pair: str
    reference: str
    images: tuple[str | None, ...]


@dataclass(frozen=True)
class Pairs:
    """What is to be scored.

    Attributes:
        reference: the folder of references.
        folders: of the methods.
        methods: their names, as short as they can be told apart.
        groups: sorted by the pair's name.
        unpaired: files without a partner, each with the reason.
        lacking: the same, one entry a method: images that a method should have, and images without a reference.
        others: how many files are no images by their ending.
        kind: of the files, ``"image"`` or ``"video"``.
    """

    reference: str
    folders: tuple[str, ...]
    methods: tuple[str, ...]
    groups: list[Group]
    unpaired: list[Unpaired]
    lacking: list[Lacking]
    others: int
    kind: Kind = "image"

    def numbered(self) -> Iterator[tuple[int, int]]:
        """Every pair as (method, group), method by method: the order of the table."""
        for method in range(len(self.methods)):
            for index, group in enumerate(self.groups):
                if group.images[method] is not None:
                    yield method, index

    def paths(self, method: int, group: int) -> tuple[str, str]:
        """The paths of a pair: reference, image."""
        found = self.groups[group]
        image = found.images[method]
        if image is None:
            raise LookupError(f"{self.methods[method]} has no image of {found.pair}")
        return os.path.join(self.reference, found.reference), os.path.join(self.folders[method], image)

    def inputs(self) -> Iterator[str]:
        """Every file that is read."""
        for index, group in enumerate(self.groups):
            yield os.path.join(self.reference, group.reference)
            for method, image in enumerate(group.images):
                if image is not None:
                    yield self.paths(method, index)[1]

    def __len__(self) -> int:
        return sum(image is not None for group in self.groups for image in group.images)


def holds_videos(folder: Path) -> bool:
    """Whether a folder holds videos and no image, by their endings."""
    videos = False
    for path in walk(folder):
        if is_image(path):
            return False
        videos = videos or is_video(path)
    return videos


def find(reference: Path, folders: Sequence[Path], match: str = "stem", videos: bool = False) -> Pairs:
    """Match the images of folders with those of a folder of references.

    Folders are searched to the bottom, links followed, hidden files left out. Files are taken as images by their
    ending; whether they are is found out when they are read.

    Args:
        reference: the folder of references.
        folders: one a method.
        match: ``"stem"``: the relative path without its ending; ``"name"``: with it; or a regular expression with
            at least one group, searched in the relative path: what its groups hold is the pair's name.
        videos: match videos instead.

    Raises:
        ValueError: when nothing of a folder matches, two files have the same key, or a folder is none.
    """
    for folder in (reference, *folders):
        if not folder.is_dir():
            found = "a file" if folder.exists() else "not there"
            raise ValueError(
                f"score: {folder} is {found}, not a folder; name a folder of references and one a method, "
                "or two images"
            )
    key = _key(match)
    unpaired: list[Unpaired] = []
    kind: Kind = "video" if videos else "image"
    references, others = _keyed(reference, key, match, unpaired, videos)
    made: list[dict[str, str]] = []
    for folder in folders:
        found, count = _keyed(folder, key, match, unpaired, videos)
        made.append(found)
        others += count
    groups: list[Group] = []
    missing: list[Lacking] = []
    extra = [
        Lacking(method, name, "", os.path.join(folders[method], path))
        for method, found in enumerate(made)
        for name, path in sorted(found.items())
        if name not in references
    ]
    unpaired += [Unpaired(lack.image, "no reference", "extra") for lack in extra]
    for name, path in sorted(references.items()):
        images = tuple(found.get(name) for found in made)
        without = [method for method, image in enumerate(images) if image is None]
        if without:
            place = os.path.join(reference, path)
            where = f"no {kind} in {', '.join(str(folders[method]) for method in without)}"
            every = len(without) == len(folders)
            unpaired.append(Unpaired(place, f"no {kind} of any method" if every else where, "missing"))
            missing += [Lacking(method, name, place, "") for method in without]
        if len(without) < len(folders):
            groups.append(Group(name, path, images))
    for folder, found in zip(folders, made, strict=True):
        if not references.keys() & found.keys():
            raise ValueError(_nothing(reference, folder, references, found, match, videos))
    lacking = sorted(missing + extra, key=lambda lack: lack.method)
    names = _names(folders)
    return Pairs(str(reference), tuple(map(str, folders)), names, groups, unpaired, lacking, others, kind)


def _key(match: str) -> re.Pattern[str]:
    """A pattern whose groups hold the name of a pair."""
    if match == "name":
        return re.compile(r"\A(.*)\Z", re.DOTALL)
    if match == "stem":
        return re.compile(r"\A(.*)\.[^./]*\Z", re.DOTALL)
    try:
        pattern = re.compile(match)
    except re.error as error:
        raise ValueError(f"score: --match {match!r} is no regular expression ({error})") from None
    if not pattern.groups:
        raise ValueError(
            f"score: --match takes stem, name, or a regular expression with a group such as '(\\d+)'; got {match!r}"
        )
    return pattern


def _keyed(
    folder: Path, key: re.Pattern[str], match: str, unpaired: list[Unpaired], videos: bool
) -> tuple[dict[str, str], int]:
    """The images or videos of a folder by key, and how many other files it holds."""
    taken = is_video if videos else is_image
    found: dict[str, str] = {}
    others = 0
    for path in walk(folder, lambda place, reason: unpaired.append(Unpaired(place, reason))):
        if not taken(path):
            others += 1
            continue
        hit = key.search(path)
        if hit is None:
            unpaired.append(Unpaired(os.path.join(folder, path), f"--match {match} does not match its name"))
            continue
        # One letter can be written in two ways (é, or e with an accent after it), and systems differ in which.
        name = unicodedata.normalize("NFC", "/".join(part for part in hit.groups() if part is not None))
        if name == path:
            name = path  # one text instead of two: there may be a million
        if name in found:
            first, second = sorted((found[name], path))
            advice = "use --match name" if match == "stem" else "make --match tell them apart"
            if unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second):
                first, second = ascii(first), ascii(second)
                advice = "they differ only in how Unicode writes a letter with an accent; rename one"
            raise ValueError(f"score: {first} and {second} in {folder} are both called {name!r}; {advice}")
        found[name] = path
    return found, others


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """As many last parts of the paths as it takes to tell them apart.

    Example:
        >>> _names([Path("out/a"), Path("out/b")]), _names([Path("a/x4"), Path("b/x4")])
        (('a', 'b'), ('a/x4', 'b/x4'))
    """
    full = [Path(os.path.abspath(folder)).parts for folder in folders]  # a link is called what its user calls it
    for count in range(1, max(map(len, full)) + 1):
        names = tuple("/".join(parts[-count:]) for parts in full)
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"score: {', '.join(map(str, folders))}: the same folder twice")


def _nothing(
    reference: Path, folder: Path, references: dict[str, str], found: dict[str, str], match: str, videos: bool
) -> str:
    kind, endings = ("video", VIDEOS) if videos else ("image", SUFFIXES)
    for place, images in ((reference, references), (folder, found)):
        if not images:
            return (
                f"score: {place} holds no {kind}s ({', '.join(endings)}); lookalike compares {kind}s with their "
                f"references, a set of {kind}s without them is out of its scope"
            )
    there, here = (", ".join(islice(images.values(), _SHOWN)) for images in (references, found))
    return (
        f"score: no {kind} of {folder} has a reference in {reference} by --match {match}: there {there} …, "
        f"here {here} …; see --match name and --match with a regular expression"
    )


def listed(source: Path | TextIO) -> Pairs:
    """The pairs of a list: a csv with a header, or JSON lines, with the columns ``reference`` and ``image``.

    ``method`` and ``pair`` may be there too: whose image it is (the list's name by default), and what the pair is
    called (the image's path, or the reference's where there are methods). Relative paths begin in the list's
    folder; of a list from standard input in the current one.

    Args:
        source: the file, or an open one.

    Raises:
        ValueError: when it is no such list, with the line.
    """
    if isinstance(source, Path):
        if not source.is_file():
            raise ValueError(f"score: --pairs {source}: no such file")
        name, beside = source.stem, str(source.parent)
        try:
            text = source.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"score: --pairs {source}: cannot be read ({error})") from None
    else:
        name, beside, text = "pairs", "", source.read()
    rows = _rows(text, name)
    several = any(row.get("method") for _, row in rows)
    groups: dict[str, tuple[str, dict[str, str]]] = {}
    methods: dict[str, None] = {}
    for line, row in rows:
        reference, image = (os.path.join(beside, row[column]) for column in ("reference", "image"))
        method = row.get("method") or name
        pair = row.get("pair") or (row["reference"] if several else row["image"])
        methods[method] = None
        known, images = groups.setdefault(pair, (reference, {}))
        if known != reference:
            raise ValueError(f"score: --pairs {name}: line {line}: {pair!r} had another reference; name pairs")
        if method in images:
            raise ValueError(f"score: --pairs {name}: line {line}: {method} has {pair!r} twice; name pairs")
        images[method] = image
    names = tuple(methods)
    found = [
        Group(pair, reference, tuple(images.get(method) for method in names))
        for pair, (reference, images) in sorted(groups.items())
    ]
    lacking = [
        Lacking(at, group.pair, group.reference, "")
        for at in range(len(names))
        for group in found
        if group.images[at] is None
    ]
    unpaired = [
        Unpaired(one.reference, f"no image of {names[one.method]} in the list", "missing") for one in lacking
    ]
    return Pairs("", ("",) * len(names), names, found, unpaired, lacking, 0)


def _rows(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    """The rows of a list with the number of their lines."""
    try:
        if text.lstrip().startswith("{"):
            lines = [(at, line) for at, line in enumerate(text.splitlines(), 1) if line.strip()]
            rows = [(at, json.loads(line)) for at, line in lines]
        else:
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            rows = [(reader.line_num, row) for row in reader]
    except (csv.Error, ValueError) as error:
        raise ValueError(f"score: --pairs {name}: neither a csv nor JSON lines ({error})") from None
    if not rows:
        raise ValueError(f"score: --pairs {name}: names no pairs below its header, reference,image")
    for at, row in rows:
        right = isinstance(row, dict) and None not in row
        right = right and all(isinstance(row.get(key, ""), str) for key in _LISTED)
        if not right or not row.get("reference") or not row.get("image"):
            raise ValueError(
                f"score: --pairs {name}: line {at}: needs a reference and an image (and may have method and pair)"
            )
    return rows
