"""Colour measures against the published table, scikit-image and SciPy."""

import json

import numpy as np
import pytest
import torch
from places import GOLDEN_FOLDER
from scipy import ndimage

import lookalike
from lookalike.metrics import colour as metrics
from lookalike.ops import colour

TABLE = json.loads((GOLDEN_FOLDER / "sharma2005.json").read_text(encoding="utf-8"))["pairs"]
COLOUR = ("ciede2000", "ciede2000_low", "delta_l", "delta_a", "delta_b", "chroma_ratio")


def columns(name):
    return torch.tensor([pair[name] for pair in TABLE], dtype=torch.float64).T.reshape(1, 3, -1, 1)


def picture(seed=0, side=24):
    return torch.from_numpy(np.random.default_rng(seed).random((1, 3, side, side + 6)))


def as_array(x):
    return np.moveaxis(x[0].numpy(), 0, -1)


def test_the_34_pairs_of_sharma_wu_and_dalal():
    wanted = torch.tensor([pair["difference"] for pair in TABLE], dtype=torch.float64)
    assert len(wanted) == 34
    found = metrics.ciede2000(columns("first"), columns("second"))
    assert float((found.flatten() - wanted).abs().max()) < 1e-4
    torch.testing.assert_close(metrics.ciede2000(columns("second"), columns("first")), found)


def test_lab_and_ciede2000_are_scikit_images():
    skimage = pytest.importorskip("skimage.color")
    x, y = picture(0), picture(1)
    # Its matrix has six digits, and its white point is not the sum of the matrix's rows.
    assert np.abs(as_array(colour.lab(x)) - skimage.rgb2lab(as_array(x))).max() < 0.01
    wanted = skimage.deltaE_ciede2000(*(as_array(colour.lab(image)) for image in (x, y)))
    np.testing.assert_allclose(lookalike.get("ciede2000").map(x, y)[0, 0].numpy(), wanted, atol=1e-9)
    assert abs(float(lookalike.get("ciede2000")(x, y)) - wanted.mean()) < 1e-9


@pytest.mark.parametrize("value", [0.0, 0.003, 0.2, 0.5, 1.0])
def test_greys_have_no_colour(value):
    for dtype in (torch.float32, torch.float64):
        lab = colour.lab(torch.full((1, 3, 2, 2), value, dtype=dtype))
        assert float(lab[:, 1:].abs().max()) < 1e-4
    assert abs(float(colour.lab(torch.ones(1, 3, 1, 1))[0, 0, 0, 0]) - 100) < 1e-4


def test_low_frequencies_are_scipys_gaussian():
    x = picture()
    for sigma in (0.4, 1.5, 3.0):
        wanted = ndimage.gaussian_filter(x[0, 0].numpy(), sigma, mode="reflect", truncate=10)
        np.testing.assert_allclose(metrics.low_frequencies(x, sigma)[0, 0].numpy(), wanted, atol=1e-9)


def test_a_cast_is_seen_without_the_texture():
    y = 0.2 + 0.6 * picture(side=64)
    grain = (y + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    cast = (y + torch.tensor([0.03, 0.0, -0.03]).view(1, 3, 1, 1)).clamp(0, 1)
    low, full = lookalike.get("ciede2000_low"), lookalike.get("ciede2000")
    assert float(full(grain, y)) > float(full(cast, y))
    assert float(low(grain, y)) < 0.3 * float(low(cast, y))


def test_signs_say_where_a_cast_goes():
    y = torch.full((1, 3, 4, 4), 0.5)
    red = y + torch.tensor([0.1, 0.0, 0.0]).view(1, 3, 1, 1)
    blue = y + torch.tensor([0.0, 0.0, 0.1]).view(1, 3, 1, 1)
    assert float(lookalike.get("delta_l")(y + 0.1, y)) > 9
    assert float(lookalike.get("delta_a")(red, y)) > 5
    assert float(lookalike.get("delta_b")(blue, y)) < -5
    for name in ("delta_l", "delta_a", "delta_b"):
        forth, back = lookalike.get(name)(red, y), lookalike.get(name)(y, red)
        torch.testing.assert_close(forth, -back)


def test_chroma_ratio_is_finite_on_greys():
    ratio = lookalike.get("chroma_ratio")
    grey, vivid = torch.full((1, 3, 4, 4), 0.5), torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert float(ratio(grey, grey)) == 1
    assert float(ratio(vivid, vivid)) == 1
    assert 0 <= float(ratio(grey, vivid)) < 1e-3
    assert 100 < float(ratio(vivid, grey)) < 110  # the chroma of red is 104.6


def test_luma_correlation_is_numpys_and_tells_an_inversion():
    x, y = picture(0), picture(1)
    a, b = (colour.luma(image)[0, 0].numpy().ravel() for image in (x, y))
    correlation = lookalike.get("luma_correlation")
    assert abs(float(correlation(x, y)) - np.corrcoef(a, b)[0, 1]) < 1e-12
    assert abs(float(correlation(1 - y, y)) + 1) < 1e-12
    flat = torch.full_like(y, 0.3)
    assert [float(correlation(*pair)) for pair in ((flat, flat / 2), (flat, y), (y, flat))] == [1, 0, 0]
    assert correlation(x[:, :1], y[:, :1]).shape == (1,)


@pytest.mark.parametrize("case", ["identical", "grey", "grey and colour", "black", "greys"])
@pytest.mark.parametrize("name", [*COLOUR, "luma_correlation"])
def test_gradients_are_finite_where_the_formula_has_none(name, case):
    picked = picture().float()
    grey = torch.full_like(picked, 0.4)
    x, y = {
        "identical": (picked, picked.clone()),
        "grey": (grey, grey.clone()),
        "grey and colour": (grey, picked),
        "black": (grey * 0, grey * 0),
        "greys": (grey, grey * 2),
    }[case]
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        score = lookalike.get(name)(x, y)
        gradients = torch.autograd.grad(score.sum(), (x, y))
    assert bool(score.isfinite().all())
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    if name.startswith("ciede2000") and torch.equal(x, y):
        assert float(score.detach()) == 0
        assert all(float(gradient.abs().max()) == 0 for gradient in gradients)


def test_flat_images_have_no_gradient_of_correlation():
    x = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    [gradient] = torch.autograd.grad(lookalike.get("luma_correlation")(x, x.detach().clone()).sum(), x)
    assert float(gradient.abs().max()) == 0


@pytest.mark.parametrize("name", COLOUR)
def test_a_grey_image_is_refused(name):
    grey = torch.rand(1, 1, 8, 8)
    with pytest.raises(ValueError, match=f"{name}: needs 3 channel"):
        lookalike.get(name)(grey, grey)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="share must be in"):
        metrics.CIEDE2000Low(share=0)
    with pytest.raises(ValueError, match="lab: needs 3 channels"):
        colour.lab(torch.rand(1, 1, 2, 2))
