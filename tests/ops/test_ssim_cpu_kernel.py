"""The gate of the compiled SSIM kernels: values and gradients against the float64 reference."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import torch
from kernel_pairs import images
from places import PATIENCE
from torch import Tensor

from lookalike.ops import compiled
from lookalike.ops._kernels import Op, use_kernels
from lookalike.ops.ssim import cpu, reference
from lookalike.ops.ssim.autograd import packed
from lookalike.ops.ssim.setting import Mixture, Scales, Setting
from lookalike.ops.window import gaussian, least_side, uniform

pytestmark = pytest.mark.skipif(compiled.cpu is None, reason=compiled.absence)

GAUSS = Setting(gaussian(11, 1.5))
WINDOWS = {
    "gauss11": GAUSS.taps, "uniform7": uniform(7), "uniform11": uniform(11), "gauss7": gaussian(7, 1.5),
    "one": (1.0,), "gauss33": gaussian(33, 5.0),
}  # fmt: skip
BORDERS = ("valid", "reflect", "symmetric", "zero")
SHAPES = [(1, 1, 11, 11), (2, 3, 37, 53), (1, 2, 64, 64), (1, 1, 100, 17), (1, 1, 33, 130), (1, 1, 40, 1100)]

means = Op(reference.means, cpu.means_kernel)
maps = Op(reference.maps, cpu.maps_kernel)
pyramid = Op(reference.pyramid, cpu.pyramid_kernel)
l1_ssim = Op(reference.l1_ssim, cpu.l1_ssim_kernel)
TWO_SCALES = Scales(GAUSS, 2)


def wide(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return x.double().requires_grad_(), y.double().requires_grad_()


def with_gradients(op: Any, x: Tensor, y: Tensor, upstream: Tensor, setting: Any) -> tuple[Tensor, Tensor, Tensor]:
    x, y = x.requires_grad_(), y.requires_grad_()
    values = op(x, y, setting)
    gx, gy = torch.autograd.grad((values * upstream.to(values.dtype)).sum(), (x, y))
    return values.detach(), gx, gy


def relative(found: Tensor, wanted: Tensor) -> float:
    """The largest error over the largest value; NaN counts as infinite."""
    error = ((found.double() - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30)).item()
    return error if error == error else float("inf")


def fits(shape: tuple[int, ...], taps: tuple[float, ...], border: Any) -> bool:
    return min(shape[2:]) >= least_side(len(taps), border)


CASES = [
    (window, border, shape)
    for window, border, shape in itertools.product(WINDOWS, BORDERS, SHAPES)
    if fits(shape, WINDOWS[window], border) and (window in ("gauss11", "uniform7") or shape == (2, 3, 37, 53))
]


@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize(("window", "border", "shape"), CASES)
def test_means(window: str, border: Any, shape: tuple[int, ...], instruction_set: str) -> None:
    setting = Setting(WINDOWS[window], border, unbias=1.01)
    x, y = images(*shape)
    assert not cpu.means_kernel.refuses(x, y, setting)
    upstream = torch.randn(*shape[:2], 2)
    wanted, gx_wanted, gy_wanted = with_gradients(reference.means, *wide(x, y), upstream, setting)
    assert (means(x, y, setting) - wanted).abs().max() <= cpu.TOLERANCE
    values, gx, gy = with_gradients(means, x, y, upstream, setting)
    assert (values - wanted).abs().max() <= cpu.TOLERANCE
    assert relative(gx, gx_wanted) <= 1e-4
    assert relative(gy, gy_wanted) <= 1e-4


@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize(("window", "border", "shape"), CASES)
def test_maps(window: str, border: Any, shape: tuple[int, ...], instruction_set: str) -> None:
    setting = Setting(WINDOWS[window], border, unbias=1.01)
    x, y = images(*shape)
    upstream = torch.randn(reference.maps(x, y, setting).shape)
    wanted, gx_wanted, gy_wanted = with_gradients(reference.maps, *wide(x, y), upstream, setting)
    values, gx, gy = with_gradients(maps, x, y, upstream, setting)
    assert (values - wanted).abs().max() <= cpu.maps_kernel.tolerance
    assert relative(gx, gx_wanted) <= 1e-4
    assert relative(gy, gy_wanted) <= 1e-4


@pytest.mark.parametrize("halving", ["symmetric", "zero", "replicate", "floor"])
@pytest.mark.parametrize("shape", [(2, 3, 48, 80), (1, 2, 53, 44), (1, 1, 45, 61), (1, 1, 44, 45)])
@pytest.mark.parametrize("last_border", [None, "reflect"])
def test_pyramid(halving: Any, shape: tuple[int, ...], last_border: Any, instruction_set: str) -> None:
    setting = Scales(GAUSS, 3, last_border, halving)
    x, y = images(*shape)
    assert not cpu.pyramid_kernel.refuses(x, y, setting)
    upstream = torch.randn(*shape[:2], 3)
    wanted, gx_wanted, gy_wanted = with_gradients(reference.pyramid, *wide(x, y), upstream, setting)
    assert (pyramid(x, y, setting) - wanted).abs().max() <= 2e-6
    values, gx, gy = with_gradients(pyramid, x, y, upstream, setting)
    assert (values - wanted).abs().max() <= 2e-6
    assert relative(gx, gx_wanted) <= 1e-4
    assert relative(gy, gy_wanted) <= 1e-4


@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_l1_ssim(border: Any, shape: tuple[int, ...], instruction_set: str) -> None:
    setting = Mixture(Setting(GAUSS.taps, border), 0.3)
    x, y = images(*shape)
    y[..., 3:9] = x[..., 3:9]  # where they are equal, L1 has the gradient 0
    upstream = torch.randn(shape[:2])
    wanted, gx_wanted, gy_wanted = with_gradients(reference.l1_ssim, *wide(x, y), upstream, setting)
    assert (l1_ssim(x, y, setting) - wanted).abs().max() <= cpu.TOLERANCE
    values, gx, gy = with_gradients(l1_ssim, x, y, upstream, setting)
    assert (values - wanted).abs().max() <= cpu.TOLERANCE
    assert relative(gx, gx_wanted) <= 1e-4
    assert relative(gy, gy_wanted) <= 1e-4
    x, y = ((image.detach() * 255).byte() for image in (x, y))
    wanted = reference.l1_ssim(x.double() / 255, y.double() / 255, setting)
    assert (l1_ssim(x, y, setting) - wanted).abs().max() <= cpu.TOLERANCE


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("border", BORDERS)
def test_bytes(window: str, border: Any, instruction_set: str) -> None:
    setting = Setting(WINDOWS[window], border, unbias=49 / 48)
    scales = Scales(setting, 2)
    x, y = ((image * 255).byte() for image in images(2, 3, 53, 70))
    wanted = reference.means(x.double() / 255, y.double() / 255, setting)
    assert (means(x, y, setting) - wanted).abs().max() <= cpu.TOLERANCE
    if not cpu.pyramid_kernel.refuses(x, y, scales):
        wanted = reference.pyramid(x.double() / 255, y.double() / 255, scales)
        assert (pyramid(x, y, scales) - wanted).abs().max() <= cpu.TOLERANCE


def stress() -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs at which float32 formulations of SSIM lose digits."""
    generator = torch.Generator().manual_seed(0)

    def noise() -> Tensor:
        return torch.randn(1, 1, 256, 256, generator=generator)

    def pair(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        x = x.clamp(0, 1)
        return x, (x + sigma * noise()).clamp(0, 1)

    flat = torch.ones(1, 1, 256, 256)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 1, 16, 16, generator=generator), 256, mode="bicubic")
    texture = smooth.clamp(0, 1)
    return {
        "texture": pair(texture + 0.05 * noise(), 0.05),
        "flat, noise 1e-3": pair(0.9 + 1e-3 * noise(), 1e-3),
        "flat, noise 1e-5": pair(0.9 + 1e-5 * noise(), 1e-5),
        "grey, noise 1e-3": pair(0.5 + 1e-3 * noise(), 1e-3),
        "constant": (0.30 * flat, 0.31 * flat),
        "ramp": pair(torch.linspace(0, 1, 256).expand(1, 1, 256, 256), 2e-3),
        "identical": (texture, texture.clone()),
        "white": (flat, 0.999 * flat),
        "far offset": (0.25 + 1e-3 * noise(), 0.75 + 1e-3 * noise()),
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", stress())
def test_stress(case: str, instruction_set: str) -> None:
    x, y = stress()[case]
    upstream = torch.tensor([1.0, 0.0])
    wanted, gx_wanted, gy_wanted = with_gradients(reference.means, *wide(x, y), upstream, GAUSS)
    values, gx, gy = with_gradients(means, x, y, upstream, GAUSS)
    assert (values[..., 0] - wanted[..., 0]).abs().max() <= 1e-6
    assert (means(x, y, GAUSS)[..., 0] - wanted[..., 0]).abs().max() <= 1e-6
    if case == "identical":
        assert (values == 1).all()
        assert (means(x, y, GAUSS) == 1).all()
        assert max(gx.abs().max(), gy.abs().max()) <= 1e-9
    else:
        assert relative(gx, gx_wanted) <= 1e-4
        assert relative(gy, gy_wanted) <= 1e-4


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
    x, y = images(2, 3, 37, 53)
    upstream = torch.randn(2, 3, 2)
    x, y = layout[1](x), layout[1](y)
    wanted = with_gradients(means, x.contiguous(), y.contiguous(), upstream, GAUSS)
    found = with_gradients(means, x.detach(), y.detach(), upstream, GAUSS)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)


