"""SSIMULACRA 2: structure kept, edges added and edges lost, at six scales of the colours XYB.

Sneyers (Cloudinary), SSIMULACRA 2.1, 2023, https://github.com/cloudinary/ssimulacra2: the program is the
publication; its colours XYB are those of JPEG XL. The blur is Charalampidis: Recursive implementation of the
Gaussian filter using truncated cosine functions, IEEE Transactions on Signal Processing 64(14), 2016, doi
10.1109/TSP.2016.2549985, as the window that it is.

Differs from the program: where its powers have no derivative the gradient is 0; its transfer curves and roots are
approximations in single precision, these are not. On photographs the scores are within 0.03 of the program's in
colour and within 0.11 in grey, from 64 px a side; far below zero within 2e-4 of the score.
Conventions: sRGB; zeros beyond the border; a grey image counts as three equal channels. An image with a side below
113 px has fewer than six scales; the program then reads its weights on without a gap, and so does this: such scores
compare with those of the same size alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops._autograd import apply
from lookalike.ops.smooth import smooth
from lookalike.ops.window import halve

_SCALES, _LEAST = 6, 8
_C2 = 0.0009
_LEAST_LIGHT = 1e-30  # far below what the bias leaves of black; only values outside the unit range fall under it
_BIAS = 0.0037930732552754493
# Linear sRGB to the long, middle and short cones' mixtures; each row sums to 1.
_CONES = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
# (L − M) / 2, (L + M) / 2 and S − (L + M) / 2, scaled and shifted to about the unit range.
_XYB = ((7.0, -7.0, 0.0), (0.5, 0.5, 0.0), (-0.5, -0.5, 1.0))
_SHIFTS = (0.42, 0.01, 0.55)
# By channel (X, Y, B), scale, norm (first, fourth), and map (structure, edges added, edges lost); the index counts
# in this order, and what is not listed weighs nothing.
_WEIGHTS = {
    1: 0.0007376606707406586, 4: 0.0007793481682867309, 7: 0.0004371155730107379, 9: 1.1041726426657346,
    10: 0.00066284834129271, 11: 0.00015231632783718752, 13: 0.0016406437456599754, 15: 1.8422455520539298,
    16: 11.441172603757666, 18: 0.0007989109436015163, 19: 0.000176816438078653, 21: 1.8787594979546387,
    22: 10.94906990605142, 24: 0.0007289346991508072, 25: 0.9677937080626833, 27: 0.00014003424285435884,
    28: 0.9981766977854967, 29: 0.00031949755934435053, 30: 0.0004550992113792063, 33: 0.0013648766163243398,
    39: 7.466890328078848, 41: 17.445833984131262, 42: 0.0006235601634041466, 45: 6.683678146179332,
    46: 0.00037724407979611296, 47: 1.027889937768264, 48: 225.20515300849274, 51: 19.213238186143016,
    52: 0.0011401524586618361, 53: 0.001237755635509985, 54: 176.39317598450694, 57: 24.43300999870476,
    58: 0.28520802612117757, 59: 0.0004485436923833408, 63: 34.77906344483772, 64: 44.835625328877896,
    73: 0.0008680556573291698, 79: 0.0005313191874358747, 81: 0.00016533814161379112, 87: 0.0004179171803251336,
    88: 0.0017290828234722833, 90: 0.0020827005846636437, 93: 8.826982764996862, 94: 23.19243343998926,
    96: 95.1080498811086, 97: 0.9863978034400682, 98: 0.9834382792465353, 99: 0.0012286405048278493,
    100: 171.2667255897307, 101: 0.9807858872435379, 105: 0.0005130064588990679, 107: 0.00010854057858411537,
}  # fmt: skip


def _taps() -> tuple[float, ...]:
    """The truncated cosines nearest to a Gaussian of deviation 1.5 that keep its sum and its variance."""
    sigma, radius = 1.5, 5
    at = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu")
    frequencies = torch.tensor([1.0, 3, 5], dtype=torch.float64, device="cpu") * math.pi / (2 * radius)
    cosines = torch.cos(frequencies[:, None] * at)
    ideal = torch.exp(-(frequencies.square()) * sigma**2 / 2) / radius
    moments = torch.stack([cosines.sum(1), (cosines * (radius**2 - at.square())).sum(1)])
    wanted = torch.tensor([1.0, radius**2 - sigma**2], dtype=torch.float64, device="cpu")
    found = ideal + torch.linalg.pinv(moments) @ (wanted - moments @ ideal)
    return tuple((found @ cosines).tolist()[1:-1])  # the outermost are 0


_BLUR = _taps()


def ssimulacra2(x: Tensor, y: Tensor) -> Tensor:
    """SSIMULACRA 2.1 of a pair of sRGB images in the unit range.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 8 px a side.
        y: references, same shape.

    Returns:
        ``(n,)``: 100 for identical images, about 90 where no difference is seen, 30 for low quality, below 0 for
        what is worse.

    Example:
        >>> y = torch.linspace(0, 8, 128).square().cos().add(1).div(2).expand(1, 3, 128, 128)
        >>> round(float(ssimulacra2(y * 0.98, y)), 2)
        94.77
    """
    # Apart, so that no gradient is made of the image that wants none.
    x, y = (colour.linear(image).expand(-1, 3, -1, -1) for image in (x, y))
    scales = _scales(min(x.shape[2:]))
    pooled: list[tuple[Tensor, list[float]]] = []
    for scale in range(scales):
        if scale:
            x, y = halve(x), halve(y)
        pooled += _norms(_xyb(x), _xyb(y), scale, scales)
    norms, weights = torch.cat([norm for norm, _ in pooled], 1), [weight for _, row in pooled for weight in row]
    distance = norms @ norms.new_tensor(weights) * 0.9562382616834844
    bent = distance * (2.326765642916932 - 0.020884521182843837 * distance + 6.248496625763138e-05 * distance**2)
    return 100 - 10 * _power(bent, 0.6276336467831387)


def _scales(side: int) -> int:
    """How many scales an image has: another one while the last has 8 px a side."""
    count = 1
    while count < _SCALES and side >= _LEAST:
        side, count = (side + 1) // 2, count + 1
    return count


def _weights(scale: int, scales: int, of: int) -> list[list[float]]:
    """Weights of one scale's structure (0), edges added (1) or lost (2), by norm and channel."""
    at = [[((channel * scales + scale) * 2 + norm) * 3 + of for channel in range(3)] for norm in (0, 1)]
    return [[_WEIGHTS.get(index, 0.0) for index in row] for row in at]


