"""What figures depend on, and where a benchmark keeps them: a folder for each kind of machine.

A benchmark prints. With ``--keep`` its figures are also written to ``benchmarks/results/MACHINE/NAME.json``, where
MACHINE says the processor and the instruction set, so one machine's figures never replace another's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PINNED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}


def processor() -> dict[str, str]:
    """Its name, and the family and model that tell two generations of one name apart, where Linux says so."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    fields = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line)
    about = {"processor": fields.get("model name") or platform.processor() or platform.machine()}
    if "cpu family" in fields:
        about["family and model"] = f"{fields['cpu family']}-{fields['model']}"
    return about


def machine(threads: int, peers: Sequence[str] = ()) -> dict[str, Any]:
    """What figures of this processor depend on."""
    from lookalike.ops import compiled  # with torch, which a process for another backend need not load

    return {
        **processor(),
        "processors": os.cpu_count(),
        "instruction set": compiled.cpu.instruction_set() if compiled.cpu else "none",
        "threads": threads,
        "python": platform.python_version(),
        "torch": version("torch"),
        "peers": {name: version(name) for name in peers},
        "malloc": {name: os.environ.get(name, "") for name in PINNED},
    }


def folder(about: dict[str, Any]) -> Path:
    """Where the figures of such a machine are kept."""
    keys = ("processor", "device", "family and model", "instruction set")
    words = [str(about[key]) for key in keys if key in about]
    return RESULTS / re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def add_keep(parser: argparse.ArgumentParser) -> None:
    """The option of every benchmark that has figures to keep."""
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results/MACHINE")


def keep(name: str, report: dict[str, Any]) -> Path:
    """Write a benchmark's figures, whose ``machine`` says where they were measured."""
    path = folder(report["machine"]) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {path.relative_to(ROOT)}")
    return path
