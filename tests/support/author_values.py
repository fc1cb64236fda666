"""The values of the metric authors' own programs, and the pairs of images that they were given.

Those of pairs made from scikit-image's photographs, `AUTHORS`, are in `golden/authors.json`. Those of pairs that
may not be copied into the project, `GOLDEN`, are read from the folder `shared`; without it there are none.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pairs import all_pairs
from PIL import Image
from places import GOLDEN_FOLDER, SHARED

_PROGRAMS = json.loads((GOLDEN_FOLDER / "authors.json").read_text(encoding="utf-8"))
AUTHORS, DSS_SIZES = _PROGRAMS["values"], _PROGRAMS["dss_sizes"]

FILES = {
    "wang": ("wang_einstein/einstein.gif", "wang_einstein/{}.gif"),
    "tid2013": ("tid2013/ref_{}.bmp", "tid2013/dist_{}.bmp"),
    "ws2005": ("wang_simoncelli_2005/fig1_a.png", "wang_simoncelli_2005/fig1_{}.png"),
    "derived": ("derived/{}_ref.png", "derived/{}_dist.png"),
    "lpips": ("lpips/ex_ref.png", "lpips/ex_{}.png"),
    "piq/goldhill": ("piq/goldhill.gif", "piq/goldhill_jpeg.gif"),
    "piq/I01": ("piq/I01.BMP", "piq/i01_01_5.bmp"),
    "plenoptic/einstein_curie": ("plenoptic/einstein.pgm", "plenoptic/curie.pgm"),
    "tf/cb12": ("tensorflow/checkerboard1.png", "tensorflow/checkerboard2.png"),
    "tf/cb13": ("tensorflow/checkerboard1.png", "tensorflow/checkerboard3.png"),
    "tf/cb23": ("tensorflow/checkerboard2.png", "tensorflow/checkerboard3.png"),
    "tf/cat20_72": ("tensorflow/cat_q20.jpg", "tensorflow/cat_q72.jpg"),
    "tf/cat20_95": ("tensorflow/cat_q20.jpg", "tensorflow/cat_q95.jpg"),
    "tf/cat72_95": ("tensorflow/cat_q72.jpg", "tensorflow/cat_q95.jpg"),
}


def shared_values() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for path in (SHARED / "golden" / name for name in ("golden.json", "authors2.json")):
        if path.is_file():
            for name, of in json.loads(path.read_text(encoding="utf-8"))["values"].items():
                values[name] = values.get(name, {}) | of
    return {name: of for name, of in values.items() if name not in AUTHORS}


GOLDEN = shared_values()
no_folder = pytest.mark.skipif(not GOLDEN, reason="no folder shared/golden beside the repository")


def tensor(image: NDArray[Any], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """(1, c, h, w) on 0..255."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(planes))[None].to(dtype)


@functools.cache
def made_pairs() -> dict[str, Any]:
    return all_pairs()


@functools.cache
def file_pair(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    group, _, rest = name.partition("/")
    patterns = FILES.get(name) or FILES[group]
    reference = read(patterns[0].format(rest))
    return reference, reference[::-1] if rest == "flipvertical" else read(patterns[1].format(rest))


def read(path: str) -> NDArray[Any]:
    with Image.open(SHARED / "data/pairs" / path) as image:
        return np.array(image if image.mode == "L" else image.convert("RGB"))
