"""``lookalike agree``: do the numbers order images as people do?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from lookalike.cli import show
from lookalike.cli.codes import FAILED_ROWS

if TYPE_CHECKING:
    from lookalike.agree import Agreement, Interval, Records


def agree(
    scores: Annotated[Path, arg(metavar="SCORES.CSV | FOLDER")],
    /,
    *,
    metrics: Annotated[
        tuple[str, ...], arg(aliases=("-m",), metavar="NAME [NAME ...]", help_behavior_hint="")
    ] = (),
    out: Annotated[
        Path | None, arg(aliases=("-o",), metavar="FILE.csv", help_behavior_hint="(default: agree-DATABASE.csv)")
    ] = None,
    opinion: Annotated[
        str | None, arg(metavar="COLUMN", help_behavior_hint="(default: mos, dmos or opinion)")
    ] = None,
    better: Annotated[
        Literal["higher", "lower"] | None,
        arg(metavar="higher|lower", help_behavior_hint="(default: dmos lower, else higher)"),
    ] = None,
    distortion: Annotated[str | None, arg(metavar="COLUMN", help_behavior_hint="(default: distortion)")] = None,
    fit: Literal["logistic4", "logistic5"] = "logistic5",
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    allow_missing: bool = False,
    json: bool = False,
) -> int:
    """Correlate scores with people's opinions: SRCC, KRCC, PLCC and RMSE after a logistic fit, by distortion too.

    Metrics are compared on the images that all of them have a score of. Exit code 3: some images are left out.

    Args:
        scores: a csv with a column of opinions and one a metric; or the folder of TID2008, TID2013, KADID-10k, CSIQ
            or LIVE as it was distributed, whose images are then scored. The same command takes up a run that was
            stopped.
        metrics: columns of the csv (all that hold numbers by default); of a folder: metrics of the catalogue (psnr
            and ssim by default).
        out: where the scores of a folder go.
        opinion: the column of opinions.
        better: direction of the opinions.
        distortion: the column of distortions.
        fit: function fitted before PLCC and RMSE.
        resamples: of the bootstrap, for the 95 % intervals.
        seed: of the bootstrap.
        device: that scores a folder, such as cuda.
        allow_missing: images left out are no reason for exit code 3.
        json: print JSON.
    """
    from lookalike import agree as room

    path = scores
    if scores.is_dir():
        path = _scored(scores, metrics or ("psnr", "ssim"), out, device)
        metrics = ()
    records = room.read(path, opinion=opinion, better=better, distortion=distortion, metrics=metrics or None)
    count = len(records.opinions)
    records, lacking = room.shared(records)
    left_out = count - len(records.opinions)
    code = FAILED_ROWS if left_out and not allow_missing else 0
    found = {
        name: room.by_distortion(
            records, name, rising=_rising(name, records), fit=fit, resamples=resamples, seed=seed
        )
        for name in records.scores
    }
    if left_out:
        missing = ", ".join(f"{name} lacks {number}" for name, number in lacking.items() if number)
        show.as_remarks([f"{left_out} of {count} images are left out, not every metric has a score: {missing}"])
    if json:
        show.as_json({name: {kind: one._asdict() for kind, one in kinds.items()} for name, kinds in found.items()})
        return code
    show.as_table(
        ("metric", "images", "SRCC", "KRCC", "PLCC", "RMSE"),
        [(name, *_cells(kinds[room.ALL])) for name, kinds in found.items()],
        numbers=(1,),
    )
    kinds = [kind for kind in next(iter(found.values())) if kind != room.ALL]
    if kinds:
        show.as_line("\nSRCC by distortion")
        show.as_table(
            ("distortion", *found),
            [(kind, *(_srcc(of_metric, kind) for of_metric in found.values())) for kind in kinds],
            numbers=range(1, 1 + len(found)),
        )
    show.as_line(f"\n95 % bootstrap intervals of {resamples} resamples; PLCC and RMSE after the fit {fit}")
    return code


def _scored(folder: Path, names: Sequence[str], out: Path | None, device: str) -> Path:
    """The csv of a database's images, scored."""
    from rich.console import Console
    from rich.progress import track

    from lookalike import agree as room
    from lookalike import batches, registry
    from lookalike.scoring.pair import measure

    database = room.load(folder)
    place = batches.usable_device(device)
    made = [registry.get(name, check="shapes").to(place) for name in names]
    path = out or Path(f"agree-{database.name}.csv")

    def scorer(judged: Path, reference: Path) -> dict[str, float | None]:
        return {found.metric: found.value for found in measure(judged, reference, made, device=place)}

    console = Console(stderr=True)
    room.score(
        database,
        {metric.facts.name: metric.signature(255) for metric in made},
        scorer,
        path,
        progress=lambda left: track(list(left), f"scoring {database.name}", console=console),
    )
    show.as_remarks([f"{path}: {len(database.opinions)} images of {database.name}"])
    return path


def _rising(name: str, records: Records) -> bool:
    """Whether a higher score should mean a higher opinion; for unknown metrics as the data have it."""
    from lookalike import agree as room
    from lookalike import registry

    try:
        better = registry.metric_class(name).facts.better
    except ValueError:
        show.as_remarks([f"{name}: no metric of the catalogue; its direction is taken from the data"])
        return room.rises(records, name)
    return better == records.better


def _cells(one: Agreement) -> tuple[str, ...]:
    return str(one.pairs), *(_interval(part) for part in (one.srcc, one.krcc, one.plcc, one.rmse))


def _srcc(kinds: Mapping[str, Agreement], kind: str) -> str:
    return f"{kinds[kind].srcc.value:.4f}" if kind in kinds else show.DASH


def _interval(part: Interval) -> str:
    return f"{part.value:.4f} [{part.low:.4f}, {part.high:.4f}]"
