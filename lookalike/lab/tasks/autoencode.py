"""Autoencode: reconstruct an image through a bottleneck."""

from __future__ import annotations

from torch import nn

from lookalike.lab.networks import Autoencoder
from lookalike.lab.recipe import Autoencode
from lookalike.lab.task import Paired


def _network(recipe: Autoencode) -> nn.Module:
    if recipe.side % 8:
        raise ValueError(f"autoencode: side must be a multiple of 8, got {recipe.side}")
    return Autoencoder(recipe.width, recipe.bottleneck)


class AutoencodeTask(Paired[Autoencode]):
    """Input and target are the same image."""

    make = _network
