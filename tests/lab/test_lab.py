"""The lab trains, resumes bit for bit, judges, and refuses what it cannot use in one clear line."""

import errno
import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from places import ROOT
from torch import nn
from torch.nn import functional as F

from lookalike.cli.main import main
from lookalike.lab import bakeoff, checkpoint, data, download, judge, kid, networks, trainer
from lookalike.lab.cells import Row, image_cells, whole_cells
from lookalike.lab.columns import Column
from lookalike.lab.fairness import pull
from lookalike.lab.recipe import AS_PUBLISHED, Autoencode, Recipe, Restore, Translate, differences, from_json
from lookalike.lab.tasks.translate import Pool
from lookalike.losses import loss as loss_of
from lookalike.records import runs
from lookalike.records.statistics import sign_flip_p


def picture(seed: int, side: int = 40) -> np.ndarray:
    """A smooth coloured picture."""
    low = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(low).resize((side, side), Image.Resampling.BICUBIC))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def lay(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(picture(number)).save(folder / f"picture{number}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay(tmp_path_factory.mktemp("photos"), 12)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sides")
    for at, name in enumerate(("trainA", "trainB", "testA", "testB")):
        lay(folder / name, 4, 10 * at)
    return folder


def small(task: str, folder: Path, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "data": str(folder), "losses": ("l1", "ssim"), "steps": 6, "side": 32, "width": 4, "batch_size": 2,
        "held_out": 2, "save_every": 2, "log_every": 1,
    }  # fmt: skip
    fields |= {"autoencode": {"bottleneck": 2}, "restore": {}, "translate": {"load": 36, "blocks": 1, "pool": 3}}[
        task
    ]
    fields |= changes
    kind = {"autoencode": Autoencode, "restore": Restore, "translate": Translate}[task]
    return kind(**fields)


def quiet(line: str) -> None:
    """Say nothing."""


def go(recipe: Recipe, folder: Path, **options: Any) -> dict[str, str]:
    return bakeoff.run(recipe, folder, report=quiet, **options)


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / runs.CHECKPOINT, weights_only=True)


def same(a: Any, b: Any) -> bool:
    """Whether two checkpoints hold the same, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / runs.TERMS).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


# ---- training


@pytest.mark.slow
@pytest.mark.parametrize("task", ["autoencode", "restore", "translate"])
def test_n_and_n_more_are_2n_bit_for_bit(task: str, photos: Path, sides: Path, tmp_path: Path) -> None:
    recipe = small(task, sides if task == "translate" else photos, losses=("ssim",), ema=0.9)
    go(recipe, tmp_path / "whole")
    go(recipe, tmp_path / "parts", until=3)
    halfway = state_of(tmp_path / "parts" / "ssim/seed0")
    assert halfway["step"] == 3
    go(recipe, tmp_path / "parts")
    whole, parts = (state_of(tmp_path / name / "ssim/seed0") for name in ("whole", "parts"))
    assert whole["step"] == 6
    assert same(whole, parts)
    assert not same(whole["averages"], {name: halfway["averages"][name] for name in whole["averages"]})
    assert logged(tmp_path / "whole" / "ssim/seed0") == logged(tmp_path / "parts" / "ssim/seed0")
    if task == "translate":
        assert [len(whole["memories"][0][side]["images"]) for side in "ab"] == [3, 3]
    exported, again = ((tmp_path / name / "ssim/seed0" / runs.NETWORK).read_bytes() for name in ("whole", "parts"))
    assert exported == again


@pytest.mark.slow
def test_training_learns(photos: Path, tmp_path: Path) -> None:
    go(
        small("autoencode", photos, losses=("l1",), steps=150, width=8, bottleneck=8, lr=0.01, log_every=50),
        tmp_path,
    )
    first, *_, last = logged(tmp_path / "l1/seed0")
    assert last["terms"]["l1"]["value"] < 0.8 * first["terms"]["l1"]["value"]
    assert last["images"] == 300


def test_every_loss_starts_from_the_same_network(photos: Path) -> None:
    recipe = small("autoencode", photos)
    first, again, other = (bakeoff.AutoencodeTask(recipe, seed) for seed in (0, 0, 1))
    assert same(first.networks.state_dict(), again.networks.state_dict())
    assert not same(first.networks.state_dict(), other.networks.state_dict())


def test_ctrl_c_finishes_the_step(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small("autoencode", photos, losses=("l1",), save_every=100)
    go(recipe, tmp_path / "whole")
    bar = bakeoff._bar

    def pressed(step: int, terms: Any) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(bakeoff, "_bar", lambda *_: Fixed(pressed))
        with pytest.raises(trainer.Interrupted, match="after step 3; the same command goes on"):
            go(recipe, tmp_path / "stopped")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert state_of(tmp_path / "stopped" / "l1/seed0")["step"] == 3
    assert bakeoff._bar is bar
    go(recipe, tmp_path / "stopped")
    assert same(*(state_of(tmp_path / name / "l1/seed0") for name in ("whole", "stopped")))


class Fixed:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __enter__(self) -> Any:
        return self.value

    def __exit__(self, *_: object) -> None: ...


KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.records import runs
from lookalike.lab import bakeoff
from lookalike.lab.recipe import from_json
recipe, folder = from_json(runs.read_json(Path(sys.argv[1]))), Path(sys.argv[2])
place, sync = folder / "l1/seed0", os.fsync
def killed(handle):
    half_written = list(place.glob(".checkpoint.pt.*"))
    if half_written and (place / "checkpoint.pt").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    sync(handle)
os.fsync = killed
bakeoff.run(recipe, folder)
"""


