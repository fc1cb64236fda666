"""What was done to a pair before the metric stands in the signature, through every door; arrays of other shapes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from profiles import DISPLAY_P3, SRGB_CURVE, rgb_profile

import lookalike
from lookalike.batches import as_batch, load_pair, read_pair
from lookalike.cli.main import main
from lookalike.records import tables
from lookalike.ruler import reading
from lookalike.scoring import view
from lookalike.scoring.maps import write_map

P3 = rgb_profile(DISPLAY_P3, SRGB_CURVE)


def picture(seed: int = 0, planes: int = 3) -> NDArray[np.uint8]:
    shape = (24, 30, planes) if planes > 1 else (24, 30)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def saved(path: Path, pixels: NDArray[Any], icc: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, icc_profile=icc)
    return path


@pytest.fixture
def wide(tmp_path: Path) -> tuple[Path, Path]:
    """A reference in Display P3 and an image without a profile, of the same numbers."""
    return saved(tmp_path / "ref" / "a.png", picture(), P3), saved(tmp_path / "judged" / "a.png", picture())


@pytest.fixture
def clear(tmp_path: Path) -> tuple[Path, Path]:
    """Two pictures with transparent pixels."""
    return saved(tmp_path / "ref" / "a.png", picture(0, 4)), saved(tmp_path / "judged" / "a.png", picture(1, 4))


def signatures(files: tuple[Path, Path], **options: Any) -> dict[str, str]:
    """Of PSNR or SSIM, by measure, a map, the ruler, the viewer and the command."""
    reference, judged = files
    size = {"metrics": ["psnr"]}
    found = {
        "measure": lookalike.measure(judged, reference, ["psnr"], **options)[0].signature,
        "map": write_map(reference.parent.parent / "map.png", judged, reference, "l1", **options).signature,
        "ruler": next(one for one in reading.run(judged, reference, **options) if one.signature).signature,
    }
    shown = view.view(reference, [judged], **size, maps=["l1"], **options)
    return found | {"view": shown.numbers[0].signature, "view's map": shown.kinds[0].signature}


def test_the_background_stands_in_every_signature(
    clear: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    values = []
    for alpha in ("white", "black"):
        assert all(f"|alpha:{alpha}|" in said for said in signatures(clear, alpha=alpha).values())
        for command, more in (("score", ["-m", "psnr"]), ("ruler", [])):
            assert main([command, *map(str, clear), "--alpha", alpha, "--json", *more]) == 0
            found = json.loads(capsys.readouterr().out)
            rows = found.get("scores") or [row for row in found["readings"] if row["signature"]]
            assert all(f"|alpha:{alpha}|" in row["signature"] for row in rows)
            values.append(rows[0]["value"])
    assert len(set(values)) == 4


def test_a_conversion_stands_in_every_signature_and_only_where_it_was_done(wide: tuple[Path, Path]) -> None:
    for profile in ("srgb", "ignore"):
        assert all(f"|profile:{profile}|" in said for said in signatures(wide, profile=profile).values())
    [converted], [raw] = (lookalike.measure(wide[1], wide[0], ["psnr"], profile=p) for p in ("srgb", "ignore"))
    assert converted.value is not None
    assert raw.value == 100
    assert converted.value < 40
    assert all("profile" not in said for said in signatures((wide[1], wide[1])).values())


@pytest.mark.parametrize("profile", ["srgb", "ignore"])
def test_folders_say_what_was_done_to_any_of_their_files(
    wide: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    for name in ("ref", "judged"):
        saved(tmp_path / name / "b.png", picture(3))
    output = tmp_path / "scores.jsonl"
    command = ["score", str(tmp_path / "ref"), str(tmp_path / "judged"), "-m", "psnr", "-o", str(output)]
    assert main([*command, "--profile", profile]) == 0
    capsys.readouterr()
    first = output.read_bytes()
    assert f"|profile:{profile}|" in tables.read(output).metadata["signatures"]["psnr"]
    assert main([*command, "--profile", profile]) == 0  # all from the journal
    assert output.read_bytes() == first
    other = "ignore" if profile == "srgb" else "srgb"
    assert main([*command, "--profile", other]) == 2
    assert "profile was" in capsys.readouterr().err


def test_folders_in_which_nothing_was_done_say_nothing(tmp_path: Path) -> None:
    for name in ("ref", "judged"):
        saved(tmp_path / name / "b.png", picture(3))
    output = tmp_path / "scores.jsonl"
    assert main(["score", str(tmp_path / "ref"), str(tmp_path / "judged"), "-m", "psnr", "-o", str(output)]) == 0
    assert tables.read(output).metadata["signatures"]["psnr"] == lookalike.get("psnr", data_range=255).signature()


def test_larger_pictures_are_read_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference, judged = (
        saved(tmp_path / name / "a.png", picture(seed)) for seed, name in enumerate(("ref", "judged"))
    )
    for paths in ((reference, judged), (reference.parent, judged.parent)):
        command = ["score", *map(str, paths), "-m", "psnr"]
        assert main([*command, "--max-pixels", "720"]) == 0
        assert main([*command, "--max-pixels", "719"]) in (2, 3)
        captured = capsys.readouterr()
        assert "claims more than 719 pixels (30x24)" in captured.err + captured.out
    assert main(["score", str(reference), str(judged), "--max-pixels", "0"]) == 2
    assert "--max-pixels is a number of pixels >= 1, got 0" in capsys.readouterr().err


def test_remarks_reach_whoever_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n20 16\n-0.5\n" + np.full((16, 20), 0.5, "<f4").tobytes())
    [found] = lookalike.measure(path, path, ["l1"])
    assert found.remarks == (f"{path}: states a scale of 0.5, which is not applied",) * 2
    assert main(["score", str(path), str(path), "-m", "l1"]) == 0
    assert "states a scale of 0.5" in capsys.readouterr().err


# Arrays


def test_uint16_of_any_kind_is_one_image(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 65536, (12, 16), np.uint16)
    Image.fromarray(array).save(tmp_path / "a.png")
    kinds = [torch.from_numpy(array.astype(np.int32)).to(torch.uint16)[None], array, tmp_path / "a.png"]
    for a in kinds:
        for b in kinds:
            [found] = lookalike.measure(a, b, ["psnr"])
            assert (found.value, found.signature) == (100, "psnr|cap:100|range:65535|v:1")


@pytest.mark.parametrize(
    ("shape", "axis", "wanted"),
    [
        ((8, 9, 13), -1, (1, 13, 8, 9)), ((13, 8, 9), 0, (1, 13, 8, 9)), ((8, 13, 9), 1, (1, 13, 8, 9)),
        ((8, 9), None, (1, 1, 8, 9)), ((5, 8, 9), None, (1, 1, 5, 8, 9)), ((5, 8, 9, 4), 3, (1, 4, 5, 8, 9)),
        ((8, 9, 3), "last", (1, 3, 8, 9)), ((8, 9, 3), 2, (1, 3, 8, 9)),
    ],
)  # fmt: skip
def test_the_axis_of_channels_may_be_said(shape: tuple[int, ...], axis: Any, wanted: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape)
    found = as_batch(array, channel_axis=axis)[0]
    assert tuple(found.shape) == wanted
    [same] = lookalike.measure(array, array * 0.5, ["l2"], channel_axis=axis)
    assert same.value == pytest.approx(float(((array * 0.5) ** 2).mean()), rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "axis", "message"),
    [
        ((8, 9, 13), "last", "channel_axis"), ((5, 8, 9), "last", "volume"), ((8, 9, 3), 3, "three or four axes"),
        ((8, 9), 0, "three or four axes"), ((2, 5, 8, 9), None, "without channels an array is"),
        ((8, 9, 3), True, "channel_axis is a number"), ((8, 9, 3), "first", "channel_axis is a number"),
    ],
)  # fmt: skip
def test_other_axes_are_refused(shape: tuple[int, ...], axis: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        as_batch(np.zeros(shape), channel_axis=axis)


def test_a_masked_array_is_refused_where_its_mask_hides_something() -> None:
    values = np.ma.masked_less(np.linspace(0, 1, 64).reshape(8, 8), 0.5)
    with pytest.raises(TypeError, match=r"masked array.*filled.*mask="):
        as_batch(values)
    assert as_batch(np.ma.array(np.zeros((8, 8))))[0].shape == (1, 1, 8, 8)


@pytest.mark.parametrize("name", ["l1", "l2", "psnr", "ssim"])
def test_time_is_not_read_as_channels(name: str) -> None:
    frames = torch.rand(2, 7, 3, 16, 16)
    metric: Callable[..., Any] = lookalike.get(name)
    with pytest.raises(ValueError, match=r"reads as frames \(n, t, c, h, w\).*flatten\(0, 1\)"):
        metric(frames, frames)
    assert metric(frames.flatten(0, 1), frames.flatten(0, 1)).shape == (14,)
    if name != "ssim":
        assert metric(frames.transpose(1, 2), frames.transpose(1, 2)).shape == (2,)


def test_integers_without_a_range_are_refused() -> None:
    array = torch.ones(1, 1, 8, 8, dtype=torch.int32)
    with pytest.raises(TypeError, match="does not say its range; pass data_range"):
        load_pair(array, array)
    assert read_pair(array, array, data_range=255).data_range == 255


def test_what_is_done_before_replaces_no_setting_of_a_metric(tmp_path):
    from lookalike.scoring.run import score_folders

    for folder in ("ref", "a"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3)).save(tmp_path / folder / "1.png")
    run = score_folders(
        tmp_path / "ref", [tmp_path / "a"], ["zhao_mix", "psnr(luma=studio, crop=4)"], crop_border=2, alpha="white"
    )
    signatures = list(run.signatures.values())
    assert "|alpha:0.84|" in signatures[0]
    assert "|alpha-before:white|" in signatures[0]
    assert "|crop:4|" in signatures[1]
    assert "|crop-before:2|" in signatures[1]
