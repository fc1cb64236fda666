"""A call leaves nothing behind that another call can notice; torch's defaults and lazy tensors change nothing.

The audit asks this of every metric (`threads`, `modes`, `moves`, `checkpoint`); here stands what needs a process of
its own, and what the audit does not ask.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from learned import needs
from torch import nn

import lookalike
from lookalike import audit, registry
from lookalike.metrics.contextual import Contextual
from lookalike.metrics.perceptual import Perceptual, Style
from lookalike.ops import compiled
from lookalike.ops.constants import kept

LEARNED = [
    pytest.param(name, marks=needs(*registry.metric_class(name).facts.weights))
    for name in ("dists", "lpips_alex", "lpips_squeeze", "perceptual", "style", "contextual")
]


def pair(metric: Any, count: int = 1, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    side = max(metric.min_side, 40)
    channels = metric.channels[-1] if metric.channels else 3
    y = torch.rand(count, channels, side, side + 3, generator=generator, dtype=torch.float64)
    x = (y + 0.1 * torch.randn(y.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    return x.to(dtype), y.to(dtype)


@pytest.mark.parametrize("name", ["fsim", "ssimulacra2", "cw_ssim", "sr_sim", "psnr_hvs_m"])
@pytest.mark.slow
def test_exported_with_a_batch_of_any_size(name: str) -> None:
    metric = lookalike.get(name, check="shapes")
    count = torch.export.Dim("count")
    program = torch.export.export(metric, pair(metric, 2), dynamic_shapes=({0: count}, {0: count}))
    images = pair(metric, 3)
    torch.testing.assert_close(program.module()(*images), metric(*images), rtol=1e-3, atol=1e-3)
    assert metric(*images).shape == (3,)


@pytest.mark.parametrize("name", ["cw_ssim", "gmsd", "psnr", "ssim", "sr_sim", "vsi"])
def test_meta_tensors_give_meta_tensors(name: str) -> None:
    for check in ("values", "shapes"):
        metric = lookalike.get(name, check=check)
        scores = metric(*(image.to("meta") for image in pair(metric, 2)))
        assert scores.is_meta
        assert scores.shape == (2,)


@pytest.mark.parametrize("name", ["gmsd", "l1", "ms_ssim", "ssim", "ssimulacra2"])
def test_vmap_with_the_default_check(name: str) -> None:
    metric = lookalike.get(name)
    x, y = pair(metric, 2, torch.float64)
    scores = torch.func.vmap(lambda a, b: metric(a[None], b[None])[0])(x, y)
    torch.testing.assert_close(scores, metric(x, y), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_is_the_same_under_any_default(name: str) -> None:
    images = pair(lookalike.get(name))
    wanted = lookalike.get(name)(*images)
    for dtype in (torch.bfloat16, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            assert torch.equal(lookalike.get(name)(*images), wanted)
        finally:
            torch.set_default_dtype(torch.float32)
    with torch.device("meta"):
        metric = lookalike.get(name)
        assert torch.equal(metric(*images), wanted)
    parent = nn.Sequential(nn.Linear(1, 1), metric).to(torch.bfloat16).half().float()
    assert torch.equal(parent[1](*images), wanted)
    assert list(parent.state_dict()) == ["0.weight", "0.bias"]
    with torch.inference_mode():
        metric = lookalike.get(name)
    leaf = images[0].clone().requires_grad_()
    metric(leaf, images[1]).sum().backward()


def toy() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())


@pytest.mark.parametrize(
    "make",
    [
        lambda network: Perceptual(network=network, layers=["1", "3"]),
        lambda network: Style(network=network, layers=["1", "3"]),
        lambda network: Contextual(features=network, layers=["1", "3"]),
    ],
)
def test_a_network_of_one_s_own_in_threads(make: Callable[[nn.Module], Any]) -> None:
    network = toy()
    metric = make(network)
    [finding] = audit.run(metric, ["threads"])
    assert finding.verdict == "kept", finding.detail
    assert not any(part._forward_hooks for part in network.modules())


negated: Any = torch._neg_view  # pyright: ignore[reportPrivateImportUsage]
zero: Any = torch._efficientzerotensor  # pyright: ignore[reportPrivateImportUsage]


def lazies() -> dict[str, torch.Tensor]:
    image = torch.rand(1, 1, 177, 177, generator=torch.Generator().manual_seed(0))
    return {
        "negated": negated(-image),
        "of a conjugate": torch.complex(image, -image).conj().imag,
        "zero": zero((1, 1, 177, 177), dtype=torch.float32),
    }


@pytest.mark.parametrize("kind", ["negated", "of a conjugate", "zero"])
@pytest.mark.parametrize("name", ["ssim", "ms_ssim_l1", "gmsd", "ssimulacra2", "l1"])
def test_lazy_tensors_score_as_what_they_stand_for(name: str, kind: str) -> None:
    image = lazies()[kind]
    metric = lookalike.get(name, check="shapes")
    plain = torch.zeros(image.shape) if kind == "zero" else image.resolve_neg().clone()
    other = plain.roll(1, -1) * 0.9 + 0.02
    assert torch.equal(metric(image, other), metric(plain, other))
    assert torch.equal(metric(other, image), metric(other, plain))


def test_a_lazy_gradient_from_above_counts_with_its_sign() -> None:
    metric = lookalike.get("ssim")
    x, y = pair(metric)
    gradients = []
    for upstream in (torch.tensor([-2.0]), negated(torch.tensor([2.0]))):
        leaf = x.clone().requires_grad_()
        gradients += torch.autograd.grad(metric(leaf, y), leaf, upstream)
    assert torch.equal(*gradients)


def test_kept_constants_are_untouched_by_the_calls_that_use_them() -> None:
    metric = lookalike.get("cw_ssim")
    x, y = pair(metric)
    first = metric(x, y)
    metric(x.clone().requires_grad_(), y).sum().backward()
    exported = torch.export.export(metric, (x, y))
    for constant in (*exported.constants.values(), *exported.state_dict.values()):
        if isinstance(constant, torch.Tensor):
            constant.zero_()
    assert torch.equal(metric(x, y), first)


def test_constants_in_every_dtype() -> None:
    import numpy as np

    @kept(2)
    def arrays() -> tuple[np.ndarray, ...]:
        return np.array([1 / 3]), np.array([1j / 3]), np.array([3])

    cpu = torch.device("cpu")
    for dtype, wanted in (
        (torch.float32, [torch.float32, torch.complex64, torch.int64]),
        (torch.float64, [torch.float64, torch.complex128, torch.int64]),
        (torch.bfloat16, [torch.bfloat16, torch.complex64, torch.int64]),
    ):
        assert [values.dtype for values in arrays(dtype, cpu)] == wanted
    assert float(arrays(torch.float64, cpu)[0]) == 1 / 3


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_loads_the_compiler_and_triton() -> None:
    """The LLVM of triton ends a process in which TensorFlow runs."""
    run(
        "import sys, torch, lookalike\n"
        "x = torch.rand(1, 3, 72, 72).requires_grad_()\n"
        "for name in ('contextual_patches', 'cw_ssim', 'fsim', 'gmsd', 'ssim', 'ssimulacra2', 'vsi'):\n"
        "    lookalike.get(name)(x, x.detach() * 0.9).sum().backward()\n"
        "loaded = {'torch._dynamo', 'torch._inductor', 'triton'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )


@pytest.mark.skipif(compiled.cpu is None, reason="the kernels are not compiled here")
def test_the_instruction_set_in_any_letters_and_one_line_for_an_unknown_one() -> None:
    fastest, *_ = known = compiled.cpu.instruction_sets()
    try:
        for wish in ("BASELINE", " baseline ", "Base-Line"):
            compiled.cpu.use_instruction_set(fastest)
            compiled._obey(wish)
            assert compiled.cpu.instruction_set() == "baseline"
        compiled.cpu.use_instruction_set(fastest)
        compiled._obey("")
        with pytest.warns(
            UserWarning, match=f"'sse9' is none of this machine's instruction sets, {', '.join(known)}"
        ):
            compiled._obey("sse9")
        assert compiled.cpu.instruction_set() == fastest
    finally:
        compiled.cpu.use_instruction_set(fastest)


@pytest.mark.skipif(compiled.cpu is None or not hasattr(os, "fork"), reason="no kernels, or no fork")
@pytest.mark.slow
def test_a_child_forked_before_the_first_kernel_call_computes() -> None:
    output = run(
        "import os, torch, lookalike\n"
        "import lookalike.ops.compiled\n"
        "torch.set_num_threads(4)\n"
        "torch.rand(1500, 1500).sum()\n"  # wakes torch's workers, which do not survive the fork
        "x = torch.rand(1, 3, 256, 256)\n"
        "if os.fork() == 0:\n"
        "    from lookalike.ops.gmsd import cpu as gmsd\n"
        "    gmsd.deviation(x, x, (1.0,), constant=1e-3, correction=1)\n"
        "    print('computed', flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()"
    )
    assert "computed" in output
