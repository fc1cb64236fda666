"""The SSIM family: components, windows, borders, masks, volumes, scales."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from lookalike.metrics.ssim import MSSSIM, SSIM, ms_ssim, ssim, ssim_map, ssim_terms
from lookalike.ops import window


def picture(side=64, channels=3, seed=0, width=None, dtype=torch.float64):
    random = np.random.default_rng(seed)
    planes = ndimage.gaussian_filter(random.random((1, channels, side, width or side)), (0, 0, 2, 2))
    planes = (planes - planes.min()) / np.ptp(planes)
    return torch.from_numpy(planes).to(dtype)


@pytest.fixture
def pair():
    y = picture(width=57)
    return (y + 0.1 * torch.from_numpy(np.random.default_rng(1).standard_normal(y.shape))).clamp(0, 1), y


def by_scipy(x, y, win_size, sigma, border, unbias, uniform):
    """SSIM of one plane straight from the definition, with SciPy's filters."""
    mode = {"valid": "reflect", "symmetric": "reflect", "reflect": "mirror", "zero": "constant"}[border]
    radius = win_size // 2

    def blur(image):
        if uniform:
            return ndimage.uniform_filter(image, win_size, mode=mode)
        return ndimage.gaussian_filter(image, sigma, radius=radius, mode=mode)

    mx, my = blur(x), blur(y)
    vx, vy, cov = ((blur(a * b) - blur(a) * blur(b)) * unbias for a, b in ((x, x), (y, y), (x, y)))
    index = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return (index[radius:-radius, radius:-radius] if border == "valid" else index).mean()


@pytest.mark.parametrize(
    ("window_kind", "win_size", "border", "covariance"),
    list(
        itertools.product(
            ["gaussian", "uniform"], [3, 7, 11, 21], ["valid", "reflect", "symmetric", "zero"], ["n", "n-1"]
        )
    ),
)
def test_every_setting_equals_its_definition(pair, window_kind, win_size, border, covariance):
    x, y = pair
    found = ssim(x, y, window=window_kind, win_size=win_size, sigma=2.0, border=border, covariance=covariance)
    unbias = win_size**2 / (win_size**2 - 1) if covariance == "n-1" else 1.0
    wanted = np.mean([
        by_scipy(x[0, c].numpy(), y[0, c].numpy(), win_size, 2.0, border, unbias, window_kind == "uniform")
        for c in range(3)
    ])  # fmt: skip
    assert abs(float(found) - wanted) < 1e-12


def test_the_three_terms_multiply_to_the_map(pair):
    terms = ssim_terms(*pair)
    torch.testing.assert_close(terms.luminance * terms.contrast * terms.structure, ssim_map(*pair))
    assert float(terms.contrast.max()) <= 1 + 1e-12
    assert float(terms.contrast.min()) >= 0


def test_exponents_weigh_the_terms(pair):
    terms = ssim_terms(*pair)
    found = SSIM(exponents=(0.5, 2.0, 1.0))(*pair)
    wanted = (terms.luminance.sqrt() * terms.contrast**2 * terms.structure).mean()
    torch.testing.assert_close(found[0], wanted)
    torch.testing.assert_close(SSIM(exponents=(0.0, 0.0, 0.0))(*pair)[0], torch.ones((), dtype=torch.float64))
    with pytest.raises(ValueError, match="each of exponents must be a number of at least 0"):
        SSIM(exponents=(1.0, -1.0, 1.0))


def test_channel_weights_weigh_the_channels(pair):
    x, y = pair
    apart = torch.stack([ssim(x[:, c : c + 1], y[:, c : c + 1]) for c in range(3)])
    found = ssim(x, y, channel_weights=(8, 1, 1))
    torch.testing.assert_close(found, (apart * torch.tensor([[0.8], [0.1], [0.1]], dtype=torch.float64)).sum(0))
    with pytest.raises(ValueError, match="needs 2 channel"):
        ssim(x, y, channel_weights=(1, 1))


def test_a_full_mask_changes_nothing(pair):
    x, y = pair
    for border in ("valid", "reflect", "zero"):
        torch.testing.assert_close(ssim(x, y, border=border, mask=torch.ones_like(x)), ssim(x, y, border=border))


def test_masked_pixels_do_not_count_whatever_they_hold(pair):
    x, y = pair
    mask = torch.ones_like(x[:, :1])
    mask[..., 20:40, 10:30] = 0
    wanted = ssim(x, y, mask=mask)
    for value in (0.0, 1.0, float("nan")):
        filled = torch.where(mask > 0, x, value)
        torch.testing.assert_close(ssim(filled, y, mask=mask, check="shapes"), wanted)
    filled = torch.where(mask > 0, x, 0.5).requires_grad_()
    ssim(filled, y, mask=mask).sum().backward()
    assert filled.grad is not None
    assert bool((filled.grad[(mask == 0).expand_as(x)] == 0).all())
    assert float(filled.grad.abs().max()) > 0


