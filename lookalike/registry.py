"""Every metric by name, from one scan of `lookalike.metrics`; the only dynamic import of the library."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

from lookalike import metrics
from lookalike.metric import Metric
from lookalike.options import meant, there_are
from lookalike.weights import known


@cache
def _scan() -> dict[str, type[Metric]]:
    classes: dict[str, type[Metric]] = {}
    for module in sorted(entry.name for entry in pkgutil.iter_modules(metrics.__path__)):
        room = importlib.import_module(f"{metrics.__name__}.{module}")
        for value in vars(room).values():
            if not (inspect.isclass(value) and issubclass(value, Metric)):
                continue
            if value.__module__ == room.__name__ and "facts" in vars(value):
                for name in (value.facts.name, *value.facts.aliases):
                    if name in classes:
                        raise ValueError(f"registry: {classes[name]} and {value} are both called {name!r}")
                    classes[name] = value
    return classes


def catalog() -> list[str]:
    """The names of all metrics, sorted, aliases left out.

    Example:
        >>> {"l1", "ssim", "ms_ssim"} <= set(catalog())
        True
    """
    return sorted({metric.facts.name for metric in _scan().values()})


def names() -> list[str]:
    """All names that `get` takes, aliases among them, sorted.

    Example:
        >>> {"l2", "mse"} <= set(names())
        True
    """
    return sorted(_scan())


def without_weights() -> list[str]:
    """The names of the metrics that need no learned weights.

    Example:
        >>> "contextual_patches" in without_weights(), "lpips_alex" in without_weights()
        (True, False)
    """
    return [name for name in catalog() if not metric_class(name).facts.weights]


def weights_of_all() -> dict[str, tuple[str, ...]]:
    """The parts of `lookalike.weights` that each metric needs, by the metric's name; metrics without are left out.

    Example:
        >>> weights_of_all()["lpips_alex"]
        ('alexnet', 'lpips-alex-heads')
    """
    return {name: needed for name in catalog() if (needed := metric_class(name).facts.weights)}


def weights_of(name: str) -> tuple[str, ...]:
    """The parts behind a name: a part's own, or a metric's, with hyphens or underscores.

    Raises:
        ValueError: for an unknown name, with the nearest one.

    Example:
        >>> weights_of("lpips-alex"), weights_of("vgg16")
        (('alexnet', 'lpips-alex-heads'), ('vgg16',))
    """
    sets = weights_of_all()
    if (metric := name.replace("-", "_")) in sets:
        return sets[metric]
    if name in known.PARTS:
        return (name,)
    names = [*sets, *known.PARTS]
    raise ValueError(f"no weights are called {name!r}{meant(name, names)}; {there_are(name, names)}")


def cheap() -> list[str]:
    """The names of the metrics that need no learned weights and take a time in proportion to the pixels.

    Example:
        >>> "psnr" in cheap(), "contextual_patches" in cheap()
        (True, False)
    """
    return [name for name in without_weights() if not metric_class(name).facts.quadratic]


def metric_class(name: str) -> type[Metric]:
    """The class behind a name or alias.

    Raises:
        TypeError: for what is not text.
        ValueError: for an unknown name, with the nearest one.

    Example:
        >>> metric_class("mse").__name__
        'L2'
    """
    known = _scan()
    if not isinstance(name, str):
        raise TypeError(f"a metric's name is text, such as 'ssim'; got {type(name).__name__}")
    if name not in known:
        raise ValueError(f"no metric is called {name!r}{meant(name, known)}; {there_are(name, catalog())}")
    return known[name]


def options_of(name: str) -> tuple[str, ...]:
    """The options that a metric's constructor takes, its own first.

    Example:
        >>> options_of("psnr")
        ('cap_db', 'luma', 'crop', 'data_range', 'reduction', 'check')
    """
    options: list[str] = []
    for owner in metric_class(name).__mro__:
        if not issubclass(owner, Metric):
            break
        if "__init__" in vars(owner):
            for parameter in inspect.signature(owner.__init__).parameters.values():
                if parameter.kind == parameter.KEYWORD_ONLY and parameter.name not in options:
                    options.append(parameter.name)
    return tuple(options)


def get(name: str, **options: Any) -> Metric:
    """A metric by name: ``get("ssim", data_range=255)(x, y)`` gives scores ``(n,)``.

    Args:
        name: one of `catalog`, or an alias such as ``"mse"``.
        options: ``data_range`` (default 1), ``convention`` where the metric has them, and the metric's own.

    Raises:
        ValueError: for an unknown name, with the nearest one.
        TypeError: for an unknown option, with the nearest one.

    Example:
        >>> import torch
        >>> float(get("l1")(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)))
        1.0
    """
    kind = metric_class(name)
    known = options_of(name)
    for option in options:
        if option not in known:
            raise TypeError(f"{name}: has no option {option!r}{meant(option, known)}; it has {', '.join(known)}")
    return kind(**options)
