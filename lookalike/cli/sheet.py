"""One metric on one sheet: what it is, where it comes from, its options, and when to take it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lookalike.cli import show


def of(name: str) -> dict[str, Any]:
    """Everything that a sheet shows, as JSON holds it.

    Args:
        name: of a metric.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> sheet = of("psnr")
        >>> sheet["name"], sheet["options"]["cap_db"], sheet["maps"]
        ('psnr', 100.0, False)
    """
    from lookalike import registry

    made = registry.metric_class(name)
    facts = made.facts
    module = inspect.getmodule(made)
    return {
        "name": facts.name, "aliases": facts.aliases, "title": facts.title, "formula": _formula(made),
        "paper": facts.paper, "source": inspect.cleandoc(module.__doc__ or "") if module else "",
        "better": facts.better, "range": facts.range, "identical": facts.identical, "unit": facts.unit,
        "symmetric": facts.symmetric, "min_side": facts.min_side, "channels": facts.channels,
        "volumes": facts.volumes, "masks": facts.masks, "maps": _has_map(made), "weights": facts.weights,
        "quadratic": facts.quadratic, "version": facts.version,
        "options": _options(registry.options_of(name), made),
        "use": facts.suits, "not": facts.fails, "alone": facts.alone, "blind_to": dict(facts.tolerates),
        "declines": dict(facts.declines), "signature": _signature(name),
    }  # fmt: skip


def printed(sheet: Mapping[str, Any]) -> None:
    """Print a sheet."""
    low, high = (show.number(end) for end in sheet["range"])
    unit = f" {sheet['unit']}" if sheet["unit"] else ""
    weights = ", ".join(sheet["weights"])
    channels = " or ".join(map(str, sheet["channels"])) if sheet["channels"] else "any number"
    blind = sheet["blind_to"]
    aliases = f", also {', '.join(sheet['aliases'])}" if sheet["aliases"] else ""
    source = "\n\n".join(" ".join(part.split()) for part in sheet["source"].split("\n\n"))
    show.as_line(f"{sheet['name']}{aliases}: {sheet['title']}\n\n{sheet['formula']}\n\n{source}\n")
    lines = {
        "source": sheet["paper"],
        "better": f"{sheet['better']}; {low} to {high}{unit}; identical images {show.number(sheet['identical'])}",
        "images": f"from {sheet['min_side']} px a side, {channels} of channels"
        + (", volumes too" if sheet["volumes"] else ""),
        "symmetric": _yes(sheet["symmetric"]),
        "masks": _yes(sheet["masks"]),
        "maps": _yes(sheet["maps"]),
        "weights": f"{weights}: lookalike weights fetch {sheet['name']}" if weights else "none",
        "signature": sheet["signature"] or "with its weights at hand",
        "use it": sheet["use"] or show.DASH,
        "not": "; ".join([sheet["not"] or show.DASH, *(f"{kind}: {why}" for kind, why in blind.items())]),
        "as a loss": f"not alone: {sheet['alone']}" if sheet["alone"] else f"lookalike.loss({sheet['name']!r})",
    }
    show.as_pairs(lines)
    show.as_line("\noptions")
    show.as_pairs({f"  {name}": str(value) for name, value in sheet["options"].items()})


def _formula(made: type) -> str:
    """The first paragraph of the class's docstring: what is computed, with its equation."""
    return inspect.cleandoc(made.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _options(names: tuple[str, ...], made: type) -> dict[str, Any]:
    """The options of a constructor with their defaults, its own first."""
    defaults: dict[str, Any] = {}
    for owner in made.__mro__:
        if "__init__" in vars(owner):
            for parameter in inspect.signature(vars(owner)["__init__"]).parameters.values():
                if parameter.kind == parameter.KEYWORD_ONLY:
                    defaults.setdefault(parameter.name, parameter.default)
    return {name: _plain(defaults[name]) for name in names if name in defaults}


def _plain(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return "must be given"
    if isinstance(value, int | float | str | bool | None):
        return value
    return (
        [_plain(part) for part in value] if isinstance(value, list | tuple) else getattr(value, "name", str(value))
    )


def _has_map(made: type) -> bool:
    from lookalike.metric import Metric

    return issubclass(made, Metric) and made.score_map is not Metric.score_map


def _signature(name: str) -> str:
    from lookalike import registry, weights

    needed = registry.metric_class(name).facts.weights
    return registry.get(name).signature() if not needed or weights.present(*needed) else ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"
