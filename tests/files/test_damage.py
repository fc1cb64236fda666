"""Files that are damaged, cut, or made to harm: refused with one line, before much is done."""

import functools
import io
import os
import random
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.files import UnreadableImage, jpeg, load, read, reading
from lookalike.files.png import SIGNATURE

needs_simplejpeg = pytest.mark.skipif(not jpeg.checked(), reason="the package simplejpeg is not here")


def photograph(height: int = 160, width: int = 200) -> NDArray[np.uint8]:
    """Smooth and rough parts, from a seed."""
    noise = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width] / 40.0
    waves = np.stack([np.sin(rows), np.cos(columns), np.sin(rows * columns)], 2)
    rough = noise.normal(0, 0.15, (height, width, 3)) * (columns > 2)[..., None]
    return ((waves * 0.4 + 0.5 + rough) * 255).clip(0, 255).astype(np.uint8)


def jpeg_bytes(mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photograph()).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


GOOD: dict[str, bytes] = {
    "baseline": jpeg_bytes(),
    "4:2:0": jpeg_bytes(subsampling=2, quality=90),
    "4:4:4": jpeg_bytes(subsampling=0, quality=97),
    "4:2:2": jpeg_bytes(subsampling=1),
    "coarse": jpeg_bytes(quality=1),
    "progressive": jpeg_bytes(progressive=True),
    "optimised": jpeg_bytes(optimize=True),
    "restarts": jpeg_bytes(restart_marker_blocks=4),
    "grey": jpeg_bytes("L"),
    "inks": jpeg_bytes("CMYK"),
    "with a comment": jpeg_bytes(comment=b"\xff\xd9\xff\xda" * 9),
}


