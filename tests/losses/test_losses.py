"""Expressions, their grammar and errors, terms, and training."""

import pickle
import re
import warnings

import pytest
import torch
from learned import needs

import lookalike
from lookalike import losses
from lookalike.losses import expressions
from lookalike.ops.features import Features


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
        ("ssim / 2", r"'ssim / 2' divides.*multiply instead: 0\.5\*ssim$"),
        ("(ssim+l1)/4", r"multiply instead: 0\.25\*\(ssim\+l1\)$"),
        ("ssim/l1", "only numbers may multiply, and none divides"),
        ("ssim**2", "is a power, which is not part of the grammar"),
        ("1-ssim", "write 'ssim': a metric is turned so that lower is better"),
        ("ssim +", "cannot read"),
        ("", "cannot read"),
        ("__import__('os')", "cannot read"),
        ("__import__(name='os')", "no metric is called '__import__'"),
        ("ssim(**{})", r"\*\* is not part"),
        ("ssim(border=f(1))", "cannot read the value"),
        ("ssim(7)", "cannot read"),
        ("True*l1", "cannot read 'True'"),
        ("1e999*ssim", "'1e999' makes a weight that is not finite"),
        ("1e308*1e308*l1", "makes a weight that is not finite"),
        (f"{10**400}*l1", r"'1000\d+\.\.\.' makes a weight that is not finite"),
        (f"1e308*({'+'.join(['1e308'] * 2)})*l1", "makes a weight that is not finite"),
        ("-" * 2000 + "l1", r"'-+\.\.\.' is nested too deeply"),
        ("+".join(["l1"] * 3000), "too many terms"),
        ("(" * 300 + "l1" + ")" * 300, r"cannot read '\(+\.\.\.' .too many nested"),
        ("ssim(win_size=7, win_size=9)", "'ssim.win_size=7, win_size=9.' names win_size twice"),
        ("ssim(reduction=sum)", "reduction='sum', but a loss is a mean over the batch"),
    ],
)
def test_what_is_not_in_the_grammar_is_named(expression, words):
    with pytest.raises(ValueError, match=words):
        lookalike.loss(expression)


@pytest.mark.parametrize("given", [None, 5, b"l1", ["l1"]])
def test_what_is_not_text_is_no_expression_and_no_name(given):
    with pytest.raises(TypeError, match="loss: needs an expression such as"):
        lookalike.loss(given)
    with pytest.raises(TypeError, match="loss: needs an expression such as"):
        losses.parse(given)
    with pytest.raises(TypeError, match="a metric's name is text, such as 'ssim'"):
        lookalike.get(given)


def test_a_convention_that_nobody_knows_is_refused_even_where_no_term_has_one():
    with pytest.raises(ValueError, match=r"no convention 'scikit-imag' .did you mean 'scikit-image'"):
        lookalike.loss("l1", convention="scikit-imag")


@pytest.mark.parametrize(
    ("schedule", "error", "words"),
    [
        (0.5, TypeError, "the schedule of l1 must be a function of the step"),
        (lambda step: "x", TypeError, "the schedule of l1 at step 0 must be a number, got 'x'"),
        (lambda step: float("nan"), ValueError, "the schedule of l1 at step 0 must be a number that is finite"),
    ],
)
def test_a_schedule_that_is_none(schedule, error, words):
    with pytest.raises(error, match=words):
        lookalike.loss("l1").schedule(l1=schedule)


def test_a_schedule_is_never_lost_quietly(pair):
    mix = lookalike.loss("l1 + l2").schedule(l1=lambda step: 1 / (step + 1))
    for make in (lambda: 2 * mix, lambda: mix + lookalike.get("ssim"), lambda: -mix):
        with pytest.raises(ValueError, match="l1 follows a schedule, which would be lost"):
            make()
    with pytest.raises(ValueError, match="calibrate: l1 follows a schedule"):
        lookalike.calibrate(mix, *pair, report=None)


@pytest.mark.parametrize(
    ("ratio", "error", "words"),
    [
        ({"l1": 0}, ValueError, "the ratio of l1 must be a number greater than 0, got 0"),
        ({"l2": -1}, ValueError, "the ratio of l2 must be a number greater than 0, got -1"),
        ({"l2": "a"}, TypeError, "the ratio of l2 must be a number, got 'a'"),
    ],
)
def test_a_ratio_that_is_none(pair, ratio, error, words):
    with pytest.raises(error, match=words):
        lookalike.calibrate(lookalike.loss("l1 + l2"), *pair, ratio=ratio)


