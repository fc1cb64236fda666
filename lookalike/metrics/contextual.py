"""Contextual loss: which vectors of two images belong together, wherever they are; CoBi adds where they are.

Mechrez, Talmi, Zelnik-Manor: The contextual loss for image transformation with non-aligned data, ECCV 2018,
doi 10.1007/978-3-030-01264-9_47. Zhang, Chen, Ng, Koltun: Zoom to learn, learn to zoom, CVPR 2019,
doi 10.1109/CVPR.2019.00388 (CoBi, contextual bilateral).

Differs from the papers: features are centred by the mean of each reference alone, not of the batch, so that a batch
scores as its images one by one; vectors of no length stay zero (the authors' program divides by their length);
the default network is VGG16 (theirs is VGG19, an option); all positions count unless ``sampling="paired"``. CoBi's
distance, eq. 3 of Zhang et al., is normalised like any other, so that a spatial weight of 0 is the contextual loss;
positions are counted in shorter sides of the map.
Conventions: −log of the contextual similarity (eq. 4 and 5), h = 0.5, ε = 1e-5; the layers' losses are summed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.metric import Facts, Metric, Prepared
from lookalike.modes import constant_in_graphs
from lookalike.ops import contextual as op
from lookalike.ops import window
from lookalike.ops.contextual import Distance
from lookalike.ops.features import IMAGENET_MEAN, IMAGENET_STD, Features
from lookalike.options import real, whole
from lookalike.signature import number

Sampling = Literal["all", "paired"]
EPSILON = 1e-5
SHORTEST = 1e-15  # a vector with a direction; the square of a float32 gradient below it would overflow
_MAPS, _PATCHES = "maps", "patches"
_FLAT = "vectors that are all alike, as of a flat image, each belong to any other: log of their number"
_MOVED = "the loss does not ask where things are"
_MOVEMENTS = ("zoom", "shift_right", "shift_left", "rotation_ccw", "rotation_cw")


def contextual_loss(
    x: Tensor,
    y: Tensor,
    *,
    distance: Distance = "cosine",
    bandwidth: float = 0.5,
    epsilon: float = EPSILON,
    spatial_weight: float = 0.0,
    chosen: Tensor | None = None,
) -> Tensor:
    """−log CX of two feature maps, ``(n, c, h, w) -> (n,)``.

    Args:
        x: features of the images judged.
        y: features of the references, same shape.
        distance: ``"cosine"`` of vectors centred by the mean of y; ``"l1"`` and ``"l2"`` (squared) as they are.
        bandwidth: h; the smaller, the more the nearest counts.
        epsilon: added to the smallest distance before the others are divided by it.
        spatial_weight: CoBi's; times the Euclidean distance of two positions, in shorter sides of the map.
        chosen: the positions that count, ``(k,)`` in reading order, the same in both; None: all.

    Example:
        >>> y = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]).view(1, 2, 1, 3)
        >>> round(float(contextual_loss(y.flip(-1), y)), 6), round(float(contextual_loss(y[..., :1] + y * 0, y)), 6)
        (0.0, 1.098612)
    """
    height, width = x.shape[2:]
    if distance == "cosine":
        mean = y.mean((2, 3), keepdim=True)
        x, y = _directions(x - mean), _directions(y - mean)
    places = _places(height, width, spatial_weight).to(x) if spatial_weight else None
    vectors = [image.flatten(2).mT for image in (x, y)]
    if chosen is not None:
        vectors = [one[:, chosen] for one in vectors]
        places = None if places is None else places[chosen]
    similarity = op.contextual(*vectors, places, distance=distance, bandwidth=bandwidth, epsilon=epsilon)
    return 0 - similarity.log()


def _directions(maps: Tensor) -> Tensor:
    """Vectors divided by their length; those shorter than `SHORTEST` become zero, with gradient 0."""
    squared = maps.square().sum(1, keepdim=True)
    short = squared < SHORTEST**2
    return maps * torch.where(short, 0.0, 1 / torch.where(short, 1.0, squared).sqrt())


def _places(height: int, width: int, weight: float) -> Tensor:
    """The positions of a map ``(h·w, 2)``, times the weight, in shorter sides."""
    rows, columns = (torch.arange(side, dtype=torch.int64, device="cpu") for side in (height, width))
    grid = torch.stack([rows.repeat_interleave(width), columns.repeat(height)], 1)
    return grid.double() * (weight / min(height, width))


@constant_in_graphs
def sample(count: int, wanted: int, seed: int) -> Tensor:
    """``wanted`` of ``count`` positions, in ascending order; the same for the same seed, on any device.

    Example:
        >>> sample(10, 3, seed=0).tolist() == sample(10, 3, seed=0).tolist()
        True
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randperm(count, generator=generator, device="cpu")[:wanted].sort().values


