"""What holds for the whole test run.

Every worker computes on one thread: two that spin for one core slow each other down tenfold. Ctrl-C is listened to,
also where the run was started in the background of a shell, whose children ignore it: tests send it. The tests of
kernels share their fixtures. The report ends with each reason for which tests were skipped, and which.
"""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator

import learned  # noqa: F401 - says where learned weights are looked for, before anything asks
import pytest
import torch

from lookalike.ops import compiled

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="a first look: the first case of every test, without the slow tests"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is meant for another process, and with ``--quick`` most of the cases."""
    seen: set[str] = set()
    kept, left = [], []
    for item in items:
        function = item.nodeid.partition("[")[0]
        repeated = function in seen or item.get_closest_marker("slow") is not None
        elsewhere = any(_holds(mark, item) for mark in item.iter_markers("elsewhere"))
        (left if elsewhere or (repeated and config.getoption("--quick")) else kept).append(item)
        seen.add(function)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _holds(mark: pytest.Mark, item: pytest.Item) -> bool:
    """Whether a mark's condition holds: one for the process, or ``when`` of the case's parameters."""
    case = getattr(item, "callspec", None)
    return mark.args[0] if mark.args else mark.kwargs["when"](**(case.params if case else {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped: only hardware, the system and the folder `shared` excuse it."""
    places: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        places[reason.removeprefix("Skipped: ")].append(report.nodeid)
    for report in terminalreporter.getreports("passed"):  # what processes of their own skipped
        for name, value in report.user_properties:
            if name == "skipped":
                places[str(value)].append(report.nodeid)
    if places:
        terminalreporter.section("skipped")
    for reason, nodes in sorted(places.items()):
        terminalreporter.line(f"{reason}: {len(nodes)} {'test' if len(nodes) == 1 else 'tests'}")
        for function in dict.fromkeys(node.partition("[")[0] for node in nodes):
            terminalreporter.line(f"    {function}")


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
