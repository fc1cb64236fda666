"""The viewer: its page shows the pictures, maps and numbers of the library, and does in a browser what it says."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import png
import pytest
import torch
from browser import Page, needs_chromium, probe
from learned import needs
from PIL import Image
from skimage import data

from lookalike import batches, get, registry
from lookalike.cli.main import main
from lookalike.files import load
from lookalike.metric import Metric
from lookalike.records.views import LEVELS
from lookalike.report import viewer
from lookalike.scoring import view as scoring
from lookalike.scoring.view import view
from lookalike.weights import obtain

WIDTH, HEIGHT = 180, 170  # MS-SSIM needs 161 px
NASTY = "<script>alert(1)<", "script>.png"  # a folder and a file in it: together they close the tag
BOX = "Object.values({}.getBoundingClientRect().toJSON()).slice(0, 4)"
READY = "document.documentElement.dataset.ready !== undefined"


def saved(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        options: dict[str, Any] = {"greyscale": False, "bitdepth": 16}
        writer = png.Writer(pixels.shape[1], pixels.shape[0], **options)
        with path.open("wb") as file:
            writer.write(file, pixels.reshape(pixels.shape[0], -1).tolist())
    else:
        Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A photograph, its negative, and a copy that differs in one pixel and has a hostile name."""
    folder = tmp_path_factory.mktemp("pictures")
    y = np.ascontiguousarray(data.astronaut()[20 : 20 + HEIGHT, 140 : 140 + WIDTH])
    speck = y.copy()
    speck[60, 100] = 255 - speck[60, 100]
    return [
        saved(folder / "reference.png", y),
        saved(folder / "plain" / NASTY[1], 255 - y),
        saved(folder.joinpath(*NASTY), speck),
    ]