def test_calibration_says_what_it_needs(pair):
    x, y = pair
    mix = lookalike.loss("l1 + l2")
    with pytest.raises(TypeError, match=r"calibrate: needs a loss, such as .*; got str"):
        lookalike.calibrate("l1 + l2", x, y)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"x must be a float tensor, for it needs gradients; got torch.uint8"):
        lookalike.calibrate(mix, (x * 255).byte(), (y * 255).byte())
    with pytest.raises(ValueError, match="at least one image, got an empty batch"):
        lookalike.calibrate(mix, x[:0], y[:0])
    with pytest.raises(ValueError, match="the gradient of l2 is not finite"):
        lookalike.calibrate(lookalike.loss("l2"), torch.full_like(x, torch.nan), y)


def test_a_prepared_loss_has_no_map(pair):
    x, y = pair
    with pytest.raises(TypeError, match="a loss is a scalar and has no map"):
        lookalike.prepare("ssim + l1", y).map(x)


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


def test_objects_add_and_multiply(pair):
    from lookalike.metrics.pixel import L1, L2
    from lookalike.metrics.ssim import MSSSIM

    mix = 0.84 * MSSSIM() + 0.16 * L1()
    torch.testing.assert_close(mix(*pair), lookalike.loss("0.84*ms_ssim + 0.16*l1")(*pair))
    nested = 2 * (mix - L2() * 0.5) + L1()
    assert nested.weights == {"ms_ssim": 1.68, "l1": 0.32, "l2": -1.0, "l1#2": 1.0}
    torch.testing.assert_close((-L1())(*pair), -L1()(*pair).mean())
    with pytest.raises(TypeError):
        L1() * L2()  # type: ignore[operator]
    with pytest.raises(TypeError, match="only metrics and losses"):
        L1() + 1  # type: ignore[operator]


def test_a_term_of_weight_zero_is_watched_without_gradient(pair):
    x, y = pair
    watched = lookalike.loss("l1 + 0*ssim")
    x = x.clone().requires_grad_()
    watched(x, y).backward()
    wanted = torch.autograd.grad(lookalike.loss("l1")(x, y), x)[0]
    torch.testing.assert_close(x.grad, wanted)
    assert 0 < float(watched.terms["ssim"]) < 1
    assert float(watched.weighted_terms["ssim"]) == 0


def test_weights_follow_a_schedule_and_are_saved():
    image = torch.rand(1, 1, 16, 16)
    loss = lookalike.loss("ssim + l1").schedule(l1=lambda step: 1 - step / 10)
    for _ in range(4):
        loss.advance()
    assert loss.weights == {"ssim": 1.0, "l1": 0.6}
    twin = lookalike.loss("ssim + l1")
    twin.load_state_dict(loss.state_dict())
    assert (twin.weights, twin.step) == (loss.weights, 4)
    torch.testing.assert_close(twin(image * 0.5, image), loss(image * 0.5, image))
    with pytest.raises(ValueError, match="no term is called 'l2'"):
        loss.schedule(l2=lambda step: 1.0)
    with pytest.raises(RuntimeError, match="the state is of ssim, l1"):
        lookalike.loss("ssim + l2").load_state_dict(loss.state_dict())


def test_calibration_makes_the_pulls_equal_or_in_ratio(pair):
    lines = []
    loss = lookalike.loss("ssim + l1 + 100*l2 + 0*psnr")
    equal = lookalike.calibrate(loss, *pair, report=lines.append)
    pulls = losses.strengths(equal, *pair)
    assert pulls["l1"] == pytest.approx(pulls["ssim"], rel=1e-4)
    assert pulls["l2"] == pytest.approx(pulls["ssim"], rel=1e-4)
    assert equal.weights["ssim"] == 1.0
    assert equal.weights["psnr"] == 0.0
    assert len(lines) == 5
    threefold = losses.strengths(lookalike.calibrate(loss, *pair, ratio={"l1": 3}, report=None), *pair)
    assert threefold["l1"] == pytest.approx(3 * threefold["ssim"], rel=1e-4)
    with pytest.raises(ValueError, match="no gradient at these images"):
        lookalike.calibrate(loss, pair[1], pair[1], report=None)
    with pytest.raises(ValueError, match="no term is called 'mse'"):
        lookalike.calibrate(loss, *pair, ratio={"mse": 1})


CACHING = [
    pytest.param(name, marks=needs(*lookalike.registry.metric_class(name).facts.weights))
    for name in ("lpips_alex", "lpips_vgg", "dists", "perceptual", "style", "contextual")
]


