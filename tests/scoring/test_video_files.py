"""Which files are videos, and what is said of those that are not."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import av, walk, write

from lookalike.cli.main import main
from lookalike.files import UnreadableImage
from lookalike.scoring.video.frames import frames
from lookalike.scoring.video.score import score_videos
from lookalike.scoring.video.streams import SUFFIXES, opened

CODECS = {
    ".webm": "libvpx-vp9", ".ivf": "libvpx-vp9", ".mxf": "mpeg2video", ".mpg": "mpeg2video", ".m2v": "mpeg2video",
    ".y4m": "rawvideo", ".wmv": "msmpeg4", ".avi": "mpeg4",
}  # fmt: skip


@pytest.mark.parametrize(
    "ending",
    [
        ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".m2v", ".ts", ".mts", ".m2ts",
        ".mxf", ".y4m", ".wmv", ".flv", ".nut", ".ivf", ".264", ".h264", ".MP4",
    ],
)  # fmt: skip
def test_videos_are_known_by_their_endings(tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    codec = CODECS.get(ending.lower(), "libx264")
    kind = {".m4v": "mp4", ".mts": "mpegts", ".3g2": "3g2"}.get(ending)
    path = write(tmp_path / f"a{ending}", walk(3), codec=codec, pixels="yuv420p", rate=25, kind=kind)
    assert ending.lower() in SUFFIXES
    assert main(["score", str(path), str(path), "-m", "psnr"]) == 0
    assert "psnr" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        "12:30.mp4",
        "http:.mp4",
        "a%03d.mp4",
        "concat:b.mp4",
        "-x.mp4",
        "a b'c\".mp4",
        "é\n.mp4",
        "\udcff.mp4",
        "a?b#c.mp4",
    ],
)
def test_a_name_is_only_a_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "ref.mp4", walk(3), codec="libx264", pixels="yuv420p")
    os.rename(tmp_path / "ref.mp4", tmp_path / name)
    assert main(["score", "-m", "psnr", "--", name, name]) == 0
    assert "100" in capsys.readouterr().out


def test_a_playlist_reaches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the network nor another file is opened for what a file says."""
    secret = write(tmp_path / "secret.ts", walk(3), codec="libx264", pixels="yuv420p")
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)

        def listen() -> None:
            try:
                server.accept()
                reached.set()
            except TimeoutError:
                pass

        thread = threading.Thread(target=listen)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        texts = [
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n"
            for place in (address, secret)
        ]
        texts += [f"ffconcat version 1.0\nfile {place}\n" for place in (secret.name, address)]
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.mp4"
            path.write_text(text)
            assert main(["score", str(path), str(path), "-m", "psnr"]) == 2
            assert f"{path}: " in capsys.readouterr().err
        thread.join()
    assert not reached.is_set()


@pytest.mark.parametrize("side", [0, 1])
def test_the_file_that_is_wrong_is_named(tmp_path: Path, side: int, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good.mkv", walk(2))
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "empty.mxf").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    reasons = {
        "text.mp4": "cannot be read as a video", "empty.mxf": "the file is empty", "missing.3gp": "no such file",
        "pipe.mp4": "not a regular file", "device.mp4": "not a regular file", "dangling.mp4": "no such file",
        "loop.mp4": "cannot be a file", "good.mkv/x.mp4": "no such file",
    }  # fmt: skip
    for name, reason in reasons.items():
        paths = [str(good), str(good)]
        paths[side] = str(tmp_path / name)
        assert main(["score", *paths, "-m", "psnr"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"lookalike: {tmp_path / name}: ")
        assert reason in line
    with pytest.raises(UnreadableImage, match="is a folder"):
        score_videos(good, tmp_path / "folder.mp4", ["psnr"])


def test_a_video_and_an_image_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    video = write(tmp_path / "a.mkv", walk(2))
    for pair in ((video, tmp_path / "a.png"), (tmp_path / "a.png", video)):
        assert main(["score", *map(str, pair)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert f"{video} is a video and {tmp_path / 'a.png'} an image" in line


def test_files_without_pictures_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good.mkv", walk(2))
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux([*stream.encode(sound), *stream.encode()])
    with av.open(str(tmp_path / "nothing.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    for name, reason in (("sound.mkv", "holds no video, only sound"), ("nothing.avi", "no frame that can be read")):
        assert main(["score", str(good), str(tmp_path / name), "-m", "psnr"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"lookalike: {tmp_path / name}: ")
        assert reason in line


def test_of_several_streams_the_first_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width = stream.height = 64
            stream.pix_fmt = "bgr0"
        for picture in walk(3):
            for stream, values in zip(streams, (picture, picture[::-1]), strict=True):
                image = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format="rgb24")
                container.mux(stream.encode(image.reformat(format="bgr0")))
        for stream in streams:
            container.mux(stream.encode())
    found = score_videos(write(tmp_path / "ref.mkv", walk(3)), path, ["psnr"])
    assert [row.values[0] for row in found.rows] == [100.0] * 3
    assert found.remarks == [f"{path}: holds 2 streams of pictures; the first is scored"]


def test_titles_in_other_encodings_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", walk(2), codec="mpeg4", pixels="yuv420p")
    whole = path.read_bytes()
    at = whole.index(b"ISFT")
    (tmp_path / "b.avi").write_bytes(whole[: at + 8] + b"\xe9\xff" + whole[at + 10 :])
    assert score_videos(path, tmp_path / "b.avi", ["psnr"]).rows[0].values == (100.0,)


def test_pictures_that_change_within_a_video(tmp_path: Path) -> None:
    """A stream may change size or kind: rows from there on have an error, and the others their number."""
    parts = []
    for name, side in (("a", 64), ("b", 48)):
        parts.append(write(tmp_path / f"{name}.264", walk(3, side=side), codec="libx264", pixels="yuv420p"))
    joined = tmp_path / "joined.264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    whole = write(tmp_path / "ref.264", walk(6), codec="libx264", pixels="yuv420p")
    rows = score_videos(whole, joined, ["psnr"]).rows
    assert [row.error is None for row in rows] == [True] * 3 + [False] * 3
    assert "48x48 px" in str(rows[3].error)


def test_huge_claims_are_refused_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mkv", walk(2))
    monkeypatch.setattr("lookalike.scoring.video.streams.MAX_PIXELS", 64 * 64 - 1)
    with pytest.raises(UnreadableImage, match="claims more than 4,095 pixels"), opened(path):
        pass


def test_files_are_known_by_their_endings_without_torch() -> None:
    """The command decides what it was given before anything heavy is imported."""
    code = (
        "import sys; from lookalike.scoring.pairs import holds_videos; import lookalike.scoring.video as video; "
        "assert not {'torch', 'av'} & set(sys.modules); assert callable(video.score_videos); "
        "assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_damaged_tail_of_a_container_is_seen(tmp_path: Path) -> None:
    """A transport stream cut within a frame: the frames before are read, and that one is damaged."""
    path = write(tmp_path / "a.ts", walk(8), codec="mpeg2video", pixels="yuv420p", rate=25)
    whole = path.read_bytes()
    (tmp_path / "cut.ts").write_bytes(whole[: len(whole) * 3 // 4])
    rows: Any = score_videos(path, tmp_path / "cut.ts", ["psnr"]).rows
    assert len(rows) == 8
    for row in rows:
        assert row.values[0] in (100.0, None)
    assert rows[-1].error is not None
    with opened(path) as stream:
        assert len(list(frames(stream))) == 8
