"""VIF, the share of the reference's information that reaches the eye through the distorted image.

Sheikh, Bovik: Image information and visual quality, IEEE TIP 15(2), 2006, doi 10.1109/TIP.2005.859378.

Differs from the paper: its pixel domain variant, of the authors' second program: scalar instead of vector Gaussian
mixtures, on four scales of the image itself. A reference without contrast holds no information; the score is 1.
Conventions: that program, to 1e-9 in float64: Gaussian windows of 17, 9, 5 and 3 px that fit, sigma a fifth,
eye noise of variance 2 on the scale of 0–255. Luma is taken of colour.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.window import gaussian

Domain = Literal["pixel"]
_NOISE = 2 / 255**2
_EPSILON = 1e-10 / 255**2  # what the authors' program adds to the variance that a gain is divided by
_SIZES = (17, 9, 5, 3)


def vif(x: Tensor, y: Tensor) -> Tensor:
    """Visual information fidelity of a pair in the unit range, in the pixel domain.

    Args:
        x: images judged, ``(n, 1 or 3, h, w)`` of at least 41 px a side; luma is taken of colour.
        y: references, same shape.

    Returns:
        ``(n,)`` from 0; 1 for identical images, more for a contrast raised without noise.

    Example:
        >>> y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64)
        >>> round(float(vif(y.roll(2, -1), y)), 4)
        0.0246
    """
    x, y = colour.luma(x), colour.luma(y)
    mean = y.detach().mean((1, 2, 3), keepdim=True)
    # The reference and the error: where that is exactly zero, so is all that is lost.
    pair = torch.cat([y - mean, x - y], 1)
    kept = held = torch.zeros((), dtype=x.dtype, device=x.device)
    for scale, size in enumerate(_SIZES):
        taps = gaussian(size, size / 5)
        if scale:
            pair = _blur(pair, taps, stride=2)
        reference, error = pair.split(1, 1)
        planes = torch.cat([pair, reference * reference, error * error, reference * error], 1)
        mean_y, mean_e, yy, ee, ye = _blur(planes, taps).unbind(1)
        yy = yy - mean_y * mean_y
        ee = (ee - mean_e * mean_e).clamp(min=0)
        ye = ye - mean_y * mean_e
        # Less than the rounding of the squares is no variance.
        power = planes[:, 2].detach().mean((1, 2), keepdim=True)
        flat = yy <= (power * torch.finfo(x.dtype).eps).clamp(min=_EPSILON)
        yy = torch.where(flat, 0.0, yy)
        judged = (yy + 2 * ye + ee).clamp(min=0)
        explained = ~flat & (yy + ye > 0)
        # What of the judged image's variance a gain on the reference does not explain.
        gain = ye / torch.where(flat, 1.0, yy)
        biased = _EPSILON * (1 + gain).square()
        rest = torch.where(explained, (ee - ye * gain).clamp(min=0) + biased, judged)
        judged = torch.where(explained, judged - biased, judged)
        kept = kept + (torch.log1p(judged / _NOISE) - torch.log1p(rest / _NOISE)).sum((1, 2))
        held = held + torch.log1p(yy / _NOISE).sum((1, 2))
    none = held == 0
    return torch.where(none, 1.0, kept / torch.where(none, 1.0, held))


def _blur(x: Tensor, taps: tuple[float, ...], stride: int = 1) -> Tensor:
    """Correlate every plane with a separable window that fits, and keep every ``stride``-th place of each axis."""
    channels = x.shape[1]
    window = x.new_tensor(taps)
    x = x.contiguous(memory_format=torch.channels_last)
    down, across = (window.view(shape).expand(channels, -1, -1, -1) for shape in ((1, 1, -1, 1), (1, 1, 1, -1)))
    x = F.conv2d(x, down, stride=(stride, 1), groups=channels)
    return F.conv2d(x, across, stride=(1, stride), groups=channels)


class VIF(Metric):
    """Visual information fidelity, ``(n, 1 or 3, h, w) -> (n,)``.

    Args:
        domain: ``"pixel"``.
        data_range, reduction, check: as in `Metric`.

    Raises:
        ValueError: for another domain.

    Example:
        >>> VIF().signature()
        'vif|domain:pixel|colour:luma-bt601|range:1|v:1'
    """

    facts: ClassVar[Facts] = Facts(
        name="vif", title="Visual information fidelity", better="higher", range=(0.0, math.inf), identical=1.0,
        paper="Sheikh and Bovik 2006, doi 10.1109/TIP.2005.859378", symmetric=False, smooth=False, min_side=41,
        channels=(1, 3),
        tolerates={"contrast_stretch": "a contrast raised without noise shows more than the reference, by design"},
        declines={"channels": "luma weighs green most"},
    )  # fmt: skip

    def __init__(self, *, domain: Domain = "pixel", **base: Any) -> None:
        super().__init__(**base)
        if domain not in get_args(Domain):
            raise ValueError(f"vif: domain must be one of {', '.join(get_args(Domain))}; got {domain!r}")
        self.domain: Domain = domain

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return vif(x, y)

    def settings(self) -> dict[str, object]:
        return {"domain": self.domain, "colour": "luma-bt601"}
