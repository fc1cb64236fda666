"""What a batch of images is, and the one door through which every pair of images enters the library.

Words used everywhere: ``x`` is the image judged, ``y`` the reference. A batch is a tensor ``(n, c, h, w)``
(a volume ``(n, c, d, h, w)``); a map is ``(n, c, h', w')``; a score is ``(n,)``.

Range: floats lie in ``data_range`` – ``(0, data_range)`` when it is a number, ``(low, high)`` when it is a
pair – and ``uint8`` / ``uint16`` always mean 0–255 / 0–65535. Inside the library everything is scaled to the
unit range in float32; float64 stays float64.
"""

from __future__ import annotations

import math
import stat
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

DataRange = float | tuple[float, float]
Check = Literal["values", "shapes"]
ImageLike = Any  # a path, a PIL image, a NumPy array (h, w) / (h, w, c), or a tensor (c, h, w) / (n, c, h, w)

RANGE_TOLERANCE = 1e-3  # of the range: resampling and compression overshoot by less
MAX_PIXELS = 178_956_970  # where Pillow itself refuses a file as a decompression bomb
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SAMPLES = ("astronaut", "chelsea", "coffee", "camera", "rocket")

_INTEGER_RANGE = {torch.uint8: 255.0, torch.uint16: 65535.0}
# What decoders raise on bytes that are not what their header says.
_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError,
    AssertionError, NotImplementedError, struct.error, zlib.error,
)  # fmt: skip
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class UnreadableImage(ValueError):  # noqa: N818 - it names what is wrong, as FileNotFoundError's kin do
    """A file that is not an image this library reads, or cannot be read as one without guessing."""


def bounds(data_range: DataRange, who: str = "data_range") -> tuple[float, float]:
    """The two ends of a range, checked.

    Args:
        data_range: the width of a range that starts at 0, or its two ends.
        who: named in the error.

    Returns:
        ``(low, high)``.

    Raises:
        ValueError: when it is neither, or its width is not positive and finite.

    Example:
        >>> bounds(255), bounds((-1, 1))
        ((0.0, 255.0), (-1.0, 1.0))
    """
    ends = data_range if isinstance(data_range, tuple) else (0.0, data_range)
    try:
        low, high = (float(end) for end in ends if not isinstance(end, str))
    except (TypeError, ValueError):
        raise ValueError(
            f"{who}: data_range must be a number such as 1 or 255, or a pair such as (-1, 1); got {data_range!r}"
        ) from None
    if not (high > low and math.isfinite(high - low)):
        raise ValueError(f"{who}: data_range must have a positive, finite width; got {data_range!r}")
    return low, high


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
            are never looked at under ``torch.compile`` or during CUDA-graph capture. NaN passes both.
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
    looks = check == "values" and not torch.compiler.is_compiling() and not _capturing(x)
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


def _capturing(x: Tensor) -> bool:
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


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
    slack = RANGE_TOLERANCE * (high - low)
    least, most = min(extremes[0], extremes[2]), max(extremes[1], extremes[3])
    if least < low - slack or most > high + slack:
        name = "x" if extremes[0] < low - slack or extremes[1] > high + slack else "y"
        raise ValueError(
            f"{who}: {name} holds values outside data_range=({low:g}, {high:g}): "
            f"x is in [{extremes[0]:.4g}, {extremes[1]:.4g}], y in [{extremes[2]:.4g}, {extremes[3]:.4g}]; "
            f"{_range_advice(least, most)}, or clamp, or check='shapes' if you mean it"
        )
    if low == 0 and high >= 100 and least >= 0 and 0 < most <= 1 and _has_fractions(x, y):
        raise ValueError(
            f"{who}: data_range={high:g} but all values of x and y lie in [0, 1]: "
            "pass data_range=1, or check='shapes' if you mean it"
        )


def _range_advice(least: float, most: float) -> str:
    if -1.001 <= least < 0 and most <= 1.001:
        return "pass data_range=(-1, 1)"
    if least >= 0 and 1 < most <= 255.3:
        return "pass data_range=255"
    if least >= 0 and 255 < most <= 65600:
        return "pass data_range=65535"
    return "pass the data_range these values have"


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
        try:
            array = _from_pil(image, who, alpha)
        except UnreadableImage:
            raise
        except _DAMAGE as error:
            raise UnreadableImage(f"{who}: {_damage(error)}") from None
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


