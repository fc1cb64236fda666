"""Deep features: VGG16/19, AlexNet, SqueezeNet 1.1 or any network, cut at layers by their literature names.

Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556 (VGG); Krizhevsky, arXiv 1404.5997 (AlexNet as in torchvision);
Iandola et al., arXiv 1602.07360 (SqueezeNet 1.1).

``convB_I`` is the output of a convolution, before its ReLU; ``reluB_I`` after it; ``poolB`` after the pooling. The
networks are frozen: always in eval mode, weights as buffers (nothing for an optimiser), and gradients flow to the
image alone. Values are float32 (float64 for float64 images); autocast is off inside, so bfloat16 never reaches the
convolutions.
"""

from __future__ import annotations

import copy
import hashlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike import weights
from lookalike.modes import full_precision
from lookalike.ops.frozen import Frozen
from lookalike.ops.window import channels_last
from lookalike.options import meant

Pooling = Literal["max", "average", "l2"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
UNIT_EPSILON = 1e-10  # LPIPS's: added to the norm of a feature vector before the division

_HALVES = (torch.float16, torch.bfloat16)

Step = tuple[str, nn.Module]


class _Conv(nn.Module):
    """A convolution whose weights are buffers, in the dtype of its input."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.weight: Tensor
        self.bias: Tensor
        # Shapes alone: a list of names does not allocate half a network, and the numbers come from a state dict.
        for name, shape in (("weight", (outputs, inputs, kernel, kernel)), ("bias", (outputs,))):
            self.register_buffer(name, torch.empty(shape, dtype=torch.float32, device="meta"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype), self.stride, self.padding)

    def side(self, side: int) -> int:
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, stride={self.stride}, padding={self.padding}"


class _ReLU(nn.Module):
    """Not in place: the layer before keeps its values."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def side(self, side: int) -> int:
        return side


class _Pool(nn.Module):
    """Pooling by the largest value, by the mean, or by the Hann-weighted root of squares of DISTS."""

    def __init__(self, kind: Pooling, kernel: int, ceil: bool = False) -> None:
        super().__init__()
        self.kind, self.kernel, self.ceil = kind, kernel, ceil

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "max":
            return F.max_pool2d(x, self.kernel, 2, ceil_mode=self.ceil)
        if self.kind == "average":
            return F.avg_pool2d(x, self.kernel, 2, ceil_mode=self.ceil)
        taps = x.new_tensor([0.25, 0.5, 0.25])
        hann = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x.square(), hann, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()

    def side(self, side: int) -> int:
        if self.kind == "l2":
            return (side + 1) // 2
        return (math.ceil if self.ceil else math.floor)((side - self.kernel) / 2) + 1

    def extra_repr(self) -> str:
        return f"{self.kind}, kernel={self.kernel}"


class _Fire(nn.Module):
    """SqueezeNet's module: 1×1 down, then 1×1 and 3×3 up side by side, each with its ReLU."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = _Conv(inputs, squeezed, 1)
        self.expand1x1 = _Conv(squeezed, expanded, 1)
        self.expand3x3 = _Conv(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))

    def side(self, side: int) -> int:
        return side


def _vgg(convolutions: Sequence[int], pooling: Pooling) -> list[Step]:
    steps: list[Step] = []
    inputs = 3
    for block, (count, outputs) in enumerate(zip(convolutions, (64, 128, 256, 512, 512), strict=True), 1):
        for index in range(1, count + 1):
            steps += [
                (f"conv{block}_{index}", _Conv(inputs, outputs, 3, padding=1)),
                (f"relu{block}_{index}", _ReLU()),
            ]
            inputs = outputs
        steps.append((f"pool{block}", _Pool(pooling, 2)))
    return steps


def _alexnet(pooling: Pooling) -> list[Step]:
    return [
        ("conv1", _Conv(3, 64, 11, 4, 2)), ("relu1", _ReLU()), ("pool1", _Pool(pooling, 3)),
        ("conv2", _Conv(64, 192, 5, padding=2)), ("relu2", _ReLU()), ("pool2", _Pool(pooling, 3)),
        ("conv3", _Conv(192, 384, 3, padding=1)), ("relu3", _ReLU()),
        ("conv4", _Conv(384, 256, 3, padding=1)), ("relu4", _ReLU()),
        ("conv5", _Conv(256, 256, 3, padding=1)), ("relu5", _ReLU()), ("pool5", _Pool(pooling, 3)),
    ]  # fmt: skip


def _squeezenet(pooling: Pooling) -> list[Step]:
    return [
        ("conv1", _Conv(3, 64, 3, 2)), ("relu1", _ReLU()), ("pool1", _Pool(pooling, 3, ceil=True)),
        ("fire2", _Fire(64, 16, 64)), ("fire3", _Fire(128, 16, 64)), ("pool3", _Pool(pooling, 3, ceil=True)),
        ("fire4", _Fire(128, 32, 128)), ("fire5", _Fire(256, 32, 128)), ("pool5", _Pool(pooling, 3, ceil=True)),
        ("fire6", _Fire(256, 48, 192)), ("fire7", _Fire(384, 48, 192)),
        ("fire8", _Fire(384, 64, 256)), ("fire9", _Fire(512, 64, 256)),
    ]  # fmt: skip


# The order of the steps is torchvision's `features`, which makes the names in state dicts the same.
_NETWORKS: dict[str, Callable[[Pooling], list[Step]]] = {
    "vgg16": partial(_vgg, (2, 2, 3, 3, 3)),
    "vgg19": partial(_vgg, (2, 2, 4, 4, 4)),
    "alexnet": _alexnet,
    "squeezenet1_1": _squeezenet,
}
NETWORKS = tuple(_NETWORKS)


def layer_names(network: str) -> list[str]:
    """The layers of a known network, in order.

    Raises:
        ValueError: for an unknown network, with the nearest one.

    Example:
        >>> layer_names("vgg16")[:5]
        ['conv1_1', 'relu1_1', 'conv1_2', 'relu1_2', 'pool1']
    """
    return [name for name, _ in _steps(network, "max")]


def _steps(network: str, pooling: Pooling) -> list[Step]:
    if network not in _NETWORKS:
        raise ValueError(f"features: no network {network!r}{_nearest(network, NETWORKS)}")
    if pooling not in get_args(Pooling):
        raise ValueError(f"features: pooling must be one of {', '.join(get_args(Pooling))}; got {pooling!r}")
    return _NETWORKS[network](pooling)


def _nearest(name: str, known: Sequence[str]) -> str:
    listed = ", ".join(known[:60]) + (f", and {len(known) - 60} more" if len(known) > 60 else "")
    return f"{meant(name, known)}; there are {listed}"


class Features(Frozen):
    """Feature maps of a frozen network: ``features(x) -> one map a layer``.

    Args:
        network: ``"vgg16"``, ``"vgg19"``, ``"alexnet"``, ``"squeezenet1_1"``, or a module of your own, which is
            copied, frozen and run whole. Several threads may call it at once, as far as its ``forward`` leaves
            nothing on the module.
        layers: which maps, in the order wanted: `layer_names`, or names of submodules of your own network (whose
            last output counts where a submodule runs several times).
        file: a weight file to be taken instead of searching for one.
        state: weights themselves, under torchvision's names, instead of a file.
        pooling: ``"max"`` as trained, ``"average"`` (Gatys et al.), or ``"l2"`` (DISTS); of known networks.
        mean, std: of the input's channels, taken off and divided by; None leaves the image as it is.

    Attributes:
        layers: as given.
        origin: "" with the published weights, else in what they differ; a hash of them for your own network.
        min_side: the smallest side in pixels of an image of which every layer has a map.

    Raises:
        ValueError: for an unknown network or layer, with the nearest one, or weights that do not fit.
        lookalike.weights.MissingWeights: when the weights are neither here nor to be had.

    Example:
        >>> features = Features("vgg16", ["conv1_2", "relu2_2"], state=random_state("vgg16"))
        >>> [tuple(map.shape) for map in features(torch.zeros(1, 3, 8, 8))]
        [(1, 64, 8, 8), (1, 128, 4, 4)]
        >>> list(features.parameters())
        []
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        network: str | nn.Module,
        layers: Sequence[str],
        *,
        file: str | Path | None = None,
        state: Mapping[str, Tensor] | None = None,
        pooling: Pooling = "max",
        mean: Sequence[float] | None = IMAGENET_MEAN,
        std: Sequence[float] | None = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        if isinstance(layers, str) or not self.layers:
            raise ValueError(f"features: layers are a list of at least one name, got {layers!r}")
        self.mean: Tensor | None
        self.std: Tensor | None
        for name, values in (("mean", mean), ("std", std)):
            self.keep(name, None if values is None else _numbers(values).view(1, -1, 1, 1))
        self.origin = ""
        self.min_side = 1
        if isinstance(network, str):
            self._build(network, pooling)
            if state is None:
                loaded = weights.load(network, file)
                state, self.origin = loaded.state, loaded.origin
            elif file is not None:
                raise ValueError("features: give a file or a state, not both")
            else:
                self.origin = "given"
            self._take(state, network)
        else:
            if file is not None or state is not None or pooling != "max":
                raise ValueError("features: file, state and pooling belong to known networks; load your own first")
            self._adopt(network)
        cast(Any, self).to(memory_format=torch.channels_last)
        self.train(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps of a batch.

        Args:
            x: images ``(n, c, h, w)`` in the unit range (c = 3 for the known networks).

        Returns:
            One map ``(n, c', h', w')`` a layer, in the order of ``layers``.
        """
        with full_precision(x):
            if x.dtype != torch.float64:
                x = x.float()
            if self.mean is not None:
                x = x - self.mean.to(x.dtype)
            if self.std is not None:
                x = x / self.std.to(x.dtype)
            # Convolutions and poolings run faster with the channels innermost, by 1.2 times on two cores.
            x = channels_last(x)
            kept = self._run_own(x) if self._names is None else self._run(x)
        return tuple(kept[name] for name in self.layers)

    @property
    def steps(self) -> list[Step]:
        """The layers of a known network up to the last one wanted, by name; none of a network of your own."""
        return [] if self._names is None else list(zip(self._names, self.features, strict=True))

    def train(self, mode: bool = True) -> Features:
        """Stay in eval mode: a ruler does not change while something is trained with it."""
        return super().train(False)

    def extra_repr(self) -> str:
        """The layers."""
        return f"layers={', '.join(self.layers)}"

    def _build(self, network: str, pooling: Pooling) -> None:
        steps = _steps(network, pooling)
        names = [name for name, _ in steps]
        for layer in self.layers:
            if layer not in names:
                raise ValueError(f"features: {network} has no layer {layer!r}{_nearest(layer, names)}")
        last = max(names.index(layer) for layer in self.layers)
        self._names: list[str] | None = names[: last + 1]
        self.features = nn.Sequential(*[module for _, module in steps[: last + 1]])
        self.min_side = next(side for side in range(1, 1000) if self._fits(side))

    def _fits(self, side: int) -> bool:
        for step in self.features:
            side = cast(Any, step).side(side)
            if side < 1:
                return False
        return True

    def _take(self, state: Mapping[str, Tensor], network: str) -> None:
        """Fill the network from a state dict, of which it uses the layers up to the last one wanted."""
        for name, wanted in self.features.named_buffers(prefix="features"):
            if name not in state:
                raise ValueError(f"features: the weights given for {network} have no {name!r}")
            if state[name].shape != wanted.shape:
                raise ValueError(
                    f"features: {name!r} of the weights given for {network} has shape {tuple(state[name].shape)}, "
                    f"needs {tuple(wanted.shape)}"
                )
        self.features.to_empty(device="cpu")
        for name, buffer in self.features.named_buffers(prefix="features"):
            buffer.copy_(state[name])

    def _adopt(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"features: a network is a name, such as vgg16, or an nn.Module with named layers; "
                f"got {type(module).__name__}"
            )
        names = [name for name, _ in module.named_modules() if name]
        for layer in self.layers:
            if layer not in names:
                kind = type(module).__name__
                raise ValueError(f"features: {kind} has no submodule {layer!r}{_nearest(layer, names)}")
        self._names = None
        self.module = _frozen(module)
        for layer in dict.fromkeys(self.layers):
            self.module.get_submodule(layer).register_forward_hook(_Tap(layer))
        digest = hashlib.sha256()
        for name, buffer in self.module.named_buffers():
            digest.update(name.encode() + buffer.detach().cpu().double().numpy().tobytes())
        self.origin = f"own-{digest.hexdigest()[:8]}"

    def _run(self, x: Tensor) -> dict[str, Tensor]:
        kept = {}
        for name, step in self.steps:
            x = step(x)
            if name in self.layers:
                kept[name] = x
        return kept

    def _run_own(self, x: Tensor) -> dict[str, Tensor]:
        kept: dict[str, Tensor] = {}
        before, _sink.maps = _sink.maps, kept
        try:
            self._call_own(x)
        finally:
            _sink.maps = before
        for layer in self.layers:
            if not isinstance(kept.get(layer), Tensor):
                gave = type(kept[layer]).__name__ if layer in kept else "nothing, it did not run"
                raise TypeError(f"features: layer {layer!r} must give a tensor, gave {gave}")
        return kept

    def _call_own(self, x: Tensor) -> None:
        """Run the network with its numbers in the dtype of the images."""
        buffers = dict(self.module.named_buffers())
        converted = {
            name: buffer.to(x.dtype) if buffer.is_floating_point() else buffer for name, buffer in buffers.items()
        }
        if all(converted[name] is buffer for name, buffer in buffers.items()):
            self.module(x)
        elif torch.compiler.is_compiling():
            torch.func.functional_call(self.module, converted, (x,))
        else:
            # functional_call would put other numbers into the network while other threads run it; a copy of all but
            # the numbers is this call's own.
            copy.deepcopy(self.module, {id(buffer): converted[name] for name, buffer in buffers.items()})(x)


class _Sink(threading.local):
    """Where the maps of this thread's call go; None while there is none."""

    def __init__(self) -> None:
        self.maps: dict[str, Tensor] | None = None


_sink = _Sink()


class _Tap:
    """A hook that stays on our copy of a network, and hands a layer's output to the call of its thread."""

    def __init__(self, layer: str) -> None:
        self.layer = layer

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if _sink.maps is not None:
            _sink.maps[self.layer] = output


def _numbers(values: Sequence[float]) -> Tensor:
    return torch.tensor(tuple(values), dtype=torch.float32, device="cpu")


def _frozen(module: nn.Module) -> nn.Module:
    """A copy whose parameters are buffers, in no state dict, and whose activations leave their input alone.

    Half precision becomes float32, in which it computes.
    """
    module = copy.deepcopy(module)
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            cast(Any, part).inplace = False  # else a layer's map would change after it was kept
        for name, numbers in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            delattr(part, name)
            held = numbers.detach()
            part.register_buffer(name, held.float() if held.dtype in _HALVES else held, persistent=False)
    return module


def random_state(network: str, seed: int = 0) -> dict[str, Tensor]:
    """Untrained weights of a known network, He-initialised, for tests and benchmarks.

    Example:
        >>> tuple(random_state("alexnet")["features.0.weight"].shape)
        (64, 3, 11, 11)
    """
    layers = nn.Sequential(*[module for _, module in _steps(network, "max")])
    generator = torch.Generator("cpu").manual_seed(seed)
    state = {}
    for name, wanted in layers.named_buffers(prefix="features"):
        fan_in = wanted[0].numel() if wanted.ndim == 4 else 1
        scale = (2 / fan_in) ** 0.5 if wanted.ndim == 4 else 0.01
        random = torch.randn(wanted.shape, generator=generator, dtype=torch.float32, device="cpu")
        state[name] = random * scale
    return state


def unit(maps: Tensor) -> Tensor:
    """Feature vectors divided by their length (plus 1e-10), ``(n, c, h, w)``; a zero vector stays, with gradient 0.

    The root of a sum of squares has no derivative at zero, where other libraries' gradients are NaN.

    Example:
        >>> unit(torch.tensor([[3.0, 0.0], [4.0, 0.0]]).view(1, 2, 1, 2)).flatten().tolist()
        [0.6000000238418579, 0.0, 0.800000011920929, 0.0]
    """
    squared = maps.square().sum(1, keepdim=True)
    zero = squared == 0
    length = torch.where(zero, 1.0, squared).sqrt() + UNIT_EPSILON
    return maps * torch.where(zero, 0.0, 1 / length)
