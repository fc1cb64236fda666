"""What the numbers of a file mean as colours, and the same colours as sRGB.

A file says it by an ICC profile, or by names and numbers (PNG's cICP, gAMA and cHRM, the ``nclx`` of AVIF, the
header of JPEG XL). What says nothing is sRGB. Conversion is relative colorimetric with black point compensation and
what lies outside sRGB is clipped: by LittleCMS (Pillow's ImageCms) for 8 bits with an ICC profile, else by the
formulas below, which know profiles of curves and a matrix, not those of tables.

Sources: ICC.1:2022 (curves, matrices, D50), ITU-T H.273 (code points of primaries and transfer functions),
IEC 61966-2-1 (sRGB), Bradford adaptation as in ICC.1 annex E.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Profile = Literal["srgb", "ignore"]
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Kind = Literal["L", "RGB", "CMYK"]

_ROWS = 1 << 18  # pixels converted at a time
_LEVEL = 1 / 255 + 1e-9  # a profile that moves no colour by more than one level of 255 is sRGB
_PCS_WHITE = np.array([0.9642, 1.0, 0.8249])  # D50 as ICC.1 has it
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D65 = (0.3127, 0.3290)
_PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {  # H.273 table 2: red, green, blue, white
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_HDR = {16: "PQ", 18: "HLG"}


class UnusableProfile(ValueError):  # noqa: N818 - it names what is wrong
    """A colour profile that is broken, of another kind than its picture, or of a kind that is not converted."""


@dataclass(frozen=True)
class Space:
    """How numbers in [0, 1] become light: three curves, then a matrix to XYZ under D50."""

    curves: tuple[Curve, Curve, Curve]
    matrix: NDArray[np.float64]


def srgb_curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of sRGB's numbers.

    Example:
        >>> float(srgb_curve(np.array([0.5]))[0].round(6))
        0.214041
    """
    return np.where(values <= 0.04045, values / 12.92, ((values.clip(0) + 0.055) / 1.055) ** 2.4)


def _srgb_numbers(light: NDArray[np.float64]) -> NDArray[np.float64]:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _bt709_curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))


def power(exponent: float) -> Curve:
    """The curve of a plain power."""
    return lambda values: values.clip(0) ** exponent


