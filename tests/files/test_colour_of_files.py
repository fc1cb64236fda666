"""Colours of files: profiles and gamma become sRGB, the same colours the same numbers."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import png as pypng
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    SRGB,
    SRGB_CURVE,
    cmyk_profile,
    encoded,
    gamma_curve,
    grey_profile,
    rgb_profile,
    table_curve,
)

from lookalike.files import UnreadableImage, colour, read, read_picture
from lookalike.files.png import SIGNATURE

SPACES = {
    "Display P3": (DISPLAY_P3, "srgb", rgb_profile(DISPLAY_P3, SRGB_CURVE)),
    "Adobe RGB": (ADOBE_RGB, "2.19921875", rgb_profile(ADOBE_RGB, gamma_curve(2.19921875))),
    "gamma 1.8": (SRGB, "1.8", rgb_profile(SRGB, table_curve(np.linspace(0, 1, 1024) ** 1.8))),
}
PILLOWS_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS: dict[str, dict[str, Any]] = {"png": {}, "tif": {}, "webp": {"lossless": True}}
NEARLY: dict[str, dict[str, Any]] = {
    "jpg": {"quality": 100, "subsampling": 0},
    "avif": {"quality": 100, "subsampling": "4:4:4"},
}


def light() -> NDArray[np.float64]:
    """Linear colours inside sRGB: smooth, and every hue."""
    rows, columns = np.mgrid[0:64, 0:96] / 96.0
    return np.stack([0.1 + 0.6 * rows, 0.5 + 0.4 * np.sin(7 * columns), 0.1 + 0.8 * columns * rows], 2)


def in_space(matrix: NDArray[np.float64], curve: str) -> NDArray[np.float64]:
    return encoded(light() @ SRGB.T @ np.linalg.inv(matrix).T, curve)


def levels(numbers: NDArray[np.float64], most: int = 255) -> NDArray[Any]:
    return np.round(numbers * most).astype(np.uint8 if most == 255 else np.uint16)


def psnr(x: NDArray[Any], y: NDArray[Any], most: float = 255) -> float:
    return float(10 * np.log10(most**2 / np.maximum(((x.astype(float) - y) ** 2).mean(), 1e-12)))


REFERENCE = levels(encoded(light(), "srgb"))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("ending", [*LOSSLESS, *NEARLY])
def test_the_same_colours_by_two_profiles_are_the_same_numbers(tmp_path: Path, space: str, ending: str) -> None:
    matrix, curve, icc = SPACES[space]
    stored = levels(in_space(matrix, curve))
    path = tmp_path / f"a.{ending}"
    Image.fromarray(stored).save(path, icc_profile=icc, **LOSSLESS.get(ending, NEARLY.get(ending, {})))
    seen, raw = read(path), read(path, profile="ignore")
    assert (seen.profile, raw.profile) == ("srgb", "ignore")
    assert psnr(seen.pixels, REFERENCE) > 45
    assert psnr(raw.pixels, REFERENCE) < 40
    if ending in LOSSLESS:
        np.testing.assert_array_equal(raw.pixels, stored)


@pytest.mark.parametrize("icc", [PILLOWS_SRGB, rgb_profile(SRGB, SRGB_CURVE)])
@pytest.mark.parametrize("ending", LOSSLESS)
def test_an_srgb_profile_changes_nothing(tmp_path: Path, icc: bytes, ending: str) -> None:
    Image.fromarray(REFERENCE).save(tmp_path / f"a.{ending}", icc_profile=icc, **LOSSLESS[ending])
    for profile in ("srgb", "ignore"):
        seen = read(tmp_path / f"a.{ending}", profile=profile)
        assert seen.profile is None
        np.testing.assert_array_equal(seen.pixels, REFERENCE)


def test_a_picture_object_is_read_as_its_file() -> None:
    image = Image.fromarray(levels(in_space(DISPLAY_P3, "srgb")))
    image.info["icc_profile"] = SPACES["Display P3"][2]
    assert psnr(read_picture(image, "it").pixels, REFERENCE) > 45
    assert read_picture(image, "it", profile="ignore").profile == "ignore"


def test_alpha_is_laid_on_after_the_conversion(tmp_path: Path) -> None:
    stored = np.dstack([levels(in_space(DISPLAY_P3, "srgb")), np.full(REFERENCE.shape[:2], 51, np.uint8)])
    Image.fromarray(stored).save(tmp_path / "a.png", icc_profile=SPACES["Display P3"][2])
    assert psnr(read(tmp_path / "a.png", alpha="black").pixels, REFERENCE * 0.2) > 45


def test_a_palette_has_the_profile_of_its_file(tmp_path: Path) -> None:
    few = Image.fromarray(levels(in_space(DISPLAY_P3, "srgb"))).quantize(32)
    few.save(tmp_path / "p.png", icc_profile=SPACES["Display P3"][2])
    few.convert("RGB").save(tmp_path / "c.png", icc_profile=SPACES["Display P3"][2])
    np.testing.assert_array_equal(read(tmp_path / "p.png").pixels, read(tmp_path / "c.png").pixels)


def test_four_inks_by_two_profiles_are_the_same_colours(tmp_path: Path) -> None:
    seen = []
    for black in (1.0, 0.7):
        colours, ink = encoded(light(), "2.2") * 0.8, np.full((64, 96, 1), 0.15)
        inks = np.concatenate([1 - colours / (1 - black * ink), ink], 2)
        for ending in ("tif", "jpg"):
            options = NEARLY.get(ending, {})
            image = Image.fromarray(levels(inks.clip(0, 1)), "CMYK")
            image.save(tmp_path / f"{black}.{ending}", icc_profile=cmyk_profile(black), **options)
            seen.append(read(tmp_path / f"{black}.{ending}"))
            assert (seen[-1].profile, seen[-1].pixels.shape) == ("srgb", (64, 96, 3))
    for other in seen[1:]:
        assert psnr(other.pixels, seen[0].pixels) > 45
    assert (
        psnr(seen[0].pixels, levels(encoded((encoded(light(), "2.2") * 0.8) ** 2.2, "srgb"))) > 35
    )  # a coarse table
    assert psnr(read(tmp_path / "0.7.tif", profile="ignore").pixels, seen[0].pixels) < 35


def test_grey_is_converted_and_stays_grey(tmp_path: Path) -> None:
    grey = light()[..., 1]
    wanted = levels(encoded(grey, "srgb"))
    for gamma in ("1.0", "1.8"):
        icc = grey_profile(gamma_curve(float(gamma)))
        Image.fromarray(levels(encoded(grey, gamma))).save(tmp_path / "a.png", icc_profile=icc)
        seen = read(tmp_path / "a.png")
        assert (seen.profile, seen.pixels.ndim) == ("srgb", 2)
        assert np.abs(seen.pixels.astype(int) - wanted).max() <= (2 if gamma == "1.8" else 12)  # linear: dark steps
    Image.fromarray(wanted).save(tmp_path / "b.png", icc_profile=grey_profile(SRGB_CURVE))
    assert read(tmp_path / "b.png").profile is None
    Image.fromarray(wanted).save(tmp_path / "c.jpg", icc_profile=PILLOWS_SRGB)
    assert read(tmp_path / "c.jpg").profile is None
    Image.fromarray(levels(encoded(grey, "1.8"))).save(tmp_path / "d.png", icc_profile=SPACES["gamma 1.8"][2])
    assert np.abs(read(tmp_path / "d.png").pixels.astype(int) - wanted).max() <= 2


def png16(path: Path, array: NDArray[Any], *chunks: tuple[bytes, bytes]) -> Path:
    """A 16-bit PNG, grey or RGB, with chunks before its data."""
    with path.open("wb") as file:
        kind: dict[str, Any] = {"greyscale": array.ndim == 2, "bitdepth": 16}
        writer = pypng.Writer(array.shape[1], array.shape[0], **kind)
        writer.write(file, array.reshape(len(array), -1).tolist())
    return with_chunks(path, *chunks)


def with_chunks(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    content = path.read_bytes()
    head = len(SIGNATURE) + 25
    packed = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(content[:head] + packed + content[head:])
    return path


@pytest.mark.parametrize("space", SPACES)
def test_16_bits_are_converted_in_16_bits(tmp_path: Path, space: str) -> None:
    matrix, curve, icc = SPACES[space]
    chunk = (b"iCCP", b"made\0\0" + zlib.compress(icc))
    seen = read(png16(tmp_path / "a.png", levels(in_space(matrix, curve), 65535), chunk))
    assert (seen.profile, seen.pixels.dtype) == ("srgb", np.uint16)
    assert psnr(seen.pixels, encoded(light(), "srgb") * 65535, 65535) > 75
    kept = levels(encoded(light(), "srgb"), 65535)
    chunk = (b"iCCP", b"made\0\0" + zlib.compress(PILLOWS_SRGB))
    same = read(png16(tmp_path / "b.png", kept, chunk))
    assert same.profile is None
    np.testing.assert_array_equal(same.pixels, kept)


def test_16_bits_of_grey_are_converted_too(tmp_path: Path) -> None:
    grey = light()[..., 1]
    chunk = (b"iCCP", b"made\0\0" + zlib.compress(grey_profile(gamma_curve(1.8))))
    seen = read(png16(tmp_path / "a.png", levels(encoded(grey, "1.80078125"), 65535), chunk))
    assert psnr(seen.pixels, encoded(grey, "srgb") * 65535, 65535) > 70


P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize("most", [255, 65535])
@pytest.mark.parametrize(
    ("matrix", "curve", "chunks"),
    [
        (DISPLAY_P3, "srgb", [(b"cICP", bytes([12, 13, 0, 1]))]),
        (SRGB, "1.0", [(b"cICP", bytes([1, 8, 0, 1]))]),
        (DISPLAY_P3, "srgb", [(b"cHRM", struct.pack(">8I", *P3_POINTS)), (b"gAMA", struct.pack(">I", 45455))]),
        (SRGB, "1.0", [(b"gAMA", struct.pack(">I", 100000))]),
        (SRGB, "1.8", [(b"gAMA", struct.pack(">I", 55556))]),
    ],
)
def test_what_a_png_says_without_a_profile(
    tmp_path: Path, most: int, matrix: NDArray[np.float64], curve: str, chunks: list[tuple[bytes, bytes]]
) -> None:
    stored = levels(in_space(matrix, curve), most)
    path = tmp_path / "a.png"
    if most == 255:
        Image.fromarray(stored).save(path)
        with_chunks(path, *chunks)
    else:
        png16(path, stored, *chunks)
    assert psnr(read(path).pixels, encoded(light(), "srgb") * most, most) > (
        38 if curve == "1.0" and most == 255 else 45
    )
    raw = read(path, profile="ignore")
    assert raw.profile == "ignore"
    np.testing.assert_array_equal(raw.pixels, stored)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"cICP", bytes([1, 13, 0, 1]))],
        [(b"cHRM", struct.pack(">8I", *SRGB_POINTS)), (b"gAMA", struct.pack(">I", 45455))],
        [(b"gAMA", struct.pack(">I", 45455))],
        [(b"gAMA", struct.pack(">I", 45000))],
        [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000))],
        [(b"cICP", bytes([1, 13, 0, 1])), (b"iCCP", b"made\0\0" + zlib.compress(SPACES["Display P3"][2]))],
    ],
)
def test_what_means_srgb_changes_nothing(tmp_path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    Image.fromarray(REFERENCE).save(tmp_path / "a.png")
    seen = read(with_chunks(tmp_path / "a.png", *chunks))
    assert seen.profile is None
    np.testing.assert_array_equal(seen.pixels, REFERENCE)


@pytest.mark.parametrize(
    ("icc", "reason"),
    [
        (b"nonsense", "no ICC header"),
        (SPACES["Display P3"][2][:300], "broken"),
        (SPACES["Display P3"][2].replace(b"rTRC", b"xxxx"), "broken"),
        (grey_profile(gamma_curve(2.2)), "a profile for L on RGB"),
        (cmyk_profile(1.0), "a profile for CMYK on RGB"),
        (SPACES["Display P3"][2].replace(b"RGB XYZ", b"Lab XYZ"), "a profile for Lab on RGB"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_profile_that_cannot_be_used_is_refused_until_it_is_ignored(
    tmp_path: Path, icc: bytes, reason: str, deep: bool
) -> None:
    path = tmp_path / "a.png"
    chunk = (b"iCCP", b"made\0\0" + zlib.compress(icc))
    stored = levels(encoded(light(), "srgb"), 65535) if deep else REFERENCE
    if deep:
        png16(path, stored, chunk)
    else:
        Image.fromarray(stored).save(path)
        with_chunks(path, chunk)
    with pytest.raises(UnreadableImage, match=f"its colour profile cannot be used .*{reason}.*--profile ignore"):
        read(path)
    raw = read(path, profile="ignore")
    assert raw.profile == "ignore"
    np.testing.assert_array_equal(raw.pixels, stored)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([9, 16, 0, 1], "PQ"), ([9, 18, 0, 1], "HLG"), ([1, 13, 1, 1], "matrix 1"), ([1, 13, 0, 0], "narrow range"),
        ([200, 13, 0, 1], "primaries 200"),
    ],
)  # fmt: skip
def test_hdr_and_unknown_code_points_are_refused(tmp_path: Path, points: list[int], reason: str) -> None:
    Image.fromarray(REFERENCE).save(tmp_path / "a.png")
    with_chunks(tmp_path / "a.png", (b"cICP", bytes(points)))
    with pytest.raises(UnreadableImage, match=f"cannot be used .*{reason}"):
        read(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", profile="ignore").pixels, REFERENCE)


def test_a_table_of_16_bits_is_refused(tmp_path: Path) -> None:
    icc = rgb_profile(DISPLAY_P3, SRGB_CURVE).replace(b"bTRC", b"A2B0")
    with pytest.raises(colour.UnusableProfile, match="tables"):
        colour._matrix_space(icc)


def test_floats_keep_their_numbers_and_it_is_remarked(tmp_path: Path) -> None:
    array = light()[..., 1].astype(np.float32)
    Image.fromarray(array).save(tmp_path / "a.tif", icc_profile=grey_profile(gamma_curve(1.8)))
    seen = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(seen.pixels, array)
    assert (seen.profile, seen.remarks) == (None, ("its colour profile is not applied to floats",))


def test_lcms_and_the_formulas_agree() -> None:
    for matrix, curve, icc in SPACES.values():
        stored = levels(in_space(matrix, curve))
        by_formula = colour._by_formula(stored, colour._matrix_space(icc))
        assert np.abs(colour.to_srgb(stored, "RGB", icc).astype(int) - by_formula).max() <= 1


def test_another_word_for_the_profile_is_refused(tmp_path: Path) -> None:
    Image.fromarray(REFERENCE).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="profile is 'srgb' or 'ignore', got 'adobe'"):
        read(tmp_path / "a.png", profile="adobe")


def test_threads_that_share_a_profile_get_the_same_colours(tmp_path: Path) -> None:
    inks = levels(np.concatenate([1 - encoded(light(), "2.2"), np.full((64, 96, 1), 0.1)], 2))
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif", icc_profile=cmyk_profile(0.9))
    wanted = read(tmp_path / "a.tif").pixels
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: read(tmp_path / "a.tif").pixels, range(64)):
            np.testing.assert_array_equal(found, wanted)
