"""How a file becomes pixels, and which files are images. Knows no torch: what it reads are NumPy arrays."""

from __future__ import annotations

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

MAX_PIXELS = 178_956_970  # where Pillow itself refuses a file as a decompression bomb
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm", ".pgm",
    ".pbm", ".pnm", ".pfm",
)  # fmt: skip

# What decoders raise on bytes that are not what their header says.
_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError,
    AssertionError, NotImplementedError, struct.error, zlib.error,
)  # fmt: skip


class UnreadableImage(ValueError):  # noqa: N818 - it names what is wrong, as FileNotFoundError's kin do
    """A file that is not an image this library reads, or cannot be read as one without guessing."""


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its name alone: any of `SUFFIXES`, and not hidden.

    Example:
        >>> [is_image(name) for name in ("a/b.PNG", "a.jfif", "a/.b.png", "a.txt")]
        [True, True, False, False]
    """
    last = os.path.basename(name)
    return not last.startswith(".") and os.path.splitext(last)[1].lower() in SUFFIXES


def walk(folder: str | Path, report: Callable[[str, str], object] = lambda path, reason: None) -> Iterator[str]:
    """The files of a folder to the bottom, links followed, hidden files and folders left out.

    Args:
        folder: where to begin.
        report: told the path of what is left out, and why: a folder that cannot be listed, a link to one above it.

    Returns:
        Paths relative to the folder, with forward slashes; of one folder sorted by name.
    """
    top = str(folder)
    stack: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(top),))]
    while stack:
        inner, above = stack.pop()
        try:
            with os.scandir(os.path.join(top, inner)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            report(os.path.join(top, inner), f"cannot be listed ({error.strerror})")
            continue
        for entry in entries:
            path = f"{inner}/{entry.name}" if inner else entry.name
            if entry.name.startswith("."):
                continue
            if not _is_folder(entry):
                yield path
                continue
            real = os.path.realpath(entry.path)
            if real in above:
                report(entry.path, "a link to a folder above it")
            else:
                stack.append((path, (*above, real)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: what is wrong with it is said when it is read
        return False


def load(path: str | Path, *, alpha: str | None = None) -> np.ndarray:
    """Read an image file as it would be seen, or refuse it with one clear line.

    EXIF orientation is applied. Grey stays grey; 1-bit becomes 0/255; palette, CMYK and YCbCr become RGB (CMYK by
    Pillow's formula, colour profiles ignored: sRGB is assumed). 16-bit grey and 16-bit RGB PNG stay 16-bit, float
    TIFF stays float. Alpha that is opaque everywhere is dropped; any other is refused unless a background is named.
    Files of several frames (but MPO, a photograph with previews behind it), of more than 179 million pixels,
    truncated or damaged files, and TIFF and PPM in colour of more than 8 bits are refused.

    Args:
        path: the file; formats PNG, JPEG, WebP, BMP, TIFF, GIF, PPM.
        alpha: ``"white"`` or ``"black"``: the background for transparent pictures.

    Returns:
        ``(h, w)`` or ``(h, w, 3)``, uint8, uint16 or float32.

    Raises:
        UnreadableImage: with the path and the reason.
    """
    path = Path(path)
    try:
        _check_regular(path)
        # A damaged EXIF block, or a picture just below the limit, is no reason to warn: it is read or refused.
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:
            header = file.read(26)
            image = Image.open(file, formats=FORMATS)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                raise UnreadableImage(f"{path}: holds {frames} frames; extract the one you mean")
            if image.format == "PNG" and _is_deep_colour(header, image):
                orientation = _orientation(image)
                return _turned(_load_png16(file, str(path), alpha), orientation)
            return _from_pil(image, str(path), alpha)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage(f"{path}: claims more than {MAX_PIXELS:,} pixels; refused") from None
    except PermissionError:
        raise UnreadableImage(f"{path}: no permission to read it") from None
    except Image.UnidentifiedImageError:
        empty = path.stat().st_size == 0
        reason = "the file is empty" if empty else f"not an image of a known kind ({', '.join(FORMATS)})"
        raise UnreadableImage(f"{path}: {reason}") from None
    except _DAMAGE as error:
        raise UnreadableImage(f"{path}: {_damage(error)}") from None


def _damage(error: BaseException) -> str:
    return f"truncated or damaged ({' '.join(str(error).split()) or type(error).__name__})"


def _check_regular(path: Path) -> None:
    """Refuse what is not a file before anything is opened: opening a FIFO would wait for ever."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableImage(f"{path}: no such file") from None
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"{path}: cannot be a file ({getattr(error, 'strerror', None) or error})") from None
    if stat.S_ISDIR(kind):
        raise UnreadableImage(f"{path}: is a folder")
    if not stat.S_ISREG(kind):
        raise UnreadableImage(f"{path}: not a regular file")


