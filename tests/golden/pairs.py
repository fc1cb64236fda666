"""Image pairs that need no image file: scikit-image's free photographs, distorted with whole numbers.

Every distortion is exact integer arithmetic, with no codec and no random generator but a multiply-and-shift
scramble of the pixel's own index, so each pair is the same, bit for bit, on every platform. The one exception
is `camera_noisy`, which takes its noise from NumPy's frozen `RandomState`.

    sk_pairs()         19 whole photographs, named like `sk/chelsea_box5`; `authors.json` is about these
    camera_noisy()     the 20th such pair, `skimage/camera_noisy`, in `authors.json` too
    synthetic_pairs()  20 crops from 32 x 32 to 1080 x 1920, grey and RGB, named like `chelsea_rgb_301x199`
    all_pairs()        all of the above

A pair is `(reference, distorted)`, both uint8, H x W for grey and H x W x 3 for RGB.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage import data

Image = NDArray[np.uint8]
Integers = NDArray[np.int32]
Pair = tuple[Image, Image]


def photograph(name: str) -> Image:
    """One of scikit-image's photographs: `astronaut`, `camera` (grey), `chelsea` or `coffee`."""
    return np.asarray(getattr(data, name)(), dtype=np.uint8)


def grey(image: Image) -> Image:
    """Luma rounded to the nearest integer, in whole thousandths; a grey image comes back as it is."""
    if image.ndim == 2:
        return image
    red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------------
# Distortions: int32 in, int32 out; `distort` clips to 0..255.


def plus16(pixels: Integers) -> Integers:
    """Brighter by 16 levels."""
    return pixels + 16


def contrast(pixels: Integers) -> Integers:
    """Three quarters of the contrast, centred on mid-grey."""
    return (pixels * 3) // 4 + 32


