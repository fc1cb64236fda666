"""MAD: the values of the authors' program, and a NumPy version of that, of the paper and of vIQA on other sizes."""

import json
import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from author_values import AUTHORS, GOLDEN, file_pair, made_pairs, no_folder, tensor
from numpy.lib.stride_tricks import sliding_window_view
from places import GOLDEN_FOLDER
from record_mad import CUT

import lookalike
from lookalike import audit
from lookalike.metrics.mad import appearance, detection, mad
from lookalike.ops import colour

RECORDED = json.loads((GOLDEN_FOLDER / "mad.json").read_text(encoding="utf-8"))
WEIGHTS = np.array([0.5, 0.75, 1, 5, 6]) / 13.25


@dataclass(frozen=True)
class Meaning:
    """What the paper leaves open, or programs do otherwise."""

    k_inside: bool = True  # lightness (k I)^(γ/3), not k I^(γ/3): where it is too dark to see
    ppd: float = 32
    halfway: bool = False  # sensitivity sampled half a step beside the frequencies, by the width on both axes
    masking: str = "quarters"  # the least deviation of "quarters", "eights" 8x8 px or "blocks" 16x16 px, 4 px apart
    freedom: int = 0  # what is taken from the number of pixels in a variance
    painted: bool = False  # maps of 4 x 4 px from each block's corner, 16 px cut off all round, error about a pixel
    cut: int = 16  # below and right
    later: bool = True  # the log Gabor filters of Kovesi's later program, where sides are odd
    beta: tuple[float, float] = (0.467, 0.130)


PAPER = Meaning()
VIQA = Meaning(k_inside=False, ppd=64, halfway=True, masking="blocks", freedom=1, painted=True)
PROGRAM = replace(
    VIQA, masking="eights", cut=17, later=False, beta=(math.exp(-2.55 / 3.35), 1 / (math.log(10) * 3.35))
)


def blocks(plane, side=16):
    return sliding_window_view(plane, (side, side))[::4, ::4]


def deviation(plane, meaning, side=16):
    return blocks(plane, side).std((2, 3), ddof=meaning.freedom)


