"""How a file becomes pixels: which reader takes it, and what is done to make it as it would be seen."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from lookalike.files import boxes, colour, exr, jpeg, jxl, pfm, png, tiff
from lookalike.files.colour import Profile, Space, UnusableProfile
from lookalike.files.names import check_regular
from lookalike.files.quiet import quiet
from lookalike.files.refusal import DAMAGE, MAX_PIXELS, UnreadableImage, check_size, damage

Alpha = Literal["white", "black"]

FORMATS = (
    "PNG", "JPEG", "WEBP", "AVIF", "BMP", "TIFF", "GIF", "PPM", "PFM", "JPEG2000", "JPEG XL", "OpenEXR",
)  # fmt: skip

# Pillow's readers by how a file begins; those of all formats would take longer to import than a picture to read.
_PILLOW: tuple[tuple[bytes, int, str, str], ...] = (
    (png.SIGNATURE, 0, "PNG", "PngImagePlugin"),
    (b"\xff\xd8\xff", 0, "JPEG", "JpegImagePlugin"),
    (b"WEBP", 8, "WEBP", "WebPImagePlugin"),
    (b"ftyp", 4, "AVIF", "AvifImagePlugin"),
    (b"BM", 0, "BMP", "BmpImagePlugin"),
    *((magic, 0, "TIFF", "TiffImagePlugin") for magic in tiff.MAGIC),
    (b"GIF8", 0, "GIF", "GifImagePlugin"),
    *((b"P%d" % kind, 0, "PPM", "PpmImagePlugin") for kind in range(1, 7)),
    (b"jP  ", 4, "JPEG2000", "Jpeg2KImagePlugin"),
    (b"\xff\x4f\xff\x51", 0, "JPEG2000", "Jpeg2KImagePlugin"),
)


@dataclass(frozen=True)
class Picture:
    """Pixels, and what was done to get them.

    Attributes:
        pixels: ``(h, w)`` or ``(h, w, 3)``, uint8, uint16 or float32.
        profile: ``"srgb"`` where the file's colours were converted, ``"ignore"`` where they would have been and the
            raw numbers were asked for; None where the numbers are sRGB's, or nothing says otherwise.
        remarks: what a reader may want to know, each a sentence without its full stop.
    """

    pixels: NDArray[Any]
    profile: Profile | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Stored:
    """What a file holds: ``(h, w, c)``, with c = 1 or 3 and alpha behind them, or CMYK."""

    pixels: NDArray[Any]
    cmyk: bool = False
    colour: bytes | Space | None = None
    unusable: str = ""
    orientation: int = 1
    premultiplied: bool = False
    remarks: tuple[str, ...] = ()


def load(
    path: str | Path, *, alpha: str | None = None, profile: str = "srgb", max_pixels: int = MAX_PIXELS
) -> NDArray[Any]:
    """The pixels of an image file as it would be seen; see `read`, which also says what was done.

    Raises:
        UnreadableImage: with the path and the reason.
    """
    return read(path, alpha=alpha, profile=profile, max_pixels=max_pixels).pixels


def read(
    path: str | Path, *, alpha: str | None = None, profile: str = "srgb", max_pixels: int = MAX_PIXELS
) -> Picture:
    """Read an image file as it would be seen, or refuse it with one clear line.

    EXIF orientation is applied. Grey stays grey; 1-bit becomes 0/255; palette, CMYK and YCbCr become RGB. 16-bit
    grey and RGB stay 16-bit, floats stay floats. Alpha that is opaque everywhere is dropped; any other is refused
    unless a background is named. Files of several frames (but MPO, a photograph with previews behind it), of more
    pixels than allowed, truncated or damaged files, and depths without a stated range are refused.

    Colours are converted to sRGB where the file says that they are of another space, by an ICC profile or
    otherwise: relative colorimetric, with black point compensation; what moves no colour by more than one level of
    255 changes nothing. CMYK without a profile becomes RGB by Pillow's formula. Floats are not converted.

    Args:
        path: the file; formats PNG, JPEG, WebP, AVIF, BMP, TIFF, GIF, PPM, PFM, JPEG 2000; with the extra
            ``formats`` also JPEG XL, OpenEXR, and TIFF in colour of more than 8 bits.
        alpha: ``"white"`` or ``"black"``: the background for transparent pictures.
        profile: ``"srgb"``, or ``"ignore"`` for the numbers as they are stored.
        max_pixels: the most that a file may claim; nothing is decoded of larger ones.

    Raises:
        UnreadableImage: with the path and the reason.
        ValueError: for another ``profile``.
    """
    if profile not in ("srgb", "ignore"):
        raise ValueError(f"profile is 'srgb' or 'ignore', got {profile!r}")
    who = str(path)
    with _refusing(who):
        check_regular(path)
        path = Path(path)
        # A damaged EXIF block, or a picture just below the limit, is no reason to warn: it is read or refused.
        with quiet(), path.open("rb") as file:
            return _seen(_stored(file, path, max_pixels), who, alpha, profile)


def from_picture(image: Image.Image, who: str, alpha: str | None = None, profile: str = "srgb") -> NDArray[Any]:
    """A Pillow image as `load` reads a file.

    Args:
        image: of any mode that `load` takes.
        who: named in errors.
        alpha, profile: as in `read`.

    Raises:
        UnreadableImage: with the reason.

    Example:
        >>> from_picture(Image.new("P", (3, 2)), "doc").shape
        (2, 3, 3)
    """
    return read_picture(image, who, alpha, profile).pixels


def read_picture(image: Image.Image, who: str, alpha: str | None = None, profile: str = "srgb") -> Picture:
    """A Pillow image as `read` reads a file."""
    with _refusing(who), quiet():
        stored = _from_pil(image, who, MAX_PIXELS)
        return _seen(stored, who, alpha, profile)


@contextmanager
def _refusing(who: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one clear line."""
    try:
        yield
    except UnreadableImage:
        raise
    except PermissionError:
        raise UnreadableImage(f"{who}: no permission to read it") from None
    except MemoryError:
        raise UnreadableImage(f"{who}: does not fit into memory") from None
    except DAMAGE as error:
        raise UnreadableImage(f"{who}: {damage(error)}") from None
    except Image.DecompressionBombError as error:  # of WebP, after our own limit allowed it
        said = str(error).split(",")[0].lower()
        raise UnreadableImage(f"{who}: {said}, Pillow's own (PIL.Image.MAX_IMAGE_PIXELS)") from None


