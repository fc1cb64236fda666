"""What a table of scores says: means with their uncertainty, which methods really differ, where each is worst and
best, and whether the metrics agree.

Percentile bootstrap: Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13. Signed-rank test:
Wilcoxon: Individual comparisons by ranking methods, 1945, doi 10.2307/3001968. Correction for many comparisons:
Holm: A simple sequentially rejective multiple test procedure, 1979. Letters: Piepho: An algorithm for a
letter-based representation of all-pairwise comparisons, 2004, doi 10.1198/1061860043515.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
RESAMPLES = 2000
EXTREMES = 5
_MANY = 20_000  # scores, from which the bootstrap of a mean and the normal interval are the same to three digits
_AT_A_TIME = 500_000  # numbers drawn

Scores = NDArray[np.float64]


def describe(
    values: Scores, methods: Sequence[str], better: Mapping[str, str], pair: Callable[[int], str], seed: int = 0
) -> dict[str, Any]:
    """Everything that is said of a table, as JSON holds it.

    Args:
        values: ``(methods, pairs, metrics)``; NaN where there is no score.
        methods: their names.
        better: ``"higher"`` or ``"lower"`` of each metric, in order.
        pair: the name of a pair by its index.
        seed: of the bootstrap.

    Returns:
        ``{"methods": {method: {metric: {"count", "mean", "median", "low", "high", "letters", "worst", "best"}}},
        "differences": {metric: [{"methods", "count", "mean", "low", "high", "wilcoxon", "holm"}]},
        "rank_agreement": {"spearman" and "kendall": {metric: {metric: number or null}}},
        "level", "resamples", "seed"}``. Means are of the finite scores; ``low`` and ``high`` are the 95 % interval.
        Methods that share a letter do not differ at the level of 5 % (Wilcoxon, Holm), ``a`` being the best;
        ``mean`` of a difference is that of its first method minus its second, on pairs that both have.
    """
    said: dict[str, dict[str, Any]] = {method: {} for method in methods}
    differences: dict[str, list[dict[str, Any]]] = {}
    for index, (metric, direction) in enumerate(better.items()):
        columns = values[:, :, index]
        for method, scores in zip(methods, columns, strict=True):
            said[method][metric] = _of_one(scores, direction, pair, np.random.default_rng(seed))
        differences[metric] = _differences(columns, methods, seed)
        means = {method: said[method][metric]["mean"] for method in methods}
        apart = {frozenset(one["methods"]) for one in differences[metric] if one["holm"] < LEVEL}
        for method, text in letters(_ranked(means, direction), apart).items():
            said[method][metric]["letters"] = text
    return {
        "methods": said,
        "differences": differences,
        "rank_agreement": rank_agreement(values, better),
        "level": LEVEL,
        "resamples": RESAMPLES,
        "seed": seed,
    }


def interval(scores: Scores, generator: np.random.Generator) -> tuple[float, float]:
    """The 95 % interval of a mean: percentiles of 2000 resampled means, or the normal one from 20,000 scores.

    Example:
        >>> low, high = interval(np.arange(100.0), np.random.default_rng(0))
        >>> round(low, 1), round(high, 1)
        (43.9, 55.1)
    """
    count = len(scores)
    if count >= _MANY:
        spread = 1.959964 * float(scores.std(ddof=1)) / math.sqrt(count)
        return float(scores.mean()) - spread, float(scores.mean()) + spread
    means, step = [], max(1, _AT_A_TIME // count)
    for start in range(0, RESAMPLES, step):
        drawn = generator.integers(0, count, (min(step, RESAMPLES - start), count))
        means.append(scores[drawn].mean(1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def letters(ranked: Sequence[str], apart: set[frozenset[str]]) -> dict[str, str]:
    """The compact letter display: two share a letter exactly when they are not apart.

    Args:
        ranked: names, the best first.
        apart: pairs that differ significantly.

    Example:
        >>> letters(["x", "y", "z"], {frozenset(["x", "z"])})
        {'x': 'a', 'y': 'ab', 'z': 'b'}
    """
    columns: list[set[str]] = [set(ranked)]
    for one, other in ((one, other) for one, other in combinations(ranked, 2) if frozenset((one, other)) in apart):
        split: list[set[str]] = []
        for column in columns:
            split += [column - {one}, column - {other}] if {one, other} <= column else [column]
        columns = []
        for column in split:  # what another column holds says nothing new
            if not any(column <= kept for kept in columns):
                columns = [kept for kept in columns if not kept <= column] + [column]
    order = {name: index for index, name in enumerate(ranked)}
    columns.sort(key=lambda column: sorted(order[name] for name in column))
    return {
        name: "".join(_letter(index) for index, column in enumerate(columns) if name in column) for name in ranked
    }


def rank_agreement(values: Scores, better: Mapping[str, str]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Rank correlation of every two metrics over all rows, each turned so that higher is better.

    Args:
        values: ``(methods, pairs, metrics)``.
        better: of each metric, in order.

    Returns:
        ``{"spearman" and "kendall": {metric: {metric: number}}}``; None where fewer than three rows, or no
        variation, leave it undefined.
    """
    from scipy import stats

    rows = values.reshape(-1, values.shape[-1])
    turned = rows * np.array([1.0 if direction == "higher" else -1.0 for direction in better.values()])
    names = list(better)
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    correlations: dict[str, Callable[..., Any]] = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}
    for kind, correlate in correlations.items():
        table: dict[str, dict[str, float | None]] = {name: {} for name in names}
        for i, j in combinations_with_replacement(range(len(names)), 2):
            both = turned[np.isfinite(turned[:, [i, j]]).all(1)][:, [i, j]]
            varied = len(both) >= 3 and bool((np.ptp(both, axis=0) > 0).all())
            number = float(correlate(both[:, 0], both[:, 1]).statistic) if varied else None
            table[names[i]][names[j]] = table[names[j]][names[i]] = number
        found[kind] = {name: {other: table[name][other] for other in names} for name in names}
    return found


