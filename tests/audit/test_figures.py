"""The figures that separate good losses, on losses of which they are known."""

import json
import math

import pytest
import torch
from torch import nn

from lookalike.audit import figures, texture
from lookalike.cli.main import main
from lookalike.distortions import DISTORTIONS


class CentrePixel(nn.Module):
    def forward(self, x, y):
        middle = x.shape[-1] // 2
        return (x - y)[..., middle, middle].abs().mean()


class RedOnly(nn.Module):
    def forward(self, x, y):
        return (x - y)[:, 0].square().mean()


class Moody(nn.Module):
    def forward(self, x, y):
        if float((1 - x - y).detach().abs().max()) < 1e-6:
            raise RuntimeError("no negatives please")
        return (x - y).abs().mean()


def test_mean_absolute_error_pulls_alike_everywhere_and_at_any_noise():
    found = figures.measure("l1")
    assert found.reached == 1
    assert found.centre == pytest.approx(found.even, rel=1e-5)
    assert found.swapped == pytest.approx(0, abs=1e-6)
    assert found.pull == pytest.approx([1 / math.sqrt(3 * 64 * 64)] * 3, rel=1e-4)
    assert set(found.curves) == set(DISTORTIONS)
    assert list(found.curves["mean_shift"]) == sorted(found.curves["mean_shift"])
    assert not found.failures


def test_squared_error_pulls_in_proportion():
    found = figures.measure("l2")
    assert found.pull is not None
    assert found.pull[1] / found.pull[0] == pytest.approx(5, rel=0.05)  # noise is clipped a little
    y = texture(64, 3)
    noise = figures.measure("l2").curves["gaussian_noise"]
    assert found.negative is not None
    assert float((1 - 2 * y).square().mean()) > noise[0]
    assert found.negative > 1


def test_what_sees_one_pixel_is_found_out():
    found = figures.measure(CentrePixel())
    assert found.reached == pytest.approx(1 / 64**2)
    assert found.centre == 1


def test_what_sees_one_channel_is_found_out():
    found = figures.measure(RedOnly())
    assert found.reached == pytest.approx(1 / 3)
    assert found.swapped is not None
    assert found.swapped > 1e-3


def test_a_wavelet_measure_takes_a_negative_for_the_original():
    found = figures.measure("cw_ssim")
    assert found.negative is not None
    assert abs(found.negative) < 1e-3
    healthy = figures.measure("ssim").negative
    assert healthy is not None
    assert healthy > 1


def test_a_failure_is_said_and_costs_only_its_own_figure():
    found = figures.measure(Moody())
    assert found.negative is None
    assert found.failures["negative"] == "RuntimeError: no negatives please"
    assert found.reached == 1


def test_the_command_prints_them(capsys):
    assert main(["audit", "l1", "ssim", "--figures"]) == 0
    printed = capsys.readouterr().out
    assert "100.00%" in printed
    assert "jpeg" in printed
    assert main(["audit", "l1", "--figures", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["l1"]["reached"] == 1
    assert torch.is_grad_enabled()