def test_empty_batch() -> None:
    x, y = (image.requires_grad_() for image in images(0, 3, 32, 32))
    cases = (means, (0, 3, 2), GAUSS), (maps, (2, 0, 3, 22, 22), GAUSS), (pyramid, (0, 3, 2), TWO_SCALES)
    for op, shape, setting in cases:
        values = op(x, y, setting)
        assert values.shape == shape
        values.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_one_gradient_only() -> None:
    x, y = images(2, 3, 37, 53)
    for op, setting in ((means, GAUSS), (pyramid, TWO_SCALES)):
        upstream = torch.randn(2, 3, 2)
        _, gx, gy = with_gradients(op, x.clone(), y.clone(), upstream, setting)
        alone = x.clone().requires_grad_()
        (op(alone, y, setting) * upstream).sum().backward()
        assert alone.grad is not None
        assert relative(alone.grad, gx.double()) <= 1e-6
        alone = y.clone().requires_grad_()
        (op(x, alone, setting) * upstream).sum().backward()
        assert alone.grad is not None
        assert relative(alone.grad, gy.double()) <= 1e-6


def test_one_tensor_twice() -> None:
    x = images(1, 1, 32, 32)[0].requires_grad_()
    for create_graph in (False, True):
        [gradient] = torch.autograd.grad(means(x, x, GAUSS).sum(), x, create_graph=create_graph)
        assert gradient.abs().max() <= 1e-6


