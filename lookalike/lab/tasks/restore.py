"""Restore: undo half the resolution, noise and JPEG.

Zhao, Gallo, Frosio & Kautz, "Loss Functions for Image Restoration with Neural Networks", IEEE TCI 3(1), 2017,
doi:10.1109/TCI.2016.2644865, where the three are separate problems; ``damage`` chooses any of them. What differs:
the network adds to its input, and there is no mosaic.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import nn

from lookalike.lab.data import Levels
from lookalike.lab.networks import Restorer
from lookalike.lab.recipe import Restore
from lookalike.lab.task import Paired


def _network(recipe: Restore) -> nn.Module:
    return Restorer(recipe.width)


class RestoreTask(Paired[Restore]):
    """The input is damaged, the target is not."""

    make = _network

    def damaged(self, square: Levels, chance_of: Sequence[int]) -> Levels:
        """Damage one image ``(h, w, 3)``, always alike for the same numbers in ``chance_of``.

        Half the resolution is taken and given back by bicubic resampling, so that the size stays.
        """
        recipe = self.recipe
        height, width = square.shape[:2]
        picture = Image.fromarray(square)
        if "half" in recipe.damage:
            picture = picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
        if "noise" in recipe.damage:
            chance = np.random.default_rng([*chance_of, 2])
            noisy = np.asarray(picture) + chance.normal(0, recipe.noise, (picture.height, picture.width, 3))
            picture = Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))
        if "jpeg" in recipe.damage:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=recipe.quality)
            picture = Image.open(file)
        return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
