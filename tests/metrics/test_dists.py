"""DISTS equals the authors' package and values."""

import json
import warnings
from types import SimpleNamespace

import pytest
import torch
from learned import needs, untrained
from places import GOLDEN_FOLDER
from torchvision_schemas import register_torchvision_schemas

from lookalike import batches, samples, weights
from lookalike.metrics.dists import DISTS
from lookalike.ops.features import random_state

GOLDEN = json.loads((GOLDEN_FOLDER / "authors.json").read_text())["values"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained")
    random = torch.Generator().manual_seed(3)
    heads = {name: torch.rand(1, 1475, 1, 1, generator=random) for name in ("alpha", "beta")}
    torch.save(heads, folder / "heads.pt")
    return {"network_file": untrained("vgg16", folder), "heads_file": folder / "heads.pt"}


@pytest.fixture(scope="module")
def metric(files):
    return DISTS(**files)


def picture(side: int = 40, seed: int = 0, n: int = 1) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def authors(monkeypatch, network: dict, heads: dict):
    """The official package on the given weights, without its download."""
    register_torchvision_schemas()
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        features = models.vgg16().features
    features = features.to_empty(device="cpu")
    features.load_state_dict({name.removeprefix("features."): value for name, value in network.items()})
    package = pytest.importorskip("DISTS_pytorch.DISTS_pt")
    monkeypatch.setattr(package.models, "vgg16", lambda pretrained: SimpleNamespace(features=features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = package.DISTS(load_weights=False)
    peer.alpha.data, peer.beta.data = heads["alpha"], heads["beta"]
    return peer


@pytest.mark.slow
@pytest.mark.peers
def test_values_and_gradients_equal_the_authors_package_on_any_weights(metric, files, monkeypatch):
    heads = torch.load(files["heads_file"], weights_only=True)
    peer = authors(monkeypatch, random_state("vgg16"), heads)
    x = y = picture()
    for shape in ((2, 3, 64, 64), (1, 3, 75, 50)):
        random = torch.Generator().manual_seed(shape[2])
        y = torch.rand(shape, generator=random)
        x = (y + 0.2 * torch.randn(shape, generator=random)).clamp(0, 1)
        with torch.no_grad():
            torch.testing.assert_close(
                metric(x, y), peer(x, y).reshape(len(x)), rtol=0, atol=1e-5
            )  # theirs squeezes one
    # In float64, where no unit on the edge of its ReLU falls to one side here and to the other there.
    leaf, y = x.double().requires_grad_(), y.double()
    [found] = torch.autograd.grad(metric(leaf, y).sum(), leaf)
    [wanted] = torch.autograd.grad(peer.double()(leaf, y, require_grad=True).sum(), leaf)
    assert float((found - wanted).norm() / wanted.norm()) < 1e-5


@pytest.mark.slow
@pytest.mark.peers
@needs("dists")
def test_it_equals_the_authors_package_on_the_real_weights(monkeypatch):
    network, heads = (dict(weights.load(part).state) for part in ("vgg16", "dists-weights"))
    peer = authors(monkeypatch, network, heads)
    y = samples.sample("astronaut", 128)
    x = (y + 0.1 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    with torch.no_grad():
        torch.testing.assert_close(DISTS()(x, y), peer(x, y).view(1), rtol=0, atol=1e-6)


@pytest.mark.slow
@needs("dists")
def test_the_authors_values():
    from pairs import sk_pairs

    real = DISTS()
    pairs = sk_pairs()
    with torch.no_grad():
        for key in ("sk/chelsea_box5", "sk/coffee_swap", "sk/chelsea_plus16", "sk/chelsea_roll2"):
            reference, judged = (batches.as_batch(image)[0] for image in pairs[key])
            assert float(real(judged, reference)) == pytest.approx(GOLDEN[key]["dists"], abs=2e-6), key


@pytest.mark.slow
def test_identical_images_score_zero_with_gradient_zero(metric):
    for y in (picture(), torch.full((1, 3, 40, 40), 0.3), torch.zeros(1, 3, 40, 40)):
        x = y.clone().requires_grad_()
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            score = metric(x, y)
            score.sum().backward()
        assert float(score.detach()) == 0
        assert x.grad is not None
        assert float(x.grad.abs().max()) == 0


@pytest.mark.slow
def test_texture_is_forgiven_and_structure_is_not(files):
    """With all weight on texture, positions do not count; with all on structure, they do."""
    y = picture()
    scores = {}
    for name, other in (("alpha", "beta"), ("beta", "alpha")):
        metric = DISTS(**files)
        getattr(metric, other).zero_()
        scores[name] = float(metric(y.flip(-1), y))
    assert scores["alpha"] < 0.01
    assert scores["beta"] > 10 * scores["alpha"]


@pytest.mark.slow
def test_a_prepared_reference_gives_the_same_numbers(metric):
    x, y = picture(n=2), picture(seed=1, n=2)
    prepared = metric.prepare(y)
    torch.testing.assert_close(prepared(x), metric(x, y), rtol=0, atol=0)
    x.requires_grad_()
    [found] = torch.autograd.grad(prepared(x).sum(), x)
    [wanted] = torch.autograd.grad(metric(x, y).sum(), x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(metric, dtype):
    x, y = picture().to(dtype), picture(seed=1).to(dtype)
    torch.testing.assert_close(metric(x, y), metric(x.float(), y.float()))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (picture()[:, :1], r"needs 3 channel\(s\), got 1"),
        (picture(15), "at least 16 px"),
        (picture() * 255, "pass data_range=255"),
    ],
)
def test_what_does_not_fit_is_refused(metric, x, words):
    with pytest.raises(ValueError, match=words):
        metric(x, x)


def test_heads_that_do_not_fit_are_refused(files, tmp_path):
    torch.save({"alpha": torch.zeros(1, 1475, 1, 1), "beta": torch.zeros(3)}, tmp_path / "heads.pt")
    with pytest.raises(ValueError, match="need 'beta' with 1475 numbers"):
        DISTS(network_file=files["network_file"], heads_file=tmp_path / "heads.pt")


def test_it_has_no_parameters_and_says_which_weights(metric):
    assert list(metric.parameters()) == []
    assert metric.signature().startswith("dists|network:sha256-")
