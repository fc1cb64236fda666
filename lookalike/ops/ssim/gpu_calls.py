"""SSIM on the GPU: what the Triton kernel of `gpu` takes, under autograd and torch.compile.

`gpu`, and Triton with it, is imported when the kernel first runs. Where a gradient is wanted of means, it is made
in the pass that makes them and scaled in the backward pass, without a look at values from the host, so calls can be
captured in a CUDA graph after a warm-up call. With ``create_graph=True`` the reference takes the backward pass.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from lookalike.modes import recorded, transformed
from lookalike.ops._autograd import differentiated
from lookalike.ops._kernels import Kernel
from lookalike.ops.compiled import PLAIN
from lookalike.ops.ssim import reference
from lookalike.ops.ssim.call import (
    Mixture,
    Setting,
    map_shape,
    operator,
    through_reference,
    unpacked_mixture,
    unpacked_setting,
    window_refusals,
)
from lookalike.ops.window import Border, Halving, halve

_INSTALLED = find_spec("triton") is not None
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton runs in Python, on the CPU: for tests
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.uint8)
Wanted = Sequence[bool]
Pair = tuple[Tensor | None, Tensor | None]


# ---- what the kernel declines


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
    reasons += window_refusals(x, taps, border, c1, c2)
    if mask is not None:
        reasons.append("a mask")
    if transformed():
        reasons.append("a function transform or forward-mode differentiation is at work")
    if recorded():
        reasons.append("calls are recorded, by torch.jit.trace or a dispatch mode")
    return reasons


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
    # Scales that are too small go to the reference one by one, and it says so; here only what is known now.
    return _refuses(x, y, taps, border=border, c1=c1, c2=c2, unbias=unbias)


# ---- calls of the kernel


@lru_cache(maxsize=64)
def _weights(taps: tuple[float, ...], device: torch.device) -> Tensor:
    """The taps on a device. A copy from pageable memory has arrived when the call returns, for every stream."""
    return torch.tensor(taps, dtype=torch.float32, device=device)


def _launch(x: Tensor, y: Tensor, setting: Setting, **options: Any) -> Tensor:
    from lookalike.ops.ssim import gpu  # Triton takes long to import

    return gpu.launch(x, y, _weights(setting.taps, x.device), setting, **options)


def _positions(x: Tensor, setting: Setting) -> int:
    height, width = map_shape(x, setting)[2:]
    return height * width


def _run_means(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    return _means_of(_launch(x, y, setting), x, setting)


def _means_of(totals: Tensor, x: Tensor, setting: Setting) -> Tensor:
    return (1 - totals[..., :2] / _positions(x, setting)).float()


def _run_maps(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    maps = x.new_empty((2, *map_shape(x, setting)), dtype=torch.float32)
    _launch(x, y, setting, maps=maps)
    return maps


def _run_mixture(x: Tensor, y: Tensor, mixture: Mixture) -> Tensor:
    return _loss_of(_launch(x, y, mixture.setting), x, mixture)


def _loss_of(totals: Tensor, x: Tensor, mixture: Mixture) -> Tensor:
    less_ssim = totals[..., 0] / _positions(x, mixture.setting)
    differences = totals[..., 2] / (x.shape[2] * x.shape[3])
    return ((1 - mixture.share) * differences + mixture.share * less_ssim).float()


def _gradient(x: Tensor, y: Tensor, setting: Setting, wanted: Wanted, **options: Any) -> tuple[Tensor, Pair]:
    """Sums, and gradients as wanted, in float32 whatever the images are: half precision would lose small ones."""
    if not wanted[0]:  # the kernel always makes the first image's gradient, and does not mind the order
        totals, [of_y, _] = _gradient(y, x, setting, (True, False), **options)
        return totals, (None, of_y)
    gx, gy = (torch.empty(x.shape, dtype=torch.float32, device=x.device) if want else None for want in wanted[:2])
    return _launch(x, y, setting, gradients=(gx, gy), **options), (gx, gy)


def _as(dtype: torch.dtype, gradients: Pair) -> Pair:
    of_x, of_y = gradients
    return None if of_x is None else of_x.to(dtype), None if of_y is None else of_y.to(dtype)


def _gradient_of_means(x: Tensor, y: Tensor, setting: Setting, wanted: Wanted, upstream: Tensor) -> Pair:
    options = {"upstream": upstream.float().contiguous(), "ssim_slope": 1 / _positions(x, setting)}
    return _as(x.dtype, _gradient(x, y, setting, wanted, totals_wanted=False, **options)[1])


def _gradient_of_maps(x: Tensor, y: Tensor, setting: Setting, wanted: Wanted, upstream: Tensor) -> Pair:
    options = {"upstream": upstream.float().contiguous(), "totals_wanted": False}
    return _as(x.dtype, _gradient(x, y, setting, wanted, **options)[1])


def _make_mixture(x: Tensor, y: Tensor, mixture: Mixture, wanted: Wanted) -> tuple[Tensor, Pair]:
    slopes = {
        "ssim_slope": -mixture.share / _positions(x, mixture.setting),
        "l1_slope": (1 - mixture.share) / (x.shape[2] * x.shape[3]),
    }
    return _gradient(x, y, mixture.setting, wanted, **slopes)


def _gradient_of_mixture(x: Tensor, y: Tensor, mixture: Mixture, wanted: Wanted, upstream: Tensor) -> Pair:
    return _scaled(_make_mixture(x, y, mixture, wanted)[1], upstream, x.dtype)


def _scaled(gradients: Pair, upstream: Tensor, dtype: torch.dtype) -> Pair:
    """Gradients, changed in place, times one number a plane."""
    for gradient in gradients:
        if gradient is not None:
            gradient.mul_(upstream[..., None, None])
    return _as(dtype, gradients)


# ---- autograd


class _Means(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, setting: Setting) -> Tensor:
        slope = 1 / _positions(x, setting)
        totals, ctx.gradients = _gradient(x, y, setting, ctx.needs_input_grad, ssim_slope=slope)
        ctx.save_for_backward(x, y)
        ctx.setting = setting
        return _means_of(totals, x, setting)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted, setting = ctx.needs_input_grad[:2], ctx.setting
        x, y = ctx.saved_tensors
        if torch.is_grad_enabled():
            function = partial(_reference_means, setting=setting)
            return (*through_reference(function, x, y, wanted, upstream), None)
        made, ctx.gradients = ctx.gradients, None
        if made is None:
            return (*_gradient_of_means(x, y, setting, wanted, upstream), None)
        _scaled(made, upstream[..., 0], torch.float32)
        return (*_as(x.dtype, _remade(made, x, y, setting, upstream)), None)


def _remade(made: Pair, x: Tensor, y: Tensor, setting: Setting, upstream: Tensor) -> Pair:
    """``made``, anew for planes whose contrast·structure has a derivative too: the device decides, not the host."""
    of_x, of_y = made
    gradients = (of_y, None) if of_x is None else made
    images = (y, x) if of_x is None else (x, y)
    options = {"upstream": upstream.float().contiguous(), "ssim_slope": 1 / _positions(x, setting)}
    _launch(*images, setting, gradients=gradients, totals_wanted=False, unless_zero=True, **options)
    return made


def _reference_means(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    options: dict[str, Any] = setting._asdict()
    return reference.means(x.float(), y.float(), **options)


def _reference_maps(x: Tensor, y: Tensor, setting: Setting) -> Tensor:
    options: dict[str, Any] = setting._asdict()
    return reference.maps(x.float(), y.float(), **options)


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
            function = partial(_reference_maps, setting=setting)
            return (*through_reference(function, x, y, wanted, upstream), None)
        return (*_gradient_of_maps(x, y, setting, wanted, upstream), None)


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, mixture: Mixture) -> Tensor:
        totals, ctx.gradients = _make_mixture(x, y, mixture, ctx.needs_input_grad)
        ctx.save_for_backward(x, y)
        ctx.mixture = mixture
        return _loss_of(totals, x, mixture)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y = ctx.saved_tensors
        wanted, mixture = ctx.needs_input_grad[:2], ctx.mixture
        if torch.is_grad_enabled():

            def meaning(x: Tensor, y: Tensor) -> Tensor:
                return mixture.reference(x.float(), y.float())

            return (*through_reference(meaning, x, y, wanted, upstream), None)
        made, ctx.gradients = ctx.gradients, None
        if made is None:
            return (*_gradient_of_mixture(x, y, mixture, wanted, upstream), None)
        return (*_scaled(made, upstream, x.dtype), None)


_means_operator = operator(
    "ssim_means_gpu", unpacked_setting, _run_means, _gradient_of_means, lambda x, _: (*x.shape[:2], 2)
)
_maps_operator = operator(
    "ssim_maps_gpu", unpacked_setting, _run_maps, _gradient_of_maps, lambda x, setting: (2, *map_shape(x, setting))
)
_mixture_operator = operator(
    "l1_ssim_gpu", unpacked_mixture, _run_mixture, _gradient_of_mixture, lambda x, _: tuple(x.shape[:2])
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
    """`reference.means` on a GPU, float32 whatever the images are."""
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
    """`reference.maps` on a GPU, float32 whatever the images are."""
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
    """`l1.l1_ssim` on a GPU, float32 whatever the images are."""
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
    """`reference.pyramid` on a GPU: torch halves the images, the kernel takes each scale."""
    if x.dtype == torch.uint8:
        x, y = x / 255, y / 255
    x, y = x.float(), y.float()
    columns = []
    for level in range(levels):
        last = level == levels - 1
        if level:
            x, y = halve(x, halving), halve(y, halving)
        options: dict[str, Any] = {"border": (last_border or border) if last else border, "c1": c1, "c2": c2}
        at_scale = reference.means if _refuses(x, y, taps, **options) else means
        columns.append(at_scale(x, y, taps, unbias=unbias, **options)[..., 0 if last else 1])
    return torch.stack(columns, -1)


means_kernel = Kernel("gpu", means, _refuses, 1e-6)
maps_kernel = Kernel("gpu", maps, _refuses, 1e-4)
l1_ssim_kernel = Kernel("gpu", l1_ssim, _refuses, 1e-6)
pyramid_kernel = Kernel("gpu", pyramid, _pyramid_refuses, 1e-6)
