"""The commands, as a shell runs them: what they print, their exit codes, and never a traceback."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import PATIENCE, ROOT
from skimage import data

from lookalike import __version__, files, registry, signature
from lookalike.cli import codes, sheet
from lookalike.cli.main import main
from lookalike.conventions import CONVENTIONS
from lookalike.losses.presets import PRESETS
from lookalike.metric import PROMISES
from lookalike.records import tables
from lookalike.scoring.pair import measure

BROKEN_LOSS = """
import torch

class Backwards(torch.nn.Module):
    def forward(self, x, y):
        return (x - 2 * y).abs().mean()

class Fine(torch.nn.Module):
    def forward(self, x, y):
        return (x - y).square().mean()
"""


def run(*arguments: str | Path, cwd: Path | None = None, stdin: Any = None) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *map(str, arguments)],
        cwd=cwd,
        stdin=stdin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        encoding="utf-8",
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def called(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One command in this process, which is quicker; what it prints is the same."""
    code = main([*map(str, arguments)])
    said = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, code, said.out, said.err)


def refused(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command says when it will not run; in this process, which is quicker."""
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("lookalike: ")
    return line.removeprefix("lookalike: ")


def printed_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    assert main([*map(str, arguments), "--json"]) == code
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photograph and its noisy copy: reference first."""
    folder = tmp_path_factory.mktemp("pair")
    y = data.astronaut()[20:220, 140:340]
    noise = np.random.default_rng(0).normal(0, 20, y.shape)
    paths = folder / "reference.png", folder / "judged.png"
    for path, image in zip(paths, (y, np.clip(y + noise, 0, 255).astype(np.uint8)), strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "third_party_losses.py").write_text(BROKEN_LOSS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The commands as such


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys\n"
        "from lookalike.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(*{'torch', 'numpy', 'PIL', 'scipy', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == []
    for verb in ("score", "ruler", "metrics", "losses", "audit", "study", "view"):
        assert verb in done.stdout


@pytest.mark.parametrize("verb", ["score", "ruler", "metrics", "losses", "audit", "study", "view"])
def test_every_verb_explains_its_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: lookalike {verb}" in said
    if verb in ("score", "ruler", "view"):
        assert said.index("REFERENCE") < said.index("JUDGED")


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"lookalike {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [[], ["scor"], ["score"], ["score", "a.png", "b.png", "--nonsense"], ["metrics", "--extra"],
     ["score", "a.png", "b.png", "--data-range", "wide"], ["ruler", "a.png", "b.png", "--metric", "gmsd"]],
)  # fmt: skip
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


