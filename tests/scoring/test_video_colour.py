"""What is seen of a video: levels, matrix, depth, alpha, rotation; and its planes as decoded."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import av, frame_of, walk, write
from numpy.typing import NDArray

from lookalike.cli.main import main
from lookalike.scoring.video.frames import Coding, Frame, Turn, frames
from lookalike.scoring.video.rgb import displayed
from lookalike.scoring.video.score import score_videos
from lookalike.scoring.video.streams import opened

WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}  # Kr, Kb of the ITU


def planes_of(rgb: NDArray[np.float64], matrix: str, levels: str, bits: int) -> list[NDArray[Any]]:
    """Y, U and V of colours in [0, 1], by the equations of BT.601, BT.709 and BT.2020."""
    kr, kb = WEIGHTS[matrix]
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    blue, red = (rgb[..., 2] - luma) / (2 * (1 - kb)), (rgb[..., 0] - luma) / (2 * (1 - kr))
    step, most = 2 ** (bits - 8), 2**bits - 1
    if levels == "limited":
        values = (16 + 219 * luma) * step, (128 + 224 * blue) * step, (128 + 224 * red) * step
    else:
        values = luma * most, blue * most + 128 * step, red * most + 128 * step
    kind = np.uint8 if bits == 8 else np.uint16
    return [np.rint(value).clip(0, most).astype(kind) for value in values]


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("levels", ["limited", "full"])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_colours_come_back_from_luma_and_chroma(matrix: str, levels: Any, bits: int) -> None:
    rgb = np.random.default_rng(0).random((16, 16, 3))
    planes = tuple(planes_of(rgb, matrix, levels, bits))
    coding = Coding("yuv444p", "yuv", bits, matrix, levels, False, False)
    deep = displayed(Frame(planes, coding, Turn(), None, Fraction(0), Fraction(0), {}), deep=True)
    assert deep.dtype == np.uint16
    half = 0.5 * 2 ** (
        8 - bits
    )  # a level, by which luma and chroma were rounded at most; chroma counts up to 1.9 times
    assert abs(deep / 65535 - rgb).max() < half / 219 + 2 * half / 224 + 1e-5
    shallow = displayed(Frame(planes, coding, Turn(), None, Fraction(0), Fraction(0), {}))
    assert abs(shallow.astype(float) - deep / 257).max() <= 0.51


@pytest.mark.parametrize("size", [(64, 64), (30, 46)])
@pytest.mark.parametrize(
    "pixels",
    ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuyv422", "uyvy422", "yuv411p", "yuv440p", "yuv410p"],
)
def test_eight_bits_are_what_swscale_makes_of_them_where_it_is_exact(
    tmp_path: Path, pixels: str, size: tuple[int, int]
) -> None:
    """Beside swscale's exact path, which interpolates chroma; its fast one is 1.5 levels off on average."""
    flags = av.video.reformatter.Interpolation
    picture = np.ascontiguousarray(walk(1)[0][: size[0], : size[1]])
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
    with opened(write(tmp_path / "a.nut", [frame], codec="rawvideo", pixels=pixels)) as stream:
        [decoded] = frames(stream)
    exact = flags.BILINEAR | flags.ACCURATE_RND | flags.FULL_CHR_H_INT
    theirs = frame.reformat(format="rgb24", interpolation=exact).to_ndarray()
    assert abs(displayed(decoded).astype(int) - theirs).mean() < (0.01 if "444" in pixels else 0.5)