class Contextual(Metric):
    """Contextual loss Σ_l w_l·(−log CX(φ_l(x), φ_l(y))), ``(n, c, h, w) -> (n,)``.

    Args:
        features: ``"vgg16"``, ``"vgg19"`` (the authors'), ``"alexnet"``, ``"squeezenet1_1"``, or a module of your
            own; ``"patches"``: the raw pixels about every position; None: x and y are themselves feature maps, with
            any channels and any range (then values are not checked, and data_range stays 1).
        layers: of a network: one name, several, or names with their weights.
        distance: ``"cosine"``, ``"l1"`` or ``"l2"``, as in `contextual_loss`.
        bandwidth: h of the paper.
        spatial_weight: CoBi's w_s (Zhang et al. take 0.1); 0 is the contextual loss.
        sampling: ``"all"`` positions, or ``"paired"``: where there are more than ``positions``, so many at random,
            the same in both images and at every call.
        positions: for ``"paired"``; the authors' 65².
        seed: for ``"paired"``.
        patch, stride: of ``"patches"``: side of a patch (odd) and distance between two, in pixels; the border is
            mirrored.
        network_file: a weight file to be taken instead of searching for one.
        normalise: whether ImageNet's mean and deviation of the channels are taken off and divided by.
        data_range, reduction, check: as in `Metric`.

    Memory grows with the number of positions N, not with N²; time grows with N². Identical images score about 0,
    save where positions look alike: at most the log of N.

    Raises:
        ValueError: for an unknown network, layer, distance or sampling, and numbers out of range.
        lookalike.weights.MissingWeights: when the weights are neither here nor to be had; says where to get them.

    Example:
        >>> metric = Contextual(features=None)
        >>> y = 100 * torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]).view(1, 2, 1, 3)
        >>> round(float(metric(y.flip(-1), y)), 6)
        0.0
    """

    facts: ClassVar[Facts] = Facts(
        name="contextual",
        suits="for pictures that are not aligned",
        fails="for pictures that are; it does not ask where things are",
        title="Contextual loss on VGG16", better="lower", range=(0.0, math.inf), identical=0.0,
        paper="Mechrez et al. 2018, doi 10.1007/978-3-030-01264-9_47", symmetric=False, smooth=False, min_side=8,
        channels=(3,), weights=("vgg16",), quadratic=True, alone=_MOVED,
        declines={
            "identical": _FLAT,
            "channels": "the network learned colours: red and blue do not count alike",
        },
    )  # fmt: skip

    def __init__(
        self,
        *,
        features: str | nn.Module | None = "vgg16",
        layers: str | Sequence[str] | Mapping[str, float] = ("conv3_2", "conv4_2"),
        distance: Distance = "cosine",
        bandwidth: float = 0.5,
        spatial_weight: float = 0.0,
        sampling: Sampling = "all",
        positions: int = 65**2,
        seed: int = 0,
        patch: int = 5,
        stride: int = 2,
        network_file: str | Path | None = None,
        normalise: bool = True,
        **base: Any,
    ) -> None:
        if features is None:
            base["check"] = "shapes"
        super().__init__(**base)
        who = self.facts.name
        for name, value, choices in (("distance", distance, Distance), ("sampling", sampling, Sampling)):
            if value not in get_args(choices):
                raise ValueError(f"{who}: {name} must be one of {', '.join(get_args(choices))}; got {value!r}")
        bandwidth = real(who, "bandwidth", bandwidth, above=0)
        spatial_weight = real(who, "spatial_weight", spatial_weight, least=0)
        positions, seed = whole(who, "positions", positions, most=1 << 20), whole(who, "seed", seed, least=0)
        patch, stride = whole(who, "patch", patch, most=999, odd=True), whole(who, "stride", stride, most=999)
        if stride > patch:
            raise ValueError(f"{who}: a stride of {stride} leaves pixels between patches of {patch} unseen")
        if features is None and self.data_range != 1:
            raise ValueError(f"{who}: feature maps are taken as they are; leave data_range at 1")
        self.distance: Distance = distance
        self.bandwidth, self.spatial_weight = bandwidth, spatial_weight
        self.sampling: Sampling = sampling
        self.positions, self.seed = positions, seed
        self.patch, self.stride, self.normalise = patch, stride, normalise
        named = features if isinstance(features, str) else type(features).__name__
        self.kind = _MAPS if features is None else named
        self.network: Features | None = None
        self.weights = {self.kind: 1.0}
        if features is not None and features != _PATCHES:
            self.weights = _layer_weights(layers, who)
            self.network = Features(
                features, list(self.weights), file=network_file,
                mean=IMAGENET_MEAN if normalise else None, std=IMAGENET_STD if normalise else None,
            )  # fmt: skip
        self._own = isinstance(features, nn.Module)

    @property
    def min_side(self) -> int:
        if self.network is None:
            return max(1, self.patch // 2) if self.kind == _PATCHES else 1
        return self.network.min_side

    @property
    def channels(self) -> tuple[int, ...] | None:
        if self.network is None or (self._own and not self.normalise):
            return None
        return (3,)

    def prepare(self, y: Tensor) -> Prepared:
        """Keep the features of a reference; it gets no gradient.

        Args:
            y: references ``(n, c, h, w)`` in ``data_range``.

        Returns:
            What is called with ``x`` alone.
        """
        _, checked = self._enter(y, y)
        with torch.no_grad():
            return Prepared(self, y, self._describe(checked))

    def score(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        kept = y.kept if isinstance(y, Prepared) else self._describe(y)
        losses = [
            weight * self._apart(a, b)
            for weight, a, b in zip(self.weights.values(), self._describe(x), kept, strict=True)
        ]
        return torch.stack(losses).sum(0)

    def settings(self) -> dict[str, object]:
        patches = self.kind == _PATCHES
        layers = "+".join(name if w == 1 else f"{number(w)}*{name}" for name, w in self.weights.items())
        return {
            "on": f"patches{self.patch}s{self.stride}" if patches else self.kind,
            "weights": (self.network.origin or None) if self.network is not None else None,
            "layers": layers if self.network is not None else None,
            "dist": self.distance,
            "h": self.bandwidth,
            "spatial": self.spatial_weight or None,
            "sampling": f"{self.positions}seed{self.seed}" if self.sampling == "paired" else None,
            "norm": None if self.normalise or self.network is None else "no",
        }

    def _describe(self, image: Tensor) -> list[Tensor]:
        """The maps that are compared, one a layer."""
        if self.network is not None:
            return list(self.network(image))
        if self.kind == _MAPS:
            return [image]
        edge = self.patch // 2
        image = window.extend(image, edge, edge, "symmetric")
        height, width = ((side - self.patch) // self.stride + 1 for side in image.shape[2:])
        return [F.unfold(image, self.patch, stride=self.stride).unflatten(2, (height, width))]

    def _apart(self, x: Tensor, y: Tensor) -> Tensor:
        count = x.shape[2] * x.shape[3]
        chosen = None
        if self.sampling == "paired" and count > self.positions:
            chosen = sample(count, self.positions, self.seed).to(x.device)
        options = {"distance": self.distance, "bandwidth": self.bandwidth, "spatial_weight": self.spatial_weight}
        return contextual_loss(x, y, **options, chosen=chosen)


class ContextualPatches(Contextual):
    """Contextual loss on raw patches, without a network; as `Contextual` with ``features="patches"``.

    Sides of at least 2 px.

    Example:
        >>> image = torch.rand(1, 3, 16, 16)
        >>> round(float(ContextualPatches()(image, image)), 4)
        0.0
    """

    facts: ClassVar[Facts] = dataclasses.replace(
        Contextual.facts, name="contextual_patches",
        suits="for pictures that are not aligned, without a network",
        fails="on large pictures: quadratic",
        written="",
        title="Contextual loss on raw patches", min_side=2,
        channels=None, weights=(), tolerates=dict.fromkeys(_MOVEMENTS, _MOVED),
        declines={"identical": _FLAT, "reach": "a patch that nothing is nearest to has no gradient"},
    )  # fmt: skip

    def __init__(self, *, features: str | nn.Module | None = _PATCHES, **options: Any) -> None:
        super().__init__(features=features, **options)


def _layer_weights(layers: str | Sequence[str] | Mapping[str, float], who: str) -> dict[str, float]:
    """Names with their weights, however they were given."""
    named = {layers: 1.0} if isinstance(layers, str) else layers
    named = named if isinstance(named, Mapping) else dict.fromkeys(named, 1.0)
    if not named:
        raise ValueError(f"{who}: needs at least one layer")
    for name, weight in named.items():
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            raise ValueError(f"{who}: the weight of layer {name!r} must be a number, got {weight!r}")
    return {name: float(weight) for name, weight in named.items()}