def _power(x: Tensor, exponent: float) -> Tensor:
    """x to a power, whose gradient at zero is 0 instead of infinite; less than zero is zero."""
    none = x <= 0
    return torch.where(none, 0.0, torch.where(none, 1.0, x) ** exponent)


def _xyb(linear: Tensor) -> Tensor:
    """Linear sRGB as X, Y and B − Y in about the unit range."""
    absorbed = colour.mixed(linear, linear.new_tensor(_CONES), linear.new_tensor((_BIAS,) * 3))
    # By its logarithm the root costs its gradient one division, no second power; torch is faster to the base of 2.
    cones = absorbed.clamp_min_(_LEAST_LIGHT).log2().mul_(1 / 3).exp2_()
    matrix = linear.new_tensor(_XYB)
    return colour.mixed(cones, matrix, linear.new_tensor(_SHIFTS) - matrix.sum(1) * _BIAS ** (1 / 3))


def _norms(x: Tensor, y: Tensor, scale: int, scales: int) -> Iterator[tuple[Tensor, list[float]]]:
    """The norms of one scale's maps, ``(n, channels)``, and their weights; what weighs nothing is not computed."""
    structure, added, lost = (_weights(scale, scales, of) for of in range(3))
    kept = _counting([first or fourth for first, fourth in zip(*structure, strict=True)])
    part_x, part_y = x[:, kept], y[:, kept]
    moments = x, y, part_x.square() + part_y.square(), (part_x - part_y).square()
    mean_x, mean_y, power, error = smooth(moments, _BLUR)
    edge_x, edge_y = (x - mean_x).abs_(), (y - mean_y).abs_()
    edges = (edge_x - edge_y).div_(edge_y + 1)
    # With m for the squared difference of means, 1 − (1 − m) (2 cov + C2) / (var x + var y + C2) is m + (1 − m) u,
    # u the share of the variance of x − y: no small difference of large numbers, and 0 for identical images.
    mean_x, mean_y = mean_x[:, kept], mean_y[:, kept]
    apart = (mean_x - mean_y).square()
    unlike = (error - apart).div_((power - mean_x.square()).sub_(mean_y.square()).add_(_C2))
    unlike = torch.addcmul(unlike, apart, 1 - unlike)
    structure = [row[kept] for row in structure]
    yield from _pooled(unlike, structure)
    yield from _pooled(edges, added)
    yield from _pooled(edges, lost, -1)


def _counting(weights: list[float]) -> slice:
    """The channels from the first to the last that weigh something."""
    channels = [channel for channel, weight in enumerate(weights) if weight]
    return slice(channels[0], channels[-1] + 1) if channels else slice(0, 0)


def _pooled(maps: Tensor, weights: list[list[float]], sign: int = 1) -> Iterator[tuple[Tensor, list[float]]]:
    """The first and fourth norms of what is above zero in a map, or below it, and their weights."""
    for norm, row in zip((_first, _fourth), weights, strict=True):
        kept = _counting(row)
        if any(row):
            yield norm(maps[:, kept] if sign > 0 else maps[:, kept].neg()), row[kept]


def _first(maps: Tensor) -> Tensor:
    return maps.relu().mean((2, 3))


def _fourth(maps: Tensor) -> Tensor:
    return apply(_Fourth, maps)


class _Fourth(torch.autograd.Function):
    """The fourth norm of what is above zero, ``(n, c, h, w) -> (n, c)``; its gradient at zero is 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(maps: Tensor) -> Tensor:
        # Relative to the greatest value, fourth powers of small ones stay in float32's range.
        most = maps.detach().amax((2, 3), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
        share = maps.clamp_min(0).div_(most)
        return most[..., 0, 0] * _power(share.square().square().mean((2, 3)), 0.25)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        maps, norm = ctx.saved_tensors
        some = norm > 0
        share = maps.relu() / torch.where(some, norm, 1.0)[..., None, None]
        each = gradients[0] * some / (maps.shape[2] * maps.shape[3])
        return share * share.square() * each[..., None, None]


class SSIMULACRA2(Metric):
    """SSIMULACRA 2.1, ``(n, 1 or 3, h, w) -> (n,)``; options as in `Metric`.

    Example:
        >>> SSIMULACRA2().signature()
        'ssimulacra2|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="ssimulacra2",
        suits="for lossy compression of photographs",
        fails="for distortions other than compression",
        written="SSIMULACRA 2",
        title="SSIMULACRA 2.1", paper="Sneyers 2023, github.com/cloudinary/ssimulacra2",
        better="higher", range=(-math.inf, 100.0), identical=100.0, symmetric=False, smooth=False, min_side=_LEAST,
        channels=(1, 3), declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return ssimulacra2(x, y)
