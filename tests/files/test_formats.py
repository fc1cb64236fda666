"""Formats that are read: every arrangement gives the numbers that were written, or is refused; never others."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.files import UnreadableImage, is_image, load, read

tifffile = pytest.importorskip("tifffile")
imagecodecs = pytest.importorskip("imagecodecs")

HEIGHT, WIDTH = 20, 33


def numbers(dtype: str, samples: int, most: int | None = None) -> NDArray[Any]:
    random, kind = np.random.default_rng(0), np.dtype(dtype)
    shape = (HEIGHT, WIDTH) if samples == 1 else (HEIGHT, WIDTH, samples)
    if kind.kind == "f":
        return random.random(shape).astype(kind)
    return random.integers(0, most or min(int(np.iinfo(kind).max), 60000), shape).astype(kind)


def outcome(path: Path, **options: Any) -> NDArray[Any] | str:
    try:
        return load(path, **options)
    except UnreadableImage as error:
        return str(error).removeprefix(f"{path}: ")


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"])
def test_tiff_gives_its_numbers_or_a_reason(tmp_path: Path, dtype: str, photometric: str) -> None:
    kind, path, read_right = np.dtype(dtype), tmp_path / "a.tif", 0
    wide = kind.kind != "f" and kind.itemsize == 4
    for samples in (3, 4) if photometric == "rgb" else (1, 2):
        array = numbers(dtype, samples, 100 if kind.kind == "i" else None)
        if samples in (2, 4):
            array[..., -1] = 1 if kind.kind == "f" else np.iinfo(kind).max
        for planar in ("contig", "separate")[: 1 if samples == 1 else 2]:
            for compression in (None, "zlib", "lzw", "packbits"):
                for order in "<>":
                    for tile in (None, (16, 16)):
                        stored = np.moveaxis(array, -1, 0) if planar == "separate" else array
                        options: dict[str, Any] = {} if samples == 1 else {"planarconfig": planar}
                        if samples in (2, 4):
                            options["extrasamples"] = ["unassalpha"]
                        tifffile.imwrite(
                            path, stored, photometric=photometric, byteorder=order, compression=compression,
                            tile=tile, **options,
                        )  # fmt: skip
                        found = outcome(path)
                        if isinstance(found, str):
                            signed, white = kind.kind == "i", photometric == "miniswhite"
                            assert signed or (white and kind.kind == "f") or wide, found
                            assert "save it" in found or "convert it" in found
                            continue
                        wanted = array[..., :3] if samples > 2 else array[..., 0] if samples == 2 else array
                        if photometric == "miniswhite":
                            wanted = np.iinfo(kind).max - wanted
                        np.testing.assert_array_equal(
                            found, wanted.astype(np.float32) if kind.kind == "f" else wanted
                        )
                        read_right += 1
    if kind.kind == "u" and not wide:
        assert read_right == 48 if photometric != "rgb" else 64


@pytest.mark.parametrize(("dtype", "predictor"), [("u1", 2), ("u2", 2), ("f4", 3), ("f2", 3)])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("samples", [1, 3])
def test_tiff_with_predictors(tmp_path: Path, dtype: str, predictor: int, order: str, samples: int) -> None:
    array = numbers(dtype, samples)
    tifffile.imwrite(
        tmp_path / "a.tif", array, compression="lzw", predictor=predictor, byteorder=order,
        photometric="rgb" if samples == 3 else "minisblack",
    )  # fmt: skip
    found = load(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, array.astype(np.float32) if dtype[0] == "f" else array)


def test_tiff_with_premultiplied_alpha_and_samples_without_meaning(tmp_path: Path) -> None:
    straight = np.full((8, 8, 4), 40000, np.uint16)
    straight[..., 3] = 32768
    stored = straight.copy()
    stored[..., :3] = 20000
    for kind, array in (("assocalpha", stored), ("unassalpha", straight)):
        tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=[kind])
        assert "transparent" in str(outcome(tmp_path / "a.tif"))
        assert np.abs(load(tmp_path / "a.tif", alpha="black").astype(int) - 20000).max() <= 1
    tifffile.imwrite(tmp_path / "b.tif", straight, photometric="rgb", extrasamples=["unspecified"])
    assert "1 have no stated meaning" in str(outcome(tmp_path / "b.tif"))


def test_tiff_of_a_bilevel_fax_is_the_right_way_round(tmp_path: Path) -> None:
    array = numbers("u1", 1, 2).astype(bool)
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / "a.tif", array, photometric=photometric)
        wanted = array if photometric == "minisblack" else ~array
        np.testing.assert_array_equal(load(tmp_path / "a.tif"), wanted * np.uint8(255))
    Image.fromarray(array).save(tmp_path / "b.tif", compression="group4")
    np.testing.assert_array_equal(load(tmp_path / "b.tif"), array * np.uint8(255))


def test_big_tiff_is_read(tmp_path: Path) -> None:
    for samples in (1, 3):
        array = numbers("u2", samples)
        tifffile.imwrite(
            tmp_path / "a.tif", array, bigtiff=True, photometric="rgb" if samples == 3 else "minisblack"
        )
        np.testing.assert_array_equal(load(tmp_path / "a.tif"), array)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("scale", [-1.0, 1.0, -0.5])
def test_float_maps(tmp_path: Path, samples: int, scale: float) -> None:
    array = numbers("f4", samples)
    head = f"{'PF' if samples == 3 else 'Pf'}\n{WIDTH} {HEIGHT}\n{scale}\n".encode()
    (tmp_path / "a.pfm").write_bytes(head + array[::-1].astype("<f4" if scale < 0 else ">f4").tobytes())
    seen = read(tmp_path / "a.pfm")
    np.testing.assert_array_equal(seen.pixels, array)
    assert seen.remarks == (() if abs(scale) == 1 else ("states a scale of 0.5, which is not applied",))
    (tmp_path / "a.pfm").write_bytes(head + bytes(100))
    assert "truncated or damaged (100 of" in str(outcome(tmp_path / "a.pfm"))


def test_16_bit_colour_ppm(tmp_path: Path) -> None:
    array = numbers("u2", 3)
    (tmp_path / "a.ppm").write_bytes(b"P6 33 20 65535\n" + array.astype(">u2").tobytes())
    np.testing.assert_array_equal(load(tmp_path / "a.ppm"), array)
    (tmp_path / "b.ppm").write_bytes(b"P6 33 20 1023\n" + (array & 1023).astype(">u2").tobytes())
    assert "colour up to 1023 has no stated range" in str(outcome(tmp_path / "b.ppm"))
    (tmp_path / "c.ppm").write_bytes(b"P6 33 20 65535\n" + bytes(99))
    assert "truncated" in str(outcome(tmp_path / "c.ppm"))


@pytest.mark.parametrize("half", [False, True])
def test_openexr(tmp_path: Path, half: bool) -> None:
    exr: Any = pytest.importorskip("OpenEXR")
    path, header = str(tmp_path / "a.exr"), {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    array = numbers("f2" if half else "f4", 4)
    opaque = array.copy()
    opaque[..., 3] = 1
    for channels, wanted in (
        ({"RGB": array[..., :3].copy()}, array[..., :3]),
        ({"Y": array[..., 0].copy()}, array[..., 0]),
        ({"RGBA": opaque}, opaque[..., :3]),
    ):
        exr.File(header, channels).write(path)
        np.testing.assert_array_equal(load(path), wanted.astype(np.float32))
    exr.File(header, {"RGBA": array}).write(path)
    assert "transparent" in str(outcome(Path(path)))
    over = array.astype(np.float64)
    np.testing.assert_allclose(load(path, alpha="white"), over[..., :3] + 1 - over[..., 3:], atol=1e-6)
    exr.File(header, {"RGB": array[..., :3].copy(), "Z": array[..., 0].copy()}).write(path)
    assert read(path).remarks == ("channels left out: Z",)
    exr.File(header, {"Z": array[..., 0].copy()}).write(path)
    assert "holds the channels Z; needed are R, G and B" in str(outcome(Path(path)))
    assert "claims more than 100 pixels" in str(outcome(Path(path), max_pixels=100))


def test_damaged_openexr_is_refused_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    exr: Any = pytest.importorskip("OpenEXR")
    path = tmp_path / "a.exr"
    exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, {"RGB": numbers("f4", 3)}).write(
        str(path)
    )
    good = path.read_bytes()
    for cut in (50, 400, len(good) // 2, len(good) - 10):
        path.write_bytes(good[:cut])
        assert "truncated or damaged" in str(outcome(path))
    assert capfd.readouterr().out == ""  # where scores go


@pytest.mark.parametrize(("dtype", "samples"), [("u1", 1), ("u1", 3), ("u2", 1), ("u2", 3), ("f4", 3)])
def test_jpeg_xl(tmp_path: Path, dtype: str, samples: int) -> None:
    array = numbers(dtype, samples)
    path = tmp_path / "a.jxl"
    path.write_bytes(imagecodecs.jpegxl_encode(array, lossless=True))
    np.testing.assert_array_equal(load(path, profile="ignore"), array)
    if dtype == "u2":  # which this encoder says to be linear light
        wanted = np.where(
            array / 65535 <= 0.0031308, 12.92 * array, 65535 * 1.055 * (array / 65535) ** (1 / 2.4) - 3604.425
        )
        assert read(path).profile == "srgb"
        assert np.abs(load(path) - wanted).max() <= 1
    else:
        assert read(path).profile is None
    assert "claims more than 100 pixels (33x20)" in str(outcome(path, max_pixels=100))


def test_jpeg_xl_with_alpha_and_depths_without_a_range(tmp_path: Path) -> None:
    array = numbers("u1", 4)
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(array, lossless=True))
    assert "transparent" in str(outcome(tmp_path / "a.jxl"))
    ten = numbers("u2", 3, 1023)
    (tmp_path / "b.jxl").write_bytes(imagecodecs.jpegxl_encode(ten, lossless=True, bitspersample=10))
    assert "10-bit samples have no stated range" in str(outcome(tmp_path / "b.jxl"))
    frames = np.stack([numbers("u1", 3), numbers("u1", 3)[::-1]])
    (tmp_path / "c.jxl").write_bytes(imagecodecs.jpegxl_encode(frames, lossless=True))
    assert "more than one frame" in str(outcome(tmp_path / "c.jxl"))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("kind", ["JP2", "J2K"])
def test_jpeg_2000(tmp_path: Path, samples: int, kind: str) -> None:
    array = numbers("u1", samples)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(imagecodecs.jpeg2k_encode(array, level=0, codecformat=kind, reversible=True))
    np.testing.assert_array_equal(load(path), array)
    deep = numbers("u2", samples)
    path.write_bytes(imagecodecs.jpeg2k_encode(deep, level=0, codecformat=kind, reversible=True))
    if samples == 1:
        np.testing.assert_array_equal(load(path), deep)
    else:
        assert "16, 16, 16 bits would lose depth" in str(outcome(path))
    path.write_bytes(imagecodecs.jpeg2k_encode(deep >> 4, level=0, codecformat=kind, bitspersample=12))
    assert "12 bits would lose depth" in str(outcome(path)) or "12, 12, 12 bits" in str(outcome(path))


def test_avif(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:64, 0:96]
    array = np.stack([rows * 3, columns * 2, rows + columns], 2).astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "a.avif", quality=95)
    assert np.abs(load(tmp_path / "a.avif").astype(int) - array).max() < 12
    (tmp_path / "b.avif").write_bytes(imagecodecs.avif_encode(array.astype(np.uint16) << 2, bitspersample=10))
    assert "AVIF of 10 bits would lose depth" in str(outcome(tmp_path / "b.avif"))
    frames = [Image.fromarray(array), Image.fromarray(array[::-1].copy())]
    frames[0].save(tmp_path / "c.avif", save_all=True, append_images=frames[1:])
    assert "more than one frame" in str(outcome(tmp_path / "c.avif"))


@pytest.mark.parametrize(
    ("package", "write"),
    [
        ("tifffile", lambda path: tifffile.imwrite(path, numbers("u2", 3), photometric="rgb")),
        ("imagecodecs", lambda path: path.write_bytes(imagecodecs.jpegxl_encode(numbers("u1", 3)))),
        ("OpenEXR", lambda path: path.write_bytes(b"\x76\x2f\x31\x01" + bytes(40))),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, write: Any
) -> None:
    path = tmp_path / "a.picture"
    write(path)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    assert "pip install 'lookalike[formats]'" in str(outcome(path))


def test_16_bit_png_is_what_pypng_says(tmp_path: Path) -> None:
    png = pytest.importorskip("png")
    for planes in (1, 2, 3, 4):
        for interlace in (False, True):
            for width in (1, 2, 7, 33):
                array = numbers("u2", planes)[:, :width]
                if planes in (2, 4):
                    array[..., -1] = 65535
                out = io.BytesIO()
                writer = png.Writer(
                    width, HEIGHT, greyscale=planes < 3, alpha=planes in (2, 4), bitdepth=16, interlace=interlace
                )
                writer.write(out, array.reshape(HEIGHT, -1).tolist())
                (tmp_path / "a.png").write_bytes(out.getvalue())
                wanted = array if planes in (1, 3) else array[..., 0] if planes == 2 else array[..., :3]
                np.testing.assert_array_equal(load(tmp_path / "a.png"), wanted)


def test_which_files_are_images_is_one_rule() -> None:
    images = ("a.png", "A.PNG", "b.jfif", "c.pgm", "d.tar.jpg", "ü.avif", "x.JXL", "y.exr", "z.jp2", "w.pfm")
    assert all(map(is_image, images))
    others = (".hidden.png", "._a.jpg", "png", ".png", "a.txt", "a.png.part", "", "a.png/", "folder/.b.png")
    assert not any(map(is_image, others))
