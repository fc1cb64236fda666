"""Folders of videos: a row a video."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import frame_of, walk, write

from lookalike.cli.main import main
from lookalike.records import tables
from lookalike.scoring.video.folders import score_video_folders
from lookalike.scoring.video.score import score_videos


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """References and two methods: three clips, one of them in a folder of its own, in other containers."""
    places = tmp_path / "references", tmp_path / "good", tmp_path / "bad"
    for place, sigma, ending in zip(places, (0, 1, 4), (".mkv", ".mkv", ".nut"), strict=True):
        (place / "in").mkdir(parents=True)
        for index, name in enumerate(("a", "b", "in/c")):
            write(place / f"{name}{ending}", walk(4, sigma=sigma, start=20 * index))
        (place / "notes.txt").write_text("none of them\n")
    return places


def test_a_row_is_a_video_and_holds_the_mean_of_its_frames(
    folders: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.csv"
    command = ["score", *map(str, folders), "-m", "psnr", "ssim", "-o", str(output)]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "6 pairs, 6 of them scored now, 0 failed" in captured.out
    assert "3 files that are no videos by their ending" in captured.err
    table = tables.read(output)
    assert [(row.method, row.pair) for row in table.rows] == [
        (method, pair) for method in ("good", "bad") for pair in ("a", "b", "in/c")
    ]
    for row in table.rows:
        alone = score_videos(Path(row.reference), Path(row.image), ["psnr", "ssim"])
        for column, value in enumerate(row.values):
            assert value == pytest.approx(np.mean([frame.values[column] or 0.0 for frame in alone.rows]), rel=1e-12)
        assert (row.width, row.height) == (64, 64)
    assert (
        table.metadata["signatures"]["psnr"] == "psnr|cap:100|range:255|frames:rgb24|rotation:header|pool:mean|v:1"
    )
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["statistics"]["methods"]["good"]["psnr"]["count"] == 3
    assert main(command) == 0
    assert "6 pairs, 0 of them scored now" in capsys.readouterr().out
    write(folders[1] / "a.mkv", walk(5, sigma=1))
    assert main(command) == 3
    captured = capsys.readouterr()
    assert "6 pairs, 1 of them scored now, 1 failed" in captured.out
    assert "failed: good, a: 1 of 5 frames have no number; the first, frame 4: " in captured.err


def test_what_one_column_cannot_hold_is_an_error_of_its_row(folders: tuple[Path, Path, Path]) -> None:
    luma = np.full((64, 64), 100, np.uint16)
    write(folders[1] / "b.mkv", [frame_of([luma] * 3, "yuv444p10le")] * 4, pixels="yuv444p10le")
    write(folders[2] / "a.nut", walk(4), rate=25)
    (folders[2] / "in/c.nut").write_bytes(b"no video")
    (folders[1] / "in/c.mkv").unlink()
    found, remarks = score_video_folders(folders[0], folders[1:], ["psnr"])
    assert found.failed == 3
    assert found.missing == 1
    errors = {(method, pair): error for method, pair, error in found.failures}
    assert "this table is of videos in rgb24, rgb, and this pair is rgb48" in errors["good", "b"]
    assert "frames a second" in errors["bad", "a"]
    assert "cannot be read as a video" in errors["bad", "in/c"]
    assert remarks == []


def test_options_of_videos_hold_for_folders(folders: tuple[Path, Path, Path]) -> None:
    write(folders[1] / "a.mkv", [np.rot90(picture, 2) for picture in walk(4)], turn={"degrees": 180})
    found, remarks = score_video_folders(folders[0], folders[1:2], ["psnr"], align="time", crop_border=2)
    assert found.failed == 0
    assert "|rotation:header|align:time|pool:mean|crop:2|" in found.signatures["psnr"]
    assert [remark for remark in remarks if "rotation" in remark]


def test_planes_of_folders(tmp_path: Path) -> None:
    for name, sigma in (("references", 0), ("method", 2)):
        (tmp_path / name).mkdir()
        for clip in "ab":
            write(tmp_path / name / f"{clip}.mkv", walk(3, sigma=sigma), pixels="yuv420p")
    found, _ = score_video_folders(tmp_path / "references", [tmp_path / "method"], ["psnr"], yuv=True)
    assert list(found.signatures) == ["psnr", "psnr_y", "psnr_u", "psnr_v"]
    assert "plane:u|layout:yuv420p|rotation:header|pool:mean" in found.signatures["psnr_u"]
    assert found.failed == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--map", "a.png"], "--map is not for folders of videos"),
        (["--data-range", "255"], "--data-range is not for folders of videos"),
        (["--offset", "auto"], "--offset auto is for two videos"),
        (["--workers", "0"], "--workers is a number of threads"),
    ],
)
def test_options_that_say_nothing_are_refused(
    folders: tuple[Path, Path, Path], options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *map(str, folders), "-m", "psnr", *options]) == 2
    assert reason in capsys.readouterr().err


def test_where_nothing_can_be_read_the_first_reason_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("references", "method"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").write_bytes(b"")
    assert main(["score", str(tmp_path / "references"), str(tmp_path / "method"), "-m", "psnr"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"lookalike: {tmp_path / 'references/a.mp4'}: cannot be read as a video (the file is empty)"
    )


def test_images_win_where_a_folder_holds_both(
    folders: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for folder in folders:
        Image.fromarray(walk(1)[0]).save(folder / "still.png")
    assert main(["score", *map(str, folders), "-m", "psnr"]) == 0
    captured = capsys.readouterr()
    assert "2 pairs" in captured.out
    assert "files that are no images" in captured.err


def test_scores_that_are_not_numbers_are_failed_rows(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lookalike.metrics.pixel import PSNR

    score = PSNR.score

    def sometimes(self: Any, x: Any, y: Any) -> Any:
        found = score(self, x, y)
        return found * float("nan") if float(found[0]) < 45 else found

    monkeypatch.setattr(PSNR, "score", sometimes)
    pair = str(folders[0] / "a.mkv"), str(folders[1] / "a.mkv")
    assert main(["score", *pair, "-m", "psnr"]) == 3
    assert "not a number" in capsys.readouterr().err
    alone = score_videos(Path(pair[0]), Path(pair[1]), ["psnr"])
    failed = [row.error is not None for row in alone.rows]
    assert any(failed)
    assert alone.statistics["methods"]["a"]["psnr"]["count"] == failed.count(False)
    found, _ = score_video_folders(folders[0], folders[1:], ["psnr"])
    assert found.failed == 6
