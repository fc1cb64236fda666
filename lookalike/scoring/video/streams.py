"""Opening a video file, and what its header says of its pictures. Knows no torch, and PyAV (FFmpeg) only in use."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from lookalike.files import MAX_PIXELS, UnreadableImage

SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".mpg",
    ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".ts", ".m2t", ".mts", ".m2ts", ".mxf", ".gxf", ".y4m", ".ogv",
    ".ogm", ".wmv", ".asf", ".flv", ".nut", ".ivf", ".dv", ".rm", ".rmvb", ".264", ".h264", ".avc", ".265", ".h265",
    ".hevc", ".obu",
)  # fmt: skip

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # decoders that do not drop it

# What PyAV raises on bytes that are no video, but its own.
_DAMAGE = (OSError, ValueError, LookupError, MemoryError)


def is_video(name: str) -> bool:
    """Whether a file is taken for a video, by its name alone: any of `SUFFIXES`, and not hidden.

    Example:
        >>> [is_video(name) for name in ("a/b.MKV", "12:30.mp4", ".a.mp4", "a.png")]
        [True, True, False, False]
    """
    last = os.path.basename(name)
    return not last.startswith(".") and os.path.splitext(last)[1].lower() in SUFFIXES


@dataclass(frozen=True)
class Stream:
    """A video file's pictures, as its header describes them.

    Attributes:
        path: of the file.
        rate: frames a second; None where the file does not say.
        frames: how many it says that it has; 0 where it does not.
        others: how many further streams of pictures it holds.
        handle: PyAV's container, stream and decoder.
    """

    path: Path
    rate: Fraction | None
    frames: int
    others: int
    handle: tuple[Any, Any, Any]


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The first stream of pictures of a file, a cover picture left out; closed afterwards.

    FFmpeg is given an open file, not a name: ``12:30.mp4`` is no protocol, ``%d`` no pattern, and a playlist
    reaches no other file and no network. A FIFO or a device is never opened.

    Args:
        path: of the file.

    Raises:
        UnreadableImage: when the file cannot be read as a video, with the path and the reason.
        ImportError: without PyAV, with the command that installs it.
    """
    av = pyav()
    with _regular(path) as file:
        try:
            container = av.open(
                file, "r", container_options={"protocol_whitelist": "none"}, metadata_errors="replace",
                buffer_size=1 << 20,
            )  # fmt: skip
        except (av.FFmpegError, *_DAMAGE) as error:
            empty = os.fstat(file.fileno()).st_size == 0
            reason = "the file is empty" if empty else cause(error)
            raise UnreadableImage(f"{path}: cannot be read as a video ({reason})") from None
        with container:
            yield _first_stream(path, container)


def unreadable(path: Path, error: BaseException, count: int) -> UnreadableImage:
    """What is said of a video that cannot be read on after so many frames."""
    if count and isinstance(error, pyav().error.InvalidDataError):
        return UnreadableImage(f"{path}: is damaged from frame {count} on")
    where = f" after frame {count - 1}" if count else ""
    return UnreadableImage(f"{path}: cannot be read as a video{where} ({cause(error)})")


def decoding_errors() -> tuple[type[BaseException], ...]:
    """What PyAV raises on bytes that are no video."""
    return (pyav().FFmpegError, *_DAMAGE)


def cause(error: BaseException) -> str:
    """The reason of an error in one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def pyav() -> Any:
    """The module ``av``.

    Raises:
        ImportError: with the command that installs it.
    """
    try:
        import av
    except ImportError:
        raise ImportError("score: videos need PyAV: pip install 'lookalike[video]'") from None
    return av


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """An open file that is one: what waits or never ends is not opened."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise UnreadableImage(f"{path}: is a folder")
        if not stat.S_ISREG(kind):
            raise UnreadableImage(f"{path}: not a regular file")
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableImage(f"{path}: no such file") from None
    except PermissionError:
        raise UnreadableImage(f"{path}: no permission to read it") from None
    except UnreadableImage:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"{path}: cannot be a file ({cause(error)})") from None
    with file:
        yield file


def _first_stream(path: Path, container: Any) -> Stream:
    videos = container.streams.video
    cover = pyav().stream.Disposition.attached_pic
    pictures = [stream for stream in videos if not stream.disposition & cover]
    if not pictures:
        kinds = {"audio": "sound", "subtitle": "subtitles", "data": "data"}
        held = sorted({kinds.get(stream.type, "a cover picture") for stream in container.streams})
        raise UnreadableImage(f"{path}: holds no video" + (f", only {' and '.join(held)}" if held else ""))
    stream = pictures[0]
    if stream.codec_context is None:
        raise UnreadableImage(f"{path}: FFmpeg has no decoder for its pictures")
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise UnreadableImage(f"{path}: claims more than {MAX_PIXELS:,} pixels; refused")
    decoder = _decoder(path, stream)
    _careful(decoder)
    rate = stream.guessed_rate or stream.average_rate
    return Stream(path, rate or None, stream.frames, len(pictures) - 1, (container, stream, decoder))


def _decoder(path: Path, stream: Any) -> Any:
    """FFmpeg's own decoder; of VP8 and VP9 with alpha, which it drops, that of libvpx."""
    name = stream.codec_context.codec.name
    if stream.metadata.get("alpha_mode") != "1" or name not in _WITH_ALPHA:
        return stream.codec_context
    try:
        return pyav().CodecContext.create(_WITH_ALPHA[name], "r")
    except ValueError:
        raise UnreadableImage(
            f"{path}: holds alpha, which this build of FFmpeg has no decoder for ({_WITH_ALPHA[name]})"
        ) from None


def _careful(decoder: Any) -> None:
    """Let what a decoder calls damaged depend on the file alone.

    In one thread: a decoder that works on several frames at once hands a frame out before it knows whether it is
    whole, and which damage it mends depends on how many threads there are. Most decoders mend a frame and mark it;
    those of single pictures and HEVC's do not, and are asked to fail.
    """
    decoder.thread_count = 1
    unmarked = decoder.codec.intra_only or decoder.codec.name == "hevc"
    checks = "crccheck+bitstream+buffer" + "+explode" * unmarked
    decoder.options = {"err_detect": checks, "max_pixels": str(MAX_PIXELS)}
