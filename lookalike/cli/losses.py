"""``lookalike losses``: the losses that have a name, with their formulas."""

from __future__ import annotations

from lookalike.cli import show

_LEGEND = """
Metrics stand for themselves turned into losses: ssim is 1 − SSIM. A published loss takes values as they come; S is
its SSIM of the first image of a batch, g a Gaussian of half a pixel at the centre, N·C the number of planes.
"""


def losses(*, json: bool = False) -> int:
    """List the losses that have a name, with formula, source, and the promises that they break.

    Any of them, or an expression of metrics such as '0.84*ssim + 0.16*l1', is a loss: lookalike.loss("3dgs").

    Args:
        json: print JSON.
    """
    from lookalike.losses.presets import PRESETS

    rows = PRESETS.values()
    if json:
        show.as_json(
            [
                {
                    "name": row.name, "formula": row.formula, "published": bool(row.parts), "values": row.fed,
                    "breaks": row.breaks, "source": row.source,
                }
                for row in rows
            ]
        )  # fmt: skip
        return 0
    show.as_table(
        ("loss", "formula", "values", "breaks", "source"),
        [
            (
                row.name, row.formula, f"{row.fed[0]:g}..{row.fed[1]:g}" if row.parts else "data_range",
                ", ".join(row.breaks) or show.DASH, row.source,
            )
            for row in rows
        ],
    )  # fmt: skip
    show.as_line(_LEGEND.strip())
    return 0
