"""The mix of MS-SSIM and L1 of Zhao et al. 2017, three ways, each by its own name.

Zhao, Gallo, Frosio, Kautz: Loss functions for image restoration with neural networks, IEEE TCI 3(1), 2017,
doi 10.1109/TCI.2016.2644865. Users mean three different losses by one name:

- `zhao_mix`: the paper, eq. 13 and 14: Gaussians of several widths at full resolution, no pyramid, no exponents.
- `zhao_mix_code`: the weighting of the authors' published code: α = 0.025, and the L1 term summed over channels.
- `ms_ssim_l1`: the common "0.84·(1 − MS-SSIM) + 0.16·L1" with the dyadic MS-SSIM of Wang et al. 2003.

Differs from the paper: windows reach three standard deviations; the border is mirrored so that every pixel counts
("valid" keeps the windows that fit); colour is the mean of channels, all alike.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from lookalike.conventions import MS_WEIGHTS
from lookalike.metric import Facts, Metric
from lookalike.ops import ssim as op
from lookalike.ops import window as windows
from lookalike.ops.masks import masked_mean
from lookalike.ops.ssim import multiscale, reference
from lookalike.ops.ssim.setting import Scales, Setting
from lookalike.options import choice, real, reals, width
from lookalike.signature import number

MixBorder = Literal["reflect", "valid"]
SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)
_PAPER = "Zhao et al. 2017, doi 10.1109/TCI.2016.2644865"


def mix_maps(
    x: Tensor,
    y: Tensor,
    sigmas: Sequence[float] = SIGMAS,
    border: MixBorder = "reflect",
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The two parts of the mix at every pixel.

    Args:
        x, y: a pair ``(n, c, h, w)`` in the unit range.
        sigmas: standard deviations of the Gaussians in pixels, finest first.
        border: ``"reflect"`` gives maps of the image's size; ``"valid"`` those of the windows that fit.
        mask: weights of the pixels, ``(n, c, h, w)``; each Gaussian is renormalised to its valid pixels.

    Returns:
        l_M · Π_j cs_j (eq. 13) and G_σM * |x − y| (eq. 14), each ``(n, c, h', w')``.

    Example:
        >>> import torch
        >>> similarity, error = mix_maps(torch.ones(1, 1, 32, 32), torch.zeros(1, 1, 32, 32))
        >>> round(float(similarity.mean()), 6), round(float(error.mean()), 6)
        (0.0001, 1.0)
    """
    widest = _radius(sigmas[-1])
    similarity: Tensor | None = None
    for position, sigma in enumerate(sigmas):
        radius = _radius(sigma)
        trim = widest - radius if border == "valid" else 0
        setting = Setting(_taps(sigma), border)
        inner = None if mask is None else _trimmed(mask, trim)
        local = reference.moments(_trimmed(x, trim), _trimmed(y, trim), setting, mask=inner)
        part = reference.contrast_structure_of(local, setting.c2)
        if position == len(sigmas) - 1:
            part = reference.luminance_of(local, setting.c1) * part
        similarity = part if similarity is None else similarity * part
    assert similarity is not None  # the constructor refuses an empty list of sigmas
    error = (x - y).abs()
    if mask is None:
        return similarity, spread(error, sigmas[-1], border)
    share = spread(mask, sigmas[-1], border)
    return similarity, spread(mask * error, sigmas[-1], border) / torch.where(share > 0, share, 1.0)


def spread(x: Tensor, sigma: float, border: MixBorder) -> Tensor:
    """G_σ * x of eq. 14, of the size that `mix_maps` gives.

    Example:
        >>> float(spread(torch.ones(1, 1, 9, 9), 1.0, "reflect").mean())
        1.0
    """
    radius = _radius(sigma)
    return windows.blur(windows.extend(x, radius, radius, border), _taps(sigma))


def _radius(sigma: float) -> int:
    return math.ceil(3 * sigma)


def _taps(sigma: float) -> tuple[float, ...]:
    return windows.gaussian(2 * _radius(sigma) + 1, float(sigma))


def _trimmed(x: Tensor, trim: int) -> Tensor:
    return x[..., trim:-trim, trim:-trim] if trim else x


