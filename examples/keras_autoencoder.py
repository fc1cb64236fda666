"""A Keras autoencoder trained with MSE, with 1 − SSIM and with the mix of Zhao et al.: what each loss leaves.

    KERAS_BACKEND=torch python -m examples.keras_autoencoder --out runs/keras
    lookalike report runs/keras

Parts of scikit-image's photographs train, other parts judge. Any backend of Keras will do; on two cores it takes
minutes. At the end the four images of the article that this repeats – the original, salt and pepper, grey overlays,
and a raised HSV value – are scored by MSE and by SSIM.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from skimage import color, data
from skimage.util import random_noise

import lookalike
from lookalike.keras import PSNR, SSIM, L2Loss, MixLoss, SSIMLoss
from lookalike.keras.losses import ImageLoss
from lookalike.records import runs

Images = NDArray[np.float32]  # (n, height, width, 3) in [0, 1]

SIDE, BATCH = 64, 16
# Of each photograph rows or columns up to the first number train, from the second on they judge.
PHOTOGRAPHS = {
    "astronaut": (300, 320, 0),
    "coffee": (360, 380, 1),
    "chelsea": (270, 290, 1),
    "rocket": (400, 420, 1),
}
LOSSES: dict[str, tuple[str, Callable[[], ImageLoss], tuple[str, ...]]] = {
    "mse": ("MSE", L2Loss, ("mse",)),
    "ssim": ("1 - SSIM", SSIMLoss, ("ssim",)),
    "mix": ("mix of MS-SSIM and L1 (Zhao et al.)", MixLoss, ()),
}
COLUMNS = {"psnr": "PSNR (dB)", "mse": "MSE", "ssim": "SSIM", "cw_ssim": "CW-SSIM", "ciede2000": "CIEDE2000"}


def main() -> None:
    """Train, judge and write the run folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/keras"), help="run folder")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the training crops")
    parser.add_argument("--crops", type=int, default=128, help="training crops a photograph")
    parser.add_argument("--held", type=int, default=4, help="images a photograph to judge on")
    options = parser.parse_args()
    train, held, names = crops(options.crops, options.held)
    recipe = {
        "task": "autoencode",
        "losses": [label for label, *_ in LOSSES.values()], "seeds": 1, "seed": 0, "side": SIDE,
        "batch_size": BATCH, "epochs": options.epochs, "train": len(train), "held_out": len(held), "lr": 2e-3,
    }  # fmt: skip
    out: Path = options.out
    runs.write_json(out / "recipe.json", recipe)
    runs.write_json(out / "environment.json", runs.environment() | backend())
    outputs = {name: trained(name, train, held, options.epochs, out / name / "seed0") for name in LOSSES}
    write_pictures(out, held, outputs)
    runs.write_json(out / "lab.json", described(names))
    matrix = judged(held, outputs)
    runs.write_json(out / "matrix.json", matrix)
    print_matrix(matrix)
    four_images(out)


def backend() -> dict[str, str]:
    """Versions of Keras and of what it runs on."""
    name = keras.backend.backend()
    return {"keras": keras.__version__, "backend": name, name: __import__(name).__version__}


def crops(train: int, held: int) -> tuple[Images, Images, list[str]]:
    """Crops that train, crops that judge, and the names of these; the same at every call."""
    random = np.random.default_rng(0)
    learnt, judged, names = [], [], []
    for photograph, (last, first, axis) in PHOTOGRAPHS.items():
        image = np.asarray(getattr(data, photograph)(), np.float32) / 255
        parts: list[Any] = np.split(image, [last, first], axis)
        learnt += [crop(parts[0], random) for _ in range(train)]
        judged += [crop(parts[2], random) for _ in range(held)]
        names += [f"{photograph} {at}" for at in range(held)]
    return np.stack(learnt), np.stack(judged), names


def crop(image: Images, random: np.random.Generator) -> Images:
    """A square at random, mirrored half the time."""
    top, left = (int(random.integers(0, extent - SIDE + 1)) for extent in image.shape[:2])
    square = image[top : top + SIDE, left : left + SIDE]
    return square[:, ::-1] if random.random() < 0.5 else square


