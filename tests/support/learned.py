"""Learned weights in tests: where they are looked for, and a mark that skips with the reason where they are absent.

    from learned import needs

    @needs("lpips-alex")
    def test_…

Looked for as the library does (`LOOKALIKE_WEIGHTS`, torch hub's cache, installed packages), and where that variable
is unset also in `shared/data/weights` beside the repository. Tests never download.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from places import SHARED

from lookalike import registry, weights
from lookalike.ops.features import random_state

DATA = SHARED / "data"

if weights.FOLDER not in os.environ and (DATA / "weights").is_dir():
    os.environ[weights.FOLDER] = str(DATA / "weights")
os.environ[weights.OFFLINE] = "1"


def needs(*parts: str) -> pytest.MarkDecorator:
    """Skip a test where these parts of the learned weights, or those of a metric, are not on this machine."""
    reason = weights.missing(*(part for name in parts for part in registry.weights_of(name)))
    return pytest.mark.skipif(bool(reason), reason=reason or "present")


def untrained(network: str, folder: Path) -> Path:
    """A weight file of random numbers, for what holds of any weights."""
    place = folder / f"{network}_untrained.pth"
    torch.save(random_state(network), place)
    return place
