"""Folders to a table: matching, resuming, statistics, the files that nobody should have made, and killed runs."""

import errno
import io
import itertools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from places import PATIENCE, ROOT
from scipy import stats
from skimage import data

from lookalike.cli.main import main
from lookalike.lab import data as lab_data
from lookalike.metrics.pixel import PSNR
from lookalike.records import statistics, tables
from lookalike.report import scores as scores_page
from lookalike.scoring import pairs
from lookalike.scoring.journal import Entry, Journal
from lookalike.scoring.latex import latex_table
from lookalike.scoring.pair import measure
from lookalike.scoring.recipe import Recipe, Scorer, Work
from lookalike.scoring.run import Scored, score_folders

METRICS = ["psnr", "ssim"]


def photograph(index: int = 0, side: int = 48) -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[8 * index : 8 * index + side, 120 : 120 + side])


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def make(folder: Path, count: int = 6, side: int = 48) -> tuple[Path, Path, Path]:
    """References and two methods, the second worse."""
    places = folder / "ref", folder / "good", folder / "bad"
    for index in range(count):
        y = photograph(index, side)
        for place, sigma in zip(places, (0.0, 5.0, 15.0), strict=True):
            file = place / f"{index % 2}/{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy(y, sigma, index)).save(file)
    return places


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    return make(tmp_path)


def score(folders: Sequence[Path], output: Path | None = None, **options: Any) -> Scored:
    return score_folders(folders[0], folders[1:], options.pop("metrics", METRICS), output=output, **options)


def rows(path: Path) -> dict[tuple[str, str], tables.Row]:
    return {(row.method, row.pair): row for row in tables.read(path).rows}


# Numbers and rows


@pytest.mark.parametrize("kind", tables.KINDS)
def test_numbers_are_those_of_measure(folders: tuple[Path, Path, Path], tmp_path: Path, kind: str) -> None:
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    table = tmp_path / f"scores{kind}"
    found = score(folders, table)
    assert (found.rows, found.fresh, found.failed) == (12, 12, 0)
    read = tables.read(table)
    assert [(row.method, row.pair) for row in read.rows] == [
        (method, f"{index % 2}/{index}") for method in ("good", "bad") for index in (0, 2, 4, 1, 3, 5)
    ]
    for row in read.rows:
        assert row.reference == str(folders[0] / f"{row.pair}.png")
        assert row.image == str(tmp_path / row.method / f"{row.pair}.png")
        wanted = measure(row.image, row.reference, METRICS)
        assert row.values == tuple(one.value for one in wanted)
        assert read.metadata["signatures"] == {one.metric: one.signature for one in wanted}
        assert (row.width, row.height, row.error) == (48, 48, None)
    assert read.metadata["better"] == {"psnr": "higher", "ssim": "higher"}
    assert json.loads((tmp_path / f"scores{kind}.statistics.json").read_text())["unpaired"] == []


def test_batches_give_the_numbers_of_pairs_alone(folders: tuple[Path, Path, Path]) -> None:
    class Watched(Scorer):
        def _scored(self, group: Any) -> list[Entry]:
            sizes.append(len(group))
            return super()._scored(group)

    sizes: list[int] = []
    works = [
        Work(f"{i}", str(folders[0] / f"{i % 2}/{i}.png"), (("good", str(folders[1] / f"{i % 2}/{i}.png")),))
        for i in range(6)
    ]
    works.insert(2, Work("gone", "nowhere.png", (("good", "nowhere.png"),)))
    alone, together = Recipe(metrics=tuple(METRICS)), Recipe(metrics=tuple(METRICS), batch=4)
    decoded = [one for work in works for one in Scorer(alone).decode(work)]
    found, wanted = Watched(together).score(decoded), Scorer(alone).score(decoded)
    assert sizes == [4, 2, 1]
    for one, other in zip(found, wanted, strict=True):
        assert one._replace(values=()) == other._replace(values=())
        assert one.values == pytest.approx(other.values, abs=1e-6)


def test_a_metric_that_declines_is_an_error_by_name_and_a_gap_otherwise(tmp_path: Path) -> None:
    folders = make(tmp_path, 2)
    found = score(folders, tmp_path / "named.csv", metrics=["psnr", "ms_ssim"])
    assert found.failed == 4
    for row in tables.read(tmp_path / "named.csv").rows:
        assert row.values[0] is not None
        assert row.values[1] is None
        assert "ms_ssim: needs images of at least 161 px" in str(row.error)
    found = score(folders, tmp_path / "all.csv", metrics=None)
    assert found.failed == 0
    assert found.declined["ms_ssim"][0] == 4
    assert all(row.error is None for row in tables.read(tmp_path / "all.csv").rows)