def _from_pil(image: Image.Image, who: str, alpha: str | None) -> np.ndarray:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{who}: {image.width}x{image.height} is more than {MAX_PIXELS:,} pixels; refused")
    bits = _bits_per_sample(image)
    if bits > 8 and image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        raise UnreadableImage(
            f"{who}: {image.format} colour of {bits} bits would lose depth; save it as 16-bit PNG"
        )
    if image.format == "TIFF" and image.mode.startswith("I;16") and bits != 16:
        raise UnreadableImage(f"{who}: {bits}-bit grey has no stated range; save it as 16-bit PNG or float TIFF")
    image.load()
    orientation = _orientation(image)
    if image.mode in ("L", "1") and "transparency" in image.info:
        image = image.convert("LA")
    elif image.mode == "PA" or (image.mode in ("P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "RGBa", "La"):
        array = np.asarray(image.convert("RGBA" if image.mode.startswith("R") else "LA"))
        return _turned(_without_alpha(array, who, alpha), orientation)
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("P", "CMYK", "YCbCr", "RGBX"):
        image = image.convert("RGB")
    array = np.asarray(image)
    if image.mode.startswith("I"):
        if array.size and (array.min() < 0 or array.max() > 65535):
            raise UnreadableImage(f"{who}: 32-bit integers outside 0-65535; convert it to 16 bits or float")
        return _turned(array.astype(np.uint16), orientation)
    if image.mode in ("L", "RGB", "F"):
        return _turned(array, orientation)
    raise UnreadableImage(f"{who}: Pillow mode {image.mode} has no stated rule; convert it to RGB, grey or float")


def _bits_per_sample(image: Image.Image) -> int:
    """Of a file whose depth Pillow would cut: TIFF, and PPM by its largest value; 8 for the others."""
    if image.format == "TIFF":
        bits = image.getexif().get(258, 1)
        return max(bits) if isinstance(bits, tuple) else bits
    if image.format == "PPM" and image.mode == "RGB" and isinstance(image, ImageFile.ImageFile) and image.tile:
        arguments = image.tile[0].args
        return int(arguments[-1]).bit_length() if isinstance(arguments, tuple) and arguments[0] == "RGB" else 8
    return 8


def _orientation(image: Image.Image) -> int:
    """Of EXIF, 1 to 8; 1 (upright) where the block is missing or damaged."""
    try:
        orientation = image.getexif().get(274, 1)
    except _DAMAGE:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """An image as it is to be seen: the eight orientations of EXIF.

    Example:
        >>> _turned(np.array([[1, 2]]), 6).tolist(), _turned(np.array([[1, 2]]), 2).tolist()
        ([[1], [2]], [[2, 1]])
    """
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(array, flips))


def _without_alpha(array: np.ndarray, who: str, alpha: str | None) -> np.ndarray:
    """Drop an alpha channel that says nothing; composite one that does, if a background is named."""
    opaque = np.iinfo(array.dtype).max
    colour, cover = array[..., :-1], array[..., -1:]
    if (cover != opaque).any():
        if alpha not in ("white", "black"):
            raise UnreadableImage(
                f"{who}: has transparent pixels; name the background with alpha='white' or 'black' (--alpha)"
            )
        background = opaque if alpha == "white" else 0
        share = cover.astype(np.float64) / opaque
        colour = np.floor(share * colour + (1 - share) * background + 0.5).astype(array.dtype)
    return colour[..., 0] if colour.shape[2] == 1 else colour


def _is_deep_colour(header: bytes, image: Image.Image) -> bool:
    """Whether a PNG holds 16 bits a sample with colour or transparency, which Pillow would cut or drop."""
    return len(header) == 26 and header[24] == 16 and (header[25] in (2, 4, 6) or "transparency" in image.info)


def _load_png16(file: BinaryIO, who: str, alpha: str | None) -> np.ndarray:
    """16 bits a channel, which Pillow would cut to 8."""
    import png

    file.seek(0)
    try:
        width, height, rows, info = png.Reader(file=file).read()
        if width * height > MAX_PIXELS:
            raise UnreadableImage(f"{who}: {width}x{height} is more than {MAX_PIXELS:,} pixels; refused")
        array = np.vstack([np.asarray(row, np.uint16) for row in rows]).reshape(height, width, info["planes"])
    except (png.Error, zlib.error) as error:
        raise UnreadableImage(f"{who}: {_damage(error)}") from None
    if "transparent" in info:
        seen = (array != np.array(info["transparent"])).any(2, keepdims=True)
        array = np.concatenate([array, np.where(seen, np.uint16(65535), np.uint16(0))], 2)
    elif not info["alpha"]:
        return array
    return _without_alpha(array, who, alpha)


def from_picture(image: Image.Image, who: str, alpha: str | None = None) -> np.ndarray:
    """A Pillow image as `load` reads a file.

    Args:
        image: of any mode that `load` takes.
        who: named in errors.
        alpha: as in `load`.

    Raises:
        UnreadableImage: with the reason.

    Example:
        >>> from_picture(Image.new("P", (3, 2)), "doc").shape
        (2, 3, 3)
    """
    try:
        return _from_pil(image, who, alpha)
    except UnreadableImage:
        raise
    except _DAMAGE as error:
        raise UnreadableImage(f"{who}: {_damage(error)}") from None