class ZhaoMix(Metric):
    """The paper's mix: mean of α·(1 − l_M·Π_j cs_j) + (1 − α)·G_σM * |x − y|, α = 0.84.

    Args:
        alpha: weight of the structural part, in [0, 1].
        sigmas: Gaussians in pixels, finest first.
        border: ``"reflect"`` (every pixel counts) or ``"valid"``.
        data_range, reduction, check: as in `Metric`.

    Shapes: ``(n, c, h, w) -> (n,)``; sides of at least 25 px (reflect) or 49 px (valid) with the default Gaussians.
    Masks: a Gaussian is renormalised to its valid pixels, and a position counts by the valid share of the widest.

    Raises:
        ValueError: for an alpha outside [0, 1], sigmas that are not positive and ascending, an unknown border.

    Example:
        >>> import torch
        >>> round(float(ZhaoMix()(torch.full((1, 1, 32, 32), 0.4), torch.full((1, 1, 32, 32), 0.5))), 6)
        0.036483
    """

    facts: ClassVar[Facts] = Facts(
        name="zhao_mix",
        suits="to repeat Zhao et al. as they wrote",
        fails="as a quality score",
        title="MS-SSIM + L1 mix as in the paper", paper=_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, smooth=False, min_side=25, masks=True,
    )  # fmt: skip

    def __init__(
        self,
        *,
        alpha: float = 0.84,
        sigmas: Sequence[float] = SIGMAS,
        border: MixBorder = "reflect",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        who = self.facts.name
        self.alpha = real(who, "alpha", alpha, least=0, most=1)
        self.sigmas = tuple(width(who, "each of sigmas", sigma) for sigma in reals(who, "sigmas", sigmas))
        if sorted(self.sigmas) != list(self.sigmas):
            raise ValueError(f"{who}: sigmas must ascend, got {sigmas!r}")
        choice(who, "border", border, get_args(MixBorder))
        self.border: MixBorder = border

    @property
    def min_side(self) -> int:
        radius = _radius(self.sigmas[-1])
        return radius + 1 if self.border == "reflect" else 2 * radius + 1

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        similarity, error = mix_maps(x, y, self.sigmas, self.border)
        return self._mixed(similarity, error, torch.ones_like(error))

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        maps = mix_maps(x, y, self.sigmas, self.border, mask)
        return self._mixed(*maps, spread(mask, self.sigmas[-1], self.border))

    def _mixed(self, similarity: Tensor, error: Tensor, share: Tensor) -> Tensor:
        l1 = (1 - self.alpha) * masked_mean(error, share)
        return self.alpha * masked_mean(1 - similarity, share) + l1 * (error.shape[1] if self._channels_add else 1)

    _channels_add: ClassVar[bool] = False  # whether the L1 part is the sum of the channels, not their mean

    def settings(self) -> dict[str, object]:
        sigmas = None if self.sigmas == SIGMAS else ",".join(number(sigma) for sigma in self.sigmas)
        return {"alpha": self.alpha, "sigmas": sigmas, "border": self.border}


class ZhaoMixCode(ZhaoMix):
    """The authors' published weighting: mean of α·(1 − l_M·Π_j cs_j) + (1 − α)·Σ_c G_σM * |x − y|, α = 0.025.

    The first part is the mean of the channels, the second their sum. Options as for `ZhaoMix`.

    Example:
        >>> import torch
        >>> round(float(ZhaoMixCode()(torch.full((1, 3, 32, 32), 0.4), torch.full((1, 3, 32, 32), 0.5))), 6)
        0.29311
    """

    facts = dataclasses.replace(
        ZhaoMix.facts, name="zhao_mix_code",
        suits="to repeat Zhao et al. as they computed",
        fails="as a quality score",
        written="",
        title="MS-SSIM + L1 mix as in the authors' code"
    )  # fmt: skip

    def __init__(self, *, alpha: float = 0.025, **options: Any) -> None:
        super().__init__(alpha=alpha, **options)

    _channels_add = True


class MSSSIML1(Metric):
    """The common mix: α·(1 − MS-SSIM) + (1 − α)·L1 with the dyadic MS-SSIM, α = 0.84.

    Args:
        alpha: weight of the structural part, in [0, 1].
        data_range, reduction, check: as in `Metric`.

    Shapes: ``(n, c, h, w) -> (n,)``; sides of at least 161 px.

    Raises:
        ValueError: for an alpha outside [0, 1].

    Example:
        >>> import torch
        >>> round(float(MSSSIML1()(torch.full((1, 1, 176, 176), 0.4), torch.full((1, 1, 176, 176), 0.5))), 6)
        0.01876
    """

    facts: ClassVar[Facts] = Facts(
        name="ms_ssim_l1",
        suits="as a loss that keeps colours and detail",
        fails="as a quality score",
        title="0.84·(1 − MS-SSIM) + 0.16·L1", paper=_PAPER, better="lower",
        range=(0.0, math.inf), identical=0.0, smooth=False, min_side=161, volumes=True, masks=True,
    )  # fmt: skip

    def __init__(self, *, alpha: float = 0.84, **base: Any) -> None:
        super().__init__(**base)
        self.alpha = real(self.facts.name, "alpha", alpha, least=0, most=1)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        similarity = multiscale.product(self._means(x, y, None), x.new_tensor(MS_WEIGHTS)).mean(1)
        return self.alpha * (1 - similarity) + (1 - self.alpha) * (x - y).abs().flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        similarity = multiscale.product(self._means(x, y, mask), x.new_tensor(MS_WEIGHTS))
        counts = mask.flatten(2).sum(2)  # of the valid pixels of each channel
        structural = masked_mean(1 - similarity, counts)
        return self.alpha * structural + (1 - self.alpha) * masked_mean((x - y).abs(), mask)

    def _means(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return op.pyramid(x, y, Scales(Setting(windows.gaussian(11, 1.5)), len(MS_WEIGHTS)), mask)

    def settings(self) -> dict[str, object]:
        return {"alpha": self.alpha}