def test_backward_twice() -> None:
    x, y = images(2, 1, 40, 40)
    x.requires_grad_()
    for op, setting in ((means, GAUSS), (pyramid, TWO_SCALES), (l1_ssim, Mixture(GAUSS))):
        value = op(x, y, setting)[0, 0].sum()
        [first] = torch.autograd.grad(value, x, retain_graph=True)
        [second] = torch.autograd.grad(value, x)
        assert relative(second, first.double()) <= 1e-6


@pytest.mark.parametrize("scale", [-0.5, 0.5, 3.0, 0.0])
def test_common_losses(scale: float) -> None:
    """Of −mean the gradient was made in the forward pass; every other loss only scales it."""
    x, y = images(2, 1, 40, 40)
    x.requires_grad_()
    [found] = torch.autograd.grad((scale * means(x, y, GAUSS)[..., 0]).sum(), x)
    [a, b] = wide(x, y)
    [wanted] = torch.autograd.grad((scale * reference.means(a, b, GAUSS)[..., 0]).sum(), a)
    assert relative(found, wanted) <= (1e-5 if scale else 0)


def test_nan_in_nan_out(instruction_set: str) -> None:
    x, y = images(2, 1, 40, 64)
    x[0, 0, 17, 30] = float("nan")
    x.requires_grad_()
    values = means(x, y, GAUSS)
    assert values[0].isnan().all()
    assert values[1].isfinite().all()
    values.sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0, 17, 30].isnan()
    assert x.grad[1].isfinite().all()
    ssim = maps(x.detach(), y, GAUSS)[0, 0, 0]
    assert ssim[7:18, 20:31].isnan().all()
    assert ssim[:7].isfinite().all()
    assert ssim[:, 31:].isfinite().all()


