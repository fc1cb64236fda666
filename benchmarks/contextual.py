"""The streamed contextual loss against the formula: ``python -m benchmarks.contextual [--rounds 7] [--threads 2]``.

Time: forward + backward to x, in turn in one process, on unit vectors in float32; medians and their ratio.
Memory: how far one forward + backward lifts the greatest resident size of a process of its own. The formula is
written as equations 2 to 4 stand, with every matrix kept for the backward pass; `reference` is this library's own
plain version, which spares what torch lets one spare. Goals at 4,096 positions of 256 channels: at least 2.2 times
faster and 7 times less memory than the formula; and 65,536 positions in under 2 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from lookalike.ops.contextual import reference, streamed

POSITIONS, CHANNELS = 4096, 256
FASTER, SMALLER = 2.2, 7.0
MANY, MOST_MIB = 65_536, 2000


def formula(x: Tensor, y: Tensor) -> Tensor:
    """Equations 2 to 4 of Mechrez et al. 2018, line by line."""
    d = (1 - x @ y.mT) / 2
    relative = d / (d.min(2, keepdim=True).values + 1e-5)
    w = torch.exp((1 - relative) / 0.5)
    cx = w / w.sum(2, keepdim=True)
    return cx.max(1).values.mean(1)


CONTESTANTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "formula": formula,
    "reference": reference.contextual,
    "streamed": streamed.contextual,
}


def pair(positions: int, channels: int) -> tuple[Tensor, Tensor]:
    """Two sets of unit vectors of which the one is near the other, shuffled."""
    made = torch.Generator().manual_seed(0)
    y = torch.randn(1, positions, channels, generator=made)
    x = y[:, torch.randperm(positions, generator=made)] + 0.5 * torch.randn(y.shape, generator=made)
    return x / x.norm(dim=2, keepdim=True), y / y.norm(dim=2, keepdim=True)


def forward_backward(similarity: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the loss to x."""
    x = x.detach().requires_grad_()
    [gradient] = torch.autograd.grad(-similarity(x, y).log().sum(), x)
    return gradient


def times(channels: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each contestant, in turn."""
    x, y = pair(POSITIONS, channels)
    taken: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds + 1):
        for name, similarity in CONTESTANTS.items():
            start = time.perf_counter()
            forward_backward(similarity, x, y)
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: median(found[1:]) for name, found in taken.items()}


def peak_mib(name: str, positions: int, channels: int, threads: int) -> tuple[float, float]:
    """By how much one call lifts the greatest resident size of a fresh process, and that size, in MiB."""
    call = [sys.executable, "-m", __spec__.name, "--peak", name, str(positions), str(channels), str(threads)]
    lifted, whole = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
    return float(lifted), float(whole)


def say_peak(name: str, positions: int, channels: int, threads: int) -> None:
    """What `peak_mib` asks its process for."""
    torch.set_num_threads(threads)
    similarity = CONTESTANTS[name]
    forward_backward(similarity, *pair(32, channels))  # whatever is loaded at the first call is not the loss's
    x, y = pair(positions, channels)
    before = greatest_mib()
    forward_backward(similarity, x, y)
    print(greatest_mib() - before, greatest_mib())


def greatest_mib() -> float:
    """The greatest resident size of this process so far (of Linux; getrusage's would count the parent's in)."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> int:
    """Print the tables; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels", type=int, nargs="+", default=[CHANNELS, 512])
    parser.add_argument("--peak", nargs=4, metavar="WORD", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        say_peak(options.peak[0], *map(int, options.peak[1:]))
        return 0
    torch.set_num_threads(options.threads)
    x, y = pair(512, CHANNELS)
    apart = float((forward_backward(formula, x, y) - forward_backward(streamed.contextual, x, y)).abs().max())
    print(f"greatest difference of the gradients of formula and streamed {apart:.1e}")
    missed = 0
    for channels in options.channels:
        taken = times(channels, options.rounds)
        lifted = {name: peak_mib(name, POSITIONS, channels, options.threads)[0] for name in CONTESTANTS}
        print(f"\n{POSITIONS} positions, {channels} channels, forward + backward, {options.threads} threads")
        for name in CONTESTANTS:
            faster, smaller = taken["formula"] / taken[name], lifted["formula"] / lifted[name]
            time_said = f"{taken[name]:9.0f} ms {faster:6.2f} times"
            print(f"  {name:10}{time_said}{lifted[name]:9.0f} MiB {smaller:6.1f} times")
        faster, smaller = (found["formula"] / found["streamed"] for found in (taken, lifted))
        if channels == CHANNELS:
            missed += (faster < FASTER) + (smaller < SMALLER)
            print(f"  asked of streamed: {FASTER:g} times and {SMALLER:g} times")
    start = time.perf_counter()
    lifted_by, whole = peak_mib("streamed", MANY, CHANNELS, options.threads)
    print(
        f"\n{MANY} positions, {CHANNELS} channels, streamed: {time.perf_counter() - start:.0f} s in all, "
        f"{lifted_by:.0f} MiB more, {whole:.0f} MiB the whole process (asked {MOST_MIB} MiB)"
    )
    return min(missed + (whole > MOST_MIB), 1)


if __name__ == "__main__":
    sys.exit(main())
