"""What a mask means at the door, for metrics and for losses, whatever the metric."""

from __future__ import annotations

import math

import pytest
import torch

import lookalike
from lookalike import registry

MASKED = [name for name in registry.without_weights() if registry.metric_class(name).facts.masks]
UNMASKED = ["vif", "nlpd", "delta_l"]


@pytest.fixture
def side(request):
    """Large enough for the metric of a test, where it has one."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    return max(32, registry.metric_class(name).facts.min_side) if name else 32


@pytest.fixture
def pair(side):
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(2, 3, side, side, generator=generator)
    return (y + 0.1 * torch.rand(2, 3, side, side, generator=generator)).clamp(0, 1), y


@pytest.fixture
def mask(side):
    mask = torch.ones(2, 1, side, side)
    mask[:, :, :10, :20] = 0
    return mask


def test_there_are_metrics_that_take_masks():
    assert {"l1", "ssim"} <= set(MASKED)


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("junk", [math.nan, -9999.0, math.inf])
def test_what_lies_under_a_mask_never_matters(pair, mask, name, junk):
    x, y = pair
    metric = lookalike.get(name)
    hidden = (mask == 0).expand_as(x)
    expected = metric(x, y, mask)
    dirty_x = torch.where(hidden, junk, x).requires_grad_()
    dirty_y = torch.where(hidden, junk, y)
    scores = metric(dirty_x, dirty_y, mask)
    assert torch.equal(scores, expected)
    assert scores.isfinite().all()
    [gradient] = torch.autograd.grad(scores.sum(), dirty_x)
    assert gradient.isfinite().all()
    assert not gradient[hidden].any()


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_that_hides_nothing_changes_nothing(pair, name):
    x, y = pair
    metric = lookalike.get(name)
    for mask in (torch.ones_like(x[:, :1]), torch.ones_like(x, dtype=torch.bool)):
        torch.testing.assert_close(metric(x, y, mask), metric(x, y), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", MASKED)
def test_without_a_valid_pixel_a_metric_is_nan_and_a_loss_leaves_the_image_out(pair, mask, name):
    x, y = pair
    mask[0] = 0
    scores = lookalike.get(name)(x, y, mask)
    assert scores.isnan().tolist() == [True, False]
    loss = 1.0 * lookalike.get(name, check="shapes")
    if not lookalike.registry.metric_class(name).facts.alone:
        x = x.clone().requires_grad_()
        alone = (1.0 * lookalike.get(name, check="shapes"))(x[1:], y[1:], mask[1:])
        value = loss(x, y, mask)
        torch.testing.assert_close(value, alone)
        [gradient] = torch.autograd.grad(value, x)
        assert gradient.isfinite().all()
        assert not gradient[0].any()
        nothing = loss(x, y, torch.zeros_like(mask))
        assert float(nothing.detach()) == 0
        [gradient] = torch.autograd.grad(nothing, x)
        assert not gradient.any()


@pytest.mark.parametrize("name", UNMASKED)
def test_metrics_without_masks_say_so(pair, mask, name):
    with pytest.raises(TypeError, match=f"{name}: takes no mask"):
        lookalike.get(name, check="shapes")(*pair, mask)
    with pytest.raises(TypeError, match=f"{name}: takes no mask"):
        lookalike.get(name, check="shapes").as_loss(pair[0], pair[1], mask)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (torch.full((2, 1, 32, 32), math.nan), ValueError, "mask holds NaN"),
        (torch.full((2, 1, 32, 32), -1.0), ValueError, r"outside \[0, 1\]: it is in \[-1, -1\]"),
        (torch.full((2, 1, 32, 32), 255.0), ValueError, r"outside \[0, 1\]"),
        (torch.full((2, 1, 32, 32), 255, dtype=torch.uint8), TypeError, "boolean or floats.*write mask > 0"),
        (torch.ones(2, 2, 32, 32), ValueError, "mask must have shape"),
        (torch.ones(1, 1, 32, 32), ValueError, "mask must have shape"),
    ],
)
def test_what_is_no_mask_is_refused(pair, wrong, error, words):
    for target in (lookalike.get("ssim"), lookalike.loss("0.8*l1 + 0.2*ssim")):
        with pytest.raises(error, match=words):
            target(*pair, wrong)


def test_losses_and_presets_and_kept_references_take_masks(pair, mask):
    x, y = pair
    loss = lookalike.loss("3dgs")
    hidden = torch.where((mask == 0).expand_as(x), math.nan, x)
    value = loss(hidden, y, mask)
    assert math.isfinite(float(value))
    torch.testing.assert_close(loss.prepare(y)(hidden, mask), value)
    torch.testing.assert_close(lookalike.get("l1").prepare(y)(hidden, mask), lookalike.get("l1")(x, y, mask))
    with pytest.raises(TypeError, match="takes no mask"):
        lookalike.loss("seed/ssim@published")(x, y, mask)


def test_values_under_a_mask_are_not_held_against_the_range(pair, mask):
    x, _ = pair
    far = torch.where((mask == 0).expand_as(x), 200.0, x)
    lookalike.get("l1")(far, far, mask)
    lookalike.loss("l1")(far, far, mask)
    with pytest.raises(ValueError, match="outside data_range"):
        lookalike.get("l1")(far, far)