def matrix_of(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """From linear RGB to XYZ under D50, of the chromaticities of red, green, blue and white.

    Raises:
        UnusableProfile: for chromaticities that span no space.

    Example:
        >>> matrix_of(_PRIMARIES[1]).round(3).tolist()[1]
        [0.222, 0.717, 0.061]
    """
    xy = np.array(primaries, np.float64)
    if not (np.isfinite(xy).all() and (xy[:, 1] > 1e-6).all()):
        raise UnusableProfile("its chromaticities span no colour space")
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    if abs(np.linalg.det(xyz[:, :3])) < 1e-9:
        raise UnusableProfile("its chromaticities span no colour space")
    white = xyz[:, 3]
    matrix = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
    gains = (_BRADFORD @ _PCS_WHITE) / (_BRADFORD @ white)
    return np.asarray(np.linalg.solve(_BRADFORD, gains[:, None] * (_BRADFORD @ matrix)), np.float64)


_TO_SRGB = np.linalg.inv(matrix_of(_PRIMARIES[1]))


def of_code_points(primaries: int, transfer: int, full_range: bool = True) -> Space | None:
    """The space of H.273 code points; None for sRGB's own.

    Raises:
        UnusableProfile: for code points without a rule here, those of HDR among them.
    """
    if transfer in _HDR:
        raise UnusableProfile(f"it is HDR ({_HDR[transfer]}), which sRGB cannot show without tone mapping")
    curves: dict[int, Curve] = {
        1: _bt709_curve, 6: _bt709_curve, 14: _bt709_curve, 15: _bt709_curve,
        4: power(2.2), 5: power(2.8), 8: power(1.0), 13: srgb_curve, 2: srgb_curve,
    }  # fmt: skip
    primaries = 1 if primaries == 2 else primaries  # 2 is "unspecified"
    if primaries not in _PRIMARIES or transfer not in curves or not full_range:
        raise UnusableProfile(
            f"primaries {primaries}, transfer {transfer}, {'full' if full_range else 'narrow'} range of H.273 "
            "have no rule here"
        )
    if primaries == 1 and transfer in (2, 13):
        return None
    curve = curves[transfer]
    return Space((curve, curve, curve), matrix_of(_PRIMARIES[primaries]))


def of_gamma(gamma: float | None, chromaticities: tuple[float, ...] | None) -> Space | None:
    """The space of PNG's gAMA and cHRM; None where they say sRGB.

    A gamma within 5 % of 1/2.2 is sRGB's curve, as in libpng and browsers: nearly all files that say so hold sRGB.

    Args:
        gamma: exponent of the encoding, such as 0.45455; None where the file does not say.
        chromaticities: of white, red, green and blue, x and y each; None likewise.

    Raises:
        UnusableProfile: for numbers that describe no space.
    """
    curve: Curve = srgb_curve
    if gamma is not None and abs(gamma * 2.2 - 1) > 0.05:
        if not 0.01 <= gamma <= 100:
            raise UnusableProfile(f"its gamma is {gamma:g}")
        curve = power(1 / gamma)
    matrix = matrix_of(_PRIMARIES[1])
    if chromaticities is not None:
        white, *rest = zip(chromaticities[::2], chromaticities[1::2], strict=True)
        stated = (*rest, white)
        if np.abs(np.array(stated) - np.array(_PRIMARIES[1])).max() > 0.002:
            matrix = matrix_of(stated)
        elif curve is srgb_curve:
            return None
    elif curve is srgb_curve:
        return None
    return Space((curve, curve, curve), matrix)


def to_srgb(pixels: NDArray[Any], kind: Kind, colour: bytes | Space) -> NDArray[Any]:
    """The same colours in sRGB: the array itself where its numbers are sRGB's already.

    Args:
        pixels: ``(h, w)`` for kind L, ``(h, w, 3)`` RGB, ``(h, w, 4)`` CMYK, uint8 or uint16.
        kind: of numbers.
        colour: an ICC profile, or a space.

    Returns:
        ``(h, w)`` or ``(h, w, 3)`` in the dtype given.

    Raises:
        UnusableProfile: with the reason.
    """
    if isinstance(colour, Space):
        return _by_formula(pixels, colour)
    space = icc_space(colour)
    if space not in (kind, "RGB" if kind == "L" else kind):
        raise UnusableProfile(f"it is a profile for {space} on {'grey' if kind == 'L' else kind}")
    if kind == "L":
        if space == "RGB":  # common, and harmless: the neutral axis of that space
            if _is_srgb(colour):
                return pixels
            return np.ascontiguousarray(to_srgb(np.repeat(pixels[..., None], 3, 2), "RGB", colour)[..., 1])
        return _by_formula(pixels, _matrix_space(colour, grey=True))
    if pixels.dtype == np.uint8:
        return pixels if kind == "RGB" and _is_srgb(colour) else _by_lcms(pixels, kind, colour)
    if kind == "CMYK":
        raise UnusableProfile("CMYK of 16 bits is not converted here")
    return pixels if _is_srgb(colour) else _by_formula(pixels, _matrix_space(colour))


def icc_space(profile: bytes) -> str:
    """The kind of numbers that an ICC profile is for: RGB, CMYK, L or what else its header says.

    Raises:
        UnusableProfile: where it is no profile.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise UnusableProfile("it is broken: no ICC header")
    name = profile[16:20].decode("latin-1").strip()
    return {"GRAY": "L"}.get(name, name)


@lru_cache(32)
def _is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile moves no colour of a grid by more than one level."""
    steps = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 18, 3)
    greys = np.repeat(np.arange(252, dtype=np.uint8).reshape(-1, 18, 1), 3, 2)
    image = np.concatenate([grid, greys])
    return int(np.abs(_by_lcms(image, "RGB", profile).astype(int) - image).max()) <= 1


@lru_cache(32)
def _transform(profile: bytes, kind: Kind) -> Any:
    """LittleCMS's way from a profile to sRGB."""
    import io

    from PIL import ImageCms

    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            kind,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE,
        )
    except ImportError:
        raise UnusableProfile("this Pillow was built without LittleCMS") from None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise UnusableProfile(f"it is broken: {' '.join(str(error).split())}") from None


