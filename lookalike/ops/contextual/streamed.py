"""Contextual similarity without the matrix of all pairs: memory O(N·C) and a tile of rows.

Rows are normalised by themselves, so they are made some at a time, and of each column only the greatest value and
its row are kept. The gradient needs the rows that are some column's greatest, and makes those again. Plain torch,
on any device. With ``create_graph=True`` the backward pass goes through the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from lookalike.modes import full_precision, recorded, transformed
from lookalike.ops._autograd import differentiated
from lookalike.ops._kernels import Kernel
from lookalike.ops.contextual import reference
from lookalike.ops.contextual.reference import Distance

# Distances in a tile. On one thread a tile that fits into a core's cache is fastest. Several threads wait for each
# other at the end of every step, and beside other programs they wait long: large steps take a quarter of the time.
ALONE, TOGETHER = 2**20, 2**23
GROUP = 16  # of rows, where their greatest value is looked for


def _streamed(
    x: Tensor, y: Tensor, places: Tensor | None, distance: str, bandwidth: float, epsilon: float, rows: int
) -> tuple[Tensor, Tensor]:
    """The similarity ``(n,)``, and of each column the row of its greatest value, ``(n, M)``."""
    rows = rows or _rows_of_tile(x, y)
    best = x.new_zeros(y.shape[:2])
    winners = torch.zeros(y.shape[:2], dtype=torch.int64, device=x.device)
    for image in range(len(x)):
        for start in range(0, x.shape[1], rows):
            chosen = slice(start, start + rows)
            d = reference.distances(x[image, chosen], y[image], cast(Distance, distance))
            if places is not None:
                d += reference.apart(places[chosen], places)
            d *= -1 / ((d.amin(1, keepdim=True) + epsilon) * bandwidth)
            top, at = _greatest(torch.softmax(d, 1))
            if start == 0:
                best[image], winners[image] = top, at
                continue
            winners[image] = torch.where(top > best[image], at + start, winners[image])
            best[image] = torch.maximum(best[image], top)  # unlike a comparison it keeps a NaN
    return best.mean(1), winners


def _rows_of_tile(x: Tensor, y: Tensor) -> int:
    alone = x.device.type == "cpu" and torch.get_num_threads() == 1
    return max(GROUP, (ALONE if alone else TOGETHER) // max(1, y.shape[1]) // GROUP * GROUP)


def _greatest(cx: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest value of each column of a tile and its row, as ``cx.max(0)`` in a third of the time.

    First of groups of rows without their indices, which is fast, then within the one group of each column.
    """
    rows, columns = cx.shape
    if rows % GROUP:
        return cx.max(0)
    top, group = cx.view(-1, GROUP, columns).amax(1).max(0)
    first = group * GROUP
    within = first + torch.arange(GROUP, dtype=torch.int64, device=cx.device).unsqueeze(1)
    return top, first + cx.gather(0, within).max(0).indices


def _gradients(
    x: Tensor,
    y: Tensor,
    places: Tensor | None,
    winners: Tensor,
    upstream: Tensor,
    want_x: bool,
    want_y: bool,
    distance: str,
    bandwidth: float,
    epsilon: float,
    rows: int,
) -> list[Tensor]:
    """The gradients wanted, in the order x, y."""
    rows = rows or _rows_of_tile(x, y)
    shares = upstream / max(1, y.shape[1])
    gradient_x, gradient_y = torch.zeros_like(x) if want_x else None, torch.zeros_like(y) if want_y else None
    for image in range(len(x)):
        used = winners[image].unique()
        of_column = torch.searchsorted(used, winners[image])
        for start in range(0, len(used), rows):
            chosen = used[start : start + rows]
            [columns] = ((of_column >= start) & (of_column < start + rows)).nonzero(as_tuple=True)
            won = of_column[columns] - start, columns
            d = reference.distances(x[image, chosen], y[image], cast(Distance, distance))
            away = d if places is None else d + reference.apart(places[chosen], places)
            slope = _slope(away, won, shares[image], bandwidth, epsilon)
            if distance != "l1":
                # What was cut off at zero has no gradient; in place, as new tiles cost more than the arithmetic.
                torch.ops.aten.threshold_backward.grad_input(slope, d, 0, grad_input=slope)
            if gradient_x is not None:
                gradient_x[image, chosen] = _pulled(slope, x[image, chosen], y[image], d, distance)
            if gradient_y is not None:
                gradient_y[image] += _pulled(slope.T, y[image], x[image, chosen], d.T, distance)
    return [gradient for gradient in (gradient_x, gradient_y) if gradient is not None]


