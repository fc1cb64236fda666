"""What the tags of a TIFF say: refused, read by Pillow, or by the package tifffile where Pillow cuts or errs.

Pillow 13 gives wrong numbers, without an error, for compressed big-endian floats and 32-bit integers and for grey
with alpha in separate planes, does not invert 16 bits where white is zero, and knows no colour deeper than 8 bits.

Source: TIFF 6.0 (Adobe 1992): PhotometricInterpretation, BitsPerSample, SampleFormat, ExtraSamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.files.refusal import UnreadableImage, check_size, needs

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_SIGNED, _FLOAT = 2, 3


@dataclass(frozen=True)
class Tags:
    """Of the first picture of a file.

    Attributes:
        width, height: in pixels.
        bits: a sample.
        samples: a pixel, extra samples among them.
        numbers: 1 unsigned, 2 signed, 3 float.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr …
        extra: what each extra sample is: 0 unspecified, 1 premultiplied alpha, 2 alpha.
        pillows: whether Pillow is known to read this arrangement of bytes right: its order, planes and compression.
        more: whether the file holds another picture.
        profile: ICC, None where there is none.
        orientation: as in EXIF, 1 to 8.
    """

    width: int
    height: int
    bits: int
    samples: int
    numbers: int
    photometric: int
    extra: tuple[int, ...]
    pillows: bool
    more: bool
    profile: bytes | None
    orientation: int

    @property
    def simple(self) -> bool:
        """Whether `load` reads it too: grey or RGB of whole bytes, or of one bit."""
        return self.photometric <= _RGB and self.bits in (1, 8, 16, 32)

    @property
    def inverted(self) -> bool:
        """Whether white is zero."""
        return self.photometric == _WHITE_IS_ZERO


def tags(file: BinaryIO) -> Tags:
    """Read the tags of the first picture; the others are not walked.

    Raises:
        ValueError: for a file without such tags, or samples that differ in depth or kind.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

    file.seek(0)
    head = file.read(8)
    if head[2:4] in (b"+\0", b"\0+"):
        head += file.read(8)
    directory = Directory(head)
    file.seek(directory.next)
    directory.load(file)

    def values(tag: int, default: int) -> tuple[int, ...]:
        found = directory.get(tag, default)
        return tuple(int(value) for value in (found if isinstance(found, tuple) else (found,)))

    bits, numbers = set(values(258, 1)), set(values(339, 1))
    if len(bits) != 1 or len(numbers) != 1:
        raise ValueError(f"samples of {sorted(bits)} bits and of the formats {sorted(numbers)} in one picture")
    [depth], [kind], samples, extra = bits, numbers, values(277, 1)[0], values(338, -1)
    photometric, big_endian = values(262, _BLACK_IS_ZERO)[0], head.startswith(b"MM")
    inverted, flat, planar = photometric == _WHITE_IS_ZERO, values(259, 1) == (1,), values(284, 1) == (2,)
    if depth <= 8:
        pillows = samples != 2 or not (planar or inverted)
    elif samples != 1:
        pillows = False
    elif depth == 16:
        pillows = kind != _FLOAT and not (inverted and big_endian)
    else:
        pillows = depth == 32 and (not big_endian or (flat and kind != 1))
    return Tags(
        width=values(256, 0)[0],
        height=values(257, 0)[0],
        bits=depth,
        samples=samples,
        numbers=kind,
        photometric=photometric,
        extra=() if extra == (-1,) else extra,
        pillows=pillows,
        more=bool(directory.next),
        profile=profile if isinstance(profile := directory.get(34675), bytes) and profile else None,
        orientation=orientation if (orientation := values(274, 1)[0]) in range(1, 9) else 1,
    )


