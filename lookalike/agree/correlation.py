"""SRCC, KRCC, PLCC and RMSE of scores against opinions, with bootstrap intervals.

Rank correlations need no model. PLCC and RMSE are taken after a fit of the opinions by the scores, for a score need
not be on the scale of opinions: the logistic function of four parameters of the Video Quality Experts Group
(final report, 2000), or of five with a linear part (Sheikh, Sabir, Bovik: A statistical evaluation of recent full
reference image quality assessment algorithms, IEEE TIP 15(11), 2006, doi 10.1109/TIP.2006.881959, eq. 10–11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import expit

from lookalike.options import choice, whole

Fit = Literal["logistic4", "logistic5"]
Curve = Callable[..., NDArray[np.float64]]
LEAST = 5  # pairs: fewer than parameters of the fit say nothing
_STEPS = 2000


class Interval(NamedTuple):
    """A value and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Agreement(NamedTuple):
    """How well scores agree with opinions.

    Attributes:
        pairs: how many.
        srcc, krcc: Spearman's ρ and Kendall's τ-b; positive where the scores order as people do.
        plcc, rmse: Pearson's r and root mean squared error after the fit; RMSE is in the unit of the opinions.
        parameters: of the fitted function, for scores standardised to mean 0 and deviation 1.
    """

    pairs: int
    srcc: Interval
    krcc: Interval
    plcc: Interval
    rmse: Interval
    parameters: tuple[float, ...]


