"""The page of a lab run, from a folder made by hand: what it holds, and how it behaves in a browser."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_chromium, probe

from lookalike import runs
from lookalike.report import lab

NASTY = "<script>alert(1)</script> & 'cup'"
PROBE = """
  const table = view.querySelector("table.matrix");
  const rows = () => [...table.tBodies[0].rows].map(row => row.cells[0].textContent.trim());
  const button = [...table.querySelectorAll("thead button")].find(one => one.textContent === "psnr");
  const before = rows();
  button.click();
  const best = rows();
  button.click();
  const turned = rows();
  const shown = one => one.getClientRects().length;
  const visible = name => [...view.querySelectorAll(".pictures .view-" + name)].filter(shown).length;
  const pictures = [visible("picture"), visible("ssim")];
  view.getElementById("view-ssim").click();
  const maps = [visible("picture"), visible("ssim")];
  const slider = view.querySelector(".slider"), edge = slider.querySelector("input");
  const [left, right] = slider.querySelectorAll(".pair img");
  edge.value = "20";
  press(edge, "input");
  const [row, first] = slider.querySelectorAll("select");
  const was = left.src;
  row.value = "1";
  press(row, "change");
  return {
    before, best, turned, pictures, maps, at: slider.style.getPropertyValue("--at"), changed: left.src !== was,
    apart: left.src !== right.src, charts: view.querySelectorAll("svg polyline").length,
    scripts: view.querySelectorAll("script").length,
  };
"""


def write(path: Path, value: Any) -> None:
    runs.write_json(path, value)


def picture(path: Path, level: int) -> None:
    runs.write_png(path, np.full((16, 16, 3), level, np.uint8))


def cell(mean: float, best: bool = False) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 1, "high": mean + 1, "sd_seeds": None, "n": 2, "best": best, "p": None}


def made(folder: Path, directions: tuple[str, ...] = ()) -> Path:
    losses = [
        {"name": "mse", "label": "mse", "calibrated": {"l2": {"raw": 1.0, "used": 3.5}}},
        {"name": "ssim", "label": NASTY, "calibrated": {"ssim": {"raw": 1.0, "used": 0.1}}},
    ]
    rows = [{"id": "000", "name": "cup"}, {"id": "001", "name": NASTY}]
    record = {"kind": "lab", "task": "autoencode", "title": NASTY, "losses": losses, "seeds": [0]}
    record["samples"] = {"views": [{"id": "input", "label": "input"}], "rows": rows}
    write(folder / "lab.json", record | {"directions": list(directions)})
    write(folder / "recipe.json", {"task": "autoencode", "losses": ["mse", NASTY], "steps": 2})
    write(folder / "environment.json", {"torch": "2"})
    columns = [
        {"name": name, "title": name, "better": better, "signature": f"{name}|v:1"}
        for name, better in (("psnr", "higher"), ("l2", "lower"), ("delta_l", "none"))
    ]
    matrix = [
        {"label": "mse", "kind": "loss", "loss": "mse", "own": ["l2"],
         "cells": {"psnr": cell(20.0), "l2": cell(0.1, True), "delta_l": cell(0.0)}},
        {"label": NASTY, "kind": "loss", "loss": "ssim", "own": [],
         "cells": {"psnr": cell(30.0, True), "l2": cell(0.2), "delta_l": {"absent": "too small"}}},
        {"label": "identity", "kind": "baseline", "loss": None, "own": [], "cells": {"psnr": cell(10.0)}},
    ]  # fmt: skip
    write(folder / "matrix.json", {"columns": columns, "rows": matrix})
    for number, loss in enumerate(losses):
        lines = [
            {"images": step, "step": step, "terms": {name: {"value": value, "weighted": value} for name in
             loss["calibrated"]}, "loss": value, "seconds": 0.1}
            for step, value in ((1, 1.0), (2, 0.5))
        ]  # fmt: skip
        text = "".join(json.dumps(line) + "\n" for line in lines)
        runs.write_text(folder / loss["name"] / "seed0" / "terms.jsonl", text)
        for place, row in enumerate(rows):
            for way in directions or ("",):
                picture(folder / loss["name"] / "seed0/samples" / way / f"{row['id']}.png", 60 * number + place)
                for kind in ("difference", "ssim"):
                    picture(folder / "maps" / loss["name"] / way / f"{row['id']}_{kind}.png", 200 + place)
                picture(folder / "samples/input" / way / f"{row['id']}.png", 130 + place)
    return folder


def test_names_are_escaped_and_nothing_is_fetched(tmp_path: Path):
    text = lab.write(made(tmp_path)).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


def test_every_direction_has_its_pictures(tmp_path: Path):
    text = lab.write(made(tmp_path, ("a-to-b", "b-to-a"))).read_text(encoding="utf-8")
    assert text.count('class="pictures"') == 2
    assert text.count('class="slider"') == 2


def test_what_is_missing_is_named(tmp_path: Path):
    folder = made(tmp_path)
    (folder / "samples/input/001.png").unlink()
    with pytest.raises(ValueError, match=r"001\.png: the page needs this picture"):
        lab.write(folder)
    runs.write_json(folder / "lab.json", {"kind": "study"})
    with pytest.raises(ValueError, match="is not the record of a lab run"):
        lab.write(folder)


@needs_chromium
@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_browser(tmp_path: Path, width: int):
    text = lab.write(made(tmp_path)).read_text(encoding="utf-8")
    said = probe(text, width, PROBE, tmp_path)
    assert not said["console"]
    assert said["scroll"] <= width
    assert said["loaded"]
    assert said["reached"]
    assert said["best"] == [NASTY, "mse", "identity"]  # the first click puts the best first
    assert said["turned"] == ["identity", "mse", NASTY]
    assert said["pictures"] == [4, 0]
    assert said["maps"] == [0, 4]
    assert said["at"] == "20%"
    assert said["changed"]
    assert said["apart"]
    assert said["charts"] == 4  # each loss by its term and as a whole
