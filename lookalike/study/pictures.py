"""The pictures of a study: the seeds' four, Wang & Simoncelli's equal-error six, and five small movements.

All are 8-bit, as they are written, shown and scored. The equal-error set follows Fig. 1 of Wang & Simoncelli,
ICASSP 2005: every distortion is given the strength at which its mean squared error is the JPEG's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, hypot, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.distortions import DISTORTIONS

Levels = NDArray[np.uint8]
Group = Literal["original", "four", "equal", "moved"]

PAPER_MSE = 309.0  # of most pictures of the paper's figure
TOLERANCE = 0.01  # of the target: what counts as the same error
MOVE_PX = 2.0  # how far the movements take a pixel, root mean square; the paper's shift

_FOUR = {"salt_and_pepper": 0.05, "grey_overlays": 0.5, "hsv_value": 30 / 255}
_EQUAL = ("contrast_stretch", "mean_shift", "gaussian_noise", "impulse_noise", "blur")
_SETTING: dict[str, Callable[[float], str]] = {
    "salt_and_pepper": lambda share: f"{share:.1%} of the values",
    "grey_overlays": lambda opacity: f"opacity {opacity:g}",
    "hsv_value": lambda step: f"+{step * 255:.0f} of 255",
    "contrast_stretch": lambda gain: f"times {1 + gain:.3f}",
    "mean_shift": lambda step: f"by {step * 255:.2f} of 255",
    "gaussian_noise": lambda sigma: f"sigma {sigma * 255:.2f} of 255",
    "impulse_noise": lambda share: f"{share:.2%} of the pixels",
    "jpeg": lambda loss: f"quality {100 - loss:.0f}",
    "blur": lambda sigma: f"sigma {sigma:.2f} px",
    "zoom": lambda share: f"by {share:.2%}",
    "shift_right": lambda step: f"{step:g} px",
    "shift_left": lambda step: f"{step:g} px",
    "rotation_ccw": lambda angle: f"{angle:.2f} degrees",
    "rotation_cw": lambda angle: f"{angle:.2f} degrees",
}
_DOUBLINGS = 12
_HALVINGS = 40
_CLOSE = 0.001  # of the target: where a search may stop
_QUALITIES = (3, 95)  # below 3 nothing more is lost
_USUAL_LOSS = 90.0  # quality 10, where no quality comes near the paper's error


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of a study.

    Attributes:
        name: of the distortion, or "original".
        group: the part of the study that it belongs to.
        title: as shown.
        setting: the strength in words.
        levels: ``(h, w)`` or ``(h, w, 3)`` uint8.
        note: what else must be said, such as that the target error was not reached; "" for nothing.
    """

    name: str
    group: Group
    title: str
    setting: str
    levels: Levels
    note: str = ""


@dataclass(frozen=True)
class Match:
    """The strength whose result comes nearest to a target error."""

    strength: float
    levels: Levels
    error: float
    note: str


def mse(picture: Levels, original: Levels) -> float:
    """Mean squared error in 8-bit levels.

    Example:
        >>> mse(np.full((2, 2), 3, np.uint8), np.zeros((2, 2), np.uint8))
        9.0
    """
    difference = picture.astype(np.float64) - original
    return float((difference * difference).mean())


def distorted(original: Levels, name: str, strength: float, seed: int, dither: bool = False) -> Levels:
    """A distortion of 8-bit levels, rounded back to them.

    Args:
        original: ``(h, w)`` or ``(h, w, 3)``.
        name: of `distortions.DISTORTIONS`.
        strength: in its own unit.
        seed: of whatever is random.
        dither: round up with the probability of the fraction instead of to the nearest.
    """
    values = DISTORTIONS[name](original / 255, strength, seed) * 255
    if dither:
        # Its own stream: a seed shared with noise would tie the rounding to the noise.
        values += np.random.default_rng((seed, 1)).random(values.shape) - 0.5
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def match(original: Levels, name: str, target: float, seed: int = 0) -> Match:
    """Find by bisection the strength of a distortion whose mean squared error is the target's.

    The error is that of the rounded picture. Where whole levels cannot give it (a mean shift of an 8-bit picture
    has errors 17² and 18² and nothing between) the rounding is dithered.

    Args:
        original: ``(h, w)`` or ``(h, w, 3)`` uint8.
        name: of `distortions.DISTORTIONS`; its error must grow with its strength.
        target: in squared 8-bit levels.
        seed: of whatever is random.

    Returns:
        The nearest that was found; its note says so where it misses by more than ``TOLERANCE``.

    Example:
        >>> ramp = np.arange(64, dtype=np.uint8) * np.ones((64, 1), np.uint8)
        >>> match(ramp, "mean_shift", 100.0).error
        100.0
    """
    plain = _search(original, name, target, seed, dither=False)
    if _relative_error(plain, target) <= TOLERANCE:
        return plain
    dithered = _search(original, name, target, seed, dither=True)
    if _relative_error(dithered, target) > TOLERANCE:
        nearest = min(plain, dithered, key=lambda candidate: _relative_error(candidate, target))
        note = f"cannot have the target error here: MSE {nearest.error:.1f} is the nearest to {target:.1f}"
        return Match(nearest.strength, nearest.levels, nearest.error, note)
    note = f"rounded by dither: whole levels come no nearer than MSE {plain.error:.1f}"
    return Match(dithered.strength, dithered.levels, dithered.error, note)


