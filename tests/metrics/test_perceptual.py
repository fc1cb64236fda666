"""Content and style losses equal their formulas, on any network, layer and distance."""

import pytest
import torch
from learned import needs, untrained
from torch import nn

from lookalike import losses, registry
from lookalike.metric import Prepared
from lookalike.metrics.perceptual import Perceptual, Style, feature_distance, gram
from lookalike.ops.features import Features, random_state

SMALL = {"vgg16": "relu2_2", "vgg19": "conv2_2", "alexnet": "relu2", "squeezenet1_1": "fire3"}


def picture(side: int = 40, seed: int = 0, n: int = 2) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def toy() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.ReLU(inplace=True)
    )


@pytest.mark.parametrize("network", SMALL)
def test_the_content_loss_is_the_seeds_formula_10(network, tmp_path):
    """The L1 norm of the difference of one layer's maps, over their size."""
    x, y = picture(), picture(seed=1)
    metric = Perceptual(network=network, layers=SMALL[network], network_file=untrained(network, tmp_path))
    features = Features(network, [SMALL[network]], state=random_state(network))
    a, b = features(x)[0], features(y)[0]
    torch.testing.assert_close(metric(x, y), (a - b).abs().flatten(1).mean(1))


def test_distances_and_layer_weights():
    x, y = picture(), picture(seed=1)
    features = Features(toy(), ["0", "3"])
    (a0, a3), (b0, b3) = features(x), features(y)
    layers = {"0": 0.25, "3": 2.0}
    wanted = {
        "l1": 0.25 * (a0 - b0).abs().flatten(1).mean(1) + 2 * (a3 - b3).abs().flatten(1).mean(1),
        "l2": 0.25 * (a0 - b0).square().flatten(1).mean(1) + 2 * (a3 - b3).square().flatten(1).mean(1),
        "cosine": 0.25 * (1 - torch.cosine_similarity(a0, b0)).flatten(1).mean(1)
        + 2 * (1 - torch.cosine_similarity(a3, b3)).flatten(1).mean(1),
    }
    for distance, value in wanted.items():
        metric = Perceptual(network=toy(), layers=layers, distance=distance)  # type: ignore[arg-type]
        both_zero = ((a3 == 0).all(1) & (b3 == 0).all(1)).flatten(1).float().mean(1)  # torch has 1 − 0 there, we 0
        torch.testing.assert_close(
            metric(x, y), value - 2 * both_zero * (distance == "cosine"), rtol=1e-5, atol=1e-6
        )


def test_cosine_of_zero_vectors_is_finite_everywhere():
    x = torch.zeros(1, 3, 1, 4)
    y = torch.zeros(1, 3, 1, 4)
    x[..., 1], y[..., 2], x[..., 3], y[..., 3] = 1, 1, 1, -1
    x.requires_grad_()
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        found = feature_distance(x, y, "cosine")
        found.sum().backward()
    torch.testing.assert_close(found.flatten().detach(), torch.tensor([0.0, 1.0, 1.0, 2.0]))
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_style_is_johnsons_or_gatys_by_name():
    x, y = picture(), picture(seed=1)
    features = Features(toy(), ["1"])
    a, b = (features(image)[0] for image in (x, y))
    n, channels, height, width = a.shape
    fa, fb = (one.reshape(n, channels, -1) for one in (a, b))
    apart = torch.stack([f @ f.T for f in fa]) - torch.stack([f @ f.T for f in fb])
    size = height * width
    johnson = (apart / (channels * size)).square().sum((1, 2))
    gatys = apart.square().sum((1, 2)) / (4 * channels**2 * size**2)
    torch.testing.assert_close(Style(network=toy(), layers="1")(x, y), johnson)
    torch.testing.assert_close(Style(network=toy(), layers="1", gram="unnormalised")(x, y), gatys)


def test_a_gram_matrix_forgets_where_things_are():
    maps = torch.rand(1, 4, 5, 6)
    torch.testing.assert_close(gram(maps), gram(maps.flip(-1)))
    y = picture()
    assert float(Style(network=toy(), layers="1")(y.flip(-1), y).mean()) < 0.1 * float(
        Style(network=toy(), layers="1")(y * 0.5, y).mean()
    )


