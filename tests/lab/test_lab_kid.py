"""KID is the published estimate, on features that it names, and absent with a reason where it cannot be had."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from learned import needs
from torch import Tensor, nn
from torchvision_schemas import register_torchvision_schemas

from lookalike import weights
from lookalike.lab import kid
from lookalike.lab.columns import AT_ONCE, _kid_column
from lookalike.lab.judge import as_markdown
from lookalike.lab.task import Direction
from lookalike.weights import obtain

WAY = Direction("a-to-b", "A → B", "a", paired=False)


def features(count: int, seed: int, shift: float = 0.0, size: int = 16) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """Equation 4 of the paper, pair by pair."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def own(z: np.ndarray) -> float:
        pairs = [k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
        return sum(pairs) / len(pairs)

    return own(x) + own(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


@pytest.mark.parametrize(("m", "n"), [(5, 5), (2, 7), (6, 3)])
def test_the_estimate_is_the_papers(m: int, n: int) -> None:
    x, y = features(m, 1), features(n, 2, 0.5)
    assert float(kid.squared_mmd(x, y)) == pytest.approx(by_hand(x.numpy(), y.numpy()), rel=1e-12)


@pytest.mark.peers
def test_the_estimate_is_that_of_torchmetrics() -> None:
    register_torchvision_schemas()
    theirs = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics is not here")
    x, y = features(40, 3, size=512), features(40, 4, 0.3, size=512)
    assert float(kid.squared_mmd(x, y)) == pytest.approx(float(theirs.poly_mmd(x, y)), rel=1e-12)


def test_no_bias_in_small_sets() -> None:
    drawn = [float(kid.squared_mmd(features(6, 2 * at), features(6, 2 * at + 1))) for at in range(600)]
    error = np.std(drawn) / len(drawn) ** 0.5
    assert abs(np.mean(drawn)) < 3 * error
    assert min(drawn) < 0  # as an estimate without bias of a distance of 0 must be


def test_a_subset_of_all_is_the_estimate_itself() -> None:
    x, y = features(9, 5), features(9, 6, 1.0)
    mean, deviation = kid.kid(x, y, subset=9, subsets=5)
    assert mean == pytest.approx(float(kid.squared_mmd(x, y)), rel=1e-12)
    assert deviation < 1e-12 * mean


def test_the_same_seed_draws_the_same_subsets() -> None:
    x, y = features(20, 7), features(30, 8, 1.0)
    assert kid.kid(x, y) == kid.kid(x, y)
    assert kid.kid(x, y) != kid.kid(x, y, seed=1)
    assert kid.kid(x, y)[0] == pytest.approx(float(kid.squared_mmd(x, y)), rel=0.2)


def test_the_deviation_over_halves_is_that_between_samples() -> None:
    samples = [(features(60, 100 + at), features(60, 200 + at, 0.5)) for at in range(40)]
    between = np.std([float(kid.squared_mmd(x, y)) for x, y in samples])
    within = np.mean([kid.kid(x, y)[1] for x, y in samples])
    assert 0.75 < within / between < 1.5


@pytest.mark.parametrize("subset", [1, 7])
def test_a_subset_that_cannot_be_drawn(subset: int) -> None:
    with pytest.raises(ValueError, match=f"2 to 6 images, as many as there are; got {subset}"):
        kid.kid(features(6, 0), features(8, 1), subset=subset)


# ---- features


class Toy(nn.Module):
    """Means over quarters, through a layer; with a buffer of no dimension, as a batch norm has."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 5)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A user's module."""
    module: Any = ModuleType("users_own")
    torch.manual_seed(0)
    module.toy, module.Toy, module.maps = Toy(), Toy, lambda: nn.AvgPool2d(2)
    module.number, module.words = 3, lambda: "no network"
    module.three = lambda: nn.Flatten(2)
    monkeypatch.setitem(sys.modules, "users_own", module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return module


def test_a_network_of_the_users_own(own: Any) -> None:
    images = torch.rand(3, 3, 8, 8)
    made = kid.describer_of("users_own:toy")
    assert torch.equal(made.vectors(images), own.toy(images))
    assert made.title == "users_own:toy"
    assert made.signature.startswith("users_own.toy-")
    assert made.signature == kid.describer_of("users_own:toy").signature
    with torch.no_grad():
        own.toy.layer.bias += 1
    assert made.signature != kid.describer_of("users_own:toy").signature
    assert kid.describer_of("users_own:Toy").vectors(images).shape == (3, 5)
    flat = kid.describer_of("users_own:maps").vectors(images)
    assert torch.allclose(flat, images.mean((2, 3)))


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ("vgg61", ValueError, "no network 'vgg61' .did you mean 'vgg1"),
        ("users_own:tpy", ValueError, "cannot make 'users_own:tpy' .AttributeError"),
        ("nobodys:Toy", ValueError, "cannot make 'nobodys:Toy' .ModuleNotFoundError"),
        ("users_own:words", TypeError, "must be or make a torch.nn.Module, is str"),
    ],
)
def test_features_that_there_are_not(own: ModuleType, asked: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        kid.describer_of(asked)


def test_features_of_another_shape(own: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"must give features \(n, d\) or \(n, d, h, w\), gave \(2, 3, 16\)"):
        kid.describer_of("users_own:three").vectors(torch.rand(2, 3, 4, 4))


@needs("vgg16")
def test_vgg16_by_default_and_said_so() -> None:
    made = kid.describer_of()
    assert made.vectors(torch.rand(2, 3, 32, 32)).shape == (2, 512)
    assert (made.name, made.title, made.min_side) == ("vgg16_pool5", "VGG16 pool5", 32)
    column = _kid_column(WAY, 4, torch.rand(5, 3, 32, 32), made, "vgg16")
    assert column.name == "a-to-b:kid_vgg16_pool5"
    assert column.title == "A → B: KID (VGG16 pool5)"
    assert "features:vgg16-pool5-mean" in column.signature
    assert "subsets:100x2" in column.signature


def test_weights_that_are_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(obtain, "find", lambda *_: None)
    with pytest.raises(weights.MissingWeights, match="not on this machine: vgg16; lookalike weights fetch vgg16"):
        kid.describer_of()


# ---- the column


def test_the_column_compares_with_the_other_side(own: Any) -> None:
    made = kid.describer_of("users_own:toy")
    dark, bright = torch.rand(AT_ONCE + 3, 3, 8, 8) * 0.2, 0.8 + 0.2 * torch.rand(AT_ONCE + 1, 3, 8, 8)
    column = _kid_column(WAY, len(dark), bright, made, "users_own:toy")
    assert column.whole is not None
    near, _ = column.whole(bright[torch.randperm(len(bright))])
    far, deviation = column.whole(dark)
    with torch.no_grad():
        assert far == pytest.approx(kid.kid(own.toy(dark).double(), own.toy(bright).double())[0], rel=1e-5)
    assert near < 3 * deviation < far


def test_too_few_images_are_no_set(own: ModuleType) -> None:
    column = _kid_column(WAY, 3, torch.rand(9, 3, 8, 8), kid.describer_of("users_own:toy"), "users_own:toy")
    assert column.absent == "needs 4 images a side, there are 3 and 9"


def test_a_deviation_over_subsets_is_shown_as_such() -> None:
    cell = {"mean": 1.5, "low": None, "high": None, "sd_subsets": 0.25, "sd_seeds": None, "best": True, "p": None}
    matrix = {
        "columns": [{"name": "a-to-b:kid_vgg16_pool5", "better": "lower"}],
        "rows": [{"label": "l1", "kind": "loss", "own": [], "cells": {"a-to-b:kid_vgg16_pool5": cell}}],
    }
    assert "| l1 | **1.5 (0.25)** |" in as_markdown(matrix)
