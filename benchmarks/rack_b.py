"""NLPD, IW-SSIM, SR-SIM, DSS, PSNR-HVS(-M), FLIP, S-CIELAB and SSIMULACRA 2 against their best peers.

    python -m benchmarks.rack_b

512 x 512 px, one thread, forward and forward + backward to the judged image, calls interleaved, medians.
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

import lookalike

ROUNDS = 9
Score = Callable[[Tensor, Tensor], Tensor]


def contestants() -> dict[str, tuple[int, dict[str, Score]]]:
    """Per metric the channels of the images, and the peers as functions of two batches in [0, 1]."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from torchvision_schemas import register_torchvision_schemas

    register_torchvision_schemas()
    import piq
    from frame_analytics.dss import dss
    from frame_analytics.flip import flip
    from frame_analytics.nlpd import nlpd
    from frame_analytics.psnrhvs import psnr_hvs, psnr_hvs_m
    from frame_analytics.scielab import scielab
    from frame_analytics.srsim import srsim
    from frame_analytics.ssimulacra2 import ssimulacra2

    return {
        "nlpd": (1, {"frame-analytics": lambda x, y: nlpd(x, y, data_range=1.0)}),
        "iw_ssim": (1, {"piq": piq.information_weighted_ssim}),
        "sr_sim": (1, {"piq": piq.srsim, "frame-analytics": lambda x, y: srsim(x, y, data_range=1.0)}),
        "dss": (1, {"piq": piq.dss, "frame-analytics": lambda x, y: dss(x, y, data_range=1.0)}),
        "psnr_hvs": (1, {"frame-analytics": lambda x, y: psnr_hvs(x, y, data_range=1.0)}),
        "psnr_hvs_m": (1, {"frame-analytics": lambda x, y: psnr_hvs_m(x, y, data_range=1.0)}),
        "flip": (3, {"frame-analytics": lambda x, y: flip(x, y, data_range=1.0)}),
        "s_cielab": (3, {"frame-analytics": lambda x, y: scielab(x, y, data_range=1.0, ppd=60.0)}),
        "ssimulacra2": (3, {"frame-analytics": lambda x, y: ssimulacra2(y, x, data_range=1.0)}),
    }


def milliseconds(score: Score, x: Tensor, y: Tensor, backward: bool) -> float:
    """How long one call takes."""
    image = x.clone().requires_grad_(backward)
    start = time.perf_counter()
    value = score(image, y)
    if backward:
        value.sum().backward()
    return 1000 * (time.perf_counter() - start)


def main() -> int:
    """Print the table; 1 where a peer is faster."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    slower = 0
    print(f"{'metric':<12}{'work':<20}{'ours ms':>9}{'best peer ms':>14}{'ratio':>8}  peer")
    for name, (channels, peers) in contestants().items():
        y = torch.rand(1, channels, 512, 512, generator=torch.Generator().manual_seed(0))
        x = (y + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
        scores: dict[str, Score] = {"ours": lookalike.get(name, check="shapes"), **peers}
        for work, backward in (("forward", False), ("forward + backward", True)):
            times: dict[str, list[float]] = {who: [] for who in scores}
            for _ in range(ROUNDS + 2):
                for who, score in scores.items():
                    times[who].append(milliseconds(score, x, y, backward))
            medians = {who: statistics.median(taken[2:]) for who, taken in times.items()}
            ours = medians.pop("ours")
            best = min(medians, key=lambda who: medians[who])
            ratio = medians[best] / ours
            slower += ratio < 1
            print(f"{name:<12}{work:<20}{ours:>9.1f}{medians[best]:>14.1f}{ratio:>8.2f}  {best}")
    return int(slower > 0)


if __name__ == "__main__":
    sys.exit(main())
