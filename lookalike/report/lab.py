"""The page of a lab run: one html file with matrix, curves and pictures, made from its folder and nothing else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lookalike.records import outputs, runs
from lookalike.report import charts
from lookalike.report.page import ordered, render

_POINTS = 240  # of a line; more than a chart can show
_TOTAL = "the whole loss, as trained"


def write(folder: str | Path, *, force: bool = False) -> Path:
    """Write ``index.html`` into the folder of a lab run.

    The page holds its pictures, style, script and text: no network, no other file.

    Args:
        folder: as ``lookalike lab`` left it.
        force: replace a page that lookalike did not write.

    Returns:
        The page's path.

    Raises:
        ValueError: when the folder holds no lab run, or its matrix or a picture is missing.
        OSError: when the page cannot be written.
    """
    folder = Path(folder)
    lab, matrix = runs.read_json(folder / "lab.json"), runs.read_json(folder / "matrix.json")
    if not isinstance(lab, dict) or lab.get("kind") != "lab":
        raise ValueError(f"{folder / 'lab.json'}: is not the record of a lab run")
    trained = [name for row in matrix["rows"] for name in row.get("own", [])]
    names = ordered([column["name"] for column in matrix["columns"]], trained)
    matrix["columns"].sort(key=lambda column: names.index(column["name"]))
    colours = {
        loss["name"]: charts.COLOURS[index % len(charts.COLOURS)] for index, loss in enumerate(lab["losses"])
    }
    text = render(
        "lab.html.j2",
        styles=["study.css", "lab.css"],
        scripts=["sort.js", "lab.js"],
        lab=lab,
        matrix=matrix,
        recipe=runs.read_json(folder / "recipe.json"),
        environment=runs.read_json(folder / runs.ENVIRONMENT),
        colours=colours,
        charts=_charts(folder, lab, colours),
        ways=[_way(folder, lab, way) for way in lab["directions"] or [""]],
        shown=_shown,
    )
    page = outputs.claim(folder / runs.PAGE, who="lab", force=force)
    runs.write_text(page, text)
    return page


def _charts(folder: Path, lab: dict[str, Any], colours: dict[str, str]) -> list[tuple[str, Markup]]:
    """One chart a term, with a line for each loss and seed that has it; they share their x axis."""
    drawn: dict[str, list[charts.Line]] = {}
    most = 0.0
    for loss in lab["losses"]:
        for seed in lab["seeds"]:
            label = loss["label"] if len(lab["seeds"]) == 1 else f"{loss['label']}, seed {seed}"
            lines = _terms(folder / loss["name"] / f"seed{seed}" / "terms.jsonl")
            for term, points in lines.items():
                drawn.setdefault(term, []).append(charts.Line(label, colours[loss["name"]], _thinned(points)))
                most = max(most, points[-1][0])
    return [(term, charts.lines(term, lines, most)) for term, lines in sorted(drawn.items(), key=_total_last)]


def _total_last(chart: tuple[str, Any]) -> tuple[bool, str]:
    return chart[0] == _TOTAL, chart[0]


def _terms(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Of each term, and of the whole loss, images seen and unweighted value."""
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        logged = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        for entry in logged:
            for term, one in entry["terms"].items():
                found.setdefault(term, []).append((entry["images"], float(one["value"])))
            found.setdefault(_TOTAL, []).append((entry["images"], float(entry["loss"])))
    except FileNotFoundError:
        return {}  # this loss has not been trained yet
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path}: not a log of terms ({' '.join(str(error).split())})") from None
    return found


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, len(points) // _POINTS)
    return points if step == 1 else [*points[::step], points[-1]]


def _way(folder: Path, lab: dict[str, Any], way: str) -> dict[str, Any]:
    """The table of pictures of one direction: rows of columns, each with its maps."""
    views, seed = lab["samples"]["views"], lab["seeds"][0]
    rows = []
    for row in lab["samples"]["rows"]:
        file = f"{row['id']}.png"
        columns = [
            {"label": view["label"], "picture": _data_uri(folder / "samples" / view["id"] / way / file)}
            for view in views
        ]
        for loss in lab["losses"]:
            picture = folder / loss["name"] / f"seed{seed}" / "samples" / way / file
            if picture.is_file():
                maps = folder / "maps" / loss["name"] / way
                columns.append(
                    {
                        "label": loss["label"],
                        "picture": _data_uri(picture),
                        "error": _maybe(maps / f"{row['id']}_difference.png"),
                        "ssim": _maybe(maps / f"{row['id']}_ssim.png"),
                    }
                )
        rows.append({"name": row["name"], "columns": columns})
    return {"name": way, "rows": rows, "labels": [column["label"] for column in rows[0]["columns"]] if rows else []}


def _maybe(path: Path) -> str:
    return _data_uri(path) if path.is_file() else ""


def _data_uri(path: Path) -> str:
    """A picture as it goes into the page, byte for byte."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: the page needs this picture ({error.strerror})") from None
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _shown(value: float | None) -> str:
    """Four digits, as a table has room for."""
    return "–" if value is None else f"{value:.4g}"
