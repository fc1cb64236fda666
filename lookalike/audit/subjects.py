"""What is audited – a metric of the catalogue, a loss, anything that takes two batches – and the test pictures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from lookalike import losses, registry
from lookalike.distortions import DISTORTIONS
from lookalike.losses import presets
from lookalike.metric import Facts, Metric

_SIDES = (64, 192, 256)  # tried in turn on metrics that do not state a smallest side


@dataclass(frozen=True)
class Subject:
    """A metric or loss under audit.

    Attributes:
        name: for tables.
        module: what is called with two batches.
        better: direction.
        best: score of identical images.
        side, channels: of the test images.
        facts: what it says of itself, None for third-party ones.
        rebuilt: makes the same metric for another data_range, where it takes one.
        device: where the test images are.
    """

    name: str
    module: Callable[[Tensor, Tensor], Tensor]
    better: str
    best: float
    side: int
    channels: int
    facts: Facts | None = None
    rebuilt: Callable[[Any], Callable[[Tensor, Tensor], Tensor]] | None = None
    declines: dict[str, str] = field(default_factory=dict)
    tolerates: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"

    def picture(self, seed: int = 0, side: int | None = None) -> Tensor:
        """A test image of the size and device that this metric takes, ``(1, c, side, side)``."""
        return texture(side or self.side, self.channels, seed).to(self.device)

    def scores(self, x: Tensor, y: Tensor) -> Tensor:
        """The scores of copies of the images: a metric that works in place spoils no other check."""
        return self.module(x.clone(), y.clone())

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean score of a batch, a scalar."""
        return self.scores(x, y).mean()

    def badness(self, score: float) -> float:
        """A number that grows as the score gets worse."""
        return score if self.better == "lower" else -score


def subject_of(target: str | nn.Module, device: str = "cpu") -> Subject:
    """A metric by name, a loss by expression or preset, ``"package.module:Class"``, or an object, made ready.

    A published preset is fed what its authors feed it: the test images on their range.

    Raises:
        ValueError: when it cannot be found, built without arguments, or called with two batches in [0, 1].
        TypeError: when it is not callable.

    Example:
        >>> subject_of("ssim").best
        1.0
    """
    if isinstance(target, str) and ":" not in target and target not in registry.names():
        return _of_expression(target, device)
    if isinstance(target, str) and ":" not in target:
        kind = registry.metric_class(target)
        return _of_catalogue(
            kind(check="shapes").to(device),
            lambda data_range: kind(check="shapes", data_range=data_range).to(device),
            device,
        )
    if isinstance(target, str):
        built, rebuilt = _imported(target, device)
        if isinstance(built, Metric):
            return _of_catalogue(built, rebuilt, device)
        return _third_party(target.rsplit(":", 1)[1], built, rebuilt, device)
    if isinstance(target, Metric):
        return _of_catalogue(target, None, device)
    if not callable(target):
        raise TypeError(f"audit: needs something to call with two batches, got {type(target).__name__}")
    return _third_party(type(target).__name__, target, None, device)


def _of_catalogue(metric: Metric, rebuilt: Callable[[Any], Metric] | None, device: str) -> Subject:
    channels = metric.channels[-1] if metric.channels else 3
    facts = metric.facts
    return Subject(
        facts.name, metric, facts.better, facts.identical, max(64, metric.min_side), channels, facts, rebuilt,
        dict(facts.declines), dict(facts.tolerates), device,
    )  # fmt: skip


def _of_expression(expression: str, device: str) -> Subject:
    """A loss by expression or preset."""
    preset = presets.PRESETS.get(expression)
    if preset is not None and preset.parts:
        built = losses.loss(expression).to(device)
        return _third_party(expression, _Rescaled(built, preset.fed), lambda data_range: built, device)

    def rebuilt(data_range: Any) -> nn.Module:
        return losses.loss(expression, data_range=data_range).to(device)

    return _third_party(expression, rebuilt(1.0), rebuilt, device)


class _Rescaled(nn.Module):
    """A loss without a data range, called with images scaled from the unit range to its own."""

    def __init__(self, loss: nn.Module, fed: tuple[float, float]) -> None:
        super().__init__()
        self.loss, self.fed = loss, fed

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        low, high = self.fed
        x, y = (image.to(torch.promote_types(image.dtype, torch.float32)) for image in (x, y))
        return self.loss(low + (high - low) * x, low + (high - low) * y)


