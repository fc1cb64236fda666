"""SSIM on the CPU against every peer: one process, calls interleaved, medians; the issue's targets beside them.

    python -m benchmarks.ssim                        all, two threads
    python -m benchmarks.ssim --keep                 and written to benchmarks/results/MACHINE/ssim.json
    python -m benchmarks.ssim --threads 1 --only 'forward'
    LOOKALIKE_CPU_ISA=avx2 python -m benchmarks.ssim --keep

Refuses to time kernels whose tests fail. malloc is pinned, which is kindest to peers that allocate much. Every
library gets its natural layout and returns one number; "fb" is that number and its gradient to x.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import PINNED, ROOT, add_keep, keep, machine
from lookalike.conventions import MS_WEIGHTS
from lookalike.ops import ssim as op
from lookalike.ops.ssim import multiscale
from lookalike.ops.ssim.setting import Mixture, Scales, Setting
from lookalike.ops.window import gaussian, uniform

PEERS = ("frame-analytics", "pytorch-msssim", "piqa", "Fast-SSIM", "scikit-image")
GAUSS = Setting(gaussian(11, 1.5))
BATCH, GREY, RGB, UHD = (16, 3, 256, 256), (1, 1, 1080, 1920), (1, 3, 1080, 1920), (1, 3, 2160, 3840)
QUIET = 0.1  # share of the processors that others may use in a round that counts
Call = Callable[[], Any]
Score = Callable[[Tensor, Tensor], Any]
Shape = tuple[int, ...]
Targets = dict[str, float]  # peer: how many times our time it should take; 0 where nothing was asked


@dataclass
class Case:
    """One line of the table: calls for the same work, ours first, and the ratios asked for."""

    name: str
    calls: dict[str, Call]
    targets: Targets = field(default_factory=dict)


@dataclass
class Result:
    name: str
    median_ms: dict[str, float]
    least_ms: dict[str, float]
    ratio: dict[str, float]
    target: Targets
    foreign_load: float  # other processes' share of the processors meanwhile


# ---- images and calls


def images(shape: Shape) -> tuple[Tensor, Tensor]:
    """A smooth picture and its noisy copy."""
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(*shape[:2], shape[2] // 16 + 1, shape[3] // 16 + 1, generator=generator)
    x = torch.nn.functional.interpolate(low, shape[2:], mode="bilinear")
    x = (0.8 * x + 0.1 + 0.05 * torch.randn(shape, generator=generator)).clamp(0, 1)
    return x, (x + 0.05 * torch.randn(shape, generator=generator)).clamp(0, 1)


def bytes_of(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple((255 * tensor).round().byte() for tensor in tensors)


def interleaved(image: Tensor) -> Any:
    """``(n, c, h, w)`` as the ``(h, w, c)`` arrays of image libraries."""
    return [one.permute(1, 2, 0).contiguous().numpy() for one in image]


def ours(x: Tensor, y: Tensor, setting: Setting = GAUSS) -> Tensor:
    return op.means(x, y, setting)[..., 0].mean()


def our_ms(x: Tensor, y: Tensor) -> Tensor:
    means = op.pyramid(x, y, Scales(GAUSS, 5))
    return multiscale.product(means, means.new_tensor(MS_WEIGHTS)).mean()


def forward_backward(score: Score, x: Tensor, y: Tensor) -> Call:
    x = x.clone().requires_grad_()

    def call() -> None:
        x.grad = None
        (1 - score(x, y)).backward()

    return call


def peers_of(ms: bool = False) -> dict[str, Score]:
    """The scores of other libraries."""
    import frame_analytics
    import pytorch_msssim

    if not ms:

        def of_pytorch_msssim(x: Tensor, y: Tensor) -> Tensor:
            return pytorch_msssim.ssim(x, y, data_range=1.0)

        return {
            "frame-analytics": lambda x, y: frame_analytics.ssim(x, y, data_range=1.0),
            "pytorch-msssim": of_pytorch_msssim,
            "pytorch-msssim compiled": torch.compile(of_pytorch_msssim, dynamic=False),
        }
    peers: dict[str, Score] = {
        "frame-analytics": lambda x, y: frame_analytics.ms_ssim(x, y, data_range=1.0),
        "pytorch-msssim": lambda x, y: pytorch_msssim.ms_ssim(x, y, data_range=1.0),
    }
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from torchvision_schemas import register_torchvision_schemas

    register_torchvision_schemas()  # piqa imports torchvision, which may belong to another build of torch
    import piqa

    peers["piqa"] = piqa.MS_SSIM(value_range=1.0)
    return peers


def forward_case(name: str, shape: Shape, targets: Targets, score: Score = ours, ms: bool = False) -> Case:
    x, y = images(shape)
    peers = {peer: call for peer, call in peers_of(ms).items() if peer in targets}
    calls = {peer: partial(call, x, y) for peer, call in {"ours": score, **peers}.items()}
    return Case(name, calls, targets)


def backward_case(name: str, shape: Shape, targets: Targets, score: Score = ours, ms: bool = False) -> Case:
    x, y = images(shape)
    peers = {peer: call for peer, call in peers_of(ms).items() if peer in targets}
    calls = {peer: forward_backward(call, x, y) for peer, call in {"ours": score, **peers}.items()}
    return Case(name, calls, targets)


def bytes_case(name: str, shape: Shape) -> Case:
    x, y = images(shape)
    return Case(name, {"ours": partial(ours, *bytes_of(x, y)), "float32": partial(ours, x, y)}, {"float32": 1.0})


def l1_case(name: str, shape: Shape) -> Case:
    x, y = images(shape)

    def kept(x: Tensor, y: Tensor) -> Tensor:
        return 1 - op.l1_ssim(x, y, Mixture(GAUSS)).mean()

    calls = {"ours": forward_backward(kept, x, y), "SSIM alone": forward_backward(ours, x, y)}
    return Case(name, calls, {"SSIM alone": 1 / 1.1})


def uniform_case(name: str, shape: Shape, size: int, as_bytes: bool) -> Case:
    """Uniform windows and sample covariance, as Fast-SSIM and scikit-image have them."""
    import fast_ssim
    from skimage.metrics import structural_similarity

    x, y = images(shape)
    if as_bytes:
        x, y = bytes_of(x, y)
    xs, ys = interleaved(x), interleaved(y)
    peak = 255 if as_bytes else 1.0
    unbias = size * size / (size * size - 1)

    def fast() -> float:
        return statistics.fmean(
            fast_ssim.ssim(a, b, data_range=peak, win_size=size) for a, b in zip(xs, ys, strict=True)
        )

    def skimage() -> float:
        options: dict[str, Any] = {"data_range": peak, "win_size": size, "channel_axis": 2}
        scores: list[Any] = [structural_similarity(a, b, **options) for a, b in zip(xs, ys, strict=True)]
        return statistics.fmean(scores)

    calls = {
        "ours": lambda: ours(x, y, Setting(uniform(size), unbias=unbias)),
        "Fast-SSIM": fast,
        "scikit-image": skimage,
    }
    return Case(name, calls, {"Fast-SSIM": 1.0, "scikit-image": 20})


def cases() -> dict[str, Callable[[str], Case]]:
    """How each case is made, by name; its images live only while it runs. Targets are the issue's."""
    made: dict[str, Callable[[str], Case]] = {
        "forward 16x3x256x256": lambda name: forward_case(
            name, BATCH, {"frame-analytics": 2.8, "pytorch-msssim": 18, "pytorch-msssim compiled": 0}
        ),
        "forward 1080p grey": lambda name: forward_case(name, GREY, {"frame-analytics": 2.6, "pytorch-msssim": 0}),
        "forward 1080p RGB": lambda name: forward_case(name, RGB, {"frame-analytics": 2.6}),
        "forward 4K RGB": lambda name: forward_case(name, UHD, {"frame-analytics": 2.6}),
        "fb 16x3x256x256": lambda name: backward_case(
            name, BATCH, {"pytorch-msssim compiled": 7, "frame-analytics": 7, "pytorch-msssim": 15}
        ),
        "fb 1080p grey": lambda name: backward_case(name, GREY, {"pytorch-msssim": 22, "frame-analytics": 0}),
        "uint8 forward 16x3x256x256": lambda name: bytes_case(name, BATCH),
        "uint8 forward 1080p RGB": lambda name: bytes_case(name, RGB),
        "MS-SSIM forward 16x3x256x256": lambda name: forward_case(
            name, BATCH, {"frame-analytics": 4, "pytorch-msssim": 0}, our_ms, ms=True
        ),
        "MS-SSIM fb 16x3x256x256": lambda name: backward_case(
            name, BATCH, {"frame-analytics": 8, "pytorch-msssim": 8, "piqa": 8}, our_ms, ms=True
        ),
        "L1 + SSIM fb 16x3x256x256": lambda name: l1_case(name, BATCH),
        "L1 + SSIM fb 1080p grey": lambda name: l1_case(name, GREY),
    }
    for title, shape in (("16x3x256x256", BATCH), ("1080p grey", GREY), ("1080p RGB", RGB)):
        for size in (7, 11):
            for kind in ("float32", "uint8"):
                made[f"uniform {size} {kind} {title}"] = partial(
                    uniform_case, shape=shape, size=size, as_bytes=kind == "uint8"
                )
    return made


