"""Separable linear maps of image planes: windows, halving and shrinking, as one matrix along each axis.

A window and the border rule before it are together a banded matrix, and so is every way to halve an odd side. Two
matrix products of ``(n, c, h, w)`` with constants are, up to sides of about 512 px, faster than the convolutions of
TensorFlow and of XLA on a CPU (a half to an eighth of the time at 16×3×256²); their cost grows with the side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from lookalike.conventions import Border, Halving

Sources = Sequence[int | None]


def blur(x: Any, taps: tuple[float, ...], border: Border = "valid") -> Any:
    """Every plane of ``(n, c, h, w)`` correlated with a separable window, under a border rule.

    Returns:
        ``(n, c, h, w)``; with ``"valid"`` ``len(taps) - 1`` fewer a side.

    Example:
        >>> float(ops.mean(blur(ops.ones((1, 1, 5, 5)), (0.25, 0.5, 0.25))))
        1.0
    """
    return apply(x, *(window(side, taps, border) for side in x.shape[2:]))


def halve(x: Any, rule: Halving) -> Any:
    """2x2 pixels averaged, one of each kept: the step between two scales; the rules are `ops.window.halve`'s.

    Example:
        >>> ops.convert_to_numpy(halve(ops.ones((1, 1, 3, 3)), "zero"))[0, 0, 0].tolist()
        [0.25, 0.5]
    """
    if rule == "colour":
        x = (x + ops.concatenate([x[:, :1], x[:, :-1]], 1)) / 2
    odd = any(side % 2 for side in x.shape[2:])
    return apply(x, *(_halving(side, rule, odd) for side in x.shape[2:]))


def shrink(x: Any, factor: int, border: Border) -> Any:
    """Box-filtered by ``factor``, every ``factor``-th pixel kept; the rules are `ops.window.shrink`'s.

    Example:
        >>> row = ops.broadcast_to(ops.arange(5.0), (1, 1, 5, 5))
        >>> ops.convert_to_numpy(shrink(row, 2, "symmetric"))[0, 0, 0].tolist()
        [0.5, 2.5, 4.0]
    """
    return apply(x, *(_shrinking(side, factor, border) for side in x.shape[2:]))


def apply(x: Any, down: np.ndarray, across: np.ndarray) -> Any:
    """``down`` · plane · ``across``ᵀ for every plane ``(…, h, w)``."""
    x = product_of(x, ops.convert_to_tensor(np.ascontiguousarray(across.T), x.dtype))
    return product_of(ops.convert_to_tensor(down, x.dtype), x)


def product_of(a: Any, b: Any) -> Any:
    """A matrix product in the full precision of its dtype: moments do not survive the ten bits of TF32."""
    if keras.backend.backend() != "jax":
        return ops.matmul(a, b)
    import jax

    with jax.default_matmul_precision("highest"):
        return ops.matmul(a, b)


@lru_cache(maxsize=256)
def window(side: int, taps: tuple[float, ...], border: Border) -> np.ndarray:
    """The matrix of a window along an axis, ``(side', side)``.

    Example:
        >>> window(3, (0.25, 0.5, 0.25), "symmetric").tolist()
        [[0.75, 0.25, 0.0], [0.25, 0.5, 0.25], [0.0, 0.25, 0.75]]
    """
    radius = 0 if border == "valid" else (len(taps) - 1) // 2
    sources = _sources(side, radius, radius, border)
    return _gathered(side, [(sources[at : at + len(taps)], taps) for at in range(len(sources) - len(taps) + 1)])


@lru_cache(maxsize=256)
def _halving(side: int, rule: Halving, odd: bool) -> np.ndarray:
    before, after = {
        "symmetric": (0, side % 2), "zero": (side % 2, side % 2), "replicate": (int(odd), 0), "floor": (0, 0),
        "reflect": (1, 0), "colour": (1, 0),
    }[rule]  # fmt: skip
    border: Border = "zero" if rule == "zero" else "reflect" if rule == "reflect" else "symmetric"
    sources = _sources(side - side % 2 if rule == "reflect" else side, before, after, border)
    return _gathered(side, _boxes(sources, 2))


@lru_cache(maxsize=256)
def _shrinking(side: int, factor: int, border: Border) -> np.ndarray:
    if border == "reflect":  # the box is anchored at its lower right middle and what is left at the end dropped
        sources = _sources(side, factor // 2, 0, border)[: side // factor * factor]
    else:
        before = (factor - 1) // 2
        sources = _sources(side, before, factor - 1 - before, border)
    return _gathered(side, _boxes(sources, factor))


def _sources(side: int, before: int, after: int, border: Border) -> Sources:
    """Which pixel each position of an extended line shows; None for a zero."""
    line = np.arange(side)
    if border == "valid":
        return line.tolist()
    if border == "zero":
        return [*[None] * before, *line.tolist(), *[None] * after]
    if side < max(before, after) + (border == "reflect"):
        raise ValueError(
            f"border {border!r}: a side of {side} px is too short to mirror {max(before, after)} px; "
            "use larger images or a smaller window"
        )
    return np.pad(line, (before, after), mode=border).tolist()


def _boxes(sources: Sources, factor: int) -> list[tuple[Sources, tuple[float, ...]]]:
    starts = range(0, len(sources) - factor + 1, factor)
    return [(sources[start : start + factor], (1 / factor,) * factor) for start in starts]


def _gathered(side: int, rows: list[tuple[Sources, tuple[float, ...]]]) -> np.ndarray:
    matrix = np.zeros((len(rows), side))
    for row, (sources, weights) in zip(matrix, rows, strict=True):
        for source, weight in zip(sources, weights, strict=True):
            if source is not None:
                row[source] += weight
    return matrix
