"""SSIM on the GPU: what the Triton kernel of `gpu` takes, as a backend.

`gpu`, and Triton with it, is imported when the kernel first runs. Where a gradient is wanted of means, it is made
in the pass that makes them and scaled in the backward pass, without a look at values from the host, so calls can be
captured in a CUDA graph after a warm-up call.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from lookalike.modes import lazy, recorded, transformed
from lookalike.ops._kernels import Kernel, Op
from lookalike.ops.compiled import PLAIN
from lookalike.ops.ssim import reference
from lookalike.ops.ssim.autograd import L1_SSIM, MAPS, MEANS, Backend, Call, Pair, Wanted, kernel, map_shape
from lookalike.ops.ssim.refusals import flat_taps, window_refusals
from lookalike.ops.ssim.setting import Mixture, Scales, Setting

_INSTALLED = find_spec("triton") is not None
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton runs in Python, on the CPU: for tests
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.uint8)


# ---- what the kernel declines


def _refuses(x: Tensor, y: Tensor, setting: Setting, mask: Tensor | None = None) -> list[str]:
    reasons = [] if _INSTALLED else ["triton is not installed"]
    if not _INTERPRETED:
        if not torch.cuda.is_available():
            reasons.append("no GPU")
        elif x.device.type != "cuda":
            reasons.append(f"tensors on {x.device}")
    if x.device != y.device:
        reasons.append(f"tensors on {x.device} and {y.device}")
    if type(x) not in PLAIN or type(y) not in PLAIN or {x.layout, y.layout} != {torch.strided}:
        reasons.append("tensors of a type of their own")
    if x.dtype != y.dtype or x.dtype not in _DTYPES:
        reasons.append(f"{x.dtype} and {y.dtype}; float32, float16, bfloat16 and uint8 are compiled")
    if x.ndim != 4 or x.shape != y.shape:
        reasons.append(f"shapes {tuple(x.shape)} and {tuple(y.shape)}, not twice (n, c, h, w)")
    reasons += window_refusals(x, setting)
    if mask is not None:
        reasons.append("a mask")
    if lazy(x) or lazy(y):
        reasons.append("values that torch has not written out")
    if transformed():
        reasons.append("a function transform or forward-mode differentiation is at work")
    if recorded():
        reasons.append("calls are recorded, by torch.jit.trace or a dispatch mode")
    return reasons


def _mixture_refuses(x: Tensor, y: Tensor, mixture: Mixture, mask: Tensor | None = None) -> list[str]:
    return _refuses(x, y, mixture.setting, mask)


def _pyramid_refuses(x: Tensor, y: Tensor, scales: Scales, mask: Tensor | None = None) -> list[str]:
    # Scales that are too small go to the reference one by one, and it says so; here only what is known now.
    return _refuses(x, y, scales.setting, mask)


# ---- calls of the kernel


@lru_cache(maxsize=64)
def _weights(taps: tuple[float, ...], device: torch.device) -> Tensor:
    """The taps on a device. A copy from pageable memory has arrived when the call returns, for every stream."""
    return torch.tensor(taps, dtype=torch.float32, device=device)


def _launch(x: Tensor, y: Tensor, setting: Setting, **options: Any) -> Tensor:
    from lookalike.ops.ssim import gpu  # Triton takes long to import

    return gpu.launch(x, y, _weights(flat_taps(setting), x.device), setting, **options)


def _positions(x: Tensor, setting: Setting) -> int:
    height, width = map_shape(x, setting)[2:]
    return height * width


def _means_of(totals: Tensor, x: Tensor, setting: Setting) -> Tensor:
    return (1 - totals[..., :2] / _positions(x, setting)).float()


def _loss_of(totals: Tensor, x: Tensor, mixture: Mixture) -> Tensor:
    less_ssim = totals[..., 0] / _positions(x, mixture.setting)
    differences = totals[..., 2] / (x.shape[2] * x.shape[3])
    return ((1 - mixture.share) * differences + mixture.share * less_ssim).float()


def _gradient(call: Call, setting: Setting, wanted: Wanted, **options: Any) -> tuple[Tensor, Pair]:
    """Sums, and gradients as wanted, in float32 whatever the images are: half precision would lose small ones."""
    if not wanted[0]:  # the kernel always makes the first image's gradient, and does not mind the order
        totals, [of_y, _] = _gradient(call.swapped, setting, (True, False), **options)
        return totals, (None, of_y)
    x = call.x
    gx, gy = (torch.empty(x.shape, dtype=torch.float32, device=x.device) if want else None for want in wanted)
    return _launch(x, call.y, setting, gradients=(gx, gy), **options), (gx, gy)


def _as(dtype: torch.dtype, gradients: Pair) -> Pair:
    of_x, of_y = gradients
    return None if of_x is None else of_x.to(dtype), None if of_y is None else of_y.to(dtype)


def _scaled(gradients: Pair, upstream: Tensor) -> Pair:
    """Gradients, changed in place, times one number a plane."""
    for gradient in gradients:
        if gradient is not None:
            gradient.mul_(upstream[..., None, None])
    return gradients


# ---- the backends


class _Means(Backend):
    def run(self, call: Call) -> Tensor:
        return _means_of(_launch(call.x, call.y, call.setting), call.x, call.setting)

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        return _as(call.x.dtype, _gradient(call, call.setting, wanted, **self._options(call, upstream))[1])

    def begin(self, call: Call, wanted: Wanted) -> tuple[Tensor, Pair]:
        slope = 1 / _positions(call.x, call.setting)
        totals, kept = _gradient(call, call.setting, wanted, ssim_slope=slope)
        return _means_of(totals, call.x, call.setting), kept

    def finish(self, kept: Pair, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        of_x, of_y = _scaled(kept, upstream[..., 0])
        # Anew for planes whose contrast·structure has a derivative too: the device decides, not the host.
        images, gradients = ((call.y, call.x), (of_y, None)) if of_x is None else ((call.x, call.y), kept)
        options = self._options(call, upstream)
        _launch(*images, call.setting, gradients=gradients, unless_zero=True, **options)
        return _as(call.x.dtype, kept)

    def _options(self, call: Call, upstream: Tensor) -> dict[str, Any]:
        slope = 1 / _positions(call.x, call.setting)
        return {"upstream": upstream.float().contiguous(), "ssim_slope": slope, "totals_wanted": False}


class _Maps(Backend):
    def run(self, call: Call) -> Tensor:
        maps = call.x.new_empty((2, *map_shape(call.x, call.setting)), dtype=torch.float32)
        _launch(call.x, call.y, call.setting, maps=maps)
        return maps

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        options = {"upstream": upstream.float().contiguous(), "totals_wanted": False}
        return _as(call.x.dtype, _gradient(call, call.setting, wanted, **options)[1])


class _L1SSIM(Backend):
    def run(self, call: Call) -> Tensor:
        return _loss_of(_launch(call.x, call.y, call.setting.setting), call.x, call.setting)

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        return self.finish(self.begin(call, wanted)[1], call, wanted, upstream)

    def begin(self, call: Call, wanted: Wanted) -> tuple[Tensor, Pair]:
        x, (setting, share) = call.x, call.setting
        slopes = {
            "ssim_slope": -share / _positions(x, setting),
            "l1_slope": (1 - share) / (x.shape[2] * x.shape[3]),
        }
        totals, kept = _gradient(call, setting, wanted, **slopes)
        return _loss_of(totals, x, call.setting), kept

    def finish(self, kept: Pair, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        return _as(call.x.dtype, _scaled(kept, upstream))


# ---- the kernels


def _pyramid(x: Tensor, y: Tensor, scales: Scales, mask: None = None) -> Tensor:
    """`reference.pyramid` on a GPU: torch halves the images, the kernel takes each scale that it can."""
    if x.dtype == torch.uint8:
        x, y = x / 255, y / 255
    return reference.pyramid(x.float(), y.float(), scales, at_scale=Op(reference.means, means_kernel))


means_kernel = Kernel("gpu", kernel(MEANS, _Means(), "_gpu"), _refuses, 1e-6)
maps_kernel = Kernel("gpu", kernel(MAPS, _Maps(), "_gpu"), _refuses, 1e-4)
l1_ssim_kernel = Kernel("gpu", kernel(L1_SSIM, _L1SSIM(), "_gpu"), _mixture_refuses, 1e-6)
pyramid_kernel = Kernel("gpu", _pyramid, _pyramid_refuses, 1e-6)