def test_a_mask_equals_normalised_convolution_by_hand(pair):
    x, y = (image[:, :1, :11, :11] for image in pair)
    mask = torch.from_numpy(np.random.default_rng(3).random((1, 1, 11, 11)))
    taps = torch.tensor(window.gaussian(11, 1.5), dtype=torch.float64)
    weights = torch.outer(taps, taps) * mask[0, 0]
    weights = weights / weights.sum()
    mx, my = ((weights * image[0, 0]).sum() for image in (x, y))
    vx, vy = ((weights * (image[0, 0] - m) ** 2).sum() for image, m in ((x, mx), (y, my)))
    cov = (weights * (x[0, 0] - mx) * (y[0, 0] - my)).sum()
    wanted = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    torch.testing.assert_close(ssim(x, y, mask=mask)[0], wanted)


def test_an_image_without_a_valid_pixel_has_no_score(pair):
    x, y = pair
    mask = torch.cat([torch.zeros_like(x), torch.ones_like(x)])
    scores = SSIM()(torch.cat([x, x]), torch.cat([y, y]), mask)
    assert scores.isnan().tolist() == [True] * len(x) + [False] * len(x)


@pytest.mark.parametrize(
    ("mask", "words"),
    [(torch.ones(1, 2, 64, 57), "mask must have shape"), (np.ones((1, 1, 64, 57)), "mask must be a torch tensor")],
)
def test_a_mask_that_does_not_fit_is_refused(pair, mask, words):
    with pytest.raises((ValueError, TypeError), match=words):
        ssim(*pair, mask=mask)


def test_volumes_use_windows_in_three_dimensions():
    random = np.random.default_rng(0)
    y = ndimage.gaussian_filter(random.random((14, 15, 16)), 1.5)
    x = y + 0.05 * random.standard_normal(y.shape)
    found = float(ssim(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None], check="shapes"))

    def blur(image):
        return ndimage.gaussian_filter(image, 1.5, radius=5)

    mx, my = blur(x), blur(y)
    vx, vy, cov = (blur(a * b) - blur(a) * blur(b) for a, b in ((x, x), (y, y), (x, y)))
    index = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert abs(found - index[5:-5, 5:-5, 5:-5].mean()) < 1e-12


def test_multi_scale_reduces_by_policy():
    y = picture(64)
    x = (y * 0.8 + 0.1).flip(-1)
    with pytest.raises(ValueError, match="at least 161 px"):
        ms_ssim(x, y)
    three = MSSSIM(weights=[w * 1.0001 / (0.0448 + 0.2856 + 0.3001) for w in (0.0448, 0.2856, 0.3001)])(x, y)
    torch.testing.assert_close(ms_ssim(x, y, small="reduce"), three)


def test_multi_scale_pools_as_a_sum_too(pair):
    y = picture(176)
    x = (y + 0.05).clamp(0, 1)
    total = MSSSIM(scales="sum")(x, y)
    assert 0.9 < float(total) < 1
    assert float(MSSSIM(scales="sum")(y, y)) == pytest.approx(1, abs=1e-12)


def test_negative_structure_leaks_by_default_and_by_name():
    y = picture(176)
    x = (1 - y).requires_grad_()
    scores = {rule: MSSSIM(negative=rule)(x, y) for rule in ("leak", "relu", "real")}
    assert float(scores["leak"].detach()) < -0.5
    assert float(scores["relu"].detach()) == 0
    gradients = {rule: torch.autograd.grad(score, x)[0] for rule, score in scores.items()}
    assert float(gradients["leak"].abs().sum()) > 1e-3
    assert float(gradients["relu"].abs().sum()) == 0
    moved = (x + 10 * gradients["leak"].sign() * 1e-3).detach()
    assert float(MSSSIM()(moved, y)) > float(scores["leak"].detach())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"win_size": 10}, "odd whole number"),
        ({"win_size": 0}, "odd whole number"),
        ({"sigma": 0.0}, "sigma must be a number greater than 0"),
        ({"border": "same"}, "border must be one of valid"),
        ({"convention": "skimage"}, "did you mean 'scikit-image'"),
        ({"K": (0.0, 0.03)}, "each of K must be a number greater than 0"),
        ({"K": 0.01}, "K must be 2 numbers"),
        ({"sigma": "1.5"}, "sigma must be a number"),
        ({"win_size": "11"}, "win_size must be a number"),
        ({"covariance": "N-1"}, "covariance must be one of"),
        ({"data_range": 0}, "positive, finite width"),
        ({"data_range": "255 levels"}, "must be a number"),
        ({"reduction": "average"}, "reduction must be one of"),
        ({"check": "all"}, "check must be one of"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        SSIM(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"convention": "scikit-image"}, "has no MS-SSIM"),
        ({"weights": ()}, "one or more numbers"),
        ({"weights": (-1.0, 2.0)}, "each of weights"),
        ({"negative": "abs"}, "negative must be one of"),
        ({"small": "pad"}, "small must be one of"),
    ],
)
def test_a_wrong_option_of_ms_ssim_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        MSSSIM(**options)


def test_reductions():
    y = torch.cat([picture(32), picture(32, seed=1)])
    x = y.flip(-1)
    scores = ssim(x, y)
    assert scores.shape == (2,)
    torch.testing.assert_close(ssim(x, y, reduction="mean"), scores.mean())
    torch.testing.assert_close(ssim(x, y, reduction="sum"), scores.sum())


def test_conventions_of_one_definition_share_a_signature():
    signatures = {name: SSIM(convention=name).signature() for name in ("wang2004", "tensorflow", "piqa")}
    assert len(set(signatures.values())) == 1
    assert SSIM(convention="scikit-image").signature() not in signatures.values()
