"""Numbers for one pair of anything, and the map of a metric as a picture."""

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from lookalike import files, registry
from lookalike.scoring import maps
from lookalike.scoring.pair import Measurement, measure


def photograph(side: int = 192, channels: int = 3) -> np.ndarray:
    whole = data.astronaut() if channels == 3 else data.camera()
    return np.ascontiguousarray(whole[40 : 40 + side, 150 : 150 + side])


def noisy(image: np.ndarray, sigma: float = 20.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def only(found: list[Measurement]) -> Measurement:
    [one] = found
    return one


def test_every_metric_without_weights_measures_a_photograph() -> None:
    y = photograph()
    found = measure(noisy(y), y)
    assert [one.metric for one in found] == registry.cheap()
    for one in found:
        assert one.value is not None, one.reason
        assert one.signature.startswith(f"{one.metric}|")
        assert "|range:255|" in one.signature
        assert one.reason == ""


def test_numbers_are_those_of_the_metric_itself() -> None:
    y = photograph()
    x = noisy(y)
    batches = [torch.from_numpy(image).permute(2, 0, 1)[None].contiguous() for image in (x, y)]
    for name in ("ssim", "ms_ssim", "psnr", "l2"):
        metric = registry.get(name, data_range=255)
        wanted = pytest.approx(float(metric(*batches)), rel=1e-6)
        assert only(measure(x, y, [name])) == (name, wanted, metric.signature(), "", ())
    assert only(measure(x, y, ["mse"])).metric == "l2"


def test_the_judged_image_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    y = photograph()
    seen = []
    monkeypatch.setattr(
        registry.metric_class("l1"),
        "score",
        lambda self, x, y: seen.append((x.mean(), y.mean())) or x.mean((1, 2, 3)),
    )
    measure(y // 2, y, ["l1"])
    assert seen[0][0] < seen[0][1]


def test_kinds_of_images_agree(tmp_path: Path) -> None:
    y = photograph()
    x = noisy(y)
    wanted = only(measure(x, y, ["ssim"])).value
    assert wanted is not None
    paths = [tmp_path / "x.png", tmp_path / "y.png"]
    for path, image in zip(paths, (x, y), strict=True):
        Image.fromarray(image).save(path)
    assert only(measure(paths[0], paths[1], ["ssim"])).value == wanted
    assert only(measure(Image.open(paths[0]), str(paths[1]), ["ssim"])).value == wanted
    for kind in (lambda a: a / 255, lambda a: (a / 255).astype(np.float32), lambda a: a.astype(np.uint16) * 257):
        assert only(measure(kind(x), kind(y), ["ssim"])).value == pytest.approx(wanted, abs=1e-6)
    signed = [torch.from_numpy(image / 127.5 - 1).permute(2, 0, 1) for image in (x, y)]
    found = only(measure(signed[0], signed[1], ["ssim"], data_range=(-1, 1)))
    assert found.value == pytest.approx(wanted, abs=1e-6)
    assert "|range:-1..1|" in found.signature


def test_ranges_are_never_guessed() -> None:
    y = photograph() / 1.0
    with pytest.raises(ValueError, match="pass data_range=255"):
        measure(y, y)
    with pytest.raises(ValueError, match="pass data_range=255"):
        measure(y, y, ["l1"])
    assert only(measure(y, y, ["l1"], check="shapes")).value == 0
    assert only(measure(y, y, ["ssim"], data_range=255)).signature.split("|")[-2] == "range:255"


def test_a_metric_that_declines_says_why() -> None:
    y = photograph(24)
    found = {one.metric: one for one in measure(noisy(y), y)}
    assert found["ssim"].value is not None
    assert found["ms_ssim"].value is None
    assert "at least 161 px a side, got 24x24" in found["ms_ssim"].reason
    assert found["ms_ssim"].signature.startswith("ms_ssim|")


@pytest.mark.parametrize("name", ["ms_ssim", "cw_ssim"])
def test_a_metric_asked_for_by_name_may_not_decline(name: str) -> None:
    y = photograph(24)
    with pytest.raises(ValueError, match=f"{name}: needs images of at least"):
        measure(y, y, [name])


def test_conventions_reach_those_that_have_them() -> None:
    y = photograph()
    found = {one.metric: one for one in measure(noisy(y), y, ["l1", "ssim"], convention="scikit-image")}
    assert "win:uniform7" in found["ssim"].signature
    assert found["l1"].signature == "l1|range:255|v:1"
    everything = {one.metric: one for one in measure(noisy(y), y, convention="scikit-image")}
    assert "has no MS-SSIM" in everything["ms_ssim"].reason
    assert everything["ms_ssim"].signature == ""
    assert everything["ssim"] == found["ssim"]


@pytest.mark.parametrize("names", [None, ["ssim"]])
def test_a_convention_that_nobody_knows_is_an_error(names: list[str] | None) -> None:
    y = photograph(32)
    with pytest.raises(ValueError, match=r"no convention 'scikit-imag' \(did you mean 'scikit-image'\?"):
        measure(y, y, names, convention="scikit-imag")


def test_a_convention_that_would_change_nothing_is_an_error() -> None:
    y = photograph(32)
    with pytest.raises(ValueError, match="l1, psnr has no conventions, 'piq' would change nothing"):
        measure(y, y, ["l1", "psnr"], convention="piq")


def test_unknown_metrics_name_the_nearest() -> None:
    y = photograph(32)
    with pytest.raises(ValueError, match="did you mean 'ms_ssim'"):
        measure(y, y, ["msssim"])


def test_metrics_made_beforehand_see_their_own_range() -> None:
    y = photograph()
    x = noisy(y)
    wanted = only(measure(x, y, ["ssim"], convention="piq"))
    for data_range in (1.0, 255.0, (-1, 1)):
        made = registry.get("ssim", convention="piq", data_range=data_range)
        found = only(measure(x / 255, y / 255, [made]))
        assert found.value == pytest.approx(wanted.value, abs=1e-6)
        assert found.signature == wanted.signature.replace("range:255", "range:1")
    with pytest.raises(ValueError, match="at least 161 px"):
        measure(photograph(24), photograph(24), [registry.get("ms_ssim")])


def test_float64_is_measured_in_float64() -> None:
    y = photograph() / 255.0
    x = noisy(photograph()) / 255.0
    planes = (torch.from_numpy(image).permute(2, 0, 1)[None].contiguous() for image in (x, y))
    wanted = float(registry.get("ssim")(*planes))
    assert only(measure(x, y, ["ssim"])).value == wanted


def test_nan_is_a_number_that_says_so() -> None:
    y = np.ones((32, 32), np.float32) / 2
    x = y.copy()
    x[3, 3] = np.nan
    value = only(measure(x, y, ["ssim"])).value
    assert value is not None
    assert np.isnan(value)


def test_batches_must_be_alike() -> None:
    with pytest.raises(ValueError, match="measure: x and y must have the same shape"):
        measure(torch.zeros(2, 1, 16, 16), torch.zeros(1, 1, 16, 16), ["l1"])
    with pytest.raises(TypeError, match=r"an image is torch\.int64.*data_range"):
        measure(torch.zeros(1, 16, 16, dtype=torch.int64), torch.zeros(1, 16, 16, dtype=torch.int64))


def test_volumes_are_measured_by_those_that_take_them() -> None:
    y = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    found = {one.metric: one for one in measure(y * 0.9, y)}
    assert found["ssim"].value is not None
    assert found["cw_ssim"].value is None


# Maps


@pytest.mark.slow
def test_a_pair_is_scored_without_the_compiler() -> None:
    """Torch loads it on the first call of an operator made in Python, and takes longer than for itself."""
    code = (
        "import sys, torch; before = 'torch._dynamo' in sys.modules; from lookalike import files, samples;"
        "from lookalike.scoring.pair import measure; x = samples.sample('astronaut', 64); measure(x, x);"
        "sys.exit('torch._dynamo' in sys.modules and not before)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_map_of_ssim_has_fixed_colours(tmp_path: Path) -> None:
    y = photograph()
    file = tmp_path / "new folder" / "map.png"
    drawn = maps.write_map(file, noisy(y), y)
    with Image.open(file) as image:
        assert image.size == (drawn.width, drawn.height) == (182, 182)
        colours = np.asarray(image.convert("RGB")).astype(int)
    wanted = registry.get("ssim", data_range=255).map(
        *(torch.from_numpy(image).permute(2, 0, 1)[None] for image in (noisy(y), y))
    )[0].mean(0).numpy()  # fmt: skip
    alike = wanted >= 0
    np.testing.assert_allclose(colours[alike], np.repeat(wanted[alike, None] * 255, 3, 1), atol=1.6)
    assert drawn.signature == "ssim|win:gauss11s1.5|border:valid|cov:n|colour:rgb-mean|down:no|range:255|v:1"
    assert (drawn.low, drawn.high) == (-1, 1)
    assert "red -1, black 0, white 1" in drawn.legend


def test_the_ends_of_the_colours(tmp_path: Path) -> None:
    dots = np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8) * np.uint8(255)
    for name, other, colour in (("same", dots, (255, 255, 255)), ("negative", 255 - dots, (222, 60, 30))):
        maps.write_map(tmp_path / f"{name}.png", other, dots, "ssim_structure")
        with Image.open(tmp_path / f"{name}.png") as image:
            found = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(found - colour).max() <= 6
    black, white = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    for other, level in ((black, 0), (white, 255), (np.full((8, 8), 51, np.uint8), 51)):
        drawn = maps.write_map(tmp_path / "l1.png", other, black, "l1")
        np.testing.assert_array_equal(files.load(tmp_path / "l1.png"), np.full((8, 8), level))
    assert (drawn.low, drawn.high, drawn.metric) == (0, 1, "l1")


def test_maps_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    y = photograph()
    with pytest.raises(TypeError, match="psnr: has no map"):
        maps.write_map(tmp_path / "a.png", y, y, "psnr")
    with pytest.raises(ValueError, match="maps are written as PNG"):
        maps.write_map(tmp_path / "a.jpg", y, y)
    gap = y / 255
    gap[50, 50] = np.nan
    with pytest.raises(ValueError, match="the map holds NaN"):
        maps.write_map(tmp_path / "a.png", gap, gap)
    volume = torch.zeros(1, 1, 16, 16, 16)
    with pytest.raises(ValueError, match="volumes have no picture"):
        maps.write_map(tmp_path / "a.png", volume, volume)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        maps.write_map(tmp_path / "file" / "a.png", y, y)
    assert not (tmp_path / "a.png").exists()


def test_a_map_of_a_convention(tmp_path: Path) -> None:
    y = photograph()
    drawn = maps.write_map(tmp_path / "a.png", noisy(y), y, convention="scikit-image")
    assert (drawn.width, drawn.height) == (186, 186)
    assert "win:uniform7" in drawn.signature


def test_metrics_are_names_or_metrics() -> None:
    image = np.zeros((16, 16), np.uint8)
    with pytest.raises(TypeError, match="measure: metrics are names or made with get; got int"):
        measure(image, image, ["l1", 5])  # type: ignore[list-item]


def test_a_mask_may_be_anything_that_says_what_counts(tmp_path):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    x = y.copy()
    x[:20] = 0
    counts = np.ones((40, 50), bool)
    counts[:20] = False
    Image.fromarray(counts.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    kinds = (
        counts, counts.astype(np.float32), counts[..., None], torch.from_numpy(counts), tmp_path / "mask.png",
        Image.fromarray(counts.astype(np.uint8) * 255),
    )  # fmt: skip
    weights = counts.astype("<f4")
    told = hashlib.sha256(repr(weights.shape).encode() + weights.tobytes()).hexdigest()[:8]
    for mask in (*kinds, np.repeat(counts[..., None], 3, 2), torch.from_numpy(counts).bfloat16()):
        hidden = {
            found.metric: found for found in measure(judged=x, reference=y, metrics=["l1", "psnr"], mask=mask)
        }
        assert hidden["l1"].value == 0
        assert hidden["psnr"].value == 100
        assert f"|mask:{told}|" in hidden["l1"].signature
    [other] = measure(x, y, "l1", mask=~counts)
    assert "|mask:" in other.signature
    assert told not in other.signature
    declined = {found.metric: found for found in measure(x, y, mask=counts)}
    assert declined["vif"].value is None
    assert "takes no mask" in declined["vif"].reason
    assert declined["ssim"].value is not None
    [nothing] = measure(x, y, "ssim", mask=np.zeros_like(counts))
    assert nothing.value is not None
    assert math.isnan(nothing.value)


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (np.full((40, 50), 255, np.uint8), TypeError, "boolean or floats.*write mask > 0"),
        (np.full((40, 50), 2.0), ValueError, r"outside \[0, 1\]"),
        (np.full((40, 50), np.nan), ValueError, "NaN"),
        (np.ones((50, 40), bool), ValueError, "mask: is 40x50 px, the images 50x40 px"),
        (np.ones((40, 50, 2), bool), ValueError, "mask must have shape"),
        ("/no/such/mask.png", ValueError, "no such file"),
        (7, TypeError, "mask: is a path"),
    ],
)
def test_what_is_no_mask_is_refused(mask, error, words):
    image = np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(error, match=words):
        measure(image, image, "l1", mask=mask)
    with pytest.raises(TypeError, match="vif: takes no mask"):
        measure(np.zeros((80, 80)), np.zeros((80, 80)), "vif", mask=np.ones((80, 80), bool))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, ">i2", np.int32, np.int64])
def test_signed_arrays_are_taken_at_the_range_that_is_said(dtype):
    y = np.arange(100).reshape(10, 10).astype(dtype)
    x = y[::-1]
    [found] = measure(x, y, "psnr", data_range=100)
    [same] = measure(x.astype(np.float32), y.astype(np.float32), "psnr", data_range=100)
    assert (found.value, found.signature) == (same.value, same.signature)
    with pytest.raises(TypeError, match="does not say its range; pass data_range"):
        measure(x, y, "psnr")
