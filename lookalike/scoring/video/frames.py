"""The frames of a video as they are decoded: planes of samples, and how they are coded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.files import UnreadableImage
from lookalike.scoring.video import ffv1
from lookalike.scoring.video.streams import Stream, decoding_errors, pyav, unreadable

Model = Literal["yuv", "gray", "rgb"]
Levels = Literal["limited", "full"]

# AVColorSpace (ITU-T H.273, table 4) → the matrix meant. What is not here cannot be brought to RGB by one matrix.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_UNSAID = (0, 2, 3)  # RGB, unspecified, reserved: a decoder says 0 of YUV too where the file says nothing
_CURVES = {4: "gamma 2.2", 5: "gamma 2.8", 8: "linear", 13: "sRGB", 16: "PQ", 17: "SMPTE 428", 18: "HLG"}
_PRIMARIES = {9: "BT.2020", 10: "XYZ", 11: "DCI-P3", 12: "Display P3"}  # wider than those of BT.709 and BT.601
_SAMPLED = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
_HD = (1280, 576)  # wider or higher than these is HD, which players take as BT.709 where nothing is said


class Turn(NamedTuple):
    """How a picture is to be turned to be upright: the axes exchanged first, then reversed."""

    swapped: bool = False
    rows: bool = False
    columns: bool = False

    def __call__(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A picture ``(h, w)`` or ``(h, w, c)`` upright.

        Example:
            >>> Turn(True, True, False)(np.array([[1, 2]])).tolist()
            [[2], [1]]
        """
        if self.swapped:
            plane = plane.swapaxes(0, 1)
        return plane[:: -1 if self.rows else 1, :: -1 if self.columns else 1]

    def __str__(self) -> str:
        """In words: degrees clockwise, or how it is mirrored.

        Example:
            >>> str(Turn(True, False, True)), str(Turn(False, False, True))
            ('90', 'mirrored')
        """
        names = ("0", "mirrored", "flipped", "180", "transposed", "90", "270", "transversed")
        return names[4 * self.swapped + 2 * self.rows + self.columns]


class Coding(NamedTuple):
    """How the pictures of a video are coded: what has to be the same of all frames of one column.

    Attributes:
        layout: FFmpeg's name of the planes, such as ``"yuv420p"``.
        model: luma and chroma, luma alone, or red, green and blue.
        bits: of a sample.
        matrix: from luma and chroma to RGB; "" where there is none.
        levels: whether black and white are at 16 and 235 (of 8 bits), or at the ends.
        assumed: whether matrix or levels are not said by the file.
        alpha: whether there is a plane of alpha.
    """

    layout: str
    model: Model
    bits: int
    matrix: str
    levels: Levels
    assumed: bool
    alpha: bool

    def __str__(self) -> str:
        """As a signature says it; "" for RGB.

        Example:
            >>> str(Coding("yuv420p", "yuv", 8, "bt601", "limited", True, False))
            'bt601-limited-assumed'
        """
        if self.model == "rgb":
            return "rgb"
        parts = [self.matrix or "gray", self.levels, "assumed" if self.assumed else ""]
        return "-".join(filter(None, parts))


class Frame(NamedTuple):
    """A picture of a video as decoded.

    Attributes:
        planes: ``(h, w)`` each, uint8 or uint16: Y, U, V; or Y; or G, B, R; and alpha last.
        coding: how they are meant.
        turn: how they are to be turned.
        time: seconds since the first frame; None where the video does not say.
        lasting: how many seconds it is shown; 0 where the video does not say.
        tick: how exact times are, in seconds.
        notes: what is known besides: of the curve, the primaries, the shape of pixels, interlacing.
    """

    planes: tuple[NDArray[Any], ...]
    coding: Coding
    turn: Turn
    time: Fraction | None
    lasting: Fraction
    tick: Fraction
    notes: dict[str, str]


def frames(stream: Stream) -> Iterator[Frame]:
    """The frames of a video in the order in which they are shown.

    Args:
        stream: an open one; it is read once.

    Raises:
        UnreadableImage: when there is none, or the rest cannot be read as it was written.
    """
    container, handle, decoder = stream.handle
    count = 0
    first = None
    try:
        for packet in container.demux(handle):
            if decoder.codec.name == "ffv1" and ffv1.is_damaged(bytes(packet)):
                raise UnreadableImage(f"{stream.path}: is damaged from frame {count} on")
            for frame in decoder.decode(packet):
                if frame.is_corrupt:
                    raise UnreadableImage(f"{stream.path}: is damaged from frame {count} on")
                tick = Fraction(frame.time_base or 0)
                time = None if frame.pts is None or not tick else frame.pts * tick
                first = time if first is None else first
                since = None if time is None or first is None else time - first
                coding, planes = _planes(frame)
                lasting = max(0, frame.duration or 0) * tick
                yield Frame(planes, coding, _turn(frame), since, lasting, tick, _notes(frame, handle))
                count += 1
            if packet.is_corrupt:
                raise UnreadableImage(f"{stream.path}: is damaged from frame {count} on")
    except UnreadableImage:
        raise
    except _Refused as reason:
        raise UnreadableImage(f"{stream.path}: frame {count} {reason}") from None
    except decoding_errors() as error:
        raise unreadable(stream.path, error, count) from None
    if not count:
        raise UnreadableImage(f"{stream.path}: holds no frame that can be read")


