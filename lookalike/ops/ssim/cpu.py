"""SSIM on the CPU: the compiled kernels under autograd and torch.compile. `kernel.cpp` explains the passes.

Where a gradient is wanted of means, it is made in the pass that makes them and only scaled in the backward pass.
With ``create_graph=True`` the backward pass goes through the reference, so that second derivatives are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lookalike.ops import compiled
from lookalike.ops._autograd import differentiated
from lookalike.ops._kernels import Kernel
from lookalike.ops.ssim import reference
from lookalike.ops.ssim.call import (
    Mixture,
    Setting,
    least_side,
    map_shape,
    operator,
    through_reference,
    unpacked_mixture,
    unpacked_setting,
    window_refusals,
)
from lookalike.ops.window import Border, Halving

_BORDERS = {"valid": 0, "reflect": 1, "symmetric": 2, "zero": 3}
_HALVINGS = {"symmetric": 0, "zero": 1, "replicate": 2, "floor": 3}


# ---- what the kernels decline


def _refuses(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    border: Border = "valid",
    c1: float,
    c2: float,
    unbias: float = 1.0,
    mask: Tensor | None = None,
    share: float = 0.2,
) -> list[str]:
    reasons = [*compiled.refusals(x, y), *window_refusals(x, taps, border, c1, c2)]
    return reasons if mask is None else [*reasons, "a mask"]


def _pyramid_refuses(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    levels: int,
    border: Border = "valid",
    last_border: Border | None = None,
    halving: Halving = "symmetric",
    c1: float,
    c2: float,
    unbias: float = 1.0,
) -> list[str]:
    reasons = [*compiled.refusals(x, y), *window_refusals(x, taps, border, c1, c2)]
    if halving not in _HALVINGS:
        return [*reasons, f"halving {halving!r}"]
    if reasons:
        return reasons
    side = min(x.shape[2:])
    for level in range(1, levels):
        side = side // 2 if halving == "floor" else (side + 1) // 2
        rule = (last_border or border) if level == levels - 1 else border
        if rule not in _BORDERS or side < least_side(len(taps), rule):
            reasons.append(f"images too small for {levels} scales")
            break
    return reasons


# ---- calls of the compiled module


@lru_cache(maxsize=256)
def _window(setting: Setting, whole: float) -> Any:
    """The compiled form of a setting, for pixels from 0 to ``whole``."""
    # Variances times `unbias` plus a constant: the same ratio as variances plus the constant over `unbias`.
    c1, c2 = setting.c1 * whole * whole, setting.c2 * whole * whole / setting.unbias
    return compiled.cpu.Window(setting.taps, _BORDERS[setting.border], c1, c2)


def _empty(x: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=x.device)


def _run_means(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    images, whole, x, y = compiled.images_of(x, y)
    means = _empty(x, *x.shape[:2], 2)
    compiled.cpu.forward(_window(setting, whole), images, torch.get_num_threads(), means.data_ptr(), 0, 0, 0)
    return means


def _run_maps(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    images, whole, x, y = compiled.images_of(x, y)
    maps = _empty(x, 2, *map_shape(x, setting))
    means = _empty(x, *x.shape[:2], 2)
    addresses = means.data_ptr(), 0, maps[0].data_ptr(), maps[1].data_ptr()
    compiled.cpu.forward(_window(setting, whole), images, torch.get_num_threads(), *addresses)
    return maps


def _run_gradient(
    x: Tensor,
    y: Tensor,
    setting: Setting,
    wanted: Sequence[bool],
    upstream: Any,
    means: Tensor | None = None,
    differences: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients to x and to y, as wanted; writes the means, and those of |x - y|, where they are given."""
    if not wanted[0]:  # the kernel always makes the first image's gradient, and does not mind the order
        gy, _ = _run_gradient(y, x, setting, (True, False), upstream, means, differences)
        return None, gy
    images, whole, x, y = compiled.images_of(x, y)
    gx = _empty(x, *x.shape)
    gy = _empty(y, *y.shape) if wanted[1] else None
    addresses = [0 if tensor is None else tensor.data_ptr() for tensor in (means, differences, gx, gy)]
    compiled.cpu.gradient(_window(setting, whole), images, torch.get_num_threads(), upstream, *addresses)
    return gx, gy


