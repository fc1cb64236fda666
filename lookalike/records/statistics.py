"""The statistics of a table of scores: means with their uncertainty, which methods really differ, where each is
worst and best, and whether the metrics agree.

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
_EXACT_UP_TO = 12  # pairs: all sign flips are tried
_FLIPS = 9999
_ROUNDING = 1e-6  # of scores, which are float32

Scores = NDArray[np.float64]


def describe(
    values: Scores,
    methods: Sequence[str],
    better: Mapping[str, str],
    pair: Callable[[int], str],
    seed: int = 0,
    undefined: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """All statistics of a table, as JSON holds them.

    Methods are compared on the pairs for which all of them have a finite score: means, intervals, letters and
    differences are over those. A method without any finite score of a metric has no mean and does not count there.

    Args:
        values: ``(methods, pairs, metrics)``; NaN where there is no score.
        methods: their names.
        better: ``"higher"`` or ``"lower"`` of each metric, in order.
        pair: the name of a pair by its index.
        seed: of the bootstrap.
        undefined: which of the NaN are scores that came out as NaN, the worst of their column; None: none.

    Returns:
        ``{"methods": {method: {metric: {"count", "mean", "median", "low", "high", "letters", "worst", "best",
        "own", "lacking", "undefined"}}}, "compared": {metric: {"pairs", "left_out"}},
        "differences": {metric: [{"methods", "count", "mean", "low", "high", "wilcoxon", "holm"}]},
        "rank_agreement": {"spearman" and "kendall": {metric: {metric: number or null}}},
        "level", "resamples", "seed"}``. ``low`` and ``high`` are the 95 % interval of the mean. Methods that share
        a letter do not differ at the level of 5 % (Wilcoxon, Holm), ``a`` being the best; ``mean`` of a difference
        is that of its first method minus its second. ``own`` holds count and mean over all finite scores of the
        method itself, ``lacking`` how many pairs others have and it does not, ``undefined`` how many scores are
        NaN. ``compared`` says over how many pairs the methods are compared, and how many of those that some have
        are left out.

    Example:
        >>> scores = np.array([[[30.0], [20.0]], [[31.0], [np.nan]]])  # the second lacks the harder pair
        >>> summary = describe(scores, "ab", {"psnr": "higher"}, str)
        >>> [summary["methods"][name]["psnr"]["mean"] for name in "ab"], summary["compared"]["psnr"]
        ([30.0, 31.0], {'pairs': 1, 'left_out': 1})
        >>> summary["methods"]["a"]["psnr"]["own"], summary["methods"]["b"]["psnr"]["lacking"]
        ({'count': 2, 'mean': 25.0}, 1)
    """
    summaries: dict[str, dict[str, Any]] = {method: {} for method in methods}
    compared: dict[str, dict[str, int]] = {}
    differences: dict[str, list[dict[str, Any]]] = {}
    if undefined is None:
        undefined = np.zeros(values.shape, bool)
    for index, (metric, direction) in enumerate(better.items()):
        columns = values[:, :, index]
        finite = np.isfinite(columns)
        some = finite.any(0)
        common = np.logical_and.reduce(finite[finite.any(1)], 0) & some
        compared[metric] = {"pairs": int(common.sum()), "left_out": int((some & ~common).sum())}
        for row, method in enumerate(methods):
            summaries[method][metric] = _summary(
                columns[row], common, undefined[row, :, index], direction, pair, np.random.default_rng(seed)
            ) | {"lacking": int((some & ~finite[row]).sum())}
        differences[metric] = _differences(columns, common & finite, methods, seed)
        means = {method: summaries[method][metric]["mean"] for method in methods}
        apart = {frozenset(entry["methods"]) for entry in differences[metric] if entry["holm"] < LEVEL}
        for method, text in letters(_ranked(means, direction), apart).items():
            summaries[method][metric]["letters"] = text
    return {
        "methods": summaries,
        "compared": compared,
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
        indices = generator.integers(0, count, (min(step, RESAMPLES - start), count))
        means.append(scores[indices].mean(1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def decimals(low: float, high: float, mean: float) -> int:
    """Decimals that show the half-width of the interval to two digits; where it has none, those of its size.

    Example:
        >>> decimals(27.9, 29.1, 28.4), decimals(0.9012, 0.9034, 0.9021), decimals(5.0, 5.0, 5.0)
        (2, 4, 4)
    """
    half = (high - low) / 2
    if not half > 0:
        return 2 if abs(mean) >= 10 else 4
    return min(max(1 - math.floor(math.log10(half) + 1e-9), 0), 6)


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
    for pair in combinations(ranked, 2):
        if frozenset(pair) not in apart:
            continue
        first, second = pair
        split: list[set[str]] = []
        for column in columns:
            split += [column - {first}, column - {second}] if {first, second} <= column else [column]
        columns = []
        for column in split:  # a subset of another column is redundant
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
    tables: dict[str, dict[str, dict[str, float | None]]] = {}
    correlations: dict[str, Callable[..., Any]] = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}
    for kind, correlate in correlations.items():
        table: dict[str, dict[str, float | None]] = {name: {} for name in names}
        for i, j in combinations_with_replacement(range(len(names)), 2):
            both = turned[np.isfinite(turned[:, [i, j]]).all(1)][:, [i, j]]
            varied = len(both) >= 3 and bool((np.ptp(both, axis=0) > 0).all())
            number = float(correlate(both[:, 0], both[:, 1]).statistic) if varied else None
            table[names[i]][names[j]] = table[names[j]][names[i]] = number
        tables[kind] = {name: {other: table[name][other] for other in names} for name in names}
    return tables


def _summary(
    scores: Scores,
    common: NDArray[np.bool_],
    undefined: NDArray[np.bool_],
    direction: str,
    pair: Callable[[int], str],
    generator: np.random.Generator,
) -> dict[str, Any]:
    """One method by one metric: means over the common pairs, best and worst over all pairs that it has."""
    [at] = np.isfinite(scores).nonzero()
    finite = scores[at]
    [undefined_at] = undefined.nonzero()
    order = at[np.argsort(finite if direction == "higher" else -finite, kind="stable")]
    ends = {"worst": np.concatenate([undefined_at, order])[:EXTREMES], "best": order[::-1][:EXTREMES]}
    summary: dict[str, Any] = {"count": 0, "mean": None, "median": None, "low": None, "high": None}
    if len(finite):
        shared = scores[common]
        if len(shared):
            low, high = interval(shared, generator)
            summary = {
                "count": len(shared), "mean": float(shared.mean()), "median": float(np.median(shared)), "low": low,
                "high": high,
            }  # fmt: skip
    summary |= {
        name: [{"pair": pair(int(index)), "value": float(scores[index])} for index in indices]
        for name, indices in ends.items()
    }
    own = float(finite.mean()) if len(finite) else None
    return summary | {"own": {"count": len(finite), "mean": own}, "undefined": len(undefined_at)}


def _differences(
    columns: Scores, shared: NDArray[np.bool_], methods: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Every two methods on the pairs that all have: paired bootstrap and signed-rank test."""
    comparisons = []
    for first, second in combinations(range(len(methods)), 2):
        difference = (columns[first] - columns[second])[shared[first] & shared[second]]
        if not len(difference):
            continue
        low, high = interval(difference, np.random.default_rng(seed))
        comparisons.append(
            {
                "methods": [methods[first], methods[second]],
                "count": len(difference),
                "mean": float(difference.mean()),
                "low": low,
                "high": high,
                "wilcoxon": _wilcoxon(difference),
            }
        )
    adjusted = holm([comparison["wilcoxon"] for comparison in comparisons])
    for comparison, p in zip(comparisons, adjusted, strict=True):
        comparison["holm"] = p
    return comparisons


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
    known = {method: mean for method, mean in means.items() if mean is not None}
    return sorted(known, key=lambda method: known[method], reverse=direction == "higher")


