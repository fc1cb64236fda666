"""What can be done to an image: noise, overlays, tone, compression, blur, small movements.

Pure functions ``(image, strength, seed) -> image`` on NumPy arrays ``(h, w)`` or ``(h, w, c)`` in [0, 1].
Strength 0 leaves the image alone (JPEG excepted) and more is worse. The same seed gives the same image, and noise
whose pattern stays put while its strength grows, so that a strength can be found by bisection. Results are clipped
to [0, 1]. Movements resample by cubic splines with edges by reflection (the edge pixel repeated).

`DISTORTIONS` holds them all by name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, inf, radians, sin
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

FloatImage = NDArray[np.float64]

OVERLAYS = 6  # rectangles of `grey_overlays`


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """One distortion; call it as ``distortion(image, strength, seed=0)``.

    Attributes:
        name: words with underscores.
        title: as tables print it.
        apply: the function, for an image that was checked; its result may leave [0, 1].
        unit: what strength counts.
        strengths: a few useful strengths, mild to severe.
        most: the greatest strength there is.
    """

    name: str
    title: str
    apply: Callable[[FloatImage, float, int], FloatImage]
    unit: str
    strengths: tuple[float, ...]
    most: float = inf

    def __call__(self, image: NDArray[np.floating], strength: float, seed: int = 0) -> FloatImage:
        """Distort an image.

        Args:
            image: ``(h, w)`` or ``(h, w, c)`` with c = 1 or 3, floats in [0, 1].
            strength: from 0 to ``most``, in ``unit``.
            seed: of whatever is random.

        Returns:
            float64 of the same shape, in [0, 1].

        Raises:
            TypeError: for an array that is not of floats.
            ValueError: for another shape, values outside [0, 1], or a strength outside its range.

        Example:
            >>> float(DISTORTIONS["mean_shift"](np.full((32, 32), 0.25), 0.5).mean())
            0.75
        """
        checked = _checked(image, self.name)
        if not 0 <= strength <= self.most:
            raise ValueError(
                f"{self.name}: strength must be from 0 to {self.most:g} ({self.unit}), got {strength!r}; "
                f"useful ones are {', '.join(f'{value:.3g}' for value in self.strengths)}"
            )
        return np.clip(self.apply(checked, float(strength), seed), 0.0, 1.0)


def _checked(image: NDArray[np.floating], who: str) -> FloatImage:
    if not isinstance(image, np.ndarray) or not np.issubdtype(image.dtype, np.floating):
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f"{who}: image must be a NumPy array of floats in [0, 1], got {kind}; divide uint8 by 255")
    if image.ndim not in (2, 3) or 0 in image.shape or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise ValueError(
            f"{who}: image must be (h, w) or (h, w, c) with c = 1 or 3, got {image.shape}; "
            "distort a batch one by one"
        )
    image = image.astype(np.float64)
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            f"{who}: image must lie in [0, 1], got [{image.min():g}, {image.max():g}]; "
            "divide by its range, or clip it"
        )
    return image


def salt_and_pepper(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """A share of the values becomes black or white, each channel on its own, as in scikit-image."""
    return _with_impulses(image, strength, seed, image.shape)


def impulse_noise(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """A share of the pixels becomes black or white, all channels together."""
    return _with_impulses(image, strength, seed, image.shape[:2] + (1,) * (image.ndim - 2))


def _with_impulses(image: FloatImage, share: float, seed: int, shape: tuple[int, ...]) -> FloatImage:
    """Black or white in a share of the places; the last is hit in part, so that the share is continuous."""
    random = np.random.default_rng(seed)
    count = int(np.prod(shape))
    rank = random.permutation(count).reshape(shape)
    value = random.integers(0, 2, shape)
    return image + np.clip(share * count - rank, 0.0, 1.0) * (value - image)


def grey_overlays(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Six grey rectangles, a quarter of each side or so, laid over the image with this opacity."""
    random = np.random.default_rng(seed)
    height, width = image.shape[:2]
    image = image.copy()
    for _ in range(OVERLAYS):
        tall, wide = (max(1, round(side * random.uniform(0.12, 0.32))) for side in (height, width))
        top = int(random.integers(0, height - tall + 1))
        left = int(random.integers(0, width - wide + 1))
        level = random.uniform(0.25, 0.75)
        patch = image[top : top + tall, left : left + wide]
        patch += strength * (level - patch)
    return image


