"""Contextual loss: the streamed op against the formula, and the metric against the op."""

import math

import numpy as np
import pytest
import torch
from learned import needs, untrained
from pairs import crop, distort, photograph
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import lookalike
from lookalike import losses
from lookalike.metric import Prepared
from lookalike.metrics.contextual import Contextual, ContextualPatches, contextual_loss, sample
from lookalike.ops import contextual as op
from lookalike.ops._kernels import use_kernels
from lookalike.ops.contextual import reference, streamed
from lookalike.ops.features import Features

DISTANCES = ("cosine", "l1", "l2")


def vectors(count, width=6, n=2, seed=0):
    made = torch.randn(n, count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made / made.norm(dim=2, keepdim=True)


def maps(seed=0, n=2, channels=4, height=7, width=9):
    return torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(seed)).double()


def by_the_paper(x, y, distance="cosine", h=0.5, spatial_weight=0.0):
    """Equations 2 to 5, pair by pair, of one image ``(c, h, w)`` whose vectors have no length zero."""
    if distance == "cosine":
        mean = y.mean((1, 2), keepdim=True)
        x, y = x - mean, y - mean
    _, height, width = x.shape
    d = torch.empty(height * width, height * width, dtype=x.dtype)
    for i in range(height * width):
        for j in range(height * width):
            (r, s), (p, q) = divmod(i, width), divmod(j, width)
            a, b = x[:, r, s], y[:, p, q]
            d[i, j] = {
                "cosine": (1 - a @ b / (a.norm() * b.norm())) / 2,
                "l1": (a - b).abs().sum(),
                "l2": (a - b).square().sum(),
            }[distance] + spatial_weight * math.hypot(r - p, s - q) / min(height, width)
    w = torch.exp((1 - d / (d.amin(1, keepdim=True) + 1e-5)) / h)
    return -torch.log((w / w.sum(1, keepdim=True)).amax(0).mean())


@pytest.mark.slow
@pytest.mark.parametrize("spatial_weight", [0.0, 0.1])
@pytest.mark.parametrize("distance", DISTANCES)
def test_the_loss_is_its_formula(distance, spatial_weight):
    x, y = maps(0), maps(1)
    for h in (0.1, 0.5, 1.0):
        wanted = torch.stack([by_the_paper(a, b, distance, h, spatial_weight) for a, b in zip(x, y, strict=True)])
        metric = Contextual(features=None, distance=distance, bandwidth=h, spatial_weight=spatial_weight)
        torch.testing.assert_close(metric(x, y), wanted, rtol=0, atol=1e-12)
        with use_kernels():
            torch.testing.assert_close(metric(x, y), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 5, 16, 32, 256])
@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("distance", DISTANCES)
def test_streamed_is_the_reference_with_both_gradients(distance, placed, rows):
    x, y = vectors(37).requires_grad_(), vectors(37, seed=1).requires_grad_()
    places = 0.3 * torch.rand(37, 2, dtype=torch.float64) if placed else None
    shares = torch.tensor([1.0, -2.0], dtype=torch.float64)
    wanted = reference.contextual(x, y, places, distance=distance)
    found = streamed.contextual(x, y, places, distance=distance, rows=rows)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-14)
    for one, other in zip(
        torch.autograd.grad(found @ shares, (x, y)), torch.autograd.grad(wanted @ shares, (x, y)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 40), (40, 3), (256, 257), (300, 16)])
def test_sets_of_unequal_size(n, m):
    x, y = vectors(n).requires_grad_(), vectors(m, seed=1)
    found, wanted = (call(x, y) for call in (streamed.contextual, reference.contextual))
    torch.testing.assert_close(found, wanted)
    gradients = [torch.autograd.grad(value.sum(), x)[0] for value in (found, wanted)]
    torch.testing.assert_close(*gradients)


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_are_those_of_the_values(distance):
    x, y = vectors(7, 3, 1).requires_grad_(), vectors(7, 3, 1, seed=1).requires_grad_()

    def score(x, y):
        return streamed.contextual(x, y, distance=distance, rows=3)

    assert torch.autograd.gradcheck(score, (x, y))
    if distance == "l1":  # said so in its docstring
        with pytest.raises(RuntimeError, match="not implemented"):
            torch.autograd.gradgradcheck(score, (x, y))
    else:
        assert torch.autograd.gradgradcheck(score, (x, y))


def test_float32_is_near_float64():
    y = vectors(600, 32)
    x = 0.7 * y + 0.3 * vectors(600, 32, seed=1)
    found, wanted = streamed.contextual(x.float(), y.float()).double(), reference.contextual(x, y)
    assert float((found - wanted).abs().max()) < streamed.STREAMED.tolerance


