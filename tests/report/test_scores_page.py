"""The page of a score table: numbers, pictures and names are those of the table, and it works in a browser."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import needs_chromium, probe
from PIL import Image
from skimage import data

from lookalike.cli.main import main
from lookalike.records import tables
from lookalike.records.statistics import decimals
from lookalike.report import scores
from lookalike.report.finding import finding
from lookalike.scoring.run import score_folders

NASTY = "<script>alert(1)<", "script>.png"  # a folder and a file in it: together they close the tag
COUNT = 7
PROBE = """
  const table = view.querySelector("table.matrix");
  const order = () => [...table.tBodies[0].rows].map(row => row.cells[0].innerText.trim());
  const [, psnr, gmsd] = table.querySelectorAll("thead button");
  const found = {};
  psnr.click(); found.psnr = order();
  psnr.click(); found.turned = order();
  gmsd.click(); found.gmsd = order();
  const up = view.getElementById("up"), dots = () => view.querySelectorAll("#plot circle").length;
  found.dots = dots();
  const before = view.getElementById("plot").innerHTML;
  up.value = "0"; press(up, "change");
  found.redrawn = before !== view.getElementById("plot").innerHTML && dots() === found.dots;
  const judge = view.getElementById("judge");
  const open = () => [...view.querySelectorAll(".worst:not([hidden])")].map(part => part.dataset.metric);
  found.first = open();
  judge.selectedIndex = 1; press(judge, "change");
  found.second = open();
  const button = view.querySelector(".worst:not([hidden]) button.compare"), dialog = view.getElementById("compare");
  button.closest(".card").querySelector(".sides").click();
  const said = name => dialog.querySelector(name).textContent;
  found.opened = [dialog.open, said("strong"), said("code")];
  found.compared = [...dialog.querySelectorAll("img")].map(image => image.src.slice(0, 14));
  dialog.querySelector("button").click();
  found.closed = !dialog.open;
  const board = view.querySelector(".scroll"), head = table.tBodies[0].rows[0].cells[0];
  table.style.width = "3000px";
  const left = head.getBoundingClientRect().left;
  board.scrollLeft = 500;
  found.scrolled = board.scrollLeft;
  found.sticks = Math.abs(head.getBoundingClientRect().left - left) < 1;
  table.style.width = "";
  found.title = view.title;
  found.scripts = view.scripts.length;
  found.names = view.body.innerText.includes("<script>alert(1)<");
  return found;
