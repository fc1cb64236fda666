"""Keras losses on each backend: how far from PyTorch and how fast; SSIM beside tf.image's and keras.ops'.

    python -m benchmarks.keras                        both tables; --keep writes them down
    python -m benchmarks.keras --rounds 3 --only ssim

One process a backend, compiled as Keras would (tf.function, jax.jit; eager on torch). All but one wait; they take
turns, so that what else runs on the machine meets all alike. A turn is two calls of which the second is timed, as
in training, where the last call was the same one: the first finds another process's data in the caches and its
threads, which wait by spinning, on the cores. A call is the value and its gradient to y_pred; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import ROOT, add_keep, keep, machine

BACKENDS = ("torch", "tensorflow", "jax")
LOSSES = (
    "l1", "l2", "psnr", "charbonnier", "ssim", "ms_ssim", "zhao_mix", "0.84*ms_ssim + 0.16*l1", "cw_ssim",
    "ciede2000", "contextual_patches(sampling=paired, positions=500)", "lpips_alex", "lpips_vgg",
)  # fmt: skip
SSIM_SHAPE, LOSS_SHAPE = (16, 256, 256, 3), (2, 176, 176, 3)
# Ours on the torch backend, to be so many times faster than these.
PEERS = {"tf.image.ssim": ("tensorflow", 10.0), "keras.ops.image.ssim": ("jax", 3.0)}
Step = Callable[[], tuple[float, Any]]


def pair(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """A reference of smooth shapes and a noisy copy, ``(n, h, w, 3)``."""
    random = np.random.default_rng(0)
    y: Any = random.random(shape)
    for axis in (1, 2):
        y = sum(np.roll(y, shift, axis) for shift in range(7)) / 7
    x = 0.9 * y + 0.05 * random.random(shape)
    return y.astype("float32"), x.astype("float32")


def step(score: Callable[[Any, Any], Any], shape: tuple[int, ...]) -> Step:
    """The value and gradient of a loss on the backend of this process, ready to be called."""
    import keras

    y_true, y_pred = pair(shape)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        true, pred = tf.constant(y_true), tf.constant(y_pred)

        @tf.function
        def run(true: Any, pred: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(pred)
                value = tf.reduce_mean(score(true, pred))
            return value, tape.gradient(value, pred)

        return lambda: (lambda value, slope: (float(value), slope.numpy()))(*run(true, pred))
    if keras.backend.backend() == "jax":
        import jax

        found = jax.jit(jax.value_and_grad(lambda pred, true: score(true, pred).mean()))
        true, pred = jax.numpy.array(y_true), jax.numpy.array(y_pred)
        return lambda: (lambda value, slope: (float(value), np.asarray(slope)))(*found(pred, true))
    import torch

    true, pred = torch.from_numpy(y_true), torch.from_numpy(y_pred).requires_grad_()

    def eager() -> tuple[float, Any]:
        value = score(true, pred).mean()
        [slope] = torch.autograd.grad(value, pred)
        return float(value.detach()), slope.numpy()

    return eager


def plain(expression: str) -> Step:
    """The loss of lookalike itself, without Keras, on batches as PyTorch has them."""
    import torch

    import lookalike

    loss = lookalike.loss(expression)
    y, x = (torch.from_numpy(one.transpose(0, 3, 1, 2).copy()) for one in pair(LOSS_SHAPE))
    x.requires_grad_()

    def run() -> tuple[float, Any]:
        value = loss(x, y)
        [slope] = torch.autograd.grad(value, x)
        return float(value.detach()), slope.numpy().transpose(0, 2, 3, 1)

    return run


def steps(backend: str) -> dict[str, Callable[[], Step]]:
    """What the process of one backend can be asked for, by name."""
    import keras

    from lookalike.keras import loss_from

    found: dict[str, Callable[[], Step]] = {
        "ssim of a large batch": lambda: step(loss_from("ssim", reduction=None), SSIM_SHAPE)
    }
    for expression in LOSSES:
        found[expression] = lambda expression=expression: step(loss_from(expression, reduction=None), LOSS_SHAPE)
        if backend == "torch":
            found[f"without Keras: {expression}"] = lambda expression=expression: plain(expression)
    if backend == "tensorflow":
        import tensorflow as tf

        found["tf.image.ssim"] = lambda: step(lambda true, pred: 1 - tf.image.ssim(true, pred, 1.0), SSIM_SHAPE)
    if backend == "jax":
        ssim = keras.ops.image.ssim
        found["keras.ops.image.ssim"] = lambda: step(lambda true, pred: 1 - ssim(true, pred, 1.0), SSIM_SHAPE)
    return found


def serve(backend: str) -> None:
    """Answer the names that come, each with a value, the file of its gradient, and the seconds it took."""
    known, ready = steps(backend), {}
    for line in sys.stdin:
        name, _, file = line.rstrip("\n").partition("\t")
        if name not in ready:
            ready[name] = known[name]()
            ready[name]()  # compiles
        ready[name]()
        start = time.perf_counter()
        value, slope = ready[name]()
        seconds = time.perf_counter() - start
        if file:
            np.save(file, slope)
        print(json.dumps({"value": value, "seconds": seconds}), flush=True)


class Worker:
    """The process of one backend."""

    def __init__(self, backend: str) -> None:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.keras", "--serve", backend],
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, name: str, file: Path | None = None) -> dict[str, float]:
        """One call by name; its gradient goes to the file."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name}\t{file or ''}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that was asked for {name!r} has ended")
        return json.loads(answer)


