"""Two videos, frame by frame, read by PyAV (FFmpeg).

Frames are compared as they are seen: turned as the header says, brought to RGB by the levels and the matrix that
the file names or that are assumed, which the signature says. Frames of the same number belong together, or those
shown at the same time. Where one video lacks a frame that the other has, as their times show, the rows from there
on have an error; so they have from a frame on that the decoder calls damaged, which it does alike under any load.
What a video without checksums does not show to be damaged is scored as it looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from lookalike import options, registry
from lookalike.batches import usable_device
from lookalike.records import outputs, statistics, tables
from lookalike.records.tables import Row
from lookalike.scoring.journal import Entry
from lookalike.scoring.masks import Rectangle
from lookalike.scoring.recipe import Luma, Recipe, Resize
from lookalike.scoring.run import Progress, cores, one_thread_each
from lookalike.scoring.video.alignment import MISSING, REACH, Shift, Shifts, Together, by_number, by_time
from lookalike.scoring.video.frames import Frame
from lookalike.scoring.video.scorer import FrameScorer
from lookalike.scoring.video.streams import opened
from lookalike.scoring.video.treatment import check_same, survey

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_AHEAD = 3  # frames a worker, waiting or done
_FAR = 1_000_000  # frames, an offset at most
_TRIED = 300  # frames that are looked at to find an offset

Align = Literal["number", "time"]


@dataclass(frozen=True)
class Watched:
    """What was found of two videos.

    Attributes:
        signatures, better: of each metric.
        statistics: as `statistics.describe` gives them, with ``"percentiles": {metric: {percent: score}}``.
        rows: one a frame of the reference, as in the table: ``pair`` is its number from 0.
        remarks: what should be known of the videos, a line each.
        declined: metrics not asked for by name: how many frames they declined, and why the first.
    """

    signatures: dict[str, str]
    better: dict[str, str]
    statistics: dict[str, Any]
    rows: list[Row]
    remarks: list[str] = field(default_factory=list)
    declined: dict[str, tuple[int, str]] = field(default_factory=dict)


def score_videos(
    reference: Path,
    judged: Path,
    metrics: Sequence[str] | None = None,
    *,
    output: Path | None = None,
    convention: str | None = None,
    alpha: str | None = None,
    mask: str | None = None,
    ignored: tuple[Rectangle, ...] = (),
    crop_border: int = 0,
    luma: Luma | None = None,
    resize: Resize | None = None,
    align: Align | None = None,
    offset: int | Literal["auto"] = 0,
    yuv: bool = False,
    device: str = "cpu",
    workers: int | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Watched:
    """Score every frame of a video against its reference.

    Args:
        reference: the video that is right.
        judged: the video to be judged.
        metrics: names; None takes every cheap metric.
        output: the table, a row a frame.
        convention, alpha, mask, ignored, crop_border, luma, resize, device: see `recipe.Recipe`.
        align: frames of the same ``"number"``, or shown at the same ``"time"``; None: of the same number, and
            videos of other rates are refused.
        offset: by how many frames of the reference the judged video is late (negative: early); ``"auto"`` finds it,
            up to 30, in the first 300 frames.
        yuv: score the planes as they are decoded as well, which other programs compare: columns ``NAME_y``,
            ``NAME_u`` and ``NAME_v``.
        workers: threads; None: one a core.
        seed: of the bootstrap.
        force: replace files at the output's place that lookalike did not write.
        progress: told how many frames are done, of how many the reference claims.

    Returns:
        What was found. Where one video is longer, or damaged from some frame on, its rows have an error.

    Raises:
        ValueError: for a file without a picture that can be read, videos of other rates without ``align``, and as
            `recipe.Scorer` says.
        ImportError: without PyAV, with the command that installs it.
    """
    if output is not None:
        tables.check(output)
        for place in (output, tables.metadata_file(output)):
            outputs.claim(place, who="score", inputs=(reference, judged), force=force)
    known = survey(reference, judged, align)
    remarks = list(known.remarks)
    if yuv:
        check_same(known.treatment, reference, judged)
    if offset == "auto":
        offset = _found(reference, judged, align)
        remarks.append(
            f"--offset auto: {_late(judged, offset) if offset else 'no other frames fit clearly better'}"
        )
    recipe = Recipe(
        metrics=tuple(registry.cheap() if metrics is None else metrics), named=metrics is not None,
        convention=convention, alpha=alpha, crop_border=crop_border, luma=luma, resize=resize,
        mask=mask, ignored=ignored, device=usable_device(device), before=aligned(align, offset),
    )  # fmt: skip
    scorer = FrameScorer(recipe, known.treatment, yuv)
    shifts = Shifts()
    rows, declined = [], {}
    together = noted(shifts, reference, judged, align, offset)
    for entry in entries(scorer, judged.stem, together, workers or cores()):
        width, height = entry.size or (None, None)
        rows.append(Row(*entry.key, str(reference), str(judged), width, height, entry.values, entry.error))
        for name, reason in entry.declined.items():
            declined[name] = (declined.get(name, (0, reason))[0] + 1, declined.get(name, (0, reason))[1])
        if progress:
            progress(len(rows), max(known.claimed, len(rows)))
    if shift := shifts.best():
        remarks.append(late(judged, offset, shift))
    if any(row.error and MISSING in row.error for row in rows):
        remarks.append("a frame is missing: --align time compares what is shown at the same time")
    described = _described(rows, scorer, judged.stem, seed)
    if output is not None:
        metadata = {
            "signatures": scorer.signatures, "better": scorer.better, "statistics": described, "remarks": remarks,
        }  # fmt: skip
        tables.write(output, scorer.names, metadata, rows)
    return Watched(scorer.signatures, scorer.better, described, rows, remarks, declined)


def curve(scores: Sequence[float | None], width: int = 60) -> str:
    """A line of blocks, low to high between the least and the greatest mean of equally many frames.

    Example:
        >>> curve([1.0, 2.0, None, 4.0], width=4)
        '▁▃ █'
    """
    parts = [
        part[np.isfinite(part)] for part in np.array_split(np.array(scores, np.float64), min(width, len(scores)))
    ]
    means = [float(part.mean()) if len(part) else None for part in parts]
    known = [mean for mean in means if mean is not None]
    if not known:
        return ""
    low, spread = min(known), (max(known) - min(known)) or 1.0
    return "".join(" " if mean is None else "▁▂▃▄▅▆▇█"[round(7 * (mean - low) / spread)] for mean in means)


def _described(rows: Sequence[Row], scorer: FrameScorer, method: str, seed: int) -> dict[str, Any]:
    values = np.array([[np.nan if value is None else value for value in row.values] for row in rows])
    undefined = np.array([[value is not None and np.isnan(value) for value in row.values] for row in rows])
    described = statistics.describe(
        values[None], [method], scorer.better, lambda index: rows[index].pair, seed, undefined[None]
    )
    described["percentiles"] = {
        name: {str(percent): float(np.percentile(column[np.isfinite(column)], percent)) for percent in PERCENTILES}
        for name, column in zip(scorer.names, values.T, strict=True)
        if np.isfinite(column).any()
    }
    return described


def aligned(align: Align | None, offset: int) -> tuple[tuple[str, str | int | None], ...]:
    """What signatures say of the alignment.

    Raises:
        ValueError: for what is no alignment, and an offset that is no number of frames.

    Example:
        >>> aligned("time", 1), aligned(None, 0)
        ((('align', 'time'), ('offset', 1)), (('align', None), ('offset', None)))
    """
    if align is not None:
        options.choice("score", "align", align, get_args(Align))
    options.whole("score", "offset", offset, least=-_FAR, most=_FAR)
    return ("align", "time" if align == "time" else None), ("offset", offset or None)


def noted(shifts: Shifts, reference: Path, judged: Path, align: Align | None, offset: int) -> Iterator[Together]:
    """What belongs together in two files, and on the way what tells of a shift.

    Args:
        shifts: that the frames are added to.
        reference, judged, align, offset: see `score_videos`.
    """
    with opened(reference) as y, opened(judged) as x:
        for row in (by_time if align == "time" else by_number)(y, x, offset):
            if isinstance(row.reference, Frame) and isinstance(row.judged, Frame):
                shifts.add(row.reference, row.judged)
            yield row


def _found(reference: Path, judged: Path, align: Align | None) -> int:
    """The offset that fits the first frames best."""
    shifts = Shifts()
    for _ in islice(noted(shifts, reference, judged, align, 0), _TRIED + REACH):
        pass
    shift = shifts.best()
    return shift.offset if shift else 0


def late(judged: Path, offset: int, shift: Shift) -> str:
    """What is said of a video that is late, beyond an offset that was given.

    Example:
        >>> late(Path("a.mp4"), 0, Shift(1, 9.6))
        'a.mp4 is 1 frame late: the frames fit 10 dB better then; see --offset 1'
    """
    better = offset + shift.offset
    return f"{_late(judged, better)}: the frames fit {shift.gain:.0f} dB better then; see --offset {better}"


def _late(judged: Path, offset: int) -> str:
    if not offset:
        return f"{judged} is not shifted"
    return f"{judged} is {abs(offset)} frame{'s' * (abs(offset) != 1)} {'late' if offset > 0 else 'early'}"


def entries(scorer: FrameScorer, method: str, rows: Iterator[Together], workers: int) -> Iterator[Entry]:
    """The scores of frames in order; this thread reads, others score.

    Args:
        scorer: of these videos.
        method: what the judged video is called.
        rows: what belongs together.
        workers: threads.
    """
    with one_thread_each(), ThreadPoolExecutor(workers, "score", torch.set_num_threads, (1,)) as pool:
        ahead: deque[Future[Entry]] = deque()
        try:
            for number, y, x in rows:
                ahead.append(pool.submit(scorer, (method, f"{number:06}"), y, x))
                if len(ahead) >= _AHEAD * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
