"""Charts as inline SVG, drawn here so that a page needs no script for them, and as files of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from lookalike.records.runs import SOFTWARE

WIDTH, HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 26
_ROW, _BINS, _LABEL = 62, 50, 60  # of a histogram: its height, its bars, letters that have room above it
COLOURS = ("#2f6f73", "#c2571a", "#6a51a3", "#a31f4b", "#3f7d20", "#946200", "#1f5fa8", "#7a4b2b", "#5c5c5c")
_STYLE = (  # of the page, in its light colours
    "text{font:11px system-ui,sans-serif;fill:#62666d}.label{fill:#22252a}.rule{stroke:#e2dfda}"
    ".mean{stroke:#22252a;stroke-width:1.5}"
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        label: said by the title of the line.
        colour: of the line.
        points: x and y; those that are not finite are left out.
    """

    label: str
    colour: str
    points: Sequence[tuple[float, float]]


class Spread(NamedTuple):
    """The scores of one method.

    Attributes:
        label: said above its bars.
        colour: of the bars.
        values: finite.
    """

    label: str
    colour: str
    values: Sequence[float]


def lines(title: str, drawn: Sequence[Line], x_most: float) -> Markup:
    """A chart of lines that share their axes; y is logarithmic where values span more than a factor of thirty.

    Args:
        title: of the chart, for those who cannot see it.
        drawn: the lines.
        x_most: where the x axis ends, the same for all charts that are to be compared.

    Returns:
        An ``<svg>`` element.

    Example:
        >>> "<polyline" in lines("loss", [Line("mse", COLOURS[0], [(0, 1.0), (10, 0.5)])], 10)
        True
    """
    points = [[(x, y) for x, y in line.points if math.isfinite(y)] for line in drawn]
    values = [y for some in points for _, y in some] or [0.0, 1.0]
    low, high = min(values), max(values)
    logarithmic = low > 0 and high > 30 * low
    ends = (math.log10(low), math.log10(high)) if logarithmic else (min(low, 0.0), high)
    span = (ends[1] - ends[0]) or 1.0

    def place(x: float, y: float) -> str:
        height = math.log10(y) if logarithmic else y
        across = _LEFT + (WIDTH - _LEFT - _RIGHT) * x / (x_most or 1)
        down = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (height - ends[0]) / span
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        *_axes(ends, logarithmic, x_most),
    ]
    parts.append('<g class="marks">')
    for line, some in zip(drawn, points, strict=True):
        path = " ".join(place(x, y) for x, y in some)
        parts.append(
            f'<polyline fill="none" stroke="{line.colour}" stroke-width="1.6" points="{path}">'
            f"<title>{escape(line.label)}</title></polyline>"
        )
    return Markup("".join([*parts, "</g></svg>"]))


def histograms(title: str, spreads: Sequence[Spread]) -> Markup:
    """A histogram for each method, one above the other, that share their axis and bins; a line marks the mean.

    Args:
        title: of the chart, for those who cannot see it.
        spreads: the methods.

    Returns:
        An ``<svg>`` element.

    Example:
        >>> str(histograms("psnr", [Spread("bicubic", COLOURS[0], [27.0, 29.0, 31.0])])).count("<rect")
        3
    """
    every = [value for spread in spreads for value in spread.values] or [0.0, 1.0]
    low, high = min(every), max(every)
    if low == high:
        low, high = low - 0.5, high + 0.5
    left, width = _RIGHT, WIDTH - 2 * _RIGHT
    bottom = _TOP + _ROW * len(spreads)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + 24}" role="img" aria-label="{escape(title)}">',
    ]
    for at, spread in enumerate(spreads):
        foot = _TOP + _ROW * (at + 1)
        parts.append(f'<line class="rule" x1="{left}" x2="{left + width}" y1="{foot}" y2="{foot}"/>')
        parts += _bars(spread, low, high, left, width, foot)
        label = spread.label if len(spread.label) <= _LABEL else f"{spread.label[: _LABEL - 1]}…"
        parts.append(f'<text class="label" x="{left}" y="{foot - _ROW + 15}">{escape(label)}</text>')
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        parts.append(
            f'<text x="{left + share * width:.0f}" y="{bottom + 16}" text-anchor="{anchor}">'
            f"{low + share * (high - low):.4g}</text>"
        )
    return Markup("".join([*parts, "</svg>"]))


def standalone(chart: Markup) -> str:
    """A chart as the text of a file: with its name space, size and style; on a transparent ground.

    Args:
        chart: an ``<svg>`` element of this module.

    Example:
        >>> made = standalone(histograms("psnr", [Spread("bicubic", COLOURS[0], [27.0, 29.0])]))
        >>> made.splitlines()[1], made.count("xmlns")
        ('<!-- lookalike -->', 1)
    """
    width, height = re.findall(r'viewBox="0 0 (\d+) (\d+)"', chart)[0]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", str(chart)).replace("<svg", head, 1)
    text = text.replace(">", f"><style>{_STYLE}</style>", 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {SOFTWARE} -->\n{text}\n'


def _bars(spread: Spread, low: float, high: float, left: float, width: float, foot: float) -> list[str]:
    if not spread.values:
        return []
    counts = [0] * _BINS
    for value in spread.values:
        counts[min(int((value - low) / (high - low) * _BINS), _BINS - 1)] += 1
    step, tall = width / _BINS, _ROW - 22
    bars = [
        f'<rect x="{left + at * step:.1f}" y="{foot - tall * count / max(counts):.1f}" width="{step - 0.6:.1f}" '
        f'height="{tall * count / max(counts):.1f}" fill="{spread.colour}">'
        f"<title>{low + at * (high - low) / _BINS:.4g} to {low + (at + 1) * (high - low) / _BINS:.4g}: {count}"
        "</title></rect>"
        for at, count in enumerate(counts)
        if count
    ]
    mean = left + width * (math.fsum(spread.values) / len(spread.values) - low) / (high - low)
    at_mean = f'<line class="mean" x1="{mean:.1f}" x2="{mean:.1f}" y1="{foot - tall}" y2="{foot}"/>'
    return ['<g class="marks">', *bars, "</g>", at_mean]


def _axes(ends: tuple[float, float], logarithmic: bool, x_most: float) -> list[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for share in (0.0, 0.5, 1.0):
        value = ends[0] + share * (ends[1] - ends[0])
        down = bottom - share * (bottom - _TOP)
        said = 10**value if logarithmic else value
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{said:.3g}</text>')
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 8}">0</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 8}" text-anchor="end">{x_most:,.0f} images</text>')
    return parts