def _of_one(
    scores: Scores, direction: str, pair: Callable[[int], str], generator: np.random.Generator
) -> dict[str, Any]:
    """Of one method by one metric."""
    [at] = np.isfinite(scores).nonzero()
    finite = scores[at]
    if not len(finite):
        return {"count": 0, "mean": None, "median": None, "low": None, "high": None, "worst": [], "best": []}
    low, high = interval(finite, generator)
    order = at[np.argsort(finite if direction == "higher" else -finite, kind="stable")]
    ends = {"worst": order[:EXTREMES], "best": order[::-1][:EXTREMES]}
    return {
        "count": len(finite),
        "mean": float(finite.mean()),
        "median": float(np.median(finite)),
        "low": low,
        "high": high,
    } | {
        name: [{"pair": pair(int(index)), "value": float(scores[index])} for index in indices]
        for name, indices in ends.items()
    }


def _differences(columns: Scores, methods: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Every two methods on the pairs that both have: paired bootstrap and signed-rank test."""
    found = []
    for one, other in combinations(range(len(methods)), 2):
        difference = columns[one] - columns[other]
        difference = difference[np.isfinite(difference)]
        if not len(difference):
            continue
        low, high = interval(difference, np.random.default_rng(seed))
        found.append(
            {
                "methods": [methods[one], methods[other]],
                "count": len(difference),
                "mean": float(difference.mean()),
                "low": low,
                "high": high,
                "wilcoxon": _wilcoxon(difference),
            }
        )
    for one, adjusted in zip(found, holm([one["wilcoxon"] for one in found]), strict=True):
        one["holm"] = adjusted
    return found


def _wilcoxon(difference: Scores) -> float:
    from scipy import stats

    if not difference.any():
        return 1.0
    test: Any = stats.wilcoxon(difference)
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values, adjusted so that all of them together are wrong no more often than one alone.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = most
    return adjusted


def _ranked(means: Mapping[str, float | None], direction: str) -> list[str]:
    having = {method: mean for method, mean in means.items() if mean is not None}
    return sorted(having, key=lambda method: having[method], reverse=direction == "higher")


def _letter(index: int) -> str:
    """a … z, then a1 and so on.

    Example:
        >>> _letter(1), _letter(26)
        ('b', 'a1')
    """
    again, place = divmod(index, len(ascii_lowercase))
    return f"{ascii_lowercase[place]}{again or ''}"
