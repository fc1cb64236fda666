"""Variants in use: PSNR of all channels or of a luma, with a border cut off or not; LPIPS by its networks."""

from __future__ import annotations

from typing import NamedTuple

CROPS = (2, 3, 4)  # borders of super-resolution, by the scale


class Variant(NamedTuple):
    """One way to compute a metric.

    Attributes:
        name: as readings are named.
        column: as `scoring.columns.column` takes it.
        source: who computes so.
        proof: how we know.
        half_range: what is computed where values in [0, 1] are taken for values in [-1, 1].
    """

    name: str
    column: str
    source: str
    proof: str = "by definition"
    half_range: bool = False


def of_psnr() -> list[Variant]:
    """Every variant of PSNR.

    Example:
        >>> [variant.name for variant in of_psnr()][:3]
        ['rgb', 'y', 'luma']
    """
    lumas = (
        ("rgb", "", "all channels: scikit-image, torchmetrics, ffmpeg's average of planes comes near"),
        ("y", "luma=ycbcr", "Y of MATLAB's rgb2ycbcr, 16 to 235: super-resolution"),
        ("luma", "luma=bt601", "luma by BT.601, 0 to 255"),
    )
    variants = [Variant(name, f"psnr({options})" if options else "psnr", source) for name, options, source in lumas]
    for crop in CROPS:
        for name, options, source in lumas[:2]:
            column = ", ".join(filter(None, [options, f"crop_border={crop}"]))
            variants.append(
                Variant(f"{name}-crop{crop}", f"psnr({column})", f"{source}; {crop} px of border cut off")
            )
    return variants


def of_lpips() -> list[Variant]:
    """Every variant of LPIPS: its three networks, and each with images of the wrong range.

    Example:
        >>> [variant.name for variant in of_lpips()][:2]
        ['alex', 'vgg']
    """
    networks = (
        ("alex", "AlexNet: the authors' default, for comparing images"),
        ("vgg", "VGG16: the authors' choice for training"),
        ("squeeze", "SqueezeNet 1.1: the smallest"),
    )
    right = [Variant(name, f"lpips_{name}", source, "its authors' program") for name, source in networks]
    wrong = [
        Variant(
            f"{name}-half-range", f"lpips_{name}",
            f"{source.partition(':')[0]}, images in [0, 1] given where [-1, 1] is expected (normalize=False)",
            half_range=True,
        )
        for name, source in networks
    ]  # fmt: skip
    return right + wrong
