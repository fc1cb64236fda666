"""What other libraries were found to get wrong, each as a test of ours. A test is named after its case.

C: values, D: dtypes and ranges, G: gradients, S: shapes. Cases of metrics that are not here yet are not here
either; those that need an image file are in `test_author_values.py` (C01, C06a, C16, C17) and `test_images.py` (F01
to F07).

What the audit promises of every metric (`data_range`, `batch`, `autocast`, `finite`, `pure`; `audit/test_audit.py`)
is repeated here, on photographs of odd sides, for SSIM's family and what has a kernel.
"""

import functools
import json

import numpy as np
import pytest
import torch
from pairs import crop, distort, grey, photograph
from places import GOLDEN_FOLDER
from scipy import ndimage

import lookalike

AUTHORS = json.loads((GOLDEN_FOLDER / "authors.json").read_text(encoding="utf-8"))["values"]
SIMILARITIES = ("ssim", "ms_ssim", "cw_ssim")
# Those that run a kernel when asked with default options.
KERNELS = ("ssim", "ms_ssim", "ms_ssim_l1", "gmsd", "ms_gmsd", "ssimulacra2", "contextual_patches")
ALL = tuple(name for name in lookalike.catalog() if not lookalike.registry.metric_class(name).facts.weights)


def tensor(image, dtype=torch.float32):
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(planes)).to(dtype)[None]


@functools.cache
def photo_pair(name):
    """A pair (judged, reference) of `golden/pairs.py` on 0..255, by its name there."""
    photo, kind = name.removeprefix("sk/").split("_")
    return tensor(distort(photograph(photo), kind)), tensor(photograph(photo))


def natural(height=165, width=161, kind="lcg", dtype=torch.float32, name="astronaut"):
    """A pair (judged, reference) in the unit range."""
    reference = crop(photograph(name), height, width)
    return tensor(distort(reference, kind), dtype) / 255, tensor(reference, dtype) / 255


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def gradient(name, x, y, **options):
    x = x.detach().clone().requires_grad_()
    value = lookalike.get(name, check="shapes", **options)(x, y)
    (slope,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), slope


@pytest.fixture(params=["kernels", "reference"])
def way(request):
    """The compiled kernels, where there are any, and plain torch."""
    if request.param == "kernels":
        yield
    else:
        with lookalike.use_kernels():
            yield


# C: values


@pytest.mark.parametrize("name", ["sk/camera_contrast", "sk/camera_box5", "sk/camera_lcg"])
def test_c01_ssim_by_default_is_the_authors(name, way):
    """torchmetrics, kornia, scikit-image and sewar are 0.003 to 0.012 away by default."""
    score = lookalike.get("ssim", data_range=255)(*photo_pair(name))
    assert float(score) == pytest.approx(AUTHORS[name]["ssim_2003_nodown"], abs=2e-6)


@pytest.mark.parametrize(("side", "factor"), [(383, 1), (384, 2), (639, 2), (640, 3), (641, 3)])
def test_c06a_automatic_down_sampling_rounds_halves_up(side, factor):
    """piq and pyiqa reduce a side of 640 px by 2 where the authors' program reduces it by 3."""
    reference = grey(crop(photograph("astronaut"), side, side + 30))
    pair = [image / 255.0 for image in (reference, distort(reference, "lcg"))]
    # A box of even size covers pixels i and i + 1, of odd size i - 1 to i + 1; the edge is repeated.
    shrunk = [
        ndimage.uniform_filter(image, factor, mode="reflect", origin=-1 if factor == 2 else 0)[::factor, ::factor]
        for image in pair
    ]
    y, x = (tensor(image, torch.float64) for image in pair)
    expected = lookalike.get("ssim")(*(tensor(image, torch.float64) for image in reversed(shrunk)))
    assert float(lookalike.get("ssim", downsample="matlab")(x, y)) == pytest.approx(float(expected), abs=1e-9)


def test_c08_negative_local_values_are_kept(way):
    """pyiqa sets them to zero: 0.200 instead of 0.182 for two unrelated portraits."""
    pair = photo_pair("sk/chelsea_inv")
    score = lookalike.get("ssim", data_range=255, convention="wang-msssim")(*pair)
    assert float(score) == pytest.approx(AUTHORS["sk/chelsea_inv"]["ssim_2003_nodown"], abs=2e-5)
    metric = lookalike.get("ssim", data_range=255)
    assert metric.map(*pair).min() < -0.5
    assert float(metric.map(*pair).mean()) == pytest.approx(float(metric(*pair)), abs=1e-6)


