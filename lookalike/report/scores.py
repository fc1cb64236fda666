"""The page of a score table: the finding, the worst pairs as pictures, leaderboard, distributions and scatter."""

from __future__ import annotations

import base64
import io
import os
import shlex
import warnings
from collections.abc import Mapping
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image, ImageOps

from lookalike.records import outputs, runs, tables
from lookalike.records.statistics import decimals
from lookalike.records.tables import Row, Table
from lookalike.report import charts
from lookalike.report.finding import finding
from lookalike.report.page import ordered, render

SHOWN_PX = 192  # the longer side of a picture on the page
PICTURES = 240  # at most on one page, each once
POINTS = 3000  # of a scatter plot
FAILURES = 50  # listed; the table holds all
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")  # what is scored; others may start programs

Picture = dict[str, Any]  # {"place": in the page's store} or {"reason": why there is none}


def write(table: str | Path, out: str | Path | None = None, *, force: bool = False) -> Path:
    """Write the page of a table that ``lookalike score`` left.

    The page holds its numbers, pictures, style and script: no network, no other file. Pictures are read from where
    the table says, relative paths from the folder they were given in, and from beside the table; what is not there
    any more, or another file by now, is named on the page.

    Args:
        table: a ``.parquet``, ``.csv`` or ``.jsonl`` file as `lookalike.records.tables` describes.
        out: where the page goes; None: beside the table, ``TABLE.html``.
        force: replace a file that lookalike did not write.

    Returns:
        The page's path.

    Raises:
        ValueError: when that is no table of scores, or ``out`` is it or not ours to replace.
        ImportError: for parquet without pyarrow.
        OSError: when the page cannot be written.
    """
    table = Path(table)
    out = table.with_name(f"{table.name}.html") if out is None else Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: a page ends in .html")
    outputs.claim(out, who="report", inputs=(table, tables.metadata_file(table)), force=force)
    found, statistics, methods = _read(table)
    store: list[str] = []
    paired = [row for row in found.rows if row.reference and row.image]  # the others are half a pair
    failed = [row for row in paired if row.error is not None]
    unpaired = [one for one in found.metadata.get("unpaired", []) if one.get("kind") in ("missing", "extra")]
    text = render(
        "scores.html.j2",
        styles=["study.css", "lab.css", "scores.css"],
        scripts=["sort.js", "scores.js"],
        name=tables.as_text(table.name),
        finding=finding(statistics["methods"], {name: found.metadata["better"][name] for name in found.metrics}),
        metrics=found.metrics,
        signatures=found.metadata["signatures"],
        better=found.metadata["better"],
        statistics=statistics["methods"],
        best={metric: _best(statistics["methods"], metric, found.metadata["better"]) for metric in found.metrics},
        colours=methods,
        rows=len(paired),
        pairs=len({row.pair for row in paired}),
        compared=statistics.get("compared", {}),
        unpaired=unpaired[:FAILURES],
        lonely=len(unpaired),
        failed=failed[:FAILURES],
        failures=len(failed),
        distributions=_distributions(found, methods),
        scatter=_scatter(found, statistics, methods),
        gallery=_gallery(found, statistics["methods"], Path(os.path.realpath(table)).parent, store),
        store=store,
        most=PICTURES,
        shown_px=SHOWN_PX,
        shown=_shown,
        told=_told,
    )
    runs.write_text(out, text)
    return out


def write_plots(table: str | Path, folder: str | Path, *, force: bool = False) -> list[Path]:
    """Write the distributions of the page as SVG files, one a metric.

    Args:
        table: as `write` takes it.
        folder: made where it is not there; other files in it stay.
        force: replace files that lookalike did not write.

    Returns:
        The files, ``METRIC.svg`` in the order of the page; metrics without any finite score have none.

    Raises:
        ValueError: as `write` does, and when a file of such a name is not ours to replace.
        ImportError: for parquet without pyarrow.
        OSError: when they cannot be written.
    """
    table, folder = Path(table), Path(folder)
    found, _, methods = _read(table)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"report: {folder}: is a file; name a folder for the plots")
    plots: dict[str, Markup] = {}
    for metric, chart, _ in _distributions(found, methods):
        if chart:
            plots[runs.file_name(metric, plots)] = chart
    inputs = (table, tables.metadata_file(table))
    paths = [outputs.claim(folder / f"{name}.svg", who="report", inputs=inputs, force=force) for name in plots]
    folder.mkdir(parents=True, exist_ok=True)
    for path, chart in zip(paths, plots.values(), strict=True):
        runs.write_text(path, charts.standalone(chart))
    return paths


def _read(table: Path) -> tuple[Table, dict[str, Any], dict[str, str]]:
    """A table, its statistics, and the colours of its methods."""
    found = _in_order(tables.read(table))
    statistics = found.metadata.get("statistics")
    if not isinstance(statistics, dict) or "methods" not in statistics or not found.rows:
        raise ValueError(f"{table}: a table without statistics or rows; make it with lookalike score")
    if unknown := {row.method for row in found.rows} - set(statistics["methods"]):
        raise ValueError(f"{table}: its statistics lack {', '.join(sorted(unknown))}; make it again")
    methods = {method: charts.COLOURS[at % len(charts.COLOURS)] for at, method in enumerate(statistics["methods"])}
    return found, statistics, methods