# ---- measuring


def processor_times() -> tuple[float, float, float]:
    """Seconds: of the clock, that all processors were busy, and that this process used."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    busy = sum(map(int, fields)) - int(fields[3]) - int(fields[4])
    return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()


def measure(case: Case, rounds: int) -> Result:
    """Medians over the quietest rounds: up to three times as many are run while other processes disturb."""
    for call in [*case.calls.values()] * 2:
        call()
    taken: list[tuple[float, dict[str, float]]] = []  # foreign load of a round, milliseconds of each call
    while len(taken) < 3 * rounds and sum(load < QUIET for load, _ in taken) < rounds:
        start, busy, own = processor_times()
        milliseconds = {}
        for name, call in case.calls.items():
            before = time.perf_counter()
            call()
            milliseconds[name] = 1e3 * (time.perf_counter() - before)
        end, busy_then, own_then = processor_times()
        foreign = (busy_then - busy) - (own_then - own)
        taken.append((max(0.0, foreign) / ((end - start) * (os.cpu_count() or 1)), milliseconds))
    quietest = sorted(taken, key=lambda one: one[0])[:rounds]
    median = {name: statistics.median(one[name] for _, one in quietest) for name in case.calls}
    least = {name: min(one[name] for _, one in taken) for name in case.calls}
    ratio = {name: median[name] / median["ours"] for name in median if name != "ours"}
    return Result(case.name, median, least, ratio, case.targets, statistics.fmean(load for load, _ in quietest))


def microseconds(call: Call, repeat: int = 3000) -> float:
    for _ in range(300):
        call()
    taken = []
    for _ in range(repeat):
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return 1e6 * statistics.median(taken)


def overheads() -> dict[str, float]:
    """Microseconds of calls at 32 x 32, where there is next to nothing to compute."""
    import lookalike

    x, y = images((1, 1, 32, 32))
    metric = lookalike.get("ssim", check="shapes")
    return {
        "ops.ssim forward": microseconds(lambda: op.means(x, y, GAUSS)),
        "ops.ssim fb": microseconds(forward_backward(ours, x, y)),
        "get('ssim') forward": microseconds(lambda: metric(x, y)),
        "get('ssim') fb": microseconds(forward_backward(lambda x, y: metric(x, y).mean(), x, y)),
    }


def check_and_mask(rounds: int) -> dict[str, float]:
    """What a look at the values adds to ``get("ssim")``, and how many times as fast masked kernels are."""
    import lookalike

    x, y = images(BATCH)
    looks, does_not = (lookalike.get("ssim", check=check) for check in ("values", "shapes"))
    least = measure(Case("", {"looks": lambda: looks(x, y), "ours": lambda: does_not(x, y)}), rounds).least_ms
    found = {"check='values' over 'shapes'": least["looks"] / least["ours"]}
    x, y = images((2, 3, 256, 256))
    mask = (torch.rand(2, 1, 256, 256, generator=torch.Generator().manual_seed(0)) > 0.3).float().expand_as(x)
    for name, quantity, setting in (("SSIM", op.means, GAUSS), ("L1 + SSIM", op.l1_ssim, Mixture(GAUSS))):

        def score(x: Tensor, y: Tensor, run: Any = quantity, setting: Any = setting) -> Tensor:
            return run(x, y, setting, mask).mean()

        def reference(x: Tensor, y: Tensor, run: Any = quantity.reference, setting: Any = setting) -> Tensor:
            return run(x, y, setting, mask).mean()

        calls = {"ours": lambda score=score: score(x, y), "reference": lambda score=reference: score(x, y)}
        steps = {"ours": forward_backward(score, x, y), "reference": forward_backward(reference, x, y)}
        for way, both in (("forward", calls), ("forward and backward", steps)):
            least = measure(Case("", both), rounds).least_ms
            found[f"masked {name}, {way}: times the reference"] = least["reference"] / least["ours"]
    return found


def flatness(rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds a pixel, from batches of small images to one of 8K."""
    found = {}
    for shape in ((16, 1, 256, 256), (4, 1, 512, 512), (1, 1, 1024, 1024), (1, 1, 2160, 3840), (1, 1, 4320, 7680)):
        x, y = images(shape)
        case = Case("", {"ours": lambda x=x, y=y: ours(x, y), "fb": forward_backward(ours, x, y)})
        least = measure(case, rounds).least_ms
        found["x".join(map(str, shape))] = {
            "forward": 1e6 * least["ours"] / x.numel(), "fb": 1e6 * least["fb"] / x.numel()
        }  # fmt: skip
    return found


