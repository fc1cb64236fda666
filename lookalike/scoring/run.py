"""Folders of images → a table of scores, resumed where it stopped.

Threads read images and score them, each on one core: decoders and kernels let go of the interpreter, and a thread
costs no second copy of torch. A reference is read once for all methods. Rows go to the journal as they come; when
all are there the table is written from it, so that a resumed run and one in one go write the same table.
"""

from __future__ import annotations

import math
import os
import warnings
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from PIL import Image

from lookalike import registry, signature
from lookalike.batches import usable_device
from lookalike.files import MAX_PIXELS
from lookalike.ranges import DataRange, bounds
from lookalike.records import outputs, runs, statistics, tables
from lookalike.records.tables import Row
from lookalike.scoring import recipe as recipes
from lookalike.scoring.journal import Entry, Journal
from lookalike.scoring.masks import Rectangle
from lookalike.scoring.pairs import Pairs, find
from lookalike.scoring.recipe import Decoded, Luma, Recipe, Resize, Scorer, Work

_AHEAD = 3  # tasks a worker, waiting or done: enough that none stands idle, few enough for memory
_PROBED = 1000  # images tried for the depth of a folder
_FAILURES_SHOWN = 10

Progress = Callable[[int, int], None]  # pairs done, of how many


class Columns(NamedTuple):
    """What a table says of its columns: their names, and by name signatures and directions."""

    names: tuple[str, ...]
    signatures: dict[str, str]
    better: dict[str, str]


@dataclass(frozen=True)
class Scored:
    """What a run found.

    Attributes:
        pairs: what was matched.
        signatures: how the numbers of each metric are made.
        better: the direction of each metric.
        statistics: as `statistics.describe` gives them, and JSON holds them.
        rows: how many pairs.
        fresh: how many of them were scored by this run.
        failed: how many have an error, a score that is NaN among them.
        missing, extra: how many images the methods lack, and how many have no reference.
        failures: the first of them, (method, pair, error).
        declined: metrics not asked for by name: how many pairs they declined, and why the first.
    """

    pairs: Pairs
    signatures: dict[str, str]
    better: dict[str, str]
    statistics: dict[str, Any]
    rows: int
    fresh: int
    failed: int
    missing: int
    extra: int
    failures: list[tuple[str, str, str]]
    declined: dict[str, tuple[int, str]]


