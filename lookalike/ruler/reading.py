"""A pair of images, or the pairs of two folders, under every convention of SSIM or variant of PSNR or LPIPS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lookalike import batches, registry, weights
from lookalike import signature as signatures
from lookalike.batches import Check, ImageLike
from lookalike.conventions import CONVENTIONS
from lookalike.files import MAX_PIXELS
from lookalike.ranges import DataRange
from lookalike.ruler import variants
from lookalike.scoring.columns import Column, column
from lookalike.scoring.pairs import find


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The result of one convention for a pair.

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
    """Score a pair under every convention: the numbers that `lookalike.measure` and ``lookalike score`` give.

    Args:
        a: the image judged: a path, PIL image, NumPy array ``(h, w)`` / ``(h, w, c)`` or tensor ``(c, h, w)``.
        b: the reference, likewise.
        metric: one that has conventions, such as ``"ssim"`` or ``"ms_ssim"``; or ``"psnr"`` or ``"lpips"``, of
            which it is their variants.
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
        >>> readings = {reading.convention: reading.value for reading in run(y * 0.5, y)}
        >>> round(readings["wang2004"], 4), round(readings["scikit-image"], 4)
        (0.7634, 0.7541)
    """
    candidates = _candidates(metric)
    loaded = batches.read_pair(
        a, b, data_range=data_range, alpha=alpha, profile=profile, max_pixels=max_pixels, device=device
    )
    x, y, carried = loaded[:3]
    x, y = batches.pair(x, y, who="ruler", data_range=carried, check=check, volumes=x.ndim == 5)
    readings = []
    for candidate in candidates:
        value, signature, reason = None, "", ""
        images = (_half_range(x), _half_range(y)) if candidate.half_range else (x, y)
        try:
            if reason := weights.missing(*registry.metric_class(candidate.column.metric).facts.weights):
                raise ValueError(f"{reason}; lookalike weights fetch {candidate.column.metric} brings them")
            scorer = candidate.column.made(candidate.convention)
            before = loaded.before | {"crop": candidate.column.crop_border or None, "luma": candidate.column.luma}
            before |= {"given": "half-range"} if candidate.half_range else {}
            signature = signatures.extended(scorer.signature(carried), before)
            with torch.no_grad():
                value = float(scorer(*map(candidate.column.treated, images)).mean())
        except ValueError as error:
            reason = str(error)
        readings.append(
            Reading(
                convention=candidate.name,
                source=candidate.source,
                proof=candidate.proof,
                value=value,
                signature=signature,
                reason=reason,
            )
        )
    return readings


def of_folders(
    judged: Path, reference: Path, metric: str = "ssim", *, match: str = "stem", **options: Any
) -> list[Reading]:
    """The mean over the pairs of two folders under every convention, each image of one weighing the same.

    Args:
        judged: the folder of images judged.
        reference: the folder of references.
        metric: as `run` takes it.
        match: which images belong together, as `scoring.pairs.find` takes it.
        options: of `run`.

    Returns:
        One `Reading` a convention; one that declines a pair has no mean, and says which pair.

    Raises:
        ValueError: where an image has no partner: a mean over some of them is another number; and as `run` says.
    """
    pairs = find(reference, [judged], match)
    if pairs.lacking:
        count = len(pairs.lacking)
        raise ValueError(
            f"ruler: {count} images have no partner, such as {pairs.unpaired[-1].path}; a mean is of all"
        )
    sums: list[float] = []
    kept: list[Reading] = []
    for method, group in pairs.numbered():
        files = pairs.paths(method, group)
        readings = run(files[1], files[0], metric, **options)
        if not kept:
            kept, sums = readings, [0.0] * len(readings)
        for at, reading in enumerate(readings):
            if reading.value is None:
                name = pairs.groups[group].pair
                kept[at] = replace(
                    kept[at], value=None, reason=f"{name}: {reading.reason}", signature=reading.signature
                )
            elif reading.signature != kept[at].signature and kept[at].value is not None:
                raise ValueError(
                    f"ruler: {files[1]}: {reading.signature}, and another before; a mean is of one kind"
                )
            else:
                sums[at] += reading.value
    count = len(pairs)
    return [
        reading if reading.value is None else replace(reading, value=total / count)
        for reading, total in zip(kept, sums, strict=True)
    ]


def _half_range(image: Tensor) -> Tensor:
    """What [0, 1] becomes where it is taken for [-1, 1]: the upper half of the range."""
    return (image + 1) / 2


class _Candidate(NamedTuple):
    """One way to compute the metric: a convention of the SSIM family, or a variant of PSNR or LPIPS."""

    name: str
    column: Column
    convention: str | None
    source: str
    proof: str
    half_range: bool = False


def _candidates(metric: str) -> list[_Candidate]:
    name = registry.metric_class(metric).facts.name
    if name == "psnr" or name.startswith("lpips_"):
        return [
            _Candidate(entry.name, column(entry.column), None, entry.source, entry.proof, entry.half_range)
            for entry in (variants.of_psnr() if name == "psnr" else variants.of_lpips())
        ]
    if "convention" not in registry.options_of(metric):
        names = [known for known in registry.catalog() if "convention" in registry.options_of(known)]
        raise ValueError(
            f"ruler: {metric} has no conventions; {', '.join(names)} have, and psnr and lpips have variants"
        )
    return [
        _Candidate(entry.name, Column(name, name), entry.name, entry.source, entry.proof)
        for entry in CONVENTIONS.values()
    ]
