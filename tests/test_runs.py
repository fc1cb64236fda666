import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.records import runs


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "scores.json"
    runs.write_text(path, "old")

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        runs.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
def test_files_can_be_read_by_whom_the_user_lets(tmp_path: Path):
    (tmp_path / "plain").write_text("")
    runs.write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_that_is_not_finite_is_still_json(tmp_path: Path):
    path = tmp_path / "deep" / "scores.json"
    runs.write_json(path, {"psnr": float("inf"), "more": [float("-inf"), float("nan"), 0.5, None, "é"]})
    read = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert read == {"psnr": "inf", "more": ["-inf", "nan", 0.5, None, "é"]}
    assert runs.read_json(path) == read
    assert float(read["psnr"]) == float("inf")


def test_json_that_cannot_be_read_names_the_file(tmp_path: Path):
    with pytest.raises(ValueError, match=r"scores\.json: no such file"):
        runs.read_json(tmp_path / "scores.json")
    (tmp_path / "torn.json").write_text('{"a": ')
    with pytest.raises(ValueError, match=r"torn\.json: not JSON"):
        runs.read_json(tmp_path / "torn.json")


def test_csv_reads_back(tmp_path: Path):
    runs.write_csv(tmp_path / "t.csv", ["name", "ssim|v:1"], [['a "b", c', 0.25], ["d\ne", None]])
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["name", "ssim|v:1"], ['a "b", c', "0.25"], ["d\ne", ""]]


def test_pictures_are_lossless(tmp_path: Path):
    random = np.random.default_rng(0)
    for shape in ((5, 7), (5, 7, 3)):
        pixels = random.integers(0, 256, shape).astype(np.uint8)
        runs.write_png(tmp_path / "p.png", pixels)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "p.png")), pixels)
    palette = random.integers(0, 256, (256, 3)).astype(np.uint8)
    indices = random.integers(0, 256, (5, 7)).astype(np.uint8)
    runs.write_png(tmp_path / "m.png", indices, palette)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "m.png").convert("RGB")), palette[indices])


def test_pictures_of_floats_are_refused(tmp_path: Path):
    pixels: np.ndarray = np.zeros((4, 4))
    with pytest.raises(TypeError, match="must be uint8, got float64"):
        runs.write_png(tmp_path / "p.png", pixels)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "<b>", "日本", "." * 400, "a\x00b"])
def test_file_names_are_plain(text: str):
    name = runs.file_name(text)
    assert name
    assert len(name) <= 60
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_file_names_differ():
    taken: list[str] = []
    for _ in range(3):
        taken.append(runs.file_name("a", taken))
    assert taken == ["a", "a-2", "a-3"]


def test_the_environment_says_versions_and_no_place():
    said = runs.environment("cpu")
    assert {"made", "python", "system", "device", "numpy"} <= set(said)
    assert os.getcwd() not in json.dumps(said)


def test_no_torch_is_needed():
    code = "import sys, lookalike.records.runs, lookalike.distortions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