@pytest.mark.parametrize("pixels", ["bgr0", "rgb24", "gbrp10le", "rgb48le", "gray", "gray10le"])
def test_what_needs_no_matrix_comes_back_exactly(tmp_path: Path, pixels: str) -> None:
    picture = walk(1)[0]
    if pixels.startswith("gray"):
        picture = picture[..., :1].repeat(3, 2)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    codec = "rawvideo" if pixels in ("rgb24", "rgb48le") else "ffv1"
    if pixels == "gray10le":
        frame = frame_of([picture[..., 0].astype(np.uint16) * 4 + picture[..., 0] // 64], pixels)
    elif pixels == "gray":
        frame = frame_of([picture[..., 0]], pixels)
    path = write(tmp_path / "a.nut", [frame.reformat(format=pixels)], codec=codec, pixels=pixels)
    with opened(path) as stream:
        [frame] = frames(stream)
    assert abs(displayed(frame).astype(int) - picture).max() <= (1 if "1" in pixels or "48" in pixels else 0)
    assert np.array_equal(displayed(frame), picture) or "4" in pixels or "1" in pixels


TURNS = {
    "180": ({"degrees": 180}, lambda picture: np.rot90(picture, 2)),
    "90": ({"degrees": -90}, lambda picture: np.rot90(picture, 1)),
    "270": ({"degrees": 90}, lambda picture: np.rot90(picture, -1)),
    "mirrored": ({"degrees": 0, "hflip": True}, lambda picture: picture[:, ::-1]),
    "flipped": ({"degrees": 0, "vflip": True}, lambda picture: picture[::-1]),
    "transposed": ({"degrees": 90, "vflip": True}, lambda picture: picture.swapaxes(0, 1)),
    "transversed": ({"degrees": 90, "hflip": True}, lambda picture: np.rot90(picture, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize("ending", ["mkv", "mov"])
@pytest.mark.parametrize("name", TURNS)
def test_what_the_header_turns_is_seen_upright(tmp_path: Path, name: str, ending: str) -> None:
    """Pictures stored turned, with the turn back in the header, are the same video."""
    turn, stored = TURNS[name]
    pictures = [picture[:48] for picture in walk(3)]
    kind: dict[str, Any] = {"mkv": {}, "mov": {"codec": "png", "pixels": "rgb24"}}[ending]
    write(tmp_path / "ref.mkv", pictures)
    write(tmp_path / f"turned.{ending}", [stored(picture) for picture in pictures], turn=turn, **kind)
    found = score_videos(tmp_path / "ref.mkv", tmp_path / f"turned.{ending}", ["psnr"])
    assert [row.values[0] for row in found.rows] == [100.0] * 3
    assert found.signatures["psnr"] == f"psnr|cap:100|range:255|frames:rgb24|rotation:0/{name}|v:1"
    assert any(name in remark for remark in found.remarks)
    again = score_videos(tmp_path / f"turned.{ending}", tmp_path / f"turned.{ending}", ["psnr"])
    assert again.signatures["psnr"] == f"psnr|cap:100|range:255|frames:rgb24|rotation:{name}|v:1"


def test_a_quarter_turn_alone_is_another_picture(tmp_path: Path) -> None:
    write(tmp_path / "ref.mkv", walk(2))
    write(tmp_path / "turned.mkv", walk(2), turn={"degrees": 90})
    found = score_videos(tmp_path / "ref.mkv", tmp_path / "turned.mkv", ["psnr"])
    assert all(row.values[0] is not None and row.values[0] < 15 for row in found.rows)


def test_a_turn_by_no_right_angle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "ref.mkv", walk(2))
    write(tmp_path / "turned.mkv", walk(2), turn={"degrees": 30})
    assert main(["score", str(tmp_path / "ref.mkv"), str(tmp_path / "turned.mkv"), "-m", "psnr"]) == 2
    assert "not by a right angle" in capsys.readouterr().err


def coded(path: Path, matrix: str, levels: str, bits: int = 8, tagged: bool = True, **options: Any) -> Path:
    """The walk in 4:4:4, by a matrix and levels that the file names or not."""
    pixels = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    pictures = [frame_of(planes_of(picture / 255, matrix, levels, bits), pixels) for picture in walk(3)]
    tags = {"matrix": matrix, "levels": levels} if tagged else {}
    return write(path, pictures, pixels=pixels, **tags, **options)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(("matrix", "levels"), [("bt709", "limited"), ("bt601", "full"), ("bt2020", "limited")])
def test_tags_are_honoured_and_stand_in_the_signature(tmp_path: Path, matrix: str, levels: str, bits: int) -> None:
    reference = coded(tmp_path / "ref.mkv", "bt601", "limited")
    judged = coded(tmp_path / "test.mkv", matrix, levels, bits)
    found = score_videos(reference, judged, ["psnr"])
    assert all(row.values[0] is not None and row.values[0] > 48 for row in found.rows)
    shown = "rgb24" if bits == 8 else "rgb48|depth:8/10"
    carried = 255 if bits == 8 else 65535
    assert found.signatures["psnr"] == (
        f"psnr|cap:100|range:{carried}|frames:{shown}|source:bt601-limited/{matrix}-{levels}|v:1"
    )
    assert any(f"{judged} {matrix}-{levels}" in remark.replace(" is ", " ") for remark in found.remarks)


def test_what_nothing_says_is_assumed_by_size(tmp_path: Path) -> None:
    small = coded(tmp_path / "small.mkv", "bt601", "limited", tagged=False)
    assert score_videos(small, small, ["psnr"]).signatures["psnr"] == (
        "psnr|cap:100|range:255|frames:rgb24|source:bt601-limited-assumed|v:1"
    )
    wide = [frame_of([np.zeros((32, 1280), np.uint8)] * 3, "yuv444p")]
    write(tmp_path / "wide.mkv", wide, pixels="yuv444p")
    with opened(tmp_path / "wide.mkv") as stream:
        assert [str(frame.coding) for frame in frames(stream)] == ["bt709-limited-assumed"]


def test_one_tag_missing_is_remarked_and_planes_show_that_nothing_differs(tmp_path: Path) -> None:
    reference = coded(tmp_path / "ref.mkv", "bt709", "limited")
    judged = coded(tmp_path / "test.mkv", "bt709", "limited", tagged=False)
    found = score_videos(reference, judged, ["psnr"], yuv=True)
    assert found.signatures["psnr"].split("|")[4] == "source:bt709-limited/bt601-limited-assumed"
    assert [remark for remark in found.remarks if "--yuv" in remark]
    for row in found.rows:
        seen, *planes = row.values
        assert seen is not None
        assert seen < 50
        assert planes == [100.0] * 3


def test_planes_as_decoded_are_what_ffmpeg_compares(tmp_path: Path) -> None:
    """PSNR of Y, U and V beside FFmpeg's own filter on the same two files."""
    names = {"ref.mp4": "0", "test.mp4": "35"}
    for name, quality in names.items():
        write(tmp_path / name, walk(4), codec="libx264", pixels="yuv420p", options={"qp": quality})
    graph = av.filter.Graph()
    sources = []
    with av.open(str(tmp_path / "ref.mp4")) as first, av.open(str(tmp_path / "test.mp4")) as other:
        for container in (other, first):
            sources.append(graph.add_buffer(template=container.streams.video[0]))
        psnr, sink = graph.add("psnr"), graph.add("buffersink")
        for index, source in enumerate(sources):
            source.link_to(psnr, 0, index)
        psnr.link_to(sink)
        graph.configure()
        theirs = []
        for x, y in zip(other.decode(video=0), first.decode(video=0), strict=True):
            sources[0].push(x)
            sources[1].push(y)
            mse = sink.pull().metadata
            theirs.append([float(mse[f"lavfi.psnr.mse.{plane}"]) for plane in "yuv"])
    found = score_videos(tmp_path / "ref.mp4", tmp_path / "test.mp4", ["psnr", "ssim"], yuv=True)
    assert list(found.signatures) == [
        "psnr",
        "ssim",
        *(f"{name}_{plane}" for plane in "yuv" for name in ("psnr", "ssim")),
    ]
    assert found.signatures["psnr_u"] == "psnr|cap:100|range:255|plane:u|layout:yuv420p|v:1"
    for row, mses in zip(found.rows, theirs, strict=True):
        for column, mse in zip((2, 4, 6), mses, strict=True):
            assert row.values[column] == pytest.approx(
                10 * math.log10(255**2 / mse), abs=2e-3
            )  # their mse: two digits


def test_planes_of_ten_bits_are_of_their_own_range(tmp_path: Path) -> None:
    reference = coded(tmp_path / "ref.mkv", "bt709", "limited", bits=10)
    planes = [planes_of(picture / 255, "bt709", "limited", 10) for picture in walk(3)]
    moved = [frame_of([y + np.uint16(1), u, v], "yuv444p10le") for y, u, v in planes]
    write(tmp_path / "test.mkv", moved, pixels="yuv444p10le", matrix="bt709", levels="limited")
    found = score_videos(reference, tmp_path / "test.mkv", ["psnr"], yuv=True)
    assert found.signatures["psnr_y"] == "psnr|cap:100|range:1023|plane:y|layout:yuv444p10le|v:1"
    for row in found.rows:
        assert row.values[1:] == (pytest.approx(20 * math.log10(1023), abs=1e-3), 100.0, 100.0)


def test_depth_is_not_cut(tmp_path: Path) -> None:
    """A quarter of an 8-bit level is seen between two 10-bit videos."""
    reference = coded(tmp_path / "ref.mkv", "bt709", "full", bits=10)
    planes = [planes_of(picture / 255, "bt709", "full", 10) for picture in walk(3)]
    moved = [
        frame_of([(y.astype(int) + 1).clip(0, 1023).astype(np.uint16), u, v], "yuv444p10le") for y, u, v in planes
    ]
    write(tmp_path / "test.mkv", moved, pixels="yuv444p10le", matrix="bt709", levels="full")
    found = score_videos(reference, tmp_path / "test.mkv", ["psnr"])
    for row in found.rows:
        assert row.values[0] == pytest.approx(20 * math.log10(1023), abs=0.3)  # some of it is clipped


def test_planes_that_differ_in_kind_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colour = coded(tmp_path / "444.mkv", "bt601", "limited")
    half = write(tmp_path / "420.mkv", walk(3), pixels="yuv420p")
    red = write(tmp_path / "rgb.mkv", walk(3))
    deep = coded(tmp_path / "deep.mkv", "bt601", "limited", bits=10)
    for other, reason in ((half, "yuv420p"), (red, "holds gbrp"), (deep, "yuv444p10le")):
        assert main(["score", str(colour), str(other), "-m", "psnr", "--yuv"]) == 2
        assert reason in capsys.readouterr().err
    assert main(["score", str(colour), str(colour), "-m", "ciede2000", "--yuv"]) == 2
    assert "needs colour" in capsys.readouterr().err
    assert main(["score", str(colour), str(colour), "-m", "psnr", "--yuv", "--crop-border", "2"]) == 2
    assert "--crop-border" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.mov", "png", "rgba"),
        ("a.mov", "qtrle", "argb"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_alpha_is_never_dropped(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    def with_alpha(value: int) -> list[Any]:
        cover = np.full((64, 64, 1), value, np.uint8)
        return [
            av.VideoFrame.from_ndarray(np.concatenate([picture, cover], 2), format="rgba").reformat(format=pixels)
            for picture in walk(2)
        ]

    clear = write(tmp_path / name, with_alpha(100), codec=codec, pixels=pixels)
    refused = score_videos(clear, clear, ["psnr"])
    assert {row.error for row in refused.rows} == {
        "the frame of the reference has transparent pixels; name the background with --alpha white or --alpha black"
    }
    opaque = write(tmp_path / f"opaque_{name}", with_alpha(255), codec=codec, pixels=pixels)
    found = score_videos(opaque, clear, ["psnr"], alpha="black")
    assert "|alpha:black|" in found.signatures["psnr"]
    share = 100 / 255
    for row, picture in zip(found.rows, walk(2), strict=True):
        wanted = 10 * math.log10(255**2 / np.mean((picture * (1 - share)) ** 2))
        assert row.values[0] == pytest.approx(wanted, abs=0.2)
    assert score_videos(opaque, opaque, ["psnr"]).rows[0].values == (100.0,)


def test_what_is_not_converted_is_remarked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = coded(tmp_path / "plain.mkv", "bt2020", "limited", bits=10)
    bright = coded(tmp_path / "pq.mkv", "bt2020", "limited", bits=10, curve=16)
    assert main(["score", str(plain), str(bright), "-m", "psnr"]) == 0
    err = capsys.readouterr().err
    assert f"transfer curve: {plain} BT.709, {bright} PQ; it is not converted" in err
    square, wide = (
        write(tmp_path / f"{name}.mp4", walk(2), codec="libx264", pixels="yuv420p", shape=shape)
        for name, shape in (("square", None), ("wide", Fraction(4, 3)))
    )
    assert main(["score", str(square), str(wide), "-m", "psnr"]) == 0
    assert f"shape of pixels: {square} 1:1, {wide} 4:3" in capsys.readouterr().err
    assert main(["score", str(bright), str(bright), "-m", "psnr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remarks"] == [
        "transfer curve of both: PQ; code values are compared, and none converted"
    ]


def test_samples_without_a_rule_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = walk(1)[0]
    floats = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="gbrpf32le")
    path = write(tmp_path / "float.nut", [floats], codec="rawvideo", pixels="gbrpf32le")
    assert main(["score", str(path), str(path), "-m", "psnr"]) == 2
    assert "gbrpf32le samples" in capsys.readouterr().err