@pytest.mark.slow
def test_kill_9_during_a_save_leaves_a_loadable_checkpoint(photos: Path, tmp_path: Path) -> None:
    recipe = small("autoencode", photos, losses=("l1",))
    runs.write_json(tmp_path / "asked.json", recipe.as_json())
    # As many threads as here: sums are made in another order by more of them.
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "asked.json", tmp_path / "killed"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        env=threads,
    )
    place = tmp_path / "killed" / "l1/seed0"
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert state_of(place)["step"] == 2
    assert list(place.glob(".checkpoint.pt.*"))
    go(recipe, tmp_path / "killed")
    go(recipe, tmp_path / "whole")
    assert same(state_of(place), state_of(tmp_path / "whole" / "l1/seed0"))
    assert not list(place.glob(".checkpoint.pt.*"))


def test_a_full_disk_during_a_save_keeps_the_checkpoint_before(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "l1/seed0"
    sync = os.fsync

    def full(handle: int) -> None:
        if list(place.glob(".checkpoint.pt.*")) and (place / runs.CHECKPOINT).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    said = (
        r"No space left on device: '.*checkpoint.pt'; the checkpoint of step 2 stays. .* the same command goes on"
    )
    with pytest.raises(OSError, match=said):
        go(small("autoencode", photos, losses=("l1",)), tmp_path)
    assert state_of(place)["step"] == 2
    assert not list(place.glob(".checkpoint.pt.*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_too_full_for_decoded_images(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"images.u8: decoded images cannot be kept here \(No space left on device\)"):
        go(small("autoencode", photos), tmp_path)
    assert not list((tmp_path / "data").iterdir())


def test_a_term_that_is_not_finite_is_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bakeoff.AutoencodeTask.phases

    def broken(self: Any, batch: Any, loss: Any) -> Any:
        for phase in made(self, batch, loss):
            breaks = "ssim" in phase.terms and len(self.optimisers["network"].state) and self.steps == 4
            self.steps = getattr(self, "steps", 0) + 1
            yield trainer.Phase(
                phase.optimiser,
                phase.total,
                {
                    name: (weight, value * torch.nan if breaks else value)
                    for name, (weight, value) in phase.terms.items()
                },
            )

    monkeypatch.setattr(bakeoff.AutoencodeTask, "steps", 0, raising=False)
    monkeypatch.setattr(bakeoff.AutoencodeTask, "phases", broken)
    said: list[str] = []
    failed = bakeoff.run(small("autoencode", photos), tmp_path, report=said.append)
    assert list(failed) == ["ssim/seed0"]
    assert "ssim is nan after 10 images" in failed["ssim/seed0"]
    assert any("ssim is nan" in line for line in said)
    assert state_of(tmp_path / "ssim/seed0")["step"] == 4
    assert state_of(tmp_path / "l1/seed0")["step"] == 6


def test_a_gradient_that_is_not_finite_is_named() -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, torch.inf])
    phase = trainer.Phase("network", weight.sum(), {"ssim": (1.0, weight.sum())})
    with pytest.raises(trainer.NonFinite, match="gradient of ssim is not finite after 8 images"):
        trainer._clip([weight], 1.0, phase, 8)


TOGETHER = """
import json, sys
from lookalike.cli.main import main
from lookalike.lab import processes
with processes.together("cpu"):
    code = max(main(arguments) for arguments in json.loads(sys.argv[1]))
sys.exit(code)
"""


@pytest.mark.slow
def test_two_processes_are_one_with_the_doubled_batch(photos: Path, sides: Path, tmp_path: Path) -> None:
    # Adam divides a gradient by its own size, so that rounding errors of gradients that are zero in truth, such as
    # a bias's before a norm, become whole steps: losses stay within 1e-5 for 20 small steps only.
    recipes = {
        "autoencode": small("autoencode", photos, losses=("ssim",), steps=21, batch_size=4),
        "restore": small("restore", photos, losses=("ssim",), steps=21, batch_size=4, lr=1e-5),
        "translate": small("translate", sides, losses=("ssim",), steps=21, batch_size=2, pool=0, lr=1e-5),
    }
    commands = []
    for name, recipe in recipes.items():
        go(recipe, tmp_path / "alone" / name, until=20)
        runs.write_json(tmp_path / f"{name}.json", recipe.as_json())
        commands.append(
            [
                "lab",
                name,
                "--recipe",
                str(tmp_path / f"{name}.json"),
                "--out",
                str(tmp_path / "two" / name),
                "--stop-at",
                "20",
            ]
        )
    (tmp_path / "together.py").write_text(TOGETHER)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            tmp_path / "together.py",
            json.dumps(commands),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in recipes:
        alone, two = (logged(tmp_path / kind / name / "ssim/seed0") for kind in ("alone", "two"))
        assert len(alone) == len(two) == 20
        for a, b in zip(alone, two, strict=True):
            assert a["images"] == b["images"]
            for term, found in a["terms"].items():
                assert found["value"] == pytest.approx(b["terms"][term]["value"], abs=1e-5), (name, a["step"], term)
    # Only what has a memory in each process needs as many again.
    go(recipes["restore"], tmp_path / "two/restore")
    assert state_of(tmp_path / "two/restore/ssim/seed0")["step"] == 21
    with pytest.raises(ValueError, match="was written by 2 processes, each with a memory of its own"):
        go(recipes["translate"], tmp_path / "two/translate")


def test_calibration_makes_every_loss_pull_like_l1(photos: Path, tmp_path: Path) -> None:
    recipe = small("autoencode", photos, losses=("2*l1", "l2", "0.5*ssim+0.5*l1"), steps=1)
    said: list[str] = []
    bakeoff.run(recipe, tmp_path, report=said.append)
    lab = runs.read_json(tmp_path / runs.LAB)
    task = bakeoff.AutoencodeTask(recipe)
    start, target = task.beginning(bakeoff.load(recipe, tmp_path, quiet))
    wanted = pull(loss_of("l1"), start, target)
    for one, candidate in zip(lab["losses"], bakeoff.parsed(recipe, quiet), strict=True):
        weights = {term: weight["used"] for term, weight in one["calibrated"].items()}
        used = candidate.loss * (next(iter(weights.values())) / next(iter(candidate.raw.values())))
        assert pull(used, start, target) == pytest.approx(wanted, rel=1e-4)
        assert {term: weight["raw"] for term, weight in one["calibrated"].items()} == candidate.raw
    assert lab["losses"][0]["calibrated"]["l1"]["used"] == pytest.approx(1)
    assert sum(line.startswith("calibrated") for line in said) == 3
    go(recipe.but(calibrate=False), tmp_path / "raw")
    raw = runs.read_json(tmp_path / "raw" / runs.LAB)["losses"][0]["calibrated"]["l1"]
    assert raw == {"raw": 2.0, "used": 2.0}


def test_bfloat16_is_refused_where_it_is_imitated() -> None:
    with pytest.raises(ValueError, match="cpu has no bfloat16 of its own"):
        trainer.precision_for("bfloat16", "cpu")


# ---- what cannot be used


def test_an_unknown_loss_names_the_nearest(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no metric is called 'ssmi' .did you mean 'ssim'"):
        go(small("autoencode", photos, losses=("ssmi",)), tmp_path)
    assert not (tmp_path / runs.RECIPE).exists()


def test_a_loss_that_cannot_train_alone_is_warned_of(photos: Path, tmp_path: Path) -> None:
    said: list[str] = []
    bakeoff.parsed(small("autoencode", photos, losses=("ssim_structure",)), said.append)
    assert "cannot train alone" in said[0]
    assert "neither brightness nor contrast" in said[0]
    go(small("autoencode", photos, losses=("ssim_structure",), steps=1), tmp_path)  # and does not warn again


def test_a_loss_that_needs_larger_crops(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ms_ssim needs 161 px a side, crops have 32; take --side 168"):
        go(small("autoencode", photos, losses=("ms_ssim",)), tmp_path)


def test_another_recipe_says_what_differs_and_how_to_go_on(photos: Path, tmp_path: Path) -> None:
    recipe = small("autoencode", photos, losses=("l1",), steps=2)
    go(recipe, tmp_path)
    with pytest.raises(
        ValueError, match=r"steps: 2 there, 4 asked; lr: .*Go on with --recipe .*or choose another --out"
    ):
        go(recipe.but(steps=4, lr=0.5), tmp_path)
    go(recipe.but(save_every=50, log_every=3), tmp_path)
    with pytest.raises(ValueError, match="width: 4 there, 8 asked"):
        checkpoint.load(tmp_path / "l1/seed0" / runs.CHECKPOINT, bakeoff.AutoencodeTask(recipe.but(width=8)))


def test_a_damaged_checkpoint_is_named(photos: Path, tmp_path: Path) -> None:
    recipe = small("autoencode", photos, losses=("l1",), steps=2)
    go(recipe, tmp_path)
    file = tmp_path / "l1/seed0" / runs.CHECKPOINT
    whole = file.read_bytes()
    for damaged in (whole[:1000], b"garbage\n", b""):
        file.write_bytes(damaged)
        said = r"checkpoint.pt: cannot be read \([^()]+\); remove it to train from the beginning"
        with pytest.raises(ValueError, match=said) as refused:
            go(recipe, tmp_path)
        assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"task": "restor"}, "no task is called 'restor' .did you mean 'restore'"),
        ({"task": "restore", "batchsize": 3}, "has no 'batchsize' .did you mean 'batch_size'"),
        ({"task": "restore", "steps": "many"}, "steps must be like 600, got 'many'"),
        ({"task": "restore", "steps": 0}, "steps must be at least 1"),
        ({"task": "restore", "losses": []}, "losses is empty"),
        ({"task": "restore", "losses": ["l1", "l1"]}, "names one twice"),
        ({"task": "restore", "damage": []}, "damage is empty"),
        ({"task": "restore", "noise": -1}, "noise must not be negative, got -1.0"),
        ({"task": "restore", "noise": float("nan")}, "noise must be a finite number, got nan"),
        ({"task": "autoencode", "clip": float("nan")}, "clip must be a finite number, got nan"),
        ({"task": "autoencode", "lr": float("inf")}, "lr must be a finite number, got inf"),
        ({"task": "autoencode", "bottleneck": 0}, "bottleneck must be at least 1, got 0"),
        ({"task": "translate", "cycle": float("nan")}, "cycle must be a finite number, got nan"),
        ({"task": "translate", "side": 30}, "multiple of 4"),
        ({"task": "translate", "load": 100}, "smaller than the crop"),
    ],
)
def test_recipes_that_say_nothing_sensible(stored: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(stored)


def test_recipes_survive_their_file(tmp_path: Path) -> None:
    for recipe in (Autoencode(), Restore(), Translate(), AS_PUBLISHED):
        runs.write_json(tmp_path / "recipe.json", recipe.as_json())
        assert from_json(runs.read_json(tmp_path / "recipe.json")) == recipe
        assert not differences(runs.read_json(tmp_path / "recipe.json"), recipe.as_json())


# ---- data


def test_folders_that_hold_too_little(tmp_path: Path) -> None:
    recipe = small("autoencode", tmp_path / "none")
    with pytest.raises(ValueError, match=r"none: no such folder; --data needs a folder of images"):
        go(recipe, tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: holds no image"):
        go(recipe.but(data=str(tmp_path / "empty")), tmp_path / "run")
    lay(tmp_path / "one", 1)
    with pytest.raises(
        ValueError, match="the only image that can be used; one is needed to train and another to judge"
    ):
        go(recipe.but(data=str(tmp_path / "one")), tmp_path / "run")
    with pytest.raises(ValueError, match=r"40x40 px is smaller than the crop of 48"):
        go(recipe.but(data=str(lay(tmp_path / "two", 2)), side=48), tmp_path / "run")
    with pytest.raises(ValueError, match="needs --data with folders trainA"):
        go(small("translate", Path(), data=""), tmp_path / "run")
    with pytest.raises(ValueError, match=r"trainA: no such folder"):
        go(small("translate", tmp_path / "two"), tmp_path / "run")


def test_what_cannot_be_used_is_named_and_counted(tmp_path: Path) -> None:
    folder = lay(tmp_path / "mixed", 6)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not much of a picture")
    Image.fromarray(picture(20, 16)).save(folder / "tiny.png")
    Image.fromarray(picture(21)).convert("L").save(folder / "grey.png")
    see_through = np.dstack([picture(22), np.zeros((40, 40), np.uint8)])
    Image.fromarray(see_through).save(folder / "rgba.png")
    said: list[str] = []
    recipe = small("autoencode", folder)
    found = data.decoded(data.files_in(folder), recipe, tmp_path / "cache", said.append)
    assert len(found) == 8
    assert any("left out broken.jpg" in line and "damaged" in line for line in said) or "broken.jpg" in said[0]
    assert any("left out tiny.png" in line and "smaller than the crop" in line for line in said)
    assert "left out 2 of 10 images" in said[-1]
    grey = found.read(found.names.index("grey"))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (found.read(found.names.index("rgba")) == 255).all()  # over white


@pytest.mark.parametrize("cached", [True, False])
def test_a_folder_is_divided_among_the_images_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    if not cached:
        monkeypatch.setattr(data, "CACHE_GIB", 0.0)
    folder = lay(tmp_path / "mixed", 6)
    recipe = small("autoencode", folder)
    train, held = data.train_and_held(recipe, tmp_path / "before", quiet)
    [chosen] = {name.split()[0] for name in held.names}
    assert len(train) == 5
    assert chosen not in train.names

    Image.fromarray(picture(1, 16)).save(folder / f"{chosen}.png")  # now too small to be judged on
    train, held = data.train_and_held(recipe, tmp_path / "after", quiet)
    assert len(train) == 4
    assert chosen not in (*train.names, *held.names)
    assert not {name.split()[0] for name in held.names} & set(train.names)
    assert all((train.read(at) == np.asarray(Image.open(folder / f"{name}.png"))).all()
               for at, name in enumerate(train.names))  # fmt: skip


def test_decoded_images_are_kept_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, recipe = lay(tmp_path / "photos", 3), small("autoencode", tmp_path)
    files = data.files_in(folder)
    first = data.decoded(files, recipe, tmp_path / "cache", quiet)
    opened: list[Path] = []
    load = data.load
    monkeypatch.setattr(data, "load", lambda path, **options: opened.append(path) or load(path, **options))
    again = data.decoded(files, recipe, tmp_path / "cache", quiet)
    assert not opened
    assert all((first.read(at) == again.read(at)).all() for at in range(3))
    Image.fromarray(picture(9, 44)).save(files[0])
    assert data.decoded(files, recipe, tmp_path / "cache", quiet).read(0).shape == (44, 44, 3)
    monkeypatch.setattr(data, "CACHE_GIB", 1e-9)
    unkept = data.decoded(files, recipe, tmp_path / "other", quiet)
    assert not (tmp_path / "other.u8").exists()
    assert (unkept.read(1) == again.read(1)).all()
    files[1].write_bytes(b"gone bad since")
    assert (unkept.read(1) == again.read(2)).all()  # hours later: the next is taken


def test_order_and_crops_depend_on_seed_epoch_and_index_alone(photos: Path, tmp_path: Path) -> None:
    recipe = small("autoencode", photos)
    train, _ = data.train_and_held(recipe, tmp_path / "cache", quiet)
    whole = data.crops(train, recipe, 0, range(40))
    assert all((a == b).all() for a, b in zip(whole[17:], data.crops(train, recipe, 0, range(17, 40)), strict=True))
    assert any((a != b).any() for a, b in zip(whole, data.crops(train, recipe, 1, range(40)), strict=True))
    assert sorted(data.order(3, 5, 9)) == list(range(9))


def test_training_and_held_out_photographs_do_not_touch() -> None:
    pytest.importorskip("skimage", reason="the photographs come with scikit-image")
    train, held = data.photographs()
    crops = data.held_crops(held, 176, 8)
    assert crops.images.shape == (8, 3, 176, 176)
    assert len(set(crops.names)) == 8
    for name, (one, other) in data.PHOTOGRAPHS.items():
        seen = np.zeros((700, 700), int)
        seen[one] += 1
        seen[other] += 1
        assert seen.max() == 1, name
    assert min(min(train.read(at).shape[:2]) for at in range(len(train))) >= 176


# ---- networks and tasks


def test_reflection_is_torchs() -> None:
    image = torch.rand(2, 3, 9, 7)
    assert torch.equal(networks.reflect(image, 3), F.pad(image, (3, 3, 3, 3), mode="reflect"))


def test_generators_and_discriminators_have_the_sizes_of_the_literature() -> None:
    def count(network: nn.Module) -> float:
        return sum(weight.numel() for weight in network.parameters()) / 1e6

    assert count(networks.Generator(64, 9)) == pytest.approx(11.378, abs=5e-4)
    assert count(networks.Discriminator(64)) == pytest.approx(2.765, abs=5e-4)
    assert networks.Discriminator(4)(torch.zeros(1, 3, 128, 128)).shape[2:] == (14, 14)
    assert networks.Discriminator(4, as_published=True)(torch.zeros(1, 3, 128, 128)).shape[2:] == (7, 7)


def test_only_the_published_generator_forgets_the_mean_colour() -> None:
    def spread(as_published: bool) -> float:
        torch.manual_seed(0)
        network = networks.Generator(4, 1, as_published)
        images = torch.stack(
            [torch.full((3, 32, 32), level) + 0.1 * torch.randn(3, 32, 32) for level in (-0.5, 0.5)]
        )
        with torch.no_grad():
            before_tanh = network.layers[:-1](images)
        return float(before_tanh.mean((2, 3)).abs().max())

    assert spread(True) < 1e-5 < spread(False)


def test_the_pool_swaps_half_of_the_time() -> None:
    fresh = [torch.full((1, 1, 1, 1), float(number)) for number in range(400)]
    pool = Pool(50, 0)
    shown = [float(pool.swap(image)) for image in fresh]
    assert shown[:50] == list(range(50))
    old = sum(value != number for number, value in enumerate(shown[50:], 50))
    assert 140 < old < 210
    assert all(value <= number for number, value in enumerate(shown))
    always = Pool(50, 0, always=True)
    assert sum(float(always.swap(image)) != number for number, image in enumerate(fresh)) > 380
    assert float(Pool(0, 0).swap(fresh[7])) == 7


def test_restoration_inputs_are_damaged_alike_each_time(photos: Path) -> None:
    task = bakeoff.RestoreTask(small("restore", photos))
    square = picture(3, 32)
    first, again, other = (task.damaged(square, (0, at)) for at in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()
    assert first.shape == square.shape
    assert 1 < np.abs(first.astype(int) - square).mean() < 40


@pytest.mark.parametrize("kind", ["autoencode", "restore", "translate"])
@pytest.mark.parametrize(("expression", "signed"), [("seed/l1@published", True), ("l1", False)])
def test_similarity_sees_the_unit_range_and_published_losses_what_they_were_fed(
    photos: Path, sides: Path, tmp_path: Path, kind: str, expression: str, signed: bool
) -> None:
    recipe = small(kind, sides if kind == "translate" else photos)
    sets = bakeoff.load(recipe, tmp_path, quiet)
    loss = loss_of(expression)
    fed: list[torch.Tensor] = []
    loss.metrics[0].register_forward_pre_hook(lambda _, pair: fed.extend(pair))
    task = bakeoff.TASKS[kind](recipe)
    next(iter(task.phases(task.batch(sets, range(2)), loss)))
    assert len(fed) >= 2
    assert (fed[1].min() < -0.1) == signed
    assert fed[1].max() <= 1


def test_a_published_loss_says_what_it_sees(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(small("autoencode", photos, losses=("seed/l1@published",), steps=1), tmp_path)
    assert main([*asked, "--dry-run"]) == 0
    assert "seed/l1@published: sees values from -1 to 1 and keeps its weights" in capsys.readouterr().err


def test_as_published_runs(sides: Path, tmp_path: Path) -> None:
    recipe = AS_PUBLISHED.but(
        data=str(sides), losses=("l1",), steps=3, side=32, load=32, width=4, blocks=1, pool=2, held_out=1
    )
    go(recipe, tmp_path)
    terms = logged(tmp_path / "l1/seed0")[-1]["terms"]
    assert list(terms) == ["cycle_a.l1", "gan_a", "cycle_b.l1", "gan_b", "discriminator_a", "discriminator_b"]
    assert terms["cycle_a.l1"]["weighted"] == pytest.approx(10 * terms["cycle_a.l1"]["value"])


# ---- judging


@pytest.fixture(scope="module")
def judged(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("judged")
    go(small("autoencode", photos, seeds=2, steps=3), folder)
    return folder, judge.judge(folder, report=quiet)


@pytest.mark.slow
def test_the_matrix_has_a_row_a_loss_and_a_column_a_metric(judged: tuple[Path, dict[str, Any]]) -> None:
    folder, matrix = judged
    names = [column["name"] for column in matrix["columns"]]
    assert {"psnr", "ssim", "ciede2000", "ciede2000_low", "delta_a", "luma_correlation"} <= set(names)
    assert "contextual_patches" not in names  # minutes for a photograph
    rows = {row["label"]: row for row in matrix["rows"]}
    assert list(rows) == ["l1", "ssim", "identity", "negative", "mean colour", "untrained"]
    assert rows["l1"]["own"] == ["l1"]
    assert rows["ssim"]["own"] == ["ssim"]
    assert rows["identity"]["cells"]["ssim"]["mean"] == 1
    assert rows["negative"]["cells"]["luma_correlation"]["mean"] == pytest.approx(-1, abs=1e-4)
    assert rows["mean colour"]["cells"]["delta_l"]["n"] == 2
    assert rows["l1"]["cells"]["ms_ssim"] == {"absent": "needs sides of at least 161 px, these have 32"}
    for name in names:
        cells = [row["cells"][name] for row in matrix["rows"]]
        best = [at for at, cell in enumerate(cells) if cell.get("best")]
        two_sided = next(column for column in matrix["columns"] if column["name"] == name)["better"] == "none"
        assert len(best) == (0 if two_sided or "absent" in cells[0] else 1)
        assert all(at < 2 for at in best)
        for cell in cells:
            assert "absent" in cell or cell["low"] <= cell["mean"] <= cell["high"] or cell["n"] == 1
    assert rows["l1"]["cells"]["ssim"]["sd_seeds"] > 0
    assert runs.read_json(folder / runs.MATRIX)["rows"][0]["label"] == "l1"
    assert (folder / runs.MATRIX_TABLE).read_text().startswith("row,kind,metric,mean")
    assert "| trained with |" in (folder / runs.MATRIX_TEXT).read_text()


def test_scores_are_those_of_the_pictures(judged: tuple[Path, dict[str, Any]], photos: Path) -> None:
    folder, matrix = judged
    column = []
    for seed in (0, 1):
        drawn, target = (
            np.stack([pixels(place / f"{at:03d}.png") for at in (0, 1)]).astype(float) / 255
            for place in (folder / f"ssim/seed{seed}/samples", folder / "samples/target")
        )
        column.append(np.abs(drawn - target).mean((1, 2, 3)))
    cell = next(row for row in matrix["rows"] if row["label"] == "ssim")["cells"]["l1"]
    assert cell["mean"] == pytest.approx(float(np.mean(column)), abs=0.002)  # the pictures are rounded to bytes
    for name in ("difference", "ssim"):
        assert pixels(folder / f"maps/ssim/001_{name}.png").shape == (32, 32, 3)


@pytest.mark.slow
def test_judging_on_other_images(judged: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, first = judged
    lines: list[str] = []
    again, others = tmp_path / "again", str(lay(tmp_path / "others", 3, 50))
    matrix = judge.judge(folder, data=others, out=again, report=lines.append)
    count = len(matrix["columns"])
    assert f"judged {len(matrix['rows'])} rows by {count} of {count} metrics" in lines
    assert matrix["rows"][0]["cells"]["l1"]["mean"] != first["rows"][0]["cells"]["l1"]["mean"]
    assert {"lab.json", "recipe.json", "environment.json", "matrix.json"} <= {
        path.name for path in (tmp_path / "again").iterdir()
    }
    assert (tmp_path / "again/l1/seed1" / runs.TERMS).exists()
    names = [row["name"] for row in runs.read_json(tmp_path / "again" / runs.LAB)["samples"]["rows"]]
    assert names == ["picture50", "picture51"]


@pytest.mark.slow
def test_translations_are_judged_both_ways(sides: Path, tmp_path: Path) -> None:
    go(small("translate", sides, losses=("l1",), steps=2), tmp_path)
    matrix = judge.judge(tmp_path, report=quiet)
    columns = {column["name"]: column for column in matrix["columns"]}
    rows = {row["label"]: row for row in matrix["rows"]}
    assert rows["identity"]["cells"]["a-to-b:ssim_luma"]["mean"] == 1
    assert rows["l1"]["cells"]["b-to-a:lab_distance"]["n"] == 2
    assert rows["l1"]["cells"]["ssim"]["n"] == 4  # both reconstructions
    assert "absent" in rows["l1"]["cells"]["a-to-b:kid_vgg16_pool5"]  # two images a side, and perhaps no weights
    assert columns["b-to-a:lab_distance"]["better"] == "lower"
    lab = runs.read_json(tmp_path / runs.LAB)
    assert lab["directions"] == ["a-to-b", "b-to-a", "a-to-b-to-a", "b-to-a-to-b"]
    for way in lab["directions"]:
        for place in (f"samples/input/{way}/000.png", f"l1/seed0/samples/{way}/001.png",
                      f"maps/l1/{way}/000_difference.png"):  # fmt: skip
            assert (tmp_path / place).exists(), place


@pytest.mark.slow
def test_kid_judges_whole_sets_on_the_users_features(
    sides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = SimpleNamespace(pooled=nn.AdaptiveAvgPool2d(2))
    monkeypatch.setitem(sys.modules, "users_own", own)
    monkeypatch.setattr(sys, "path", list(sys.path))
    go(small("translate", sides, losses=("l1",), steps=2, seeds=2, held_out=4), tmp_path / "run")
    asked = ["lab", "judge", str(tmp_path / "run"), "--features", "users_own:pooled"]
    assert main(asked) == 0
    matrix = runs.read_json(tmp_path / "run" / runs.MATRIX)
    column = next(one for one in matrix["columns"] if one["name"] == "b-to-a:kid_pooled")
    assert column["title"] == "B → A: KID (users_own:pooled)"
    assert "of:4,4|subsets:100x2" in column["signature"]
    rows = {row["label"]: row["cells"]["b-to-a:kid_pooled"] for row in matrix["rows"]}
    assert rows["l1"]["sd_seeds"] > 0
    assert rows["l1"]["sd_subsets"] > 0
    assert sorted(cell["best"] for cell in rows.values()) == [False] * 4 + [True]
    drawn, wanted = (
        kid.describer_of("users_own:pooled").vectors(
            torch.stack([data.as_tensor([pixels(place / f"{at:03d}.png")])[0] for at in range(4)])
        )
        for place in (tmp_path / "run/samples/input/b-to-a", tmp_path / "run/samples/input/a-to-b")
    )
    assert rows["identity"]["mean"] == pytest.approx(kid.kid(drawn, wanted)[0], rel=1e-4)
    assert rows["identity"]["sd_seeds"] is None
    shown = capsys.readouterr().out
    assert f"{rows['identity']['mean']:.4g} ({rows['identity']['sd_subsets']:.2g})" in shown
    assert main([*asked[:-1], "users_own:gone"]) == 2
    assert "kid: cannot make 'users_own:gone'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_judged(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file; is .* a finished run folder"):
        judge.judge(tmp_path)
    go(small("autoencode", photos), tmp_path, until=2)
    with pytest.raises(ValueError, match="no loss is trained to the end yet"):
        judge.judge(tmp_path, report=quiet)


def test_the_paired_test() -> None:
    scores = np.random.default_rng(0).normal(0, 1, 40)
    assert sign_flip_p(scores, scores + 1 + 0.1 * scores) < 0.001
    assert sign_flip_p(scores, scores[::-1]) > 0.05
    assert sign_flip_p(scores[:8], scores[:8]) == 1
    ties = np.array([1, 1, 1, 1, -1, -1, -1]) * (1 + 1e-8 * scores[:7])  # no sum of seven ±1 is nearer to 0
    assert sign_flip_p(ties, np.zeros(7)) == 1
    scores[:3] = np.nan  # images without a score say nothing
    assert sign_flip_p(scores, scores[3] + np.zeros(40)) == sign_flip_p(scores[3:], scores[3] + np.zeros(37))
    assert sign_flip_p(np.full(40, np.nan), np.arange(40.0)) == 1


def test_a_score_that_is_nan_is_in_no_mean_and_never_the_best() -> None:
    targets = {"there": torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))}

    def drawn(label: str, error: float, broken: Sequence[int]) -> Row:
        outputs = targets["there"] + error
        outputs[list(broken)] = torch.nan
        return Row(label, "loss", label, outputs=[{"there": outputs}])

    column = Column("l1", "", "lower", "", ("there",), lambda x, y: (x - y).abs().mean((1, 2, 3)))
    made = [drawn("good", 0.1, []), drawn("lucky", 0.01, [1, 2, 3]), drawn("lost", 0.0, range(4))]
    good, lucky, lost = image_cells(made, column, targets)
    assert (good["best"], good["n"], good["undefined"], good["p"]) == (True, 1, 0, None)
    assert good["mean"] == pytest.approx(0.1)
    assert (lucky["best"], lucky["n"], lucky["undefined"], lucky["p"]) == (False, 1, 3, 1)
    assert lucky["mean"] == pytest.approx(0.01)
    assert lost == {"absent": "4 of 4 scores are not finite", "undefined": 4}
    cells = [{"l1": cell} for cell in (good, lucky, lost)]
    matrix = {
        "columns": [{"name": "l1", "better": "lower"}],
        "rows": [
            {"label": row.label, "kind": "loss", "own": [], "cells": cell}
            for row, cell in zip(made, cells, strict=True)
        ],
    }
    assert judge.undefined_of(matrix) == [
        "lucky: l1: 3 scores are not finite", "lost: l1: 4 of 4 scores are not finite",
    ]  # fmt: skip
    lines = judge.as_markdown(matrix).splitlines()
    assert "3 NaN" in lines[3]
    assert "| NaN |" in lines[4]


def test_features_that_are_nan_have_no_distance() -> None:
    row = Row("l1", "loss", "l1", outputs=[{"there": torch.zeros(2, 1, 8, 8)}] * 2)
    column = Column("kid", "", "lower", "", ("there",), None, whole=lambda outputs: (float("nan"), 0.0))
    [cell] = whole_cells([row], column, {"there": torch.zeros(2, 1, 8, 8)})
    assert cell == {"absent": "2 of 2 scores are not finite", "undefined": 1}


# ---- the command line


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose page was asked for, without making any."""
    written: list[Path] = []

    def write(folder: Path) -> Path:
        written.append(folder)
        return folder / runs.PAGE

    from lookalike import report

    stub = SimpleNamespace(write=write)
    monkeypatch.setitem(sys.modules, "lookalike.report.lab", stub)
    monkeypatch.setattr(report, "lab", stub, raising=False)
    return written


def options(recipe: Recipe, folder: Path) -> list[str]:
    file = folder / "asked.json"
    runs.write_json(file, recipe.as_json())
    return ["lab", recipe.task, "--recipe", str(file), "--out", str(folder / "run")]


@pytest.mark.slow
def test_from_the_command_to_the_page(
    photos: Path, tmp_path: Path, page: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(small("autoencode", photos, losses=("l1",), steps=2), tmp_path)
    assert main([*asked, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 2
    assert not (tmp_path / "run").exists()
    assert main([*asked, "--stop-at", "1"]) == 0
    assert "stopped at step 1 of 2" in capsys.readouterr().err
    assert not page
    assert main(asked) == 0
    said = capsys.readouterr()
    assert "| l1 |" in said.out
    assert "calibrated l1: l1 1 → 1" in said.err
    assert page == [tmp_path / "run"]
    others = lay(tmp_path / "others", 2, 60)
    assert main(["lab", "judge", str(tmp_path / "run"), "--data", str(others)]) == 0
    assert page[-1] == tmp_path / "run" / "judged-others"
    assert main([*asked, "--steps", "3"]) == 2
    assert "steps: 2 there, 3 asked" in capsys.readouterr().err


def test_a_dry_run_says_what_is_wrong(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = options(small("autoencode", photos, losses=("ssim_structure",)), tmp_path)
    assert main([*asked, "--dry-run"]) == 0
    assert "cannot train alone" in capsys.readouterr().err
    assert main([*asked, "--losses", "ssmi", "--dry-run"]) == 2
    assert "no metric is called 'ssmi' (did you mean 'ssim'?)" in capsys.readouterr().err
    assert main(["lab", "restore", *asked[2:], "--dry-run"]) == 2
    assert "is of autoencode, not of restore: lookalike lab autoencode" in capsys.readouterr().err
    assert main(["lab", "restore", "--recipe", str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file; it takes a recipe.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--steps", "-5"], "recipe: steps must be at least 1, got -5"),
        (["--losses", "mse", "mse"], "recipe: losses names one twice: mse mse"),
        (["--stop-at", "-1"], "--stop-at: takes a step, or 0 for the end; got -1"),
        (["--ema", "2"], "recipe: ema must be in [0, 1], got 2.0"),
    ],
)
def test_a_wrong_value_is_one_line(option: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "autoencode", *option, "--dry-run"]) == 2
    assert capsys.readouterr().err == f"lookalike: {said}\n"


def test_the_published_set_up_by_one_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "translate", "--as-published", "--steps", "402", "--dry-run"]) == 0
    assert from_json(json.loads(capsys.readouterr().out)) == AS_PUBLISHED.but(steps=402)


@pytest.mark.slow
def test_failed_rows_are_3(photos: Path, tmp_path: Path, page: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    values = trainer._values

    def broken(phase: trainer.Phase, seen: int) -> Any:
        if "ssim" in phase.terms and seen == 4:
            raise trainer.NonFinite("ssim is nan after 4 images")
        return values(phase, seen)

    monkeypatch.setattr(trainer, "_values", broken)
    assert main(options(small("autoencode", photos, steps=3), tmp_path)) == 3
    matrix = runs.read_json(page[0] / runs.MATRIX)
    assert matrix["rows"][1]["cells"]["l1"] == {"absent": "not trained to the end: seed 0"}


def test_interrupted_is_130(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(step: int, terms: Any) -> None:
        if step == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(bakeoff, "_bar", lambda *_: Fixed(pressed))
    assert main(options(small("autoencode", photos, steps=9), tmp_path)) == 130
    assert state_of(tmp_path / "run/l1/seed0")["step"] == 2


def test_tensorboard_is_asked_for_by_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main([*options(small("autoencode", photos, steps=1), tmp_path), "--tensorboard"]) == 2
    assert "pip install 'lookalike[tensorboard]'" in capsys.readouterr().err
    seen: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder.endswith("l1/seed0/tensorboard")

        def __enter__(self) -> "Writer":
            return self

        def __exit__(self, *_: object) -> None: ...

        def add_scalar(self, name: str, value: float, images: int) -> None:
            seen.append((name, value, images))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    go(small("autoencode", photos, losses=("l1",), steps=2), tmp_path / "events", tensorboard=True)
    assert [(name, images) for name, _, images in seen] == [("l1", 2), ("l1", 4)]


# ---- the data set


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves one file, with ranges, and breaks off the first answer halfway."""

    asked: list[str | None] = []  # noqa: RUF012 - of the class, to be read by the test

    def do_GET(self) -> None:
        content = Path(self.directory, self.path.strip("/")).read_bytes()
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[start : len(content) if len(self.asked) > 1 else len(content) // 2])

    def log_message(self, format: str, *args: Any) -> None: ...


def test_the_data_set_is_fetched_resumed_and_checked(tmp_path: Path) -> None:
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("trainA", "trainB", "testA", "testB"):
            archive.writestr(f"monet2photo/{name}/one.jpg", os.urandom(20_000))
    _Server.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    content = packed.read_bytes()
    address = f"http://127.0.0.1:{server.server_port}/set.zip"
    there = download.Archive(address, len(content), hashlib.sha256(content).hexdigest())
    with pytest.raises(ConnectionError, match=r"connection ended after \d+ of \d+ bytes.*the same command resumes"):
        download.fetch("monet2photo", tmp_path / "data", archive=there)
    folder = download.fetch("monet2photo", tmp_path / "data", archive=there)
    assert _Server.asked == [None, f"bytes={len(content) // 2}-"]
    assert sorted(path.name for path in folder.iterdir()) == ["testA", "testB", "trainA", "trainB"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["monet2photo"]
    assert download.fetch("monet2photo", tmp_path / "data", archive=there) == folder
    assert len(_Server.asked) == 2
    wrong = download.Archive(address, len(content), "0" * 64)
    with pytest.raises(ValueError, match=r"expected .* bytes with 0000.*the file was removed"):
        download.fetch("monet2photo", tmp_path / "wrong", archive=wrong)
    assert not list((tmp_path / "wrong").iterdir())
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError, match="On a machine with internet"):
        download.fetch("monet2photo", tmp_path / "offline", archive=there)


def test_an_unknown_data_set_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "data", "monet2phto"]) == 2
    assert "did you mean 'monet2photo'" in capsys.readouterr().err
