"""The classical metrics against the fastest peer: ``python -m benchmarks.rack [--keep] [METRIC …]``.

Without names all of them; ``--keep`` writes them to benchmarks/results/MACHINE/rack.json. A row is a metric and
the peers' callables of two batches in the unit range; a peer that is not installed is left out. Turns alternate;
times are medians of processor time at 512 x 512 in float32, on one thread, with malloc pinned in the peers' favour;
a turn of a quick metric is as many calls as take 2 ms. pyiqa is not free for all uses: run the row of MAD in an
environment of its own that has it.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import PINNED, add_keep, keep, machine
from lookalike import registry

ROUNDS = 9
TURN = 2.0  # milliseconds, at least
SIDE = 512
Score = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        metric: a name of the catalogue.
        peers: ``"package:callable"``, functions of two batches; a class is built without arguments first.
        channels: of the images.
        options: of our metric.
        extra: keyword arguments of the peers, of the function or of the class.
        reference_first: whether the peers take the reference before the image judged.
    """

    metric: str
    peers: tuple[str, ...]
    channels: int = 1
    options: tuple[tuple[str, object], ...] = ()
    extra: tuple[tuple[str, object], ...] = ()
    reference_first: bool = False


ROWS = (
    Row("gmsd", ("piq:gmsd", "piqa:GMSD", "frame_analytics.functional:gmsd")),
    Row("gmsd", ("piq:gmsd", "piqa:GMSD"), channels=3),
    Row("ms_gmsd", ("piq:multi_scale_gmsd", "piqa:MS_GMSD", "frame_analytics.ms_gmsd:ms_gmsd")),
    Row("haarpsi", ("piq:haarpsi", "piqa:HaarPSI", "frame_analytics.haarpsi:haarpsi")),
    Row("haarpsi", ("piq:haarpsi", "piqa:HaarPSI"), channels=3),
    Row("mdsi", ("piq:mdsi", "piqa:MDSI", "frame_analytics.mdsi:mdsi"), channels=3),
    Row("vsi", ("piq:vsi", "piqa:VSI", "frame_analytics.vsi:vsi"), channels=3),
    Row("fsim", ("piq:fsim", "frame_analytics.fsim:fsim"), extra=(("chromatic", False),)),
    Row("fsim", ("piq:fsim", "piqa:FSIM", "frame_analytics.fsim:fsimc"), channels=3),
    Row("vif", ("pyiqa.archs.vif_arch:VIF",), channels=3),
    Row("vif", ("piq:vif_p", "frame_analytics.vifp:vifp"), options=(("domain", "pixel"),)),
    Row("mad", ("pyiqa.archs.mad_arch:MAD",)),
    Row("uqi", ("torchmetrics.functional.image:universal_image_quality_index",)),
    Row("nlpd", ("frame_analytics.nlpd:nlpd",)),
    Row("iw_ssim", ("piq:information_weighted_ssim",)),
    Row("sr_sim", ("piq:srsim", "frame_analytics.srsim:srsim")),
    Row("dss", ("piq:dss", "frame_analytics.dss:dss")),
    Row("psnr_hvs", ("frame_analytics.psnrhvs:psnr_hvs",)),
    Row("psnr_hvs_m", ("frame_analytics.psnrhvs:psnr_hvs_m",)),
    Row("flip", ("frame_analytics.flip:flip",), channels=3),
    Row("s_cielab", ("frame_analytics.scielab:scielab",), channels=3, extra=(("ppd", 60.0),)),
    Row("ssimulacra2", ("frame_analytics.ssimulacra2:ssimulacra2",), channels=3, reference_first=True),
)


def peer(path: str, row: Row) -> Score | None:
    """A peer as a function of two batches, or None where it is absent or does not take these images."""
    package, _, name = path.partition(":")
    extra = dict(row.extra)
    try:
        found = getattr(importlib.import_module(package), name)
    except ImportError:
        return None
    call: Score = found(**extra) if isinstance(found, type) else lambda x, y: found(x, y, **extra)
    score: Score = (lambda x, y: call(y, x)) if row.reference_first else call
    try:
        score(*pair(row.channels))
    except Exception as error:  # a peer refuses in any way it likes
        print(f"{path} does not take {row.channels} channels: {str(error)[:60]}")
        return None
    return score


