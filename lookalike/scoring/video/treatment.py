"""What is done to the frames of two videos before a metric sees them, as their first frames tell."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lookalike.scoring.video.alignment import same_rate
from lookalike.scoring.video.frames import Coding, Frame, Turn, frames
from lookalike.scoring.video.streams import Stream, opened

# What changes how a video looks and is not converted: its name, what it is where nothing is noted, what is done.
_NOTES = {
    "curve": ("transfer curve", "BT.709", "it is not converted"),
    "primaries": ("primaries", "BT.709 or alike", "they are not converted"),
    "pixels": ("shape of pixels", "1:1", "they are compared as they are stored"),
    "fields": ("scan", "progressive", "fields are compared as they are stored"),
}


class Treatment(NamedTuple):
    """How the frames of a reference and of a judged video are read.

    Attributes:
        reference, judged: codings of the first frames.
        turns: of reference and judged; None where each video has its own.
    """

    reference: Coding
    judged: Coding
    turns: tuple[Turn, Turn] | None

    @property
    def deep(self) -> bool:
        """Whether frames are brought to 16 bits a channel: as soon as one of them holds more than 8."""
        return max(self.reference.bits, self.judged.bits) > 8

    @property
    def frames(self) -> str:
        """FFmpeg's name of what both are brought to."""
        return "rgb48" if self.deep else "rgb24"

    @property
    def source(self) -> str | None:
        """How the samples are meant, of the reference and after a slash of the judged video where it differs."""
        return _both(str(self.reference), str(self.judged), "rgb")

    @property
    def depth(self) -> str | None:
        """Bits of a sample, where one has more than 8."""
        return _both(str(self.reference.bits), str(self.judged.bits), "8")

    @property
    def rotation(self) -> str | None:
        """What their headers ask for."""
        return _both(str(self.turns[0]), str(self.turns[1]), "0") if self.turns else None

    def differs(self, frame: Frame, side: int) -> str | None:
        """Why a later frame would have another signature than the first; None where it has the same.

        Args:
            frame: of the reference (0) or of the judged video (1).
            side: which of the two.
        """
        coding = (self.reference, self.judged)[side]
        turn = self.turns[side] if self.turns else frame.turn
        if frame.coding == coding and frame.turn == turn:
            return None
        now, then = (
            f"{known.layout} ({known}, rotation {how})"
            for known, how in ((frame.coding, frame.turn), (coding, turn))
        )
        return f"is {now}, and the first frame {then}: its number would have another signature"

    def check_like(self, other: Treatment) -> None:
        """Raise where the numbers of other videos would have another signature.

        Raises:
            ValueError: with both.
        """
        kinds = [
            ", ".join(filter(None, (known.frames, known.depth and f"{known.depth} bits", known.source or "rgb")))
            for known in (self, other)
        ]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"this table is of videos in {kinds[0]}, and this pair is {kinds[1]}: its numbers would have "
                "another signature; score it apart"
            )


class Survey(NamedTuple):
    """What is known of two videos before they are scored.

    Attributes:
        treatment: of their frames.
        remarks: what the numbers do not say.
        claimed: how many frames the reference says that it has.
    """

    treatment: Treatment
    remarks: list[str]
    claimed: int


def survey(reference: Path, judged: Path, align: str | None) -> Survey:
    """Look at the headers and the first frames of two videos.

    Args:
        reference, judged: files.
        align: by ``"number"``, by ``"time"``, or by number where the rates are the same (None).

    Raises:
        UnreadableImage: for a file without a frame that can be read.
        ValueError: when the rates differ and nothing says how frames are to be aligned.
    """
    with opened(reference) as y, opened(judged) as x:
        first, other = next(frames(y)), next(frames(x))
        timed = first.time is not None and other.time is not None  # a stream without times has no rate either
        if align is None and timed and y.rate and x.rate and not same_rate(y.rate, x.rate):
            raise ValueError(
                f"score: {reference} has {float(y.rate):.6g} frames a second and {judged} {float(x.rate):.6g}: "
                "frames of the same number are of other moments. --align time compares what is shown at the same "
                "time, --align number frames of the same number"
            )
        treatment = Treatment(first.coding, other.coding, (first.turn, other.turn))
        return Survey(treatment, [*_remarks(y, first, x, other)], y.frames)


def check_same(treatment: Treatment, path: Path, other: Path) -> None:
    """Raise where the planes of two videos cannot be compared as they are decoded.

    Raises:
        ValueError: for RGB, other depths, and other numbers of samples of chroma.
    """
    for coding, file in ((treatment.reference, path), (treatment.judged, other)):
        if coding.model == "rgb":
            raise ValueError(f"score: --yuv compares planes of luma and chroma; {file} holds {coding.layout}")
    layouts = [coding.layout.replace("yuva", "yuv") for coding in (treatment.reference, treatment.judged)]
    if layouts[0] != layouts[1]:
        raise ValueError(
            f"score: --yuv compares planes as they are decoded; {path} holds {layouts[0]} and {other} "
            f"{layouts[1]}: leave --yuv out and compare what is seen, or convert one of them"
        )


def _both(first: str, other: str, common: str) -> str | None:
    if first == other:
        return None if first == common else first
    return f"{first}/{other}"


def _remarks(y: Stream, first: Frame, x: Stream, other: Frame) -> list[str]:
    remarks = []
    for stream in (y, x):
        if stream.others:
            remarks.append(f"{stream.path}: holds {stream.others + 1} streams of pictures; the first is scored")
    sides = ((y.path, first), (x.path, other))
    meant = [(frame.coding.model, frame.coding.matrix, frame.coding.levels) for _, frame in sides]
    if meant[0] != meant[1] and "rgb" not in (meant[0][0], meant[1][0]):
        remarks.append(
            f"colours: {y.path} is {first.coding}, {x.path} {other.coding}; each was converted by its own. If that "
            "is only a wrong or missing tag, --yuv scores the planes as they are decoded"
        )
    if first.coding.bits != other.coding.bits:
        remarks.append(f"{y.path} has {first.coding.bits} bits a sample, {x.path} {other.coding.bits}")
    if first.turn != other.turn:
        kinds = [f"{path} {frame.turn}" for path, frame in sides]
        remarks.append(f"rotation, as the headers ask for: {kinds[0]}, {kinds[1]}")
    for name, (title, common, done) in _NOTES.items():
        values = [frame.notes.get(name, common) for _, frame in sides]
        if values[0] != values[1]:
            kinds = [f"{path} {value}" for value, (path, _) in zip(values, sides, strict=True)]
            remarks.append(f"{title}: {kinds[0]}, {kinds[1]}; {done}")
        elif name == "curve" and values[0] != common:
            remarks.append(f"transfer curve of both: {values[0]}; code values are compared, and none converted")
    return remarks
