"""Perceptual losses: distances of deep features (content) and of their correlations (style).

Johnson, Alahi, Fei-Fei: Perceptual losses for real-time style transfer and super-resolution, ECCV 2016,
doi 10.1007/978-3-319-46475-6_43. Gatys, Ecker, Bethge: Image style transfer using convolutional neural networks,
CVPR 2016, doi 10.1109/CVPR.2016.265.

Differs from the papers: the content loss is a mean over channels and positions under every distance, so that layers
and image sizes compare; Johnson et al. use the squared distance alone, others the L1 norm.
Conventions: the network and its layers are options, by their literature names (`lookalike.ops.features`);
``conv`` is before the ReLU. RGB only with the known networks: a grey image is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from lookalike.metric import Facts, Metric, Prepared
from lookalike.ops.features import IMAGENET_MEAN, IMAGENET_STD, Features, Pooling, unit
from lookalike.options import choice
from lookalike.signature import number

Distance = Literal["l1", "l2", "cosine"]
Gram = Literal["normalised", "unnormalised"]
Layers = str | Sequence[str] | Mapping[str, float]
_COLOURS = "the network learned colours: red and blue do not count alike"


def feature_distance(x: Tensor, y: Tensor, distance: Distance = "l1") -> Tensor:
    """How far two maps of features are apart, ``(n, c, h, w) -> (n, 1, h, w)``.

    Args:
        x, y: feature maps.
        distance: ``"l1"`` and ``"l2"``: mean over channels of the absolute and of the squared difference;
            ``"cosine"``: 1 − cosine of the two vectors at a position; 1 where one is zero, 0 where both are.

    Example:
        >>> a, b = (torch.tensor(v).view(1, 2, 1, 1) for v in ([1.0, 0.0], [0.0, 2.0]))
        >>> [float(feature_distance(a, b, kind)) for kind in ("l1", "l2", "cosine")]
        [1.5, 2.5, 1.0]
    """
    if distance == "l1":
        return (x - y).abs().mean(1, keepdim=True)
    if distance == "l2":
        return (x - y).square().mean(1, keepdim=True)
    # Half the squared distance of unit vectors is 1 − cosine without its cancellation near 1.
    one_is_zero = (x == 0).all(1, keepdim=True) ^ (y == 0).all(1, keepdim=True)
    return (unit(x) - unit(y)).square().sum(1, keepdim=True) / 2 + one_is_zero.to(x.dtype) / 2


def gram(x: Tensor, kind: Gram = "normalised") -> Tensor:
    """Which channels of a map fire together, ``(n, c, h, w) -> (n, c, c)``.

    Args:
        x: feature maps.
        kind: ``"normalised"``: F·Fᵀ/(c·h·w), Johnson et al. 2016, eq. 3; ``"unnormalised"``: F·Fᵀ, Gatys et al.
            2016, eq. 3.

    Example:
        >>> map = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
        >>> float(gram(map)), float(gram(map, "unnormalised"))
        (5.0, 10.0)
    """
    vectors = x.flatten(2)
    products = vectors @ vectors.transpose(1, 2)
    return products / (x.shape[1] * vectors.shape[2]) if kind == "normalised" else products


def gram_distance(x: Tensor, y: Tensor, kind: Gram, positions: int) -> Tensor:
    """How far two Gram matrices are apart, ``(n, c, c) -> (n,)``.

    Args:
        x, y: Gram matrices.
        kind: ``"normalised"``: the squared Frobenius norm, Johnson et al. 2016, eq. 4; ``"unnormalised"``: the
            same over 4·c²·positions², Gatys et al. 2016, eq. 4.
        positions: height times width of the maps.

    Example:
        >>> a, b = torch.zeros(1, 1, 1), torch.full((1, 1, 1), 8.0)
        >>> float(gram_distance(a, b, "normalised", 2)), float(gram_distance(a, b, "unnormalised", 2))
        (64.0, 4.0)
    """
    if kind == "normalised":
        return (x - y).square().sum((1, 2))
    # Divided before the square: the product of large features would not fit float32.
    return ((x - y) / (2 * x.shape[1] * positions)).square().sum((1, 2))


class _OnFeatures(Metric):
    """What both losses share: a network, its layers and their weights."""

    def __init__(
        self,
        *,
        network: str | nn.Module = "vgg16",
        layers: Layers = (),
        network_file: str | Path | None = None,
        pooling: Pooling = "max",
        normalise: bool = True,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.weights = _layer_weights(layers, self.facts.name)
        self._known = isinstance(network, str)
        self.network = network if isinstance(network, str) else type(network).__name__
        self.pooling, self.normalise = pooling, normalise
        self.features = Features(
            network, list(self.weights), file=network_file, pooling=pooling,
            mean=IMAGENET_MEAN if normalise else None, std=IMAGENET_STD if normalise else None,
        )  # fmt: skip

    @property
    def min_side(self) -> int:
        return self.features.min_side

    @property
    def channels(self) -> tuple[int, ...] | None:
        return (3,) if self._known or self.normalise else None

    def prepare(self, y: Tensor) -> Prepared:
        """Keep the features of a reference: the result scores further images for half the work.

        Args:
            y: references ``(n, 3, h, w)`` in ``data_range``; they get no gradient.

        Returns:
            What is called with ``x`` alone.
        """
        _, checked = self._enter(y, y)
        with torch.no_grad():
            return Prepared(self, y, self._describe(checked))

    def score(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        kept = y.kept if isinstance(y, Prepared) else self._describe(y)
        parts = zip(self.weights.values(), self._describe(x), kept, strict=True)
        return torch.stack([weight * self._apart(a, b) for weight, a, b in parts]).sum(0)

    def settings(self) -> dict[str, object]:
        layers = "+".join(
            name if weight == 1 else f"{number(weight)}*{name}" for name, weight in self.weights.items()
        )
        return {
            "net": self.network,
            "weights": self.features.origin or None,
            "layers": layers,
            "pool": None if self.pooling == "max" else self.pooling,
            "norm": None if self.normalise else "no",
        }

    def _describe(self, image: Tensor) -> list[Any]:
        """What is compared, one a layer."""
        return list(self.features(image))

    def _apart(self, x: Any, y: Any) -> Tensor:
        """How far two images are apart in one layer, ``(n,)``."""
        raise NotImplementedError


class Perceptual(_OnFeatures):
    """Content loss: Σ_l w_l · mean |φ_l(x) − φ_l(y)|, ``(n, 3, h, w) -> (n,)``.

    Args:
        network: ``"vgg16"``, ``"vgg19"``, ``"alexnet"``, ``"squeezenet1_1"``, or a module of your own, which is
            copied and frozen.
        layers: one name, several, or names with their weights: ``{"relu2_2": 1.0, "relu3_3": 0.5}``.
        distance: ``"l1"``, ``"l2"`` (Johnson et al.) or ``"cosine"``, as in `feature_distance`.
        network_file: a weight file to be taken instead of searching for one.
        pooling: ``"max"`` as the networks were trained, or ``"average"`` (Gatys et al.); of the known networks.
        normalise: whether ImageNet's mean and deviation of the channels are taken off and divided by.
        data_range, reduction, check: as in `Metric`.

    Sides of at least 4 px with the default layer, more with deeper ones. ``map`` gives ``(n, 1, h, w)``, each layer
    enlarged bilinearly.

    Raises:
        ValueError: for an unknown network, layer or distance, with the nearest one, and for bad weights.
        lookalike.weights.MissingWeights: when the weights are neither here nor to be had; says where to get them.

    Example:
        >>> toy = nn.Sequential(nn.AvgPool2d(2), nn.ReLU())
        >>> metric = Perceptual(network=toy, layers={"0": 0.5, "1": 1}, distance="l2", normalise=False)
        >>> float(metric(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)))
        0.375
    """

    facts: ClassVar[Facts] = Facts(
        name="perceptual",
        suits="as a loss on features of VGG16",
        fails="as a quality score: it was not fitted to people",
        map_high=5.0,
        title="Perceptual (content) loss on VGG16", better="lower", range=(0.0, math.inf),
        paper="Johnson et al. 2016, doi 10.1007/978-3-319-46475-6_43", identical=0.0, smooth=False, min_side=4,
        channels=(3,), weights=("vgg16",), declines={"channels": _COLOURS},
    )  # fmt: skip

    def __init__(self, *, layers: Layers = "relu3_3", distance: Distance = "l1", **options: Any) -> None:
        super().__init__(layers=layers, **options)
        choice(self.facts.name, "distance", distance, get_args(Distance))
        self.distance: Distance = distance

    def score_map(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        kept = y.kept if isinstance(y, Prepared) else self._describe(y)
        maps = [
            weight * nn.functional.interpolate(
                feature_distance(a, b, self.distance), x.shape[2:], mode="bilinear", align_corners=False
            )
            for weight, a, b in zip(self.weights.values(), self._describe(x), kept, strict=True)
        ]  # fmt: skip
        return torch.stack(maps).sum(0)

    def settings(self) -> dict[str, object]:
        return super().settings() | {"dist": self.distance}

    def _apart(self, x: Tensor, y: Tensor) -> Tensor:
        return feature_distance(x, y, self.distance).flatten(1).mean(1)


class Style(_OnFeatures):
    """Style loss: Σ_l w_l · ‖G_l(x) − G_l(y)‖² of Gram matrices, ``(n, 3, h, w) -> (n,)``.

    Args:
        gram: ``"normalised"`` (Johnson et al. 2016) or ``"unnormalised"`` (Gatys et al. 2016), as in `gram` and
            `gram_distance`.
        network, layers, network_file, pooling, normalise: as in `Perceptual`.
        data_range, reduction, check: as in `Metric`.

    Sides of at least 8 px with the default layers. A Gram matrix forgets where things are: this is a loss for
    texture, and small movements cost next to nothing.

    Raises:
        ValueError: for an unknown network, layer or kind, with the nearest one, and for bad weights.
        lookalike.weights.MissingWeights: when the weights are neither here nor to be had; says where to get them.

    Example:
        >>> toy = nn.Sequential(nn.AvgPool2d(2), nn.ReLU())
        >>> metric = Style(network=toy, layers="1", normalise=False)
        >>> float(metric(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)))
        1.0
    """

    facts: ClassVar[Facts] = Facts(
        name="style",
        suits="as a loss of texture",
        fails="for anything that has a place: it forgets where things are",
        title="Style loss (Gram matrices) on VGG16", better="lower", range=(0.0, math.inf),
        paper="Gatys et al. 2016, doi 10.1109/CVPR.2016.265", identical=0.0, smooth=False, min_side=8,
        channels=(3,), weights=("vgg16",), declines={"channels": _COLOURS},
        alone="it forgets where things are",
    )  # fmt: skip

    def __init__(
        self,
        *,
        layers: Layers = ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        gram: Gram = "normalised",
        **options: Any,
    ) -> None:
        super().__init__(layers=layers, **options)
        choice(self.facts.name, "gram", gram, get_args(Gram))
        self.gram: Gram = gram

    def settings(self) -> dict[str, object]:
        return super().settings() | {"gram": self.gram}

    def _describe(self, image: Tensor) -> list[tuple[Tensor, int]]:
        return [(gram(one, self.gram), one.shape[2] * one.shape[3]) for one in self.features(image)]

    def _apart(self, x: tuple[Tensor, int], y: tuple[Tensor, int]) -> Tensor:
        return gram_distance(x[0], y[0], self.gram, x[1])


def _layer_weights(layers: Layers, who: str) -> dict[str, float]:
    """Names with their weights, however they were given."""
    if isinstance(layers, str):
        return {layers: 1.0}
    if not isinstance(layers, Mapping):
        layers = dict.fromkeys(layers, 1.0)
    if not layers:
        raise ValueError(f"{who}: needs at least one layer")
    for name, weight in layers.items():
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            raise ValueError(f"{who}: the weight of layer {name!r} must be a number, got {weight!r}")
    return {name: float(weight) for name, weight in layers.items()}
