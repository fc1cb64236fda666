"""The gate of the compiled kernel of smoothing: values and gradients against the float64 reference."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from places import PATIENCE
from torch import Tensor

from lookalike.metrics.ssimulacra2 import _BLUR, ssimulacra2
from lookalike.ops import compiled
from lookalike.ops._kernels import use_kernels
from lookalike.ops.smooth import cpu, filtered, reference, smooth
from lookalike.ops.window import gaussian

pytestmark = pytest.mark.skipif(compiled.cpu is None, reason=compiled.absence)

WINDOWS = [(1.0,), (0.25, 0.5, 0.25), _BLUR, gaussian(11, 1.5), gaussian(33, 5.0)]
SHAPES = [
    (1, 1, 1, 1), (1, 1, 1, 3), (1, 2, 1, 40), (2, 1, 40, 1), (1, 1, 3, 4), (2, 3, 8, 8), (1, 1, 7, 15),
    (1, 1, 16, 16), (2, 3, 37, 53), (1, 1, 64, 64), (1, 2, 101, 17), (1, 1, 66, 130), (1, 1, 5, 512),
    (1, 1, 5, 513), (1, 2, 9, 515), (1, 1, 65, 1101), (0, 3, 16, 16), (2, 0, 16, 16),
]  # fmt: skip


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def parts_of(*shape: int) -> list[Tensor]:
    """Batches of as many channels as the shape says, of one, of none and of two."""
    n, c, height, width = shape
    return [images(n, channels, height, width, seed=seed) for seed, channels in enumerate((c, 1, 0, 2))]


def error(parts: list[Tensor], taps: tuple[float, ...]) -> float:
    assert not cpu.filtered_kernel.refuses(parts, taps)
    found = filtered(parts, taps)
    wanted = reference.filtered([part.double() for part in parts], taps)
    assert [part.shape for part in found] == [part.shape for part in parts]
    assert all(part.is_contiguous() for part in found)
    return float((torch.cat(found, 1) - torch.cat(wanted, 1)).abs().amax()) if len(parts[0]) else 0.0


@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize("shape", SHAPES)
def test_values(shape: tuple[int, ...], instruction_set: str) -> None:
    for taps in WINDOWS:
        assert error(parts_of(*shape), taps) <= cpu.filtered_kernel.tolerance


@pytest.mark.parametrize("size", [1e-30, 1e-4, 255.0, 1e30])
def test_values_of_another_range(size: float, instruction_set: str) -> None:
    parts = [size * (part - 0.5) for part in parts_of(2, 1, 37, 53)]
    assert error(parts, _BLUR) <= cpu.filtered_kernel.tolerance * size


@pytest.mark.parametrize(
    "layout",
    {
        "channels last": lambda t: t.contiguous(memory_format=torch.channels_last),
        "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
        "crop of a larger image": lambda t: torch.nn.functional.pad(t, (3, 5, 2, 1))[..., 2:-1, 3:-5],
        "every second image": lambda t: t.repeat_interleave(2, 0)[::2],
        "a channel of several": lambda t: t.repeat_interleave(2, 1)[:, ::2],
        "every second row": lambda t: t.repeat_interleave(2, 2)[:, :, ::2],
        "upside down in memory": lambda t: t.flip(2).flip(2),
        "expanded images": lambda t: t[:1].expand_as(t),
        "expanded pixels": lambda t: t[:, :1, :1, :1].expand_as(t),
    }.items(),
    ids=lambda layout: layout[0],
)
def test_layouts(layout: tuple[str, Any], instruction_set: str) -> None:
    parts = [layout[1](images(2, channels, 37, 53)) for channels in (3, 1)]
    wanted = filtered([part.contiguous() for part in parts], _BLUR)
    for found, part in zip(filtered(parts, _BLUR), wanted, strict=True):
        assert torch.equal(found, part)


def test_a_part_does_not_depend_on_the_others(instruction_set: str) -> None:
    parts = parts_of(2, 3, 37, 53)
    for found, part in zip(filtered(parts, _BLUR), parts, strict=True):
        assert torch.equal(found, filtered([part], _BLUR)[0])


@pytest.mark.parametrize("hurt", [float("nan"), float("inf")])
def test_a_nan_stays_under_the_window(hurt: float, instruction_set: str) -> None:
    reach = len(_BLUR) // 2
    for row, column in ((0, 0), (46, 64), (20, 600)):
        x = images(3, 2, 47, 65 if column < 65 else 1100)
        x[1, 0, row, column] = hurt
        found = filtered([x], _BLUR)[0]
        touched = torch.zeros_like(x, dtype=torch.bool)
        rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (row, column))
        touched[1, 0, rows, columns] = True
        assert torch.equal(~found.isfinite(), touched)


def test_same_bits_on_any_number_of_threads(threads: int, instruction_set: str) -> None:
    for shape in ((1, 1, 301, 517), (3, 2, 120, 130), (12, 1, 90, 100)):
        parts = parts_of(*shape)
        found = filtered(parts, _BLUR)
        torch.set_num_threads(1)
        wanted = filtered(parts, _BLUR)
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_calls_from_several_threads() -> None:
    batches = [parts_of(2, 1, 64 + 16 * i, 90) for i in range(6)]
    wanted = [torch.cat(smooth(parts, _BLUR), 1) for parts in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            found = pool.map(lambda parts: torch.cat(smooth(parts, _BLUR), 1), batches)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
def test_gradients(wanted: tuple[bool, bool], instruction_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel makes them, and of the parts that want one alone."""
    calls: list[int] = []
    run = compiled.cpu.smooth

    def counted(batches: list[Any], *rest: Any) -> None:
        calls.append(len(batches))
        run(batches, *rest)

    monkeypatch.setattr(compiled.cpu, "smooth", counted)
    shapes = (2, 3, 37, 53), (2, 1, 37, 53)
    leaves = [images(*shape, seed=3).requires_grad_(want) for shape, want in zip(shapes, wanted, strict=True)]
    upstream = [images(*shape, seed=4) for shape in shapes]
    outputs = smooth(leaves, _BLUR)
    assert [output.requires_grad for output in outputs] == [True, True]
    torch.autograd.backward(outputs, upstream)
    assert calls == [2, sum(wanted)]
    exact = reference.filtered([part.double() for part in upstream], _BLUR)
    for leaf, gradient, want in zip(leaves, exact, wanted, strict=True):
        if want:
            assert leaf.grad is not None
            assert (leaf.grad - gradient).abs().max() <= cpu.filtered_kernel.tolerance
        else:
            assert leaf.grad is None


