"""Two videos, frame by frame, read by PyAV (FFmpeg).

Frames belong together by their number. Where one video lacks a frame that the other has, as their times show, the
rows from there on have an error; so they have from a frame on that the decoder calls damaged. What a video without
checksums does not show to be damaged is scored as it looks. Frames are brought to 8-bit RGB by FFmpeg's swscale,
which the signature says (``frames:rgb24``); what a video holds beyond 8 bits is cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike import registry
from lookalike.batches import usable_device
from lookalike.files import UnreadableImage
from lookalike.records import outputs, statistics, tables
from lookalike.records.tables import Row
from lookalike.scoring.journal import Entry
from lookalike.scoring.recipe import Decoded, Luma, Recipe, Resize, Scorer
from lookalike.scoring.run import Progress, cores, one_thread_each

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_AHEAD = 3  # frames a worker, waiting or done

_LOST = 0.75  # of a frame's time: by so much more one video goes on than the other where it lost a frame
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    MemoryError,
)  # what PyAV raises on bytes that are no video, but its own


class Frame(NamedTuple):
    """A picture of a video.

    Attributes:
        pixels: ``(h, w, 3)`` uint8.
        step: time since the frame before it, in frames at the video's rate; None where the video does not say.
    """

    pixels: NDArray[np.uint8]
    step: float | None


Picture = NDArray[np.uint8] | str  # or why there is none


@dataclass(frozen=True)
class Watched:
    """What was found of two videos.

    Attributes:
        signatures, better: of each metric.
        statistics: as `statistics.describe` gives them, with ``"percentiles": {metric: {percent: score}}``.
        rows: one a frame, as in the table: ``pair`` is its number from 0.
    """

    signatures: dict[str, str]
    better: dict[str, str]
    statistics: dict[str, Any]
    rows: list[Row]


def score_videos(
    reference: Path,
    judged: Path,
    metrics: Sequence[str] | None = None,
    *,
    output: Path | None = None,
    convention: str | None = None,
    crop_border: int = 0,
    luma: Luma | None = None,
    resize: Resize | None = None,
    device: str = "cpu",
    workers: int | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Watched:
    """Score every frame of a video against the frame of the same number of its reference.

    Args:
        reference: the video that is right.
        judged: the video to be judged.
        metrics: names; None takes every cheap metric.
        output: the table, a row a frame.
        convention, crop_border, luma, resize, device: see `recipe.Recipe`.
        workers: threads; None: one a core.
        seed: of the bootstrap.
        force: replace files at the output's place that lookalike did not write.
        progress: told how many frames are done, of how many the reference claims.

    Returns:
        What was found. Where one video is longer, or damaged from some frame on, its rows have an error.

    Raises:
        ValueError: for a file without a picture that can be read, and as `recipe.Scorer` says.
        ImportError: without PyAV, with the command that installs it.
    """
    if output is not None:
        tables.check(output)
        for place in (output, tables.metadata_file(output)):
            outputs.claim(place, who="score", inputs=(reference, judged), force=force)
    scorer = Scorer(
        Recipe(
            metrics=tuple(registry.cheap() if metrics is None else metrics), named=metrics is not None,
            convention=convention, crop_border=crop_border, luma=luma, resize=resize, device=usable_device(device),
            frames="rgb24",
        )
    )  # fmt: skip
    claimed = frames_claimed(reference)
    rows = []
    for entry in _entries(scorer, reference, judged, workers or cores()):
        width, height = entry.size or (None, None)
        rows.append(Row(*entry.key, str(reference), str(judged), width, height, entry.values, entry.error))
        if progress:
            progress(len(rows), max(claimed, len(rows)))
    values = np.array([[np.nan if value is None else value for value in row.values] for row in rows])
    undefined = np.array([[value is not None and np.isnan(value) for value in row.values] for row in rows])
    described = statistics.describe(
        values[None], [judged.stem], scorer.better, lambda index: rows[index].pair, seed, undefined[None]
    )
    described["percentiles"] = {
        name: {str(percent): float(np.percentile(column[np.isfinite(column)], percent)) for percent in PERCENTILES}
        for name, column in zip(scorer.names, values.T, strict=True)
        if np.isfinite(column).any()
    }
    if output is not None:
        metadata = {"signatures": scorer.signatures, "better": scorer.better, "statistics": described}
        tables.write(output, scorer.names, metadata, rows)
    return Watched(scorer.signatures, scorer.better, described, rows)


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


def frames_claimed(path: Path) -> int:
    """How many frames a video says that it has; 0 where it does not say."""
    av = _av()
    try:
        with av.open(str(path)) as container:
            return container.streams.video[0].frames if container.streams.video else 0
    except (av.FFmpegError, *_DAMAGE):
        return 0


def frames(path: Path) -> Iterator[Frame]:
    """The frames of the first video stream.

    Raises:
        UnreadableImage: when there is none, or the rest cannot be read as it was written.
    """
    av = _av()
    count = 0
    before = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableImage(f"{path}: holds no video")
            stream = container.streams.video[0]
            _careful(stream.codec_context)
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise UnreadableImage(_damaged(path, count))
                step = None
                if None not in (frame.time, before, stream.guessed_rate):
                    step = float((frame.time - before) * stream.guessed_rate)
                yield Frame(frame.to_ndarray(format="rgb24"), step)
                before = frame.time
                count += 1
    except UnreadableImage:
        raise
    except (av.FFmpegError, *_DAMAGE) as error:
        if count and isinstance(error, av.error.InvalidDataError):
            raise UnreadableImage(_damaged(path, count)) from None
        where = f" after frame {count - 1}" if count else ""
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableImage(f"{path}: cannot be read{where} ({reason})") from None
    if not count:
        raise UnreadableImage(f"{path}: holds no frame that can be read")


def _careful(decoder: Any) -> None:
    """Let what a decoder calls damaged depend on the file alone.

    In one thread: a decoder that works on several frames at once hands a frame out before it knows whether it
    is whole, and which damage it mends depends on how many threads there are. Most decoders mend a frame and mark
    it; those of single pictures and HEVC's do not mark it, and are asked to fail.
    """
    decoder.thread_count = 1
    unmarked = decoder.codec.intra_only or decoder.codec.name == "hevc"
    decoder.options = {"err_detect": "crccheck+bitstream+buffer" + "+explode" * unmarked}


def _damaged(path: Path, number: int) -> str:
    return f"{path}: is damaged from frame {number} on"


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise ImportError("score: videos need PyAV: pip install 'lookalike[video]'") from None
    return av


def _entries(scorer: Scorer, reference: Path, judged: Path, workers: int) -> Iterator[Entry]:
    """Entries in order; this process reads, threads score."""

    def task(key: tuple[str, str], y: Picture, x: Picture) -> list[Entry]:
        return scorer.score([_decoded(scorer, key, y, x)])

    with one_thread_each(), ThreadPoolExecutor(workers, "score", torch.set_num_threads, (1,)) as pool:
        ahead: deque[Future[list[Entry]]] = deque()
        try:
            for number, (y, x) in enumerate(_together(reference, judged)):
                ahead.append(pool.submit(task, (judged.stem, f"{number:06}"), y, x))
                if len(ahead) >= _AHEAD * workers:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _together(reference: Path, judged: Path) -> Iterator[tuple[Picture, Picture]]:
    """Pictures of the same number: reference, judged; or why there is none, which stays so to the end."""
    paths = reference, judged
    reasons: list[str | None] = [None, None]
    for number, both in enumerate(zip_longest(*map(_until_damage, paths))):
        steps = [one.step for one in both if isinstance(one, Frame) and one.step is not None]
        ahead = steps[1] - steps[0] if len(steps) == 2 else 0.0
        for side, one in enumerate(both):
            if isinstance(one, str):
                reasons[side] = one
            elif one is None:
                reasons[side] = reasons[side] or f"{paths[side]}: ends before this frame"
            elif abs(ahead) > _LOST and (ahead > 0) == side:
                reasons[side] = f"{paths[side]}: a frame is missing before frame {number}"
        y, x = (reason or cast(Frame, one).pixels for one, reason in zip(both, reasons, strict=True))
        yield y, x


def _until_damage(path: Path) -> Iterator[Frame | str]:
    """Frames, and last the reason where the rest cannot be read; what has no frame at all raises."""
    seen = False
    try:
        for frame in frames(path):
            seen = True
            yield frame
    except UnreadableImage as error:
        if not seen:
            raise
        yield str(error)


def _decoded(scorer: Scorer, key: tuple[str, str], y: Picture, x: Picture) -> Decoded:
    if isinstance(y, str) or isinstance(x, str):
        return Decoded(key, ("", ""), None, y if isinstance(y, str) else str(x))
    try:
        return Decoded(key, ("", ""), scorer.pair(x, y), None)
    except (TypeError, ValueError) as error:
        return Decoded(key, ("", ""), None, " ".join(str(error).split()))
