"""Metrics and options that other packages have: the same numbers, and errors that name the option."""

import math

import numpy as np
import pytest
import torch

import lookalike
from lookalike import audit
from lookalike.metrics import nrmse, psnr_b
from lookalike.metrics.colour import chroma_ratio
from lookalike.ops import ciede2000, colour, delta_e


def pair(channels=3, height=40, width=48):
    """Judged image and reference, picture-like, float64."""
    return [audit.texture(96, channels, seed).double()[..., :height, :width] for seed in (1, 0)]


def labs():
    """Two sets of colours of every hue, greys and dark ones among them."""
    random = np.random.default_rng(0)
    y = random.uniform((0, -90, -90), (100, 90, 90), (4000, 3))
    x = y + random.normal(0, 8, y.shape)
    y[:200, 1:] = 0
    x[100:300, 1:] = 0
    y[300:600, 0] /= 8
    x[600:620] = y[600:620]
    return x, y


def planes(values):
    return torch.from_numpy(values.T.copy())[None, :, :, None]


@pytest.fixture(scope="module")
def piq():
    pytest.importorskip("torchvision_schemas").register_torchvision_schemas()
    return pytest.importorskip("piq")


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (delta_e.cie76, "deltaE_cie76", {}),
        (delta_e.cie94, "deltaE_ciede94", {}),
        (lambda x, y: delta_e.cie94(x, y, (2, 1, 1.5), (0.048, 0.014)), "deltaE_ciede94",
         {"kL": 2, "kC": 1, "kH": 1.5, "k1": 0.048, "k2": 0.014}),
        (delta_e.cmc, "deltaE_cmc", {}),
        (lambda x, y: delta_e.cmc(x, y, (2, 1)), "deltaE_cmc", {"kL": 2, "kC": 1}),
        (lambda x, y: ciede2000.ciede2000(x, y, (2, 1, 1)), "deltaE_ciede2000", {"kL": 2}),
        (lambda x, y: ciede2000.ciede2000(x, y, (1, 3, 0.5)), "deltaE_ciede2000", {"kC": 3, "kH": 0.5}),
    ],
)  # fmt: skip
def test_differences_of_colours_are_scikit_image_s(ours, theirs, options):
    """Theirs take the reference first."""
    skimage = pytest.importorskip("skimage.color")
    x, y = labs()
    wanted = getattr(skimage, theirs)(y, x, **options)
    np.testing.assert_allclose(ours(planes(x), planes(y)).numpy().ravel(), wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [("delta_e76", {}), ("delta_e94", {"k": (2, 1, 1), "K": (0.048, 0.014)}), ("delta_e_cmc", {"lc": (2, 1)}),
     ("ciede2000", {"k": (2, 1, 1)})],
)  # fmt: skip
def test_a_difference_of_images_is_the_mean_of_its_map(name, options):
    x, y = pair()
    metric = lookalike.get(name, **options)
    assert float(metric(x, y)) == pytest.approx(float(metric.map(x, y).mean()), rel=1e-12)
    assert metric.map(x, y).shape == (1, 1, 40, 48)
    assert all(part in metric.signature() for part in (str(value[0]) for value in options.values()))


@pytest.mark.parametrize("name", ["delta_e76", "delta_e94", "delta_e_cmc"])
def test_differences_have_gradients_at_greys_and_equal_colours(name):
    y = torch.full((1, 3, 2, 3), 0.5)
    y[..., 0] = 0
    x = y.clone()
    x[..., 2] = torch.tensor([0.9, 0.1, 0.2]).view(1, 3, 1)
    x, y = x.requires_grad_(), y.requires_grad_()
    score = lookalike.get(name)(x, y)
    for gradient in torch.autograd.grad(score.sum(), (x, y)):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("normalisation", ["euclidean", "min-max", "mean"])
