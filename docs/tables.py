"""Write the tables of README.md from the code: ``python -m docs.tables``; ``--check`` compares them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from lookalike import conventions, registry, ruler

README = Path(__file__).resolve().parents[1] / "README.md"


def metrics_table() -> str:
    """The catalogue with its facts."""
    rows = [
        "| name | metric | better | identical | range | smallest side | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in registry.catalog():
        facts = registry.metric_class(name).facts
        low, high = (f"{end:g}".replace("inf", "∞") for end in facts.range)
        unit = f" {facts.unit}" if facts.unit else ""
        rows.append(
            f"| `{name}` | {facts.title} | {facts.better} | {facts.identical:g}{unit} | {low} … {high} "
            f"| {facts.min_side} | {facts.paper} |"
        )
    return "\n".join(rows)


def ruler_table() -> str:
    """One reproducible pair under every convention, equal definitions together."""
    from skimage import data

    reference = data.astronaut()
    noise = np.random.RandomState(0).normal(0, 15, reference.shape)
    judged = np.clip(np.round(reference + noise), 0, 255).astype(np.uint8)
    columns: list[dict[str, str]] = []
    for metric in ("ssim", "ms_ssim"):
        rows = ruler.run(judged, reference, metric)
        columns.append({row.convention: "–" if row.value is None else f"{row.value:.6f}" for row in rows})
    lines = ["| convention | SSIM | MS-SSIM | whose | held by |", "|---|---|---|---|---|"]
    for name, row in conventions.CONVENTIONS.items():
        values = [column.get(name, "–") for column in columns]
        lines.append(f"| `{name}` | {values[0]} | {values[1]} | {row.source} | {row.proof} |")
    caption = (
        "scikit-image's photograph *astronaut* (512×512, RGB) and the same with Gaussian noise of 15 grey levels "
        "(`numpy.random.RandomState(0)`), 8 bits each:"
    )
    return f"{caption}\n\n" + "\n".join(lines)


def main() -> int:
    """Rewrite the blocks between the markers, or compare them."""
    text = README.read_text(encoding="utf-8")
    fresh = text
    for name, table in (("ruler", ruler_table()), ("metrics", metrics_table())):
        pattern = re.compile(rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        fresh = pattern.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", fresh)
    if "--check" in sys.argv[1:]:
        print("README.md is true" if fresh == text else "README.md is out of date: run python -m docs.tables")
        return int(fresh != text)
    README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
