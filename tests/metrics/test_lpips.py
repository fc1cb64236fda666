"""LPIPS equals the authors' package and values; finite where it is not; refuses what it takes silently."""

import json
import warnings

import numpy as np
import pytest
import torch
from learned import DATA, needs, untrained
from PIL import Image
from places import GOLDEN_FOLDER
from torchvision_schemas import register_torchvision_schemas

from lookalike import batches, losses, registry, samples, weights
from lookalike.metric import Prepared
from lookalike.metrics.lpips import LPIPSVGG, LPIPSAlex, LPIPSSqueeze
from lookalike.ops.features import random_state
from lookalike.weights import MissingWeights, obtain

GOLDEN = json.loads((GOLDEN_FOLDER / "authors.json").read_text())["values"]
KINDS = {"alex": LPIPSAlex, "vgg": LPIPSVGG, "squeeze": LPIPSSqueeze}
CHANNELS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
NETWORK = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Options that build each metric on random weights, on any machine."""
    folder = tmp_path_factory.mktemp("untrained")
    options = {}
    for kind, channels in CHANNELS.items():
        random = torch.Generator().manual_seed(7)
        heads = {
            f"lin{index}.model.1.weight": torch.rand(1, count, 1, 1, generator=random) / count
            for index, count in enumerate(channels)
        }
        torch.save(heads, folder / f"{kind}.pth")
        options[kind] = {"network_file": untrained(NETWORK[kind], folder), "heads_file": folder / f"{kind}.pth"}
    return options


@pytest.fixture
def alex(files):
    return LPIPSAlex(**files["alex"])


def picture(side: int = 40, seed: int = 0, n: int = 1) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def authors(kind: str, network: dict, heads: dict):
    """The official package on the given weights, without its download."""
    register_torchvision_schemas()
    pytest.importorskip("torchvision.models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("lpips")
        peer = package.LPIPS(net=kind, pnet_rand=True, verbose=False, spatial=False)
    peer.load_state_dict(heads, strict=False)
    with torch.no_grad():
        for name, parameter in peer.net.named_parameters():
            parameter.copy_(network["features." + name.split(".", 1)[1]])
    return peer


def as_batch(image: np.ndarray) -> torch.Tensor:
    return batches.as_batch(image)[0]


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
def test_values_maps_and_gradients_equal_the_authors_package_on_any_weights(kind, files):
    network = random_state(NETWORK[kind])
    heads = torch.load(files[kind]["heads_file"], weights_only=True)
    peer, metric = authors(kind, network, heads), KINDS[kind](**files[kind])
    x = y = picture()
    for shape in ((2, 3, 64, 64), (1, 3, 75, 50)):
        random = torch.Generator().manual_seed(shape[2])
        y = torch.rand(shape, generator=random)
        x = (y + 0.2 * torch.randn(shape, generator=random)).clamp(0, 1)
        with torch.no_grad():
            found, wanted = metric(x, y), peer(x, y, normalize=True).flatten()
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
            peer.spatial = True
            torch.testing.assert_close(metric.map(x, y), peer(x, y, normalize=True), rtol=0, atol=1e-5)
            peer.spatial = False
    # In float64, where no unit on the edge of its ReLU falls to one side here and to the other there.
    leaf, y = x.double().requires_grad_(), y.double()
    [found] = torch.autograd.grad(metric(leaf, y).sum(), leaf)
    [wanted] = torch.autograd.grad(peer.double()(leaf, y, normalize=True).sum(), leaf)
    assert float((found - wanted).norm() / wanted.norm()) < 1e-5


@pytest.mark.slow
@pytest.mark.peers
@needs("lpips-alex")
def test_it_equals_the_authors_package_on_the_real_weights():
    state = weights.load("alexnet").state
    peer = authors("alex", dict(state), dict(weights.load("lpips-alex-heads").state))
    y = samples.sample("astronaut", 128)
    x = (y + 0.1 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    with torch.no_grad():
        torch.testing.assert_close(LPIPSAlex()(x, y), peer(x, y, normalize=True).flatten(), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        pytest.param("lpips_alex", None, marks=needs("lpips-alex")),
        pytest.param(
            "lpips_vgg", ("sk/chelsea_box5", "sk/coffee_swap", "sk/chelsea_plus16"), marks=needs("lpips-vgg")
        ),
    ],
)
def test_the_authors_values(name, kinds):
    from pairs import sk_pairs

    metric = registry.get(name)
    pairs = {key: pair for key, pair in sk_pairs().items() if name in GOLDEN[key] and key in (kinds or GOLDEN)}
    assert len(pairs) >= 3
    with torch.no_grad():
        for key, (reference, judged) in pairs.items():
            found = float(metric(as_batch(judged), as_batch(reference)))
            assert abs(found - GOLDEN[key][name]) < 2e-6, f"{key}: {found} instead of {GOLDEN[key][name]}"


@pytest.mark.skipif(not (DATA / "pairs" / "lpips").is_dir(), reason="the authors' example images are not here")
@pytest.mark.parametrize(
    ("name", "far", "near", "tolerance"),
    [
        pytest.param("lpips_alex", 0.721881, 0.137566, 2e-6, marks=needs("lpips-alex")),
        pytest.param("lpips_vgg", 0.568613, 0.421664, 2e-6, marks=needs("lpips-vgg")),
        pytest.param("lpips_squeeze", 0.711211, 0.147935, 1e-3, marks=needs("lpips-squeeze")),
    ],
)
def test_the_published_example(name, far, near, tolerance):
    """0.722 and 0.138 on the authors' page, for AlexNet; the further digits are those of their package."""
    metric = registry.get(name)
    reference, *judged = (
        as_batch(np.asarray(Image.open(DATA / "pairs" / "lpips" / f"{part}.png").convert("RGB")))
        for part in ("ex_ref", "ex_p0", "ex_p1")
    )
    for image, wanted in zip(judged, (far, near), strict=True):
        assert float(metric(image, reference)) == pytest.approx(wanted, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_reference_gives_the_same_numbers(kind, files):
    metric = KINDS[kind](**files[kind], reduction="mean")
    x, y = picture(n=2), picture(seed=1, n=2)
    prepared = metric.prepare(y)
    assert isinstance(prepared, Prepared)
    assert torch.equal(prepared(x), metric(x, y))
    assert torch.equal(prepared.map(x), metric.map(x, y))
    x.requires_grad_()
    [found] = torch.autograd.grad(prepared(x), x)
    [wanted] = torch.autograd.grad(metric(x, y), x)
    torch.testing.assert_close(found, wanted)


def test_a_prepared_reference_costs_one_pass_of_the_network(alex, monkeypatch):
    passes = []
    original = type(alex.features).forward
    monkeypatch.setattr(type(alex.features), "forward", lambda self, x: (passes.append(1), original(self, x))[1])
    prepared = alex.prepare(picture())
    passes.clear()
    prepared(picture(seed=1))
    assert len(passes) == 1
    alex(picture(), picture(seed=1))
    assert len(passes) == 3


def test_a_prepared_reference_checks_what_it_is_given(alex):
    prepared = alex.prepare(picture())
    with pytest.raises(ValueError, match="same shape"):
        prepared(picture(70))
    with pytest.raises(ValueError, match="outside data_range"):
        prepared(picture() * 255)


def test_the_reference_gets_a_gradient_only_where_it_asks(alex):
    x, y = picture().requires_grad_(), picture(seed=1)
    alex(x, y).sum().backward()
    assert x.grad is not None
    assert y.grad is None
    y.requires_grad_()
    alex(x, y).sum().backward()
    assert y.grad is not None
    assert not alex.prepare(y)(picture(seed=2)).requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_identical_images_and_zero_features_have_finite_gradients_in_anomaly_mode(kind, files):
    metric = KINDS[kind](**files[kind])
    for name, buffer in metric.features.named_buffers():
        if name.endswith("bias"):  # black images now have features of zero everywhere, others somewhere
            buffer.fill_(-0.3)
    flat = torch.full_like(picture(), 0.485)
    for x, y in ((picture(), picture()), (flat, flat), (flat, picture()), (picture(), flat), (flat * 0, flat * 0)):
        x = x.clone().requires_grad_()
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            score = metric(x, y)
            score.sum().backward()
        assert x.grad is not None
        assert bool(score.isfinite())
        assert bool(x.grad.isfinite().all())
        if torch.equal(x, y):
            assert float(score.detach()) == 0
            assert float(x.grad.abs().max()) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(alex, dtype):
    x, y = picture().to(dtype).requires_grad_(), picture(seed=1).to(dtype)
    score = alex(x, y)
    assert score.dtype == torch.float32
    torch.testing.assert_close(score, alex(x.float(), y.float()))
    score.sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (picture() * 2 - 1, r"pass data_range=\(-1, 1\)"),
        (picture() * 255, "pass data_range=255"),
        (picture()[:, :1], r"needs 3 channel\(s\), got 1"),
        (picture(30), "at least 31 px"),
    ],
)
def test_what_the_authors_package_takes_silently_is_refused(alex, x, words):
    with pytest.raises(ValueError, match=words):
        alex(x, x)


