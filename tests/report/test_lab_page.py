"""The page of a lab run, from folders as the lab leaves them, with small real pictures."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_chromium, probe
from PIL import Image, ImageFilter
from skimage import data

from lookalike.cli.main import main
from lookalike.records import runs
from lookalike.report import lab

NASTY = "</script><script>alert(1)</script>"
LOSSES = [("mse", "mse"), ("ssim", NASTY), ("mix", "0.84*ms_ssim + 0.16*l1")]
BLUR = {"mse": 1.5, "ssim": 0.8, "mix": 0.6}
MEANS = {"mse": (24.0, 0.81), "ssim": (22.5, 0.93), "mix": (25.5, 0.91)}
PROBE = """
  const table = view.querySelector("table.matrix");
  const order = () => [...table.tBodies[0].rows].map(row => row.cells[0].innerText.trim());
  const [, psnr] = table.querySelectorAll("thead button");
  const found = { asked: order().length };
  psnr.click(); found.best = order();
  psnr.click(); found.worst = order();
  const cells = table.querySelectorAll("td.best, td.own");
  found.marked = [...cells].map(cell => cell.className.trim()).sort();
  const shown = name => [...view.querySelectorAll("table.pictures img.view-" + name)]
    .map(image => image.getClientRects().length > 0);
  const now = () => ["picture", "error", "ssim"].map(name => shown(name).every(Boolean) && shown(name).length > 0);
  found.views = [now()];
  for (const name of ["error", "ssim"]) {
    view.querySelector(".switch.show-" + name).click();
    found.views.push(now());
  }
  const flip = view.querySelector("td.flip"), kinds = ["picture", "error", "ssim"];
  const there = () => kinds.filter(name => flip.querySelector(".view-" + name).getClientRects().length);
  found.flips = kinds.map(name => {
    view.querySelector(".switch.show-" + name).click();
    flip.focus();
    const focused = there();
    flip.blur();
    return [focused, there()];
  });
  const slider = view.querySelector(".slider"), [row, before, after] = slider.querySelectorAll("select");
  const over = slider.querySelector(".after img"), under = slider.querySelector(".pair > img");
  const edge = slider.querySelector("input");
  edge.value = "30"; press(edge, "input");
  found.clip = view.defaultView.getComputedStyle(slider.querySelector(".after")).clipPath;
  found.names = [under.alt, over.alt];
  row.value = "1"; press(row, "change");
  after.value = "0"; press(after, "change");
  found.others = [under.alt, over.alt];
  found.charts = view.querySelectorAll("svg.chart").length;
  found.scripts = view.scripts.length;
  return found;
