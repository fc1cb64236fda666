"""The SSIM family: components, windows, borders, masks, volumes, scales."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

import lookalike
from lookalike.metrics.ssim import MSSSIM, SSIM, ms_ssim, ssim, ssim_map, ssim_terms
from lookalike.ops import window
from lookalike.ops._kernels import use_kernels


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
        ({"win_size": 10.5}, "a whole number of at least 1"),
        ({"win_size": 0}, "a whole number of at least 1"),
        ({"win_size": (11, 11, 11, 11)}, "one for each axis"),
        ({"win_size": (11, 11), "sigma": (1.0, 1.0, 1.0)}, "one for each axis"),
        ({"win_size": ()}, "win_size must be a number"),
        ({"sigma": 0.0}, "sigma must be a number from 0.01"),
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
        ({"weights": ()}, "1 to 32 numbers"),
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


def by_scipy_masked(x, y, mask, border):
    """SSIM of one plane over its valid pixels: windows are renormalised and count by their valid share."""
    mode = {"valid": "reflect", "symmetric": "reflect", "reflect": "mirror", "zero": "constant"}[border]

    def blur(image, beyond=0.0):
        return ndimage.gaussian_filter(image, 1.5, radius=5, mode=mode, cval=beyond)

    share = blur(mask, 1.0)
    known = np.where(share > 0, share, 1)
    mx, my = (blur(mask * image) / known for image in (x, y))
    vx, vy, cov = (
        blur(mask * a * b) / known - (blur(mask * a) / known) * (blur(mask * b) / known)
        for a, b in ((x, x), (y, y), (x, y))
    )
    index = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    inner = (slice(5, -5), slice(5, -5)) if border == "valid" else (slice(None), slice(None))
    return (share * index)[inner].sum() / share[inner].sum()


@pytest.mark.parametrize("border", ["valid", "reflect", "symmetric", "zero"])
@pytest.mark.parametrize("kind", ["hole", "weights", "edge"])
def test_a_window_counts_by_its_valid_share(pair, border, kind):
    x, y = pair
    mask = torch.from_numpy(np.random.default_rng(3).random((1, 1, 64, 57)))
    if kind == "hole":
        mask = torch.ones_like(mask)
        mask[..., 20:40, 10:30] = 0
    if kind == "edge":
        mask = (torch.arange(57) < 20).double().expand(1, 1, 64, 57)
    found = ssim(x, y, border=border, mask=mask)
    wanted = np.mean([
        by_scipy_masked(x[0, c].numpy(), y[0, c].numpy(), mask[0, 0].numpy(), border) for c in range(3)
    ])  # fmt: skip
    assert float(found) == pytest.approx(wanted, abs=1e-12)


def test_channels_with_masks_of_their_own_count_by_their_valid_pixels(pair):
    x, y = pair
    mask = torch.ones_like(x)
    mask[:, 0] = 0
    mask[:, 1, :, :30] = 0
    apart = [float(ssim(x[:, c : c + 1], y[:, c : c + 1], mask=mask[:, c : c + 1])) for c in (1, 2)]
    assert float(ssim(x, y, mask=mask)) == pytest.approx((27 * apart[0] + 57 * apart[1]) / (27 + 57), abs=1e-12)
    weighted = ssim(x, y, mask=mask, channel_weights=(5, 1, 3))
    assert float(weighted) == pytest.approx((27 * apart[0] + 3 * 57 * apart[1]) / (27 + 3 * 57), abs=1e-12)


MASKED = (
    ("ssim", {}), ("ssim", {"exponents": (0.5, 1.0, 2.0)}), ("ssim", {"convention": "kornia-same"}),
    ("ssim", {"convention": "pyiqa-y"}), ("ssim", {"convention": "wang-matlab"}), ("ssim", {"convention": "piq"}),
    ("ssim", {"convention": "scikit-image"}), ("ssim", {"convention": "fused-ssim-same"}),
    ("ssim_luminance", {}), ("ssim_contrast", {}), ("ssim_structure", {}),
    ("ms_ssim", {"small": "reduce"}), ("ms_ssim", {"small": "reduce", "convention": "sewar"}),
    ("ms_ssim", {"small": "reduce", "convention": "pytorch-msssim"}),
    ("ms_ssim", {"small": "reduce", "convention": "pyiqa-y"}),
    ("ms_ssim", {"small": "reduce", "convention": "torchmetrics"}),
    ("zhao_mix", {}), ("zhao_mix", {"border": "valid"}), ("zhao_mix_code", {}), ("ms_ssim_l1", {}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "options"), MASKED, ids=lambda value: str(value).replace(" ", ""))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_lies_under_a_mask_never_matters(name, options, dtype):
    metric = lookalike.get(name, **options)
    side = max(metric.min_side + 3, 48)
    side = 520 if metric.settings().get("down") not in (None, "no") else side
    y = picture(side, width=side + 5, dtype=dtype)
    x = (y + 0.1 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(dtype)).clamp(0, 1)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    assert float(metric(x, y, torch.ones_like(x[:, :1]).bool())) == pytest.approx(
        float(metric(x, y)), abs=tolerance
    )
    mask = torch.ones_like(x[:, :1]).bool()
    mask[..., side // 4 : side // 2, 7 : side // 2] = False
    wanted = metric(x, y, mask)
    assert abs(float(wanted) - float(metric(x, y))) > 1e-6
    spoiled = torch.where(mask, x, float("nan")).requires_grad_()
    found = metric(spoiled, torch.where(mask, y, -9999.0), mask)
    torch.testing.assert_close(found.detach(), wanted, rtol=0, atol=tolerance)
    [gradient] = torch.autograd.grad(found.sum(), spoiled)
    assert bool(gradient.isfinite().all())
    assert bool((gradient[~mask.expand_as(x)] == 0).all())
    assert float(gradient.abs().max()) > 0
    nothing = metric(spoiled, y, torch.zeros_like(mask))
    assert bool(nothing.isnan().all())
    [gradient] = torch.autograd.grad(nothing.nansum(), spoiled)
    assert bool((gradient == 0).all())


def test_ms_ssim_halves_its_mask_with_the_images():
    y = picture(88)
    x = (y + 0.1 * torch.from_numpy(np.random.default_rng(1).standard_normal(y.shape))).clamp(0, 1)
    mask = torch.ones_like(x[:, :1])
    mask[..., 1:30, 3:40] = 0
    share = torch.nn.functional.avg_pool2d(mask, 2)
    half = [torch.nn.functional.avg_pool2d(mask * image, 2) / share.clamp(min=1e-9) for image in (x, y)]
    fine = [by_scipy_parts(x[0, c].numpy(), y[0, c].numpy(), mask[0, 0].numpy())[1] for c in range(3)]
    coarse = [
        by_scipy_parts(half[0][0, c].numpy(), half[1][0, c].numpy(), share[0, 0].numpy())[0] for c in range(3)
    ]
    wanted = np.mean(np.array(fine) ** 0.4 * np.array(coarse) ** 0.6)
    assert float(MSSSIM(weights=(0.4, 0.6))(x, y, mask)) == pytest.approx(wanted, abs=1e-12)


def by_scipy_parts(x, y, mask):
    """Masked means of SSIM and of contrast·structure of windows that fit."""

    def blur(image):
        return ndimage.gaussian_filter(image, 1.5, radius=5)

    share = blur(mask)
    known = np.where(share > 0, share, 1)
    mx, my = (blur(mask * image) / known for image in (x, y))
    vx, vy, cov = (blur(mask * a * b) / known - ma * mb for a, b, ma, mb in (
        (x, x, mx, mx), (y, y, my, my), (x, y, mx, my)))  # fmt: skip
    structure = (2 * cov + 9e-4) / (vx + vy + 9e-4)
    index = structure * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
    inner = (slice(5, -5), slice(5, -5))
    return [(share * part)[inner].sum() / share[inner].sum() for part in (index, structure)]


@pytest.mark.parametrize("win_size", [2, 4, 8, 10])
@pytest.mark.parametrize("border", ["valid", "reflect", "symmetric", "zero"])
@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_even_windows_equal_their_definition(pair, win_size, border, kind):
    x, y = pair
    found = float(ssim(x, y, window=kind, win_size=win_size, sigma=2.0, border=border, covariance="n-1"))
    taps = (
        np.ones(win_size) if kind == "uniform" else np.exp(-((np.arange(win_size) - (win_size - 1) / 2) ** 2) / 8)
    )
    taps /= taps.sum()
    before, after = win_size // 2, (win_size - 1) // 2
    mode = {"valid": None, "reflect": "reflect", "symmetric": "symmetric", "zero": "constant"}[border]
    scores = []
    for c in range(3):
        a, b = (image[0, c].numpy() for image in (x, y))
        if mode:
            a, b = (np.pad(image, (before, after), mode=mode) for image in (a, b))
        windows = [np.lib.stride_tricks.sliding_window_view(image, (win_size, win_size)) for image in (a, b)]
        weights = np.outer(taps, taps)
        mx, my = ((weights * image).sum((2, 3)) for image in windows)
        vx, vy, cov = (
            win_size**2 / (win_size**2 - 1) * ((weights * p * q).sum((2, 3)) - mp * mq)
            for p, q, mp, mq in (
                (windows[0], windows[0], mx, mx), (windows[1], windows[1], my, my), (windows[0], windows[1], mx, my)
            )
        )  # fmt: skip
        index = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
        scores.append(index.mean())
    assert found == pytest.approx(np.mean(scores), abs=1e-12)


def test_windows_of_their_own_along_each_axis():
    random = np.random.default_rng(0)
    y = ndimage.gaussian_filter(random.random((9, 30, 32)), 1.5)
    x = y + 0.05 * random.standard_normal(y.shape)
    sizes, sigmas = (3, 11, 7), (0.5, 1.5, 1.0)

    def blur(image):
        for axis, (size, sigma) in enumerate(zip(sizes, sigmas, strict=True)):
            image = ndimage.gaussian_filter1d(image, sigma, axis, radius=size // 2)
        return image

    mx, my = blur(x), blur(y)
    vx, vy, cov = (blur(a * b) - blur(a) * blur(b) for a, b in ((x, x), (y, y), (x, y)))
    index = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    metric = SSIM(win_size=sizes, sigma=sigmas, check="shapes")
    found = float(metric(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None]))
    assert found == pytest.approx(index[1:-1, 5:-5, 3:-3].mean(), abs=1e-12)
    assert metric.signature().startswith("ssim|win:gauss3x11x7s0.5,1.5,1|")
    assert SSIM(win_size=(11, 11), sigma=(1.5, 1.5)).signature() == SSIM().signature()


def test_volumes_thinner_than_the_window_take_one_of_a_slice():
    y = picture(40, channels=6)[:, None]
    x = (y * 0.8 + 0.1 * y.flip(-1)).clamp(0, 1)
    slices = ssim(x[0].transpose(0, 1), y[0].transpose(0, 1))
    torch.testing.assert_close(SSIM(win_size=(1, 11, 11))(x, y)[0], slices.mean())
    with pytest.raises(ValueError, match=r"at least 11 px a side, got 6x40x40; .*win_size=\(1, 11, 11\)"):
        ssim(x, y)
    with pytest.raises(ValueError, match=r"at least 7x11x11 px, got 6x40x40; .*win_size=\(1, 11, 11\)"):
        SSIM(win_size=(7, 11, 11))(x, y)
    with pytest.raises(ValueError, match=r"the window has 3 axes, images .* have 2"):
        SSIM(win_size=(1, 11, 11))(x[0], y[0])
    two = MSSSIM(win_size=(1, 11, 11), weights=(0.5, 0.5))
    assert 0 < float(two(x.expand(1, 1, 6, 40, 40), y)) < 1


@pytest.mark.parametrize(
    ("side", "least"),
    [((10, 16), "kornia-same"), ((6, 6), "torchmetrics"), ((5, 9), "symmetric"), ((1, 1), "zero")],
)
def test_padded_borders_take_images_smaller_than_the_window(side, least):
    options: dict[str, Any] = {"border": least}
    if "-" in least or least == "torchmetrics":
        options = {"convention": least}
    y = picture(*side[:1], width=side[1])
    metric = SSIM(**options)
    assert -1 <= float(metric((y + 0.1).clamp(0, 1), y)) <= 1
    assert metric.min_side == {"reflect": 6, "symmetric": 5, "zero": 1}[metric.convention.border]
    if metric.min_side > 1:
        small = torch.zeros(1, 1, metric.min_side - 1, 30)
        with pytest.raises(ValueError, match=f"at least {metric.min_side} px a side"):
            metric(small, small)


@pytest.mark.parametrize(
    ("convention", "sigma", "size"),
    [("scikit-image-gaussian", 2.0, 15), ("torchmetrics", 0.8, 7), ("wang2004", 2.0, 11), ("ignite", 3.0, 11)],
)
def test_the_window_follows_from_sigma_where_the_program_does_so(convention, sigma, size):
    assert SSIM(convention=convention, sigma=sigma).convention.win_size == size
    assert SSIM(convention=convention, sigma=sigma, win_size=9).convention.win_size == 9
    assert SSIM(convention=convention).convention.win_size == 11


def half_dark(side, noise, seed, axis):
    random = np.random.default_rng(seed)
    base = np.where(np.indices((side, side + 13))[axis] < side // 2, 10, 245)[None, None]
    y = base + random.integers(-noise, noise + 1, base.shape)
    x = y + random.integers(-noise, noise + 1, base.shape)
    return [torch.from_numpy(image.clip(0, 255).astype(np.uint8)) for image in (x, y)]


@pytest.mark.parametrize("convention", ["scikit-image", "fast-ssim", "sewar", "wang2004", "torchmetrics"])
@pytest.mark.parametrize("kernels", [("cpu", "gpu"), ()], ids=["kernels", "reference"])
@pytest.mark.parametrize("axis", [0, 1])
def test_float32_is_not_biased_where_half_the_image_is_dark(convention, kernels, axis):
    x, y = half_dark(256, 8, 0, axis)
    wanted = float(SSIM(convention=convention)(x.double() / 255, y.double() / 255))
    with use_kernels(*kernels):
        found = [
            float(SSIM(convention=convention)(x.float() / 255, y.float() / 255)),
            float(SSIM(convention=convention)(x, y)),
        ]
    # Rounded products of Gaussian taps and 8-bit values err to one side; plain torch loses less than 1e-6 by it.
    tolerance = 3e-7 if kernels or "uniform" in SSIM(convention=convention).signature() else 1e-6
    assert found == pytest.approx([wanted] * 2, abs=tolerance)


def test_ms_ssim_of_small_images_says_what_works():
    y = picture(64)
    with pytest.raises(ValueError, match=r"small='reduce', or weights=\(0.333, 0.333, 0.333\)"):
        ms_ssim(y, y)
    assert float(ms_ssim(y, y, weights=(0.333, 0.333, 0.333))) == pytest.approx(1)
    small = y[..., :12, :30]
    with pytest.raises(ValueError, match=r"weights=\(1,\)"):
        ms_ssim(small, small)
    assert float(ms_ssim(small, small, weights=(1,))) == pytest.approx(1)
    tiny = y[..., :8, :30]
    with pytest.raises(ValueError, match="win_size=7"):
        ms_ssim(tiny, tiny)
    assert float(ms_ssim(tiny, tiny, weights=(1,), win_size=7)) == pytest.approx(1)


def test_the_widest_window():
    with pytest.raises(ValueError, match="win_size must be at most 9,999"):
        SSIM(win_size=999_999_999)
    with pytest.raises(ValueError, match="makes a window of 70,001 taps"):
        SSIM(convention="torchmetrics", sigma=10_000)


SEEN = {
    "x above": lambda x, y: (x * 3, y),
    "y below": lambda x, y: (x, y - 0.7),
    "one pixel": lambda x, y: (x, y.index_fill(3, torch.tensor([31]), 1.2)),
    "just inside": lambda x, y: (x + 0.0009, y),
    "NaN in y": lambda x, y: (x, y.index_fill(3, torch.tensor([3]), float("nan"))),
    "NaN in x, y above": lambda x, y: (x.index_fill(3, torch.tensor([3]), float("nan")), y + 2),
    "NaN in y, x above": lambda x, y: (x + 2, y.index_fill(3, torch.tensor([3]), float("nan"))),
    "all of 8 bits": lambda x, y: (x * 255, y * 255),
}


@pytest.mark.parametrize("case", SEEN)
@pytest.mark.parametrize("data_range", [1.0, 255.0, (-1.0, 1.0)])
@pytest.mark.parametrize("kernels", [("cpu",), ()], ids=["kernels", "reference"])
def test_values_seen_by_the_kernel_are_refused_as_the_door_refuses_them(case, data_range, kernels):
    y = picture(32, dtype=torch.float32)
    x, y = SEEN[case]((y + 0.1).clamp(0, 1) * 0.9, y)
    answers = []
    with use_kernels(*kernels):
        for name in ("ssim", "l1"):
            try:
                answers.append(float(lookalike.get(name, data_range=data_range)(x, y)))
            except ValueError as error:
                answers.append(str(error).removeprefix(name))
    if isinstance(answers[1], str):
        assert answers[0] == answers[1]
    else:
        assert isinstance(answers[0], float)
        wanted = float(lookalike.get("ssim", data_range=data_range, check="shapes")(x, y))
        assert answers[0] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
