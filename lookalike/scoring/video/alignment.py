"""Which frames of two videos belong together, by number or by time, and by how many frames one of them is late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.files import UnreadableImage
from lookalike.scoring.video.frames import Frame, frames
from lookalike.scoring.video.streams import Stream

MISSING = "a frame is missing"
REACH = 30  # frames: shifts beyond are not looked for
_LOST = 0.75  # of a frame's time: by so much more one video goes on than the other where it lost a frame
_CLEARLY = 2.0  # times less squared error (3 dB)
_SAME = (0.5 / 255) ** 2  # mean squared error: less is no difference to be explained
_GRID = (48, 64)  # samples of a frame that are compared to find a shift

Side = Frame | str  # or why there is none


class Together(NamedTuple):
    """What belongs together.

    Attributes:
        number: of the frame of the reference, from 0.
        reference, judged: frames, or why there is none.
    """

    number: int
    reference: Side
    judged: Side


class _End(str):
    """Why there is no frame where one video begins after the other, or ends before it."""

    __slots__ = ()


def by_number(reference: Stream, judged: Stream, offset: int = 0) -> Iterator[Together]:
    """Frames of the same number, or of numbers that differ by ``offset``.

    A video that lost a frame, as its times show, or is damaged, has no frame from there on; nor has one that ends
    before the other. With an offset as many frames as it says are left out at the ends.

    Args:
        reference, judged: open streams.
        offset: frame n of the reference is compared with frame n + offset of the judged video.

    Returns:
        An iterator, which raises `UnreadableImage` for a video without a frame that can be read.
    """
    return _trimmed(_by_number(reference, judged, offset), offset)


def by_time(reference: Stream, judged: Stream, offset: int = 0) -> Iterator[Together]:
    """Each frame of the reference, and the frame of the judged video that is shown at its time.

    Both begin at the time of their first frames. Frames of the judged video that no frame of the reference falls on
    are not compared; those after the reference's end have no partner.

    Args:
        reference, judged: open streams.
        offset: by how many frames of the reference the judged video is late.

    Returns:
        An iterator, which raises `UnreadableImage` as `by_number` does, and where times are not known.
    """
    return _trimmed(_by_time(reference, judged, offset), offset)


def _trimmed(rows: Iterator[Together], offset: int) -> Iterator[Together]:
    """All but those at the ends that have no partner because of the offset."""
    alone: list[Together] = []
    partners = False
    for row in rows:
        if any(isinstance(side, _End) for side in row[1:]):
            y, x = (side if isinstance(side, str) else "" for side in row[1:])  # no pixels: there may be many
            alone.append(Together(row.number, y, x))
            continue
        if len(alone) > abs(offset):
            yield from alone
        alone.clear()
        partners = True
        yield row
    if len(alone) > abs(offset):
        yield from alone
    elif not partners:
        raise ValueError(f"score: --offset {offset} leaves no frame to be compared")


def _by_number(reference: Stream, judged: Stream, offset: int) -> Iterator[Together]:
    first = max(0, -offset)
    streams = reference, judged
    starts = first, max(0, offset)
    both = (islice(_until_damage(stream), start, None) for stream, start in zip(streams, starts, strict=True))
    reasons: list[str | None] = [None, None]
    before: list[Fraction | None] = [None, None]
    for number, sides in enumerate(zip_longest(*both), first):
        y_step, x_step = (_step(*known) for known in zip(streams, sides, before, strict=True))
        ahead = 0.0 if y_step is None or x_step is None else x_step - y_step
        for place, side in enumerate(sides):
            before[place] = side.time if isinstance(side, Frame) else None
            if isinstance(side, str):
                reasons[place] = reasons[place] or side
            elif side is None:
                reasons[place] = reasons[place] or _End(f"{streams[place].path}: ends before this frame")
            elif abs(ahead) > _LOST and (ahead > 0) == place:
                reasons[place] = reasons[place] or (
                    f"{streams[place].path}: {MISSING} before frame {number + offset * place}"
                )
        y, x = (reason or side or "" for reason, side in zip(reasons, sides, strict=True))
        yield Together(number, y, x)


def _by_time(reference: Stream, judged: Stream, offset: int) -> Iterator[Together]:
    period, late = _period(judged), offset * _period(reference)
    coming = _Coming(judged)
    shown: Side = _End(f"{judged.path}: begins after this frame")
    end = time = Fraction(0)
    number, reason = -1, ""
    for number, y in enumerate(_until_damage(reference)):
        if isinstance(y, str):
            reason = y
            yield Together(number, reason, "")
            break
        time = _time(y, reference)
        while isinstance(x := coming.first(), Frame):
            slack = min((y.tick + x.tick) / 2, period / 4)  # times are rounded
            if _time(x, judged) - late > time + slack:
                break
            shown, end = x, _time(x, judged) - late + max(period, x.lasting)
            coming.drop()
        if isinstance(x, str):
            shown = x
        elif x is None and time >= end:
            shown = _End(f"{judged.path}: ends before this frame")
        yield Together(number, y, shown)
    over = time if reason else time + _period(reference) - period / 4
    while isinstance(x := coming.first(), Frame):
        coming.drop()
        if _time(x, judged) - late > over:
            number += 1
            yield Together(number, reason or _End(f"{reference.path}: ends before this frame"), "")


class _Coming:
    """The frames of a video, the next of which can be looked at."""

    def __init__(self, stream: Stream) -> None:
        self._rest = _until_damage(stream)
        self._next = next(self._rest)

    def first(self) -> Side | None:
        return self._next

    def drop(self) -> None:
        self._next = next(self._rest, None)


class Shift(NamedTuple):
    """That one video is late.

    Attributes:
        offset: by how many frames of the reference the judged video is late; negative: early.
        gain: how much better the frames fit then, in dB of squared error.
    """

    offset: int
    gain: float


class Shifts:
    """How well the frames of two videos fit when one of them is shifted; frames are added in pairs."""

    def __init__(self) -> None:
        self._past: tuple[deque[NDArray[np.float32]], ...] = deque(maxlen=REACH), deque(maxlen=REACH)
        self._sums = np.zeros(2 * REACH + 1)  # from - REACH to REACH
        self._counts = np.zeros(2 * REACH + 1, int)

    def add(self, y: Frame, x: Frame) -> None:
        """Frames of the reference and of the judged video that are compared."""
        new = _sampled(y), _sampled(x)
        self._note(0, new[0][None], new[1])
        for side, sign in (
            (0, 1),
            (1, -1),
        ):  # earlier frames of the reference fit later ones of a judged video that is late
            if self._past[side]:
                self._note(sign, np.stack(self._past[side])[::-1], new[1 - side])
        for past, sample in zip(self._past, new, strict=True):
            past.append(sample)

    def _note(self, sign: int, past: NDArray[np.float32], new: NDArray[np.float32]) -> None:
        errors = ((past - new) ** 2).mean(1)
        places = REACH + sign * np.arange(1, len(errors) + 1) if sign else np.array([REACH])
        self._sums[places] += errors
        self._counts[places] += 1

    def best(self) -> Shift | None:
        """The shift that fits clearly better than none, by 3 dB over at least half of the frames; or None."""
        enough = self._counts >= max(4, self._counts[REACH] / 2)
        if not enough[REACH]:
            return None
        means = np.where(enough, self._sums / np.maximum(self._counts, 1), np.inf)
        order = np.argsort(np.abs(np.arange(-REACH, REACH + 1)), kind="stable")
        place = int(order[np.argmin(means[order])])
        if means[REACH] < _SAME or means[REACH] < _CLEARLY * means[place]:
            return None
        gain = 10 * float(np.log10(means[REACH] / max(means[place], _SAME / 100)))
        return Shift(place - REACH, gain)


def same_rate(one: Fraction, other: Fraction) -> bool:
    """Whether frames of the same number are of the same time: 29.97 and 30 a second are not the same.

    Example:
        >>> same_rate(Fraction(30000, 1001), Fraction(2997, 100)), same_rate(Fraction(30000, 1001), Fraction(30))
        (True, False)
    """
    return abs(one - other) < Fraction(1, 2000) * max(one, other)


def _until_damage(stream: Stream) -> Iterator[Side]:
    """Frames, and last the reason where the rest cannot be read; what has no frame at all raises."""
    seen = False
    try:
        for frame in frames(stream):
            seen = True
            yield frame
    except UnreadableImage as error:
        if not seen:
            raise
        yield str(error)


def _step(stream: Stream, side: Side | None, before: Fraction | None) -> float | None:
    """The time since the frame before, in frames at the video's rate."""
    if not isinstance(side, Frame) or side.time is None or before is None or stream.rate is None:
        return None
    return float((side.time - before) * stream.rate)


def _time(frame: Frame, stream: Stream) -> Fraction:
    """Of a frame, which has one."""
    if frame.time is None:
        raise UnreadableImage(f"{stream.path}: does not say when its frames are shown; use --align number")
    return frame.time


def _period(stream: Stream) -> Fraction:
    """The time of a frame, in seconds."""
    if stream.rate is None:
        raise UnreadableImage(f"{stream.path}: does not say how many frames a second it has; use --align number")
    return 1 / stream.rate


def _sampled(frame: Frame) -> NDArray[np.float32]:
    """Some samples of the first plane, upright: luma, or green."""
    plane, coding = frame.turn(frame.planes[0]), frame.coding
    rows, columns = (
        (np.arange(count) * 2 + 1) * extent // (2 * count) for count, extent in zip(_GRID, plane.shape, strict=True)
    )
    low, high = (16, 235) if coding.levels == "limited" and coding.model != "rgb" else (0, 255)
    samples = plane[np.ix_(rows, columns)].astype(np.float32).ravel() * np.float32(255 / ((1 << coding.bits) - 1))
    return (samples - low) / np.float32(high - low)