def ready(expression: str) -> bool:
    """Whether the weights that a loss needs are on this machine; says so where they are not."""
    from lookalike import registry, weights

    needed = registry.weights_of(expression) if expression.startswith("lpips") else ()
    if not weights.present(*needed):
        print(f"  {expression}: left out, {weights.missing(*needed)}")
        return False
    return True


def compared(workers: dict[str, Worker], expression: str, rounds: int, folder: Path) -> dict[str, Any]:
    """One loss on every backend beside the same without Keras: differences and time ratios."""
    plain_file, file = folder / "plain.npy", folder / "keras.npy"
    wanted = workers["torch"].ask(f"without Keras: {expression}", plain_file)
    slope = np.load(plain_file)
    row: dict[str, Any] = {}
    for backend, worker in workers.items():
        found = worker.ask(expression, file)
        row[backend] = {
            "value": abs(found["value"] - wanted["value"]),
            "gradient": float(np.linalg.norm(np.load(file) - slope) / np.linalg.norm(slope)),
        }
    seconds: dict[str, list[float]] = {name: [] for name in ("plain", *workers)}
    for _ in range(rounds):
        seconds["plain"].append(workers["torch"].ask(f"without Keras: {expression}")["seconds"])
        for backend, worker in workers.items():
            seconds[backend].append(worker.ask(expression)["seconds"])
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    for backend in workers:
        row[backend] |= {"seconds": medians[backend], "ratio": medians[backend] / medians["plain"]}
    return row


def raced(workers: dict[str, Worker], rounds: int) -> dict[str, float]:
    """SSIM of a large batch, forward and backward: seconds of ours on each backend and of the peers."""
    runners = {f"ours, {backend}": (worker, "ssim of a large batch") for backend, worker in workers.items()}
    runners |= {name: (workers[backend], name) for name, (backend, _) in PEERS.items()}
    found: dict[str, list[float]] = {name: [] for name in runners}
    for worker, asked in runners.values():
        worker.ask(asked)
    for _ in range(rounds):
        for name, (worker, asked) in runners.items():
            found[name].append(worker.ask(asked)["seconds"])
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def main() -> None:
    """Run and print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("ssim", "losses"), default=None)
    add_keep(parser)
    parser.add_argument("--serve", choices=BACKENDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep and options.only:
        parser.error("--keep keeps all figures, not --only some")
    if options.serve:
        serve(options.serve)
        return
    workers = {backend: Worker(backend) for backend in BACKENDS}
    results: dict[str, Any] = {
        "machine": machine(os.cpu_count() or 1, ("keras", "torch", "jax")),
        "rounds": options.rounds,
    }
    if options.only != "losses":
        results["ssim"] = seconds = raced(workers, options.rounds)
        print(f"SSIM, forward and backward, {SSIM_SHAPE}")
        for name, found in seconds.items():
            ratio = found / seconds["ours, torch"]
            target = f"   wanted {PEERS[name][1]:g}x" if name in PEERS else ""
            print(f"  {name:<24}{1e3 * found:>9.1f} ms{ratio:>9.1f}x{target}")
    if options.only != "ssim":
        from tempfile import TemporaryDirectory

        results["losses"] = {}
        print(
            f"\nLosses at {LOSS_SHAPE}: value difference, gradient difference (relative L2), time / without Keras"
        )
        print(f"  {'':<30}" + "".join(f"{backend:>32}" for backend in BACKENDS))
        with TemporaryDirectory() as folder:
            for expression in filter(ready, LOSSES):
                row = results["losses"][expression] = compared(workers, expression, options.rounds, Path(folder))
                cells = "".join(
                    f"{one['value']:>12.1e}{one['gradient']:>10.1e}{one['ratio']:>9.2f}x" for one in row.values()
                )
                print(f"  {expression[:29]:<30}{cells}", flush=True)
    if options.keep:
        keep("keras", results)
    for worker in workers.values():
        worker.process.terminate()


if __name__ == "__main__":
    main()
