"""CW-SSIM and its pyramid: the authors' numbers, the definition, degenerate images, derivatives."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from places import GOLDEN_FOLDER, SHARED

from lookalike import audit, losses
from lookalike.metrics.cw_ssim import CWSSIM, cw_ssim, smallest_side
from lookalike.metrics.ssim import ssim
from lookalike.ops import colour, pyramid
from tests.golden import pairs

SETTINGS = {
    "cwssim_L4O8_gauss": {},
    "cwssim_L4O8_mean": {"pooling": "mean"},
    "cwssim_L2O16_mean": {"levels": 2, "orientations": 16, "pooling": "mean"},
    "cwssim_L6O16_gauss": {"levels": 6, "orientations": 16},
}


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).random(shape)).to(dtype)


def from_levels(image, dtype=torch.float64):
    """An 8-bit image, grey or RGB, as MATLAB's rounded grey batch."""
    batch = torch.tensor(np.atleast_3d(np.asarray(image)) / 255.0).permute(2, 0, 1)[None]
    return colour.luma(batch, "matlab").to(dtype)


def golden(path):
    return json.loads(path.read_text(encoding="utf-8"))["values"]


def misses(values, images, dtype):
    """How far off the scores are, by pair and setting: of every setting in double precision, of one in single."""
    found = {}
    for at, (name, (reference, judged)) in enumerate(images.items()):
        x, y = from_levels(judged, dtype), from_levels(reference, dtype)
        for turn, (key, options) in enumerate(SETTINGS.items()):
            asked = dtype == torch.float64 or turn == at % len(SETTINGS)
            if asked and values[name].get(key) is not None:
                found[name, key] = abs(float(cw_ssim(x, y, **options)) - values[name][key])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-7)])
def test_the_authors_numbers(dtype, tolerance):
    values = golden(GOLDEN_FOLDER / "authors.json")
    images = pairs.sk_pairs() | {"skimage/camera_noisy": pairs.camera_noisy()}
    found = misses(values, images, dtype)
    assert len(found) == (80 if dtype == torch.float64 else 20)
    assert max(found.values()) < tolerance


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "golden").exists(), reason="the folder of image pairs is not here")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-7)])
def test_the_authors_numbers_on_the_field_s_own_images(dtype, tolerance):
    files = {
        "wang/contrast": ("wang_einstein/einstein.gif", "wang_einstein/contrast.gif"),
        "wang/jpg": ("wang_einstein/einstein.gif", "wang_einstein/jpg.gif"),
        "tid2013/I03": ("tid2013/ref_I03.bmp", "tid2013/dist_I03.bmp"),
        "tid2013/I04": ("tid2013/ref_I04.bmp", "tid2013/dist_I04.bmp"),
        "piq/goldhill": ("piq/goldhill.gif", "piq/goldhill_jpeg.gif"),
        "piq/I01": ("piq/I01.BMP", "piq/i01_01_5.bmp"),
        "ws2005/h": ("wang_simoncelli_2005/fig1_a.png", "wang_simoncelli_2005/fig1_h.png"),
        "tf/cb12": ("tensorflow/checkerboard1.png", "tensorflow/checkerboard2.png"),
        "plenoptic/einstein_curie": ("plenoptic/einstein.pgm", "plenoptic/curie.pgm"),
        "lpips/p0": ("lpips/ex_ref.png", "lpips/ex_p0.png"),
        "lpips/p1": ("lpips/ex_ref.png", "lpips/ex_p1.png"),
        "derived/I01_640": ("derived/I01_640_ref.png", "derived/I01_640_dist.png"),
        "derived/I01_odd": ("derived/I01_odd_ref.png", "derived/I01_odd_dist.png"),
    }

    def read(name):
        with Image.open(SHARED / "data" / "pairs" / name) as image:
            return image.convert("L" if image.mode == "L" else "RGB")

    images = {name: (read(reference), read(judged)) for name, (reference, judged) in files.items()}
    found = misses(golden(SHARED / "golden" / "golden.json"), images, dtype)
    assert max(found.values()) < tolerance


