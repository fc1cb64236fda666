"""S-CIELAB and SSIMULACRA 2 against the reference program and other packages."""

import json
import math

import numpy as np
import pytest
import torch
from author_values import AUTHORS, GOLDEN, file_pair, made_pairs, no_folder, tensor
from places import GOLDEN_FOLDER

import lookalike
from lookalike import audit
from lookalike.metrics import s_cielab
from lookalike.metrics.ssimulacra2 import _BLUR

RECORDED = json.loads((GOLDEN_FOLDER / "ssimulacra2.json").read_text(encoding="utf-8"))["values"]
COLOUR, GREY, RELATIVE = 0.03, 0.11, 2e-4


def fed(name, dtype=torch.float64):
    """Reference and judged image in the unit range."""
    return [(tensor(image) / 255).to(dtype) for image in made_pairs()[name]]


def noise(seed, height=60, width=70):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", RECORDED)
def test_ssimulacra2_is_the_program_s(name):
    reference, judged = fed(name)
    tolerance = COLOUR if reference.shape[1] == 3 else GREY
    found = lookalike.get("ssimulacra2")(judged, reference)
    assert float(found) == pytest.approx(RECORDED[name], abs=tolerance, rel=RELATIVE)
    single = lookalike.get("ssimulacra2")(judged.float(), reference.float())
    assert float(single) == pytest.approx(float(found), abs=2e-3, rel=1e-6)


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize(
    "name", ["sk/chelsea_box5", "sk/camera_lcg", "chelsea_rgb_301x199", "coffee_rgb_33x47", "camera_grey_32x32"]
)
def test_ssimulacra2_is_frame_analytics(name):
    peer = pytest.importorskip("frame_analytics.ssimulacra2")
    reference, judged = fed(name)
    wanted = peer.ssimulacra2(reference, judged, data_range=1.0, dtype=torch.float64)
    assert float(lookalike.get("ssimulacra2")(judged, reference)) == pytest.approx(float(wanted), abs=1e-9)


def test_the_blur_keeps_sum_and_variance():
    at = range(-(len(_BLUR) // 2), len(_BLUR) // 2 + 1)
    assert math.fsum(_BLUR) == pytest.approx(1, abs=1e-14)
    assert math.fsum(tap * i * i for i, tap in zip(at, _BLUR, strict=True)) == pytest.approx(1.5**2, abs=1e-13)
    torch.testing.assert_close(_BLUR, _BLUR[::-1], rtol=0, atol=1e-15)


def test_the_exchanged_pair_scores_otherwise():
    reference, judged = fed("sk/chelsea_box5")
    wanted = RECORDED["sk/chelsea_box5"]
    [measured] = lookalike.measure(judged[0], reference[0], ["ssimulacra2"])
    assert measured.value == pytest.approx(wanted, abs=COLOUR)
    assert float(lookalike.get("ssimulacra2")(reference, judged)) != pytest.approx(wanted, abs=1)


def test_a_grey_image_is_three_equal_channels():
    y, x = audit.texture(64, 1), audit.texture(64, 1, 1)
    metric = lookalike.get("ssimulacra2")
    assert float(metric(x, y)) == float(metric(x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1)))


def spd_of(key):
    return float(key.rpartition("_")[2])


S_CIELAB = ("s_cielab_60", "s_cielab_30", "s_cielab_240")


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, of in AUTHORS.items() for key in S_CIELAB if key in of]
)
def test_s_cielab_is_the_authors(name, key):
    reference, judged = fed(name)
    found = lookalike.get("s_cielab", spd=spd_of(key))(judged, reference)
    assert float(found) == pytest.approx(AUTHORS[name][key], abs=1e-11)


@pytest.mark.parametrize("key", S_CIELAB[:2])
def test_s_cielab_is_the_authors_in_single_precision(key):
    reference, judged = fed("sk/chelsea_swap", torch.float32)
    found = lookalike.get("s_cielab", spd=spd_of(key))(judged, reference)
    assert float(found) == pytest.approx(AUTHORS["sk/chelsea_swap"][key], rel=1e-6)


@no_folder
def test_s_cielab_is_the_authors_on_files():
    count = 0
    for name, of in GOLDEN.items():
        for key in S_CIELAB:
            if key in of:
                reference, judged = (tensor(image) / 255 for image in file_pair(name))
                found = lookalike.get("s_cielab", spd=spd_of(key))(judged, reference)
                assert float(found) == pytest.approx(of[key], abs=1e-11)
                count += 1
    assert count == 11


