"""Images to train and to judge on. Order and crops are pure functions of (seed, epoch, index).

Images are decoded once, into one memory-mapped file of bytes where they fit; what cannot be used is named and left
out before the first step. All are RGB: grey is repeated, transparent pixels are laid over white.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lookalike.files import SUFFIXES, UnreadableImage, is_image, load, walk
from lookalike.lab.recipe import Recipe
from lookalike.records import runs
from lookalike.samples import sample

Levels = NDArray[np.uint8]
Report = Callable[[str], object]

CACHE_GIB = 8.0  # of decoded images; more are read from their files each time
HELD_SHARE = 0.2  # of a folder without train and test, at most; at least one image

_ALL = slice(None)
# Of each photograph one part trains, the other judges; they do not touch.
PHOTOGRAPHS = {
    "astronaut": ((slice(208, None), _ALL), (slice(0, 208), slice(120, None))),
    "chelsea": ((_ALL, slice(215, None)), (_ALL, slice(0, 215))),
    "coffee": ((_ALL, slice(300, None)), (_ALL, slice(0, 300))),
    "rocket": ((_ALL, slice(0, 240)), (_ALL, slice(240, 420))),
    "camera": ((_ALL, slice(300, None)), (_ALL, slice(60, 300))),
}


@dataclass(frozen=True)
class Pictures:
    """Images in a fixed order, ``(h, w, 3)`` uint8 each, held in memory, in one mapped file, or in their own files.

    Attributes:
        names: of the images.
        read: index → pixels.
    """

    names: tuple[str, ...]
    read: Callable[[int], Levels]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Held:
    """Images to judge on: ``(n, 3, side, side)`` in [0, 1], with their names."""

    names: tuple[str, ...]
    images: Tensor


def train_and_held(recipe: Recipe, cache: Path, report: Report) -> tuple[Pictures, Held]:
    """The two sets of a task on one kind of image.

    A folder with ``train`` and ``test`` is taken as it is divided; of any other, usable images chosen by a hash of
    their names are held out. Without a folder: parts of scikit-image's photographs that train, others that judge.

    Args:
        recipe: names the folder, the crop and how many are held out.
        cache: where decoded images are kept.
        report: told each image that is left out, with the reason.

    Raises:
        ValueError: when a folder is missing, or too few images can be used.
    """
    if not recipe.data:
        train, held = photographs()
    else:
        folder = existing(Path(recipe.data))
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            train = decoded(files_in(folder / "train"), recipe, cache / "train", report)
            held = decoded(files_in(folder / "test"), recipe, cache / "test", report)
        else:
            usable = _usable(files_in(folder), recipe, cache / "images", report)
            train, held = (usable.pictures(places) for places in divide(usable.files, recipe.held_out))
    return train, held_crops(held, recipe.side, recipe.held_out)


def folder_pictures(recipe: Recipe, name: str, cache: Path, report: Report) -> Pictures:
    """The images of one sub-folder of the recipe's data, such as ``trainA``."""
    return decoded(files_in(existing(Path(recipe.data)) / name), recipe, cache / name, report)


def existing(folder: Path) -> Path:
    """The folder, if it exists.

    Raises:
        ValueError: when it is not.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "no such folder"
        raise ValueError(f"{folder}: {kind}; --data needs a folder of images")
    return folder


def files_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, sorted.

    Raises:
        ValueError: when there is no such folder, or no image in it.
    """
    paths = sorted(folder / path for path in walk(existing(folder)) if is_image(path))
    if not paths:
        raise ValueError(f"{folder}: holds no image ({' '.join(SUFFIXES)})")
    return paths


def divide(files: Sequence[Path], held_out: int) -> tuple[list[int], list[int]]:
    """Indices of files to train on and to judge on, chosen by a hash of the names: new files do not move old ones.

    Raises:
        ValueError: for a single file.

    Example:
        >>> train, held = divide([Path(f"{number}.png") for number in range(10)], 8)
        >>> len(train), len(held)
        (8, 2)
    """
    if len(files) < 2:
        raise ValueError(
            f"{files[0]}: is the only image that can be used; one is needed to train and another to judge. Cut it "
            "in two, or lay folders train and test"
        )
    count = min(held_out, max(1, int(HELD_SHARE * len(files))))
    by_hash = sorted(range(len(files)), key=lambda at: hashlib.sha256(files[at].name.encode()).digest())
    return sorted(by_hash[count:]), sorted(by_hash[:count])


