"""``lookalike lab``: train with each loss, judge by each metric, look at one page."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from lookalike.cli import show
from lookalike.cli.codes import FAILED_ROWS
from lookalike.lab.recipe import AS_PUBLISHED, TASKS, Autoencode, Recipe, Restore, Translate, from_json

SHOWN = ("psnr", "ssim", "ms_ssim", "l1", "l2", "ciede2000", "ciede2000_low", "luma_correlation", "lpips_alex")


class _Unchecked:
    """A recipe while its options are read: checked once all are, for tyro would lend an error names of its own."""

    # What is on by default is switched off by --no-NAME, and the help says what that does.
    flip: Annotated[
        bool, arg(help="mirror no crop", help_behavior_hint="(default: half of the crops are mirrored)")
    ]
    calibrate: Annotated[
        bool,
        arg(
            help="leave the losses as they are",
            help_behavior_hint="(default: each is scaled until it pulls at the output as hard as L1 does)",
        ),
    ]

    def __post_init__(self) -> None:
        """Nothing yet; `main` makes the recipe itself."""


class _AutoencodeOptions(_Unchecked, Autoencode):
    __doc__ = Autoencode.__doc__


class _RestoreOptions(_Unchecked, Restore):
    __doc__ = Restore.__doc__


class _TranslateOptions(_Unchecked, Translate):
    __doc__ = Translate.__doc__


@dataclass(frozen=True, kw_only=True)
class _Experiment:
    """What is not part of the recipe.

    Attributes:
        out: the run folder; none: runs/TASK. The same command goes on where it stopped.
        device: that computes, such as cuda.
        stop_at: stop each run after this step; the same command without it goes on. 0: at the end.
        tensorboard: also write TensorBoard's event files.
        dry_run: print the recipe and do nothing.
        recipe: a recipe.json to start from; other options change it.
        force: replace files of the folder that lookalike did not write.
    """

    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    device: str = "cpu"
    stop_at: int = 0
    tensorboard: bool = False
    dry_run: bool = False
    force: bool = False
    recipe: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None


@dataclass(frozen=True, kw_only=True)
class _Autoencode(_Experiment):
    """Train an autoencoder with each loss; by default on scikit-image's photographs, in minutes."""

    what: OmitArgPrefixes[_AutoencodeOptions] = field(default_factory=_AutoencodeOptions)


@dataclass(frozen=True, kw_only=True)
class _Restore(_Experiment):
    """Train a restoration network with each loss: half the resolution, noise and JPEG undone."""

    what: OmitArgPrefixes[_RestoreOptions] = field(default_factory=_RestoreOptions)


@dataclass(frozen=True, kw_only=True)
class _Translate(_Experiment):
    """Train CycleGAN with each loss on reconstructions; --as-published repeats the seeds' own set-up."""

    what: OmitArgPrefixes[_TranslateOptions] = field(default_factory=_TranslateOptions)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Judge a finished run again, on its own held-out images or on others.

    Attributes:
        run: the run folder.
        data: other images: a folder such as the task takes.
        out: where the new matrix goes; none: the run folder, or its sub-folder judged-DATA.
        device: that computes, such as cuda.
        features: for KID of translations: vgg16, alexnet, or package.module:name of a network of your own, such as
            Inception, from images (n, 3, h, w) in [0, 1] to (n, d).
        force: replace files of the new folder that lookalike did not write.
    """

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    data: Annotated[str, arg(metavar="FOLDER", help_behavior_hint="")] = ""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    device: str = "cpu"
    features: str = "vgg16"
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class _Data:
    """Download a data set of translate's kind: monet2photo (291 MiB).

    Attributes:
        name: of the data set.
        out: the folder to lay it in.
    """

    name: Positional[Annotated[str, arg(metavar="NAME")]]
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("data")


def lab() -> int:
    """Train with each loss, judge by each metric, look at one page: autoencode, restore, translate, judge, data."""
    return main(["--help"])


def main(arguments: Sequence[str]) -> int:
    """Run one command of the lab.

    Args:
        arguments: what follows ``lookalike lab``.

    Returns:
        The exit code.
    """
    default = _defaults(arguments)
    commands = (
        Annotated[_Autoencode, subcommand("autoencode", default=_Autoencode(what=default["autoencode"]))]
        | Annotated[_Restore, subcommand("restore", default=_Restore(what=default["restore"]))]
        | Annotated[_Translate, subcommand("translate", default=_Translate(what=default["translate"]))]
        | Annotated[_Judge, subcommand("judge")]
        | Annotated[_Data, subcommand("data")]
    )
    asked = tyro.cli(
        commands,  # type: ignore[arg-type]
        prog="lookalike lab",
        description="Train the same network with each loss, judge all by each metric, look at one page.",
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    if isinstance(asked, _Judge):
        return _judge(asked)
    if isinstance(asked, _Data):
        from lookalike.lab import download

        show.as_path(download.fetch(asked.name, asked.out))
        return 0
    return _experiment(asked, TASKS[asked.what.task](**_fields(asked.what)))


def _fields(recipe: Recipe) -> dict[str, Any]:
    return {one.name: getattr(recipe, one.name) for one in dataclasses.fields(recipe)}


def _defaults(arguments: Sequence[str]) -> dict[str, Any]:
    """Where the options start from: the task's own values, a stored recipe, or the seed's set-up."""
    default: dict[str, Recipe] = {task: kind() for task, kind in TASKS.items()}
    for at, word in enumerate(arguments):
        flag, _, value = word.partition("=")
        if flag == "--recipe":
            stored = _stored(Path(value or (arguments[at + 1 : at + 2] or [""])[0]))
            default[stored.task] = stored
    if {"--as-published", "--as_published"} & set(arguments):
        default["translate"] = AS_PUBLISHED.but(as_published=False)  # the flag itself is still to be read
    unchecked = {"autoencode": _AutoencodeOptions, "restore": _RestoreOptions, "translate": _TranslateOptions}
    return {task: unchecked[task](**_fields(recipe)) for task, recipe in default.items()}


def _stored(file: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        ValueError: when there is none, with the reason.
    """
    from lookalike.records import runs

    if not file.is_file():
        raise ValueError(f"--recipe: {file}: no such file; it takes a recipe.json, such as a run folder holds")
    return from_json(runs.read_json(file))


