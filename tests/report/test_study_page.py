import base64
import html
import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_chromium, probe
from PIL import Image
from skimage import data

from lookalike import report, study
from lookalike.records import runs
from lookalike.report.study import SHOWN_PX, lessons

NASTY = """<img src=x onerror=alert(1)> & "it's".png"""
PROBE = """
  const first = view.querySelector("article");
  const shown = name => [...first.querySelectorAll("img.view-" + name)].map(image => image.getClientRects().length);
  const before = [shown("picture"), shown("ssim")];
  first.querySelector(".show-ssim").click();
  const after = [shown("picture"), shown("ssim")];
  const all = list => list.length > 0 && list.every(Boolean);
  const none = list => !list.some(Boolean);
  return { before: all(before[0]) && none(before[1]), after: none(after[0]) && all(after[1]) };
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two small photographs, one with a hostile name, and its page."""
    folder = tmp_path_factory.mktemp("page")
    runs.write_png(folder / NASTY, np.ascontiguousarray(data.astronaut()[30:94, 160:240]))
    runs.write_png(folder / "grey.png", np.ascontiguousarray(data.camera()[120:152, 200:240]))
    study.run([folder / NASTY, folder / "grey.png"], folder / "out")
    report.study_page(folder / "out")
    return folder / "out"


def text_of(folder: Path) -> str:
    return (folder / runs.PAGE).read_text(encoding="utf-8")


class Page(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself(made: Path):
    text = text_of(made)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "form"}
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), (tag, name, address)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.findall(r"url\(|@import", text)


def test_names_of_files_are_escaped(made: Path):
    page = Page(text_of(made))
    assert html.escape(NASTY.split(".png")[0], quote=False)[:10] in text_of(made)
    assert ("img", {"src": "x", "onerror": "alert(1)"}) not in page.tags
    assert any(NASTY in (attributes.get("alt") or "") for tag, attributes in page.tags if tag == "img")


def test_every_picture_is_named_and_whole(made: Path):
    pictures = [attributes for tag, attributes in Page(text_of(made)).tags if tag == "img"]
    assert len(pictures) == 2 * (2 + 14 * 7 + 3)
    for attributes in pictures:
        assert attributes["alt"]
        source = attributes["src"] or ""
        with Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))) as image:
            image.load()


def test_labels_and_ids_fit(made: Path):
    tags = Page(text_of(made)).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["for"] for tag, attributes in tags if tag == "label"} <= set(ids)
    assert {(attributes["href"] or "")[1:] for tag, attributes in tags if tag == "a"} <= set(ids)
    assert sum("checked" in attributes for _, attributes in tags) == 2


def test_the_page_shows_every_number_and_signature(made: Path):
    record = runs.read_json(made / runs.SCORES)
    plain = re.sub(r"<wbr>", "", text_of(made))
    for column in record["columns"]:
        assert html.escape(column["signature"]) in plain
        for photograph in record["photographs"]:
            for picture in photograph["pictures"]:
                score = picture["scores"][column["name"]]
                assert f"<td>{runs.shown(score['value'], column['digits'])}</td>" in plain
                assert score["value"] is not None or score["reason"] in plain
    for value in runs.read_json(made / runs.ENVIRONMENT).values():
        assert html.escape(value) in plain


def test_a_page_is_made_without_torch(made: Path):
    code = (
        "import sys; from lookalike import report; report.study_page(sys.argv[1]);"
        "sys.exit('torch' in sys.modules or 'lookalike.study' in sys.modules)"
    )
    before = text_of(made)
    assert subprocess.run([sys.executable, "-c", code, str(made)], check=False).returncode == 0
    assert text_of(made) == before


def test_folders_that_hold_no_study_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"scores\.json: no such file"):
        report.study_page(tmp_path)
    runs.write_json(tmp_path / runs.SCORES, {"kind": "study", "format": 99})
    with pytest.raises(ValueError, match="is not a study this version can show"):
        report.study_page(tmp_path)


def test_a_missing_picture_is_named(made: Path, tmp_path: Path):
    shutil.copytree(made, tmp_path / "out")
    (tmp_path / "out" / "images" / "grey-blur.png").unlink()
    with pytest.raises(ValueError, match=r"grey-blur\.png: a picture of the study cannot be read"):
        report.study_page(tmp_path / "out")


def test_large_pictures_are_reduced_on_the_page_alone(made: Path, tmp_path: Path):
    shutil.copytree(made, tmp_path / "out")
    record = runs.read_json(made / runs.SCORES)
    record["photographs"] = record["photographs"][1:]
    record["photographs"][0]["width"] = 900
    runs.write_json(tmp_path / "out" / runs.SCORES, record)
    path = tmp_path / "out" / "images" / "grey-blur.png"
    runs.write_png(path, np.zeros((20, 900), np.uint8))
    text = report.study_page(tmp_path / "out").read_text(encoding="utf-8")
    assert f"reduced to {SHOWN_PX} px" in text
    sizes = set()
    for source in re.findall(r"data:image/png;base64,([^\"]+)", text):
        with Image.open(io.BytesIO(base64.b64decode(source))) as image:
            sizes.add(image.size)
    assert (SHOWN_PX, 11) in sizes
    assert max(width for width, _ in sizes) == SHOWN_PX


def photograph(ssim: float, cw_ssim: float | None, error: float = 300.0) -> dict[str, Any]:
    values = {"mse": error, "ssim": ssim, "cw_ssim": cw_ssim, "cw_ssim_fine": None}
    scores = {name: {"value": value} for name, value in values.items()}
    picture = {"title": "one", "name": "one", "scores": scores}
    return {
        "target_mse": 300.0,
        "target_from": "jpeg",
        "pictures": [picture | {"group": group} for group in ("four", "equal", "moved")],
    }


RECORD = {
    "tolerance": 0.01,
    "columns": [{"name": name, "title": name, "digits": 2} for name in ("mse", "ssim", "cw_ssim", "cw_ssim_fine")],
}


def test_sentences_say_only_what_the_numbers_say():
    assert "SSIM 0.40. cw_ssim stays at 0.93." in lessons(photograph(0.4, 0.93), RECORD)["moved"]
    assert "SSIM 0.93. cw_ssim is 0.40." in lessons(photograph(0.93, 0.4), RECORD)["moved"]
    assert "cw_ssim" not in lessons(photograph(0.4, None), RECORD)["moved"]
    assert "within 1%. All have an MSE of 300.00" in lessons(photograph(0.4, None), RECORD)["equal"]
    assert "within 1%. Without that error: one" in lessons(photograph(0.4, None, 200.0), RECORD)["equal"]
    assert lessons(photograph(0.4, None), RECORD)["equal"].startswith("The JPEG sets the error (MSE 300.00)")
    flat = photograph(0.4, None) | {"target_from": "paper"}
    assert lessons(flat, RECORD)["equal"].startswith("The paper, for want of a JPEG that differs, sets the error")


@needs_chromium
@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_browser(made: Path, tmp_path: Path, width: int):
    said = probe(text_of(made), width, PROBE, tmp_path)
    assert not said["console"]
    assert said["client"] == width
    assert said["scroll"] <= width
    assert said["images"] == 2 * (2 + 14 + 3)
    for check in ("loaded", "before", "after", "reached"):
        assert said[check], check