def test_second_derivatives(instruction_set: str) -> None:
    x = images(1, 2, 12, 21)

    def of(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        [smoothed] = smooth([x.square()], _BLUR)
        [first] = torch.autograd.grad(smoothed.square().sum(), x, create_graph=True)
        [second] = torch.autograd.grad(first.square().sum(), x)
        return first, second

    for found, wanted in zip(of(x), of(x.double()), strict=True):
        assert (found - wanted).abs().max() <= 4e-6 * wanted.abs().max()


@pytest.mark.slow
def test_gradcheck() -> None:
    parts = [part[..., :4, :5].double().requires_grad_() for part in (images(1, 2, 8, 8), images(1, 1, 8, 8))]

    def call(*parts: Tensor) -> tuple[Tensor, ...]:
        return smooth(parts, (0.25, 0.5, 0.25))

    assert torch.autograd.gradcheck(call, parts)
    assert torch.autograd.gradgradcheck(call, parts)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_the_metric_takes_the_kernel(channels: int) -> None:
    y = images(2, channels, 61, 90)
    x = (y + 0.1 * images(2, channels, 61, 90, seed=1)).clamp(0, 1)

    def value_and_gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        leaf = x.clone().requires_grad_()
        score = ssimulacra2(leaf, y)
        return score.detach(), torch.autograd.grad(score.sum(), leaf)[0]

    found, wanted = value_and_gradient(x, y), value_and_gradient(x.double(), y.double())
    with use_kernels():
        plain = value_and_gradient(x, y)
    for single in (found, plain):
        torch.testing.assert_close(single[0].double(), wanted[0], rtol=1e-4, atol=1e-3)
        assert (single[1] - wanted[1]).norm() <= 1e-3 * wanted[1].norm()
    assert ssimulacra2(x[:0], y[:0]).shape == (0,)
    assert filtered.explain([x, y], _BLUR) == "cpu: runs"


def test_what_is_declined_runs_on_the_reference() -> None:
    x, y = images(1, 1, 32, 32), images(1, 2, 32, 32)
    differentiated = x.clone().requires_grad_()
    cases: list[tuple[str, list[Tensor], tuple[float, ...]]] = [
        ("float64", [x, y.double()], _BLUR),
        ("uint8", [x.byte(), y.byte()], _BLUR),
        ("bfloat16", [x.bfloat16(), y.bfloat16()], _BLUR),
        ("meta", [x.to("meta"), y.to("meta")], _BLUR),
        ("gradient", [differentiated, y], _BLUR),
        ("sizes", [x, y[..., :-1]], _BLUR),
        ("none", [], _BLUR),
        ("shapes", [x[0], y[0]], _BLUR),
        ("35 taps", [x, y], gaussian(35, 5.0)),
        ("symmetric", [x, y], (0.5, 0.3, 0.2)),
    ]
    for word, parts, taps in cases:
        assert any(word in reason for reason in cpu.filtered_kernel.refuses(parts, taps)), word
    with torch.no_grad():
        assert not cpu.filtered_kernel.refuses([differentiated, y], _BLUR)
    wide = gaussian(35, 5.0)
    assert torch.equal(filtered([x], wide)[0], reference.filtered([x], wide)[0])
    assert smooth([x.to("meta")], _BLUR)[0].shape == x.shape


def call(x: Tensor) -> Tensor:
    return torch.cat(smooth([x, x[:, :1]], _BLUR), 1)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_transforms_run_on_the_reference() -> None:
    x = images(3, 2, 32, 40)
    wanted = call(x)
    mapped = torch.func.vmap(lambda x: call(x[None])[0])(x)
    slope = torch.func.jvp(call, (images(3, 2, 32, 40, seed=1),), (x,))[1]  # linear: its derivative is itself
    for found in (mapped, slope):
        assert (found - wanted).abs().max() <= cpu.filtered_kernel.tolerance
    weights = images(3, 3, 32, 40, seed=2)
    gradient = torch.func.grad(lambda x: (call(x) * weights).sum())(x)
    leaf = x.clone().requires_grad_()
    [exact] = torch.autograd.grad((call(leaf) * weights).sum(), leaf)
    assert (gradient - exact).abs().max() <= 2 * cpu.filtered_kernel.tolerance


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("dynamic", [None, True])
def test_compiled_graphs_give_the_same_bits(backend: str, dynamic: bool | None) -> None:
    x, weights = images(3, 2, 32, 40), images(3, 3, 32, 40, seed=2)
    torch.compiler.reset()
    graph = torch.compile(call, fullgraph=True, backend=backend, dynamic=dynamic)
    assert torch.equal(graph(x), call(x))
    gradients = []
    for function in (graph, call):
        leaf = x.clone().requires_grad_()
        gradients += torch.autograd.grad((function(leaf) * weights).sum(), leaf)
    assert torch.equal(*gradients)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_the_operator_of_graphs_is_what_it_says() -> None:
    parts = [part.requires_grad_(part.shape[1] == 1) for part in parts_of(2, 3, 8, 9)]
    torch.library.opcheck(torch.ops.lookalike.smooth.default, (parts, list(_BLUR)))


class _Smoothed(torch.utils.data.Dataset[Tensor]):
    images = tuple(images(1, 1, 300, 300, seed=index) for index in range(4))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        torch.set_num_threads(2)  # as a careless worker would
        return smooth([self.images[index]], _BLUR)[0][..., ::40, ::40]  # torch would hang stacking more


def test_in_forked_workers() -> None:
    dataset = _Smoothed()
    wanted = torch.stack([dataset[i] for i in range(4)])  # torch's pool and ours have run before the fork
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=4, num_workers=2, multiprocessing_context="fork", timeout=PATIENCE
    )
    [found] = list(loader)
    assert torch.equal(found, wanted)


@pytest.mark.slow
def test_the_slowest_instruction_set_agrees() -> None:
    program = (
        "import torch; from lookalike.ops.smooth import smooth; from lookalike.ops import compiled; "
        "[whole] = smooth([torch.ones(1, 1, 3, 3)], (0.25, 0.5, 0.25)); "
        "print(compiled.cpu.instruction_set(), whole[0, 0, 1].tolist())"
    )
    environment = {**os.environ, "LOOKALIKE_CPU_ISA": "baseline"}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "baseline [0.75, 1.0, 0.75]"