def masking(plane, meaning):
    rows, columns = blocks(plane).shape[:2]
    side, step = {"quarters": (8, 2), "eights": (8, 1), "blocks": (16, 1)}[meaning.masking]
    values = np.pad(deviation(plane, meaning, side), ((0, 1), (0, 1)), constant_values=np.inf)
    # In the authors' program, 4 px on there is a neighbour if the 5th pixel on is not among the last 15.
    last = [(extent - 15 - 6) // 4 + 1 if meaning.masking == "eights" else 999 for extent in plane.shape]
    least = np.full((rows, columns), np.inf)
    for i in range(rows):
        for j in range(columns):
            down, across = ([0, step] if at < end else [0] for at, end in zip((i, j), last, strict=True))
            least[i, j] = min(values[i + a, j + b] for a in down for b in across)
    return least


def painted(values, shape, cut):
    plane = np.zeros(shape)
    tiles = np.kron(values, np.ones((4, 4)))
    plane[: tiles.shape[0], : tiles.shape[1]] = tiles
    return plane[16:-cut, 16:-cut]


def sensitivity(height, width, meaning):
    if meaning.halfway:
        v, u = (np.fft.ifftshift(np.arange(-side / 2 + 0.5, side / 2 + 0.5)) / width for side in (height, width))
    else:
        v, u = np.fft.fftfreq(height), np.fft.fftfreq(width)
    u, v = np.meshgrid(u * meaning.ppd, v * meaning.ppd)
    f = np.hypot(u, v) / (0.15 * np.cos(4 * np.arctan2(v, u)) + 0.85)
    return np.where(f < 7.8909, 0.9809, 2.6 * (0.0192 + 0.114 * f) * np.exp(-((0.114 * f) ** 1.1)))


def filtered(plane, filter_):
    return np.fft.ifft2(np.fft.fft2(plane) * filter_)


def d_detect(x, y, meaning):
    k = 0.02874 ** (2.2 / 3) if meaning.k_inside else 0.02874
    h = sensitivity(y.shape[0], y.shape[1], meaning)
    seen_y, seen_x = (filtered(k * plane ** (2.2 / 3), h).real for plane in (y, x))
    mean, error = blocks(seen_y).mean((2, 3)), deviation(seen_x - seen_y, meaning)
    texture = masking(seen_y, meaning)
    with np.errstate(divide="ignore", invalid="ignore"):
        original = np.log(texture / mean)
        errors = np.log(np.where(mean > 0.5, error / mean, 0))
    visible = np.select([(errors > original) & (original > -5), (errors > -5) & (original <= -5)],
                        [errors - original, errors + 5], 0)  # fmt: skip
    squares = (x - y) ** 2
    if meaning.painted:
        around = sliding_window_view(np.pad(squares, ((7, 8), (7, 8)), mode="symmetric"), (16, 16)).mean((2, 3))
        local = around[16 : -meaning.cut, 16 : -meaning.cut]
        visible = painted(visible, y.shape, meaning.cut)
    else:
        local = blocks(squares).mean((2, 3))
    return 200 * np.sqrt(((visible * local) ** 2).mean())


def frequencies(side, meaning):
    if side % 2 and not meaning.later:
        return np.fft.fftshift(np.arange(side) - side / 2) / (side / 2)
    whole = np.fft.ifftshift(np.arange(side) - side // 2)
    return 2 * whole / (side - side % 2)


def log_gabor(height, width, scale, orientation, meaning):
    u, v = np.meshgrid(frequencies(width, meaning), frequencies(height, meaning))
    with np.errstate(divide="ignore"):
        radial = np.exp(-(np.log(np.hypot(u, v) * 3 * 3**scale / 2) ** 2) / (2 * np.log(0.55) ** 2))
    radial[0, 0] = 0
    turn = np.angle(np.exp(1j * (np.arctan2(-v, u) - orientation * np.pi / 4)))
    return radial * np.exp(-(turn**2) / (2 * (np.pi / 4 / 1.5) ** 2))


def statistics(plane, meaning):
    cut = blocks(plane)
    away = cut - cut.mean((2, 3), keepdims=True)
    variance = (away**2).mean((2, 3))
    return (
        deviation(plane, meaning),
        (away**3).mean((2, 3)) / variance**1.5,
        (away**4).mean((2, 3)) / variance**2,
    )


def d_appear(x, y, meaning):
    total = np.zeros(blocks(y).shape[:2])
    for scale, weight in enumerate(WEIGHTS):
        for orientation in range(4):
            filter_ = log_gabor(y.shape[0], y.shape[1], scale, orientation, meaning)
            one, other = (statistics(np.abs(filtered(plane, filter_)), meaning) for plane in (x, y))
            for times, a, b in zip((1, 2, 1), one, other, strict=True):
                total += weight * times * np.abs(a - b)
    return np.sqrt(((painted(total, y.shape, meaning.cut) if meaning.painted else total) ** 2).mean())


def by_numpy(x, y, meaning=PROGRAM):
    detected, appeared = d_detect(x, y, meaning), d_appear(x, y, meaning)
    factor, exponent = meaning.beta
    alpha = 1 / (1 + factor * detected**exponent)
    return detected**alpha * appeared ** (1 - alpha)


@cache
def levels(name):
    """Judged image and reference, 0 to 255."""
    name, _, cut = name.partition("@")
    part = CUT if cut else ...
    reference, judged = (np.ascontiguousarray(image[part], np.float64) for image in made_pairs()[name])
    return judged, reference


def batch(plane, dtype=torch.float64):
    return torch.from_numpy(plane)[None, None].to(dtype)


def planes(pair, dtype=torch.float64):
    """Judged image and reference: MATLAB's rounded luma in the unit range."""
    return [(colour.luma(tensor(image) / 255, "matlab")).to(dtype) for image in reversed(pair)]


@pytest.mark.parametrize("name", [name for name in AUTHORS if "mad" in AUTHORS[name]])
def test_the_authors_values_of_photographs(name):
    """Inverted images differ in appearance by the rounding of either program alone."""
    found = lookalike.get("mad")(*planes(made_pairs()[name]))
    assert float(found) == pytest.approx(AUTHORS[name]["mad"], rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("name", ["sk/chelsea_plus16", "sk/chelsea_contrast", "sk/chelsea_inv"])
def test_the_authors_values_of_either_part(name):
    x, y = (255 * plane for plane in planes(made_pairs()[name]))
    assert float(detection(x, y)) == pytest.approx(AUTHORS[name]["mad_hi"], rel=1e-11)
    assert float(appearance(x, y)) == pytest.approx(AUTHORS[name]["mad_lo"], rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("name", ["sk/chelsea_box5", "sk/chelsea_swap", "sk/coffee_lcg"])
def test_the_authors_values_in_single_precision(name):
    found = lookalike.get("mad")(*planes(made_pairs()[name], torch.float32))
    assert float(found) == pytest.approx(AUTHORS[name]["mad"], rel=5e-6)


@no_folder
def test_the_authors_values_of_files():
    """That of TID2013 I04 is exactly 0 in their program too: its change is one of colour."""
    values = {name: of["mad"] for name, of in GOLDEN.items() if "mad" in of}
    assert len(values) == 11
    assert values["tid2013/I04"] == 0
    for name, expected in values.items():
        assert float(lookalike.get("mad")(*planes(file_pair(name)))) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("height", [34, 37, 63])
@pytest.mark.parametrize("width", [35, 48, 54])
def test_other_sizes_are_the_program_s(height, width):
    """Sides of every remainder by 4, odd ones, and the smallest."""
    x, y = (audit.texture(130, 1, seed).double()[0, 0, :height, :width].numpy() * 255 for seed in (1, 0))
    assert float(detection(batch(x), batch(y))) == pytest.approx(d_detect(x, y, PROGRAM), rel=1e-9)
    assert float(appearance(batch(x), batch(y))) == pytest.approx(d_appear(x, y, PROGRAM), rel=1e-9)
    assert float(lookalike.get("mad")(batch(x) / 255, batch(y) / 255)) == pytest.approx(by_numpy(x, y), rel=1e-9)


@pytest.mark.parametrize("name", ["camera_grey_32x32", "chelsea_grey_33x47", "coffee_grey_64x64"])
def test_the_paper_s_reading(name):
    x, y = levels(name)
    assert float(detection(batch(x), batch(y), "paper")) == pytest.approx(d_detect(x, y, PAPER), rel=1e-9)
    assert float(appearance(batch(x), batch(y), "paper")) == pytest.approx(d_appear(x, y, PAPER), rel=1e-9)
    metric = lookalike.get("mad", convention="paper")
    found = metric(batch(x) / 255, batch(y) / 255)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(by_numpy(x, y, PAPER), rel=1e-9)
    single = metric(batch(x, torch.float32) / 255, batch(y, torch.float32) / 255)
    assert float(single) == pytest.approx(float(found), rel=1e-5)


@pytest.mark.parametrize(("convention", "meaning"), [("authors", PROGRAM), ("paper", PAPER)])
@pytest.mark.parametrize("ppd", [20, 48])
def test_pixels_per_degree(convention, meaning, ppd):
    x, y = levels("coffee_grey_64x64")
    wanted = by_numpy(x, y, replace(meaning, ppd=ppd))
    metric = lookalike.get("mad", convention=convention, ppd=ppd)
    assert float(metric(batch(x) / 255, batch(y) / 255)) == pytest.approx(wanted, rel=1e-9)
    assert wanted != pytest.approx(by_numpy(x, y, meaning), rel=1e-4)


@pytest.mark.parametrize("name", ["sk/camera_box5@cut", "sk/camera_lcg@cut"])
def test_with_viqa_s_conventions_the_formula_is_viqa(name):
    wanted = RECORDED["viqa"]["values"][name]
    assert by_numpy(*levels(name), VIQA) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("package", "low", "high"), [("viqa", 1.0, 1.8), ("pyiqa", 0.45, 0.75)])
def test_the_packages_keep_their_distance(package, low, high):
    for name, theirs in RECORDED[package]["values"].items():
        if not name.endswith("@cut"):
            continue
        x, y = (batch(plane) / 255 for plane in levels(name))
        assert low < float(lookalike.get("mad")(x, y)) / theirs < high


def test_the_reference_masks_and_stands_second():
    x, y = (plane / 255 for plane in levels("coffee_grey_64x64"))
    metric = lookalike.get("mad")
    right, wrong = float(metric(batch(x), batch(y))), float(metric(batch(y), batch(x)))
    assert right != pytest.approx(wrong, rel=1e-3)
    [measured] = lookalike.measure(x, y, ["mad"])
    assert measured.value == pytest.approx(right, rel=1e-6)


def test_colour_is_judged_by_its_luma():
    y, x = audit.texture(64, 3), audit.texture(64, 3, 1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    metric = lookalike.get("mad")
    grey = metric((x * weights).sum(1, keepdim=True), (y * weights).sum(1, keepdim=True))
    assert float(metric(x, y)) == pytest.approx(float(grey), rel=1e-6)


def test_what_is_not_seen_scores_nothing():
    """Errors of a thousandth of the range, below the threshold and the reference's own contrast."""
    y = audit.texture(64, 1)
    x = (y + 0.001 * torch.sin(torch.arange(64.0))).requires_grad_()
    score = lookalike.get("mad")(x, y)
    [gradient] = torch.autograd.grad(score.sum(), x)
    assert float(score.detach()) == 0
    assert not gradient.any()


@pytest.mark.parametrize(("side", "blocks_a_side"), [(16, 1), (19, 1), (20, 2)])
def test_the_smallest_images_of_the_paper_s_reading(side, blocks_a_side):
    x, y = audit.texture(side, 1, 1).double() * 255, audit.texture(side, 1).double() * 255
    assert blocks(y[0, 0].numpy()).shape[:2] == (blocks_a_side, blocks_a_side)
    assert float(lookalike.get("mad", convention="paper")(x / 255, y / 255)) == pytest.approx(
        by_numpy(x[0, 0].numpy(), y[0, 0].numpy(), PAPER), rel=1e-9
    )


@pytest.mark.parametrize(("convention", "side"), [("authors", 33), ("paper", 15)])
def test_a_smaller_image_is_refused(convention, side):
    small = torch.zeros(1, 1, side, 40)
    metric = lookalike.get("mad", convention=convention)
    assert metric.min_side == side + 1
    with pytest.raises(ValueError, match=f"mad.*at least {side + 1} px"):
        metric(small, small)
    with pytest.raises(ValueError, match=f"mad.*at least {side + 1} px"):
        mad(small, small, convention=convention)


def test_an_unknown_convention_is_named():
    with pytest.raises(ValueError, match="mad: convention must be one of authors, paper"):
        lookalike.get("mad", convention="author's")


@pytest.mark.parametrize("ppd", [0, -1.0, float("inf"), float("nan")])
def test_wrong_pixels_per_degree_are_named(ppd):
    with pytest.raises(ValueError, match="mad: ppd"):
        lookalike.get("mad", ppd=ppd)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_where_the_formula_has_none(dtype):
    picture = audit.texture(45, 1).to(dtype)
    flat, black = torch.full_like(picture, 0.6), torch.zeros_like(picture)
    half = picture.clone()
    half[..., 16:] = 0
    cases = [(picture, picture), (flat, flat), (flat, picture), (picture, flat), (black, black), (black, picture),
             (picture, black), (flat, flat / 2), (half, picture), (picture, half), (flat + 1e-7, flat)]  # fmt: skip
    for pair in cases:
        x, y = (image.clone().requires_grad_() for image in pair)
        score = lookalike.get("mad")(x, y)
        gradients = torch.autograd.grad(score.sum(), (x, y))
        assert torch.isfinite(score).all()
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        if pair[0] is pair[1]:
            assert float(score.detach()) == 0


def test_no_images_have_no_scores():
    assert lookalike.get("mad")(*[torch.zeros(0, 3, 40, 40)] * 2).shape == (0,)
