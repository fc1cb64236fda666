"""Run libraries too heavy to test against, and write what they give on `pairs.py` into `recorded.json`.

    python tests/golden/record.py                 whichever of them this interpreter has
    python tests/golden/record.py tensorflow      that one; exit 1 if it is not here

The tests read `recorded.json` and need none of these libraries. A run replaces the entries of those it ran
and keeps the others, so that each may live in an environment of its own, beside scikit-image 0.26.0 for the
photographs:

    tensorflow, tensorflow-float64, keras
        pip install tensorflow
    torchmetrics-1.4.1
        pip install torch==2.13.0 lightning-utilities packaging
        pip install --no-deps torchmetrics==1.4.1
    pyiqa, of whose requirements its SSIM family imports few
        pip install torch==2.13.0 scipy pyyaml requests tqdm huggingface_hub opencv-python-headless
        pip install --no-deps torchvision==0.28.0 pyiqa==0.1.16

`recorded.json` holds, by library: `libraries` (package, version, what it ran beside, the calls, the input and
its dtype), `values` (metric, then pair), `refused` (the same, with what the library said instead of a value)
and `not_run`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

if TYPE_CHECKING:
    from pairs import Image, Pair

RECORDED = Path(__file__).with_name("recorded.json")

NOT_RUN = {
    "fused-ssim": "formula, not run: needs the CUDA compiler to install and a GPU to run",
}

Metric = Callable[["Image", "Image"], float]


@dataclass(frozen=True)
class Library:
    """A library ready to run: its description, and its metrics as functions of (reference, distorted)."""

    package: str
    beside: tuple[str, ...]
    dtype: str
    input: str
    calls: dict[str, str]
    metrics: dict[str, Metric]
    notes: dict[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """The entry under `libraries`."""
        return {
            "package": self.package,
            "version": version(self.package),
            "beside": {name: version(name) for name in self.beside},
            "calls": self.calls,
            "input": self.input,
            "dtype": self.dtype,
            **self.notes,
        }


# ------------------------------------------------------------------------------------------------------------
# The libraries.


def open_tensorflow() -> Library:
    """tf.image as it is: whatever it is given, it computes in float32."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    def unit(image: Image) -> tf.Tensor:
        return tf.constant(channels_last(image).astype(np.float32) / np.float32(255))

    return Library(
        package="tensorflow",
        beside=("numpy",),
        dtype="float32",
        input="uint8 as float32, divided by 255, shape (1, H, W, C); C = 1 for grey",
        calls={
            "ssim": "tf.image.ssim(reference, distorted, max_val=1.0)",
            "ms_ssim": "tf.image.ssim_multiscale(reference, distorted, max_val=1.0)",
        },
        metrics={
            "ssim": lambda y, x: float(tf.image.ssim(unit(y), unit(x), max_val=1.0)[0]),
            "ms_ssim": lambda y, x: float(tf.image.ssim_multiscale(unit(y), unit(x), max_val=1.0)[0]),
        },
    )


def open_tensorflow_float64() -> Library:
    """tf.image with its conversion of the images to float32 left out: its formula, without its rounding."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    from tensorflow.python.ops import image_ops_impl

    def unit(image: Image) -> tf.Tensor:
        return tf.constant(channels_last(image) / 255.0, dtype=tf.float64)

    def without_conversion(measure: Callable[..., tf.Tensor]) -> Metric:
        def metric(y: Image, x: Image) -> float:
            def as_it_is(image: tf.Tensor | float, *_: object) -> tf.Tensor:
                return tf.convert_to_tensor(image, dtype=tf.float64)

            with mock.patch.object(image_ops_impl, "convert_image_dtype", as_it_is):
                return float(measure(unit(y), unit(x), max_val=1.0)[0])

        return metric

    return Library(
        package="tensorflow",
        beside=("numpy",),
        dtype="float64",
        input="uint8 as float64, divided by 255, shape (1, H, W, C); C = 1 for grey",
        calls={
            "ssim": "tf.image.ssim(reference, distorted, max_val=1.0)",
            "ms_ssim": "tf.image.ssim_multiscale(reference, distorted, max_val=1.0)",
        },
        metrics={
            "ssim": without_conversion(tf.image.ssim),
            "ms_ssim": without_conversion(tf.image.ssim_multiscale),
        },
        notes={"changed": "convert_image_dtype, which rounds to float32, is replaced by the identity"},
    )


def open_keras() -> Library:
    """keras.ops.image, which computes in the dtype it is given."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    def ssim(y: Image, x: Image) -> float:
        reference, distorted = (channels_last(image) / 255.0 for image in (y, x))
        result = keras.ops.image.ssim(reference, distorted, data_format="channels_last")
        return float(keras.ops.convert_to_numpy(result)[0])

    return Library(
        package="keras",
        beside=(keras.backend.backend(), "numpy"),
        dtype="float64",
        input="uint8 as float64, divided by 255, shape (1, H, W, C); C = 1 for grey",
        calls={"ssim": "keras.ops.image.ssim(reference, distorted, data_format='channels_last')"},
        metrics={"ssim": ssim},
        notes={"missing": "Keras has no MS-SSIM"},
    )


