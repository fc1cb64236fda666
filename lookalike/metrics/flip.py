"""FLIP for images of low dynamic range: what is seen to change when two images are shown in turn.

Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild: FLIP: a difference evaluator for alternating
images, Proc. ACM on Computer Graphics and Interactive Techniques 3(2), 2020, doi 10.1145/3406183.

Differs from the paper: nothing; where its powers have no derivative the gradient is 0.
Conventions: sRGB seen at 67.02 pixels per degree, a display of 3840 px and 0.7 m at 0.7 m; values beyond the range
count as far as a range's width from it; the border pixel goes on beyond the border; the mean over pixels. Not
proved against the authors' own values: equal to their package flip-evaluator 1.7, in single precision.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.metric import Facts, Metric
from lookalike.ops import colour
from lookalike.ops.masks import masked_mean, of_pixels
from lookalike.ops.pairs import halves
from lookalike.ops.window import separable
from lookalike.options import real

PIXELS_PER_DEGREE = 3840 * math.pi / 180
_COLOUR_POWER, _FEATURE_POWER = 0.7, 0.5
_KNEE, _AT_KNEE = 0.4, 0.95
_EDGE = 0.082  # width of a feature in degrees
# Contrast sensitivity of Y, Cx and Cz as sums of Gaussians (a, b) in degrees; Cz has two.
_SENSITIVITY = ((1.0, 0.0047), (1.0, 0.0053), (34.1, 0.04), (13.5, 0.025))
# Linear sRGB to XYZ under D65, as fractions from the chromaticities of IEC 61966-2-1.
_XYZ = (
    (10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794),
    (2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897),
    (1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382),
)


def flip_map(x: Tensor, y: Tensor, *, ppd: float = PIXELS_PER_DEGREE) -> Tensor:
    """The FLIP difference of every pixel of a pair of sRGB images in the unit range.

    Args:
        x: images judged, ``(n, 3, h, w)``.
        y: references, same shape.
        ppd: pixels per degree of visual angle.

    Returns:
        ``(n, 1, h, w)`` in [0, 1].

    Example:
        >>> grey = torch.full((1, 3, 2, 2), 0.5)
        >>> float(flip_map(grey, grey).max())
        0.0
    """
    to_xyz = x.new_tensor(_XYZ, dtype=torch.float64)
    to_xyz = to_xyz / to_xyz.sum(1, keepdim=True)  # relative to white
    opponent = to_xyz.new_tensor([[0, 116, 0], [500, -500, 0], [0, 200, -200]])
    # The offset −16 of Y passes filters that sum to 1 and is taken back after them; it is left out.
    seen = colour.mixed(colour.linear(torch.cat([x, y]).clamp(-1, 2)), opponent @ to_xyz)
    filtered = colour.mixed(_filtered(seen, ppd), torch.linalg.inv(opponent @ to_xyz)).clamp(0, 1)
    lab_x, lab_y = halves(_hunt(colour.mixed(filtered, to_xyz)))
    distance = _power(_hyab(lab_x - lab_y), _COLOUR_POWER)
    primaries = _hunt(colour.mixed(x.new_tensor([[0.0, 1, 0], [0, 0, 1]]).view(2, 3, 1, 1), to_xyz))
    most = _hyab(primaries[:1] - primaries[1:]) ** _COLOUR_POWER
    knee = _KNEE * most
    far = _AT_KNEE + (distance - knee) / (most - knee) * (1 - _AT_KNEE)
    colours = torch.where(distance < knee, distance * (_AT_KNEE / knee), far)

    edges, points = _features(seen[:, :1] / 116, ppd)
    edges_x, edges_y = halves(edges)
    points_x, points_y = halves(points)
    feature = torch.maximum((edges_x - edges_y).abs(), (points_x - points_y).abs())
    # At most 0.71 within the range; beyond it the exponent must stay positive.
    seen_feature = (feature * 0.5**0.5).clamp(max=1)
    return _power(colours, 1 - _power(seen_feature, _FEATURE_POWER))


def _power(x: Tensor, exponent: float | Tensor) -> Tensor:
    """x to a power, whose gradient at zero is 0 instead of infinite."""
    none = x <= 0
    return torch.where(none, 0.0, torch.where(none, 1.0, x) ** exponent)


def _hunt(xyz: Tensor) -> Tensor:
    """L*a*b* of XYZ relative to white, a* and b* weaker where it is dark (the Hunt effect)."""
    curved = xyz > (6 / 29) ** 3
    root = torch.where(curved, xyz, 1.0) ** (1 / 3)
    fx, fy, fz = torch.where(curved, root, xyz * (841 / 108) + 4 / 29).unbind(1)
    lightness = 116 * fy - 16
    return torch.stack([lightness, 5 * lightness * (fx - fy), 2 * lightness * (fy - fz)], 1)


def _hyab(difference: Tensor) -> Tensor:
    lightness, a, b = difference.unbind(1)
    return (lightness.abs() + colour.length(a, b)).unsqueeze(1)


def _filtered(seen: Tensor, ppd: float) -> Tensor:
    """Y, Cx and Cz as the eye's contrast sensitivity lets them through."""
    radius = math.ceil(3 * math.sqrt(0.04 / (2 * math.pi**2)) * ppd)
    at = torch.arange(-radius, radius + 1, dtype=torch.float64, device=seen.device) / ppd
    a, b = at.new_tensor(_SENSITIVITY).T[..., None]
    taps = torch.exp(-(math.pi**2) * at.square() / b)
    sums = taps.sum(1, keepdim=True)
    masses = (a * (math.pi / b).sqrt() * sums.square())[2:]
    first, second = (masses / masses.sum()).to(seen.dtype).view(2)
    taps = (taps / sums).to(seen.dtype)
    planes = F.pad(torch.cat([seen, seen[:, 2:]], 1), (radius,) * 4, mode="replicate")
    luminance, red_green, broad, narrow = separable(planes, taps, taps).unbind(1)
    return torch.stack([luminance, red_green, broad * first + narrow * second], 1)


