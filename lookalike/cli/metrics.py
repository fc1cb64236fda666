"""``lookalike metrics``: the catalogue and the conventions."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from tyro.conf import Positional, arg

from lookalike.cli import show


def metrics(
    *,
    names: Positional[Annotated[tuple[str, ...], arg(metavar="[NAME ...]", help_behavior_hint="")]] = (),
    conventions: bool = False,
    json: bool = False,
) -> int:
    """List the metrics, show one or several on a sheet each, or list the conventions of SSIM.

    A sheet has the formula, the source, the options with their defaults, the range, whether masks are taken and
    maps given, the smallest side, and when to use the metric and when not.

    Args:
        names: metrics to be shown on a sheet each.
        conventions: list the conventions with their source and how each is proved, instead of the metrics.
        json: print JSON.
    """
    if names and conventions:
        raise ValueError("metrics: --conventions lists the conventions, names show metrics; ask for one of them")
    if names:
        from lookalike.cli import sheet

        sheets = [sheet.of(name) for name in names]
        if json:
            show.as_json(sheets if len(sheets) > 1 else sheets[0])
        else:
            for at, one in enumerate(sheets):
                if at:
                    show.as_line("")
                sheet.printed(one)
        return 0
    rows = _conventions() if conventions else _facts()
    if json:
        show.as_json(rows)
    elif conventions:
        shown = ("name", "source", "proof")
        show.as_table(("convention", "source", "proof"), [[row[key] for key in shown] for row in rows])
    else:
        show.as_table(
            ("metric", "title", "better", "range", "side", "masks", "weights"),
            [
                (
                    row["name"], row["title"], row["better"], "..".join(show.number(end) for end in row["range"]),
                    str(row["min_side"]), "yes" if row["masks"] else "no", "needed" if row["weights"] else "none",
                )
                for row in rows
            ],
            numbers=(4,),
        )  # fmt: skip
        if show.is_terminal():
            show.as_line("\nside: the smallest, in pixels; masks: whether the metric takes one")
            show.as_line("lookalike metrics NAME: formula, source, options, range, maps, and when to use it")
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
