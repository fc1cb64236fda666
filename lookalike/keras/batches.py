"""What Keras hands to a loss or a metric, as a checked pair of batches: every input error of this room.

Keras gives ``(y_true, y_pred)``, the reference first, in either data format. The formulas take ``(x, y)``: judged
first, ``(n, c, h, w)`` or ``(n, c, d, h, w)``, in the unit range, float32 (float64 stays).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import ops

from lookalike.keras.planes import known
from lookalike.ranges import DataRange, bounds

DataFormat = Literal["channels_last", "channels_first"]

_CARRIED = {"uint8": 255.0, "uint16": 65535.0}
_SHAPES = {
    "channels_last": "(batch, height, width, channels)",
    "channels_first": "(batch, channels, height, width)",
}


def data_format(wanted: str | None, who: str) -> DataFormat:
    """The data format asked for, None being that of ``keras.config``.

    Raises:
        ValueError: for another word.

    Example:
        >>> data_format("channels_first", "doc")
        'channels_first'
    """
    format_ = keras.config.image_data_format() if wanted is None else wanted
    if format_ == "channels_last" or format_ == "channels_first":
        return format_
    raise ValueError(f"{who}: data_format must be one of {', '.join(get_args(DataFormat))} or None; got {wanted!r}")


def pair(
    y_true: Any,
    y_pred: Any,
    *,
    who: str,
    mask: Any = None,
    data_range: DataRange | None = None,
    data_format: DataFormat = "channels_last",
    channels: tuple[int, ...] | None = None,
    min_side: int = 1,
    volumes: bool = False,
) -> tuple[Any, Any, Any]:
    """Check a pair and bring it into the form of the formulas.

    Args:
        y_true: references, in ``data_format`` and ``data_range``.
        y_pred: images judged, same shape.
        who: the loss or metric that asks; it begins every message.
        mask: what counts, as `weights_of` returns it; None: all pixels.
        data_range: of the values, see `range_of`.
        data_format: where the channels are.
        channels: the numbers of channels accepted; None accepts any.
        min_side: the smallest height and width accepted, in pixels.
        volumes: whether ``(batch, depth, height, width, channels)`` is accepted too.

    Returns:
        ``x`` (judged), ``y`` (reference), ``(n, c, h, w)`` or ``(n, c, d, h, w)`` with static channels, and the
        mask in their dtype and shape, or None. Under a mask of 0 both are 0, whatever they held, without gradient.

    Raises:
        TypeError, ValueError: dtypes that do not fit the range; shapes that do not fit, or whose channels are not
            known when the graph is built. Where TensorFlow does not know the sides yet, they are checked when the
            graph runs.

    Example:
        >>> x, y, _ = pair(ops.ones((2, 4, 5, 3)), ops.zeros((2, 4, 5, 3)), who="doc")
        >>> tuple(x.shape), float(ops.max(x)), float(ops.max(y))
        ((2, 3, 4, 5), 0.0, 1.0)
    """
    low, high = range_of(y_true, y_pred, data_range, who)
    shapes = [_dimensions(batch, name, who, data_format, volumes) for name, batch in _named(y_true, y_pred)]
    if len(shapes[0]) != len(shapes[1]) or any(
        known(a, b) and a != b for a, b in zip(*shapes, strict=True) if None not in (a, b)
    ):
        raise ValueError(
            f"{who}: y_true and y_pred must have the same shape, got {shapes[0]} and {shapes[1]}; "
            "nothing is broadcast, resize or expand one of them first"
        )
    merged = [a if b is None else b for a, b in zip(*shapes, strict=True)]
    if data_format == "channels_last":
        count, spatial = merged[-1], merged[1:-1]
    else:
        count, spatial = merged[1], merged[2:]
    open_ = None in spatial
    if count is None or (open_ and not _runs_open(y_true, y_pred)):
        raise ValueError(
            f"{who}: {'channels' if count is None else 'height and width'} must be known when the graph is built, "
            f"got y_true {shapes[0]} and y_pred {shapes[1]}; give the data set or the model's Input a fixed size"
        )
    if 0 in (count, *(side for side in spatial if known(side))):
        raise ValueError(f"{who}: y_true has an empty dimension: {shapes[0]}; only the batch may be empty")
    if channels is not None and count not in channels:
        accepted = " or ".join(map(str, channels))
        raise ValueError(
            f"{who}: needs {accepted} channel(s), got {count} in shape {tuple(merged)} as {data_format}; "
            "pass data_format= where the channels are elsewhere"
        )
    if any(known(side) and side < min_side for side in spatial):
        raise ValueError(
            f"{who}: needs images of at least {min_side} px a side, got {'x'.join(map(str, spatial))}; use larger "
            "images, or a smaller window or fewer scales where the metric has them"
        )
    dtype = "float64" if "float64" in (_dtype(y_true), _dtype(y_pred)) else "float32"
    x, y = (_planes(batch, dtype, count, spatial, data_format) for batch in (y_pred, y_true))
    if open_:
        x, y = _same_when_run(x, y, who, min_side)
    if (low, high) != (0, 1):
        x, y = (x - low) / (high - low), (y - low) / (high - low)
    if mask is None:
        return x, y, None
    weights = _weights(mask, dtype, y, len(merged), data_format)
    counts = weights > 0
    return ops.where(counts, x, 0.0), ops.where(counts, y, 0.0), weights


def as_tensor(batch: Any, dtype: str | None = None) -> Any:
    """A batch as a tensor of the backend; floats in a dtype, integers as they are, as arrays where they came so.

    Args:
        batch: a tensor, an array, or numbers in lists.
        dtype: of floats; None keeps theirs.

    Example:
        >>> keras.backend.standardize_dtype(as_tensor(np.ones((1, 1), "float64"), "float32").dtype)
        'float32'
    """
    if "float" not in _dtype(batch):
        return batch
    if isinstance(batch, keras.KerasTensor):
        return batch
    return ops.convert_to_tensor(batch, dtype)


def range_of(y_true: Any, y_pred: Any, data_range: DataRange | None, who: str) -> tuple[float, float]:
    """The two ends of the range of a pair, from ``data_range`` and from what its dtypes carry.

    Floats are in ``data_range``, None being [0, 1]. uint8 and uint16 are 0-255 and 0-65535, and another range is an
    error. Other integers are in ``data_range``, which must be given. Where one of a pair holds integers and the
    other does not, as a model's output beside 8-bit images, both are in ``data_range``, which must be given too.

    Raises:
        ValueError: for a range that contradicts the dtype, and for two kinds without a range.
        TypeError: for integers that carry no range, where none is given, and for what is no number.

    Example:
        >>> image = np.zeros((1, 2, 2, 1), "uint8")
        >>> range_of(image, image, None, "doc"), range_of(image, image / 1.0, 255, "doc")
        ((0.0, 255.0), (0.0, 255.0))
    """
    dtypes = {name: _dtype(batch) for name, batch in _named(y_true, y_pred)}
    for name, dtype in dtypes.items():
        if "float" not in dtype and "int" not in dtype:
            raise TypeError(f"{who}: {name} is {dtype}; it must be floats or integers, convert it first")
        carried = _CARRIED.get(dtype)
        if carried is not None and data_range is not None and bounds(data_range, who) != (0.0, carried):
            raise ValueError(
                f"{who}: {name} is {dtype}, which is always 0-{carried:g}, but data_range={data_range!r}; leave "
                f"data_range out where both are {dtype}, or pass data_range={carried:g} (then floats are in "
                f"0-{carried:g} too), or convert it to floats"
            )
    if data_range is not None:
        return bounds(data_range, who)
    if all("float" in dtype for dtype in dtypes.values()):
        return 0.0, 1.0
    if dtypes["y_true"] != dtypes["y_pred"]:
        [name, integer] = next(item for item in dtypes.items() if "int" in item[1])
        raise ValueError(
            f"{who}: {name} is {integer}, but y_true and y_pred are of two kinds ({dtypes['y_true']} and "
            f"{dtypes['y_pred']}); say what range both are in, data_range=255 for 8-bit images (then floats are in "
            "0-255 too), or divide by 255"
        )
    carried = _CARRIED.get(dtypes["y_true"])
    if carried is None:
        raise TypeError(
            f"{who}: y_true and y_pred are {dtypes['y_true']}, which does not say its range; pass data_range, "
            "such as data_range=255 for 8-bit values"
        )
    return 0.0, carried


def weights_of(
    sample_weight: Any, y_true: Any, who: str, *, data_format: DataFormat = "channels_last", masks: bool = True
) -> tuple[Any, Any]:
    """What Keras calls sample weights, as weights of images and as a mask of pixels; one of them is None.

    Args:
        sample_weight: a number, ``(batch,)`` or ``(batch, 1)`` weighs images; of the shape of ``y_true``, with one
            channel or without the axis of channels, it is a mask: 1 or True counts, 0 does not.
        y_true: the references.
        who: named in errors.
        data_format: where the channels are.
        masks: whether the metric takes masks.

    Returns:
        The weights of images as they came, and the mask with its axis of channels.

    Raises:
        ValueError: for another shape, where it is known.

    Example:
        >>> image = ops.ones((4, 8, 8, 3))
        >>> weights, mask = weights_of(ops.ones((4, 8, 8, 1)), image, "doc")
        >>> weights is None, tuple(mask.shape)
        (True, (4, 8, 8, 1))
    """
    shape = getattr(sample_weight, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:  # a number, or TensorFlow does not know
        return sample_weight, None
    sizes = tuple(shape)
    if len(sizes) < 2 or (len(sizes) == 2 and sizes[1] in (1, None)):
        return sample_weight, None
    images = tuple(y_true.shape)
    axis = len(images) - 1 if data_format == "channels_last" else 1
    grey = (*images[:axis], *images[axis + 1 :])
    fits = [images, (*images[:axis], 1, *images[axis + 1 :]), grey] if masks else []
    for fit in fits:
        if len(fit) == len(sizes) and all(
            a == b for a, b in zip(sizes, fit, strict=True) if a is not None and b is not None
        ):
            if fit is grey:
                sample_weight = sample_weight[:, None] if axis == 1 else sample_weight[..., None]
            return None, sample_weight
    also = f", or a mask {' or '.join(map(str, fits))}" if masks else ": this score has no pixels to weigh"
    raise ValueError(
        f"{who}: sample_weight must be one weight an image, (batch,) or (batch, 1){also}; got shape {sizes}"
    )


def shape_alone(x: Any, who: str) -> bool:
    """Whether Keras builds a model and asks for the shape of a score alone, on planes ``(n, c, *spatial)``.

    Raises:
        ValueError: where JAX traces sides that are not known, and the score itself is wanted.

    Example:
        >>> shape_alone(ops.ones((1, 1, 2, 2)), "doc")
        False
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return x.device.type == "meta"
    if backend != "jax" or known(*x.shape[2:]):
        return False
    try:
        from keras.src.backend.common.symbolic_scope import in_symbolic_scope
    except ImportError:
        return True
    if in_symbolic_scope():
        return True
    raise ValueError(f"{who}: JAX must know the sides of images when it traces, got {tuple(x.shape)}")


