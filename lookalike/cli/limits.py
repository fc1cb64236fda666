"""``--fail-under ssim=0.98`` and ``--fail-over lpips_alex=0.1``: limits whose crossing is exit code 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Limit(NamedTuple):
    """A limit of one column.

    Attributes:
        column: its name, as `--metrics` names it.
        value: of the limit; equal to it is within.
        under: whether scores below it fail, else those above it.
    """

    column: str
    value: float
    under: bool

    def crossed(self, score: float | None) -> bool:
        """Whether a score is beyond the limit; one that is not there, or NaN, is.

        Example:
            >>> limit = Limit("ssim", 0.98, True)
            >>> [limit.crossed(score) for score in (0.99, 0.98, 0.97, None, float("nan"))]
            [False, False, True, True, True]
        """
        if score is None or math.isnan(score):
            return True
        return score < self.value if self.under else score > self.value

    def said(self, where: str, score: float | None) -> str:
        """One line about a score beyond the limit."""
        shown = "no number" if score is None else f"{score:.6g}"
        return f"limit: {where}{self.column} is {shown}, {'under' if self.under else 'over'} {self.value:.6g}"


def parsed(under: Sequence[str], over: Sequence[str]) -> list[Limit]:
    """Limits as the command line takes them.

    Raises:
        ValueError: for what is not NAME=NUMBER, and an unknown name.

    Example:
        >>> parsed(["ssim=0.98"], ["mse=1e-3"])[1]
        Limit(column='l2', value=0.001, under=False)
    """
    if not under and not over:  # nothing is imported for nothing
        return []
    import numpy  # noqa: F401 - before torch, whose import swallows an interrupt during NumPy's

    from lookalike.scoring.columns import column

    found = []
    for option, texts in (("--fail-under", under), ("--fail-over", over)):
        for text in texts:
            name, _, number = text.rpartition("=")
            try:
                value = float(number)
            except ValueError:
                value = math.nan
            if not name or math.isnan(value):
                raise ValueError(f"score: {option} takes NAME=NUMBER, such as ssim=0.98; got {text!r}")
            found.append(Limit(column(name).name, value, option == "--fail-under"))
    return found


def asked(metrics: Sequence[str], limits: Iterable[Limit]) -> tuple[str, ...]:
    """The metrics with those that limits name, each once."""
    import numpy  # noqa: F401 - as above

    from lookalike.scoring.columns import column

    named = [column(text).name for text in metrics]
    return (*metrics, *dict.fromkeys(limit.column for limit in limits if limit.column not in named))


def of_statistics(limits: Sequence[Limit], methods: Mapping[str, Mapping[str, Mapping[str, list]]]) -> list[str]:
    """What crosses limits in statistics: the first pair of each method that does, by the ends of its scores.

    Args:
        limits: of columns.
        methods: ``"methods"`` of `lookalike.records.statistics.describe`.
    """
    lines = []
    for limit in limits:
        for method, columns in methods.items():
            ends = [*columns[limit.column]["worst"][:1], *columns[limit.column]["best"][:1]]
            crossing = [one for one in ends if limit.crossed(one["value"])]
            if crossing or not ends:
                pair = f", {crossing[0]['pair']}" if crossing else ""
                lines.append(limit.said(f"{method}{pair}: ", crossing[0]["value"] if crossing else None))
    return lines
