"""SSIM on a GPU against the copy bandwidth and against peers that are installed; exit code 2 where there is no GPU.

    python -m benchmarks.gpu                         and, with --keep, written down

CUDA events, calls interleaved, medians. "floor" is the least that forward and backward must move, reading
x and y and writing one gradient, at the bandwidth that a copy by torch reaches on the same machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import add_keep, keep
from lookalike.ops import ssim as op
from lookalike.ops.ssim.setting import Mixture, Setting
from lookalike.ops.window import gaussian

ROOT = Path(__file__).parents[1]
GAUSS = Setting(gaussian(11, 1.5))
SHAPES = ((16, 3, 256, 256), (1, 3, 1080, 1920), (8, 3, 1080, 1920))
PEERS = {"fused-ssim": "fused_ssim", "frame-analytics": "frame_analytics"}
Score = Callable[[Tensor, Tensor], Tensor]


def images(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator("cuda").manual_seed(0)
    x = torch.rand(shape, generator=generator, device="cuda")
    y = (x + 0.05 * torch.randn(shape, generator=generator, device="cuda")).clamp(0, 1)
    return x.to(dtype), y.to(dtype)


def ours(x: Tensor, y: Tensor) -> Tensor:
    return op.means(x, y, GAUSS)[..., 0].mean()


def our_l1_ssim(x: Tensor, y: Tensor) -> Tensor:
    return 1 - op.l1_ssim(x, y, Mixture(GAUSS)).mean()


def peers() -> dict[str, Score]:
    """The scores of those libraries that are installed."""
    scores: dict[str, Score] = {}
    if find_spec("fused_ssim"):
        fused_ssim = importlib.import_module("fused_ssim").fused_ssim
        scores["fused-ssim"] = lambda x, y: fused_ssim(x, y, padding="valid")
    if find_spec("frame_analytics"):
        frame_analytics = importlib.import_module("frame_analytics")
        scores["frame-analytics"] = lambda x, y: frame_analytics.ssim(x, y, data_range=1.0)
    return scores


def forward_backward(score: Score, x: Tensor, y: Tensor) -> Callable[[], None]:
    x = x.clone().requires_grad_()

    def call() -> None:
        x.grad = None
        (1 - score(x, y)).backward()

    return call


def milliseconds(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median time of each call on the device, calls interleaved."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 3):  # the first three compile and warm up
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            if round_ >= 3:
                taken[name].append(start.elapsed_time(end))
    return {name: statistics.median(times) for name, times in taken.items()}


def gate() -> None:
    """Raise unless the kernel takes the call, and its values and gradients are those of the float64 reference."""
    x, y = images((2, 3, 157, 203))
    explanation = op.means.explain(x, y, GAUSS)
    if not explanation.endswith("gpu: runs"):
        raise SystemExit(f"the kernel does not run: {explanation}")
    for border in ("valid", "reflect", "symmetric", "zero"):
        a, b = x.clone().requires_grad_(), x.double().requires_grad_()
        found = op.means(a, y, Setting(GAUSS.taps, border))
        wanted = op.means.reference(b, y.double(), Setting(GAUSS.taps, border))
        [slope] = torch.autograd.grad(found[..., 0].mean(), a)
        [slope_wanted] = torch.autograd.grad(wanted[..., 0].mean(), b)
        error = float((found - wanted).abs().max())
        slope_error = float((slope - slope_wanted).abs().max() / slope_wanted.abs().max())
        if not (error <= 1e-6 and slope_error <= 1e-4):
            raise SystemExit(f"{border}: value off by {error:.1e}, gradient by {slope_error:.1e}: nothing is timed")
    if not bool((op.means(x, x, GAUSS) == 1).all()):
        raise SystemExit("identical images do not score 1: nothing is timed")


def measure(shape: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """One row of the table."""
    x, y = images(shape)
    target = torch.empty_like(x)
    scores = {"ours": ours, **peers()}
    calls: dict[str, Callable[[], Any]] = {"copy": lambda: target.copy_(x)}
    for name, score in scores.items():
        calls[f"{name} forward"] = lambda score=score: score(x, y)
        calls[f"{name} fb"] = forward_backward(score, x, y)
    calls["ours bfloat16 fb"] = forward_backward(ours, *images(shape, torch.bfloat16))
    calls["ours L1 + SSIM fb"] = forward_backward(our_l1_ssim, x, y)
    taken = milliseconds(calls, rounds)
    floor = 1.5 * taken["copy"]  # three images moved, where a copy moves two
    return {"shape": shape, "median_ms": taken, "floor_ms": floor, "share_of_floor": floor / taken["ours fb"]}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    add_keep(parser)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.gpu needs a GPU and a CUDA build of torch; nothing was measured", file=sys.stderr)
        raise SystemExit(2)
    gate()
    installed = {name: version(name) for name, module in PEERS.items() if find_spec(module)}
    report: dict[str, Any] = {
        "machine": {
            "device": torch.cuda.get_device_name(), "python": platform.python_version(), "torch": torch.__version__,
            "triton": version("triton"), "peers": installed,
        },
        "cases": [],
    }  # fmt: skip
    print(json.dumps(report["machine"], indent=2))
    for shape in SHAPES:
        row = measure(shape, max(7, arguments.rounds))
        report["cases"].append(row)
        print("x".join(map(str, shape)), f"  fb reaches {row['share_of_floor']:.0%} of the bandwidth's floor")
        for name, time in row["median_ms"].items():
            print(f"    {name:26} {time:9.3f} ms", flush=True)
    if arguments.keep:
        keep("gpu", report)


if __name__ == "__main__":
    main()