def _slope(d: Tensor, won: tuple[Tensor, Tensor], share: Tensor, bandwidth: float, epsilon: float) -> Tensor:
    """The derivative of Σ share·CX over the entries ``won`` by the distances ``(rows, M)``.

    With m = min d + ε and z = −d/(h·m), CX = softmax(z): ∂z = CX·(G − Σ CX·G) and ∂d = −∂z/(h·m), to which the
    place of the minimum adds −Σ ∂z·z/m.
    """
    least, at = d.min(1, keepdim=True)
    least += epsilon
    scale = -1 / (least * bandwidth)
    z = d * scale
    cx = torch.softmax(z, 1)
    there = cx[won] * share
    inner = torch.zeros_like(least).index_add_(0, won[0], there.unsqueeze(1))
    cx *= -inner
    cx[won] += there
    by_minimum = -z.mul_(cx).sum(1, keepdim=True) / least
    cx *= scale
    return cx.scatter_add_(1, at, by_minimum)


def _pulled(slope: Tensor, x: Tensor, y: Tensor, d: Tensor, distance: str) -> Tensor:
    """The gradient ``(N, C)`` to x of distances ``(N, M)`` whose upstream gradient is ``slope``."""
    if distance == "l1":
        slope, x, y, d = (part.contiguous() for part in (slope, x, y, d))
        return torch.ops.aten._cdist_backward(slope, x, y, 1.0, d)
    if distance == "cosine":
        return torch.mm(slope, y).mul_(-0.5)
    return 2 * (slope.sum(1, keepdim=True) * x - slope @ y)


class _Streamed(torch.autograd.Function):
    """In eager mode. The first call of an operator of ours would load torch's compiler, and with it triton."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, places: Tensor | None, *setting: Any) -> Tensor:
        similarity, winners = _streamed(x, y, places, *setting)
        ctx.setting = setting
        ctx.save_for_backward(x, y, places, winners)
        return similarity

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _differentiated(ctx, upstream, _gradients)


def _differentiated(ctx: Any, upstream: Tensor, gradients: Callable[..., Any]) -> tuple[Tensor | None, ...]:
    """The backward pass: gradients to x and y as wanted, none to the others of the seven inputs."""
    x, y, places, winners = ctx.saved_tensors
    wanted = ctx.needs_input_grad[:2]
    distance, bandwidth, epsilon, _ = ctx.setting
    if torch.is_grad_enabled():
        inputs = [image for image, want in zip((x, y), wanted, strict=True) if want]
        with torch.enable_grad():
            whole = reference.contextual(x, y, places, distance=distance, bandwidth=bandwidth, epsilon=epsilon)
        made = iter(torch.autograd.grad(whole, inputs, upstream, create_graph=True))
    else:
        with full_precision(x):  # which the caller's backward pass may be under
            made = iter(gradients(x, y, places, winners, upstream, *wanted, *ctx.setting))
    return *(next(made) if want else None for want in wanted), None, None, None, None, None


# In a compiled graph, which knows no `torch.autograd.Function` of ours.
_operator = torch.library.custom_op("lookalike::contextual", _streamed, mutates_args=())
_gradient_operator = torch.library.custom_op("lookalike::contextual_gradient", _gradients, mutates_args=())


@_operator.register_fake
def _(
    x: Tensor, y: Tensor, places: Tensor | None, distance: str, bandwidth: float, epsilon: float, rows: int
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[0]), x.new_empty(y.shape[:2], dtype=torch.int64)


@_gradient_operator.register_fake
def _(
    x: Tensor,
    y: Tensor,
    places: Tensor | None,
    winners: Tensor,
    upstream: Tensor,
    want_x: bool,
    want_y: bool,
    distance: str,
    bandwidth: float,
    epsilon: float,
    rows: int,
) -> list[Tensor]:
    return [torch.empty_like(image) for image, want in ((x, want_x), (y, want_y)) if want]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, y, places, *ctx.setting = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, y, places, output[1])


def _backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return _differentiated(ctx, upstream, _gradient_operator)


_operator.register_autograd(_backward, setup_context=_remember)


def contextual(
    x: Tensor,
    y: Tensor,
    places: Tensor | None = None,
    *,
    distance: Distance = "cosine",
    bandwidth: float = 0.5,
    epsilon: float = 1e-5,
    rows: int = 0,
) -> Tensor:
    """As `reference.contextual`, ``rows`` rows at a time; 0: as many as make a tile of a good size.

    Example:
        >>> x, y = torch.rand(1, 7, 3), torch.rand(1, 5, 3)
        >>> bool(torch.isclose(contextual(x, y, distance="l2", rows=2), reference.contextual(x, y, distance="l2")))
        True
    """
    inputs = x, y, places, distance, bandwidth, epsilon, rows
    if torch.compiler.is_compiling():
        return _operator(*inputs)[0]
    return _Streamed.apply(*inputs) if differentiated(x, y) else _streamed(*inputs)[0]


def _refuses(*_: Any, **__: Any) -> list[str]:
    reasons = ["a function transform or forward-mode differentiation is at work"] if transformed() else []
    return [*reasons, "calls are recorded, by torch.jit.trace or a dispatch mode"] if recorded() else reasons


STREAMED = Kernel("streamed", contextual, _refuses, tolerance=1e-5)