def pair(channels: int) -> tuple[Tensor, Tensor]:
    """Smooth shading with noise, and more noise on it, ``(1, channels, SIDE, SIDE)``."""
    ramp = torch.linspace(0, 1, SIDE)
    shading = (ramp[:, None] * 9).sin() * (ramp * 7).cos() * 0.3 + 0.5
    first, second = (torch.randn(1, channels, SIDE, SIDE, generator=seeded(seed)) for seed in (0, 1))
    y = (shading + 0.05 * first).clamp(0, 1)
    return (y + 0.05 * second).clamp(0, 1), y


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def milliseconds(score: Score, x: Tensor, y: Tensor, backward: bool, calls: int = 1) -> float:
    """Processor time of one value, with its gradient to ``x`` where asked for: the mean of some calls in a row."""
    image = x.clone().requires_grad_(backward)
    start = time.process_time()
    for _ in range(calls):
        value = score(image, y)
        if backward:
            torch.autograd.grad(value.sum(), image)
    return 1000 * (time.process_time() - start) / calls


def medians(contestants: dict[str, Score], x: Tensor, y: Tensor, backward: bool) -> dict[str, float]:
    """The median time of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    once = {name: [milliseconds(score, x, y, backward) for _ in range(3)] for name, score in contestants.items()}
    for _ in range(ROUNDS):
        for name, score in contestants.items():
            calls = max(1, math.ceil(TURN / max(min(once[name]), 0.01)))
            times[name].append(milliseconds(score, x, y, backward, calls))
    return {name: statistics.median(taken) for name, taken in times.items()}


def compared(row: Row) -> dict[str, Any]:
    """The times of one row, ours and the best peer's, forward and with the gradient."""
    found = {path: peer(path, row) for path in row.peers}
    contestants: dict[str, Score] = {path: score for path, score in found.items() if score}
    contestants["ours"] = registry.get(row.metric, check="shapes", **dict(row.options))
    x, y = pair(row.channels)
    result: dict[str, Any] = {"metric": row.metric, "options": dict(row.options), "channels": row.channels}
    for work, backward in (("forward", False), ("fb", True)):
        taken = medians(contestants, x, y, backward)
        result[work] = {"ours": taken.pop("ours")}
        if taken:
            best = min(taken, key=lambda name: taken[name])
            package = best.partition(".")[0].partition(":")[0].replace("_", "-")
            result[work] |= {"peer": package, "theirs": taken[best]}
    return result


def show(result: dict[str, Any]) -> None:
    """A line of the table."""
    line = f"{result['metric']:12}{result['channels']:2}"
    for work in ("forward", "fb"):
        part = result[work]
        line += f"{part['ours']:16.2f}"
        if "peer" in part:
            line += f"{part['theirs']:10.2f}{part['theirs'] / part['ours']:7.2f}  {part['peer']:15}"
        else:
            line += f"{'—':>10}{'—':>7}  {'—':15}"
    print(line, flush=True)


def main() -> int:
    """Print the table; 1 where a peer is faster."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("metrics", nargs="*", metavar="METRIC")
    add_keep(parser)
    arguments = parser.parse_args()
    wanted = arguments.metrics
    if arguments.keep and wanted:
        parser.error("--keep keeps the figures of all metrics, not of some")
    if any(os.environ.get(name) != value for name, value in PINNED.items()):  # read by the C library at its start
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.rack", *sys.argv[1:]], {**os.environ, **PINNED}
        )
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    importlib.import_module("torchvision_schemas").register_torchvision_schemas()
    torch.set_num_threads(1)
    titles = "".join(
        f"{work:>16}{'peer':>10}{'times':>7}  {'best peer':15}" for work in ("forward, ms", "+ backward")
    )
    print(f"{'metric':12}ch{titles}")
    results = []
    for row in ROWS:
        if not wanted or row.metric in wanted:
            results.append(compared(row))
            show(results[-1])
    if arguments.keep:
        packages = sorted(
            {part["peer"] for row in results for part in (row["forward"], row["fb"]) if "peer" in part}
        )
        report = {"machine": machine(1, packages), "side": SIDE, "rows": results}
        keep("rack", report)
    parts = [part for row in results for part in (row["forward"], row["fb"])]
    return int(any(part.get("theirs", math.inf) < part["ours"] for part in parts))


if __name__ == "__main__":
    sys.exit(main())
