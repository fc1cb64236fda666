"""NLPD, IW-SSIM, SR-SIM, DSS, PSNR-HVS(-M) and FLIP against their authors' programs and other packages."""

import functools
import json

import numpy as np
import pytest
import torch
from author_values import AUTHORS, DSS_SIZES, GOLDEN, file_pair, made_pairs, no_folder, tensor
from PIL import Image
from places import GOLDEN_FOLDER
from skimage import data

import lookalike
from lookalike import audit
from lookalike.cli.main import main
from lookalike.ops import colour, dct, laplacian
from lookalike.ops.resize import resize

# The key of the golden values, how the same number is asked for, and whether the authors' program takes colour.
METRICS = {
    "nlpd": ("nlpd", {}, False),
    "iwssim": ("iw_ssim", {"negative": "real"}, False),
    "srsim": ("sr_sim", {}, True),
    "dss": ("dss", {}, False),
    "psnr_hvs": ("psnr_hvs", {}, False),
    "psnr_hvs_m": ("psnr_hvs_m", {}, False),
}
FLOAT64, FLOAT32 = 1e-12, 1e-5
# Of equal blocks side by side the variance is 0, and what a program's sums leave of it shows in a square root.
FLAT = {("dss", "sk/astronaut_quant32"): 2e-9, ("dss", "wang/jpg"): 6e-9, ("dss", "piq/goldhill"): 3e-8}
DECIBELS = 3e-5  # in single precision
RECORDED = json.loads((GOLDEN_FOLDER / "rack.json").read_text(encoding="utf-8"))["values"]


def fed(pair, coloured, dtype=torch.float64):
    """Reference and judged image in the unit range, in colour or as MATLAB's rounded luma."""
    images = [tensor(image) / 255 for image in pair]
    return [(image if coloured else colour.luma(image, "matlab")).to(dtype) for image in images]


def check(key, pair, expected, float64=FLOAT64):
    name, options, coloured = METRICS[key]
    metric = lookalike.get(name, **options)
    for dtype, tolerance in ((torch.float64, float64), (torch.float32, DECIBELS if "psnr" in key else FLOAT32)):
        reference, judged = fed(pair, coloured, dtype)
        assert float(metric(judged, reference)) == pytest.approx(expected, rel=0, abs=tolerance)


@pytest.mark.parametrize("key", METRICS)
@pytest.mark.parametrize("name", AUTHORS)
def test_the_authors_values_of_photographs(name, key):
    if key in AUTHORS[name]:
        check(key, made_pairs()[name], AUTHORS[name][key], FLAT.get((key, name), FLOAT64))


@pytest.mark.parametrize("size", DSS_SIZES)
def test_dss_of_sizes_where_halves_are_rounded(size):
    """5 % of the blocks of 40x80 px are two and a half: MATLAB takes three, Python's `round` two."""
    reference, judged = (tensor(image) / 255 for image in dss_pairs()[size])
    assert float(lookalike.get("dss")(judged, reference)) == pytest.approx(DSS_SIZES[size], abs=FLOAT64)


@functools.cache
def dss_pairs():
    """As `authors.json` says under "dss_sizes"."""
    random, camera = np.random.RandomState(0), data.camera()
    pairs = {}
    for size in DSS_SIZES:
        height, width = map(int, size.split("x"))
        reference = camera[100 : 100 + height, 200 : 200 + width]
        noise = random.randint(-30, 31, reference.shape)
        pairs[size] = reference, np.clip(reference + noise, 0, 255)
    return pairs


@no_folder
@pytest.mark.parametrize("key", METRICS)
def test_the_authors_values_of_files(key):
    count = 0
    for name, values in GOLDEN.items():
        if values.get(key) is not None:  # else too small for five scales, or NaN on a flat checkerboard
            check(key, file_pair(name), values[key], FLAT.get((key, name), FLOAT64))
            count += 1
    assert count >= (16 if key in ("nlpd", "iwssim", "srsim") else 11)


def test_iw_ssim_through_each_door():
    """It is not symmetric: Python takes the judged image first."""
    reference, judged = fed(made_pairs()["sk/camera_box5"], False)
    metric = lookalike.get("iw_ssim")
    assert float(metric(judged, reference)) == pytest.approx(AUTHORS["sk/camera_box5"]["iwssim"], abs=1e-9)
    assert float(metric(reference, judged)) != pytest.approx(AUTHORS["sk/camera_box5"]["iwssim"], abs=1e-4)
    [measured] = lookalike.measure(judged[0], reference[0], ["iw_ssim"])
    assert measured.value == pytest.approx(AUTHORS["sk/camera_box5"]["iwssim"], abs=1e-9)