_MEMORY = """
import sys, torch
from benchmarks import ssim as b
which, what = sys.argv[1:]
score = {"ours": b.ours}.get(which)
if score is None:
    import importlib
    module = importlib.import_module(which)
    score = lambda x, y: module.ssim(x, y, data_range=1.0)
def run(shape):
    x, y = b.images(shape)
    call = b.forward_backward(score, x, y) if what == "fb" else lambda: score(x, y)
    return x, y, call
run((1, 1, 64, 64))[2]()
x, y, call = run(b.BATCH)
def kilobytes(name):
    return int(next(l for l in open("/proc/self/status") if l.startswith(name)).split()[1])
open("/proc/self/clear_refs", "w").write("5")
before = kilobytes("VmRSS")
call()
print((kilobytes("VmHWM") - before) / 1024)
"""


def memory() -> dict[str, dict[str, float]]:
    """MiB that one call on 16 x 3 x 256 x 256 adds to a fresh process at its peak; the images are 12 MiB each."""
    found: dict[str, dict[str, float]] = {}
    for which in ("ours", "frame_analytics", "pytorch_msssim"):
        for what in ("forward", "fb"):
            command = [sys.executable, "-c", _MEMORY, which, what]
            # Pinned, malloc would keep what earlier calls freed, and a new gradient would seem to cost nothing.
            loose = {name: value for name, value in os.environ.items() if name not in PINNED}
            run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=loose)
            found.setdefault(which, {})[what] = float(run.stdout)
    return found


