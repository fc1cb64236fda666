import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from places import SHARED
from skimage import data

from lookalike import registry, study
from lookalike.files import UnreadableImage
from lookalike.records import runs
from lookalike.study import maps, paper
from lookalike.study.columns import columns, scores_of, whole_image_ssim
from lookalike.study.pictures import TOLERANCE, jpeg_at_target, match, mse, pictures_of

CROPS = SHARED / "data" / "pairs" / "wang_simoncelli_2005"
# MSE, and the authors' own programs for SSIM and CW-SSIM, on the crops of the paper's figure
AUTHORS_PROGRAMS = {
    "b": (305.69, 0.924, 0.939), "c": (323.77, 0.986, 1.000), "d": (297.04, 0.588, 0.827),
    "e": (313.07, 0.733, 0.823), "f": (308.57, 0.587, 0.651), "g": (308.35, 0.650, 0.624),
    "h": (694.23, 0.528, 0.905), "i": (871.38, 0.417, 0.925), "j": (873.16, 0.413, 0.923),
    "k": (589.67, 0.588, 0.889), "l": (577.21, 0.592, 0.888),
}  # fmt: skip
TUNED = ("contrast_stretch", "mean_shift", "gaussian_noise", "impulse_noise", "blur")


def crop(height: int, width: int, grey: bool = False) -> np.ndarray:
    whole = data.camera() if grey else data.astronaut()
    top, left = (120, 200) if grey else (30, 160)
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("study") / "made"
    return folder, study.run(folder=folder)


def by_name(record: dict[str, Any], photograph: int = 0) -> dict[str, dict[str, Any]]:
    return {picture["name"]: picture for picture in record["photographs"][photograph]["pictures"]}


def value(picture: dict[str, Any], column: str) -> float:
    return float(picture["scores"][column]["value"])


@pytest.mark.slow
def test_the_pictures_of_the_default_study(default: tuple[Path, dict[str, Any]]):
    assert list(by_name(default[1])) == [
        "original", "salt_and_pepper", "grey_overlays", "hsv_value",
        "contrast_stretch", "mean_shift", "gaussian_noise", "impulse_noise", "jpeg", "blur",
        "zoom", "shift_right", "shift_left", "rotation_ccw", "rotation_cw",
    ]  # fmt: skip


def test_the_error_is_equal_near_the_papers_and_ssim_is_not(default: tuple[Path, dict[str, Any]]):
    pictures = by_name(default[1])
    target = default[1]["photographs"][0]["target_mse"]
    assert value(pictures["jpeg"], "mse") == pytest.approx(target, rel=1e-5)
    assert target == pytest.approx(309, rel=0.25)
    for name in TUNED:
        assert value(pictures[name], "mse") == pytest.approx(target, rel=TOLERANCE)
    ssim = [value(pictures[name], "ssim") for name in (*TUNED, "jpeg")]
    assert max(ssim) - min(ssim) > 0.3


def test_cw_ssim_forgives_small_movements_and_ssim_does_not(default: tuple[Path, dict[str, Any]]):
    moved = [picture for picture in default[1]["photographs"][0]["pictures"] if picture["group"] == "moved"]
    for column in ("cw_ssim", "cw_ssim_fine"):
        assert min(value(one, column) for one in moved) > 0.9 > 0.8 > max(value(one, "ssim") for one in moved)
    noisy = [by_name(default[1])[name] for name in ("gaussian_noise", "impulse_noise", "jpeg", "blur")]
    assert max(value(one, "cw_ssim_fine") for one in noisy) < 0.6


def test_the_files_say_what_was_returned(default: tuple[Path, dict[str, Any]]):
    folder, record = default
    text = (folder / "scores.json").read_text(encoding="utf-8")
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert study.table(read) == study.table(record)
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[5:] == [column["signature"] for column in record["columns"]]
    assert len(rows) == 15
    assert [float(cell) for cell in rows[8][5:]] == [
        value(by_name(record)["jpeg"], column["name"]) for column in record["columns"]
    ]
    said = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    assert said["torch"] == torch.__version__.split("+")[0] or said["torch"] == torch.__version__


def test_the_numbers_are_those_of_the_files(default: tuple[Path, dict[str, Any]]):
    folder, record = default
    pictures = by_name(record)
    x, y = (
        torch.from_numpy(np.array(Image.open(folder / pictures[name]["file"]))).permute(2, 0, 1)[None]
        for name in ("blur", "original")
    )
    assert value(pictures["blur"], "ssim") == pytest.approx(float(registry.get("ssim")(x, y)), abs=1e-6)
    difference = x.double() - y.double()
    assert value(pictures["blur"], "mse") == pytest.approx(float(difference.square().mean()), rel=1e-5)
    assert value(pictures["blur"], "l2_norm") == pytest.approx(float(difference.norm()), rel=1e-5)
    assert value(pictures["original"], "psnr") == float("inf")


