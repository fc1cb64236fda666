"""A table of scores for a paper: means with their 95 % intervals, the best in bold, letters of significance, and
the signatures in the caption.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import torch

from lookalike import __version__, registry
from lookalike.records.statistics import decimals

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "<": r"\textless{}",
    ">": r"\textgreater{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}


def latex_table(statistics: Mapping[str, Any], signatures: Mapping[str, str], better: Mapping[str, str]) -> str:
    """A ``table`` environment that needs the package booktabs and nothing else.

    The best of a column is bold, the second underlined, of two or more that are told apart by their means; decimals
    are those that the intervals justify. Comments hold a sentence for the section on methods, with versions.

    Args:
        statistics: as `statistics.describe` gives them.
        signatures: of each metric.
        better: direction of each metric.

    Example:
        >>> column = {"count": 2, "mean": 0.5, "low": 0.4, "high": 0.6, "letters": "a"}
        >>> statistics = {"methods": {"my_net": {"ssim": column}}, "level": 0.05}
        >>> said = latex_table(statistics, {"ssim": "ssim|v:1"}, {"ssim": "higher"})
        >>> print(said.splitlines()[7])
        my\\_net & \\textbf{0.50} {\\scriptsize [0.40, 0.60]} \\\\
    """
    methods: Mapping[str, Any] = statistics["methods"]
    several = len(methods) > 1
    lines = [
        "% lookalike score: needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\begin{{tabular}}{{l{'r' * len(signatures)}}}",
        r"\toprule",
        " & ".join(["", *(f"{_heading(name)} {_ARROWS[better[name]]}" for name in signatures)]) + r" \\",
        r"\midrule",
    ]
    for method, columns in methods.items():
        cells = [_cell(columns[name], _place(methods, columns[name], name, better), several) for name in signatures]
        mark = r"\textsuperscript{*}" if any(columns[name].get("lacking") for name in signatures) else ""
        lines.append(" & ".join([escaped(method) + mark, *cells]) + r" \\")
    counts = sorted({columns[name]["count"] for columns in methods.values() for name in signatures})
    pairs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    meaning = "Methods sharing a letter do not differ (Wilcoxon signed-rank test with Holm's correction, 5\\,\\%). "
    lacking = [
        f"{escaped(method)} lacks {most} pairs that others have"
        for method, columns in methods.items()
        if (most := max(columns[name].get("lacking", 0) for name in signatures))
    ]
    if lacking:
        pairs += " (those that all methods have)"
        meaning += rf"*\,{', '.join(lacking)}. "
    made = "; ".join(rf"\texttt{{{escaped(said)}}}" for said in signatures.values())
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{Means over {pairs} image pairs with 95\,\% bootstrap intervals. "
        rf"{meaning if several else ''}Signatures: {made}.}}",
        r"\end{table}",
        *(f"% {line}" for line in textwrap.wrap(_sentence(signatures), 100)),
    ]
    return "\n".join(lines) + "\n"


def _heading(name: str) -> str:
    """A column's name as papers write it, its options after it."""
    metric, bracket, options = name.partition("(")
    return escaped(_written(metric) + (f" {bracket}{options}" if bracket else ""))


def _written(name: str) -> str:
    """A metric's name in print; any other column's as it is."""
    return (registry.metric_class(name).facts.written if name in registry.names() else "") or name


def _sentence(signatures: Mapping[str, str]) -> str:
    """What a section on methods may say: every metric, its signature, and what computed it."""
    found = [f"lookalike {__version__}", f"torch {torch.__version__}"]
    made = "; ".join(f"{_written(name)}: {text}" for name, text in signatures.items())
    return f"Methods: Scores were computed with {' and '.join(found)} ({made})."


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is.

    Example:
        >>> escaped("a_b & 5%")
        'a\\\\_b \\\\& 5\\\\%'
    """
    return "".join(_SPECIAL.get(letter, letter if letter.isprintable() else "?") for letter in text)


def _cell(column: Mapping[str, Any], place: int, several: bool) -> str:
    if column["mean"] is None:
        return "--"
    digits = decimals(column["low"], column["high"], column["mean"])
    mean, low, high = (f"{column[name]:z.{digits}f}" for name in ("mean", "low", "high"))
    shown = {1: rf"\textbf{{{mean}}}", 2: rf"\underline{{{mean}}}"}.get(place, mean)
    letters = rf"\textsuperscript{{{column['letters']}}}" if several else ""
    return rf"{shown}{letters} {{\scriptsize [{low}, {high}]}}"


def _place(methods: Mapping[str, Any], column: Mapping[str, Any], name: str, better: Mapping[str, str]) -> int:
    """1 for the best mean of a column, 2 for the second; 0 for all others. The first of equals is the better."""
    having = [columns[name] for columns in methods.values() if columns[name]["mean"] is not None]
    ranked = sorted(having, key=lambda other: other["mean"], reverse=better[name] == "higher")
    return next((at for at, other in enumerate(ranked[:2], 1) if other is column), 0)
