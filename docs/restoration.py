"""Write docs/restoration.md: ``python -m docs.restoration RUN``.

RUN is the folder of a finished ``lookalike lab restore``, whose losses are those of Zhao et al. 2017. What the
paper's Table I says of them is tested image by image on the pictures that the run left.
"""

from __future__ import annotations

import argparse
import shlex
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike import get
from lookalike.lab.cells import Scores
from lookalike.lab.data import as_tensor
from lookalike.lab.judge import as_markdown
from lookalike.lab.recipe import Restore, from_json
from lookalike.records import runs
from lookalike.records.statistics import sign_flip_p

PAGE = Path(__file__).with_name("restoration.md")
SHOWN = ("psnr", "l1", "l2", "ssim", "ms_ssim", "gmsd", "fsim", "ciede2000_low", "lpips_alex")
COMMON, AUTHORS = (
    "0.84*ms_ssim+0.16*l1",
    "zhao_mix_code",
)  # the mix as most write it, and as the authors' code has it


@dataclass(frozen=True)
class Claim:
    """Training with one loss beats training with another, by some metric."""

    winner: str
    loser: str
    metric: str


CLAIMS = {
    "L1 beats L2 even by L2": (Claim("l1", "l2", "l2"),),
    "SSIM alone loses PSNR": (Claim("l2", "ssim", "psnr"), Claim("l1", "ssim", "psnr")),
    "So does MS-SSIM alone": (Claim("l2", "ms_ssim", "psnr"), Claim("l1", "ms_ssim", "psnr")),
    "The mix wins by PSNR": tuple(Claim(mix, other, "psnr") for mix in (COMMON, AUTHORS) for other in ("l1", "l2")),
    "The mix wins by SSIM": tuple(
        Claim(mix, other, "ssim") for mix in (COMMON, AUTHORS) for other in ("l1", "l2", "ssim")
    ),
    "The mix wins by MS-SSIM": tuple(
        Claim(mix, other, "ms_ssim") for mix in (COMMON, AUTHORS) for other in ("l1", "l2", "ms_ssim")
    ),
}


class Pictures:
    """What a run drew, and scores of it, image by image; an image's score is its mean over seeds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = runs.read_json(folder / runs.LAB)
        self.names = {one["label"]: one["name"] for one in self.lab["losses"]}
        self.targets = _pictures(folder / runs.SAMPLES / "target")
        self.scores = cache(self._scores)

    def trained(self, label: str) -> bool:
        """Whether there are pictures of a loss."""
        return label in self.names and (self.folder / self.names[label] / "seed0" / runs.SAMPLES).is_dir()

    def _scores(self, label: str, metric: str) -> Scores:
        judge = get(metric, check="shapes")
        places = [self.folder / self.names[label] / f"seed{seed}" / runs.SAMPLES for seed in self.lab["seeds"]]
        return np.mean([judge(_pictures(place), self.targets).double().numpy() for place in places], 0)

    def verdict(self, claim: Claim) -> str:
        """A claim in figures, with what became of it."""
        won, lost = (self.scores(label, claim.metric) for label in (claim.winner, claim.loser))
        sign = 1 if get(claim.metric).facts.better == "higher" else -1
        p = sign_flip_p(won, lost)
        ahead = sign * float((won - lost).mean()) > 0
        fate = "not told apart" if p >= 0.05 else "seen" if ahead else "the opposite"
        better = int((sign * (won - lost) > 0).sum())
        return (
            f"`{claim.winner}` {won.mean():.4g}, `{claim.loser}` {lost.mean():.4g} by {claim.metric}; "
            f"better on {better} of {len(won)} images, p = {p:.2g}: **{fate}**"
        )


def _pictures(folder: Path) -> Any:
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            found.append(np.asarray(image.convert("RGB")))
    return as_tensor(found)


def command(recipe: Restore) -> str:
    """The command that makes such a run."""
    words = ["lookalike", "lab", "restore"]
    default = Restore().as_json()
    for key, value in recipe.as_json().items():
        if value != default[key]:
            words += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


TEXT = """# Restoration: is Table I seen again?

