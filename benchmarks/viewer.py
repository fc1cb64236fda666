"""The viewer on a pair of 4K images: how long it takes to make, how large it is, how fast it opens and moves.

``python -m benchmarks.viewer [--rounds 7]``; needs Chromium and scikit-image. The reference is a photograph
enlarged to 3840×2160 with the grain of a sensor, the other its JPEG. The command is timed as a whole process, by
the clock and by the processor's time; the page is opened anew each round, without a GPU. Opened means painted,
counted from the start of the navigation. A frame is the time from one animation frame to the next while
the pictures are moved or zoomed in each of them, with an SSIM overlay; 16.7 ms is all that the browser allows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from browser import Page

WIDTH, HEIGHT = 3840, 2160
READY = "document.documentElement.dataset.ready !== undefined"
FRAMES = """
(async () => {
  const times = [];
  for (let turn = 0, before = performance.now(); turn < 60; turn++) {
    CHANGE;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - before);
    before = performance.now();
  }
  return times.sort((a, b) => a - b)[30];
})()
"""
SSIM = ("ssim", "ssim_luminance", "ssim_contrast", "ssim_structure")
MADE = {
    "numbers and SSIM maps": ("-m", "psnr", "ssim", "ms_ssim", "--maps", *SSIM),
    "and LPIPS where its weights are here": (),
}
MOVES = {
    "moved, all of it": "pan(turn % 2 ? 2 : -2, 1)",
    "zoomed in": "zoomTo(state.scale * 1.05, 500, 400)",
    "moved, close by": "pan(turn % 2 ? 2 : -2, 1)",
}


def draw(folder: Path) -> tuple[Path, Path]:
    """A pair of photographs of that size."""
    photograph = Image.fromarray(data.coffee()).resize((WIDTH, WIDTH * 2 // 3), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, 1.5, (HEIGHT, WIDTH, 3))
    y = np.clip(np.rint(np.asarray(photograph)[200 : 200 + HEIGHT] + grain), 0, 255).astype(np.uint8)
    paths = folder / "reference.png", folder / "judged.jpg"
    Image.fromarray(y).save(paths[0])
    Image.fromarray(y).save(paths[1], quality=60)
    return paths


def opened(page_file: Path, folder: Path) -> dict[str, float]:
    """One look at the page, in milliseconds."""
    with Page(page_file, 1600, 900, folder) as page:
        page.wait(READY)
        found = {"opened": float(page.run("performance.now()"))}
        start = time.perf_counter()
        page.run("setKind('ssim')")
        page.wait("coloured.size > 0")
        found["overlay, the first time"] = 1000 * (time.perf_counter() - start)
        for name, change in MOVES.items():
            found[f"frame, {name}"] = page.run(FRAMES.replace("CHANGE", change))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pair, page = draw(folder), folder / "view.html"
        for name, options in MADE.items():
            start, before = time.perf_counter(), os.times()
            command = [sys.executable, "-m", "lookalike", "view", *map(str, pair), "-o", str(page), *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took, after = time.perf_counter() - start, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            size = page.stat().st_size / 2**20
            print(f"made, {name}: {took:.1f} s, {cpu:.1f} s of a processor, {size:.1f} MiB", flush=True)
        looks = [opened(page, folder / str(turn)) for turn in range(rounds)]
    for name in looks[0]:
        times = [look[name] for look in looks]
        print(f"{name}: median {median(times):.0f} ms, {min(times):.0f} to {max(times):.0f}")


if __name__ == "__main__":
    main()
