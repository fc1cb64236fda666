"""The door: what a pair of batches may be, and what a file may be."""

import contextlib
import io
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import png
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import lookalike
from lookalike import batches, ranges, samples
from lookalike.batches import as_batch, load_pair, pair
from lookalike.files import UnreadableImage, load
from lookalike.scoring import pairs


def picture(height: int = 24, width: int = 31, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def saved(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)  # type: ignore[arg-type]
    return path


def saved16(path: Path, array: np.ndarray, **options: Any) -> Path:
    """A 16-bit PNG, which Pillow cannot write in colour."""
    height, width = array.shape[:2]
    planes = 1 if array.ndim == 2 else array.shape[2]
    kind: dict[str, Any] = {"greyscale": planes < 3, "alpha": planes in (2, 4), "bitdepth": 16}
    writer = png.Writer(width, height, **kind, **options)
    with path.open("wb") as file:
        writer.write(file, array.reshape(height, -1).tolist())
    return path


def deep(channels: int, seed: int = 0) -> np.ndarray:
    shape = (24, 31) if channels == 1 else (24, 31, channels)
    return np.random.default_rng(seed).integers(0, 65536, shape, np.uint16)


def refusal(path: Path | str, **options: Any) -> str:
    """The reason why a file is refused, which is one line that begins with its name."""
    with pytest.raises(UnreadableImage) as caught:
        load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# A pair of batches


def batch(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("other", [(1, 1, 8, 8), (1, 3, 1, 1), (1, 3, 8, 9), (2, 3, 8, 8)])
def test_nothing_is_broadcast(other: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have the same shape") as caught:
        pair(batch(1, 3, 8, 8), batch(*other), who="ssim")
    assert str(caught.value).startswith("ssim: ")
    assert str(other) in str(caught.value)


@pytest.mark.parametrize("shape", [(8,), (8, 8), (3, 8, 8), (1, 3, 2, 8, 8), (1, 1, 3, 2, 8, 8)])
def test_other_dimensions_are_refused_with_advice(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x must be \(n, c, h, w\).*(image\[None\]|reshape it)"):
        pair(batch(*shape), batch(*shape), who="ssim")


def test_volumes_are_taken_where_they_are_accepted() -> None:
    x, _ = pair(batch(1, 2, 3, 8, 8), batch(1, 2, 3, 8, 8), who="ssim", volumes=True)
    assert x.shape == (1, 2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"\(n, c, d, h, w\)"):
        pair(batch(8, 8), batch(8, 8), who="ssim", volumes=True)
    with pytest.raises(ValueError, match="at least 4 px a side, got 3x8x8"):
        pair(batch(1, 2, 3, 8, 8), batch(1, 2, 3, 8, 8), who="ssim", volumes=True, min_side=4)


@pytest.mark.parametrize("shape", [(1, 0, 8, 8), (1, 3, 0, 8), (1, 3, 8, 0)])
def test_empty_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="empty dimension"):
        pair(torch.zeros(shape), torch.zeros(shape), who="ssim")


def test_an_empty_batch_passes() -> None:
    x, y = pair(torch.zeros(0, 3, 8, 8), torch.zeros(0, 3, 8, 8), who="ssim")
    assert x.shape == y.shape == (0, 3, 8, 8)


def test_other_things_than_tensors_are_refused_with_the_function_that_takes_them() -> None:
    with pytest.raises(TypeError, match=r"y must be a torch tensor.*ndarray.*lookalike\.measure"):
        pair(batch(1, 1, 8, 8), np.zeros((8, 8)), who="ssim")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.uint8, torch.float32), (torch.float32, torch.uint8), (torch.uint8, torch.uint16),
        (torch.int64, torch.int64), (torch.int32, torch.float32), (torch.bool, torch.bool),
        (torch.int8, torch.int8), (torch.complex64, torch.complex64),
    ],
)  # fmt: skip
def test_dtypes_that_do_not_say_their_range_are_refused(first: torch.dtype, second: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"both must be floats|does not say its range; pass data_range") as caught:
        pair(torch.ones(1, 1, 4, 4).to(first), torch.ones(1, 1, 4, 4).to(second), who="ssim")
    assert str(first) in str(caught.value)