def test_transposed_input_and_an_empty_batch():
    x, y = vectors(20), vectors(20, seed=1)
    apart = x.mT.contiguous().mT
    torch.testing.assert_close(op.contextual(apart, y), op.contextual(x, y))
    assert op.contextual(x[:0], y[:0]).shape == (0,)
    assert Contextual(features=None)(maps()[:0], maps()[:0]).shape == (0,)


def test_compiled_forward_and_backward():
    torch.compiler.reset()
    compiled = torch.compile(lambda x, y: streamed.contextual(x, y).sum(), fullgraph=True, backend="aot_eager")
    x, y = vectors(20).requires_grad_(), vectors(20, seed=1)
    [found] = torch.autograd.grad(compiled(x, y), x)
    [wanted] = torch.autograd.grad(reference.contextual(x, y).sum(), x)
    torch.testing.assert_close(found, wanted)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return result


@pytest.mark.slow
def test_the_matrix_of_all_pairs_is_never_made():
    x, y = vectors(2048, 8, 1).float(), vectors(2048, 8, 1, seed=1).float()
    upstream = torch.ones(1)
    setting = ("cosine", 0.5, 1e-5, 256)
    with Largest() as streaming:
        _, winners = streamed._streamed(x, y, None, *setting)
        streamed._gradients(x, y, None, winners, upstream, True, True, *setting)
    with Largest() as whole:
        reference.contextual(x, y)
    assert whole.elements >= 2048 * 2048
    assert streaming.elements <= 256 * 2048
    for count in (1, 4096, 65536):
        assert streamed._rows_of_tile(x, torch.empty(1, count, 1)) * count <= 2**23


def test_the_greatest_of_a_tile_and_a_nan():
    tile = torch.rand(64, 50)
    values, rows = streamed._greatest(tile)
    torch.testing.assert_close(values, tile.amax(0))
    torch.testing.assert_close(tile.gather(0, rows.unsqueeze(0))[0], values)
    x = vectors(300).clone()
    x[0, 3] = math.nan
    found = streamed.contextual(x, vectors(300, seed=1))
    assert found.isnan().tolist() == [True, False]


def test_a_batch_scores_as_its_images():
    x, y = maps(0, 3), maps(1, 3) + torch.tensor([0.0, 1.0, -2.0]).view(3, 1, 1, 1)
    metric = Contextual(features=None)
    torch.testing.assert_close(metric(x, y), torch.cat([metric(x[i : i + 1], y[i : i + 1]) for i in range(3)]))


def test_sampling_is_paired_and_seeded():
    x, y = maps(0), maps(1)
    scores = [Contextual(features=None, sampling="paired", positions=20, seed=seed)(x, y) for seed in (0, 0, 1)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    chosen = sample(63, 20, 0)
    assert len(chosen.unique()) == 20
    torch.testing.assert_close(scores[0], contextual_loss(x, y, chosen=chosen))
    assert float(Contextual(features=None, sampling="paired", positions=20)(x, x).max()) < 1e-3  # the same in both
    every = Contextual(features=None, sampling="paired", positions=63)
    torch.testing.assert_close(every(x, y), Contextual(features=None)(x, y))


def test_where_things_are_counts_for_cobi_alone():
    y = maps(0)
    moved = y.roll((2, 3), (2, 3))
    assert float(Contextual(features=None)(moved, y).max()) < 1e-6
    assert float(Contextual(features=None, spatial_weight=1.0)(moved, y).min()) > 0.1


def test_any_range_and_channels_of_given_maps():
    x, y = 1e4 * maps(0, channels=7), 1e4 * maps(1, channels=7)
    torch.testing.assert_close(Contextual(features=None)(x, y), Contextual(features=None)(x / 1e4, y / 1e4))
    with pytest.raises(ValueError, match="data_range at 1"):
        Contextual(features=None, data_range=255)


def test_patches_are_the_pixels_about_each_position():
    image = torch.rand(1, 3, 9, 12)
    [patches] = ContextualPatches(patch=3, stride=3)._describe(image)
    assert patches.shape == (1, 27, 3, 4)
    torch.testing.assert_close(patches[0, :, 1, 1].view(3, 3, 3), image[0, :, 2:5, 2:5])
    metric = Contextual(features="patches")
    y = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(metric(y.flip(-1), y), ContextualPatches()(y.flip(-1), y))
    assert metric.signature().startswith("contextual|on:patches5s2|")


def test_layers_of_an_own_network_are_summed_by_weight():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    x, y = torch.rand(2, 3, 12, 12), torch.rand(2, 3, 12, 12)
    metric = Contextual(features=network, layers={"1": 0.5, "2": 2.0}, normalise=False, distance="l2")
    a, b = network[:2](x), network[:2](y)
    wanted = 0.5 * contextual_loss(a, b, distance="l2") + 2 * contextual_loss(
        network[2](a), network[2](b), distance="l2"
    )
    torch.testing.assert_close(metric(x, y), wanted.detach())
    prepared = metric.prepare(y)
    assert isinstance(prepared, Prepared)
    torch.testing.assert_close(prepared(x), metric(x, y))


@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
def test_the_authors_layers_of_both_vggs(network, tmp_path):
    metric = Contextual(features=network, network_file=untrained(network, tmp_path))
    x, y = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    found = [one.shape[1:] for one in metric._describe(x)]
    assert found == [(256, 8, 8), (512, 4, 4)]
    assert 0 < float(metric(x, y)) < math.log(64) + math.log(16)


def by_numpy(a, b, h=0.5):
    """Equations 2 to 5 of two maps ``(c, h, w)`` in float64, by matrices and without torch."""
    a, b = (one.reshape(len(one), -1).T - b.reshape(len(b), -1).mean(1) for one in (a, b))
    a, b = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (a, b))
    d = np.maximum(0, (1 - a @ b.T) / 2)
    w = np.exp((1 - d / (d.min(1, keepdims=True) + 1e-5)) / h)
    return -np.log((w / w.sum(1, keepdims=True)).max(0).mean())