# From a file to what it holds


def _stored(file: BinaryIO, path: Path, max_pixels: int) -> _Stored:
    who, head = str(path), file.read(32)
    if not head:
        raise UnreadableImage(f"{who}: the file is empty")
    if head.startswith(exr.MAGIC):
        pixels, remarks = exr.load(path, max_pixels)
        return _Stored(pixels, premultiplied=True, remarks=remarks)
    if head.startswith(pfm.MAGIC) and head[2:3].isspace():
        pixels, remarks = pfm.load(file, who, max_pixels)
        return _Stored(np.atleast_3d(pixels), remarks=remarks)
    if head.startswith(jxl.MAGIC):
        return _from_jxl(file, who, max_pixels)
    for magic, at, name, plugin in _PILLOW:
        if head[at : at + len(magic)] == magic:
            return _BY_NAME.get(name, _from_plugin)(file, who, max_pixels, name, plugin)
    raise _unknown(who)


def _unknown(who: str) -> UnreadableImage:
    return UnreadableImage(f"{who}: not an image of a known kind ({', '.join(FORMATS)})")


def _opened(file: BinaryIO, who: str, name: str, plugin: str) -> ImageFile.ImageFile:
    """A file opened by Pillow's reader, whatever limits this process has set for Pillow."""
    importlib.import_module(f"PIL.{plugin}")
    file.seek(0)
    prefix = file.read(16)
    file.seek(0)
    factory, accept = Image.OPEN[name]
    verdict = accept is None or accept(prefix)
    if isinstance(verdict, str):
        raise UnreadableImage(f"{who}: {verdict}")
    if not verdict:
        raise _unknown(who)
    return factory(file, "")