def test_uint8_is_0_to_255_and_never_wrapped() -> None:
    x = torch.tensor([0, 1, 250, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    y = x.flip(-1)
    found, other = pair(x, y, who="ssim")
    torch.testing.assert_close(found.flatten(), torch.tensor([0, 1 / 255, 250 / 255, 1]))
    torch.testing.assert_close((found - other).flatten()[0], torch.tensor(-1 / 255))
    torch.testing.assert_close(pair(x, y, who="ssim", data_range=255)[0], found)


@pytest.mark.parametrize(
    ("dtype", "stated"),
    [
        (torch.uint8, 1), (torch.uint8, 127), (torch.uint8, (-1, 1)), (torch.uint8, 65535),
        (torch.uint16, 255), (torch.uint16, 1), (torch.uint8, torch.tensor([255.0])),
    ],
)  # fmt: skip
def test_a_range_that_contradicts_an_unsigned_dtype_is_refused(dtype, stated) -> None:
    x = torch.ones(1, 1, 4, 4).to(dtype)
    with pytest.raises(ValueError, match=f"{dtype}, which is always 0-.*leave data_range out"):
        pair(x, x, who="psnr", data_range=stated)
    with pytest.raises(ValueError, match="which is always 0-"):
        lookalike.get("psnr", data_range=stated)(x, x)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_signed_integers_are_taken_at_the_range_that_is_said(dtype) -> None:
    x = torch.tensor([0, 5, 50, 100]).to(dtype).view(1, 1, 2, 2)
    y = x.flip(-1)
    expected = float(lookalike.get("psnr", data_range=100)(x.float(), y.float()))
    assert float(lookalike.get("psnr", data_range=100)(x, y)) == expected
    assert float(lookalike.get("psnr", data_range=(-50, 100))(x, y)) > expected
    with pytest.raises(TypeError, match="does not say its range; pass data_range"):
        lookalike.get("psnr")(x, y)
    with pytest.raises(ValueError, match="outside data_range"):
        lookalike.get("psnr", data_range=50)(x, y)


def test_each_image_may_have_a_range_of_its_own() -> None:
    x, y = torch.rand(3, 1, 16, 16), torch.rand(3, 1, 16, 16)
    widths = torch.tensor([1.0, 255.0, 4095.0])
    scale = widths.reshape(-1, 1, 1, 1)
    for name in ("psnr", "ssim"):
        scores = lookalike.get(name, data_range=widths)(x * scale, y * scale)
        torch.testing.assert_close(scores, lookalike.get(name)(x, y), rtol=1e-5, atol=1e-6)
    assert "range:per-image" in lookalike.get("ssim", data_range=widths).signature()
    with pytest.raises(ValueError, match="3 widths for 2 images"):
        lookalike.get("psnr", data_range=widths)(x[:2], y[:2])
    with pytest.raises(ValueError, match="positive and finite"):
        lookalike.get("psnr", data_range=torch.tensor([1.0, -1.0]))
    with pytest.raises(TypeError, match="one width an image"):
        lookalike.get("psnr", data_range=torch.tensor([[1.0]]))
    with pytest.raises(ValueError, match="divided by each image's data_range"):
        lookalike.get("psnr", data_range=widths)(x * 255, y * 255)


def test_uint16_is_0_to_65535() -> None:
    x = torch.tensor([0, 65535], dtype=torch.int32).to(torch.uint16).view(1, 1, 1, 2)
    assert pair(x, x, who="ssim")[0].flatten().tolist() == [0.0, 1.0]


def test_a_signed_range_that_is_not_stated_is_named() -> None:
    x = batch(1, 3, 8, 8) * 2 - 1
    with pytest.raises(ValueError, match=r"pass data_range=\(-1, 1\)"):
        pair(x, x, who="ssim")
    torch.testing.assert_close(pair(x, x, who="ssim", data_range=(-1, 1))[0], batch(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("factor", "named"), [(255, "data_range=255"), (65535, "data_range=65535"), (1e6, "these")]
)
def test_a_wider_range_that_is_not_stated_is_named(factor: float, named: str) -> None:
    x = batch(1, 3, 8, 8) * factor
    with pytest.raises(ValueError, match=f"y holds values outside.*pass .*{named}"):
        pair(x / x.max(), x, who="ssim")


def test_a_narrower_range_than_stated_is_named() -> None:
    x = batch(1, 3, 8, 8)
    with pytest.raises(ValueError, match=r"data_range=255 but all values.*pass data_range=1,"):
        pair(x, x, who="ssim", data_range=255)
    dark = torch.ones(1, 1, 8, 8)  # a black image of grey levels 0 and 1 is not mistaken
    assert float(pair(dark, dark, who="ssim", data_range=255)[0].max()) == pytest.approx(1 / 255)


def test_overshoot_of_resampling_passes() -> None:
    x = torch.full((1, 1, 4, 4), 1.0009)
    assert float(pair(x, x, who="ssim")[0].max()) == pytest.approx(1.0009)
    with pytest.raises(ValueError, match="outside"):
        pair(x + 0.001, x, who="ssim")


def test_shapes_only_looks_at_no_value() -> None:
    x = batch(1, 3, 8, 8) * 700 - 300
    torch.testing.assert_close(pair(x, x, who="ssim", check="shapes")[0], x)
    with pytest.raises(ValueError, match="check must be 'values' or 'shapes', got 'none'"):
        pair(x, x, who="ssim", check="none")  # type: ignore[arg-type]


def test_nan_passes() -> None:
    x = batch(1, 1, 8, 8)
    x[0, 0, 3, 3] = torch.nan
    found, _ = pair(x, x, who="ssim")
    assert int(found.isnan().sum()) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_becomes_float32(dtype: torch.dtype) -> None:
    x = batch(1, 1, 8, 8).to(dtype)
    found, _ = pair(x, x, who="ssim")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, x.float(), rtol=0, atol=0)


@pytest.mark.parametrize("other", [torch.float64, torch.float32])
def test_float64_stays_float64(other: torch.dtype) -> None:
    x, y = pair(batch(1, 1, 8, 8).double(), batch(1, 1, 8, 8).to(other), who="ssim", data_range=1)
    assert x.dtype == y.dtype == torch.float64


def test_devices_must_agree() -> None:
    with pytest.raises(ValueError, match=r"x is on cpu and y on meta.*\.to\(\)"):
        pair(batch(1, 1, 8, 8), batch(1, 1, 8, 8).to("meta"), who="ssim")


def test_a_grey_image_for_a_metric_of_colour_is_told_how_to_become_one() -> None:
    grey = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"needs 3 channel.s., got 1 .*a grey image becomes RGB by x.expand"):
        batches.pair(grey, grey, who="test", channels=(3,))


def test_sparse_tensors_are_told_how_to_become_dense() -> None:
    image = torch.zeros(1, 1, 8, 8)
    with pytest.raises(TypeError, match=r"y is torch.sparse_coo; call y.to_dense.. first"):
        batches.pair(image, image.to_sparse(), who="test")


def test_channels_and_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"needs 1 or 3 channel\(s\), got 4"):
        pair(batch(1, 4, 8, 8), batch(1, 4, 8, 8), who="ssim", channels=(1, 3))
    with pytest.raises(ValueError, match="at least 11 px a side, got 8x20"):
        pair(batch(1, 1, 8, 20), batch(1, 1, 8, 20), who="ssim", min_side=11)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "255", (1, 0), (0, 1, 2), None, [0, 1]])