def quant32(pixels: Integers) -> Integers:
    """Eight levels instead of 256, each at the middle of its bin."""
    return (pixels // 32) * 32 + 16


def roll2(pixels: Integers) -> Integers:
    """Two pixels to the right, round the edge."""
    return np.roll(pixels, 2, axis=1)


def box5(pixels: Integers) -> Integers:
    """Blur by a 5 x 5 box with repeated edges, rounded half up."""
    height, width = pixels.shape[:2]
    padding = ((2, 2), (2, 2)) + ((0, 0),) * (pixels.ndim - 2)
    padded = np.pad(pixels, padding, mode="edge")
    total = np.zeros_like(pixels)
    for top in range(5):
        for left in range(5):
            total += padded[top : top + height, left : left + width]
    return (2 * total + 25) // 50


def checker8(pixels: Integers) -> Integers:
    """A checkerboard of 8-pixel squares on top, 12 levels down and up."""
    row, column = np.indices(pixels.shape[:2])
    board = (((row // 8 + column // 8) % 2) * 24 - 12).astype(np.int32)
    return pixels + board.reshape(board.shape + (1,) * (pixels.ndim - 2))


def lcg(pixels: Integers) -> Integers:
    """Noise, even over -24..24: a linear congruential step of each value's index, scrambled, modulo 49."""
    # Unsigned 64-bit arithmetic wraps round, which is the point.
    state = np.arange(1, pixels.size + 1, dtype=np.uint64)
    state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    state ^= state >> np.uint64(33)
    state *= np.uint64(0xFF51AFD7ED558CCD)
    state ^= state >> np.uint64(33)
    noise = (state % np.uint64(49)).astype(np.int32).reshape(pixels.shape) - 24
    return pixels + noise


def swap(pixels: Integers) -> Integers:
    """Red and blue exchanged."""
    return pixels[..., ::-1]


def inv(pixels: Integers) -> Integers:
    """The negative."""
    return 255 - pixels


DISTORTIONS: dict[str, Callable[[Integers], Integers]] = {
    "plus16": plus16,
    "contrast": contrast,
    "quant32": quant32,
    "roll2": roll2,
    "box5": box5,
    "checker8": checker8,
    "lcg": lcg,
    "swap": swap,
    "inv": inv,
}


def distort(image: Image, kind: str) -> Image:
    """`image` with the named distortion, clipped to 0..255."""
    return np.clip(DISTORTIONS[kind](image.astype(np.int32)), 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------------
# Whole photographs.

SK_KINDS: dict[str, tuple[str, ...]] = {
    "chelsea": ("plus16", "contrast", "quant32", "roll2", "box5", "checker8", "lcg", "swap", "inv"),
    "camera": ("contrast", "quant32", "roll2", "box5", "lcg"),
    "coffee": ("box5", "lcg", "swap"),
    "astronaut": ("quant32", "lcg"),
}


def sk_pairs() -> dict[str, Pair]:
    """The 19 pairs `sk/PHOTOGRAPH_KIND` whose golden values are in `authors.json`."""
    pairs: dict[str, Pair] = {}
    for name, kinds in SK_KINDS.items():
        reference = photograph(name)
        for kind in kinds:
            pairs[f"sk/{name}_{kind}"] = (reference, distort(reference, kind))
    return pairs


def camera_noisy() -> Pair:
    """`skimage/camera_noisy`: Gaussian noise of deviation 20, clipped to 0..255 and truncated."""
    reference = photograph("camera")
    noise = 20.0 * np.random.RandomState(5).randn(*reference.shape)
    return reference, np.clip(reference + noise, 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------------
# Crops, for parity across sizes: tiny, odd, on both sides of MS-SSIM's limits (161 and 176), a video frame.

SYNTHETIC: tuple[tuple[str, str, int, int, str], ...] = (
    ("camera", "grey", 32, 32, "lcg"),
    ("astronaut", "rgb", 32, 32, "box5"),
    ("chelsea", "grey", 33, 47, "box5"),
    ("coffee", "rgb", 33, 47, "lcg"),
    ("coffee", "grey", 64, 64, "lcg"),
    ("chelsea", "rgb", 64, 64, "box5"),
    ("camera", "grey", 175, 201, "box5"),
    ("coffee", "rgb", 175, 201, "lcg"),
    ("astronaut", "grey", 176, 176, "lcg"),
    ("chelsea", "rgb", 176, 176, "box5"),
    ("camera", "grey", 256, 256, "lcg"),
    ("astronaut", "rgb", 256, 256, "box5"),
    ("coffee", "grey", 301, 199, "box5"),
    ("chelsea", "rgb", 301, 199, "lcg"),
    ("camera", "grey", 384, 512, "box5"),
    ("coffee", "rgb", 384, 512, "lcg"),
    ("camera", "grey", 640, 640, "lcg"),
    ("astronaut", "rgb", 640, 640, "box5"),
    ("chelsea", "grey", 1080, 1920, "box5"),
    ("coffee", "rgb", 1080, 1920, "lcg"),
)


def _indices(extent: int, wanted: int) -> NDArray[np.intp]:
    """`wanted` places along an axis of `extent`: its middle, or all of it and then its mirror images."""
    if wanted <= extent:
        return np.arange(wanted) + (extent - wanted) // 2
    place = np.arange(wanted) % (2 * extent)
    return np.minimum(place, 2 * extent - 1 - place)


def crop(image: Image, height: int, width: int) -> Image:
    """The middle `height` x `width` of an image; where an axis is too short, mirror images follow."""
    rows, columns = _indices(image.shape[0], height), _indices(image.shape[1], width)
    return np.ascontiguousarray(image[rows][:, columns])


def synthetic_pairs() -> dict[str, Pair]:
    """The 20 pairs `PHOTOGRAPH_grey_HxW` and `PHOTOGRAPH_rgb_HxW` of `SYNTHETIC`, noisy or blurred."""
    pairs: dict[str, Pair] = {}
    for name, colour, height, width, kind in SYNTHETIC:
        whole = photograph(name)
        reference = crop(grey(whole) if colour == "grey" else whole, height, width)
        pairs[f"{name}_{colour}_{height}x{width}"] = (reference, distort(reference, kind))
    return pairs


def all_pairs() -> dict[str, Pair]:
    """Every pair of this module by name."""
    return {**sk_pairs(), "skimage/camera_noisy": camera_noisy(), **synthetic_pairs()}