def test_iw_ssim_of_the_command_takes_the_reference_first(tmp_path, capsys):
    for name, image in zip(("reference", "judged"), made_pairs()["sk/camera_box5"], strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    files = [str(tmp_path / f"{name}.png") for name in ("reference", "judged")]
    assert main(["score", *files, "-m", "iw_ssim", "--json"]) == 0
    assert "0.91611" in capsys.readouterr().out


@no_folder
def test_iw_ssim_published_for_the_exchanged_pair():
    reference, judged = fed(file_pair("piq/I01"), False)
    assert float(lookalike.get("iw_ssim")(judged, reference)) == pytest.approx(
        GOLDEN["piq/I01"]["iwssim"], abs=FLOAT64
    )


@pytest.mark.peers
@pytest.mark.parametrize("name", ["sk/chelsea_box5", "sk/camera_quant32"])
def test_dss_as_piq(name):
    pytest.importorskip("torchvision_schemas").register_torchvision_schemas()
    piq = pytest.importorskip("piq")
    reference, judged = fed(made_pairs()[name], False)
    assert float(lookalike.get("dss")(judged, reference)) == pytest.approx(
        float(piq.dss(judged, reference)), abs=1e-7
    )


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_values(name):
    for key, expected in RECORDED[name].items():
        reference, judged = fed(made_pairs()[name], key == "flip")
        # flip-evaluator computes in single precision.
        tolerance = 1e-7 if key == "flip" else 1e-10
        assert float(lookalike.get(key)(judged, reference)) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", ["psnr_hvs", "psnr_hvs_m"])
def test_the_cap(name):
    y = audit.texture(64, 1).double()
    metric = lookalike.get(name, cap_db=None)
    assert float(metric(y, y)) == float("inf")
    assert float(lookalike.get(name, cap_db=10.0)(y, y)) == 10.0
    with pytest.raises(ValueError, match="cap_db must be positive"):
        lookalike.get(name, cap_db=-1.0)


def test_masking_hides_errors_in_texture():
    y = audit.texture(64, 1).double()
    x = (y + 0.01 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert float(lookalike.get("psnr_hvs_m")(x, y)) > float(lookalike.get("psnr_hvs")(x, y)) + 1


@pytest.mark.parametrize(("name", "option"), [("iw_ssim", {"negative": "no"}), ("flip", {"ppd": 0})])
def test_a_wrong_option_is_named(name, option):
    with pytest.raises(ValueError, match=f"{name}: {next(iter(option))} must be"):
        lookalike.get(name, **option)


@pytest.mark.parametrize(("border", "side"), [("symmetric", 8), ("symmetric", 9), ("reflect", 8), ("reflect", 9)])
def test_a_constant_passes_the_pyramid(border, side):
    x = torch.full((1, 1, side, side), 0.3, dtype=torch.float64)
    less = laplacian.reduce(x, (0.05, 0.25, 0.4), border)
    assert less.shape[2:] == ((side + 1) // 2,) * 2
    again = laplacian.expand(less, side, side, (0.05, 0.25, 0.4), border)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-15)


def test_the_dct_is_orthonormal():
    basis = dct.transform(torch.eye(64, dtype=torch.float64).view(64, 1, 8, 8)).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(64, dtype=torch.float64), rtol=0, atol=1e-14)


def test_resizing_keeps_constants_and_size():
    x = torch.full((1, 1, 45, 30), 0.3, dtype=torch.float64)
    for height, width, scale in ((12, 8, 0.25), (45, 30, None), (90, 61, None)):
        found = resize(x, height, width, scale)
        assert found.shape == (1, 1, height, width)
        torch.testing.assert_close(found, torch.full_like(found, 0.3), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("option", "package"),
    [
        ({}, {}),
        ({"sigma": 0.8}, {"sigma_similarity": 0.8}),
        ({"weights_sigma": 2.5}, {"sigma_weight": 2.5}),
        ({"worst": 0.3}, {"percentile": 0.3}),
    ],
)
@pytest.mark.peers
def test_dss_s_options_are_piq_s(option, package):
    pytest.importorskip("torchvision_schemas").register_torchvision_schemas()
    piq = pytest.importorskip("piq")
    x, y = (audit.texture(80, 1, seed).double() for seed in (1, 0))
    found = lookalike.get("dss", **option)(x, y)
    assert float(found) == pytest.approx(float(piq.dss(x, y, **package)), abs=1e-7)


@pytest.mark.parametrize(
    "option",
    [{"worst": 0}, {"worst": 1.5}, {"sigma": -1}, {"weights_sigma": 0}, {"constants": (0, 1)}, {"constants": (1,)}],
)
def test_a_wrong_option_of_dss_is_named(option):
    with pytest.raises(ValueError, match=f"dss: .*{next(iter(option))}"):
        lookalike.get("dss", **option)


def test_dss_s_constants_are_on_the_scale_of_levels():
    """Without local contrast to speak of, great constants make everything alike."""
    x, y = (audit.texture(64, 1, seed).double() for seed in (1, 0))
    assert float(lookalike.get("dss", constants=(1e9, 1e9))(x, y)) == pytest.approx(1, abs=1e-3)
    assert "constants:1000,20" in lookalike.get("dss", constants=(1000, 20)).signature()
