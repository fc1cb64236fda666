"""What Keras hands to a loss or a metric, as a checked pair of batches: every input error of this room.

Keras gives ``(y_true, y_pred)``, the reference first, in either data format. The formulas take ``(x, y)``: judged
first, ``(n, c, h, w)``, in the unit range, float32 (float64 stays).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
from keras import ops

from lookalike import ranges
from lookalike.ranges import DataRange

DataFormat = Literal["channels_last", "channels_first"]
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
    found = keras.config.image_data_format() if wanted is None else wanted
    if found == "channels_last" or found == "channels_first":
        return found
    raise ValueError(f"{who}: data_format must be one of {', '.join(get_args(DataFormat))} or None; got {wanted!r}")


def pair(
    y_true: Any,
    y_pred: Any,
    *,
    who: str,
    data_range: DataRange = 1.0,
    data_format: DataFormat = "channels_last",
    channels: tuple[int, ...] | None = None,
    min_side: int = 1,
) -> tuple[Any, Any]:
    """Check a pair and bring it into the form of the formulas.

    Args:
        y_true: references, in ``data_format`` and ``data_range``.
        y_pred: images judged, same shape.
        who: the loss or metric that asks; it begins every message.
        data_range: of the values, whatever their dtype.
        data_format: where the channels are.
        channels: the numbers of channels accepted; None accepts any.
        min_side: the smallest height and width accepted, in pixels.

    Returns:
        ``x`` (judged) and ``y`` (reference), ``(n, c, h, w)`` with static channels and sides.

    Raises:
        ValueError: shapes that do not fit, or whose sides or channels are not known when the graph is built;
            integers with the range of floats.

    Example:
        >>> x, y = pair(ops.ones((2, 4, 5, 3)), ops.zeros((2, 4, 5, 3)), who="doc")
        >>> tuple(x.shape), float(ops.max(x)), float(ops.max(y))
        ((2, 3, 4, 5), 0.0, 1.0)
    """
    low, high = ranges.bounds(data_range, who)
    check_dtypes(y_true, y_pred, who=who, data_range=data_range)
    known = [_dimensions(batch, name, who, data_format) for name, batch in (("y_true", y_true), ("y_pred", y_pred))]
    merged = [a if b is None else b for a, b in zip(*known, strict=True)]
    if any(a != b and None not in (a, b) for a, b in zip(*known, strict=True)):
        raise ValueError(
            f"{who}: y_true and y_pred must have the same shape, got {known[0]} and {known[1]}; "
            "nothing is broadcast, resize or expand one of them first"
        )
    if None in merged[1:]:
        raise ValueError(
            f"{who}: height, width and channels must be known when the graph is built, got y_true {known[0]} and "
            f"y_pred {known[1]}; give the data set or the model's Input a fixed size"
        )
    count, height, width = (merged[at] for at in ((3, 1, 2) if data_format == "channels_last" else (1, 2, 3)))
    if 0 in (count, height, width):
        raise ValueError(f"{who}: y_true has an empty dimension: {known[0]}; only the batch may be empty")
    if channels is not None and count not in channels:
        wanted = " or ".join(map(str, channels))
        raise ValueError(
            f"{who}: needs {wanted} channel(s), got {count} in shape {tuple(merged)} as {data_format}; "
            "pass data_format= where the channels are elsewhere"
        )
    if min(height, width) < min_side:
        raise ValueError(
            f"{who}: needs images of at least {min_side} px a side, got {height}x{width}; use larger images, or a "
            "smaller window or fewer scales where the metric has them"
        )
    dtypes = [keras.backend.standardize_dtype(batch.dtype) for batch in (y_true, y_pred)]
    dtype = "float64" if "float64" in dtypes else "float32"
    x, y = (_planes(batch, dtype, (count, height, width), data_format) for batch in (y_pred, y_true))
    return ((x - low) / (high - low), (y - low) / (high - low)) if (low, high) != (0, 1) else (x, y)


def check_dtypes(y_true: Any, y_pred: Any, *, who: str, data_range: DataRange) -> None:
    """Refuse integers in the range of floats, before Keras makes floats of what it hands on to a loss.

    Raises:
        ValueError: for an integer batch where the data range ends at 1 or below.

    Example:
        >>> check_dtypes(ops.ones((1, 2, 2, 1), "uint8"), ops.ones((1, 2, 2, 1)), who="doc", data_range=255)
    """
    if ranges.bounds(data_range, who)[1] > 1:
        return
    for name, batch in (("y_true", y_true), ("y_pred", y_pred)):
        dtype = getattr(batch, "dtype", None)
        if dtype is not None and "int" in keras.backend.standardize_dtype(dtype):
            raise ValueError(
                f"{who}: {name} is {keras.backend.standardize_dtype(dtype)}, but data_range={data_range!r}; pass "
                "data_range=255 for 8-bit images (then floats are in 0-255 too), or divide by 255"
            )


def check_weights(sample_weight: Any, who: str) -> None:
    """Refuse weights of pixels: scores are of images, and backends disagree on what to broadcast.

    Raises:
        ValueError: for weights whose shape is known and neither ``()`` nor ``(batch,)`` nor ``(batch, 1)``.

    Example:
        >>> check_weights(ops.ones((4,)), "doc")
    """
    shape = getattr(sample_weight, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:  # a number, or TensorFlow does not know
        return
    sizes = tuple(shape)
    if len(sizes) > 2 or (len(sizes) == 2 and sizes[1] not in (1, None)):
        raise ValueError(
            f"{who}: sample_weight must be one weight an image, (batch,) or (batch, 1), got shape {sizes}; "
            "a score has no pixels to weigh"
        )


def _dimensions(batch: Any, name: str, who: str, data_format: DataFormat) -> tuple[int | None, ...]:
    shape = getattr(batch, "shape", None)
    if shape is None:
        raise ValueError(f"{who}: {name} must be a tensor {_SHAPES[data_format]}, got {type(batch).__name__}")
    try:
        dimensions = tuple(shape)
    except ValueError:  # TensorFlow's way to say that it does not even know the rank
        raise ValueError(
            f"{who}: the rank of {name} is not known when the graph is built; it must be {_SHAPES[data_format]}, "
            "set it with tf.ensure_shape"
        ) from None
    if len(dimensions) != 4:
        raise ValueError(
            f"{who}: {name} must be {_SHAPES[data_format]}, got shape {dimensions}; "
            + ("add the missing dimensions" if len(dimensions) < 4 else "reshape it")
        )
    return dimensions


def _planes(batch: Any, dtype: str, sizes: tuple[int, int, int], data_format: DataFormat) -> Any:
    batch = ops.cast(batch, dtype)
    if data_format == "channels_last":
        batch = ops.transpose(batch, (0, 3, 1, 2))
    # Says the sizes that only the other batch of the pair knew.
    return ops.reshape(batch, (-1, *sizes)) if None in tuple(batch.shape[1:]) else batch
