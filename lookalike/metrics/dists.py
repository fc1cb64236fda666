"""DISTS, deep image structure and texture similarity: forgives one grass for another, punishes lost structure.

Ding, Ma, Wang, Simoncelli: Image quality assessment: unifying structure and texture similarity, IEEE TPAMI 44(5),
2022, doi 10.1109/TPAMI.2020.3045810.

Differs from the paper: nothing. 1 − l and 1 − s (eq. 6 and 7) are written as squared differences over the same
denominators, so that identical images score exactly 0 and near ones lose no digits to cancellation.
Conventions: those of the authors' program (package DISTS-pytorch), which does not resize; the paper's figures are
for images of 256 px on the shorter side. RGB only: a grey image is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from lookalike import weights
from lookalike.metric import Facts, Metric, Prepared
from lookalike.ops.features import Features

C1 = C2 = 1e-6
_CHANNELS = (3, 64, 128, 256, 512, 512)


class Statistics(NamedTuple):
    """A map ``(n, c, h, w)`` with the mean and variance ``(n, c)`` of each channel."""

    map: Tensor
    mean: Tensor
    variance: Tensor


def statistics(map: Tensor) -> Statistics:
    """Mean and population variance over the positions of a map.

    Example:
        >>> found = statistics(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2))
        >>> float(found.mean), float(found.variance)
        (0.5, 0.25)
    """
    mean = map.mean((2, 3))
    return Statistics(map, mean, (map - mean[..., None, None]).square().mean((2, 3)))


def dists(x: Sequence[Statistics], y: Sequence[Statistics], alpha: Tensor, beta: Tensor) -> Tensor:
    """Eq. 8 of the paper: 1 − Σ_ij (α_ij·l + β_ij·s), the weights summing to one.

    Args:
        x, y: statistics of the image and of each layer's map.
        alpha, beta: weights of texture and of structure, one a channel, ``(Σc,)``.

    Returns:
        ``(n,)``, 0 for identical images.

    Example:
        >>> a, b = (statistics(image.view(1, 1, 1, 2)) for image in torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        >>> half = torch.tensor([0.5])
        >>> round(float(dists([a], [b], half, half)), 5)
        1.0
    """
    total = x[0].mean.new_zeros(x[0].mean.shape[0])
    sizes = [one.mean.shape[1] for one in x]
    pairs = zip(x, y, alpha.to(total.dtype).split(sizes), beta.to(total.dtype).split(sizes), strict=True)
    for a, b, texture, structure in pairs:
        unlike_mean = (a.mean - b.mean).square() / (a.mean.square() + b.mean.square() + C1)
        # The variance of a difference is the sum of the variances less twice the covariance.
        difference = a.map - b.map
        difference = difference - (a.mean - b.mean)[..., None, None]
        unlike = difference.square().mean((2, 3)) / (a.variance + b.variance + C2)
        total = total + (texture * unlike_mean + structure * unlike).sum(1)
    return total


class DISTS(Metric):
    """Deep image structure and texture similarity on VGG16, ``(n, 3, h, w) -> (n,)``.

    Args:
        network_file: a file with VGG16's weights to be taken instead of searching for one.
        heads_file: likewise for the weights of texture and structure.
        data_range, reduction, check: as in `Metric`.

    Sides of at least 16 px, below which the deepest map would see its border alone.

    Raises:
        ValueError: for files that are damaged or do not fit.
        lookalike.weights.MissingWeights: when the weights are neither here nor to be had; says where to get them.

    Example:
        >>> metric = DISTS(data_range=255)  # doctest: +SKIP
        >>> metric.signature()  # doctest: +SKIP
        'dists|range:255|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="dists",
        suits="where a texture may be another sample of itself",
        fails="where every pixel has to be in its place",
        written="DISTS",
        title="Deep structure and texture similarity", better="lower", range=(0.0, 2.0),
        paper="Ding et al. 2022, doi 10.1109/TPAMI.2020.3045810", identical=0.0, smooth=False, min_side=16,
        channels=(3,), weights=("vgg16", "dists-weights"),
        declines={"channels": "the network learned colours: red and blue do not count alike"},
    )  # fmt: skip
    _layers: ClassVar[tuple[str, ...]] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")

    def __init__(
        self, *, network_file: str | Path | None = None, heads_file: str | Path | None = None, **base: Any
    ) -> None:
        super().__init__(**base)
        self.features = Features("vgg16", self._layers, file=network_file, pooling="l2")
        loaded = weights.load("dists-weights", heads_file)
        self._heads_origin = loaded.origin
        for name in ("alpha", "beta"):
            if name not in loaded.state or loaded.state[name].numel() != sum(_CHANNELS):
                raise ValueError(f"{self.facts.name}: the weights need {name!r} with {sum(_CHANNELS)} numbers")
        total = sum(float(loaded.state[name].double().sum()) for name in ("alpha", "beta"))
        self.alpha: Tensor
        self.beta: Tensor
        for name in ("alpha", "beta"):
            self.keep(name, loaded.state[name].flatten() / total)

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
        return dists(self._describe(x), kept, self.alpha, self.beta)

    def settings(self) -> dict[str, object]:
        return {"network": self.features.origin or None, "heads": self._heads_origin or None}

    def _describe(self, image: Tensor) -> list[Statistics]:
        return [statistics(one) for one in (image, *self.features(image))]
