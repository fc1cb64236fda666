"""SSIM on the CPU: the compiled kernels as a backend. `kernel.cpp` explains the passes.

Where a gradient is wanted of means, it is made in the pass that makes them and only scaled in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lookalike.ops import compiled
from lookalike.ops._autograd import differentiated
from lookalike.ops._kernels import Kernel, Op
from lookalike.ops.ssim import reference
from lookalike.ops.ssim.autograd import (
    L1_SSIM,
    MAPS,
    MEANS,
    PYRAMID,
    Backend,
    Call,
    Pair,
    Wanted,
    kernel,
    map_shape,
)
from lookalike.ops.ssim.refusals import flat_taps, window_refusals
from lookalike.ops.ssim.setting import Mixture, Scales, Setting
from lookalike.ops.window import least_side

_BORDERS = {"valid": 0, "reflect": 1, "symmetric": 2, "zero": 3}
_HALVINGS = {"symmetric": 0, "zero": 1, "replicate": 2, "floor": 3}


# ---- what the kernels decline


def _refuses(x: Tensor, y: Tensor, setting: Setting, mask: Tensor | None = None) -> list[str]:
    reasons = [*compiled.refusals(x, y), *window_refusals(x, setting)]
    if mask is None:
        return reasons
    if mask.shape != x.shape or x.dtype != torch.float32:
        reasons.append("a mask of another shape, or on uint8 images")
    if mask.requires_grad and torch.is_grad_enabled():
        reasons.append("a gradient is wanted of the mask")
    return list(dict.fromkeys([*reasons, *compiled.refusals(mask, mask)]))


def _mixture_refuses(x: Tensor, y: Tensor, mixture: Mixture, mask: Tensor | None = None) -> list[str]:
    return _refuses(x, y, mixture.setting, mask)


def _pyramid_refuses(x: Tensor, y: Tensor, scales: Scales, mask: Tensor | None = None) -> list[str]:
    reasons = _refuses(x, y, scales.setting, mask)
    if mask is not None:  # torch halves the images, and each scale finds a kernel that takes it
        return reasons
    if scales.halving not in _HALVINGS:
        return [*reasons, f"halving {scales.halving!r}"]
    if reasons:
        return reasons
    side = min(x.shape[2:])
    for level in range(1, scales.levels):
        side = side // 2 if scales.halving == "floor" else (side + 1) // 2
        border = scales.at(level).border
        if border not in _BORDERS or side < least_side(len(scales.setting.taps), border):
            return [f"images too small for {scales.levels} scales"]
    return reasons


# ---- calls of the compiled module


@lru_cache(maxsize=256)
def _window(setting: Setting, whole: float) -> compiled.cpu.Window:
    """The compiled form of a setting, for pixels from 0 to ``whole``."""
    # Variances times `unbias` plus a constant: the same ratio as variances plus the constant over `unbias`.
    c1, c2 = setting.c1 * whole * whole, setting.c2 * whole * whole / setting.unbias
    return compiled.cpu.Window(flat_taps(setting), _BORDERS[setting.border], c1, c2)


def _empty(x: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=x.device)


def _addresses(*tensors: Tensor | None) -> list[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def _forward(call: Call, setting: Setting, differences: Tensor | None = None, maps: Tensor | None = None) -> Tensor:
    """The means; writes those of |x - y|, and the maps, where they are given."""
    images, whole, _held = compiled.images_of(call.x, call.y, call.mask)
    means = _empty(call.x, *call.x.shape[:2], 2)
    to = _addresses(means, differences, *((None, None) if maps is None else maps))
    compiled.cpu.forward(_window(setting, whole), images, torch.get_num_threads(), *to)
    return means


def _gradient(
    call: Call,
    setting: Setting,
    wanted: Wanted,
    upstream: compiled.cpu.Upstream,
    means: Tensor | None = None,
    differences: Tensor | None = None,
) -> Pair:
    """Gradients to x and to y, as wanted; writes the means, and those of |x - y|, where they are given."""
    if not wanted[0]:  # the kernel always makes the first image's gradient, and does not mind the order
        gy, _ = _gradient(call.swapped, setting, (True, False), upstream, means, differences)
        return None, gy
    images, whole, _held = compiled.images_of(call.x, call.y, call.mask)
    gx = _empty(call.x, *call.x.shape)
    gy = _empty(call.x, *call.x.shape) if wanted[1] else None
    to = _addresses(means, differences, gx, gy)
    compiled.cpu.gradient(_window(setting, whole), images, torch.get_num_threads(), upstream, *to)
    return gx, gy


def _rescaled(gradients: Sequence[Tensor | None], upstream: Tensor, made_with: float) -> bool:
    """Scale gradients in place; False where ``upstream`` asks for more than the first of several columns."""
    columns = upstream.shape[2] if upstream.ndim == 3 else 1
    scale = upstream.data_ptr(), columns, 0, made_with, torch.get_num_threads()
    for gradient in gradients:
        if gradient is not None:
            planes, pixels = gradient.shape[0] * gradient.shape[1], gradient.shape[2] * gradient.shape[3]
            if not compiled.cpu.rescale(gradient.data_ptr(), planes, pixels, *scale):
                return False
    return True


# ---- the backends


class _Means(Backend):
    def run(self, call: Call) -> Tensor:
        return _forward(call, call.setting)

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        upstream = upstream.contiguous()
        return _gradient(call, call.setting, wanted, compiled.cpu.Upstream(scales=upstream.data_ptr()))

    def begin(self, call: Call, wanted: Wanted) -> tuple[Tensor, Pair]:
        means, upstream = _empty(call.x, *call.x.shape[:2], 2), compiled.cpu.Upstream(ssim=self._made_with(call))
        return means, _gradient(call, call.setting, wanted, upstream, means)

    def finish(self, kept: Pair, call: Call, wanted: Wanted, upstream: Tensor) -> Pair | None:
        return kept if _rescaled(kept, upstream.contiguous(), self._made_with(call)) else None

    def _made_with(self, call: Call) -> float:
        """The derivative of the loss 1 − mean SSIM: of it, the backward pass has nothing left to do."""
        return -1.0 / max(1, call.x.shape[0] * call.x.shape[1])


class _Maps(Backend):
    def run(self, call: Call) -> Tensor:
        maps = _empty(call.x, 2, *map_shape(call.x, call.setting))
        _forward(call, call.setting, maps=maps)
        return maps

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        of_ssim, of_cs = upstream.contiguous()
        maps = compiled.cpu.Upstream(ssim_map=of_ssim.data_ptr(), cs_map=of_cs.data_ptr())
        return _gradient(call, call.setting, wanted, maps)


class _L1SSIM(Backend):
    def run(self, call: Call) -> Tensor:
        differences = _empty(call.x, *call.x.shape[:2])
        means = _forward(call, call.setting.setting, differences)
        return self._loss(call, means, differences / 255 if call.x.dtype == torch.uint8 else differences)

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        differences = _empty(call.x, *call.x.shape[:2])
        slopes = self._upstream(call, 1.0)
        gradients = _gradient(call, call.setting.setting, wanted, slopes, None, differences)
        _rescaled(gradients, upstream.contiguous(), 1.0)
        return gradients

    def begin(self, call: Call, wanted: Wanted) -> tuple[Tensor, Pair]:
        means, differences = _empty(call.x, *call.x.shape[:2], 2), _empty(call.x, *call.x.shape[:2])
        upstream = self._upstream(call, self._made_with(call))
        gradients = _gradient(call, call.setting.setting, wanted, upstream, means, differences)
        return self._loss(call, means, differences), gradients

    def finish(self, kept: Pair, call: Call, wanted: Wanted, upstream: Tensor) -> Pair | None:
        _rescaled(kept, upstream.contiguous(), self._made_with(call))
        return kept

    def _made_with(self, call: Call) -> float:
        return 1.0 / max(1, call.x.shape[0] * call.x.shape[1])

    def _loss(self, call: Call, means: Tensor, differences: Tensor) -> Tensor:
        """The loss of each plane."""
        share = call.setting.share
        return (1 - share) * differences + share * (1 - means[..., 0])

    def _upstream(self, call: Call, scale: float) -> compiled.cpu.Upstream:
        """Derivatives of the loss times ``scale``."""
        pixels, share = max(1, call.x.shape[2] * call.x.shape[3]), call.setting.share
        return compiled.cpu.Upstream(ssim=-share * scale, l1=(1 - share) * scale / pixels)


class _Pyramid(Backend):
    def run(self, call: Call) -> Tensor:
        return self.begin(call, (False, False))[0]

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        return self.finish(self.begin(call, wanted)[1], call, wanted, upstream)

    def begin(self, call: Call, wanted: Wanted) -> tuple[Tensor, tuple[list[Tensor], list[Tensor]]]:
        """The means, and the gradient of each scale's mean to each image that wants one."""
        if wanted[1] and not wanted[0]:
            means, (of_y, of_x) = self.begin(call.swapped, (True, False))
            return means, (of_x, of_y)
        scales: Scales = call.setting
        images, whole, _held = compiled.images_of(call.x, call.y)
        n, c, height, width = call.x.shape
        means, halving = _empty(call.x, n, c, scales.levels), _HALVINGS[scales.halving]
        shapes = [(height, width)] if any(wanted) else []
        while shapes and len(shapes) < scales.levels:
            shapes.append(compiled.cpu.halved_shape(*shapes[-1], halving))
        of_x, of_y = ([_empty(call.x, n, c, *shape) for shape in shapes] if want else [] for want in wanted)
        windows = _window(scales.setting, whole), _window(scales.at(scales.levels - 1), whole)
        steps = halving, scales.levels, torch.get_num_threads()
        compiled.cpu.pyramid(*windows, images, *steps, means.data_ptr(), _addresses(*of_x), _addresses(*of_y))
        return means, (of_x, of_y)

    def finish(self, kept: tuple[list[Tensor], list[Tensor]], call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        of_x, of_y = kept
        return self._collapsed(of_x, call.setting, upstream), self._collapsed(of_y, call.setting, upstream)

    def _collapsed(self, gradients: list[Tensor], scales: Scales, upstream: Tensor) -> Tensor | None:
        """The gradients of all scales' means, weighed by ``upstream``, as one."""
        if not gradients:
            return None
        finest, upstream = gradients[0], upstream.contiguous()
        halving, threads = _HALVINGS[scales.halving], torch.get_num_threads()
        compiled.cpu.collapse(
            compiled.shape_of(finest), halving, _addresses(*gradients), upstream.data_ptr(), threads
        )
        return finest


# ---- the kernels

TOLERANCE = 1e-6
_means = kernel(MEANS, _Means())
_whole_pyramid = kernel(PYRAMID, _Pyramid())


def _pyramid(x: Tensor, y: Tensor, scales: Scales, mask: Tensor | None = None) -> Tensor:
    """All scales in one call; with a mask torch halves the images, and the kernel takes each scale that it can."""
    if mask is None:
        return _whole_pyramid(x, y, scales)
    return reference.pyramid(x, y, scales, mask, at_scale=Op(reference.means, means_kernel))


def _looked_means(x: Tensor, y: Tensor, setting: Setting) -> tuple[Tensor, float, float]:
    """The means, and the extremes of what was read on the way."""
    images, whole, _held = compiled.images_of(x, y)
    means = _empty(x, *x.shape[:2], 2)
    extremes = compiled.cpu.look(_window(setting, whole), images, torch.get_num_threads(), means.data_ptr())
    return means, *(extremes if not bool(means.isnan().any()) else (math.nan, math.nan))


def _looked_refuses(x: Tensor, y: Tensor, setting: Setting) -> list[str]:
    reasons = _refuses(x, y, setting)
    if x.dtype != torch.float32:
        reasons.append(f"{x.dtype}; extremes are told of float32")
    if torch.compiler.is_compiling() or differentiated(x, y):
        reasons.append("a gradient is wanted, or a graph compiled")
    return reasons


means_kernel = Kernel("cpu", _means, _refuses, TOLERANCE)
maps_kernel = Kernel("cpu", kernel(MAPS, _Maps()), _refuses, 1e-4)
looked_means_kernel = Kernel("cpu", _looked_means, _looked_refuses, TOLERANCE)
l1_ssim_kernel = Kernel("cpu", kernel(L1_SSIM, _L1SSIM()), _mixture_refuses, TOLERANCE)
pyramid_kernel = Kernel("cpu", _pyramid, _pyramid_refuses, TOLERANCE)