def gaussian_of_the_program(spd, width):
    """One Gaussian as their program makes it: finer, convolved with a triangle, every so many samples kept."""
    finer = math.ceil(224 / spd) if spd < 224 else 1
    count = math.ceil(spd * finer / 2) * 2 - 1
    at = np.arange(1, count + 1) - (count + 1) // 2
    fine = np.exp(-((2 * math.log(2) ** 0.5 / (width * spd * finer - 1) * at) ** 2))
    fine /= fine.sum()
    if finer == 1:
        return fine
    triangle = np.array([*range(1, finer + 1), *range(finer - 1, 0, -1)]) / finer
    spread = np.convolve(fine, triangle)[finer - 1 : finer - 1 + count]
    return np.array([spread[i] for i in range(count) if (i - count // 2) % finer == 0])


@pytest.mark.parametrize("spd", [1, 2, 3, 7, 23, 60, 61.5, 90, 112, 223, 224, 251])
def test_s_cielab_s_filters_at_other_distances(spd):
    taps, weights = s_cielab._gaussians(torch.float64, torch.device("cpu"), spd, "authors")
    widths = (0.05, 0.225, 7.0, 0.0685, 0.826, 0.0920, 0.6451)
    for row, width in zip(taps, widths, strict=True):
        np.testing.assert_allclose(row.numpy(), gaussian_of_the_program(spd, width), rtol=0, atol=1e-15)
    assert weights[weights != 0].tolist() == [1.00327, 0.114416, -0.117686, 0.616725, 0.383275, 0.567885, 0.432115]


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (33, 47), (29, 31)])
def test_s_cielab_of_images_smaller_than_its_filters_is_that_of_their_mirrors(shape):
    """Twice the image, mirrored, is the same to the eye as the image mirrored at its border."""
    x, y = noise(0, *shape), noise(1, *shape)
    twice = [torch.cat([image, image.flip(2)], 2) for image in (x, y)]
    twice = [torch.cat([image, image.flip(3)], 3) for image in twice]
    metric = lookalike.get("s_cielab")
    assert float(metric(x, y)) == pytest.approx(float(metric(*twice)), abs=1e-11)


@pytest.mark.peers
@pytest.mark.parametrize("spd", [24.0, 40.0])
def test_s_cielab_is_frame_analytics_away_from_the_border(spd, monkeypatch):
    """Its Gaussians have full widths at half maximum, a pixel more; it is given ours."""
    peer = pytest.importorskip("frame_analytics.scielab")
    given = []
    for channel in s_cielab._FILTERS:
        total = sum(weight for weight, _ in channel)
        given.append([(2 * math.log(2) ** 0.5 * s + 1 / spd, weight / total) for weight, s in channel])
    monkeypatch.setattr(peer, "SCIELAB_CSF", given)
    monkeypatch.setattr(peer, "_kernel_cache", {})
    x, y = noise(0), noise(1)
    inside = (..., slice(20, -20), slice(20, -20))
    wanted = peer.scielab(x, y, data_range=1.0, ppd=spd, return_map=True)[inside]
    found = lookalike.get("s_cielab", spd=spd, convention="paper").map(x, y)[inside]
    # Its matrix of sRGB and its white point have other last digits.
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)


@pytest.mark.parametrize("difference", ["cie76", "ciede2000"])
def test_s_cielab_of_even_colours_is_their_difference(difference):
    x, y = (noise(seed, 1, 1).expand(1, 3, 40, 50) for seed in (0, 1))
    metric = lookalike.get("s_cielab", difference=difference, convention="paper")
    even = lookalike.get("s_cielab", difference=difference, convention="paper", spd=1)
    assert float(metric(x, y)) == pytest.approx(float(even(x, y)), abs=1e-9)
    if difference == "ciede2000":
        assert float(metric(x, y)) == pytest.approx(float(lookalike.get("ciede2000")(x, y)), abs=1e-9)


@pytest.mark.parametrize("difference", ["cie76", "ciede2000"])
def test_s_cielab_sees_less_from_afar(difference):
    y = 0.25 + 0.5 * noise(0)
    x = y + 0.2 * (noise(1) - 0.5)
    near, far = (float(lookalike.get("s_cielab", difference=difference, spd=spd)(x, y)) for spd in (10, 60))
    assert far < 0.5 * near


@pytest.mark.parametrize(
    "option", [{"spd": 0}, {"spd": math.inf}, {"difference": "cie94"}, {"convention": "author"}]
)
def test_a_wrong_option_is_named(option):
    with pytest.raises(ValueError, match=f"s_cielab: {next(iter(option))}"):
        lookalike.get("s_cielab", **option)


@pytest.mark.parametrize(
    ("name", "options"), [("s_cielab", {}), ("s_cielab", {"difference": "ciede2000"}), ("ssimulacra2", {})]
)
def test_gradients_are_finite_where_the_formula_has_none(name, options):
    picked = noise(0).float()
    grey = torch.full_like(picked, 0.4)
    metric = lookalike.get(name, **options)
    for x, y in ((picked, picked), (grey, grey), (grey, picked), (grey * 0, grey * 0), (grey * 0, picked)):
        x = x.clone().requires_grad_()
        score = metric(x, y)
        score.sum().backward()
        assert torch.isfinite(score).all()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