@pytest.mark.parametrize("side", [64, 128, 160])
def test_c09_images_too_small_for_all_scales(side):
    """pyiqa and piqa end in the convolution's own error."""
    x, y = natural(side, side + 5)
    with pytest.raises(ValueError, match=f"at least 161 px a side, got {side}x{side + 5}"):
        lookalike.get("ms_ssim")(x, y)
    score = float(lookalike.get("ms_ssim", small="reduce")(x, y))
    assert 0 < score < 1
    assert float(lookalike.get("ms_ssim", small="reduce")(y, y)) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("level", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", SIMILARITIES)
def test_c10_identical_flat_images_score_exactly_one(name, level, dtype, way):
    """Black, white or grey: pyiqa's CW-SSIM is 1e6 there, kornia's SSIM of black 0.999989, others NaN."""
    flat = torch.full((1, 1, 161, 165), level, dtype=dtype)
    assert float(lookalike.get(name)(flat, flat.clone())) == 1


@pytest.mark.parametrize("name", SIMILARITIES)
def test_c11_the_range_only_scales(name):
    x, y = natural(165, 161, dtype=torch.float64)
    expected = float(lookalike.get(name)(x, y))
    for low, high in ((0, 255), (0, 65535), (-1, 1)):
        metric = lookalike.get(name, data_range=(low, high))
        score = metric(low + (high - low) * x, low + (high - low) * y)
        assert float(score) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_c12_a_score_does_not_depend_on_batch_mates(name):
    pairs = [natural(165, 161, kind) for kind in ("lcg", "box5", "inv")]
    x, y = (torch.cat(images) for images in zip(*pairs, strict=True))
    together = lookalike.get(name)(x, y)
    alone = torch.cat([lookalike.get(name)(*pair) for pair in pairs])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)


def msssim_by_scipy(x, y):
    """MS-SSIM of two planes from the authors' description, with SciPy's filters."""
    taps = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(plane):
        plane = ndimage.correlate1d(ndimage.correlate1d(plane, taps, 0), taps, 1)
        return plane[5:-5, 5:-5]

    product = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            x, y = (ndimage.uniform_filter(plane, 2, mode="reflect", origin=-1)[::2, ::2] for plane in (x, y))
        mu_x, mu_y = blur(x), blur(y)
        variances = blur(x * x) - mu_x**2 + blur(y * y) - mu_y**2
        part = (2 * (blur(x * y) - mu_x * mu_y) + 9e-4) / (variances + 9e-4)
        if scale == 4:
            part *= (2 * mu_x * mu_y + 1e-4) / (mu_x**2 + mu_y**2 + 1e-4)
        product *= part.mean() ** weight
    return product


@pytest.mark.parametrize(("height", "width"), [(333, 357), (301, 199), (177, 191), (176, 351)])
def test_c13_ms_ssim_of_odd_sides(height, width, way):
    """pytorch-msssim, piq and pyiqa are 0.022 away from the authors there."""
    reference = grey(crop(photograph("coffee"), height, width))
    distorted = distort(reference, "box5")
    expected = msssim_by_scipy(distorted / 255, reference / 255)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 2e-6)):
        score = lookalike.get("ms_ssim", data_range=255)(tensor(distorted, dtype), tensor(reference, dtype))
        assert float(score) == pytest.approx(expected, abs=tolerance)


def test_c13_the_authors_values_of_an_odd_photograph():
    pair = photo_pair("sk/chelsea_box5")
    assert pair[0].shape[-1] == 451
    score = lookalike.get("ms_ssim", data_range=255, convention="wang-msssim")(*pair)
    assert float(score) == pytest.approx(AUTHORS["sk/chelsea_box5"]["msssim"], abs=2e-5)


def test_c16_c17_colour_is_the_mean_of_channels_and_a_negative_one_counts_as_nothing():
    """As MATLAB's values in TensorFlow's own tests have it; torchmetrics loses the other channels with the one."""
    x, y = natural(180, 240, "box5", torch.float64)
    x = torch.cat([1 - y[:, :1], x[:, 1:]], 1)
    for name, convention in (("ssim", "wang2004"), ("ssim", "tensorflow"), ("ms_ssim", "tensorflow")):
        metric = lookalike.get(name, convention=convention)
        planes = [float(metric(x[:, [channel]], y[:, [channel]])) for channel in range(3)]
        assert planes[0] == 0 if name == "ms_ssim" else planes[0] < 0
        assert float(metric(x, y)) == pytest.approx(sum(planes) / 3, abs=1e-12)