def test_style_warns_that_it_cannot_train_alone():
    blind = losses.Loss({"style": (1.0, Style(network=toy(), layers="1"))})
    with pytest.warns(UserWarning, match="forgets where things are"):
        blind(picture(), picture(seed=1))


@pytest.mark.parametrize("metric", [Perceptual(network=toy(), layers=("0", "3")), Style(network=toy(), layers="1")])
def test_prepared_references_gradients_and_copies(metric):
    x, y = picture(), picture(seed=1)
    prepared = metric.prepare(y)
    assert isinstance(prepared, Prepared)
    assert torch.equal(prepared(x), metric(x, y))
    x.requires_grad_()
    [found] = torch.autograd.grad(prepared(x).sum(), x)
    [wanted] = torch.autograd.grad(metric(x, y).sum(), x)
    torch.testing.assert_close(found, wanted)
    assert list(metric.parameters()) == []
    assert float(metric(y, y).abs().max()) == 0


def test_the_map_adds_up_the_layers():
    metric = Perceptual(network=toy(), layers={"0": 1.0, "3": 0.5})
    x, y = picture(), picture(seed=1)
    assert metric.map(x, y).shape == (2, 1, 40, 40)
    alone = Perceptual(network=nn.Sequential(nn.ReLU()), layers="0", normalise=False)
    torch.testing.assert_close(alone.map(x, y).flatten(1).mean(1), alone(x, y))
    torch.testing.assert_close(alone.prepare(y).map(x), alone.map(x, y))


def test_own_networks_may_take_other_channels():
    own = nn.Sequential(nn.Conv2d(1, 2, 3))
    grey = picture()[:, :1]
    assert Perceptual(network=own, layers="0", normalise=False)(grey, grey.flip(-1)).shape == (2,)
    with pytest.raises(ValueError, match=r"needs 3 channel\(s\)"):
        Perceptual(network=own, layers="0")(grey, grey)


def test_average_pooling_is_gatys_choice(tmp_path):
    file = untrained("vgg16", tmp_path)
    average = Style(layers="relu2_1", pooling="average", network_file=file)
    assert "pool:average" in average.signature()
    x, y = picture(), picture(seed=1)
    assert float((average(x, y) - Style(layers="relu2_1", network_file=file)(x, y)).abs().min()) > 0


def test_the_smallest_side_follows_the_layers(tmp_path):
    file = untrained("vgg16", tmp_path)
    for layer, least in (("relu1_2", 1), ("relu3_3", 4), ("relu5_1", 16), ("pool5", 32)):
        metric = Perceptual(layers=layer, network_file=file)
        assert metric.min_side == least
        assert metric(picture(least), picture(least, 1)).shape == (2,)


@pytest.mark.parametrize("kind", [Perceptual, Style])
def test_the_stated_smallest_side_is_that_of_the_default_layers(kind, tmp_path):
    metric = kind(network_file=untrained("vgg16", tmp_path))
    assert metric.min_side == kind.facts.min_side


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": "relu3_4"}, "did you mean 'relu3_3'"),
        ({"network": "vgg17"}, "no network 'vgg17'"),
        ({"layers": ()}, "at least one layer"),
        ({"layers": {"relu3_3": "much"}}, "must be a number"),
        ({"layers": {"relu3_3": float("nan")}}, "must be a number"),
        ({"network": toy(), "layers": "conv1"}, "has no submodule 'conv1'"),
        ({"network": toy(), "layers": "0", "distance": "l3"}, "distance must be one of l1, l2, cosine"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        Perceptual(**options)


def test_a_wrong_kind_of_gram_is_named():
    with pytest.raises(ValueError, match="gram must be one of normalised, unnormalised"):
        Style(network=toy(), layers="0", gram="plain")  # type: ignore[arg-type]


@needs("vgg16")
def test_options_may_be_written_in_an_expression():
    loss = losses.loss("0.5*perceptual(layers={'relu2_2': 1, 'conv3_3': 0.25}, distance=cosine) + l1")
    assert "layers:relu2_2+0.25*conv3_3|dist:cosine" in loss.signature()
    assert float(loss(picture(), picture())) == 0


@needs("vgg16")
def test_the_catalogue_has_both():
    for name in ("perceptual", "style"):
        metric = registry.get(name)
        assert metric.signature().startswith(f"{name}|net:vgg16|layers:relu")
        assert float(metric(picture(), picture(seed=1)).min()) > 0
