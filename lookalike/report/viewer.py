"""The viewer: pictures laid over, beside and after one another, and where they differ, in one html file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from math import isnan
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lookalike.records import outputs, runs
from lookalike.records.views import LEVELS, Kind, Picture, View
from lookalike.report.page import render

_ENDINGS = (".html", ".htm")


def check(out: str | Path) -> Path:
    """The path of a page that can be written here.

    Raises:
        ValueError: when it does not end as a page does.

    Example:
        >>> check("view.html").name
        'view.html'
    """
    out = Path(out)
    if out.suffix.lower() not in _ENDINGS:
        raise ValueError(f"view: {out}: a page ends in .html")
    return out


def write(view: View, out: str | Path, inputs: Iterable[str | Path] = (), force: bool = False) -> Path:
    """Write the page of a view.

    The page holds every picture and map once, without loss, its style and its script: no network, no other file.

    Args:
        view: what it shows.
        out: where it goes; ends in ``.html``.
        inputs: files that are read, which nothing replaces.
        force: replace a file that lookalike did not write.

    Returns:
        Its path.

    Raises:
        ValueError: for another ending, and a file that is an input or not ours to replace.
        OSError: when the page cannot be written.
    """
    out = outputs.claim(check(out), who="view", inputs=inputs, force=force)
    store: list[Markup] = []

    def stored(png: bytes) -> int:
        store.append(Markup(base64.b64encode(png).decode()))  # letters that mean nothing to html
        return len(store) - 1

    def said(picture: Picture) -> dict[str, Any]:
        return {
            "name": picture.name,
            "png": stored(picture.png),
            "low": None if picture.low_bytes is None else stored(picture.low_bytes),
            "maps": {name: stored(png) for name, png in picture.maps.items()},
        }

    pictures = [said(picture) for picture in (view.reference, *view.judged)]
    text = render(
        "viewer.html.j2",
        styles=["study.css", "viewer.css"],
        scripts=["viewer_pictures.js", "viewer_stage.js", "viewer.js"],
        view=view,
        best=[_best(number.values, number.better) for number in view.numbers],
        record={
            "width": view.width,
            "height": view.height,
            "bits": view.bits,
            "channels": view.channels,
            "levels": LEVELS,
            "pictures": pictures,
            "kinds": [_error(view)._asdict(), *(kind._asdict() for kind in view.kinds)],
        },
        store=store,
        shown=lambda value: f"{value:.5g}",
    )
    runs.write_text(out, text)
    return out


def _error(view: View) -> Kind:
    """The map that the page computes itself, of the values that it shows."""
    most = float((1 << view.bits) - 1)
    return Kind("error", "Absolute error", "", 0.0, most, 0.0, 0, 0, view.width, view.height)


def _best(values: tuple[float | None, ...], better: str) -> float | None:
    """The best of several values that are not all the same."""
    there = [value for value in values if value is not None and not isnan(value)]
    return (max if better == "higher" else min)(there) if len(set(there)) > 1 else None