@pytest.mark.slow
def test_what_pyiqa_gives_on_grey_images():
    record = json.loads((GOLDEN_FOLDER / "recorded.json").read_text(encoding="utf-8"))
    values, images = record["values"]["pyiqa"]["cw_ssim"], pairs.all_pairs()
    grey = [name for name in values if images[name][0].ndim == 2]
    assert len(grey) > 10
    for name in grey:
        reference, judged = images[name]
        assert (
            abs(float(cw_ssim(from_levels(judged), from_levels(reference))) - values[name]) < 1e-7
        )  # float32 masks


def by_numpy(x, y, levels, orientations, win_size, pooling, K):
    """CW-SSIM of two planes of 0–255 straight from the definition, with exact cosines."""
    height, width = x.shape
    small = [math.ceil(side / 2 ** (levels - 1)) for side in x.shape]
    v, u = (np.arange(-(count // 2), count - count // 2) for count in small)
    with np.errstate(divide="ignore"):
        octave = np.log2(np.hypot(v[:, None] / (height / 2), u / (width / 2))) + levels
    angle = np.arctan2(v[:, None] / (height / 2), u / (width / 2))
    scores = []
    for band in range(orientations):
        away = np.angle(np.exp(1j * (angle - np.pi * band / orientations)))
        mask = np.where(np.abs(octave) < 1, np.cos(np.pi / 2 * np.clip(octave, -1, 1)), 0)
        mask = mask * np.where(np.abs(away) < np.pi / 2, np.cos(away) ** (orientations - 1), 0)
        order = orientations - 1
        mask *= 2 * math.sqrt(4**order * math.factorial(order) ** 2 / orientations / math.factorial(2 * order))
        c, d = (np.fft.ifft2(np.fft.ifftshift(np.fft.fft2(plane)[np.ix_(v, u)] * mask)) for plane in (x, y))

        def box(values):
            return np.lib.stride_tricks.sliding_window_view(values, (win_size, win_size)).mean((-1, -2))

        index = (2 * abs(box(c * d.conj())) + K) / (box(abs(c) ** 2 + abs(d) ** 2) + K)
        weights = np.ones_like(index)
        if pooling == "gaussian":
            i, j = (np.arange(side) - (side - 1) / 2 for side in index.shape)
            weights = np.exp(-(i[:, None] ** 2 + j**2) / 2 / (c.shape[0] / 4) ** 2)
        scores.append((index * weights).sum() / weights.sum())
    return np.mean(scores)


@pytest.mark.parametrize(
    ("height", "width", "levels", "orientations", "win_size", "pooling", "K"),
    [
        (49, 49, 4, 8, 7, "gaussian", 0),
        (50, 71, 3, 5, 7, "gaussian", 30.0),
        (64, 51, 2, 2, 4, "mean", 1000.0),
        (33, 40, 1, 6, 5, "gaussian", 0.01),
        (97, 49, 4, 3, 1, "mean", 0),
    ],
)
def test_every_option_equals_its_definition(height, width, levels, orientations, win_size, pooling, K):
    x, y = noise(1, 1, height, width), noise(1, 1, height, width, seed=1)
    x = (x + y) / 2
    options = {
        "levels": levels, "orientations": orientations, "win_size": win_size, "pooling": pooling, "K": K
    }  # fmt: skip
    wanted = by_numpy(255 * x[0, 0].numpy(), 255 * y[0, 0].numpy(), **options)
    assert abs(float(cw_ssim(x, y, **options)) - wanted) < 1e-5  # the program's tables of the cosines


@pytest.mark.parametrize(("height", "width"), [(64, 64), (63, 50), (33, 90)])
def test_the_pyramid_loses_nothing_between_its_ends(height, width):
    """The squared gains of all bands at a frequency and its opposite add to 4 from octave −4 to −1."""
    impulse = torch.zeros(height, width, dtype=torch.float64)
    impulse[0, 0] = 1
    total = torch.zeros(height, width, dtype=torch.float64)
    for level, found in zip((1, 2, 3, 4), pyramid.bands(impulse, levels=(1, 2, 3, 4), orientations=6), strict=True):
        gains = torch.fft.fftshift(torch.fft.fft2(found).abs().square().sum(0))
        top, left = (side // 2 - small // 2 for side, small in zip(total.shape, gains.shape, strict=True))
        total[top : top + gains.shape[0], left : left + gains.shape[1]] += gains
        assert gains.shape == tuple(math.ceil(side / 2 ** (level - 1)) for side in (height, width))
    v, u = (torch.arange(side) - side // 2 for side in (height, width))
    octave = torch.hypot(v[:, None] / (height / 2), u / (width / 2)).log2()
    opposite = total.flip(0, 1).roll((1 - height % 2, 1 - width % 2), (0, 1))
    inside = (octave > -4) & (octave < -1)
    assert (total + opposite - 4)[inside].abs().max() < 1e-4
    assert total[height // 2, width // 2] < 1e-30  # the mean


def test_levels_together_are_those_one_at_a_time():
    x = noise(2, 3, 70, 45)
    for level, together in zip((3, 1, 2), pyramid.bands(x, levels=(3, 1, 2), orientations=4), strict=True):
        [alone] = pyramid.bands(x, levels=[level], orientations=4)
        assert together.shape == (2, 3, 4, pyramid.halved(70, level - 1), pyramid.halved(45, level - 1))
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_small_movements_cost_little():
    y = torch.from_numpy(pairs.photograph("camera")[:256, 128:384].copy()).double()[None, None] / 255
    for shift in ((0, 2), (2, 0), (-1, 1)):
        x = y.roll(shift, (-2, -1))
        assert float(cw_ssim(x, y)) > 0.98
        assert float(ssim(x, y)) < 0.85
    assert float(cw_ssim(y.roll(40, -1), y)) < 0.5


def test_what_it_does_not_see():
    y = noise(1, 3, 64, 64)
    for x in (y, 1 - y, y + 0.3):
        assert abs(float(cw_ssim(x, y)) - 1) < 1e-12
    assert float(cw_ssim(y, y)) == 1
    contrast = float(cw_ssim(0.5 * y, y))
    assert abs(contrast - 0.8) < 1e-12  # 2·0.5 / (1 + 0.5²)
    # K is on the scale of 0–255, so it weighs more on darker images.
    assert float(cw_ssim(0.5 * y, y, K=1e4)) > float(cw_ssim(0.5 * y, y, K=10.0)) > contrast


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", [49, 64, 101, 251])
def test_images_without_contrast(dtype, side):
    y = noise(1, 1, side, side, dtype=dtype)
    flat = torch.full_like(y, 1 / 3)
    rounding = torch.where(noise(1, 1, side, side, seed=1) > 0.5, torch.finfo(dtype).eps, 0.0).to(dtype)
    for x, other, wanted in (
        (flat, flat, 1), (flat, 2 * flat, 1), (flat, 0 * flat, 1), (0 * flat, 0 * flat, 1),
        (flat * (1 + rounding), flat * (1 + rounding.flip(-1)), 1), (flat, y, 0), (y, flat, 0),
    ):  # fmt: skip
        assert abs(float(cw_ssim(x, other)) - wanted) < torch.finfo(dtype).eps


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [{}, {"K": 0.01}, {"levels": 1, "orientations": 2, "colour": "luma"}])
def test_value_and_derivatives_are_finite(dtype, options):
    subject = audit.Subject("cw_ssim", cw_ssim, "higher", 1.0, 64, 3)
    cases = audit.degenerate(subject)
    small = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    cases |= {
        f"scaled by 1e-{power}": (small.flip(-1) * 10**-power, small * 10**-power) for power in range(3, 40, 3)
    }
    for name, pair in cases.items():
        x, y = (image.to(dtype).clone().requires_grad_() for image in pair)
        score = cw_ssim(x, y, **options)
        assert -1e-6 < float(score.detach()) < 1 + 1e-6, name
        first = torch.autograd.grad(score.sum(), (x, y), create_graph=True)
        second = torch.autograd.grad(torch.stack(first).abs().sum(), (x, y))
        for gradient in (*first, *second):
            assert bool(gradient.isfinite().all()), name


def test_contrast_counts_however_small():
    x, y = (noise(1, 1, 64, 64, seed=seed, dtype=torch.float32) for seed in (0, 1))
    wanted = float(cw_ssim(x, y))
    for scale in (1e-2, 1e-4, 1e-6, 1e-8):
        assert abs(float(cw_ssim(scale * x, scale * y)) - wanted) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("K", [0.0, 0.01, 100.0])
def test_identical_images_score_exactly_1_with_no_gradient(dtype, K):
    for image in (torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 0.6), noise(1, 3, 64, 75)):
        x, y = (image.to(dtype).clone().requires_grad_() for _ in range(2))
        score = cw_ssim(x, y, K=K)
        assert float(score.detach()) == 1
        for gradient in torch.autograd.grad(score.sum(), (x, y)):
            assert gradient.abs().max() < torch.finfo(dtype).eps * 1e-2


@pytest.mark.parametrize("options", [{}, {"pooling": "mean", "K": 5.0}, {"colour": "luma", "win_size": 3}])
def test_derivatives(options):
    def score(x, y):
        return cw_ssim(x, y, levels=2, orientations=3, **options)

    x, y = (noise(1, 3, 21, 18, seed=seed).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(score, (x, y), fast_mode=True)
    assert torch.autograd.gradgradcheck(score, (x, y), fast_mode=True)


def test_a_batch_is_its_images_one_by_one():
    x, y = (noise(3, 2, 60, 75, seed=seed) for seed in (0, 1))
    apart = torch.cat(
        [cw_ssim(x[i : i + 1, c : c + 1], y[i : i + 1, c : c + 1]) for i in range(3) for c in range(2)]
    )
    torch.testing.assert_close(cw_ssim(x, y), apart.view(3, 2).mean(1), rtol=0, atol=1e-14)
    assert cw_ssim(x[:0], y[:0]).shape == (0,)
    torch.testing.assert_close(cw_ssim(x.transpose(0, 1).contiguous().transpose(0, 1), y), cw_ssim(x, y))


def test_luma():
    x, y = (noise(1, 3, 64, 64, seed=seed) for seed in (0, 1))
    wanted = cw_ssim(colour.luma(x), colour.luma(y))
    assert torch.equal(CWSSIM(colour="luma")(x, y), wanted)
    with pytest.raises(ValueError, match="1 or 3 channel"):
        CWSSIM(colour="luma")(x[:, :2], y[:, :2])


@pytest.mark.slow
def test_compiled_whole_at_several_sizes():
    torch.compiler.reset()
    compiled = torch.compile(CWSSIM(levels=3), fullgraph=True, backend="eager")
    for shape in ((1, 1, 64, 64), (1, 1, 64, 57), (2, 3, 40, 64)):
        x, y = (noise(*shape, seed=seed, dtype=torch.float32) for seed in (0, 1))
        torch.testing.assert_close(compiled(x, y), CWSSIM(levels=3)(x, y), rtol=0, atol=1e-6)


def test_filters_made_in_inference_mode_serve_training():
    x, y = (noise(1, 1, 53, 58, seed=seed) for seed in (0, 1))  # a size that no other test has
    with torch.inference_mode():
        cw_ssim(x, y)
    x.requires_grad_()
    cw_ssim(x, y).sum().backward()
    assert x.grad is not None
    assert x.grad.any()


def test_the_smallest_side_is_one_window():
    for levels, win_size in ((4, 7), (1, 7), (3, 4)):
        metric = CWSSIM(levels=levels, win_size=win_size)
        side = metric.min_side
        assert side == smallest_side(levels=levels, win_size=win_size)
        image = noise(1, 1, side, side)
        assert float(metric(image, image)) == 1
        with pytest.raises(ValueError, match=f"at least {side} px a side"):
            metric(image[..., 1:], image[..., 1:])
        with pytest.raises(ValueError, match=f"at least {side} px a side.*fewer levels"):
            cw_ssim(image[..., 1:, :], image[..., 1:, :], levels=levels, win_size=win_size)
    assert CWSSIM().min_side == CWSSIM.facts.min_side == 49


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 0}, {"levels": 2.5}, {"orientations": 0}, {"win_size": 0}, {"K": -1.0}, {"K": math.nan},
        {"pooling": "max"}, {"colour": "lab"},
    ],
)  # fmt: skip
def test_options_out_of_range(options):
    image = noise(1, 1, 64, 64)
    for attempt in (lambda: CWSSIM(**options), lambda: cw_ssim(image, image, **options)):
        with pytest.raises(ValueError, match=f"cw_ssim: {next(iter(options))} must be"):
            attempt()
    with pytest.raises(ValueError, match="pyramid: needs levels"):
        pyramid.bands(image, levels=[], orientations=4)


def test_as_the_only_term_of_a_loss_it_warns():
    with pytest.warns(UserWarning, match="x and 1 − x are alike"):
        losses.loss("cw_ssim")
    image = noise(1, 3, 64, 64)
    assert float(losses.loss("cw_ssim + 0.1*l1")(image, image)) == 0