def test_whatever_a_metric_raises_is_an_error_of_the_row(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def fails_once(self: Any, x: Any, y: Any) -> Any:
        if next(calls) == 3:
            raise RuntimeError("out of\nmemory")
        return x.mean((1, 2, 3))

    monkeypatch.setattr(PSNR, "score", fails_once)
    found = score(folders, tmp_path / "scores.csv", workers=1)
    assert (found.failed, found.failures[0][2]) == (1, "out of memory")
    [bad] = [row for row in tables.read(tmp_path / "scores.csv").rows if row.error]
    assert bad.values[0] is None
    assert bad.values[1] is not None
    found = score(folders, tmp_path / "scores.csv")
    assert (found.fresh, found.failed) == (1, 0)  # what broke may go well another time


@pytest.mark.slow
def test_a_metric_that_breaks_has_not_declined(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(self: Any, x: Any, y: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(PSNR, "score", breaks)
    found = score(folders[:2], metrics=None)
    assert (found.rows, found.failed, "psnr" in found.declined) == (6, 6, False)
    assert found.failures[0] == ("good", "0/0", "MemoryError")
    assert main(["score", *map(str, folders[:2])]) == 3


# What is done before the metrics


def test_crop_border_and_luma_are_those_of_super_resolution(tmp_path: Path) -> None:
    folders = make(tmp_path, 1)[:2]
    found = score(folders, tmp_path / "scores.csv", metrics=["psnr"], crop_border=4, luma="ycbcr")
    [row] = tables.read(tmp_path / "scores.csv").rows

    def y_channel(path: str) -> np.ndarray:  # rgb2ycbcr of MATLAB, without its rounding
        rgb = np.asarray(Image.open(path))[4:-4, 4:-4] / 255
        return rgb @ [65.481, 128.553, 24.966] + 16

    mse = np.square(y_channel(row.image) - y_channel(row.reference)).mean()
    assert row.values[0] == pytest.approx(20 * np.log10(255 / np.sqrt(mse)), abs=1e-4)
    assert (row.width, row.height) == (40, 40)
    assert found.signatures == {"psnr": "psnr|cap:100|range:255|crop:4|luma:ycbcr|v:1"}
    score(folders, tmp_path / "empty.csv", metrics=["psnr"], crop_border=24)
    assert "nothing is left of 48x48 px" in str(tables.read(tmp_path / "empty.csv").rows[0].error)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_other_sizes_are_refused_or_resized_by_rule(tmp_path: Path, kind: str) -> None:
    y = data.camera()[:64, :80]
    x = noisy(np.asarray(Image.fromarray(y).resize((40, 32), Image.Resampling.BOX)), 20)
    folders = tmp_path / "ref", tmp_path / "half"
    for folder, image in zip(folders, (y, x), strict=True):
        folder.mkdir()
        if kind == "float32":
            Image.fromarray(image.astype(np.float32) / 255).save(folder / "a.tif")
        else:
            Image.fromarray(image if kind == "uint8" else image.astype(np.uint16) * 257).save(folder / "a.png")
    found = score(folders, tmp_path / "refused.csv", metrics=["psnr"])
    assert "judged is 40x32 px, the reference 80x64 px" in found.failures[0][2]
    assert "name a rule with --resize" in found.failures[0][2]
    found = score(folders, tmp_path / "resized.csv", metrics=["psnr"], resize="bicubic")
    wanted = np.asarray(Image.fromarray(x).resize((80, 64), Image.Resampling.BICUBIC))
    mse = np.square(wanted.astype(float) - y).mean() / 255**2
    [row] = tables.read(tmp_path / "resized.csv").rows
    assert row.values[0] == pytest.approx(-10 * np.log10(mse), abs=1e-3 if kind == "uint8" else 0.05)
    assert "|resize:bicubic|" in found.signatures["psnr"]


def test_one_column_has_one_signature(tmp_path: Path) -> None:
    folders = make(tmp_path, 2)[:2]
    for folder in folders:
        Image.fromarray(data.camera()[:48, :48].astype(np.uint16) * 257).save(folder / "1/9.png")
        Image.fromarray(data.camera()[:48, :48].astype(np.float32) / 255).save(folder / "1/99.tif")
    found = score(folders, tmp_path / "scores.csv")
    assert (found.failed, found.failures[0][1]) == (2, "1/9")
    assert "this table is of 8-bit images and this pair is float" in found.failures[1][2]
    assert "this table is of 8-bit images and this pair is 16-bit" in found.failures[0][2]


# Unfair tables


def floats(folder: Path, broken: dict[str, Sequence[int]], count: int = 6) -> list[Path]:
    """Float images, the methods' noise in the order of their names; some hold NaN."""
    places = [folder / "ref", *(folder / name for name in broken)]
    for index in range(count):
        y = photograph(index)[..., 0].astype(np.float32) / 255
        for at, place in enumerate(places):
            place.mkdir(exist_ok=True)
            x = np.clip(y + np.random.default_rng(index).normal(0, 0.02 * at, y.shape), 0, 1).astype(np.float32)
            if at and index in broken[place.name]:
                x[5, 7] = np.nan
            Image.fromarray(x).save(place / f"{index}.tif")
    return places


@pytest.mark.parametrize("kind", tables.KINDS)
def test_a_score_that_is_nan_is_a_failed_row_the_worst_and_in_no_mean(tmp_path: Path, kind: str) -> None:
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    folders = floats(tmp_path, {"steady": [], "broken": [1, 2, 3, 4, 5]})
    table = tmp_path / f"scores{kind}"
    found = score(folders, table, metrics=["psnr"])
    assert (found.rows, found.failed) == (12, 5)
    read = tables.read(table)
    for row in read.rows[7:]:
        assert row.values[0] is not None
        assert np.isnan(row.values[0])
        assert row.error == "psnr: the score is not a number (NaN)"
    steady, broken = (found.statistics["methods"][name]["psnr"] for name in ("steady", "broken"))
    assert (steady["count"], broken["count"]) == (1, 1)
    assert steady["mean"] == rows(table)[("steady", "0")].values[0]
    assert steady["letters"] == "a"
    assert (broken["lacking"], broken["undefined"], broken["own"]["count"]) == (5, 5, 1)
    assert [one["pair"] for one in broken["worst"]] == ["1", "2", "3", "4", "5"]
    assert np.isnan(broken["worst"][0]["value"])
    metadata = read.metadata["statistics"]["methods"]["broken"]["psnr"]
    assert metadata["worst"][0] == {"pair": "1", "value": "nan"}
    assert "NaN" in scores_page.write(table).read_text(encoding="utf-8")
    assert main(["score", *map(str, folders), "-m", "psnr", "-o", str(table)]) == 3
    assert score(folders, table, metrics=["psnr"]).fresh == 5  # without a number: tried again


def test_every_metric_of_a_method_that_is_nan_throughout(tmp_path: Path) -> None:
    folders = floats(tmp_path, {"steady": [], "broken": range(6)})
    found = score(folders, metrics=["psnr", "ssim"])
    assert found.failed == 6
    assert found.failures[0] == (
        "broken", "0", "psnr: the score is not a number (NaN); ssim: the score is not a number (NaN)",
    )  # fmt: skip
    steady, broken = (found.statistics["methods"][name]["psnr"] for name in ("steady", "broken"))
    assert (steady["count"], broken["count"], broken["mean"]) == (6, 0, None)
    assert (steady["letters"], "letters" in broken) == ("a", False)


def test_the_table_of_a_pair_that_is_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ref, broken = floats(tmp_path, {"broken": [0]}, 1)
    command = ["score", str(ref / "0.tif"), str(broken / "0.tif"), "-m", "psnr", "l1"]
    assert main(command) == 3
    said = capsys.readouterr()
    assert "nan" in said.out
    assert said.err.splitlines() == [f"failed: {name}: the score is not a number (NaN)" for name in ("psnr", "l1")]
    assert main([*command, "--json"]) == 3
    assert [row["value"] for row in json.loads(capsys.readouterr().out)["scores"]] == ["nan", "nan"]


def test_a_method_that_leaves_out_what_is_hard_does_not_win(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref, good, _ = make(tmp_path, 8)
    hard = tmp_path / "hard"
    shutil.copytree(good, hard)
    shutil.copytree(good, tmp_path / "twin")
    for index in (1, 5, 7):  # for both, as good as the good one by the five others
        for folder in (good, tmp_path / "twin"):
            Image.fromarray(noisy(photograph(index), 40, index)).save(folder / f"{index % 2}/{index}.png")
        (hard / f"{index % 2}/{index}.png").unlink()
    folders, table = (ref, good, tmp_path / "twin", hard), tmp_path / "scores.csv"
    found = score(folders, table, metrics=["psnr"])
    cells = {name: found.statistics["methods"][name]["psnr"] for name in ("good", "twin", "hard")}
    assert cells["good"]["mean"] == cells["hard"]["mean"] == cells["twin"]["mean"]
    assert {cell["count"] for cell in cells.values()} == {5}
    assert {cell["letters"] for cell in cells.values()} == {"a"}
    assert cells["good"]["own"]["mean"] < cells["hard"]["own"]["mean"] == cells["hard"]["mean"]
    assert [cell["lacking"] for cell in cells.values()] == [0, 0, 3]
    assert found.statistics["compared"] == {"psnr": {"pairs": 5, "left_out": 3}}
    assert (found.missing, found.extra, found.failed, found.rows) == (3, 0, 0, 21)
    lacking = [row for row in tables.read(table).rows if row.error]
    assert [(row.method, row.pair, row.image, row.error) for row in lacking] == [
        ("hard", f"1/{index}", "", f"missing: no image in {hard}") for index in (1, 5, 7)
    ]
    page = scores_page.write(table).read_text(encoding="utf-8")
    assert "psnr 5 of 8." in page
    assert "* lacks 3; own mean" in page
    assert f"<td>missing</td><td>{ref / '1/5.png'}</td><td>no image in {hard}</td>" in page
    assert "8 pairs" in page
    assert "lacks 3 pairs" in latex_table(found.statistics, found.signatures, found.better)
    command = ["score", *map(str, folders), "-m", "psnr", "-o", str(table)]
    assert main(command) == 3
    said = capsys.readouterr()
    assert "Compared on the pairs that all methods have a score of: psnr 5 of 8." in said.out
    assert "* hard lacks pairs that others have; its own means: psnr " in said.out
    assert "3 missing" in said.out
    assert main([*command, "--allow-missing"]) == 0


def test_an_image_without_a_reference_is_listed(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    (folders[0] / "0/4.png").unlink()
    found = score(folders, tmp_path / "scores.jsonl")
    assert (found.rows, found.missing, found.extra) == (10, 0, 2)
    assert [(row.method, row.reference, row.error) for row in tables.read(tmp_path / "scores.jsonl").rows[10:]] == [
        (name, "", f"extra: no reference in {folders[0]}") for name in ("good", "bad")
    ]
    said = json.loads((tmp_path / "scores.jsonl.statistics.json").read_text())
    assert [one["kind"] for one in said["unpaired"]] == ["extra", "extra"]
    command = ["score", *map(str, folders), "-m", *METRICS]
    assert main(command) == 3
    assert main([*command, "--allow-missing"]) == 0


def test_a_failed_row_is_3_whatever_may_be_missing(folders: tuple[Path, Path, Path]) -> None:
    (folders[1] / "0/2.png").write_bytes(b"")
    assert main(["score", *map(str, folders), "-m", "psnr", "--allow-missing"]) == 3
    found = score(folders, metrics=["psnr"])
    assert {found.statistics["methods"][name]["psnr"]["count"] for name in ("good", "bad")} == {5}


def test_two_tables_share_no_file(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    score(folders, tmp_path / "o.csv", metrics=["psnr"])
    csv_files = {path.name: path.read_bytes() for path in tmp_path.glob("o.*")}
    score(folders[:2], tmp_path / "o.jsonl", metrics=["ssim"])
    assert {name: (tmp_path / name).read_bytes() for name in csv_files} == csv_files
    assert "o.jsonl.statistics.json" not in csv_files


@pytest.mark.parametrize(("first", "second"), [("csv", "jsonl")])
def test_a_column_that_is_there_twice_is_refused(
    folders: tuple[Path, Path, Path], tmp_path: Path, first: str, second: str
) -> None:
    table = tmp_path / f"o.{first}"
    score(folders, table, metrics=["psnr"])
    lines = table.read_text().splitlines()
    table.write_text("\n".join(f"{line},{'psnr' if not at else '99'}" for at, line in enumerate(lines)) + "\n")
    with pytest.raises(ValueError, match="the column 'psnr' is there twice"):
        tables.read(table)
    table = tmp_path / f"o.{second}"
    score(folders, table, metrics=["psnr"])
    table.write_text(table.read_text().replace('"error"', '"psnr": 99, "error"'))
    with pytest.raises(ValueError, match="the column 'psnr' is there twice"):
        tables.read(table)


def test_a_table_that_a_spreadsheet_saved_begins_with_a_mark(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    table = tmp_path / "o.csv"
    score(folders, table)
    before = tables.read(table)
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert tables.read(table) == before
    assert main(["report", str(table)]) == 0


# Matching


def test_pairs_are_matched_by_stem_name_or_expression(tmp_path: Path) -> None:
    for name in ("ref/a.png", "ref/b.png", "ref/in/c.png", "x/a.jpg", "x/b.png", "x/in/c.webp", "y/a_x4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "x/notes.txt").write_text("no image")
    (tmp_path / "x/.hidden.png").write_text("no image")
    ref, x, y = tmp_path / "ref", tmp_path / "x", tmp_path / "y"
    found = pairs.find(ref, [x])
    assert [group.pair for group in found.groups] == ["a", "b", "in/c"]
    assert found.paths(0, 2) == (str(ref / "in/c.png"), str(x / "in/c.webp"))
    assert (found.unpaired, found.others, len(found)) == ([], 1, 3)
    found = pairs.find(ref, [x], "name")
    assert [group.pair for group in found.groups] == ["b.png"]
    assert {(Path(one.path).relative_to(tmp_path).as_posix(), one.reason) for one in found.unpaired} == {
        ("x/a.jpg", "no reference"), ("x/in/c.webp", "no reference"),
        ("ref/a.png", "no image of any method"), ("ref/in/c.png", "no image of any method"),
    }  # fmt: skip
    found = pairs.find(ref, [x, y], r"^([a-z])(?:_x4)?\.")
    assert [group.images for group in found.groups] == [("a.jpg", "a_x4.png"), ("b.png", None)]
    assert list(found.numbered()) == [(0, 0), (0, 1), (1, 0)]
    assert ("b.png", f"no image in {y}") in [(Path(one.path).name, one.reason) for one in found.unpaired]


def test_what_cannot_be_matched_is_refused(tmp_path: Path) -> None:
    for name in ("ref/a.png", "x/a.png", "x/a.jpg", "y/z.png", "empty/readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    ref = tmp_path / "ref"
    with pytest.raises(ValueError, match=r"a\.jpg and a\.png in .*x are both called 'a'; use --match name"):
        pairs.find(ref, [tmp_path / "x"])
    with pytest.raises(ValueError, match=r"no image of .*y has a reference in .*ref by --match stem"):
        pairs.find(ref, [tmp_path / "y"])
    with pytest.raises(ValueError, match=r"holds no images .* without them is out of its scope"):
        pairs.find(ref, [tmp_path / "empty"])
    with pytest.raises(ValueError, match="is no regular expression"):
        pairs.find(ref, [ref], "(")
    with pytest.raises(ValueError, match="a regular expression with a group"):
        pairs.find(ref, [ref], "stems")
    with pytest.raises(ValueError, match="the same folder twice"):
        pairs.find(ref, [ref, ref])
    with pytest.raises(ValueError, match="nowhere is not there, not a folder"):
        pairs.find(ref, [tmp_path / "nowhere"])
    with pytest.raises(ValueError, match=r"a\.png is a file, not a folder"):
        pairs.find(ref, [ref / "a.png"])


def test_names_that_differ_only_in_how_an_accent_is_written_belong_together(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9.png", "cafe\u0301.png"
    for name in (f"ref/{composed}", f"x/{apart}"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    found = pairs.find(tmp_path / "ref", [tmp_path / "x"])
    assert [(group.pair, group.images) for group in found.groups] == [("caf\u00e9", (apart,))]
    assert found.unpaired == []
    (tmp_path / "x" / composed).write_bytes(b"")
    if len(list((tmp_path / "x").iterdir())) == 2:  # some file systems hold one of them
        with pytest.raises(ValueError, match=r"'cafe\\u0301\.png' and 'caf\\xe9\.png' in .*x are both called"):
            pairs.find(tmp_path / "ref", [tmp_path / "x"])


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_linked_folder_is_called_what_its_user_calls_it(tmp_path: Path) -> None:
    ref, good, _ = make(tmp_path, 2)
    (tmp_path / "run-17").symlink_to(good)
    (tmp_path / "again").symlink_to(good)
    found = pairs.find(ref, [tmp_path / "run-17", tmp_path / "again", tmp_path / "bad" / ".." / "good"])
    assert found.methods == ("run-17", "again", "good")
    with pytest.raises(ValueError, match="the same folder twice"):
        pairs.find(ref, [good, tmp_path / "bad" / ".." / "good"])


def test_the_lab_and_the_scores_take_the_same_files_for_images(tmp_path: Path) -> None:
    folder = tmp_path / "ref"
    names = ("a.jfif", "b.pgm", "in/c.JPE", ".hidden.png", ".inside/d.png", "e.txt", "f.png/g.png")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    wanted = ["a.jfif", "b.pgm", "f.png/g.png", "in/c.JPE"]
    assert sorted(group.reference for group in pairs.find(folder, [folder]).groups) == wanted
    assert [path.relative_to(folder).as_posix() for path in lab_data.files_in(folder)] == wanted


# Resuming


def test_nothing_is_scored_twice(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    score(folders, table)
    whole = table.read_bytes()
    assert score(folders, table).fresh == 0
    assert table.read_bytes() == whole
    file = folders[2] / "0/2.png"
    Image.fromarray(noisy(photograph(2), 50)).save(file)
    assert score(folders, table).fresh == 1
    changed = rows(table)[("bad", "0/2")]
    assert changed.values[0] == measure(file, folders[0] / "0/2.png", ["psnr"])[0].value
    (folders[0] / "1/1.png").touch()
    assert score(folders, table).fresh == 2
    (folders[1] / "0/0.png").unlink()
    found = score(folders, table)
    assert (found.fresh, found.rows) == (0, 11)
    assert score([*folders[:2], make(tmp_path / "more")[2]], table).fresh == 6


def test_a_hash_knows_a_change_that_keeps_size_and_time(tmp_path: Path) -> None:
    folders = make(tmp_path, 2)
    for folder in folders:
        for index in (0, 1):
            Image.fromarray(noisy(photograph(index), 5)).save(folder / f"{index}/{index}.bmp")
            (folder / f"{index}/{index}.png").unlink()
    score(folders, tmp_path / "time.csv")
    score(folders, tmp_path / "hash.csv", hashed=True)
    file = folders[1] / "0/0.bmp"
    before = file.stat()
    Image.fromarray(noisy(photograph(0), 25)).save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert score(folders, tmp_path / "time.csv").fresh == 0
    assert score(folders, tmp_path / "hash.csv", hashed=True).fresh == 1


def test_another_folder_of_the_same_name_is_not_taken_for_the_first(tmp_path: Path) -> None:
    ref, good, bad = make(tmp_path, 2)
    for folder, named in ((ref, ref), (good, tmp_path / "one/x4"), (bad, tmp_path / "two/x4")):
        for index in (0, 1):
            file = named / f"{index}.bmp"  # of one size, and unpacked with one time
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.open(folder / f"{index}/{index}.png").save(file)
            os.utime(file, ns=(10**18, 10**18))
    table = tmp_path / "scores.csv"
    score((ref, tmp_path / "one/x4"), table)
    before = rows(table)[("x4", "0")]
    assert score((ref, tmp_path / "two/x4"), table).fresh == 2
    assert rows(table)[("x4", "0")].values[0] == measure(bad / "0/0.png", ref / "0/0.png", ["psnr"])[0].value
    assert score((ref, tmp_path / "two/x4"), table).fresh == 0
    assert score((ref, tmp_path / "one/x4"), table).fresh == 2
    assert rows(table)[("x4", "0")] == before


def test_other_settings_are_not_mixed(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    score(folders, table)
    for options in ({"convention": "scikit-image"}, {"crop_border": 1}, {"metrics": ["psnr"]}, {"hashed": True}):
        with pytest.raises(ValueError, match="begun with other settings"):
            score(folders, table, **options)
    with pytest.raises(ValueError, match="signatures were in the order psnr, ssim, are in ssim, psnr"):
        score(folders, table, metrics=["ssim", "psnr"])
    (tmp_path / "other.csv.journal").write_text("something else\n")
    with pytest.raises(ValueError, match="is no journal of scores"):
        score(folders, tmp_path / "other.csv")
    with (
        Journal(tmp_path / "held.csv.journal", {}),
        pytest.raises(ValueError, match="another run writes it"),
    ):
        score(folders, tmp_path / "held.csv")


def test_failed_rows_are_tried_again(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    file = folders[1] / "0/2.png"
    whole = file.read_bytes()
    file.write_bytes(b"")
    assert score(folders, tmp_path / "scores.csv").failed == 1
    assert score(folders, tmp_path / "scores.csv").fresh == 1
    file.write_bytes(whole)
    assert (found := score(folders, tmp_path / "scores.csv")).failed == 0
    assert found.fresh == 1


def entry(index: int) -> Entry:
    return Entry(("m", f"{index}\n\udcff"), ("1:2", "3:4"), (8, 8), (0.1 * index, None), None, {"ssim": "no"})


def test_a_torn_journal_loses_what_was_torn_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for start in (0, 3, 6):  # three lines
        with Journal(path, {"signatures": {}}) as journal:
            for index in range(start, start + 3):
                journal.append(entry(index))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = list(itertools.accumulate(map(len, lines)))
    for cut in (*range(0, len(whole), 7), *ends):
        path.write_bytes(whole[:cut])
        with Journal(path, {"signatures": {}}) as journal:
            kept = [found for _, found in journal.replay()]
            assert kept == [entry(index) for index in range(3 * max(0, sum(end <= cut for end in ends) - 1))]
            journal.append(entry(99))
        with Journal(path, {"signatures": {}}) as journal:
            places = [place for place, _ in journal.replay()]
            assert [journal.read(place) for place in places] == [*kept, entry(99)]
    damaged = bytearray(whole)
    damaged[ends[1] + 30] ^= 1
    path.write_bytes(damaged)
    with Journal(path, {"signatures": {}}) as journal:
        assert [found for _, found in journal.replay()] == [entry(index) for index in (0, 1, 2, 6, 7, 8)]


def put(journal: Path, entries: Any) -> None:
    """Append a line whose checksum is right, whatever it holds."""
    content = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    with journal.open("ab") as file:
        file.write(b"%08x %b\n" % (zlib.crc32(content), content))


WELL = [["good", "0/2"], ["", ""], [48, 48], [1.0, 0.5], None, {}]


@pytest.mark.parametrize(
    "entries",
    [
        [[*WELL[:3], [1.0], *WELL[4:]]],  # too few scores
        [[*WELL[:3], [1.0, 0.5, 0.5], *WELL[4:]]],
        [[*WELL[:3], [], *WELL[4:]]],
        [[*WELL[:3], ["1.0", 0.5], *WELL[4:]]],
        [[*WELL[:3], [True, 0.5], *WELL[4:]]],
        [[*WELL[:3], [None, 0.5], *WELL[4:]]],  # no score, and no reason
        [[*WELL[:3], None, *WELL[4:]]],
        [[["good"], *WELL[1:]]],
        [[["good", 2], *WELL[1:]]],
        [["good", *WELL[1:]]],
        [[WELL[0], ["", "", ""], *WELL[2:]]],
        [[*WELL[:2], [48], *WELL[3:]]],
        [[*WELL[:2], [0, -1], *WELL[3:]]],
        [[*WELL[:4], 7, {}]],
        [[*WELL[:5], ["ssim"]]],
        [[*WELL[:5], {"ssim": 3}]],
        [WELL[:5]],
        [WELL, 7],
        [{}],
        {"key": WELL},
        "null",
        "[[",
        "[" * 100_000,
        7,
    ],
    ids=lambda entries: str(entries)[:60],
)
def test_a_journal_line_that_holds_something_else_is_passed_over(
    folders: tuple[Path, Path, Path], tmp_path: Path, entries: Any
) -> None:
    score(folders[:2], tmp_path / "o.csv")
    whole = (tmp_path / "o.csv").read_bytes()
    put(tmp_path / "o.csv.journal", entries)
    assert score(folders[:2], tmp_path / "o.csv").fresh == 0
    assert (tmp_path / "o.csv").read_bytes() == whole


def test_a_header_that_holds_something_else_is_refused(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    for at, header in enumerate(({"format": 1}, {"format": 1, "signatures": 7}, ["format"], 7, None, "{")):
        put(tmp_path / f"{at}.csv.journal", header)
        with pytest.raises(ValueError, match=r"(begun with other settings|is no journal)"):
            score(folders, tmp_path / f"{at}.csv")


def test_a_full_disk_keeps_what_was_scored(
    folders: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = tmp_path / "wanted.csv"
    score(folders, wanted)
    table = tmp_path / "scores.csv"
    command = ["score", *map(str, folders), "-m", *METRICS, "-o", str(table)]
    journal = Path(f"{table}.journal")
    score([folders[0], folders[1]], table)  # half the work
    before = journal.read_bytes()
    room = {"bytes": 200}

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, content: bytes) -> int:
            if not room["bytes"]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = min(room["bytes"], len(content))
            room["bytes"] -= taken
            return self.file.write(content[:taken])

    opened = Journal.__init__

    def full(self: Any, *arguments: Any) -> None:
        opened(self, *arguments)
        self._writer = Full(self._writer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "__init__", full)
        assert main(command) == 2
    assert capsys.readouterr().err == f"lookalike: [Errno 28] No space left on device: '{journal}'\n"
    assert journal.read_bytes() == before
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())
    assert main(command) == 0
    assert table.read_bytes() == wanted.read_bytes()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_while_the_table_is_written(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "scores.csv"
    score(folders, table)
    before = table.read_bytes()
    Image.fromarray(photograph(3)).save(folders[1] / "0/0.png")
    opened = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return opened(Path("/dev/full"), "wb") if mode == "xb" else opened(path, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match="No space left"):
            score(folders, table)
    assert table.read_bytes() == before
    assert score(folders, table).fresh == 0
    assert table.read_bytes() != before


# Killed and interrupted


def begin(folders: Sequence[Path], table: Path, *more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "lookalike",
        "score",
        *map(str, folders),
        "-m",
        "psnr",
        "-o",
        str(table),
        *more,
    ]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_rows(journal: Path, process: subprocess.Popen[str]) -> None:
    """Until the journal holds more than its header, or the run is over."""
    for _ in range(100 * PATIENCE):
        if process.poll() is not None or (journal.exists() and journal.read_bytes().count(b"\n") > 1):
            return
        time.sleep(0.01)
    raise TimeoutError(f"{journal}: no rows")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """So many links to a few images that a run can be caught in the middle."""
    folder = tmp_path_factory.mktemp("many")
    made = make(folder / "real", 4, 64)
    for place in ("ref", "good"):
        (folder / place).mkdir()
    for index, (place, real) in itertools.product(range(4000), zip(("ref", "good"), made, strict=False)):
        (folder / place / f"{index:05}.png").symlink_to(real / f"{index % 2}/{index % 4}.png")
    return folder / "ref", folder / "good"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_runs_end_in_the_same_table(many: tuple[Path, Path], tmp_path: Path) -> None:
    score(many, tmp_path / "whole.csv", metrics=["psnr"])
    table = tmp_path / "killed.csv"
    journal = Path(f"{table}.journal")
    caught = 0
    for moment in (0, 0.1, 0.3):
        process = begin(many, table)
        wait_for_rows(journal, process)
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            caught += 1
        process.communicate()
    assert caught
    found = score(many, table, metrics=["psnr"])
    assert found.fresh < 4000
    assert table.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_without_output_leaves_nothing_when_it_is_killed(
    many: tuple[Path, Path], tmp_path: Path, end: signal.Signals
) -> None:
    script = (
        "import sys; from pathlib import Path; from lookalike.scoring.run import score_folders\n"
        "score_folders(Path(sys.argv[1]), [Path(sys.argv[2])], ['psnr'],"
        " progress=lambda done, total: print(done, flush=True))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, many)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        while int(process.stdout.readline()) < 100:
            pass
        process.send_signal(end)
        process.stdout.read()
    assert process.returncode == -end
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_what_a_killed_run_left_beside_the_table_goes_at_the_next_run(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    table = tmp_path / "scores.csv"
    script = (
        "import os, signal, sys; from pathlib import Path; from lookalike.records import runs\n"
        "with runs.replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    for name in ("scores.csv", "scores.csv.json", "scores.csv.statistics.json"):
        command = [sys.executable, "-c", script, str(tmp_path / name)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
        assert done.returncode == -signal.SIGKILL
    assert sum(path.name.startswith(".scores.csv.") for path in tmp_path.iterdir()) == 3
    (tmp_path / ".scores.csv.mine").write_text("not of lookalike")
    score(folders, table)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".scores.csv.mine"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupted_is_130_and_keeps_what_was_scored(many: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    process = begin(many, table)
    wait_for_rows(Path(f"{table}.journal"), process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert said[1] == "stopped; the same command goes on from here\n"
    assert not table.exists()
    assert score(many, table, metrics=["psnr"]).fresh < 4000


# Files that nobody should have made: each with its outcome, None where it is scored


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def rotated(image: Image.Image) -> bytes:
    """Stored on its side, with the EXIF orientation that turns it back."""
    exif = Image.Exif()
    exif[274] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif)


def transparent(image: Image.Image) -> bytes:
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    return encoded(palette, transparency=palette.getpixel((0, 0)))


def deep(image: Image.Image) -> bytes:
    return encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257))


def animated(image: Image.Image) -> bytes:
    return encoded(image, "GIF", save_all=True, append_images=[image.rotate(90)])


def profiled(image: Image.Image) -> bytes:
    return encoded(image, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


BAD: dict[str, tuple[Callable[[Image.Image], bytes], str | None]] = {
    "truncated.png": (lambda image: encoded(image)[:2000], "truncated or damaged"),
    "cut.jpg": (lambda image: encoded(image, "JPEG")[:700], "truncated or damaged"),
    "empty.png": (lambda image: b"", "the file is empty"),
    "no image.png": (lambda image: b"#!/bin/sh\nexit 0\n", "not an image of a known kind"),
    "really a jpeg.png": (lambda image: encoded(image, "JPEG"), None),
    "cmyk.jpg": (lambda image: encoded(image.convert("CMYK"), "JPEG"), None),
    "16 bits.png": (deep, "16-bit"),
    "1 bit.png": (lambda image: encoded(image.convert("1")), "the image judged is grey"),
    "palette.png": (lambda image: encoded(image.convert("P")), None),
    "palette with transparency.png": (transparent, "has transparent pixels"),
    "exif.png": (rotated, None),
    "animated.gif": (animated, "holds more than one frame"),
    "profile.png": (profiled, "its colour profile cannot be used"),
    "bomb.png": (lambda image: bomb(), "claims more than 178,956,970 pixels"),
    "with spaces  and 'quotes'.png": (encoded, None),
    "new\nline.png": (encoded, None),
    "carriage\rreturn.png": (encoded, None),
    "<script>alert(1)<.png": (encoded, None),
    "-m.png": (encoded, None),
}
# What is made otherwise, where the system can.
LINKS = {"loop.png": "cannot be a file", "dangling.png": "no such file", "pipe.png": "not a regular file"}
BYTES = {"bytes \udcff\udcfe.png": None}
FORBIDDEN = {"forbidden.png": "no permission to read it"}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str | None]]:
    """References, bad files, and the outcome of each by its stem."""
    folder = tmp_path_factory.mktemp("bad")
    ref, judged = folder / "ref", folder / "judged"
    for place in (ref, judged):
        place.mkdir()
    image = Image.fromarray(photograph(0, 64))
    outcomes: dict[str, str | None] = {}
    for name, (content, outcome) in BAD.items():
        (judged / name).write_bytes(content(image))
        outcomes[name.rsplit(".", 1)[0]] = outcome
    if os.name == "posix":
        (judged / "loop.png").symlink_to(judged / "loop.png")
        (judged / "dangling.png").symlink_to(judged / "nowhere.png")
        os.mkfifo(judged / "pipe.png")
        (judged / "folder.png").mkdir()
        (judged / "above").symlink_to(judged)
        outcomes |= {Path(name).stem: outcome for name, outcome in LINKS.items()}
    if sys.platform == "linux":
        [name] = BYTES
        (judged / name).write_bytes(encoded(image))
        outcomes[Path(name).stem] = None
    if os.name == "posix" and os.geteuid() != 0:
        [name] = FORBIDDEN
        (judged / name).write_bytes(encoded(image))
        (judged / name).chmod(0)
        outcomes[Path(name).stem] = FORBIDDEN[name]
    for stem in outcomes:
        (ref / f"{stem}.png").write_bytes(encoded(image))
    return ref, judged, outcomes


@pytest.mark.parametrize("kind", tables.KINDS)
def test_bad_files_have_stated_outcomes(
    bad: tuple[Path, Path, dict[str, str | None]], tmp_path: Path, kind: str
) -> None:
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    ref, judged, outcomes = bad
    table = tmp_path / f"scores{kind}"
    found = score((ref, judged), table)
    read = {row.pair: row for row in tables.read(table).rows}
    assert set(read) == {tables.as_text(stem) for stem in outcomes}
    for stem, outcome in outcomes.items():
        row = read[tables.as_text(stem)]
        if outcome is None:
            assert row.error is None, row
            assert all(value is not None for value in row.values), row
        else:
            assert outcome in str(row.error)
            assert row.values == (None, None)
    assert found.failed == sum(outcome is not None for outcome in outcomes.values())
    assert read["exif"].values[0] == 100
    reasons = {Path(one.path).name: one.reason for one in found.pairs.unpaired}
    assert reasons == ({"above": "a link to a folder above it"} if os.name == "posix" else {})


def test_the_page_of_bad_files_says_these_outcomes() -> None:
    outcomes = {name: outcome for name, (_, outcome) in BAD.items()} | LINKS | BYTES | FORBIDDEN
    page = (ROOT / "docs" / "bad-files.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| `(.+?)` \| .+? \| (.+?) \|$", page, re.MULTILINE))
    assert set(said) == {ascii(name)[1:-1] for name in outcomes}
    for name, outcome in outcomes.items():
        row = said[ascii(name)[1:-1]]
        assert row.startswith("scored") if outcome is None else f"“{outcome}" in row, name


@pytest.mark.slow
def test_bad_files_are_3_in_a_process(bad: tuple[Path, Path, Any], tmp_path: Path) -> None:
    process = begin(bad[:2], tmp_path / "scores.csv", "--latex", str(tmp_path / "scores.tex"))
    said, complained = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, complained
    assert "Traceback" not in complained
    assert "failed: judged, empty: " in complained
    assert f"{sum(outcome is not None for outcome in bad[2].values())} failed" in said
    assert "a link to a folder above it" in complained
    assert (tmp_path / "scores.tex").read_text().splitlines()[1] == "\\begin{table}"


@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_files_raise_nothing_else(tmp_path: Path, draw: st.DataObject) -> None:
    """Bytes of real files, changed, cut, repeated: a number or an error of the row."""
    image = Image.fromarray(photograph(0, 24))
    kind = draw.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]))
    content = bytearray(encoded(image, kind))
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, len(content) - 1))
        match draw.draw(st.sampled_from(["change", "cut", "repeat", "remove"])):
            case "change":
                content[at] = draw.draw(st.integers(0, 255))
            case "cut":
                del content[max(1, at) :]
            case "repeat":
                content[at:at] = content[at : at + 40]
            case _:
                del content[at : at + draw.draw(st.integers(1, 40))]
                content = content or bytearray(b"x")
    (tmp_path / "y.png").write_bytes(encoded(image))
    (tmp_path / "x.png").write_bytes(content)
    scorer = Scorer(Recipe(metrics=("psnr",), alpha="white", resize="nearest"))
    [found] = scorer.score(scorer.decode(Work("a", str(tmp_path / "y.png"), (("m", str(tmp_path / "x.png")),))))
    assert (found.error is None) == (found.values[0] is not None)
    if found.error is not None:
        assert "\n" not in found.error
        known = ("x.png: ", "the image judged", "this table is of", "score: x holds values")
        assert any(part in found.error for part in known), found.error


# Statistics


def values(seed: int = 0) -> np.ndarray:
    """Three methods, the first two alike, of two metrics; some gaps."""
    generator = np.random.default_rng(seed)
    made = generator.normal(30, 2, (3, 60, 1)) + np.array([0.02, 0.0, -3.0])[:, None, None]
    made[1] = made[0] + generator.normal(0, 0.5, (60, 1))
    made = np.concatenate([made, -made + generator.normal(0, 0.1, made.shape)], 2)
    made[0, 3, 0] = made[2, 5, 1] = np.nan
    return made


def test_statistics_are_those_of_scipy() -> None:
    scores = values()
    found = statistics.describe(scores, "abc", {"psnr": "higher", "l2": "lower"}, "pair {}".format)
    json.dumps(found, allow_nan=False)
    column = found["methods"]["a"]["psnr"]
    finite = np.delete(scores[0, :, 0], 3)
    assert (column["count"], column["mean"]) == (59, pytest.approx(finite.mean()))
    other = found["methods"]["b"]["psnr"]  # compared on the pairs that all methods have
    assert (other["count"], other["mean"]) == (59, pytest.approx(np.delete(scores[1, :, 0], 3).mean()))
    assert other["own"] == {"count": 60, "mean": pytest.approx(scores[1, :, 0].mean())}
    assert (column["lacking"], other["lacking"]) == (1, 0)
    assert found["compared"] == {"psnr": {"pairs": 59, "left_out": 1}, "l2": {"pairs": 59, "left_out": 1}}
    assert column["median"] == np.median(finite)
    theirs = stats.bootstrap(
        (finite,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (column["low"], column["high"]) == pytest.approx(tuple(theirs), abs=0.06)
    assert [one["pair"] for one in column["worst"]] == [
        f"pair {index}" for index in np.argsort(np.nan_to_num(scores[0, :, 0], nan=99))[:5]
    ]
    worst = found["methods"]["c"]["l2"]["worst"][0]
    assert worst == {"pair": f"pair {np.nanargmax(scores[2, :, 1])}", "value": np.nanmax(scores[2, :, 1])}
    [first, second, third] = found["differences"]["psnr"]
    assert [one["methods"] for one in (first, second, third)] == [["a", "b"], ["a", "c"], ["b", "c"]]
    both = ~np.isnan(scores[0, :, 0])
    wilcoxon: Any = stats.wilcoxon(scores[0, both, 0], scores[2, both, 0])
    assert (second["count"], second["wilcoxon"]) == (59, pytest.approx(wilcoxon.pvalue))
    assert second["low"] < second["mean"] < second["high"]
    assert second["mean"] == pytest.approx((scores[0] - scores[2])[both, 0].mean())
    assert found["methods"]["a"]["psnr"]["letters"] == found["methods"]["b"]["psnr"]["letters"] == "a"
    assert found["methods"]["c"]["psnr"]["letters"] == "b"
    flat = scores.reshape(-1, 2)
    flat = flat[np.isfinite(flat).all(1)]
    for kind, correlate in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        wanted: Any = correlate(flat[:, 0], -flat[:, 1])
        assert found["rank_agreement"][kind]["psnr"]["l2"] == pytest.approx(wanted.statistic)


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    held = sum(
        low < 1 < high
        for low, high in (statistics.interval(generator.exponential(1, 80), generator) for _ in range(300))
    )
    assert 0.90 < held / 300 < 0.97
    many = generator.exponential(1, 20_000)
    normal = statistics.interval(many, generator)
    assert statistics.interval(many[:-1], generator) == pytest.approx(normal, abs=1e-3)


@given(st.integers(0, 2**15 - 1))
@settings(max_examples=200, deadline=None)
def test_letters_are_shared_exactly_by_those_that_do_not_differ(bits: int) -> None:
    names = "uvwxyz"
    apart = {frozenset(two) for index, two in enumerate(itertools.combinations(names, 2)) if bits >> index & 1}
    found = statistics.letters(names, apart)
    for one, other in itertools.combinations(names, 2):
        assert bool(set(found[one]) & set(found[other])) == (frozenset((one, other)) not in apart)


def test_nothing_and_one_and_equal_scores_have_statistics() -> None:
    scores = np.full((2, 3, 1), np.nan)
    found = statistics.describe(scores, "ab", {"psnr": "higher"}, str)
    assert found["methods"]["a"]["psnr"]["mean"] is None
    assert found["rank_agreement"]["kendall"] == {"psnr": {"psnr": None}}
    scores[:, :2] = 30.0
    found = statistics.describe(scores, "ab", {"psnr": "higher"}, str)
    assert found["differences"]["psnr"][0]["wilcoxon"] == 1
    assert {found["methods"][name]["psnr"]["letters"] for name in "ab"} == {"a"}
    assert found["methods"]["a"]["psnr"]["low"] == 30
    table = latex_table(found, {"psnr": "psnr|v:1"}, {"psnr": "higher"})
    assert table.count("\\textbf") == 1


def test_the_table_of_a_paper_marks_the_best_and_the_second_and_names_versions() -> None:
    generator = np.random.default_rng(0)
    scores = 30 + np.arange(3)[:, None, None] + generator.normal(0, 0.2, (3, 50, 1))
    found = statistics.describe(scores, ["a_1", "b", "c"], {"psnr": "higher"}, str)
    table = latex_table(found, {"psnr": "psnr|v:1"}, {"psnr": "higher"})
    lines = table.splitlines()
    assert "\\usepackage{booktabs}" in lines[0]
    assert "PSNR $\\uparrow$" in table
    [first, second, third] = [line for line in lines if line.startswith(("a\\_1", "b &", "c &"))]
    assert "\\textbf" not in first + second
    assert "\\underline{31." in second
    assert "\\underline" not in first + third
    assert "\\textbf{32." in third
    sentence = " ".join(line.removeprefix("% ") for line in lines[lines.index("\\end{table}") + 1 :])
    assert sentence.startswith("Methods: Scores were computed with lookalike ")
    assert "PSNR: psnr|v:1" in sentence
    low, high = found["methods"]["b"]["psnr"]["low"], found["methods"]["b"]["psnr"]["high"]
    assert f"[{low:.3f}, {high:.3f}]" in second  # half of the interval is about 0.055: two digits of that


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_the_table_is_latex(tmp_path: Path) -> None:
    found = statistics.describe(values(), ["a_1", "b & c", "#\\d"], {"psnr": "higher", "l2": "lower"}, str)
    table = latex_table(found, {"psnr": "psnr|v:1", "l2": "l2|v:1"}, {"psnr": "higher", "l2": "lower"})
    page = (
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\begin{document}%s\\end{document}"
    )
    (tmp_path / "page.tex").write_text(page % table)
    command = ["pdflatex", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout[-500:]


# The command


def test_the_command_prints_statistics_and_json(
    folders: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[1] / "0/4.png").rename(folders[1] / "0/other.png")
    command = ["score", *map(str, folders), "-m", *METRICS]
    assert main(command) == 3
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.split()[:-8] for line in lines[2:6]] == [
        ["good", "*", "psnr", "5"], ["good", "*", "ssim", "5"], ["bad", "psnr", "5"], ["bad", "ssim", "5"],
    ]  # fmt: skip
    assert "11 pairs, 11 of them scored now, 0 failed, 1 missing, 1 extra" in said.out
    assert "Rank agreement" in said.out
    assert "ssim: ssim|win:gauss11s1.5" in said.out
    assert f"not scored: {folders[1] / '0/other.png'}: no reference" in said.err
    assert f"not scored: {folders[0] / '0/4.png'}: no image in {folders[1]}" in said.err
    assert main([*command, "--json", "--allow-missing"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["statistics"]["methods"]["bad"]["psnr"]["count"] == 5
    assert found["statistics"]["methods"]["bad"]["psnr"]["own"]["count"] == 6
    assert [one["kind"] for one in found["unpaired"]] == ["extra", "missing"]
    assert (found["missing"], found["extra"]) == (1, 1)


def test_the_command_refuses_what_it_cannot_do(
    folders: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (["--cluster", "kubernetes"], "--cluster takes auto or ray://HOST:PORT"),
        (["-o", str(tmp_path / "scores.xlsx")], "ends in .parquet, .csv, .jsonl"),
        (["--workers", "0"], "--workers is a number of threads"),
        (["--crop-border", "-1"], "--crop-border is a number of pixels"),
        (["-m", "psnr", "psnr"], "a metric is named twice"),
        (["-m", "l2", "mse"], "names a metric twice"),
        (["-m", "simm"], "did you mean 'ssim'?"),
        (["--device", "warp"], "'warp' cannot be used here"),
        (["--map", "a.png"], "--map is not for folders"),
    ):
        chosen = arguments if "-m" in arguments else [*arguments, "-m", "psnr"]
        assert main(["score", *map(str, folders), *chosen]) == 2, arguments
        said = capsys.readouterr()
        assert message in said.err
        assert len(said.err.splitlines()) == 1


# On a cluster: a local Ray of two workers, in a process of its own


ON_RAY = """
import os, sys, threading, time
from pathlib import Path
import ray
from lookalike.scoring import cluster, recipe
from lookalike.scoring.run import score_folders

ref, good, bad, table, mark = map(Path, sys.argv[1:])

class Mortal(recipe.Scorer):
    def decode(self, work):  # the first worker that comes to this pair dies as a machine does
        if work.pair == "0/2" and not mark.exists():
            mark.touch()
            os._exit(9)
        time.sleep(0.2)  # both workers get a share
        return super().decode(work)

cluster.Scorer = Mortal
cluster._WORKS_A_BLOCK = 1
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
ray.cloudpickle.register_pickle_by_value(cluster)
score_folders(ref, [good, bad], ["psnr", "ssim"], output=table, cluster="auto")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Ray is tried on Linux")
def test_ray_gives_the_same_table_though_a_worker_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the cluster needs Ray: pip install 'lookalike[cluster]'")
    folders = make(tmp_path, 10)
    (folders[2] / "1/3.png").write_bytes(b"")
    score(folders, tmp_path / "here.csv")
    (tmp_path / "on_ray.py").write_text(ON_RAY)
    mark = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_DEDUP_LOGS": "0"}
    done = subprocess.run(
        [sys.executable, "on_ray.py", *map(str, folders), "there.csv", str(mark)], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert mark.exists()
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_without_ray_the_error_names_what_helps(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'lookalike\[cluster\]'"):
        score(folders, cluster="auto")