def _from_plugin(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    image = _opened(file, who, name, plugin)
    check_size(who, image.width, image.height, max_pixels)
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UnreadableImage(f"{who}: holds more than one frame; extract the one you mean")
    return _from_pil(image, who, max_pixels)


def _from_png(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    chunks = png.chunks(file)
    image = _opened(file, who, name, plugin)
    check_size(who, image.width, image.height, max_pixels)
    if chunks.animated:
        raise UnreadableImage(f"{who}: holds more than one frame; extract the one you mean")
    colours, unusable = _png_colours(image, chunks)
    deep = chunks.bits == 16 and (image.mode in ("RGB", "RGBA", "LA") or "transparency" in image.info)
    if not deep:
        stored = _from_pil(image, who, max_pixels)
        return replace(stored, colour=colours, unusable=unusable)
    transparent = image.info.get("transparency")
    if image.mode.startswith("I"):
        image.load()
        pixels = np.asarray(image).astype(np.uint16)[..., None]
    else:
        pixels = png.load_deep(image, _opened(file, who, name, plugin))
    if transparent is not None and pixels.shape[2] in (1, 3):
        pixels = png.with_alpha(pixels, transparent)
    orientation = _orientation(image)  # Pillow decodes the picture to answer: not before its rows were asked for
    return _Stored(pixels, colour=colours, unusable=unusable, orientation=orientation)


def _png_colours(image: Image.Image, chunks: png.Chunks) -> tuple[bytes | Space | None, str]:
    """By the precedence of the PNG standard: cICP, iCCP, sRGB, then gAMA and cHRM."""
    try:
        if chunks.code_points:
            primaries, transfer, matrix, full = chunks.code_points
            if matrix:
                raise UnusableProfile(f"matrix {matrix} of H.273 is not for PNG")
            return colour.of_code_points(primaries, transfer, bool(full)), ""
        if "icc_profile" in image.info:
            return image.info["icc_profile"], ""
        if b"sRGB" in chunks.content:
            return None, ""
        return colour.of_gamma(chunks.gamma, chunks.chromaticities), ""
    except UnusableProfile as error:
        return None, str(error)


def _from_jpeg(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    image = _opened(file, who, name, plugin)
    check_size(who, image.width, image.height, max_pixels)
    at = file.tell()
    file.seek(0)
    jpeg.check(file.read(jpeg.MOST_BYTES + 1))
    file.seek(at)
    remarks = () if jpeg.checked() else ("damage within a JPEG is not looked for: pip install simplejpeg",)
    return replace(_from_pil(image, who, max_pixels), remarks=remarks)


def _from_tiff(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    tags = tiff.tags(file)
    check_size(who, tags.width, tags.height, max_pixels)
    tiff.check(tags, who)
    pillows_limit = 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)
    if not tags.pillows or (tags.simple and tags.width * tags.height > pillows_limit):
        pixels = tiff.load(file, tags, who, max_pixels)
        return _Stored(pixels, colour=tags.profile, orientation=tags.orientation)
    stored = _from_plugin(file, who, max_pixels, name, plugin)
    if tags.inverted and tags.bits == 16:
        return replace(stored, pixels=65535 - stored.pixels)
    return stored


def _from_avif(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    bits = boxes.avif_bits(file)
    if bits > 8:
        raise UnreadableImage(f"{who}: AVIF of {bits} bits would lose depth; save it as 16-bit PNG")
    stored = _from_plugin(file, who, max_pixels, name, plugin)
    if stored.colour is not None:
        return stored
    points = boxes.code_points(file)
    try:
        return replace(stored, colour=colour.of_code_points(*points) if points else None)
    except UnusableProfile as error:
        return replace(stored, unusable=str(error))


def _from_jpeg2000(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    bits = boxes.jpeg2000_bits(file)
    if set(bits) != {8} and bits != (16,):
        raise UnreadableImage(
            f"{who}: JPEG 2000 with components of {', '.join(map(str, bits))} bits would lose depth; save it as "
            "16-bit PNG"
        )
    profile = boxes.jpeg2000_profile(file)
    return replace(_from_plugin(file, who, max_pixels, name, plugin), colour=profile)


def _from_ppm(file: BinaryIO, who: str, max_pixels: int, name: str, plugin: str) -> _Stored:
    image = _opened(file, who, name, plugin)
    check_size(who, image.width, image.height, max_pixels)
    [tile] = image.tile
    most = tile.args[-1] if isinstance(tile.args, tuple) else 255
    if image.mode != "RGB" or not isinstance(most, int) or most <= 255:
        return _from_pil(image, who, max_pixels)
    if most != 65535 or tile.codec_name != "ppm":
        raise UnreadableImage(f"{who}: colour up to {most} has no stated range; save it as 16-bit PNG")
    file.seek(tile.offset)
    size = image.width * image.height * 3
    values = file.read(2 * size)
    if len(values) < 2 * size:
        raise ValueError(f"{len(values)} of {2 * size} bytes")
    return _Stored(np.frombuffer(values, ">u2").astype(np.uint16).reshape(image.height, image.width, 3))


def _from_jxl(file: BinaryIO, who: str, max_pixels: int) -> _Stored:
    pixels, about = jxl.load(file, who, max_pixels)
    if about.code_points is None:
        return _Stored(pixels, unusable="it is an ICC profile or a gamma in JPEG XL, which is not converted here")
    try:
        return _Stored(pixels, colour=colour.of_code_points(*about.code_points))
    except UnusableProfile as error:
        return _Stored(pixels, unusable=str(error))


_BY_NAME = {
    "PNG": _from_png, "JPEG": _from_jpeg, "TIFF": _from_tiff, "AVIF": _from_avif, "JPEG2000": _from_jpeg2000,
    "PPM": _from_ppm,
}  # fmt: skip


def _from_pil(image: Image.Image, who: str, max_pixels: int) -> _Stored:
    check_size(who, image.width, image.height, max_pixels)
    image.load()
    orientation, profile = _orientation(image), image.info.get("icc_profile") or None
    if image.mode in ("L", "1") and "transparency" in image.info:
        image = image.convert("LA")
    elif image.mode == "PA" or (image.mode in ("P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
    elif image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "YCbCr", "RGBX"):
        image = image.convert("RGB")
    array = np.asarray(image)
    if image.mode.startswith("I"):
        array = tiff.levels(array, who)
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "F"):
        raise UnreadableImage(
            f"{who}: Pillow mode {image.mode} has no stated rule; convert it to RGB, grey or float"
        )
    return _Stored(np.atleast_3d(array), image.mode == "CMYK", profile, orientation=orientation)


def _orientation(image: Image.Image) -> int:
    """Of EXIF, 1 to 8; 1 (upright) where the block is missing or damaged."""
    try:
        orientation = image.getexif().get(274, 1)
    except DAMAGE:
        return 1
    return orientation if orientation in range(1, 9) else 1


# From what a file holds to what is seen


def _seen(stored: _Stored, who: str, alpha: str | None, profile: str) -> Picture:
    pixels, cover, remarks = stored.pixels, None, stored.remarks
    if not stored.cmyk and pixels.shape[2] in (2, 4):
        pixels, cover = pixels[..., :-1], pixels[..., -1:]
    grey = pixels.shape[2] == 1
    flat = pixels[..., 0] if grey else pixels
    done: Profile | None = None
    if stored.pixels.dtype == np.float32:
        if stored.colour is not None or stored.unusable:
            remarks = (*remarks, "its colour profile is not applied to floats")
    elif stored.colour is not None or stored.unusable:
        flat, done = _converted(flat, stored, who, profile)
    if flat.ndim == 3 and flat.shape[2] == 4:
        flat = np.asarray(Image.fromarray(np.ascontiguousarray(flat), "CMYK").convert("RGB"))
    if cover is not None:
        flat = _without_alpha(np.atleast_3d(flat), cover, who, alpha, stored.premultiplied)
    return Picture(_turned(flat, stored.orientation), done, remarks)


def _converted(
    pixels: NDArray[Any], stored: _Stored, who: str, profile: str
) -> tuple[NDArray[Any], Profile | None]:
    """Colours in sRGB, or as they are where that was asked for; and which of the two made a difference."""
    try:
        if stored.unusable or stored.colour is None:
            raise UnusableProfile(stored.unusable)
        kind: colour.Kind = "CMYK" if stored.cmyk else "L" if pixels.ndim == 2 else "RGB"
        converted = colour.to_srgb(pixels, kind, stored.colour)
    except UnusableProfile as error:
        if profile == "ignore":
            return pixels, "ignore"
        raise UnreadableImage(
            f"{who}: its colour profile cannot be used ({error}); --profile ignore (profile='ignore') reads the "
            "numbers as they are"
        ) from None
    if converted is pixels:
        return pixels, None
    return (pixels, "ignore") if profile == "ignore" else (converted, "srgb")


def _turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An image as it is to be seen: the eight orientations of EXIF.

    Example:
        >>> _turned(np.array([[1, 2]]), 6).tolist(), _turned(np.array([[1, 2]]), 2).tolist()
        ([[1], [2]], [[2, 1]])
    """
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(array, flips))


def _without_alpha(
    colours: NDArray[Any], cover: NDArray[Any], who: str, alpha: str | None, premultiplied: bool
) -> NDArray[Any]:
    """Drop an alpha channel that says nothing; composite one that does, if a background is named."""
    floats = colours.dtype.kind == "f"
    opaque = 1 if floats else np.iinfo(colours.dtype).max
    if (cover != opaque).any():
        if alpha not in ("white", "black"):
            raise UnreadableImage(
                f"{who}: has transparent pixels; name the background with alpha='white' or 'black' (--alpha)"
            )
        background = opaque if alpha == "white" else 0
        share = cover.astype(np.float64) / opaque
        laid = (colours if premultiplied else share * colours) + (1 - share) * background
        colours = (laid if floats else np.floor(laid + 0.5)).astype(colours.dtype)
    return colours[..., 0] if colours.shape[2] == 1 else colours
