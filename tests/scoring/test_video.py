"""Two videos, frame by frame."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from lookalike.cli.main import main
from lookalike.files import UnreadableImage
from lookalike.records import tables
from lookalike.scoring.pair import measure
from lookalike.scoring.video.frames import frames
from lookalike.scoring.video.score import score_videos
from lookalike.scoring.video.streams import opened

av = pytest.importorskip("av", reason="videos need PyAV: pip install 'lookalike[video]'")


def film(
    path: Path, count: int = 8, sigma: float = 0.0, side: int = 64, lost: int | None = None
) -> list[np.ndarray]:
    """A walk over a photograph, without loss, noisier with time; the frames as they were. One may be lost."""
    generator = np.random.default_rng(0)
    frames = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = side
        stream.pix_fmt = "bgr0"
        for index in range(count):
            still = data.astronaut()[index : index + side, 150 : 150 + side]
            noise = generator.normal(0, sigma * (1 + index), still.shape) if sigma else 0
            frames.append(np.clip(still + noise, 0, 255).astype(np.uint8))
            packets = stream.encode(av.VideoFrame.from_ndarray(frames[-1], format="rgb24"))
            container.mux([] if index == lost else packets)
        container.mux(stream.encode())
    return frames


def lossy(
    path: Path,
    count: int,
    damaged: int | None = None,
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    noise: bool = True,
) -> bytes:
    """The same walk, by default in MPEG-4, whose decoder knows most damage; half a packet may be noise, or lost."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 4, 0
        packets = []
        for index in range(count):
            still = np.ascontiguousarray(data.astronaut()[index : index + 64, 150 : 150 + 64])
            packets += stream.encode(av.VideoFrame.from_ndarray(still, format="rgb24"))
        for index, packet in enumerate([*packets, *stream.encode()]):
            half = packet.size // 2 if index == damaged else packet.size
            rest = np.random.default_rng(0).bytes(packet.size - half) if noise else b""
            written = av.Packet(bytes(packet)[:half] + rest)
            written.pts, written.dts, written.time_base = packet.pts, packet.dts, packet.time_base
            written.stream, written.is_keyframe = stream, packet.is_keyframe
            container.mux(written)
    return path.read_bytes()


def test_frames_are_scored_as_images_are(tmp_path: Path) -> None:
    y, x = film(tmp_path / "ref.mkv"), film(tmp_path / "test.mkv", sigma=3)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr", "ssim"], output=tmp_path / "s.csv")
    assert [row.pair for row in found.rows] == [f"{index:06}" for index in range(8)]
    for row, reference, judged in zip(found.rows, y, x, strict=True):
        wanted = measure(judged, reference, ["psnr", "ssim"])
        assert row.values == tuple(one.value for one in wanted)
        assert row.error is None
    assert found.signatures["psnr"] == "psnr|cap:100|range:255|frames:rgb24|v:1"
    assert tables.read(tmp_path / "s.csv").rows == found.rows
    scores = [row.values[0] for row in found.rows if row.values[0] is not None]
    assert scores == sorted(scores, reverse=True)
    assert found.statistics["methods"]["test"]["psnr"]["mean"] == pytest.approx(np.mean(scores))
    assert found.statistics["percentiles"]["psnr"]["5"] == pytest.approx(np.percentile(scores, 5))