def _gradient_of_means(
    x: Tensor, y: Tensor, setting: Setting, wanted: Sequence[bool], upstream: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    upstream = upstream.contiguous()
    return _run_gradient(x, y, setting, wanted, compiled.cpu.Upstream(scales=upstream.data_ptr()))


def _gradient_of_maps(
    x: Tensor, y: Tensor, setting: Setting, wanted: Sequence[bool], upstream: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    upstream = upstream.contiguous()
    addresses = {"ssim_map": upstream[0].data_ptr(), "cs_map": upstream[1].data_ptr()}
    return _run_gradient(x, y, setting, wanted, compiled.cpu.Upstream(**addresses))


# ---- autograd


class _Means(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, setting: Setting) -> Tensor:
        means = _empty(x, *x.shape[:2], 2)
        # Made for the loss 1 − mean SSIM: then the backward pass has nothing left to do.
        ctx.made_with = -1.0 / max(1, x.shape[0] * x.shape[1])
        upstream = compiled.cpu.Upstream(ssim=ctx.made_with)
        ctx.gradients = _run_gradient(x, y, setting, ctx.needs_input_grad, upstream, means)
        ctx.save_for_backward(x, y)
        ctx.setting = setting
        return means

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted, setting = ctx.needs_input_grad[:2], ctx.setting
        if torch.is_grad_enabled():
            x, y = ctx.saved_tensors
            function = partial(reference.means, **setting._asdict())
            return (*through_reference(function, x, y, wanted, upstream), None)
        made, ctx.gradients = ctx.gradients, None  # given away, so that autograd need not copy them
        if made is not None and _rescaled(made, upstream.contiguous(), ctx.made_with):
            return (*made, None)
        x, y = ctx.saved_tensors
        return (*_gradient_of_means(x, y, setting, wanted, upstream), None)


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


class _Maps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, setting: Setting) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.setting = setting
        return _run_maps(x, y, setting)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y = ctx.saved_tensors
        wanted, setting = ctx.needs_input_grad[:2], ctx.setting
        if torch.is_grad_enabled():
            function = partial(reference.maps, **setting._asdict())
            return (*through_reference(function, x, y, wanted, upstream), None)
        return (*_gradient_of_maps(x, y, setting, wanted, upstream), None)


def _loss_of(mixture: Mixture, means: Tensor, differences: Tensor) -> Tensor:
    """The loss of each plane."""
    return (1 - mixture.share) * differences + mixture.share * (1 - means[..., 0])


def _upstream_of(mixture: Mixture, x: Tensor, scale: float) -> Any:
    """Derivatives of the loss times ``scale``."""
    pixels = max(1, x.shape[2] * x.shape[3])
    return compiled.cpu.Upstream(ssim=-mixture.share * scale, l1=(1 - mixture.share) * scale / pixels)


def _run_mixture(x: Tensor, y: Tensor, mixture: Mixture) -> Tensor:
    images, whole, x, y = compiled.images_of(x, y)
    means, differences = _empty(x, *x.shape[:2], 2), _empty(x, *x.shape[:2])
    addresses = means.data_ptr(), differences.data_ptr(), 0, 0
    compiled.cpu.forward(_window(mixture.setting, whole), images, torch.get_num_threads(), *addresses)
    return _loss_of(mixture, means, differences / whole)


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, mixture: Mixture) -> Tensor:
        means, differences = _empty(x, *x.shape[:2], 2), _empty(x, *x.shape[:2])
        ctx.made_with = 1.0 / max(1, x.shape[0] * x.shape[1])
        upstream = _upstream_of(mixture, x, ctx.made_with)
        ctx.gradients = _run_gradient(x, y, mixture.setting, ctx.needs_input_grad, upstream, means, differences)
        ctx.save_for_backward(x, y)
        ctx.mixture = mixture
        return _loss_of(mixture, means, differences)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted, mixture = ctx.needs_input_grad[:2], ctx.mixture
        if torch.is_grad_enabled():
            x, y = ctx.saved_tensors
            return (*through_reference(mixture.reference, x, y, wanted, upstream), None)
        made, ctx.gradients = ctx.gradients, None
        if made is None:
            x, y = ctx.saved_tensors
            made = _gradient_of_mixture(x, y, mixture, wanted, upstream)
        else:
            _rescaled(made, upstream.contiguous(), ctx.made_with)
        return made[0], made[1], None