class _Refused(Exception):  # noqa: N818 - it never leaves this file
    """Why a frame is not taken."""


def _planes(frame: Any) -> tuple[Coding, tuple[NDArray[Any], ...]]:
    coding = _coding(frame)
    if frame.format.name.replace("yuvj", "yuv") != coding.layout:  # other orders of the same samples
        frame = frame.reformat(format=coding.layout, src_color_range=2, dst_color_range=2, threads=1)
    return coding, tuple(_samples(plane, coding.bits) for plane in frame.planes)


def _samples(plane: Any, bits: int) -> NDArray[Any]:
    """A copy of a plane: FFmpeg uses its memory again."""
    kind = np.dtype(np.uint8 if bits <= 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
    return rows[::-1].copy() if plane.line_size < 0 else rows.copy()


def _coding(frame: Any) -> Coding:
    pixels = frame.format
    parts = pixels.components
    name = pixels.name
    bits = max([8, *(part.bits for part in parts)])
    if pixels.is_bayer or re.search(r"xyz|f(16|32)", name) or not parts or bits > 16:
        raise _Refused(f"holds {name} samples, which no rule here brings to RGB; convert it to RGB or YUV first")
    alpha = pixels.has_palette or any(part.is_alpha for part in parts)
    model: Model = "yuv"
    if pixels.is_rgb or pixels.has_palette or len(parts) == 2:
        model, stem = "rgb", "gbrap" if alpha else "gbrp"
    elif len(parts) == 1:
        model, stem = "gray", "gray"
    else:
        ratio = (_halvings(pixels.chroma_width(64)), _halvings(pixels.chroma_height(64)))
        stem = f"yuv{'a' if alpha else ''}{_SAMPLED.get(ratio, '?')}p"
    layout = f"{stem}{bits}le" if bits > 8 else stem
    try:
        pyav().VideoFormat(layout)
    except ValueError:
        raise _Refused(f"holds {name} samples, which no rule here takes apart; convert it first") from None
    matrix, levels, assumed = _meaning(frame, model, name)
    return Coding(layout, model, bits, matrix, levels, assumed, alpha)


def _halvings(extent: int) -> int:
    return (64 // extent).bit_length() - 1


def _meaning(frame: Any, model: Model, name: str) -> tuple[str, Levels, bool]:
    """The matrix, the levels, and whether one of them is an assumption."""
    levels: Levels = "limited" if frame.color_range == 1 else "full"
    if model == "rgb":
        return "", "full", False
    if name.startswith("yuvj"):
        levels, unsaid = "full", False
    else:
        unsaid = frame.color_range not in (1, 2)
        if unsaid:
            levels = "full" if model == "gray" else "limited"
    if model == "gray":
        return "", levels, unsaid
    space = frame.colorspace
    if space in _UNSAID:
        high = frame.width >= _HD[0] or frame.height > _HD[1]
        return ("bt709" if high else "bt601"), levels, True
    if space not in _MATRICES:
        raise _Refused(f"has matrix {space} of ITU-T H.273, which no rule here brings to RGB; convert it first")
    return _MATRICES[space], levels, unsaid


def _turn(frame: Any) -> Turn:
    """Of the display matrix: a turn by right angles, mirrored or not."""
    matrix = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return Turn()
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).astype(np.float64).tolist()
    straight, crossed = max(abs(a), abs(d)), max(abs(b), abs(c))
    if not straight + crossed:
        return Turn()
    if min(straight, crossed) > 0.02 * max(straight, crossed):
        raise _Refused("is turned by its header, and not by a right angle; turn it before it is scored")
    return Turn(True, b < 0, c < 0) if crossed > straight else Turn(False, d < 0, a < 0)


def _notes(frame: Any, handle: Any) -> dict[str, str]:
    """What changes how a video looks, and what nothing here converts."""
    shape = handle.sample_aspect_ratio or 1
    notes = {
        "curve": _CURVES.get(frame.color_trc, ""),
        "primaries": _PRIMARIES.get(frame.color_primaries, ""),
        "pixels": "" if shape == 1 else f"{shape.numerator}:{shape.denominator}",
        "fields": "interlaced" if frame.interlaced_frame else "",
    }
    return {name: note for name, note in notes.items() if note}
