"""How pairs are scored: the metrics, and what is done to a pair before them. A recipe travels to other machines; a
scorer is a recipe made ready, with its metrics.
"""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lookalike import batches, conventions, files, ranges, signature
from lookalike.metric import Metric
from lookalike.ranges import DataRange
from lookalike.scoring.columns import Column, check_convention, column, cropped, luma
from lookalike.scoring.journal import Entry
from lookalike.scoring.masks import Mask, Rectangle

Luma = Literal[conventions.Luma, "ycbcr"]
Resize = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
_DEPTHS = (255.0, 65535.0)  # what a range of integers is; the other images are floats
NOT_A_NUMBER = "the score is not a number (NaN)"


class Work(NamedTuple):
    """One reference and images to be compared with it.

    Attributes:
        pair: what they are called.
        reference: path.
        images: (method, path) each.
    """

    pair: str
    reference: str
    images: tuple[tuple[str, str], ...]


class Decoded(NamedTuple):
    """One pair, read and brought to the unit range, or why it could not be."""

    key: tuple[str, str]
    stamp: tuple[str, str]
    batches: tuple[Tensor, Tensor] | None
    error: str | None
    profile: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How pairs are scored.

    Attributes:
        metrics: names, with options where `columns.column` takes them.
        named: whether they were asked for by name: a metric that declines a pair is then an error of its row.
        carried: the range that every pair must carry, for one column has one signature: 255 (8-bit), 65535
            (16-bit), or the range of float images.
        floats: whether the images are float images.
        convention: for the metrics that have conventions.
        alpha: background of transparent pictures, ``"white"`` or ``"black"``.
        profile: ``"srgb"``, or ``"ignore"`` for the numbers of files whatever their colour profile.
        max_pixels: the most that a file may claim.
        crop_border: pixels cut off at each edge, after resizing.
        luma: score this luma of colour images instead of their channels: a rule of `ops.colour.luma`, or
            ``"ycbcr"``, the Y of 16 to 235 (of 255) that super-resolution reports.
        resize: filter by which a judged image is brought to its reference's size; None refuses other sizes.
        device: that computes.
        mask: a file whose white pixels count, for metrics that take a mask; None: all count.
        ignored: rectangles (left, top, width, height) that do not count, likewise.
        hashed: whether a changed file is known by its SHA-256 instead of size and time.
        before: what was done before all this, which signatures name: of videos, how frames became pictures.
        batch: pairs of one size scored together; None: one on the CPU, where more gain nothing, elsewhere 16.

    Raises:
        ValueError: for unknown names, and a crop that is negative.
    """

    metrics: tuple[str, ...]
    named: bool = True
    carried: DataRange = 255.0
    floats: bool = False
    convention: str | None = None
    alpha: str | None = None
    profile: str = "srgb"
    max_pixels: int = files.MAX_PIXELS
    crop_border: int = 0
    luma: Luma | None = None
    resize: Resize | None = None
    device: str = "cpu"
    mask: str | None = None
    ignored: tuple[Rectangle, ...] = ()
    hashed: bool = False
    before: tuple[tuple[str, str | int | None], ...] = ()
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.crop_border < 0:
            raise ValueError(f"score: --crop-border is a number of pixels >= 0, got {self.crop_border}")
        if len(set(self.metrics)) != len(self.metrics):
            raise ValueError(f"score: a metric is named twice in {', '.join(self.metrics)}")


class Scorer:
    """A recipe made ready.

    Args:
        recipe: what is done.

    Raises:
        ValueError: for a metric, convention or device that is not there, and a mask that is none or that a metric
            does not take.
    """

    def __init__(self, recipe: Recipe) -> None:
        asked = [column(text) for text in recipe.metrics]
        check_convention(recipe.convention, asked)
        self.recipe = recipe
        self.batch = recipe.batch or (1 if recipe.device == "cpu" else 16)
        self.mask = Mask(recipe.mask, recipe.ignored)
        self.metrics: list[Metric] = []
        self.columns: list[Column] = []
        for entry in asked:
            if recipe.luma and entry.luma:
                raise ValueError(
                    f"score: {entry.name} is of luma, and so is everything by --luma; keep one of them"
                )
            try:
                metric = entry.made(recipe.convention).to(recipe.device).eval()
                if self.mask and not metric.facts.masks:
                    raise ValueError(
                        f"score: {entry.name} takes no mask; `lookalike metrics` says which metrics do"
                    )
            except ValueError:
                if recipe.named:  # a metric that lacks this convention is left out where all were meant
                    raise
                continue
            self.metrics.append(metric)
            self.columns.append(entry)
        self.names = tuple(entry.name for entry in self.columns)
        if len(set(self.signatures.values())) != len(self.columns):
            raise ValueError(f"score: {', '.join(recipe.metrics)} names a metric twice")
        if not self.columns:
            raise ValueError("score: no metric is left that takes what was asked for; name some with -m")

    @cached_property
    def signatures(self) -> dict[str, str]:
        """How the numbers of each metric are made, what is done before the metric among it."""
        recipe = self.recipe
        before = {
            **dict(recipe.before),
            "alpha": recipe.alpha,
            "resize": recipe.resize,
            **self.mask.settings(),
        }
        return {
            entry.name: signature.extended(
                metric.signature(recipe.carried),
                before
                | {"crop": recipe.crop_border + entry.crop_border or None, "luma": recipe.luma or entry.luma},
            )
            for entry, metric in zip(self.columns, self.metrics, strict=True)
        }

    @cached_property
    def better(self) -> dict[str, str]:
        """The direction of each metric."""
        return {entry.name: metric.facts.better for entry, metric in zip(self.columns, self.metrics, strict=True)}

    def decode(self, work: Work) -> list[Decoded]:
        """Read a reference once and every image that is compared with it; never raises for what a file holds."""
        known = stamp(work.reference, self.recipe.hashed)
        try:
            reference = self.read(work.reference)
        except Exception as error:  # whatever a decoder raises is an error of these rows; the run goes on
            return [self._failed(work, method, path, known, error) for method, path in work.images]
        found = []
        for method, path in work.images:
            stamps = known, stamp(path, self.recipe.hashed)
            try:
                image = self.read(path)
                pair = self.pair(image.pixels, reference.pixels)
            except Exception as error:
                found.append(self._failed(work, method, path, known, error))
            else:
                profile = image.profile or reference.profile
                found.append(Decoded((method, work.pair), stamps, pair, None, profile))
        return found

    def read(self, path: str) -> files.Picture:
        """A file as the recipe has it.

        Raises:
            files.UnreadableImage: with the reason.
        """
        recipe = self.recipe
        return files.read(path, alpha=recipe.alpha, profile=recipe.profile, max_pixels=recipe.max_pixels)

    def score(self, decoded: Sequence[Decoded]) -> list[Entry]:
        """The entries of pairs; those of one size are scored together where the recipe says so."""
        together: dict[Any, list[Decoded]] = {}
        for index, one in enumerate(decoded):
            together.setdefault(index if one.batches is None else one.batches[0].shape, []).append(one)
        entries: dict[tuple[str, str], Entry] = {}
        for group in together.values():
            for start in range(0, len(group), self.batch):
                for entry in self._scored(group[start : start + self.batch]):
                    entries[entry.key] = entry
        return [entries[one.key] for one in decoded]

    def pair(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Tensor, Tensor]:
        """An image and its reference, ``(h, w)`` or ``(h, w, 3)``, as batches in the unit range.

        Raises:
            TypeError, ValueError: when they cannot be compared.
        """
        recipe = self.recipe
        if x.shape[:2] != y.shape[:2]:
            if not recipe.resize:
                sizes = [f"{image.shape[1]}x{image.shape[0]} px" for image in (x, y)]
                raise ValueError(
                    f"the image judged is {sizes[0]}, the reference {sizes[1]}; crop or resize it yourself, or "
                    "name a rule with --resize: the way it is done changes every number"
                )
            low, high = ranges.bounds(recipe.carried)
            fits = low <= x.min() and x.max() <= high
            x = resized(x, (y.shape[1], y.shape[0]), recipe.resize)
            if recipe.floats and fits:  # what bicubic and Lanczos overshoot, which integers cannot
                x = x.clip(low, high)
        stated = recipe.carried if recipe.floats else None
        a, b, carried = batches.load_pair(x, y, data_range=stated, widen=recipe.luma is not None)
        if carried != recipe.carried:
            kinds = [
                ranges.describe_range(found if found in _DEPTHS else None) for found in (recipe.carried, carried)
            ]
            raise ValueError(
                f"this table is of {kinds[0]} images and this pair is {kinds[1]}: its numbers would have another "
                "signature; score it apart"
            )
        counts = cropped(self.mask.weights(a), recipe.crop_border) if self.mask else None
        a, b = cropped(a, recipe.crop_border), cropped(b, recipe.crop_border)
        if counts is None:
            a, b = batches.pair(a, b, who="score", data_range=carried)
        else:
            a, b, _ = batches.masked_pair(a, b, counts, who="score", data_range=carried)
        return luma(a, recipe.luma), luma(b, recipe.luma)

    def _failed(self, work: Work, method: str, path: str, known: str, error: BaseException) -> Decoded:
        stamps = known, stamp(path, self.recipe.hashed)
        return Decoded((method, work.pair), stamps, None, _said(error))

    def _scored(self, group: Sequence[Decoded]) -> list[Entry]:
        """Entries of pairs of one size."""
        [first, *_] = group
        if first.batches is None:
            nothing = (None,) * len(self.metrics)
            return [Entry(one.key, one.stamp, None, nothing, one.error, {}) for one in group]
        with torch.inference_mode():
            x, y = (
                torch.cat([one.batches[side] for one in group if one.batches]).to(self.recipe.device)
                for side in (0, 1)
            )
            columns = self._values(x, y)
        size = x.shape[3], x.shape[2]
        reasons = {
            name: column for name, column in zip(self.names, columns, strict=True) if isinstance(column, Exception)
        }
        broke = [one for one in reasons.values() if not isinstance(one, (ValueError, TypeError))]
        raised = list(reasons.values()) if self.recipe.named else broke
        error = "; ".join(map(_said, raised)) or None
        declined = {} if error else {name: _said(one) for name, one in reasons.items()}
        entries = []
        for index, one in enumerate(group):
            values = tuple(None if isinstance(column, Exception) else column[index] for column in columns)
            stamps = ("", "") if broke else one.stamp  # never known: a full memory is no reason tomorrow
            undefined = [
                f"{name}: {NOT_A_NUMBER}"
                for name, value in zip(self.names, values, strict=True)
                if value is not None and math.isnan(value)
            ]
            failed = "; ".join([*filter(None, [error]), *undefined]) or None
            entries.append(Entry(one.key, stamps, size, values, failed, declined, one.profile))
        return entries

    def _values(self, x: Tensor, y: Tensor) -> list[list[float] | Exception]:
        """The scores of a batch, column by column, or why there are none."""
        mask = None
        if self.mask:
            border = self.recipe.crop_border
            rows, columns = (side + 2 * border for side in x.shape[2:])
            mask = cropped(self.mask.weights(x.new_empty(len(x), 1, rows, columns)), border)
        return [
            self._column(entry, metric, x, y, mask)
            for entry, metric in zip(self.columns, self.metrics, strict=True)
        ]

    def _column(
        self, entry: Column, metric: Metric, x: Tensor, y: Tensor, mask: Tensor | None
    ) -> list[float] | Exception:
        """The scores of a batch, or why there are none: a metric that declines raises ValueError or TypeError."""
        try:
            x, y = entry.treated(x), entry.treated(y)
            if mask is None:
                return metric(x, y).double().tolist()
            return metric(x, y, cropped(mask, entry.crop_border)).double().tolist()
        except Exception as error:  # whatever a metric raises is an error of these rows; the run goes on
            return error.with_traceback(None)


def carried_by(paths: Iterable[str], data_range: DataRange | None, **reading: Any) -> tuple[DataRange, bool]:
    """The range that the first readable image carries, and whether it is a float image.

    Args:
        paths: of images.
        data_range: of float images.
        reading: options of `files.load`.
    """
    for path in paths:
        try:
            carried = batches.as_batch(files.load(path, **reading))[1]
        except Exception:  # whatever a decoder raises is said where the pair is scored
            continue
        if carried is None:
            return (1.0 if data_range is None else data_range), True
        return carried, False
    return 255.0, False


def resized(image: NDArray[Any], size: tuple[int, int], rule: Resize) -> NDArray[Any]:
    """An image at another size by Pillow's filter, widened where it shrinks; integers are rounded.

    Args:
        image: ``(h, w)`` or ``(h, w, 3)``, uint8, uint16 or float32.
        size: width and height in pixels.
        rule: the filter.

    Example:
        >>> resized(np.array([[0, 0, 60000, 60000]], np.uint16), (2, 1), "box").tolist()
        [[0, 60000]]
    """
    how = Image.Resampling[rule.upper()]
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size, how))
    planes = np.atleast_3d(image).astype(np.float32).transpose(2, 0, 1)
    made = np.stack([np.asarray(Image.fromarray(plane).resize(size, how)) for plane in planes], 2)
    if image.dtype == np.uint16:
        made = np.clip(np.rint(made), 0, 65535).astype(np.uint16)
    return made if image.ndim == 3 else made[..., 0]


def stamp(path: str, hashed: bool) -> str:
    """What tells a file from a changed one, or from another: its place, size and time, or its SHA-256; "" for one
    that cannot be asked.
    """
    try:
        if hashed:
            files.check_regular(path)  # a FIFO would wait, a device never end
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    place = zlib.crc32(os.fsencode(os.path.abspath(path)))  # copies, and what an archive unpacks, share their times
    return f"{found.st_size}:{found.st_mtime_ns}:{place:08x}"


def _said(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
