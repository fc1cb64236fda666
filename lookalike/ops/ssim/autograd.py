"""SSIM's kernels under autograd and torch.compile, once for every backend.

A backend computes one quantity on one kind of device: its values (`run`) and their gradient (`gradient`). One that
makes gradients in the pass that makes values keeps them (`begin`) and scales them in the backward pass (`finish`).
With ``create_graph=True`` the backward pass goes through the reference, so that second derivatives are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lookalike.modes import materialised
from lookalike.ops._autograd import differentiated
from lookalike.ops.ssim import reference
from lookalike.ops.ssim.setting import AnySetting, Mixture, Scales, Setting

Pair = tuple[Tensor | None, Tensor | None]
Wanted = Sequence[bool]


class Call(NamedTuple):
    """A pair of batches, what is computed with, and the weights of the pixels where not all count alike."""

    x: Tensor
    y: Tensor
    setting: Any
    mask: Tensor | None = None

    @property
    def swapped(self) -> Call:
        """The same with the images exchanged, which changes no value."""
        return self._replace(x=self.y, y=self.x)


class Quantity(NamedTuple):
    """What is computed: its name among torch's operators, its meaning, and the shape of its values."""

    name: str
    reference: Callable[..., Tensor]
    shape: Callable[[Tensor, Any], tuple[int, ...]]


def map_shape(x: Tensor, setting: Setting) -> tuple[int, ...]:
    """The shape of a map."""
    lost = len(setting.taps) - 1 if setting.border == "valid" else 0
    return (*x.shape[:2], x.shape[2] - lost, x.shape[3] - lost)


MEANS = Quantity("ssim_means", reference.means, lambda x, _: (*x.shape[:2], 2))
MAPS = Quantity("ssim_maps", reference.maps, lambda x, setting: (2, *map_shape(x, setting)))
L1_SSIM = Quantity("l1_ssim", reference.l1_ssim, lambda x, _: tuple(x.shape[:2]))
PYRAMID = Quantity("ssim_pyramid", reference.pyramid, lambda x, scales: (*x.shape[:2], scales.levels))


class Backend:
    """One quantity on one kind of device; subclasses say how."""

    def run(self, call: Call) -> Tensor:
        """The values."""
        raise NotImplementedError

    def gradient(self, call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
        """The gradients to x and to y, as wanted."""
        raise NotImplementedError

    def begin(self, call: Call, wanted: Wanted) -> tuple[Tensor, Any]:
        """The values, and what `finish` makes gradients of; None where it is nothing."""
        return self.run(call), None

    def finish(self, kept: Any, call: Call, wanted: Wanted, upstream: Tensor) -> Pair | None:
        """The gradients from what `begin` kept, which is used up; None where that does not suffice."""
        return None


def kernel(quantity: Quantity, backend: Backend, suffix: str = "") -> Callable[..., Tensor]:
    """The same call as the quantity's reference, computed by a backend.

    In compiled graphs it is the operator ``lookalike::<name><suffix>``, derivative and all.
    """
    operator = _operator(quantity, backend, quantity.name + suffix)

    def run(x: Tensor, y: Tensor, setting: Any, mask: Tensor | None = None) -> Tensor:
        if torch.compiler.is_compiling():
            return operator(x, y, mask, *packed(setting))
        if not differentiated(x, y):
            return backend.run(Call(x, y, setting, mask))
        return _Differentiable.apply(x, y, setting, mask, quantity, backend)

    run.operator = operator  # pyright: ignore[reportFunctionMemberAccess]
    return run


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, setting: Any, mask: Tensor | None, quantity: Quantity, backend: Backend
    ) -> Tensor:
        values, ctx.kept = backend.begin(Call(x, y, setting, mask), ctx.needs_input_grad[:2])
        ctx.save_for_backward(x, y, mask)
        ctx.setting, ctx.quantity, ctx.backend = setting, quantity, backend
        return values

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, mask = ctx.saved_tensors
        call, wanted, upstream = Call(x, y, ctx.setting, mask), ctx.needs_input_grad[:2], materialised(upstream)
        if torch.is_grad_enabled():
            return *_through(ctx.quantity.reference, call, wanted, upstream), None, None, None, None
        kept, ctx.kept = ctx.kept, None  # given away, so that autograd need not copy gradients
        gradients = None if kept is None else ctx.backend.finish(kept, call, wanted, upstream)
        return *(gradients or ctx.backend.gradient(call, wanted, upstream)), None, None, None, None


