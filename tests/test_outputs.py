"""Where results may go: never onto an input, never onto what lookalike did not write."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import PATIENCE
from skimage import data

from lookalike.cli.main import main
from lookalike.records import outputs, runs, tables
from lookalike.scoring.run import score_folders

posix = pytest.mark.skipif(os.name != "posix", reason="needs links and special files of POSIX")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    y = data.astronaut()[20:84, 140:204]
    x = np.clip(y + np.random.default_rng(0).normal(0, 9, y.shape), 0, 255).astype(np.uint8)
    for name, image in (("ref", y), ("x", x)):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "a.png")
    return tmp_path / "ref" / "a.png", tmp_path / "x" / "a.png"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


Command = Callable[[tuple[Path, Path], Path], list[str | Path]]
COMMANDS: dict[str, tuple[str, Command]] = {
    "map": ("map.png", lambda pair, out: ["score", *pair, "-m", "ssim", "--map", out]),
    "csv": ("o.csv", lambda pair, out: ["score", *(path.parent for path in pair), "-m", "psnr", "-o", out]),
    "jsonl": ("o.jsonl", lambda pair, out: ["score", *(path.parent for path in pair), "-m", "psnr", "-o", out]),
    "parquet": ("o.parquet", lambda pair, out: ["score", *(path.parent for path in pair), "-m", "psnr", "-o", out]),
    "latex": ("o.tex", lambda pair, out: ["score", *(path.parent for path in pair), "-m", "psnr", "--latex", out]),
    "view": ("o.html", lambda pair, out: ["view", *pair, "-m", "psnr", "--maps", "ssim", "-o", out]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_only_what_lookalike_wrote_is_replaced(
    pair: tuple[Path, Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    file, command = COMMANDS[name]
    out = tmp_path / file
    out.write_bytes(b"mine\n")
    said = refused(capsys, *command(pair, out))
    assert f"{out}: is there and not of lookalike; name another output, or say --force" in said
    assert out.read_bytes() == b"mine\n"
    asked = [str(word) for word in command(pair, out)]
    assert main([*asked, "--force"]) == 0
    assert outputs.is_ours(out)
    assert main(asked) == 0  # ours by now
    shutil.copy(out, tmp_path / f"copy of {file}")
    assert outputs.is_ours(tmp_path / f"copy of {file}")
    out.write_bytes(b"")  # as mktemp leaves it
    assert main(asked) == 0
    capsys.readouterr()


@posix
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", ["link", "hard"])
def test_no_output_is_an_input_whatever_it_is_called(
    pair: tuple[Path, Path], tmp_path: Path, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    file, command = COMMANDS[name]
    for at, path in enumerate(pair):
        out = tmp_path / f"{at}{file}"
        (out.symlink_to if how == "link" else out.hardlink_to)(path)
        before = path.read_bytes()
        for more in ([], ["--force"]):
            if name == "latex" and more:
                continue  # a --latex that is an image of a folder is somebody's, and --force takes that
            said = refused(capsys, *command(pair, out), *more)
            assert "is an input" in said or "not of lookalike" in said
            assert "is an input" in said or not more
            assert path.read_bytes() == before


def test_a_map_does_not_replace_its_own_input(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in pair:
        before = path.read_bytes()
        for more in ([], ["--force"]):
            assert "is an input" in refused(capsys, "score", *pair, "-m", "ssim", "--map", path, *more)
        assert path.read_bytes() == before


@pytest.mark.parametrize("side", ["o.csv.json", "o.csv.statistics.json", "o.csv.journal"])
def test_files_beside_a_table_are_not_replaced_either(
    pair: tuple[Path, Path], tmp_path: Path, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["score", *(path.parent for path in pair), "-m", "psnr", "-o", tmp_path / "o.csv"]
    (tmp_path / side).write_text('{"mine": 1}')
    assert side in refused(capsys, *command)
    assert (tmp_path / side).read_text() == '{"mine": 1}'
    assert not (tmp_path / "o.csv").exists()


def test_a_table_and_its_latex_are_two_files(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [path.parent for path in pair]
    out = tmp_path / "o.csv"
    assert "is where the table goes" in refused(capsys, "score", *folders, "-m", "l1", "-o", out, "--latex", out)


@posix
def test_a_link_stays_a_link(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    folders = [path.parent for path in pair]
    for name in ("o.csv", "o.tex"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    command = ["score", *map(str, folders), "-m", "l1", "-o", str(tmp_path / "o.csv")]
    for _ in range(2):  # a link to nothing, and to a table
        assert main([*command, "--latex", str(tmp_path / "o.tex")]) == 0
        for name in ("o.csv", "o.tex"):
            assert (tmp_path / name).is_symlink()
            assert not (tmp_path / "elsewhere" / name).is_symlink()
    assert len(tables.read(tmp_path / "o.csv").rows) == 1


@posix
@pytest.mark.parametrize("kind", ["pipe", "null", "folder", "loop"])
def test_what_is_no_file_is_no_output(
    pair: tuple[Path, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.png"
    match kind:
        case "pipe":
            os.mkfifo(out)
        case "null":
            out.symlink_to("/dev/null")
        case "folder":
            out.mkdir()
        case _:
            out.symlink_to(out)
    reason = refused(capsys, "score", *pair, "-m", "ssim", "--map", out, "--force")
    assert any(words in reason for words in ("no regular file", "is a folder", "cannot be written"))
    assert out.is_symlink() or not out.is_file()


def test_the_page_of_a_table_and_of_a_folder(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "o.csv"
    score_folders(pair[0].parent, [pair[1].parent], ["l1"], output=table)
    page = tmp_path / "o.csv.html"
    page.write_text("<!doctype html><title>mine</title>")
    assert "is there and not of lookalike" in refused(capsys, "report", table)
    assert main(["report", str(table), "--force"]) == 0
    assert main(["report", str(table)]) == 0
    (tmp_path / "o.html").symlink_to(table)
    assert "is an input" in refused(capsys, "report", table, "-o", tmp_path / "o.html", "--force")


def test_a_study_replaces_no_files_but_its_own(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for name in ("index.html", "scores.csv", "environment.json"):
        (out / name).write_text("mine")
        said = refused(capsys, "study", pair[0], "--out", out)
        assert f"{out}: its {name} is not of lookalike; name another folder, or say --force" in said
        assert (out / name).read_text() == "mine"
        (out / name).unlink()
    (out / "images").mkdir()
    shutil.copy(pair[0], out / "images" / "photo.png")
    assert "its images is not of lookalike" in refused(capsys, "study", pair[0], "--out", out)
    for more in ([], ["--force"]):
        said = refused(capsys, "study", out / "images" / "photo.png", "--out", out, *more)
        assert "is an input and lies where results go" in said
    shutil.rmtree(out / "images")
    for _ in range(2):  # beside somebody's file, and then onto its own
        assert main(["study", str(pair[0]), "--out", str(out)]) == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert "is a file; name a folder" in refused(capsys, "study", pair[0], "--out", pair[0])


def test_a_study_that_was_killed_goes_on_in_its_folder(tmp_path: Path) -> None:
    runs.write_json(tmp_path / runs.ENVIRONMENT, runs.environment())
    runs.write_png(tmp_path / runs.IMAGES / "a.png", np.zeros((4, 4), np.uint8))
    assert runs.is_study(tmp_path)


def test_a_lab_run_replaces_no_files_but_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["lab", "autoencode", "--losses", "l1", "--steps", "1", "--side", "32", "--out", tmp_path]
    for name in ("matrix.json", "index.html", "l1", "samples"):
        (tmp_path / name).mkdir() if "." not in name else (tmp_path / name).write_text("{}")
        assert f"its {name} is not of lookalike" in refused(capsys, *command)
        (tmp_path / name).rmdir() if "." not in name else (tmp_path / name).unlink()


@posix
def test_a_file_that_another_run_is_writing_is_not_taken_for_one_that_was_left(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with runs.replacing(path) as file:
            file.write(b"slow")
            begun.set()
            go_on.wait(PATIENCE)

    writer = threading.Thread(target=slowly)
    writer.start()
    begun.wait(PATIENCE)
    runs.write_text(path, "quick")
    assert path.read_text() == "quick"
    go_on.set()
    writer.join(PATIENCE)
    assert path.read_text() == "slow"
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.csv"]
