"""SSIM of two planes, and its gradient, as one Triton kernel. Only `gpu_calls` imports this file, on first use.

With p = x + y and m = x − y about shifts near their means, SSIM needs the four blurs E[p], E[m], E[p²], E[m²]; the
formulas are those of `kernel.cpp`. A program takes one square tile of one plane. Along each axis the window, border
rule and all, is a banded matrix ``M[centre, pixel]``, so that a blur is ``M_v X M_hᵀ`` and its adjoint, which the
gradient is made of, ``M_vᵀ D M_h``: products of tiles, which tensor cores do. Only the gradient and a few
sums per tile are written.

A tile loses a radius on each side to the window, and another to the adjoint; neighbours overlap by that much, and
every centre and pixel has one owner. Sums are written per tile and added outside, in a fixed order: no atomics.
A NaN reaches everything that its tile owns, for products of matrices multiply it by the zeros about the band.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lookalike.ops.ssim.setting import Setting

ZERO, VALID, REFLECT, SYMMETRIC = range(4)
BORDERS = {"zero": ZERO, "valid": VALID, "reflect": REFLECT, "symmetric": SYMMETRIC}
_SLOPES, _PLANES, _MAPS = range(3)  # where upstream derivatives come from: a number, two numbers a plane, maps


@triton.jit
def _weight(weights, k, TAPS: tl.constexpr):
    return tl.load(weights + k, mask=(k >= 0) & (k < TAPS), other=0.0)


@triton.jit
def _window_matrix(weights, start, size, TAPS: tl.constexpr, BORDER: tl.constexpr, TILE: tl.constexpr):
    """What pixel ``start + column`` counts in the window about centre ``start + row``; 0 off the map."""
    RADIUS: tl.constexpr = TAPS // 2
    row = tl.arange(0, TILE)[:, None]
    centre = start + row
    pixel = start + tl.arange(0, TILE)[None, :]
    matrix = _weight(weights, pixel - centre + RADIUS, TAPS)
    if BORDER >= 2:  # the same pixel, met again in the mirrors before and after the plane
        EDGE: tl.constexpr = 3 - BORDER  # 1 where the edge pixel itself is not mirrored
        before = EDGE - 1 - pixel
        after = 2 * size - 1 - EDGE - pixel
        in_mirror = (before < 0) & (pixel >= 0)
        matrix += tl.where(in_mirror, _weight(weights, before - centre + RADIUS, TAPS), 0.0)
        in_mirror = (after >= size) & (pixel < size)
        matrix += tl.where(in_mirror, _weight(weights, after - centre + RADIUS, TAPS), 0.0)
        matrix = tl.where((pixel >= 0) & (pixel < size), matrix, 0.0)
    return tl.where(_on_map(centre, row, size, TAPS, BORDER, TILE), matrix, 0.0)


@triton.jit
def _on_map(centre, index, size, TAPS: tl.constexpr, BORDER: tl.constexpr, TILE: tl.constexpr):
    """Whether a centre has a map position, and its window lies in the tile."""
    RADIUS: tl.constexpr = TAPS // 2
    LOST: tl.constexpr = RADIUS if BORDER == 1 else 0  # pyright: ignore[reportAssignmentType]
    return (centre >= LOST) & (centre < size - LOST) & (index >= RADIUS) & (index < TILE - RADIUS)


@triton.jit
def _product(left, right):
    # Three TF32 products keep float32's digits; one keeps three digits, which SSIM's variances do not survive.
    return tl.dot(left, right, input_precision="tf32x3")


@triton.jit
def _ssim(
    x, y, weights, upstream, totals, maps, gx, gy,
    channels, height, width, tiles_down, tiles_across, map_size,
    x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w,
    c1, c2, unbias, scale, ssim_slope, l1_slope,
    TAPS: tl.constexpr, BORDER: tl.constexpr, TILE: tl.constexpr, GRADIENTS: tl.constexpr,
    UPSTREAM: tl.constexpr, UNLESS_ZERO: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    RADIUS: tl.constexpr = TAPS // 2
    HALO: tl.constexpr = 2 * RADIUS if GRADIENTS > 0 else RADIUS
    STEP: tl.constexpr = TILE - 2 * HALO
    LOST: tl.constexpr = RADIUS if BORDER == 1 else 0  # pyright: ignore[reportAssignmentType]
    program = tl.program_id(0)
    tiles = tiles_down * tiles_across
    plane = (program // tiles).to(tl.int64)
    tile = program % tiles
    if UNLESS_ZERO:  # noqa: SIM102 - known when compiled, and the load is not
        if tl.load(upstream + 2 * plane + 1) == 0:
            return
    top = tile // tiles_across * STEP - HALO
    left = tile % tiles_across * STEP - HALO
    index = tl.arange(0, TILE)
    rows = (top + index)[:, None]
    columns = (left + index)[None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    owned = (index >= HALO) & (index < TILE - HALO)
    owned = owned[:, None] & owned[None, :]
    x += plane // channels * x_n + plane % channels * x_c
    y += plane // channels * y_n + plane % channels * y_c
    a = tl.load(x + rows.to(tl.int64) * x_h + columns.to(tl.int64) * x_w, mask=inside, other=0).to(tl.float32)
    b = tl.load(y + rows.to(tl.int64) * y_h + columns.to(tl.int64) * y_w, mask=inside, other=0).to(tl.float32)
    p = (a + b) * scale
    m = (a - b) * scale

    if UPSTREAM == 0:
        tl.store(totals + program * 3 + 2, tl.sum(tl.where(owned & inside, tl.abs(m), 0.0)))
    l1_gradient = tl.where(m > 0, l1_slope, tl.where(m < 0, -l1_slope, 0.0))
    pixels = tl.sum(inside.to(tl.float32))
    shift_p = tl.sum(p) / pixels  # pyright: ignore[reportOperatorIssue]
    shift_m = tl.sum(m) / pixels  # pyright: ignore[reportOperatorIssue]
    p -= shift_p
    m -= shift_m

    down = _window_matrix(weights, top, height, TAPS, BORDER, TILE)
    across = _window_matrix(weights, left, width, TAPS, BORDER, TILE)
    turned = tl.trans(across)
    mean_p = _product(_product(down, p), turned)
    mean_m = _product(_product(down, m), turned)
    var_p = unbias * (_product(_product(down, p * p), turned) - mean_p * mean_p)
    var_m = unbias * (_product(_product(down, m * m), turned) - mean_m * mean_m)
    var_p = tl.where(var_p < 0, 0.0, var_p)  # rounding alone makes them negative; a NaN stays
    var_m = tl.where(var_m < 0, 0.0, var_m)

    P = mean_p + shift_p
    M = mean_m + shift_m
    moment = P * P + M * M + 2 * c1
    spread = var_p + var_m + 2 * c2
    less_luminance = 2 * M * M / moment  # 1 − l and 1 − cs: exactly 0 where the images agree
    less_structure = 2 * var_m / spread
    less_ssim = less_luminance + less_structure - less_luminance * less_structure

    on_map = _on_map(rows, index[:, None], height, TAPS, BORDER, TILE)
    on_map = on_map & _on_map(columns, index[None, :], width, TAPS, BORDER, TILE)
    if UPSTREAM == 0:
        tl.store(totals + program * 3, tl.sum(tl.where(on_map & owned, less_ssim, 0.0)))
        tl.store(totals + program * 3 + 1, tl.sum(tl.where(on_map & owned, less_structure, 0.0)))
    at = plane * (height - 2 * LOST) * (width - 2 * LOST)
    at += (rows - LOST).to(tl.int64) * (width - 2 * LOST) + (columns - LOST)
    if MAPS:
        tl.store(maps + at, 1 - less_ssim, mask=on_map & owned)
        tl.store(maps + map_size + at, 1 - less_structure, mask=on_map & owned)

    if GRADIENTS > 0:
        if UPSTREAM == 2:
            of_ssim = tl.load(upstream + at, mask=on_map, other=0.0)
            of_cs = tl.load(upstream + map_size + at, mask=on_map, other=0.0)
        elif UPSTREAM == 1:
            of_ssim = tl.load(upstream + 2 * plane) * ssim_slope
            of_cs = tl.load(upstream + 2 * plane + 1) * ssim_slope
        else:
            of_ssim = ssim_slope
            of_cs = 0.0
        of_luminance = of_ssim * (1 - less_structure) * 4 / (moment * moment)
        of_structure = (of_ssim * (1 - less_luminance) + of_cs) * 2 * unbias / (spread * spread)
        of_p2 = tl.where(on_map, of_structure * var_m, 0.0)
        of_m2 = tl.where(on_map, -of_structure * (var_p + 2 * c2), 0.0)
        of_p = tl.where(on_map, of_luminance * P * M * M, 0.0) - 2 * mean_p * of_p2
        of_m = tl.where(on_map, -of_luminance * M * (P * P + 2 * c1), 0.0) - 2 * mean_m * of_m2
        upward = tl.trans(down)
        dp = 2 * p * _product(_product(upward, of_p2), across)
        dm = 2 * m * _product(_product(upward, of_m2), across) + l1_gradient
        at = plane * height * width + rows.to(tl.int64) * width + columns
        if GRADIENTS == 1:  # to x alone, three adjoints do
            both = _product(_product(upward, of_p + of_m), across)
            tl.store(gx + at, (both + dp + dm) * scale, mask=inside & owned)
        else:
            dp += _product(_product(upward, of_p), across)
            dm += _product(_product(upward, of_m), across)
            tl.store(gx + at, (dp + dm) * scale, mask=inside & owned)
            tl.store(gy + at, (dp - dm) * scale, mask=inside & owned)


def launch(
    x: Tensor,
    y: Tensor,
    weights: Tensor,
    setting: Setting,
    *,
    totals_wanted: bool = True,
    maps: Tensor | None = None,
    gradients: tuple[Tensor, Tensor | None] | None = None,
    ssim_slope: float = 0.0,
    l1_slope: float = 0.0,
    upstream: Tensor | None = None,
    unless_zero: bool = False,
) -> Tensor:
    """Run the kernel over every tile, on the current stream of the device of ``x``.

    Args:
        x, y: ``(n, c, h, w)``, any strides.
        weights: the taps, float32, on the same device.
        setting: the window, its border and the constants.
        totals_wanted: whether to return sums; without, ``upstream`` is needed.
        maps: ``(2, n, c, h', w')``, written.
        gradients: ``(n, c, h, w)`` float32 to x and, if wanted, to y; written.
        ssim_slope: derivative of the output by a plane's SSIM, per map position.
        l1_slope: derivative of the output by a pixel's |x − y|.
        upstream: derivatives by the means, ``(n, c, 2)``, times ``ssim_slope``; or by the maps, of their shape.
        unless_zero: leave planes alone whose derivative by contrast·structure is zero.

    Returns:
        ``(n, c, 3)`` float64: sums over a plane of 1 − SSIM, of 1 − contrast·structure and of \\|x − y\\|.
    """
    n, c, height, width = x.shape
    taps = len(setting.taps)
    halo = (taps // 2) * (2 if gradients else 1)
    # 64 x 64 floats of a tile are 32 registers of each of 128 threads. Wider windows would leave too little of it.
    tile = 64 if halo <= 20 else 128
    step = tile - 2 * halo
    down, across = -(-height // step), -(-width // step)
    totals = x.new_empty((n, c, down * across, 3), dtype=torch.float32)
    if totals.numel():
        gx, gy = gradients or (totals, None)
        lost = taps - 1 if setting.border == "valid" else 0
        source = _SLOPES if upstream is None else _PLANES if upstream.ndim == 3 else _MAPS
        if totals_wanted != (source == _SLOPES):
            raise ValueError("launch: sums are made when no upstream is given, and only then")
        kernel: Any = _ssim
        with torch.cuda.device_of(x):
            kernel[(n * c * down * across,)](
                x, y, weights, totals if upstream is None else upstream, totals, totals if maps is None else maps,
                gx, gx if gy is None else gy, c, height, width, down, across,
                n * c * (height - lost) * (width - lost), *x.stride(), *y.stride(),
                float(setting.c1), float(setting.c2), float(setting.unbias),
                1 / 255 if x.dtype == torch.uint8 else 1.0, float(ssim_slope), float(l1_slope),
                TAPS=taps, BORDER=BORDERS[setting.border], TILE=tile,
                GRADIENTS=0 if gradients is None else 1 if gy is None else 2, UPSTREAM=source,
                UNLESS_ZERO=unless_zero, MAPS=maps is not None, num_warps=4 if tile == 64 else 8,
                enable_fp_fusion=True,
            )  # fmt: skip
    return totals.sum(2, dtype=torch.float64)
