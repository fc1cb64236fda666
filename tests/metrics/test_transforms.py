"""Metrics under torch.func, under the caller's autocast, and on images with a NaN."""

from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import lookalike

# One of each way through the operations: functions with a backward pass of their own, layouts, kernels.
METRICS = (
    "contextual_patches", "flip", "gaussian_l1", "ms_ssim_l1", "psnr_hvs", "psnr_hvs_m", "s_cielab", "ssim",
    "ssimulacra2", "vif", "vsi",
)  # fmt: skip


def pair(metric, count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    side = max(metric.min_side, 33)
    y = torch.rand(count, 3, side, side + 3, generator=generator, dtype=torch.float64)
    x = (y + 0.1 * torch.randn(y.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    return x, y


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch's own, of forward derivatives
@pytest.mark.parametrize("name", METRICS)
def test_function_transforms(name):
    metric = lookalike.get(name, check="shapes")
    x, y = pair(metric)
    leaf = x.clone().requires_grad_()
    scores = metric(leaf, y)
    [wanted] = torch.autograd.grad(scores.sum(), leaf)

    def one(x, y):
        return metric(x[None], y[None])[0]

    torch.testing.assert_close(torch.func.vmap(one)(x, y), scores.detach(), rtol=1e-9, atol=1e-12)
    gradient = torch.func.vmap(torch.func.grad(one))(x, y)
    near = 1e-9 * float(wanted.abs().max())
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=near)
    tangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slope = torch.func.jvp(lambda x: metric(x, y).sum(), (x,), (tangent,))[1]
    assert abs(float(slope - (wanted * tangent).sum())) <= 1e-9 * float((wanted * tangent).abs().sum())


def test_contextual_gradients_where_the_caller_s_backward_pass_is_under_autocast():
    metric = lookalike.get("contextual_patches")
    x, y = (image.float() for image in pair(metric))
    gradients = []
    for enabled in (False, True):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            metric(leaf, y).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["iw_ssim", "luma_correlation", "mad", "vif"])
@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("flat", [True, False])
def test_a_nan_comes_out_as_nan_and_stays_in_its_image(name, judged, flat):
    """What a flat reference or a block that does not fit leaves out counts too; no routine refuses the batch."""
    metric = lookalike.get(name, check="shapes")
    x, y = pair(metric, 3)
    if flat:
        x[1], y[1] = 1.0, 1.0
    wanted = metric(x, y)
    for place in ((5, 5), (17, 17)):
        hurt = [x.clone().requires_grad_(), y.clone()]
        with torch.no_grad():
            hurt[not judged][1, 0, place[0], place[1]] = torch.nan
        scores = metric(*hurt)
        assert scores.isnan().tolist() == [False, True, False]
        torch.testing.assert_close(scores[::2], wanted[::2])
        [gradient] = torch.autograd.grad(scores[::2].sum(), hurt[0])
        assert bool(gradient[::2].isfinite().all())


def test_mad_of_a_nan_beyond_the_last_block_is_nan():
    x, y = pair(lookalike.get("mad"))
    y[0, 0, -1, -1] = torch.nan
    assert lookalike.get("mad", check="shapes")(x, y).isnan().tolist() == [True, False]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("record", ["torch.jit.trace", "make_fx"])
@pytest.mark.parametrize("name", ["gmsd", "ms_ssim", "ssim", "zhao_mix"])
def test_what_is_recorded_is_the_whole_formula(name, record):
    played: Any
    metric = lookalike.get(name, check="shapes")
    (x, y), (other, reference) = ([image.float() for image in pair(metric, 1, seed)] for seed in (0, 1))
    if record == "make_fx":
        played = make_fx(lambda x, y: metric(x, y))(x, y)
    else:
        played = torch.jit.trace(metric, (x, y), check_trace=False)
    torch.testing.assert_close(played(other, reference), metric(other, reference), rtol=1e-5, atol=1e-6)
