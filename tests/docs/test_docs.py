"""What the pages say is true."""

import doctest
import re
import subprocess
import sys
import tomllib

import pytest
from places import ROOT


@pytest.mark.slow
def test_the_readme_tables_come_from_the_code():
    pytest.importorskip("skimage", reason="the README's photograph comes with scikit-image")
    done = subprocess.run(
        [sys.executable, "-m", "docs.tables", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_changelog_counts_the_conventions():
    from lookalike.conventions import CONVENTIONS

    said = re.search(r"under (\d+) named conventions", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert said is not None
    assert int(said[1]) == len(CONVENTIONS)


def test_every_file_the_pages_name_is_there():
    for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page} names {target}"


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation


def test_architecture_names_every_room():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for entry in sorted((ROOT / "lookalike").iterdir()):
        if entry.name.startswith(("__", ".")) or entry.name == "py.typed":
            continue
        assert re.search(rf"^  {re.escape(entry.name)}(/|\s)", text, re.MULTILINE), f"{entry.name} is not named"


@pytest.mark.parametrize("page", ["losses.md"])
def test_the_examples_of_a_page_print_what_it_says(page):
    pytest.importorskip("skimage", reason="the page's photograph comes with scikit-image")
    failed, tried = doctest.testfile(str(ROOT / "docs" / page), module_relative=False)
    assert tried > 0
    assert failed == 0
