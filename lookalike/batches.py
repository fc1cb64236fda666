"""What a batch of images is, and the one door through which every pair of images enters the library.

Words used everywhere: ``x`` is the image judged, ``y`` the reference. A batch is a tensor ``(n, c, h, w)``
(a volume ``(n, c, d, h, w)``); a map is ``(n, c, h', w')``; a score is ``(n,)``.

Range: floats lie in ``data_range`` – ``(0, data_range)`` when it is a number, ``(low, high)`` when it is a
pair – and ``uint8`` / ``uint16`` always mean 0–255 / 0–65535. Inside the library everything is scaled to the
unit range in float32; float64 stays float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lookalike.files import from_picture, load
from lookalike.modes import readable
from lookalike.ranges import TOLERANCE, DataRange, advice, bounds, describe_range

Check = Literal["values", "shapes"]
ImageLike = Any  # a path, a PIL image, a NumPy array (h, w) / (h, w, c), or a tensor (c, h, w) / (n, c, h, w)

_INTEGER_RANGE = {torch.uint8: 255.0, torch.uint16: 65535.0}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def pair(
    x: Tensor,
    y: Tensor,
    *,
    who: str,
    data_range: DataRange = 1.0,
    check: Check = "values",
    channels: Sequence[int] | None = None,
    min_side: int = 1,
    volumes: bool = False,
) -> tuple[Tensor, Tensor]:
    """Check a pair of batches and bring it to the unit range: every input error of the library is raised here.

    Args:
        x: images judged, ``(n, c, h, w)``, or ``(n, c, d, h, w)`` where ``volumes``.
        y: references, same shape, device and kind of dtype.
        who: the metric that asks; it begins every message.
        data_range: range of float inputs; integers carry their own.
        check: ``"values"`` also looks at the values (one pass over the data); ``"shapes"`` does not. Values
            are never looked at in compiled, exported, traced and captured graphs, in transforms of
            ``torch.func``, and on the meta device. NaN passes both.
        channels: the numbers of channels that are accepted; None accepts any.
        min_side: the smallest height and width accepted, in pixels.
        volumes: whether five-dimensional input is accepted.

    Returns:
        ``x`` and ``y`` in the unit range, float64 where either was float64, else float32.

    Raises:
        TypeError: not tensors, or dtypes that do not say their range.
        ValueError: shapes, devices, sizes or values that do not fit.

    Example:
        >>> a, b = pair(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2) * 255, who="doc", data_range=255)
        >>> float(b.mean())
        1.0
    """
    for name, image in (("x", x), ("y", y)):
        if not isinstance(image, Tensor):
            raise TypeError(
                f"{who}: {name} must be a torch tensor (n, c, h, w), got {type(image).__name__}; "
                "lookalike.measure takes NumPy arrays, PIL images and paths"
            )
        if image.layout != torch.strided:
            raise TypeError(f"{who}: {name} is {image.layout}; call {name}.to_dense() first")
        _check_dimensions(image, name, who, volumes)
    if x.shape != y.shape:
        raise ValueError(
            f"{who}: x and y must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}; "
            "nothing is broadcast, resize or expand one of them first"
        )
    if x.device != y.device:
        raise ValueError(f"{who}: x is on {x.device} and y on {y.device}; move one of them with .to()")
    if channels is not None and x.shape[1] not in channels:
        wanted = " or ".join(str(count) for count in channels)
        grey = "; a grey image becomes RGB by x.expand(-1, 3, -1, -1), in a file by saving it as RGB"
        raise ValueError(
            f"{who}: needs {wanted} channel(s), got {x.shape[1]} in shape {tuple(x.shape)}"
            f"{grey if x.shape[1] == 1 and 3 in channels else ''}"
        )
    if min(x.shape[2:]) < min_side:
        raise ValueError(
            f"{who}: needs images of at least {min_side} px a side, got {'x'.join(map(str, x.shape[2:]))}; "
            "use larger images, or a smaller window or fewer scales where the metric has them"
        )
    looks = check == "values" and readable(x, y)
    if check not in get_args(Check):
        raise ValueError(f"{who}: check must be 'values' or 'shapes', got {check!r}")
    dtype = torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
    low, high = _range_of(x, y, data_range, who)
    if looks and x.dtype in _FLOATS and x.numel():
        _check_values(x, y, low, high, who)
    return _to_unit(x, dtype, low, high), _to_unit(y, dtype, low, high)


def _check_dimensions(image: Tensor, name: str, who: str, volumes: bool) -> None:
    accepted = (4, 5) if volumes else (4,)
    if image.ndim not in accepted:
        shape = "(n, c, h, w) or (n, c, d, h, w)" if volumes else "(n, c, h, w)"
        advice = "add the missing dimensions, for one image image[None]" if image.ndim < 4 else "reshape it"
        raise ValueError(f"{who}: {name} must be {shape}, got shape {tuple(image.shape)}; {advice}")
    if 0 in image.shape[1:]:
        raise ValueError(f"{who}: {name} has an empty dimension: {tuple(image.shape)}; only n may be 0")


def _range_of(x: Tensor, y: Tensor, data_range: DataRange, who: str) -> tuple[float, float]:
    if x.dtype in _FLOATS and y.dtype in _FLOATS:
        return bounds(data_range, who)
    if x.dtype == y.dtype and x.dtype in _INTEGER_RANGE:
        return 0.0, _INTEGER_RANGE[x.dtype]
    raise TypeError(
        f"{who}: x is {x.dtype} and y is {y.dtype}; both must be floats (in data_range), or both uint8 (0-255), "
        "or both uint16 (0-65535). Convert with .to(torch.uint8), or .float() and a data_range"
    )


def _check_values(x: Tensor, y: Tensor, low: float, high: float, who: str) -> None:
    """Raise on values outside the stated range, and on a range that is evidently not the one meant."""
    extremes = torch.stack([*torch.aminmax(x.detach()), *torch.aminmax(y.detach())]).double().tolist()
    slack = TOLERANCE * (high - low)
    least, most = min(extremes[0], extremes[2]), max(extremes[1], extremes[3])
    if least < low - slack or most > high + slack:
        name = "x" if extremes[0] < low - slack or extremes[1] > high + slack else "y"
        raise ValueError(
            f"{who}: {name} holds values outside data_range=({low:g}, {high:g}): "
            f"x is in [{extremes[0]:.4g}, {extremes[1]:.4g}], y in [{extremes[2]:.4g}, {extremes[3]:.4g}]; "
            f"{advice(least, most)}, or clamp, or check='shapes' if you mean it"
        )
    if low == 0 and high >= 100 and least >= 0 and 0 < most <= 1 and _has_fractions(x, y):
        raise ValueError(
            f"{who}: data_range={high:g} but all values of x and y lie in [0, 1]: "
            "pass data_range=1, or check='shapes' if you mean it"
        )


def _has_fractions(x: Tensor, y: Tensor) -> bool:
    return any(bool((image.detach() != image.detach().round()).any()) for image in (x, y))


def _to_unit(image: Tensor, dtype: torch.dtype, low: float, high: float) -> Tensor:
    image = image.to(dtype)
    if low != 0:
        image = image - low
    return image if high - low == 1 else image / (high - low)


def mask_for(x: Tensor, mask: Tensor, who: str) -> Tensor:
    """A validity mask that fits a checked batch.

    Args:
        x: the batch, ``(n, c, h, w)`` or ``(n, c, d, h, w)``.
        mask: same shape with 1 or c channels, boolean or weights in [0, 1].
        who: named in errors.

    Returns:
        The mask in the dtype of ``x``, expanded to its shape.

    Raises:
        TypeError, ValueError: when it is no such mask.

    Example:
        >>> tuple(mask_for(torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4), "doc").shape)
        (1, 3, 4, 4)
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"{who}: mask must be a torch tensor, got {type(mask).__name__}")
    shapes = [tuple(x.shape), (x.shape[0], 1, *x.shape[2:])]
    if tuple(mask.shape) not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{who}: mask must have shape {wanted}, got {tuple(mask.shape)}")
    if mask.device != x.device:
        raise ValueError(f"{who}: mask is on {mask.device}, the images on {x.device}; move it with .to()")
    return mask.to(x.dtype).expand(x.shape)