"""


def draw(folder: Path) -> tuple[Path, Path, Path]:
    """References and two methods, the second noisier; one picture of it is damaged, one name hostile."""
    places = folder / "ref", folder / "little", folder / "much"
    for index in range(COUNT):
        y = np.ascontiguousarray(data.astronaut()[16 * index : 16 * index + 40, 150:206])
        for place, sigma in zip(places, (0, 4, 16), strict=True):
            file = place.joinpath(*NASTY) if index == 0 else place / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(index).normal(0, sigma, y.shape)
            Image.fromarray(np.clip(np.rint(y + noise), 0, 255).astype(np.uint8)).save(file)
    (places[2] / "3.png").write_bytes(b"no picture")
    return places


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores")
    reference, *methods = draw(folder)
    score_folders(reference, methods, ["psnr", "gmsd"], output=folder / "scores.csv", workers=1)
    return folder / "scores.csv"


@pytest.fixture(scope="module")
def text(table: Path) -> str:
    return scores.write(table).read_text(encoding="utf-8")


def stored(text: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def test_the_numbers_are_those_of_the_table(table: Path, text: str):
    read = tables.read(table)
    for methods in read.metadata["statistics"]["methods"].values():
        for cell in methods.values():
            assert f'data-value="{cell["mean"]}"' in text
            digits = decimals(cell["low"], cell["high"], cell["mean"])
            assert f">{cell['mean']:.{digits}f}<" in text
            assert f"{cell['low']:.{digits}f} … {cell['high']:.{digits}f}" in text
    for signature in read.metadata["signatures"].values():
        assert signature in text.replace("<wbr>", "")
    points = stored(text, "points")
    assert points["pair"] == [row.pair for row in read.rows]
    for at, column in enumerate(points["values"]):
        scores_of = [row.values[at] for row in read.rows]
        assert [value is None for value in column] == [value is None for value in scores_of]
        assert column[1] == pytest.approx(scores_of[1], rel=1e-5)


def test_the_finding_is_the_title(text: str):
    assert "<title>little beats much by psnr and gmsd; much lacks 1 pair · scores.csv" in text
    assert '<h1 class="finding">little beats much by psnr and gmsd; much lacks 1 pair</h1>' in text


def test_the_finding_says_who_is_told_apart():
    def cell(mean: float | None, letters: str) -> dict[str, Any]:
        return {"mean": mean, "low": mean, "high": mean, "letters": letters}

    def told(*rows: list[dict[str, Any]]) -> str:
        names = ["psnr", "lpips", "ssim"][: len(rows[0])]
        methods = {method: dict(zip(names, row, strict=True)) for method, row in zip("abcd", rows, strict=False)}
        return finding(methods, {name: "lower" if name == "lpips" else "higher" for name in names})

    high, low, same, none = cell(31.0, "a"), cell(30.0, "b"), cell(30.5, "ab"), cell(None, "")
    assert (
        told([high, high, high], [low, low, same])
        == "a beats b by psnr; b beats a by lpips; not told apart by ssim"
    )
    assert told([high, same]) == "a: psnr 31.00, lpips 30.50"
    assert told([none]) == "a: no pair has a score"
    assert told([high, same], [same, high]) == "a and b are not told apart by psnr and lpips"
    assert told([high, high], [low, none]) == "a beats b by psnr"
    assert told([none], [none]) == "2 methods, which no metric compares: not all have a score"
    fewer = high | {"lacking": 2}
    assert told([fewer], [low]) == "a beats b by psnr; a lacks 2 pairs"
    assert told([fewer], [fewer]) == "a and b are not told apart by psnr; a and b lack pairs"
    assert told([high, high], [low, same], [low, low]) == "a beats the 2 others by psnr; no single best by lpips"


def test_the_error_is_named(text: str):
    assert "1 has an error" in text
    assert "3.png: not an image of a known kind" in text


def test_names_cannot_break_out(text: str):
    assert "<script>alert" not in text
    assert text.count("<script") == text.count("</script") == 3


def test_every_picture_stands_once(text: str):
    pictures = stored(text, "pictures")
    assert len(pictures) == len(set(pictures))
    used = {int(place) for place in re.findall(r'data-picture="(\d+)"', text)}
    assert used == set(range(len(pictures)))


@pytest.mark.parametrize("ending", tables.KINDS)
def test_each_kind_of_table_gives_the_same_page(table: Path, text: str, tmp_path: Path, ending: str):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    read = tables.read(table)
    path = tmp_path / f"scores{ending}"
    tables.write(path, read.metrics, read.metadata, read.rows)
    assert scores.write(path).read_text(encoding="utf-8").replace(path.name, table.name) == text


def test_pictures_that_are_gone_are_said(table: Path, tmp_path: Path):
    read = tables.read(table)
    rows = [row._replace(image=str(tmp_path / "gone.png")) for row in read.rows]
    tables.write(tmp_path / "t.jsonl", read.metrics, read.metadata, rows)
    text = scores.write(tmp_path / "t.jsonl").read_text(encoding="utf-8")
    assert f"not found: {tmp_path / 'gone.png'}" in text
    assert stored(text, "pictures")


def test_the_pictures_are_those_that_were_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another project of the same layout, from whose folder the report is asked for, lends none of its pictures."""
    for project, seed in (("mine", 0), ("other", 9)):
        for name, sigma in (("ref", 0), ("net", 9)):
            (tmp_path / project / name).mkdir(parents=True)
            noise = np.random.default_rng(seed).normal(0, sigma, (24, 24))
            pixels = np.clip(np.rint(20 * seed + 40 + noise), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / project / name / "a.png")
    (tmp_path / "mine" / "out").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    score_folders(Path("ref"), [Path("net")], ["psnr"], output=Path("out/o.csv"))
    monkeypatch.chdir(tmp_path / "other")

    def shown() -> list[int]:
        store = stored(scores.write(tmp_path / "mine/out/o.csv").read_text(encoding="utf-8"), "pictures")
        return [
            int(np.asarray(Image.open(io.BytesIO(base64.b64decode(one.split(",")[1])))).mean()) for one in store
        ]

    assert [abs(level - 40) < 5 for level in shown()] == [True, True]
    shutil.copy(tmp_path / "other/net/a.png", tmp_path / "mine/net/a.png")  # changed since it was scored
    assert len(shown()) == 1
    page = (tmp_path / "mine/out/o.csv.html").read_text(encoding="utf-8")
    assert "another file than the one that was scored: net/a.png" in page
    (tmp_path / "mine/net/a.png").unlink()
    assert len(shown()) == 1
    assert "not found: net/a.png" in (tmp_path / "mine/out/o.csv.html").read_text(encoding="utf-8")
    shutil.move(tmp_path / "mine", tmp_path / "moved")  # as a whole, with its pictures
    text = scores.write(tmp_path / "moved/out/o.csv").read_text(encoding="utf-8")
    assert len(stored(text, "pictures")) == 1


