"""Folders of videos → a table of scores: a row a video, which holds the means over its frames.

The same walk as for folders of images: what belongs together, what is scored already, the journal, the table. The
frames of one video depend on each other, so intervals and tests are over videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from lookalike import registry
from lookalike.batches import usable_device
from lookalike.records import tables
from lookalike.scoring import recipe as recipes
from lookalike.scoring.journal import Entry
from lookalike.scoring.pairs import Pairs, find
from lookalike.scoring.recipe import Luma, Recipe, Resize, Work
from lookalike.scoring.run import Columns, Progress, Scored, claimed, cores, tabled
from lookalike.scoring.video.alignment import Shifts
from lookalike.scoring.video.score import Align, aligned, entries, late, noted
from lookalike.scoring.video.scorer import FrameScorer
from lookalike.scoring.video.streams import decoding_errors
from lookalike.scoring.video.treatment import Survey, check_same, survey

_PROBED = 100  # pairs tried for how their frames are read
_FAILURES = (ValueError, TypeError, OSError, MemoryError)


def score_video_folders(
    reference: Path,
    folders: Sequence[Path],
    metrics: Sequence[str] | None = None,
    *,
    output: Path | None = None,
    match: str = "stem",
    convention: str | None = None,
    alpha: str | None = None,
    crop_border: int = 0,
    luma: Luma | None = None,
    resize: Resize | None = None,
    align: Align | None = None,
    offset: int = 0,
    yuv: bool = False,
    device: str = "cpu",
    hashed: bool = False,
    workers: int | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[Scored, list[str]]:
    """Score every video of some folders against its reference.

    Args:
        reference: the folder of references.
        folders: one a method.
        metrics: names; None takes every cheap metric.
        output, match, hashed, workers, seed, force, progress: see `run.score_folders`.
        convention, alpha, crop_border, luma, resize, device: see `recipe.Recipe`.
        align, offset, yuv: see `score.score_videos`; one offset for all.

    Returns:
        What was found, and what should be known of the videos scored now, a line each. A video with a frame that
        has no number has none itself, and says why; so has one whose frames are read in another way than those of
        the first, for one column has one signature.

    Raises:
        TypeError, ValueError: for what no pair could be scored with.
        ImportError: without PyAV, and for a table whose package is not installed.
        OSError: when the disk does not take it; what was scored stays in the journal.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"score: --workers is a number of threads >= 1, got {workers}")
    if output is not None:
        tables.check(output)
    pairs = find(reference, folders, match, videos=True)
    claimed(output, pairs, force)
    first = _first(pairs, align, yuv)
    recipe = Recipe(
        metrics=tuple(registry.cheap() if metrics is None else metrics), named=metrics is not None,
        convention=convention, alpha=alpha, crop_border=crop_border, luma=luma, resize=resize,
        device=usable_device(device), hashed=hashed,
        before=(("rotation", "header"), *aligned(align, offset), ("pool", "mean")),
    )  # fmt: skip
    scorer = FrameScorer(recipe, first.treatment._replace(turns=None), yuv)
    remarks: list[str] = []

    def batches(works: Iterator[Work]) -> Iterator[list[Entry]]:
        for work in works:
            for method, path in work.images:
                yield [_scored(scorer, work, method, path, align, offset, yuv, workers or cores(), remarks)]

    columns = Columns(scorer.names, scorer.signatures, scorer.better)
    found = tabled(pairs, columns, recipe, batches, output=output, seed=seed, progress=progress)
    return found, remarks


def _first(pairs: Pairs, align: Align | None, yuv: bool) -> Survey:
    """How the frames of the first pair that can be read are read; where none can, the first reason is raised."""
    reasons = []
    for method, group in islice(pairs.numbered(), _PROBED):
        reference, judged = map(Path, pairs.paths(method, group))
        try:
            known = survey(reference, judged, align)
            if yuv:
                check_same(known.treatment, reference, judged)
            return known
        except ValueError as error:
            reasons.append(error)
    raise reasons[0]


def _scored(
    scorer: FrameScorer, work: Work, method: str, path: str, align: Align | None, offset: int, yuv: bool,
    workers: int, remarks: list[str],
) -> Entry:  # fmt: skip
    """The means over the frames of one video, or why there are none."""
    reference, judged = Path(work.reference), Path(path)
    hashed = scorer.seen.recipe.hashed
    stamps = recipes.stamp(work.reference, hashed), recipes.stamp(path, hashed)
    key = method, work.pair
    try:
        known = survey(reference, judged, align)
        if yuv:
            check_same(known.treatment, reference, judged)
        own = scorer.of(known.treatment)
        shifts = Shifts()
        together = noted(shifts, reference, judged, align, offset)
        frames = list(entries(own, method, together, workers))
    except (*_FAILURES, *decoding_errors()) as error:
        return Entry(key, stamps, None, (None,) * len(scorer.names), " ".join(str(error).split()), {})
    remarks += known.remarks
    if shift := shifts.best():
        remarks.append(late(judged, offset, shift))
    return _pooled(key, stamps, scorer.names, frames)


def _pooled(key: tuple[str, str], stamps: tuple[str, str], names: Sequence[str], frames: Sequence[Entry]) -> Entry:
    """One entry of those of the frames."""
    failed = [entry for entry in frames if entry.error is not None]
    declined = {
        name: f"{reason} (frame {int(entry.key[1])})"
        for entry in reversed(frames)
        for name, reason in entry.declined.items()
    }
    error = None
    values: tuple[float | None, ...] = (None,) * len(names)
    if failed:
        error = (
            f"{len(failed)} of {len(frames)} frames have no number; the first, frame {int(failed[0].key[1])}: "
            f"{failed[0].error}"
        )
    else:
        columns = zip(*(entry.values for entry in frames), strict=True)
        values = tuple(
            None if any(value is None for value in column) else float(np.mean(np.array(column, np.float64)))
            for column in columns
        )
    return Entry(key, stamps, frames[0].size, values, error, {} if error else declined)