def as_batch(image: ImageLike, *, who: str = "image", alpha: str | None = None) -> tuple[Tensor, DataRange | None]:
    """Any kind of image as a batch, with the range that its kind implies.

    Args:
        image: a path, a PIL image, a NumPy array ``(h, w)`` or ``(h, w, c)`` with c = 1 or 3, or a tensor
            ``(c, h, w)``, ``(n, c, h, w)`` or ``(n, c, d, h, w)``.
        who: named in errors.
        alpha: background, ``"white"`` or ``"black"``, over which a transparent picture is laid; None refuses
            pictures that are not opaque.

    Returns:
        The tensor ``(n, c, h, w)`` and its range: 255 for uint8, 65535 for uint16, None (unstated) for floats.
        Values are unscaled; uint8 stays uint8.

    Raises:
        TypeError, ValueError: when it is no such image.

    Example:
        >>> batch, data_range = as_batch(np.zeros((4, 5, 3), np.uint8))
        >>> tuple(batch.shape), data_range
        ((1, 3, 4, 5), 255.0)
    """
    if isinstance(image, str | Path):
        array = load(image, alpha=alpha)
    elif isinstance(image, Image.Image):
        array = from_picture(image, who, alpha)
    elif isinstance(image, Tensor):
        if image.ndim not in (3, 4, 5):
            raise ValueError(f"{who}: a tensor is (c, h, w) or (n, c, h, w), got shape {tuple(image.shape)}")
        return image[None] if image.ndim == 3 else image, _INTEGER_RANGE.get(image.dtype)
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise TypeError(
            f"{who}: an image is a path, a PIL image, a NumPy array or a torch tensor; got {type(image).__name__}"
        )
    return _from_array(array, who)