def test_ranges_only_scale(alex):
    x, y = picture(), picture(seed=1)
    signed = LPIPSAlex.__call__(alex, x, y)
    alex.data_range = (-1, 1)
    torch.testing.assert_close(alex(2 * x - 1, 2 * y - 1), signed, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_side_is_the_networks(kind, files):
    metric = KINDS[kind](**files[kind])
    assert metric.facts.min_side == metric.features.min_side
    least = metric.facts.min_side
    assert metric.map(picture(least), picture(least, 1)).shape == (1, 1, least, least)


def test_it_has_no_parameters_and_trains_as_a_loss(alex):
    assert list(alex.parameters()) == []
    loss = losses.Loss({"lpips": (1.0, alex)})
    x, y = picture(64).requires_grad_(), picture(64, seed=1)
    before = float(loss(x, y).detach())
    [gradient] = torch.autograd.grad(loss(x, y), x)
    after = float(loss((x - 0.1 * gradient / gradient.norm()).detach(), y))
    assert after < before


def test_signatures_say_which_weights_they_are(files):
    metric = LPIPSAlex(**files["alex"])
    assert metric.signature().startswith("lpips_alex|weights:v0.1|network:sha256-")
    assert "heads:sha256-" in metric.signature()


def test_absent_weights_are_one_clear_error_at_construction(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.FOLDER, str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(weights.OFFLINE, "1")
    monkeypatch.setattr(obtain, "find_spec", lambda name: None)
    with pytest.raises(MissingWeights, match="alexnet are not on this machine") as caught:
        LPIPSAlex()
    assert str(tmp_path) in str(caught.value)
    assert "sha256" in str(caught.value)


def test_heads_that_do_not_fit_are_refused(files, tmp_path):
    torch.save({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, tmp_path / "heads.pth")
    with pytest.raises(ValueError, match=r"have no 'lin1\.model\.1\.weight'"):
        LPIPSAlex(network_file=files["alex"]["network_file"], heads_file=tmp_path / "heads.pth")


def test_a_mask_weighs_the_layers_maps(alex):
    x, y = picture(64), picture(64, 1)
    mask = torch.ones(1, 1, 64, 64)
    torch.testing.assert_close(alex(x, y, mask), alex(x, y), rtol=1e-5, atol=1e-7)
    mask[..., :32] = 0
    hidden = torch.where(mask.expand_as(x) == 0, float("nan"), x)
    assert torch.equal(alex(hidden, y, mask), alex(x, y, mask))
    assert alex(x, y, torch.zeros_like(mask)).isnan().all()
    torch.testing.assert_close(alex.prepare(y)(hidden, mask), alex(x, y, mask))
