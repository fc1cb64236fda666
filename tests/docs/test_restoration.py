"""The page on restoration says of a claim what the pictures say."""

from pathlib import Path

import numpy as np
import pytest

from docs.restoration import CLAIMS, Claim, Pictures, command, verdicts
from lookalike.lab.recipe import Restore
from lookalike.records import runs

STRAY = {"l2": 4, "l1": 2, "ssim": 9}  # grey levels from the target
COUNT = 7


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    chance = np.random.default_rng(0)
    for at in range(COUNT):
        target = chance.integers(20, 230, (24, 24, 3)).astype(np.uint8)
        runs.write_png(tmp_path / "samples/target" / f"{at:03d}.png", target)
        for name, stray in STRAY.items():
            away = stray + (4 * (at % 2) if name == "l1" else 0)
            runs.write_png(tmp_path / name / "seed0/samples" / f"{at:03d}.png", (target + away).astype(np.uint8))
    losses = [{"name": name, "label": name} for name in [*STRAY, "ms_ssim"]]
    runs.write_json(tmp_path / runs.LAB, {"losses": losses, "seeds": [0]})
    return Pictures(tmp_path)


def test_a_claim_is_seen_or_not_or_the_opposite(pictures: Pictures) -> None:
    assert "better on 7 of 7 images, p = 0.016: **seen**" in pictures.verdict(Claim("l2", "ssim", "psnr"))
    assert "better on 0 of 7 images, p = 0.016: **the opposite**" in pictures.verdict(Claim("ssim", "l2", "l2"))
    assert "better on 4 of 7 images, p = 1: **not told apart**" in pictures.verdict(Claim("l1", "l2", "l1"))


def test_scores_are_of_the_pictures(pictures: Pictures) -> None:
    assert pictures.scores("l2", "l1") == pytest.approx(np.full(COUNT, 4 / 255), rel=1e-5)
    assert pictures.scores("ssim", "l2") == pytest.approx(np.full(COUNT, (9 / 255) ** 2), rel=1e-5)


def test_claims_about_losses_that_were_not_trained_are_left_out(pictures: Pictures) -> None:
    said = verdicts(pictures)
    assert next(iter(CLAIMS)) in said
    assert "mix" not in said
    assert "MS-SSIM" not in said


def test_the_command_says_what_is_not_the_default() -> None:
    assert command(Restore()) == "lookalike lab restore"
    asked = command(Restore(losses=("l1", "0.5*ssim+l1"), steps=9))
    assert asked == "lookalike lab restore --losses l1 '0.5*ssim+l1' --steps 9"
