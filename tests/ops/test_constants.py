"""Constants say of which dtype they are and where: torch's defaults are the caller's, and change nothing."""

import ast
import re
import sys
from pathlib import Path

import torch

import lookalike
from lookalike import modes

ROOT = Path(lookalike.__file__).parent
FILLED = {"arange", "as_tensor", "asarray", "empty", "eye", "full", "linspace", "logspace", "ones", "rand", "randn",
          "scalar_tensor", "tensor", "zeros", "bartlett_window", "blackman_window", "hamming_window", "hann_window",
          "kaiser_window", "fftfreq", "rfftfreq"}  # fmt: skip
WHOLE = {"randint", "randperm", "tril_indices", "triu_indices"}  # of a dtype of their own
MEANT = {"torch", "torch.fft", "torch.random"}


def silent(file: Path) -> list[str]:
    """Calls of torch that take a default for the dtype or the device of what they make."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = node.func.attr
        if ast.unparse(node.func.value) not in MEANT or name not in FILLED | WHOLE:
            continue
        said = {keyword.arg for keyword in node.keywords}
        missing = ({"device"} if name in WHOLE else {"dtype", "device"}) - said
        if missing and None not in said:
            found.append(
                f"{file.relative_to(ROOT)}:{node.lineno}: torch.{name} without {', '.join(sorted(missing))}"
            )
    return found


def test_every_constant_says_its_dtype_and_device():
    assert [line for file in sorted(ROOT.rglob("*.py")) for line in silent(file)] == []


def test_the_search_finds_what_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    file = tmp_path / "a.py"
    file.write_text(
        "import torch\ntorch.zeros(3, dtype=d)\ntorch.fft.fftfreq(3)\ntorch.ones(2, dtype=d, device=e)\n"
    )
    assert silent(file) == [
        "a.py:2: torch.zeros without device",
        "a.py:3: torch.fftfreq without device, dtype",
    ]


def private(file: Path) -> list[str]:
    """Where a file takes private names of torch."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and re.fullmatch(r"[\w.]+", ast.unparse(node)):
            names = ast.unparse(node).split(".")
        elif isinstance(node, ast.ImportFrom):
            names = (node.module or "").split(".")
        else:
            continue
        if names[0] == "torch" and names[1:3] != ["ops", "aten"] and any(re.match("_[^_]", name) for name in names):
            found.append(f"{file.relative_to(ROOT)}:{node.lineno}: {'.'.join(names)}")
    return found


def test_torch_s_private_names_are_asked_in_one_file():
    assert private(ROOT / "modes.py")
    others = sorted(set(ROOT.rglob("*.py")) - {ROOT / "modes.py"})
    assert [line for file in others for line in private(file)] == []


def test_without_its_private_names_torch_counts_as_plain(monkeypatch):
    assert modes._private("_C._no_such_function", lambda: 7)() == 7
    monkeypatch.setattr(modes, "_transforms_active", lambda: False)
    monkeypatch.setattr(modes, "_dispatch_modes", lambda: 0)
    monkeypatch.delattr(torch.autograd.forward_ad, "_current_level")
    assert not modes.transformed()
    assert not modes.recorded()
    assert modes.readable(torch.ones(1))
