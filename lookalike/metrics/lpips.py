"""LPIPS, learned perceptual image patch similarity: distances of deep features weighed as people judged them.

Zhang, Isola, Efros, Shechtman, Wang: The unreasonable effectiveness of deep features as a perceptual metric,
CVPR 2018, doi 10.1109/CVPR.2018.00068. Version 0.1 of its weights.

Differs from the paper: nothing. A feature vector of zeros is left as it is, with gradient 0; in the authors'
program its gradient is NaN behind a ReLU that hides it.
Conventions: those of the authors' program (package lpips, ``version="0.1"``). RGB only: a grey image is refused,
for the networks never saw one; repeat its channel if you mean it. Images come in their ``data_range``, checked at
the door: there is no [-1, 1] to forget.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import weights
from lookalike.metric import Facts, Metric, Prepared
from lookalike.ops.features import Features, unit
from lookalike.ops.masks import masked_mean, of_pixels


def lpips_maps(x: Sequence[Tensor], y: Sequence[Tensor], heads: Sequence[Tensor]) -> list[Tensor]:
    """Eq. 1 of the paper before its mean: Σ_c w_c (x̂ − ŷ)² at every position of every layer.

    Args:
        x, y: unit-length feature vectors (`features.unit`), one map ``(n, c, h, w)`` a layer.
        heads: the weight of each channel, ``(c,)`` a layer, not negative.

    Returns:
        One map ``(n, 1, h, w)`` a layer.

    Example:
        >>> a, b = torch.zeros(1, 2, 1, 1), torch.ones(1, 2, 1, 1)
        >>> float(lpips_maps([a], [b], [torch.tensor([0.5, 0.25])])[0])
        0.75
    """
    return [
        F.conv2d((a - b).square(), head.to(a.dtype).view(1, -1, 1, 1))
        for a, b, head in zip(x, y, heads, strict=True)
    ]


class LPIPSAlex(Metric):
    """LPIPS on AlexNet, which its authors recommend as a metric, ``(n, 3, h, w) -> (n,)``.

    Args:
        network_file: a file with AlexNet's weights to be taken instead of searching for one.
        heads_file: likewise for the weights of the channels.
        data_range, reduction, check: as in `Metric`.

    Sides of at least 31 px. ``map`` gives ``(n, 1, h, w)``, each layer enlarged bilinearly.

    Raises:
        ValueError: for files that are damaged or do not fit.
        lookalike.weights.MissingWeights: when the weights are neither here nor to be had; says where to get them.

    Example:
        >>> lpips = LPIPSAlex()  # doctest: +SKIP
        >>> reference = lpips.prepare(y)  # doctest: +SKIP
        >>> scores = [reference(x) for x in candidates]  # doctest: +SKIP
    """

    facts: ClassVar[Facts] = Facts(
        name="lpips_alex",
        suits="for quality as people see it, of patches and photographs",
        fails="to be compared across versions",
        written="LPIPS (AlexNet)",
        aliases=("lpips",), title="LPIPS on AlexNet",
        paper="Zhang et al. 2018, doi 10.1109/CVPR.2018.00068",
        better="lower", range=(0.0, math.inf), identical=0.0, smooth=False, min_side=31, channels=(3,),
        masks=True, weights=("alexnet", "lpips-alex-heads"),
        declines={"channels": "the network learned colours: red and blue do not count alike"},
    )  # fmt: skip
    _network: ClassVar[str] = "alexnet"
    _heads: ClassVar[str] = "lpips-alex-heads"
    _layers: ClassVar[tuple[str, ...]] = ("relu1", "relu2", "relu3", "relu4", "relu5")

    def __init__(
        self, *, network_file: str | Path | None = None, heads_file: str | Path | None = None, **base: Any
    ) -> None:
        super().__init__(**base)
        self.features = Features(self._network, self._layers, file=network_file)
        loaded = weights.load(self._heads, heads_file)
        self._heads_origin = loaded.origin
        for index in range(len(self._layers)):
            name = f"lin{index}.model.1.weight"
            if name not in loaded.state:
                raise ValueError(f"{self.facts.name}: the weights of the channels have no {name!r}")
            self.keep(f"head{index}", loaded.state[name].flatten())

    @property
    def heads(self) -> list[Tensor]:
        """The weight of each channel, ``(c,)`` a layer."""
        return [self.get_buffer(f"head{index}") for index in range(len(self._layers))]

    def prepare(self, y: Tensor) -> Prepared:
        """Keep the features of a reference: the result scores further images for half the work.

        Args:
            y: references ``(n, 3, h, w)`` in ``data_range``; they get no gradient.

        Returns:
            What is called with ``x`` alone, and has a ``map`` of it.
        """
        _, checked = self._enter(y, y)
        with torch.no_grad():
            return Prepared(self, y, self._vectors(checked))

    def score(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        maps = self._layer_maps(x, y)
        return torch.stack([one.mean((1, 2, 3)) for one in maps]).sum(0)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """The layers' maps, each averaged by the valid share of what its values stand for."""
        counts = of_pixels(mask)
        scores = [
            masked_mean(one, F.adaptive_avg_pool2d(counts, (one.shape[2], one.shape[3])))
            for one in self._layer_maps(x, y)
        ]
        return torch.stack(scores).sum(0)

    def score_map(self, x: Tensor, y: Tensor | Prepared) -> Tensor:
        maps = self._layer_maps(x, y)
        enlarged = [F.interpolate(one, x.shape[2:], mode="bilinear", align_corners=False) for one in maps]
        return torch.stack(enlarged).sum(0)

    def settings(self) -> dict[str, object]:
        return {"weights": "v0.1", "network": self.features.origin or None, "heads": self._heads_origin or None}

    def _layer_maps(self, x: Tensor, y: Tensor | Prepared) -> list[Tensor]:
        kept = y.kept if isinstance(y, Prepared) else self._vectors(y)
        return lpips_maps(self._vectors(x), kept, self.heads)

    def _vectors(self, image: Tensor) -> list[Tensor]:
        return [unit(one) for one in self.features(image)]


