"""Write the tables of README.md from the code: ``python -m docs.tables``; ``--check`` compares them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np

from lookalike import conventions, registry, ruler

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SHOWN_UNIFORM = ("uniform 7 float32 16x3x256x256", "uniform 7 uint8 1080p RGB")
# The one machine whose figures README.md shows; the others' stand beside it.
MACHINE = ROOT / "benchmarks" / "results" / "amd-epyc-avx512"


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
        # In float64, whose digits are the same on every processor.
        rows = ruler.run(judged / 255, reference / 255, metric)
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


def speed_table() -> str:
    """What `make bench` stored, a row for each work and peer."""
    report = json.loads((MACHINE / "ssim.json").read_text(encoding="utf-8"))
    machine = report["machine"]
    peers = ", ".join(f"{name} {version}" for name, version in machine["peers"].items())
    lines = ["| work (fb: forward + backward) | lookalike | peer | peer's time | ratio |", "|---|---|---|---|---|"]
    for case in report["cases"]:
        if case["name"].startswith("uniform") and case["name"] not in SHOWN_UNIFORM:
            continue
        ours = case["median_ms"]["ours"]
        for peer, ratio in case["ratio"].items():
            lines.append(
                f"| {case['name']} | {ours:.2f} ms | {peer} | {case['median_ms'][peer]:.1f} ms | {ratio:.1f} |"
            )
    memory = report["memory_mib"]
    extra = "; ".join(
        f"{name.replace('_', '-')} {row['forward']:.1f} / {row['fb']:.0f} MiB" for name, row in memory.items()
    )
    overhead = ", ".join(f"{name} {value:.0f} µs" for name, value in report["overhead_us"].items())
    return "\n".join(
        [
            f"{machine['processor']}, {machine['instruction set']}, {machine['threads']} threads, "
            f"torch {machine['torch']}; {peers}. One process, calls interleaved, medians of the 7 quietest rounds, "
            "malloc pinned in the peers' favour. `make bench` prints all of it and refuses to time kernels whose "
            "tests fail.",
            "",
            *lines,
            "",
            f"Extra memory of one call on 16x3x256x256, forward / fb: {extra} (a gradient is 12 MiB). "
            f"Overhead at 32x32: {overhead}.",
        ]
    )


def rack_table() -> str:
    """What `benchmarks.rack` stored, a row for each metric."""
    report = json.loads((MACHINE / "rack.json").read_text(encoding="utf-8"))
    machine, side = report["machine"], report["side"]
    peers = ", ".join(f"{name} {version}" for name, version in machine["peers"].items())
    lines = [
        "| metric | images | forward | best peer | ratio | forward + backward | best peer | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        options = "".join(f", {value}" for value in row["options"].values())
        cells = [f"`{row['metric']}`{options}", "grey" if row["channels"] == 1 else "RGB"]
        for work in ("forward", "fb"):
            part = row[work]
            cells.append(f"{part['ours']:.2f} ms")
            there = "peer" in part
            cells += [part["peer"], f"{part['theirs'] / part['ours']:.2f}"] if there else ["–", "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            f"{side}×{side}, float32, one thread of {machine['processor']}, {machine['instruction set']}, torch "
            f"{machine['torch']}; {peers}. Medians of processor time, turns alternating, malloc pinned in the "
            "peers' favour: `python -m benchmarks.rack`.",
            "",
            *lines,
        ]
    )


def main() -> int:
    """Rewrite the blocks between the markers, or compare them."""
    text = README.read_text(encoding="utf-8")
    fresh = text
    for name, table in (
        ("ruler", ruler_table()),
        ("metrics", metrics_table()),
        ("speed", speed_table()),
        ("rack", rack_table()),
    ):
        pattern = re.compile(rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        fresh = pattern.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", fresh)
    if "--check" in sys.argv[1:]:
        print("README.md is true" if fresh == text else "README.md is out of date: run python -m docs.tables")
        return int(fresh != text)
    README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
