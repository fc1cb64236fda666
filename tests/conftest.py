"""What holds for the whole test run.

Every worker computes on one thread: two that spin for one core slow each other down tenfold. Ctrl-C is listened to,
also where the run was started in the background of a shell, whose children ignore it: tests send it. The tests of
kernels share their fixtures.
"""

import os
import signal
from collections.abc import Iterator

import learned  # noqa: F401 - says where learned weights are looked for, before anything asks
import pytest
import torch

from lookalike.ops import compiled

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=compiled.cpu.instruction_sets() if compiled.cpu else [])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = compiled.cpu.instruction_set()
    compiled.cpu.use_instruction_set(request.param)
    yield request.param
    compiled.cpu.use_instruction_set(before)


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def nan_in_fresh_memory() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)  # torch.empty then is full of NaN
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)
