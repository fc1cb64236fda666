"""Figures are kept for each kind of machine, and only where that is asked for."""

import json
import re
from pathlib import Path

import pytest
from places import ROOT

from benchmarks import machine
from docs import tables


def test_machines_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    about = {"processor": "AMD EPYC 9B14", "family and model": "25-17", "instruction set": "avx512"}
    first = machine.keep("ssim", {"machine": about, "figure": 1})
    second = machine.keep("ssim", {"machine": about | {"instruction set": "avx2"}, "figure": 2})
    assert first.parent.name == "amd-epyc-9b14-25-17-avx512"
    assert [json.loads(path.read_text())["figure"] for path in (first, second)] == [1, 2]


def test_this_machine_is_known_by_its_processor_and_instruction_set():
    about = machine.machine(1, ["numpy"])
    assert about["processor"]
    assert about["peers"].keys() == {"numpy"}
    assert machine.folder(about).name.endswith(about["instruction set"])


@pytest.mark.parametrize("name", ["ssim", "rack", "lab", "keras", "gpu"])
def test_nothing_is_written_unless_it_is_asked_for(name):
    """`make bench` leaves the tree as it was: figures are written by `keep` alone, under ``--keep``."""
    text = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
    assert not re.search(r"write_text|write_bytes|json\.dump\(", text)
    assert re.search(rf'if \w+\.keep:\n(?:.*\n){{0,5}}? +keep\("{name}"', text)


def test_the_readme_s_figures_are_one_named_machine_s():
    assert Path(tables.MACHINE).parent == machine.RESULTS
    assert {path.name for path in tables.MACHINE.iterdir()} >= {"ssim.json", "rack.json"}