def test_nrmse_is_scikit_image_s(normalisation):
    skimage = pytest.importorskip("skimage.metrics")
    x, y = pair()
    wanted = skimage.normalized_root_mse(y.numpy(), x.numpy(), normalization=normalisation)
    metric = lookalike.get("nrmse", normalisation=normalisation)
    assert float(metric(x, y)) == pytest.approx(wanted, rel=1e-12)
    levels = lookalike.get("nrmse", normalisation=normalisation, data_range=255)
    assert float(levels(255 * x, 255 * y)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("normalisation", ["euclidean", "min-max", "mean"])
def test_nrmse_of_a_black_reference_is_of_the_whole_range(normalisation):
    x = torch.full((1, 1, 4, 4), 0.25, requires_grad=True)
    score = nrmse.nrmse(x, torch.zeros(1, 1, 4, 4), normalisation=normalisation)
    [gradient] = torch.autograd.grad(score.sum(), x)
    assert float(score.detach()) == 0.25
    assert torch.isfinite(gradient).all()


MASKED = [("nrmse", {"normalisation": kind}) for kind in ("euclidean", "min-max", "mean")]
MASKED += [(name, {}) for name in ("delta_e76", "delta_e94", "delta_e_cmc")]
MASKED += [("ciede2000", {"k": (2, 1, 1)}), ("psnr", {"luma": "bt601"}), ("psnr", {"luma": "studio"})]


@pytest.mark.parametrize("filler", [math.nan, -9999.0, math.inf])
@pytest.mark.parametrize(("name", "options"), MASKED)
def test_masks_are_crops_whatever_lies_under_them(name, options, filler):
    x, y = pair()
    metric = lookalike.get(name, **options)
    ones = torch.ones(1, 1, 40, 48, dtype=torch.bool)
    assert float(metric(x, y, ones)) == pytest.approx(float(metric(x, y)), rel=1e-12)
    half = ones.clone()
    half[..., 20:] = False
    hurt_x, hurt_y = x.clone(), y.clone()
    hurt_x[..., 20:] = filler
    hurt_y[..., 20:] = filler
    hurt_x.requires_grad_()
    score = metric(hurt_x, hurt_y, half)
    assert float(score.detach()) == pytest.approx(float(metric(x[..., :20], y[..., :20])), rel=1e-12)
    [gradient] = torch.autograd.grad(score.sum(), hurt_x)
    assert torch.isfinite(gradient).all()
    assert not gradient[..., 20:].any()
    assert bool(metric(x, y, torch.zeros_like(ones)).isnan())


@pytest.mark.peers
@pytest.mark.parametrize(("height", "width"), [(40, 48), (41, 53), (64, 96)])
def test_psnr_b_is_torchmetrics(height, width):
    pytest.importorskip("torchvision_schemas").register_torchvision_schemas()
    image = pytest.importorskip("torchmetrics.functional.image")
    x, y = pair(1, height, width)
    x = x + 0.4 * (torch.arange(width) // 8 % 2) * (torch.arange(height)[:, None] // 8 % 2)
    assert float(psnr_b.blocking_effect(x)) > 0
    for judged in (x, y.flip(3)):
        wanted = image.peak_signal_noise_ratio_with_blocked_effect(judged, y, data_range=1.0)
        assert float(psnr_b.psnr_b(judged, y)) == pytest.approx(float(wanted), abs=1e-9)


def test_psnr_b_judges_each_image_of_a_batch():
    x, y = pair(1)
    both = torch.cat([x, y.flip(3)]), torch.cat([y, y])
    apart = [float(psnr_b.psnr_b(one, y)) for one in (x, y.flip(3))]
    assert psnr_b.psnr_b(*both).tolist() == pytest.approx(apart, rel=1e-12)


def test_psnr_of_luma_and_of_what_a_crop_leaves():
    x, y = pair()
    inner = [image[..., 4:-4, 4:-4] for image in (x, y)]
    assert float(lookalike.get("psnr", crop=4)(x, y)) == float(lookalike.get("psnr")(*inner))
    of_luma = float(lookalike.get("psnr")(*(colour.luma(image) for image in inner)))
    assert float(lookalike.get("psnr", luma="bt601", crop=4)(x, y)) == pytest.approx(of_luma, rel=1e-12)
    # Y = 16 + 65.481 R + 128.553 G + 24.966 B of [0, 1], as ITU-R BT.601 and MATLAB's rgb2ycbcr have it.
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64).view(3, 1, 1) / 255
    first, second = ((image * weights).sum(1) for image in inner)
    wanted = -10 * math.log10(float((first - second).square().mean()))
    assert float(lookalike.get("psnr", luma="studio", crop=4)(x, y)) == pytest.approx(wanted, abs=1e-9)
    masked = lookalike.get("psnr", crop=4)(x, y, torch.ones(1, 1, 40, 48))
    assert float(masked) == pytest.approx(float(lookalike.get("psnr")(*inner)), rel=1e-12)


@pytest.mark.parametrize("side", [2, 3, 5, 7, 8, 11, 16])
def test_uqi_of_other_windows(side):
    """Window by window, eq. 1 of the paper."""
    x, y = pair(1, 20, 23)
    a, b = (np.lib.stride_tricks.sliding_window_view(image[0, 0].numpy(), (side, side)) for image in (x, y))
    mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
    covariance = (a * b).mean((2, 3)) - mean_a * mean_b
    spread = a.var((2, 3)) + b.var((2, 3))
    wanted = (4 * covariance * mean_a * mean_b / (spread * (mean_a**2 + mean_b**2))).mean()
    metric = lookalike.get("uqi", win_size=side)
    assert float(metric(x, y)) == pytest.approx(wanted, abs=1e-10)
    assert f"uniform{side}" in metric.signature()
    assert metric.min_side == side


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "options", "call", "theirs", "channels", "side", "tolerance"),
    [
        ("mdsi", {"combination": "product"}, "mdsi", {"combination": "mult"}, 3, 96, 1e-5),
        ("gmsd", {"C": 400}, "gmsd", {"t": 400 / 255**2}, 1, 96, 1e-5),
        ("haarpsi", {"C": 100, "alpha": 2}, "haarpsi", {"c": 100, "alpha": 2}, 1, 96, 1e-6),
        ("vif", {"domain": "pixel", "noise": 8}, "vif_p", {"sigma_n_sq": 8}, 1, 96, 1e-5),
        ("sr_sim", {"chromatic": True}, "srsim", {"chromatic": True}, 3, 96, 2e-4),
        ("ms_gmsd", {"C": 400}, "multi_scale_gmsd", {"t": 400}, 1, 96, 1e-6),
        ("iw_ssim", {"weights": (0.3, 0.4, 0.3)}, "information_weighted_ssim",
         {"scale_weights": torch.tensor([0.3, 0.4, 0.3], dtype=torch.float64)}, 1, 192, 1e-6),
    ],
)  # fmt: skip
def test_options_are_piq_s(piq, name, options, call, theirs, channels, side, tolerance):
    y = audit.texture(side, channels).double()
    x = (y + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)).clamp(0, 1)
    x = 0.5 * x + 0.5 * x.roll(1, 3)
    found, default = (float(lookalike.get(name, **given)(x, y)) for given in (options, {}))
    assert found == pytest.approx(float(getattr(piq, call)(x, y, **theirs)), abs=tolerance)
    assert abs(found - default) > 5 * tolerance


