"""What a task is: networks, their optimisers, batches, and the phases of one step; `Paired` is the common case."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from lookalike.algebra import Loss
from lookalike.lab.data import (
    Held,
    Levels,
    Pictures,
    Report,
    as_tensor,
    crops,
    decoded,
    existing,
    files_in,
    held_crops,
    train_and_held,
)  # fmt: skip
from lookalike.lab.recipe import Recipe
from lookalike.losses.presets import is_published

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True)
class Phase:
    """The loss that one optimiser minimises.

    Attributes:
        optimiser: its name.
        total: the scalar to lower.
        terms: name → (weight, unweighted value, detached).
    """

    optimiser: str
    total: Tensor
    terms: Mapping[str, tuple[float, Tensor]]


@dataclass(frozen=True)
class Sets:
    """The images of a task, by the name of the set."""

    train: Mapping[str, Pictures]
    held: Mapping[str, Held]


@dataclass(frozen=True)
class Direction:
    """One way through the networks, judged on its own.

    Attributes:
        name: of its folder of samples; "" where there is only one.
        label: as pages show it.
        source: the set of held-out images.
        paired: whether the output should equal the target.
    """

    name: str
    label: str
    source: str
    paired: bool = True


class Task(Generic[R]):
    """Networks with what trains them. A task's file defines `build`, `batch`, `phases` and `render`.

    Args:
        recipe: of this task.
        seed: of the networks' first weights and of the order of the images.
        device: that computes.
        precision: the dtype that the networks compute in.

    Attributes:
        networks: all that is trained, by name.
        averages: running averages of those that are judged and exported.
        optimisers: by name; the trainer sets their learning rate.
    """

    exported: tuple[str, ...] = ("network",)
    directions: tuple[Direction, ...] = (Direction("", "", ""),)

    def __init__(
        self, recipe: R, seed: int = 0, device: str = "cpu", precision: torch.dtype = torch.float32
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.precision = precision
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.networks = nn.ModuleDict(self.build()).to(device)
        self.averages = copy.deepcopy(nn.ModuleDict({name: self.networks[name] for name in self.exported}))
        self.averages.requires_grad_(False)
        self.optimisers = self.build_optimisers()

    # What a task defines.

    def build(self) -> dict[str, nn.Module]:
        """The networks, freshly initialised."""
        raise NotImplementedError

    def build_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """By default one Adam for all."""
        return {"network": torch.optim.Adam(self.networks.parameters(), lr=self.recipe.lr)}

    @classmethod
    def load(cls, recipe: R, cache: Path, report: Report) -> Sets:
        """The images that the recipe names."""
        raise NotImplementedError

    @classmethod
    def to_judge(cls, recipe: R, cache: Path, report: Report) -> dict[str, Held]:
        """The images of a folder, all of them to judge on."""
        raise NotImplementedError

    def batch(self, sets: Sets, positions: Sequence[int]) -> Any:
        """The data of one step; a pure function of seed and positions (images seen)."""
        raise NotImplementedError

    def phases(self, batch: Any, loss: Loss) -> Iterator[Phase]:
        """The parts of one step; after each the trainer moves its optimiser."""
        raise NotImplementedError

    def held(self, sets: Sets, direction: Direction) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a direction, ``(n, 3, h, w)`` in [0, 1]."""
        raise NotImplementedError

    def render(self, networks: nn.ModuleDict, direction: Direction, images: Tensor) -> Tensor:
        """The networks' outputs for images, clipped to [0, 1]."""
        raise NotImplementedError

    def beginning(self, sets: Sets) -> tuple[Tensor, Tensor]:
        """Untrained outputs and targets of the first training images, ``(n, 3, h, w)`` in [0, 1]."""
        raise NotImplementedError

    def memory(self) -> dict[str, Any]:
        """What a checkpoint must hold beyond networks and optimisers."""
        return {}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Restore what `memory` returned."""

    # What all tasks share.

    def computing(self) -> AbstractContextManager[Any]:
        """Networks compute in the chosen precision; losses turn it off for themselves."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == torch.bfloat16)

    def average(self, decay: float) -> None:
        """Move the averages towards the networks; buffers are taken as they are."""
        for name in self.exported:
            old, new = self.averages[name], self.networks[name]
            with torch.no_grad():
                for kept, moved in zip(old.parameters(), new.parameters(), strict=True):
                    kept.lerp_(moved, 1.0 - decay)
                for kept, buffer in zip(old.buffers(), new.buffers(), strict=True):
                    kept.copy_(buffer)


