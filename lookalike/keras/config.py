"""Options as what a saved model can hold, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

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
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


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
        return tuple(_restored(one, option, who) for one in value)
    if isinstance(value, Mapping) and _CONVENTION in value:
        return Convention(**restored(value[_CONVENTION], who))
    if isinstance(value, Mapping) and _MODEL in value:
        raise ValueError(
            f"{who}: {option} was the model {value[_MODEL]!r}, which is not saved with a loss; load with "
            f"compile=False and compile again with {option}=your model"
        )
    return value
