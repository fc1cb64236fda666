"""The parity table: every named convention beside its library, pair by pair.

    python benchmarks/parity.py                     what this interpreter has, and the recorded values
    python benchmarks/parity.py --summary           the largest difference of each convention and metric
    python benchmarks/parity.py --json parity.json  the whole table as JSON too
    python benchmarks/parity.py --large             photographs and video frames as well

Both sides compute in float64 where the library can. "authors" are the original MATLAB programs in GNU Octave.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(Path(__file__).parents[1]), str(TESTS / "support"), str(TESTS / "golden")]

from pairs import all_pairs  # noqa: E402
from peers import PEERS, AbsentError, Image, RefusedError, ours  # noqa: E402

from lookalike.conventions import CONVENTIONS  # noqa: E402

LARGE_PX = 640 * 640  # height x width

# (library of the record, its metric, our convention, our metric)
RECORDED = (
    ("tensorflow", "ssim", "tensorflow", "ssim"),
    ("tensorflow", "ms_ssim", "tensorflow", "ms_ssim"),
    ("tensorflow-float64", "ssim", "tensorflow", "ssim"),
    ("tensorflow-float64", "ms_ssim", "tensorflow", "ms_ssim"),
    ("keras", "ssim", "keras", "ssim"),
    ("torchmetrics-1.4.1", "ssim", "torchmetrics-1.4.1", "ssim"),
    ("torchmetrics-1.4.1", "ms_ssim", "torchmetrics-1.4.1", "ms_ssim"),
    ("pyiqa", "ssim", "pyiqa-y", "ssim"),
    ("pyiqa", "ms_ssim", "pyiqa-y", "ms_ssim"),
    ("pyiqa", "ssimc", "pyiqa-colour", "ssim"),
)
AUTHORS = (
    ("ssim_2003_nodown", "wang-msssim", "ssim"),
    ("ssim_2009_autodown", "wang-matlab", "ssim"),
    ("msssim", "wang-msssim", "ms_ssim"),
)


@dataclass(frozen=True)
class Row:
    """One pair under one convention."""

    convention: str
    metric: str
    source: str
    proof: str
    pair: str
    size: str
    ours: float
    theirs: float
    difference: float


def row(convention: str, metric: str, source: str, pair: str, images: tuple[Image, Image], theirs: float) -> Row:
    height, width = images[0].shape[:2]
    size, proof = f"{height}x{width}", CONVENTIONS[convention].proof
    value = ours(convention, metric, *images)
    return Row(convention, metric, source, proof, pair, size, value, theirs, abs(value - theirs))


def run_here(pairs: dict[str, tuple[Image, Image]]) -> Iterator[Row]:
    """The libraries that can be imported; a size that one of them refuses is left out."""
    for peer in PEERS:
        for name, images in pairs.items():
            if min(images[0].shape[:2]) < peer.least or name.startswith("sk/"):
                continue
            try:
                theirs = peer(*images)
            except AbsentError as absent:
                print(f"{peer.name}: {absent}", file=sys.stderr)
                break
            except RefusedError as refused:
                print(f"{peer.name}: {name}: {refused}", file=sys.stderr)
                continue
            yield row(peer.convention, peer.metric, peer.package.partition(".")[0], name, images, theirs)


def recorded(pairs: dict[str, tuple[Image, Image]]) -> Iterator[Row]:
    """The libraries of `tests/golden/recorded.json`."""
    record = json.loads((TESTS / "golden/recorded.json").read_text(encoding="utf-8"))
    for library, key, convention, metric in RECORDED:
        about = record["libraries"][library]
        for name, theirs in record["values"][library][key].items():
            if name in pairs:
                source = f"{about['package']} {about['version']}, {about['dtype']}"
                yield row(convention, metric, source, name, pairs[name], theirs)


def authors(pairs: dict[str, tuple[Image, Image]]) -> Iterator[Row]:
    """The original programs, `tests/golden/authors.json`."""
    values = json.loads((TESTS / "golden/authors.json").read_text(encoding="utf-8"))["values"]
    for key, convention, metric in AUTHORS:
        for name, of in values.items():
            if name in pairs:
                yield row(convention, metric, f"authors, {key}", name, pairs[name], of[key])


def table(rows: list[list[str]]) -> str:
    """Columns, the first row above a rule."""
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def detail(rows: list[Row]) -> str:
    """A line a pair."""
    lines = [["convention", "metric", "source", "pair", "ours", "theirs", "difference"]]
    for line in rows:
        numbers = [f"{line.ours:.9f}", f"{line.theirs:.9f}", f"{line.difference:.1e}"]
        lines.append([line.convention, line.metric, line.source, line.pair, *numbers])
    return table(lines)


def summary(rows: list[Row]) -> str:
    """A line for each convention, metric and source: how many pairs, and the largest difference."""
    groups: dict[tuple[str, str, str, str], list[float]] = {}
    for line in rows:
        key = (line.convention, line.metric, line.source, line.proof)
        groups.setdefault(key, []).append(line.difference)
    lines = [["convention", "metric", "source", "proof", "pairs", "largest difference"]]
    lines += [[*key, str(len(differences)), f"{max(differences):.1e}"] for key, differences in groups.items()]
    return table(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="The parity table of every named convention.")
    parser.add_argument("--summary", action="store_true", help="only the largest differences")
    parser.add_argument("--large", action="store_true", help="images of 640 x 640 px and more too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole table there")
    arguments = parser.parse_args()
    pairs = {
        name: images
        for name, images in all_pairs().items()
        if arguments.large or images[0].shape[0] * images[0].shape[1] < LARGE_PX
    }
    rows = [*authors(pairs), *run_here(pairs), *recorded(pairs)]
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(line) for line in rows], indent=1) + "\n", encoding="utf-8")
    if not arguments.summary:
        print(detail(rows), end="\n\n")
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