def weighted(loss: Loss, prefix: str = "", factor: float = 1.0) -> dict[str, tuple[float, Tensor]]:
    """The terms of a loss's last value as a phase holds them."""
    return {f"{prefix}{name}": (factor * loss.weights[name], value) for name, value in loss.terms.items()}


def as_fed(loss: Loss, images: Tensor) -> Tensor:
    """Images in [0, 1] as a loss is to see them: the published losses see [−1, 1], as their authors fed them.

    Example:
        >>> from lookalike.losses import loss
        >>> half = torch.tensor([0.25])
        >>> as_fed(loss("l1"), half).item(), as_fed(loss("seed/l1@published"), half).item()
        (0.25, -0.5)
    """
    return images * 2 - 1 if is_published(loss) else images


class Paired(Task[R]):
    """One network, an input and a target: the loss of its output is lowered."""

    make: Callable[[R], nn.Module]

    def build(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"network": type(self).make(self.recipe)}

    @classmethod
    def load(cls, recipe: R, cache: Path, report: Report) -> Sets:
        """Images to train and to judge on."""
        train, held = train_and_held(recipe, cache, report)
        return Sets({"": train}, {"": held})

    @classmethod
    def to_judge(cls, recipe: R, cache: Path, report: Report) -> dict[str, Held]:
        """Every image of a folder, or of its sub-folder ``test``."""
        folder = existing(Path(recipe.data))
        files = files_in(folder / "test" if (folder / "test").is_dir() else folder)
        pictures = decoded(files, recipe, cache / "judged", report)
        return {"": held_crops(pictures, recipe.side, recipe.held_out)}

    def damaged(self, square: Levels, chance_of: Sequence[int]) -> Levels:
        """The network's input for a target; by default the target itself."""
        return square

    def batch(self, sets: Sets, positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs and targets."""
        squares = crops(sets.train[""], self.recipe, self.seed, positions)
        inputs = [self.damaged(square, (self.seed, at)) for square, at in zip(squares, positions, strict=True)]
        return as_tensor(inputs).to(self.device), as_tensor(squares).to(self.device)

    def phases(self, batch: tuple[Tensor, Tensor], loss: Loss) -> Iterator[Phase]:
        """The loss of the output."""
        inputs, targets = batch
        with self.computing():
            outputs = self.networks["network"](inputs)
        value = loss(as_fed(loss, outputs.float()), as_fed(loss, targets))
        yield Phase("network", value, weighted(loss))

    def held(self, sets: Sets, direction: Direction) -> tuple[Tensor, Tensor]:
        """Held-out images, damaged the same way every time."""
        targets = sets.held[""].images
        squares = (targets * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        inputs = [self.damaged(square, (2**31, at)) for at, square in enumerate(squares)]
        return as_tensor(inputs).to(self.device), targets.to(self.device)

    def render(self, networks: nn.ModuleDict, direction: Direction, images: Tensor) -> Tensor:
        """The network's output."""
        with torch.no_grad():
            return networks["network"](images).clamp(0, 1)

    def beginning(self, sets: Sets) -> tuple[Tensor, Tensor]:
        """Of the first eight images of seed 0."""
        inputs, targets = self.batch(sets, range(8))
        return self.render(self.networks, self.directions[0], inputs), targets