def describe_range(carried: DataRange | None) -> str:
    """The kind of image that carries a range, in words.

    Example:
        >>> describe_range(255.0), describe_range(None)
        ('8-bit', 'float')
    """
    return {None: "float", 255.0: "8-bit", 65535.0: "16-bit"}.get(carried, f"of range {carried}")  # type: ignore


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


def load(path: str | Path, *, alpha: str | None = None) -> np.ndarray:
    """Read an image file as it would be seen, or refuse it with one clear line.

    EXIF orientation is applied. Grey stays grey; 1-bit becomes 0/255; palette, CMYK and YCbCr become RGB (CMYK by
    Pillow's formula, colour profiles ignored: sRGB is assumed). 16-bit grey and 16-bit RGB PNG stay 16-bit, float
    TIFF stays float. Alpha that is opaque everywhere is dropped; any other is refused unless a background is named.
    Files of several frames (but MPO, a photograph with previews behind it), of more than 179 million pixels,
    truncated or damaged files, and TIFF and PPM in colour of more than 8 bits are refused.

    Args:
        path: the file; formats PNG, JPEG, WebP, BMP, TIFF, GIF, PPM.
        alpha: ``"white"`` or ``"black"``: the background for transparent pictures.

    Returns:
        ``(h, w)`` or ``(h, w, 3)``, uint8, uint16 or float32.

    Raises:
        UnreadableImage: with the path and the reason.
    """
    path = Path(path)
    try:
        _check_regular(path)
        # A damaged EXIF block, or a picture just below the limit, is no reason to warn: it is read or refused.
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:
            header = file.read(26)
            image = Image.open(file, formats=FORMATS)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                raise UnreadableImage(f"{path}: holds {frames} frames; extract the one you mean")
            if image.format == "PNG" and _is_deep_colour(header, image):
                orientation = _orientation(image)
                return _turned(_load_png16(file, str(path), alpha), orientation)
            return _from_pil(image, str(path), alpha)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage(f"{path}: claims more than {MAX_PIXELS:,} pixels; refused") from None
    except PermissionError:
        raise UnreadableImage(f"{path}: no permission to read it") from None
    except Image.UnidentifiedImageError:
        empty = path.stat().st_size == 0
        reason = "the file is empty" if empty else f"not an image of a known kind ({', '.join(FORMATS)})"
        raise UnreadableImage(f"{path}: {reason}") from None
    except _DAMAGE as error:
        raise UnreadableImage(f"{path}: {_damage(error)}") from None


def _damage(error: BaseException) -> str:
    return f"truncated or damaged ({' '.join(str(error).split()) or type(error).__name__})"


