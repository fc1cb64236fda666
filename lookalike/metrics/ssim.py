"""SSIM, its luminance, contrast and structure, and MS-SSIM, under every convention in use.

Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity,
IEEE TIP 13(4), 2004, doi 10.1109/TIP.2003.819861. Wang, Simoncelli, Bovik: Multiscale structural similarity for
image quality assessment, Asilomar 2003, doi 10.1109/ACSSC.2003.1292216.

Differs from the papers: nothing by default for SSIM (Gaussian 11/1.5, windows that fit, population covariance, no
down-sampling; colour is the mean of the channels). MS-SSIM's default extends the papers' definition where a mean
contrast-structure is negative, where their product of powers is complex.
Conventions: `lookalike.conventions`, by name; any single setting can be changed on top of one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from lookalike import conventions
from lookalike.conventions import MS_WEIGHTS, Convention
from lookalike.metric import Facts, Metric, full_precision
from lookalike.ops import colour as colours
from lookalike.ops import ssim as op
from lookalike.ops import window as windows
from lookalike.ops.ssim import multiscale, reference
from lookalike.ops.ssim.setting import Scales as Pyramid
from lookalike.ops.ssim.setting import Setting
from lookalike.options import choice, meant, reals, there_are, whole, width
from lookalike.signature import number

Small = Literal["raise", "reduce"]
Scales = Literal["product", "sum"]
_PAPER_2004 = "Wang et al. 2004, doi 10.1109/TIP.2003.819861"
_PAPER_2003 = "Wang et al. 2003, doi 10.1109/ACSSC.2003.1292216"


class Terms(NamedTuple):
    """Maps ``(n, c, h', w')`` of luminance, contrast and structure (eq. 6, 9 and 10)."""

    luminance: Tensor
    contrast: Tensor
    structure: Tensor


def ssim(x: Tensor, y: Tensor, *, mask: Tensor | None = None, **options: Any) -> Tensor:
    """Structural similarity of two batches, eq. 13 of Wang et al. 2004 averaged over windows and channels.

    Args:
        x: images judged, ``(n, c, h, w)`` or ``(n, c, d, h, w)``, in ``data_range``.
        y: references, same shape.
        mask: validity ``(n, 1 or c, h, w)`` in [0, 1]: only valid pixels count.
        options: those of `SSIM`: ``data_range``, ``convention``, ``win_size``, ``sigma``, ``border`` …

    Returns:
        ``(n,)`` in [-1, 1], 1 for identical images.

    Raises:
        TypeError, ValueError: for input that does not fit, see `batches.pair`.

    Example:
        >>> y = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
        >>> round(float(ssim(y.flip(-1), y)), 6)
        -0.826622
    """
    return SSIM(**options)(x, y, mask)


def ssim_map(x: Tensor, y: Tensor, **options: Any) -> Tensor:
    """The SSIM of every window, ``(n, c, h', w')``; arguments as for `ssim`.

    Example:
        >>> tuple(ssim_map(torch.zeros(1, 3, 20, 32), torch.ones(1, 3, 20, 32)).shape)
        (1, 3, 10, 22)
    """
    return SSIM(**options).map(x, y)


def ssim_terms(x: Tensor, y: Tensor, **options: Any) -> Terms:
    """Maps of luminance, contrast and structure apart; arguments as for `ssim`.

    Their product is `ssim_map`.

    Example:
        >>> y = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
        >>> [round(float(term.mean()), 4) for term in ssim_terms(y.flip(-1), y)]
        [0.9048, 1.0, -0.9136]
    """
    return SSIM(**options).terms(x, y)


def ms_ssim(x: Tensor, y: Tensor, **options: Any) -> Tensor:
    """Multi-scale SSIM of two batches, eq. 7 of Wang et al. 2003.

    Args:
        x: images judged, ``(n, c, h, w)`` in ``data_range``; sides of at least 161 px for five scales.
        y: references, same shape.
        options: those of `MSSSIM`: ``data_range``, ``convention``, ``weights``, ``small``, ``negative`` …

    Returns:
        ``(n,)`` in [-1, 1], 1 for identical images.

    Raises:
        TypeError, ValueError: for input that does not fit, see `batches.pair`.

    Example:
        >>> y = torch.linspace(0, 1, 200).expand(1, 1, 200, 200)
        >>> round(float(ms_ssim(y * 0.5, y)), 5)
        0.85969
    """
    return MSSSIM(**options)(x, y)


class _Local(Metric):
    """What all metrics of local statistics share: a convention and what it does to a pair before the windows."""

    def __init__(
        self,
        *,
        convention: str | Convention = "wang2004",
        window: conventions.Window | None = None,
        win_size: int | None = None,
        sigma: float | None = None,
        K: tuple[float, float] | None = None,
        border: conventions.Border | None = None,
        covariance: conventions.Covariance | None = None,
        colour: conventions.Colour | None = None,
        luma: conventions.Luma | None = None,
        downsample: conventions.Downsample | None = None,
        channel_weights: Sequence[float] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        changes = {
            "window": window, "win_size": win_size, "sigma": sigma, "K": K, "border": border,
            "covariance": covariance, "colour": colour, "luma": luma, "downsample": downsample,
        }  # fmt: skip
        self.convention = _resolve(convention, changes, self.facts.name)
        self.channel_weights = _normalised(channel_weights, self.facts.name, "channel_weights")
        if self.channel_weights and self.convention.colour == "luma":
            raise ValueError(
                f"{self.facts.name}: channel_weights need colour='channels', the convention scores luma"
            )
        self._taps = _taps(self.convention, self.convention.window)

    @property
    def channels(self) -> tuple[int, ...] | None:
        if self.channel_weights:
            return (len(self.channel_weights),)
        return (1, 3) if self.convention.colour == "luma" else None

    @property
    def min_side(self) -> int:
        return max(self.convention.win_size, self.convention.min_side)

    def _prepare(self, x: Tensor) -> Tensor:
        if self.convention.colour == "luma":
            x = colours.luma(x, self.convention.luma)
        return colours.to_levels(x) if self.convention.levels else x

    def _across_channels(self, scores: Tensor) -> Tensor:
        """Mean or weighted mean of ``(n, c, …)`` over channels."""
        if self.channel_weights is None:
            return scores.mean(1)
        weights = scores.new_tensor(self.channel_weights)
        return (scores * weights.view(-1, *[1] * (scores.ndim - 2))).sum(1)

    def _setting(self, x: Tensor, border: conventions.Border | None = None) -> Setting:
        """The window and constants, on images of these dimensions."""
        c, pixels = self.convention, self.convention.win_size ** (x.ndim - 2)
        unbias = pixels / (pixels - 1) if c.covariance == "n-1" else 1.0
        return Setting(self._taps, border or c.border, c.K[0] ** 2, c.K[1] ** 2, unbias)

    def _window_settings(self, kind: conventions.Window, border: conventions.Border) -> dict[str, object]:
        c = self.convention
        taps = f"gauss{c.win_size}s{number(c.sigma)}" if kind == "gaussian" else f"uniform{c.win_size}"
        colour = f"luma-{c.luma}" if c.colour == "luma" else "rgb-mean"
        if self.channel_weights:
            colour = "rgb-" + ",".join(number(weight) for weight in self.channel_weights)
        return {
            "win": taps,
            "border": border,
            "cov": c.covariance,
            "K": None if c.K == (0.01, 0.03) else ",".join(number(k) for k in c.K),
            "colour": colour,
            "levels": "256" if c.levels else None,
            "down": c.downsample,
            "clip": "cs" if c.clip_structure else None,
            "eps": c.epsilon or None,
        }


class SSIM(_Local):
    """Structural similarity, Wang et al. 2004, eq. 13: mean over windows and channels of l^α · c^β · s^γ.

    Args:
        convention: a name of `lookalike.conventions` or a `Convention`; the following change parts of it.
        window: ``"gaussian"`` or ``"uniform"``.
        win_size: taps a side, odd.
        sigma: of the Gaussian, in pixels.
        K: the constants K1, K2 of eq. 12.
        border: ``"valid"``, ``"reflect"``, ``"symmetric"`` or ``"zero"``.
        covariance: ``"n"`` (population) or ``"n-1"`` (sample).
        colour: ``"channels"`` scores each channel, ``"luma"`` the luma alone.
        luma: ``"bt601"``, ``"rounded"``, ``"matlab"`` or ``"matlab-unrounded"``.
        downsample: ``"no"``, ``"matlab"``, ``"piq"`` or ``"blazediff"``: to about 256 px first.
        channel_weights: one weight a channel instead of the plain mean.
        exponents: α, β, γ of eq. 12; a negative structure keeps its sign under a power.
        data_range, reduction, check: as in `Metric`.

    Shapes: ``(n, c, h, w)`` or ``(n, c, d, h, w)``; sides of at least ``win_size``.

    Raises:
        ValueError: for unknown names, even window sizes, and input that does not fit.

    Example:
        >>> metric = SSIM(data_range=255, convention="scikit-image")
        >>> metric.signature()
        'ssim|win:uniform7|border:valid|cov:n-1|colour:rgb-mean|down:no|range:255|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="ssim", title="Structural similarity", paper=_PAPER_2004, better="higher", range=(-1.0, 1.0),
        identical=1.0, min_side=11, volumes=True, masks=True,
    )  # fmt: skip

    def __init__(self, *, exponents: tuple[float, float, float] = (1.0, 1.0, 1.0), **options: Any) -> None:
        super().__init__(**options)
        self.exponents = reals(self.facts.name, "exponents", exponents, count=3, least=0)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        c = self.convention
        if self.exponents != (1.0, 1.0, 1.0) or c.clip_structure or c.epsilon:
            return self._across_channels(self.score_map(x, y).flatten(2).mean(2))
        return self._means(x, y, None)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        if self.exponents != (1.0, 1.0, 1.0) or self.convention.clip_structure or self.convention.epsilon:
            raise ValueError(f"{self.facts.name}: a mask needs exponents of 1 and a convention without clipping")
        if self.convention.downsample != "no":
            raise ValueError(f"{self.facts.name}: a mask and automatic down-sampling do not go together")
        return self._means(x, y, mask[:, :1] if self.convention.colour == "luma" else mask)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = self._both(x, y)
        c, setting = self.convention, self._setting(x)
        if self.exponents == (1.0, 1.0, 1.0) and not (c.clip_structure or c.epsilon):
            return op.maps(x, y, setting)[0]
        if self.exponents == (1.0, 1.0, 1.0):
            local = reference.moments(x, y, setting)
            structure = reference.contrast_structure_of(local, setting.c2)
            return self._luminance(local, setting) * (structure.relu() if c.clip_structure else structure)
        powers = [
            multiscale.signed_power(term, power)
            for term, power in zip(self._terms(x, y), self.exponents, strict=True)
        ]
        return powers[0] * powers[1] * powers[2]

    def terms(self, x: Tensor, y: Tensor) -> Terms:
        """Maps of luminance, contrast and structure of a pair, each ``(n, c, h', w')``."""
        x, y = self._enter(x, y)
        with full_precision(x):
            return self._terms(*self._both(x, y))

    def settings(self) -> dict[str, object]:
        settings = self._window_settings(self.convention.window, self.convention.border)
        plain = self.exponents == (1.0, 1.0, 1.0)
        return settings | {"exp": None if plain else ",".join(number(power) for power in self.exponents)}

    def _means(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        x, y = self._both(x, y)
        return self._across_channels(op.means(x, y, self._setting(x), mask)[..., 0])

    def _both(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self._prepare(x), self._prepare(y)
        rule, ratio = self.convention.downsample, min(x.shape[2:]) / 256
        factor = round(ratio) if rule == "piq" else math.floor(ratio + 0.5)
        if rule == "no" or factor <= 1:
            return x, y
        border = _SHRINK_BORDER[rule]
        return windows.shrink(x, factor, border), windows.shrink(y, factor, border)

    def _terms(self, x: Tensor, y: Tensor) -> Terms:
        setting = self._setting(x)
        local = reference.moments(x, y, setting, covariance=True)
        contrast, structure = reference.contrast_and_structure_of(local, setting.c2)
        return Terms(self._luminance(local, setting), contrast, structure)

    def _luminance(self, local: reference.Moments, setting: Setting) -> Tensor:
        """Eq. 6; a convention's epsilon, which belongs to the denominator of the whole product, goes in here."""
        luminance = reference.luminance_of(local, setting.c1)
        if not self.convention.epsilon:
            return luminance
        means, variances = local.mean_p.square() + local.mean_m.square(), local.var_p + local.var_m
        denominator = (means / 2 + setting.c1) * (variances / 2 + setting.c2)
        return luminance * denominator / (denominator + self.convention.epsilon)


class SSIMLuminance(SSIM):
    """The luminance comparison of SSIM alone, eq. 6 of Wang et al. 2004; options as for `SSIM`.

    Example:
        >>> y = torch.full((1, 1, 16, 16), 0.5)
        >>> round(float(SSIMLuminance()(y / 2, y)), 6)
        0.800064
    """

    facts = dataclasses.replace(
        SSIM.facts, name="ssim_luminance", title="Luminance part of SSIM", range=(-1.0, 1.0), masks=False,
        alone="it sees local means only, not detail",
    )  # fmt: skip
    _part: ClassVar[int] = 0

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self._across_channels(self.score_map(x, y).flatten(2).mean(2))

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return self._terms(*self._both(x, y))[self._part]


class SSIMContrast(SSIMLuminance):
    """The contrast comparison of SSIM alone, eq. 9 of Wang et al. 2004; options as for `SSIM`.

    Example:
        >>> y = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
        >>> round(float(SSIMContrast()(y / 2, y)), 4)
        0.8135
    """

    facts = dataclasses.replace(
        SSIM.facts, name="ssim_contrast", title="Contrast part of SSIM", range=(0.0, 1.0), masks=False,
        alone="it sees local contrast only: any pattern of the same contrast is perfect",
        declines={"negative": "a negative has the same contrast"},
    )  # fmt: skip
    _part: ClassVar[int] = 1


class SSIMStructure(SSIMLuminance):
    """The structure comparison of SSIM alone, eq. 10 of Wang et al. 2004; options as for `SSIM`.

    Example:
        >>> y = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
        >>> round(float(SSIMStructure()(y.flip(-1), y)), 4)
        -0.9136
    """

    facts = dataclasses.replace(
        SSIM.facts, name="ssim_structure", title="Structure part of SSIM", masks=False,
        alone="it sees neither brightness nor contrast",
    )  # fmt: skip
    _part: ClassVar[int] = 2


class MSSSIM(_Local):
    """Multi-scale SSIM, Wang et al. 2003, eq. 7: Π_j cs_j^w_j over the finer scales times ssim_M^w_M.

    Args:
        weights: one weight a scale, finest first; None: the paper's five.
        halving: how odd sides are halved, see `ops.window.halve`.
        negative: what happens where a mean is negative and its power would be complex. ``"leak"``: the product
            takes the mean as 0 and w·mean is added, so that the loss still pulls it upward; ``"relu"``: 0 with no
            gradient (most libraries); ``"real"``: the real part of the complex product (the authors' program).
        scales: ``"product"``, or ``"sum"``: Σ_j w_j · mean_j instead.
        small: ``"raise"`` on images too small for all scales, or ``"reduce"`` to the scales that fit, their
            weights renormalised.
        options: those of `SSIM` but downsample and exponents.

    Shapes: ``(n, c, h, w)`` or ``(n, c, d, h, w)``; sides of at least 161 px for five scales of an 11-tap window.

    Raises:
        ValueError: for unknown names, and input that does not fit.

    Example:
        >>> MSSSIM().signature()[:58]
        'ms_ssim|win:gauss11s1.5|border:valid|cov:n|colour:rgb-mean'
    """

    facts: ClassVar[Facts] = Facts(
        name="ms_ssim", title="Multi-scale structural similarity", paper=_PAPER_2003, better="higher",
        range=(-1.0, 1.0), identical=1.0, min_side=161, volumes=True,
    )  # fmt: skip

    def __init__(
        self,
        *,
        weights: Sequence[float] | None = None,
        halving: conventions.Halving | None = None,
        negative: conventions.Negative | None = None,
        scales: Scales = "product",
        small: Small = "raise",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        who = self.facts.name
        if not self.convention.ms:
            having = ", ".join(row.name for row in conventions.CONVENTIONS.values() if row.ms)
            raise ValueError(
                f"{who}: {self.convention.name} ({self.convention.source}) has no MS-SSIM; {having} have"
            )
        for name, value, choices in (
            ("halving", halving, conventions.Halving), ("negative", negative, conventions.Negative),
            ("scales", scales, Scales), ("small", small, Small),
        ):  # fmt: skip
            if value is not None:
                choice(who, name, value, get_args(choices))
        given = MS_WEIGHTS if weights is None else reals(who, "weights", weights, least=0)
        if not sum(given) > 0:
            raise ValueError(f"{who}: weights, one a scale, must not all be 0; got {weights!r}")
        total = 1.0 if weights is None or not self.convention.normalise else sum(given)
        self._taps = _taps(self.convention, self.convention.ms_window or self.convention.window)
        self.weights = tuple(weight / total for weight in given)
        self.halving: conventions.Halving = halving or self.convention.halving
        self.negative: conventions.Negative = negative or self.convention.negative
        self.scales: Scales = scales
        self.small: Small = small

    @property
    def min_side(self) -> int:
        if self.small == "reduce":
            return self.convention.win_size
        steps = 2 ** (len(self.weights) - 1)
        even = self.convention.win_size * steps
        fits = even if self.halving in _DROPS_ODD else even - steps + 1
        return max(fits, self.convention.ms_min_side if len(self.weights) == 5 else 1)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = self._prepare(x), self._prepare(y)
        weights = self._weights_for(x)
        means = self._means_by_scale(x, y, len(weights))
        if self.convention.joint:
            means = means.mean(1, keepdim=True)
        powers = x.new_tensor(weights)
        if self.scales == "sum":
            scores = (means * powers).sum(-1) / powers.sum()
        else:
            scores = multiscale.product(means, powers, self.negative)
        return self._across_channels(scores) if scores.shape[1] > 1 else scores[:, 0]

    def settings(self) -> dict[str, object]:
        c = self.convention
        settings = self._window_settings(c.ms_window or c.window, c.ms_border or c.border)
        weights = None if self.weights == MS_WEIGHTS else ",".join(f"{weight:.6g}" for weight in self.weights)
        return settings | {
            "down": None,
            "last": c.ms_last_border,
            "weights": weights,
            "odd": self.halving,
            "neg": self.negative,
            "pool": "joint" if c.joint else None,
            "scales": None if self.scales == "product" else self.scales,
            "small": None if self.small == "raise" else self.small,
        }

    def _weights_for(self, x: Tensor) -> tuple[float, ...]:
        """The weights of the scales that fit, renormalised to the sum of all when some do not."""
        side, fitting = min(x.shape[2:]), 0
        while fitting < len(self.weights) and side >= self.convention.win_size:
            fitting += 1
            side = side // 2 if self.halving in _DROPS_ODD else (side + 1) // 2
        kept = self.weights[:fitting]
        if fitting == len(self.weights) or not sum(kept):
            return kept
        return tuple(weight * sum(self.weights) / sum(kept) for weight in kept)

    def _means_by_scale(self, x: Tensor, y: Tensor, count: int) -> Tensor:
        """``(n, c, count)``: mean contrast·structure of each scale but the last, whose mean SSIM it is."""
        c = self.convention
        setting = self._setting(x, c.ms_border or c.border)
        if not c.clip_structure:
            return op.pyramid(x, y, Pyramid(setting, count, c.ms_last_border, self.halving))
        columns = []
        for scale in range(count):
            if scale:
                x, y = windows.halve(x, self.halving), windows.halve(y, self.halving)
            local = reference.moments(x, y, setting)
            part = reference.contrast_structure_of(local, setting.c2).relu()
            part = reference.luminance_of(local, setting.c1) * part if scale == count - 1 else part
            columns.append(part.flatten(2).mean(2))
        return torch.stack(columns, -1)


def _resolve(convention: str | Convention, changes: Mapping[str, Any], who: str) -> Convention:
    if not isinstance(convention, Convention):
        known = conventions.CONVENTIONS
        if convention not in known:
            raise ValueError(
                f"{who}: no convention {convention!r}{meant(convention, known)}; {there_are(convention, known)}"
            )
        convention = known[convention]
    for name, value in changes.items():
        if value is not None and name in _CHOICES:
            choice(who, name, value, _CHOICES[name])
    resolved = dataclasses.replace(convention, **{name: v for name, v in changes.items() if v is not None})
    resolved = dataclasses.replace(
        resolved,
        win_size=whole(who, "win_size", resolved.win_size, most=9999, odd=True),
        sigma=width(who, "sigma", resolved.sigma),
        K=reals(who, "K", resolved.K, count=2, above=0),
    )
    if resolved.covariance == "n-1" and resolved.win_size == 1:
        raise ValueError(f"{who}: a window of one pixel has no sample covariance; use covariance='n'")
    return resolved


_DROPS_ODD = ("floor", "reflect")
_SHRINK_BORDER: dict[str, conventions.Border] = {"matlab": "symmetric", "piq": "valid", "blazediff": "reflect"}
_CHOICES: dict[str, tuple[str, ...]] = {
    "window": get_args(conventions.Window),
    "border": get_args(conventions.Border),
    "covariance": get_args(conventions.Covariance),
    "colour": get_args(conventions.Colour),
    "luma": get_args(conventions.Luma),
    "downsample": get_args(conventions.Downsample),
}


def _taps(convention: Convention, window: conventions.Window) -> tuple[float, ...]:
    gaussian = window == "gaussian"
    return (
        windows.gaussian(convention.win_size, convention.sigma)
        if gaussian
        else windows.uniform(convention.win_size)
    )


def _normalised(weights: Sequence[float] | None, who: str, name: str) -> tuple[float, ...] | None:
    if weights is None:
        return None
    given = reals(who, name, weights, least=0)
    if not sum(given) > 0:
        raise ValueError(f"{who}: {name} must not all be 0, got {weights!r}")
    return tuple(weight / sum(given) for weight in given)
