"""A table of scores for a paper: means with their 95 % intervals, the best in bold, letters of significance, and
the signatures in the caption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "<": r"\textless{}",
    ">": r"\textgreater{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}


def latex_table(statistics: Mapping[str, Any], signatures: Mapping[str, str], better: Mapping[str, str]) -> str:
    """A ``table`` environment that needs the package booktabs and nothing else.

    Args:
        statistics: as `statistics.describe` gives them.
        signatures: of each metric.
        better: direction of each metric.

    Example:
        >>> column = {"count": 2, "mean": 0.5, "low": 0.4, "high": 0.6, "letters": "a"}
        >>> statistics = {"methods": {"my_net": {"ssim": column}}, "level": 0.05}
        >>> said = latex_table(statistics, {"ssim": "ssim|v:1"}, {"ssim": "higher"})
        >>> print(said.splitlines()[7])
        my\\_net & \\textbf{0.5000} {\\scriptsize [0.4000, 0.6000]} \\\\
    """
    methods: Mapping[str, Any] = statistics["methods"]
    several = len(methods) > 1
    lines = [
        "% lookalike score: needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\begin{{tabular}}{{l{'r' * len(signatures)}}}",
        r"\toprule",
        " & ".join(["", *(f"{escaped(name)} {_ARROWS[better[name]]}" for name in signatures)]) + r" \\",
        r"\midrule",
    ]
    for method, columns in methods.items():
        cells = [
            _cell(columns[name], columns[name] is _best(methods, name, better), several) for name in signatures
        ]
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
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is.

    Example:
        >>> escaped("a_b & 5%")
        'a\\\\_b \\\\& 5\\\\%'
    """
    return "".join(_SPECIAL.get(letter, letter if letter.isprintable() else "?") for letter in text)


def _cell(column: Mapping[str, Any], best: bool, several: bool) -> str:
    if column["mean"] is None:
        return "--"
    digits = _digits(column["low"], column["high"], column["mean"])
    mean, low, high = (f"{column[name]:z.{digits}f}" for name in ("mean", "low", "high"))
    shown = rf"\textbf{{{mean}}}" if best else mean
    letters = rf"\textsuperscript{{{column['letters']}}}" if several else ""
    return rf"{shown}{letters} {{\scriptsize [{low}, {high}]}}"


def _digits(low: float, high: float, mean: float) -> int:
    """Decimals: two for decibels and the like, four for numbers around 1."""
    return 2 if max(abs(low), abs(high), abs(mean)) >= 10 else 4


def _best(methods: Mapping[str, Any], name: str, better: Mapping[str, str]) -> Any:
    having = [columns[name] for columns in methods.values() if columns[name]["mean"] is not None]
    choose = max if better[name] == "higher" else min
    return choose(having, key=lambda column: column["mean"], default=None)