def test_every_number_has_a_signature_of_its_own(default: tuple[Path, dict[str, Any]]):
    signatures = [column["signature"] for column in default[1]["columns"]]
    assert len(set(signatures)) == len(signatures) == 9
    table = study.table(default[1])
    for signature in signatures:
        assert f": {signature}" in table


def test_the_error_signal_adds_up(default: tuple[Path, dict[str, Any]]):
    folder, record = default
    pictures = by_name(record)
    blurred, original = (
        np.asarray(Image.open(folder / pictures[name]["file"]), int) for name in ("blur", "original")
    )
    error = np.asarray(Image.open(folder / pictures["blur"]["maps"]["error"]["file"]), int) - 128
    kept = np.abs(blurred - original) < 128
    assert kept.mean() > 0.99
    assert np.array_equal((original + error)[kept], blurred[kept])


def test_maps_have_fixed_colours_and_their_mean_is_the_score(default: tuple[Path, dict[str, Any]]):
    folder, record = default
    for name, picture in by_name(record).items():
        if name == "original":
            assert picture["maps"] == {}
            continue
        drawn = picture["maps"]
        assert list(drawn) == ["error", "luminance", "contrast", "structure", "ssim", "gradient"]
        assert drawn["ssim"]["mean"] == pytest.approx(value(picture, "ssim"), abs=1e-6)
        assert {drawn[part]["limit"] for part in ("luminance", "contrast", "structure", "ssim")} == {1.0}
        with Image.open(folder / drawn["ssim"]["file"]) as image:
            assert image.size == (246, 246)
            indices = np.asarray(image)
        assert (indices / 127.0 - 1).mean() == pytest.approx(value(picture, "ssim"), abs=2e-3)


def test_the_gradient_map_is_the_gradient():
    original, step = crop(40, 44), 0.5
    picture = np.clip(original.astype(int) + 9, 0, 255).astype(np.uint8)
    drawn = {one.name: one for one in maps.maps_of(picture, original)}["gradient"]
    metric = registry.get("ssim", data_range=255, check="shapes")
    x, y = (torch.from_numpy(levels).permute(2, 0, 1)[None].double() for levels in (picture, original))
    for row, column in ((20, 20), (9, 31), (30, 14)):
        up, down = x.clone(), x.clone()
        up[..., row, column] += step
        down[..., row, column] -= step
        slope = float(metric(down, y) - metric(up, y)) / (2 * step) * 255 * 40 * 44
        shown = (drawn.pixels[row, column] / 127.0 - 1) * drawn.limit
        assert shown == pytest.approx(np.clip(slope, -drawn.limit, drawn.limit), abs=drawn.limit / 100)


def test_the_gradient_of_no_difference_is_drawn():
    original = crop(32, 32)
    drawn = {one.name: one for one in maps.maps_of(original, original)}["gradient"]
    assert np.isfinite(drawn.limit)
    assert drawn.limit > 0


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("shape", [(32, 32), (33, 71), (120, 97)], ids=str)
def test_equal_error_at_any_size(shape: tuple[int, int], grey: bool):
    original = crop(*shape, grey=grey)
    pictures, target = pictures_of(original)
    for picture in pictures:
        assert picture.levels.shape == original.shape
        assert picture.levels.dtype == np.uint8
        if picture.name in TUNED:
            assert abs(mse(picture.levels, original) - target) <= TOLERANCE * target, picture.name
            assert "cannot" not in picture.note


def test_whole_levels_that_miss_are_dithered_and_say_so():
    original = np.full((64, 64), 90, np.uint8)
    found = match(original, "mean_shift", 306.0)  # between 17² = 289 and 18² = 324
    assert found.error == pytest.approx(306, rel=TOLERANCE)
    assert "whole levels come no nearer than MSE 289.0" in found.note
    assert set(np.unique(found.levels)) == {107, 108}


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_show_their_best_and_say_so(level: int):
    original = np.full((40, 32, 3), level, np.uint8)
    pictures, target = pictures_of(original)
    said = {picture.name: picture for picture in pictures}
    assert target == 309
    assert "the target is the paper's 309" in said["jpeg"].note
    for name in ("contrast_stretch", "blur"):
        assert said[name].note == "cannot have the target error here: MSE 0.0 is the nearest to 309.0"
    assert mse(said["mean_shift"].levels, original) == pytest.approx(309, rel=TOLERANCE)
    for scores in (scores_of(columns(), picture.levels, original, "cpu") for picture in pictures):
        assert all(score["value"] is None or not np.isnan(score["value"]) for score in scores.values())


def test_a_smooth_photograph_takes_its_target_from_quality_10():
    original = np.linspace(100, 156, 64).round().astype(np.uint8) * np.ones((64, 1), np.uint8)
    found, target = jpeg_at_target(original)
    assert found.strength == 90.0
    assert found.error == target
    assert "no quality comes near" in found.note


