"""The same job on a Ray cluster: actors of Ray Data score, this process keeps the journal.

What an actor held that went away is scored again by another; the numbers are those of a run on one machine, for a
pair is scored alone on one core. Every machine reads the images by the same paths.
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from lookalike.scoring.journal import Entry
from lookalike.scoring.recipe import Recipe, Scorer, Work

_WORKS_A_BLOCK = 16  # references that an actor takes at a time; lost and scored again when it dies
_WORKS_AT_A_TIME = 16384  # in the memory of this process


class Actor:
    """A scorer on some machine.

    Args:
        recipe: what is done.
        folder: that relative paths begin in.
    """

    def __init__(self, recipe: Recipe, folder: str) -> None:
        os.chdir(folder)
        torch.set_num_threads(1)
        self._scorer = Scorer(recipe)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Pickled works to the pickled entries of each."""
        return {"entries": [pickle.dumps(self._score(pickle.loads(work))) for work in batch["work"]]}

    def _score(self, work: Work) -> list[Entry]:
        return self._scorer.score(self._scorer.decode(work))


def on_cluster(recipe: Recipe, works: Iterable[Work], address: str) -> Iterator[list[Entry]]:
    """Score on a cluster.

    Args:
        recipe: what is done; where its device is not the CPU each actor has a GPU of its own.
        works: taken as they are needed.
        address: ``"auto"``: the cluster this machine belongs to, else one of its own cores; ``"ray://host:port"``.

    Returns:
        Entries, in any order.

    Raises:
        ImportError: without Ray, with the command that installs it.
        ValueError: for another address.
        ConnectionError: when nobody answers there.
    """
    if address != "auto" and not address.startswith("ray://"):
        raise ValueError(f"score: --cluster takes auto or ray://HOST:PORT, got {address!r}")
    ray, data = _ray()
    begun = not ray.is_initialized()
    if begun:
        _connect(ray, None if address == "auto" else address)
    try:
        resources = {"num_cpus": 1} if recipe.device == "cpu" else {"num_cpus": 1, "num_gpus": 1}
        most = int(ray.cluster_resources().get("GPU" if "num_gpus" in resources else "CPU", 0))
        if most < 1:
            raise ValueError(f"score: the cluster {address} has nothing that computes on {recipe.device}")
        waiting = iter(works)
        while taken := [{"work": pickle.dumps(work)} for work in itertools.islice(waiting, _WORKS_AT_A_TIME)]:
            blocks = max(1, -(-len(taken) // _WORKS_A_BLOCK))
            scored = data.from_items(taken, override_num_blocks=blocks).map_batches(
                Actor, fn_constructor_args=(recipe, os.getcwd()), batch_size=_WORKS_A_BLOCK,
                compute=data.ActorPoolStrategy(min_size=1, max_size=min(most, blocks)), **resources,
            )  # fmt: skip
            for row in scored.iter_rows():
                yield pickle.loads(row["entries"])
    finally:
        if begun:
            ray.shutdown()


def _ray() -> tuple[Any, Any]:
    try:
        import ray
        import ray.data as data
    except ImportError:
        raise ImportError("score: --cluster needs Ray: pip install 'lookalike[cluster]'") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data.DataContext.get_current().enable_progress_bars = False
    return ray, data


def _connect(ray: Any, address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is not None:
        ray.init(address, **quiet)
        return
    try:
        ray.init("auto", **quiet)
    except ConnectionError:
        ray.init(include_dashboard=False, **quiet)