def test_what_people_know_stands_first_and_pictures_before_charts(table: Path, tmp_path: Path):
    read = tables.read(table)
    turned = [row._replace(values=row.values[::-1]) for row in read.rows]
    tables.write(tmp_path / "t.csv", read.metrics[::-1], read.metadata | {
        "signatures": dict(reversed(read.metadata["signatures"].items()))
    }, turned)  # fmt: skip
    text = scores.write(tmp_path / "t.csv").read_text(encoding="utf-8")
    assert stored(text, "points")["metrics"] == ["psnr", "gmsd"]
    assert text.index("worst pairs</h2>") < text.index("Leaderboard</h2>") < text.index("Distributions</h2>")


def test_the_page_holds_no_more_pictures_than_it_says(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scores, "PICTURES", 3)
    text = scores.write(table, tmp_path / "few.html").read_text(encoding="utf-8")
    assert len(stored(text, "pictures")) == 3
    assert "left out, the page holds 3 pictures" in text


def test_many_rows_are_thinned_and_said(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scores, "POINTS", 5)
    points = stored(scores.write(table, tmp_path / "few.html").read_text(encoding="utf-8"), "points")
    assert points["step"] == 3
    assert len(points["pair"]) == len(points["values"][0]) == 5


@pytest.mark.parametrize("kind", ["I;16", "CMYK", "P", "1", "LA"])
def test_pictures_of_any_kind_are_reduced_and_never_stretched(tmp_path: Path, kind: str):
    if kind == "I;16":
        image = Image.fromarray(np.full((300, 400), 257 * 100, np.uint16))
    else:
        image = Image.new("L", (400, 300), 100).convert(kind)
    file = tmp_path / ("a.tif" if kind == "CMYK" else "a.png")
    image.save(file)
    store: list[str] = []
    assert scores._stored("a.tif" if kind == "CMYK" else "a.png", tmp_path, store) == {"place": 0}
    if kind == "I;16":
        with Image.open(io.BytesIO(base64.b64decode(store[0].split(",")[1]))) as reduced:
            assert reduced.size == (scores.SHOWN_PX, 144)
            assert set(np.unique(np.asarray(reduced))) == {100}


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not text are tried on Linux")
@pytest.mark.parametrize("ending", tables.KINDS)
def test_a_table_whose_name_is_not_text(table: Path, tmp_path: Path, ending: str):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    read = tables.read(table)
    place = tmp_path / f"folder \udcfe/scores \udcff<script>{ending}"
    tables.write(place, read.metrics, read.metadata, read.rows)
    page = scores.write(place).read_text(encoding="utf-8")
    assert f" · scores \\xff&lt;script&gt;{ending} · lookalike scores</title>" in page


def test_pictures_stand_upright_and_floats_are_seen(tmp_path: Path):
    ramp = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    Image.fromarray(np.uint8(ramp * 255)).save(tmp_path / "b.png", exif=exif)
    for name, size in (("a.tif", (60, 40)), ("b.png", (40, 60))):
        with Image.open(io.BytesIO(scores._reduced(tmp_path / name))) as reduced:
            assert reduced.size == size
            assert np.ptp(np.asarray(reduced)) == 255