def _in_order(table: Table) -> Table:
    """A table whose columns stand in the order in which a reader looks for them."""
    names = ordered(table.metrics)
    places = [table.metrics.index(name) for name in names]
    rows = [row._replace(values=tuple(row.values[place] for place in places)) for row in table.rows]
    return table._replace(metrics=tuple(names), rows=rows)


def _best(methods: dict[str, Any], metric: str, better: dict[str, str]) -> float | None:
    means = [said[metric]["mean"] for said in methods.values() if said[metric]["mean"] is not None]
    return (max if better[metric] == "higher" else min)(means) if len(means) > 1 else None


def _distributions(table: Table, colours: dict[str, str]) -> list[tuple[str, Markup, int]]:
    """Of each metric its chart, empty where nothing can be drawn, and how many infinite scores it leaves out."""
    found = []
    for at, metric in enumerate(table.metrics):
        scores = {method: [] for method in colours}
        infinite = 0
        for row in table.rows:
            value = row.values[at]
            if value is not None and isfinite(value):
                scores[row.method].append(value)
            elif value is not None:
                infinite += 1
        if not any(scores.values()):
            found.append((metric, Markup(), infinite))
            continue
        spreads = [charts.Spread(method, colours[method], values) for method, values in scores.items()]
        found.append((metric, charts.histograms(metric, spreads), infinite))
    return found


def _scatter(table: Table, statistics: dict[str, Any], colours: dict[str, str]) -> dict[str, Any]:
    """What the script needs to draw any metric against any other: every n-th row, and rank correlations of all."""
    rows = [row for row in table.rows if row.reference and row.image]
    step = -(-len(rows) // POINTS)
    rows = rows[::step]
    numbers = {method: at for at, method in enumerate(colours)}
    return {
        "metrics": table.metrics,
        "methods": list(colours),
        "colours": list(colours.values()),
        "method": [numbers[row.method] for row in rows],
        "pair": [row.pair for row in rows],
        "values": [[_digits(row.values[at]) for row in rows] for at in range(len(table.metrics))],
        "step": step,
        "agreement": statistics.get("rank_agreement", {}),
    }


def _digits(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and isfinite(value) else None


def _gallery(table: Table, methods: dict[str, Any], beside: Path, store: list[str]) -> dict[str, Any]:
    """Of each metric and method the worst pairs, their pictures put into the store once each."""
    rows = {(row.method, row.pair): row for row in table.rows}
    known: dict[str, Picture] = {}

    def picture(path: str) -> Picture:
        if path not in known:
            known[path] = _stored(path, beside, store, table.metadata)
        return known[path]

    def worst(method: str, metric: str) -> list[dict[str, Any]]:
        said = methods[method][metric].get("worst", [])
        taken = [(one, rows.get((method, one["pair"]))) for one in said]
        return [one | _sides(row, picture) for one, row in taken if row is not None]

    return {metric: {method: worst(method, metric) for method in methods} for metric in table.metrics}


def _sides(row: Row, picture: Any) -> dict[str, Any]:
    size = f"{row.width} × {row.height} px" if row.width and row.height else ""
    view = f"lookalike view {shlex.quote(row.reference)} {shlex.quote(row.image)}"
    return {"reference": picture(row.reference), "image": picture(row.image), "size": size, "view": view}


def _stored(path: str, beside: Path, store: list[str], metadata: dict[str, Any] | None = None) -> Picture:
    """A picture reduced into the store, or the reason why it is not there; only the picture that was scored.

    Args:
        path: as the table holds it.
        beside: the folder of the table.
        store: of the page.
        metadata: of the table.
    """
    metadata = metadata or {}
    if len(store) >= PICTURES:
        return {"reason": f"left out, the page holds {PICTURES} pictures"}
    try:
        found = [place for place in tables.places(beside, metadata, path) if place.is_file()]
        if not found:
            return {"reason": f"not found: {path}"}
        known = metadata.get("pictures", {}).get(path)
        right = [place for place in found if known in (None, tables.identity(place))]
        if not right:
            return {"reason": f"another file than the one that was scored: {path}"}
        content = _reduced(right[0])
    except Exception as error:  # decoders raise anything; one bad file must not cost the page
        return {"reason": f"no picture: {path} ({' '.join(str(error).split()) or type(error).__name__})"}
    store.append(f"data:image/png;base64,{base64.b64encode(content).decode()}")
    return {"place": len(store) - 1}


def _reduced(path: Path) -> bytes:
    """A PNG of at most ``SHOWN_PX``, of 8 bits, upright; 16 bits are divided by 257, floats times 255, nothing is
    stretched.
    """
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=_FORMATS) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            image = image.convert("I").point(lambda level: level / 257).convert("L")
        elif image.mode == "F":
            image = image.point(lambda level: level * 255).convert("L")
        elif image.mode not in ("L", "RGB", "RGBA"):
            image = image.convert("RGBA" if image.mode in ("LA", "PA") or "transparency" in image.info else "RGB")
        image.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BOX, reducing_gap=None)
        file = io.BytesIO()
        image.save(file, format="PNG")
    return file.getvalue()


def _shown(value: float | str | None) -> str:
    """Four digits, as a table has room for."""
    if value is None:
        return "–"
    number = float(value)
    return "NaN" if isnan(number) else f"{number:.4g}"


def _told(cell: Mapping[str, Any], key: str) -> str:
    """A number of a cell with the decimals that the cell's interval justifies."""
    return f"{cell[key]:z.{decimals(cell['low'], cell['high'], cell['mean'])}f}"