@pytest.mark.slow
@needs("vgg16")
@pytest.mark.parametrize(("kind", "recorded"), [("lcg", 1.984363), ("box5", 3.063087)])
def test_values_on_the_trained_network(kind, recorded):
    """Equal to the formula in NumPy on the same features, and as recorded."""
    photo = crop(photograph("astronaut"), 128, 128)
    x, y = (
        torch.from_numpy(np.moveaxis(image / 255.0, -1, 0).copy())[None] for image in (distort(photo, kind), photo)
    )
    found = float(lookalike.get("contextual")(x.float(), y.float()))
    features = Features("vgg16", ["conv3_2", "conv4_2"])
    wanted = sum(by_numpy(a[0].numpy(), b[0].numpy()) for a, b in zip(features(x), features(y), strict=True))
    assert found == pytest.approx(wanted, abs=1e-5)
    assert found == pytest.approx(recorded, abs=1e-5)


@pytest.mark.slow
@needs("vgg16")
def test_the_trained_network_likes_a_picture_best_itself():
    y = torch.rand(1, 3, 64, 64)
    metric = lookalike.get("contextual")
    assert float(metric(y, y)) < 1e-3 < float(metric((y + 0.1 * torch.randn_like(y)).clamp(0, 1), y))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("case", ["identical", "zero", "flat", "one zero", "huge", "tiny"])
def test_values_and_gradients_are_finite(case, distance):
    y = maps(0).float()
    x, y = {
        "identical": (y.clone(), y),
        "zero": (y * 0, y * 0),
        "flat": (y * 0 + 0.3, y * 0 + 0.3),
        "one zero": (y * 0, y),
        "huge": (1e6 * maps(1).float(), 1e6 * y),
        "tiny": (1e-12 * maps(1).float(), 1e-12 * y),
    }[case]
    x, y = x.requires_grad_(), y.clone().requires_grad_()
    score = Contextual(features=None, distance=distance, bandwidth=0.01)(x, y)
    gradients = torch.autograd.grad(score.sum(), (x, y))
    assert bool(score.isfinite().all())
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_alone_it_warns_and_in_a_mix_it_trains():
    with pytest.warns(UserWarning, match="does not ask where things are"):
        losses.loss("contextual_patches")
    mixed = losses.loss("l1 + 0.1*contextual_patches")
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    mixed(x, torch.rand(1, 3, 16, 16)).backward()
    assert x.grad is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"distance": "L3"}, "distance must be one of cosine, l1, l2"),
        ({"sampling": "some"}, "sampling must be one of all, paired"),
        ({"bandwidth": 0}, "bandwidth must be a number greater than 0, got 0"),
        ({"spatial_weight": -1}, "spatial_weight must be a number of at least 0, got -1"),
        ({"positions": 0}, "positions must be a whole number of at least 1, got 0"),
        ({"patch": 4}, "patch must be an odd whole number of at least 1, got 4"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"stride": 6}, "a stride of 6 leaves pixels between patches of 5 unseen"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        ContextualPatches(**options)


def test_a_wrong_network_or_layer_is_named(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'vgg16'"):
        Contextual(features="vgg_16")
    with pytest.raises(ValueError, match="has no layer 'conv3_9'"):
        Contextual(layers="conv3_9", network_file=untrained("vgg16", tmp_path))
    with pytest.raises(ValueError, match="at least one layer"):
        Contextual(layers=())
    with pytest.raises(ValueError, match="weight of layer 'conv1_1'"):
        Contextual(layers={"conv1_1": math.inf})
