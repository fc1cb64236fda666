"""The classical metrics: their authors' values in float64 and float32, and the packages where those are right."""

import numpy as np
import pytest
import torch
from author_values import AUTHORS, GOLDEN, file_pair, made_pairs, no_folder, tensor
from torchvision_schemas import register_torchvision_schemas

import lookalike
from lookalike.metrics import vif
from lookalike.ops import colour

FLOAT32 = 2e-5

# The key of the golden values, what was measured, how the same number is asked for here, and the tolerance.
ROWS = (
    ("gmsd", "grey", "gmsd", {}, 5e-10),
    ("haarpsi_gray", "grey", "haarpsi", {}, 5e-10),
    ("haarpsi_color", "colour", "haarpsi", {}, 5e-10),
    ("mdsi", "colour", "mdsi", {}, 5e-10),
    ("vsi", "colour", "vsi", {}, 5e-10),
    ("fsim", "colour", "fsim", {"colour": "luma"}, 1e-6),
    ("fsimc", "colour", "fsim", {}, 1e-6),
    ("uqi_8x8", "grey", "uqi", {}, 5e-10),
    ("vif_wavelet", "grey", "vif", {}, 1e-6),
    ("vifp", "grey", "vif", {"domain": "pixel"}, 5e-10),
)

PEERS = (
    ("gmsd", "piqa:GMSD", 3, {}, 2e-5),
    ("ms_gmsd", "piq:multi_scale_gmsd", 1, {}, 1e-6),
    ("haarpsi", "piq:haarpsi", 1, {}, 1e-6),
    ("mdsi", "piq:mdsi", 3, {}, 1e-5),
    ("vif", "piq:vif_p", 1, {"domain": "pixel"}, 1e-5),
)


def check(row, pair, expected):
    key, kind, name, options, tolerance = row
    if expected is None:
        return
    for dtype, allowed in ((torch.float64, tolerance), (torch.float32, FLOAT32)):
        reference, distorted = (fed(image, kind, dtype) for image in pair)
        score = lookalike.get(name, **options)(distorted, reference)
        assert float(score) == pytest.approx(expected, abs=allowed), key


def fed(image, kind, dtype):
    """The image in [0, 1] as the authors' program got it: MATLAB's rounded luma, or three channels."""
    planes = tensor(image, dtype) / 255
    if kind == "grey":
        return colour.luma(planes, "matlab")
    return planes.expand(-1, 3, -1, -1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
@pytest.mark.parametrize("name", AUTHORS)
def test_photographs(name, row):
    check(row, made_pairs()[name], AUTHORS[name].get(row[0]))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
@pytest.mark.parametrize("name", GOLDEN or [pytest.param("none", marks=no_folder)])
def test_files(name, row):
    check(row, file_pair(name), GOLDEN[name].get(row[0]))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", PEERS, ids=lambda row: row[1])
def test_parity_with_a_package_on_even_square_sides(row):
    name, path, channels, options, tolerance = row
    package, _, call = path.partition(":")
    register_torchvision_schemas()
    found = getattr(pytest.importorskip(package), call)
    peer = found() if isinstance(found, type) else found
    generator = np.random.default_rng(0)
    y = torch.from_numpy(generator.random((1, channels, 128, 128))).float()
    x = (y + 0.1 * torch.from_numpy(generator.standard_normal(y.shape)).float()).clamp(0, 1)
    score = lookalike.get(name, **options)(x, y)
    assert float(score) == pytest.approx(float(peer(x, y)), abs=tolerance)


@pytest.mark.parametrize(("domain", "least"), [("wavelet", 65), ("pixel", 41)])
def test_vif_says_its_smallest_side(domain, least):
    metric = lookalike.get("vif", domain=domain)
    y = torch.rand(2, 3, least, least + 1, generator=torch.Generator().manual_seed(0))
    assert metric.min_side == least
    assert metric(y, y).tolist() == [1, 1]
    assert 0 < float(metric(y.flip(1), y)[0]) < 1
    with pytest.raises(ValueError, match=f"{least} px"):
        vif.vif(y[..., 1:, :], y[..., 1:, :], domain=domain)
    with pytest.raises(ValueError, match=f"{least}"):
        metric(y[..., 1:, :], y[..., 1:, :])


def test_vif_names_the_nearest_domain():
    with pytest.raises(ValueError, match="did you mean 'wavelet'"):
        lookalike.get("vif", domain="wavelets")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vif_of_stripes_whose_vectors_repeat_themselves(dtype):
    """The covariance of a vector of such a band has no inverse."""
    y = (torch.arange(70) % 4 < 2).to(dtype).expand(1, 1, 70, 70).clone().requires_grad_()
    x = (0.9 * y.detach() + 0.02).requires_grad_()
    score = vif.vif(x, y)
    assert float(score.detach()) == pytest.approx(0.97292, abs=1e-5)
    for gradient in torch.autograd.grad(score.sum(), (x, y)):
        assert 0 < float(gradient.abs().max()) < 0.01


def test_vif_of_a_reference_with_a_nan_is_nan():
    y = torch.rand(1, 1, 70, 70, generator=torch.Generator().manual_seed(0))
    hurt = y.clone()
    hurt[..., 35, 35] = torch.nan
    assert bool(vif.vif(y, hurt).isnan())


@pytest.mark.parametrize("domain", ["wavelet", "pixel"])
def test_vif_of_a_half_dark_image_is_the_same_in_single_precision(domain):
    """What keeps a covariance invertible must not be seen: it once was, as 2e-5."""
    random = np.random.default_rng(0)
    y = np.where(np.arange(192) < 96, 10, 245) + random.uniform(-8, 8, (1, 1, 192, 192))
    x = y + random.normal(0, 6, y.shape)
    x, y = (torch.from_numpy(image.clip(0, 255).round()) / 255 for image in (x, y))
    single = vif.vif(x.float(), y.float(), domain=domain)
    assert float(single) == pytest.approx(float(vif.vif(x, y, domain=domain)), abs=1e-6)