@pytest.fixture(scope="module")
def made(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "view.html"
    command = ["view", *files, "-o", out, "-m", "psnr", "ssim", "--maps", "ssim", "ssim_luminance"]
    assert main([str(word) for word in command]) == 0
    return out


def stored(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="view">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def opened(path: Path, folder: Path, width: int = 1200, height: int = 800, **options: Any) -> Page:
    page = Page(path, width, height, folder, **options)
    page.wait(READY)
    page.settle()
    return page


def canvas(page: Page) -> np.ndarray:
    """What is painted on the stage, ``(h, w, 3)``."""
    page.settle()
    content = page.run("canvas.toDataURL('image/png').split(',')[1]")
    return decoded(base64.b64decode(content))[..., :3].astype(int)


def cells(page: Page, at: int) -> list[str]:
    """Values, difference and overlay of one picture, as the panel says them."""
    page.settle()
    return page.run(f"[...document.querySelectorAll('.pixel tr[data-at=\"{at}\"] td')].map(cell => cell.innerText)")


def at_pixel(page: Page, x: int, y: int) -> tuple[float, float]:
    """Where a pixel of the pictures lies in the window, in the first pane."""
    place = page.run(
        "(() => { const { left, top } = stage.getBoundingClientRect(), { frame } = panes()[0]; return ["
        f"left + frame.left + frame.width / 2 + ({x} + 0.5 - state.x) * state.scale,"
        f"top + frame.top + frame.height / 2 + ({y} + 0.5 - state.y) * state.scale]; }})()"
    )
    return place[0], place[1]


# What the page is made of


def test_numbers_are_those_of_the_metrics_with_their_signatures(files: list[Path], made: Path):
    text = made.read_text(encoding="utf-8")
    for name in ("psnr", "ssim"):
        for path in files[1:]:
            x, y, carried = batches.load_pair(path, files[0])
            metric = get(name, data_range=carried)
            assert f">{float(metric(x, y)):.5g}</td>" in text
            assert metric.signature(carried) in text.replace("<wbr>", "")


def test_maps_are_those_of_the_metrics_and_lie_where_their_windows_do(files: list[Path]):
    found = view(files[0], files[2:], ["psnr"], ["ssim", "charbonnier"])
    ssim, charbonnier = found.kinds
    assert (ssim.left, ssim.top, ssim.width, ssim.height) == (5, 5, WIDTH - 10, HEIGHT - 10)
    assert (ssim.low, ssim.high, ssim.alike) == (-1, 1, 1)
    assert (charbonnier.left, charbonnier.width, charbonnier.alike) == (0, WIDTH, 0)
    x, y, _ = batches.load_pair(files[2], files[0])
    true = get("ssim", data_range=255).map(x, y)[0].mean(0).numpy()
    levels = decoded(found.judged[0].maps["ssim"])
    assert np.abs(levels / LEVELS * 2 - 1 - true).max() <= 1 / LEVELS + 1e-6
    touched = np.argwhere(levels < LEVELS)  # by windows that hold the pixel: 11 × 11 about it
    assert (touched.min(0) >= (60 - 10, 100 - 10)).all()
    assert (touched.max(0) <= (60, 100)).all()
    assert np.ptp(touched, axis=0).min() >= 8


def test_every_map_of_the_catalogue_lies_on_the_pictures(files: list[Path]):
    having = [name for name in registry.cheap() if registry.metric_class(name).score_map is not Metric.score_map]
    assert {"l1", "flip", "ciede2000", "s_cielab", "ssim"} <= set(having)
    found = view(files[0], files[1:2], ["psnr"], having)
    assert {kind.name for kind in found.kinds} == set(having)
    for kind in found.kinds:
        levels = decoded(found.judged[0].maps[kind.name])
        assert levels.shape == (kind.height, kind.width)
        assert (2 * kind.left + kind.width, 2 * kind.top + kind.height) == (WIDTH, HEIGHT)
        assert (levels >= LEVELS).mean() < 0.5 or kind.alike == kind.high  # the scale reaches far enough


def decoded(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("height", [11, scoring._STRIP + 10, scoring._STRIP + 11, 2 * scoring._STRIP + 3])
def test_maps_in_strips_are_the_map_of_the_whole(height: int):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 1, 3, height, 20, generator=generator)
    metric = get("ssim_structure")
    parts = list(scoring._Reference(metric, y, 1.0)._maps(x))
    assert len(parts) == -(-(height - 10) // scoring._STRIP)
    torch.testing.assert_close(torch.cat(parts, 2), metric.map(x, y), atol=2e-4, rtol=0)


def test_pictures_stand_in_the_page_once_and_without_loss(files: list[Path], made: Path):
    text = made.read_text(encoding="utf-8")
    record = stored(text)
    for path, picture in zip(files, record["pictures"], strict=True):
        found = re.search(rf'id="png-{picture["png"]}">([^<]*)<', text)
        assert found
        assert (decoded(base64.b64decode(found[1])) == load(path)).all()
    assert text.count('<script type="text/plain"') == 3 + 2 * 2


def test_names_cannot_break_out(made: Path):
    text = made.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert stored(text)["pictures"][2]["name"] == "/".join(NASTY)


def test_the_page_asks_for_nothing(made: Path):
    text = re.sub(r"<script type=.*?</script>", "", made.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "default-src 'none'" in text
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"data:,"}
    assert not re.search(r"https?://|fetch\(|import\(", text)


def test_what_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(obtain, "find", lambda part: None)
    y = np.full((10, 12, 3), 7, np.uint8)
    found = view(saved(tmp_path / "y.png", y), [saved(tmp_path / "x.png", y + 1)])
    assert [number.metric for number in found.numbers] == list(scoring.METRICS)
    psnr, ssim, ms_ssim, lpips = found.numbers
    assert psnr.values[0] == pytest.approx(48.13, abs=0.01)
    assert ssim.values == ms_ssim.values == lpips.values == (None,)
    assert "11 px" in ssim.reason
    assert "weights not on this machine" in lpips.reason
    assert not found.kinds
    assert set(found.absent) == set(scoring.MAPS)
    text = viewer.write(found, tmp_path / "page.html").read_text(encoding="utf-8")
    for reason in (ssim.reason, lpips.reason, *found.absent.values()):
        assert reason in text


@needs("lpips-alex")
def test_the_map_of_a_network(files: list[Path]):
    found = view(files[0], files[1:2], ["lpips_alex"], ["lpips_alex"])
    x, y, carried = batches.load_pair(*files[1::-1])
    true = get("lpips_alex", data_range=carried).map(x, y)[0, 0].numpy()
    assert found.kinds[0].width == WIDTH
    assert np.abs(decoded(found.judged[0].maps["lpips_alex"]) / LEVELS - true.clip(0, 1)).max() < 0.51 / LEVELS


def test_names_that_are_not_text(tmp_path: Path):
    assert scoring.labels([Path("a\udcff.png"), Path("a.png")]) == ["a\\xff.png", "a.png"]
    same = Path("x/a.png")
    assert scoring.labels([same, same]) == ["x/a.png", "x/a.png"]


# What is refused


def test_bad_input_is_one_line(files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    y = files[0]
    small = saved(tmp_path / "small.png", np.zeros((20, 30, 3), np.uint8))
    grey = saved(tmp_path / "grey.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    deep = saved(tmp_path / "deep.png", np.zeros((HEIGHT, WIDTH, 3), np.uint16))
    floats = saved(tmp_path / "float.tif", np.zeros((HEIGHT, WIDTH), np.float32))
    long = saved(tmp_path / "long.png", np.zeros((1, scoring.MOST_PX + 1), np.uint8))
    clear = saved(tmp_path / "clear.png", np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    no_image = tmp_path / "no.png"
    no_image.write_bytes(b"no picture")
    page = tmp_path / "page.html"
    for words, said in (
        ([y], "needs something to be compared with"),
        ([y, small], f"small.png: the image judged is 30x20 px, the reference {WIDTH}x{HEIGHT} px; crop or resize"),
        ([y, tmp_path / "none.png"], "none.png: no such file"),
        ([y, no_image], "no.png: not an image of a known kind"),
        ([y, tmp_path], "is a folder"),
        ([y, grey], "grey.png: the image judged is grey, the reference of 3 channels; convert one"),
        ([y, deep], "deep.png: the image judged is 16-bit, the reference 8-bit"),
        ([y, clear], "has transparent pixels; name the background"),
        ([floats, floats], "float.tif: holds floats; the viewer shows 8 and 16 bits"),
        ([long, long], "browsers draw at most 16384 px a side"),
        ([y, y, "-m", "ssmi"], "did you mean 'ssim'"),
        ([y, y, "--maps", "ssmi"], "did you mean 'ssim'"),
        ([y, y, "--maps", "psnr"], "psnr: has no map"),
        ([small, small, "-m", "ms_ssim"], "needs images of at least 161 px"),
        ([y, y, "--device", "nonsense"], "'nonsense' cannot be used here"),
        ([y, y, "-o", tmp_path / "page.png"], "a page ends in .html"),
    ):
        options = [] if "-o" in words else ["-o", page]
        assert main(["view", *map(str, words), *map(str, options)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        [line] = told.err.splitlines()
        assert line.startswith("lookalike: ")
        assert said in line
    assert not page.exists()
    assert main(["view", str(clear), str(clear), "--alpha", "black", "-o", str(page)]) == 0


# In a browser


@needs_chromium
def test_it_opens_on_the_slider_in_the_middle_and_the_divider_moves(made: Path, tmp_path: Path):
    with opened(made, tmp_path) as page:
        assert page.run("[state.mode, state.judged, state.split]") == ["slider", 1, 0.5]
        painted = canvas(page)
        middle = painted.shape[1] // 2
        page.key("a")  # the judged picture alone, at the same place
        judged = canvas(page)
        page.key(" ")
        reference = canvas(page)
        assert (painted[:, : middle - 1] == reference[:, : middle - 1]).all()
        assert (painted[:, middle + 1 :] == judged[:, middle + 1 :]).all()
        assert (reference != judged).any()
        page.key("s")
        left, top, width, height = page.run(BOX.format("stage"))
        page.drag((left + width / 2, top + height / 2), (left + width / 4, top + height / 3))
        assert page.run("state.split") == pytest.approx(0.25, abs=0.01)
        assert (canvas(page)[:, middle // 2 + 6 :] == judged[:, middle // 2 + 6 :]).all()
        # The keys of a slider, on the divider and off it.
        page.run("part('divider').focus()")
        page.key("ArrowRight")
        assert page.run("state.split") == pytest.approx(0.27, abs=0.011)
        assert page.run("part('divider').getAttribute('aria-valuenow')") == "27"
        page.key(".", shift=True)
        assert page.run("state.split") == pytest.approx(0.37, abs=0.011)
        assert page.console == []


@needs_chromium
def test_flicker_by_time_and_by_key(made: Path, tmp_path: Path):
    with opened(made, tmp_path) as page:
        page.key("f")
        page.run("every(200)")
        for _ in range(2):
            before = page.run("state.swapped")
            page.wait(f"state.swapped !== {json.dumps(before)}")
        page.key(" ")  # by hand: the timer stops
        assert page.run("state.playing") is False
        seen = []
        for _ in range(3):
            seen.append((page.run("state.swapped"), canvas(page)))
            page.key(" ")
        assert [swapped for swapped, _ in seen] in ([True, False, True], [False, True, False])
        assert (seen[0][1] == seen[2][1]).all()
        assert (seen[0][1] != seen[1][1]).any()
        page.key("t")
        assert page.run("state.playing")
        x, y, width, height = page.run(BOX.format("part('play')"))
        page.mouse("pressed", x + width / 2, y + height / 2)
        page.mouse("released", x + width / 2, y + height / 2)
        assert page.run("[state.playing, document.activeElement.id]") == [False, "stage"]
        before = page.run("state.swapped")
        page.key(" ")
        assert page.run("state.swapped") is not before
        page.key("t")
        page.key("s")
        still = page.run("state.swapped")
        page.run("new Promise(done => setTimeout(done, 500))")
        assert page.run("state.swapped") == still
        assert page.console == []


@needs_chromium
def test_zoom_and_pan_in_step(made: Path, tmp_path: Path):
    """Of a picture and its negative beside it every pixel adds up to white, wherever one goes."""

    def in_step(page: Page) -> np.ndarray:
        painted = canvas(page)
        lefts = [int(np.ceil(frame["left"])) for frame in page.run("panes().map(({ frame }) => frame)")]
        width = painted.shape[1] - lefts[1]
        one, other = (painted[:, left : left + width] for left in lefts)
        total = (one + other)[5:-5, 5:-5]
        assert (total == 255).all(2).mean() > 0.99  # all but the mark of the cursor
        return one

    with opened(made, tmp_path) as page:
        page.key("b")
        page.run("zoomTo(6, ...middle())")
        before = in_step(page)
        left, top, *_ = page.run(BOX.format("stage"))
        page.mouse("moved", left + 200, top + 300)
        spot = page.run("state.spot")
        page.mouse("wheel", left + 200, top + 300, deltaX=0, deltaY=-250)
        assert page.run("state.scale") == pytest.approx(6 * np.exp(0.5))
        assert page.run("state.spot") == spot  # what is under the cursor stays there
        beside = page.run("panes()[1].left")
        page.mouse("moved", left + beside + 200, top + 300)
        assert page.run("[state.pane, state.spot]") == [1, spot]
        page.mouse("wheel", left + beside + 200, top + 300, deltaX=0, deltaY=100)
        assert page.run("state.spot") == spot
        page.mouse("wheel", left + 200, top + 300, deltaX=0, deltaY=-100)
        after = in_step(page)
        assert (after != before).any()
        page.drag((left + 200, top + 300), (left + 230, top + 320))
        assert page.run("state.spot") == spot
        in_step(page)
        page.key("x")
        assert page.run("state.scale") == 1
        assert page.run("part('zoom').innerText") == "100 %"
        page.run("zoomTo(8, ...middle())")
        place = page.run("[state.x, state.y]")
        page.key("ArrowRight", shift=True)
        assert page.run("[state.x, state.y]") == [place[0] + 1, place[1]]
        in_step(page)
        page.key("0")
        assert page.run("state.scale === fitScale()")
        assert page.console == []


@needs_chromium
def test_two_fingers_zoom(made: Path, tmp_path: Path):
    with opened(made, tmp_path) as page:
        page.run("zoomTo(2, 300, 300)")
        page.touch("touchStart", (300, 400), (400, 400))
        page.touch("touchMove", (250, 400), (400, 400))
        page.touch("touchMove", (250, 400), (450, 400))
        page.touch("touchEnd")
        assert page.run("state.scale") == pytest.approx(4, rel=1e-3)
        assert page.run("held.size") == 0


@needs_chromium
def test_values_under_the_cursor(files: list[Path], made: Path, tmp_path: Path):
    y, *judged = (load(path).astype(int) for path in files)
    with opened(made, tmp_path) as page:
        page.run("setKind('error')")
        for x_at, y_at in ((0, 0), (100, 60), (WIDTH - 1, HEIGHT - 1), (37, 101)):
            page.mouse("moved", *at_pixel(page, x_at, y_at))
            page.wait("[0, 1, 2].every(at => valuesOf(at))")
            assert page.run("part('place').innerText") == f"x {x_at}, y {y_at}"
            assert cells(page, 0) == [" ".join(map(str, y[y_at, x_at])), "", ""]
            for at, x in enumerate(judged, 1):
                difference = x[y_at, x_at] - y[y_at, x_at]
                values, said, overlay = cells(page, at)
                assert values == " ".join(map(str, x[y_at, x_at]))
                assert [int(part.replace("−", "-")) for part in said.split()] == difference.tolist()
                assert float(overlay) == pytest.approx(np.abs(difference).mean(), rel=1e-3)
        page.mouse("moved", 5, 5)  # off the pictures
        assert cells(page, 0)[0] == ""
        # Without a pointer: the pixel in the middle.
        page.run("stage.focus()")
        page.run("zoomTo(8, 300, 300)")
        page.key("ArrowDown", shift=True)
        column, row = (int(place) for place in page.run("[Math.floor(state.x), Math.floor(state.y)]"))
        assert cells(page, 0)[0] == " ".join(map(str, y[row, column]))
        # The values stand in the pixels themselves where these are large enough, and are painted without a fault.
        page.run("zoomTo(80, 300, 300)")
        page.settle()
        assert page.console == []


@needs_chromium
def test_overlays_lie_in_register(files: list[Path], made: Path, tmp_path: Path):
    x, y, _ = batches.load_pair(files[2], files[0])
    true = get("ssim", data_range=255).map(x, y)[0].mean(0).numpy()
    with opened(made, tmp_path) as page:
        page.key("2")
        page.key("a")
        plain = canvas(page)
        page.key("o")
        assert page.run("state.kind.name") == "error"
        page.wait("coloured.get(2)?.key.includes('error')")
        painted = canvas(page)
        changed = np.argwhere((np.abs(painted - plain) > 8).any(2))
        centre = changed.mean(0)
        place = at_pixel(page, 100, 60)
        origin = page.run(BOX.format("stage"))
        assert centre[::-1] + np.array(origin[:2]) == pytest.approx(
            np.array(place), abs=1.5
        )  # the one pixel, alone
        scale = page.run("state.scale")
        assert np.ptp(changed, axis=0).max() <= scale + 3
        page.key("o")
        page.wait("coloured.get(2)?.key.includes('ssim')")
        page.mouse("moved", *place)
        assert float(cells(page, 2)[2]) == pytest.approx(true[55, 95], abs=1.2 / LEVELS)
        page.mouse("moved", *at_pixel(page, 4, 60))
        assert cells(page, 2)[2] == "edge"
        page.mouse("moved", *at_pixel(page, 5, 60))
        assert float(cells(page, 2)[2]) == pytest.approx(true[55, 0], abs=1.2 / LEVELS)
        # Opaque and not clear, the map covers all but its edge, in the colour of the legend for 1.
        page.run("setScheme({ clear: false }), setOpacity(100)")
        covered = canvas(page)
        left, top = (int(place) for place in np.array(at_pixel(page, 20, 20)) - origin[:2])
        assert covered[top, left].tolist() == [0, 0, 4]
        left, top = (int(place) for place in np.array(at_pixel(page, 2, 20)) - origin[:2])
        assert (covered[top, left] == plain[top, left]).all()
        assert page.run("[...part('ticks').children].map(tick => tick.innerText)") == [
            "1",
            "0.75",
            "0.5",
            "0.25",
            "0",
        ]
        page.run("part('far').selectedIndex = 0, part('far').dispatchEvent(new Event('change'))")
        assert page.run("part('ticks').lastChild.innerText") == "-1"
        page.key("j")
        assert page.run("part('opacity').value") == "95"
        page.key("o", shift=True)
        page.key("o", shift=True)
        assert page.run("state.kind") is None
        assert page.console == []


@needs_chromium
def test_by_keyboard_alone(made: Path, tmp_path: Path):
    with opened(made, tmp_path) as page:
        for key, mode in {"f": "flicker", "b": "beside", "a": "single", "g": "all", "s": "slider"}.items():
            page.key(key)
            assert page.run("state.mode") == mode
            assert page.run("document.querySelector('[aria-pressed=true][data-mode]').dataset.mode") == mode
        assert page.run("(setMode('all'), panes().length)") == 3
        page.key("2")
        assert page.run("document.querySelector('[name=judged]:checked').value") == "2"
        page.key("[")
        assert page.run("state.judged") == 1
        page.key("?")
        assert page.run("part('help').open")
        assert "slider, flicker, side by side" in page.run("part('help').innerText")
        page.key("Escape")
        assert not page.run("part('help').open")
        page.key("i")
        assert page.run("part('panel').hidden")
        page.key("i")
        reached = set()
        for _ in range(40):
            page.key("Tab")
            reached.add(page.run("document.activeElement.id || document.activeElement.dataset.mode || ''"))
        assert {"slider", "all", "in", "fit", "help-switch", "stage"} <= reached
        assert page.console == []


@needs_chromium
@pytest.mark.parametrize("width", [400, 1600])
def test_widths_and_names(made: Path, tmp_path: Path, width: int):
    text = made.read_text(encoding="utf-8")
    script = """
      const names = view.body.innerText.includes("<script>alert(1)<" + "/script>.png");
      return { scripts: view.scripts.length, names };
    """
    said = probe(text, width, script, tmp_path)
    assert not said["console"]
    assert said["client"] == width
    assert said["scroll"] <= width
    assert said["reached"]
    assert said["scripts"] == 2 + text.count('<script type="text/plain"')
    assert said["names"]


@needs_chromium
@pytest.mark.parametrize(("dark", "expected"), [(False, True), (True, False)])
def test_schemes_and_sharp_screens(made: Path, tmp_path: Path, dark: bool, expected: bool):
    with opened(made, tmp_path, width=400, height=700, dark=dark, dots=2) as page:
        colour = page.run("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", colour)[0]) > 128) == expected
        assert page.run("canvas.width") == 800
        page.key("x")
        assert page.run("state.scale") == 0.5  # one pixel on one dot
        assert page.run("document.documentElement.scrollWidth") == 400
        assert page.console == []


@needs_chromium
@pytest.mark.parametrize("colour", [True, False])
def test_16_bits_are_said_in_full(tmp_path: Path, colour: bool):
    shape = (40, 50, 3) if colour else (40, 50)
    y, x = np.random.default_rng(0).integers(0, 65536, (2, *shape)).astype(np.uint16)
    paths = [saved(tmp_path / "y.png", y), saved(tmp_path / "x.png", x)]
    out = viewer.write(view(paths[0], paths[1:], ["psnr"], ["ssim"]), tmp_path / "deep.html")
    assert "of each 16-bit value its high byte is drawn" in out.read_text(encoding="utf-8")
    with opened(out, tmp_path) as page:
        page.key("o")
        page.mouse("moved", *at_pixel(page, 12, 30))
        page.wait("valuesOf(0) && valuesOf(1) && coloured.size")
        reference, judged = (np.atleast_1d(image[30, 12]).astype(int) for image in (y, x))
        assert cells(page, 0)[0].split() == [str(value) for value in reference]
        values, difference, overlay = cells(page, 1)
        assert values.split() == [str(value) for value in judged]
        assert [int(part.replace("−", "-")) for part in difference.split()] == (judged - reference).tolist()
        assert float(overlay) == pytest.approx(np.abs(judged - reference).mean(), rel=1e-3)
        assert page.run("part('ticks').lastChild.innerText") == "16384"
        page.key("a")
        left, top = np.array(at_pixel(page, 12, 30)) - page.run("[stage.offsetLeft, stage.offsetTop]")
        page.run("setKind('')")
        assert canvas(page)[int(top), int(left)].tolist() == (judged >> 8).tolist() * (1 if colour else 3)
        assert page.console == []


@needs_chromium
def test_old_browsers_and_those_that_alter_canvases(made: Path, tmp_path: Path):
    with opened(made, tmp_path) as page:
        same = (
            "(() => { const native = bytesOf(1); Uint8Array.fromBase64 = undefined; const slowly = bytesOf(1);"
            "return native.length > 99 && slowly.length === native.length"
            "&& native.every((value, at) => value === slowly[at]) })()"
        )
        assert page.run(same)
        assert page.run("readsTrue()")
        assert page.run("part('untrue').hidden")
        altering = (
            "(() => { const read = OffscreenCanvasRenderingContext2D.prototype.getImageData;"
            "OffscreenCanvasRenderingContext2D.prototype.getImageData = function (...box) {"
            "const image = read.apply(this, box); image.data[5] ^= 1; return image; }; return readsTrue(); })()"
        )
        assert page.run(altering) is False


@pytest.mark.slow
@needs_chromium
def test_a_4k_pair(tmp_path: Path):
    rows, columns = np.mgrid[0:2160, 0:3840]
    y = np.stack([rows // 9, columns // 16, (rows + columns) // 24], 2).astype(np.uint8)
    x = y.copy()
    x[2000:2100, 3000:3200] += 3
    paths = [saved(tmp_path / "y.png", y), saved(tmp_path / "x.png", x)]
    out = viewer.write(view(paths[0], paths[1:], ["psnr"], ["ssim"]), tmp_path / "large.html")
    with opened(out, tmp_path, width=1600, height=900) as page:
        page.key("o")
        page.mouse("moved", *at_pixel(page, 3100, 2050))
        page.wait("coloured.size && valuesOf(1)")
        row, column = page.run("[state.spot.y, state.spot.x]")
        assert cells(page, 1) == [" ".join(map(str, x[row, column])), "+3 +3 +3", "3"]
        took = page.run(
            "(async () => { const times = []; for (let turn = 0; turn < 15; turn++) {"
            "const from = performance.now(); zoomTo(state.scale * 1.05, 500, 500);"
            "await new Promise(requestAnimationFrame); times.push(performance.now() - from); }"
            "return times.sort((a, b) => a - b)[7]; })()"
        )
        assert took < 250  # 17 ms on an idle core
        assert page.console == []
