"""Folders against pyiqa's command and a loop over scikit-image; memory, start-up and kills.

``python -m benchmarks.folders [throughput] [memory] [startup] [kills]``, everything by default. Options:
``--pairs`` and ``--rounds`` of the throughput, ``--kills``, ``--most`` pairs for memory; ``--pyiqa PYTHON``: an
interpreter that has pyiqa, which is not for commercial use and never stands in this project's environment;
``--photographs FOLDER``: PNG files to be cut to 768×512 instead of scikit-image's photographs.

Whole processes are timed, start to end, in turn; pairs a second come from the difference between a long and a short
run of each, so that nobody's imports count. malloc is pinned in the peers' favour; pyiqa, which takes seconds a
pair, gets an eighth of the pairs. Goals: 4 times pyiqa's command and 3 times the loop (without MS-SSIM, which
scikit-image lacks); decoding at least half of the CPU time; memory that is flat and below 1.5 GB; ``--help`` within
0.4 s and one pair within 2.5 s; a table that survives kills bit for bit.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
COMMAND, LOOP = "pyiqa's command, psnr ssim ms_ssim", "scikit-image loop, psnr ssim"
PINNED = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
WHAT = ("throughput", "memory", "startup", "kills")
SKIMAGE_LOOP = """
import sys
from pathlib import Path
from skimage.io import imread
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
ref, judged = map(Path, sys.argv[1:])
rows = []
for path in sorted(judged.iterdir()):
    x, y = imread(path), imread(ref / path.name)
    rows.append((peak_signal_noise_ratio(y, x), structural_similarity(y, x, channel_axis=2)))
print(*(sum(column) / len(rows) for column in zip(*rows)))
"""
# torchvision from the package index does not load beside a CPU build of torch until its operators are declared.
PYIQA = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from torchvision_schemas import register_torchvision_schemas
register_torchvision_schemas()
from pyiqa.pyiqa_cmd import main
main()
"""


def ours(ref: Path, judged: Path, metrics: Sequence[str], *more: str) -> list[str]:
    return [sys.executable, "-m", "lookalike", "score", str(ref), str(judged), "-m", *metrics, *more]