def test_ranges_without_width_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="data_range must"):
        ranges.bounds(bad)  # type: ignore[arg-type]


def test_gradients_pass_the_door() -> None:
    x = batch(1, 1, 8, 8).mul(2).sub(1).requires_grad_()
    found, _ = pair(x, x.detach(), who="ssim", data_range=(-1, 1))
    found.sum().backward()
    assert x.grad is not None
    assert torch.all(x.grad == 0.5)


def test_a_mask_that_does_not_fit_is_refused() -> None:
    x = batch(2, 3, 8, 8)
    with pytest.raises(TypeError, match="mask must be a torch tensor"):
        batches.mask_for(x, np.ones((8, 8)), "ssim")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3, 8, 8\) or \(2, 1, 8, 8\)"):
        batches.mask_for(x, torch.ones(2, 2, 8, 8), "ssim")
    with pytest.raises(ValueError, match="move it"):
        batches.mask_for(x, torch.ones(2, 1, 8, 8, device="meta"), "ssim")


# Any kind of image


def test_arrays_pictures_files_and_tensors_are_one_image(tmp_path: Path) -> None:
    array = picture()
    kinds = [array, Image.fromarray(array), saved(tmp_path / "a.png", array), str(tmp_path / "a.png"),
             torch.from_numpy(array).permute(2, 0, 1), torch.from_numpy(array).permute(2, 0, 1)[None]]  # fmt: skip
    for kind in kinds:
        found, carried = as_batch(kind)
        assert carried == 255
        assert torch.equal(found, torch.from_numpy(array).permute(2, 0, 1)[None])


