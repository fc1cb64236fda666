"""VSI against NumPy and piq, and the resizing and the boxes that it stands on; the authors' values: `test_rack`."""

import math

import numpy as np
import pytest
import torch
from author_values import made_pairs, tensor
from scipy import ndimage
from torchvision_schemas import register_torchvision_schemas

import lookalike
from lookalike import audit
from lookalike.metrics import vsi
from lookalike.ops.resize import resize
from lookalike.ops.window import shrink

GREY = torch.full((1, 3, 40, 40), 0.6)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def resized(plane, wanted, kernel):
    """Rows of a plane by MATLAB's rule, pixel by pixel."""
    side, scale = len(plane), wanted / len(plane)
    stretch = min(scale, 1)
    reach = {"linear": 1, "cubic": 2}[kernel] / stretch
    rows = []
    for i in range(wanted):
        centre = (i + 0.5) / scale - 0.5
        near = range(math.floor(centre - reach), math.ceil(centre + reach) + 1)
        weights = [shape(stretch * (centre - j), kernel) for j in near]
        mirrored = [min(j % (2 * side), 2 * side - 1 - j % (2 * side)) for j in near]
        rows.append(sum(w * plane[j] for w, j in zip(weights, mirrored, strict=True)) / sum(weights))
    return np.stack(rows)


def shape(t, kernel):
    t = abs(t)
    if kernel == "linear":
        return max(0, 1 - t)
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else max(0, 2 - t) * (0.5 * t - 0.5) * (t - 2)


def by_hand(x, y):
    """VSI of two images ``(h, w, 3)`` in [0, 255], with whole complex spectra and filters with a frame of zeros."""
    factor = max(1, math.floor(min(x.shape[:2]) / 256 + 0.5))
    lmn = np.array([[0.06, 0.63, 0.27], [0.30, 0.04, -0.35], [0.34, -0.60, 0.17]])
    (sx, lx, mx, nx), (sy, ly, my, ny) = (
        [boxed(plane, factor) for plane in (saliency(image), *np.moveaxis(image @ lmn.T, -1, 0))]
        for image in (x, y)
    )
    chroma = similarity(mx, my, 130) * similarity(nx, ny, 130)
    local = similarity(sx, sy, 1.27) * similarity(slope(lx), slope(ly), 386) ** 0.4
    local *= (chroma.astype(complex) ** 0.02).real
    weight = np.maximum(sx, sy)
    return (local * weight).sum() / weight.sum()


def boxed(plane, factor):
    return ndimage.uniform_filter(plane, factor, mode="constant", origin=-((factor + 1) % 2))[::factor, ::factor]


def similarity(a, b, constant):
    return (2 * a * b + constant) / (a**2 + b**2 + constant)


def slope(plane):
    scharr = np.outer([3, 10, 3], [1, 0, -1]) / 16
    return np.hypot(*(ndimage.convolve(plane, kernel, mode="constant") for kernel in (scharr, scharr.T)))


def saliency(image):
    small = np.moveaxis(resized(np.moveaxis(resized(image, 256, "linear"), 1, 0), 256, "linear"), 1, 0) / 255
    light = np.where(small <= 0.04045, small / 12.92, ((small + 0.055) / 1.055) ** 2.4)
    xyz = (
        light
        @ np.array(
            [
                [0.4124564, 0.3575761, 0.1804375],
                [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041],
            ]
        ).T
        / [0.9642, 1, 0.8251]
    )
    fx, fy, fz = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), (903.3 * xyz + 16) / 116), -1, 0)
    lab = np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])
    steps = np.arange(-128, 128) / 256
    radius = np.fft.ifftshift(np.hypot(steps[:, None], steps))
    with np.errstate(divide="ignore"):
        band = np.where(radius <= 0.5, np.exp(-(np.log(radius / 0.021) ** 2) / (2 * 1.34**2)), 0)
    found = np.sqrt((np.fft.ifft2(np.fft.fft2(lab) * band).real ** 2).sum(0))
    away = (np.arange(1, 257) - 128) ** 2
    warm = sum(scaled(plane) ** 2 for plane in lab[1:])
    salient = found * np.exp(-(away[:, None] + away) / 145**2) * (1 - np.exp(-warm / 0.001**2))
    return scaled(resized(resized(salient, len(image), "linear").T, image.shape[1], "linear").T)


def scaled(plane):
    return (plane - plane.min()) / np.ptp(plane)


@pytest.mark.parametrize(("height", "width"), [(45, 70), (256, 256), (301, 199), (640, 389)])
def test_against_numpy(height, width):
    picture = (
        made_pairs()["sk/coffee_swap"][0].astype(float) if height < 400 else made_pairs()["sk/astronaut_lcg"][0]
    )
    y = np.resize(picture, (height, width, 3)) if height > len(picture) else picture[:height, :width].astype(float)
    x = np.clip(y + 20 * np.random.default_rng(0).standard_normal(y.shape), 0, 255)
    score = lookalike.get("vsi")(tensor(x) / 255, tensor(y) / 255)
    assert score.dtype == torch.float64
    assert float(score) == pytest.approx(by_hand(x, y), abs=1e-12)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_is_piq_s_where_nothing_is_resized():
    register_torchvision_schemas()
    piq = pytest.importorskip("piq")
    y, x = (audit.texture(256, 3, seed).double() for seed in (0, 1))
    assert float(lookalike.get("vsi")(x, y)) == pytest.approx(float(piq.vsi(x, y)), abs=5e-6)


def test_a_grey_image_is_three_equal_channels():
    y, x = (audit.texture(64, 1, seed) for seed in (0, 1))
    metric = lookalike.get("vsi")
    assert float(metric(x, y)) == float(metric(x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1)))