def hsv_value(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """The value of HSV raised, hue and saturation kept, clipped at 1; a grey image is raised as it is."""
    if image.ndim == 2:
        return image + strength
    value = image.max(axis=2, keepdims=True)
    raised = np.minimum(value + strength, 1.0)
    scale = np.divide(raised, value, out=np.zeros_like(value), where=value > 0)
    return np.where(value > 0, image * scale, raised)


def contrast_stretch(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Contrast multiplied by 1 + strength about the mean of all values."""
    mean = image.mean()
    return mean + (1 + strength) * (image - mean)


def mean_shift(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Every value moved by strength towards the farther end: brighter for a dark image, darker for a bright one."""
    return image + (strength if image.mean() <= 0.5 else -strength)


def gaussian_noise(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """White Gaussian noise of this standard deviation, each channel on its own."""
    return image + strength * np.random.default_rng(seed).standard_normal(image.shape)


def jpeg(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Written and read by Pillow with quality 100 - strength, rounded.

    Colour is subsampled 4:2:0, Pillow's default. Even quality 100 rounds: strength 0 is nearly, not exactly, the
    image.
    """
    levels = np.rint(image * 255).astype(np.uint8)
    grey = levels.ndim == 2 or levels.shape[2] == 1
    file = io.BytesIO()
    Image.fromarray(levels.reshape(levels.shape[:2]) if grey else levels).save(
        file, format="JPEG", quality=round(100 - strength)
    )
    return np.asarray(Image.open(file), dtype=np.float64).reshape(image.shape) / 255


def blur(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """A Gaussian of this standard deviation, in pixels, cut off at four of them, edges by reflection."""
    sigmas = (strength, strength) + (0.0,) * (image.ndim - 2)
    return ndimage.gaussian_filter(image, sigmas, mode="reflect")


def zoom(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Zoomed out about the centre: everything is 1 + strength times smaller."""
    return _moved(image, np.eye(2) * (1 + strength))


def shift_right(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Moved to the right by this many pixels, fractions too."""
    return _moved(image, np.eye(2), (0.0, -strength))


def shift_left(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Moved to the left by this many pixels, fractions too."""
    return _moved(image, np.eye(2), (0.0, strength))


def rotation_ccw(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Turned counter-clockwise about the centre by this many degrees."""
    return _moved(image, _turn(strength))


def rotation_cw(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Turned clockwise about the centre by this many degrees."""
    return _moved(image, _turn(-strength))


def _turn(degrees: float) -> NDArray[np.float64]:
    """Where, in (row, column) from the centre, the pixel shown here came from; rows point down."""
    angle = radians(degrees)
    return np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])


def _moved(image: FloatImage, matrix: NDArray[np.float64], offset: tuple[float, float] = (0.0, 0.0)) -> FloatImage:
    """Each plane read at ``matrix @ (position - centre) + centre + offset``."""
    centre = (np.array(image.shape[:2]) - 1) / 2
    start = centre - matrix @ centre + offset
    affine = np.column_stack([matrix, start])
    planes = image[..., None] if image.ndim == 2 else image
    moved = [
        ndimage.affine_transform(planes[..., channel], affine, order=3, mode="reflect")
        for channel in range(planes.shape[2])
    ]
    return np.stack(moved, axis=-1).reshape(image.shape)


def negative(image: FloatImage, strength: float, seed: int) -> FloatImage:
    """Blended with its photographic negative; 1 is the negative itself."""
    return image + strength * (1 - 2 * image)


_OF_RANGE = "of the range"
_ALL = (
    Distortion(name="salt_and_pepper", title="salt & pepper", apply=salt_and_pepper,
               unit="share of the values", strengths=(0.01, 0.05, 0.2), most=1.0),
    Distortion(name="grey_overlays", title="grey overlays", apply=grey_overlays,
               unit="opacity", strengths=(0.2, 0.5, 1.0), most=1.0),
    Distortion(name="hsv_value", title="HSV value raised", apply=hsv_value,
               unit=_OF_RANGE, strengths=(10 / 255, 30 / 255, 60 / 255), most=1.0),
    Distortion(name="contrast_stretch", title="contrast stretch", apply=contrast_stretch,
               unit="gain beyond 1", strengths=(0.1, 0.3, 0.6)),
    Distortion(name="mean_shift", title="mean shift", apply=mean_shift,
               unit=_OF_RANGE, strengths=(6 / 255, 18 / 255, 54 / 255), most=1.0),
    Distortion(name="gaussian_noise", title="Gaussian noise", apply=gaussian_noise,
               unit="standard deviation", strengths=(0.02, 0.07, 0.2)),
    Distortion(name="impulse_noise", title="impulse noise", apply=impulse_noise,
               unit="share of the pixels", strengths=(0.005, 0.02, 0.08), most=1.0),
    Distortion(name="jpeg", title="JPEG", apply=jpeg,
               unit="100 - quality", strengths=(50.0, 80.0, 95.0), most=99.0),
    Distortion(name="blur", title="blur", apply=blur,
               unit="px", strengths=(0.7, 1.5, 3.0), most=100.0),
    Distortion(name="zoom", title="zoom out", apply=zoom,
               unit="reduction", strengths=(0.02, 0.05, 0.1)),
    Distortion(name="shift_right", title="shift right", apply=shift_right,
               unit="px", strengths=(1.0, 2.0, 4.0)),
    Distortion(name="shift_left", title="shift left", apply=shift_left,
               unit="px", strengths=(1.0, 2.0, 4.0)),
    Distortion(name="rotation_ccw", title="rotation counter-clockwise", apply=rotation_ccw,
               unit="degrees", strengths=(1.0, 2.0, 4.0)),
    Distortion(name="rotation_cw", title="rotation clockwise", apply=rotation_cw,
               unit="degrees", strengths=(1.0, 2.0, 4.0)),
    Distortion(name="negative", title="negative", apply=negative,
               unit="share", strengths=(1.0,), most=1.0),
)  # fmt: skip

DISTORTIONS: Mapping[str, Distortion] = MappingProxyType({row.name: row for row in _ALL})
