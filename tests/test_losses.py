"""Expressions, their grammar and errors, terms, and training."""

import pickle
import warnings

import pytest
import torch

import lookalike
from lookalike import losses


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(2, 3, 192, 192, generator=generator)
    return (y + 0.1 * torch.randn(y.shape, generator=generator)).clamp(0, 1), y


def test_a_sum_is_the_sum_of_its_terms(pair):
    x, y = pair
    mix = lookalike.loss("0.84*ms_ssim + 0.16*l1")
    ms, l1 = lookalike.get("ms_ssim")(x, y).mean(), lookalike.get("l1")(x, y).mean()
    torch.testing.assert_close(mix(x, y), 0.84 * (1 - ms) + 0.16 * l1)
    assert list(mix.terms) == ["ms_ssim", "l1"]
    torch.testing.assert_close(mix.terms["ms_ssim"], 1 - ms)
    torch.testing.assert_close(mix.terms["l1"], l1)
    torch.testing.assert_close(mix(x, y), lookalike.get("ms_ssim_l1")(x, y).mean())


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("ssim", [(1.0, "ssim")]),
        ("-l1", [(-1.0, "l1")]),
        ("2*(ssim - 0.5*mse)", [(2.0, "ssim"), (-1.0, "l2")]),
        ("ssim*0.25 + l1", [(0.25, "ssim"), (1.0, "l1")]),
        ("(1 + 1) * l1", [(2.0, "l1")]),
    ],
)
def test_the_grammar_multiplies_out(expression, terms):
    assert [(term.weight, term.name) for term in losses.parse(expression)] == terms


def test_options_reach_the_metric(pair):
    x, y = pair
    wanted = 1 - lookalike.get("ssim", win_size=7, border="reflect")(x, y).mean()
    torch.testing.assert_close(lookalike.loss("ssim(win_size=7, border=reflect)")(x, y), wanted)


def test_a_name_used_twice_is_read_by_number(pair):
    loss = lookalike.loss("ssim + ssim(win_size=7)")
    loss(*pair)
    assert list(loss.terms) == ["ssim", "ssim#2"]


def test_psnr_and_lower_is_better_are_turned(pair):
    x, y = pair
    torch.testing.assert_close(lookalike.loss("psnr")(x, y), -lookalike.get("psnr")(x, y).mean())
    torch.testing.assert_close(lookalike.loss("zhao_mix")(x, y), lookalike.get("zhao_mix")(x, y).mean())


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0.84*ms_sim + l1", "did you mean 'ms_ssim'"),
        ("ssim * l1", "multiplies metrics"),
        ("ssim + 1", "adds the number 1"),
        ("ssim / 2", "cannot read 'ssim / 2'"),
        ("ssim +", "cannot read"),
        ("", "cannot read"),
        ("__import__('os')", "cannot read"),
        ("__import__(name='os')", "no metric is called '__import__'"),
        ("ssim(**{})", r"\*\* is not part"),
        ("ssim(border=f(1))", "cannot read the value"),
        ("ssim(7)", "cannot read"),
        ("True*l1", "cannot read 'True'"),
    ],
)
def test_what_is_not_in_the_grammar_is_named(expression, words):
    with pytest.raises(ValueError, match=words):
        lookalike.loss(expression)


def test_an_unknown_option_gets_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'win_size'"):
        lookalike.loss("ssim(winsize=7)")


def test_a_convention_reaches_every_term_that_has_one(pair):
    x, y = pair
    loss = lookalike.loss("ssim + l1", convention="scikit-image")
    wanted = 1 - lookalike.get("ssim", convention="scikit-image")(x, y).mean() + lookalike.get("l1")(x, y).mean()
    torch.testing.assert_close(loss(x, y), wanted)


def test_a_blind_metric_alone_warns_and_says_why():
    with pytest.warns(UserWarning, match="cannot train alone"):
        lookalike.loss("ssim_structure")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lookalike.loss("ssim_structure + 0.1*l1")


def test_unclamped_outputs_train():
    y = torch.rand(1, 1, 32, 32)
    x = (y * 1.5 - 0.2).requires_grad_()
    lookalike.loss("ssim + l1")(x, y).backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    with pytest.raises(ValueError, match="outside data_range"):
        lookalike.loss("l1", check="values")(x, y)


@pytest.mark.parametrize("expression", ["ssim", "ms_ssim", "zhao_mix", "l2", "0.84*ms_ssim + 0.16*l1"])
def test_gradient_descent_on_the_pixels_goes_down(expression):
    side = 168 if "ms_ssim" in expression else 48
    y = torch.nn.functional.interpolate(torch.rand(1, 1, 12, 12), size=(side, side), mode="bicubic").clamp(0, 1)
    x = (y + 0.1 * torch.randn_like(y)).requires_grad_()
    loss = lookalike.loss(expression)
    optimiser = torch.optim.Adam([x], 0.01)
    before = float(loss(x, y).detach())
    for _ in range(20):
        optimiser.zero_grad()
        loss(x, y).backward()
        optimiser.step()
    assert float(loss(x, y).detach()) < 0.8 * before


def test_a_loss_moves_copies_and_says_its_formula(pair):
    loss = lookalike.loss("0.84*ssim + 0.16*l1", data_range=1.0)
    twin = pickle.loads(pickle.dumps(loss))
    torch.testing.assert_close(loss(*pair), twin(*pair))
    assert loss.signature().startswith("0.84*[ssim|win:gauss11s1.5|")
    assert "0.84*ssim + 0.16*l1" in repr(loss)
    assert list(loss.parameters()) == []


def test_a_loss_without_terms_is_refused():
    with pytest.raises(ValueError, match="at least one term"):
        losses.Loss({})
