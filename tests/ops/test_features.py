"""The trunks equal torchvision's at every layer; they are frozen, and take any network with named layers."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torchvision_schemas import register_torchvision_schemas

from lookalike.ops import features
from lookalike.ops.features import NETWORKS, Features, layer_names, random_state, unit

SMALLEST = {"vgg16": 32, "vgg19": 32, "alexnet": 63, "squeezenet1_1": 17}  # px, for the deepest layer of each


@pytest.fixture(scope="module")
def states():
    return {network: random_state(network) for network in NETWORKS}


@pytest.fixture
def image():
    return torch.rand(2, 3, 70, 67, generator=torch.Generator().manual_seed(1))


def toy() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Conv2d(4, 2, 1), nn.Dropout()),
    )


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_equals_torchvisions(network, states, image):
    register_torchvision_schemas()
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):  # its classifier is large, and not compared
        peer = getattr(models, network)().features
    peer = peer.to_empty(device="cpu").double().eval()
    peer.load_state_dict({name.removeprefix("features."): value for name, value in states[network].items()})
    mean, std = (
        torch.tensor(numbers).double().view(1, 3, 1, 1)
        for numbers in (features.IMAGENET_MEAN, features.IMAGENET_STD)
    )
    x = (image.double() - mean) / std
    names = layer_names(network)
    assert len(names) == len(peer)
    with torch.no_grad():
        found = Features(network, names, state=states[network])(image.double())
        for name, step, ours in zip(names, peer, found, strict=True):
            if getattr(step, "inplace", False):
                step.inplace = False
            x = step(x)
            torch.testing.assert_close(ours, x, rtol=1e-9, atol=1e-9, msg=lambda said, name=name: f"{name}: {said}")


def test_buffers_carry_torchvisions_names(states):
    for network in NETWORKS:
        deepest = layer_names(network)[-1]
        buffers = dict(Features(network, [deepest], state=states[network]).features.named_buffers("features"))
        assert buffers.keys() == states[network].keys()


def test_conv_is_before_the_relu_and_relu_after_it(states, image):
    before, after, pooled = Features("vgg16", ["conv2_2", "relu2_2", "pool2"], state=states["vgg16"])(image)
    assert float(before.min()) < 0
    assert torch.equal(after, before.relu())
    torch.testing.assert_close(pooled, nn.functional.max_pool2d(after, 2))


def test_maps_come_in_the_order_asked(states, image):
    names = ["relu2", "conv1", "pool1"]
    together = Features("alexnet", names, state=states["alexnet"])(image)
    for name, found in zip(names, together, strict=True):
        assert torch.equal(found, Features("alexnet", [name], state=states["alexnet"])(image)[0])


def test_only_the_layers_up_to_the_last_one_are_built(states):
    short = Features("vgg16", ["relu1_2"], state=states["vgg16"])
    assert sum(buffer.numel() for buffer in short.buffers()) < 50_000


@pytest.mark.parametrize("network", NETWORKS)
def test_the_smallest_side_is_where_maps_begin(network, states):
    deepest = layer_names(network)[-1]
    found = Features(network, [deepest], state=states[network])
    assert found.min_side == SMALLEST[network]
    assert found(torch.zeros(1, 3, found.min_side, found.min_side))[0].shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        found(torch.zeros(1, 3, found.min_side - 1, found.min_side))


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_poolings_shrink_by_two(states, image, pooling):
    constant = Features("vgg16", ["pool1"], state=states["vgg16"], pooling=pooling)
    assert constant(image)[0].shape == (2, 64, 35, 33 + (pooling == "l2"))


def test_pooling_by_root_of_squares_keeps_a_constant_and_has_a_finite_gradient_at_zero():
    pool = features._Pool("l2", 2)
    found = pool(torch.full((1, 2, 8, 8), 3.0))
    torch.testing.assert_close(found[..., 1:, 1:], torch.full((1, 2, 3, 3), 3.0))
    zero = torch.zeros(1, 2, 8, 8, requires_grad=True)
    pool(zero).sum().backward()
    assert zero.grad is not None
    assert bool(zero.grad.isfinite().all())


def test_nothing_is_left_for_an_optimiser_and_training_mode_changes_nothing(image):
    own = Features(toy(), ["1", "3"])
    assert list(own.parameters()) == []
    before = own(image)
    own.train()
    assert not any(part.training for part in own.modules())
    for first, second in zip(before, own(image), strict=True):
        assert torch.equal(first, second)


def test_own_networks_give_the_maps_that_they_compute(image):
    network = toy()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    own = Features(network, ["3.0", "1"], mean=None, std=None)
    assert network.training
    assert len(list(network.parameters())) == 6
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name])
    network.eval()
    normal = network[:2](image)
    torch.testing.assert_close(own(image)[1], normal)  # not overwritten by the ReLU in place
    torch.testing.assert_close(own(image)[0], network.get_submodule("3.0")(normal.relu()))
    assert own(image.double())[0].dtype == torch.float64
    assert own.module.get_buffer("0.weight").dtype == torch.float32


def test_own_networks_are_told_apart_by_their_weights():
    first, second = toy(), toy()
    assert Features(first, ["0"]).origin == Features(second, ["0"]).origin
    with torch.no_grad():
        second.get_parameter("0.bias")[0] += 1
    assert Features(first, ["0"]).origin != Features(second, ["0"]).origin


def test_float64_stays_and_half_is_computed_in_float32(states, image):
    alex = Features("alexnet", ["relu2"], state=states["alexnet"])
    single, double = alex(image)[0], alex(image.double())[0]
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(alex(image.to(dtype))[0], alex(image.to(dtype).float())[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(alex(image)[0], single)


def test_gradients_reach_the_image_alone(states, image):
    alex = Features("alexnet", ["relu1", "relu5"], state=states["alexnet"])
    assert not any(found.requires_grad for found in alex(image))
    image.requires_grad_()
    torch.stack([found.sum() for found in alex(image)]).sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0
    assert all(buffer.grad is None for buffer in alex.buffers())


def test_copies_and_pickles_give_the_same_maps(states, image):
    for frozen in (Features("alexnet", ["relu2"], state=states["alexnet"]), Features(toy(), ["3"])):
        for other in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
            assert torch.equal(other(image)[0], frozen(image)[0])


def test_what_is_frozen_is_in_no_checkpoint_and_moves_without_rounding(states, image):
    for frozen in (Features("alexnet", ["relu1"], state=states["alexnet"]), Features(toy(), ["3"])):
        assert frozen.state_dict() == {}
        wanted = frozen(image)[0]
        dtypes = [buffer.dtype for buffer in frozen.buffers()]
        parent = nn.Sequential(nn.Linear(2, 2), frozen)
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            parent.to("cpu", dtype)
            assert next(parent[0].parameters()).dtype == dtype
            assert [buffer.dtype for buffer in frozen.buffers()] == dtypes
            assert torch.equal(frozen(image)[0], wanted)
        parent.half().float()
        assert torch.equal(frozen(image)[0], wanted)
        assert all(buffer.is_meta for buffer in frozen.to("meta", torch.float16).buffers())
        assert [buffer.dtype for buffer in frozen.buffers()] == dtypes


def test_features_made_in_inference_mode_serve_training(states, image):
    with torch.inference_mode():
        every = Features("alexnet", ["relu1"], state=states["alexnet"]), Features(toy(), ["3"])
    for frozen in every:
        assert not any(buffer.is_inference() for buffer in frozen.buffers())
        leaf = image.clone().requires_grad_()
        [gradient] = torch.autograd.grad(frozen(leaf)[0].sum(), leaf)
        assert bool(gradient.any())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threads_that_share_an_own_network_get_their_own_maps(dtype):
    network = toy()
    features = Features(network, ["1", "3"])
    assert not any(part._forward_hooks for part in network.modules())
    images = [torch.rand(1, 3, 24, 24, dtype=dtype, generator=torch.Generator().manual_seed(k)) for k in range(32)]
    wanted = [features(image) for image in images]
    with ThreadPoolExecutor(8) as pool:
        for found, alone in zip(pool.map(features, images * 4), wanted * 4, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))


def test_an_own_network_compiles_whole_in_both_precisions(image):
    features = Features(toy(), ["1", "3"])
    for dtype in (torch.float32, torch.float64):
        torch.compiler.reset()
        compiled = torch.compile(features, fullgraph=True, backend="eager")
        for _ in range(2):
            for found, wanted in zip(compiled(image.to(dtype)), features(image.to(dtype)), strict=True):
                torch.testing.assert_close(found, wanted)


def test_own_networks_in_half_precision_compute_in_single(image):
    half = toy().half()
    wanted = Features(copy.deepcopy(half).float(), ["3"])(image)[0]
    assert torch.equal(Features(half, ["3"])(image)[0], wanted)


def test_it_compiles_whole(states, image):
    alex = Features("alexnet", ["relu2"], state=states["alexnet"])
    torch.compiler.reset()
    found = torch.compile(alex, fullgraph=True, backend="eager")(image)
    torch.testing.assert_close(found[0], alex(image)[0])


def test_an_empty_batch_gives_empty_maps(states):
    alex = Features("alexnet", ["relu2"], state=states["alexnet"])
    assert alex(torch.zeros(0, 3, 64, 64))[0].shape == (0, 192, 7, 7)


@pytest.mark.parametrize(
    ("network", "layers", "words"),
    [
        ("vgg16", ["relu3_4"], "did you mean 'relu3_3'"),
        ("vgg16", ["conv_4_2"], "did you mean 'conv4_2'"),
        ("vgg_16", ["relu3_3"], "did you mean 'vgg16'"),
        ("vgg16", [], "at least one name"),
        ("vgg16", "relu3_3", "a list of at least one name"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(network, layers, words):
    with pytest.raises(ValueError, match=words):
        Features(network, layers, state={})


@pytest.mark.parametrize("network", [5, None, lambda image: image])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(TypeError, match=r"a network is a name, such as vgg16, or an nn.Module with"):
        Features(network, ["a"])


def test_a_wrong_submodule_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"Sequential has no submodule '3\.2' \(did you mean '3\.[01]'"):
        Features(toy(), ["3.2"])


def test_weights_that_do_not_fit_are_refused(states):
    state = dict(states["alexnet"])
    bias = state.pop("features.3.bias")
    with pytest.raises(ValueError, match=r"have no 'features\.3\.bias'"):
        Features("alexnet", ["relu2"], state=state)
    with pytest.raises(ValueError, match=r"shape \(5,\), needs \(192,\)"):
        Features("alexnet", ["relu2"], state={**state, "features.3.bias": bias[:5]})
    with pytest.raises(ValueError, match="pooling must be one of max, average, l2"):
        Features("alexnet", ["relu2"], state=states["alexnet"], pooling="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="belong to known networks"):
        Features(toy(), ["0"], pooling="average")


def test_a_layer_that_gives_no_tensor_is_refused():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.both = Pair()
            self.idle = nn.ReLU()

        def forward(self, x):
            return self.both(x)[0]

    for layer, words in (("both", "gave tuple"), ("idle", "did not run")):
        with pytest.raises(TypeError, match=words):
            Features(Fork(), [layer])(torch.zeros(1, 3, 4, 4))


def test_unit_vectors_have_no_gradient_at_zero_even_in_anomaly_mode():
    maps = torch.rand(1, 4, 2, 2)
    maps[..., 0, 0] = 0
    maps.requires_grad_()
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        (unit(maps) - 1).square().sum().backward()
    assert maps.grad is not None
    assert bool(maps.grad.isfinite().all())
    assert float(maps.grad[..., 0, 0].abs().max()) == 0
    torch.testing.assert_close(unit(maps.detach())[..., 1, 1].norm(), torch.tensor(1.0))
