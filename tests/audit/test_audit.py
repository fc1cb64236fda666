"""The audit over the catalogue, and the audit on metrics that are known to fail."""

import math
import time
from functools import cache

import pytest
import torch
from learned import needs
from torch import nn

from lookalike import audit, losses, registry
from lookalike.metric import PROMISES

CATALOGUE = [
    pytest.param(name, marks=needs(*registry.metric_class(name).facts.weights)) for name in registry.catalog()
]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_metric_keeps_its_promises(name):
    broken = {f.promise: f.detail for f in audit.run(name) if f.verdict == "broken"}
    assert not broken


DECLINED = [
    pytest.param(name, promise, marks=needs(*registry.metric_class(name).facts.weights), id=f"{name}-{promise}")
    for name in registry.catalog()
    for promise in registry.metric_class(name).facts.declines
]


@pytest.mark.parametrize(("name", "promise"), DECLINED)
def test_what_is_declined_is_declined_with_a_reason_and_truly_broken(name, promise):
    """A declined promise that is in fact kept would be a promise withheld."""
    subject = audit.subject_of(name)
    assert len(subject.declines.pop(promise)) > 10
    [finding] = audit.run(subject, [promise])
    assert finding.verdict == "broken", f"{name} could promise {promise}"


@cache
def _kept_scale(side):
    return torch.ones(1) * side / side


class Wrong(nn.Module):
    """A mean absolute error with one fault at a time."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.calls = 0
        if fault == "moves":
            self.register_buffer("scale", torch.tensor(1 / 3))
        if fault == "checkpoint":
            self.register_buffer("window", torch.ones(3))

    def forward(self, x, y):
        if x.dtype in (torch.float16, torch.bfloat16):
            x, y = x.float(), y.float()
        if self.fault == "pure":
            self.calls += 1
            return (x - y).abs().flatten(1).mean(1) + self.calls
        if self.fault == "batch":
            return ((x - y).abs() - (x - y).abs().mean()).square().flatten(1).mean(1)
        if self.fault == "finite":
            return (x - y).square().flatten(1).mean(1).sqrt()
        if self.fault == "channels":
            return (x - y)[:, :1].abs().flatten(1).mean(1)
        if self.fault == "reach":
            return (x - y)[..., :-1].abs().flatten(1).mean(1)
        if self.fault == "symmetric":
            return ((x - y).abs() * y).flatten(1).mean(1)
        if self.fault == "monotone":
            return (x.flatten(1).mean(1) - y.flatten(1).mean(1)).abs()
        if self.fault == "nan":
            return (x - y).abs().nan_to_num().flatten(1).mean(1)
        if self.fault == "autocast":
            return (x @ y.transpose(-1, -2) - y @ y.transpose(-1, -2)).float().square().flatten(1).mean(1)
        if self.fault == "gradcheck":
            return (x - y).detach().abs().flatten(1).mean(1) + 0 * (x + y).sum()
        if self.fault == "compile" and float(x.sum()) > 0:
            return (x - y).abs().flatten(1).mean(1)
        if self.fault == "copies":
            return (x - y).abs().flatten(1).mean(1) * (1 + id(self) % 7)
        if self.fault == "negative":
            return (x - 0.5).square().sub((y - 0.5).square()).abs().flatten(1).mean(1)
        if self.fault == "threads":
            self.kept = x  # for the next line, in which another thread's may stand
            time.sleep(1e-3)
            return (self.kept - y).abs().flatten(1).mean(1)
        if self.fault == "modes":
            return (x - y).abs().flatten(1).mean(1) * _kept_scale(x.shape[-1])
        if self.fault == "moves":
            return (x - y).abs().mul(self.scale.to(x)).flatten(1).mean(1)
        return (x - y).abs().flatten(1).mean(1)


@pytest.mark.parametrize(
    "fault",
    ["pure", "batch", "finite", "channels", "reach", "symmetric", "monotone", "nan", "autocast", "gradcheck",
     "compile", "negative", "threads", "modes", "moves", "checkpoint"],
)  # fmt: skip
def test_a_planted_fault_is_found_by_its_name(fault):
    [finding] = audit.run(Wrong(fault), [fault])
    assert finding.verdict == "broken", finding
    assert finding.detail


class InPlace(nn.Module):
    def __init__(self, method, value):
        super().__init__()
        self.method, self.value = method, value

    def forward(self, x, y):
        return (getattr(x, self.method)(self.value) - y).abs().flatten(1).mean(1)


@pytest.mark.parametrize(("method", "value"), [("mul_", 0.9), ("sub_", 0.5), ("clamp_", 0.5), ("fill_", 0.0)])
def test_what_works_in_place_spoils_no_other_audit(method, value):
    before = [audit.texture(side, 3).clone() for side in (64, 192)]
    findings = {f.promise: f for f in audit.run(InPlace(method, value), ["identical", "monotone", "pure", "batch"])}
    assert findings["pure"].verdict == "broken"
    assert findings["pure"].detail == "it changes x in place"
    assert findings["batch"].verdict == "kept"
    assert all(torch.equal(audit.texture(side, 3), image) for side, image in zip((64, 192), before, strict=True))
    assert {f.verdict for f in audit.run("gmsd", ["identical", "monotone"])} == {"kept"}


def test_a_state_dict_with_other_than_tensors_is_found():
    class Extra(nn.L1Loss):
        def get_extra_state(self):
            return {"weight": 1.0}

    [finding] = audit.run(Extra(), ["checkpoint"])
    assert finding.detail == "_extra_state is of type dict"


def test_a_sound_third_party_loss_breaks_nothing():
    assert [f for f in audit.run(Wrong()) if f.verdict == "broken"] == []


def test_a_loss_is_audited_like_a_metric():
    findings = audit.run(losses.loss("0.5*ssim + 0.5*l1"), ["identical", "finite", "compile", "negative"])
    assert {f.verdict for f in findings} == {"kept"}


def test_findings_come_in_order_and_by_name():
    assert [f.promise for f in audit.run("l1", list(PROMISES[:4]))] == list(PROMISES[:4])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("sism", "did you mean 'ssim'"),
        ("no.such.module:Thing", "cannot import"),
        ("torch.nn:NoSuchThing", "has no 'NoSuchThing'"),
        ("torch.nn:Linear", "without arguments"),
        ("math:sqrt", "scores no pair"),
    ],
)
def test_a_target_that_cannot_be_audited_is_refused(target, words):
    with pytest.raises(ValueError, match=words):
        audit.run(target)


def test_an_unknown_promise_is_refused():
    with pytest.raises(ValueError, match=r"no promise is called 'beauty'; there are .*, "):
        audit.run("l1", ["beauty"])


def test_degenerate_pairs_cover_the_stated_cases():
    cases = audit.degenerate(audit.subject_of("ssim"))
    x, y = cases["flat and flat + 1e-7"]
    assert float((x - y).abs().max()) > 0
    assert math.isclose(float(cases["huge offset"][1].mean()), 3000, abs_tol=1)
    assert cases["tiny"][0].shape[-1] == 11


def test_pytorch_msssim_is_audited_by_its_path():
    pytest.importorskip("pytorch_msssim")
    findings = {f.promise: f for f in audit.run("pytorch_msssim:SSIM", ["identical", "autocast", "data_range"])}
    assert findings["autocast"].verdict == "broken"  # 0.625 for 0.59 under bfloat16
    assert torch.get_default_dtype() == torch.float32


def test_what_cannot_be_called_is_named():
    with pytest.raises(TypeError, match=r"audit: math:pi is 3\.14\d+; name a function or class to call"):
        audit.subject_of("math:pi")