def _letter(index: int) -> str:
    """a … z, then a1 and so on.

    Example:
        >>> _letter(1), _letter(26)
        ('b', 'a1')
    """
    turn, position = divmod(index, len(ascii_lowercase))
    return f"{ascii_lowercase[position]}{turn or ''}"


def sign_flip_p(scores: Scores, best: Scores) -> float:
    """Two-sided p of no difference between two rows on the same images: the signs of the differences are flipped,
    all ways up to 12 images, 9,999 random ways beyond. Images that one of them has no finite score of are left out;
    where none is left nothing speaks for a difference, and p is 1.

    Example:
        >>> sign_flip_p(np.arange(8.0), np.arange(8.0) + 1)
        0.0078125
        >>> sign_flip_p(np.full(8, np.nan), np.arange(8.0))
        1.0
    """
    both = np.isfinite(scores) & np.isfinite(best)
    difference = scores[both] - best[both]
    count = len(difference)
    # As far as float32 can tell: sums that are equal but for rounding count as equal.
    observed = abs(difference.sum()) - _ROUNDING * np.abs(difference).sum()
    if count <= _EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((np.abs(signs @ difference) >= observed).mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, count))
    hits = int((np.abs(signs @ difference) >= observed).sum())
    return (hits + 1) / (_FLIPS + 1)
