"""Against the metric authors' own programs: values that their MATLAB code gives in GNU Octave, in float64."""

import pytest
import torch
from author_values import AUTHORS, GOLDEN, file_pair, made_pairs, no_folder, tensor

import lookalike

FLOAT64 = 5e-10
FLOAT32 = 2e-5

# The key of the golden values, and how the same number is asked for here. All are over MATLAB's rounded luma but
# mse and psnr, which are over all values.
METRICS = {
    "ssim_2003_nodown": ("ssim", {"convention": "wang-msssim"}),
    "ssim_2009_autodown": ("ssim", {"convention": "wang-matlab"}),
    "msssim": ("ms_ssim", {"convention": "wang-msssim"}),
    "mse": ("mse", {}),
    "psnr": ("psnr", {}),
}


def measured(key, pair, dtype=torch.float64):
    name, options = METRICS[key]
    reference, distorted = (tensor(image, dtype) for image in pair)
    value = float(lookalike.get(name, data_range=255, **options)(distorted, reference))
    return value * 255**2 if key == "mse" else value


def check(key, pair, expected):
    assert measured(key, pair) == pytest.approx(expected, rel=FLOAT64 if key == "mse" else 0, abs=FLOAT64)
    # PSNR and MSE have units; their own digits are what single precision keeps.
    relative = FLOAT32 if key in ("mse", "psnr") else 0
    assert measured(key, pair, torch.float32) == pytest.approx(expected, rel=relative, abs=FLOAT32)


@pytest.mark.parametrize("key", METRICS)
@pytest.mark.parametrize("name", AUTHORS)
def test_photographs(name, key):
    check(key, made_pairs()[name], AUTHORS[name][key])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sk/camera_box5", "skimage/camera_noisy"])
def test_the_default_convention_on_grey(name):
    reference, distorted = (tensor(image) for image in made_pairs()[name])
    score = lookalike.get("ssim", data_range=255)(distorted, reference)
    assert float(score) == pytest.approx(AUTHORS[name]["ssim_2003_nodown"], abs=FLOAT64)
    score = lookalike.get("ms_ssim", data_range=255)(distorted, reference)
    assert float(score) == pytest.approx(AUTHORS[name]["msssim"], abs=FLOAT64)


def test_psnr_of_the_rounded_luma():
    for name in ("sk/chelsea_box5", "sk/coffee_swap"):
        pair = [tensor(image) / 255 for image in made_pairs()[name]]
        reference, distorted = (lookalike.ops.colour.luma(image, "matlab") for image in pair)
        score = lookalike.get("psnr")(distorted, reference)
        assert float(score) == pytest.approx(AUTHORS[name]["psnr_gray"], abs=FLOAT64)


def test_negative_contrast_structure_has_the_real_part_of_the_complex_product():
    assert AUTHORS["sk/chelsea_inv"]["msssim"] < -0.6
    assert measured("msssim", made_pairs()["sk/chelsea_inv"]) < -0.6


@pytest.mark.parametrize("key", METRICS)
@pytest.mark.parametrize("name", GOLDEN or [pytest.param("none", marks=no_folder)])
def test_files(name, key):
    if GOLDEN[name][key] is None:
        # The author's program gives -Inf: too small for five scales.
        with pytest.raises(ValueError, match="at least 176 px"):
            measured(key, file_pair(name))
    else:
        check(key, file_pair(name), GOLDEN[name][key])


@pytest.mark.slow
@no_folder
@pytest.mark.parametrize(
    ("name", "ssim", "ms_ssim"),
    [("tf/cb12", 0.230880, 0.091016), ("tf/cb13", 0.231153, 0.091025), ("tf/cb23", 0.996828, 0.999567)],
)
def test_c16_c17_tensorflow_s_published_checkerboards(name, ssim, ms_ssim):
    """TensorFlow's own golden values, from MATLAB, per channel; its SSIM of the last is off by one last digit."""
    reference, distorted = (tensor(image) for image in file_pair(name))
    for metric, expected in (("ssim", ssim), ("ms_ssim", ms_ssim)):
        score = lookalike.get(metric, data_range=255, convention="tensorflow")(distorted, reference)
        assert float(score) == pytest.approx(expected, abs=1.1e-6)


@no_folder
@pytest.mark.parametrize(
    ("name", "published"),
    [("meanshift", 0.988), ("contrast", 0.913), ("impulse", 0.840), ("blur", 0.694), ("jpg", 0.662)],
)
def test_c01_the_ssim_page_of_its_authors(name, published):
    assert round(measured("ssim_2003_nodown", file_pair(f"wang/{name}")), 3) == published


@no_folder
def test_c06a_a_side_of_640_px_is_reduced_by_three():
    pair = file_pair("derived/I01_640")
    assert measured("ssim_2009_autodown", pair) == pytest.approx(0.932921, abs=1e-6)