def test_single_precision_keeps_the_coldest_greys():
    """Many pixels a level from the coldest: of them, small differences of L*a*b* decide what is salient."""
    y = (0.4 + 0.002 * (torch.arange(128) % 5)).double().expand(1, 1, 96, 128)
    x = (y + 0.1 * (noise(1, 1, 96, 128) < 0.2)).clamp(0, 1)
    found, single = vsi.vsi(x, y), vsi.vsi(x.float(), y.float())
    assert float(found) < 0.999
    assert float(single) == pytest.approx(float(found), abs=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("judged", "reference", "least"),
    [
        (GREY, GREY, 1), (GREY * 0, GREY * 0, 1), (GREY, GREY * 0.5, 0.9), (GREY, noise(1, 3, 40, 40), 0.39),
        (noise(1, 3, 40, 40), GREY, 0.39), (noise(1, 3, 40, 40), noise(1, 3, 40, 40), 1),
        (noise(1, 3, 40, 40).round(), 1 - noise(1, 3, 40, 40).round(), 0.3),
    ],
    ids=["flat", "black", "two greys", "flat and noise", "noise and flat", "identical", "inverted"],
)  # fmt: skip
def test_value_and_gradients_are_finite_where_the_formula_has_none(judged, reference, least, dtype):
    x, y = (image.to(dtype).clone().requires_grad_() for image in (judged, reference))
    score = vsi.vsi(x, y)
    assert least - 1e-6 <= float(score.detach()) <= 1 + 1e-6
    for gradient in torch.autograd.grad(score.sum(), (x, y)):
        assert torch.isfinite(gradient).all()


def test_without_saliency_all_pixels_count_alike():
    """Of two even colours only the frame of zeros and the chrominance are left."""
    red, green = (torch.tensor(rgb).view(1, 3, 1, 1).expand(-1, -1, 9, 9) for rgb in ([0.7, 0, 0], [0, 0.7, 0]))
    lmn = [[0.7 * 255 * row[channel] for row in ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))]
           for channel in (0, 1)]  # fmt: skip
    (lx, *opponent_x), (ly, *opponent_y) = lmn
    chroma = math.prod(similarity(a, b, 130) for a, b in zip(opponent_x, opponent_y, strict=True))
    assert chroma < 0
    ones = slope(np.ones((9, 9)))
    local = similarity(lx * ones, ly * ones, 386) ** 0.4 * (complex(chroma) ** 0.02).real
    assert float(vsi.vsi(red, green)) == pytest.approx(local.mean(), abs=1e-6)


def test_says_its_smallest_side():
    y = noise(2, 3, 3, 4)
    assert lookalike.get("vsi")(y, y).tolist() == [1, 1]
    with pytest.raises(ValueError, match="3 px"):
        lookalike.get("vsi")(y[..., 1:, :], y[..., 1:, :])


def test_no_image_has_no_score():
    assert lookalike.get("vsi")(torch.zeros(0, 3, 40, 40), torch.zeros(0, 3, 40, 40)).shape == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vsi", "sr_sim"])
def test_a_compiled_graph_resizes_at_any_size(name):
    """Real back ends, unlike ``"eager"``, refuse a graph that holds a constant by one name twice."""
    torch.compiler.reset()
    metric = lookalike.get(name, check="shapes")
    compiled = torch.compile(metric, fullgraph=True, backend="aot_eager")
    for side in (40, 61):
        x, y = noise(1, 3, side, 50, seed=1), noise(1, 3, side, 50)
        assert float(compiled(x, y)) == pytest.approx(float(metric(x, y)), abs=1e-9)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize(("side", "wanted"), [(90, 17), (17, 90), (33, 33), (1, 5), (5, 1), (70, 69)])
def test_resizing_against_numpy(side, wanted, kernel):
    x = noise(2, 3, side, 7)
    planes = np.moveaxis(x.numpy(), 2, 0)
    expected = torch.from_numpy(np.moveaxis(resized(planes, wanted, kernel), 0, 2))
    torch.testing.assert_close(resize(x, wanted, 7, kernel=kernel), expected, rtol=0, atol=1e-14)
    turned = resize(x.transpose(2, 3), 7, wanted, kernel=kernel).transpose(2, 3)
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-14)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch's own, of forward derivatives
def test_resizing_is_differentiated_every_way():
    def function(x):
        return resize(x, 45, 17)

    x = noise(2, 1, 20, 31).requires_grad_()
    assert torch.autograd.gradcheck(function, x, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, x, fast_mode=True)
    batches = noise(3, 2, 1, 20, 31)
    one_by_one = torch.stack([function(batch) for batch in batches])
    torch.testing.assert_close(torch.func.vmap(function)(batches), one_by_one, rtol=0, atol=1e-14)


def test_pixels_that_no_result_needs_have_no_gradient():
    x = noise(1, 1, 100, 4).requires_grad_()
    [gradient] = torch.autograd.grad(resize(x, 10, 4, scale=1.0).sum(), x)
    assert gradient[0, 0].sum(1).tolist() == [4.0] * 10 + [0.0] * 90


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("border", ["zero", "symmetric"])
def test_boxes_are_those_of_an_image_filter(border, factor):
    x = noise(1, 2, 17, 20)
    mode = {"zero": "constant", "symmetric": "reflect"}[border]
    planes = [
        ndimage.uniform_filter(plane, factor, mode=mode, origin=-((factor + 1) % 2))[::factor, ::factor]
        for plane in x[0].numpy()
    ]
    torch.testing.assert_close(shrink(x, factor, border)[0], torch.from_numpy(np.stack(planes)), rtol=0, atol=1e-14)