def test_a_picture_that_cannot_be_asked_for_costs_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "eps.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "no picture: eps.png (cannot identify" in scores._stored("eps.png", tmp_path, [])["reason"]

    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", closed)
    assert "no picture: a.png ([Errno 13] Permission denied)" in scores._stored("a.png", tmp_path, [])["reason"]


def test_tables_that_cannot_be_shown(table: Path, tmp_path: Path):
    read = tables.read(table)
    tables.write(tmp_path / "bare.jsonl", read.metrics, read.metadata | {"statistics": None}, read.rows)
    with pytest.raises(ValueError, match="without statistics or rows"):
        scores.write(tmp_path / "bare.jsonl")
    rows = [row._replace(method="another") for row in read.rows]
    tables.write(tmp_path / "mixed.jsonl", read.metrics, read.metadata, rows)
    with pytest.raises(ValueError, match="its statistics lack another; make it again"):
        scores.write(tmp_path / "mixed.jsonl")
    with pytest.raises(ValueError, match=r"a page ends in \.html"):
        scores.write(table, table)


def test_a_metric_that_declined_every_pair(table: Path, tmp_path: Path):
    read = tables.read(table)
    statistics = json.loads(json.dumps(read.metadata["statistics"]))
    nothing = {"count": 0, "mean": None, "median": None, "low": None, "high": None, "worst": [], "best": []}
    for said in statistics["methods"].values():
        said["gmsd"] = nothing
    rows = [row._replace(values=(row.values[0], None)) for row in read.rows]
    tables.write(tmp_path / "t.csv", read.metrics, read.metadata | {"statistics": statistics}, rows)
    assert scores.write(tmp_path / "t.csv").read_text(encoding="utf-8").count("No pair has a score.") == 3


def test_a_page_is_made_without_torch(table: Path, tmp_path: Path):
    code = (
        "import sys; from lookalike.report import scores; scores.write(sys.argv[1], sys.argv[2]);"
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(table), str(tmp_path / "page.html")]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_command(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(table), "--out", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.html")
    (tmp_path / "notes.txt").touch()
    for path, said in (
        (tmp_path / "none", "none: no such file or folder"),
        (tmp_path, "holds notes.txt, page.html; the folder of a lab run has lab.json, of a study scores.json"),
        (tmp_path / "notes.txt", r"a table of scores ends in .parquet, .csv, .jsonl"),
    ):
        assert main(["report", str(path)]) == 2
        assert said in capsys.readouterr().err


def test_the_charts_as_files(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    read = tables.read(table)
    rows = [row._replace(method="a\x01<b>&" if row.method == "much" else row.method) for row in read.rows]
    statistics = json.loads(json.dumps(read.metadata["statistics"]))
    statistics["methods"]["a\x01<b>&"] = statistics["methods"].pop("much")
    names = {"psnr": "psnr(luma=ycbcr)", "gmsd": "gmsd"}
    renamed = {
        key: {names[name]: value for name, value in read.metadata[key].items()} for key in ("signatures", "better")
    }
    for columns in statistics["methods"].values():
        columns["psnr(luma=ycbcr)"] = columns.pop("psnr")
    metadata = read.metadata | renamed | {"statistics": statistics}
    tables.write(tmp_path / "t.jsonl", tuple(names.values()), metadata, rows)
    plots = tmp_path / "new" / "plots"
    assert main(["report", str(tmp_path / "t.jsonl"), "--plots", str(plots)]) == 0
    page, *files = map(Path, capsys.readouterr().out.split())
    assert page.name == "t.jsonl.html"
    assert files == [plots / "psnr-luma-ycbcr.svg", plots / "gmsd.svg"]
    for file in files:
        tree = ElementTree.parse(file).getroot()
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"
        said = ["".join(part.itertext()) for part in tree.iter("{http://www.w3.org/2000/svg}text")]
        assert said[:2] == ["little", "a\N{REPLACEMENT CHARACTER}<b>&"]
        assert tree.find("{http://www.w3.org/2000/svg}style") is not None
    assert main(["report", str(tmp_path / "t.jsonl"), "--plots", str(plots)]) == 0  # ours are replaced
    capsys.readouterr()
    files[1].write_text("<?xml version='1.0'?><svg/>")
    for command, words in (
        (["--plots", str(plots)], "gmsd.svg: is there and not of lookalike"),
        (["--plots", str(files[0])], "psnr-luma-ycbcr.svg: is a file; name a folder for the plots"),
    ):
        assert main(["report", str(tmp_path / "t.jsonl"), *command]) == 2
        assert words in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--plots", str(plots)]) == 2
    assert "--plots is for tables" in capsys.readouterr().err


@needs_chromium
@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_browser(text: str, tmp_path: Path, width: int):
    said = probe(text, width, PROBE, tmp_path)
    assert not said["console"]
    assert said["client"] == width
    assert said["scroll"] <= width
    assert said["loaded"]
    assert said["images"] > 0
    assert said["reached"]
    assert said["psnr"] == ["little", "much"]  # the first click puts the best first
    assert said["turned"] == ["much", "little"]
    assert said["gmsd"] == ["little", "much"]
    assert said["dots"] == 2 * COUNT - 1
    assert said["redrawn"]
    assert (said["first"], said["second"]) == (["psnr"], ["gmsd"])
    assert said["scripts"] == 3
    assert said["opened"][0] is True
    assert said["opened"][2].startswith("lookalike view ")
    assert html.escape(said["opened"][1]) in text
    assert said["compared"] == ["data:image/png"] * 2
    assert said["closed"]
    assert said["scrolled"] > 0
    assert said["sticks"]  # the methods' names stay where they are
    assert said["title"].startswith("little beats much by ")
    assert said["names"]


@needs_chromium
def test_the_probe_sees_errors_and_what_is_too_wide(tmp_path: Path):
    said = probe('<!doctype html><div style="width:900px">x</div><script>missing()</script>', 400, "", tmp_path)
    assert any("missing is not defined" in line for line in said["console"])
    assert said["scroll"] == 900 + 8