@pytest.mark.peers
def test_ms_gmsd_in_colour_is_piq_s_but_for_the_size_of_the_chrominance(piq):
    """piq takes the errors of I and Q of images halved three times."""
    y = audit.texture(96, 3).double()
    x = (y + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)).clamp(0, 1)

    def chrominance(x, y):
        red, green, blue = (x - y).unbind(1)
        first = 0.5959 * red - 0.2746 * green - 0.3213 * blue
        second = 0.2115 * red - 0.5227 * green + 0.3112 * blue
        return 255 * float((first.square().mean() + second.square().mean()).sqrt())

    def together(grey, colours):
        share = 2 / (1 + 0.32 * math.exp(-15 * grey)) - 1
        return share * grey + (1 - share) * 0.01 * colours

    grey = float(lookalike.get("ms_gmsd")(x, y))
    found = float(lookalike.get("ms_gmsd", chromatic=True)(x, y))
    assert found == pytest.approx(together(grey, chrominance(x, y)), rel=1e-9)
    coarse = [torch.nn.functional.avg_pool2d(image, 8) for image in (x, y)]
    theirs = float(piq.multi_scale_gmsd(x, y, chromatic=True))
    assert theirs == pytest.approx(together(grey, chrominance(*coarse)), abs=2e-5)


