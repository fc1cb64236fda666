"""One pair of images under every convention of the SSIM family."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lookalike import batches, registry
from lookalike import signature as signatures
from lookalike.batches import Check, ImageLike
from lookalike.conventions import CONVENTIONS
from lookalike.files import MAX_PIXELS
from lookalike.ranges import DataRange


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one convention says of a pair.

    Attributes:
        convention: its name.
        source: the program that makes this number.
        proof: how we know that it is the same number.
        value: the score; None where the convention declines the pair.
        signature: how the number was made, "" where the convention does not have the metric.
        reason: why it declined, "" otherwise.
    """

    convention: str
    source: str
    proof: str
    value: float | None
    signature: str
    reason: str = ""


def run(
    a: ImageLike,
    b: ImageLike,
    metric: str = "ssim",
    *,
    data_range: DataRange | None = None,
    check: Check = "values",
    alpha: str | None = None,
    profile: str = "srgb",
    max_pixels: int = MAX_PIXELS,
    device: str | None = None,
) -> list[Reading]:
    """Score a pair under every convention, in float64.

    Args:
        a: the image judged: a path, PIL image, NumPy array ``(h, w)`` / ``(h, w, c)`` or tensor ``(c, h, w)``.
        b: the reference, likewise.
        metric: one that has conventions, such as ``"ssim"`` or ``"ms_ssim"``.
        data_range: of float images; None means 1.
        check: ``"values"`` raises on values outside the range; ``"shapes"`` does not look.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        profile: ``"srgb"`` converts the colours of files with another profile, ``"ignore"`` reads their numbers.
        max_pixels: the most that a file may claim.
        device: where to compute, such as ``"cuda"``.

    Returns:
        One `Reading` a convention, in the order of `lookalike.conventions`.

    Raises:
        TypeError, ValueError: for a pair that cannot be compared, or a metric without conventions.

    Example:
        >>> from lookalike import samples
        >>> y = samples.sample("camera", 64)
        >>> readings = {one.convention: one.value for one in run(y * 0.5, y)}
        >>> round(readings["wang2004"], 4), round(readings["scikit-image"], 4)
        (0.7634, 0.7541)
    """
    if "convention" not in registry.options_of(metric):
        having = [name for name in registry.catalog() if "convention" in registry.options_of(name)]
        raise ValueError(f"ruler: {metric} has no conventions; {', '.join(having)} have")
    loaded = batches.read_pair(
        a, b, data_range=data_range, alpha=alpha, profile=profile, max_pixels=max_pixels, device=device
    )
    x, y, carried = loaded[:3]
    batches.pair(x, y, who="ruler", data_range=carried, check=check, volumes=x.ndim == 5)
    # Once the pair is known to be good: float64, so that a number printed with many digits can still be told.
    x, y = batches.pair(
        x.double(), y.double(), who="ruler", data_range=carried, check="shapes", volumes=x.ndim == 5
    )
    readings = []
    for convention in CONVENTIONS.values():
        value, signature, reason = None, "", ""
        try:
            made = registry.get(metric, convention=convention.name, check="shapes")
            signature = signatures.extended(made.signature(carried), loaded.before)
            with torch.no_grad():
                value = float(made(x, y).mean())
        except ValueError as error:
            reason = str(error)
        readings.append(
            Reading(
                convention=convention.name, source=convention.source, proof=convention.proof, value=value,
                signature=signature, reason=reason,
            )
        )  # fmt: skip
    return readings