def everything(x: Tensor, y: Tensor) -> list[Tensor]:
    results = [means(x, y, GAUSS)]
    for op, setting in ((means, GAUSS), (means, Setting(GAUSS.taps, "reflect")), (pyramid, TWO_SCALES)):
        results.extend(with_gradients(op, x.clone(), y.clone(), torch.ones(()), setting))
    return results


def test_same_bits_on_any_number_of_threads(threads: int, instruction_set: str) -> None:
    for shape in ((1, 1, 301, 517), (3, 2, 120, 130), (1, 1, 150, 1500)):
        x, y = images(*shape)
        found = everything(x, y)
        torch.set_num_threads(1)
        wanted = everything(x, y)
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_batch_equals_its_images(instruction_set: str) -> None:
    x, y = images(3, 2, 61, 75)
    whole = means(x, y, GAUSS)
    single = torch.cat([means(x[i : i + 1], y[i : i + 1], GAUSS) for i in range(3)])
    assert torch.equal(whole, single)
    assert torch.equal(whole, means(y, x, GAUSS))


@pytest.mark.slow
def test_second_derivatives_go_through_the_reference() -> None:
    x, y = images(1, 1, 16, 18)
    narrow = Setting(gaussian(5, 1.5))
    for op, meaning, setting in (
        (means, reference.means, narrow),
        (maps, reference.maps, narrow),
        (pyramid, reference.pyramid, Scales(narrow, 2)),
        (l1_ssim, reference.l1_ssim, Mixture(narrow)),
    ):

        def penalty(op: Any, x: Tensor, y: Tensor, *, setting: Any = setting) -> Tensor:
            value = op(x, y, setting)
            [gradient] = torch.autograd.grad(value.square().sum(), x, create_graph=True)
            return torch.autograd.grad(gradient.square().sum(), x)[0]

        wanted = penalty(meaning, *wide(x, y))
        assert relative(penalty(op, x.clone().requires_grad_(), y), wanted) <= 1e-3


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_whole(dynamic: bool) -> None:
    x, y = images(1, 2, 48, 52)
    for op, setting in (
        (means, GAUSS),
        (maps, Setting(GAUSS.taps, "reflect")),
        (pyramid, Scales(GAUSS, 2, halving="zero")),
        (l1_ssim, Mixture(GAUSS)),
    ):

        def loss(x: Tensor, y: Tensor, op: Any = op, setting: Any = setting) -> Tensor:
            return 1 - op(x, y, setting).mean()

        torch.compiler.reset()
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=dynamic)
        a, b = (x.clone().requires_grad_() for _ in range(2))
        loss(a, y).backward()
        compiled(b, y).backward()
        assert a.grad is not None
        assert b.grad is not None
        assert relative(b.grad, a.grad.double()) <= 1e-6
        assert torch.allclose(compiled(x, y), loss(x, y), rtol=0, atol=1e-7)


def test_operators_pass_torchs_own_check() -> None:
    x, y = (image.requires_grad_() for image in images(1, 2, 24, 26))
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for run, setting in (
        (cpu.means_kernel.run, GAUSS),
        (cpu.maps_kernel.run, Setting(GAUSS.taps, "zero")),
        (cpu.l1_ssim_kernel.run, Mixture(GAUSS)),
        (cpu._whole_pyramid, Scales(GAUSS, 2, halving="zero")),
    ):
        torch.library.opcheck(getattr(run, "operator"), (x, y, None, *packed(setting)), test_utils=checks)  # noqa: B009


