"""Tables of scores with opinions."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lookalike.agree.correlation import LEAST, Agreement, Fit, agreement
from lookalike.agree.opinions import Better
from lookalike.options import meant, there_are

ALL = "all"
OPINIONS = ("mos", "dmos", "opinion")  # the names under which a column of opinions is known
DISTORTIONS = ("distortion", "dis_type", "dist_type")


class Records(NamedTuple):
    """Scores and opinions of the same images.

    Attributes:
        opinions: ``(n,)``.
        better: their direction.
        scores: of each metric, ``(n,)``; NaN where there is none.
        distortions: of each image, or None.
    """

    opinions: NDArray[np.float64]
    better: Better
    scores: dict[str, NDArray[np.float64]]
    distortions: list[str] | None


def read(
    path: Path,
    *,
    opinion: str | None = None,
    better: Better | None = None,
    distortion: str | None = None,
    metrics: Sequence[str] | None = None,
) -> Records:
    """Read a csv with a header: one column of opinions, one a metric, and any others, which are left alone.

    Args:
        path: the file.
        opinion: name of the column of opinions; None: ``mos``, ``dmos`` or ``opinion``.
        better: direction of the opinions; None: ``dmos`` is lower, any other higher.
        distortion: name of the column of distortions; None: ``distortion``, where there is one.
        metrics: names of columns; None: all columns that are numbers, in half
            of their cells or more.

    Raises:
        ValueError: for a missing file or column, and cells that are not finite numbers, with the line;
            scores may be missing or infinite.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            lines = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a csv table ({error})") from None
    if duplicates := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(
            f"{path}: has several columns {', '.join(map(repr, duplicates))}; rename or drop all but one"
        )
    for number, row in lines:
        if None in row or None in row.values():
            raise ValueError(f"{path}: line {number}: has not the {len(names)} cells of the header")
    if not lines:
        raise ValueError(f"{path}: has no rows below its header")
    column = _column_named(path, names, opinion, OPINIONS, "opinions")
    kinds = (
        _column_named(path, names, distortion, DISTORTIONS, "distortions")
        if distortion
        else _first(names, DISTORTIONS)
    )
    if metrics and len(set(metrics)) < len(metrics):
        raise ValueError(f"agree: a metric is named twice in {', '.join(metrics)}")
    requested = [_column_named(path, names, name, (), "a metric") for name in metrics] if metrics else None
    scored = requested or [name for name in names if name not in (column, kinds) and _is_numeric(lines, name)]
    if not scored:
        raise ValueError(f"{path}: has no column of scores beside {column!r}")
    return Records(
        _numbers(path, lines, column, blank=False),
        better or ("lower" if column.lower() == "dmos" else "higher"),
        {name: _numbers(path, lines, name, blank=True) for name in scored},
        [row[kinds] or "" for _, row in lines] if kinds else None,
    )


def rises(records: Records, metric: str) -> bool:
    """Whether the scores rise with the opinions, in the data at hand."""
    finite = np.isfinite(records.scores[metric])
    scores, opinions = records.scores[metric][finite], records.opinions[finite]
    return len(scores) < LEAST or bool(np.cov(stats.rankdata(scores), stats.rankdata(opinions))[0, 1] >= 0)


def shared(records: Records) -> tuple[Records, dict[str, int]]:
    """The images of which every metric has a finite score, so that all are judged by the same images.

    Args:
        records: of any images.

    Returns:
        The records of those images, and how many scores each metric lacks.

    Example:
        >>> opinions = np.array([1.0, 2.0, 3.0])
        >>> scores = {"psnr": np.array([20.0, 30.0, 40.0]), "ssim": np.array([0.5, np.nan, 0.9])}
        >>> kept, lacking = shared(Records(opinions, "higher", scores, None))
        >>> kept.opinions.tolist(), lacking
        ([1.0, 3.0], {'psnr': 0, 'ssim': 1})
    """
    finite = {name: np.isfinite(scores) for name, scores in records.scores.items()}
    lacking = {name: int((~mask).sum()) for name, mask in finite.items()}
    kept = np.all(list(finite.values()), axis=0)
    kinds = records.distortions
    return Records(
        records.opinions[kept],
        records.better,
        {name: scores[kept] for name, scores in records.scores.items()},
        None if kinds is None else [kind for kind, mask in zip(kinds, kept, strict=True) if mask],
    ), lacking


def by_distortion(
    records: Records, metric: str, *, rising: bool, fit: Fit = "logistic5", resamples: int = 1000, seed: int = 0
) -> dict[str, Agreement]:
    """Agreement over all images, under the name `ALL`, and of each distortion that has images enough for the fit.

    Args:
        records: scores with opinions; images without a score of this metric do not count.
        metric: one of ``records.scores``.
        rising, fit, resamples, seed: as in `agreement`.

    Raises:
        ValueError: as `agreement`, for all images together.
    """
    scores = records.scores[metric]
    kinds = np.array([ALL] * len(scores) if records.distortions is None else records.distortions)
    finite = np.isfinite(scores)
    if finite.sum() < LEAST:
        raise ValueError(f"agree: needs at least {LEAST} pairs, got {finite.sum()} with a score of {metric}")
    if np.ptp(scores[finite]) == 0:
        raise ValueError(f"agree: all scores of {metric} are {scores[finite][0]:g}, which orders nothing")
    agreements = {}
    for kind in (ALL, *dict.fromkeys(kinds.tolist())):
        chosen = finite if kind == ALL else finite & (kinds == kind)
        chosen_pairs = scores[chosen], records.opinions[chosen]
        if kind != ALL and (chosen.sum() < LEAST or any(np.ptp(values) == 0 for values in chosen_pairs)):
            continue
        agreements[kind] = agreement(*chosen_pairs, rising=rising, fit=fit, resamples=resamples, seed=seed)
    return agreements


def _column_named(path: Path, names: Sequence[str], name: str | None, known: Sequence[str], what: str) -> str:
    if name is None:
        column = _first(names, known)
        if column is None:
            raise ValueError(
                f"{path}: needs a column of {what} ({', '.join(known)}); it has {', '.join(names)}; "
                "name the one that is meant"
            )
        return column
    if name not in names:
        raise ValueError(f"{path}: has no column {name!r}{meant(name, names)}; {there_are(name, names)}")
    return name


def _first(names: Sequence[str], known: Sequence[str]) -> str | None:
    for name in known:
        match [column for column in names if column.lower() == name]:
            case [column]:
                return column
            case [_, _, *_] as several:
                raise ValueError(f"agree: {' and '.join(several)} could be meant; name the column that is")
    return None


def _numbers(
    path: Path, lines: Sequence[tuple[int, Mapping[str, str | None]]], name: str, *, blank: bool
) -> NDArray[np.float64]:
    values = []
    for number, row in lines:
        cell = row[name]
        if not cell and blank:
            values.append(math.nan)
        elif not _is_number(cell):
            raise ValueError(f"{path}: line {number}: {name} is {cell!r}, not a number")
        else:
            values.append(float(cell or ""))
            if not blank and not math.isfinite(values[-1]):
                raise ValueError(f"{path}: line {number}: {name} is {cell!r}, not a finite number")
    return np.array(values)


def _is_numeric(lines: Sequence[tuple[int, Mapping[str, str | None]]], name: str) -> bool:
    """Whether a column is numeric: a word among them is a mistake, a number among words is a name."""
    cells = [row[name] for _, row in lines if row[name]]
    return bool(cells) and 2 * sum(map(_is_number, cells)) >= len(cells)


def _is_number(cell: str | None) -> bool:
    try:
        float(cell or "")
    except ValueError:
        return False
    return True
