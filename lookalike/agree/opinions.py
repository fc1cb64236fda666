"""Human opinions of the images of the public databases, read from the folders as they are distributed.

========  ===============================================  ==============================================  ======
database  images                                           opinions                                        better
========  ===============================================  ==============================================  ======
tid2008   ``reference_images/ distorted_images/``          ``mos_with_names.txt``                          higher
tid2013   the same                                         the same                                        higher
kadid10k  ``images/``                                      ``dmos.csv`` (a mean opinion all the same)      higher
csiq      ``src_imgs/ dst_imgs/TYPE/``                     ``csiq.DMOS.xlsx``, or its sheet as csv         lower
live      ``refimgs/ jp2k/ jpeg/ wn/ gblur/ fastfading/``  ``dmos_realigned.mat`` ``refnames_all.mat``     lower
========  ===============================================  ==============================================  ======

Names of files are matched whatever their case: the databases' own lists and their files disagree in it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lookalike.options import choice

Better = Literal["higher", "lower"]

_TID = (
    "Gaussian noise", "noise in colour", "correlated noise", "masked noise", "high-frequency noise",
    "impulse noise", "quantization", "Gaussian blur", "denoising", "JPEG", "JPEG 2000",
    "JPEG transmission", "JPEG 2000 transmission", "non-eccentricity pattern", "block-wise distortion",
    "mean shift", "contrast", "colour saturation", "multiplicative noise", "comfort noise",
    "compression of noise", "colour quantization", "chromatic aberration", "sparse sampling",
)  # fmt: skip
_KADID = (
    "Gaussian blur", "lens blur", "motion blur", "colour diffusion", "colour shift",
    "colour quantization", "saturation in HSV", "saturation in Lab", "JPEG 2000", "JPEG", "white noise",
    "noise in colour", "impulse noise", "multiplicative noise", "denoising", "brighten", "darken",
    "mean shift", "jitter", "non-eccentricity patch", "pixelate", "quantization", "colour block",
    "sharpen", "contrast",
)  # fmt: skip
_LIVE = (("jp2k", 227), ("jpeg", 233), ("wn", 174), ("gblur", 174), ("fastfading", 174))
_CSIQ_FOLDERS = {"noise": "AWGN", "awgn": "AWGN", "jpeg": "JPEG", "jpeg 2000": "jpeg2000", "jpeg2000": "jpeg2000",
                 "fnoise": "fnoise", "blur": "BLUR", "contrast": "contrast"}  # fmt: skip


class Opinion(NamedTuple):
    """The mean human opinion of one image.

    Attributes:
        reference, image: files.
        distortion: what was done to the reference.
        opinion: the mean, in the database's unit.
    """

    reference: Path
    image: Path
    distortion: str
    opinion: float


class Database(NamedTuple):
    """A database as it lies in a folder.

    Attributes:
        name: such as ``"tid2013"``.
        better: the direction of its opinions.
        opinions: of all images, in the database's order.
    """

    name: str
    better: Better
    opinions: list[Opinion]


def load(folder: Path, name: str | None = None) -> Database:
    """The opinions of a database.

    Args:
        folder: as it was distributed; see the module's table.
        name: of the database; None looks at what lies in the folder.

    Raises:
        ValueError: when it is none of them, or an image or a row is missing, with its name.

    Example:
        >>> load(Path("nowhere"))
        Traceback (most recent call last):
        ValueError: nowhere: no such folder
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if name is not None:
        choice("agree", "database", name, _READERS)
    chosen = name or _recognised(folder)
    reader, better = _READERS[chosen]
    try:
        opinions = list(reader(folder))
    except (KeyError, IndexError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{folder}: not the list of opinions that {chosen} has ({error})") from None
    if not opinions:
        raise ValueError(f"{folder}: the list of opinions is empty")
    return Database(chosen, better, opinions)


def _recognised(folder: Path) -> str:
    files = _Files(folder)
    if files.has("mos_with_names.txt"):
        return "tid2013" if files.has("distorted_images/i01_24_1.bmp") else "tid2008"
    if files.has("dmos.csv") and files.has("images"):
        return "kadid10k"
    if files.has("dst_imgs"):
        return "csiq"
    if files.has("refimgs") and files.has("jp2k"):
        return "live"
    raise ValueError(
        f"{folder}: looks like none of {', '.join(_READERS)}; see lookalike.agree.opinions for what each has"
    )


def _tid(folder: Path) -> Iterator[Opinion]:
    files = _Files(folder)
    path = files.path("mos_with_names.txt")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        parts = line.split()
        if len(parts) != 2:
            raise ValueError(f"{path}: line {number} is {line!r}, not an opinion and a name")
        opinion, name = parts
        kind = _kind(name, _TID, path, number)
        yield Opinion(
            files.path(f"reference_images/{name.partition('_')[0]}.bmp"),
            files.path(f"distorted_images/{name}"),
            kind,
            _number(opinion, "opinion", path, number),
        )


def _kadid(folder: Path) -> Iterator[Opinion]:
    files = _Files(folder)
    path = files.path("dmos.csv")
    for number, row in _rows(path):
        kind = _kind(row["dist_img"], _KADID, path, number)
        opinion = _number(row["dmos"], "opinion", path, number)
        yield Opinion(
            files.path(f"images/{row['ref_img']}"), files.path(f"images/{row['dist_img']}"), kind, opinion
        )


def _csiq(folder: Path) -> Iterator[Opinion]:
    files, path = _Files(folder), folder / "csiq.DMOS"
    for number, row in _csiq_rows(files):
        kind = _CSIQ_FOLDERS[str(row["dst_type"]).strip().lower()]
        image, level = str(row["image"]).strip(), int(_number(row["dst_lev"], "level", path, number))
        yield Opinion(
            files.path(f"src_imgs/{image}.png"),
            files.path(f"dst_imgs/{kind}/{image}.{kind}.{level}.png"),
            kind,
            _number(row["dmos"], "opinion", path, number),
        )


def _csiq_rows(files: _Files) -> Iterator[tuple[int, dict[str, Any]]]:
    if files.has("csiq.DMOS.csv"):
        yield from _rows(files.path("csiq.DMOS.csv"))
        return
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ImportError(
            "the opinions of csiq are a spreadsheet: pip install 'lookalike[databases]', or save its sheet "
            "all_by_image as csiq.DMOS.csv"
        ) from None
    book = load_workbook(files.path("csiq.DMOS.xlsx"), read_only=True)
    header: list[Any] | None = None
    try:
        for number, line in enumerate(book["all_by_image"].iter_rows(values_only=True), 1):
            if header is None:
                # The table is surrounded by a title and empty rows and columns.
                header = list(line) if "dst_type" in line else None
            elif line[header.index("dst_type")] is not None:
                yield number, dict(zip(header, line, strict=True))
    finally:
        book.close()  # read_only leaves the file open


def _live(folder: Path) -> Iterator[Opinion]:
    files = _Files(folder)
    path = files.path("dmos_realigned.mat")
    scores, names = _matlab(path), _matlab(files.path("refnames_all.mat"))
    opinions, originals = scores["dmos_new"].ravel(), scores["orgs"].ravel()
    references = [str(name.item()) for name in names["refnames_all"].ravel()]
    at = 0
    for kind, count in _LIVE:
        for number in range(1, count + 1):
            if not originals[at]:
                yield Opinion(
                    files.path(f"refimgs/{references[at]}"),
                    files.path(f"{kind}/img{number}.bmp"),
                    kind,
                    _number(float(opinions[at]), "opinion", path, at + 1),
                )
            at += 1


_Reader = Callable[[Path], Iterator[Opinion]]
_READERS: dict[str, tuple[_Reader, Better]] = {
    "tid2008": (_tid, "higher"),
    "tid2013": (_tid, "higher"),
    "kadid10k": (_kadid, "higher"),
    "csiq": (_csiq, "lower"),
    "live": (_live, "lower"),
}


class _Files:
    """The files of a folder by their names in any case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[Path, dict[str, Path]] = {}

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def path(self, name: str) -> Path:
        path = self._find(name)
        if path is None:
            raise ValueError(f"{self.folder}: has no {name}")
        return path

    def _find(self, name: str) -> Path | None:
        current = self.folder
        for part in Path(name).parts:
            if current not in self._listed:
                inside = current.iterdir() if current.is_dir() else ()
                self._listed[current] = {path.name.lower(): path for path in inside}
            entry = self._listed[current].get(part.lower())
            if entry is None:
                return None
            current = entry
        return current


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, row


def _number(text: object, what: str, path: Path, line: int) -> float:
    try:
        number = float(str(text))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{path}: line {line}: the {what} is {text!r}, not a number")
    return number


def _kind(name: str | None, kinds: Sequence[str], path: Path, line: int) -> str:
    """The distortion that a name such as I01_08_3.bmp counts."""
    parts = (name or "").split("_")
    number = int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 0
    if not 1 <= number <= len(kinds):
        raise ValueError(
            f"{path}: line {line}: the image is {name!r}, not IMAGE_NUMBER_LEVEL with a number of 1 to {len(kinds)}"
        )
    return kinds[number - 1]


def _matlab(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(path)
    except (MatReadError, ValueError, NotImplementedError, TypeError) as error:
        raise ValueError(f"{path}: not a MATLAB file that can be read ({error})") from None
