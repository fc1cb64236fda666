"""The columns of a study: which numbers are taken of each picture, and the signature of each.

Grey levels are those of the 8-bit pictures, 0-255: the mean squared error is the unit range's times 255².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lookalike import registry, signature
from lookalike.batches import as_batch
from lookalike.metric import Better
from lookalike.study.pictures import Levels

LEVELS = 255.0
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, kw_only=True)
class Column:
    """One number of a study.

    Attributes:
        name: the key in ``scores.json``.
        title: as tables print it.
        better: which direction is better.
        digits: after the point, in tables.
        signature: how the number was made.
        min_side: the smallest side it takes, in pixels.
        score: of a picture and its original, ``(1, c, h, w)`` in 0-255.
    """

    name: str
    title: str
    better: Better
    digits: int
    signature: str
    min_side: int
    score: Callable[[Tensor, Tensor], float]

    def described(self) -> dict[str, Any]:
        """What ```scores.json``` says of this column."""
        return {
            "name": self.name,
            "title": self.title,
            "better": self.better,
            "digits": self.digits,
            "signature": self.signature,
        }


def columns() -> list[Column]:
    """MSE, L2 norm, PSNR, SSIM, whole-image SSIM, MS-SSIM with either pooling, CW-SSIM at two scales.

    CW-SSIM's default looks at one coarse octave, so fine noise and blur are nothing to it; with two levels it looks
    where the figure of Wang & Simoncelli 2005 does, in the setting that gives their program's numbers.
    """
    error = registry.get("l2", data_range=LEVELS)
    in_levels = signature.number(LEVELS**2)

    def squared(x: Tensor, y: Tensor) -> float:
        return float(error(x, y)) * LEVELS**2

    def norm(x: Tensor, y: Tensor) -> float:
        return (squared(x, y) * x.numel()) ** 0.5

    version = error.facts.version
    scaled = {"range": LEVELS, "times": in_levels}
    norm_signature = signature.write("l2_norm", {"of": "all-values", "range": LEVELS, "times": LEVELS}, version)
    whole_signature = signature.write(
        "ssim", {"win": "whole-image", "cov": "n", "colour": "rgb-mean", "down": "no", "range": LEVELS}, 1
    )
    return [
        Column(name="mse", title="MSE", better="lower", digits=1, min_side=1, score=squared,
               signature=signature.write("l2", scaled, version)),
        Column(name="l2_norm", title="L2 norm", better="lower", digits=0, min_side=1, score=norm,
               signature=norm_signature),
        metric_column("PSNR", 2, "psnr", cap_db=None),
        metric_column("SSIM", 4, "ssim"),
        Column(name="ssim_whole", title="whole-image SSIM", better="higher", digits=4, min_side=1,
               score=whole_image_ssim, signature=whole_signature),
        metric_column("MS-SSIM", 4, "ms_ssim"),
        metric_column("MS-SSIM (average)", 4, "ms_ssim", key="ms_ssim_average", scales="sum"),
        metric_column("CW-SSIM", 4, "cw_ssim"),
        metric_column(
            "CW-SSIM (fine)", 4, "cw_ssim", key="cw_ssim_fine", levels=2, orientations=16, pooling="mean"
        ),
    ]  # fmt: skip


def metric_column(title: str, digits: int, name: str, *, key: str | None = None, **options: Any) -> Column:
    """A column of one metric of the catalogue.

    Args:
        title: as tables print it.
        digits: after the point.
        name: in the catalogue.
        key: in ``scores.json``, where it is not the name.
        options: of the metric.
    """
    metric = registry.get(name, data_range=LEVELS, **options)
    return Column(
        name=key or name, title=title, better=metric.facts.better, digits=digits, min_side=metric.min_side,
        signature=metric.signature(), score=lambda x, y: float(metric(x, y)),
    )  # fmt: skip


def whole_image_ssim(x: Tensor, y: Tensor) -> float:
    """SSIM with one window, the whole image: from its mean, deviation and covariance; mean over channels.

    Args:
        x, y: ``(1, c, h, w)`` in 0-255.

    Example:
        >>> ramp = torch.arange(64.0).expand(1, 1, 64, 64)
        >>> round(whole_image_ssim(ramp.flip(-1), ramp), 4)
        -0.842
    """
    planes, others = (image.double().flatten(2)[0] / LEVELS for image in (x, y))
    mean_x, mean_y = planes.mean(1), others.mean(1)
    from_x, from_y = planes - mean_x[:, None], others - mean_y[:, None]
    variances = from_x.square().mean(1) + from_y.square().mean(1)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
    return float((luminance * (2 * (from_x * from_y).mean(1) + _C2) / (variances + _C2)).mean())


def batch_of(levels: Levels, device: str) -> Tensor:
    """An 8-bit picture as a batch ``(1, c, h, w)`` of floats in 0-255."""
    return as_batch(levels.astype(np.float32))[0].to(device)


def scores_of(asked: Sequence[Column], picture: Levels, original: Levels, device: str) -> dict[str, dict[str, Any]]:
    """Every column's number for one picture, or why there is none.

    Returns:
        By the column's name ``{"value": number}`` or ``{"value": None, "reason": why}``.
    """
    x, y = batch_of(picture, device), batch_of(original, device)
    side = min(picture.shape[:2])
    scores: dict[str, dict[str, Any]] = {}
    for column in asked:
        if side < column.min_side:
            reason = f"{column.title} needs sides of at least {column.min_side} px, this picture has {side}"
            scores[column.name] = {"value": None, "reason": reason}
        else:
            with torch.no_grad():
                scores[column.name] = {"value": column.score(x, y)}
    return scores


def as_levels(array: np.ndarray) -> Levels:
    """A picture of any depth as 8-bit levels: 16 bits are divided by 257, floats are taken as [0, 1].

    Raises:
        ValueError: for floats outside [0, 1].

    Example:
        >>> as_levels(np.array([[0, 65535]], np.uint16)).tolist()
        [[0, 255]]
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return np.rint(array / 257).astype(np.uint8)
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(f"floats must lie in [0, 1], got [{array.min():g}, {array.max():g}]; divide by the range")
    return np.rint(array * 255).astype(np.uint8)
