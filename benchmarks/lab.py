"""What a loss costs in a training step: python -m benchmarks.lab; ``--keep`` writes it down.

The step is the lab's CycleGAN step (batch 1, 128 px, width 64, 6 blocks, reconstructions and identity: four
calls of the loss). Steps with each loss and the four calls alone (value and gradient) are interleaved in one
process; medians. The aim: the four calls take at most 5 % of the step.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from benchmarks.machine import add_keep, keep, machine
from lookalike.lab.data import Held, Pictures
from lookalike.lab.recipe import Translate
from lookalike.lab.task import Sets
from lookalike.lab.tasks.translate import TranslateTask
from lookalike.losses import loss as loss_of

LOSSES = ("l1", "ssim", "0.84*ssim+0.16*l1", "zhao_mix", "cw_ssim")
CALLS = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    add_keep(parser)
    asked = parser.parse_args()
    recipe = Translate(load=0)
    noise = torch.randint(0, 256, (140, 140, 3), dtype=torch.uint8).numpy()
    pictures = Pictures(("noise",), lambda at: noise)
    sets = Sets({"a": pictures, "b": pictures}, {side: Held((), torch.empty(0)) for side in "ab"})
    tasks = {name: TranslateTask(recipe, 0, asked.device) for name in LOSSES}
    losses = {name: loss_of(name) for name in LOSSES}
    y = torch.rand(1, 3, 128, 128, device=asked.device)
    x = (y + 0.05 * torch.randn_like(y)).clamp(0, 1).requires_grad_()

    def wait() -> None:
        if asked.device.startswith("cuda"):
            torch.cuda.synchronize()

    steps: dict[str, list[float]] = {name: [] for name in LOSSES}
    calls: dict[str, list[float]] = {name: [] for name in LOSSES}
    for turn in range(asked.rounds + 1):
        for name in LOSSES:
            began = time.perf_counter()
            batch = tasks[name].batch(sets, range(1))
            for phase in tasks[name].phases(batch, losses[name]):
                optimiser = tasks[name].optimisers[phase.optimiser]
                optimiser.zero_grad(set_to_none=True)
                phase.total.backward()
                optimiser.step()
            wait()
            middle = time.perf_counter()
            for _ in range(CALLS):
                torch.autograd.grad(losses[name](x, y), x)
            wait()
            if turn:  # the first is a warm-up
                steps[name].append(middle - began)
                calls[name].append(time.perf_counter() - middle)
    rows = [
        {
            "loss": name,
            "step_ms": round(1e3 * statistics.median(steps[name]), 2),
            "loss_ms": round(1e3 * statistics.median(calls[name]), 3),
            "share": round(statistics.median(c / s for c, s in zip(calls[name], steps[name], strict=True)), 4),
        }
        for name in LOSSES
    ]
    for row in rows:
        times = f"step {row['step_ms']:>9.1f} ms   loss {row['loss_ms']:>8.2f} ms"
        print(f"{row['loss']:<22} {times}   {row['share']:.2%}")
    if asked.keep:
        about = machine(torch.get_num_threads()) | {"device": asked.device}
        keep("lab", {"machine": about, "rounds": asked.rounds, "rows": rows})


if __name__ == "__main__":
    main()