def test_what_is_declined_runs_on_the_reference() -> None:
    x, y = images(1, 1, 32, 32)
    lopsided = Setting((0.5, 0.3, 0.2))
    cases: list[tuple[str, tuple[Any, ...]]] = [
        ("float64", (x.double(), y.double(), GAUSS)),
        ("taps", (x, y, lopsided)),
        ("taps", (x, y, Setting(uniform(35), "zero"))),
        ("shapes", (x[None], y[None], GAUSS)),
    ]
    for word, arguments in cases:
        assert any(word in reason for reason in cpu.means_kernel.refuses(*arguments))
    assert not cpu.means_kernel.refuses(x, y, GAUSS)
    with use_kernels():
        wanted = means(x, y, lopsided)
    assert torch.equal(means(x, y, lopsided), wanted)
    assert "smaller" in means.explain(x, y, Setting(uniform(33)))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_function_transforms_run_on_the_reference() -> None:
    x, y = images(2, 1, 20, 20)

    def score(x: Tensor, y: Tensor) -> Tensor:
        return means(x[None], y[None], GAUSS)[..., 0].sum()

    gradient = torch.func.grad(score)(x[0], y[0])
    _, wanted, _ = with_gradients(means, x, y, torch.tensor([1.0, 0.0]), GAUSS)
    assert relative(gradient, wanted[0].double()) <= 1e-4
    score_and_slope = torch.func.jvp(lambda x: score(x, y[0].detach()), (x[0].detach(),), (torch.ones(1, 20, 20),))
    assert abs(float(score_and_slope[1]) - float(wanted[0].sum())) <= 1e-4


def test_calls_from_several_threads() -> None:
    pairs = [images(2, 1, 64 + 16 * i, 90, seed=i) for i in range(6)]
    wanted = [everything(x, y) for x, y in pairs]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            found = pool.map(lambda pair: everything(*pair), pairs)
            for a, b in zip(itertools.chain(*found), itertools.chain(*wanted), strict=True):
                assert torch.equal(a, b)


def test_releases_the_interpreter() -> None:
    """Another thread moves while a call computes; on a busy machine not in each call, but in one of them."""
    x, y = images(1, 3, 1500, 1500)
    calls: list[int] = []
    seen: collections.Counter[int] = collections.Counter()
    done = threading.Event()

    def work() -> None:
        while not done.is_set() and len(calls) < 200:
            calls.append(len(calls))
            means(x, y, GAUSS)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.is_set():
        if calls:
            seen[len(calls)] += 1
        # A call that held the interpreter would be seen about when it begins and about when it ends.
        if seen[len(calls)] > 5:
            done.set()
        time.sleep(0.0005)
    worker.join()
    assert max(seen.values()) > 5


class _Scores(torch.utils.data.Dataset[Tensor]):
    pairs = tuple(images(1, 1, 300, 300, seed=index) for index in range(4))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Tensor:
        torch.set_num_threads(2)  # as a careless worker would
        return means(*self.pairs[index], GAUSS)