def test_wrong_usage_in_a_process() -> None:
    done = run("scor")
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", "metrics", "--conventions", "--json"],
            stdout=pipe,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_is_one_line() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", "metrics", "--conventions"],
            stdout=full,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupted_is_130(tmp_path: Path) -> None:
    (tmp_path / "slow_loss.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(1200)\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", "audit", "slow_loss:Loss"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == ""


# Ctrl-C at the moment when a module begins to be imported.
INTERRUPTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
module = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupt())
from lookalike.__main__ import run
run()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    "module", ["lookalike.cli.main", "tyro", "numpy", "torch", "torch.nn", "lookalike.batches", "lookalike.metric"]
)
def test_interrupted_in_the_first_moments_is_130_and_quiet(pair: tuple[Path, Path], module: str) -> None:
    """From the program's first line on, and while torch is being imported."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, "score", *map(str, pair)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == ""
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a shell of POSIX")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_are_no_error(pair: tuple[Path, Path], tmp_path: Path, closed: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    table = tmp_path / "map.png"
    command = f'"$0" -m lookalike score "$1" "$2" -m l1 --map "$3" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, *map(str, pair), str(table)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(table) as drawn:
        assert drawn.size == (200, 200)


@pytest.mark.skipif(sys.platform != "linux", reason="names with such letters are tried on Linux")
def test_names_cannot_steer_the_terminal(pair: tuple[Path, Path], tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07\x1b[2J\nfailed: \u202egnp.png"
    for folder, path in zip(("ref", "x"), pair, strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(path.read_bytes())
    (tmp_path / "x" / f"extra{name}").write_bytes(b"")
    (tmp_path / "ref" / f"bad{name}").write_bytes(b"")
    (tmp_path / "x" / f"bad{name}").write_bytes(b"")
    escaped = "\\x1b]0;owned\\x07\\x1b[2J\\nfailed: \\u202egnp"
    for arguments in (
        ("score", tmp_path / "ref", tmp_path / "x", "-m", "l1"),
        ("score", pair[0], tmp_path / "x" / f"extra{name}", "-m", "l1"),
        ("score", *pair, "-m", "l1", "--map", tmp_path / name),
        ("view", pair[0], pair[1], "-m", "l1", "--maps", "ssim", "-o", tmp_path / f"{name}.html"),
    ):
        done = run(*arguments)
        said = done.stdout + done.stderr
        assert escaped.replace("\\n", " ") in said or escaped in said, arguments
        assert not any(letter in said for letter in "\x1b\x07\u202e")


def test_exit_codes_are_worded_once() -> None:
    root = Path(__file__).parents[2]
    words = " ".join(codes.MEANING.split())
    assert words in " ".join((root / "README.md").read_text(encoding="utf-8").split())
    with pytest.raises(SystemExit):
        main(["--help"])


@pytest.mark.parametrize("task", ["autoencode", "restore", "translate"])
def test_the_help_of_what_is_switched_off_says_what_that_does(
    task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["lab", task, "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--no-flip mirror no crop (default: half of the crops are mirrored)" in said
    assert "--no-calibrate leave the losses as they are" in said
    assert "(default: True)" not in said


# score


def test_score_prints_a_row_a_metric(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "score", *pair, "--all")
    assert done.returncode == 0
    assert done.stderr == ""
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[2:]}
    assert list(rows) == registry.cheap()
    for name, line in rows.items():
        facts = registry.metric_class(name).facts
        words = line.split()
        assert float(words[1]) is not None
        assert facts.better in words
        assert signature.read(words[-1])[0] == name
    assert " dB " in rows["psnr"]


def test_score_as_json(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = printed_json(capsys, "score", *pair, "-m", "ssim", "ms_ssim", "cw_ssim")
    assert (found["reference"], found["judged"]) == tuple(map(str, pair))
    assert [row["metric"] for row in found["scores"]] == ["ssim", "ms_ssim", "cw_ssim"]
    for row in found["scores"]:
        assert 0 < row["value"] < 1
        assert row["better"] == "higher"
        assert signature.read(row["signature"])[1]["range"] == "255"


def test_score_takes_conventions_and_ranges(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [row] = printed_json(capsys, "score", *pair, "-m", "ssim", "--convention", "scikit-image")["scores"]
    from skimage.metrics import structural_similarity

    theirs = structural_similarity(*(np.asarray(Image.open(path)) for path in pair), channel_axis=2)
    assert row["value"] == pytest.approx(theirs, abs=1e-5)
    files = []
    for path in pair:
        files.append(tmp_path / f"{path.stem}.tif")
        Image.fromarray(np.asarray(Image.open(path).convert("L"), np.float32) / 127.5 - 1).save(files[-1])
    assert "pass data_range=(-1, 1)" in refused("score", *files, capsys=capsys)
    [row] = printed_json(capsys, "score", *files, "-m", "ssim", "--data-range", "-1", "1")["scores"]
    assert "|range:-1..1|" in row["signature"]
    assert "one number or two" in refused("score", *pair, "--data-range", "1", "2", "3", capsys=capsys)


def test_what_does_not_apply_is_one_line_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.png"
    Image.fromarray(data.camera()[:40, :40]).save(small)
    for more in ([], ["--all"]):
        assert main(["score", str(small), str(small), *more]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert not any(line.startswith("ms_ssim ") for line in lines)
        assert lines[-1].startswith("no number: ")
        assert "ms_ssim (needs images of at least 161 px" in lines[-1]
    assert "at least 161 px" in refused("score", small, small, "-m", "ms_ssim", capsys=capsys)
    rows = printed_json(capsys, "score", small, small)["scores"]
    assert {row["metric"] for row in rows if row["value"] is None} >= {"ms_ssim"}


def test_images_are_scored_by_a_short_list_that_people_know(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [row["metric"] for row in printed_json(capsys, "score", *pair)["scores"]]
    wanted = ["psnr", "ssim", "ms_ssim", "cw_ssim", "gmsd", "flip", "ssimulacra2", "lpips_alex"]
    assert names in (wanted, wanted[:-1])  # the last where its weights are here
    assert "--all is every metric" in refused("score", *pair, "--all", "-m", "l1", capsys=capsys)


def test_one_table_holds_several_conventions(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [
        "psnr",
        "ssim(convention=wang-matlab)",
        "ssim(convention=scikit-image)",
        "psnr(luma=ycbcr, crop_border=4)",
    ]
    rows = printed_json(capsys, "score", *pair, "-m", *columns)["scores"]
    assert [row["metric"] for row in rows] == columns
    [alone] = printed_json(capsys, "score", *pair, "-m", "ssim", "--convention", "wang-matlab")["scores"]
    assert (rows[1]["value"], rows[1]["signature"]) == (alone["value"], alone["signature"])
    y, x = (np.asarray(Image.open(path))[4:-4, 4:-4] / 255 @ [65.481, 128.553, 24.966] + 16 for path in pair)
    assert rows[3]["value"] == pytest.approx(20 * np.log10(255 / np.sqrt(np.square(x - y).mean())), abs=1e-4)
    assert rows[3]["signature"] == "psnr|cap:100|range:255|crop:4|luma:ycbcr|v:1"
    for name, path in zip(("ref", "x"), pair, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(path.read_bytes())
    table = tmp_path / "o.csv"
    assert main(["score", str(tmp_path / "ref"), str(tmp_path / "x"), "-m", *columns, "-o", str(table)]) == 0
    capsys.readouterr()
    assert main(["report", str(table)]) == 0
    read = tables.read(table)
    assert read.metrics == tuple(columns)
    assert read.rows[0].values == tuple(row["value"] for row in rows)
    assert list(read.metadata["signatures"].values()) == [row["signature"] for row in rows]
    capsys.readouterr()
    for text, words in (
        ("0.5*ssim", "a column is one metric"), ("ssim + l1", "a column is one metric"),
        ("ssim(convention=wang)", "did you mean"), ("psnr(luma=red)", "luma must be one of"),
        ("psnr(crop_border=-1)", "crop_border must be a whole number of at least 0"),
        ("psnr(data_range=255)", "--data-range is for all"), ("ssim(", "cannot read"),
        ("psnr(crop_border=100)", "nothing is left of 200x200 px"),
    ):  # fmt: skip
        assert words in refused("score", *pair, "-m", text, capsys=capsys)


def test_one_reference_and_several_images(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.png"
    Image.open(pair[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    found = printed_json(capsys, "score", *pair, other, "-m", "psnr")
    assert [image["judged"] for image in found["images"]] == [str(pair[1]), str(other)]
    for image in found["images"]:
        [alone] = printed_json(capsys, "score", pair[0], image["judged"], "-m", "psnr")["scores"]
        assert image["scores"] == [alone]
    assert main(["score", *map(str, pair), str(other), "-m", "psnr"]) == 0
    header, _, line, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["metric", "judged.png", "other.png", "better"]
    assert line.split()[0::2] == ["psnr", "dB", "dB"]
    assert last.startswith("psnr: psnr|cap:100|")
    several = refused("score", *pair, other, "--map", tmp_path / "m.png", capsys=capsys)
    assert "--map draws one metric of one image" in several


def test_an_image_from_standard_input(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pair[1].open("rb") as file:
        done = run("score", pair[0], "-", "-m", "l1", "--json", stdin=file)
    [row] = printed_json(capsys, "score", *pair, "-m", "l1")["scores"]
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["judged"], found["scores"]) == ("-", [row])
    assert "gives one image" in refused("score", "-", "-", capsys=capsys)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_list_of_pairs(
    pair: tuple[Path, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, path in (("y.png", pair[0]), ("x.png", pair[1])):
        (tmp_path / name).write_bytes(path.read_bytes())
    rows = [("y.png", "x.png", "net"), ("y.png", "y.png", "copy"), (str(pair[0]), str(pair[1]), "net")]
    text = "reference,image,method\n" + "".join(",".join(row) + "\n" for row in rows)
    if kind == "jsonl":
        keys = ("reference", "image", "method")
        text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)
    (tmp_path / f"list.{kind}").write_text(text)
    table = tmp_path / "o.csv"
    command = ["score", "--pairs", str(tmp_path / f"list.{kind}"), "-m", "psnr", "-o", str(table)]
    assert main(command) == 3  # copy lacks one of the two pairs
    assert "1 missing" in capsys.readouterr().out
    assert main([*command, "--allow-missing"]) == 0
    capsys.readouterr()
    found = {(row.method, row.pair): row for row in tables.read(table).rows}
    assert found[("copy", "y.png")].values == (100.0,)
    [alone] = printed_json(capsys, "score", *pair, "-m", "psnr")["scores"]
    assert found[("net", "y.png")].values == found[("net", str(pair[0]))].values == (alone["value"],)
    assert found[("copy", str(pair[0]))].error == "missing: no image in the list"
    assert "is one more; leave one of them out" in refused(*command, pair[0], capsys=capsys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no pairs below its header"),
        ("a.png,b.png\n", "names no pairs below its header"),
        ("a.png,b.png\na.png,c.png\n", "line 2: needs a reference and an image"),
        ("reference,image\na.png\n", "line 2: needs a reference and an image"),
        ("reference,image\na.png,b.png,c.png\n", "line 2: needs a reference and an image"),
        ("reference,image\na.png,b.png\na.png,b.png\n", "line 3: list has 'b.png' twice"),
        ('{"reference": "a.png", "image": 3}\n', "line 1: needs a reference and an image"),
        ('{"reference": "a.png"\n', "neither a csv nor JSON lines"),
    ],
)
def test_a_list_that_is_none(text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").write_text(text)
    assert words in refused("score", "--pairs", tmp_path / "list.csv", "-m", "psnr", capsys=capsys)
    assert "no such file" in refused("score", "--pairs", tmp_path / "none.csv", capsys=capsys)


def test_limits_end_in_1(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def code(*limits: str, paths: Sequence[Path] = pair) -> int:
        found = main(["score", *map(str, paths), "-m", "psnr", *limits])
        capsys.readouterr()
        return found

    [row] = printed_json(capsys, "score", *pair, "-m", "psnr")["scores"]
    under, over = str(row["value"] - 0.01), str(row["value"] + 0.01)
    assert code("--fail-under", f"psnr={under}", "--fail-over", f"psnr={over}") == 0
    assert code("--fail-under", f"psnr={over}") == 1
    assert code("--fail-over", f"psnr={under}") == 1
    assert code("--fail-under", "ssim=0.99") == 1  # scored for its limit
    assert code("--fail-over", "mse=1e-9") == 1
    assert code("--fail-under", "ssim(convention=piq)=0.001") == 0
    for name, count in (("ref", 0), ("x", 1)):
        (tmp_path / name).mkdir()
        for index in range(3):  # the last of three pairs is noisy
            (tmp_path / name / f"{index}.png").write_bytes(pair[count if index == 2 else 0].read_bytes())
    folders = [tmp_path / "ref", tmp_path / "x"]
    assert code("--fail-under", f"psnr={over}", paths=folders) == 1
    assert code("--fail-under", f"psnr={under}", paths=folders) == 0
    assert main(["score", *map(str, folders), "-m", "psnr", "--fail-under", f"psnr={over}"]) == 1
    assert f"limit: x, 2: psnr is {row['value']:.6g}, under" in capsys.readouterr().err
    for text in ("psnr", "=3", "psnr=nan", "psnr=high"):
        assert "takes NAME=NUMBER" in refused("score", *pair, "--fail-under", text, capsys=capsys)


def test_only_what_counts_is_scored(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[:100] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    y, x = (np.asarray(Image.open(path)).astype(float) / 255 for path in pair)
    [row] = printed_json(capsys, "score", *pair, "-m", "l1", "--mask", tmp_path / "mask.png")["scores"]
    assert row["value"] == pytest.approx(np.abs(x - y)[:100].mean(), abs=1e-6)
    [same] = measure(pair[1], pair[0], "l1", mask=tmp_path / "mask.png")
    assert same.signature == row["signature"]
    assert re.search(r"\|mask:[0-9a-f]{8}\|", same.signature)
    [same] = printed_json(capsys, "score", *pair, "-m", "l1", "--ignore", "0,100,200,100")["scores"]
    assert same["value"] == pytest.approx(row["value"], abs=1e-7)
    assert same["signature"] == "l1|range:255|ignore:0,100,200,100|v:1"
    for name, path in zip(("ref", "x"), pair, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(path.read_bytes())
    found = printed_json(
        capsys, "score", tmp_path / "ref", tmp_path / "x", "-m", "l1", "--mask", tmp_path / "mask.png"
    )
    assert found["signatures"]["l1"] == row["signature"]
    assert found["statistics"]["methods"]["x"]["l1"]["mean"] == pytest.approx(row["value"], abs=1e-7)
    everything = printed_json(capsys, "score", *pair, "--mask", tmp_path / "mask.png")["scores"]
    none = next(name for name in ("cw_ssim", "flip", "ssimulacra2") if not registry.metric_class(name).facts.masks)
    assert {one["metric"]: one["value"] is None for one in everything}[none]
    Image.fromarray(mask[:50]).save(tmp_path / "small.png")
    for more, words in (
        (["--mask", tmp_path / "small.png"], "the mask is 200x50 px, the pair 200x200 px"),
        (["--mask", pair[0]], "a mask is grey"),
        (["--ignore", "0,0,9"], "--ignore takes X,Y,W,H"),
        (["--ignore", "150,0,60,10"], "does not lie inside 200x200 px"),
    ):
        assert words in refused("score", *pair, "-m", "l1", *more, capsys=capsys)
    assert "takes no mask" in refused("score", *pair, "-m", none, "--ignore", "0,0,9,9", capsys=capsys)
    whole = ["--ignore", "0,0,200,200"]
    assert main(["score", *map(str, pair), "-m", "l1", *whole]) == 3  # nothing is left: no number
    assert "failed: l1: the score is not a number (NaN)" in capsys.readouterr().err


def test_grey_against_colour(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey = tmp_path / "grey.png"
    Image.open(pair[1]).convert("L").save(grey)
    assert "the image judged is grey" in refused("score", pair[0], grey, "-m", "psnr", capsys=capsys)
    [row] = printed_json(capsys, "score", pair[0], grey, "-m", "psnr", "--grey")["scores"]
    y, x = (
        np.asarray(Image.open(path).convert("RGB")).astype(float) @ [0.299, 0.587, 0.114]
        for path in (pair[0], grey)
    )
    assert row["value"] == pytest.approx(20 * np.log10(255 / np.sqrt(np.square(x - y).mean())), abs=1e-3)
    assert row["signature"] == "psnr|cap:100|range:255|luma:bt601|v:1"
    for name, path in zip(("ref", "x"), (pair[0], grey), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(path.read_bytes())
    folders = [tmp_path / "ref", tmp_path / "x"]
    found = printed_json(capsys, "score", *folders, "-m", "psnr", "--grey")
    assert found["statistics"]["methods"]["x"]["psnr"]["mean"] == pytest.approx(row["value"], abs=1e-5)
    assert "keep one of them" in refused("score", *folders, "--grey", "--luma", "ycbcr", capsys=capsys)


def test_score_writes_a_map(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "map [1].png"
    assert main(["score", *map(str, pair), "--map", str(target)]) == 0
    assert f"{target}: ssim map, 190x190 px, red -1, black 0, white 1" in capsys.readouterr().out
    assert files.load(target).shape == (190, 190, 3)
    found = printed_json(capsys, "score", *pair, "-m", "l1", "--map", target)
    assert found["map"]["file"] == str(target)
    assert (found["map"]["low"], found["map"]["high"]) == (0, 1)
    assert files.load(target).shape == (200, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map [1].png"]
    several = refused("score", *pair, "-m", "l1", "ssim", "--map", target, capsys=capsys)
    assert "--map draws one metric" in several
    assert "psnr: has no map" in refused("score", *pair, "-m", "psnr", "--map", target, capsys=capsys)


def test_score_refuses_what_it_cannot_read(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image\n")
    assert refused("score", text, pair[1], capsys=capsys).startswith(f"{text}: not an image")
    assert refused("score", pair[0], tmp_path / "no\nsuch.png", capsys=capsys).endswith("such.png: no such file")
    assert "is a file, not a folder" in refused("score", tmp_path, pair[1], capsys=capsys)
    assert "--crop-border is not for two images" in refused("score", *pair, "--crop-border", "4", capsys=capsys)
    assert "without references is out of scope" in refused("score", tmp_path, capsys=capsys)
    assert "did you mean 'ssim'?" in refused("score", *pair, "-m", "simm", capsys=capsys)
    assert "did you mean 'kornia-same'?" in refused("score", *pair, "--convention", "kornia", capsys=capsys)
    assert "'warp' cannot be used here" in refused("score", *pair, "--device", "warp", capsys=capsys)
    Image.open(pair[1]).crop((0, 0, 100, 90)).save(tmp_path / "crop.png")
    sizes = refused("score", pair[0], tmp_path / "crop.png", capsys=capsys)
    assert "the image judged is 100x90 px, the reference 200x200 px" in sizes


def test_score_names_the_option_for_transparency(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Image.open(pair[1]).convert("RGBA")
    image.putpixel((3, 3), (0, 0, 0, 0))
    image.save(tmp_path / "a.png")
    assert "--alpha" in refused("score", pair[0], tmp_path / "a.png", capsys=capsys)
    assert printed_json(capsys, "score", pair[0], tmp_path / "a.png", "-m", "l1", "--alpha", "white")


@pytest.mark.slow
def test_unreadable_input_in_a_process(pair: tuple[Path, Path], tmp_path: Path) -> None:
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(pair[0].read_bytes()[:5000])
    done = run("score", pair[0], truncated, "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"lookalike: {truncated}: truncated or damaged")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="file names are text here")
def test_names_that_are_not_text_are_shown_escaped(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    name.write_bytes(pair[1].read_bytes())
    done = run("score", pair[0], name, "-m", "l1", "--json")
    assert done.returncode == 0
    assert os.fsencode(json.loads(done.stdout)["judged"]) == os.fsencode(name)
    name.unlink()
    done = called(capsys, "score", pair[0], name)
    assert done.returncode == 2
    assert "\\udcff.png: no such file" in done.stderr


# ruler


def test_ruler_prints_a_row_a_convention(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "ruler", *pair)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == list(CONVENTIONS)
    assert all("ssim|win:" in line and CONVENTIONS[line.split()[0]].source in line for line in lines[2:-1])
    assert lines[-1].startswith(f"{len(CONVENTIONS)} conventions from ")


@pytest.mark.slow
def test_ruler_names_the_convention_of_a_number(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    readings = {row["convention"]: row["value"] for row in printed_json(capsys, "ruler", *pair)["readings"]}
    number = f"{readings['sewar']:.4f}"
    found = printed_json(capsys, "ruler", *pair, "--is", number)
    assert (found["is"], found["conventions"]) == (number, ["sewar"])
    done = called(capsys, "ruler", *pair, "--is", number)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["sewar"]


@pytest.mark.slow
def test_ruler_is_1_when_no_convention_gives_the_number(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    done = called(capsys, "ruler", *pair, "--is", "0.99990")
    assert done.returncode == 1
    assert done.stdout.startswith("no convention gives ssim 0.99990; nearest are\n")
    assert printed_json(capsys, "ruler", *pair, "--is", "-0.5000", code=1)["conventions"] == []
    assert "takes a number as it was printed" in refused("ruler", *pair, "--is", "high", capsys=capsys)


@pytest.mark.slow
def test_ruler_of_multi_scale_declines_by_row(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ruler", *map(str, pair), "--metric", "ms_ssim"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "has no MS-SSIM" in rows["scikit-image"]
    assert "—" in rows["scikit-image"]
    assert "ms_ssim|win:" in rows["pytorch-msssim"]
    number = printed_json(capsys, "ruler", *pair, "--metric", "ms_ssim")["readings"][0]["value"]
    found = printed_json(capsys, "ruler", *pair, "--metric", "ms_ssim", "--is", f"{number:.5f}")
    assert "wang2004" in found["conventions"]


# metrics


def test_metrics_lists_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "metrics")
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [words[0] for words in lines] == registry.catalog()
    assert done.stdout.split("\n", 1)[0].split()[-2:] == ["masks", "weights"]
    for words in lines:
        assert words[-2] == ("yes" if registry.metric_class(words[0]).facts.masks else "no")
    rows = printed_json(capsys, "metrics")
    assert [row["name"] for row in rows] == registry.catalog()
    for row in rows:
        facts = registry.metric_class(row["name"]).facts
        assert [float(end) for end in row["range"]] == list(facts.range)
        assert (row["better"], row["min_side"], row["paper"]) == (facts.better, facts.min_side, facts.paper)


def test_metrics_lists_the_conventions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "--conventions"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    for line, convention in zip(lines, CONVENTIONS.values(), strict=True):
        assert line.split()[0] == convention.name
        assert convention.source in line
        assert line.rstrip().endswith(convention.proof)
    assert [row["name"] for row in printed_json(capsys, "metrics", "--conventions")] == list(CONVENTIONS)


def test_a_metric_has_a_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "ssim", "mse"]) == 0
    said = capsys.readouterr().out
    for words in (
        "ssim: Structural similarity", "eq. 13", "doi 10.1109/TIP.2003.819861", "better     higher; -1 to 1;",
        "masks      yes", "maps       yes", "from 11 px a side", "exponents", "[1.0, 1.0, 1.0]", "use it",
        "l2, also mse: Mean squared error",
    ):  # fmt: skip
        assert words in said, words
    found = printed_json(capsys, "metrics", "cw_ssim")
    assert (found["options"]["levels"], found["masks"], found["maps"]) == (4, False, False)
    assert "did you mean 'ssim'?" in refused("metrics", "simm", capsys=capsys)


def test_every_metric_has_advice_and_a_sheet() -> None:
    for name in registry.catalog():
        found = sheet.of(name)
        assert found["use"], name
        assert found["not"], name
        assert found["formula"], name
        assert found["source"], name
        assert set(found["options"]) == set(registry.options_of(name)), name


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    "command",
    [["metrics"], ["metrics", "--conventions"], ["metrics", "ms_ssim"], ["weights"], ["losses"], ["score"]],
)
def test_tables_fit_80_columns_and_break_no_word(command: list[str], pair: tuple[Path, Path]) -> None:
    import pty

    main_end, terminal = pty.openpty()
    if command == ["score"]:
        command = ["score", *map(str, pair)]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "80",
        "TERM": "dumb",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", *command], stdout=terminal, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(terminal)
        said = b""
        try:
            while part := os.read(main_end, 65536):
                said += part
        except OSError:  # the other end is closed
            pass
        os.close(main_end)
    lines = said.decode().splitlines()
    assert process.returncode == 0
    assert max(map(len, lines)) <= 80
    words = set(" ".join(lines).split())
    for name in registry.catalog() if command == ["metrics"] else []:
        assert name in words
        assert any(line.startswith(f"{name} ") for line in lines)  # a table, no block a row


# losses


def test_losses_lists_every_preset_with_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses"]) == 0
    said = capsys.readouterr().out
    for row in PRESETS.values():
        [line] = [line for line in said.splitlines() if line.split()[:1] == [row.name]]
        assert row.formula in line
    assert main(["losses", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(PRESETS)
    assert rows["seed/ssim_l1"]["formula"] == "0.84*ssim + 0.16*gaussian_l1"
    assert rows["seed/ssim@published"]["breaks"] == ["negative", "batch", "data_range"]


# audit


def verdicts(findings: Sequence[dict[str, str]]) -> dict[str, str]:
    return {finding["promise"]: finding["verdict"] for finding in findings}


@pytest.mark.slow
def test_audit_of_our_own_keeps_its_promises(capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "audit", "l2")
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()[2:-1]] == list(PROMISES)
    assert done.stdout.splitlines()[-1] == f"0 of {len(PROMISES)} promises broken"


@pytest.mark.slow
def test_audit_of_a_loss_of_this_folder_finds_what_breaks(third_party: Path) -> None:
    done = run("audit", "third_party_losses:Backwards", "--promises", "symmetric", "pure", cwd=third_party)
    assert done.returncode == 1
    assert done.stderr == ""
    rows = {line.split()[1]: line.split()[2] for line in done.stdout.splitlines()[2:-1]}
    assert rows == {"symmetric": "broken", "pure": "kept"}
    assert done.stdout.splitlines()[-1] == "1 of 2 promises broken"


def test_audit_of_a_preset_and_of_an_expression(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "seed/ssim@published", "--promises", "negative", "pure", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert verdicts(found["seed/ssim@published"]) == {"negative": "broken", "pure": "kept"}
    assert main(["audit", "0.5*ssim + 0.5*l1", "3dgs", "--promises", "negative", "data_range", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["0.5*ssim + 0.5*l1", "3dgs"]


def test_audit_of_several_is_one_table(
    third_party: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    asked = ["l1", "third_party_losses:Backwards", "third_party_losses:Fine"]
    arguments = ["audit", *asked, "--promises", "symmetric", "gradcheck"]
    found = printed_json(capsys, *arguments, code=1)
    assert list(found) == asked
    assert verdicts(found["third_party_losses:Backwards"])["symmetric"] == "broken"
    assert verdicts(found["third_party_losses:Fine"]) == {"symmetric": "kept", "gradcheck": "kept"}
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert "✓ kept" in said
    assert said.rstrip().endswith("of 6 promises broken")


def test_audit_refuses_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot import 'no_such_module'" in refused("audit", "no_such_module:Loss", capsys=capsys)
    assert "did you mean 'ssim'?" in refused("audit", "sim", capsys=capsys)
    assert "no promise is called 'kept'" in refused("audit", "l1", "--promises", "kept", capsys=capsys)


# study


def test_study_writes_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photograph = tmp_path / "my photo.png"
    Image.fromarray(data.astronaut()[20:84, 180:244]).save(photograph)
    done = called(capsys, "study", photograph, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.rstrip().endswith(str(tmp_path / "out" / "index.html"))
    assert "my photo.png, 64x64 RGB" in done.stdout
    for name in ("index.html", "scores.json", "scores.csv"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_study_refuses_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.png"
    assert refused("study", missing, "--out", tmp_path / "out", capsys=capsys) == f"{missing}: no such file"
    assert "cannot be used here" in refused("study", "--device", "warp", capsys=capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
    ids=str,
)
def test_threads_hardly_spin_unless_told_otherwise(
    wish: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, wish.get(name, ""))
        if name not in wish:
            monkeypatch.delenv(name)
    assert main(["--version"]) == 0
    assert os.environ.get("GOMP_SPINCOUNT") == found


def test_garbage_is_collected_again_after_a_pair(pair: tuple[Path, Path]) -> None:
    assert gc.isenabled()
    assert main(["score", *map(str, pair), "-m", "l1"]) == 0
    assert gc.isenabled()
    assert main(["score", str(pair[0]), "nowhere.png", "-m", "l1"]) == 2
    assert gc.isenabled()


@pytest.mark.parametrize(
    "words", [["score", "", "a.png"], ["view", "a.png", ""], ["study", ""], ["lab", "autoencode", ""]]
)
def test_an_empty_argument_is_not_the_current_folder(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "an empty argument '' is no file" in capsys.readouterr().err