def import_ms() -> dict[str, float]:
    """Milliseconds to import torch, lookalike after it, and its first metric; and whether Triton came along."""
    program = (
        "import time; a = time.perf_counter(); import torch; b = time.perf_counter(); import lookalike; "
        "c = time.perf_counter(); lookalike.get('ssim'); d = time.perf_counter(); import sys; "
        "print((b - a) * 1e3, (c - b) * 1e3, (d - c) * 1e3, int('triton' in sys.modules))"
    )
    runs = []
    for _ in range(5):
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
        runs.append([float(word) for word in run.stdout.split()])
    return {
        "torch": min(r[0] for r in runs),
        "lookalike": min(r[1] for r in runs),
        "first metric": min(r[2] for r in runs),
        "triton": max(r[3] for r in runs),
    }


# ---- the run


def gate() -> None:
    """Raise unless the kernels' tests pass and the op uses them."""
    x, y = images((1, 1, 32, 32))
    explanation = op.means.explain(x, y, GAUSS)
    if explanation != "cpu: runs":
        raise SystemExit(f"the compiled kernel does not run: {explanation}")
    test = ROOT / "tests" / "ops" / "test_ssim_cpu_kernel.py"
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", str(test)], cwd=ROOT, check=False)
    if run.returncode:
        raise SystemExit("the kernels' tests fail: nothing is timed")


def show(result: Result) -> None:
    print(f"{result.name}   ours {result.median_ms['ours']:.2f} ms (min {result.least_ms['ours']:.2f})", end="")
    print(f"   [foreign load {result.foreign_load:.0%}]" if result.foreign_load > 0.1 else "")
    for peer, ratio in result.ratio.items():
        target = result.target.get(peer)
        verdict = "" if not target else f"   asked {target:.3g}x {'ok' if ratio >= target else 'SHORT'}"
        print(f"    {peer:26} {result.median_ms[peer]:9.2f} ms  {ratio:7.2f}x{verdict}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="a regular expression that case names must match")
    add_keep(parser)
    arguments = parser.parse_args()
    if arguments.keep and arguments.only:
        parser.error("--keep keeps all figures, not --only some")
    if any(os.environ.get(name) != value for name, value in PINNED.items()):  # read by libc at start
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.ssim", *sys.argv[1:]], {**os.environ, **PINNED}
        )

    warnings.simplefilter("ignore")
    gate()
    torch.set_num_threads(arguments.threads)
    report: dict[str, Any] = {"machine": machine(arguments.threads, PEERS), "cases": []}
    print(json.dumps(report["machine"], indent=2))
    for name, make in cases().items():
        if re.search(arguments.only, name):
            result = measure(make(name), max(7, arguments.rounds))
            report["cases"].append(asdict(result))
            show(result)
            torch.compiler.reset()
    if not arguments.only:
        report["overhead_us"] = overheads()
        report["check_and_mask"] = check_and_mask(max(7, arguments.rounds))
        report["ns_per_pixel"] = flatness(max(7, arguments.rounds))
        report["memory_mib"] = memory()
        report["import_ms"] = import_ms()
        for key in ("overhead_us", "check_and_mask", "ns_per_pixel", "memory_mib", "import_ms"):
            print(key, json.dumps(report[key], indent=2))
    if arguments.keep:
        keep("ssim", report)


if __name__ == "__main__":
    main()