def test_in_forked_workers() -> None:
    dataset = _Scores()
    wanted = torch.stack([dataset[i] for i in range(4)])  # torch's pool and ours have run before the fork
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=4, num_workers=2, multiprocessing_context="fork", timeout=PATIENCE
    )
    [found] = list(loader)
    assert torch.equal(found, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline", "", "nonsense"])
def test_the_instruction_set_can_be_masked(name: str) -> None:
    program = "from lookalike.ops import compiled as c; print(c.cpu.instruction_set() if c.cpu else c.absence)"
    environment = {**os.environ, "LOOKALIKE_CPU_ISA": name}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ("baseline" if name == "baseline" else compiled.cpu.instruction_sets()[0])
    assert ("nonsense" in run.stderr) == (name == "nonsense")


# ---- masks

MASKS = {
    "weights": lambda shape: torch.rand(shape, generator=torch.Generator().manual_seed(1)),
    "hole": lambda shape: _without(torch.ones(shape[0], 1, *shape[2:]), slice(3, 25), slice(5, 30)).expand(shape),
    "left half": lambda shape: _without(torch.ones(shape), slice(None), slice(shape[3] // 2)),
    "one pixel": lambda shape: 1 - _without(torch.ones(shape), slice(7, 8), slice(6, 7)),
    "an image without": lambda shape: torch.cat([torch.zeros(1, *shape[1:]), torch.ones(shape)])[: shape[0]],
}


def _without(mask: Tensor, rows: slice, columns: slice) -> Tensor:
    mask[..., rows, columns] = 0
    return mask


@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("window", "border"), [*itertools.product(("gauss11", "uniform7"), BORDERS)])
@pytest.mark.parametrize("shape", [(2, 3, 37, 53), (1, 1, 40, 1100)])
def test_masks(kind: str, window: str, border: Any, shape: tuple[int, ...], instruction_set: str) -> None:
    """Values and gradients over what counts, whatever lies where nothing does."""
    mask = MASKS[kind](shape)
    x, y = images(*shape)
    setting = Setting(WINDOWS[window], border, unbias=1.01)
    for op, its, columns in ((means, setting, (2,)), (l1_ssim, Mixture(setting, 0.3), ())):
        upstream = torch.randn(*shape[:2], *columns)
        a, b = wide(*(torch.where(mask > 0, image, 0.0) for image in (x, y)))
        wanted = op.reference(a, b, its, mask.double())
        slopes = torch.autograd.grad((wanted * upstream).sum(), (a, b))
        a = torch.where(mask > 0, x, float("nan")).requires_grad_()
        b = torch.where(mask > 0, y, -9999.0).requires_grad_()
        assert not op.kernels[0].refuses(a, b, its, mask)
        values = op(a, b, its, mask)
        assert (op(a.detach(), b.detach(), its, mask) - wanted).abs().max() <= cpu.TOLERANCE
        assert (values - wanted).abs().max() <= cpu.TOLERANCE
        for found, slope in zip(torch.autograd.grad((values * upstream).sum(), (a, b)), slopes, strict=True):
            assert (found[mask == 0] == 0).all()
            assert relative(found, torch.where(mask > 0, slope, 0.0)) <= 1e-4


def test_a_full_mask_is_none(instruction_set: str) -> None:
    x, y = images(2, 3, 61, 75)
    for border in BORDERS:
        setting = Setting(GAUSS.taps, border)
        found, wanted = means(x, y, setting, torch.ones_like(x)), means(x, y, setting)
        assert (found - wanted).abs().max() <= 3e-7


def test_masked_calls_under_autograd_and_in_compiled_graphs() -> None:
    x, y = images(1, 2, 24, 30)
    mask = MASKS["weights"]((1, 2, 24, 30))
    for op, setting in ((means, GAUSS), (l1_ssim, Mixture(GAUSS)), (pyramid, TWO_SCALES)):

        def loss(x: Tensor, y: Tensor, mask: Tensor, op: Any = op, setting: Any = setting) -> Tensor:
            return 1 - op(x, y, setting, mask).mean()

        slopes = []
        torch.compiler.reset()
        for run in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
            alone = y.clone().requires_grad_()
            value = run(x, alone, mask)
            slopes += torch.autograd.grad(value, alone)
        assert relative(slopes[1], slopes[0].double()) <= 1e-6
        a, b = x.double().requires_grad_(), y.double().requires_grad_()
        [wanted] = torch.autograd.grad(loss(a, b, mask.double()), b)
        assert relative(slopes[0], wanted) <= 1e-4
        curved = x.clone().requires_grad_()
        [slope] = torch.autograd.grad(loss(curved, y, mask), curved, create_graph=True)
        [found] = torch.autograd.grad(slope.square().sum(), curved)
        [slope] = torch.autograd.grad(loss(a, b, mask.double()), a, create_graph=True)
        [wanted] = torch.autograd.grad(slope.square().sum(), a)
        assert relative(found, wanted) <= 1e-3
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    operator = getattr(cpu.means_kernel.run, "operator")  # noqa: B009
    pair = [image.clone().requires_grad_() for image in (x, y)]
    torch.library.opcheck(operator, (*pair, mask, *packed(GAUSS)), test_utils=checks)


def test_masks_that_are_declined() -> None:
    x, y = images(1, 2, 24, 30)
    whole = torch.ones_like(x)
    refuses = cpu.means_kernel.refuses
    assert "another shape" in " ".join(refuses(x, y, GAUSS, whole[:, :1]))
    assert "gradient is wanted of the mask" in " ".join(refuses(x, y, GAUSS, whole.clone().requires_grad_()))
    assert "float64" in " ".join(refuses(x, y, GAUSS, whole.double()))
    assert not refuses(x, y, GAUSS, whole[:, :1].expand_as(x))
