"""Line charts as inline SVG, drawn here so that a page needs no script for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 26
COLOURS = ("#2f6f73", "#c2571a", "#6a51a3", "#a31f4b", "#3f7d20", "#946200", "#1f5fa8", "#7a4b2b", "#5c5c5c")


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
    for line, some in zip(drawn, points, strict=True):
        path = " ".join(place(x, y) for x, y in some)
        parts.append(
            f'<polyline fill="none" stroke="{line.colour}" stroke-width="1.6" points="{path}">'
            f"<title>{escape(line.label)}</title></polyline>"
        )
    return Markup("".join([*parts, "</svg>"]))


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