@pytest.mark.parametrize(
    ("name", "option", "part"),
    [
        ("nrmse", {"normalisation": "max"}, "normalisation must be one of euclidean, min-max, mean"),
        ("psnr", {"luma": "y"}, "luma must be one of bt601, studio"),
        ("psnr", {"crop": -1}, "crop must be a whole number of at least 0"),
        ("psnr", {"crop": 1.5}, "crop must be a whole number"),
        ("psnr_b", {"block": 1}, "block must be a whole number of at least 2"),
        ("psnr_b", {"cap_db": 0}, "cap_db must be a number greater than 0"),
        ("delta_e94", {"k": (1, 1)}, "k must be 3 numbers"),
        ("delta_e94", {"K": (-1, 0)}, "each of K must be a number of at least 0"),
        ("delta_e_cmc", {"lc": (0, 1)}, "each of lc must be a number greater than 0"),
        ("ciede2000", {"k": (1, 0, 1)}, "each of k must be a number greater than 0"),
        ("chroma_ratio", {"floor": 0}, "floor must be a number greater than 0"),
        ("uqi", {"win_size": 1}, "win_size must be a whole number of at least 2"),
        ("mdsi", {"combination": "mult"}, "combination must be one of sum, product"),
        ("vif", {"noise": 0}, "noise must be a number greater than 0"),
        ("gmsd", {"C": 0}, "C must be a number greater than 0"),
        ("ms_gmsd", {"C": -1}, "C must be a number greater than 0"),
        ("haarpsi", {"C": 0}, "C must be a number greater than 0"),
        ("haarpsi", {"alpha": math.nan}, "alpha must be a number greater than 0"),
        ("iw_ssim", {"weights": (1,)}, "weights must be two or more"),
        ("iw_ssim", {"weights": (1, -1)}, "each of weights must be a number greater than 0"),
    ],
)
def test_a_wrong_option_is_named(name, option, part):
    with pytest.raises(ValueError, match=f"{name}: {part}"):
        lookalike.get(name, **option)


@pytest.mark.parametrize("name", ["sr_sim", "ms_gmsd"])
def test_chromatic_variants_take_colour_alone(name):
    grey = torch.rand(1, 1, 64, 64)
    with pytest.raises(ValueError, match=name):
        lookalike.get(name, chromatic=True)(grey, grey)
    x, y = pair(3, 64, 64)
    x = y[:, [2, 1, 0]]
    metric = lookalike.get(name, chromatic=True)
    assert float(metric(y, y)) == metric.facts.identical
    x = x.clone().requires_grad_()
    [gradient] = torch.autograd.grad(metric(x, y).sum(), x)
    assert torch.isfinite(gradient).all()


def test_chroma_of_a_grey_reference_is_no_division_by_nothing():
    grey = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    cast = grey + torch.tensor([0.01, 0, -0.01]).view(1, 3, 1, 1)
    chroma = float(colour.length(*colour.lab(cast)[:, 1:].unbind(1)).mean())
    assert float(chroma_ratio(cast, grey)) == pytest.approx(1 + chroma, abs=1e-6)
    assert float(chroma_ratio(grey, grey)) == 1
    x, y = pair()
    plain = [float(colour.length(*colour.lab(image)[:, 1:].unbind(1)).mean()) for image in (x, y)]
    assert min(plain) > 1
    assert float(chroma_ratio(x, y)) == pytest.approx(plain[0] / plain[1], rel=1e-12)
    # No jump where the floor begins.
    near = [chroma_ratio(cast, cast, floor=chroma * share) for share in (1 - 1e-9, 1 + 1e-9)]
    assert float(near[0]) == pytest.approx(float(near[1]), abs=1e-8)