def photographs() -> tuple[Pictures, Pictures]:
    """Parts of scikit-image's photographs to train on, and other parts of them to judge on."""
    parts: tuple[list[Levels], list[Levels]] = ([], [])
    for name, regions in PHOTOGRAPHS.items():
        photograph = (sample(name)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        for kept, region in zip(parts, regions, strict=True):
            kept.append(np.ascontiguousarray(_as_rgb(photograph)[region]))
    train, held = parts
    return Pictures(tuple(PHOTOGRAPHS), train.__getitem__), Pictures(tuple(PHOTOGRAPHS), held.__getitem__)


def decoded(files: Sequence[Path], recipe: Recipe, cache: Path, report: Report) -> Pictures:
    """Decode every file once; what is damaged or smaller than the crop is reported and left out.

    Args:
        files: images.
        recipe: names scale and crop.
        cache: beginning of the name of the two cache files; they serve again while the files stay the same.
        report: told what is left out.

    Raises:
        ValueError: when nothing is left.
    """
    usable = _usable(files, recipe, cache, report)
    return usable.pictures(range(len(usable.files)))


@dataclass(frozen=True)
class _Usable:
    """The files of a folder that can be used, and where their pixels are: in one file, or in ``files`` alone."""

    files: list[Path]
    shapes: list[Sequence[int]]
    pixel_file: Path | None
    recipe: Recipe
    report: Report

    def pictures(self, places: Sequence[int]) -> Pictures:
        """The pictures at some indices; no pixel of any other is read."""
        names = tuple(self.files[index].stem for index in places)
        if self.pixel_file is None:
            return Pictures(names, _from_files([self.files[index] for index in places], self.recipe, self.report))
        pixels, parts = np.memmap(self.pixel_file, np.uint8, "r"), _places(self.shapes)

        def read(at: int) -> Levels:
            start, shape = parts[places[at]]
            return pixels[start : start + int(np.prod(shape))].reshape(shape)

        return Pictures(names, read)


def _usable(files: Sequence[Path], recipe: Recipe, cache: Path, report: Report) -> _Usable:
    """As `decoded`, before some of them are chosen."""
    mark = _mark(files, recipe)
    index_file, pixel_file = cache.with_suffix(".json"), cache.with_suffix(".u8")
    index = runs.read_json(index_file) if index_file.exists() else {}
    if index.get("mark") != mark:
        index = _decode(files, recipe, pixel_file, mark)
        runs.write_json(index_file, index)
    for name, reason in index["left_out"]:
        report(f"left out {name}: {reason}")
    if index["left_out"]:
        report(f"left out {len(index['left_out'])} of {len(files)} images of {files[0].parent}")
    if not index["images"]:
        raise ValueError(
            f"{files[0].parent}: none of {len(files)} images can be used; the first: {index['left_out'][0][1]}"
        )
    shapes = [shape for _, shape in index["images"]]
    cached_pixels = pixel_file if index["cached"] else None
    return _Usable([files[at] for at in index["used"]], shapes, cached_pixels, recipe, report)


def _from_files(files: Sequence[Path], recipe: Recipe, report: Report) -> Callable[[int], Levels]:
    """Read a file each time; one that went bad since the run began is reported once, and the next taken instead."""
    bad: set[int] = set()

    def read(at: int) -> Levels:
        for index in (*range(at, len(files)), *range(at)):
            if index not in bad:
                try:
                    return _prepared(files[index], recipe)
                except UnreadableImage as error:
                    bad.add(index)
                    report(f"left out {files[index].name}: {error}")
        raise ValueError(f"{files[0].parent}: no image can be read any more")

    return read


def _mark(files: Sequence[Path], recipe: Recipe) -> str:
    """A hash that changes when a file or its preparation does."""
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    prepared = (recipe.load, recipe.side, getattr(recipe, "as_published", False))
    return hashlib.sha256(json.dumps([stamps, prepared]).encode()).hexdigest()


def _decode(files: Sequence[Path], recipe: Recipe, pixel_file: Path, mark: str) -> dict[str, Any]:
    pixel_file.parent.mkdir(parents=True, exist_ok=True)
    partial = pixel_file.with_suffix(".part")  # processes that have mapped the old file keep it
    try:
        index = _write_pixels(files, recipe, partial)
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = error.strerror or error
        raise OSError(
            f"{pixel_file}: decoded images cannot be kept here ({reason}); choose another --out"
        ) from None
    if index["cached"]:
        partial.replace(pixel_file)
    else:
        partial.unlink()
    return index | {"mark": mark}


def _write_pixels(files: Sequence[Path], recipe: Recipe, target: Path) -> dict[str, Any]:
    """Write the images one after another, as long as they fit, and return an index of them."""
    images, used, left_out = [], [], []
    written, limit = 0, int(CACHE_GIB * 2**30)
    with target.open("wb") as pixels:
        for at, path in enumerate(files):
            try:
                picture = _prepared(path, recipe)
            except UnreadableImage as error:
                left_out.append((path.name, str(error)))
                continue
            written += picture.nbytes
            if written <= limit:
                pixels.write(picture.tobytes())
            images.append((path.stem, picture.shape))
            used.append(at)
    return {"cached": written <= limit, "images": images, "used": used, "left_out": left_out}


def _prepared(path: Path, recipe: Recipe) -> Levels:
    """One image as RGB bytes, scaled as the recipe says.

    Raises:
        UnreadableImage: when it is damaged, of another depth, or smaller than the crop.
    """
    array = load(path, alpha="white")
    if array.dtype != np.uint8:
        raise UnreadableImage(f"{path}: is {array.dtype}; the lab takes 8-bit images")
    picture = _as_rgb(array)
    if recipe.load:
        height, width = picture.shape[:2]
        scale = recipe.load / min(height, width)
        size = (
            (recipe.load, recipe.load)
            if getattr(recipe, "as_published", False)
            else (
                max(recipe.load, round(width * scale)),
                max(recipe.load, round(height * scale)),
            )
        )  # fmt: skip - the seed squashed its images to a square
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    if min(picture.shape[:2]) < recipe.side:
        raise UnreadableImage(
            f"{path}: {picture.shape[1]}x{picture.shape[0]} px is smaller than the crop of {recipe.side} (--side)"
        )
    return picture


def _as_rgb(array: Levels) -> Levels:
    planes = array if array.ndim == 3 else array[:, :, None]
    return np.repeat(planes, 3, 2) if planes.shape[2] == 1 else planes


def _places(shapes: Sequence[Sequence[int]]) -> list[tuple[int, tuple[int, ...]]]:
    starts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    return [(int(start), tuple(shape)) for start, shape in zip(starts, shapes, strict=False)]


def order(seed: int, epoch: int, count: int) -> NDArray[np.intp]:
    """The order of an epoch.

    Example:
        >>> order(0, 0, 5).tolist() == order(0, 0, 5).tolist() != order(0, 1, 5).tolist()
        True
    """
    return np.random.default_rng([seed, epoch]).permutation(count)


def crop(picture: Levels, side: int, flip: bool, chance: np.random.Generator) -> Levels:
    """A random square of a picture, mirrored half of the time where ``flip``."""
    top, left = (int(chance.integers(0, extent - side + 1)) for extent in picture.shape[:2])
    square = picture[top : top + side, left : left + side]
    mirrored = chance.random() < 0.5
    return square[:, ::-1] if flip and mirrored else square


def crops(pictures: Pictures, recipe: Recipe, seed: int, positions: Sequence[int]) -> list[Levels]:
    """The crops at some positions of the endless stream of a seed; a position is images seen so far."""
    squares = []
    for position in positions:
        epoch, index = divmod(position, len(pictures))
        at = int(order(seed, epoch, len(pictures))[index])
        squares.append(
            crop(pictures.read(at), recipe.side, recipe.flip, np.random.default_rng([seed, epoch, index, 1]))
        )
    return squares


def as_tensor(squares: Sequence[Levels]) -> Tensor:
    """Crops as a batch ``(n, 3, h, w)`` in [0, 1].

    Example:
        >>> float(as_tensor([np.full((2, 2, 3), 255, np.uint8)]).max())
        1.0
    """
    return torch.from_numpy(np.stack(squares).transpose(0, 3, 1, 2).copy()).float() / 255


def as_levels(image: Tensor) -> Levels:
    """One image ``(3, h, w)`` as bytes ``(h, w, 3)``, clipped to [0, 1] and rounded, never stretched."""
    return (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def held_crops(pictures: Pictures, side: int, most: int) -> Held:
    """Crops to judge on: each picture is tiled without overlap, and the pictures give one tile each in turn."""
    tiles: list[tuple[int, int, str, Levels]] = []
    for at, name in enumerate(pictures.names):
        picture = pictures.read(at)
        rows, columns = (extent // side for extent in picture.shape[:2])
        for turn in range(min(rows * columns, most)):
            row, column = divmod(turn, columns)
            top, left = (
                (extent - count * side) // 2 + index * side
                for extent, count, index in zip(picture.shape[:2], (rows, columns), (row, column), strict=True)
            )
            label = name if rows * columns == 1 else f"{name} {turn}"
            tiles.append((turn, at, label, picture[top : top + side, left : left + side]))
    if not tiles:
        raise ValueError(f"held-out images: none has room for a crop of {side} px; take a smaller --side")
    chosen = sorted(tiles, key=lambda tile: tile[:2])[:most]
    return Held(tuple(label for _, _, label, _ in chosen), as_tensor([square for *_, square in chosen]))
