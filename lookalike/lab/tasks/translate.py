"""Translate: CycleGAN between two sets of images, with any loss on reconstructions.

Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation Using Cycle-Consistent Adversarial Networks", ICCV
2017, arXiv:1703.10593: least-squares GAN, weight 10 on reconstructions, half of it on images of the own side, a
pool of 50 past images. Networks work in [-1, 1]; images are mapped to [0, 1] before any similarity.

``as_published`` repeats the code of the write-up that first compared these losses: every discriminator image comes
from the pool, and networks and schedule are its own; the losses ``seed/NAME@published`` see [-1, 1]. Its two
generators moved in no defined order; here both move at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.algebra import Loss
from lookalike.lab.data import Held, Pictures, Report, as_tensor, crops, folder_pictures, held_crops
from lookalike.lab.networks import Discriminator, Generator
from lookalike.lab.recipe import Translate
from lookalike.lab.task import Direction, Phase, Sets, Task, weighted
from lookalike.losses.presets import is_published

SIDES = ("a", "b")


class Pool:
    """The last images a generator made, so that its discriminator does not forget them.

    Args:
        size: how many are kept; 0 gives every image straight back.
        seed: of its own choices.
        always: answer with a random kept image every time (the seed's code), not half of the time.
    """

    def __init__(self, size: int, seed: int, always: bool = False) -> None:
        self.size = size
        self.always = always
        self.images: list[Tensor] = []
        self.chance = torch.Generator().manual_seed(seed)

    def swap(self, images: Tensor) -> Tensor:
        """A batch for the discriminator in exchange for a fresh one, both ``(n, c, h, w)``."""
        if self.size == 0:
            return images
        return torch.stack([self._swap(image) for image in images.detach()])

    def _swap(self, image: Tensor) -> Tensor:
        full = len(self.images) == self.size
        if not full:
            self.images.append(image.clone())
            if not self.always:
                return image
        swaps = self._uniform() < 0.5
        if self.always:
            if full and swaps:
                self.images[self._place()] = image.clone()
            return self.images[self._place()]
        if not swaps:
            return image
        index = self._place()
        kept, self.images[index] = self.images[index], image.clone()
        return kept

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self.chance, dtype=torch.float32, device="cpu"))

    def _place(self) -> int:
        return int(torch.randint(len(self.images), (), generator=self.chance, device="cpu"))


def seen(loss: Loss, images: Tensor) -> Tensor:
    """Images as a loss gets them: in [0, 1]; the published losses take [-1, 1] as it is."""
    return images.float() if is_published(loss) else (images.float() + 1) / 2


class TranslateTask(Task[Translate]):
    """Two generators, two discriminators; one optimiser a side."""

    exported = ("a_to_b", "b_to_a")
    directions = (
        Direction("a-to-b", "A → B", "a", paired=False),
        Direction("b-to-a", "B → A", "b", paired=False),
        Direction("a-to-b-to-a", "A → B → A", "a"),
        Direction("b-to-a-to-b", "B → A → B", "b"),
    )

    def __init__(self, recipe: Translate, *args: Any, **options: Any) -> None:
        super().__init__(recipe, *args, **options)
        self.pools = {
            side: Pool(recipe.pool, 2 * self.seed + at, recipe.as_published) for at, side in enumerate(SIDES)
        }

    def build(self) -> dict[str, nn.Module]:
        """Generators ``a_to_b``, ``b_to_a`` and discriminators ``a``, ``b``."""
        recipe, published = self.recipe, self.recipe.as_published
        networks: dict[str, nn.Module] = {
            name: Generator(recipe.width, recipe.blocks, published) for name in ("a_to_b", "b_to_a")
        }
        depth = 64 if published else recipe.width
        return networks | {side: Discriminator(depth, published) for side in SIDES}

    def build_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the generators, Adam for the discriminators; Adam of two networks is two Adams."""
        sides = {"generators": self.exported, "discriminators": SIDES}
        return {
            name: torch.optim.Adam(
                itertools.chain.from_iterable(self.networks[part].parameters() for part in parts),
                lr=self.recipe.lr,
                betas=(0.5, 0.999),
            )
            for name, parts in sides.items()
        }

    @classmethod
    def load(cls, recipe: Translate, cache: Path, report: Report) -> Sets:
        """trainA, trainB, testA and testB.

        Raises:
            ValueError: without a folder, or where one of the four is missing.
        """
        if not recipe.data:
            raise ValueError(
                "translate: needs --data with folders trainA, trainB, testA and testB; "
                "lookalike lab data monet2photo downloads one"
            )
        train = {side: folder_pictures(recipe, f"train{side.upper()}", cache, report) for side in SIDES}
        return Sets(train, cls.to_judge(recipe, cache, report))

    @classmethod
    def to_judge(cls, recipe: Translate, cache: Path, report: Report) -> dict[str, Held]:
        """testA and testB."""
        tests = {side: folder_pictures(recipe, f"test{side.upper()}", cache, report) for side in SIDES}
        return {side: held_crops(pictures, recipe.side, recipe.held_out) for side, pictures in tests.items()}

    def batch(self, sets: Sets, positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """As many images of either side, in [-1, 1]; the sides are in orders of their own."""
        return self._side(sets.train["a"], 2 * self.seed, positions), self._side(
            sets.train["b"], 2 * self.seed + 1, positions
        )

    def _side(self, pictures: Pictures, seed: int, positions: Sequence[int]) -> Tensor:
        return as_tensor(crops(pictures, self.recipe, seed, positions)).to(self.device) * 2 - 1

    def phases(self, batch: tuple[Tensor, Tensor], loss: Loss) -> Iterator[Phase]:
        """The generators, then the discriminators."""
        yield self._generators(batch, loss)
        yield self._discriminators(batch)

    def _generators(self, batch: tuple[Tensor, Tensor], loss: Loss) -> Phase:
        a, b = batch
        recipe, net = self.recipe, self.networks
        for side in SIDES:
            net[side].requires_grad_(False)
        with self.computing():
            self.fakes = {"b": net["a_to_b"](a), "a": net["b_to_a"](b)}
            again = {"a": net["b_to_a"](self.fakes["b"]), "b": net["a_to_b"](self.fakes["a"])}
            verdicts = {side: net[side](self.fakes[side]) for side in SIDES}
        totals: list[Tensor] = []
        terms: dict[str, tuple[float, Tensor]] = {}

        def add(name: str, weight: float, output: Tensor, target: Tensor) -> None:
            totals.append(weight * loss(seen(loss, output), seen(loss, target)))
            terms.update(weighted(loss, f"{name}.", weight))

        for side, real in zip(SIDES, (a, b), strict=True):
            add(f"cycle_{side}", recipe.cycle, again[side], real)
            verdict = (verdicts[side].float() - 1).square().mean()
            totals.append(verdict)
            terms[f"gan_{side}"] = (1.0, verdict.detach())
        if recipe.identity:
            with self.computing():
                same = {"a": net["b_to_a"](a), "b": net["a_to_b"](b)}
            for side, real in zip(SIDES, (a, b), strict=True):
                add(f"identity_{side}", recipe.cycle * recipe.identity, same[side], real)
        return Phase("generators", torch.stack(totals).sum(), terms)

    def _discriminators(self, batch: tuple[Tensor, Tensor]) -> Phase:
        terms: dict[str, tuple[float, Tensor]] = {}
        totals: list[Tensor] = []
        for side, real in zip(SIDES, batch, strict=True):
            judge = self.networks[side].requires_grad_(True)
            shown = self.pools[side].swap(self.fakes[side].detach())
            with self.computing():
                on_real, on_fake = judge(real), judge(shown)
            value = ((on_real.float() - 1).square().mean() + on_fake.float().square().mean()) / 2
            totals.append(value)
            terms[f"discriminator_{side}"] = (1.0, value.detach())
        return Phase("discriminators", torch.stack(totals).sum(), terms)

    def held(self, sets: Sets, direction: Direction) -> tuple[Tensor, Tensor]:
        """Held-out images of the source; a translation is compared with its own input."""
        images = sets.held[direction.source].images.to(self.device)
        return images, images

    def render(self, networks: nn.ModuleDict, direction: Direction, images: Tensor) -> Tensor:
        """Through one generator, or there and back."""
        first, second = ("a_to_b", "b_to_a") if direction.source == "a" else ("b_to_a", "a_to_b")
        with torch.no_grad():
            outputs = networks[first](images * 2 - 1)
            if direction.paired:
                outputs = networks[second](outputs)
        return ((outputs + 1) / 2).clamp(0, 1)

    def beginning(self, sets: Sets) -> tuple[Tensor, Tensor]:
        """Untrained reconstructions of the first four images of either side, and those images."""
        batch = [(image + 1) / 2 for image in self.batch(sets, range(4))]
        again = [
            self.render(self.networks, direction, image)
            for direction, image in zip(self.directions[2:], batch, strict=True)
        ]
        return torch.cat(again), torch.cat(batch)

    def memory(self) -> dict[str, Any]:
        """The pools, with their generators."""
        return {
            side: {"images": [image.cpu() for image in pool.images], "chance": pool.chance.get_state()}
            for side, pool in self.pools.items()
        }

    def remember(self, memory: Mapping[str, Any]) -> None:
        """The pools as they were."""
        for side, pool in self.pools.items():
            pool.images = [image.to(self.device) for image in memory[side]["images"]]
            pool.chance.set_state(memory[side]["chance"])