def spend(command: Sequence[str]) -> tuple[float, float]:
    """Seconds of one process: by the clock, and of CPU."""
    environment = os.environ | PINNED | {"PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command[:4]}: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def photographs(folder: Path | None) -> Iterator[np.ndarray]:
    """Pictures of 768×512, without end."""
    if folder is not None:
        files = sorted(folder.glob("*.png"))
        if not files:
            raise SystemExit(f"{folder}: no PNG files")
        pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    else:
        from skimage import data

        pictures = [np.asarray(Image.fromarray(image).resize((960, 640))) for image in (
            data.astronaut(), data.coffee(), data.chelsea(), data.rocket(),
        )]  # fmt: skip
    random_places = np.random.default_rng(0)
    while True:
        for picture in pictures:
            picture = picture if picture.shape[1] >= 768 else picture.transpose(1, 0, 2)
            top, left = (
                int(random_places.integers(0, most + 1)) for most in np.subtract(picture.shape[:2], (512, 768))
            )
            yield np.ascontiguousarray(picture[top : top + 512, left : left + 768])


def fill(folder: Path, count: int, source: Path | None) -> tuple[Path, Path]:
    """``count`` references and their noisy copies."""
    ref, judged = folder / "ref", folder / "judged"
    noise = np.random.default_rng(1)
    for place in (ref, judged):
        place.mkdir(parents=True)
    for index, y in zip(range(count), photographs(source), strict=False):
        x = np.clip(y + noise.normal(0, 5, y.shape), 0, 255).astype(np.uint8)
        Image.fromarray(y).save(ref / f"{index:04}.png")
        Image.fromarray(x).save(judged / f"{index:04}.png")
    return ref, judged


def throughput(folder: Path, options: argparse.Namespace) -> int:
    everything, without = ("psnr", "ssim", "ms_ssim"), ("psnr", "ssim")
    real = fill(folder / "real", options.pairs, options.photographs)
    commands: dict[str, Callable[[Path, Path], list[str]]] = {
        "lookalike, psnr ssim ms_ssim": lambda ref, judged: ours(ref, judged, everything),
        "lookalike, psnr ssim": lambda ref, judged: ours(ref, judged, without),
        LOOP: lambda ref, judged: [sys.executable, "-c", SKIMAGE_LOOP, str(ref), str(judged)],
    }
    if options.pyiqa is not None:
        commands[COMMAND] = lambda ref, judged: [
            str(options.pyiqa), "-c", PYIQA, str(ROOT / "tests" / "support"), *everything,
            "-t", str(judged), "-r", str(ref), "--device", "cpu",
        ]  # fmt: skip
    counts = {name: options.pairs if name != COMMAND else max(4, options.pairs // 8) for name in commands}
    places = {count: some(folder / f"{count}", real, count) for count in {*counts.values(), 2}}
    took: dict[str, list[float]] = {name: [] for name in commands}
    worked: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            long, short = (spend(command(*places[count])) for count in (counts[name], 2))
            for seconds, index in ((took, 0), (worked, 1)):
                seconds[name].append((long[index] - short[index]) / (counts[name] - 2))
    for name in commands:
        rate, work = 1 / median(took[name]), 1000 * median(worked[name])
        print(f"{name:40} {rate:8.2f} pairs/s, {work:8.1f} ms of CPU a pair")
    missed = 0
    for name, metrics, goal in ((COMMAND, everything, 4.0), (LOOP, without, 3.0)):
        if name in took:
            ratio = median(took[name]) / median(took[f"lookalike, {' '.join(metrics)}"])
            missed += ratio < goal
            print(f"{ratio:6.1f} times {name} (goal {goal:g})", flush=True)
    return missed + decoding(real)


def some(folder: Path, real: tuple[Path, Path], count: int) -> tuple[Path, Path]:
    """Links to the first pairs."""
    for source in real:
        (folder / source.name).mkdir(parents=True)
        for file in sorted(source.iterdir())[:count]:
            (folder / source.name / file.name).symlink_to(file)
    return folder / "ref", folder / "judged"


def decoding(folders: tuple[Path, Path]) -> int:
    """What share of the CPU time of a run decoding takes: the seconds of either in one thread."""
    import torch

    from lookalike.scoring.recipe import Recipe, Scorer, Work

    torch.set_num_threads(1)
    scorer = Scorer(Recipe(metrics=("psnr", "ssim", "ms_ssim")))
    names = sorted(path.name for path in folders[0].iterdir())
    works = [Work(name, str(folders[0] / name), (("judged", str(folders[1] / name)),)) for name in names]
    scorer.score(scorer.decode(works[0]))
    shares = []
    for work in works:
        start = time.thread_time()
        decoded = scorer.decode(work)
        middle = time.thread_time()
        scorer.score(decoded)
        shares.append((middle - start) / (time.thread_time() - start))
    print(f"decoding takes {median(shares):.0%} of the CPU time (goal 50 %)")
    return int(median(shares) < 0.5)


def links(folder: Path, count: int) -> tuple[Path, Path]:
    """So many pairs, as links to one of 64 px."""
    made = fill(folder / "real", 1, None)
    places = []
    for real in made:
        file = real / "0000.png"
        Image.open(file).crop((0, 0, 64, 64)).save(file)
        place = folder / f"{real.name}-{count}"
        for index in range(count):
            link = place / f"{index // 1000:04}/{index % 1000:03}.png"
            if index % 1000 == 0:
                link.parent.mkdir(parents=True)
            link.symlink_to(file)
        places.append(place)
    return places[0], places[1]


def memory(folder: Path, options: argparse.Namespace) -> int:
    """The largest memory of one process for ever more pairs."""
    peaks = []
    for count in sorted({100, 1000, 10_000, options.most}):
        if count > options.most:
            continue
        ref, judged = links(folder / str(count), count)
        command = ours(ref, judged, ["psnr"], "-o", str(folder / f"{count}.csv"))
        begun = time.perf_counter()
        pid = os.posix_spawn(
            sys.executable,
            command,
            os.environ | {"PYTHONPATH": str(ROOT)},
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
        )
        _, status, used = os.wait4(pid, 0)
        assert status == 0, f"{count} pairs ended with {status}"
        peaks.append(used.ru_maxrss / 1024)
        rate = count / (time.perf_counter() - begun)
        print(
            f"{count:8} pairs of 64 px, psnr: {peaks[-1]:6.0f} MiB, {rate:6.0f} pairs/s with the start", flush=True
        )
    growth = peaks[-1] / peaks[0]
    print(f"{growth:.2f} times the memory for {options.most // 100} times the pairs (goal 1.25, below 1536 MiB)")
    return int(growth > 1.25 or peaks[-1] > 1536)


def startup(folder: Path, options: argparse.Namespace) -> int:
    ref, judged = fill(folder / "one", 1, options.photographs)
    pair = [str(place / "0000.png") for place in (ref, judged)]
    lookalike = [sys.executable, "-m", "lookalike"]
    missed = 0
    for name, goal, command in (
        ("--help", 0.4, [*lookalike, "--help"]),
        ("score a b -m psnr ssim", 2.5, [*lookalike, "score", *pair, "-m", "psnr", "ssim"]),
        ("score a b", 2.5, [*lookalike, "score", *pair]),
    ):
        spend(command)
        seconds = median(spend(command)[0] for _ in range(7))
        missed += seconds > goal
        print(f"lookalike {name}: {seconds:.2f} s (goal {goal:g})")
    return missed


def kills(folder: Path, options: argparse.Namespace) -> int:
    """Kill one run after the other at random moments; what they end in must be the table of a run in one go."""
    ref, judged = links(folder, 5000)
    whole, table = folder / "whole.csv", folder / "killed.csv"
    seconds = spend(ours(ref, judged, ["psnr"], "-o", str(whole)))[0]
    journal = Path(f"{table}.journal")
    command = ours(ref, judged, ["psnr"], "-o", str(table))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    moments, caught, tables, same, last = random.Random(options.seed), 0, 0, 0, False
    while not last:
        last = caught == options.kills  # the one that may end
        if last:
            spend(command)
        else:
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(moments.uniform(0, seconds))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                caught += 1
            process.wait()
        if table.exists():  # begin again, so that every kill hits a run at work
            tables += 1
            same += table.read_bytes() == whole.read_bytes()
            table.unlink()
            journal.unlink()
    print(
        f"{caught} of {options.kills} runs killed; {same} of {tables} finished tables are that of a run in one go"
    )
    return int(same < tables)


def main() -> int:
    """Print everything; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help=", ".join(WHAT))
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pyiqa", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    unknown = set(options.what) - set(WHAT)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(WHAT)}")
    missed = 0
    for name in options.what or WHAT:
        with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
            missed += globals()[name](Path(folder), options)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
