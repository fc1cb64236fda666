"""The gate of the compiled kernel behind GMSD and MS-GMSD: values against the float64 reference."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from kernel_pairs import images
from places import PATIENCE
from torch import Tensor

from lookalike.metrics.gmsd import gmsd, ms_gmsd
from lookalike.ops import compiled
from lookalike.ops._kernels import use_kernels
from lookalike.ops.gmsd import cpu, deviation, reference

pytestmark = pytest.mark.skipif(compiled.cpu is None, reason=compiled.absence)

CONSTANT = 170 / 255**2
ONE_SCALE: dict[str, Any] = {"weights": (0.0, 1.0), "constant": CONSTANT, "correction": 1}
WEIGHTS = (0.1, 0.6, 0.25, 0.05)
MANY_SCALES: dict[str, Any] = {"weights": WEIGHTS, "masking": 0.5, "constant": CONSTANT, "correction": 0}
SHAPES = [
    (1, 1, 3, 3), (1, 1, 3, 8), (1, 1, 5, 4), (2, 1, 16, 16), (2, 3, 37, 53), (1, 2, 64, 64), (1, 1, 101, 17),
    (1, 1, 33, 130), (1, 1, 67, 1101),
]  # fmt: skip


def error(x: Tensor, y: Tensor, options: dict[str, Any]) -> float:
    assert not cpu.deviation_kernel.refuses(x, y, **options)
    wanted = reference.deviation(x.double(), y.double(), **options)
    return float((deviation(x, y, **options) - wanted).abs().max())


@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [ONE_SCALE, MANY_SCALES], ids=["one scale", "many"])
def test_values(shape: tuple[int, ...], options: dict[str, Any], instruction_set: str) -> None:
    x, y = images(*shape)
    assert deviation(x, y, **options).shape == shape[:2]
    assert error(x, y, options) <= cpu.deviation_kernel.tolerance


def test_the_smallest_images(instruction_set: str) -> None:
    for height, width in ((1, 1), (1, 2), (2, 1), (1, 40), (40, 1)):
        x, y = images(1, 1, height, width)
        assert error(x, y, {**MANY_SCALES, "weights": (1.0,)}) <= cpu.deviation_kernel.tolerance


def stress() -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs at which a float32 variance loses digits."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 200, 200, generator=generator)
    flat = torch.ones(1, 1, 200, 200)
    ramp = torch.linspace(0, 1, 200).expand(1, 1, 200, 200).contiguous()
    stripes = (torch.arange(200) % 2).float().expand(1, 1, 200, 200).contiguous()
    return {
        "nearly identical": (ramp, ramp + 1e-5 * noise),
        "bright, noise 1e-4": (0.9 + 1e-4 * noise, 0.9 * flat),
        "constants": (0.30 * flat, 0.31 * flat),
        "the same everywhere but at the border": (5 * ramp, 0.5 * flat),
        "stripes": (stripes, 0.5 * flat),
        "nothing": (0 * flat, noise.abs()),
    }


@pytest.mark.parametrize("case", stress())
@pytest.mark.parametrize("options", [ONE_SCALE, MANY_SCALES], ids=["one scale", "many"])
def test_stress(case: str, options: dict[str, Any], instruction_set: str) -> None:
    assert error(*stress()[case], options) <= cpu.deviation_kernel.tolerance


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-10, 1e-15])
def test_identical_images_are_exactly_0(size: float, instruction_set: str) -> None:
    x = size * images(2, 1, 67, 85)[0]
    for options in (ONE_SCALE, MANY_SCALES):
        assert (deviation(x, x.clone(), **options) == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_metrics_take_the_kernel(channels: int) -> None:
    x, y = images(2, channels, 61, 90)
    for metric in (gmsd, ms_gmsd):
        found, wanted = metric(x, y), metric(x.double(), y.double())
        with use_kernels():
            plain = metric(x, y)
        assert (found - wanted).abs().max() <= cpu.deviation_kernel.tolerance
        assert (plain - wanted).abs().max() <= cpu.deviation_kernel.tolerance
        assert metric(x[:0], y[:0]).shape == (0,)
    assert deviation.explain(x, y, **ONE_SCALE) == "cpu: runs"


@pytest.mark.parametrize(
    "layout",
    {
        "channels last": lambda t: t.contiguous(memory_format=torch.channels_last),
        "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
        "crop of a larger image": lambda t: torch.nn.functional.pad(t, (3, 5, 2, 1))[..., 2:-1, 3:-5],
        "every second image": lambda t: t.repeat_interleave(2, 0)[::2],
        "expanded": lambda t: t[:1].expand_as(t),
    }.items(),
    ids=lambda layout: layout[0],
)
def test_layouts(layout: tuple[str, Any], instruction_set: str) -> None:
    x, y = (layout[1](image) for image in images(2, 3, 37, 53))
    for options in (ONE_SCALE, MANY_SCALES):
        wanted = deviation(x.contiguous(), y.contiguous(), **options)
        assert torch.equal(deviation(x, y, **options), wanted)


def test_nan_stays_in_its_image(instruction_set: str) -> None:
    x, y = images(3, 1, 47, 65)
    x[1, 0, 46, 64] = float("nan")
    for options in (ONE_SCALE, MANY_SCALES):
        found = deviation(x, y, **options)
        assert found[1].isnan().all()
        assert found[0::2].isfinite().all()


def test_same_bits_on_any_number_of_threads(threads: int, instruction_set: str) -> None:
    for shape in ((1, 1, 301, 517), (3, 2, 120, 130), (12, 1, 90, 100)):
        x, y = images(*shape)
        for options in (ONE_SCALE, MANY_SCALES):
            found = deviation(x, y, **options)
            torch.set_num_threads(1)
            wanted = deviation(x, y, **options)
            torch.set_num_threads(threads)
            assert torch.equal(found, wanted)
            assert torch.equal(found[:1], deviation(x[:1], y[:1], **options))
            assert torch.equal(found, deviation(y, x, **options))


def test_calls_from_several_threads() -> None:
    pairs = [images(2, 1, 64 + 16 * i, 90, seed=i) for i in range(6)]
    wanted = [deviation(x, y, **MANY_SCALES) for x, y in pairs]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            found = pool.map(lambda pair: deviation(*pair, **MANY_SCALES), pairs)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_what_is_declined_runs_on_the_reference() -> None:
    x, y = images(1, 1, 32, 32)
    differentiated = x.clone().requires_grad_()
    cases: list[tuple[str, tuple[Tensor, Tensor], dict[str, Any]]] = [
        ("float64", (x.double(), y.double()), ONE_SCALE),
        ("uint8", (x.byte(), y.byte()), ONE_SCALE),
        ("meta", (x.to("meta"), y.to("meta")), ONE_SCALE),
        ("gradient", (differentiated, y), ONE_SCALE),
        ("shapes", (x, y.expand(2, 1, 32, 32)), ONE_SCALE),
        ("constant", (x, y), {**ONE_SCALE, "constant": 0.0}),
    ]
    for word, tensors, options in cases:
        assert any(word in reason for reason in cpu.deviation_kernel.refuses(*tensors, **options))
    with torch.no_grad():
        assert not cpu.deviation_kernel.refuses(differentiated, y, **ONE_SCALE)
    gmsd(differentiated, y).sum().backward()
    assert differentiated.grad is not None
    assert differentiated.grad.abs().max() > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_transforms_and_graphs_run_on_the_reference() -> None:
    x, y = images(3, 1, 32, 40)
    wanted = gmsd(x, y)
    mapped = torch.func.vmap(lambda x, y: gmsd(x[None], y[None])[0])(x, y)
    torch.compiler.reset()
    compiled_whole = torch.compile(gmsd, fullgraph=True, backend="aot_eager")(x, y)
    slopes = torch.func.grad(lambda x: gmsd(x, y).sum())(x)
    for found in (mapped, compiled_whole):
        assert (found - wanted).abs().max() <= cpu.deviation_kernel.tolerance
    assert slopes.isfinite().all()


class _Scores(torch.utils.data.Dataset[Tensor]):
    pairs = tuple(images(1, 1, 300, 300, seed=index) for index in range(4))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Tensor:
        torch.set_num_threads(2)  # as a careless worker would
        return ms_gmsd(*self.pairs[index])


def test_in_forked_workers() -> None:
    dataset = _Scores()
    wanted = torch.stack([dataset[i] for i in range(4)])  # torch's pool and ours have run before the fork
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=4, num_workers=2, multiprocessing_context="fork", timeout=PATIENCE
    )
    [found] = list(loader)
    assert torch.equal(found, wanted)


@pytest.mark.slow
def test_the_slowest_instruction_set_agrees() -> None:
    program = (
        "import torch; from lookalike.metrics.gmsd import gmsd; from lookalike.ops import compiled; "
        "y = torch.linspace(0, 8, 64).square().cos().add(1).div(2).expand(1, 1, 64, 64); "
        "print(compiled.cpu.instruction_set(), round(float(gmsd(y.roll(2, -1), y)), 4))"
    )
    environment = {**os.environ, "LOOKALIKE_CPU_ISA": "baseline"}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["baseline", "0.174"]
