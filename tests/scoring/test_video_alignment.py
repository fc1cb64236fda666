"""Which frames of two videos are compared."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import av, walk, write

from lookalike.cli.main import main
from lookalike.scoring.video.score import Watched, score_videos


def values(found: Watched) -> list[float | None]:
    return [row.values[0] for row in found.rows]


@pytest.mark.parametrize("rates", [(25, 30), (30, Fraction(30000, 1001)), (24, Fraction(24000, 1001)), (50, 25)])
def test_rates_that_differ_are_refused(
    tmp_path: Path, rates: tuple[Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rate in zip(("ref", "test"), rates, strict=True):
        write(tmp_path / f"{name}.mp4", walk(8), codec="libx264", pixels="yuv420p", rate=rate)
    command = ["score", str(tmp_path / "ref.mp4"), str(tmp_path / "test.mp4"), "-m", "psnr"]
    assert main(command) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{float(rates[0]):.6g} frames a second" in line
    assert "--align time" in line
    assert main([*command, "--align", "number", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["frames"]) == 8
    assert "align" not in said["signatures"]["psnr"]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi", "nut"])
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), 25, Fraction(30000, 1001), 30, 60])
def test_one_rate_is_one_in_whatever_container(tmp_path: Path, rate: Any, ending: str) -> None:
    """Containers round times, and few frames tell little of a rate."""
    write(tmp_path / "ref.mp4", walk(5), codec="libx264", pixels="yuv420p", rate=rate)
    codec = "mpeg4" if ending == "avi" else "libx264"
    write(tmp_path / f"test.{ending}", walk(5), codec=codec, pixels="yuv420p", rate=rate)
    for align in (None, "time"):
        found = score_videos(tmp_path / "ref.mp4", tmp_path / f"test.{ending}", ["psnr"], align=align)
        assert len(found.rows) == 5
        assert all(value is not None and value > 30 for value in values(found))


@pytest.mark.parametrize(
    ("rate", "wanted"), [(60, [0, 2, 4, 6, 8, 10]), (15, [0, 0, 1, 1, 2, 2]), (25, [0, 0, 1, 2, 3, 4])]
)
def test_by_time_the_frame_that_is_shown_is_compared(tmp_path: Path, rate: int, wanted: list[int]) -> None:
    """Thirty frames a second beside other rates of the same motion: frame k at k / 30 s."""
    count = max(wanted) + rate // 30 + 1
    seen = walk(max(count, 12))
    write(tmp_path / "ref.mkv", [seen[index] for index in wanted], rate=30)
    write(tmp_path / "test.mkv", seen[: -(-6 * rate // 30)], rate=rate)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"], align="time")
    assert values(found) == [100.0] * 6
    assert found.signatures["psnr"].endswith("|align:time|v:1")


def test_a_variable_rate_is_compared_by_time(tmp_path: Path) -> None:
    """A video that leaves out the frames that repeat is the same video."""
    still = walk(4)
    every = [still[index] for index in (0, 0, 0, 1, 1, 2, 3)]
    write(tmp_path / "ref.mkv", every)
    write(tmp_path / "test.mkv", still, times=[0, 3, 5, 6])
    by_number = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"], align="number")
    assert [row.error is None for row in by_number.rows] == [True] + [False] * 6
    assert any("--align time" in remark for remark in by_number.remarks)
    by_time = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"], align="time")
    assert values(by_time) == [100.0] * 7


@pytest.mark.parametrize("align", ["number", "time"])
@pytest.mark.parametrize("late", [1, 3, -2])
def test_frames_that_are_late_are_told_and_put_right(tmp_path: Path, late: int, align: Any) -> None:
    motion = walk(24)
    write(tmp_path / "ref.mkv", motion[4:20])
    write(tmp_path / "test.mkv", motion[4 - late : 20 - late])
    files = tmp_path / "ref.mkv", tmp_path / "test.mkv"
    found = score_videos(*files, ["psnr"], align=align)
    assert all(value is not None and value < 40 for value in values(found))
    word = f"{abs(late)} frame{'s' * (abs(late) > 1)} {'late' if late > 0 else 'early'}"
    assert [remark for remark in found.remarks if word in remark and f"--offset {late}" in remark]
    for offset in (late, "auto"):
        put_right = score_videos(*files, ["psnr"], align=align, offset=offset)
        assert values(put_right) == [100.0] * (16 - abs(late))
        assert int(put_right.rows[0].pair) == max(0, -late)
        assert f"|offset:{late}|" in put_right.signatures["psnr"]
        assert not [remark for remark in put_right.remarks if "see --offset" in remark]
    assert any(word in remark for remark in put_right.remarks)


def test_options_of_python_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", walk(3))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"align": "tine"}, "align must be one of number, time"),
        ({"offset": 10**30}, "offset"),
        ({"offset": 0.5}, "offset"),
        ({"alpha": "green"}, "alpha must be one of white, black"),
    ]
    for options, reason in wrong:
        with pytest.raises((TypeError, ValueError), match=reason):
            score_videos(path, path, ["psnr"], **options)


def test_nothing_is_said_where_nothing_is_late(tmp_path: Path) -> None:
    write(tmp_path / "ref.mkv", walk(12))
    write(tmp_path / "noisy.mkv", walk(12, sigma=2))
    assert score_videos(tmp_path / "ref.mkv", tmp_path / "noisy.mkv", ["psnr"]).remarks == []
    still = [walk(1)[0]] * 12
    generator = np.random.default_rng(0)
    noise = [np.clip(image + generator.normal(0, 3, image.shape), 0, 255).astype(np.uint8) for image in still]
    write(tmp_path / "still.mkv", still)
    write(tmp_path / "grain.mkv", noise)
    found = score_videos(tmp_path / "still.mkv", tmp_path / "grain.mkv", ["psnr"], offset="auto")
    assert found.remarks == ["--offset auto: no other frames fit clearly better"]
    assert len(found.rows) == 12


def test_the_command_takes_an_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    motion = walk(20)
    write(tmp_path / "ref.mkv", motion[2:])
    write(tmp_path / "test.mkv", motion[:-2])
    command = ["score", str(tmp_path / "ref.mkv"), str(tmp_path / "test.mkv"), "-m", "psnr"]
    assert main(command) == 0
    assert "is 2 frames late: the frames fit" in capsys.readouterr().err
    assert main([*command, "--offset", "auto"]) == 0
    captured = capsys.readouterr()
    assert "offset:2" in captured.out
    assert "--offset auto" in captured.err
    assert main([*command, "--offset", "-2", "--json"]) == 0
    assert "see --offset 2" in json.loads(capsys.readouterr().out)["remarks"][0]
    for far in ("1000", "-1000"):
        for align in ("number", "time"):
            assert main([*command, "--offset", far, "--align", align]) == 2
            assert "leaves no frame to be compared" in capsys.readouterr().err
    assert main([*command, "--offset", "soon"]) == 2
    assert "a whole number of frames, or auto" in capsys.readouterr().err


@pytest.mark.parametrize("align", ["number", "time"])
@pytest.mark.parametrize("counts", [(8, 5), (5, 8)])
def test_the_longer_video_has_rows_without_a_number(tmp_path: Path, align: Any, counts: tuple[int, int]) -> None:
    for name, count in zip(("ref", "test"), counts, strict=True):
        write(tmp_path / f"{name}.mkv", walk(count))
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"], align=align)
    assert values(found) == [100.0] * 5 + [None] * 3
    shorter = "test" if counts[0] > counts[1] else "ref"
    assert {row.error for row in found.rows[5:]} == {f"{tmp_path / shorter}.mkv: ends before this frame"}
    assert found.statistics["methods"]["test"]["psnr"]["count"] == 5


@pytest.mark.parametrize("side", ["ref", "test"])
def test_by_time_a_lost_frame_is_the_frame_that_is_still_shown(tmp_path: Path, side: str) -> None:
    for name in ("ref", "test"):
        options = {"g": "1"}  # each frame for itself
        write(tmp_path / f"{name}.mkv", walk(8), lost=3 if name == side else None, options=options)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "test.mkv", ["psnr"], align="time")
    wrong = [index for index, value in enumerate(values(found)) if value != 100.0]
    assert wrong == ([] if side == "ref" else [3])
    assert all(row.error is None for row in found.rows)


def test_times_that_nothing_says_are_not_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A raw stream has no times and no rate: by number it is compared with any, by time with none."""
    write(tmp_path / "ref.mp4", walk(5), codec="libx264", pixels="yuv420p", rate=30)
    write(tmp_path / "raw.264", walk(5), codec="libx264", pixels="yuv420p", rate=30)
    command = ["score", str(tmp_path / "ref.mp4"), str(tmp_path / "raw.264"), "-m", "psnr"]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--align", "time"]) == 2
    assert f"{tmp_path / 'raw.264'}: does not say when its frames are shown" in capsys.readouterr().err


def test_frames_out_of_order_in_the_file_are_in_order_here(tmp_path: Path) -> None:
    """B-frames are stored after the frames that they are predicted from."""
    options = {"bf": "3", "b_strategy": "0", "qp": "1"}
    write(tmp_path / "b.mp4", walk(12), codec="libx264", pixels="yuv444p", options=options)
    with av.open(str(tmp_path / "b.mp4")) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert any(one > other for one, other in pairwise(stored))
    write(tmp_path / "ref.mkv", walk(12))
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "b.mp4", ["psnr"])
    assert all(value is not None and value > 45 for value in values(found))