def open_torchmetrics() -> Library:
    """torchmetrics 1.4.1, the last release whose SSIM leaves the border out."""
    found = version("torchmetrics")
    if found != "1.4.1":
        raise ImportError(f"torchmetrics here is {found}, and the record is of 1.4.1")
    import torch
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure,
        structural_similarity_index_measure,
    )

    def run(measure: Callable[..., Any]) -> Metric:
        def metric(y: Image, x: Image) -> float:
            reference, distorted = (torch.from_numpy(channels_first(image) / 255.0) for image in (y, x))
            return float(measure(distorted, reference, data_range=1.0))

        return metric

    return Library(
        package="torchmetrics",
        beside=("torch", "numpy"),
        dtype="float64",
        input="uint8 as float64, divided by 255, shape (1, C, H, W); C = 1 for grey",
        calls={
            "ssim": "structural_similarity_index_measure(distorted, reference, data_range=1.0)",
            "ms_ssim": "multiscale_structural_similarity_index_measure(distorted, reference, data_range=1.0)",
        },
        metrics={
            "ssim": run(structural_similarity_index_measure),
            "ms_ssim": run(multiscale_structural_similarity_index_measure),
        },
        notes={"precision": "the five exponents of ms_ssim are rounded to float32"},
    )


def open_pyiqa() -> Library:
    """pyiqa's SSIM family: on rounded 0..255 luma (YIQ), or on RGB for `ssimc`, in float64."""
    sys.path.append(str(Path(__file__).parents[1] / "support"))
    from torchvision_schemas import register_torchvision_schemas

    register_torchvision_schemas()
    import pyiqa
    import torch

    names = ("ssim", "ssimc", "ms_ssim", "cw_ssim")

    def run(name: str) -> Metric:
        measure = pyiqa.create_metric(name, device=torch.device("cpu"))

        def metric(y: Image, x: Image) -> float:
            reference, distorted = (torch.from_numpy(channels_first(image) / 255.0) for image in (y, x))
            return float(measure(distorted, reference))

        return metric

    return Library(
        package="pyiqa",
        beside=("torch", "torchvision", "numpy"),
        dtype="float64",
        input="uint8 as float64, divided by 255, shape (1, C, H, W); C = 1 for grey",
        calls={name: f"pyiqa.create_metric('{name}', device='cpu')(distorted, reference)" for name in names},
        metrics={name: run(name) for name in names},
        notes={
            "precision": "windows, luma weights and the exponents of ms_ssim are rounded to float32",
            "licence": "PolyForm-Noncommercial-1.0.0: only ever run in an environment of its own",
        },
    )


LIBRARIES: dict[str, Callable[[], Library]] = {
    "tensorflow": open_tensorflow,
    "tensorflow-float64": open_tensorflow_float64,
    "keras": open_keras,
    "torchmetrics-1.4.1": open_torchmetrics,
    "pyiqa": open_pyiqa,
}


def channels_last(image: Image) -> Image:
    """(1, H, W, C)"""
    return image[None, ..., None] if image.ndim == 2 else image[None]


def channels_first(image: Image) -> Image:
    """(1, C, H, W)"""
    return np.ascontiguousarray(np.moveaxis(channels_last(image), -1, 1))


# ------------------------------------------------------------------------------------------------------------
# The record.


def measured(metric: Metric, pairs: dict[str, Pair]) -> tuple[dict[str, float], dict[str, str]]:
    """A metric's value of every pair, and what it said of the pairs it has no finite value for."""
    values: dict[str, float] = {}
    refused: dict[str, str] = {}
    for name, (reference, distorted) in pairs.items():
        try:
            value = metric(reference, distorted)
        except Exception as error:  # what a library raises on a size it does not take is its own affair
            refused[name] = f"{type(error).__name__}: {summary(error)}"
        else:
            if math.isfinite(value):
                values[name] = value
            else:
                refused[name] = f"returned {value}"
    return values, refused


def summary(error: Exception) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), "")


def load() -> dict[str, Any]:
    """The record as it stands, or an empty one."""
    if RECORDED.exists():
        record: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
        return record
    return {}


def merge(name: str, library: Library, pairs: dict[str, Pair]) -> str:
    """Run a library, put it into the record, and say in a line what came out."""
    values: dict[str, dict[str, float]] = {}
    refused: dict[str, dict[str, str]] = {}
    for kind, metric in library.metrics.items():
        values[kind], refused[kind] = measured(metric, pairs)
    record = load()
    for section, entry in (
        ("libraries", library.described()),
        ("values", values),
        ("refused", {kind: reasons for kind, reasons in refused.items() if reasons}),
    ):
        entries = record.setdefault(section, {})
        entries[name] = entry
        record[section] = {known: entries[known] for known in LIBRARIES if known in entries}
    record["not_run"] = NOT_RUN
    write(record)
    counts = ", ".join(f"{kind} {len(values[kind])} values, {len(refused[kind])} refused" for kind in values)
    return f"{name} {version(library.package)}: {counts}"


def write(record: dict[str, Any]) -> None:
    """Written beside the old file, then renamed over it, so that no run leaves half a record."""
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    beside = RECORDED.with_name(f"{RECORDED.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(RECORDED)


def main() -> int:
    """Record the libraries named on the command line, or all that can be imported."""
    from pairs import all_pairs

    parser = argparse.ArgumentParser(description="Record what other libraries give on the pairs of pairs.py.")
    parser.add_argument("library", nargs="*", help="any of " + ", ".join(LIBRARIES))
    asked = parser.parse_args().library
    if unknown := set(asked) - set(LIBRARIES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(LIBRARIES)}")
    pairs = all_pairs()
    missing = 0
    for name in asked or LIBRARIES:
        try:
            library = LIBRARIES[name]()
        except ImportError as error:
            missing += 1
            print(f"{name}: not recorded: {error}")
        else:
            print(merge(name, library, pairs))
    return 1 if asked and missing else 0


if __name__ == "__main__":
    sys.exit(main())
