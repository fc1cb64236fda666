"""What a batch of images is, and the one door through which every pair of images enters the library.

Words used everywhere: ``x`` is the image judged, ``y`` the reference. A batch is a tensor ``(n, c, h, w)``
(a volume ``(n, c, d, h, w)``); a map is ``(n, c, h', w')``; a score is ``(n,)``.

Range: floats lie in ``data_range`` – ``(0, data_range)`` when it is a number, ``(low, high)`` when it is a
pair, ``(0, data_range[i])`` for image i when it is a tensor. ``uint8`` / ``uint16`` always mean 0–255 / 0–65535,
other integers what ``data_range`` says. Inside the library everything is scaled to the unit range in float32;
float64 stays float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lookalike.files import MAX_PIXELS, Picture, read, read_picture
from lookalike.modes import materialised, readable
from lookalike.ranges import TOLERANCE, DataRange, advice, bounds, describe_range

Check = Literal["values", "shapes"]
Range = DataRange | Tensor  # a tensor (n,) holds one width an image
ImageLike = Any  # a path, a PIL image, a NumPy array (h, w) / (h, w, c), or a tensor (c, h, w) / (n, c, h, w)
ChannelAxis = int | Literal["last"] | None

_INTEGER_RANGE = {torch.uint8: 255.0, torch.uint16: 65535.0}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_PLAIN_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64)  # their range is the one stated


def check_range(data_range: Range, who: str) -> None:
    """Raise unless a range is valid: its width positive and finite, in a tensor every width.

    Raises:
        ValueError: with what is wrong.
        TypeError: for a tensor of integers, or of another shape than ``(n,)``.

    Example:
        >>> check_range(torch.tensor([1.0, 0.0]), "psnr")
        Traceback (most recent call last):
        ValueError: psnr: each width of data_range must be positive and finite, got [1.0, 0.0]
    """
    if not isinstance(data_range, Tensor):
        bounds(data_range, who)
        return
    if data_range.ndim != 1 or not data_range.is_floating_point():
        raise TypeError(
            f"{who}: data_range as a tensor holds one width an image, floats of shape (n,); "
            f"got {data_range.dtype} of shape {tuple(data_range.shape)}"
        )
    if not (data_range.isfinite() & (data_range > 0)).all():
        raise ValueError(f"{who}: each width of data_range must be positive and finite, got {data_range.tolist()}")


def pair(
    x: Tensor,
    y: Tensor,
    *,
    who: str,
    data_range: Range | None = None,
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
        data_range: range of float inputs, None for 1. uint8 and uint16 carry their own, and saying another is an
            error; for other integers it must be given.
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
        ValueError: shapes, devices, sizes, ranges or values that do not fit.

    Example:
        >>> a, b = pair(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2) * 255, who="doc", data_range=255)
        >>> float(b.mean())
        1.0
    """
    _check_pair(x, y, who, check, channels, min_side, volumes)
    ends = _range_of(x, y, data_range, who)
    if check == "values" and x.dtype not in _INTEGER_RANGE and x.numel() and readable(x, y):
        _check_values(x, y, *ends, who)
    return _both_to_unit(x, y, *ends)


