"""``lookalike ruler``: one pair under every convention."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from lookalike.cli import show
from lookalike.cli.codes import FAILED_ROWS

if TYPE_CHECKING:
    from lookalike.ruler import Reading

_CLOSE = {"ssim": 0.02, "ms_ssim": 0.02, "psnr": 0.5, "lpips": 0.02}  # beyond it, not one of these made the number


def ruler(
    reference: Annotated[Path, arg(metavar="REFERENCE")],
    judged: Annotated[Path, arg(metavar="JUDGED")],
    /,
    *,
    is_: Annotated[str | None, arg(name="is", metavar="NUMBER", help_behavior_hint="")] = None,
    metric: Literal["ssim", "ms_ssim", "psnr", "lpips"] = "ssim",
    match: Annotated[str, arg(metavar="stem|name|REGEX")] = "stem",
    data_range: Annotated[tuple[float, ...], arg(metavar="MAX | LOW HIGH", help_behavior_hint="(default: 1)")] = (),
    alpha: Annotated[Literal["white", "black"] | None, arg(metavar="white|black", help_behavior_hint="")] = None,
    profile: Annotated[Literal["srgb", "ignore"], arg(metavar="srgb|ignore")] = "srgb",
    max_pixels: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 178956970)")] = None,
    json: bool = False,
    device: str = "cpu",
) -> int:
    """Score one pair under every convention, or name the conventions that give a number.

    Of two folders it is the mean over their pairs, as papers print it.

    Args:
        reference: the image that is right, or a folder of such.
        judged: the image to be judged, or a folder of such.
        is_: a number as it was printed, such as 0.7719: name the conventions that give it; exit code 1 when none
            does.
        metric: of the SSIM family, or psnr: of all channels or luma, with a border cut off or not; or lpips: by
            its three networks where their weights are here, and with images in [0, 1] taken for [-1, 1].
        match: of folders: which images belong together, as in `lookalike score`.
        data_range: of float images; 8-bit and 16-bit images carry their own.
        alpha: background for images with transparent pixels, which are refused otherwise.
        profile: what becomes of colour profiles and gammas in files: converted to sRGB, as viewers do, or ignored
            for the numbers as they are stored.
        max_pixels: the most that a file may claim; larger ones are refused before anything is decoded.
        json: print JSON.
        device: that computes, such as cuda.
    """
    from lookalike import ruler as room

    if is_ is not None:
        room.printed(is_)
    options: dict[str, Any] = {
        "data_range": show.extent(data_range, "ruler"), "alpha": alpha, "profile": profile, "device": device,
        **show.limit(max_pixels, "ruler"),
    }  # fmt: skip
    if reference.is_dir() or judged.is_dir():
        readings = room.of_folders(judged, reference, metric, match=match, **options)
    else:
        readings = room.run(judged, reference, metric, **options)
    matching = None if is_ is None else room.giving(readings, is_)
    if json:
        said = {
            "reference": str(reference),
            "judged": str(judged),
            "metric": metric,
            "readings": [dataclasses.asdict(reading) for reading in readings],
        }
        if matching is not None:
            said |= {"is": is_, "conventions": [reading.convention for reading in matching]}
        show.as_json(said)
    elif matching is None:
        _table(readings)
        show.as_line(room.summary(readings))
    elif matching:
        _table(matching)
    else:
        near = room.nearest(readings, is_ or "")
        said = f"no convention gives {metric} {is_}"
        show.as_line(f"{said}; nearest are" if near else f"{said}: all decline this pair")
        _table(near or readings)
        if near and (far := room.distance(near[0], is_ or "")) > _CLOSE[metric]:
            show.as_line(f"nothing is close: the nearest is {far:.3g} away")
    if undefined := [one.convention for one in readings if one.value is not None and isnan(one.value)]:
        show.as_remarks([f"failed: {len(undefined)} conventions give NaN: the pair holds NaN"])
        return FAILED_ROWS
    return 1 if matching == [] else 0


def _table(readings: Sequence[Reading]) -> None:
    show.as_table(
        ("convention", "value", "signature", "source", "proof"),
        [
            (one.convention, show.number(one.value), one.signature if one.value is not None else one.reason,
             one.source, one.proof)
            for one in readings
        ],
        numbers=(1,),
    )  # fmt: skip
