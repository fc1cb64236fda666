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
    taps = flat_taps(setting)
    reasons = taps_refusals(taps) if taps else ["a window of its own along each axis"]
    if not (setting.c1 >= 1e-12 and setting.c2 >= 1e-12):
        reasons.append("constants of zero")
    if setting.border not in BORDERS:
        reasons.append(f"the border {setting.border!r}")
    elif taps and x.ndim == 4 and min(x.shape[2:]) < least_side(len(taps), setting.border):
        reasons.append("images smaller than the window")
    return reasons


def flat_taps(setting: Setting) -> tuple[float, ...]:
    """The window along every axis; nothing where each axis has its own.

    Example:
        >>> flat_taps(Setting((0.5, 0.5))), flat_taps(Setting(((0.5, 0.5), (1.0,))))
        ((0.5, 0.5), ())
    """
    return tuple(tap for tap in setting.taps if not isinstance(tap, tuple))
