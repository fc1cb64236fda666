"""Ranges: what speaks against a data_range in the values of a reference."""

import math

import pytest

from lookalike.ranges import bounds, mismatch


@pytest.mark.parametrize(
    ("least", "most", "data_range", "advice"),
    [
        (0.0, 255.0, 1, "pass data_range=255"),
        (3.0, 117.5, 1, "pass data_range=255"),
        (-1.0, 1.0, 1, "pass data_range=(-1, 1)"),
        (-0.7, 0.2, 1, "pass data_range=(-1, 1)"),
        (0.0, 60000.0, 1, "pass data_range=65535"),
        (-2.1, 2.6, 1, "pass the data_range these values have"),
        (-0.04, 1.05, 1, "clip them, or pass the data_range these values have"),
        (-1.0, 1.0, 255, "pass data_range=(-1, 1)"),
        (0.0, 1.0, 255, "pass data_range=1"),
        (0.0, 65000.0, 255, "pass data_range=65535"),
        (0.0, 255.0, 65535, "pass data_range=255"),
        (0.0, 1.0, 65535, "pass data_range=1"),
        (0.0, 1.0, (-1, 1), "pass data_range=1"),
        (0.0, 255.0, (-1, 1), "pass data_range=255"),
        (0.0, 255.0, (-127.5, 127.5), "pass data_range=255"),
    ],
)
def test_a_wrong_range_is_named_with_what_to_pass(
    least: float, most: float, data_range: float | tuple[float, float], advice: str
) -> None:
    found = mismatch(least, most, *bounds(data_range))
    assert found is not None
    assert found.endswith("; " + advice)


@pytest.mark.parametrize(
    ("least", "most", "data_range"),
    [
        (0.0, 1.0, 1), (-0.0009, 1.0009, 1), (0.2, 0.3, 1), (0.0, 0.0, 1), (1.0, 1.0, 1), (0.0, 255.0, 255),
        (0.0, 0.0, 255), (3.0, 9.0, 255), (0.0, 4095.0, 65535), (-1.0, 1.0, (-1, 1)), (-1.0, -0.9, (-1, 1)),
        (0.3, 1.0, (-1, 1)), (0.0, 0.4, (-1, 1)), (0.0, 7.0, 10), (math.nan, math.nan, 1),
    ],
)  # fmt: skip
def test_values_that_may_fit_a_range_are_not_doubted(
    least: float, most: float, data_range: float | tuple[float, float]
) -> None:
    assert mismatch(least, most, *bounds(data_range)) is None


def test_whole_numbers_are_dark_images_and_masks() -> None:
    assert mismatch(0.0, 1.0, 0.0, 255.0, fractions=False) is None
    assert mismatch(0.0, 1.0, -1.0, 1.0, fractions=False) is None
    assert mismatch(0.0, 255.0, 0.0, 1.0, fractions=False) is not None