@pytest.mark.parametrize(
    ("array", "dtype", "carried"),
    [
        (np.ones((4, 5), np.uint16), torch.float32, 65535), (np.ones((4, 5), np.float16), torch.float32, None),
        (np.ones((4, 5, 1), np.float32), torch.float32, None), (np.ones((4, 5, 3)), torch.float64, None),
        (np.ones((4, 5, 3), np.uint8)[::-1, ::2], torch.uint8, 255),
    ],
)  # fmt: skip
def test_arrays_keep_their_depth(array: np.ndarray, dtype: torch.dtype, carried: float | None) -> None:
    found, said = as_batch(array)
    assert (found.dtype, said) == (dtype, carried)
    assert torch.all(found == 1)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((4, 5, 4), np.uint8), ValueError, "drop or composite alpha"),
        (np.zeros((3, 40, 50), np.uint8), ValueError, "move channels last"),
        (np.zeros(4), ValueError, r"is \(h, w\)"),
        (np.zeros((4, 5), np.uint32), TypeError, "uint8, uint16, float.*got uint32"),
        (np.zeros((4, 5), bool), TypeError, "convert it first"),
        (torch.zeros(5), ValueError, r"a tensor is \(c, h, w\)"),
        (3.0, TypeError, "an image is a path"),
        ([[0]], TypeError, "got list"),
    ],
)
def test_other_things_are_no_image(bad: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_batch(bad, who="the reference")


@pytest.mark.parametrize(
    ("judged", "reference", "message"),
    [
        (picture(), picture(24, 32), r"is 31x24 px, the reference 32x24 px; crop or resize"),
        (picture(), picture(channels=1), "is of 3 channels, the reference grey"),
        (picture(), deep(3), "is 8-bit, the reference 16-bit"),
        (picture(), picture() / 255, "is 8-bit, the reference float"),
    ],
)
def test_pairs_that_differ_in_kind_are_refused(judged: np.ndarray, reference: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_pair(judged, reference)


def test_a_stated_range_is_for_floats() -> None:
    assert load_pair(picture() / 255, picture() / 255)[2] == 1
    assert load_pair(picture() / 1.0, picture() / 1.0, data_range=255)[2] == 255
    assert load_pair(picture(), picture(), data_range=255)[2] == 255
    with pytest.raises(ValueError, match="8-bit images are 0-255; data_range=1 is for float images"):
        load_pair(picture(), picture(), data_range=1)
    with pytest.raises(ValueError, match="positive, finite width"):
        load_pair(picture(), picture(), data_range=0)


@pytest.mark.parametrize("name", ["nonsense", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=f"device: '{name}' cannot be used here") as caught:
        load_pair(picture(), picture(), device=name)
    assert "\n" not in str(caught.value)


def test_the_sample_photographs_are_there() -> None:
    assert samples.sample("camera", 64).shape == (1, 1, 64, 64)
    assert samples.sample("coffee").shape == (1, 3, 400, 600)
    with pytest.raises(ValueError, match="no photograph 'lenna'"):
        samples.sample("lenna")
    with pytest.raises(ValueError, match="smaller than 999 px"):
        samples.sample("camera", 999)


# Files that are read


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "name with spaces.png", "ünïcode – 图.png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_give_their_pixels(tmp_path: Path, name: str, channels: int) -> None:
    array = picture(channels=channels)
    found = load(saved(tmp_path / name, array))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


def test_lossy_files_are_near_their_pixels(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8)
    for name in ("a.jpg", "a.webp"):
        array = np.stack([smooth] * 3, -1)
        assert np.abs(load(saved(tmp_path / name, array, quality=95)).astype(int) - array).max() <= 4
    assert load(saved(tmp_path / "grey.jpg", smooth)).shape == (32, 40)


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    saved(tmp_path / "photo.jpg", picture())
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.png")
    assert load(tmp_path / "photo.png").shape == (24, 31, 3)


def test_names_need_not_be_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9 \xff.png"
    try:
        Path(os.fsdecode(path)).write_bytes(saved(tmp_path / "a.png", picture()).read_bytes())
    except OSError:
        pytest.skip("this file system wants names that are text")
    np.testing.assert_array_equal(load(os.fsdecode(path)), picture())


def test_16_bit_grey_keeps_its_values(tmp_path: Path) -> None:
    array = deep(1)
    for path in (saved16(tmp_path / "a.png", array), saved(tmp_path / "a.tif", array)):
        found = load(path)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, array)


def test_16_bit_colour_keeps_its_values(tmp_path: Path) -> None:
    array = deep(3)
    found = load(saved16(tmp_path / "a.png", array))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(load(saved16(tmp_path / "i.png", array, interlace=True)), array)


def test_16_bit_alpha_follows_the_rule_of_8_bits(tmp_path: Path) -> None:
    for planes in (2, 4):
        array = deep(planes)
        assert "transparent" in refusal(saved16(tmp_path / f"{planes}.png", array))
        array[..., -1] = 65535
        found = load(saved16(tmp_path / f"{planes}.png", array))
        np.testing.assert_array_equal(found, array[..., 0] if planes == 2 else array[..., :3])


def test_16_bit_grey_with_a_transparent_level_is_not_read_as_opaque(tmp_path: Path) -> None:
    array = deep(1)
    path = saved16(tmp_path / "a.png", array, transparent=int(array[3, 4]))
    assert "transparent" in refusal(path)
    white = load(path, alpha="white")
    assert white[3, 4] == 65535
    assert white[0, 0] == array[0, 0]


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    array = picture(channels=1) > 127
    np.testing.assert_array_equal(load(saved(tmp_path / "a.png", array)), array * np.uint8(255))


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(picture()).quantize(16)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "still.gif")
    for name in ("a.png", "still.gif"):
        np.testing.assert_array_equal(load(tmp_path / name), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", ["a.png", "still.gif"])
def test_a_palette_with_a_transparent_colour(tmp_path: Path, name: str) -> None:
    image = Image.fromarray((np.arange(24 * 31).reshape(24, 31) % 4).astype(np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.save(tmp_path / name, transparency=2)
    assert "transparent" in refusal(tmp_path / name)
    white = load(tmp_path / name, alpha="white")
    assert white[0, :4].tolist() == [[10, 20, 30], [40, 50, 60], [255, 255, 255], [100, 110, 120]]


def test_a_transparent_grey_level_leaves_grey_grey(tmp_path: Path) -> None:
    array = picture(channels=1)
    Image.fromarray(array).save(tmp_path / "a.png", transparency=int(array[0, 0]))
    assert "transparent" in refusal(tmp_path / "a.png")
    assert load(tmp_path / "a.png", alpha="black").shape == array.shape
    assert load(tmp_path / "a.png", alpha="black")[0, 0] == 0


@pytest.mark.parametrize("planes", [2, 4])
def test_alpha_that_is_opaque_is_dropped(tmp_path: Path, planes: int) -> None:
    array = picture(channels=planes)
    array[..., -1] = 255
    found = load(saved(tmp_path / "a.png", array))
    np.testing.assert_array_equal(found, array[..., 0] if planes == 2 else array[..., :3])


@pytest.mark.parametrize("planes", [2, 4])
def test_alpha_is_refused_unless_a_background_is_named(tmp_path: Path, planes: int) -> None:
    array = np.full((4, 5, planes), 100, np.uint8)
    array[..., -1] = 51  # a fifth
    path = saved(tmp_path / "a.png", array)
    assert "alpha='white' or 'black' (--alpha)" in refusal(path)
    assert "name the background" in refusal(path, alpha="green")
    assert np.unique(load(path, alpha="white")).tolist() == [224]
    assert np.unique(load(path, alpha="black")).tolist() == [20]
    assert load(path, alpha="white").shape == ((4, 5) if planes == 2 else (4, 5, 3))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    grey = np.full((16, 16, 3), 200, np.uint8)
    found = load(saved(tmp_path / "a.jpg", grey, "CMYK", quality=95))
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - 200).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = picture()
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    stored = np.ascontiguousarray(turns[orientation](upright))
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(load(saved(tmp_path / name, stored, exif=exif)), upright)
    jpeg = load(saved(tmp_path / "a.jpg", stored, exif=exif))
    np.testing.assert_array_equal(jpeg, turns_back(load(saved(tmp_path / "b.jpg", stored)), orientation))


def turns_back(stored: np.ndarray, orientation: int) -> np.ndarray:
    """By Pillow's own transposition, which is another way of saying the same."""
    operation = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)  # fmt: skip
    image = Image.fromarray(stored)
    return np.asarray(image if operation is None else image.transpose(operation))


def test_16_bit_colour_is_turned_too(tmp_path: Path) -> None:
    array = deep(3)
    content = saved16(tmp_path / "a.png", np.ascontiguousarray(np.rot90(array))).read_bytes()
    exif = Image.Exif()
    exif[274] = 6
    block = exif.tobytes().removeprefix(b"Exif\x00\x00")
    head = 8 + 25  # signature and IHDR
    (tmp_path / "turned.png").write_bytes(content[:head] + chunk(b"eXIf", block) + content[head:])
    np.testing.assert_array_equal(load(tmp_path / "turned.png"), array)


def test_a_damaged_exif_block_leaves_the_picture_readable(tmp_path: Path) -> None:
    good = load(saved(tmp_path / "good.jpg", picture()))
    for number, exif in enumerate(
        (b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00")
    ):
        path = saved(tmp_path / f"{number}.jpg", picture(), exif=exif)
        np.testing.assert_array_equal(load(path), good)
    exif = Image.Exif()
    exif[274] = 77
    np.testing.assert_array_equal(load(saved(tmp_path / "77.jpg", picture(), exif=exif)), good)


def test_float_tiff_keeps_its_values(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((24, 31), np.float32) * 3 - 1
    found = load(saved(tmp_path / "a.tif", array))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array)


def test_a_picture_just_below_the_limit_is_read_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert load(saved(tmp_path / "a.png", picture())).shape == (24, 31, 3)


# Files that are refused


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    assert refusal(tmp_path / "x.png") == "is a folder"
    assert refusal(tmp_path / "missing.png") == "no such file"
    assert refusal(saved(tmp_path / "a.png", picture()) / "b.png") == "no such file"
    (tmp_path / "dangling.png").symlink_to(tmp_path / "missing.png")
    assert refusal(tmp_path / "dangling.png") == "no such file"
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert refusal(tmp_path / "loop.png").startswith("cannot be a file")
    assert refusal("a\0b.png").startswith("cannot be a file")
    assert refusal("x" * 5000 + ".png").startswith("cannot be a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    assert refusal(tmp_path / "fifo.png") == "not a regular file"
    assert refusal("/dev/zero") == "not a regular file"


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, and so is somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permission bits are POSIX")
def test_a_file_without_permission_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed").mkdir()
        inside, path, whole = (saved(folder / place, picture()) for place in ("closed/a.png", "a.png", "b.png"))
        path.chmod(0)
        (folder / "closed").chmod(0)
        with as_nobody():
            assert load(whole).shape == (24, 31, 3)
            assert refusal(path) == "no permission to read it"
            assert refusal(inside) == "no permission to read it"
            found = pairs.find(folder, [folder])
        (folder / "closed").chmod(0o700)
    assert [group.pair for group in found.groups] == ["a", "b"]
    assert {one[:2] for one in found.unpaired} == {(str(folder / "closed"), "cannot be listed (Permission denied)")}


def test_what_is_not_an_image_is_refused(tmp_path: Path) -> None:
    for name, content in {
        "empty.png": b"", "text.png": b"Not an image.\n" * 9, "zip.png": b"PK\x03\x04" + bytes(99),
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "signature.png": b"\x89PNG\r\n\x1a\n",
        "start.jpg": b"\xff\xd8\xff", "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        reason = refusal(tmp_path / name)
        assert reason == "the file is empty" if not content else reason


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.tif", "a.bmp", "a.ppm"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    path = saved(tmp_path / name, picture(64, 80))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert refusal(path)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated_16_bit_files_are_refused(tmp_path: Path, share: float) -> None:
    path = saved16(tmp_path / "a.png", deep(3))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "truncated or damaged" in refusal(path)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_several_frames_are_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    assert refusal(tmp_path / name) == "holds more than one frame; extract the one you mean"


def test_wide_integers_are_refused(tmp_path: Path) -> None:
    array = np.full((8, 8), 70000, np.int32)
    assert "outside 0-65535" in refusal(saved(tmp_path / "a.tif", array))
    np.testing.assert_array_equal(load(saved(tmp_path / "b.tif", array - 20000)), array - 20000)


def test_a_colour_space_without_a_rule_is_refused(tmp_path: Path) -> None:
    Image.new("LAB", (8, 8)).save(tmp_path / "a.tif")
    assert "mode LAB has no stated rule" in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 2), (16, 2)])
def test_a_decompression_bomb_is_refused_at_once(tmp_path: Path, depth: int, colour: int) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, depth, colour, 0, 0, 0)
    content = zlib.compress(bytes(1000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    before = time.process_time()
    assert "claims more than 178,956,970 pixels (60000x60000)" in refusal(tmp_path / "bomb.png")
    assert time.process_time() - before < 5


@pytest.mark.parametrize("pillows", [None, 100])
def test_the_limit_is_ours_whatever_pillows_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pillows: int | None
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows)
    said = "claims more than 700 pixels (31x24); --max-pixels (max_pixels=) allows more"
    paths = [saved(tmp_path / f"a.{ending}", picture()) for ending in ("png", "jpg", "tif", "bmp", "jp2", "avif")]
    for path in [*paths, saved16(tmp_path / "b.png", deep(3))]:
        assert refusal(path, max_pixels=700) == said
        assert load(path, max_pixels=744).shape == (24, 31, 3)
    for inverted in (False, True):
        bits = picture(channels=1) > 127
        kind = "miniswhite" if inverted else "minisblack"
        pytest.importorskip("tifffile").imwrite(tmp_path / "c.tif", bits, photometric=kind)
        np.testing.assert_array_equal(load(tmp_path / "c.tif"), (bits != inverted) * np.uint8(255))


def test_a_broken_picture_object_is_refused_like_its_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", picture(64, 80))
    with (
        Image.open(io.BytesIO(path.read_bytes()[:900])) as image,
        pytest.raises(UnreadableImage, match="truncated"),
    ):
        as_batch(image, who="the reference")


# Files that are damaged at random

BYTES = {
    "png": lambda path: saved(path, picture()),
    "palette.png": lambda path: saved(path, picture(), "P"),
    "deep.png": lambda path: saved16(path, deep(3)),
    "jpg": lambda path: saved(path, picture(), exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"),
    "tif": lambda path: saved(path, picture()),
    "gif": lambda path: saved(path, picture(), "P"),
    "webp": lambda path: saved(path, picture()),
    "bmp": lambda path: saved(path, picture()),
    "avif": lambda path: saved(path, picture()),
    "jp2": lambda path: saved(path, picture()),
    "progressive.jpg": lambda path: saved(path, picture(), progressive=True),
    "deep.ppm": lambda path: path.write_bytes(b"P6 31 24 65535\n" + deep(3).astype(">u2").tobytes()),
    "pfm": lambda path: path.write_bytes(b"Pf\n31 24\n-1\n" + (picture(channels=1) / 255).astype("<f4").tobytes()),
}


@pytest.mark.parametrize("kind", BYTES)
@settings(
    max_examples=100, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(draw=st.data())
def test_damaged_bytes_give_an_image_or_a_refusal(tmp_path: Path, kind: str, draw: st.DataObject) -> None:
    good = tmp_path / f"good.{kind}"
    if not good.exists():
        BYTES[kind](good)
    content = bytearray(good.read_bytes())
    places = st.one_of(st.integers(0, min(len(content), 120) - 1), st.integers(0, len(content) - 1))
    for place, value in draw.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        content[place] = value
    if draw.draw(st.booleans()):
        del content[draw.draw(st.integers(0, len(content))) :]
    bad = tmp_path / f"bad.{kind}"
    bad.write_bytes(content)
    with contextlib.suppress(UnreadableImage):
        found = load(bad, alpha="white")
        assert found.dtype in (np.uint8, np.uint16, np.float32)
        assert found.ndim == 2 or found.shape[2] == 3