def _by_lcms(pixels: NDArray[np.uint8], kind: Kind, profile: bytes) -> NDArray[np.uint8]:
    image = Image.fromarray(np.ascontiguousarray(pixels), kind)
    return np.asarray(_transform(profile, kind).apply(image))


def _by_formula(pixels: NDArray[Any], space: Space) -> NDArray[Any]:
    """By curves and matrix, in double precision; grey stays grey, by the light that it stands for."""
    most = np.iinfo(pixels.dtype).max
    grey = pixels.ndim == 2
    levels = np.arange(most + 1) / most
    with np.errstate(all="ignore"):
        linear = [curve(levels) for curve in space.curves]
    matrix = _TO_SRGB @ space.matrix
    if not all(np.isfinite(part).all() for part in (*linear, matrix)):
        raise UnusableProfile("it is broken: a curve or its matrix is not finite")
    if grey:
        light = sum(row * curve for row, curve in zip(space.matrix[1], linear, strict=True))
        table = _srgb_numbers(np.asarray(light))
        return pixels if np.abs(table - levels).max() <= _LEVEL else _levels(table, pixels.dtype)[pixels]
    if _is_identity(space, matrix):
        return pixels
    flat = pixels.reshape(-1, 3)
    out = np.empty_like(flat)
    for start in range(0, len(flat), _ROWS):
        part = flat[start : start + _ROWS]
        light = np.stack([curve[part[:, channel]] for channel, curve in enumerate(linear)], 1)
        out[start : start + _ROWS] = _levels(_srgb_numbers(light @ matrix.T), pixels.dtype)
    return out.reshape(pixels.shape)


def _is_identity(space: Space, matrix: NDArray[np.float64]) -> bool:
    steps = np.linspace(0, 1, 18)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    light = np.stack([curve(grid[:, channel]) for channel, curve in enumerate(space.curves)], 1)
    return bool(np.abs(_srgb_numbers(light @ matrix.T) - grid).max() <= _LEVEL)


def _levels(numbers: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.floor(numbers * np.iinfo(dtype).max + 0.5).astype(dtype)


# Profiles of curves and a matrix


@lru_cache(32)
def _matrix_space(profile: bytes, grey: bool = False) -> Space:
    """The curves and the matrix of an ICC profile.

    Raises:
        UnusableProfile: for profiles of tables, and broken ones.
    """
    try:
        tags = _tags(profile)
        if grey:
            curve = _curve(tags[b"kTRC"])
            third = np.diag(_PCS_WHITE) @ np.full((3, 3), 1 / 3)
            return Space((curve, curve, curve), third)
        if b"A2B0" in tags or b"A2B1" in tags:
            raise UnusableProfile("it is a profile of tables, by which 16-bit colours are not converted here")
        columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        red, green, blue = (_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, struct.error, ValueError) as error:
        if isinstance(error, UnusableProfile):
            raise
        raise UnusableProfile(f"it is broken: {' '.join(str(error).split())}") from None
    return Space((red, green, blue), np.stack(columns, 1))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for index in range(min(count, 200)):
        name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if start + size > len(profile):
            raise ValueError("a tag lies beyond its end")
        tags[name] = profile[start : start + size]
    return tags


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve:
    """A curve of type ``curv`` or ``para``."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return power(1.0)
        values = np.array(struct.unpack_from(f">{count}H", tag, 12), np.float64)
        if count == 1:
            return power(float(values[0]) / 256)
        return lambda numbers: np.interp(numbers, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError(f"no curve is of type {tag[:4]!r}")
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
    g, a, b, c, d, e, f = (*(np.array(struct.unpack_from(f">{count}i", tag, 12)) / 65536), *[0.0] * (7 - count))
    if kind == 0:
        return power(g)
    if kind in (1, 2):  # Y = (aX + b)^g + c where aX + b >= 0, else c
        return lambda numbers: (a * numbers + b).clip(0) ** g + (c if kind == 2 else 0.0)
    return lambda numbers: np.where(numbers >= d, (a * numbers + b).clip(0) ** g + e, c * numbers + f)
