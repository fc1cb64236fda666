"""Distances of deep features with `keras.ops`: LPIPS, the perceptual and the contextual loss.

The formulas of `metrics.lpips`, `metrics.perceptual` and `metrics.contextual`; each takes the maps of both images.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from keras import ops

from lookalike.keras import planes
from lookalike.metrics.contextual import EPSILON, SHORTEST, Contextual, sample
from lookalike.metrics.lpips import LPIPSAlex
from lookalike.metrics.perceptual import Perceptual
from lookalike.ops.features import UNIT_EPSILON


def lpips(metric: LPIPSAlex, x: list[Any], y: list[Any], mask: Any = None) -> Any:
    """Eq. 1 of Zhang et al., CVPR 2018: Σ_l mean Σ_c w_c (x̂ − ŷ)², ``(n,)``.

    A position of a layer counts by the share of its pixels that does.
    """
    layers = lpips_maps(metric, x, y)
    if mask is None:
        return sum(planes.mean(layer) for layer in layers)
    counts = ops.min(mask, 1, keepdims=True)
    return sum(planes.mean(layer, planes.lessen(counts, *planes.sides(layer))) for layer in layers)


def lpips_maps(metric: LPIPSAlex, x: list[Any], y: list[Any]) -> list[Any]:
    """Σ_c w_c (x̂ − ŷ)² at each position of each layer, ``(n, 1, h', w')``."""
    maps = []
    for a, b, head in zip(x, y, metric.heads, strict=True):
        weights = ops.convert_to_tensor(head.cpu().numpy().reshape(1, -1, 1, 1), a.dtype)
        maps.append(ops.sum(ops.square(unit(a) - unit(b)) * weights, 1, keepdims=True))
    return maps


def perceptual(metric: Perceptual, x: list[Any], y: list[Any]) -> Any:
    """Σ_l w_l · mean distance of the maps, ``(n,)``."""
    return sum(planes.mean(layer) for layer in perceptual_maps(metric, x, y))


def perceptual_maps(metric: Perceptual, x: list[Any], y: list[Any]) -> list[Any]:
    """The weighted distance at each position of each layer, ``(n, 1, h', w')``."""
    parts = zip(metric.weights.values(), x, y, strict=True)
    return [weight * ops.expand_dims(_distance_map(a, b, metric.distance), 1) for weight, a, b in parts]


def _distance_map(x: Any, y: Any, distance: str) -> Any:
    if distance == "l1":
        return ops.mean(ops.abs(x - y), 1)
    if distance == "l2":
        return ops.mean(ops.square(x - y), 1)
    # Half the squared distance of unit vectors is 1 − cosine without its cancellation near 1.
    zero_x, zero_y = (ops.all(ops.equal(maps, 0), 1) for maps in (x, y))
    return ops.sum(ops.square(unit(x) - unit(y)), 1) / 2 + ops.cast(ops.logical_xor(zero_x, zero_y), x.dtype) / 2


def unit(maps: Any) -> Any:
    """Feature vectors divided by their length; a zero vector stays, with gradient 0.

    Example:
        >>> vectors = ops.reshape(ops.convert_to_tensor([3.0, 0.0, 4.0, 0.0]), (1, 2, 1, 2))
        >>> [round(value, 4) for value in ops.convert_to_numpy(unit(vectors)).ravel().tolist()]
        [0.6, 0.0, 0.8, 0.0]
    """
    squared = ops.sum(ops.square(maps), 1, keepdims=True)
    zero = ops.equal(squared, 0)
    length = ops.sqrt(ops.where(zero, 1.0, squared)) + UNIT_EPSILON
    return maps * ops.where(zero, 0.0, 1 / length)


def contextual(metric: Contextual, x: list[Any], y: list[Any]) -> Any:
    """Σ_l w_l · (−log CX) of the maps, ``(n,)``."""
    parts = zip(metric.weights.values(), x, y, strict=True)
    return sum(weight * _contextual(metric, a, b) for weight, a, b in parts)


def contextual_patches(metric: Contextual, x: Any, y: Any) -> Any:
    """−log CX of the raw patches of a pair ``(n, c, h, w)``."""
    return contextual(metric, [_patches(metric, x)], [_patches(metric, y)])


def _patches(metric: Contextual, image: Any) -> Any:
    """Every patch about a position as the channels of a map ``(n, c·k², h', w')``; the border is mirrored."""
    edge, side = metric.patch // 2, metric.patch
    for axis in (2, 3):
        [shown] = planes.made(partial(_mirrored, edge), ops.shape(image)[axis])
        image = ops.take(image, shown, axis)
    down, across = ((extent - side) // metric.stride * metric.stride + 1 for extent in planes.sides(image))
    corners = [(i, j) for i in range(side) for j in range(side)]
    return ops.concatenate(
        [image[:, :, i : i + down : metric.stride, j : j + across : metric.stride] for i, j in corners], 1
    )


def _mirrored(edge: int, side: int) -> tuple[np.ndarray, ...]:
    """Which pixel each position of a line shows that is mirrored by ``edge`` at both ends."""
    return (np.pad(np.arange(side), edge, mode="symmetric"),)


def _contextual(metric: Contextual, x: Any, y: Any) -> Any:
    """Eq. 2–5 of Mechrez et al., ECCV 2018; it holds the matrix of all pairs of positions."""
    height, width = planes.sides(x)
    if metric.distance == "cosine":
        mean = ops.mean(y, (2, 3), keepdims=True)
        x, y = _directions(x - mean), _directions(y - mean)
    x, y = (ops.transpose(ops.reshape(maps, (-1, maps.shape[1], height * width)), (0, 2, 1)) for maps in (x, y))
    chosen, rows, columns = planes.made(partial(_positions, metric), height, width)
    if metric.sampling == "paired":
        x, y = ops.take(x, chosen, 1), ops.take(y, chosen, 1)
    d = _distances(x, y, metric.distance)
    if metric.spatial_weight:
        rows, columns = (ops.convert_to_tensor(line, d.dtype) for line in (rows, columns))
        offsets = ops.sqrt(sum(ops.square(ops.expand_dims(line, 1) - line) for line in (rows, columns)))
        shorter = (
            min(height, width) if planes.known(height, width) else ops.cast(ops.minimum(height, width), d.dtype)
        )
        d = d + offsets * metric.spatial_weight / shorter
    relative = d / (ops.min(d, 2, keepdims=True) + EPSILON)
    similarity = ops.softmax(-relative / metric.bandwidth, 2)
    return 0 - ops.log(ops.mean(ops.max(similarity, 1), 1))


def _positions(metric: Contextual, height: int, width: int) -> tuple[np.ndarray, ...]:
    """The positions that are compared, and their rows and columns."""
    count = height * width
    sampled = metric.sampling == "paired" and count > metric.positions
    chosen = sample(count, metric.positions, metric.seed).numpy() if sampled else np.arange(count)
    return chosen, *np.divmod(chosen, width)


def _distances(x: Any, y: Any, kind: str) -> Any:
    if kind == "l1":
        return ops.sum(ops.abs(ops.expand_dims(x, 2) - ops.expand_dims(y, 1)), 3)
    products = planes.product_of(x, ops.transpose(y, (0, 2, 1)))
    if kind == "cosine":
        return ops.relu(0.5 - 0.5 * products)
    squares = [ops.sum(ops.square(vectors), 2) for vectors in (x, y)]
    return ops.relu(ops.expand_dims(squares[0], 2) + ops.expand_dims(squares[1], 1) - 2 * products)


def _directions(maps: Any) -> Any:
    """Vectors divided by their length; those shorter than `SHORTEST` become zero, with gradient 0."""
    squared = ops.sum(ops.square(maps), 1, keepdims=True)
    short = squared < SHORTEST**2
    return maps * ops.where(short, 0.0, 1 / ops.sqrt(ops.where(short, 1.0, squared)))