def masked_pair(
    x: Tensor,
    y: Tensor,
    mask: Tensor,
    *,
    who: str,
    data_range: Range | None = None,
    check: Check = "values",
    channels: Sequence[int] | None = None,
    min_side: int = 1,
    volumes: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """A pair as `pair` brings it in, of which only a part counts.

    Args:
        x, y, who, data_range, check, channels, min_side, volumes: as in `pair`; values are looked at where they
            count.
        mask: what counts, as in `mask_for`.

    Returns:
        ``x`` and ``y`` in the unit range and 0 where the mask is 0, whatever they held there, and the mask in
        their dtype and shape. No gradient reaches what does not count.

    Raises:
        TypeError, ValueError: as `pair` and `mask_for`.

    Example:
        >>> x = torch.tensor([[[[0.5, math.nan]]]])
        >>> masked_pair(x, x, torch.tensor([[[[True, False]]]]), who="doc")[0].tolist()
        [[[[0.5, 0.0]]]]
    """
    _check_pair(x, y, who, check, channels, min_side, volumes)
    ends = _range_of(x, y, data_range, who)
    weights = mask_for(x, mask, who, check)
    counts = weights > 0
    if check == "values" and x.dtype not in _INTEGER_RANGE and x.numel() and readable(x, y, weights):
        # What does not count takes the value of something that does, so that it moves neither least nor greatest.
        stand_in = ends[0] if bool(counts.any()) is False else y[counts][0].detach()
        _check_values(torch.where(counts, x, stand_in), torch.where(counts, y, stand_in), *ends, who)
    x, y = (torch.where(counts, image, 0.0) for image in _both_to_unit(x, y, *ends))
    return x, y, weights.to(x.dtype)


def has_valid(mask: Tensor) -> Tensor:
    """Which images have a pixel that counts: ``(n,)``, boolean.

    Example:
        >>> has_valid(torch.tensor([0.0, 0.5]).reshape(2, 1, 1, 1)).tolist()
        [False, True]
    """
    return (mask > 0).flatten(1).any(1)


def _check_pair(
    x: Tensor,
    y: Tensor,
    who: str,
    check: Check,
    channels: Sequence[int] | None,
    min_side: int,
    volumes: bool,
) -> None:
    """Raise on errors that a pair shows without its values being read."""
    for name, image in (("x", x), ("y", y)):
        if not isinstance(image, Tensor):
            raise TypeError(
                f"{who}: {name} must be a torch tensor (n, c, h, w), got {type(image).__name__}; "
                "lookalike.measure takes NumPy arrays, PIL images and paths"
            )
        if image.layout != torch.strided:
            raise TypeError(f"{who}: {name} is {image.layout}; call {name}.to_dense() first")
        check_dimensions(image, name, who, volumes)
    if x.shape != y.shape:
        raise ValueError(
            f"{who}: x and y must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}; "
            "nothing is broadcast, resize or expand one of them first"
        )
    if x.device != y.device:
        raise ValueError(f"{who}: x is on {x.device} and y on {y.device}; move one of them with .to()")
    if channels is not None and x.shape[1] not in channels:
        accepted = " or ".join(str(count) for count in channels)
        grey = "; a grey image becomes RGB by x.expand(-1, 3, -1, -1), in a file by saving it as RGB"
        raise ValueError(
            f"{who}: needs {accepted} channel(s), got {x.shape[1]} in shape {tuple(x.shape)}"
            f"{grey if x.shape[1] == 1 and 3 in channels else ''}"
        )
    if min(x.shape[2:]) < min_side:
        raise ValueError(
            f"{who}: needs images of at least {min_side} px a side, got {'x'.join(map(str, x.shape[2:]))}; "
            "use larger images, or a smaller window or fewer scales where the metric has them"
        )
    if check not in get_args(Check):
        raise ValueError(f"{who}: check must be 'values' or 'shapes', got {check!r}")


def check_dimensions(image: Tensor, name: str, who: str, volumes: bool) -> None:
    """Raise unless a batch is one of images or, where ``volumes`` are accepted, of volumes.

    Example:
        >>> check_dimensions(torch.zeros(1, 3, 0, 8), "x", "doc", volumes=False)
        Traceback (most recent call last):
            ...
        ValueError: doc: x has an empty dimension: (1, 3, 0, 8); only n may be 0
    """
    accepted = (4, 5) if volumes else (4,)
    if image.ndim not in accepted:
        shape = "(n, c, h, w) or (n, c, d, h, w)" if volumes else "(n, c, h, w)"
        advice = "add the missing dimensions, for one image image[None]" if image.ndim < 4 else "reshape it"
        raise ValueError(f"{who}: {name} must be {shape}, got shape {tuple(image.shape)}; {advice}")
    if 0 in image.shape[1:]:
        raise ValueError(f"{who}: {name} has an empty dimension: {tuple(image.shape)}; only n may be 0")
    if image.ndim == 5 and image.shape[2] in (1, 3) and image.shape[1] > 4:
        raise ValueError(
            f"{who}: {name} is {tuple(image.shape)}, which reads as frames (n, t, c, h, w), not as a volume "
            f"(n, c, d, h, w): {name}.flatten(0, 1) scores every frame, {name}.transpose(1, 2) makes time the depth"
        )


def _range_of(x: Tensor, y: Tensor, data_range: Range | None, who: str) -> tuple[float, float | Tensor]:
    """The two ends of the range of both; the upper one a tensor ``(n, 1, …)`` where each image has its own."""
    kinds = {x.dtype, y.dtype}
    if kinds <= set(_FLOATS):
        return _ends(x, 1.0 if data_range is None else data_range, who)
    if x.dtype == y.dtype and x.dtype in _INTEGER_RANGE:
        most = _INTEGER_RANGE[x.dtype]
        if data_range is not None and (isinstance(data_range, Tensor) or bounds(data_range, who) != (0.0, most)):
            raise ValueError(
                f"{who}: x and y are {x.dtype}, which is always 0-{most:g}, but data_range={data_range!r}; "
                "leave data_range out, or convert with .float() to score them on that range"
            )
        return 0.0, most
    if x.dtype == y.dtype and x.dtype in _PLAIN_INTEGERS:
        if data_range is None:
            raise TypeError(
                f"{who}: x and y are {x.dtype}, which does not say its range; pass data_range, "
                "such as data_range=255 for 8-bit values, or convert with .to(torch.uint8)"
            )
        return _ends(x, data_range, who)
    raise TypeError(
        f"{who}: x is {x.dtype} and y is {y.dtype}; both must be floats (in data_range), or both uint8 (0-255), "
        "or both uint16 (0-65535), or both of one kind of signed integers with a data_range. "
        "Convert with .to(torch.uint8), or .float() and a data_range"
    )


def _ends(x: Tensor, data_range: Range, who: str) -> tuple[float, float | Tensor]:
    if not isinstance(data_range, Tensor):
        return bounds(data_range, who)
    if len(data_range) != len(x):
        raise ValueError(
            f"{who}: data_range holds {len(data_range)} widths for {len(x)} images; give one an image, or a number"
        )
    return 0.0, data_range.to(x.device).reshape(-1, *[1] * (x.ndim - 1))


def _check_values(x: Tensor, y: Tensor, low: float, high: float | Tensor, who: str) -> None:
    """Raise on values outside the stated range, and on a range that is evidently wrong."""
    if isinstance(high, Tensor):
        x, y, high = x / high, y / high, 1.0
        each = " divided by each image's data_range"
    else:
        each = ""
    extremes = torch.stack([*torch.aminmax(x.detach()), *torch.aminmax(y.detach())]).double().tolist()
    slack = TOLERANCE * (high - low)
    least, most = min(extremes[0], extremes[2]), max(extremes[1], extremes[3])
    if least < low - slack or most > high + slack:
        name = "x" if extremes[0] < low - slack or extremes[1] > high + slack else "y"
        raise ValueError(
            f"{who}: {name}{each} holds values outside data_range=({low:g}, {high:g}): "
            f"x is in [{extremes[0]:.4g}, {extremes[1]:.4g}], y in [{extremes[2]:.4g}, {extremes[3]:.4g}]; "
            f"{advice(least, most)}, or clamp, or check='shapes' if you mean it"
        )
    if low == 0 and high >= 100 and least >= 0 and 0 < most <= 1 and _has_fractions(x, y):
        raise ValueError(
            f"{who}: data_range={high:g} but all values of x and y lie in [0, 1]: "
            "pass data_range=1, or check='shapes' if you mean it"
        )


def check_seen(
    x: Tensor, y: Tensor, least: float, most: float, *, who: str, data_range: Range | None, **_demands: Any
) -> None:
    """Raise as `pair` does with ``check="values"``, where the extremes of the values are known already.

    Args:
        x, y, who, data_range: as `pair` got them; the rest of its demands may follow.
        least, most: of both in the unit range; NaN where they are not known. Only where they leave a doubt are the
            values looked at.

    Example:
        >>> x = torch.tensor([[[[0.0, 1.0]]]])
        >>> check_seen(x, x, 0.0, 1.0, who="doc", data_range=None)
    """
    slack, (low, high) = 0.999 * TOLERANCE, _range_of(x, y, data_range, who)
    small = low == 0 and (isinstance(high, Tensor) or (high >= 100 and most <= 1.001 / high))
    if not (least >= -slack and most <= 1 + slack) or small:
        _check_values(x, y, low, high, who)


def _has_fractions(x: Tensor, y: Tensor) -> bool:
    return any(bool((image.detach() != image.detach().round()).any()) for image in (x, y))


def _both_to_unit(x: Tensor, y: Tensor, low: float, high: float | Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
    if isinstance(high, Tensor):
        high = high.to(dtype)
    return _to_unit(x, dtype, low, high), _to_unit(y, dtype, low, high)


def _to_unit(image: Tensor, dtype: torch.dtype, low: float, high: float | Tensor) -> Tensor:
    image = materialised(image).to(dtype)
    if low != 0:
        image = image - low
    width = high - low
    return image if not isinstance(width, Tensor) and width == 1 else image / width


def mask_for(x: Tensor, mask: Tensor, who: str, check: Check = "values") -> Tensor:
    """A mask that fits a checked batch: True or 1 is what counts.

    Args:
        x: the batch, ``(n, c, h, w)`` or ``(n, c, d, h, w)``.
        mask: same shape with 1 or c channels, boolean or weights in [0, 1].
        who: named in errors.
        check: ``"values"`` raises on values that are NaN or outside [0, 1].

    Returns:
        The mask in float32, float64 where ``x`` is, expanded to its shape.

    Raises:
        TypeError, ValueError: when it is no such mask.

    Example:
        >>> tuple(mask_for(torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4), "doc").shape)
        (1, 3, 4, 4)
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"{who}: mask must be a torch tensor, got {type(mask).__name__}")
    if mask.dtype != torch.bool and mask.dtype not in _FLOATS:
        raise TypeError(f"{who}: mask must be boolean or floats in [0, 1], got {mask.dtype}; write mask > 0")
    shapes = [tuple(x.shape), (x.shape[0], 1, *x.shape[2:])]
    if tuple(mask.shape) not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"{who}: mask must have shape {expected}, got {tuple(mask.shape)}")
    if mask.device != x.device:
        raise ValueError(f"{who}: mask is on {mask.device}, the images on {x.device}; move it with .to()")
    if check == "values" and mask.dtype != torch.bool and mask.numel() and readable(mask):
        check_mask_values(mask, who)
    return mask.to(torch.float64 if x.dtype == torch.float64 else torch.float32).expand(x.shape)


def check_mask_values(mask: Tensor, who: str) -> None:
    """Raise unless every value of a float mask lies in [0, 1].

    Raises:
        ValueError: for NaN and for values outside.

    Example:
        >>> check_mask_values(torch.tensor([-1.0, 1.0]), "ssim")
        Traceback (most recent call last):
        ValueError: ssim: mask holds values outside [0, 1]: it is in [-1, 1]; True or 1 is what counts
    """
    least, most = torch.stack(torch.aminmax(mask.detach())).tolist()
    if not (least >= 0 and most <= 1):
        kind = "NaN" if math.isnan(least) else f"values outside [0, 1]: it is in [{least:.4g}, {most:.4g}]"
        raise ValueError(f"{who}: mask holds {kind}; True or 1 is what counts")


def as_batch(
    image: ImageLike, *, who: str = "image", alpha: str | None = None, channel_axis: ChannelAxis = "last"
) -> tuple[Tensor, DataRange | None]:
    """Any kind of image as a batch, with the range that its kind implies.

    Args:
        image: a path, a PIL image, a NumPy array, or a tensor ``(c, h, w)``, ``(n, c, h, w)`` or
            ``(n, c, d, h, w)``.
        who: named in errors.
        alpha: background, ``"white"`` or ``"black"``, over which a transparent picture is laid; None refuses
            pictures that are not opaque.
        channel_axis: of NumPy arrays. ``"last"`` takes ``(h, w)`` and ``(h, w, c)`` with c = 1 or 3; a number says
            which axis holds the channels, of which there may be any number, the others being ``(h, w)`` or
            ``(d, h, w)``; None says that none does: ``(h, w)``, or a volume ``(d, h, w)``.

    Returns:
        The tensor ``(n, c, h, w)`` and its range: 255 for uint8, 65535 for uint16, None (unstated) for floats.
        Values are unscaled; uint8 stays uint8, uint16 becomes float32.

    Raises:
        TypeError, ValueError: when it is no such image.

    Example:
        >>> batch, data_range = as_batch(np.zeros((4, 5, 3), np.uint8))
        >>> tuple(batch.shape), data_range
        ((1, 3, 4, 5), 255.0)
        >>> tuple(as_batch(np.zeros((4, 5, 13)), channel_axis=-1)[0].shape)
        (1, 13, 4, 5)
    """
    return _as_batch(_opened(image, who, alpha, "srgb", MAX_PIXELS), who, channel_axis)


def _opened(image: ImageLike, who: str, alpha: str | None, profile: str, max_pixels: int) -> Picture | Any:
    """What a file or a PIL image holds; anything else as it is."""
    if isinstance(image, str | Path):
        return read(image, alpha=alpha, profile=profile, max_pixels=max_pixels)
    if isinstance(image, Image.Image):
        return read_picture(image, who, alpha, profile)
    return image


def _as_batch(image: Any, who: str, channel_axis: ChannelAxis) -> tuple[Tensor, DataRange | None]:
    if isinstance(image, Picture):
        return _from_array(image.pixels, who, "last")
    if isinstance(image, Tensor):
        if image.ndim not in (3, 4, 5):
            raise ValueError(f"{who}: a tensor is (c, h, w) or (n, c, h, w), got shape {tuple(image.shape)}")
        carried = _INTEGER_RANGE.get(image.dtype)
        if image.dtype == torch.uint16:  # as arrays and files of 16 bits; few operations know uint16
            image = image.to(torch.float32)
        return image[None] if image.ndim == 3 else image, carried
    if isinstance(image, np.ndarray):
        return _from_array(image, who, channel_axis)
    raise TypeError(
        f"{who}: an image is a path, a PIL image, a NumPy array or a torch tensor; got {type(image).__name__}"
    )


class Loaded(NamedTuple):
    """Two images as batches, and what was done to get them.

    Attributes:
        x: the image judged, ``(n, c, h, w)`` or ``(n, c, d, h, w)``.
        y: the reference.
        data_range: of the values of both.
        before: what was done before any metric, as a signature says it: the background that was asked for, and
            ``profile:srgb`` (or ``ignore``) where a file's colours were converted (or would have been).
        remarks: of the files, each beginning with its name.
    """

    x: Tensor
    y: Tensor
    data_range: DataRange
    before: dict[str, str]
    remarks: tuple[str, ...]


def load_pair(
    a: ImageLike,
    b: ImageLike,
    *,
    data_range: DataRange | None = None,
    alpha: str | None = None,
    widen: bool = False,
    device: str | None = None,
) -> tuple[Tensor, Tensor, DataRange]:
    """Two images of any kind as batches, and the range that both carry; see `read_pair`.

    Returns:
        ``x`` (judged), ``y`` (reference), and the range of their values.

    Raises:
        TypeError, ValueError: when they cannot be compared: sizes, channels or depths differ.
    """
    return read_pair(a, b, data_range=data_range, alpha=alpha, widen=widen, device=device)[:3]


def read_pair(
    a: ImageLike,
    b: ImageLike,
    *,
    data_range: DataRange | None = None,
    alpha: str | None = None,
    profile: str = "srgb",
    max_pixels: int = MAX_PIXELS,
    channel_axis: ChannelAxis = "last",
    widen: bool = False,
    device: str | None = None,
) -> Loaded:
    """Two images of any kind as batches, the range that both carry, and what was done to get them.

    Args:
        a: the image judged, as `as_batch` takes it.
        b: the reference, likewise.
        data_range: of float images; None means 1.
        alpha: background for transparent pictures, ``"white"`` or ``"black"``.
        profile: ``"srgb"`` converts the colours of files with another profile, ``"ignore"`` reads their numbers.
        max_pixels: the most that a file may claim.
        channel_axis: of NumPy arrays, as in `as_batch`.
        widen: give a grey image three equal channels where the other is coloured; refused otherwise.
        device: where to compute, such as ``"cuda"``; None leaves tensors where they are.

    Raises:
        TypeError, ValueError: when they cannot be compared: sizes, channels or depths differ.
    """
    if data_range is not None:
        bounds(data_range)
    device = None if device is None else usable_device(device)
    opened = [
        _opened(image, who, alpha, profile, max_pixels)
        for image, who in ((a, "the image judged"), (b, "the reference"))
    ]
    (x, x_range), (y, y_range) = (
        _as_batch(image, who, channel_axis)
        for image, who in zip(opened, ("the image judged", "the reference"), strict=True)
    )
    before = {} if alpha is None else {"alpha": alpha}
    done = {image.profile for image in opened if isinstance(image, Picture)}
    for name in ("srgb", "ignore"):
        if name in done:
            before["profile"] = name
    remarks = tuple(
        f"{image}: {remark}"
        for image, picture in zip((a, b), opened, strict=True)
        if isinstance(picture, Picture)
        for remark in picture.remarks
    )
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
    if widen and {x.shape[1], y.shape[1]} == {1, 3}:
        x, y = (batch.expand(-1, 3, *batch.shape[2:]) for batch in (x, y))
    if x.shape[1] != y.shape[1]:
        kinds = ["grey" if batch.shape[1] == 1 else f"of {batch.shape[1]} channels" for batch in (x, y)]
        raise ValueError(f"the image judged is {kinds[0]}, the reference {kinds[1]}; convert one of them")
    if x_range is not None and data_range is not None and bounds(data_range) != bounds(x_range):
        raise ValueError(
            f"{describe_range(x_range)} images are 0-{x_range:g}; data_range={data_range!r} is for float images"
        )
    if data_range is None and (kinds := {x.dtype, y.dtype} & set(_PLAIN_INTEGERS)):
        raise TypeError(f"an image is {kinds.pop()}, which does not say its range; pass data_range, such as 255")
    carried = x_range if x_range is not None else (1.0 if data_range is None else data_range)
    if device:
        x, y = x.to(device), y.to(device)
    return Loaded(x, y, carried, before, remarks)


def read_mask(mask: ImageLike, like: Tensor) -> Tensor:
    """The mask of a batch, from a file, a picture, an array or a tensor.

    Args:
        mask: a file or PIL image in grey, of which white counts, black does not, and what is between in part; a
            boolean array or floats in [0, 1], ``(h, w)`` or ``(h, w, c)``; or such a tensor, ``(h, w)``,
            ``(c, h, w)`` or ``(n, c, h, w)``.
        like: the batch, ``(n, c, h, w)``.

    Returns:
        ``(n, 1 or c, h, w)`` on the device of the batch, as a metric takes it.

    Raises:
        TypeError, ValueError: when it is none.

    Example:
        >>> read_mask(np.array([[True, False]]), torch.zeros(1, 3, 1, 2)).tolist()
        [[[[True, False]]]]
    """
    opened = _opened(mask, "mask", "black", "ignore", MAX_PIXELS)
    if isinstance(opened, Picture):
        array = opened.pixels
        if array.ndim == 3:
            if (array != array[..., :1]).any():
                raise ValueError("mask: is coloured; of a grey image white counts and black does not")
            array = array[..., 0]
        most = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(array.dtype, 1)
        opened = array.astype(np.float32) / most
    if isinstance(opened, np.ndarray):
        if opened.dtype != np.bool_ and opened.dtype.kind != "f":
            raise TypeError(f"mask: an array is boolean or floats in [0, 1], got {opened.dtype}; write mask > 0")
        planes = opened[None] if opened.ndim == 2 else np.moveaxis(opened, -1, 0)
        opened = torch.from_numpy(np.ascontiguousarray(planes))
    if not isinstance(opened, Tensor):
        raise TypeError(f"mask: is a path, a PIL image, a NumPy array or a tensor; got {type(mask).__name__}")
    if opened.ndim == 2:
        opened = opened[None]
    if opened.ndim == like.ndim - 1:
        opened = opened[None]
    if opened.shape[2:] != like.shape[2:]:
        sizes = ["x".join(map(str, reversed(shape))) for shape in (opened.shape[2:], like.shape[2:])]
        raise ValueError(f"mask: is {sizes[0]} px, the images {sizes[1]} px; make one of their size")
    return opened.to(like.device).expand(len(like), *opened.shape[1:])


def usable_device(name: str) -> str:
    """The name of a device, after a trial that it computes here.

    Raises:
        ValueError: with the reason, when it does not.

    Example:
        >>> usable_device("cpu")
        'cpu'
    """
    try:
        torch.zeros(1, dtype=torch.float32, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device: {name!r} cannot be used here ({str(error).splitlines()[0]})") from None
    return name


def _from_array(array: np.ndarray, who: str, channel_axis: ChannelAxis) -> tuple[Tensor, DataRange | None]:
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise TypeError(
                f"{who}: is a masked array, whose mask would be lost; pass its values, array.filled(0), and "
                "mask=~array.mask: a mask says what counts"
            )
        array = array.data
    planes = _channels_first(array, who, channel_axis)
    planes = np.ascontiguousarray(planes.astype(planes.dtype.newbyteorder("="), copy=False))[None]
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
    if planes.dtype in (np.int8, np.int16, np.int32, np.int64):  # whose range `read_pair` demands
        return torch.from_numpy(planes), None
    raise TypeError(
        f"{who}: a NumPy image is uint8, uint16, float, or signed integers with a data_range, got {array.dtype}; "
        "convert it first"
    )


def _channels_first(array: np.ndarray, who: str, channel_axis: ChannelAxis) -> np.ndarray:
    """``(c, h, w)`` or ``(c, d, h, w)`` of an array."""
    if channel_axis == "last":
        if array.ndim == 2:
            return array[None]
        if array.ndim != 3 or array.shape[2] not in (1, 3):
            raise ValueError(
                f"{who}: a NumPy image is (h, w) or (h, w, c) with c = 1 or 3, got {array.shape}; "
                "drop or composite alpha, and move channels last; or say by channel_axis which axis holds the "
                "channels, None for a volume (d, h, w) without any"
            )
        return np.moveaxis(array, 2, 0)
    if channel_axis is None:
        if array.ndim not in (2, 3):
            raise ValueError(f"{who}: without channels an array is (h, w) or (d, h, w), got {array.shape}")
        return array[None]
    if not isinstance(channel_axis, int) or isinstance(channel_axis, bool):
        raise TypeError(f"{who}: channel_axis is a number, None or 'last', got {channel_axis!r}")
    if array.ndim not in (3, 4) or not -array.ndim <= channel_axis < array.ndim:
        raise ValueError(
            f"{who}: with channel_axis={channel_axis} an array has three or four axes, of which that is one; "
            f"got {array.shape}"
        )
    return np.moveaxis(array, channel_axis, 0)