def agreement(
    scores: NDArray[np.float64],
    opinions: NDArray[np.float64],
    *,
    rising: bool = True,
    fit: Fit = "logistic5",
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Agreement of one metric with people.

    Args:
        scores: ``(n,)``, finite.
        opinions: ``(n,)``, finite, in any unit.
        rising: whether a higher score should mean a higher opinion; else the rank correlations are negated.
        fit: ``"logistic4"`` or ``"logistic5"``.
        resamples: bootstrap resamples of the pairs; 0 leaves the intervals at the values.
        seed: of the resampling.

    Raises:
        ValueError: for fewer than 5 pairs, values that are not finite, or all alike.

    Example:
        >>> scores = np.linspace(-3, 3, 40)
        >>> figures = agreement(scores, 1 + 4 / (1 + np.exp(-scores)), fit="logistic4", resamples=0)
        >>> [round(part.value, 6) for part in figures[1:5]]
        [1.0, 1.0, 1.0, 0.0]
    """
    choice("agree", "fit", fit, ("logistic4", "logistic5"))
    resamples, seed = (
        whole("agree", name, value, least=0) for name, value in (("resamples", resamples), ("seed", seed))
    )
    scores, opinions = (_checked(values, name) for values, name in ((scores, "scores"), (opinions, "opinions")))
    if scores.shape != opinions.shape:
        raise ValueError(f"agree: needs as many scores as opinions, got {len(scores)} and {len(opinions)}")
    z = (scores - scores.mean()) / scores.std()
    mean, unit = opinions.mean(), opinions.std()
    opinions = (opinions - mean) / unit  # so that the search does not depend on the unit
    parameters = _fitted(z, opinions, fit)
    whole_sample = _figures(z, opinions, fit, parameters, rising)
    generator = np.random.default_rng(seed)
    samples: list[tuple[float, ...]] = []
    for _ in range(resamples):
        chosen = generator.integers(0, len(z), len(z))
        if np.ptp(z[chosen]) == 0 or np.ptp(opinions[chosen]) == 0:
            continue  # a resample of equal values has no correlation
        refitted = _fitted(z[chosen], opinions[chosen], fit, start=parameters)
        samples.append(_figures(z[chosen], opinions[chosen], fit, refitted, rising))
    bounds = (
        np.percentile(samples, [2.5, 97.5], axis=0).T if samples else [(value, value) for value in whole_sample]
    )
    srcc, krcc, plcc, rmse = (
        Interval(value, float(low), float(high)) for value, (low, high) in zip(whole_sample, bounds, strict=True)
    )
    rmse = Interval(*(float(part * unit) for part in rmse))
    parameters = parameters * np.where(_IN_OPINIONS[fit], unit, 1) + np.where(_LEVELS[fit], mean, 0)
    return Agreement(len(z), srcc, krcc, plcc, rmse, tuple(float(value) for value in parameters))


def logistic4(
    z: NDArray[np.float64], top: float, bottom: float, middle: float, width: float
) -> NDArray[np.float64]:
    """(top − bottom) / (1 + exp(−(z − middle)/|width|)) + bottom.

    Example:
        >>> float(logistic4(np.array([0.5]), 5.0, 1.0, 0.5, 1.0)[0])
        3.0
    """
    return (top - bottom) * expit((z - middle) / max(abs(width), 1e-12)) + bottom


def logistic5(
    z: NDArray[np.float64], height: float, slope: float, middle: float, linear: float, shift: float
) -> NDArray[np.float64]:
    """height·(1/2 − 1/(1 + exp(slope·(z − middle)))) + linear·z + shift, eq. 10 of Sheikh et al.

    Example:
        >>> float(logistic5(np.array([0.5]), 4.0, 1.0, 0.5, 0.0, 3.0)[0])
        3.0
    """
    return height * (0.5 - expit(-slope * (z - middle))) + linear * z + shift


_CURVES: dict[str, Curve] = {"logistic4": logistic4, "logistic5": logistic5}
# Which of their parameters are in the unit of the opinions, and which of those move with their mean.
_IN_OPINIONS = {"logistic4": (True, True, False, False), "logistic5": (True, False, False, True, True)}
_LEVELS = {"logistic4": (True, True, False, False), "logistic5": (False, False, False, False, True)}


def _checked(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < LEAST:
        raise ValueError(f"agree: needs at least {LEAST} pairs, got {name} of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"agree: {name} must be finite, number {int(np.argmin(np.isfinite(values)))} is not")
    if np.ptp(values) == 0:
        raise ValueError(f"agree: all {name} are {values[0]:g}, which orders nothing")
    return values


def _fitted(
    z: NDArray[np.float64], opinions: NDArray[np.float64], fit: Fit, start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The parameters of least squares; from several starts unless one is given."""
    curve = _CURVES[fit]
    starts = _starts(z, opinions, fit) if start is None else [start]
    solutions = [
        optimize.least_squares(
            lambda parameters: curve(z, *parameters) - opinions, guess, x_scale="jac", max_nfev=_STEPS
        )
        for guess in starts
    ]
    return min(solutions, key=lambda solution: solution.cost).x


def _starts(z: NDArray[np.float64], opinions: NDArray[np.float64], fit: Fit) -> list[NDArray[np.float64]]:
    """Where a search begins: a curve across the range of opinions, rising or falling, steep or flat."""
    most = np.percentile(opinions, [2, 98])
    falling = np.corrcoef(z, opinions)[0, 1] < 0
    middle = float(np.median(z))
    lower, upper = np.percentile(z, [16, 84])
    spread = (upper - lower) / 2 or 1.0  # of a normal distribution 1, far less where a few scores are far out
    ends = opinions.min(), opinions.max()
    starts = []
    for (low, high), width in ((most, 0.3), (most, 1.0), (most, 3.0), (most, 0.3 * spread), (ends, spread)):
        if fit == "logistic4":
            first, last = (low, high) if falling else (high, low)
            starts.append(np.array([first, last, middle, width]))
        else:
            height = (low - high) if falling else (high - low)
            starts.append(np.array([height, 1 / width, middle, 0.0, (low + high) / 2]))
    return starts


def _figures(
    z: NDArray[np.float64],
    opinions: NDArray[np.float64],
    fit: Fit,
    parameters: NDArray[np.float64],
    rising: bool,
) -> tuple[float, float, float, float]:
    predicted = _CURVES[fit](z, *parameters)
    sign = 1 if rising else -1
    flat = np.ptp(predicted) <= 1e-12 * max(1.0, float(np.abs(predicted).max()))
    tau: Any = stats.kendalltau(z, opinions)
    return (
        sign
        * float(np.corrcoef(stats.rankdata(z), stats.rankdata(opinions))[0, 1]),  # Spearman's by its definition
        sign * float(tau.statistic),
        0.0 if flat else float(np.corrcoef(predicted, opinions)[0, 1]),
        float(np.sqrt(np.mean((predicted - opinions) ** 2))),
    )
