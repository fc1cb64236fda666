"""A database's images scored into a csv with their opinions; a run that was stopped continues there."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lookalike.agree.opinions import Database, Opinion
from lookalike.records import outputs, runs

Scorer = Callable[[Path, Path], Mapping[str, float | None]]
_BATCH = 50  # images after which the file is written again


def score(
    database: Database,
    signatures: Mapping[str, str],
    scorer: Scorer,
    path: Path,
    *,
    progress: Callable[[Iterable[Opinion]], Iterable[Opinion]] = iter,
) -> None:
    """Score every image that the file does not hold yet.

    Args:
        database: from `opinions.load`.
        signatures: metric → how its numbers are made; a file with others is refused.
        scorer: ``scorer(judged, reference)`` gives a number a metric.
        path: a csv that `records.read` reads; its signatures go into ``path.json`` beside it.
        progress: wraps what is left to be scored, to show how far it is.

    Raises:
        ValueError: when the file was made with other metrics or options, or the file beside it is not of lookalike.
    """
    sidecar = path.with_name(f"{path.name}.json")
    if path.exists():
        stored = runs.read_json(sidecar)["signatures"] if sidecar.exists() else None
        if stored != dict(signatures):
            raise ValueError(
                f"{path}: holds scores of {', '.join((stored or {}).values()) or 'unknown make'}, not of "
                f"{', '.join(signatures.values())}; name another file"
            )
    inputs = (file for opinion in database.opinions for file in (opinion.reference, opinion.image))
    outputs.claim(sidecar, who="agree", inputs=inputs, force=None)
    column = "mos" if database.better == "higher" else "dmos"
    header = ("reference", "image", "distortion", column, *signatures)
    scored = _read(path)
    runs.write_json(sidecar, {"database": database.name, "signatures": dict(signatures)})
    pending = [opinion for opinion in database.opinions if str(opinion.image) not in scored]
    try:
        for number, opinion in enumerate(progress(pending), 1):
            values = scorer(opinion.image, opinion.reference)
            cells = ("" if values[name] is None else repr(values[name]) for name in signatures)
            scored[str(opinion.image)] = [
                str(opinion.reference),
                str(opinion.image),
                opinion.distortion,
                repr(opinion.opinion),
                *cells,
            ]
            if number % _BATCH == 0:
                runs.write_csv(path, header, scored.values())
    finally:
        runs.write_csv(path, header, scored.values())


def _read(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[runs.csv_text(cell) for cell in row] for row in csv.reader(file)]
    return {row[1]: row for row in rows[1:]}
