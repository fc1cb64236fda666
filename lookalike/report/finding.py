"""What a table of scores found, in one sentence: the title of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.records.statistics import decimals

_NAMED = 4  # metrics in one list


def finding(methods: Mapping[str, Mapping[str, Any]], better: Mapping[str, str]) -> str:
    """Which method beats which, and by which metrics they are not told apart.

    Args:
        methods: of each method and metric its summary, as `lookalike.records.statistics.describe` gives them:
            methods that share a letter are not told apart.
        better: the direction of each metric, in the order in which they are named.

    Returns:
        Of one method its first means; of several who is best, and who lacks pairs; without a full stop.

    Example:
        >>> high, low = {"mean": 31.0, "letters": "a"}, {"mean": 30.0, "letters": "b"}
        >>> same = {"mean": 0.9, "letters": "a"}
        >>> methods = {"net": {"psnr": high, "ssim": same}, "bicubic": {"psnr": low, "ssim": same}}
        >>> finding(methods, {"psnr": "higher", "ssim": "higher"})
        'net beats bicubic by psnr; not told apart by ssim'
    """
    if len(methods) == 1:
        [(method, columns)] = methods.items()
        means = [f"{name} {_mean(columns[name])}" for name in better if columns[name]["mean"] is not None]
        return f"{method}: {', '.join(means[:_NAMED])}" if means else f"{method}: no pair has a score"
    won: dict[str, list[str]] = {}
    undecided: list[str] = []
    for metric, direction in better.items():
        ranked = sorted(
            (name for name in methods if methods[name][metric]["mean"] is not None),
            key=lambda name: methods[name][metric]["mean"],
            reverse=direction == "higher",
        )
        if len(ranked) < len(methods):
            continue  # one that has no score is beaten by nobody
        first, *others = ({*methods[name][metric].get("letters", "")} for name in ranked)
        if not first or any(first & other or not other for other in others):
            undecided.append(metric)
        else:
            won.setdefault(ranked[0], []).append(metric)
    if not won and not undecided:
        return f"{len(methods)} methods, which no metric compares: not all have a score"
    if len(methods) == 2:
        other = dict(zip(methods, reversed(list(methods)), strict=True))
        parts = [f"{name} beats {other[name]} by {_listed(metrics)}" for name, metrics in won.items()]
        tie = "not told apart by" if won else f"{' and '.join(methods)} are not told apart by"
    else:
        parts = [
            f"{name} beats the {len(methods) - 1} others by {_listed(metrics)}" for name, metrics in won.items()
        ]
        tie = "no single best by"
    if undecided:
        parts.append(f"{tie} {_listed(undecided)}")
    return "; ".join([*parts, *_incomplete(methods)])


def _incomplete(methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which methods lack pairs that others have: they were compared on fewer than there are."""
    counts = {name: max(cell.get("lacking", 0) for cell in columns.values()) for name, columns in methods.items()}
    lacking = [name for name, count in counts.items() if count]
    if len(lacking) == 1:
        count = counts[lacking[0]]
        return [f"{lacking[0]} lacks {count:,} pair{'' if count == 1 else 's'}"]
    return [f"{_listed(lacking)} lack pairs"] if lacking else []


def _mean(column: Mapping[str, Any]) -> str:
    return f"{column['mean']:z.{decimals(column['low'], column['high'], column['mean'])}f}"


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them, the first few of many.

    Example:
        >>> _listed(["a", "b", "c"]), _listed(list("abcdefg"))
        ('a, b and c', 'a, b, c, d and 3 more')
    """
    shown = list(names) if len(names) <= _NAMED + 1 else [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
