"""What separates good losses, in figures: where the gradient goes, how strong it is, what moves the score.

The audit says kept or broken; these say how much. They run on anything that the audit runs on, and on the same
test image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lookalike.audit import Subject, distorted, subject_of
from lookalike.distortions import DISTORTIONS

NOISE = (0.01, 0.05, 0.2)  # deviations at which the gradient is measured
MILD = 0.05
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Figures:
    """Measured on a texture; None where the metric failed, and then ``failures`` says how.

    Attributes:
        name: of the metric or loss.
        better: ``"higher"`` or ``"lower"``.
        best: score of identical images.
        reached: share of the pixels of a noisy image that have a gradient, in [0, 1].
        centre: share of the gradient, Σ|g|, on the nine pixels at the image's centre; ``even`` is what an even
            share would be.
        even: 9 / number of pixels.
        swapped: change of the score when red and blue change places in both images, relative to its distance from
            the best.
        negative: how much worse than identical a photographic negative scores, in units of what noise of 0.05
            costs; below 1 the negative passes for the better image.
        pull: norm of the gradient at noise of 0.01, 0.05 and 0.2. Its growth tells a squared error from an absolute
            one; its size tells what weight the loss needs beside another.
        curves: distortion → scores at its ``strengths``, mild to severe.
        failures: figure → what went wrong.
    """

    name: str
    better: str
    best: float
    reached: float | None
    centre: float | None
    even: float
    swapped: float | None
    negative: float | None
    pull: tuple[float, ...] | None
    curves: dict[str, tuple[float, ...]]
    failures: dict[str, str]


def measure(target: str | nn.Module | Subject, *, device: str = "cpu") -> Figures:
    """The figures of one metric or loss.

    Args:
        target: as for `audit.run`.
        device: where to compute; a `Subject` brings its own.

    Raises:
        ValueError, TypeError: when there is no such target, as `audit.subject_of` says.

    Example:
        >>> figures = measure("l2")
        >>> figures.reached, [round(b / a, 2) for a, b in zip(figures.pull, figures.pull[1:])]
        (1.0, [5.0, 3.83])
    """
    subject = target if isinstance(target, Subject) else subject_of(target, device)
    failures: dict[str, str] = {}

    def tried(name: str, figure: Callable[[Subject], _Result]) -> _Result | None:
        try:
            return figure(subject)
        except Exception as error:  # third-party code may fail in any way
            failures[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            return None

    curves = {}
    for name in DISTORTIONS:
        curve = tried(f"curve {name}", lambda subject, name=name: _curve(subject, name))
        if curve is not None:
            curves[name] = curve
    return Figures(
        subject.name,
        subject.better,
        subject.best,
        tried("reached", _reached),
        tried("centre", _centre),
        9 / subject.side**2,
        tried("swapped", _swapped) if subject.channels == 3 else None,
        tried("negative", _negative),
        tried("pull", lambda subject: tuple(float(_gradient(subject, noise).norm()) for noise in NOISE)),
        curves,
        failures,
    )


def _gradient(subject: Subject, noise: float) -> Tensor:
    """The gradient of the score to the judged image, ``(1, c, h, w)``."""
    y = subject.picture()
    x = distorted(y, "gaussian_noise", noise).requires_grad_()
    [gradient] = torch.autograd.grad(subject(x, y), x)
    return gradient


def _reached(subject: Subject) -> float:
    return float((_gradient(subject, MILD) != 0).double().mean())


def _centre(subject: Subject) -> float:
    """The nine pixels about (h // 2, w // 2)."""
    strength = _gradient(subject, MILD).abs()
    middle = subject.side // 2
    return float(strength[..., middle - 1 : middle + 2, middle - 1 : middle + 2].sum() / strength.sum())


def _swapped(subject: Subject) -> float:
    y = subject.picture()
    x = distorted(y, "gaussian_noise", MILD)
    plain, other = _cost(subject, x, y), _cost(subject, x.flip(1), y.flip(1))
    return abs(other - plain) / abs(plain)


def _negative(subject: Subject) -> float:
    y = subject.picture()
    return _cost(subject, 1 - y, y) / _cost(subject, distorted(y, "gaussian_noise", MILD), y)


def _cost(subject: Subject, x: Tensor, y: Tensor) -> float:
    """How much worse than identical images a pair scores."""
    with torch.no_grad():
        return subject.badness(float(subject(x, y))) - subject.badness(subject.best)


def _curve(subject: Subject, name: str) -> tuple[float, ...]:
    y = subject.picture()
    with torch.no_grad():
        return tuple(float(subject(distorted(y, name, strength), y)) for strength in DISTORTIONS[name].strengths)