class LPIPSVGG(LPIPSAlex):
    """LPIPS on VGG16, which its authors recommend as a loss; as `LPIPSAlex`, with sides of at least 16 px.

    Example:
        >>> LPIPSVGG.facts.weights
        ('vgg16', 'lpips-vgg-heads')
    """

    facts: ClassVar[Facts] = dataclasses.replace(
        LPIPSAlex.facts,
        name="lpips_vgg",
        suits="as LPIPS to train with",
        fails="where LPIPS on AlexNet is what others report",
        written="LPIPS (VGG16)",
        aliases=(),
        title="LPIPS on VGG16",
        min_side=16,
        weights=("vgg16", "lpips-vgg-heads"),
    )
    _network = "vgg16"
    _heads = "lpips-vgg-heads"
    _layers = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


class LPIPSSqueeze(LPIPSAlex):
    """LPIPS on SqueezeNet 1.1, the smallest; as `LPIPSAlex`, with sides of at least 17 px.

    Example:
        >>> LPIPSSqueeze.facts.weights
        ('squeezenet1_1', 'lpips-squeeze-heads')
    """

    facts: ClassVar[Facts] = dataclasses.replace(
        LPIPSAlex.facts, name="lpips_squeeze",
        suits="as LPIPS with a small network",
        fails="where LPIPS on AlexNet is what others report",
        written="LPIPS (SqueezeNet)",
        aliases=(), title="LPIPS on SqueezeNet 1.1", min_side=17,
        weights=("squeezenet1_1", "lpips-squeeze-heads"), declines={
            **LPIPSAlex.facts.declines,
            "reach": "the first convolution, of stride 2 and without border, misses the last row of an even side",
        },
    )  # fmt: skip
    _network = "squeezenet1_1"
    _heads = "lpips-squeeze-heads"
    _layers = ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
