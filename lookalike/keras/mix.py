"""The mixes of MS-SSIM and L1 with `keras.ops`: the formulas of `metrics.zhao`.

Zhao, Gallo, Frosio, Kautz, IEEE TCI 3(1), 2017, doi 10.1109/TCI.2016.2644865, eq. 13 and 14.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from lookalike.conventions import MS_WEIGHTS
from lookalike.keras import planes, ssim
from lookalike.metrics import zhao
from lookalike.ops import window as windows
from lookalike.ops.ssim.setting import Setting

_WANG = Setting((1.0,))  # for the constants of Wang et al. 2004, which the mix uses


def zhao_mix(metric: zhao.ZhaoMix, x: Any, y: Any) -> Any:
    """α·(1 − l_M·Π_j cs_j) + (1 − α)·G_σM * |x − y|, ``(n,)`` for a pair ``(n, c, h, w)`` in the unit range."""
    widest = _radius(metric.sigmas[-1])
    similarity: Any = 1.0
    local: Any = None
    for sigma in metric.sigmas:
        trim = widest - _radius(sigma) if metric.border == "valid" else 0
        inner = slice(trim, -trim or None)
        local = ssim.moments(x[:, :, inner, inner], y[:, :, inner, inner], [_taps(sigma)] * 2, metric.border)
        similarity = similarity * ssim.contrast_structure_of(local, _WANG.c2)
    # The luminance is of the coarsest scale, the last one.
    similarity = similarity * ssim.luminance_of(local, _WANG.c1)
    error = planes.blur(ops.abs(x - y), _taps(metric.sigmas[-1]), metric.border)
    error = planes.mean(error) * (x.shape[1] if isinstance(metric, zhao.ZhaoMixCode) else 1)
    return metric.alpha * (1 - planes.mean(similarity)) + (1 - metric.alpha) * error


def ms_ssim_l1(metric: zhao.MSSSIML1, x: Any, y: Any) -> Any:
    """α·(1 − MS-SSIM) + (1 − α)·L1 with the dyadic MS-SSIM, ``(n,)``."""
    means = ssim.means_by_scale(x, y, [windows.gaussian(11, 1.5)] * (len(x.shape) - 2), levels=len(MS_WEIGHTS))
    similarity = ops.mean(ssim.product(means, MS_WEIGHTS), 1)
    return metric.alpha * (1 - similarity) + (1 - metric.alpha) * planes.mean(ops.abs(x - y))


def _radius(sigma: float) -> int:
    return math.ceil(3 * sigma)


def _taps(sigma: float) -> tuple[float, ...]:
    return windows.gaussian(2 * _radius(sigma) + 1, float(sigma))
