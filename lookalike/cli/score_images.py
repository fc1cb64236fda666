"""``lookalike score`` of a reference and images of it."""

from __future__ import annotations

import gc
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import show
from lookalike.cli.codes import FAILED_ROWS, NO

if TYPE_CHECKING:
    from lookalike.cli.limits import Limit
    from lookalike.scoring.pair import Measurement

SHORT = {  # what people know, by what it looks at; in this order
    "psnr": "error", "ssim": "structure", "ms_ssim": "structure", "cw_ssim": "structure", "gmsd": "structure",
    "flip": "vision", "ssimulacra2": "vision", "lpips_alex": "vision",
}  # fmt: skip


def score(
    reference: Path,
    judged: tuple[Path, ...],
    metrics: tuple[str, ...],
    limits: list[Limit],
    *,
    map: Path | None,
    json: bool,
    everything: bool,
    force: bool,
    mask: str | None = None,
    ignored: tuple[tuple[int, int, int, int], ...] = (),
    **options: Any,
) -> int:
    """Score images against their reference, print the numbers, and say the exit code."""
    if map is not None:
        if len(metrics) > 1 or len(judged) > 1:
            what = ", ".join(metrics) if len(metrics) > 1 else f"{len(judged)} images"
            raise ValueError(f"score: --map draws one metric of one image, name one of {what}")
        if mask or ignored or options["grey"]:
            raise ValueError("score: --map is of the whole pair in colour, without --mask, --ignore and --grey")
        from lookalike.records import outputs

        outputs.claim(map, who="score", inputs=(reference, *judged), force=force)
    with _uncollected(), _from_stdin((reference, *judged)) as files:
        from lookalike import registry, weights
        from lookalike.cli import limits as room
        from lookalike.scoring.maps import write_map
        from lookalike.scoring.masks import Mask
        from lookalike.scoring.pair import measure

        counts = Mask(mask, ignored) if mask or ignored else None
        names = metrics or _default(everything, registry, weights)
        names = room.asked(names, limits)
        found = [measure(file, files[0], names, mask=counts, skip=not metrics, **options) for file in files[1:]]
        drawn = None
        if map is not None:
            kept = {name: value for name, value in options.items() if name != "grey"}
            drawn = write_map(map, files[1], files[0], metrics[0] if metrics else "ssim", force=force, **kept)
    undefined, crossed = [], []
    for path, scores in zip(judged, found, strict=True):
        where = f"{path}: " if len(judged) > 1 else ""
        undefined += [
            f"failed: {where}{one.metric}: the score is not a number (NaN)" for one in scores if _nan(one)
        ]
        values = {one.metric: one.value for one in scores}
        crossed += [
            limit.said(where, values[limit.column]) for limit in limits if limit.crossed(values[limit.column])
        ]
    if json:
        _as_json(reference, judged, found, drawn._asdict() if drawn else None)
    else:
        _as_tables(judged, found, not metrics)
        if drawn is not None:
            show.as_path(f"{drawn.file}: {drawn.legend}")
    show.as_remarks(dict.fromkeys(remark for scores in found for remark in scores[0].remarks))
    show.as_remarks([*undefined, *crossed])
    return FAILED_ROWS if undefined else NO if crossed else 0


def _default(everything: bool, registry: Any, weights: Any) -> tuple[str, ...]:
    """Every quick metric, or those that people know; of learned ones those whose weights are here."""
    if everything:
        return tuple(registry.cheap())
    return tuple(
        name
        for name in SHORT
        if not (needed := registry.metric_class(name).facts.weights) or weights.present(*needed)
    )


def _nan(one: Measurement) -> bool:
    return one.value is not None and isnan(one.value)


def _as_json(
    reference: Path, judged: Sequence[Path], found: Sequence[Sequence[Measurement]], drawn: dict[str, Any] | None
) -> None:
    images = [
        {"judged": str(path), "scores": [one._asdict() | _facts(one) for one in scores]}
        for path, scores in zip(judged, found, strict=True)
    ]
    said: dict[str, Any] = {"reference": str(reference)}
    said |= images[0] if len(images) == 1 else {"images": images}
    show.as_json(said if drawn is None else said | {"map": drawn})


def _facts(one: Measurement) -> dict[str, str]:
    from lookalike import registry

    facts = registry.metric_class(one.metric.partition("(")[0]).facts
    return {"better": facts.better, "unit": facts.unit}


def _as_tables(judged: Sequence[Path], found: Sequence[Sequence[Measurement]], short: bool) -> None:
    """One image: a line a metric with its signature. Several: a line a metric with a number an image."""
    lacking: dict[str, str] = {}
    shown = []
    for column in zip(*found, strict=True):
        if short and all(one.value is None for one in column):
            lacking[column[0].metric] = column[0].reason
        else:
            shown.append(column)
    if len(judged) == 1:
        header, numbers = ["metric", "value", "better", "signature"], [1]
        rows = [
            (one.metric, _value(one), _facts(one)["better"], one.signature if one.value is not None else one.reason)
            for [one] in shown
        ]
        if short and set(SHORT) >= {one.metric for [one] in shown}:
            header.insert(3, "of")
            rows = [(*row[:3], SHORT[row[0]], *row[3:]) for row in rows]
        show.as_table(header, rows, numbers)
    else:
        show.as_table(
            ("metric", *_labels(judged), "better"),
            [(column[0].metric, *map(_value, column), _facts(column[0])["better"]) for column in shown],
            range(1, len(judged) + 1),
        )
        for column in shown:
            show.as_line(f"{column[0].metric}: {column[0].signature or column[0].reason}")
    if lacking:
        show.as_path("no number: " + "; ".join(_short(name, reason) for name, reason in lacking.items()))


def _short(name: str, reason: str) -> str:
    """A reason without the metric's name before it, up to its advice."""
    return f"{name} ({reason.removeprefix(f'{name}: ').split(';')[0]})"


def _value(one: Measurement) -> str:
    return f"{show.number(one.value)} {_facts(one)['unit'] if one.value is not None else ''}".rstrip()


def _labels(paths: Sequence[Path]) -> list[str]:
    from lookalike.scoring.view import labels

    return labels(list(paths))


@contextmanager
def _from_stdin(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The paths, with what is read from standard input in a file of its own where one of them is ``-``."""
    if Path("-") not in paths:
        yield list(paths)
        return
    if paths.count(Path("-")) > 1:
        raise ValueError("score: - is standard input, which gives one image")
    with tempfile.NamedTemporaryFile(prefix="lookalike-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield [Path(file.name) if path == Path("-") else path for path in paths]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the search for garbage: importing torch makes a hundred thousand objects, and hardly any garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
