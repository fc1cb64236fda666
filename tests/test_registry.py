"""The catalogue by name, and the face."""

import subprocess
import sys

import pytest
import torch
from learned import needs

import lookalike
from lookalike import registry
from lookalike.metric import Facts, Metric
from lookalike.ops import _kernels

CATALOGUE = [
    pytest.param(name, marks=needs(*registry.metric_class(name).facts.weights)) for name in registry.catalog()
]


def test_the_face_has_what_it_says():
    for name in lookalike.__all__:
        assert getattr(lookalike, name) is not None
    with pytest.raises(AttributeError, match="it has __version__"):
        lookalike.nothing  # noqa: B018


def test_importing_lookalike_imports_no_torch():
    code = "import sys, lookalike; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_fact_sheet_is_whole(name):
    facts = registry.metric_class(name).facts
    assert facts.name == name
    assert facts.title
    assert facts.paper
    assert facts.range[0] <= facts.identical <= facts.range[1]
    assert name == name.lower()
    assert "-" not in name
    assert facts.min_side == (metric := registry.get(name)).min_side
    assert metric.signature().startswith(f"{name}|")
    assert metric.signature().endswith(f"|v:{facts.version}")


@pytest.mark.parametrize(
    "name", [case for case in CATALOGUE if registry.metric_class(str(case.values[0])).facts.min_side > 1]
)
def test_an_image_too_small_is_refused_in_words(name):
    metric = registry.get(name)
    channels = metric.channels[-1] if metric.channels else 3
    small = torch.rand(1, channels, metric.min_side - 1, metric.min_side + 40)
    with pytest.raises(ValueError, match=f"{name}: needs images of at least {metric.min_side} px"):
        metric(small, small)
    enough = torch.rand(1, channels, metric.min_side, metric.min_side + 1)
    assert metric(enough, enough.flip(-1)).shape == (1,)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_batch_of_none_has_no_scores(name):
    metric = registry.get(name)
    channels = metric.channels[-1] if metric.channels else 3
    empty = torch.rand(0, channels, metric.min_side + 20, metric.min_side + 20)
    assert metric(empty, empty).shape == (0,)


def test_aliases_lead_to_the_same_metric():
    assert registry.metric_class("mse") is registry.metric_class("l2")
    assert "mse" not in registry.catalog()


def test_facts_know_only_promises_there_are():
    with pytest.raises(ValueError, match="no promise is called beauty"):
        Facts(
            name="x", title="x", paper="x", better="lower", range=(0, 1), identical=0, declines={"beauty": "none"}
        )


def test_a_metric_without_map_or_mask_says_so():
    image = torch.rand(1, 3, 32, 32)
    with pytest.raises(TypeError, match="psnr: has no map"):
        registry.get("psnr").map(image, image)
    with pytest.raises(TypeError, match="vif: takes no mask"):
        registry.get("vif")(image, image, torch.ones(1, 1, 32, 32))
    with pytest.raises(NotImplementedError, match="defines no score"):
        type("Blank", (Metric,), {"facts": registry.metric_class("l1").facts})()(image, image)


def test_an_unknown_kernel_is_refused_and_changes_nothing() -> None:
    with pytest.raises(ValueError, match=r"use_kernels: a kernel must be one of cpu, gpu; got 'gpux'"):
        lookalike.use_kernels("cpu", "gpux").__enter__()
    assert _kernels._allowed() is None