def _named(y_true: Any, y_pred: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return ("y_true", y_true), ("y_pred", y_pred)


def _dtype(batch: Any) -> str:
    dtype = getattr(batch, "dtype", None)
    return "float32" if dtype is None else keras.backend.standardize_dtype(dtype)


def _dimensions(batch: Any, name: str, who: str, data_format: DataFormat, volumes: bool) -> tuple[int | None, ...]:
    shape = getattr(batch, "shape", None)
    layout = _SHAPES[data_format]
    if shape is None:
        raise ValueError(f"{who}: {name} must be a tensor {layout}, got {type(batch).__name__}")
    try:
        dimensions = tuple(shape)
    except ValueError:  # TensorFlow's way to say that it does not even know the rank
        raise ValueError(
            f"{who}: the rank of {name} is not known when the graph is built; it must be {layout}, "
            "set it with tf.ensure_shape"
        ) from None
    if len(dimensions) not in ((4, 5) if volumes else (4,)):
        also = f", volumes {layout.replace('height', 'depth, height')}" if volumes else ""
        raise ValueError(
            f"{who}: {name} must be {layout}, got shape {dimensions}; "
            f"{'add the missing dimensions' if len(dimensions) < 4 else 'reshape it'}{also}"
        )
    return dimensions


def _planes(batch: Any, dtype: str, count: int, spatial: list[Any], data_format: DataFormat) -> Any:
    if isinstance(batch, np.ndarray) and batch.dtype.kind in "iu":  # not every backend has every kind of integer
        batch = batch.astype(dtype)
    batch = ops.cast(batch, dtype)
    if data_format == "channels_last":
        last = len(spatial) + 1
        batch = ops.transpose(batch, (0, last, *range(1, last)))
    if None not in tuple(batch.shape[1:]):
        return batch
    # Says the sizes that only the other batch of the pair knew.
    if None not in spatial:
        return ops.reshape(batch, (-1, count, *spatial))
    import tensorflow as tf

    return tf.ensure_shape(batch, (None, count, *spatial))


def _runs_open(*batches: Any) -> bool:
    """Whether sides that are not known are so until a graph of TensorFlow runs, and not for ever."""
    return keras.backend.backend() == "tensorflow" and not any(
        isinstance(batch, keras.KerasTensor) for batch in batches
    )


def _same_when_run(x: Any, y: Any, who: str, min_side: int) -> tuple[Any, Any]:
    import tensorflow as tf

    same = tf.debugging.assert_equal(
        tf.shape(x), tf.shape(y), message=f"{who}: y_true and y_pred must have the same shape; nothing is broadcast"
    )
    large = tf.debugging.assert_greater_equal(
        tf.reduce_min(tf.shape(x)[2:]), min_side,
        message=f"{who}: needs images of at least {min_side} px a side; use larger images, or a smaller window or "
        "fewer scales where the metric has them",
    )  # fmt: skip
    with tf.control_dependencies([same, large]):
        return tf.identity(x), tf.identity(y)


def _weights(mask: Any, dtype: str, like: Any, rank: int, data_format: DataFormat) -> Any:
    """A mask in the form of the planes of ``like``, one value for each of theirs."""
    mask = ops.cast(ops.convert_to_tensor(mask), dtype)
    if data_format == "channels_last":
        mask = ops.transpose(mask, (0, rank - 1, *range(1, rank - 1)))
    return mask * ops.ones_like(like)
