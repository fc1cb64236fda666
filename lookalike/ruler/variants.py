"""The PSNRs in use: of all channels or of a luma, with a border cut off or not."""

from __future__ import annotations

from typing import NamedTuple

CROPS = (2, 3, 4)  # borders of super-resolution, by the scale


class Variant(NamedTuple):
    """One way to compute a metric.

    Attributes:
        name: as readings are named.
        column: as `scoring.columns.column` takes it.
        source: who computes so.
    """

    name: str
    column: str
    source: str


def of_psnr() -> list[Variant]:
    """Every variant of PSNR.

    Example:
        >>> [one.name for one in of_psnr()][:3]
        ['rgb', 'y', 'luma']
    """
    lumas = (
        ("rgb", "", "all channels: scikit-image, torchmetrics, ffmpeg's average of planes comes near"),
        ("y", "luma=ycbcr", "Y of MATLAB's rgb2ycbcr, 16 to 235: super-resolution"),
        ("luma", "luma=bt601", "luma by BT.601, 0 to 255"),
    )
    found = [Variant(name, f"psnr({options})" if options else "psnr", source) for name, options, source in lumas]
    for crop in CROPS:
        for name, options, source in lumas[:2]:
            column = ", ".join(filter(None, [options, f"crop_border={crop}"]))
            found.append(Variant(f"{name}-crop{crop}", f"psnr({column})", f"{source}; {crop} px of border cut off"))
    return found
