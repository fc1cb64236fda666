"""Which SSIM is meant: the conventions of the literature and of other libraries, by name. Data, no code.

A named convention gives the other program's value inside that program's own domain, and raises outside it; it
never copies a crash or a fallback. Each row was read in the package named and is held by the parity tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Window = Literal["gaussian", "uniform"]
Border = Literal["valid", "reflect", "symmetric", "zero"]
Covariance = Literal["n", "n-1"]
Colour = Literal["channels", "luma"]
Luma = Literal["bt601", "rounded", "matlab", "matlab-unrounded"]
Downsample = Literal["no", "matlab", "piq", "blazediff"]
Halving = Literal["symmetric", "zero", "replicate", "floor", "reflect", "colour"]
Negative = Literal["leak", "relu", "real"]
Proof = Literal["author values", "parity test", "recorded values", "formula, not run"]

MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Everything that decides which number "SSIM" or "MS-SSIM" is.

    Attributes:
        name: as users write it.
        source: the program that makes this number.
        proof: how we know that we give the same number.
        window, win_size, sigma: shape, taps a side and width of the local window.
        truncate: where the program derives the size of a Gaussian window from a sigma that the user gives: how many
            sigma it reaches, 2·⌊truncate·σ + ½⌋ + 1 taps.
        border: how images are extended; "valid" keeps windows that fit.
        covariance: population ("n") or sample ("n-1") variances.
        K: the constants of eq. 12 of Wang et al. 2004.
        colour: score each channel and average, or score luma alone.
        luma: weights 0.299/0.587/0.114 unrounded ("bt601") or rounded to 8 bits ("rounded"), or those of MATLAB's
            rgb2gray, rounded ("matlab") or not ("matlab-unrounded").
        levels: values are first rounded to 8-bit levels.
        downsample: box-filter and subsample to about 256 px: with MATLAB's rounding of the factor and box
            ("matlab") or the latter one pixel off ("blazediff"), or with Python's and boxes that fit ("piq").
        clip_structure: negative contrast-structure is set to zero at every position.
        epsilon: added to the denominator of SSIM.
        ms: whether the program has an MS-SSIM.
        ms_window, ms_border: window and border of MS-SSIM where they differ from SSIM's.
        ms_last_border: border of the coarsest scale's SSIM alone, where it differs.
        halving: how odd sides are halved between scales.
        negative: what a negative mean becomes before its power is taken; see `metrics.ssim.MSSSIM`.
        joint: powers are taken of means over all channels rather than of each channel's.
        normalise: MS weights that a user gives are divided by their sum.
        ms_min_side: smallest side the program takes, where it asks for more than the window needs.
        min_side: likewise for SSIM.
    """

    name: str
    source: str
    proof: Proof
    window: Window = "gaussian"
    win_size: int = 11
    sigma: float = 1.5
    truncate: float | None = None
    border: Border = "valid"
    covariance: Covariance = "n"
    K: tuple[float, float] = (0.01, 0.03)
    colour: Colour = "channels"
    luma: Luma = "bt601"
    levels: bool = False
    downsample: Downsample = "no"
    clip_structure: bool = False
    epsilon: float = 0.0
    ms: bool = True
    ms_window: Window | None = None
    ms_border: Border | None = None
    ms_last_border: Border | None = None
    halving: Halving = "symmetric"
    negative: Negative = "relu"
    joint: bool = False
    normalise: bool = False
    ms_min_side: int = 1
    min_side: int = 1


_ROWS = (
    Convention(
        name="wang2004", source="ssim_index.m (Wang et al. 2004); MS-SSIM as Wang et al. 2003, per channel",
        proof="author values", negative="leak",
    ),
    Convention(
        name="wang-matlab", source="ssim.m (2009), automatic down-sampling, rounded luma", proof="author values",
        colour="luma", luma="matlab", downsample="matlab", ms=False,
    ),
    Convention(
        name="wang-msssim", source="ssim_index.m and msssim.m on rounded luma", proof="author values",
        colour="luma", luma="matlab", negative="real", ms_min_side=176,
    ),
    Convention(
        name="scikit-image", source="scikit-image 0.26, defaults", proof="parity test",
        window="uniform", win_size=7, covariance="n-1", truncate=3.5, ms=False,
    ),
    Convention(
        name="scikit-image-gaussian", proof="parity test", truncate=3.5, ms=False,
        source="scikit-image 0.26, gaussian_weights=True, sigma=1.5, use_sample_covariance=False",
    ),
    Convention(name="tensorflow", source="tf.image, TensorFlow 2.21", proof="recorded values"),
    Convention(name="keras", source="keras.ops.image.ssim, Keras 3.15", proof="recorded values", ms=False),
    Convention(
        name="pytorch-msssim", source="pytorch-msssim 1.0.0", proof="parity test", halving="zero", ms_min_side=161,
    ),
    Convention(
        name="piq", source="piq 0.8.0", proof="parity test", downsample="piq", halving="replicate", normalise=True,
    ),
    Convention(name="piqa", source="piqa 1.3.2", proof="parity test"),
    Convention(
        name="torchmetrics", source="torchmetrics 1.9.0 (since 1.4.2)", proof="parity test", truncate=3.5,
        border="reflect", ms_border="valid", ms_last_border="reflect", halving="floor", joint=True, ms_min_side=176,
    ),
    Convention(
        name="torchmetrics-1.4.1", source="torchmetrics before 1.4.2", proof="recorded values",
        halving="floor", joint=True, ms_min_side=176,
    ),
    Convention(
        name="kornia-same", source='kornia 0.9.0, padding="same"', proof="parity test",
        border="reflect", epsilon=1e-12, ms=False,
    ),
    Convention(
        name="kornia-valid", source='kornia 0.9.0, padding="valid"', proof="parity test", epsilon=1e-12, ms=False,
    ),
    Convention(
        name="pyiqa-y", source="pyiqa 0.1.16, ssim and ms_ssim", proof="recorded values", colour="luma",
        luma="rounded", clip_structure=True, halving="zero", joint=True,
    ),
    Convention(
        name="pyiqa-colour", source="pyiqa 0.1.16, ssimc", proof="recorded values", levels=True,
        clip_structure=True, ms=False,
    ),
    Convention(
        name="fused-ssim-same", source='fused-ssim 1.0.0, padding="same"', proof="formula, not run",
        border="zero", ms=False,
    ),
    Convention(
        name="fused-ssim-valid", source='fused-ssim 1.0.0, padding="valid"', proof="formula, not run", ms=False,
    ),
    Convention(
        name="fast-ssim", source="Fast-SSIM 1.4.0", proof="parity test", window="uniform", win_size=7,
        covariance="n-1", ms=False,
    ),
    Convention(
        name="blazediff", source="blazediff-ssim 6.1.1", proof="parity test", colour="luma",
        luma="matlab-unrounded", downsample="blazediff", ms_border="reflect", halving="reflect", ms_min_side=176,
    ),
    Convention(
        name="ignite", source="pytorch-ignite 0.5.5", proof="parity test", border="reflect", ms=False,
    ),
    Convention(
        name="monai", source="MONAI 1.6.1", proof="parity test", halving="floor", joint=True, ms_min_side=176,
    ),
    Convention(
        name="sewar", source="sewar 0.4.10", proof="parity test", window="uniform", ms_window="gaussian",
        halving="colour", negative="real", joint=True, ms_min_side=176,
    ),
)  # fmt: skip

CONVENTIONS: Mapping[str, Convention] = MappingProxyType({row.name: row for row in _ROWS})