def _relative_error(candidate: Match, target: float) -> float:
    return abs(candidate.error - target) / target if target else float(candidate.error > 0)


def _search(original: Levels, name: str, target: float, seed: int, dither: bool) -> Match:
    def at(strength: float) -> Match:
        levels = distorted(original, name, strength, seed, dither)
        return Match(strength, levels, mse(levels, original), "")

    kind = DISTORTIONS[name]
    low, high = 0.0, kind.strengths[0]
    best = at(high)
    latest = best
    for _ in range(_DOUBLINGS):
        if latest.error >= target or high >= kind.most:
            break
        low, high = high, min(2 * high, kind.most)
        latest = at(high)
        best = min(best, latest, key=lambda candidate: _relative_error(candidate, target))
    for _ in range(_HALVINGS):
        if _relative_error(best, target) <= _CLOSE:
            break
        middle = at((low + high) / 2)
        best = min(best, middle, key=lambda candidate: _relative_error(candidate, target))
        low, high = (low, middle.strength) if middle.error >= target else (middle.strength, high)
    return best


def jpeg_at_target(original: Levels) -> tuple[Match, float]:
    """The JPEG that sets the target error of the others, and that target.

    Its quality is the one whose error comes nearest to the paper's 309. Where none comes within a quarter of that,
    quality 10 decides (quality 95 on a picture whose every JPEG is worse). Where even that leaves the picture
    nearly as it is, there is no error to match, and the target is the paper's.
    """

    def at(quality: int) -> Match:
        levels = distorted(original, "jpeg", 100.0 - quality, 0)
        return Match(100.0 - quality, levels, mse(levels, original), "")

    low, high = _QUALITIES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle).error > PAPER_MSE else (low, middle)
    chosen = min(at(low), at(high), key=lambda candidate: _relative_error(candidate, PAPER_MSE))
    if _relative_error(chosen, PAPER_MSE) <= 0.25:
        return chosen, chosen.error
    chosen = at(_QUALITIES[1]) if chosen.error > PAPER_MSE else at(round(100 - _USUAL_LOSS))
    if chosen.error < 1:
        note = f"leaves this picture nearly as it is: the target is the paper's {PAPER_MSE:.0f} instead"
        return Match(chosen.strength, chosen.levels, chosen.error, note), PAPER_MSE
    note = f"no quality comes near the paper's MSE of {PAPER_MSE:.0f}; this one sets the target"
    return Match(chosen.strength, chosen.levels, chosen.error, note), chosen.error


def pictures_of(original: Levels, seed: int = 0) -> tuple[list[Picture], float]:
    """All the pictures of one photograph, the original first, and the error that the equal-error set shares.

    Args:
        original: ``(h, w)`` or ``(h, w, 3)`` uint8.
        seed: of whatever is random.

    Returns:
        The pictures, and the target in squared 8-bit levels.
    """
    pictures = [Picture(name="original", group="original", title="original", setting="", levels=original)]

    def add(group: Group, name: str, strength: float, levels: Levels, note: str = "") -> None:
        title, setting = DISTORTIONS[name].title, _SETTING[name](strength)
        pictures.append(Picture(name=name, group=group, title=title, setting=setting, levels=levels, note=note))

    for name, strength in _FOUR.items():
        add("four", name, strength, distorted(original, name, strength, seed))
    first, target = jpeg_at_target(original)
    for name in _EQUAL:
        matched = match(original, name, target, seed)
        add("equal", name, matched.strength, matched.levels, matched.note)
        if name == "impulse_noise":  # the figure's order
            add("equal", "jpeg", first.strength, first.levels, first.note)
    for name, strength in movements(original.shape[0], original.shape[1]).items():
        add("moved", name, strength, distorted(original, name, strength, seed))
    return pictures, target


def movements(height: int, width: int) -> dict[str, float]:
    """The five movements and their strengths, each taking the pixels 2 px far (root mean square).

    Example:
        >>> {name: round(strength, 3) for name, strength in movements(128, 128).items()}["rotation_cw"]
        2.193
    """
    from_centre = hypot(height, width) / sqrt(12)
    turn = degrees(MOVE_PX / from_centre)
    return {
        "zoom": MOVE_PX / from_centre,
        "shift_right": MOVE_PX,
        "shift_left": MOVE_PX,
        "rotation_ccw": turn,
        "rotation_cw": turn,
    }