def test_noise_takes_the_mildest_jpeg():
    original = (np.random.default_rng(0).integers(0, 2, (64, 64, 3)) * 255).astype(np.uint8)
    found, target = jpeg_at_target(original)
    assert found.strength == 5.0
    assert target == found.error > 309


def test_small_pictures_name_what_declines(tmp_path: Path):
    path = tmp_path / "tiny.png"
    runs.write_png(path, crop(32, 40, grey=True))
    record = study.run([path], tmp_path / "out")
    scores = by_name(record)["jpeg"]["scores"]
    assert scores["ms_ssim"]["value"] is None
    assert scores["ms_ssim"]["reason"] == "MS-SSIM needs sides of at least 161 px, this picture has 32"
    table = study.table(record)
    assert "—" in table
    assert scores["ms_ssim"]["reason"] in table
    assert "tiny.png, 40x32 grey" in table


def test_a_study_is_the_same_twice_and_changes_with_its_seed(tmp_path: Path):
    path = tmp_path / "a.png"
    runs.write_png(path, crop(48, 48))
    first, again, other = (
        study.run([path], tmp_path / name, seed=seed) for name, seed in (("1", 4), ("2", 4), ("3", 5))
    )
    assert first == again
    assert first["photographs"] != other["photographs"]


def test_several_photographs_of_one_name(tmp_path: Path):
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    runs.write_png(paths[0], crop(32, 32))
    runs.write_png(paths[1], crop(40, 32, grey=True))
    record = study.run(paths, tmp_path / "out")
    assert [photograph["name"] for photograph in record["photographs"]] == ["x", "x-2"]
    files = [picture["file"] for photograph in record["photographs"] for picture in photograph["pictures"]]
    assert len(set(files)) == 30
    assert all((tmp_path / "out" / file).is_file() for file in files)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not text are tried on Linux")
def test_a_photograph_whose_name_is_not_text(tmp_path: Path):
    runs.write_png(tmp_path / "\udcff.png", crop(32, 32))
    assert study.run([tmp_path / "\udcff.png"], tmp_path / "out")["photographs"][0]["title"] == "\\xff.png"


def test_sixteen_bits_become_eight(tmp_path: Path):
    levels = crop(32, 32, grey=True)
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    study.run([tmp_path / "deep.png"], tmp_path / "out")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "images" / "deep-original.png")), levels)


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path):
    runs.write_png(tmp_path / "small.png", crop(31, 64))
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.full((40, 40), 2.0, np.float32)).save(tmp_path / "wide.tif")
    for name, needle in (
        ("small.png", r"small\.png: 64x31 px; the study needs sides of at least 32 px"),
        ("text.png", r"text\.png: "),
        ("none.png", r"none\.png: no such file"),
        ("wide.tif", r"wide\.tif: floats must lie in \[0, 1\]"),
    ):
        with pytest.raises(UnreadableImage, match=needle):
            study.run([tmp_path / name], tmp_path / "out")
    with pytest.raises(UnreadableImage, match=r"fig1_a\.png: no such file"):
        study.run(folder=tmp_path / "out", paper_folder=tmp_path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(NotADirectoryError, match=r"text\.png: is a file"):
        study.run(folder=tmp_path / "text.png")


def test_the_whole_image_ssim_is_the_formula():
    x, y = (torch.from_numpy(crop(50, 60)[..., part]).double() for part in (0, 1))
    ux, uy = x.mean(), y.mean()
    covariance = ((x - ux) * (y - uy)).mean()
    c1, c2 = 2.55**2, 7.65**2
    expected = (
        (2 * ux * uy + c1)
        * (2 * covariance + c2)
        / ((ux**2 + uy**2 + c1) * (x.var(correction=0) + y.var(correction=0) + c2))
    )
    assert whole_image_ssim(x[None, None], y[None, None]) == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not CROPS.is_dir(), reason="the paper's crops are not here (set LOOKALIKE_SHARED)")
def test_the_paper_beside_ours(tmp_path: Path):
    record = study.run(folder=tmp_path / "out", paper_folder=CROPS)
    rows = {row["letter"]: row for row in record["paper"]["rows"]}
    for letter, (error, ssim, cw_ssim) in AUTHORS_PROGRAMS.items():
        assert value_of(rows[letter], "mse") == pytest.approx(error, abs=0.0051)
        assert value_of(rows[letter], "ssim") == pytest.approx(ssim, abs=0.00051)
        assert value_of(rows[letter], "cw_ssim_fine") == pytest.approx(cw_ssim, abs=0.00051)
        if letter not in "cd":
            assert value_of(rows[letter], "mse") == pytest.approx(rows[letter]["paper"]["mse"], abs=0.51)
    for letter in "hijkl":  # what the figure says
        assert value_of(rows[letter], "cw_ssim_fine") > 0.87 > 0.6 > value_of(rows[letter], "ssim")
    assert paper.REASONS[0] in study.table(record)


def value_of(row: dict[str, Any], column: str) -> float:
    return row["ours"][column]["value"]
