"""CW-SSIM against pyiqa, calls interleaved: ``python -m benchmarks.cw_ssim``.

pyiqa is not free for all uses and heavy, so it is no dependency, not even of the tests: run this in an environment
of its own that has pyiqa, numpy and this repository on its path. Without pyiqa only our own times are printed.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lookalike.metrics.cw_ssim import CWSSIM

ROUNDS = 15
TARGETS = {"forward": 60.0, "forward + backward": 30.0}
Score = Callable[[Tensor, Tensor], Tensor]


def pyiqas_score() -> Score | None:
    """pyiqa's CW-SSIM as a function of two batches, or None where it is not installed."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    try:
        from torchvision_schemas import register_torchvision_schemas

        register_torchvision_schemas()
        import pyiqa
    except ImportError:
        return None
    return pyiqa.create_metric("cw_ssim", as_loss=True, device=torch.device("cpu"))


def forward_backward(score: Score, x: Tensor, y: Tensor) -> None:
    """One value and its gradient to ``x``."""
    image = x.clone().requires_grad_()
    score(image, y).sum().backward()


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def main() -> int:
    """Print the table; 1 where a target is missed."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    y = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    x = (y + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    contestants: dict[str, Score] = {"ours": CWSSIM(check="shapes")}
    peer = pyiqas_score()
    if peer is not None:
        contestants["pyiqa"] = peer
        difference = float((contestants["ours"](x, y) - peer(x, y)).detach().abs())
        print(f"difference of the values {difference:.1e}")
    missed = 0
    for work, target in TARGETS.items():
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS + 2):
            for name, score in contestants.items():
                if work == "forward":
                    times[name].append(milliseconds(lambda score=score: score(x, y)))
                else:
                    times[name].append(milliseconds(lambda score=score: forward_backward(score, x, y)))
        medians = {name: statistics.median(taken[2:]) for name, taken in times.items()}
        line = "   ".join(f"{name} {median:.2f} ms" for name, median in medians.items())
        if "pyiqa" in medians:
            ratio = medians["pyiqa"] / medians["ours"]
            missed += ratio < target
            line += f"   {ratio:.0f} times (asked {target:.0f})"
        print(f"256x256 {work:20} {line}")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