# D: dtypes and ranges


def uint8_noise(seed):
    return torch.randint(0, 256, (1, 3, 192, 192), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("data_range", [None, 255])
def test_d01_uint8_is_0_to_255(data_range, way):
    """pytorch-msssim gives 1 for two unrelated images."""
    x, y = uint8_noise(0), uint8_noise(1)
    score = float(lookalike.get("ssim", data_range=data_range)(x, y))
    assert abs(score) < 0.05
    assert score == pytest.approx(float(lookalike.get("ssim", data_range=255)(x.float(), y.float())), abs=1e-6)
    with pytest.raises(ValueError, match="always 0-255, but data_range=1;"):
        lookalike.get("ssim", data_range=1)(x, y)


def test_d02_errors_of_uint8_do_not_wrap():
    """torchmetrics gives 105 for an MSE of 10878."""
    x, y = uint8_noise(0), uint8_noise(1)
    expected = float((x.double() - y.double()).square().mean())
    assert float(lookalike.get("mse")(x, y)) * 255**2 == pytest.approx(expected, rel=1e-6)
    assert float(lookalike.get("psnr")(x, y)) == pytest.approx(10 * np.log10(255**2 / expected), rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_d03_float16_on_0_to_255(name):
    """pytorch-msssim and torchmetrics give NaN, torchmetrics' PSNR -inf."""
    x, y = (image.mul(255).half() for image in natural())
    value, slope = gradient(name, x, y, data_range=255)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    torch.testing.assert_close(value, lookalike.get(name, data_range=255)(x.float(), y.float()))


@pytest.mark.parametrize("name", SIMILARITIES)
def test_d04_bfloat16(name):
    """Under autocast torchmetrics' SSIM goes from 0.58 to 0.40; as input bfloat16 costs its own rounding alone."""
    x, y = natural()
    score = lookalike.get(name)(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(lookalike.get(name)(x, y), score, rtol=0, atol=1e-6)
    x, y = x.bfloat16(), y.bfloat16()
    torch.testing.assert_close(lookalike.get(name)(x, y), lookalike.get(name)(x.float(), y.float()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("mean", [100.0, 3000.0])
def test_d05_a_high_mean_does_not_cancel(mean, dtype, way):
    """CT and thermal images: torchmetrics gives -2073 in float32, kornia 46, pytorch-msssim 50."""
    y = mean + noise(1, 1, 192, 192, dtype=dtype)
    x = y + 0.1 * noise(1, 1, 192, 192, seed=1, dtype=dtype)
    # The coarser scales are averages of values that float32 rounds to 1/4096.
    for name, tolerance in (("ssim", 1e-6), ("ms_ssim", 5e-5)):
        score = float(lookalike.get(name, check="shapes")(x, y))
        assert -1 <= score <= 1
        exact = float(lookalike.get(name, check="shapes")(x.double(), y.double()))
        assert score == pytest.approx(exact, abs=tolerance)
        assert float(lookalike.get(name, check="shapes")(y, y.clone())) == 1


@pytest.mark.parametrize("step", [0.0, 1e-7, 1e-6, 1e-4])
def test_d05_nearly_identical_flat_images(step, way):
    """0.6 against 0.6 + 1e-7: piq gives 1.00003, torchmetrics 0.9997."""
    y = torch.full((1, 1, 64, 64), 0.6)
    x = y + step
    score = float(lookalike.get("ssim")(x, y))
    assert score <= 1
    assert score == pytest.approx(float(lookalike.get("ssim")(x.double(), y.double())), abs=1e-6)


@pytest.mark.parametrize("name", [*SIMILARITIES, "psnr", "mse"])
def test_d06_the_wrong_range_is_an_error(name):
    """Everybody gives 0.996 for unrelated images in [0, 1] when they are told 255."""
    x, y = noise(1, 3, 192, 192), noise(1, 3, 192, 192, seed=1)
    with pytest.raises(ValueError, match="pass data_range=1"):
        lookalike.get(name, data_range=255)(x, y)
    with pytest.raises(ValueError, match="pass data_range=255"):
        lookalike.get(name)(x * 255, y * 255)
    with pytest.raises(ValueError, match=r"pass data_range=\(-1, 1\)"):
        lookalike.get(name)(2 * x - 1, 2 * y - 1)


@pytest.mark.parametrize("name", ALL)
def test_d07_float64_is_computed_in_float64(name):
    x, y = natural(165, 161, dtype=torch.float64)
    score = lookalike.get(name)(x, y)
    assert score.dtype == torch.float64
    assert lookalike.get(name)(x.float(), y.float()).dtype == torch.float32
    torch.testing.assert_close(lookalike.get(name)(x.float(), y.float()).double(), score, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_nan_in_is_nan_out(name):
    x, y = natural()
    x, y = x.repeat(2, 1, 1, 1), y.repeat(2, 1, 1, 1)
    x[0, 1, 80, 90] = torch.nan
    score = lookalike.get(name)(x, y)
    assert score[0].isnan()
    assert score[1].isfinite()


# G: gradients


@pytest.mark.parametrize("name", [*KERNELS, "cw_ssim"])
@pytest.mark.parametrize("case", ["g01_identical", "g02_flat", "g04_negative", "black", "one_pixel"])
def test_g_value_and_gradient_are_finite(name, case, way):
    """At identical images PSNR, GMSD and MDSI of others have none; a flat image is how a generator begins."""
    x, y = natural()
    x = {
        "g01_identical": y.clone(),
        "g02_flat": torch.full_like(y, 0.5),
        "g04_negative": 1 - y,
        "black": torch.zeros_like(y),
        "one_pixel": y.clone(),
    }[case]
    if case == "one_pixel":
        x[..., 80, 80] = 1 - x[..., 80, 80]
    value, slope = gradient(name, x, y)
    assert value.isfinite().all()
    assert slope.isfinite().all()


def test_g05_ms_ssim_of_a_negative_can_be_trained(way):
    """Every library's gradient is exactly zero there: a network that begins with a negative never learns."""
    _, y = natural(192, 192)
    loss = lookalike.loss("ms_ssim")
    for x in (1 - y, 1 - y[..., :161, :161]):
        target = y[..., : x.shape[-2], : x.shape[-1]]
        x = x.clone().requires_grad_()
        before = loss(x, target)
        (slope,) = torch.autograd.grad(before, x)
        assert slope.isfinite().all()
        assert (slope != 0).float().mean() > 0.99
        step = slope / slope.abs().max() * 1e-2
        assert loss((x - step).detach(), target) < before


# S: shapes


@pytest.mark.parametrize("name", ALL)
def test_s01_nothing_is_broadcast(name):
    """torchmetrics and piqa give a number for (1, 3, h, w) against (1, 1, h, w), and against (1, 3, 1, 1)."""
    x = noise(1, 3, 192, 192)
    for shape in ((1, 1, 192, 192), (1, 3, 1, 1), (2, 3, 192, 192), (3, 192, 192), (1, 3, 192, 191)):
        with pytest.raises(ValueError, match="shape"):
            lookalike.get(name)(x, noise(*shape))


@pytest.mark.parametrize("side", [1, 8, 10])
def test_s02_images_smaller_than_the_window_are_refused(side):
    """pytorch-msssim leaves the window out, torchmetrics pads: another metric under the same name."""
    x, y = noise(1, 1, side, side), noise(1, 1, side, side, seed=1)
    with pytest.raises(ValueError, match=f"at least 11 px a side, got {side}x{side}"):
        lookalike.get("ssim")(x, y)


# Both hands off


@pytest.mark.parametrize("name", [*KERNELS, "cw_ssim"])
def test_the_input_is_left_as_it_is(name):
    x, y = natural()
    before = x.clone(), y.clone()
    gradient(name, x, y)
    lookalike.get(name)(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("name", ALL)
def test_the_number_of_threads_changes_nothing(name):
    """piq's FSIM and VIF change in the last digits; so may ours, and no more."""
    x, y = natural()
    threads = torch.get_num_threads()
    try:
        scores = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            scores.append(lookalike.get(name)(x, y))
    finally:
        torch.set_num_threads(threads)
    for score in scores[1:]:
        torch.testing.assert_close(score, scores[0], rtol=1e-6, atol=1e-6)