class Scales(NamedTuple):
    """What a pyramid is computed with; see `reference.pyramid`."""

    setting: Setting
    levels: int
    last_border: str
    halving: str

    def reference(self, x: Tensor, y: Tensor) -> Tensor:
        """The meaning of `_run_pyramid`."""
        rest: dict[str, Any] = {"last_border": self.last_border, "halving": self.halving}
        return reference.pyramid(x, y, levels=self.levels, **self.setting._asdict(), **rest)

    def shapes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Of the images of each scale."""
        shapes = [(height, width)]
        while len(shapes) < self.levels:
            shapes.append(compiled.cpu.halved_shape(*shapes[-1], _HALVINGS[self.halving]))
        return shapes


def _run_pyramid(
    x: Tensor, y: Tensor, scales: Scales, wanted: Sequence[bool] = (False, False)
) -> tuple[Tensor, list[list[Tensor]]]:
    """The means, and the gradient of each scale's mean to each image that wants one."""
    if wanted[1] and not wanted[0]:
        means, [of_y, of_x] = _run_pyramid(y, x, scales, (True, False))
        return means, [of_x, of_y]
    images, whole, x, y = compiled.images_of(x, y)
    means = _empty(x, *x.shape[:2], scales.levels)
    shapes = scales.shapes(x.shape[2], x.shape[3]) if any(wanted) else []
    gradients = [[_empty(x, *x.shape[:2], *shape) for shape in shapes] if want else [] for want in wanted]
    addresses = [[gradient.data_ptr() for gradient in of_scales] for of_scales in gradients]
    last = scales.setting._replace(border=scales.last_border)
    windows = _window(scales.setting, whole), _window(last, whole)
    steps = _HALVINGS[scales.halving], scales.levels
    compiled.cpu.pyramid(*windows, images, *steps, torch.get_num_threads(), means.data_ptr(), *addresses)
    return means, gradients


def _collapse(gradients: list[Tensor], scales: Scales, upstream: Tensor) -> Tensor | None:
    """The gradients of all scales' means, weighed by ``upstream``, as one."""
    if not gradients:
        return None
    finest, upstream = gradients[0], upstream.contiguous()
    addresses = [gradient.data_ptr() for gradient in gradients]
    halving, threads = _HALVINGS[scales.halving], torch.get_num_threads()
    compiled.cpu.collapse(tuple(finest.shape), halving, addresses, upstream.data_ptr(), threads)
    return finest


class _Pyramid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, scales: Scales) -> Tensor:
        means, ctx.gradients = _run_pyramid(x, y, scales, ctx.needs_input_grad[:2])
        ctx.save_for_backward(x, y)
        ctx.scales = scales
        return means

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted, scales = ctx.needs_input_grad[:2], ctx.scales
        if torch.is_grad_enabled():
            x, y = ctx.saved_tensors
            return (*through_reference(scales.reference, x, y, wanted, upstream), None)
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            x, y = ctx.saved_tensors
            _, gradients = _run_pyramid(x, y, scales, wanted)
        return _collapse(gradients[0], scales, upstream), _collapse(gradients[1], scales, upstream), None


# ---- the same under torch.compile, which needs operators that it can look up by name


def _scales(numbers: Sequence[float], words: str) -> Scales:
    border, last_border, halving = words.split()
    return Scales(unpacked_setting(numbers[:-1], border), int(numbers[-1]), last_border, halving)