Written by `python -m docs.restoration RUN` from the folder that this command left:

```sh
{command}
```

{about}

{matrix}
Cells: mean [bootstrap 95 % interval]; **best** of a column among losses; ° own metric; ≈ not told from the best
(paired sign-flip test, p ≥ 0.05).

{verdicts}

{reach}
"""

ABOUT = """Zhao, Gallo, Frosio and Kautz (IEEE TCI 3(1), 2017, doi:10.1109/TCI.2016.2644865) trained one
restoration network with several losses. The shape of their Table I: L1 beats L2 even by L2; SSIM or MS-SSIM
alone loses PSNR; their mix wins by nearly everything. Here: {steps} steps of {batch} crops of {side} px of
scikit-image's photographs, {width} channels, damaged by {damage}; {losses} losses, {seeds}, {calibrated};
judged on {held} crops of parts of the photographs that no network saw. Different from theirs: far fewer
photographs and steps, other damage without a mosaic, and the mix: `0.84*ms_ssim+0.16*l1` is what most write for
it, with the MS-SSIM of Wang et al. 2003, where theirs is `zhao_mix`."""

REACH = """By PSNR {better} of {trained} networks are nearer to the target than their damaged input is. What is
not shown: what more steps, more images or other damage would give, and, where two losses are not told apart,
that they are equal. The tests are over images; they know nothing of the spread between seeds."""


def verdicts(pictures: Pictures) -> str:
    """Every claim whose losses were trained."""
    lines = []
    for title, claims in CLAIMS.items():
        can = [one for one in claims if pictures.trained(one.winner) and pictures.trained(one.loser)]
        lines += [f"- {title}:", *(f"  - {pictures.verdict(one)}" for one in can)] if can else []
    return "\n".join(lines)


def reach(matrix: dict[str, Any]) -> str:
    """Which losses restored more than nothing."""
    psnr = {row["label"]: row["cells"]["psnr"].get("mean") for row in matrix["rows"]}
    trained = [row["label"] for row in matrix["rows"] if row["kind"] == "loss" and psnr[row["label"]] is not None]
    better = [label for label in trained if psnr[label] > psnr["identity"]]
    return _filled(REACH.format(better=len(better), trained=len(trained)))


def about(recipe: Restore, held: int) -> str:
    """What was asked for, and what was done."""
    damage = {
        "half": "half the resolution",
        "noise": f"noise (σ = {recipe.noise:g} of 255)",
        "jpeg": f"JPEG of quality {recipe.quality}",
    }
    return _filled(
        ABOUT.format(
            steps=recipe.steps,
            batch=recipe.batch_size,
            side=recipe.side,
            width=recipe.width,
            damage=", ".join(damage[one] for one in recipe.damage),
            losses=len(recipe.losses),
            seeds="one seed" if recipe.seeds == 1 else f"{recipe.seeds} seeds",
            held=held,
            calibrated="each scaled to pull as hard as L1" if recipe.calibrate else "as written",
        )
    )


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, 112, break_on_hyphens=False, break_long_words=False)


def main() -> None:
    """Read, test, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    folder = parser.parse_args().run
    recipe, matrix = from_json(runs.read_json(folder / runs.RECIPE)), runs.read_json(folder / runs.MATRIX)
    if not isinstance(recipe, Restore):
        raise SystemExit(f"{folder}: is a run of {recipe.task}, not of restore")
    pictures = Pictures(folder)
    text = TEXT.format(
        command=command(recipe),
        about=about(recipe, len(pictures.targets)),
        matrix=as_markdown(matrix, SHOWN),
        verdicts=verdicts(pictures),
        reach=reach(matrix),
    )
    runs.write_text(PAGE, text)


if __name__ == "__main__":
    main()
