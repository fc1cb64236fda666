"""One pair under every convention, and which convention a number is."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from learned import needs
from PIL import Image
from skimage import data

import lookalike
from lookalike import registry, ruler, weights
from lookalike.cli.main import main
from lookalike.conventions import CONVENTIONS
from lookalike.ruler import Reading

# Programs that compute the same number; every other pair of conventions differs on a colour photograph of 512 px
SAME = (
    {"wang2004", "scikit-image-gaussian", "tensorflow", "keras", "pytorch-msssim", "piqa", "torchmetrics-1.4.1",
     "kornia-valid", "fused-ssim-valid", "pyiqa-colour", "monai"},
    {"torchmetrics", "kornia-same", "ignite"},
    {"scikit-image", "fast-ssim"},
    {"wang-msssim", "pyiqa-y"},
)  # fmt: skip


def noisy(image: np.ndarray, sigma: float = 20.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return data.astronaut()


@pytest.fixture(scope="module")
def readings(photograph: np.ndarray) -> list[Reading]:
    return ruler.run(noisy(photograph), photograph)


def values(readings: list[Reading]) -> dict[str, float]:
    return {one.convention: one.value for one in readings if one.value is not None}


@pytest.mark.slow
def test_every_convention_has_a_row(readings: list[Reading]) -> None:
    assert [one.convention for one in readings] == list(CONVENTIONS)
    for one in readings:
        assert one.value is not None, one.reason
        assert one.reason == ""
        assert one.signature.startswith("ssim|")
        assert "|range:255|" in one.signature
        convention = CONVENTIONS[one.convention]
        assert (one.source, one.proof) == (convention.source, convention.proof)


def test_conventions_are_as_far_apart_as_they_are(readings: list[Reading]) -> None:
    found = values(readings)
    assert all(len(group & set(found)) == len(group) for group in SAME)
    groups = [*SAME, *({name} for name in found if not any(name in group for group in SAME))]
    for group in groups:
        least, most = min(found[name] for name in group), max(found[name] for name in group)
        assert most - least < 1e-4, group
    middles = sorted(np.median([found[name] for name in group]) for group in groups)
    assert min(later - earlier for earlier, later in pairwise(middles)) > 2e-4


def test_readings_are_the_metric_itself_to_the_last_digit(photograph: np.ndarray, readings: list[Reading]) -> None:
    x, y = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (noisy(photograph), photograph))
    for name in CONVENTIONS:
        [measured] = lookalike.measure(noisy(photograph), photograph, "ssim", convention=name)
        assert values(readings)[name] == measured.value, name
        wanted = float(registry.get("ssim", data_range=255, convention=name)(x.double(), y.double()))
        # Conventions that no kernel takes are plain torch in float32: 1.02e-6 off on one thread, less on two.
        assert values(readings)[name] == pytest.approx(wanted, abs=2e-6)


def test_every_convention_is_symmetric(photograph: np.ndarray) -> None:
    y = photograph[:100, 150:250]
    x = noisy(y)
    assert values(ruler.run(y, x)) == pytest.approx(values(ruler.run(x, y)), abs=1e-6)


def test_scikit_image_itself_is_found(photograph: np.ndarray, readings: list[Reading]) -> None:
    from skimage.metrics import structural_similarity

    theirs = float(np.asarray(structural_similarity(photograph, noisy(photograph), channel_axis=2)))
    assert [one.convention for one in ruler.giving(readings, f"{theirs:.4f}")] == ["scikit-image", "fast-ssim"]
    assert "scikit-image" in [one.convention for one in ruler.giving(readings, repr(theirs))]


def test_multi_scale_declines_where_a_program_has_none(photograph: np.ndarray) -> None:
    y = photograph[:192, 150:342]
    found = {one.convention: one for one in ruler.run(noisy(y), y, "ms_ssim")}
    assert list(found) == list(CONVENTIONS)
    for name, convention in CONVENTIONS.items():
        assert (found[name].value is None) == (not convention.ms)
        assert ("has no MS-SSIM" in found[name].reason) == (not convention.ms)
        assert found[name].signature.startswith("ms_ssim|") == convention.ms


def test_small_images_decline_by_row() -> None:
    y = data.camera()[100:170, 200:270]
    found = {one.convention: one for one in ruler.run(noisy(y), y, "ms_ssim")}
    assert all(one.value is None for one in found.values())
    assert "at least 161 px a side, got 70x70" in found["pytorch-msssim"].reason
    assert found["pytorch-msssim"].signature
    assert ruler.summary(list(found.values())) == f"{len(CONVENTIONS)} declined"
    tiny = {one.convention: one.value for one in ruler.run(noisy(y)[:8, :8], y[:8, :8])}
    assert tiny["wang2004"] is None
    assert tiny["scikit-image"] is not None


def test_input_errors_are_errors_and_no_rows() -> None:
    y = data.camera()
    with pytest.raises(ValueError, match="crop or resize"):
        ruler.run(y[:64, :64], y[:64, :65])
    with pytest.raises(ValueError, match=r"ruler: x holds values outside.*pass data_range=255"):
        ruler.run(y / 1.0, y / 1.0)
    with pytest.raises(TypeError, match=r"an image is torch\.int64.*data_range"):
        ruler.run(torch.zeros(1, 16, 16).long(), torch.zeros(1, 16, 16).long())
    with pytest.raises(ValueError, match=r"gmsd has no conventions; .*ssim"):
        ruler.run(y, y, "gmsd")


@pytest.mark.parametrize(
    ("text", "number", "half"),
    [("0.7719", 0.7719, 5e-5), ("0.7720", 0.772, 5e-5), (" .5 ", 0.5, 0.05), ("-0.12", -0.12, 5e-3),
     ("1", 1.0, 0.5), ("7.719e-1", 0.7719, 5e-5), ("+0.80", 0.8, 5e-3)],
)  # fmt: skip
def test_digits_say_how_far_a_number_was_rounded(text: str, number: float, half: float) -> None:
    assert ruler.printed(text) == (number, pytest.approx(half))


@pytest.mark.parametrize("text", ["", "nan", "inf", "0,7719", "ssim", "0x1", "sNaN", "1e999", "-1e400", "1e308000"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ruler: --is takes a"):
        ruler.printed(text)


def reading(value: float | None) -> Reading:
    return Reading(convention=str(value), source="", proof="", value=value, signature="")


@pytest.mark.parametrize(
    ("text", "given"),
    [("0.77", ["0.765", "0.7719", "0.775"]), ("0.772", ["0.7719"]), ("0.7719", ["0.7719"]), ("0.7720", []),
     ("0.77190049", ["0.7719"]), ("0.771902", [])],
)  # fmt: skip
def test_a_number_is_given_within_its_digits(text: str, given: list[str]) -> None:
    among = [reading(value) for value in (0.7649, 0.765, 0.7719, 0.775, 0.7751, None)]
    assert [one.convention for one in ruler.giving(among, text)] == given


def test_the_nearest_are_named_closest_first() -> None:
    among = [reading(value) for value in (0.1, None, 0.5, 0.4, 0.9)]
    assert [one.value for one in ruler.nearest(among, "0.46", 2)] == [0.5, 0.4]
    assert [one.value for one in ruler.nearest(among, "0.89")] == [0.9, 0.5, 0.4]


def test_a_reading_is_data() -> None:
    assert dataclasses.asdict(reading(0.5))["value"] == 0.5


def test_a_pair_that_holds_nan_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    x = y.copy()
    x[3, 4] = np.nan
    for name, image in (("y.tif", y), ("x.tif", x)):
        Image.fromarray(image).save(tmp_path / name)
    command = ["ruler", str(tmp_path / "y.tif"), str(tmp_path / "x.tif")]
    for more in ([], ["--is", "0.9"], ["--json"]):
        assert main([*command, *more]) == 3
        assert "conventions give NaN" in capsys.readouterr().err


def test_every_psnr_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = data.astronaut()[:64, 100:180]
    x = np.clip(y + np.random.default_rng(0).normal(0, 9, y.shape), 0, 255).astype(np.uint8)
    for name, image in (("y.png", y), ("x.png", x)):
        Image.fromarray(image).save(tmp_path / name)
    found = {one.convention: one for one in ruler.run(x, y, "psnr")}
    planes = [image[4:-4, 4:-4] / 255 @ [65.481, 128.553, 24.966] + 16 for image in (x, y)]
    wanted = 20 * np.log10(255 / np.sqrt(np.square(planes[0] - planes[1]).mean()))
    assert found["y-crop4"].value == pytest.approx(
        wanted, rel=1e-7
    )  # the ruler gives the float32 digits of score and measure
    assert found["y-crop4"].signature == "psnr|cap:100|range:255|crop:4|luma:ycbcr|v:1"
    rgb = 20 * np.log10(255 / np.sqrt(np.square(x.astype(float) - y).mean()))
    assert found["rgb"].value == pytest.approx(rgb, rel=1e-7)
    command = ["ruler", str(tmp_path / "y.png"), str(tmp_path / "x.png"), "--metric", "psnr", "--is"]
    assert main([*command, f"{wanted:.3f}"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["y-crop4"]
    assert main([*command, "3.00"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("no convention gives psnr 3.00; nearest are")
    assert "nothing is close: the nearest is " in said
    with pytest.raises(ValueError, match="psnr and lpips have variants"):
        ruler.run(x, y, "gmsd")


@needs("lpips_alex")
def test_every_lpips_whose_weights_are_here_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = data.astronaut()[:64, 100:180]
    x = np.clip(y + np.random.default_rng(0).normal(0, 9, y.shape), 0, 255).astype(np.uint8)
    for name, image in (("y.png", y), ("x.png", x)):
        Image.fromarray(image).save(tmp_path / name)
    found = {one.convention: one for one in ruler.run(x, y, "lpips")}
    assert list(found) == ["alex", "vgg", "squeeze", "alex-half-range", "vgg-half-range", "squeeze-half-range"]
    for name, reading in found.items():
        metric = f"lpips_{name.partition('-')[0]}"
        if absent := weights.missing(*registry.weights_of(metric)):
            assert reading.value is None
            assert reading.reason == f"{absent}; lookalike weights fetch {metric} brings them"
            continue
        bent = (image / 255 for image in (x, y))
        if name.endswith("-half-range"):
            bent = ((image + 1) / 2 for image in bent)
            assert "|given:half-range|" in reading.signature
        a, b = (torch.from_numpy(image).movedim(-1, 0)[None] for image in bent)
        assert reading.value == pytest.approx(float(registry.get(metric)(a, b)), rel=1e-6)
        assert reading.signature.startswith(f"{metric}|")
    command = ["ruler", str(tmp_path / "y.png"), str(tmp_path / "x.png"), "--metric", "lpips", "--is"]
    for name in ("alex", "alex-half-range"):
        assert main([*command, f"{found[name].value:.5f}"]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == [name]
    assert main([*command, "0.99"]) == 1
    assert "nothing is close: the nearest is " in capsys.readouterr().out


def test_a_mean_of_two_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = data.astronaut()[:48, 100:160]
    wanted: dict[str, list[float]] = {}
    for index, sigma in enumerate((5, 15)):
        x = np.clip(y + np.random.default_rng(index).normal(0, sigma, y.shape), 0, 255).astype(np.uint8)
        for folder, image in (("ref", y), ("net", x)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{index}.png")
        for one in ruler.run(x, y):
            wanted.setdefault(one.convention, []).append(one.value if one.value is not None else np.nan)
    found = ruler.of_folders(tmp_path / "net", tmp_path / "ref")
    for one in found:
        mean = np.mean(wanted[one.convention])
        assert (one.value is None) == np.isnan(mean)
        if one.value is not None:
            assert one.value == pytest.approx(mean, abs=1e-12)
    number = f"{np.mean(wanted['scikit-image']):.5f}"
    command = ["ruler", str(tmp_path / "ref"), str(tmp_path / "net")]
    assert main([*command, "--is", number]) == 0
    assert "scikit-image" in capsys.readouterr().out
    (tmp_path / "net" / "1.png").unlink()
    assert main(command) == 2
    assert "1 images have no partner" in capsys.readouterr().err