def _features(luminance: Tensor, ppd: float) -> tuple[Tensor, Tensor]:
    """How much of an edge and of a point there is at every pixel."""
    deviation = 0.5 * _EDGE * ppd
    radius = math.ceil(3 * deviation)
    at = torch.arange(-radius, radius + 1, dtype=torch.float64, device=luminance.device)
    smooth = torch.exp(-at.square() / (2 * deviation**2))
    edge, point = -at * smooth, (at.square() / deviation**2 - 1) * smooth
    edge = edge / edge.relu().sum()
    point = torch.where(point > 0, point / point.relu().sum(), point / (-point).relu().sum())
    smooth, edge, point = (taps.to(luminance.dtype) for taps in (smooth / smooth.sum(), edge, point))
    planes = F.pad(luminance, (radius,) * 4, mode="replicate").expand(-1, 4, -1, -1)
    across, down = torch.stack([edge, smooth, point, smooth]), torch.stack([smooth, edge, smooth, point])
    found = separable(planes, across, down)
    return colour.length(found[:, :1], found[:, 1:2]), colour.length(found[:, 2:3], found[:, 3:])


class FLIP(Metric):
    """Mean FLIP difference, ``(n, 3, h, w) -> (n,)``.

    Args:
        ppd: pixels per degree of visual angle.
        data_range, reduction, check: as in `Metric`.

    ``map`` gives ``(n, 1, h, w)``.

    Raises:
        ValueError: for pixels per degree that are not positive.

    Example:
        >>> blue, green = torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1), torch.tensor([0.0, 1, 0]).view(1, 3, 1, 1)
        >>> round(float(FLIP()(blue, green)), 6)
        1.0
    """

    facts: ClassVar[Facts] = Facts(
        name="flip",
        suits="for rendered pictures seen in turn at a known distance",
        fails="for an overall quality of photographs",
        written="FLIP",
        title="FLIP (low dynamic range)", paper="Andersson et al. 2020, doi 10.1145/3406183",
        better="lower", range=(0.0, 1.0), identical=0.0, smooth=False, channels=(3,), masks=True,
        declines={"channels": "it measures colour as it is seen: red and blue do not count alike"},
    )  # fmt: skip

    def __init__(self, *, ppd: float = PIXELS_PER_DEGREE, **base: Any) -> None:
        super().__init__(**base)
        self.ppd = real("flip", "ppd", ppd, least=0.1, most=1000)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score_map(x, y).flatten(1).mean(1)

    def score_masked(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """The map is averaged over the valid pixels."""
        return masked_mean(self.score_map(x, y), of_pixels(mask))

    def score_map(self, x: Tensor, y: Tensor) -> Tensor:
        return flip_map(x, y, ppd=self.ppd)

    def settings(self) -> dict[str, object]:
        return {"ppd": round(self.ppd, 4)}