"""


def pictures(count: int) -> Iterator[Image.Image]:
    for index in range(count):
        yield Image.fromarray(np.ascontiguousarray(data.astronaut()[40 * index : 40 * index + 48, 170:218]))


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def lay(folder: Path, directions: list[str]) -> Path:
    """A finished run."""
    for way in directions or [""]:
        for index, picture in enumerate(pictures(2)):
            row = f"{index:03}"
            save(picture, folder / "samples" / "input" / way / f"{row}.png")
            if not directions:
                save(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), folder / "samples/target" / f"{row}.png")
            for name, sigma in BLUR.items():
                made = picture.filter(ImageFilter.GaussianBlur(sigma))
                save(made, folder / name / "seed0" / "samples" / way / f"{row}.png")
                for kind in ("difference", "ssim"):
                    save(made.convert("L"), folder / "maps" / name / way / f"{row}_{kind}.png")
    for name, sigma in BLUR.items():
        log = [
            {
                "images": 8 * step, "step": step, "loss": sigma / step, "seconds": 0.1 * step,
                "terms": {name: {"value": sigma / step, "weighted": sigma / step}},
            }
            for step in range(1, 600)
        ]  # fmt: skip
        path = folder / name / "seed0" / runs.TERMS
        path.write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    views = ["input"] if directions else ["input", "target"]
    runs.write_json(
        folder / runs.LAB,
        {
            "kind": "lab",
            "task": "translate" if directions else "restore",
            "title": "Losses compared",
            "losses": [
                {"name": name, "label": label, "calibrated": {name: {"raw": 1.0, "used": 2.5}}}
                for name, label in LOSSES
            ],
            "seeds": [0],
            "samples": {
                "views": [{"id": view, "label": view} for view in views],
                "rows": [{"id": "000", "name": "astronaut 0"}, {"id": "001", "name": NASTY}],
            },
            "directions": directions,
        },
    )
    runs.write_json(folder / runs.MATRIX, matrix())
    runs.write_json(
        folder / runs.RECIPE, {"task": "restore", "losses": [label for _, label in LOSSES], "steps": 600}
    )
    runs.write_json(folder / runs.ENVIRONMENT, {"python": "3", "device": "cpu"})
    return folder


def matrix() -> dict[str, Any]:
    columns = [
        {"name": "psnr", "title": "PSNR", "better": "higher", "signature": "psnr|range:1|v:1"},
        {"name": "ssim", "title": "SSIM", "better": "higher", "signature": "ssim|win:11|v:1"},
    ]
    rows = []
    for name, label in LOSSES:
        cells = {
            column["name"]: {
                "mean": mean, "low": mean - 0.02, "high": mean + 0.02, "sd_seeds": None, "n": 2,
                "best": mean == max(means[at] for means in MEANS.values()), "p": None,
            }
            for at, (column, mean) in enumerate(zip(columns, MEANS[name], strict=True))
        }  # fmt: skip
        own = {"mse": ["psnr"], "ssim": ["ssim"], "mix": []}[name]
        rows.append({"label": label, "kind": "loss", "loss": name, "own": own, "cells": cells})
    absent = {column["name"]: {"absent": "identical images"} for column in columns}
    rows.append({"label": "identity", "kind": "baseline", "loss": None, "own": [], "cells": absent})
    return {"columns": columns, "rows": rows}


@pytest.fixture(scope="module", params=[[], ["A to B", "B to A"]], ids=["restore", "translate"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay(tmp_path_factory.mktemp("lab"), request.param)


def text_of(run: Path) -> str:
    return lab.write(run).read_text(encoding="utf-8")


def test_every_number_is_there(run: Path):
    text = text_of(run)
    for row in matrix()["rows"]:
        for cell in row["cells"].values():
            assert ("absent" in cell and cell["absent"] in text) or f'data-value="{cell["mean"]}"' in text


def test_a_deviation_over_subsets_is_shown_as_such(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    judged = matrix()
    judged["columns"][0] |= {"name": "a-to-b:kid_vgg16_pool5", "title": "A → B: KID (VGG16 pool5)"}
    for row in judged["rows"]:
        row["cells"]["a-to-b:kid_vgg16_pool5"] = {
            "mean": 1.5, "low": None, "high": None, "sd_subsets": 0.25, "sd_seeds": 0.125, "n": 2, "best": False,
            "p": None,
        }  # fmt: skip
    runs.write_json(tmp_path / "run" / runs.MATRIX, judged)
    text = text_of(tmp_path / "run")
    assert "A → B: KID (VGG16 pool5)" in text
    assert '1.5<span class="interval">± 0.25 over subsets, ± 0.125 over seeds</span>' in text


def test_names_cannot_break_out(run: Path):
    text = text_of(run)
    assert "<script>alert" not in text
    assert text.count("<script") == text.count("</script") == 1
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_page_is_made_without_torch(run: Path):
    code = "import sys; from lookalike.report import lab; lab.write(sys.argv[1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(run)], check=False).returncode == 0


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / runs.PAGE)
    assert main(["report", str(run), "--out", "page.html"]) == 2
    assert "gets its own index.html" in capsys.readouterr().err


def test_what_a_run_lacks_is_named(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    next((tmp_path / "run" / "samples" / "input").rglob("001.png")).unlink()
    with pytest.raises(ValueError, match=r"001\.png: the page needs this picture"):
        lab.write(tmp_path / "run")
    (tmp_path / "run" / runs.MATRIX).unlink()
    with pytest.raises(ValueError, match=r"matrix\.json: no such file"):
        lab.write(tmp_path / "run")
    runs.write_json(tmp_path / "run" / runs.MATRIX, matrix())
    runs.write_json(tmp_path / "run" / runs.LAB, {"kind": "study"})
    with pytest.raises(ValueError, match="is not the record of a lab run"):
        lab.write(tmp_path / "run")


@needs_chromium
@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_browser(run: Path, tmp_path: Path, width: int):
    said = probe(text_of(run), width, PROBE, tmp_path)
    assert not said["console"]
    assert said["client"] == width
    assert said["scroll"] <= width
    assert said["loaded"]
    assert said["reached"]
    labels = dict(LOSSES)
    assert said["best"] == [labels["mix"], labels["mse"], labels["ssim"], "identity"]
    assert said["worst"] == [labels["ssim"], labels["mse"], labels["mix"], "identity"]
    assert said["marked"] == ["best", "best own", "own"]
    assert said["views"] == [[True, False, False], [False, True, False], [False, False, True]]
    assert said["flips"] == [
        [["error"], ["picture"]],
        [["picture"], ["error"]],
        [["picture"], ["ssim"]],
    ]  # fmt: skip - by keyboard, and away again
    assert said["clip"] == "inset(0px 0px 0px 30%)"
    assert said["names"] == ["astronaut 0, input", f"astronaut 0, {labels['mix']}"]
    assert said["others"] == [f"{NASTY}, input", f"{NASTY}, input"]
    assert said["charts"] == 4
    assert said["scripts"] == 1