def test_the_command_shows_percentiles_and_a_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "ref.mkv")
    film(tmp_path / "test.mkv", sigma=3)
    command = ["score", str(tmp_path / "ref.mkv"), str(tmp_path / "test.mkv"), "-m", "psnr"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "█" in said.out
    assert "95 %" in said.out
    assert "8 frames, 0 failed" in said.out
    assert max(map(len, said.out.splitlines()[:4])) <= 80
    assert main([*command, "--json"]) == 0
    assert [frame["frame"] for frame in json.loads(capsys.readouterr().out)["frames"]] == list(range(8))
    assert main([*command, "--latex", "a.tex"]) == 2
    assert "--latex is not for two videos" in capsys.readouterr().err


def test_what_counts_of_every_frame_and_grey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, x = film(tmp_path / "a.mkv"), film(tmp_path / "b.mkv", sigma=4)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 8:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")

    def said(*more: str) -> dict[str, Any]:
        code = main(
            ["score", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "-m", "l1", "ssim", *more, "--json"]
        )
        assert code == 0
        return json.loads(capsys.readouterr().out)

    masked = ["--mask", str(tmp_path / "mask.png")]
    columns = ["--ignore", "0,0,8,64", "40,0,24,64"]  # the same pixels, by what does not count
    both = mask > 0
    both[:16] = False
    luma = np.array([0.299, 0.587, 0.114])
    for more, counts, grey in (
        (masked, mask > 0, False), (columns, mask > 0, False), (["--grey"], mask >= 0, True),
        ([*masked, "--ignore", "0,0,64,16", "--grey"], both, True),
    ):  # fmt: skip
        found = said(*more)
        apart = [np.abs((a @ luma - b @ luma) if grey else a.astype(float) - b)[counts].mean() / 255
                 for a, b in zip(x, y, strict=True)]  # fmt: skip
        [method] = found["statistics"]["methods"].values()
        assert method["l1"]["mean"] == pytest.approx(np.mean(apart), abs=1e-6)
        assert method["l1"]["count"] == len(x)
        images = [measure(a, b, "ssim", mask=counts, grey=grey)[0].value for a, b in zip(x, y, strict=True)]
        assert method["ssim"]["mean"] == pytest.approx(np.mean(np.array(images, float)), abs=1e-6)
        signature = found["signatures"]["l1"]
        assert ("|luma:bt601|" in signature) == grey
        [one] = measure(y[0], y[0], "l1", mask=mask > 0)
        assert (one.signature.split("|")[2] in signature) == ("--mask" in more)
        assert ("|ignore:" in signature) == ("--ignore" in more)


def test_frames_that_are_missing_or_damaged_are_rows_with_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(tmp_path / "ref.mkv")
    film(tmp_path / "short.mkv", count=5)
    assert main(["score", str(tmp_path / "ref.mkv"), str(tmp_path / "short.mkv"), "-m", "psnr"]) == 3
    assert "failed: frame 7: " in (said := capsys.readouterr().err)
    assert said.count("ends before this frame") == 3
    whole = (tmp_path / "ref.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "cut.mkv", ["psnr"])
    assert len(found.rows) == 8
    assert found.rows[0].error is None
    assert found.rows[7].error is not None


@pytest.mark.parametrize("side", ["ref", "test"])
def test_after_a_lost_frame_nothing_is_compared_with_its_neighbour(tmp_path: Path, side: str) -> None:
    for name in ("ref", "test"):
        film(tmp_path / f"{name}.mkv", lost=3 if name == side else None)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"])
    assert [row.values[0] for row in found.rows] == [100.0] * 3 + [None] * 5
    said = f"{tmp_path / side}.mkv: a frame is missing before frame 3"
    assert [row.error for row in found.rows] == [None] * 3 + [said] * 5


def test_a_frame_that_the_decoder_mended_has_no_number(tmp_path: Path) -> None:
    lossy(tmp_path / "ref.mkv", 8)
    lossy(tmp_path / "test.mkv", 8, damaged=4)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"])
    assert [row.values[0] for row in found.rows] == [100.0] * 4 + [None] * 4
    assert {row.error for row in found.rows[4:]} == {f"{tmp_path / 'test.mkv'}: is damaged from frame 4 on"}


@pytest.fixture
def busy() -> Iterator[None]:
    """Twice as many busy processes as cores."""
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("busy")
def test_what_is_damaged_does_not_depend_on_the_load(tmp_path: Path) -> None:
    """A decoder of several threads hands out a damaged frame before it knows, one time in five."""
    path = tmp_path / "test.mkv"
    lossy(path, 8, damaged=4)
    for _ in range(50):
        numbers = []
        with opened(path) as stream, pytest.raises(UnreadableImage, match="is damaged from frame 4 on"):
            numbers.extend(frames(stream))
        assert len(numbers) == 4


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "libx264", "mjpeg", "ffv1", "prores_ks"])
def test_half_a_packet_gives_no_number_whatever_the_codec(tmp_path: Path, codec: str) -> None:
    """Frames before the packet are those of the whole video; the rest has an error, and no worse number."""
    pixels = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
    lossy(tmp_path / "ref.mkv", 8, codec=codec, pixels=pixels)
    lossy(tmp_path / "test.mkv", 8, damaged=4, codec=codec, pixels=pixels, noise=False)
    rows = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"]).rows
    assert len(rows) == 8
    for row in rows:
        assert row.values[0] in (100.0, None)
        assert (row.error is None) == (row.values[0] is not None)
    assert [row.error is None for row in rows] == [True] * 4 + [False] * 4


