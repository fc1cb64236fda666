"""Feature maps of a frozen network under any backend: the known ones from lookalike's weights, or a Keras model.

The known networks are those of `ops.features`, walked layer by layer with `keras.ops`; so there is one description
of each, and one way to their weights. Maps come as ``(n, c', h', w')``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import ops
from torch import Tensor, nn

from lookalike.ops.features import IMAGENET_MEAN, IMAGENET_STD, Features, _Conv, _Fire, _Pool

Maps = Callable[[Any], list[Any]]
Preprocess = Literal["caffe", "tf", "torch", "unit"]
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of blue, green and red in grey levels, as keras.applications has them


class Walk:
    """A known network, layer by layer.

    Args:
        features: built, with its weights.
    """

    def __init__(self, features: Features) -> None:
        self.layers = features.layers
        self.mean, self.std = (
            None if constant is None else constant.flatten().numpy() for constant in (features.mean, features.std)
        )
        self.steps = [(name, _step(module)) for name, module in features.steps]

    def __call__(self, x: Any) -> list[Any]:
        """The maps of images ``(n, 3, h, w)`` in the unit range."""
        x = ops.transpose(x, (0, 2, 3, 1))  # TensorFlow convolves on a CPU in this order only
        if self.mean is not None:
            x = x - ops.convert_to_tensor(self.mean, x.dtype)
        if self.std is not None:
            x = x / ops.convert_to_tensor(self.std, x.dtype)
        kept = {}
        for name, step in self.steps:
            x = step(x)
            if name in self.layers:
                kept[name] = ops.transpose(x, (0, 3, 1, 2))
        return [kept[name] for name in self.layers]


def _step(module: nn.Module) -> Callable[[Any], Any]:
    if isinstance(module, _Conv):
        return _Convolution(module)
    if isinstance(module, _Fire):
        return _Expansion(module)
    return _Pooling(module) if isinstance(module, _Pool) else ops.relu


class _Convolution:
    def __init__(self, module: _Conv) -> None:
        # Variables, for a graph holds those by reference where it would copy a constant.
        self.kernel = _variable(module.weight.permute(2, 3, 1, 0))
        self.bias = _variable(module.bias)
        self.stride, self.padding = module.stride, module.padding

    def __call__(self, x: Any) -> Any:
        if self.padding:
            x = ops.pad(x, ((0, 0), (self.padding, self.padding), (self.padding, self.padding), (0, 0)))
        kernel, bias = (ops.cast(parameter, x.dtype) for parameter in (self.kernel, self.bias))
        return ops.conv(x, kernel, self.stride, padding="valid", data_format="channels_last") + bias


class _Expansion:
    def __init__(self, module: _Fire) -> None:
        self.squeeze = _Convolution(module.squeeze)
        self.expand = [_Convolution(module.expand1x1), _Convolution(module.expand3x3)]

    def __call__(self, x: Any) -> Any:
        x = ops.relu(self.squeeze(x))
        return ops.relu(ops.concatenate([expand(x) for expand in self.expand], 3))


class _Pooling:
    def __init__(self, module: _Pool) -> None:
        self.kind, self.kernel, self.ceil = module.kind, module.kernel, module.ceil

    def __call__(self, x: Any) -> Any:
        if self.kind == "l2":
            return self._root_of_squares(x)
        if self.kind == "max":  # zeros are never the greatest after a ReLU, or change nothing
            return ops.max_pool(self._completed(x), self.kernel, 2, data_format="channels_last")
        mean = ops.average_pool(self._completed(x), self.kernel, 2, data_format="channels_last")
        if not self.ceil:
            return mean
        # A mean is of the pixels that its window has; the zeros beyond the edge are none.
        share = ops.average_pool(
            self._completed(ops.ones_like(x[:1, :, :, :1])), self.kernel, 2, data_format="channels_last"
        )
        return mean / share

    def _completed(self, x: Any) -> Any:
        """With the pixel that the last window may lack: one more makes no other window, as the stride is 2."""
        return ops.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0))) if self.ceil else x

    @staticmethod
    def _root_of_squares(x: Any) -> Any:
        """As `ops.features` has it: the Hann-weighted root of squares of 3x3 pixels."""
        taps = np.array([0.25, 0.5, 0.25])
        hann = np.broadcast_to(np.outer(taps, taps)[..., None, None], (3, 3, x.shape[3], 1))
        squares = ops.pad(ops.square(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
        kernel = ops.convert_to_tensor(np.ascontiguousarray(hann), x.dtype)
        return ops.sqrt(ops.depthwise_conv(squares, kernel, 2, "valid", "channels_last") + 1e-12)


def _variable(values: Tensor) -> Any:
    return keras.Variable(np.ascontiguousarray(values.numpy()), trainable=False, dtype="float32", autocast=False)


class Cut:
    """A Keras model, cut at layers; frozen, in inference mode, its input in ``channels_last``.

    Args:
        model: with one image as its input, such as ``keras.applications.VGG16(include_top=False)``.
        layers: names of its layers.
        preprocess: what it was trained on, in the words of ``keras.applications``: ``"caffe"`` (VGG16 and VGG19:
            BGR in grey levels about a mean), ``"tf"`` ([-1, 1]), ``"torch"`` (ImageNet's mean and deviation), or
            ``"unit"``: images as they are, in [0, 1].
        who: named in errors.

    Raises:
        ValueError: for a preprocessing that is missing or unknown, a layer that does not exist or makes no map, and
            a model whose layers are not connected; when called, for images that the model does not take.
    """

    def __init__(self, model: keras.Model, layers: Sequence[str], preprocess: str | None, who: str) -> None:
        if preprocess not in get_args(Preprocess):
            raise ValueError(
                f"{who}: say with preprocess= what the model was trained on, one of "
                f"{', '.join(get_args(Preprocess))} ('caffe' for keras.applications' VGGs); got {preprocess!r}"
            )
        if len(getattr(model, "inputs", None) or []) != 1:
            raise ValueError(
                f"{who}: the model {model.name} must be functional or sequential, built, and have one input; "
                "keras.applications' are"
            )
        known = [layer.name for layer in model.layers]
        for layer in layers:
            if layer not in known:
                raise ValueError(f"{who}: the model {model.name} has no layer {layer!r}; it has {', '.join(known)}")
        outputs = [model.get_layer(layer).output for layer in layers]
        for layer, output in zip(layers, outputs, strict=True):
            if len(output.shape) != 4:
                raise ValueError(
                    f"{who}: layer {layer!r} of {model.name} makes {tuple(output.shape)}, no map of positions; "
                    "choose one before the pixels are pooled or flattened"
                )
        self.preprocess, self.who, self.name = preprocess, who, model.name
        self.takes = tuple(model.inputs[0].shape)
        self.model = keras.Model(model.inputs, outputs)
        self.fit: set[tuple[int, ...]] = set()

    def __call__(self, x: Any) -> list[Any]:
        """The maps of images ``(n, c, h, w)`` in the unit range."""
        x = ops.transpose(x, (0, 2, 3, 1))
        self._check(tuple(x.shape[1:]))
        if self.preprocess == "caffe":
            x = ops.flip(x, 3) * 255 - ops.convert_to_tensor(CAFFE_MEAN, x.dtype)
        elif self.preprocess == "torch":
            mean, std = (ops.convert_to_tensor(values, x.dtype) for values in (IMAGENET_MEAN, IMAGENET_STD))
            x = (x - mean) / std
        elif self.preprocess == "tf":
            x = x * 2 - 1
        # Constants in place of its variables: PyTorch would differentiate to every weight.
        weights = (self.model.trainable_variables, self.model.non_trainable_variables)
        frozen = [[ops.stop_gradient(values) for values in group] for group in weights]
        outputs, _ = self.model.stateless_call(*frozen, x, training=False)
        maps = outputs if isinstance(outputs, list) else [outputs]
        return [ops.cast(ops.transpose(values, (0, 3, 1, 2)), x.dtype) for values in maps]

    def _check(self, sizes: tuple[int, ...]) -> None:
        """Refuse images ``(h, w, c)`` that the model does not take or that its pooling leaves nothing of."""
        if sizes in self.fit:
            return
        if any(
            None not in (expected, size) and expected != size
            for expected, size in zip(self.takes[1:], sizes, strict=True)
        ):
            raise ValueError(
                f"{self.who}: the model {self.name} takes {self.takes}, channels last, got images {sizes}; build "
                "it for these, or with input_shape=(None, None, 3)"
            )
        try:
            self.model.compute_output_shape((1, *sizes))
        except ValueError as error:
            raise ValueError(
                f"{self.who}: images {sizes} are too small for the layers of {self.name}; use larger images or "
                f"shallower layers. Keras says: {error}"
            ) from error
        self.fit.add(sizes)


def stand_in(layers: str | Sequence[str] | Mapping[str, float]) -> nn.Module:
    """A module with submodules of these names: through it a definition checks the options of a Keras model."""
    names = [layers] if isinstance(layers, str) else list(layers)
    return nn.ModuleDict({name: nn.Identity() for name in names})