def load_pair(
    a: ImageLike,
    b: ImageLike,
    *,
    data_range: DataRange | None = None,
    alpha: str | None = None,
    device: str | None = None,
) -> tuple[Tensor, Tensor, DataRange]:
    """Two images of any kind as batches, and the range that both carry.

    Args:
        a: the image judged, as `as_batch` takes it.
        b: the reference, likewise.
        data_range: of float images; None means 1.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        device: where to compute, such as ``"cuda"``; None leaves tensors where they are.

    Returns:
        ``x`` (judged), ``y`` (reference), and the range of their values.

    Raises:
        TypeError, ValueError: when they cannot be compared: sizes, channels or depths differ.
    """
    if data_range is not None:
        bounds(data_range)
    device = None if device is None else usable_device(device)
    x, x_range = as_batch(a, who="the image judged", alpha=alpha)
    y, y_range = as_batch(b, who="the reference", alpha=alpha)
    if x_range != y_range:
        raise ValueError(
            f"the image judged is {describe_range(x_range)}, the reference {describe_range(y_range)}; "
            "convert one to the other's depth"
        )
    if x.shape[2:] != y.shape[2:]:
        sizes = ["x".join(map(str, reversed(batch.shape[2:]))) for batch in (x, y)]
        raise ValueError(
            f"the image judged is {sizes[0]} px, the reference {sizes[1]} px; crop or resize one of them "
            "yourself, for the way it is done changes every number"
        )
    if x.shape[1] != y.shape[1]:
        kinds = ["grey" if batch.shape[1] == 1 else f"of {batch.shape[1]} channels" for batch in (x, y)]
        raise ValueError(f"the image judged is {kinds[0]}, the reference {kinds[1]}; convert one of them")
    if x_range is not None and data_range is not None and bounds(data_range) != bounds(x_range):
        raise ValueError(
            f"{describe_range(x_range)} images are 0-{x_range:g}; data_range={data_range!r} is for float images"
        )
    carried = x_range if x_range is not None else (1.0 if data_range is None else data_range)
    return (x.to(device), y.to(device), carried) if device else (x, y, carried)


def usable_device(name: str) -> str:
    """A device's name, once it has proved that it computes here.

    Raises:
        ValueError: with the reason, when it does not.

    Example:
        >>> usable_device("cpu")
        'cpu'
    """
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device: {name!r} cannot be used here ({str(error).splitlines()[0]})") from None
    return name


def _from_array(array: np.ndarray, who: str) -> tuple[Tensor, DataRange | None]:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise ValueError(
            f"{who}: a NumPy image is (h, w) or (h, w, c) with c = 1 or 3, got {array.shape}; "
            "drop or composite alpha, and move channels last"
        )
    planes = np.ascontiguousarray(array.transpose(2, 0, 1))[None]
    if not planes.flags.writeable:  # as Pillow lends its pixels; torch would warn
        planes = planes.copy()
    if planes.dtype == np.uint8:
        return torch.from_numpy(planes), 255.0
    if planes.dtype == np.uint16:
        return torch.from_numpy(planes.astype(np.float32)), 65535.0
    if planes.dtype == np.float64:
        return torch.from_numpy(planes), None
    if planes.dtype in (np.float16, np.float32):
        return torch.from_numpy(planes.astype(np.float32)), None
    raise TypeError(f"{who}: a NumPy image is uint8, uint16 or float, got {array.dtype}; convert it first")