def _gradient_of_mixture(
    x: Tensor, y: Tensor, mixture: Mixture, wanted: Sequence[bool], upstream: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    differences = _empty(x, *x.shape[:2])
    made = _run_gradient(x, y, mixture.setting, wanted, _upstream_of(mixture, x, 1.0), None, differences)
    _rescaled(made, upstream.contiguous(), 1.0)
    return made


def _gradient_of_pyramid(
    x: Tensor, y: Tensor, scales: Scales, wanted: Sequence[bool], upstream: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    _, [of_x, of_y] = _run_pyramid(x, y, scales, wanted)
    return _collapse(of_x, scales, upstream), _collapse(of_y, scales, upstream)


_means_operator = operator(
    "ssim_means", unpacked_setting, _run_means, _gradient_of_means, lambda x, _: (*x.shape[:2], 2)
)
_maps_operator = operator(
    "ssim_maps", unpacked_setting, _run_maps, _gradient_of_maps, lambda x, setting: (2, *map_shape(x, setting))
)
_mixture_operator = operator(
    "l1_ssim", unpacked_mixture, _run_mixture, _gradient_of_mixture, lambda x, _: tuple(x.shape[:2])
)
_pyramid_operator = operator(
    "ssim_pyramid",
    _scales,
    lambda x, y, scales: _run_pyramid(x, y, scales)[0],
    _gradient_of_pyramid,
    lambda x, scales: (*x.shape[:2], scales.levels),
)


# ---- the kernels


def means(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    border: Border = "valid",
    c1: float,
    c2: float,
    unbias: float = 1.0,
    mask: None = None,
) -> Tensor:
    """`reference.means`, compiled."""
    if torch.compiler.is_compiling():
        return _means_operator(x, y, (*taps, c1, c2, unbias), border)
    setting = Setting(taps, border, c1, c2, unbias)
    return _Means.apply(x, y, setting) if differentiated(x, y) else _run_means(x, y, setting)


def maps(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    border: Border = "valid",
    c1: float,
    c2: float,
    unbias: float = 1.0,
) -> Tensor:
    """`reference.maps`, compiled."""
    if torch.compiler.is_compiling():
        return _maps_operator(x, y, (*taps, c1, c2, unbias), border)
    setting = Setting(taps, border, c1, c2, unbias)
    return _Maps.apply(x, y, setting) if differentiated(x, y) else _run_maps(x, y, setting)


def l1_ssim(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    share: float = 0.2,
    border: Border = "valid",
    c1: float,
    c2: float,
    unbias: float = 1.0,
) -> Tensor:
    """`l1.l1_ssim`, compiled."""
    if torch.compiler.is_compiling():
        return _mixture_operator(x, y, (*taps, c1, c2, unbias, share), border)
    mixture = Mixture(Setting(taps, border, c1, c2, unbias), share)
    return _Mixture.apply(x, y, mixture) if differentiated(x, y) else _run_mixture(x, y, mixture)


def pyramid(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    *,
    levels: int,
    border: Border = "valid",
    last_border: Border | None = None,
    halving: Halving = "symmetric",
    c1: float,
    c2: float,
    unbias: float = 1.0,
) -> Tensor:
    """`reference.pyramid`, compiled."""
    last = last_border or border
    if torch.compiler.is_compiling():
        return _pyramid_operator(x, y, (*taps, c1, c2, unbias, float(levels)), f"{border} {last} {halving}")
    scales = Scales(Setting(taps, border, c1, c2, unbias), levels, last, halving)
    return _Pyramid.apply(x, y, scales) if differentiated(x, y) else _run_pyramid(x, y, scales)[0]


TOLERANCE = 1e-6
means_kernel = Kernel("cpu", means, _refuses, TOLERANCE)
maps_kernel = Kernel("cpu", maps, _refuses, 1e-4)
l1_ssim_kernel = Kernel("cpu", l1_ssim, _refuses, TOLERANCE)
pyramid_kernel = Kernel("cpu", pyramid, _pyramid_refuses, TOLERANCE)
