"""KID, kernel distance of two sets of images by their deep features: no pairs needed, no bias in small sets.

Bińkowski, Sutherland, Arbel & Gretton, "Demystifying MMD GANs", ICLR 2018, arXiv:1801.01401: the unbiased estimate
of the squared maximum mean discrepancy under k(x, y) = (xᵀy / d + 1)³, averaged over random subsets.

What differs: the paper's features are those of Inception. Here they are what is at hand, VGG16's last pooling
averaged over its positions, or those of a network that the user names; title and signature say which, for numbers
on different features cannot be compared. Images are seen at their own size, never resized.
"""

from __future__ import annotations

import copy
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from lookalike import signature, weights
from lookalike.ops.features import NETWORKS, Features

SUBSETS = 100
LARGEST = 1000  # of a subset, as in the paper
LEAST = 4  # images of a side: two in a subset, which are not always the same
LAYER = "pool5"
DEFAULT = "vgg16"
_TITLES = {"vgg16": "VGG16", "vgg19": "VGG19", "alexnet": "AlexNet"}


@dataclass(frozen=True)
class Describer:
    """What turns images into one vector each.

    Attributes:
        name: short, for names of columns: ``vgg16_pool5``.
        title: for people: ``VGG16 pool5``.
        signature: for `signature.write`: which features, of which weights.
        vectors: ``(n, 3, h, w)`` in [0, 1] to ``(n, d)``.
        min_side: the smallest side it takes.
    """

    name: str
    title: str
    signature: str
    vectors: Callable[[Tensor], Tensor]
    min_side: int = 1


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate of the squared MMD (eq. 4 of the paper) under the cubic kernel; below 0 by chance.

    Args:
        x, y: features ``(m, d)`` and ``(n, d)``, at least two of each.

    Returns:
        A scalar of float64.

    Example:
        >>> round(float(squared_mmd(torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]]))), 3)
        9.5
    """
    x, y = x.double(), y.double()
    own = []
    for features in (x, y):
        kernel, count = _cubic(features, features), len(features)
        own.append((kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1)))
    return own[0] + own[1] - 2 * _cubic(x, y).mean()


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def subset_size(x: int, y: int) -> int:
    """How many images a subset has: half of the smaller side, at most 1000.

    Halves, not all: a mean over random halves varies as much as the mean of all does from sample to sample, so the
    deviation says about how far a number of so many images can be trusted. Over whole sets it would be 0.

    Example:
        >>> subset_size(121, 751), subset_size(5000, 5000)
        (60, 1000)
    """
    return min(LARGEST, min(x, y) // 2)


def kid(x: Tensor, y: Tensor, *, subset: int = 0, subsets: int = SUBSETS, seed: int = 0) -> tuple[float, float]:
    """KID of two sets of features: mean and standard deviation over random subsets.

    Args:
        x, y: features ``(m, d)`` and ``(n, d)``.
        subset: vectors drawn of each without replacement; 0: `subset_size`.
        subsets: how many draws.
        seed: of the draws.

    Raises:
        ValueError: for a subset below 2 or beyond the smaller set.

    Example:
        >>> chance = torch.Generator().manual_seed(0)
        >>> x, y = (torch.rand(40, 8, generator=chance) for _ in range(2))
        >>> near, _ = kid(x, y)
        >>> far, _ = kid(x, y + 1)
        >>> abs(near) < 0.1 < far
        True
    """
    subset = subset or subset_size(len(x), len(y))
    if not 2 <= subset <= min(len(x), len(y)):
        raise ValueError(
            f"kid: a subset must have 2 to {min(len(x), len(y))} images, as many as there are; got {subset}"
        )
    x, y = x.detach(), y.detach()
    chance = torch.Generator("cpu").manual_seed(seed)

    def drawn(features: Tensor) -> Tensor:
        order = torch.randperm(len(features), generator=chance, device="cpu")
        return features[order[:subset].to(features.device)]

    estimates = torch.stack([squared_mmd(drawn(x), drawn(y)) for _ in range(subsets)])
    return float(estimates.mean()), float(estimates.std(correction=0))


def sign(describer: Describer, x: int, y: int) -> str:
    """The signature of a KID of so many images against so many."""
    settings = {
        "features": describer.signature, "resize": "no", "kernel": "cubic", "of": f"{x},{y}",
        "subsets": f"{SUBSETS}x{subset_size(x, y)}", "seed": 0,
    }  # fmt: skip
    return signature.write("kid", settings, 1)


def describer_of(asked: str = DEFAULT, device: str = "cpu") -> Describer:
    """The features that a name stands for.

    Args:
        asked: a network with published weights, such as vgg16 or alexnet, or ``package.module:name`` of your own:
            a network (an instance, a class or a function that makes one without arguments) from images
            ``(n, 3, h, w)`` in [0, 1] to ``(n, d)`` or ``(n, d, h', w')``, of which the mean over positions counts.
        device: that computes.

    Raises:
        ValueError: for an unknown name, with the nearest, or a module that cannot be imported.
        TypeError: for what is not a network.
        weights.MissingWeights: when the weights are not on this machine; nothing is downloaded here.
    """
    if ":" in asked:
        return _imported(asked, device)
    if asked in NETWORKS and (absent := weights.missing(asked)):
        raise weights.MissingWeights(f"{absent}; lookalike weights fetch {asked}")
    network = Features(asked, [LAYER]).to(device)
    origin = f"({network.origin})" if network.origin else ""
    return Describer(
        f"{asked}_{LAYER}", f"{_TITLES.get(asked, asked)} {LAYER}", f"{asked}-{LAYER}-mean{origin}",
        lambda images: _flat(network(images)[0], asked), network.min_side,
    )  # fmt: skip


def _imported(path: str, device: str) -> Describer:
    """A network of the user's own; a hash of its weights is part of the signature."""
    sys.path.append(os.getcwd())  # the module is often in this folder
    module_name, _, name = path.partition(":")
    try:
        member: Any = getattr(import_module(module_name), name)
        network = member if isinstance(member, nn.Module) else member()
    except Exception as error:  # a third-party module may fail in any way
        raise ValueError(f"kid: cannot make {path!r} ({type(error).__name__}: {error})") from None
    if not isinstance(network, nn.Module):
        raise TypeError(f"kid: {path!r} must be or make a torch.nn.Module, is {type(network).__name__}")
    network = copy.deepcopy(network).to(device).eval()  # its module may hold the original, and change it
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode() + value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return Describer(
        name.lower(), path, f"{path.replace(':', '.')}-{digest.hexdigest()[:8]}",
        lambda images: _flat(network(images), path),
    )  # fmt: skip


def _flat(features: Any, who: str) -> Tensor:
    if not isinstance(features, Tensor) or features.ndim not in (2, 4):
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"kid: {who} must give features (n, d) or (n, d, h, w), gave {shape}")
    return features if features.ndim == 2 else features.mean((2, 3))
