import numpy as np
import pytest
from skimage import color, data

from lookalike.distortions import DISTORTIONS

NAMES = list(DISTORTIONS)
SHAPES = [(32, 32), (33, 47), (32, 40, 1), (37, 32, 3)]


def photograph(shape: tuple[int, ...]) -> np.ndarray:
    whole = data.astronaut() / 255
    crop = whole[40 : 40 + shape[0], 180 : 180 + shape[1]]
    return crop if shape[2:] == (3,) else crop.mean(2).reshape(shape)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_keeps_shape_range_and_input(name: str, shape: tuple[int, ...]):
    image = photograph(shape)
    before = image.copy()
    for strength in DISTORTIONS[name].strengths:
        result = DISTORTIONS[name](image, strength, 3)
        assert result.shape == shape
        assert result.dtype == np.float64
        assert result.min() >= 0
        assert result.max() <= 1
        assert not np.array_equal(result, image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", NAMES)
def test_more_is_a_larger_error(name: str):
    image = photograph((96, 96, 3))
    errors = [
        ((DISTORTIONS[name](image, strength) - image) ** 2).mean() for strength in DISTORTIONS[name].strengths
    ]
    assert errors == sorted(errors)
    assert errors[0] > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "jpeg"])
def test_no_strength_is_no_change(name: str):
    image = photograph((40, 33, 3))
    np.testing.assert_allclose(DISTORTIONS[name](image, 0.0), image, atol=1e-12)


@pytest.mark.parametrize("name", ["salt_and_pepper", "grey_overlays", "gaussian_noise", "impulse_noise"])
def test_the_seed_decides(name: str):
    image, distort = photograph((40, 40)), DISTORTIONS[name]
    strength = distort.strengths[-1]
    assert np.array_equal(distort(image, strength, 5), distort(image, strength, 5))
    assert not np.array_equal(distort(image, strength, 5), distort(image, strength, 6))


def test_salt_and_pepper_hits_values_and_impulse_noise_whole_pixels():
    image = np.full((100, 100, 3), 0.5)
    salted = DISTORTIONS["salt_and_pepper"](image, 0.05)
    assert (salted != 0.5).sum() == 1500
    assert set(np.unique(salted)) == {0.0, 0.5, 1.0}
    hit = DISTORTIONS["impulse_noise"](image, 0.05)
    assert (hit != 0.5).any(2).sum() == 500
    assert np.array_equal(hit[..., 0], hit[..., 1])
    assert np.array_equal(hit[..., 0], hit[..., 2])


def test_the_share_of_impulses_is_continuous_and_the_rest_stays_put():
    image = np.full((32, 32), 0.5)
    few, more = (DISTORTIONS["impulse_noise"](image, share, 1) for share in (100.25 / 1024, 101 / 1024))
    assert ((few - image) ** 2).sum() == pytest.approx(25 + 0.25 * 0.0625)
    assert (few != more).sum() == 1


def test_hsv_value_is_that_of_scikit_image():
    image = photograph((64, 64, 3))
    hsv = color.rgb2hsv(image)
    hsv[..., 2] = np.minimum(hsv[..., 2] + 30 / 255, 1)
    np.testing.assert_allclose(DISTORTIONS["hsv_value"](image, 30 / 255), color.hsv2rgb(hsv), atol=1e-12)


def test_hsv_value_makes_black_grey():
    assert np.array_equal(DISTORTIONS["hsv_value"](np.zeros((32, 32, 3)), 0.25), np.full((32, 32, 3), 0.25))


def test_shifts_are_shifts():
    image = photograph((48, 64))
    right, left = (DISTORTIONS[f"shift_{side}"](image, 3.0) for side in ("right", "left"))
    np.testing.assert_allclose(right[:, 3:], image[:, :-3], atol=1e-9)
    np.testing.assert_allclose(left[:, :-3], image[:, 3:], atol=1e-9)
    np.testing.assert_allclose(right[:, :3], image[:, 2::-1], atol=1e-9)  # the edge by reflection


def test_rotation_turns_the_way_it_says():
    image = np.zeros((65, 65))
    image[30:35, 50:55] = 1.0  # to the right of the centre
    rows = np.arange(65)[:, None]
    for name, above in (("rotation_ccw", True), ("rotation_cw", False)):
        turned = DISTORTIONS[name](image, 30.0)
        row = float((rows * turned).sum() / turned.sum())
        assert (row < 32) == above
        assert abs(row - 32) == pytest.approx(10, abs=0.5)  # 20 px from the centre, sin 30 degrees


def test_quarter_turn_is_numpys():
    image = photograph((33, 33))
    np.testing.assert_allclose(DISTORTIONS["rotation_ccw"](image, 90.0), np.rot90(image), atol=1e-9)


def test_zoom_makes_things_smaller():
    image = np.zeros((65, 65))
    image[22:43, 22:43] = 1.0
    assert DISTORTIONS["zoom"](image, 0.5).sum() == pytest.approx(21**2 / 1.5**2, rel=0.02)


def test_contrast_is_stretched_about_the_mean():
    image = 0.5 + 0.2 * (photograph((40, 40)) - 0.5)
    stretched = DISTORTIONS["contrast_stretch"](image, 1.0)
    assert stretched.mean() == pytest.approx(image.mean())
    assert stretched.std() == pytest.approx(2 * image.std())


@pytest.mark.parametrize(("level", "moved"), [(0.2, 0.3), (0.8, 0.7)])
def test_mean_shift_goes_where_there_is_room(level: float, moved: float):
    assert DISTORTIONS["mean_shift"](np.full((32, 32), level), 0.1)[0, 0] == pytest.approx(moved)


def test_blur_keeps_a_flat_image():
    np.testing.assert_allclose(DISTORTIONS["blur"](np.full((32, 32, 3), 0.3), 50.0), 0.3, atol=1e-12)


def test_the_negative():
    image = photograph((32, 32, 3))
    np.testing.assert_allclose(DISTORTIONS["negative"](image, 1.0), 1 - image, atol=1e-12)


@pytest.mark.parametrize(
    ("image", "error", "needle"),
    [
        (np.zeros((32, 32), np.uint8), TypeError, "divide uint8 by 255"),
        ([[0.0]], TypeError, "got list"),
        (np.zeros((1, 3, 32, 32)), ValueError, r"got \(1, 3, 32, 32\)"),
        (np.zeros((32, 32, 4)), ValueError, "c = 1 or 3"),
        (np.zeros((0, 32)), ValueError, "must be"),
        (np.full((32, 32), 255.0), ValueError, r"got \[255, 255\]"),
        (np.full((32, 32), np.nan), ValueError, r"\[nan, nan\]"),
    ],
)
def test_wrong_images_are_refused(image: np.ndarray, error: type[Exception], needle: str):
    with pytest.raises(error, match=f"blur: .*{needle}"):
        DISTORTIONS["blur"](image, 1.0)


@pytest.mark.parametrize(("name", "strength"), [("blur", -1.0), ("jpeg", 100.0), ("negative", float("nan"))])
def test_wrong_strengths_are_refused(name: str, strength: float):
    with pytest.raises(ValueError, match=f"{name}: strength must be from 0 to .*useful ones are"):
        DISTORTIONS[name](np.zeros((32, 32)), strength)
