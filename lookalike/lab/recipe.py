"""Recipes: everything that decides what a run of the lab computes, as frozen dataclasses without torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from lookalike.options import meant

Damage = Literal["noise", "jpeg", "half"]
Precision = Literal["auto", "float32", "bfloat16"]

PUBLISHED = (
    "l1",
    "ssim",
    "ssim_l1",
    "ssim_l2_a",
    "ssim_l2_b",
    "ssim_l1l2_b",
    "l2",
    "l1_l2",
    "ssim_l1l2_a",
)  # fmt: skip - the write-up shows the first six


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every task needs.

    Attributes:
        data: folder of images; none: crops of scikit-image's photographs.
        losses: expressions such as "0.84*ms_ssim+0.16*l1", each trained alone.
        seeds: how many runs of each loss, of seeds 0, 1, 2 ...
        steps: optimiser steps of one run.
        batch_size: images of one step, over all processes together.
        side: of the square crops, in pixels.
        load: shorter side to which images are scaled before the crop; 0: as they are.
        flip: mirror half of the crops.
        width: channels of the first layer.
        lr: Adam's learning rate.
        constant: share of the steps before the learning rate falls linearly.
        ema: decay of the averaged weights, which are the ones judged.
        clip: largest norm of a gradient; 0: any.
        calibrate: scale each loss until it pulls at the output as hard as L1 does.
        precision: of the networks; losses are always computed in float32.
        held_out: how many images to judge on.
        log_every: steps between two lines of terms.jsonl.
        save_every: steps between two checkpoints.
    """

    task: ClassVar[str]

    data: str = ""
    losses: tuple[str, ...] = ("mse", "ssim", "0.84*ms_ssim+0.16*l1")
    seeds: int = 1
    steps: int = 600
    batch_size: int = 4
    side: int = 176
    load: int = 0
    flip: bool = True
    width: int = 24
    lr: float = 2e-3
    constant: float = 0.5
    ema: float = 0.99
    clip: float = 1.0
    calibrate: bool = True
    precision: Precision = "auto"
    held_out: int = 8
    log_every: int = 10
    save_every: int = 100

    def __post_init__(self) -> None:
        if not self.losses:
            raise ValueError("recipe: losses is empty; name at least one, such as ssim")
        if len(set(self.losses)) < len(self.losses):
            raise ValueError(f"recipe: losses names one twice: {' '.join(self.losses)}")
        for name in ("seeds", "steps", "batch_size", "side", "width", "held_out", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"recipe: {name} must be at least 1, got {getattr(self, name)}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"recipe: {field.name} must be a finite number, got {value}")
        for name in ("constant", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"recipe: {name} must be in [0, 1], got {getattr(self, name)}")
        if self.ema == 1:
            raise ValueError("recipe: ema must be below 1, or the weights judged would never be trained")
        if not self.lr > 0 or self.clip < 0:
            raise ValueError(f"recipe: lr must be positive and clip not negative, got {self.lr} and {self.clip}")
        if self.load and self.load < self.side:
            raise ValueError(f"recipe: load={self.load} px is smaller than the crop of side={self.side} px")

    def rate(self, step: int) -> float:
        """The learning rate of a step: constant, then linear towards 0, which it never reaches.

        Example:
            >>> [round(Autoencode(steps=4, lr=1.0).rate(step), 3) for step in range(4)]
            [1.0, 1.0, 0.667, 0.333]
        """
        turn = int(self.constant * self.steps)
        return self.lr * min(1.0, (self.steps - step) / (self.steps - turn + 1))

    def as_json(self) -> dict[str, Any]:
        """The recipe as ``recipe.json`` holds it."""
        fields = dataclasses.asdict(self).items()
        return {"task": self.task} | {key: list(v) if isinstance(v, tuple) else v for key, v in fields}

    def but(self, **changes: Any) -> Self:
        """The same recipe with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Autoencode(Recipe):
    """A convolutional autoencoder: how an image looks that a loss reconstructs through a bottleneck.

    Attributes:
        bottleneck: channels at an eighth of the resolution.
    """

    task: ClassVar[str] = "autoencode"

    bottleneck: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bottleneck < 1:
            raise ValueError(f"recipe: bottleneck must be at least 1, got {self.bottleneck}")


@dataclass(frozen=True, kw_only=True)
class Restore(Recipe):
    """Restoration after Zhao, Gallo, Frosio and Kautz 2017: noise, JPEG and half the resolution undone.

    Attributes:
        damage: what is done to the input, in this order: half (the resolution), noise, jpeg.
        noise: standard deviation in grey levels of 255.
        quality: of the JPEG, 1 to 95.
    """

    task: ClassVar[str] = "restore"

    losses: tuple[str, ...] = ("l2", "l1", "ssim", "ms_ssim", "0.84*ms_ssim+0.16*l1")
    batch_size: int = 2
    lr: float = 1e-3
    damage: tuple[Damage, ...] = ("half", "noise", "jpeg")
    noise: float = 10.0
    quality: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.damage:
            raise ValueError("recipe: damage is empty; name at least one of half, noise and jpeg")
        if self.noise < 0:
            raise ValueError(f"recipe: noise must not be negative, got {self.noise}")
        if not 1 <= self.quality <= 95:
            raise ValueError(f"recipe: quality must be in 1 ... 95, got {self.quality}")
        if "half" in self.damage and self.side % 2:
            raise ValueError(f"recipe: side must be even to be halved, got {self.side}")


@dataclass(frozen=True, kw_only=True)
class Translate(Recipe):
    """CycleGAN between two sets of images: folders trainA, trainB, testA and testB.

    Attributes:
        blocks: residual blocks of a generator: 6 for 128 px, 9 for 256 px.
        cycle: weight of the loss on reconstructions.
        identity: weight of the loss on images of the own side, as a share of cycle.
        pool: images remembered for the discriminators.
        as_published: the networks, pool and schedule of the seed's own code, bug for bug.
    """

    task: ClassVar[str] = "translate"

    losses: tuple[str, ...] = ("l1", "ssim", "0.84*ssim+0.16*l1")
    steps: int = 20_000
    batch_size: int = 1
    side: int = 128
    load: int = 143
    width: int = 64
    lr: float = 2e-4
    ema: float = 0.999
    clip: float = 0.0
    held_out: int = 32
    log_every: int = 100
    save_every: int = 1000
    blocks: int = 6
    cycle: float = 10.0
    identity: float = 0.5
    pool: int = 50
    as_published: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocks", "cycle", "identity", "pool"):
            if getattr(self, name) < 0:
                raise ValueError(f"recipe: {name} must not be negative, got {getattr(self, name)}")
        if self.side % 4:
            raise ValueError(f"recipe: side must be a multiple of 4, got {self.side}")

    def rate(self, step: int) -> float:
        """As `Recipe.rate`; as published: 201 epochs, constant to the hundredth, the last at 0.

        Example:
            >>> recipe = AS_PUBLISHED.but(lr=1.0)
            >>> [recipe.rate(100 * epoch) for epoch in (0, 100, 150, 200)]
            [1.0, 1.0, 0.5, 0.0]
        """
        if not self.as_published:
            return super().rate(step)
        epoch = 201 * step // self.steps
        return self.lr * min(1.0, (200 - epoch) / 100)


AS_PUBLISHED = Translate(
    losses=tuple(f"seed/{name}@published" for name in PUBLISHED), steps=20_100, batch_size=1, side=128, load=128,
    flip=False, width=32, lr=2e-4, ema=0.0, calibrate=False, precision="float32", blocks=6, cycle=10.0,
    identity=0.0, pool=50, as_published=True,
)  # fmt: skip

TASKS: dict[str, type[Recipe]] = {kind.task: kind for kind in (Autoencode, Restore, Translate)}


def from_json(stored: Mapping[str, Any]) -> Recipe:
    """A recipe from what ``recipe.json`` holds, or from one written by hand.

    Raises:
        ValueError: for an unknown task or key, with the nearest name, or a value of the wrong kind.

    Example:
        >>> from_json({"task": "restore", "steps": 10}).steps
        10
    """
    stored = dict(stored)
    task = stored.pop("task", None)
    if task not in TASKS:
        raise ValueError(f"recipe: no task is called {task!r}{meant(task, TASKS)}; there are {', '.join(TASKS)}")
    kind = TASKS[task]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key, value in stored.items():
        if key not in fields:
            raise ValueError(f"recipe: {task} has no {key!r}{meant(key, fields)}; there are {', '.join(fields)}")
        stored[key] = _as_kind(key, value, fields[key].default)
    return kind(**stored)


def _as_kind(key: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"recipe: {key} must be like {default!r}, got {value!r}")
    return value


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What two recipes disagree on, one line a key; how often to log and save does not matter.

    Example:
        >>> differences({"steps": 10, "lr": 0.1}, {"steps": 20, "lr": 0.1})
        ['steps: 10 there, 20 asked']
    """
    keys = dict.fromkeys([*stored, *asked])
    return [
        f"{key}: {stored.get(key)} there, {asked.get(key)} asked"
        for key in keys
        if key not in ("log_every", "save_every") and stored.get(key) != asked.get(key)
    ]
