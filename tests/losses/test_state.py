"""What a loss keeps, and what it must not: checkpoints, compiled graphs, transforms, values of the last call."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

import lookalike


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(2, 3, 32, 32, generator=generator)
    return (y + 0.1 * torch.rand(2, 3, 32, 32, generator=generator)).clamp(0, 1), y


class Model(nn.Module):
    def __init__(self, loss: nn.Module | None) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, 3, 3)
        if loss is not None:
            self.loss = loss


def test_a_state_dict_holds_tensors_alone_and_goes_through_safetensors():
    loss = lookalike.loss("0.3*ssim + l1").schedule(l1=lambda step: 1 - step / 10)
    loss.advance()
    state = Model(loss).state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert {key for key in state if key.startswith("loss.")} == {
        "loss.weights.ssim", "loss.weights.l1", "loss.step",
    }  # fmt: skip
    twin = Model(lookalike.loss("ssim + l1"))
    twin.load_state_dict(load(save(state)))
    assert twin.loss.weights == {"ssim": 0.3, "l1": 0.9}
    assert twin.loss.step == 1


def test_an_average_of_states_goes_through_and_loads():
    model, average = Model(lookalike.loss("ssim + l1")), Model(lookalike.loss("3*ssim + l1"))
    averaged = average.state_dict()
    for key, value in model.state_dict().items():
        averaged[key] = averaged[key].clone().cpu().mul_(0.5).add_(value, alpha=0.5)
    average.load_state_dict(averaged)
    assert average.loss.weights == {"ssim": 2.0, "l1": 1.0}


def test_a_checkpoint_saved_without_the_loss_loads_into_a_model_that_has_one():
    model = Model(lookalike.loss("0.5*ssim + l1"))
    model.load_state_dict(Model(None).state_dict(), strict=True)
    assert model.loss.weights == {"ssim": 0.5, "l1": 1.0}
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict({**Model(None).state_dict(), "loss.other": torch.zeros(1)})


def test_the_state_of_another_loss_is_refused():
    with pytest.raises(RuntimeError, match="the state is of ssim, l1, this loss has ssim, l2"):
        lookalike.loss("ssim + l2").load_state_dict(lookalike.loss("ssim + l1").state_dict())


def test_weights_are_not_assigned():
    with pytest.raises(TypeError):
        lookalike.loss("ssim + l1").weights["l1"] = 3.0  # type: ignore[index]


def test_weighted_terms_are_those_of_the_last_value(pair):
    loss = lookalike.loss("ssim + l1").schedule(l1=lambda step: 1 / (1 + step))
    value = loss(*pair)
    loss.advance()
    torch.testing.assert_close(sum(loss.weighted_terms.values()), value)
    value = loss(*pair)
    torch.testing.assert_close(sum(loss.weighted_terms.values()), value)


def test_copies_keep_weights_step_and_values(pair):
    loss = lookalike.loss("0.3*ssim + l1")
    loss.advance()
    value = loss(*pair)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert (twin.weights, twin.step) == (loss.weights, 1)
        torch.testing.assert_close(sum(twin.weighted_terms.values()), value)
        assert float(twin(*pair)) == float(value)


def test_transforms_leave_nothing_behind(pair):
    x, y = pair
    loss = lookalike.loss("ssim + l1")
    torch.func.grad(loss)(x, y)
    assert loss.terms == {}
    copy.deepcopy(loss)
    loss(x, y)
    torch.func.vmap(loss)(x[:, None], y[:, None])
    assert loss.terms == {}
    torch.export.export(loss, (x, y))
    assert loss.terms == {}
    assert float(loss(x, y)) > 0
    assert all(type(value) is torch.Tensor for value in loss.terms.values())


@pytest.fixture
def compiler():
    torch._dynamo.reset()
    yield lambda module: torch.compile(module, fullgraph=True, backend="eager")
    torch._dynamo.reset()


@pytest.mark.slow
def test_any_number_of_losses_and_metrics_compiles_in_one_process(pair, compiler):
    x, y = pair
    for weight in range(1, 10):  # one more than torch.compile's limit of eight
        loss = lookalike.loss(f"gaussian_l1(sigma={weight / 7}) + {weight / 3}*l2")
        torch.testing.assert_close(compiler(loss)(x, y), loss(x, y))
    for step in range(3):
        width = 1 + step / 7
        metric = lookalike.get("ssim", data_range=width, K=(0.01 + step / 1000, 0.03))
        torch.testing.assert_close(compiler(metric)(x * width, y * width), metric(x * width, y * width))
    for name in ("l1", "psnr", "charbonnier", "uqi", "chroma_ratio", "rmse"):
        metric = lookalike.get(name)
        torch.testing.assert_close(compiler(metric)(x, y), metric(x, y))


def test_a_schedule_needs_no_graph_of_its_own_for_each_step(pair, compiler):
    x, y = pair
    loss = lookalike.loss("ssim + l1").schedule(l1=lambda step: 1 / (1 + step))
    graphs = []

    def counting(graph, example):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(loss, fullgraph=True, backend=counting)
    for _ in range(12):
        torch.testing.assert_close(compiled(x, y), loss(x, y))
        loss.advance()
    assert len(graphs) == 1


@pytest.mark.parametrize(
    ("expression", "data_range", "target", "advice"),
    [
        ("0.84*ssim + 0.16*l1", None, lambda y: 2 * y - 1, r"data_range=\(-1, 1\)"),
        ("0.84*ssim + 0.16*l1", None, lambda y: 255 * y, "data_range=255"),
        ("l1", 255, lambda y: y, "data_range=1"),
        ("l1", (-1, 1), lambda y: 255 * y, "data_range=255"),
        ("psnr", None, lambda y: 65535 * y, "data_range=65535"),
    ],
)
def test_targets_of_another_range_are_told_once(pair, expression, data_range, target, advice):
    x, y = pair
    loss = lookalike.loss(expression, data_range=data_range)
    with pytest.warns(UserWarning, match=f"targets do not fit.*{advice}"):
        loss(target(x), target(y))
    loss(target(x), target(y))


def test_outputs_may_overshoot_and_fitting_targets_are_quiet(pair):
    x, y = pair
    lookalike.loss("ssim + l1")(3 * x - 1, y)
    lookalike.loss("ssim + l1", data_range=(-1, 1))(3 * x - 1, 2 * y - 1)
    lookalike.loss("ssim + l1", data_range=255)(x, 255 * y)
    lookalike.loss("ssim + l1")((255 * x).to(torch.uint8), (255 * y).to(torch.uint8))
    lookalike.loss("ssim + l1")(x, torch.full_like(y, torch.nan))


def test_prepared_targets_are_looked_at_too(pair):
    x, y = pair
    loss = lookalike.loss("ssim + l1")
    with pytest.warns(UserWarning, match="data_range=255"):
        loss.prepare(255 * y)(255 * x)
