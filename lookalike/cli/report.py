"""``lookalike report``: the page of a run folder or of a score table."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from lookalike.cli import show

_NAMED = 8  # files of a folder that is none of ours


def report(
    path: Annotated[Path, arg(metavar="FOLDER|TABLE")],
    /,
    *,
    out: Annotated[Path | None, arg(aliases=["-o"], metavar="FILE.html", help_behavior_hint="")] = None,
    plots: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None,
    force: bool = False,
) -> int:
    """Write one self-contained page about a study, a lab run or a table of scores, and say where it is.

    Args:
        path: the folder that `lookalike study` or `lookalike lab` left, or the .parquet, .csv or .jsonl table of
            `lookalike score --output`.
        out: of a table: the page (default: beside the table, TABLE.html). A folder gets its index.html.
        plots: of a table: write the page's distributions there too, as METRIC.svg.
        force: replace a page or plots that lookalike did not write.
    """
    if not path.exists():
        raise ValueError(f"report: {path}: no such file or folder")
    if not path.is_dir():
        from lookalike.report import scores

        written = [] if plots is None else scores.write_plots(path, plots, force=force)
        for file in (scores.write(path, out, force=force), *written):
            show.as_path(file)
        return 0
    from lookalike.records import runs
    from lookalike.report import lab, study_page

    if out is not None or plots is not None:
        option = "--plots" if out is None else "--out"
        raise ValueError(f"report: {path} is a folder and gets its own {runs.PAGE}; {option} is for tables")
    if (path / runs.LAB).is_file():
        page = lab.write(path, force=force)
    elif (path / runs.SCORES).is_file():
        page = study_page(path, force=force)
    else:
        names = sorted(entry.name for entry in islice(path.iterdir(), 1000))
        more = " ..." if len(names) > _NAMED else ""
        found = f"holds {', '.join(names[:_NAMED])}{more}" if names else "is empty"
        raise ValueError(
            f"report: {path} {found}; the folder of a lab run has {runs.LAB}, of a study {runs.SCORES}; "
            "a table of scores is named by its file"
        )
    show.as_path(page)
    return 0
