"""``lookalike metrics``: the catalogue and the conventions."""

from __future__ import annotations

import dataclasses
from typing import Any

from lookalike.cli import show


def metrics(*, conventions: bool = False, json: bool = False) -> int:
    """List the metrics with their facts, or the conventions of SSIM.

    Args:
        conventions: list the conventions with their source and how each is proved, instead of the metrics.
        json: print JSON.
    """
    rows = _conventions() if conventions else _facts()
    if json:
        show.as_json(rows)
    elif conventions:
        shown = ("name", "source", "proof")
        show.as_table(("convention", "source", "proof"), [[row[key] for key in shown] for row in rows])
    else:
        show.as_table(
            ("metric", "title", "better", "range", "identical", "min side", "unit", "weights", "paper"),
            [
                (
                    row["name"], row["title"], row["better"], "..".join(show.number(end) for end in row["range"]),
                    show.number(row["identical"]), f"{row['min_side']} px", row["unit"] or show.DASH,
                    ", ".join(row["weights"]) or "none", row["paper"],
                )
                for row in rows
            ],
            numbers=(4, 5),
        )  # fmt: skip
    return 0


def _facts() -> list[dict[str, Any]]:
    from lookalike import registry

    asked = [registry.metric_class(name).facts for name in registry.catalog()]
    return [
        {
            field.name: dict(value) if field.name in ("tolerates", "declines") else value
            for field in dataclasses.fields(facts)
            for value in [getattr(facts, field.name)]
        }
        for facts in asked
    ]


def _conventions() -> list[dict[str, Any]]:
    from lookalike.conventions import CONVENTIONS

    return [dataclasses.asdict(row) for row in CONVENTIONS.values()]
