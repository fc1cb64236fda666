"""LPIPS against the authors' package: ``python -m benchmarks.lpips [--side 256] [--rounds 7] [--threads 2]``.

The two run in turn in one process on the same weights of the network (untrained ones where the trained are absent:
time does not depend on them). Of each the best and the median of the rounds are printed, and the ratio of the
medians. Goals: with a prepared reference at least 2 times faster forward and 1.4 times forward + backward.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from lookalike import registry, weights
from lookalike.ops.features import random_state

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

NETWORKS = {"vgg": ("lpips_vgg", "vgg16"), "alex": ("lpips_alex", "alexnet")}
GOALS = {("vgg", "forward"): 2.0, ("vgg", "forward + backward"): 1.4}


def theirs(network: str, state: dict[str, Tensor]) -> Any:
    """The authors' LPIPS on the given weights, without its download."""
    from torchvision_schemas import register_torchvision_schemas

    register_torchvision_schemas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lpips

        peer = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
    named = dict(peer.net.named_parameters())  # slice2.5.weight is torchvision's features.5.weight
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(state["features." + name.split(".", 1)[1]])
    return peer


def ours(network: str) -> tuple[Any, dict[str, Tensor]]:
    """Our LPIPS and the weights of its network."""
    name, trunk = NETWORKS[network]
    with TemporaryDirectory() as folder:
        file: Path | None = None
        if not weights.present(trunk):
            file = Path(folder) / "untrained.pth"
            torch.save(random_state(trunk), file)
        metric: Any = registry.get(name, check="shapes", network_file=file)
    return metric, metric.features.state_dict()


def compare(network: str, side: int, rounds: int) -> list[tuple[str, str, float, float, float]]:
    """Rows of (what, who, best ms, median ms, their median over ours)."""
    metric, state = ours(network)
    peer = theirs(network, state)
    torch.manual_seed(0)
    y = torch.rand(1, 3, side, side)
    x = (y + 0.1 * torch.randn_like(y)).clamp(0, 1)
    prepared = metric.prepare(y)
    with torch.no_grad():
        apart = abs(float(metric(x, y)) - float(peer(x, y, normalize=True)))
    assert apart < 1e-5, f"the two do not agree: {apart}"

    def forward(score: Callable[[Tensor], Tensor]) -> None:
        with torch.no_grad():
            score(x)

    def backward(score: Callable[[Tensor], Tensor]) -> None:
        leaf = x.clone().requires_grad_()
        score(leaf).sum().backward()

    contestants: dict[str, Callable[[Tensor], Tensor]] = {
        "lpips": lambda image: peer(image, y, normalize=True),
        "ours": lambda image: metric(image, y),
        "ours, reference prepared": prepared,
    }
    rows = []
    for what, run in (("forward", forward), ("forward + backward", backward)):
        times: dict[str, list[float]] = {who: [] for who in contestants}
        for score in contestants.values():
            run(score)
        for _ in range(rounds):
            for who, score in contestants.items():
                start = time.perf_counter()
                run(score)
                times[who].append(1000 * (time.perf_counter() - start))
        base = median(times["lpips"])
        rows += [(what, who, min(taken), median(taken), base / median(taken)) for who, taken in times.items()]
    return rows


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    missed = 0
    for network in NETWORKS:
        for what, who, best, middle, ratio in compare(network, options.side, options.rounds):
            goal = GOALS.get((network, what)) if "prepared" in who else None
            missed += goal is not None and ratio < goal
            said = "" if goal is None else f"  (goal {goal:g})"
            print(f"{network:5} {what:19} {who:25} {best:8.1f} {middle:8.1f} ms  {ratio:5.2f} times{said}")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
