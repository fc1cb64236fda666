"""A look at the references of the first batch: do they fit the data range, and is a mask a mask?

Outputs may lie outside their range while a network learns; references do not. So the first batch of references that
can be looked at decides, and afterwards nothing is spent. Eager calls can be looked at on every backend. In the
steps that ``fit`` and ``evaluate`` build TensorFlow can be asked to show the first batch, unless XLA compiles them.
JAX cannot without being slowed at every step: call a loss once with references of your own there,
``loss(y_true, y_true)``.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from lookalike.ranges import DataRange, bounds, mismatch


class Look:
    """Looks once at references, and warns where they do not fit a range.

    Attributes:
        done: whether a batch was seen.
    """

    def __init__(self) -> None:
        self.done = False
        self._shown: Any = None  # of TensorFlow's graphs: the variable that says whether a step has shown its batch

    def __getstate__(self) -> dict[str, Any]:
        return {"done": self.done, "_shown": None}

    def at(self, y_true: Any, mask: Any, ranges: set[DataRange], who: str) -> None:
        """Look at a batch, unless one was seen or this one has no values yet.

        Args:
            y_true: the references, as Keras hands them over.
            mask: what counts, of the rank of ``y_true``; None: all of it.
            ranges: those in which the references are taken to be.
            who: the loss or metric that asks; it begins the message.

        Raises:
            ValueError: for a mask with values that are NaN or outside [0, 1].
        """
        if self.done:
            return
        values, counts = concrete(y_true), None if mask is None else concrete(mask)
        if values is not None and (mask is None or counts is not None):
            self._check_values(values, counts, ranges, who)
        elif keras.backend.backend() == "tensorflow":
            self._check_in_graph(y_true, mask, ranges, who)

    def _check_values(
        self, values: np.ndarray, counts: np.ndarray | None, ranges: set[DataRange], who: str
    ) -> None:
        if counts is not None:
            check_mask(counts, who)
            values = values[np.broadcast_to(counts > 0, values.shape)]
        values = values[np.isfinite(values)]  # NaN and infinity say nothing of a range
        if values.size == 0:
            return
        self.done = True
        least, most, fractions = float(values.min()), float(values.max()), bool((values != np.round(values)).any())
        doubts = {mismatch(least, most, *bounds(ends, who), fractions=fractions) for ends in ranges}
        for doubt in sorted(doubt for doubt in doubts if doubt is not None):
            warnings.warn(f"{who}: the first targets, y_true, do not fit: {doubt}", stacklevel=5)

    def _check_in_graph(self, y_true: Any, mask: Any, ranges: set[DataRange], who: str) -> None:
        """Let a step of TensorFlow's that is being built show its first batch; later ones read one boolean."""
        import tensorflow as tf

        if not _may_call_python(tf):
            return
        with tf.init_scope():
            if self._shown is None:
                self._shown = tf.Variable(False, trainable=False)
        flag, inputs = self._shown, [y_true] if mask is None else [y_true, mask]

        def see(values: Any, *counts: Any) -> bool:
            if not self.done:
                shown, *weights = (np.asarray(batch, np.float64) for batch in (values, *counts))
                self._check_values(shown, weights[0] if weights else None, ranges, who)
            return self.done

        def show() -> Any:
            return flag.assign(tf.py_function(see, inputs, tf.bool)).read_value()

        tf.cond(flag, flag.read_value, show)


def check_mask(mask: np.ndarray, who: str) -> None:
    """Raise unless every value of a mask lies in [0, 1].

    Raises:
        ValueError: for NaN and for values outside.

    Example:
        >>> check_mask(np.array([0.0, 255.0]), "ssim")
        Traceback (most recent call last):
        ValueError: ssim: sample_weight as a mask must lie in [0, 1], where 1 counts; it is in [0, 255]
    """
    if mask.size and not (mask.min() >= 0 and mask.max() <= 1):
        raise ValueError(
            f"{who}: sample_weight as a mask must lie in [0, 1], where 1 counts; "
            f"it is in [{mask.min():g}, {mask.max():g}]"
        )


def concrete(batch: Any) -> np.ndarray | None:
    """The values of a batch as an array of floats; None where there are none yet, or none to be had.

    Example:
        >>> concrete(keras.ops.ones((1, 2))).tolist(), concrete(keras.KerasTensor((1, 2)))
        ([[1.0, 1.0]], None)
    """
    if isinstance(batch, keras.KerasTensor):
        return None
    if isinstance(batch, np.ndarray | list | tuple | float | int):
        return np.asarray(batch, np.float64)
    backend = keras.backend.backend()
    if backend == "tensorflow" and not hasattr(batch, "numpy"):
        return None
    if backend == "jax":
        import jax

        if isinstance(batch, jax.core.Tracer) or not batch.is_fully_addressable:
            return None
    if backend == "torch":
        from lookalike.modes import readable

        if not readable(batch):
            return None
    return np.asarray(keras.ops.convert_to_numpy(batch), np.float64)


def _may_call_python(tf: Any) -> bool:
    """Whether the graph that is being built is a step of Keras', in which Python may be called.

    A function of the user's own may be meant to be exported, which a call of Python would prevent.
    """
    graph = tf.compat.v1.get_default_graph()
    if tf.executing_eagerly() or tf.distribute.has_strategy():
        return False
    try:
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:
        return False
    if GraphOrParentsInXlaContext(graph):
        return False
    while graph is not None:
        if getattr(graph, "name", "") == "one_step_on_data":
            return True
        graph = getattr(graph, "outer_graph", None)
    return False
