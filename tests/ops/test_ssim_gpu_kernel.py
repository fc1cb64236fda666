"""The gate of the Triton SSIM kernel, through Triton's interpreter: values and gradients against float64.

Triton decides when it is imported whether it interprets, so the tests that compute run in a process of their own:
this file again, with ``TRITON_INTERPRET=1``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from kernel_pairs import images
from places import ROOT
from torch import Tensor

from lookalike.ops import ssim
from lookalike.ops._kernels import Op
from lookalike.ops.ssim import gpu_calls, reference
from lookalike.ops.ssim.autograd import packed
from lookalike.ops.ssim.setting import Mixture, Scales, Setting
from lookalike.ops.window import gaussian, uniform

interpreted = pytest.mark.elsewhere(not gpu_calls._INTERPRETED)
GAUSS = Setting(gaussian(11, 1.5))
BORDERS = ("valid", "reflect", "symmetric", "zero")

means = Op(reference.means, gpu_calls.means_kernel)
maps = Op(reference.maps, gpu_calls.maps_kernel)
pyramid = Op(reference.pyramid, gpu_calls.pyramid_kernel)
l1_ssim = Op(reference.l1_ssim, gpu_calls.l1_ssim_kernel)


def with_gradients(op: Any, x: Tensor, y: Tensor, upstream: Tensor, setting: Any) -> tuple[Tensor, Tensor, Tensor]:
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    values = op(x, y, setting)
    gx, gy = torch.autograd.grad((values * upstream.to(values.dtype)).sum(), (x, y))
    return values.detach(), gx, gy


def relative(found: Tensor, wanted: Tensor) -> float:
    """The largest error over the largest value; NaN counts as infinite."""
    error = ((found.double() - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30)).item()
    return error if error == error else float("inf")


def check(op: Op, x: Tensor, y: Tensor, upstream: Tensor, setting: Any, tolerance: float = 1e-6) -> None:
    assert not op.kernels[0].refuses(x, y, setting)
    wanted, gx_wanted, gy_wanted = with_gradients(op.reference, x.double(), y.double(), upstream, setting)
    assert (op(x, y, setting) - wanted).abs().max() <= tolerance
    values, gx, gy = with_gradients(op, x, y, upstream, setting)
    assert (values - wanted).abs().max() <= tolerance
    assert gx.dtype == x.dtype
    assert relative(gx, gx_wanted) <= 1e-4
    assert relative(gy, gy_wanted) <= 1e-4


# ---- without an interpreter


@pytest.mark.slow
@pytest.mark.elsewhere(gpu_calls._INTERPRETED)
@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-5000:]
    assert run.stdout.count(".") > 40, run.stdout  # one a test that passed


@pytest.mark.elsewhere(gpu_calls._INTERPRETED)
def test_declines_tensors_of_the_cpu() -> None:
    x, y = images(1, 1, 16, 16)
    [*_, reason] = gpu_calls.means_kernel.refuses(x, y, GAUSS)
    assert reason == ("tensors on cpu" if torch.cuda.is_available() else "no GPU")


def test_declines_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_calls, "_INSTALLED", False)
    x, y = images(1, 1, 16, 16)
    assert "triton is not installed" in gpu_calls.means_kernel.refuses(x, y, GAUSS)
    assert "triton is not installed" in ssim.means.explain(x.double(), y.double(), GAUSS)


@pytest.mark.slow
def test_importing_the_op_imports_no_triton() -> None:
    program = "import sys, lookalike.ops.ssim; print('triton' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"


# ---- the gate


@interpreted
@pytest.mark.usefixtures("nan_in_fresh_memory")
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(1, 2, 37, 53), (1, 1, 11, 75), (2, 1, 11, 11)])
def test_means_and_maps(border: Any, shape: tuple[int, ...]) -> None:
    setting = Setting(GAUSS.taps, border, unbias=1.01)
    x, y = images(*shape)
    check(means, x, y, torch.randn(*shape[:2], 2), setting)
    check(means, x, y, torch.tensor([1.0, 0.0]), setting)
    check(maps, x, y, torch.randn(reference.maps(x, y, setting).shape), setting)
    y[..., 3:9] = x[..., 3:9]  # where they are equal, L1 has the gradient 0
    check(l1_ssim, x, y, torch.randn(shape[:2]), Mixture(setting, 0.3))


@interpreted
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("taps", [(1.0,), uniform(7), gaussian(21, 3.0), uniform(33)], ids=len)
def test_windows(border: Any, taps: tuple[float, ...]) -> None:
    x, y = images(1, 1, 34, 45)
    check(means, x, y, torch.randn(1, 1, 2), Setting(taps, border))


@interpreted
@pytest.mark.parametrize("border", ["reflect", "symmetric", "zero"])
def test_least_sides(border: Any) -> None:
    side = {"reflect": 6, "symmetric": 5, "zero": 1}[border]
    x, y = images(1, 1, side, side)
    check(means, x, y, torch.randn(1, 1, 2), Setting(GAUSS.taps, border))


@interpreted
@pytest.mark.parametrize("halving", ["symmetric", "zero", "replicate", "floor", "reflect"])
def test_pyramid(halving: Any) -> None:
    x, y = images(1, 1, 25, 28)
    check(pyramid, x, y, torch.randn(1, 1, 2), Scales(GAUSS, 2, halving=halving))


def stress() -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs at which float32 formulations of SSIM lose digits."""
    generator = torch.Generator().manual_seed(0)

    def noise() -> Tensor:
        return torch.randn(1, 1, 48, 48, generator=generator)

    def pair(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        x = x.clamp(0, 1)
        return x, (x + sigma * noise()).clamp(0, 1)

    flat = torch.ones(1, 1, 48, 48)
    return {
        "flat, noise 1e-3": pair(0.9 + 1e-3 * noise(), 1e-3),
        "flat, noise 1e-5": pair(0.9 + 1e-5 * noise(), 1e-5),
        "grey, noise 1e-3": pair(0.5 + 1e-3 * noise(), 1e-3),
        "constant": (0.30 * flat, 0.31 * flat),
        "ramp": pair(torch.linspace(0, 1, 48).expand(1, 1, 48, 48), 2e-3),
        "white": (flat, 0.999 * flat),
        "far offset": (0.25 + 1e-3 * noise(), 0.75 + 1e-3 * noise()),
    }


@interpreted
@pytest.mark.parametrize("case", stress())
def test_stress(case: str) -> None:
    check(means, *stress()[case], torch.tensor([1.0, 0.0]), GAUSS)


@interpreted
def test_identical_is_exactly_one() -> None:
    x, _ = images(1, 2, 37, 70)
    for image in (x, x.half(), (255 * x).byte()):
        assert (means(image, image.clone(), GAUSS) == 1).all()
    values, gx, gy = with_gradients(means, x, x.clone(), torch.ones(2), GAUSS)
    assert (values == 1).all()
    assert max(gx.abs().max(), gy.abs().max()) <= 1e-9
    assert (maps(x, x, GAUSS) == 1).all()


@interpreted
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    x, y = (image.to(dtype) for image in images(1, 2, 20, 31))
    upstream = torch.randn(1, 2, 2)
    wanted, gx_wanted, gy_wanted = with_gradients(reference.means, x.double(), y.double(), upstream, GAUSS)
    values, gx, gy = with_gradients(means, x, y, upstream, GAUSS)
    assert values.dtype == torch.float32
    assert (values - wanted).abs().max() <= 1e-6
    assert gx.dtype == gy.dtype == dtype
    rounding = torch.finfo(dtype).eps  # of the gradient, which has the images' type
    assert relative(gx, gx_wanted) <= rounding
    assert relative(gy, gy_wanted) <= rounding


@interpreted
def test_bytes() -> None:
    x, y = ((255 * image).byte() for image in images(1, 1, 20, 31))
    wanted = means.reference(x.double() / 255, y.double() / 255, GAUSS)
    assert (means(x, y, GAUSS) - wanted).abs().max() <= 1e-6
    wanted = l1_ssim.reference(x.double() / 255, y.double() / 255, Mixture(GAUSS))
    assert (l1_ssim(x, y, Mixture(GAUSS)) - wanted).abs().max() <= 1e-6


@interpreted
def test_layouts_and_determinism() -> None:
    x, y = images(2, 2, 19, 23)
    upstream = torch.randn(2, 2, 2)
    wanted = with_gradients(means, x, y, upstream, GAUSS)
    for layout in (
        lambda t: t,
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
        lambda t: torch.nn.functional.pad(t, (3, 5, 2, 1), value=7.0)[..., 2:-1, 3:-5],
    ):
        found = with_gradients(means, layout(x), layout(y), upstream, GAUSS)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    x, y = x[:1].expand_as(x), y[:1].expand_as(y)
    values = means(x, y, GAUSS)
    assert torch.equal(values[0], wanted[0][0])
    assert torch.equal(values[0], values[1])


@interpreted
def test_empty_batch() -> None:
    x, y = (image.requires_grad_() for image in images(0, 3, 16, 16))
    for op, shape, setting in (
        (means, (0, 3, 2), GAUSS),
        (maps, (2, 0, 3, 6, 6), GAUSS),
        (l1_ssim, (0, 3), Mixture(GAUSS)),
    ):
        values = op(x, y, setting)
        assert values.shape == shape
        values.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


@interpreted
@pytest.mark.parametrize(
    ("op", "setting"), [(means, GAUSS), (maps, GAUSS), (l1_ssim, Mixture(GAUSS))], ids=["means", "maps", "l1_ssim"]
)
def test_one_gradient_only_and_twice(op: Op, setting: Any) -> None:
    x, y = images(1, 1, 14, 18)
    upstream = torch.randn(op(x, y, setting).shape)
    _, *both = with_gradients(op, x, y, upstream, setting)
    for at, wanted in enumerate(both):
        pair = [x.clone(), y.clone()]
        pair[at].requires_grad_()
        value = (op(*pair, setting) * upstream).sum()
        for retain in (True, False):
            [found] = torch.autograd.grad(value, pair[at], retain_graph=retain)
            assert relative(found, wanted.double()) <= 1e-6


@interpreted
def test_nan_in_nan_out() -> None:
    x, y = images(2, 1, 20, 24)
    x[0, 0, 7, 10] = float("nan")
    values, gx, gy = with_gradients(means, x, y, torch.ones(2), GAUSS)
    assert values[0].isnan().all()
    assert values[1].isfinite().all()
    assert gx[0, 0, 7, 10].isnan()
    assert gy[0, 0, 7, 10].isnan()
    assert gx[1].isfinite().all()
    assert maps(x, y, GAUSS)[0, 0, 0, 2:8, 5:11].isnan().all()


@interpreted
def test_slopes_are_those_of_the_values() -> None:
    """Finite differences of the kernel's own values, uphill: there no terms cancel, and float32 says enough."""
    x, y = images(1, 1, 16, 18)
    for op, setting in ((means, GAUSS), (l1_ssim, Mixture(GAUSS))):
        _, gx, _ = with_gradients(op, x, y, torch.ones(()), setting)
        step = 1e-3 * gx.sign()
        after, before = (op(x + sign * step, y, setting).double().sum() for sign in (1, -1))
        assert float(gx.abs().sum()) == pytest.approx(float(after - before) / 2e-3, rel=1e-2)


@interpreted
def test_second_derivatives_go_through_the_reference() -> None:
    x, y = images(1, 1, 12, 13)
    narrow = Setting(gaussian(5, 1.5))
    for op, setting in ((means, narrow), (maps, narrow), (l1_ssim, Mixture(narrow))):

        def penalty(op: Any, x: Tensor, y: Tensor, setting: Any = setting) -> Tensor:
            x = x.clone().requires_grad_()
            [gradient] = torch.autograd.grad(op(x, y, setting).square().sum(), x, create_graph=True)
            return torch.autograd.grad(gradient.square().sum(), x)[0]

        assert relative(penalty(op, x, y), penalty(op.reference, x.double(), y.double())) <= 1e-3


@interpreted
def test_operators_pass_torchs_own_check() -> None:
    x, y = (image.requires_grad_() for image in images(1, 1, 12, 14))
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for kernel, setting in (
        (gpu_calls.means_kernel, GAUSS),
        (gpu_calls.maps_kernel, Setting(GAUSS.taps, "zero")),
        (gpu_calls.l1_ssim_kernel, Mixture(GAUSS)),
    ):
        torch.library.opcheck(getattr(kernel.run, "operator"), (x, y, None, *packed(setting)), test_utils=checks)  # noqa: B009


@interpreted
def test_what_is_declined() -> None:
    x, y = images(1, 1, 16, 16)
    cases: list[tuple[str, tuple[Any, ...]]] = [
        ("float64", (x.double(), y.double(), GAUSS)),
        ("taps", (x, y, Setting((0.5, 0.3, 0.2)))),
        ("taps", (x, y, Setting(uniform(35), "zero"))),
        ("smaller", (x, y, Setting(uniform(17)))),
        ("mask", (x, y, GAUSS, torch.ones(1, 1, 16, 16))),
        ("shapes", (x[None], y[None], GAUSS)),
        ("border", (x, y, GAUSS._replace(border="circular"))),  # pyright: ignore[reportArgumentType]
    ]
    for word, arguments in cases:
        assert any(word in reason for reason in gpu_calls.means_kernel.refuses(*arguments))
    assert not gpu_calls.means_kernel.refuses(x, y, GAUSS)