def _experiment(asked: _Experiment, recipe: Recipe) -> int:
    if asked.recipe and (stored := _stored(asked.recipe)).task != recipe.task:
        raise ValueError(
            f"--recipe: {asked.recipe} is of {stored.task}, not of {recipe.task}: lookalike lab {stored.task}"
        )
    if asked.stop_at < 0:
        raise ValueError(f"--stop-at: takes a step, or 0 for the end; got {asked.stop_at}")
    from lookalike.batches import usable_device
    from lookalike.lab import bakeoff, trainer

    if asked.dry_run:
        bakeoff.parsed(recipe, _say)  # a wrong loss is told of before it is asked to train
        print(json.dumps(recipe.as_json(), indent=1))
        return 0

    folder = asked.out or Path("runs") / recipe.task
    try:
        failed = bakeoff.run(
            recipe,
            folder,
            device=usable_device(asked.device),
            until=asked.stop_at or None,
            tensorboard=asked.tensorboard,
            force=asked.force,
            report=_say,
        )
    except trainer.Interrupted as interrupted:
        _say(str(interrupted))
        raise
    if os.environ.get("RANK", "0") != "0":
        return 0
    if asked.stop_at and asked.stop_at < recipe.steps:
        _say(f"stopped at step {asked.stop_at} of {recipe.steps}; the same command without --stop-at goes on")
        return 0
    # What was left out was said before the training.
    undefined = _matrix(folder, report=_nothing, device=asked.device)
    return FAILED_ROWS if failed or undefined else 0


def _judge(asked: _Judge) -> int:
    from lookalike.records import runs

    beside = asked.run / f"judged-{runs.file_name(Path(asked.data).name)}"
    folder = asked.out or (beside if asked.data else asked.run)
    undefined = _matrix(
        asked.run, report=_say, data=asked.data, out=folder, device=asked.device, features=asked.features,
        force=asked.force,
    )  # fmt: skip
    return FAILED_ROWS if undefined else 0


def _matrix(
    folder: Path,
    *,
    report: Callable[[str], object],
    data: str = "",
    out: Path | None = None,
    device: str = "cpu",
    features: str = "vgg16",
    force: bool = False,
) -> list[str]:
    """Judge, write the page, and print the columns that most people ask for, and those of translations.

    Returns:
        Which scores are not finite.
    """
    from lookalike.lab.judge import as_markdown, judge, undefined_of
    from lookalike.report import lab as page

    _say(f"judging {folder}")  # may take minutes
    matrix = judge(folder, data=data, out=out, device=device, features=features, force=force, report=report)
    written = page.write(out or folder, force=True) if force else page.write(out or folder)
    names = [column["name"] for column in matrix["columns"]]
    print(as_markdown(matrix, [name for name in names if name in SHOWN or ":" in name]))
    show.as_path(written)
    undefined = undefined_of(matrix)
    show.as_remarks(f"failed: {line}" for line in undefined)
    return undefined


def _say(line: str) -> None:
    show.as_remarks([line])


def _nothing(line: str) -> None:
    """Say nothing: it was said."""