def autoencoder() -> keras.Model:
    """64×64×3 through a code of 8×8×16, a twelfth of the numbers."""
    layers: list[Any] = [keras.Input((SIDE, SIDE, 3))]
    layers += [keras.layers.Conv2D(width, 3, 2, "same", activation="relu") for width in (32, 48, 64)]
    layers.append(keras.layers.Conv2D(16, 1, name="code"))
    layers += [keras.layers.Conv2DTranspose(width, 4, 2, "same", activation="relu") for width in (64, 48, 32)]
    return keras.Sequential([*layers, keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")])


class Record(keras.callbacks.Callback):
    """One line an epoch: how many images were seen, the loss, and the seconds since the start."""

    def __init__(self, term: str, images: int, steps: int) -> None:
        super().__init__()
        self.term, self.images, self.steps = term, images, steps
        self.lines: list[str] = []
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the line."""
        loss = float((logs or {})["loss"])
        line = {
            "images": (epoch + 1) * self.images,
            "step": (epoch + 1) * self.steps,
            "terms": {self.term: {"value": loss, "weighted": loss}},
            "loss": loss,
            "seconds": time.perf_counter() - self.start,
        }
        self.lines.append(json.dumps(line))


def trained(name: str, train: Images, held: Images, epochs: int, folder: Path) -> Images:
    """Train one autoencoder with one loss; what it makes of the held-out images."""
    label, loss, _ = LOSSES[name]
    keras.utils.set_random_seed(0)
    model = autoencoder()
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=loss(), metrics=[PSNR(), SSIM(), "mae"])
    record = Record(name, len(train), math.ceil(len(train) / BATCH))
    slower = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: 2e-3 * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    )
    history = model.fit(train, train, BATCH, epochs, verbose=0, callbacks=[slower, record]).history
    runs.write_text(folder / "terms.jsonl", "\n".join(record.lines) + "\n")
    seconds = json.loads(record.lines[-1])["seconds"]
    print(
        f"{label}: {seconds:.0f} s; at the end of training SSIM {history['ssim'][-1]:.3f}, "
        f"PSNR {history['psnr'][-1]:.2f} dB"
    )
    return np.asarray(model.predict(held, verbose=0), np.float32)


def described(names: list[str]) -> dict[str, Any]:
    """What a report needs to know of the folder."""
    calibrated: dict[str, Any] = {}
    return {
        "kind": "lab",
        "task": "autoencode",
        "title": f"A Keras autoencoder on {keras.backend.backend()}: MSE, 1 - SSIM and the mix",
        "losses": [
            {"name": name, "label": label, "calibrated": calibrated} for name, (label, *_) in LOSSES.items()
        ],
        "seeds": [0],
        "samples": {
            "views": [{"id": "input", "label": "input"}],
            "rows": [{"id": f"{at:03d}", "name": name} for at, name in enumerate(names)],
        },
        "directions": [],
    }


def write_pictures(out: Path, held: Images, outputs: dict[str, Images]) -> None:
    """Inputs, outputs, and maps: four times the absolute difference, and SSIM from 0 to 1."""
    for at, image in enumerate(held):
        row = f"{at:03d}"
        for view in ("input", "target"):
            runs.write_png(out / "samples" / view / f"{row}.png", levels(image))
        for name, made in outputs.items():
            runs.write_png(out / name / "seed0" / "samples" / f"{row}.png", levels(made[at]))
            difference = 4 * np.abs(made[at] - image).mean(2, keepdims=True).repeat(3, 2)
            runs.write_png(out / "maps" / name / f"{row}_difference.png", levels(difference))
            similar = (
                lookalike.get("ssim").map(batch(made[at : at + 1]), batch(held[at : at + 1])).mean(1)[0].numpy()
            )
            whole = np.pad(similar, (SIDE - similar.shape[0]) // 2, mode="edge")
            runs.write_png(out / "maps" / name / f"{row}_ssim.png", levels(whole[..., None].repeat(3, 2)))


def judged(held: Images, outputs: dict[str, Images]) -> dict[str, Any]:
    """The matrix loss × metric: means with bootstrap intervals, and a paired sign-flip test against the best."""
    flat = np.broadcast_to(held.mean((1, 2), keepdims=True), held.shape)
    rows = {**outputs, None: flat}
    table = [
        {
            "label": LOSSES[name][0] if name else "mean colour of each image",
            "kind": "loss" if name else "baseline",
            "loss": name,
            "own": list(LOSSES[name][2]) if name else [],
            "cells": {},
        }
        for name in rows
    ]
    columns = []
    for column, title in COLUMNS.items():
        metric = lookalike.get(column)
        scores = [metric(batch(made), batch(held)).numpy().astype(float) for made in rows.values()]
        sign = 1 if metric.facts.better == "higher" else -1
        means = [sign * one.mean() for one in scores[: len(outputs)]]
        best = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))  # NaN is never the best
        for at, (line, found) in enumerate(zip(table, scores, strict=True)):
            compared = line["kind"] == "loss" and at != best
            line["cells"][column] = cell(found) | {
                "best": at == best,
                "p": paired_p(found, scores[best]) if compared else None,
            }
        columns.append(
            {"name": column, "title": title, "better": metric.facts.better, "signature": metric.signature()}
        )
    return {"columns": columns, "rows": table}


def cell(scores: NDArray[np.float64]) -> dict[str, Any]:
    """A mean over images with its 95 % bootstrap interval."""
    found = stats.bootstrap(
        (scores,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return {
        "mean": float(scores.mean()), "low": float(found.low), "high": float(found.high), "sd_seeds": None,
        "n": len(scores),
    }  # fmt: skip


def paired_p(scores: NDArray[np.float64], best: NDArray[np.float64]) -> float:
    """The chance of such a mean difference between images if its signs were random; NaN where a score is NaN."""
    if np.isnan(scores - best).any():
        return float("nan")
    test = stats.permutation_test(
        (scores - best,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(0)
    )
    return float(test.pvalue)


def print_matrix(matrix: dict[str, Any]) -> None:
    """The means as a table; a star marks the best of a column."""
    names = [column["name"] for column in matrix["columns"]]
    print(f"\n{'trained with':<38}" + "".join(f"{name:>12}" for name in names))
    for row in matrix["rows"]:
        cells = [row["cells"][name] for name in names]
        print(
            f"{row['label']:<38}" + "".join(f"{one['mean']:>11.4g}{'*' if one['best'] else ' '}" for one in cells)
        )


def four_images(out: Path) -> None:
    """The article's study: three images that the eye finds similar, by MSE and by SSIM."""
    original = np.asarray(data.astronaut()[:256, 100:356], np.float32) / 255
    overlaid = original.copy()
    for top, left in ((20, 20), (120, 180), (200, 60)):
        overlaid[top : top + 32, left : left + 48] = 0.5 * overlaid[top : top + 32, left : left + 48] + 0.25
    raised = color.rgb2hsv(original)
    raised[..., 2] = np.minimum(raised[..., 2] + 30 / 255, 1)
    pictures = {
        "original": original,
        "salt and pepper": random_noise(original, "s&p", rng=0).astype(np.float32),
        "grey overlays": overlaid,
        "HSV value + 30": color.hsv2rgb(raised).astype(np.float32),
    }
    ssim, mse = lookalike.get("ssim"), lookalike.get("mse")
    found = []
    print(f"\n{'four images':<20}{'MSE (0-255)':>14}{'SSIM':>10}")
    for at, (name, picture) in enumerate(pictures.items()):
        pair = batch(picture[None].clip(0, 1)), batch(original[None])
        one = {"name": name, "mse": 255**2 * float(mse(*pair)), "ssim": float(ssim(*pair))}
        found.append(one)
        print(f"{name:<20}{one['mse']:>14.1f}{one['ssim']:>10.4f}")
        runs.write_png(out / "four" / f"{at}.png", levels(picture))
    runs.write_json(out / "four" / "scores.json", {"signature": ssim.signature(), "images": found})


def batch(images: NDArray[Any]) -> torch.Tensor:
    """What the rulers of lookalike take, ``(n, 3, h, w)``."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32))


def levels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image in [0, 1] as bytes."""
    return np.round(255 * image.clip(0, 1)).astype(np.uint8)


if __name__ == "__main__":
    main()
