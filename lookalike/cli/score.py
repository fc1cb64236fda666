"""``lookalike score``: numbers for one pair of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from lookalike.cli import show


def score(
    reference: Annotated[Path, arg(metavar="REFERENCE")],
    judged: Annotated[Path, arg(metavar="JUDGED")],
    /,
    *,
    metrics: Annotated[
        tuple[str, ...],
        arg(aliases=["-m"], metavar="NAME [NAME ...]", help_behavior_hint="(default: all without learned weights)"),
    ] = (),
    convention: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: wang2004)")] = None,
    data_range: Annotated[tuple[float, ...], arg(metavar="MAX | LOW HIGH", help_behavior_hint="(default: 1)")] = (),
    alpha: Annotated[Literal["white", "black"] | None, arg(metavar="white|black", help_behavior_hint="")] = None,
    map: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="")] = None,
    json: bool = False,
    device: str = "cpu",
) -> int:
    """Measure how alike two images are; every number carries the signature of how it was made.

    Args:
        reference: the image that is right.
        judged: the image to be judged.
        metrics: which metrics, named after the two images (see `lookalike metrics`).
        convention: which program's SSIM is meant (see `lookalike metrics --conventions`).
        data_range: of float images; 8-bit and 16-bit images carry their own.
        alpha: background for images with transparent pixels, which are refused otherwise.
        map: write where the images differ, by the one metric named or ssim, in fixed colours.
        json: print JSON.
        device: that computes, such as cuda.
    """
    from lookalike import registry
    from lookalike.scoring.maps import write_map
    from lookalike.scoring.pair import measure

    if map is not None and len(metrics) > 1:
        raise ValueError(f"score: --map draws one metric, name one of {', '.join(metrics)} with -m")
    extent = show.extent(data_range, "score")
    found = measure(
        judged, reference, metrics or None, data_range=extent, convention=convention, alpha=alpha, device=device
    )
    drawn = None
    if map is not None:
        drawn = write_map(
            map, judged, reference, metrics[0] if metrics else "ssim", data_range=extent, convention=convention,
            alpha=alpha, device=device,
        )  # fmt: skip
    rows = []
    for one in found:
        facts = registry.metric_class(one.metric).facts
        rows.append(one._asdict() | {"better": facts.better, "unit": facts.unit})
    if json:
        said = {"reference": str(reference), "judged": str(judged), "scores": rows}
        show.as_json(said if drawn is None else said | {"map": drawn._asdict()})
        return 0
    show.as_table(
        ("metric", "value", "better", "signature"),
        [
            (row["metric"], f"{show.number(row['value'])} {row['unit']}".rstrip(), row["better"],
             row["signature"] if row["value"] is not None else row["reason"])
            for row in rows
        ],
        numbers=(1,),
    )  # fmt: skip
    if drawn is not None:
        show.as_line(f"{drawn.file}: {drawn.legend}")
    return 0
