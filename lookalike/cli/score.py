"""``lookalike score``: numbers for one pair of images, for folders of them, or for two videos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from lookalike.cli import show
from lookalike.cli.codes import FAILED_ROWS, NO, USAGE

if TYPE_CHECKING:
    from lookalike.cli.limits import Limit
    from lookalike.scoring.pairs import Pairs
    from lookalike.scoring.run import Scored

_PERCENTILES = (5, 50, 95)  # of a video's frames; JSON has more
_SHOWN = 20  # unpaired files, where all are saved


def score(
    *,
    paths: Positional[
        Annotated[tuple[Path, ...], arg(metavar="REFERENCE JUDGED [JUDGED ...]", help_behavior_hint="")]
    ] = (),
    metrics: Annotated[
        tuple[str, ...],
        arg(aliases=["-m"], metavar="NAME [NAME ...]", help_behavior_hint="(default: of images a short list)"),
    ] = (),
    all: bool = False,
    convention: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: wang2004)")] = None,
    data_range: Annotated[tuple[float, ...], arg(metavar="MAX | LOW HIGH", help_behavior_hint="(default: 1)")] = (),
    alpha: Annotated[Literal["white", "black"] | None, arg(metavar="white|black", help_behavior_hint="")] = None,
    profile: Annotated[Literal["srgb", "ignore"], arg(metavar="srgb|ignore")] = "srgb",
    max_pixels: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 178956970)")] = None,
    pairs: Annotated[str | None, arg(metavar="FILE.csv|jsonl", help_behavior_hint="")] = None,
    mask: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    ignore: Annotated[tuple[str, ...], arg(metavar="X,Y,W,H [X,Y,W,H ...]", help_behavior_hint="")] = (),
    grey: bool = False,
    fail_under: Annotated[tuple[str, ...], arg(metavar="NAME=N [NAME=N ...]", help_behavior_hint="")] = (),
    fail_over: Annotated[tuple[str, ...], arg(metavar="NAME=N [NAME=N ...]", help_behavior_hint="")] = (),
    map: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="")] = None,
    json: bool = False,
    device: str = "cpu",
    output: Annotated[
        Path | None, arg(aliases=["-o"], metavar="FILE.parquet|csv|jsonl", help_behavior_hint="")
    ] = None,
    match: Annotated[str, arg(metavar="stem|name|REGEX")] = "stem",
    crop_border: Annotated[int, arg(metavar="PX")] = 0,
    luma: Annotated[
        Literal["bt601", "rounded", "matlab", "matlab-unrounded", "ycbcr"] | None, arg(help_behavior_hint="")
    ] = None,
    resize: Annotated[
        Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] | None, arg(help_behavior_hint="")
    ] = None,
    align: Annotated[Literal["number", "time"] | None, arg(metavar="number|time", help_behavior_hint="")] = None,
    offset: Annotated[str, arg(metavar="N|auto")] = "0",
    yuv: bool = False,
    hash: bool = False,
    allow_missing: bool = False,
    latex: Annotated[Path | None, arg(metavar="FILE.tex", help_behavior_hint="")] = None,
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one a core)")] = None,
    cluster: Annotated[str | None, arg(metavar="auto|ray://HOST:PORT", help_behavior_hint="")] = None,
    seed: int = 0,
    force: bool = False,
) -> int:
    """Measure how alike images are; every number carries the signature of how it was made.

    A reference and images of it; or a folder of references and a folder for each method, or a list of pairs, which
    become a table, with statistics; or two videos, frame by frame, or folders of videos, whose rows are means over
    frames. The same command on folders resumes where it stopped. Methods are compared on the pairs that all of them
    have. Exit code 3: finished, but some pairs have an error instead of a number, a score is NaN, or a method lacks
    an image.

    Args:
        paths: the image, folder or video that is right, and what is to be judged: images as many as there are, a
            folder for each method, one video. One image may be -, standard input.
        metrics: which metrics, named after the images (see `lookalike metrics`), each a column. They take options
            as losses do: 'ssim(convention=wang-matlab)' 'ssim(convention=scikit-image)'
            'psnr(luma=ycbcr, crop_border=4)'.
        all: every metric that needs no learned weights and is quick, as folders and videos have it by default.
        pairs: instead of folders: a list with the columns reference and image, and perhaps method and pair; - is
            standard input.
        mask: a grey image whose white pixels count, for the metrics that take one.
        ignore: rectangles that do not count, likewise.
        grey: compare in grey, coloured images by their luma (BT.601); a grey and a coloured one are refused
            otherwise.
        fail_under: limits: exit code 1 when a score is below, or not there.
        fail_over: limits: exit code 1 when a score is above, or not there.
        convention: which program's SSIM is meant (see `lookalike metrics --conventions`).
        data_range: of float images; 8-bit and 16-bit images carry their own.
        alpha: background for images with transparent pixels, which are refused otherwise.
        profile: what becomes of colour profiles and gammas in files: converted to sRGB, as viewers do, or ignored
            for the numbers as they are stored.
        max_pixels: the most that a file may claim; larger ones are refused before anything is decoded.
        map: of two images: write where they differ, by the one metric named or ssim, in fixed colours.
        json: print JSON.
        device: that computes, such as cuda.
        output: of folders and videos: the table; its statistics and a journal to resume from stand beside it.
        match: of folders: which images belong together: relative paths without or with their ending, or what the
            groups of a regular expression hold in both.
        crop_border: of folders and videos: pixels left out at each edge.
        luma: of folders and videos: score luma only, by this rule; ycbcr is the Y of super-resolution papers.
        resize: of folders and videos: bring a judged image of another size to its reference's; refused otherwise.
        align: of videos: compare frames of the same number (the default, refused where the rates differ), or those
            that are shown at the same time.
        offset: of videos: by how many frames the judged one is late; auto finds it.
        yuv: of videos: score the planes Y, U and V as decoded as well, which ffmpeg and VMAF compare.
        hash: of folders: know changed files by their SHA-256 instead of size and time.
        allow_missing: of folders: images that a method lacks, and images without a reference, are no reason for
            exit code 3; methods are compared on the pairs that all of them have all the same.
        latex: of folders: write the table of a paper.
        workers: of folders and videos: threads.
        cluster: of folders: score on a Ray cluster.
        seed: of the bootstrap.
        force: replace files that lookalike did not write; inputs are never replaced.
    """
    from lookalike.cli import limits as room

    if metrics and all:
        raise ValueError("score: --all is every metric, and -m names some; ask for one of them")
    limits = room.parsed(fail_under, fail_over)
    extent = show.extent(data_range, "score")
    how: dict[str, Any] = {"convention": convention, "device": device, "force": force}
    reading: dict[str, Any] = {"alpha": alpha, "profile": profile, **show.limit(max_pixels, "score")}
    before: dict[str, Any] = {"crop_border": crop_border, "luma": luma, "resize": resize}
    aligned: dict[str, Any] = {"align": align, "offset": _offset(offset), "yuv": yuv}
    masked = _masked(mask, ignore)
    if metrics:
        metrics = room.asked(metrics, limits)
    listed = _listed(pairs, paths)
    if listed is not None or any(path.is_dir() for path in paths):
        reference, folders = (None, ()) if listed is not None else _two(paths)
        before["luma"] = _in_grey(grey, luma)
        videos = reference is not None and _hold_videos(reference)
        if videos:
            raw = profile == "ignore"
            _refuse(
                "folders of videos", map=map, data_range=data_range, cluster=cluster, profile=raw,
                max_pixels=max_pixels, mask=mask, ignore=ignore,
            )  # fmt: skip
            if aligned["offset"] == "auto":
                raise ValueError("score: --offset auto is for two videos; a folder takes one offset, or none")
            before |= aligned | {"alpha": alpha}
        else:
            _refuse("folders of images", map=map, **aligned)
            before |= {"data_range": extent, "cluster": cluster, "listed": listed, **reading, **masked}
        return _folders(
            reference, folders, metrics, json, limits, videos=videos, output=output, latex=latex, match=match,
            hashed=hash, allow_missing=allow_missing, workers=workers, seed=seed, **how, **before,
        )  # fmt: skip
    reference, judged = _two(paths)
    apart: dict[str, Any] = {"allow_missing": allow_missing, "latex": latex, "cluster": cluster, "hash": hash}
    if _are_videos(reference, judged[0]):
        raw = profile == "ignore"
        _refuse("two videos", map=map, data_range=data_range, profile=raw, max_pixels=max_pixels, **apart)
        if len(judged) != 1:
            raise ValueError(f"score: one video is compared with one video, got {len(judged)}")
        if yuv and (mask or ignore):
            raise ValueError(
                "score: --mask and --ignore are of pictures, and --yuv of planes, which have other sizes"
            )
        before["luma"] = _in_grey(grey, luma)
        how |= before | aligned | masked | {"alpha": alpha}
        return _videos(
            reference, judged[0], metrics, json, limits, output=output, workers=workers, seed=seed, **how
        )  # fmt: skip
    _refuse(
        "two images" if len(judged) == 1 else "images", output=output, workers=workers, **apart, **before, **aligned
    )
    from lookalike.cli import score_images

    return score_images.score(
        reference, judged, metrics, limits, map=map, json=json, everything=all, grey=grey, data_range=extent,
        **reading, **how, **masked,
    )  # fmt: skip


def _two(paths: tuple[Path, ...]) -> tuple[Path, tuple[Path, ...]]:
    """The reference and what is judged."""
    if not paths:
        show.as_remarks(["score: name the reference and what is judged, or a list of pairs with --pairs"])
        raise SystemExit(USAGE)
    if len(paths) == 1:
        raise ValueError(
            f"score: {paths[0]} needs something to be compared with: name what is judged after the reference; "
            "a set of images without references is out of scope"
        )
    return paths[0], paths[1:]


def _listed(pairs: str | None, paths: tuple[Path, ...]) -> Pairs | None:
    if pairs is None:
        return None
    if paths:
        raise ValueError(f"score: --pairs names all pairs, and {paths[0]} is one more; leave one of them out")
    from lookalike.scoring.pairs import listed

    return listed(sys.stdin if pairs == "-" else Path(pairs))


def _masked(mask: Path | None, ignore: tuple[str, ...]) -> dict[str, Any]:
    if mask is None and not ignore:
        return {}
    from lookalike.scoring.masks import rectangle

    return {"mask": None if mask is None else str(mask), "ignored": tuple(map(rectangle, ignore))}


def _in_grey(grey: bool, luma: str | None) -> str | None:
    if grey and luma is not None:
        raise ValueError(f"score: --grey is luma by BT.601, and --luma asks for {luma}; keep one of them")
    return "bt601" if grey else luma


def _hold_videos(folder: Path) -> bool:
    from lookalike.scoring.pairs import holds_videos

    return folder.is_dir() and holds_videos(folder)


def _offset(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"score: --offset takes a whole number of frames, or auto; got {text!r}") from None


def _are_videos(reference: Path, judged: Path) -> bool:
    """Whether two files are videos by their endings; one video and one image are refused."""
    from lookalike import files
    from lookalike.scoring.video.streams import SUFFIXES

    endings = {path: path.suffix.lower() for path in (reference, judged)}
    videos = [path for path, ending in endings.items() if ending in SUFFIXES]
    images = [path for path, ending in endings.items() if ending in files.SUFFIXES]
    if videos and images:
        raise ValueError(
            f"score: {videos[0]} is a video and {images[0]} an image, by their endings; a video is compared with a "
            "video, and a single frame once it is saved as an image"
        )
    return bool(videos)


def _refuse(what: str, **given: Any) -> None:
    """Options that say nothing here are mistakes."""
    unused = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if unused:
        raise ValueError(f"score: {', '.join(unused)} is not for {what}")


def _folders(
    reference: Path | None,
    folders: tuple[Path, ...],
    metrics: tuple[str, ...],
    json: bool,
    limits: list[Limit],
    *,
    videos: bool,
    output: Path | None,
    latex: Path | None,
    allow_missing: bool,
    force: bool,
    **options: Any,
) -> int:
    from lookalike.cli.limits import of_statistics
    from lookalike.records import outputs, tables
    from lookalike.records.runs import write_text
    from lookalike.scoring.latex import latex_table
    from lookalike.scoring.run import score_folders, statistics_file

    if latex is not None:
        outputs.claim(latex, who="score", force=force)
        written = (output, tables.metadata_file(output), statistics_file(output)) if output else ()
        if latex.resolve() in [path.resolve() for path in written]:
            raise ValueError(f"score: --latex {latex}: is where the table goes; name another file")
    remarks: list[str] = []
    options |= {"output": output, "force": force}
    try:
        with _bar() as progress:
            if videos and reference is not None:
                from lookalike.scoring.video.folders import score_video_folders

                found, remarks = score_video_folders(
                    reference, folders, metrics or None, progress=progress, **options
                )
            else:
                found = score_folders(reference, folders, metrics or None, progress=progress, **options)
    except KeyboardInterrupt:
        show.as_remarks([] if output is None else ["stopped; the same command goes on from here"])
        raise
    if latex is not None:
        write_text(latex, latex_table(found.statistics, found.signatures, found.better))
    if json:
        show.as_json(
            {
                "signatures": found.signatures, "better": found.better, "statistics": found.statistics,
                "unpaired": [one._asdict() for one in found.pairs.unpaired], "missing": found.missing,
                "extra": found.extra,
                "failures": [dict(zip(("method", "pair", "error"), one, strict=True)) for one in found.failures],
            }
            | ({"remarks": remarks} if videos else {})
        )  # fmt: skip
    else:
        _say(found, everything=output is None)
        for path in (output, output and statistics_file(output), latex):
            if path is not None:
                show.as_path(path)
    show.as_remarks(remarks)
    _complain(found, everything=output is None)
    crossed = of_statistics(limits, found.statistics["methods"])
    show.as_remarks(crossed)
    incomplete = (found.missing or found.extra) and not allow_missing
    return FAILED_ROWS if found.failed or incomplete else NO if crossed else 0


def _videos(
    reference: Path,
    judged: Path,
    metrics: tuple[str, ...],
    json: bool,
    limits: list[Limit],
    *,
    output: Path | None,
    **options: Any,
) -> int:
    from lookalike.cli.limits import of_statistics
    from lookalike.scoring.video.score import curve, score_videos

    with _bar("frames") as progress:
        found = score_videos(reference, judged, metrics or None, output=output, progress=progress, **options)
    failed = [row for row in found.rows if row.error is not None]
    if json:
        show.as_json(
            {
                "signatures": found.signatures, "better": found.better, "statistics": found.statistics,
                "frames": [
                    {"frame": int(row.pair), "error": row.error}
                    | dict(zip(found.signatures, row.values, strict=True))
                    for row in found.rows
                ],
                "remarks": found.remarks,
            }
        )  # fmt: skip
    else:
        [columns] = found.statistics["methods"].values()
        percentiles = found.statistics["percentiles"]
        show.as_table(
            ("metric", "mean", "95 % interval", *(f"{percent} %" for percent in _PERCENTILES)),
            [
                (
                    name, show.number(column["mean"]),
                    f"{show.number(column['low'])} … {show.number(column['high'])}",
                    *(show.number(percentiles.get(name, {}).get(str(percent))) for percent in _PERCENTILES),
                )
                for name, column in columns.items()
            ],
            numbers=(1, *range(3, 3 + len(_PERCENTILES))),
        )  # fmt: skip
        for index, (name, said) in enumerate(found.signatures.items()):
            show.as_line(f"{name}: {said}\n{curve([row.values[index] for row in found.rows])}")
        for metric, (count, reason) in found.declined.items():
            show.as_line(f"{metric} declined {count} of {len(found.rows)} frames; the first: {reason}")
        show.as_line(f"{len(found.rows)} frames, {len(failed)} failed")
        if output is not None:
            show.as_path(output)
    show.as_remarks(found.remarks)
    show.as_remarks(f"failed: frame {int(row.pair)}: {row.error}" for row in failed[:_SHOWN])
    if len(failed) > _SHOWN:
        show.as_remarks([f"failed: {len(failed) - _SHOWN} more frames"])
    crossed = of_statistics(limits, found.statistics["methods"])
    show.as_remarks(crossed)
    return FAILED_ROWS if failed else NO if crossed else 0


def _say(found: Scored, everything: bool) -> None:
    methods = found.statistics["methods"]
    several = len(methods) > 1
    show.as_table(
        ("method", "metric", "pairs", "mean", "95 % interval", "median", *(["letters"] * several), "worst"),
        [
            (
                f"{method} *" if column["lacking"] else method, metric, str(column["count"]),
                show.number(column["mean"]),
                f"{show.number(column['low'])} … {show.number(column['high'])}", show.number(column["median"]),
                *([column.get("letters", "")] * several), ", ".join(one["pair"] for one in column["worst"][:2]),
            )
            for method, columns in methods.items()
            for metric, column in columns.items()
        ],
        numbers=(2, 3, 5),
    )  # fmt: skip
    if several:
        show.as_line("Methods that share a letter do not differ (Wilcoxon signed-rank test, Holm, 5 %).")
        _say_incomplete(found.statistics)
    names = list(found.signatures)
    if len(names) > 1:
        show.as_line("\nRank agreement over all pairs (Spearman), every metric turned so that higher is better:")
        agreement = found.statistics["rank_agreement"]["spearman"]
        show.as_table(
            ("", *names),
            [(name, *(show.number(agreement[name][other], 3) for other in names)) for name in names],
            numbers=range(1, len(names) + 1),
        )
    for metric, said in found.signatures.items():
        show.as_line(f"{metric}: {said}")
    for metric, (count, reason) in found.declined.items():
        show.as_path(f"{metric} declined {count} of {found.rows} pairs; the first: {reason}")
    lacking = [f"{count} {word}" for count, word in ((found.missing, "missing"), (found.extra, "extra")) if count]
    said = ", ".join([f"{found.fresh} of them scored now", f"{found.failed} failed", *lacking])
    show.as_line(f"{found.rows} pairs, {said}")


def _say_incomplete(statistics: dict[str, Any]) -> None:
    """Over which pairs methods are compared, where that is not all, and what the incomplete have of their own."""
    compared = statistics["compared"]
    if not any(one["left_out"] for one in compared.values()):
        return
    said = "; ".join(
        f"{metric} {one['pairs']} of {one['pairs'] + one['left_out']}" for metric, one in compared.items()
    )
    show.as_line(f"Compared on the pairs that all methods have a score of: {said}.")
    for method, columns in statistics["methods"].items():
        own = [
            f"{metric} {show.number(column['own']['mean'])} over {column['own']['count']}"
            for metric, column in columns.items()
            if column["lacking"]
        ]
        if own:
            show.as_path(f"* {method} lacks pairs that others have; its own means: {'; '.join(own)}.")


def _complain(found: Scored, everything: bool) -> None:
    """Which files were left out, and what failed, where a pipe does not take it."""
    unpaired = found.pairs.unpaired
    shown = unpaired if everything else unpaired[:_SHOWN]
    lines = [f"not scored: {one.path}: {one.reason}" for one in shown]
    if len(shown) < len(unpaired):
        lines.append(f"not scored: {len(unpaired) - len(shown)} more files, listed in the statistics")
    if found.pairs.others:
        lines.append(f"not scored: {found.pairs.others} files that are no {found.pairs.kind}s by their ending")
    lines += [f"failed: {method}, {pair}: {error}" for method, pair, error in found.failures]
    if found.failed > len(found.failures):
        lines.append(f"failed: {found.failed - len(found.failures)} more pairs, see the table's column error")
    show.as_remarks(lines)


@contextmanager
def _bar(what: str = "pairs") -> Iterator[Callable[[int, int], None] | None]:
    """A bar with how many a second and the time left, where somebody watches."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=10) as progress:
        task = progress.add_task("", total=None, rate="")

        def update(done: int, total: int) -> None:
            progress.update(task, total=total, completed=done)
            speed = progress.tasks[0].speed
            progress.update(task, rate="" if speed is None else f"{speed:.1f} {what}/s")

        yield update
