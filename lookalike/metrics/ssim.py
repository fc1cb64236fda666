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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from lookalike import batches, conventions
from lookalike.conventions import MS_WEIGHTS, Convention
from lookalike.metric import Facts, Metric, Prepared, full_precision
from lookalike.modes import readable
from lookalike.ops import colour as colours
from lookalike.ops import ssim as op
from lookalike.ops import window as windows
from lookalike.ops._autograd import differentiated
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
        mask: what counts, ``(n, 1 or c, h, w)``, boolean or weights in [0, 1], as in `SSIM`.
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
        win_size: int | Sequence[int] | None = None,
        sigma: float | Sequence[float] | None = None,
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
            "window": window, "K": K, "border": border, "covariance": covariance, "colour": colour, "luma": luma,
            "downsample": downsample,
        }  # fmt: skip
        self.convention, self.axes = _resolve(convention, changes, win_size, sigma, self.facts.name)
        self.channel_weights = _normalised(channel_weights, self.facts.name, "channel_weights")
        if self.channel_weights and self.convention.colour == "luma":
            raise ValueError(
                f"{self.facts.name}: channel_weights need colour='channels', the convention scores luma"
            )
        self._taps = self._taps_of(self.convention.window)

    def _taps_of(self, kind: conventions.Window) -> windows.Taps:
        """The window along every axis, or one for each where they differ."""
        axes = self.axes or ((self.convention.win_size, self.convention.sigma),)
        along = [
            windows.gaussian(size, sigma) if kind == "gaussian" else windows.uniform(size) for size, sigma in axes
        ]
        return tuple(along) if self.axes else along[0]

    @property
    def channels(self) -> tuple[int, ...] | None:
        if self.channel_weights:
            return (len(self.channel_weights),)
        return (1, 3) if self.convention.colour == "luma" else None

    @property
    def min_side(self) -> int:
        return max(min(self._least_sides), self.convention.min_side)

    @property
    def _least_sides(self) -> tuple[int, ...]:
        """The least side along each axis where they differ, else of all."""
        sizes = [size for size, _ in self.axes] if self.axes else [self.convention.win_size]
        return tuple(windows.least_side(size, self.convention.border) for size in sizes)

    def _enter(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        self._check_sides(x)
        return super()._enter(x, y)

    def _enter_masked(self, x: Tensor, y: Any, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self._check_sides(x)
        return super()._enter_masked(x, y, mask)

    def _check_sides(self, x: Tensor) -> None:
        """Raise on images that the window does not fit, with an option that does."""
        if not isinstance(x, Tensor):
            return  # the door says what is wrong
        batches.check_dimensions(x, "x", self.facts.name, self.facts.volumes)  # frames before sizes
        who, sides = self.facts.name, tuple(x.shape[2:])
        if self.axes and len(self.axes) != len(sides):
            raise ValueError(
                f"{who}: the window has {len(self.axes)} axes, images of shape {tuple(x.shape)} have {len(sides)}; "
                f"give win_size and sigma one number, or {len(sides)}"
            )
        least = tuple(max(side, self.min_side) for side in self._least_sides)
        least = least if len(least) > 1 else least * len(sides)
        if all(side >= wanted for side, wanted in zip(sides, least, strict=True)):
            return
        wanted = "x".join(map(str, least)) if self.axes else str(max(least))
        raise ValueError(
            f"{who}: needs images of at least {wanted} px{'' if self.axes else ' a side'}, "
            f"got {'x'.join(map(str, sides))}; {self._advice(sides)}"
        )

    def _advice(self, sides: tuple[int, ...]) -> str:
        """What to do with images that are too small."""
        sizes = [size for size, _ in self.axes] if self.axes else [self.convention.win_size] * len(sides)
        thin = [side < size for side, size in zip(sides, sizes, strict=True)]
        if len(sides) == 3 and not all(thin) and min(sides) > 0:
            fitting = tuple(1 if short else size for short, size in zip(thin, sizes, strict=True))
            return f"use larger images, or a window of one slice along the short axis: win_size={fitting}"
        fits = min(sides) - 1 + min(sides) % 2
        return f"use larger images, or a smaller window: win_size={max(fits, 1)}"

    def _prepare(self, x: Tensor) -> Tensor:
        if self.convention.colour == "luma":
            x = colours.luma(x, self.convention.luma)
        return colours.to_levels(x) if self.convention.levels else x

    def _prepare_mask(self, mask: Tensor | None) -> Tensor | None:
        return mask.amin(1, keepdim=True) if mask is not None and self.convention.colour == "luma" else mask

    def _across_channels(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean or weighted mean of ``(n, c)`` over channels; with a mask each counts by its valid pixels."""
        if mask is None and self.channel_weights is None:
            return scores.mean(1)
        weights = torch.ones_like(scores) if mask is None else mask.flatten(2).sum(2)
        if self.channel_weights is not None:
            weights = weights * torch.tensor(self.channel_weights, dtype=scores.dtype, device=scores.device)
        total = weights.sum(1)
        return (scores * weights).sum(1) / torch.where(total > 0, total, 1.0)

    def _setting(self, x: Tensor, border: conventions.Border | None = None) -> Setting:
        """The window and constants, on images of these dimensions."""
        c, spatial = self.convention, x.ndim - 2
        pixels = math.prod(size for size, _ in self.axes) if self.axes else c.win_size**spatial
        unbias = pixels / (pixels - 1) if c.covariance == "n-1" else 1.0
        return Setting(self._taps, border or c.border, c.K[0] ** 2, c.K[1] ** 2, unbias)

    def _window_settings(self, kind: conventions.Window, border: conventions.Border) -> dict[str, object]:
        c = self.convention
        axes = self.axes or ((c.win_size, c.sigma),)
        taps = ("gauss" if kind == "gaussian" else "uniform") + "x".join(str(size) for size, _ in axes)
        if kind == "gaussian":
            sigmas = dict.fromkeys(number(sigma) for _, sigma in axes)
            taps += "s" + ",".join(sigmas if len(sigmas) == 1 else (number(sigma) for _, sigma in axes))
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
        win_size: taps a side, or one number for each axis, ``(h, w)`` or ``(d, h, w)``: 1 for an axis on which
            nothing is to be averaged. Even windows are as those of tf.image and dm_pix; under a padded border their
            centre lies right of the middle, as SciPy's.
        sigma: of the Gaussian, in pixels, likewise. Conventions whose program derives the window from it
            (scikit-image, scikit-image-gaussian, torchmetrics) do so unless ``win_size`` is given.
        K: the constants K1, K2 of eq. 12.
        border: ``"valid"`` (windows that fit), ``"reflect"``, ``"symmetric"`` or ``"zero"``.
        covariance: ``"n"`` (population) or ``"n-1"`` (sample).
        colour: ``"channels"`` scores each channel, ``"luma"`` the luma alone.
        luma: ``"bt601"``, ``"rounded"``, ``"matlab"`` or ``"matlab-unrounded"``.
        downsample: ``"no"``, ``"matlab"``, ``"piq"`` or ``"blazediff"``: to about 256 px first.
        channel_weights: one weight a channel instead of the plain mean.
        exponents: α, β, γ of eq. 12; a negative structure keeps its sign under a power.
        data_range, reduction, check: as in `Metric`.

    Shapes: ``(n, c, h, w)`` or ``(n, c, d, h, w)``; sides of at least ``win_size``, under padded borders of what
    the mirror needs: half the window and a pixel (reflect), half the window (symmetric), or a pixel (zero).

    Masks: a window is averaged over its valid pixels (normalised convolution) and counts by its valid share, the
    image by its valid windows; channels with masks of their own count by their valid pixels. A mask is shrunk with
    the images where a convention shrinks them; luma is valid where all channels are.

    Raises:
        ValueError: for unknown names, windows of another number of axes, and input that does not fit.

    Example:
        >>> metric = SSIM(data_range=255, convention="scikit-image")
        >>> metric.signature()
        'ssim|win:uniform7|border:valid|cov:n-1|colour:rgb-mean|down:no|range:255|v:1'
        >>> y = torch.linspace(0, 1, 16).expand(1, 1, 3, 16, 16)  # three slices
        >>> round(float(SSIM(win_size=(1, 7, 7))(y.flip(-1), y)), 6)
        -0.691102
    """

    facts: ClassVar[Facts] = Facts(
        name="ssim",
        suits="to be compared with what others report; name the convention",
        fails="for shifts of a pixel, and colour casts",
        written="SSIM",
        title="Structural similarity", paper=_PAPER_2004, better="higher", range=(-1.0, 1.0),
        identical=1.0, min_side=11, volumes=True, masks=True,
    )  # fmt: skip

    def __init__(self, *, exponents: tuple[float, float, float] = (1.0, 1.0, 1.0), **options: Any) -> None:
        super().__init__(**options)
        self.exponents = reals(self.facts.name, "exponents", exponents, count=3, least=0)

    def _scores(self, x: Tensor, y: Tensor | Prepared, mask: Tensor | None) -> Tensor:
        if mask is not None or isinstance(y, Prepared) or not self._may_look_later(x, y):
            return super()._scores(x, y, mask)
        self._check_sides(x)
        demands = self._demands()
        shapes: dict[str, Any] = {**demands, "check": "shapes"}
        a, b = batches.pair(x, y, **shapes)
        with full_precision(a):
            means, least, most = op.looked_means(a, b, self._setting(a))
        batches.check_seen(x, y, least, most, **demands)
        return self._across_channels(means[..., 0])

    def _may_look_later(self, x: Tensor, y: Tensor) -> bool:
        """Whether the kernel may tell the extremes of the values while it reads them, which saves a pass."""
        c = self.convention
        as_given = (
            type(self).score is SSIM.score
            and self._plain
            and c.colour == "channels"
            and not c.levels
            and c.downsample == "no"
        )
        if not (self.check == "values" and as_given and isinstance(x, Tensor) and isinstance(y, Tensor)):
            return False
        on_cpu = {x.dtype, y.dtype} == {torch.float32} and x.device.type == "cpu" and x.numel() > 0
        return on_cpu and readable(x, y) and not differentiated(x, y)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        x, y, _ = self._both(x, y)
        if self._plain:
            return self._across_channels(op.means(x, y, self._setting(x))[..., 0])
        return self._across_channels(self._map(x, y).flatten(2).mean(2))

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        x, y, mask = self._both(x, y, mask)
        if self._plain:
            scores = op.means(x, y, self._setting(x), mask)[..., 0]
        else:
            local = self._moments(x, y, mask)
            scores = reference.valid_mean(self._of(local, self._setting(x)), reference.weight_of(local), 1.0)
        return self._across_channels(scores, mask)

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        x, y, _ = self._both(x, y)
        return op.maps(x, y, self._setting(x))[0] if self._plain else self._map(x, y)

    @property
    def _plain(self) -> bool:
        """Whether the formula is that of the kernels: no powers, nothing clipped or added."""
        return self.exponents == (1.0, 1.0, 1.0) and not (self.convention.clip_structure or self.convention.epsilon)

    def _map(self, x: Tensor, y: Tensor) -> Tensor:
        return self._of(self._moments(x, y), self._setting(x))

    def _of(self, local: reference.Moments, setting: Setting) -> Tensor:
        """The score of each window from its moments."""
        if self.exponents == (1.0, 1.0, 1.0):
            structure = reference.contrast_structure_of(local, setting.c2)
            structure = structure.relu() if self.convention.clip_structure else structure
            return self._luminance(local, setting) * structure
        terms = self._terms_of(local, setting)
        powers = [multiscale.signed_power(*pair) for pair in zip(terms, self.exponents, strict=True)]
        return powers[0] * powers[1] * powers[2]

    def _moments(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> reference.Moments:
        covariance = self.exponents != (1.0, 1.0, 1.0)
        return reference.moments(x, y, self._setting(x), mask=mask, covariance=covariance)

    def terms(self, x: Tensor, y: Tensor) -> Terms:
        """Maps of luminance, contrast and structure of a pair, each ``(n, c, h', w')``."""
        x, y = self._enter(x, y)
        with full_precision(x):
            x, y, _ = self._both(x, y)
            setting = self._setting(x)
            return self._terms_of(reference.moments(x, y, setting, covariance=True), setting)

    def settings(self) -> dict[str, object]:
        settings = self._window_settings(self.convention.window, self.convention.border)
        plain = self.exponents == (1.0, 1.0, 1.0)
        return settings | {"exp": None if plain else ",".join(number(power) for power in self.exponents)}

    def _both(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Any]:
        """What the windows see: the pair, and the mask where there is one, after luma and down-sampling."""
        x, y, mask = self._prepare(x), self._prepare(y), self._prepare_mask(mask)
        rule, ratio = self.convention.downsample, min(x.shape[2:]) / 256
        factor = round(ratio) if rule == "piq" else math.floor(ratio + 0.5)
        if rule == "no" or factor <= 1:
            return x, y, mask
        shrink = partial(windows.shrink, factor=factor, border=_SHRINK_BORDER[rule])
        if mask is None:
            return shrink(x), shrink(y), None
        return windows.of_valid(shrink, x, mask)[0], *windows.of_valid(shrink, y, mask)

    def _terms_of(self, local: reference.Moments, setting: Setting) -> Terms:
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
        SSIM.facts, name="ssim_luminance",
        suits="to see which part of SSIM fell",
        fails="as a quality score",
        written="",
        title="Luminance part of SSIM", range=(-1.0, 1.0),
        alone="it sees local means only, not detail",
    )  # fmt: skip
    _part: ClassVar[int] = 0

    @property
    def _plain(self) -> bool:
        return False

    def _of(self, local: reference.Moments, setting: Setting) -> Tensor:
        return self._terms_of(local, setting)[self._part]

    def _moments(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> reference.Moments:
        return reference.moments(x, y, self._setting(x), mask=mask, covariance=True)


class SSIMContrast(SSIMLuminance):
    """The contrast comparison of SSIM alone, eq. 9 of Wang et al. 2004; options as for `SSIM`.

    Example:
        >>> y = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
        >>> round(float(SSIMContrast()(y / 2, y)), 4)
        0.8135
    """

    facts = dataclasses.replace(
        SSIM.facts, name="ssim_contrast",
        suits="to see which part of SSIM fell",
        fails="as a quality score",
        written="",
        title="Contrast part of SSIM", range=(0.0, 1.0),
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
        SSIM.facts, name="ssim_structure",
        suits="to see which part of SSIM fell",
        fails="as a quality score",
        written="",
        title="Structure part of SSIM",
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
        name="ms_ssim",
        suits="for photographs at an unknown viewing distance",
        fails="below 161 px a side",
        written="MS-SSIM",
        title="Multi-scale structural similarity", paper=_PAPER_2003, better="higher",
        range=(-1.0, 1.0), identical=1.0, min_side=161, volumes=True, masks=True,
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
        self._taps = self._taps_of(self.convention.ms_window or self.convention.window)
        self.weights = tuple(weight / total for weight in given)
        self.halving: conventions.Halving = halving or self.convention.halving
        self.negative: conventions.Negative = negative or self.convention.negative
        self.scales: Scales = scales
        self.small: Small = small

    @property
    def min_side(self) -> int:
        return min(self._least_sides)

    @property
    def _least_sides(self) -> tuple[int, ...]:
        sizes = [size for size, _ in self.axes] if self.axes else [self.convention.win_size]
        if self.small == "reduce":
            return tuple(sizes)
        steps = 2 ** (len(self.weights) - 1)
        fits = (size * steps - (0 if self.halving in _DROPS_ODD else steps - 1) for size in sizes)
        return tuple(max(side, self.convention.ms_min_side if len(self.weights) == 5 else 1) for side in fits)

    def _advice(self, sides: tuple[int, ...]) -> str:
        fitting = self._fitting(sides)
        if not fitting or self.small == "reduce":
            return super()._advice(sides)
        equal = ", ".join([f"{1 / fitting:.3g}"] * fitting) + ("," if fitting == 1 else "")
        scales = f"{fitting} scale{'s' * (fitting > 1)}"
        return f"use larger images, or the {scales} that fit: small='reduce', or weights=({equal})"

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self._score(self._prepare(x), self._prepare(y), None)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        return self._score(self._prepare(x), self._prepare(y), self._prepare_mask(mask))

    def _score(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        weights = self._weights_for(x)
        means = self._means_by_scale(x, y, len(weights), mask)
        if self.convention.joint and mask is not None:
            counts = mask.flatten(2).sum(2)[..., None]
            total = counts.sum(1, keepdim=True)
            means = (means * counts).sum(1, keepdim=True) / torch.where(total > 0, total, 1.0)
        elif self.convention.joint:
            means = means.mean(1, keepdim=True)
        powers = x.new_tensor(weights)
        if self.scales == "sum":
            scores = (means * powers).sum(-1) / powers.sum()
        else:
            scores = multiscale.product(means, powers, self.negative)
        return self._across_channels(scores, mask) if scores.shape[1] > 1 else scores[:, 0]

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
        fitting = self._fitting(x.shape[2:])
        kept = self.weights[:fitting]
        if fitting == len(self.weights) or not sum(kept):
            return kept
        return tuple(weight * sum(self.weights) / sum(kept) for weight in kept)

    def _fitting(self, sides: Sequence[int]) -> int:
        """How many of the scales the window fits."""
        sizes = [size for size, _ in self.axes] if self.axes else [self.convention.win_size] * len(sides)
        fitting = 0
        while fitting < len(self.weights) and all(side >= size for side, size in zip(sides, sizes, strict=True)):
            fitting += 1
            sides = [side // 2 if self.halving in _DROPS_ODD else (side + 1) // 2 for side in sides]
        return fitting

    def _means_by_scale(self, x: Tensor, y: Tensor, count: int, mask: Tensor | None) -> Tensor:
        """``(n, c, count)``: mean contrast·structure of each scale but the last, whose mean SSIM it is."""
        c = self.convention
        setting = self._setting(x, c.ms_border or c.border)
        if not c.clip_structure:
            return op.pyramid(x, y, Pyramid(setting, count, c.ms_last_border, self.halving), mask)
        return reference.pyramid(
            x, y, Pyramid(setting, count, None, self.halving), mask, at_scale=reference.clipped_means
        )


Axes = tuple[tuple[int, float], ...] | None  # size and sigma of the window along each axis, where they differ


def _resolve(
    convention: str | Convention, changes: Mapping[str, Any], win_size: Any, sigma: Any, who: str
) -> tuple[Convention, Axes]:
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
    axes = _axes(resolved, win_size, sigma, who)
    resolved = dataclasses.replace(
        resolved,
        win_size=max(size for size, _ in axes),
        sigma=max(sigma for _, sigma in axes),
        K=reals(who, "K", resolved.K, count=2, above=0),
    )
    if resolved.covariance == "n-1" and resolved.win_size == 1:
        raise ValueError(f"{who}: a window of one pixel has no sample covariance; use covariance='n'")
    return resolved, axes if len(set(axes)) > 1 else None


def _axes(c: Convention, win_size: Any, sigma: Any, who: str) -> tuple[tuple[int, float], ...]:
    """Size and sigma of the window, once for all axes or once for each."""
    sigmas = _each(sigma if sigma is not None else c.sigma, lambda value: width(who, "sigma", value))
    if win_size is None and sigma is not None and c.truncate and c.window == "gaussian":
        sizes = [2 * int(c.truncate * value + 0.5) + 1 for value in sigmas]
    else:
        given = win_size if win_size is not None else c.win_size
        sizes = _each(given, lambda value: whole(who, "win_size", value, most=_MOST_TAPS))
    counts = {len(values) for values in (sizes, sigmas)} - {1}
    if len(counts) > 1 or counts - {2, 3}:
        raise ValueError(
            f"{who}: win_size and sigma are one number, or one for each axis, (h, w) or (d, h, w); "
            f"got win_size={win_size!r}, sigma={sigma!r}"
        )
    count = max(counts, default=1)
    if max(sizes) > _MOST_TAPS:  # one that follows from sigma
        raise ValueError(f"{who}: sigma={sigma!r} makes a window of {max(sizes):,} taps, more than {_MOST_TAPS:,}")
    return tuple(zip((sizes * count)[:count], (sigmas * count)[:count], strict=True))


def _each(value: Any, check: Callable[[Any], Any]) -> list[Any]:
    """One number, or several, checked."""
    several = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    return [check(item) for item in value] if several else [check(value)]


_MOST_TAPS = 9999  # more than images have pixels a side; a mistyped size would take for ever
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


def _normalised(weights: Sequence[float] | None, who: str, name: str) -> tuple[float, ...] | None:
    if weights is None:
        return None
    given = reals(who, name, weights, least=0)
    if not sum(given) > 0:
        raise ValueError(f"{who}: {name} must not all be 0, got {weights!r}")
    return tuple(weight / sum(given) for weight in given)
