"""Write docs/proofs.md, how far each metric is from its authors' program: ``python -m docs.proofs``.

The rows and the pairs are the tests' own; where the folder `shared` lies beside the repository, its pairs count
too.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import lookalike
from lookalike.records import runs

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "proofs.md"
PAGE_HEAD = """# How far from the authors

The largest difference between lookalike and the metric authors' own programs (MATLAB code run in GNU Octave,
float64) over the pairs that they were run on, in float64 and in float32. Written by `python -m docs.proofs`;
the tests hold the same values at fixed tolerances.

| metric | asked as | their value | pairs | float64 | float32 |
|---|---|---|---|---|---|
"""
PAGE_TAIL = """
MAD is exactly 0 on a pair whose change is one of colour, as in its authors' program; where two images differ in
appearance by rounding alone, as inverted ones do, that is what is left of it in float32. S-CIELAB is fed XYZ.

MS-GMSD, FLIP, SSIMULACRA 2, LPIPS, DISTS and CIEDE2000 have no such program here. They are held to published tables
(CIEDE2000, LPIPS), to recorded values of the reference programs (SSIMULACRA 2, FLIP), to the official packages
(LPIPS, DISTS) and to other packages where those are right: in `tests/metrics`, `test_rack_recorded.py`,
`test_rack_colour.py`, `test_lpips.py`, `test_dists.py`, `test_colour.py`.
"""


class Row(NamedTuple):
    """A metric, how it is asked for, the key of the authors' value, and what it is fed with."""

    metric: str
    options: dict[str, Any]
    key: str
    feed: Callable[[Any, torch.dtype], list[Tensor]]


def main() -> int:
    """Compare, and write the page."""
    sys.path[:0] = [str(ROOT / "tests" / name) for name in ("support", "golden", "metrics")]
    values = importlib.import_module("author_values")
    pairs = list(_pairs(values))
    lines = []
    for row in _rows():
        wanted = [(found[row.key], pair) for found, pair in pairs if found.get(row.key) is not None]
        metric = lookalike.get(row.metric, **row.options)
        apart = {torch.float64: 0.0, torch.float32: 0.0}
        for expected, pair in wanted:
            for dtype in apart:
                reference, judged = row.feed(pair, dtype)
                apart[dtype] = max(apart[dtype], abs(float(metric(judged, reference)) - expected))
        options = ", ".join(f"{name}={value!r}" for name, value in row.options.items())
        figures = " | ".join(f"{value:.1e}" for value in apart.values())
        lines.append(f"| `{row.metric}` | {options or 'default'} | `{row.key}` | {len(wanted)} | {figures} |\n")
    runs.write_text(PAGE, PAGE_HEAD + "".join(lines) + PAGE_TAIL)
    print(f"{PAGE.relative_to(ROOT)}: {len(lines)} rows, {len(pairs)} pairs")
    return 0


def _pairs(values: Any) -> Iterator[tuple[dict[str, float], Any]]:
    for name, found in values.AUTHORS.items():
        yield found, values.made_pairs()[name]
    for name, found in values.GOLDEN.items():
        pair = values.file_pair(name)
        if pair is not None:
            yield found, pair


def _rows() -> Iterator[Row]:
    """Those of the tests."""
    values, rack, recorded, cw_ssim, seen = (
        importlib.import_module(name)
        for name in ("test_author_values", "test_rack", "test_rack_recorded", "test_cw_ssim", "test_rack_colour")
    )

    def grey(pair: Any, dtype: torch.dtype) -> list[Tensor]:
        return [rack.fed(image, "grey", dtype) for image in pair]

    for key, (metric, options) in values.METRICS.items():
        if metric in ("ssim", "ms_ssim"):
            yield Row(metric, options, key, grey)
    for key, options in cw_ssim.SETTINGS.items():
        yield Row("cw_ssim", options, key, grey)
    for key, kind, metric, options, _ in rack.ROWS:
        yield Row(metric, options, key, lambda pair, dtype, kind=kind: [rack.fed(one, kind, dtype) for one in pair])
    for key, (metric, options, coloured) in recorded.METRICS.items():
        yield Row(metric, options, key, lambda pair, dtype, own=coloured: recorded.fed(pair, own, dtype))
    yield Row("mad", {}, "mad", grey)
    for key in seen.S_CIELAB:
        yield Row(
            "s_cielab", {"spd": seen.spd_of(key)}, key,
            lambda pair, dtype: [rack.fed(image, "colour", dtype) for image in pair],
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