def _check_regular(path: Path) -> None:
    """Refuse what is not a file before anything is opened: opening a FIFO would wait for ever."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableImage(f"{path}: no such file") from None
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"{path}: cannot be a file ({getattr(error, 'strerror', None) or error})") from None
    if stat.S_ISDIR(kind):
        raise UnreadableImage(f"{path}: is a folder")
    if not stat.S_ISREG(kind):
        raise UnreadableImage(f"{path}: not a regular file")


def _from_pil(image: Image.Image, who: str, alpha: str | None) -> np.ndarray:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{who}: {image.width}x{image.height} is more than {MAX_PIXELS:,} pixels; refused")
    bits = _bits_per_sample(image)
    if bits > 8 and image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        raise UnreadableImage(
            f"{who}: {image.format} colour of {bits} bits would lose depth; save it as 16-bit PNG"
        )
    if image.format == "TIFF" and image.mode.startswith("I;16") and bits != 16:
        raise UnreadableImage(f"{who}: {bits}-bit grey has no stated range; save it as 16-bit PNG or float TIFF")
    image.load()
    orientation = _orientation(image)
    if image.mode in ("L", "1") and "transparency" in image.info:
        image = image.convert("LA")
    elif image.mode == "PA" or (image.mode in ("P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "RGBa", "La"):
        array = np.asarray(image.convert("RGBA" if image.mode.startswith("R") else "LA"))
        return _turned(_without_alpha(array, who, alpha), orientation)
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("P", "CMYK", "YCbCr", "RGBX"):
        image = image.convert("RGB")
    array = np.asarray(image)
    if image.mode.startswith("I"):
        if array.size and (array.min() < 0 or array.max() > 65535):
            raise UnreadableImage(f"{who}: 32-bit integers outside 0-65535; convert it to 16 bits or float")
        return _turned(array.astype(np.uint16), orientation)
    if image.mode in ("L", "RGB", "F"):
        return _turned(array, orientation)
    raise UnreadableImage(f"{who}: Pillow mode {image.mode} has no stated rule; convert it to RGB, grey or float")


def _bits_per_sample(image: Image.Image) -> int:
    """Of a file whose depth Pillow would cut: TIFF, and PPM by its largest value; 8 for the others."""
    if image.format == "TIFF":
        bits = image.getexif().get(258, 1)
        return max(bits) if isinstance(bits, tuple) else bits
    if image.format == "PPM" and image.mode == "RGB" and isinstance(image, ImageFile.ImageFile) and image.tile:
        arguments = image.tile[0].args
        return int(arguments[-1]).bit_length() if isinstance(arguments, tuple) and arguments[0] == "RGB" else 8
    return 8


def _orientation(image: Image.Image) -> int:
    """Of EXIF, 1 to 8; 1 (upright) where the block is missing or damaged."""
    try:
        orientation = image.getexif().get(274, 1)
    except _DAMAGE:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """An image as it is to be seen: the eight orientations of EXIF.

    Example:
        >>> _turned(np.array([[1, 2]]), 6).tolist(), _turned(np.array([[1, 2]]), 2).tolist()
        ([[1], [2]], [[2, 1]])
    """
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(array, flips))


def _without_alpha(array: np.ndarray, who: str, alpha: str | None) -> np.ndarray:
    """Drop an alpha channel that says nothing; composite one that does, if a background is named."""
    opaque = np.iinfo(array.dtype).max
    colour, cover = array[..., :-1], array[..., -1:]
    if (cover != opaque).any():
        if alpha not in ("white", "black"):
            raise UnreadableImage(
                f"{who}: has transparent pixels; name the background with alpha='white' or 'black' (--alpha)"
            )
        background = opaque if alpha == "white" else 0
        share = cover.astype(np.float64) / opaque
        colour = np.floor(share * colour + (1 - share) * background + 0.5).astype(array.dtype)
    return colour[..., 0] if colour.shape[2] == 1 else colour


def _is_deep_colour(header: bytes, image: Image.Image) -> bool:
    """Whether a PNG holds 16 bits a sample with colour or transparency, which Pillow would cut or drop."""
    return len(header) == 26 and header[24] == 16 and (header[25] in (2, 4, 6) or "transparency" in image.info)


def _load_png16(file: BinaryIO, who: str, alpha: str | None) -> np.ndarray:
    """16 bits a channel, which Pillow would cut to 8."""
    import png

    file.seek(0)
    try:
        width, height, rows, info = png.Reader(file=file).read()
        if width * height > MAX_PIXELS:
            raise UnreadableImage(f"{who}: {width}x{height} is more than {MAX_PIXELS:,} pixels; refused")
        array = np.vstack([np.asarray(row, np.uint16) for row in rows]).reshape(height, width, info["planes"])
    except (png.Error, zlib.error) as error:
        raise UnreadableImage(f"{who}: {_damage(error)}") from None
    if "transparent" in info:
        seen = (array != np.array(info["transparent"])).any(2, keepdims=True)
        array = np.concatenate([array, np.where(seen, np.uint16(65535), np.uint16(0))], 2)
    elif not info["alpha"]:
        return array
    return _without_alpha(array, who, alpha)


def sample(name: str = "astronaut", side: int | None = None) -> Tensor:
    """A free photograph from scikit-image, for examples and tests.

    Args:
        name: one of ``SAMPLES``; camera is grey.
        side: crop this many pixels square from the centre; None keeps the whole photograph.

    Returns:
        ``(1, c, h, w)`` float32 in [0, 1].

    Raises:
        ValueError: for another name.
        ImportError: when scikit-image is not installed, with the command that installs it.

    Example:
        >>> tuple(sample("camera", 64).shape)
        (1, 1, 64, 64)
    """
    if name not in SAMPLES:
        raise ValueError(f"sample: no photograph {name!r}; there are {', '.join(SAMPLES)}")
    try:
        from skimage import data
    except ImportError:
        raise ImportError(
            "the sample photographs come with scikit-image: pip install 'lookalike[photos]'"
        ) from None
    image = as_batch(getattr(data, name)())[0].float() / 255
    if side is None:
        return image
    top, left = ((extent - side) // 2 for extent in image.shape[2:])
    if min(top, left) < 0:
        raise ValueError(f"sample: {name} is only {image.shape[3]}x{image.shape[2]}, smaller than {side} px")
    return image[:, :, top : top + side, left : left + side].contiguous()