def _through(meaning: Callable[..., Tensor], call: Call, wanted: Wanted, upstream: Tensor) -> Pair:
    """Gradients that can be differentiated again."""
    with torch.enable_grad():
        x, y = call.x.view_as(call.x), call.y.view_as(call.y)  # they may be one tensor
        inputs = [image for image, want in zip((x, y), wanted, strict=True) if want]
        masks = () if call.mask is None else (call.mask,)
        values = meaning(x.float(), y.float(), call.setting, *masks)
        gradients = iter(torch.autograd.grad(values, inputs, upstream, create_graph=True))
    return next(gradients) if wanted[0] else None, next(gradients) if wanted[1] else None


# ---- operators of compiled graphs, which take numbers and words


def packed(setting: AnySetting) -> tuple[tuple[float, ...], str]:
    """A setting as numbers and words.

    Example:
        >>> packed(Mixture(Setting((1.0,), "zero", 1e-4, 9e-4), 0.5))
        ((1.0, 0.0001, 0.0009, 1.0, 0.5), 'zero mixture')
    """
    if isinstance(setting, Setting):
        taps: Any = setting.taps  # along every axis alike; kernels take no others
        return (*taps, setting.c1, setting.c2, setting.unbias), setting.border
    numbers, border = packed(setting.setting)
    if isinstance(setting, Mixture):
        return (*numbers, setting.share), f"{border} mixture"
    last = setting.last_border or border
    return (*numbers, float(setting.levels)), f"{border} {last} {setting.halving}"


def unpacked(numbers: Sequence[float], words: str) -> AnySetting:
    """What `packed` was given.

    Example:
        >>> scales = Scales(Setting((1.0,)), 2, "zero", "floor")
        >>> unpacked(*packed(scales)) == scales
        True
    """
    border, *others = words.split()
    last: Any = None
    if others:
        *numbers, last = numbers
    *taps, c1, c2, unbias = numbers
    setting = Setting(tuple(taps), border, c1, c2, unbias)  # pyright: ignore[reportArgumentType]
    if not others:
        return setting
    if others == ["mixture"]:
        return Mixture(setting, last)
    return Scales(setting, int(last), *others)  # pyright: ignore[reportArgumentType]


def _operator(quantity: Quantity, backend: Backend, name: str) -> Any:
    """Operators ``lookalike::name`` and, as its derivative, ``lookalike::name_gradient``."""

    @torch.library.custom_op(f"lookalike::{name}", mutates_args=())
    def forward(x: Tensor, y: Tensor, mask: Tensor | None, numbers: Sequence[float], words: str) -> Tensor:
        return backend.run(Call(x, y, unpacked(numbers, words), mask))

    @forward.register_fake
    def _(x: Tensor, y: Tensor, mask: Tensor | None, numbers: Sequence[float], words: str) -> Tensor:
        return x.new_empty(quantity.shape(x, unpacked(numbers, words)), dtype=torch.float32)

    @torch.library.custom_op(f"lookalike::{name}_gradient", mutates_args=())
    def gradient(
        x: Tensor,
        y: Tensor,
        mask: Tensor | None,
        upstream: Tensor,
        want_x: bool,
        want_y: bool,
        numbers: Sequence[float],
        words: str,
    ) -> list[Tensor]:
        call = Call(x, y, unpacked(numbers, words), mask)
        gradients = backend.gradient(call, (want_x, want_y), materialised(upstream))
        return [gradient for gradient in gradients if gradient is not None]

    @gradient.register_fake
    def _(
        x: Tensor,
        y: Tensor,
        mask: Tensor | None,
        upstream: Tensor,
        want_x: bool,
        want_y: bool,
        numbers: Sequence[float],
        words: str,
    ) -> list[Tensor]:
        return [x.new_empty(x.shape) for want in (want_x, want_y) if want]

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:3])
        ctx.packed = inputs[3:]

    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        want_x, want_y = ctx.needs_input_grad[:2]
        gradients = iter(gradient(*ctx.saved_tensors, upstream, want_x, want_y, *ctx.packed))
        return next(gradients) if want_x else None, next(gradients) if want_y else None, None, None, None

    forward.register_autograd(backward, setup_context=remember)
    return forward