def mpo() -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(photograph())
    image.save(out, "MPO", save_all=True, append_images=[image.resize((20, 16))])
    return out.getvalue()


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF block holds a whole JPEG."""
    small = io.BytesIO()
    Image.fromarray(photograph()).resize((32, 32)).save(small, "JPEG")
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0" + bytes(4) + small.getvalue()
    block = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return GOOD["baseline"][:2] + block + GOOD["baseline"][2:]


def verdict(path: Path, content: bytes, **options: Any) -> str:
    path.write_bytes(content)
    try:
        load(path, **options)
    except UnreadableImage as error:
        said = str(error).removeprefix(f"{path}: ")
        return said if "\n" not in said else pytest.fail(f"more than one line: {said}")
    return ""


@pytest.mark.parametrize("kind", GOOD)
def test_good_jpegs_are_read(tmp_path: Path, kind: str) -> None:
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 2000  # as phones put behind a photograph
    for behind in (b"", b"trailing bytes " * 99, bytes(5000), b"\xff\xd8\xff\xe0junk", film):
        assert verdict(tmp_path / "a.jpg", GOOD[kind] + behind) == ""


def test_jpegs_with_a_preview_or_a_thumbnail_are_read(tmp_path: Path) -> None:
    assert verdict(tmp_path / "a.jpg", mpo()) == ""
    assert verdict(tmp_path / "b.jpg", with_thumbnail()) == ""
    flat = io.BytesIO()
    Image.new("RGB", (640, 480), "white").save(flat, "JPEG", optimize=True)
    assert verdict(tmp_path / "c.jpg", flat.getvalue()) == ""  # its scan is nearly all zeros
    for level in (0, 128, 255):
        for optimise in (False, True):
            flat = io.BytesIO()
            Image.new("L", (2000, 1000), level).save(flat, "JPEG", optimize=optimise, quality=95)
            assert verdict(tmp_path / "d.jpg", flat.getvalue()) == ""


@needs_simplejpeg
@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_jpeg_that_stops_early_is_refused_whatever_stands_at_its_end(
    tmp_path: Path, kind: str, share: float
) -> None:
    scan = GOOD[kind].rindex(b"\xff\xda")
    cut = GOOD[kind][: scan + 14 + int((len(GOOD[kind]) - scan - 14) * share)]
    for end in (b"\xff\xd9", b"\xff\xd9" + bytes(300), b""):
        assert "truncated or damaged" in verdict(tmp_path / "a.jpg", cut + end)


def test_zeros_in_the_middle_of_the_usual_tables_are_refused(tmp_path: Path) -> None:
    """In every place: that libjpeg warns of it is chance."""
    for kind in ("baseline", "4:2:0", "4:4:4", "4:2:2", "coarse", "restarts", "grey", "inks"):
        content, places = GOOD[kind], random.Random(0)
        start = content.rindex(b"\xff\xda") + 14
        for _ in range(20):
            at = places.randrange(start, max(start + 1, len(content) - 202))
            assert verdict(tmp_path / "a.jpg", content[:at] + bytes(200) + content[at + 200 :]), (kind, at)


@needs_simplejpeg
@pytest.mark.parametrize("kind", ["progressive", "optimised"])
def test_most_zeros_are_found_in_other_tables(tmp_path: Path, kind: str) -> None:
    content, places, found = GOOD[kind], random.Random(0), 0
    start = content.index(b"\xff\xda") + 14
    for _ in range(60):
        at = places.randrange(start, len(content) - 202)
        found += bool(verdict(tmp_path / "a.jpg", content[:at] + bytes(200) + content[at + 200 :]))
    assert found >= 50


def test_without_the_package_that_hears_libjpeg_it_is_remarked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "checked", lambda: False)
    (tmp_path / "a.jpg").write_bytes(GOOD["baseline"])
    assert read(tmp_path / "a.jpg").remarks == ("damage within a JPEG is not looked for: pip install simplejpeg",)


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path: Path) -> None:
    content = GOOD["progressive"]
    scan = content[content.rindex(b"\xff\xda") : -2]
    assert "more than 500 scans; no picture needs as many" in verdict(
        tmp_path / "a.jpg", content[:-2] + scan * 2000
    )


# PNG


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@functools.cache
def zeros(mib: int) -> bytes:
    """Zeros by the MiB, deflated."""
    packer, part = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(packer.compress(part) for _ in range(mib)) + packer.flush()


@pytest.mark.parametrize(("depth", "colour"), [(8, 2), (16, 0), (16, 2), (16, 4), (16, 6)])
def test_no_more_is_inflated_than_the_header_tells_of(tmp_path: Path, depth: int, colour: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(16, 16, depth, colour, zeros(256)))
    tracemalloc.start()
    load(path, alpha="black")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "more", [chunk(b"iCCP", b"x\0\0" + zeros(64)), chunk(b"zTXt", b"x\0\0" + zeros(64)),
             chunk(b"iTXt", b"x\0\1\0\0\0" + zeros(64))]
)  # fmt: skip
def test_other_compressed_chunks_are_bounded(tmp_path: Path, more: bytes) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(4, 4, 8, 0, zlib.compress(bytes(20)), more))
    tracemalloc.start()
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_every_wrong_checksum_of_a_png_is_found(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(photograph()).save(out, "PNG", exif=Image.Exif(), dpi=(72, 72))
    good, places = out.getvalue(), random.Random(0)
    assert verdict(tmp_path / "a.png", good) == ""
    assert verdict(tmp_path / "a.png", good + b"behind the end" * 99) == ""
    for _ in range(100):
        bad = bytearray(good)
        bad[places.randrange(len(bad))] ^= 1 << places.randrange(8)
        assert verdict(tmp_path / "a.png", bytes(bad))
    for cut in (8, 20, 40, len(good) // 2, len(good) - 12, len(good) - 1):
        assert verdict(tmp_path / "a.png", good[:cut])


@pytest.mark.parametrize("ending", ["webp", "avif", "jp2", "gif", "bmp", "tif"])
def test_every_cut_file_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(photograph()).save(path)
    good = path.read_bytes()
    for share in (0.2, 0.5, 0.9):
        assert verdict(path, good[: int(len(good) * share)])


# Many pictures, and what is no file


def test_ten_thousand_pages_are_refused_without_walking_them(tmp_path: Path) -> None:
    image, out = Image.new("L", (1, 1)), io.BytesIO()
    image.save(out, "TIFF")
    one = out.getvalue()
    (start,) = struct.unpack_from("<I", one, 4)
    (entries,) = struct.unpack_from("<H", one, start)
    directory = one[start : start + 2 + 12 * entries]
    pages, at = bytearray(one[:start]), start
    for _ in range(10_000):
        at += len(directory) + 4
        pages += directory + struct.pack("<I", at)
    pages += directory + bytes(4)
    reads = Counting(bytes(pages))
    with pytest.raises(UnreadableImage, match="more than one frame"):
        reading._stored(reads, tmp_path / "a.tif", 10**9)
    assert reads.count < 100


class Counting(io.BytesIO):
    """Counts how often it is read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.count += 1
        return super().read(size)


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
def test_animations_are_refused_after_their_beginning(tmp_path: Path, ending: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in range(0, 250, 2)]
    path = tmp_path / f"a.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert verdict(path, path.read_bytes()) == "holds more than one frame; extract the one you mean"


@pytest.mark.parametrize("name", ["", "a\ud800.png", "\0", "x" * 300 + ".png"])
def test_names_that_cannot_be_files(name: str) -> None:
    with pytest.raises(UnreadableImage):
        load(name)


def test_the_current_folder_is_not_meant_by_an_empty_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableImage, match="an empty name is no file"):
        load("")


# Warnings


def test_reading_in_threads_leaves_the_filters_of_warnings_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photograph()).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    before = list(warnings.filters)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(40):
            load(path)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_a_picture_beyond_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(photograph()).save(path)

    def full(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", full)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", full)
    with pytest.raises(UnreadableImage, match="does not fit into memory"):
        load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_no_fifo_is_opened_for_its_hash(tmp_path: Path) -> None:
    from lookalike.scoring.recipe import stamp

    os.mkfifo(tmp_path / "a.png")
    assert stamp(str(tmp_path / "a.png"), True) == ""
    assert stamp("/dev/zero", True) == ""
