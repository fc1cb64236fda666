"""What every page is made of: a template, style and script inside it, everything else escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lookalike.records import runs

_ROOM = Path(__file__).parent


def render(template: str, *, styles: Sequence[str], scripts: Sequence[str] = (), **values: Any) -> str:
    """One html file as text: no network, no other file.

    Args:
        template: its file in this room.
        styles, scripts: files in this room, which the template shows as ``style`` and ``script``.
        values: what else the template shows; text is escaped.
    """
    room = Environment(
        loader=FileSystemLoader(_ROOM), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    room.filters |= {"number": runs.shown, "signature": breakable}
    return room.get_template(template).render(style=_inside(styles), script=_inside(scripts), **values)


WELL_KNOWN = ("psnr", "ssim", "ms_ssim", "lpips_alex", "cw_ssim", "gmsd", "flip", "ssimulacra2", "dists")


def ordered(names: Sequence[str], first: Sequence[str] = ()) -> list[str]:
    """Columns in the order that a reader looks for them: those named first, what people know, the rest as it is.

    Args:
        names: of columns; options after a name do not matter.
        first: names that come before all others, such as those that were trained with.

    Example:
        >>> ordered(["dss", "l1", "ssim(convention=piq)", "psnr"], ["l1"])
        ['l1', 'psnr', 'ssim(convention=piq)', 'dss']
    """
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys([*first, *WELL_KNOWN]))}
    return sorted(names, key=lambda name: ranks.get(name.partition("(")[0], len(ranks)))


def breakable(signature: str) -> Markup:
    """A signature that may be broken after each of its bars.

    Example:
        >>> str(breakable("ssim|v:1"))
        'ssim|<wbr>v:1'
    """
    return Markup("|<wbr>").join(escape(part) for part in signature.split("|"))


def _inside(files: Sequence[str]) -> Markup:
    return Markup("\n".join((_ROOM / file).read_text(encoding="utf-8") for file in files))
