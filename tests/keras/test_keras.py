"""The Keras face on each backend, each in a process of its own: Keras takes its backend when it is imported."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from places import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_the_suite_on(backend, record_property):
    for package in ("keras", backend):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; `make setup` brings it")
    command = [
        sys.executable, "-m", "pytest", "-q", "-W", "default", "--import-mode=importlib", "--doctest-modules",
        "-o", "addopts=", "-p", "no:logging", "-p", "no:cacheprovider", "-p", "no:xdist",
        "tests/keras/keras_suite.py", "lookalike/keras",
    ]  # fmt: skip
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    for reason in re.findall(r"^(.+): \d+ tests?$", done.stdout, re.MULTILINE):  # as `conftest` reports them
        record_property("skipped", f"{backend}: {reason}")


@pytest.mark.slow
def test_without_keras_it_says_what_to_install():
    code = "import sys; sys.modules['keras'] = None; import lookalike; import lookalike.keras"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "pip install 'lookalike[keras]'" in done.stderr


@pytest.mark.slow
def test_lookalike_itself_does_not_load_keras():
    code = "import lookalike, sys; lookalike.get('ssim'); assert 'keras' not in sys.modules, 'keras was loaded'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