def _imported(path: str, device: str) -> tuple[Any, Callable[[Any], Any] | None]:
    """Build ``package.module:Class`` (or take a function), for data in [0, 1] where it can be told so."""
    module_name, _, name = path.partition(":")
    try:
        make: Any = getattr(import_module(module_name), name)
    except AttributeError:
        raise ValueError(f"audit: module {module_name!r} has no {name!r}") from None
    except Exception as error:  # a third-party module may fail in any way
        raise ValueError(f"audit: cannot import {module_name!r} ({type(error).__name__}: {error})") from None
    if not callable(make):
        raise TypeError(f"audit: {path} is {make!r}; name a function or class to call with two batches")
    is_class: bool = isinstance(make, type)
    ours = isinstance(make, type) and issubclass(make, Metric)
    takes_range = "data_range" in _parameters(make)

    def build(data_range: Any) -> Any:
        options: dict[str, Any] = {"data_range": data_range} if takes_range or ours else {}
        if not is_class:
            return partial(make, **options)
        try:
            built = make(**options, check="shapes") if ours else make(**options)
            return built.to(device) if isinstance(built, nn.Module) else built
        except TypeError as error:
            raise ValueError(
                f"audit: cannot build {path} without arguments ({error}); name a function or class that can"
            ) from None

    return build(1.0), build if takes_range or ours else None


def _parameters(function: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError:  # some built-in functions have no signature
        return ()


def _third_party(name: str, built: Any, rebuilt: Callable[[Any], Any] | None, device: str) -> Subject:
    """Measure direction, best value and size on a texture and its noisy copy."""
    reasons = []
    for channels in (3, 1):
        for side in _SIDES:
            y = texture(side, channels).to(device)
            try:
                with torch.no_grad():
                    best = float(built(y.clone(), y.clone()).mean())
                    noisy = float(built(distorted(y, "gaussian_noise", 0.1), y.clone()).mean())
            except Exception as error:  # third-party code may refuse in any way
                reasons.append(f"{side} px, {channels} channels: {type(error).__name__}: {error}")
                continue
            better = "higher" if best > noisy else "lower"
            return Subject(name, built, better, best, side, channels, None, rebuilt, device=device)
    raise ValueError(f"audit: {name} scores no pair of batches in [0, 1] ({reasons[0]})")


def texture(side: int, channels: int, seed: int = 0) -> Tensor:
    """A picture-like test image: smooth shading, edges and fine grain, ``(1, channels, side, side)`` in [0, 1].

    Example:
        >>> tuple(texture(32, 3).shape)
        (1, 3, 32, 32)
    """
    return torch.from_numpy(_texture(side, channels, seed).copy())  # which nobody's arithmetic in place can spoil


@cache
def _texture(side: int, channels: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    shading = np.zeros((side, side))
    for sigma in (1, 2, 4, 8, 16):
        shading += sigma * ndimage.gaussian_filter(random.standard_normal((side, side)), sigma, mode="wrap")
    shading = (shading - shading.min()) / np.ptp(shading)
    edges = np.zeros((side, side))
    for _ in range(8):
        top, left = random.integers(0, side - side // 4, 2)
        edges[top : top + side // 4, left : left + side // 4] += random.uniform(-0.3, 0.3)
    planes = []
    for _ in range(channels):
        tint, grain = random.uniform(0.8, 1.0), 0.02 * random.standard_normal((side, side))
        planes.append(np.clip(0.1 + 0.7 * tint * shading + edges + grain, 0.02, 0.98))
    return np.stack(planes)[None].astype(np.float32)


def distorted(y: Tensor, name: str, strength: float) -> Tensor:
    """One of `distortions.DISTORTIONS` applied to a batch of one."""
    image = np.moveaxis(y[0].double().cpu().numpy(), 0, -1)
    return torch.from_numpy(np.moveaxis(DISTORTIONS[name](image, strength), -1, 0)[None].copy()).to(y)


def degenerate(subject: Subject) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs on which formulas divide by zero, take roots of zero, or cancel."""
    side = subject.side
    y = subject.picture()
    grey, black = torch.full_like(y, 0.6), torch.zeros_like(y)
    point = black.clone()
    point[..., side // 2, side // 2] = 1.0
    least = subject.facts.min_side if subject.facts else side
    tiny = y[..., :least, :least]
    return {
        "identical": (y, y.clone()),
        "black": (black, black.clone()),
        "white": (black + 1, black + 1),
        "flat": (grey, grey.clone()),
        "flat and flat + 1e-7": (grey + 1e-7, grey),
        "flat and flat": (grey, grey / 2),
        "flat and picture": (grey, y),
        "picture and flat": (y, grey),
        "black and white": (black, black + 1),
        "inverted": (1 - y, y),
        "one pixel": (point, black),
        "one pixel against itself": (point, point.clone()),
        "tiny": (tiny.flip(-1), tiny),
        "huge offset": (distorted(y, "gaussian_noise", 0.05) + 3000, y + 3000),
    }