def score_folders(
    reference: Path | None,
    folders: Sequence[Path],
    metrics: Sequence[str] | None = None,
    *,
    listed: Pairs | None = None,
    mask: str | None = None,
    ignored: tuple[Rectangle, ...] = (),
    output: Path | None = None,
    match: str = "stem",
    data_range: DataRange | None = None,
    convention: str | None = None,
    alpha: str | None = None,
    profile: str = "srgb",
    max_pixels: int = MAX_PIXELS,
    crop_border: int = 0,
    luma: Luma | None = None,
    resize: Resize | None = None,
    device: str = "cpu",
    hashed: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Scored:
    """Score every image of some folders against its reference.

    Args:
        reference: the folder of references; None where the pairs are listed.
        folders: one a method.
        listed: the pairs themselves, as `pairs.listed` reads them, instead of folders.
        mask, ignored: see `recipe.Recipe`.
        metrics: names; None takes every cheap metric, and one that declines a pair leaves a gap.
        output: the table; its journal stands beside it. None keeps nothing.
        match: see `pairs.find`.
        data_range: of float images; None means 1.
        convention, alpha, profile, max_pixels, crop_border, luma, resize, device, hashed: see `recipe.Recipe`.
        workers: threads; None: one a core.
        cluster: a Ray cluster, ``"auto"`` (this machine, or the cluster it is in) or ``"ray://host:port"``.
        seed: of the bootstrap.
        force: replace files at the output's place that lookalike did not write.
        progress: told how many pairs are done.

    Returns:
        What was found; the table and ``TABLE.statistics.json`` are written before.

    Raises:
        TypeError, ValueError: for what no pair could be scored with, and an output that is not ours to replace; a
            pair that fails is a row with an error.
        ImportError: for a table or a cluster whose package is not installed.
        OSError: when the disk does not take it; what was scored stays in the journal.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"score: --workers is a number of threads >= 1, got {workers}")
    if output is not None:
        tables.check(output)
    if data_range is not None:
        bounds(data_range)
    if listed is None and reference is None:
        raise ValueError("score: needs a folder of references, or a list of pairs")
    pairs = listed if listed is not None else find(cast(Path, reference), folders, match)
    claimed(output, pairs, force)
    carried, floats = recipes.carried_by(
        _first_paths(pairs), data_range, alpha=alpha, profile=profile, max_pixels=max_pixels
    )
    recipe = Recipe(
        metrics=tuple(registry.cheap() if metrics is None else metrics), named=metrics is not None, carried=carried,
        floats=floats, convention=convention, alpha=alpha, profile=profile, max_pixels=max_pixels,
        crop_border=crop_border, luma=luma, resize=resize, mask=mask, ignored=ignored,
        device=usable_device(device), hashed=hashed,
    )  # fmt: skip
    scorer = Scorer(recipe)

    def batches(works: Iterator[Work]) -> Iterator[list[Entry]]:
        if cluster is not None:
            from lookalike.scoring.cluster import on_cluster

            return on_cluster(recipe, works, cluster)
        return locally(scorer, works, workers or cores())

    columns = Columns(scorer.names, scorer.signatures, scorer.better)
    return tabled(pairs, columns, recipe, batches, output=output, seed=seed, progress=progress)


def claimed(output: Path | None, pairs: Pairs, force: bool) -> None:
    """Raise where a table, or what stands beside it, would replace what is not ours.

    Raises:
        ValueError: as `outputs.claim` says.
    """
    if output is not None:
        for place in (output, tables.metadata_file(output), statistics_file(output)):
            outputs.claim(place, who="score", inputs=pairs.inputs() if force else (), force=force)


def tabled(
    pairs: Pairs,
    columns: Columns,
    recipe: Recipe,
    batches: Callable[[Iterator[Work]], Iterator[list[Entry]]],
    *,
    output: Path | None,
    seed: int,
    progress: Progress | None,
) -> Scored:
    """Score what is not scored yet, and write the table and its statistics.

    Args:
        pairs: all of them.
        columns: of the table.
        recipe: how pairs are scored.
        batches: scores what is left, reference by reference.
        output, seed, progress: see `score_folders`.

    Raises:
        OSError: when the disk does not take it; what was scored stays in the journal.
    """
    header = {
        "signatures": columns.signatures,
        "profile": recipe.profile,
        "gaps": "errors" if recipe.named else "declined",
        "changes": "sha256" if recipe.hashed else "size and time",
    }
    with _journal(output, header) as journal:
        done = _known(journal, pairs, recipe)
        total = len(pairs)
        count = sum(done)
        fresh = total - count
        if progress:
            progress(count, total)
        for entries in batches(_works(pairs, done)):
            for entry in entries:
                journal.append(entry)
            count += len(entries)
            if progress:
                progress(count, total)
        journal.flush()
        return _finished(journal, pairs, columns, output, fresh, seed)


def locally(scorer: Scorer, works: Iterable[Work], workers: int) -> Iterator[list[Entry]]:
    """Score on this machine: on the CPU in the threads that decode, else in this one, a batch at a time.

    Args:
        scorer: made ready.
        works: taken as they are needed.
        workers: threads.

    Returns:
        Entries in the order of ``works``.
    """
    on_cpu = scorer.recipe.device == "cpu"
    waiting = iter(works)

    def task(taken: list[Work]) -> list[Decoded] | list[Entry]:
        decoded = [one for work in taken for one in scorer.decode(work)]
        return scorer.score(decoded) if on_cpu else decoded

    with one_thread_each(), ThreadPoolExecutor(workers, "score", torch.set_num_threads, (1,)) as pool:
        ahead: deque[Future[Any]] = deque()
        try:
            while True:
                while len(ahead) < _AHEAD * workers and (taken := list(islice(waiting, scorer.batch))):
                    ahead.append(pool.submit(task, taken))
                if not ahead:
                    return
                made = ahead.popleft().result()
                yield made if on_cpu else scorer.score(made)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Every worker computes on one core; decoders' warnings, which threads cannot silence apart, are silenced."""
    before = torch.get_num_threads()
    Image.init()
    with warnings.catch_warnings(action="ignore"):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first_paths(pairs: Pairs) -> Iterator[str]:
    for method, group in islice(pairs.numbered(), _PROBED):
        yield pairs.paths(method, group)[0]


@contextmanager
def _journal(output: Path | None, header: dict[str, Any]) -> Iterator[Journal]:
    """The journal beside a table, or one that is gone afterwards."""
    if output is not None:
        with Journal(output.with_name(f"{output.name}.journal"), header) as journal:
            yield journal
        return
    if os.name != "posix":  # where an open file cannot lose its name
        with TemporaryDirectory(prefix="lookalike-") as folder, Journal(Path(folder, "journal"), header) as journal:
            yield journal
        return
    handle, name = mkstemp(prefix="lookalike-")
    os.close(handle)
    with Journal(Path(name), header) as journal:
        os.unlink(name)  # a run that is killed leaves nothing
        yield journal


def _numbers(pairs: Pairs) -> Callable[[tuple[str, str]], int | None]:
    """From method and pair to one number; None for what is not asked for."""
    methods = {name: index for index, name in enumerate(pairs.methods)}
    groups = {group.pair: index for index, group in enumerate(pairs.groups)}

    def number(key: tuple[str, str]) -> int | None:
        method, group = methods.get(key[0]), groups.get(key[1])
        if method is None or group is None or pairs.groups[group].images[method] is None:
            return None
        return method * len(groups) + group

    return number


def _known(journal: Journal, pairs: Pairs, recipe: Recipe) -> bytearray:
    """Which pairs are scored already, of files that have not changed; one without a number is tried again."""
    done = bytearray(len(pairs.methods) * len(pairs.groups))
    number = _numbers(pairs)
    for _, entry in journal.replay():
        at = number(entry.key)
        if at is None:
            continue
        paths = pairs.paths(*divmod(at, len(pairs.groups)))
        has_numbers = any(value is not None and not math.isnan(value) for value in entry.values)
        done[at] = has_numbers and all(
            stamp and stamp == recipes.stamp(path, recipe.hashed)
            for path, stamp in zip(paths, entry.stamp, strict=True)
        )
    return done


def _works(pairs: Pairs, done: bytearray) -> Iterator[Work]:
    """What is left to do, reference by reference."""
    count = len(pairs.groups)
    for index, group in enumerate(pairs.groups):
        left = [
            method
            for method, image in enumerate(group.images)
            if image is not None and not done[method * count + index]
        ]
        if left:
            images = tuple((pairs.methods[method], pairs.paths(method, index)[1]) for method in left)
            yield Work(group.pair, os.path.join(pairs.reference, group.reference), images)


def _finished(
    journal: Journal, pairs: Pairs, columns: Columns, output: Path | None, fresh: int, seed: int
) -> Scored:
    """The statistics, and the table and its files, from a journal that holds every pair."""
    methods, groups = len(pairs.methods), len(pairs.groups)
    places = array("q", [-1]) * (methods * groups)
    values = np.full((methods * groups, len(columns.names)), np.nan)
    undefined = np.zeros(values.shape, bool)
    number = _numbers(pairs)
    for place, entry in journal.replay():
        at = number(entry.key)
        if at is not None:
            places[at] = place
            values[at] = [np.nan if value is None else value for value in entry.values]
            undefined[at] = [value is not None and math.isnan(value) for value in entry.values]
    by_method, undefined = (part.reshape(methods, groups, -1) for part in (values, undefined))
    failed, failures, declined, profiles = 0, [], {}, set()
    for method, group in pairs.numbered():
        entry = journal.read(places[method * groups + group])
        if entry.error is not None:
            failed += 1
            if len(failures) < _FAILURES_SHOWN:
                failures.append((*entry.key, entry.error))
        profiles.add(entry.profile)
        for name, reason in entry.declined.items():
            declined[name] = (declined.get(name, (0, reason))[0] + 1, declined.get(name, (0, reason))[1])
    names = [tables.as_text(method) for method in pairs.methods]
    described = statistics.describe(
        by_method, names, columns.better, lambda group: tables.as_text(pairs.groups[group].pair), seed, undefined
    )
    missing = sum(not lack.image for lack in pairs.lacking)
    extra = len(pairs.lacking) - missing
    described |= {"rows": len(pairs), "failed": failed, "missing": missing, "extra": extra}
    found = Scored(
        pairs, _as_read(columns.signatures, profiles), columns.better, described, len(pairs), fresh, failed,
        missing, extra, failures, declined,
    )  # fmt: skip
    if output is not None:
        metadata = {
            "signatures": found.signatures,
            "better": found.better,
            "statistics": described,
            "unpaired": [lack._asdict() | {"path": tables.as_text(lack.path)} for lack in pairs.unpaired],
            **tables.provenance(output, _shown(pairs, described)),
        }
        tables.write(output, columns.names, metadata, _rows(journal, pairs, places, len(columns.names)))
        runs.write_json(statistics_file(output), metadata)
    return found


def _shown(pairs: Pairs, described: dict[str, Any]) -> set[str]:
    """The paths of the pairs that statistics name, which a report shows."""
    methods = {tables.as_text(method): index for index, method in enumerate(pairs.methods)}
    groups = {tables.as_text(group.pair): index for index, group in enumerate(pairs.groups)}
    return {
        path
        for method, columns in described["methods"].items()
        for column in columns.values()
        for one in column["worst"]
        for path in pairs.paths(methods[method], groups[one["pair"]])
    }


def _as_read(signatures: dict[str, str], profiles: set[str | None]) -> dict[str, str]:
    """Signatures that say whether the colours of any file were converted, or would have been."""
    done = next((name for name in ("srgb", "ignore") if name in profiles), None)
    return {name: signature.extended(said, {"profile": done}) for name, said in signatures.items()}


def statistics_file(output: Path) -> Path:
    """Where the statistics of a table stand.

    Example:
        >>> statistics_file(Path("out/scores.parquet")).name
        'scores.parquet.statistics.json'
    """
    return output.with_name(f"{output.name}.statistics.json")


def _rows(journal: Journal, pairs: Pairs, places: Sequence[int], metrics: int) -> Iterator[Row]:
    for method, group in pairs.numbered():
        entry = journal.read(places[method * len(pairs.groups) + group])
        width, height = entry.size or (None, None)
        yield Row(*entry.key, *pairs.paths(method, group), width, height, entry.values, entry.error)
    for lack in pairs.lacking:  # no pair, and so no number: whoever reads the table sees that one is not there
        if lack.image:
            error = f"{tables.EXTRA}no reference in {pairs.reference}"
        else:
            error = f"{tables.MISSING}no {pairs.kind} in {pairs.folders[lack.method] or 'the list'}"
        yield Row(
            pairs.methods[lack.method], lack.pair, lack.reference, lack.image, None, None, (None,) * metrics, error
        )
