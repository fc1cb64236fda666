"""The other libraries, each as a function of two uint8 images, for the parity tests and `benchmarks/parity.py`.

None of them is imported before it is called: a test skips where a package is absent.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import lookalike

Image = NDArray[np.uint8]
Call = Callable[[Any, Image, Image], Any]

DOUBLE = 1e-6  # where the library computes in float64
SINGLE = 1e-5  # where it, or its window, is in float32
COARSE = 1e-4  # where its variances are differences of float32 squares


class RefusedError(Exception):
    """The library raised, or said that it computes something else."""


class AbsentError(Exception):
    """The library cannot be imported here."""


@dataclass(frozen=True)
class Peer:
    """One metric of one library.

    Attributes:
        convention: our name for it.
        metric: ``"ssim"`` or ``"ms_ssim"``.
        package: what is imported.
        call: ``(module, reference, distorted)`` to its number.
        tolerance: of the difference from ours in float64.
        least: the smallest side that it takes and that our convention takes.
        slow: many times as slow as the others: fewer and smaller images are compared.
    """

    convention: str
    metric: str
    package: str
    call: Call
    tolerance: float = DOUBLE
    least: int = 11
    slow: bool = False

    @property
    def name(self) -> str:
        return f"{self.convention}-{self.metric}"

    def __call__(self, reference: Image, distorted: Image) -> float:
        """Its number.

        Raises:
            AbsentError: where the package cannot be imported.
            RefusedError: where it raises, or warns that it computes something else.
        """
        module = self._load()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", UserWarning)
                return float(self.call(module, reference, distorted))
        except ImportError as error:  # its compiled part is loaded on the first call
            raise AbsentError(f"{self.package}: {error}") from error
        except Exception as error:  # what a library raises on a size it does not take is its own affair
            raise RefusedError(f"{type(error).__name__}: {error}") from error

    def _load(self) -> ModuleType:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from torchvision_schemas import register_torchvision_schemas

                register_torchvision_schemas()
                return importlib.import_module(self.package)
        except (ImportError, OSError, RuntimeError) as error:
            raise AbsentError(f"{self.package} cannot be imported: {error}") from error


def unit(image: Image) -> torch.Tensor:
    """(1, c, h, w) in the unit range, float64."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(planes[None] / 255.0)


def ours(convention: str, metric: str, reference: Image, distorted: Image) -> float:
    """The same number, from here."""
    return float(lookalike.get(metric, convention=convention)(unit(distorted), unit(reference)))


def _scikit_image(**options: Any) -> Call:
    def call(module: Any, reference: Image, distorted: Image) -> Any:
        axis = None if reference.ndim == 2 else -1
        return module.structural_similarity(reference, distorted, channel_axis=axis, data_range=255, **options)

    return call


def _tensors(function: str, **options: Any) -> Call:
    """A function of (judged, reference) tensors in the unit range, whose map or scores are averaged."""

    def call(module: Any, reference: Image, distorted: Image) -> Any:
        return getattr(module, function)(unit(distorted), unit(reference), **options).mean()

    return call


def _piqa(kind: str) -> Call:
    def call(module: Any, reference: Image, distorted: Image) -> Any:
        x, y = unit(distorted), unit(reference)
        return getattr(module, kind)(n_channels=x.shape[1]).double()(x, y)

    return call


def _blazediff(metric: str) -> Call:
    def rgba(image: Image) -> bytes:
        colour = np.repeat(image[..., None], 3, -1) if image.ndim == 2 else image
        return np.concatenate([colour, np.full_like(colour[..., :1], 255)], -1).tobytes()

    def call(module: Any, reference: Image, distorted: Image) -> Any:
        height, width = reference.shape[:2]
        return module.compare_rgba(rgba(reference), rgba(distorted), width, height, metric=metric).score

    return call


def _ignite(module: Any, reference: Image, distorted: Image) -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # of the window, whose float32 taps do not sum to 1
    try:
        metric = module.SSIM(data_range=1.0)
    finally:
        torch.set_default_dtype(before)
    metric.update((unit(distorted), unit(reference)))
    return metric.compute()


def _monai(kind: str) -> Call:
    def call(module: Any, reference: Image, distorted: Image) -> Any:
        return getattr(module, kind)(spatial_dims=2, data_range=1.0)(unit(distorted), unit(reference)).mean()

    return call


_GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

PEERS = (
    Peer("scikit-image", "ssim", "skimage.metrics", _scikit_image(), least=7),
    Peer("scikit-image-gaussian", "ssim", "skimage.metrics", _scikit_image(**_GAUSSIAN)),
    Peer("pytorch-msssim", "ssim", "pytorch_msssim", _tensors("ssim", data_range=1), SINGLE),
    Peer("pytorch-msssim", "ms_ssim", "pytorch_msssim", _tensors("ms_ssim", data_range=1), SINGLE, 161),
    Peer("piq", "ssim", "piq", _tensors("ssim"), slow=True),
    Peer("piq", "ms_ssim", "piq", _tensors("multi_scale_ssim"), least=161, slow=True),
    Peer("piqa", "ssim", "piqa", _piqa("SSIM"), SINGLE),
    Peer("piqa", "ms_ssim", "piqa", _piqa("MS_SSIM"), SINGLE, 161),
    Peer(
        "torchmetrics", "ssim", "torchmetrics.functional.image",
        _tensors("structural_similarity_index_measure", data_range=1.0), least=6, slow=True,
    ),
    Peer(
        "torchmetrics", "ms_ssim", "torchmetrics.functional.image",
        _tensors("multiscale_structural_similarity_index_measure", data_range=1.0), least=176, slow=True,
    ),
    Peer("kornia-same", "ssim", "kornia.metrics", _tensors("ssim", window_size=11), least=6),
    Peer("kornia-valid", "ssim", "kornia.metrics", _tensors("ssim", window_size=11, padding="valid")),
    Peer("ignite", "ssim", "ignite.metrics", _ignite, least=6),
    Peer("monai", "ssim", "monai.metrics.regression", _monai("SSIMMetric"), COARSE),
    Peer("monai", "ms_ssim", "monai.metrics.regression", _monai("MultiScaleSSIMMetric"), COARSE, 176),
    Peer("fast-ssim", "ssim", "fast_ssim", lambda module, y, x: module.ssim(y, x), SINGLE, 7),
    Peer("blazediff", "ssim", "blazediff_ssim", _blazediff("ssim"), SINGLE),
    Peer("blazediff", "ms_ssim", "blazediff_ssim", _blazediff("ms-ssim"), SINGLE, 176),
    Peer("sewar", "ssim", "sewar", lambda module, y, x: module.ssim(y, x)[0], slow=True),
    Peer("sewar", "ms_ssim", "sewar", lambda module, y, x: module.msssim(y, x), least=176, slow=True),
)  # fmt: skip
