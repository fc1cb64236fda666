"""What SSIM's kernels have in common: settings, what they decline, how autograd and torch.compile see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lookalike.ops.compiled import taps_refusals
from lookalike.ops.ssim import l1

_BORDERS = ("valid", "reflect", "symmetric", "zero")


class Setting(NamedTuple):
    """What a local similarity is computed with; see `reference.means`."""

    taps: tuple[float, ...]
    border: str
    c1: float
    c2: float
    unbias: float


class Mixture(NamedTuple):
    """What `l1.l1_ssim` is computed with."""

    setting: Setting
    share: float

    def reference(self, x: Tensor, y: Tensor) -> Tensor:
        """The meaning of a kernel's mixture."""
        options: dict[str, Any] = {"share": self.share, **self.setting._asdict()}
        return l1.l1_ssim(x, y, **options)


def window_refusals(x: Tensor, taps: Sequence[float], border: str, c1: float, c2: float) -> list[str]:
    """Why a kernel cannot take a window on these images; empty where it can.

    Example:
        >>> window_refusals(torch.ones(1, 1, 4, 9), (0.25, 0.5, 0.25), "wrap", 1e-4, 9e-4)
        ["the border 'wrap'"]
    """
    reasons = taps_refusals(taps)
    if not (c1 >= 1e-12 and c2 >= 1e-12):
        reasons.append("constants of zero")
    if border not in _BORDERS:
        reasons.append(f"the border {border!r}")
    elif x.ndim == 4 and min(x.shape[2:]) < least_side(len(taps), border):
        reasons.append("images smaller than the window")
    return reasons


def least_side(taps: int, border: str) -> int:
    """The smallest side of an image that a window can be moved over under a border rule."""
    return {"valid": taps, "reflect": taps // 2 + 1, "symmetric": max(1, taps // 2)}.get(border, 1)


def map_shape(x: Tensor, setting: Setting) -> tuple[int, ...]:
    """The shape of a map."""
    lost = len(setting.taps) - 1 if setting.border == "valid" else 0
    return (*x.shape[:2], x.shape[2] - lost, x.shape[3] - lost)


def through_reference(
    function: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, wanted: Sequence[bool], upstream: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients that can be differentiated again."""
    with torch.enable_grad():
        x, y = x.view_as(x), y.view_as(y)  # x and y may be one tensor
        inputs = [image for image, want in zip((x, y), wanted, strict=True) if want]
        gradients = iter(torch.autograd.grad(function(x, y), inputs, upstream, create_graph=True))
    return next(gradients) if wanted[0] else None, next(gradients) if wanted[1] else None


# ---- operators of compiled graphs, which take numbers and words


def unpacked_setting(numbers: Sequence[float], words: str) -> Setting:
    """A setting from the taps and constants, and the border."""
    c1, c2, unbias = numbers[-3:]
    return Setting(tuple(numbers[:-3]), words, c1, c2, unbias)


def unpacked_mixture(numbers: Sequence[float], words: str) -> Mixture:
    """A mixture likewise; its share is the last number."""
    return Mixture(unpacked_setting(numbers[:-1], words), numbers[-1])


def operator(
    name: str,
    unpack: Callable[[Sequence[float], str], Any],
    run: Callable[[Tensor, Tensor, Any], Tensor],
    differentiate: Callable[..., tuple[Tensor | None, Tensor | None]],
    shape: Callable[[Tensor, Any], tuple[int, ...]],
) -> Any:
    """Operators ``lookalike::name`` and, as its derivative, ``lookalike::name_gradient``."""

    @torch.library.custom_op(f"lookalike::{name}", mutates_args=())
    def forward(x: Tensor, y: Tensor, numbers: Sequence[float], words: str) -> Tensor:
        return run(x, y, unpack(numbers, words))

    @forward.register_fake
    def _(x: Tensor, y: Tensor, numbers: Sequence[float], words: str) -> Tensor:
        return x.new_empty(shape(x, unpack(numbers, words)), dtype=torch.float32)

    @torch.library.custom_op(f"lookalike::{name}_gradient", mutates_args=())
    def gradient(
        x: Tensor, y: Tensor, upstream: Tensor, want_x: bool, want_y: bool, numbers: Sequence[float], words: str
    ) -> list[Tensor]:
        found = differentiate(x, y, unpack(numbers, words), (want_x, want_y), upstream)
        return [gradient for gradient in found if gradient is not None]

    @gradient.register_fake
    def _(
        x: Tensor, y: Tensor, upstream: Tensor, want_x: bool, want_y: bool, numbers: Sequence[float], words: str
    ) -> list[Tensor]:
        return [x.new_empty(x.shape) for want in (want_x, want_y) if want]

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.packed = inputs[2:]

    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        want_x, want_y = ctx.needs_input_grad[:2]
        found = iter(gradient(*ctx.saved_tensors, upstream, want_x, want_y, *ctx.packed))
        return next(found) if want_x else None, next(found) if want_y else None, None, None

    forward.register_autograd(backward, setup_context=remember)
    return forward
