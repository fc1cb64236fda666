"""SSIM on the CPU: the compiled kernels as a backend. `kernel.cpp` explains the passes.

Where a gradient is wanted of means, it is made in the pass that makes them and only scaled in the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lookalike.ops import compiled
from lookalike.ops._kernels import Kernel
from lookalike.ops.ssim.autograd import L1_SSIM, MAPS, MEANS, PYRAMID, Backend, Pair, Wanted, kernel, map_shape
from lookalike.ops.ssim.refusals import window_refusals
from lookalike.ops.ssim.setting import Mixture, Scales, Setting
from lookalike.ops.window import least_side

_BORDERS = {"valid": 0, "reflect": 1, "symmetric": 2, "zero": 3}
_HALVINGS = {"symmetric": 0, "zero": 1, "replicate": 2, "floor": 3}


# ---- what the kernels decline


def _refuses(x: Tensor, y: Tensor, setting: Setting, mask: Tensor | None = None) -> list[str]:
    reasons = [*compiled.refusals(x, y), *window_refusals(x, setting)]
    return reasons if mask is None else [*reasons, "a mask"]


def _mixture_refuses(x: Tensor, y: Tensor, mixture: Mixture) -> list[str]:
    return _refuses(x, y, mixture.setting)


def _pyramid_refuses(x: Tensor, y: Tensor, scales: Scales) -> list[str]:
    reasons = _refuses(x, y, scales.setting)
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
    return compiled.cpu.Window(setting.taps, _BORDERS[setting.border], c1, c2)


def _empty(x: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=x.device)


def _forward(
    x: Tensor, y: Tensor, setting: Setting, differences: Tensor | None = None, maps: Tensor | None = None
) -> Tensor:
    """The means; writes those of |x - y|, and the maps, where they are given."""
    images, whole, x, y = compiled.images_of(x, y)
    means = _empty(x, *x.shape[:2], 2)
    rest = (differences, *((None, None) if maps is None else maps))
    addresses = [0 if tensor is None else tensor.data_ptr() for tensor in (means, *rest)]
    compiled.cpu.forward(_window(setting, whole), images, torch.get_num_threads(), *addresses)
    return means


def _gradient(
    x: Tensor,
    y: Tensor,
    setting: Setting,
    wanted: Wanted,
    upstream: compiled.cpu.Upstream,
    means: Tensor | None = None,
    differences: Tensor | None = None,
) -> Pair:
    """Gradients to x and to y, as wanted; writes the means, and those of |x - y|, where they are given."""
    if not wanted[0]:  # the kernel always makes the first image's gradient, and does not mind the order
        gy, _ = _gradient(y, x, setting, (True, False), upstream, means, differences)
        return None, gy
    images, whole, x, y = compiled.images_of(x, y)
    gx = _empty(x, *x.shape)
    gy = _empty(y, *y.shape) if wanted[1] else None
    addresses = [0 if tensor is None else tensor.data_ptr() for tensor in (means, differences, gx, gy)]
    compiled.cpu.gradient(_window(setting, whole), images, torch.get_num_threads(), upstream, *addresses)
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
    def run(self, x: Tensor, y: Tensor, setting: Setting) -> Tensor:
        return _forward(x, y, setting)

    def gradient(self, x: Tensor, y: Tensor, setting: Setting, wanted: Wanted, upstream: Tensor) -> Pair:
        upstream = upstream.contiguous()
        return _gradient(x, y, setting, wanted, compiled.cpu.Upstream(scales=upstream.data_ptr()))

    def begin(self, x: Tensor, y: Tensor, setting: Setting, wanted: Wanted) -> tuple[Tensor, Any]:
        means, made_with = _empty(x, *x.shape[:2], 2), self._made_with(x)
        return means, _gradient(x, y, setting, wanted, compiled.cpu.Upstream(ssim=made_with), means)

    def finish(
        self, kept: Pair, x: Tensor, y: Tensor, setting: Setting, wanted: Wanted, upstream: Tensor
    ) -> Pair | None:
        return kept if _rescaled(kept, upstream.contiguous(), self._made_with(x)) else None

    def _made_with(self, x: Tensor) -> float:
        """The derivative of the loss 1 − mean SSIM: of it, the backward pass has nothing left to do."""
        return -1.0 / max(1, x.shape[0] * x.shape[1])


class _Maps(Backend):
    def run(self, x: Tensor, y: Tensor, setting: Setting) -> Tensor:
        maps = _empty(x, 2, *map_shape(x, setting))
        _forward(x, y, setting, maps=maps)
        return maps

    def gradient(self, x: Tensor, y: Tensor, setting: Setting, wanted: Wanted, upstream: Tensor) -> Pair:
        of_ssim, of_cs = upstream.contiguous()
        maps = compiled.cpu.Upstream(ssim_map=of_ssim.data_ptr(), cs_map=of_cs.data_ptr())
        return _gradient(x, y, setting, wanted, maps)


class _L1SSIM(Backend):
    def run(self, x: Tensor, y: Tensor, mixture: Mixture) -> Tensor:
        differences = _empty(x, *x.shape[:2])
        means = _forward(x, y, mixture.setting, differences)
        return self._loss(mixture, means, differences / 255 if x.dtype == torch.uint8 else differences)

    def gradient(self, x: Tensor, y: Tensor, mixture: Mixture, wanted: Wanted, upstream: Tensor) -> Pair:
        gradients = _gradient(
            x, y, mixture.setting, wanted, self._upstream(mixture, x, 1.0), None, _empty(x, *x.shape[:2])
        )
        _rescaled(gradients, upstream.contiguous(), 1.0)
        return gradients

    def begin(self, x: Tensor, y: Tensor, mixture: Mixture, wanted: Wanted) -> tuple[Tensor, Any]:
        means, differences = _empty(x, *x.shape[:2], 2), _empty(x, *x.shape[:2])
        upstream = self._upstream(mixture, x, self._made_with(x))
        gradients = _gradient(x, y, mixture.setting, wanted, upstream, means, differences)
        return self._loss(mixture, means, differences), gradients

    def finish(
        self, kept: Pair, x: Tensor, y: Tensor, mixture: Mixture, wanted: Wanted, upstream: Tensor
    ) -> Pair | None:
        _rescaled(kept, upstream.contiguous(), self._made_with(x))
        return kept

    def _made_with(self, x: Tensor) -> float:
        return 1.0 / max(1, x.shape[0] * x.shape[1])

    def _loss(self, mixture: Mixture, means: Tensor, differences: Tensor) -> Tensor:
        """The loss of each plane."""
        return (1 - mixture.share) * differences + mixture.share * (1 - means[..., 0])

    def _upstream(self, mixture: Mixture, x: Tensor, scale: float) -> compiled.cpu.Upstream:
        """Derivatives of the loss times ``scale``."""
        pixels = max(1, x.shape[2] * x.shape[3])
        return compiled.cpu.Upstream(ssim=-mixture.share * scale, l1=(1 - mixture.share) * scale / pixels)


class _Pyramid(Backend):
    def run(self, x: Tensor, y: Tensor, scales: Scales) -> Tensor:
        return self.begin(x, y, scales, (False, False))[0]

    def gradient(self, x: Tensor, y: Tensor, scales: Scales, wanted: Wanted, upstream: Tensor) -> Pair:
        return self.finish(self.begin(x, y, scales, wanted)[1], x, y, scales, wanted, upstream)

    def begin(
        self, x: Tensor, y: Tensor, scales: Scales, wanted: Wanted
    ) -> tuple[Tensor, tuple[list[Tensor], list[Tensor]]]:
        """The means, and the gradient of each scale's mean to each image that wants one."""
        if wanted[1] and not wanted[0]:
            means, (of_y, of_x) = self.begin(y, x, scales, (True, False))
            return means, (of_x, of_y)
        images, whole, x, y = compiled.images_of(x, y)
        means, halving = _empty(x, *x.shape[:2], scales.levels), _HALVINGS[scales.halving]
        shapes = [(x.shape[2], x.shape[3])] if any(wanted) else []
        while shapes and len(shapes) < scales.levels:
            shapes.append(compiled.cpu.halved_shape(*shapes[-1], halving))
        of_x, of_y = ([_empty(x, *x.shape[:2], *shape) for shape in shapes] if want else [] for want in wanted)
        addresses = [[gradient.data_ptr() for gradient in of_scales] for of_scales in (of_x, of_y)]
        windows = _window(scales.setting, whole), _window(scales.at(scales.levels - 1), whole)
        threads = torch.get_num_threads()
        compiled.cpu.pyramid(*windows, images, halving, scales.levels, threads, means.data_ptr(), *addresses)
        return means, (of_x, of_y)

    def finish(
        self,
        kept: tuple[list[Tensor], list[Tensor]],
        x: Tensor,
        y: Tensor,
        scales: Scales,
        wanted: Wanted,
        upstream: Tensor,
    ) -> Pair:
        of_x, of_y = kept
        return self._collapsed(of_x, scales, upstream), self._collapsed(of_y, scales, upstream)

    def _collapsed(self, gradients: list[Tensor], scales: Scales, upstream: Tensor) -> Tensor | None:
        """The gradients of all scales' means, weighed by ``upstream``, as one."""
        if not gradients:
            return None
        finest, upstream = gradients[0], upstream.contiguous()
        shape: Any = tuple(finest.shape)
        addresses = [gradient.data_ptr() for gradient in gradients]
        halving, threads = _HALVINGS[scales.halving], torch.get_num_threads()
        compiled.cpu.collapse(shape, halving, addresses, upstream.data_ptr(), threads)
        return finest


TOLERANCE = 1e-6
means_kernel = Kernel("cpu", kernel(MEANS, _Means()), _refuses, TOLERANCE)
maps_kernel = Kernel("cpu", kernel(MAPS, _Maps()), _refuses, 1e-4)
l1_ssim_kernel = Kernel("cpu", kernel(L1_SSIM, _L1SSIM()), _mixture_refuses, TOLERANCE)
pyramid_kernel = Kernel("cpu", kernel(PYRAMID, _Pyramid()), _pyramid_refuses, TOLERANCE)