@pytest.mark.parametrize("name", [*lookalike.registry.without_weights(), *CACHING])
def test_a_prepared_reference_scores_as_the_pair(name):
    metric = lookalike.get(name)
    side = max(64, metric.min_side)
    y = torch.rand(2, (metric.channels or (3,))[-1], side, side, generator=torch.Generator().manual_seed(0))
    x = (0.9 * y + 0.05).requires_grad_()
    prepared = lookalike.prepare(name, y.clone().requires_grad_())
    torch.testing.assert_close(prepared(x), metric(x, y))
    [found], [wanted] = (torch.autograd.grad(score.sum(), x) for score in (prepared(x), metric(x, y)))
    torch.testing.assert_close(found, wanted)


@needs("vgg16")
def test_a_prepared_loss_takes_the_references_features_once():
    y = torch.rand(1, 3, 32, 32)
    x = torch.rand(1, 3, 32, 32)
    mix = lookalike.loss("0.5*perceptual + 0.5*ssim + 0*l1")
    prepared = lookalike.prepare(mix, y)
    calls = []
    for module in mix.modules():
        if isinstance(module, Features):
            module.register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(prepared(x), mix(x, y))
    assert len(calls) == 1 + 2
    assert list(mix.terms) == ["perceptual", "ssim", "l1"]


def test_what_can_be_prepared(pair):
    x, y = pair
    for name in ("l1", "ssim"):
        torch.testing.assert_close(lookalike.prepare(lookalike.get(name), y)(x), lookalike.get(name)(x, y))
    for text in ("l1 + ssim", "seed/ssim_l1@published"):
        torch.testing.assert_close(lookalike.prepare(text, y)(x), lookalike.loss(text)(x, y))
    assert lookalike.prepare("l1", 255 * y, data_range=255)(255 * x).shape == (2,)
    torch.testing.assert_close(lookalike.prepare("l1", y).map(x), (x - y).abs())
    with pytest.raises(TypeError, match="got int"):
        lookalike.prepare(3, y)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes no data_range here"):
        lookalike.prepare(lookalike.get("l1"), y, data_range=255)
    with pytest.raises(ValueError, match="did you mean 'ssim'"):
        lookalike.prepare("sism", y)
    with pytest.raises(ValueError, match="same shape"):
        lookalike.prepare("l1", y)(x[:1])
    with pytest.raises(ValueError, match="outside data_range"):
        lookalike.prepare("l1", 2 * y)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("ssim(win_size=999999999)", "win_size must be at most 9,999"), ("ssim(sigma=1e-300)", "from 0.01 to"),
        ("ssim(sigma=1e300)", "from 0.01 to 10000"), ("gaussian_l1(sigma=1e9)", "from 0.01 to 10000"),
        ("cw_ssim(levels=1000000)", "at most 16"), ("cw_ssim(orientations=100000000)", "at most 64"),
        ("flip(ppd=1e12)", "from 0.1 to 1000"), ("s_cielab(spd=1e9)", "from 0.1 to 1000"),
        ("mad(ppd=1e9)", "from 0.1 to 1000"), ("dss(sigma=1e9)", "from 0.01 to 10000"),
        ("contextual(patch=99999)", "at most 999"), ("contextual(positions=99999999999)", "at most 1,048,576"),
        (f"ms_ssim(weights=({'0.1,' * 33}))", "1 to 32 numbers"),
        ("l2(data_range=1e-300)", "between 1e-30 and 1e+30 wide"),
        ("l2(data_range=1e300)", "between 1e-30 and 1e+30 wide"),
    ],
)  # fmt: skip
def test_options_that_size_something_have_limits(expression: str, said: str) -> None:
    """Each of these would take memory or time without end, or give what is no number."""
    with pytest.raises(ValueError, match=re.escape(said)):
        lookalike.loss(expression)


@pytest.mark.parametrize("weight", ["1e-400", "-1e-400", "1e-320", "1e-45", "0.0001e-400", "1e-20*1e-20"])
def test_a_weight_that_vanishes_is_refused(weight: str) -> None:
    with pytest.raises(ValueError, match=r"takes for 0; use a larger one, or 0"):
        lookalike.loss(f"{weight}*l1")
    assert [term.weight for term in expressions.parse("0*l1 + 0.0*l2 + 1e-30*psnr")] == [0.0, 0.0, 1e-30]


@pytest.mark.parametrize("expression", ["\ud800", "l1 + \ud800", "ssim(win_size={[]:1})", "ssim(win_size=[[]])"])
def test_what_no_option_can_be_is_one_clear_error(expression: str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"\A(loss|ssim): ") as caught:
        lookalike.loss(expression)
    assert not isinstance(caught.value, UnicodeError)
