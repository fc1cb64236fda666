"""What no kernel of SSIM takes, whatever the device; each with the reason."""

from __future__ import annotations

from torch import Tensor

from lookalike.ops.compiled import taps_refusals
from lookalike.ops.ssim.setting import Setting
from lookalike.ops.window import BORDERS, least_side


def window_refusals(x: Tensor, setting: Setting) -> list[str]:
    """Why a kernel cannot take a window on these images; empty where it can.

    Example:
        >>> import torch
        >>> window_refusals(torch.ones(1, 1, 4, 2), Setting((0.25, 0.5, 0.25), c1=0.0))
        ['constants of zero', 'images smaller than the window']
    """
    reasons = taps_refusals(setting.taps)
    if not (setting.c1 >= 1e-12 and setting.c2 >= 1e-12):
        reasons.append("constants of zero")
    if setting.border not in BORDERS:
        reasons.append(f"the border {setting.border!r}")
    elif x.ndim == 4 and min(x.shape[2:]) < least_side(len(setting.taps), setting.border):
        reasons.append("images smaller than the window")
    return reasons
