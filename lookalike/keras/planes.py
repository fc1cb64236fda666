"""Separable linear maps of image planes and volumes: windows, halving and shrinking, as one matrix along each axis.

A window and the border rule before it are together a banded matrix, and so is every way to halve an odd side. Two
matrix products of ``(n, c, h, w)`` with constants are, up to sides of about 512 px, faster than the convolutions of
TensorFlow and of XLA on a CPU (a half to an eighth of the time at 16×3×256²); their cost grows with the side.

A side is a whole number, or a scalar of the backend where a graph is built before sizes are known: then the matrix
is made in the graph, by the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from lookalike.conventions import Border, Halving

Side = Any  # an int, or a scalar of the backend
Matrix = Any  # an array, or a tensor of the backend


def sides(x: Any) -> tuple[Side, ...]:
    """The spatial sides of ``(n, c, *spatial)``, numbers where they are known.

    Example:
        >>> sides(ops.ones((2, 3, 4, 5)))
        (4, 5)
    """
    return tuple(ops.shape(x))[2:]


def known(*sizes: Side) -> bool:
    """Whether sizes are numbers, and not scalars of a graph.

    Example:
        >>> known(3, 4)
        True
    """
    return all(isinstance(size, int) for size in sizes)


def made(make: Callable[..., tuple[np.ndarray, ...]], *sizes: Side) -> tuple[Matrix, ...]:
    """Arrays that only Python makes, for sizes that may not be known before a graph of TensorFlow runs.

    Then the graph calls Python, which XLA does not do.

    Args:
        make: the arrays for sizes, for any.
        sizes: numbers, or scalars of a graph.

    Example:
        >>> [line] = made(lambda side: (np.arange(side),), 3)
        >>> line.tolist()
        [0, 1, 2]
    """
    if known(*sizes):
        return make(*sizes)
    import tensorflow as tf

    alike = make(*[64] * len(sizes))
    arrays = tf.numpy_function(lambda *given: make(*map(int, given)), sizes, [array.dtype for array in alike])
    for tensor, array in zip(arrays, alike, strict=True):
        tensor.set_shape([None] * array.ndim)
    return tuple(arrays)


def mean(x: Any, mask: Any = None) -> Any:
    """The mean of each image, ``(n, …) -> (n,)``, over what a mask of the same shape lets count; 0 for nothing.

    Example:
        >>> x = ops.convert_to_tensor([[1.0, 5.0]])
        >>> float(mean(x)[0]), float(mean(x, ops.convert_to_tensor([[1.0, 0.0]]))[0])
        (3.0, 1.0)
    """
    axes = tuple(range(1, len(x.shape)))
    return ops.mean(x, axes) if mask is None else quotient(ops.sum(mask * x, axes), ops.sum(mask, axes))


def quotient(a: Any, b: Any) -> Any:
    """``a / b``, or ``a`` where b is 0.

    Example:
        >>> float(quotient(ops.ones(()), 0 * ops.ones(()))), float(quotient(ops.ones(()), 4 * ops.ones(())))
        (1.0, 0.25)
    """
    return a / ops.where(ops.equal(b, 0), 1.0, b)


def counts(mask: Any) -> Any:
    """Which images have something that counts, ``(n,)``, boolean.

    Example:
        >>> ops.convert_to_numpy(counts(ops.convert_to_tensor([[0.0, 0.0], [0.0, 0.5]]))).tolist()
        [False, True]
    """
    return ops.any(mask > 0, tuple(range(1, len(mask.shape))))


def spatial_mean(x: Any, keepdims: bool = False) -> Any:
    """The mean of each plane or volume, ``(n, c, *spatial) -> (n, c)``.

    Example:
        >>> tuple(spatial_mean(ops.ones((2, 3, 4, 5))).shape)
        (2, 3)
    """
    return ops.mean(x, tuple(range(2, len(x.shape))), keepdims=keepdims)


def blur(x: Any, taps: Sequence[Any], border: Border = "valid") -> Any:
    """Every plane of ``(n, c, *spatial)`` correlated with a separable window, under a border rule.

    Args:
        x: the planes.
        taps: the window of every axis, or one for each.
        border: how sides are extended; an even window has its centre right of the middle.

    Returns:
        ``(n, c, *spatial)``; with ``"valid"`` ``len(taps) - 1`` fewer a side.

    Example:
        >>> float(ops.mean(blur(ops.ones((1, 1, 5, 5)), (0.25, 0.5, 0.25))))
        1.0
    """
    spatial = sides(x)
    along = taps if isinstance(taps[0], tuple) else [tuple(taps)] * len(spatial)
    return apply(x, *(window(side, each, border) for side, each in zip(spatial, along, strict=True)))


def halve(rule: Halving, *images: Any) -> tuple[Any, ...]:
    """2x2 pixels averaged, one of each kept: the step between two scales; the rules are `ops.window.halve`'s.

    Args:
        rule: what is done where a side is odd.
        images: of one size.

    Example:
        >>> [half] = halve("zero", ops.ones((1, 1, 3, 3)))
        >>> ops.convert_to_numpy(half)[0, 0, 0].tolist()
        [0.25, 0.5]
    """
    spatial = sides(images[0])
    odd: Side = 0
    for side in spatial:
        odd = odd + side % 2 - odd * (side % 2)  # 1 where any side is odd
    matrices = [_halving(side, rule, odd) for side in spatial]
    if rule == "colour":
        images = tuple((x + ops.concatenate([x[:, :1], x[:, :-1]], 1)) / 2 for x in images)
    return tuple(apply(x, *matrices) for x in images)


def shrink(factor: Side, border: Border, *images: Any) -> tuple[Any, ...]:
    """Box-filtered by ``factor``, every ``factor``-th pixel kept; the rules are `ops.window.shrink`'s.

    Example:
        >>> [row] = shrink(2, "symmetric", ops.broadcast_to(ops.arange(5.0), (1, 1, 5, 5)))
        >>> ops.convert_to_numpy(row)[0, 0, 0].tolist()
        [0.5, 2.5, 4.0]
    """
    matrices = [_shrinking(side, factor, border) for side in sides(images[0])]
    return tuple(apply(x, *matrices) for x in images)


def enlarge(x: Any, *to: Side) -> Any:
    """Every plane of ``(n, c, h, w)`` interpolated linearly to larger sides, pixels being squares side by side.

    Example:
        >>> ops.convert_to_numpy(enlarge(ops.reshape(ops.arange(2.0), (1, 1, 1, 2)), 1, 4))[0, 0, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    pairs = zip(sides(x), to, strict=True)
    return apply(x, *(made(_interpolation, *pair)[0] for pair in pairs))


def lessen(x: Any, *to: Side) -> Any:
    """Every plane of ``(n, c, h, w)`` averaged to smaller sides, over the pixels that each new one touches.

    Example:
        >>> ops.convert_to_numpy(lessen(ops.reshape(ops.arange(3.0), (1, 1, 1, 3)), 1, 2))[0, 0, 0].tolist()
        [0.5, 1.5]
    """
    return apply(x, *(made(_shares, *pair)[0] for pair in zip(sides(x), to, strict=True)))


@lru_cache(maxsize=256)
def _shares(side: int, smaller: int) -> tuple[np.ndarray, ...]:
    row = np.arange(smaller)
    first, end = row * side // smaller, -(-(row + 1) * side // smaller)
    touched = (np.arange(side) >= first[:, None]) & (np.arange(side) < end[:, None])
    return (touched / (end - first)[:, None],)


@lru_cache(maxsize=256)
def _interpolation(side: int, larger: int) -> tuple[np.ndarray, ...]:
    at = np.clip((np.arange(larger) + 0.5) * side / larger - 0.5, 0, side - 1)
    return (np.maximum(0, 1 - np.abs(at[:, None] - np.arange(side))),)


def apply(x: Any, *matrices: Matrix) -> Any:
    """One matrix along each of the last axes: ``down`` · plane · ``across``ᵀ for every plane ``(…, h, w)``.

    Example:
        >>> volume = ops.ones((1, 1, 2, 2, 2))
        >>> float(apply(volume, np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)))[0, 0, 0, 0, 0])
        8.0
    """
    *deep, down, across = matrices
    across = np.ascontiguousarray(across.T) if isinstance(across, np.ndarray) else ops.transpose(across)
    x = product_of(x, ops.convert_to_tensor(across, x.dtype))
    x = product_of(ops.convert_to_tensor(down, x.dtype), x)
    for matrix in deep:  # of volumes
        matrix = ops.convert_to_tensor(matrix, x.dtype)
        *outer, depth, height, width = ops.shape(x)
        x = product_of(matrix, ops.reshape(x, (*outer, depth, height * width)))
        x = ops.reshape(x, (*outer, ops.shape(x)[-2], height, width))
    return x


def product_of(a: Any, b: Any) -> Any:
    """A matrix product in the full precision of its dtype: moments do not survive the ten bits of TF32."""
    if keras.backend.backend() != "jax":
        return ops.matmul(a, b)
    import jax

    with jax.default_matmul_precision("highest"):
        return ops.matmul(a, b)


def window(side: Side, taps: tuple[float, ...], border: Border) -> Matrix:
    """The matrix of a window along an axis, ``(side', side)``.

    Example:
        >>> window(3, (0.25, 0.5, 0.25), "symmetric").tolist()
        [[0.75, 0.25, 0.0], [0.25, 0.5, 0.25], [0.0, 0.25, 0.75]]
    """
    return _kept_window(side, taps, border) if known(side) else _window(side, taps, border)


def _window(side: Side, taps: tuple[float, ...], border: Border) -> Matrix:
    if border == "valid":
        return _matrix(side, 0, side, border, taps, 1)
    return _matrix(side, len(taps) // 2, side + len(taps) - 1, border, taps, 1)


def _halving(side: Side, rule: Halving, odd: Side) -> Matrix:
    return _kept_halving(side, rule, odd) if known(side, odd) else _half(side, rule, odd)


def _half(side: Side, rule: Halving, odd: Side) -> Matrix:
    before, after = {
        "symmetric": (0, side % 2), "zero": (side % 2, side % 2), "replicate": (odd, 0), "floor": (0, 0),
        "reflect": (1, 0), "colour": (1, 0),
    }[rule]  # fmt: skip
    border: Border = "zero" if rule == "zero" else "reflect" if rule == "reflect" else "symmetric"
    extent = side - side % 2 if rule == "reflect" else side
    return _matrix(side, before, extent + before + after, border, (0.5, 0.5), 2)


def _shrinking(side: Side, factor: Side, border: Border) -> Matrix:
    return _kept_shrinking(side, factor, border) if known(side, factor) else _shrunk(side, factor, border)


def _shrunk(side: Side, factor: Side, border: Border) -> Matrix:
    if border == "reflect":  # the box is anchored at its lower right middle and what is left at the end dropped
        return _matrix(side, factor // 2, side // factor * factor, border, None, factor)
    before = 0 if border == "valid" else (factor - 1) // 2
    extended = side if border == "valid" else side + factor - 1
    return _matrix(side, before, extended, border, None, factor)


def _matrix(
    side: Side, before: Side, extended: Side, border: Border, taps: tuple[float, ...] | None, stride: Side
) -> Matrix:
    """A window at every ``stride``-th position of a line that a border rule extends, as ``(rows, side)``.

    Args:
        side: of the line.
        before: positions that the rule adds at its beginning.
        extended: all positions, those that it adds at the end too.
        border: the rule; what it shows beyond the line is a pixel of it, or zero.
        taps: of the window; None for ``stride`` equal ones.
        stride: positions from one row to the next.

    Raises:
        ValueError: where a known side is too short for the window, or to be mirrored so far.
    """
    added = extended - side  # before and after
    if known(side, before, extended) and border in ("reflect", "symmetric"):
        reach = max(before, added - before)
        if side < reach + (border == "reflect"):
            raise ValueError(
                f"border {border!r}: a side of {side} px is too short to mirror {reach} px; "
                "use larger images or a smaller window"
            )
    xp: Any = np if known(side, before, extended, stride) else ops
    size = stride if taps is None else len(taps)
    rows = (extended - size) // stride + 1
    if known(rows) and rows < 1:
        raise ValueError(
            f"a window of {size} px does not fit into a side of {side} px; use larger images or a smaller window"
        )
    # Rows count what the rule extends; the line itself is there even where the rule drops its end.
    at = xp.arange(max(extended, before + side) if xp is np else ops.maximum(extended, before + side))
    offsets = xp.expand_dims(at, 0) - stride * xp.expand_dims(xp.arange(rows), 1)
    inside = xp.logical_and(offsets >= 0, offsets < size)
    if taps is None:
        weights = _exact(xp, inside) / _exact(xp, stride)
    else:
        weights = xp.take(_exact(xp, taps), xp.where(inside, offsets, 0)) * _exact(xp, inside)
    within = weights[:, before : before + side]
    if border in ("valid", "zero"):
        return within
    skip = int(border == "reflect")  # the edge pixel is not repeated
    outside = [(weights[:, :before], before - 1 - at[:before] + skip)]
    outside.append((weights[:, before + side :], 2 * side - 1 - skip - (at[before + side :] - before)))
    for part, source in outside:
        shown = xp.expand_dims(source, 1) == xp.expand_dims(xp.arange(side), 0)
        within = within + xp.matmul(part, _exact(xp, shown))
    return within


def _exact(xp: Any, values: Any) -> Any:
    """As floats, double where the backend has them without being asked."""
    if xp is np:
        return np.asarray(values, np.float64)
    return ops.cast(
        ops.convert_to_tensor(values), "float64" if keras.backend.backend() == "tensorflow" else "float32"
    )


_kept_window = lru_cache(maxsize=256)(_window)
_kept_halving = lru_cache(maxsize=256)(_half)
_kept_shrinking = lru_cache(maxsize=256)(_shrunk)
