"""Options as what a saved model can hold, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lookalike.conventions import Convention

_CONVENTION, _MODEL = "lookalike_convention", "lookalike_model"


def plain(value: Any) -> Any:
    """An option in terms of JSON; a network is only named, for its weights are not part of a loss.

    Example:
        >>> plain((1.0, 3.0)), plain(Path("vgg16.pth"))
        ([1.0, 3.0], 'vgg16.pth')
    """
    if isinstance(value, Convention):
        return {_CONVENTION: plain(dataclasses.asdict(value))}
    if isinstance(value, keras.Model):
        return {_MODEL: value.name}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def at_least_single(dtype: Any) -> Any:
    """The dtype of a loss or metric that is asked for, float32 in place of half precision.

    A mean of scores in half precision has three digits, and PSNR summed over images soon has no number.

    Args:
        dtype: a name, a policy of Keras, or None for ``keras.config.floatx()``.

    Example:
        >>> at_least_single("mixed_bfloat16"), at_least_single("float64")
        ('float32', 'float64')
    """
    computed = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
    return "float32" if computed in ("float16", "bfloat16") else computed


def restored(config: Mapping[str, Any], who: str) -> dict[str, Any]:
    """The options of a saved configuration.

    Raises:
        ValueError: where a network was given as a model, which a configuration does not hold.

    Example:
        >>> restored({"data_range": [-1.0, 1.0], "K": [0.01, 0.03]}, "doc")
        {'data_range': (-1.0, 1.0), 'K': (0.01, 0.03)}
    """
    return {name: _restored(value, name, who) for name, value in config.items()}


def _restored(value: Any, option: str, who: str) -> Any:
    if isinstance(value, list):
        return tuple(_restored(item, option, who) for item in value)
    if isinstance(value, Mapping) and _CONVENTION in value:
        return Convention(**restored(value[_CONVENTION], who))
    if isinstance(value, Mapping) and _MODEL in value:
        raise ValueError(
            f"{who}: {option} was the model {value[_MODEL]!r}, which is not saved with a loss; load with "
            f"compile=False and compile again with {option}=your model"
        )
    return value
