"""Weight files read without running anything that they hold: tensors, or NumPy arrays, and nothing else."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.weights import claims, known
from lookalike.weights.obtain import obtain, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

# Positions of the convolutions in torchvision's `features`.
_CONVOLUTIONS = {"alexnet": (0, 3, 6, 8, 10), "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}


@dataclass(frozen=True)
class Loaded:
    """Weights in memory.

    Attributes:
        state: names and shapes as torchvision, lpips or DISTS-pytorch have them, float32, on the CPU.
        origin: "" for the published numbers, else in what they differ (``fp16``, or a hash of the user's file).
    """

    state: Mapping[str, Tensor] = field(repr=False)
    origin: str = ""


def load(part: str, path: str | Path | None = None) -> Loaded:
    """The numbers of one part, from this machine or downloaded.

    Args:
        part: a name of `known.PARTS`.
        path: a file to be taken instead; it may hold other numbers than the published ones.

    Raises:
        ValueError: for a file whose hash is wrong, or that holds no weights.
        MissingWeights: when it can be neither found nor downloaded.
    """
    found = obtain(part, path)
    digest = sha256_of(found.path)
    file = found.file or next((file for file in known.part(part).files if digest == file.sha256), None)
    pickled = file.pickled if file else found.path.suffix == ".ckpt"
    origin = file.rounded if file else f"sha256-{digest[:8]}"
    try:
        if file is None:  # the others are known by their hash
            claims.check(found.path, pickled=pickled)
        state = _arrays(found.path, part) if pickled else _tensors(found.path)
    except Exception as error:  # whatever unpickling meets in a damaged file
        # After the first sentence torch advises to read the file unsafely.
        said = " ".join(str(error).split(". ")[0].split()) or type(error).__name__
        raise ValueError(f"weights {part}: {found.path} cannot be read as weights ({said})") from None
    return Loaded(state, origin)


def _tensors(path: Path) -> dict[str, Tensor]:
    """A state dict that holds tensors alone; half precision becomes float32."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a pickle in another dialect, which is refused or read all the same
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise TypeError("it is no mapping of names to tensors")
    return {name: value.detach().float() for name, value in state.items() if not name.startswith("classifier.")}


class _ArraysOnly(pickle.Unpickler):
    """Reads NumPy arrays in dictionaries and nothing else: a pickle can otherwise run any code."""

    @staticmethod
    def _rebuild(kind: Any, shape: Any, code: Any) -> np.ndarray:
        """An array without elements, as NumPy begins them: the elements come with their bytes."""
        if kind is not np.ndarray or shape != (0,):
            raise pickle.UnpicklingError("it asks for an array before its bytes are there")
        return np.ndarray((0,), np.uint8)

    def find_class(self, module: str, name: str) -> Any:
        """The three names that pickled arrays use."""
        known = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): self._rebuild,
            ("numpy._core.multiarray", "_reconstruct"): self._rebuild,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return known[module, name]


def _arrays(path: Path, part: str) -> dict[str, Tensor]:
    """The convolutions of a pickle of NumPy arrays, under torchvision's names and in its layout."""
    import torch

    with path.open("rb") as file:
        tree = _ArraysOnly(file).load()
    [layers] = [value for name, value in tree.items() if not name.startswith("NetLinLayer")]
    state = {}
    for order, position in enumerate(_CONVOLUTIONS[part]):
        layer = layers[f"Conv_{order}"]
        kernel = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1), dtype=np.float32)
        state[f"features.{position}.weight"] = torch.from_numpy(kernel)
        state[f"features.{position}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
    return state