@pytest.mark.parametrize(
    "options",
    [
        {"level": "3", "slicecrc": "1", "slices": "4"},
        {"level": "3", "slicecrc": "1", "slices": "9"},
        {"level": "4", "slicecrc": "2", "strict": "experimental"},
    ],
    ids=" ".join,
)
def test_checksums_of_ffv1_are_checked(tmp_path: Path, options: dict[str, str]) -> None:
    """FFmpeg's decoder shows an older slice instead of one whose checksum is wrong, and marks nothing."""
    pictures = [data.astronaut()[index : index + 64, 150 : 150 + 64] for index in range(6)]
    for pixels in ("bgr0", "yuv420p", "gray10le"):
        whole = write(tmp_path / "whole.nut", pictures, pixels=pixels, options=options)
        rows = score_videos(whole, whole, ["psnr"]).rows
        assert [row.values[0] for row in rows] == [100.0] * 6
        with av.open(str(whole)) as container:
            packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        content = whole.read_bytes()
        at = content.index(packets[3][40:]) + 5
        flipped = tmp_path / "flipped.nut"
        flipped.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        rows = score_videos(whole, flipped, ["psnr"]).rows
        assert [row.values[0] for row in rows] == [100.0] * 3 + [None] * 3
        assert rows[3].error == f"{flipped}: is damaged from frame 3 on"


@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_videos_raise_nothing_else(tmp_path: Path, draw: st.DataObject) -> None:
    """Bytes of a real video, changed or cut: rows with errors, or one stated refusal."""
    whole = tmp_path / "whole.mp4"
    content = bytearray(whole.read_bytes() if whole.exists() else lossy(whole, 5))
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(content) - 1))
        if draw.draw(st.booleans()):
            content[at] = draw.draw(st.integers(0, 255))
        else:
            del content[at : at + draw.draw(st.integers(1, 60))]
            content = content or bytearray(b"x")
    (tmp_path / "judged.mp4").write_bytes(content)
    rows = []
    with suppress(UnreadableImage):
        rows = score_videos(whole, tmp_path / "judged.mp4", ["psnr"], resize="nearest", workers=1).rows
        assert len(rows) >= 5
    for row in rows:
        assert (row.error is None) == (row.values[0] is not None)


def test_what_is_no_video_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "ref.mkv", count=2)
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("text.mp4", "empty.mp4", "missing.mp4"):
        assert main(["score", str(tmp_path / "ref.mkv"), str(tmp_path / name), "-m", "psnr"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"lookalike: {tmp_path / name}: ")
    film(tmp_path / "small.mkv", count=2, side=32)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "small.mkv", ["psnr"])
    assert "judged is 32x32 px, the reference 64x64 px" in str(found.rows[0].error)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "small.mkv", ["psnr"], resize="bicubic")
    assert found.rows[0].values[0] is not None


def test_without_pyav_the_error_names_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'lookalike\[video\]'"):
        score_videos(tmp_path / "a.mp4", tmp_path / "b.mp4", ["psnr"])
