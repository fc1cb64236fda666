"""Which pixels of a pair count: a mask's white ones, and none of those that rectangles leave out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike import files

Rectangle = tuple[int, int, int, int]  # left, top, width, height in pixels
_LARGEST = {"uint8": 255.0, "uint16": 65535.0}


def rectangle(text: str) -> Rectangle:
    """A rectangle as the command line takes it.

    Raises:
        ValueError: when it is not four whole numbers, or holds no pixel.

    Example:
        >>> rectangle("10,20,30,40")
        (10, 20, 30, 40)
    """
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"score: --ignore takes X,Y,W,H in whole pixels, such as 0,0,64,16; got {text!r}"
        ) from None
    if min(left, top) < 0 or min(width, height) < 1:
        raise ValueError(f"score: --ignore {text}: X and Y begin at 0, W and H at 1")
    return left, top, width, height


def read(path: str | Path) -> NDArray[np.float32]:
    """A mask from a grey image: white is 1, counts, and black 0; grey counts in part.

    Returns:
        ``(h, w)`` float32 in [0, 1].

    Raises:
        UnreadableImage: for a file that is no image.
        ValueError: for a coloured image, and floats outside [0, 1].
    """
    pixels = files.load(path, alpha="black", profile="ignore")  # weights, no colours; what is transparent is out
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise ValueError(f"{path}: a mask is grey, white where the pixels count; this one is coloured")
        pixels = pixels[..., 0]
    mask = pixels.astype(np.float32) / _LARGEST.get(pixels.dtype.name, 1.0)
    if not ((mask >= 0) & (mask <= 1)).all():
        raise ValueError(f"{path}: a mask of floats lies in [0, 1]")
    return mask


def fingerprint(mask: NDArray[Any] | Tensor) -> str:
    """What signatures call a mask: the same for the same weights, whatever held them.

    Args:
        mask: boolean or weights, ``(h, w)`` or with leading axes, such as ``(n, c, h, w)``; axes of length 1 in
            front, and channels that are all alike, make no difference.

    Returns:
        The first 8 hexadecimal digits of the SHA-256 of the shape and of the weights as little-endian float32.

    Example:
        >>> fingerprint(np.eye(2, dtype=bool)), fingerprint(torch.eye(2)[None, None])
        ('acc36387', 'acc36387')
    """
    array = mask.detach().to("cpu", torch.float32).numpy() if isinstance(mask, Tensor) else mask
    weights = np.ascontiguousarray(array, "<f4")
    while weights.ndim > 2 and len(weights) and (weights == weights[:1]).all():
        weights = weights[0]
    return hashlib.sha256(repr(weights.shape).encode() + weights.tobytes()).hexdigest()[:8]


class Mask:
    """What counts of every pair, before its border is cut off.

    Args:
        path: of the mask; None: everything.
        ignored: rectangles that do not count.

    Raises:
        ValueError: as `read` says.
    """

    def __init__(self, path: str | Path | None = None, ignored: Sequence[Rectangle] = ()) -> None:
        self._whole = None if path is None else read(path)
        self._ignored = tuple(ignored)

    def __bool__(self) -> bool:
        return self._whole is not None or bool(self._ignored)

    def of(self, height: int, width: int) -> NDArray[np.float32]:
        """The weights of a picture's pixels, ``(h, w)``.

        Raises:
            ValueError: when the mask has another size, or a rectangle does not lie inside.

        Example:
            >>> Mask(ignored=[(0, 0, 2, 1)]).of(2, 3).tolist()
            [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
        """
        if self._whole is not None and self._whole.shape != (height, width):
            rows, columns = self._whole.shape
            raise ValueError(f"the mask is {columns}x{rows} px, the pair {width}x{height} px; make it fit")
        mask = np.ones((height, width), np.float32) if self._whole is None else self._whole.copy()
        for left, top, across, down in self._ignored:
            if left + across > width or top + down > height:
                raise ValueError(f"--ignore {left},{top},{across},{down} does not lie inside {width}x{height} px")
            mask[top : top + down, left : left + across] = 0
        return mask

    def weights(self, like: Tensor) -> Tensor:
        """The weights of a batch, ``(n, 1, h, w)``, as a metric takes them.

        Args:
            like: the batch, ``(n, c, h, w)``.

        Raises:
            ValueError: as `of` says, and for volumes.
        """
        if like.ndim != 4:
            raise ValueError("a mask is of pictures, and these are volumes")
        whole = torch.from_numpy(self.of(*like.shape[2:]))[None, None]
        return whole.expand(len(like), -1, -1, -1).to(like.device)

    def settings(self) -> dict[str, str | None]:
        """What signatures say of it: the beginning of the mask's SHA-256, and the rectangles.

        Example:
            >>> Mask(ignored=[(0, 0, 2, 1)]).settings()
            {'mask': None, 'ignore': '0,0,2,1'}
        """
        told = None if self._whole is None else fingerprint(self._whole)
        return {"mask": told, "ignore": ";".join(",".join(map(str, one)) for one in self._ignored) or None}