def check(tags: Tags, who: str) -> None:
    """Refuse what has no stated meaning.

    Raises:
        UnreadableImage: with the reason.
    """
    bits, integers = tags.bits, tags.numbers != _FLOAT
    if tags.more:
        raise UnreadableImage(f"{who}: holds more than one frame; extract the one you mean")
    if tags.numbers == _SIGNED and (bits != 32 or tags.samples != 1 or tags.inverted):
        raise UnreadableImage(
            f"{who}: signed integers of {bits} bits have no stated range; save it unsigned or as float"
        )
    if tags.numbers not in (1, 2, 3, 4):
        raise UnreadableImage(f"{who}: complex numbers are no picture; save its magnitude as float")
    if not integers and (tags.inverted or tags.photometric not in (_BLACK_IS_ZERO, _RGB)):
        raise UnreadableImage(
            f"{who}: floats of photometric interpretation {tags.photometric} have no stated white; save it as grey "
            "(black is zero) or RGB"
        )
    if integers and bits not in (1, 2, 4, 8, 16, 32):
        raise UnreadableImage(
            f"{who}: {bits}-bit samples have no stated range; save it as 16-bit PNG or float TIFF"
        )
    deep = bits > 8
    if deep and tags.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise UnreadableImage(
            f"{who}: {bits} bits of photometric interpretation {tags.photometric} have no rule here; convert it to "
            "grey or RGB"
        )
    if integers and bits == 32 and (tags.samples != 1 or tags.inverted):
        raise UnreadableImage(f"{who}: 32-bit integers outside grey; convert it to 16 bits or float")


def load(file: BinaryIO, tags: Tags, who: str, max_pixels: int) -> NDArray[Any]:
    """Samples ``(h, w, c)`` with c = 1 to 4 (the last of 2 and 4 is alpha), by tifffile.

    Raises:
        UnreadableImage: where the package is missing, and for extra samples without a meaning.
        ValueError: for a damaged file.
    """
    check_size(who, tags.width, tags.height, max_pixels)
    colours = 3 if tags.photometric == _RGB else 1
    spare = tags.samples - colours
    if spare not in (0, 1) or (spare == 1 and tags.extra not in ((1,), (2,))):
        raise UnreadableImage(
            f"{who}: {tags.samples} samples a pixel, of which {max(spare, 0)} have no stated meaning; save it as "
            "grey or RGB, with alpha or without"
        )
    try:
        import tifffile
    except ImportError:
        raise needs(
            who, f"TIFF of this kind ({tags.bits} bits, {tags.samples} samples a pixel)", "formats"
        ) from None
    file.seek(0)
    with tifffile.TiffFile(file) as opened:
        page: Any = opened.pages[0]
        try:
            array = np.asarray(page.asarray())
        except ValueError as error:
            if "imagecodecs" in str(error):
                raise needs(who, f"TIFF compression {page.compression.name}", "formats") from None
            raise
        if page.axes.startswith("S"):
            array = np.moveaxis(array, 0, -1)
    array = np.atleast_3d(array)
    if array.dtype == bool:
        return np.where(array != tags.inverted, np.uint8(255), np.uint8(0))
    if array.shape != (tags.height, tags.width, tags.samples) or array.dtype.itemsize * 8 != tags.bits:
        raise UnreadableImage(f"{who}: its samples are not a flat picture (axes {page.axes})")
    if tags.numbers == _FLOAT:
        array = array.astype(np.float32)
    elif tags.bits == 32:
        array = levels(array, who)
    else:
        array = array.astype(np.uint8 if tags.bits == 8 else np.uint16)
    if tags.inverted:
        array[..., 0] = (1 << tags.bits) - 1 - array[..., 0]
    return _straight(array) if tags.extra == (1,) and spare else array


def levels(array: NDArray[Any], who: str) -> NDArray[np.uint16]:
    """Wide integers that are 16-bit levels.

    Raises:
        UnreadableImage: for others.
    """
    if array.size and (array.min() < 0 or array.max() > 65535):
        raise UnreadableImage(f"{who}: 32-bit integers outside 0-65535; convert it to 16 bits or float")
    return array.astype(np.uint16)


def _straight(array: NDArray[Any]) -> NDArray[Any]:
    """Premultiplied alpha undone; colours that nothing shows are zero."""
    most = 1.0 if array.dtype == np.float32 else 2.0 ** (8 * array.dtype.itemsize) - 1
    share = array[..., -1:].astype(np.float64) / most
    colour = np.where(share > 0, array[..., :-1] / np.where(share > 0, share, 1), 0)
    if array.dtype != np.float32:
        colour = np.floor(colour.clip(0, most) + 0.5)
    return np.concatenate([colour.astype(array.dtype), array[..., -1:]], 2)
