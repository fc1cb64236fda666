"""Free photographs from scikit-image, for examples and tests."""

from __future__ import annotations

from torch import Tensor

from lookalike.batches import as_batch

SAMPLES = ("astronaut", "chelsea", "coffee", "camera", "rocket")


def sample(name: str = "astronaut", side: int | None = None) -> Tensor:
    """A free photograph from scikit-image, for examples and tests.

    Args:
        name: one of ``SAMPLES``; camera is grey.
        side: crop this many pixels square from the centre; None keeps the whole photograph.

    Returns:
        ``(1, c, h, w)`` float32 in [0, 1].

    Raises:
        ValueError: for another name.
        ImportError: when scikit-image is not installed, with the command that installs it.

    Example:
        >>> tuple(sample("camera", 64).shape)
        (1, 1, 64, 64)
    """
    if name not in SAMPLES:
        raise ValueError(f"sample: no photograph {name!r}; there are {', '.join(SAMPLES)}")
    try:
        from skimage import data
    except ImportError:
        raise ImportError(
            "the sample photographs come with scikit-image: pip install 'lookalike[photos]'"
        ) from None
    image = as_batch(getattr(data, name)())[0].float() / 255
    if side is None:
        return image
    top, left = ((extent - side) // 2 for extent in image.shape[2:])
    if min(top, left) < 0:
        raise ValueError(f"sample: {name} is only {image.shape[3]}x{image.shape[2]}, smaller than {side} px")
    return image[:, :, top : top + side, left : left + side].contiguous()
