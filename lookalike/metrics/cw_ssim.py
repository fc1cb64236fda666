"""CW-SSIM, structural similarity of complex wavelet coefficients: forgives small shifts, rotations and zooms.

Sampat, Wang, Gupta, Bovik, Markey: Complex wavelet structural similarity: a new image similarity index,
IEEE TIP 18(11), 2009, doi 10.1109/TIP.2009.2025923.

Differs from the paper: nothing where its formula has a value. Where it is 0/0, in a window in which neither image
has contrast, the similarity is 1 with no gradient; contrast within the rounding of the pixels counts as none.
Images of at least one window are taken, 49 px a side; the authors' program begins at 64.
Conventions: the authors' program, to 1e-12 in float64: bands of the coarsest of 4 levels in 8 orientations, box
windows of 7 coefficients that fit, weights of a Gaussian whose sigma is a quarter of the band's height, K = 0.
Colour is the mean of the channels.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour as colours
from lookalike.ops import pyramid
from lookalike.options import choice, real, whole

Pooling = Literal["gaussian", "mean"]
Colour = Literal["channels", "luma"]
_POOLINGS, _COLOURS = get_args(Pooling), get_args(Colour)


def cw_ssim(
    x: Tensor,
    y: Tensor,
    *,
    levels: int = 4,
    orientations: int = 8,
    win_size: int = 7,
    pooling: Pooling = "gaussian",
    K: float = 0.0,
    colour: Colour = "channels",
) -> Tensor:
    """CW-SSIM of a pair in the unit range, Sampat et al. 2009.

    The coefficients c and d of one band in one window of x and y give (2 |Σ c d*| + K) / (Σ |c|² + Σ |d|² + K);
    these are averaged over windows, bands and channels.

    Args:
        x: images judged, ``(n, c, h, w)``, float32 or float64.
        y: references, same shape.
        levels: of the pyramid; the coarsest is compared, which has a coefficient every 2^(levels − 1) pixels.
        orientations: bands of that level.
        win_size: coefficients a side of a window.
        pooling: ``"gaussian"`` weighs the middle of the image more, ``"mean"`` all windows alike.
        K: what steadies windows of little contrast; on the scale of the authors' program, pixels of 0–255 and
            means over a window.
        colour: ``"channels"`` scores each channel, ``"luma"`` 0.299 R + 0.587 G + 0.114 B alone.

    Returns:
        ``(n,)`` in [0, 1]: 1 for identical images, and for any that differ in sign or brightness alone.

    Raises:
        ValueError: for options out of range, and sides below `smallest_side`.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> [round(float(cw_ssim(x, y)), 6) for x in (y.roll(2, -1), y.flip(-1), 1 - y)]
        [0.995686, 0.871664, 1.0]
    """
    _check(levels, orientations, win_size, pooling, K, colour)
    least = smallest_side(levels=levels, win_size=win_size)
    if min(x.shape[-2:]) < least:
        raise ValueError(
            f"cw_ssim: needs images of at least {least} px a side for levels={levels} and win_size={win_size}; "
            f"got {'x'.join(map(str, x.shape[-2:]))}. Use larger images, or fewer levels"
        )
    if not x.shape[0]:
        return (x + y).sum((1, 2, 3))  # the Fourier transform of no image at all is an error on some machines
    if colour == "luma":
        x, y = colours.luma(x), colours.luma(y)
    pair = torch.stack([x, y])
    # No band sees the mean; without it float32 has all its digits for what they see.
    centred = pair - pair.mean((-2, -1), keepdim=True)
    [bands] = pyramid.bands(centred, levels=[levels], orientations=orientations)
    (ax, bx), (ay, by) = (torch.view_as_real(band).unbind(-1) for band in bands)
    products = torch.stack([ax * ay + bx * by, bx * ay - ax * by, (ax * ax + bx * bx) + (ay * ay + by * by)])
    real, imaginary, energy = _box(products, win_size)

    eps, tiny = torch.finfo(x.dtype).eps, torch.finfo(x.dtype).tiny
    # Energy that the rounding of the pixels makes, or whose square is too small to be a number, is none.
    power = pair.detach().square().mean((-2, -1), keepdim=True).sum(0).unsqueeze(2)
    flat = energy <= (power * (eps * 2**levels) ** 2).clamp(min=tiny**0.5)
    total = torch.where(flat, 1.0, energy + K / 255**2)
    squared = (real / total).square() + (imaginary / total).square()
    # The modulus has no derivative at 0 and takes 0 there; within rounding of 0 it would be that of noise.
    zero = squared <= eps * eps
    modulus = torch.where(zero, 0.0, torch.where(zero, 1.0, squared).sqrt())
    # 1 − the formula, which is exactly 0, with a gradient of exactly 0, for identical images.
    lost = torch.where(flat, 0.0, energy / total - 2 * modulus)
    if pooling == "gaussian":
        down, along = (_gaussian(side, bands.shape[-2] / 4, lost) for side in lost.shape[-2:])
        lost = (lost * (down[:, None] * along)).sum((-2, -1))
    else:
        lost = lost.mean((-2, -1))
    return 1 - lost.mean((1, 2))


def smallest_side(*, levels: int = 4, win_size: int = 7) -> int:
    """The smallest side of an image, in pixels, whose coarsest band holds one window.

    Example:
        >>> smallest_side(), smallest_side(levels=6), smallest_side(levels=2)
        (49, 193, 13)
    """
    return (win_size - 1) * 2 ** (levels - 1) + 1


class CWSSIM(Metric):
    """Complex wavelet structural similarity, Sampat et al. 2009, ``(n, c, h, w) -> (n,)``.

    Args:
        levels, orientations, win_size, pooling, K, colour: as for `cw_ssim`.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for options out of range, and images with a side below `smallest_side`: 49 px by default.

    Example:
        >>> CWSSIM(levels=2, orientations=16).signature()
        'cw_ssim|levels:2|bands:16|win:uniform7|pool:gaussian|K:0|colour:rgb-mean|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="cw_ssim",
        suits="where small shifts and turns do not matter",
        fails="for brightness and colour, which it does not see",
        written="CW-SSIM",
        title="Complex wavelet structural similarity", better="higher", range=(0.0, 1.0),
        paper="Sampat et al. 2009, doi 10.1109/TIP.2009.2025923", identical=1.0, smooth=False, min_side=49,
        alone="it sees one octave of frequencies, and in it neither sign nor brightness: x and 1 − x are alike",
        tolerates={"mean_shift": "no band holds the mean"},
        declines={"negative": "a negative turns the phase of all coefficients alike, which it does not see"},
    )  # fmt: skip

    def __init__(
        self,
        *,
        levels: int = 4,
        orientations: int = 8,
        win_size: int = 7,
        pooling: Pooling = "gaussian",
        K: float = 0.0,
        colour: Colour = "channels",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        _check(levels, orientations, win_size, pooling, K, colour)
        self.levels = levels
        self.orientations = orientations
        self.win_size = win_size
        self.pooling: Pooling = pooling
        self.K = K
        self.colour: Colour = colour

    @property
    def min_side(self) -> int:
        return smallest_side(levels=self.levels, win_size=self.win_size)

    @property
    def channels(self) -> tuple[int, ...] | None:
        return (1, 3) if self.colour == "luma" else None

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return cw_ssim(
            x, y, levels=self.levels, orientations=self.orientations, win_size=self.win_size,
            pooling=self.pooling, K=self.K, colour=self.colour,
        )  # fmt: skip

    def settings(self) -> dict[str, object]:
        return {
            "levels": self.levels,
            "bands": self.orientations,
            "win": f"uniform{self.win_size}",
            "pool": self.pooling,
            "K": self.K,
            "colour": "luma-bt601" if self.colour == "luma" else "rgb-mean",
        }


def _box(x: Tensor, size: int) -> Tensor:
    """Means of the windows of ``size`` x ``size`` that fit, over the last two dimensions.

    Sums of slices are the same to the last bit in every plane, so that identical images score exactly 1; for
    windows this small they are no slower than a convolution.
    """
    for dim in (-2, -1):
        count = x.shape[dim] - size + 1
        x = reduce(torch.add, [x.narrow(dim, start, count) for start in range(size)])
    return x / size**2


def _gaussian(side: int, sigma: float, like: Tensor) -> Tensor:
    """A Gaussian of sum 1, made where ``like`` is, so that nothing is copied to a GPU."""
    offset = torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
    return torch.softmax(-offset.square() / (2 * sigma**2), 0)


def _check(levels: int, orientations: int, win_size: int, pooling: str, K: float, colour: str) -> None:
    for name, count, most in (
        ("levels", levels, 16),
        ("orientations", orientations, 64),
        ("win_size", win_size, 9999),
    ):
        whole("cw_ssim", name, count, most=most)
    real("cw_ssim", "K", K, least=0)
    for name, value, choices in (("pooling", pooling, _POOLINGS), ("colour", colour, _COLOURS)):
        choice("cw_ssim", name, value, choices)
