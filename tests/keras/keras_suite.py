"""What `lookalike.keras` promises, on the backend that KERAS_BACKEND names; `test_keras.py` starts it for each."""

import copy
import dataclasses
import doctest
import pickle
import warnings
from pathlib import Path

import learned
import numpy as np
import pytest
import torch

keras = pytest.importorskip("keras", reason="Keras is not installed")
from keras import ops  # noqa: E402

import lookalike.keras as lk  # noqa: E402
from lookalike import registry, use_kernels  # noqa: E402
from lookalike.audit import degenerate, subject_of, texture  # noqa: E402
from lookalike.conventions import CONVENTIONS  # noqa: E402
from lookalike.keras.scores import FORMULAS, MAPS, Score  # noqa: E402
from lookalike.ops.features import random_state  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BACKEND = keras.backend.backend()
VALUE, GRADIENT = 1e-5, 1e-4
# JAX compiles every operation by itself where the whole is not: many times slower.
COMPILED_ON_JAX = "compiled" if BACKEND == "jax" else "eager"

CASES = [
    ("l1", {}, 3, 32),
    ("l2", {}, 3, 32),
    ("rmse", {}, 3, 32),
    ("psnr", {}, 3, 32),
    ("charbonnier", {}, 3, 32),
    ("gaussian_l1", {}, 3, 32),
    ("gaussian_l2", {"sigma": 2.0}, 1, 33),
    ("ssim", {}, 3, 64),
    ("ssim", {"exponents": (1.0, 0.5, 2.0)}, 1, 40),
    ("ssim", {"channel_weights": (0.2, 0.7, 0.1), "border": "symmetric"}, 3, 40),
    ("ssim_luminance", {}, 3, 40),
    ("ssim_contrast", {}, 3, 40),
    ("ssim_structure", {}, 3, 40),
    ("ms_ssim", {}, 3, 181),
    ("ms_ssim", {"small": "reduce", "scales": "sum", "weights": (0.3, 0.3, 0.4)}, 3, 40),
    ("zhao_mix", {}, 3, 64),
    ("zhao_mix", {"border": "valid", "sigmas": (0.5, 1.0, 2.0)}, 1, 40),
    ("zhao_mix_code", {}, 3, 48),
    ("ms_ssim_l1", {}, 1, 176),
    ("cw_ssim", {}, 3, 67),
    ("cw_ssim", {"pooling": "mean", "colour": "luma", "levels": 2, "K": 0.01}, 3, 48),
    ("ciede2000", {}, 3, 32),
    ("contextual_patches", {}, 3, 24),
    ("contextual_patches", {"spatial_weight": 0.1, "distance": "l2"}, 1, 25),
    ("contextual_patches", {"distance": "l1", "sampling": "paired", "positions": 60}, 3, 24),
]


def images(channels, side, seed=0):
    """A reference and an image judged, ``(2, channels, side, side + 3)``."""
    y = torch.cat([texture(side + 3, channels, seed + 2 * i)[:, :, :side] for i in range(2)])
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    return (0.85 * y + 0.03 + 0.05 * noise).clamp(0, 1), y


def last(image):
    return np.moveaxis(image.numpy(), 1, -1).copy()


def value_and_gradient(score, y_true, y_pred, mode):
    """Scores ``(n,)`` and the gradient of their sum to ``y_pred``, as NumPy arrays.

    The mode is "eager", "compiled", or on TensorFlow "open": compiled before the sides of images are known.
    """
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def step(true, pred):
            with tf.GradientTape() as tape:
                tape.watch(pred)
                value = score(true, pred)
            return value, tape.gradient(value, pred)

        axes = y_true.ndim - 2
        open_ = [tf.TensorSpec((None, *[None] * axes, y_true.shape[-1]))] * 2
        run = step if mode == "eager" else tf.function(step, input_signature=open_ if mode == "open" else None)
        value, gradient = run(tf.constant(y_true), tf.constant(y_pred))
        return value.numpy(), gradient.numpy()
    if BACKEND == "jax":
        import jax

        def total(pred, true):
            value = score(true, pred)
            return value.sum(), value

        run = jax.value_and_grad(total, has_aux=True)
        (_, value), gradient = (jax.jit(run) if mode == "compiled" else run)(
            jax.numpy.array(y_pred), jax.numpy.array(y_true)
        )
        return np.asarray(value), np.asarray(gradient)
    pred = torch.tensor(y_pred, requires_grad=True)
    value = score(torch.tensor(y_true), pred)
    [gradient] = torch.autograd.grad(value.sum(), pred)
    return value.detach().numpy(), gradient.numpy()


def reference(metric, x, y):
    x = x.clone().requires_grad_()
    # The meaning, not the kernels: under autograd those of contextual load triton, which cannot share a process
    # with TensorFlow.
    with use_kernels():
        value = metric(x, y)
        [gradient] = torch.autograd.grad(value.sum(), x)
    return value.detach().numpy(), last(gradient)


def assert_same(found, wanted, name, gradient=GRADIENT):
    value, slope = found
    np.testing.assert_allclose(value, wanted[0], rtol=VALUE, atol=VALUE, err_msg=name)
    difference = np.linalg.norm(slope - wanted[1]) / max(np.linalg.norm(wanted[1]), 1e-30)
    assert difference <= gradient, f"{name}: gradients differ by {difference:.2e} of their norm"


MODES = {"torch": ["eager"], "tensorflow": ["eager", "compiled", "open"], "jax": ["eager", "compiled"]}[BACKEND]


compiles = pytest.mark.parametrize("mode", MODES)


def one_mode_is_enough(name, options, mode, **_):
    """Options go "open", the defaults both ways; eager JAX compiles every operation by itself: two show it."""
    if BACKEND == "tensorflow":
        return mode == "compiled" and bool(options)
    return BACKEND == "jax" and mode == "eager" and name not in ("l1", "ssim")


@compiles
@pytest.mark.elsewhere(when=one_mode_is_enough)
@pytest.mark.parametrize(("name", "options", "channels", "side"), CASES, ids=lambda value: str(value)[:24])
def test_the_numbers_are_those_of_pytorch(name, options, channels, side, mode):
    x, y = images(channels, side)
    metric = registry.get(name, check="shapes", **options)
    score = Score(name, options, data_range=1.0, data_format="channels_last")
    assert_same(value_and_gradient(score, last(y), last(x), mode), reference(metric, x, y), name)


@pytest.mark.elsewhere(when=lambda metric_name, name: metric_name == "ms_ssim" and not CONVENTIONS[name].ms)
@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("metric_name", ["ssim", "ms_ssim"])
def test_every_convention(metric_name, name):
    convention = CONVENTIONS[name]
    # Long enough for automatic down-sampling, odd at every scale.
    side = (
        385 if metric_name == "ssim" and convention.downsample != "no" else 179 if metric_name == "ms_ssim" else 37
    )
    x, y = images(3, side)
    x, y = x[:1], y[:1]
    metric = registry.get(metric_name, check="shapes", convention=name)
    score = Score(metric_name, {"convention": name}, data_range=1.0, data_format="channels_last")
    # Where luma is rounded a tie may fall to the other level, on a backend that adds in another order.
    rounded = convention.levels or convention.luma in ("rounded", "matlab")
    found, wanted = float(score(last(y), last(x))[0]), float(metric(x, y)[0])
    assert found == pytest.approx(wanted, abs=1e-4 if rounded else VALUE)


@pytest.mark.elsewhere(BACKEND != "torch")  # there it is the formula that runs
@pytest.mark.parametrize(("name", "options", "channels", "side"), CASES, ids=lambda value: str(value)[:24])
def test_the_formulas_hold_on_the_torch_backend_too(name, options, channels, side):
    x, y = images(channels, side)
    metric = registry.get(name, check="shapes", **options)
    pred = x.clone().requires_grad_()
    value = FORMULAS[name](metric, pred, y)
    [gradient] = torch.autograd.grad(value.sum(), pred)
    assert_same((value.detach().numpy(), last(gradient)), reference(metric, x, y), name)


@pytest.mark.elsewhere(BACKEND != "torch")
def test_the_torch_backend_uses_the_kernels(monkeypatch):
    from lookalike.ops import ssim
    from lookalike.ops.ssim.setting import Setting

    kernel = ssim.means.kernels[0]  # the CPU's; the other is for GPUs
    x, y = (torch.from_numpy(last(image)) for image in images(3, 64))
    if kernel.refuses(x, y, Setting((1.0,))):
        pytest.skip("the kernels are not compiled here")
    runs = []
    counting = dataclasses.replace(
        kernel, run=lambda *args, **options: runs.append(1) or kernel.run(*args, **options)
    )
    monkeypatch.setattr(ssim.means, "kernels", (counting,))
    lk.SSIMLoss()(y, x)
    assert len(runs) == 1


VOLUMES = [
    ("l1", {}, 8),
    ("psnr", {}, 8),
    ("gaussian_l2", {}, 8),
    ("ssim", {"win_size": 5}, 9),
    ("ssim_structure", {"win_size": 3, "border": "reflect"}, 8),
    ("ssim", {"convention": "torchmetrics", "win_size": 5, "border": "zero"}, 9),
    ("ms_ssim", {"win_size": 3, "weights": (0.5, 0.5), "halving": "replicate"}, 9),
]


@pytest.mark.parametrize(("name", "options", "side"), VOLUMES, ids=lambda value: str(value)[:24])
def test_volumes_are_those_of_pytorch(name, options, side):
    y = torch.stack([texture(side, 2, seed)[0] for seed in range(2 * (side + 2))], 1).unflatten(1, (2, -1))
    y = y.transpose(0, 1).contiguous()
    x = (0.85 * y + 0.03 + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    metric = registry.get(name, check="shapes", **options)
    for data_format in ("channels_last", "channels_first"):
        score = Score(name, options, data_range=1.0, data_format=data_format)
        if data_format == "channels_first":
            found = ops.convert_to_numpy(score(y.numpy(), x.numpy()))
            np.testing.assert_allclose(found, reference(metric, x, y)[0], rtol=VALUE, atol=VALUE)
        elif BACKEND != "torch":
            mode = "open" if BACKEND == "tensorflow" else "compiled"
            assert_same(value_and_gradient(score, last(y), last(x), mode), reference(metric, x, y), name)


def test_volumes_are_refused_where_the_definition_has_none():
    with pytest.raises(ValueError, match=r"cw_ssim: y_true must be \(batch, height, width, channels\), got shape"):
        lk.CWSSIMLoss()(tensor(1, 16, 16, 16, 1), tensor(1, 16, 16, 16, 1))


@pytest.mark.parametrize("name", [name for name in MAPS if "lpips" not in name])
def test_maps_are_those_of_pytorch(name, tmp_path):
    options = {"network_file": learned.untrained("vgg16", tmp_path)} if name == "perceptual" else {}
    x, y = images(3, 24)
    wanted = registry.get(name, check="shapes", **options).map(x, y)
    score = Score(name, options, data_range=255, data_format="channels_last")
    run = score.map
    if BACKEND == "jax":
        import jax

        run = jax.jit(score.map)
    found = ops.convert_to_numpy(run(*(ops.convert_to_tensor(255 * last(image)) for image in (y, x))))
    np.testing.assert_allclose(found, last(wanted), rtol=1e-4, atol=2e-5)


def test_losses_and_metrics_have_the_map_of_their_score():
    x, y = (last(image) for image in images(3, 16))
    for scored in (lk.L1Loss(), lk.L1()):
        np.testing.assert_allclose(ops.convert_to_numpy(scored.map(y, x)), np.abs(x - y), atol=1e-7)
    first = lk.L1Loss(data_format="channels_first").map(y.transpose(0, 3, 1, 2), x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(first).transpose(0, 2, 3, 1), np.abs(x - y), atol=1e-7)
    with pytest.raises(TypeError, match="psnr: has no map; l1, l2, "):
        lk.PSNRLoss().map(y, x)


SMALL = [case for case in CASES if case[0] not in ("ms_ssim", "ms_ssim_l1") or "small" in case[1]]


@pytest.mark.parametrize("name", sorted({name for name, *_ in SMALL}))
def test_values_and_gradients_are_finite_on_degenerate_images(name):
    options = {"small": "reduce"} if name == "ms_ssim" else {}
    score = Score(name, options, data_range=1.0, data_format="channels_last")
    subject = subject_of(name)
    if name == "ms_ssim":
        subject = subject_of(registry.get(name, check="shapes", **options))
    sizes = {}
    for case, (x, y) in degenerate(subject).items():
        sizes.setdefault(x.shape, []).append((case, x, y))
    # In one batch for each size: JAX compiles for every shape, and without it every operation by itself.
    for cases in sizes.values():
        names, x, y = zip(*cases, strict=True)
        found = value_and_gradient(score, last(torch.cat(y)), last(torch.cat(x)), COMPILED_ON_JAX)
        for case, value, gradient in zip(names, *found, strict=True):
            assert np.isfinite(value), case
            assert np.isfinite(gradient).all(), case
            if case in ("identical", "black", "white", "flat") and "contextual" not in name:
                assert value == pytest.approx(subject.best, abs=1e-5), case


LOSSES = [
    lk.L1Loss(), lk.L2Loss(data_range=255), lk.RMSELoss(), lk.PSNRLoss(cap_db=60.0),
    lk.CharbonnierLoss(epsilon=0.01),
    lk.GaussianL1Loss(sigma=1.0), lk.GaussianL2Loss(dtype="float64"),
    lk.SSIMLoss(win_size=7, K=(0.01, 0.02), name="mine"),
    lk.SSIMLoss(convention=dataclasses.replace(CONVENTIONS["wang2004"], sigma=1.0), data_range=(-1.0, 1.0)),
    lk.MSSSIMLoss(small="reduce", weights=(0.5, 0.5)), lk.MixLoss(alpha=0.5, sigmas=(0.5, 1.0)), lk.MixCodeLoss(),
    lk.MSSSIML1Loss(reduction="sum"), lk.CWSSIMLoss(levels=2), lk.CIEDE2000Loss(data_format="channels_last"),
    lk.ContextualPatchesLoss(), lk.loss_from("0.84*ssim + 0.16*l1", data_range=255.0, convention="tensorflow"),
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_loss_survives_being_saved(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    assert (again.signature(), again.get_config()) == (loss.signature(), loss.get_config())
    assert (again.name, again.reduction, again.dtype) == (loss.name, loss.reduction, loss.dtype)


def test_losses_are_reduced_and_weighted_by_keras():
    x, y = (last(image) for image in images(3, 32))
    each = ops.convert_to_numpy(lk.SSIMLoss(reduction=None)(y, x))
    assert each.shape == (2,)
    assert float(lk.SSIMLoss()(y, x)) == pytest.approx(each.mean(), abs=1e-6)
    assert float(lk.SSIMLoss(reduction="sum")(y, x)) == pytest.approx(each.sum(), abs=1e-6)
    weighted = lk.SSIMLoss()(y, x, sample_weight=np.array([1.0, 0.0], "float32"))
    assert float(weighted) == pytest.approx(each[0] / 2, abs=1e-6)


def test_metrics_average_over_images_and_batches():
    x, y = (last(image) for image in images(3, 32))
    metric = lk.PSNR()
    metric.update_state(y, x)
    metric.update_state(y[:1], x[:1])
    wanted = [
        float(value)
        for value in registry.get("psnr")(*(torch.from_numpy(one).permute(0, 3, 1, 2) for one in (x, y)))
    ]
    assert float(metric.result()) == pytest.approx((2 * wanted[0] + wanted[1]) / 3, abs=1e-4)
    metric.reset_state()
    metric.update_state(y, x, sample_weight=np.array([0.0, 3.0], "float32"))
    assert float(metric.result()) == pytest.approx(wanted[1], abs=1e-4)


def test_the_reference_is_y_true():
    x, y = images(3, 24)
    with use_kernels():
        wanted, swapped = registry.get("contextual_patches")(x, y), registry.get("contextual_patches")(y, x)
    assert not torch.allclose(wanted, swapped, rtol=1e-3)
    found = ops.convert_to_numpy(lk.ContextualPatchesLoss(reduction=None)(last(y), last(x)))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5)


def test_formats_and_ranges_say_the_same():
    x, y = (last(image) for image in images(3, 32))
    wanted = float(lk.SSIMLoss()(y, x))
    first = [one.transpose(0, 3, 1, 2) for one in (y, x)]
    assert float(lk.SSIMLoss(data_format="channels_first")(*first)) == pytest.approx(wanted, abs=1e-6)
    assert float(lk.SSIMLoss(data_range=255)(255 * y, 255 * x)) == pytest.approx(wanted, abs=1e-6)
    assert float(lk.SSIMLoss(data_range=(-1, 1))(2 * y - 1, 2 * x - 1)) == pytest.approx(wanted, abs=1e-6)
    grey = [np.round(255 * one).astype("uint8") for one in (y, x)]
    metric = lk.SSIM(data_range=255)
    metric.update_state(*grey)
    assert 1 - float(metric.result()) == pytest.approx(wanted, abs=2e-3)


@pytest.fixture
def restored_config():
    before = keras.config.dtype_policy(), keras.config.floatx()
    yield
    keras.config.set_dtype_policy(before[0])
    keras.config.set_floatx(before[1])


@pytest.mark.parametrize("dtype", [None, "float16", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("everywhere", ["policy", "floatx", ""])
def test_half_precision_is_computed_in_single(dtype, everywhere, restored_config):
    if everywhere == "policy":
        keras.config.set_dtype_policy("mixed_bfloat16")
    elif everywhere == "floatx":
        keras.config.set_floatx("float16")
    x, y = (last(image).astype("float16") for image in images(3, 16))
    single = 10 * np.log10(np.mean((y.astype("float64") - x) ** 2, (1, 2, 3)))
    loss, metric = lk.PSNRLoss(dtype=dtype, reduction=None), lk.PSNR(dtype=dtype)
    values = loss(ops.convert_to_tensor(y), ops.convert_to_tensor(x))
    assert keras.backend.standardize_dtype(values.dtype) == loss.dtype == metric.dtype == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(values), single, rtol=1e-5)
    for _ in range(3):
        metric.update_state(ops.convert_to_tensor(y), ops.convert_to_tensor(x))
    assert float(metric.result()) == pytest.approx(-single.mean(), rel=1e-5)


def test_a_model_of_mixed_precision_has_scores_in_single(restored_config):
    keras.config.set_dtype_policy("mixed_bfloat16" if BACKEND == "torch" else "mixed_float16")
    y = last(images(3, 16)[1][..., :16])
    model = autoencoder(16)
    model.compile(optimizer="sgd", loss=lk.SSIMLoss(), metrics=[lk.PSNR()])
    outputs = ops.convert_to_numpy(ops.cast(model.predict(y, verbose=0), "float32"))
    scores = model.evaluate(y, y, verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(float(lk.SSIMLoss()(y, outputs)), abs=1e-5)
    assert scores["psnr"] == pytest.approx(-float(lk.PSNRLoss()(y, outputs)), abs=1e-4)


def test_an_expression_is_the_one_of_pytorch():
    from lookalike import loss

    x, y = images(3, 176)
    expression = "0.84*ms_ssim + 0.16*(l1 + 2*ssim(win_size=7)) - 0.01*psnr"
    wanted = float(loss(expression)(x, y))
    assert float(lk.loss_from(expression)(last(y), last(x))) == pytest.approx(wanted, abs=1e-5)


def autoencoder(size):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="sigmoid"),
        ]
    )


@pytest.mark.parametrize("loss", [lk.SSIMLoss(), lk.loss_from("0.84*ssim + 0.16*l1")], ids=["ssim", "expression"])
def test_a_model_learns_and_comes_back(loss, tmp_path):
    keras.utils.set_random_seed(0)
    _, y = images(3, 32)
    y = last(y[..., :32])
    model = autoencoder(32)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss, metrics=[lk.PSNR(), lk.SSIM(), "mae"])
    history = model.fit(y, y, epochs=15, batch_size=2, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["ssim"][-1] > history["ssim"][0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    wanted, found = (one.evaluate(y, y, verbose=0, return_dict=True) for one in (model, again))
    assert found == pytest.approx(wanted, abs=1e-5)
    assert {"loss", "psnr", "ssim", "mae"} <= set(found)


def test_frozen_networks_are_in_no_checkpoint(tmp_path):
    file = learned.untrained("vgg16", tmp_path)  # 58 MB down to its last layer
    keras_model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(64, 3, name="features")])
    own = {"network": keras_model, "layers": "features", "preprocess": "unit"}
    model = autoencoder(16)
    model.compile(
        optimizer="sgd", loss=lk.PerceptualLoss(network_file=file), metrics=[lk.Perceptual(**own, name="own")]
    )
    y = np.zeros((2, 16, 16, 3), "float32")
    model.evaluate(y, y, verbose=0)
    plain = autoencoder(16)
    plain.compile(optimizer="sgd", loss="mae")
    sizes = {}
    for name, each in (("with", model), ("without", plain)):
        each.save(tmp_path / f"{name}.keras")
        each.save_weights(tmp_path / f"{name}.weights.h5")
        sizes[name] = (tmp_path / f"{name}.weights.h5").stat().st_size
    assert len(model.weights) == len(plain.weights)
    assert (tmp_path / "with.keras").stat().st_size < 100_000
    assert abs(sizes["with"] - sizes["without"]) < 20_000
    plain.load_weights(tmp_path / "with.weights.h5")
    model.load_weights(tmp_path / "without.weights.h5")
    if BACKEND == "torch":
        assert len(model.state_dict()) == len(plain.state_dict())


def test_a_used_loss_is_copied_and_pickled():
    x, y = (last(image) for image in images(3, 16))
    model = keras.Sequential([keras.Input((16, 19, 3)), keras.layers.Conv2D(3, 1)])
    loss = lk.loss_from("ssim + l1", data_range=1)
    model.compile(optimizer="sgd", loss=loss, metrics=[lk.SSIM()])
    model.fit(y, y, verbose=0)
    wanted = float(loss(y, x))
    for again in (
        copy.deepcopy(loss),
        pickle.loads(pickle.dumps(loss)),
        lk.ExpressionLoss.from_config(loss.get_config()),
    ):
        assert float(again(y, x)) == wanted


def test_numpy_options_are_saved_as_numbers():
    loss = lk.SSIMLoss(sigma=np.float64(1.0), data_range=np.float32(255))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.signature() == loss.signature()


def test_the_examples_of_the_page():
    failed, attempted = doctest.testfile(str(ROOT / "docs" / "keras.md"), module_relative=False)
    assert attempted > 15
    assert not failed


class Judged(keras.layers.Layer):
    """Adds a loss of its input against its output, as an autoencoder without targets does."""

    def __init__(self, loss):
        super().__init__()
        self.judge = loss

    def call(self, y_true, y_pred):
        self.add_loss(self.judge(y_true, y_pred))
        return y_pred


@pytest.mark.parametrize("inside", [False, True], ids=["compiled", "added"])
def test_a_model_of_unknown_sizes_learns(inside):
    keras.utils.set_random_seed(0)
    loss = lk.loss_from("ssim(win_size=5) + l1")
    source = keras.Input((None, None, 3))
    outputs = keras.layers.Conv2D(3, 3, padding="same")(source)
    model = keras.Model(source, Judged(loss)(source, outputs) if inside else outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=None if inside else loss)

    def batches():
        for side in (16, 21) * 10:
            y = last(images(3, side)[1])
            yield (y,) if inside else (y, y)

    losses = [model.fit(batches(), verbose=0).history["loss"][0] for _ in range(2)]
    assert losses[1] < losses[0]
    y = last(images(3, 18)[1])
    found = model.evaluate(y, None if inside else y, verbose=0)
    assert found == pytest.approx(float(loss(y, model.predict(y, verbose=0))), abs=1e-5)


def test_callbacks_know_the_direction():
    assert (lk.SSIM()._direction, lk.L1()._direction) == ("up", "down")


def tensor(*shape):
    return ops.ones(shape)


@pytest.mark.parametrize(
    ("loss", "true", "pred", "message"),
    [
        (lk.SSIMLoss(), (32, 32, 3), (32, 32, 3), "ssim: y_true must be .batch, height, width, channels., got"),
        (lk.SSIMLoss(), (1, 32, 32, 3), (1, 32, 31, 3), "ssim: y_true and y_pred must have the same shape"),
        (lk.SSIMLoss(), (1, 8, 32, 3), (1, 8, 32, 3), "ssim: needs images of at least 11 px a side, got 8x32"),
        (lk.MSSSIMLoss(), (1, 128, 128, 3), (1, 128, 128, 3), "ms_ssim: needs images of at least 161 px"),
        (lk.CIEDE2000Loss(), (1, 8, 8, 1), (1, 8, 8, 1), "ciede2000: needs 3 channel"),
        (lk.loss_from("ssim + l1"), (1, 8, 8, 3), (1, 8, 8, 3), "ssim: needs images of at least 11 px"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(loss, true, pred, message):
    with pytest.raises(ValueError, match=message):
        loss(tensor(*true), tensor(*pred))


def test_small_images_are_refused_when_the_step_is_built():
    model = autoencoder(32)
    model.compile(optimizer="adam", loss=lk.MSSSIMLoss())
    with pytest.raises(ValueError, match="ms_ssim: needs images of at least 161 px"):
        model.fit(np.zeros((2, 32, 32, 3), "float32"), np.zeros((2, 32, 32, 3), "float32"), verbose=0)


def test_integers_are_in_their_range_or_in_the_one_that_is_said():
    x, y = (np.round(255 * last(image)) for image in images(1, 16))
    wanted = float(lk.PSNRLoss()(y / 255, x / 255))

    def scored(kind, data_range=None, factor=1):
        loss = lk.PSNRLoss(data_range=data_range)
        metric = lk.PSNR(data_range=data_range)
        pair = [(factor * image).astype(kind) for image in (y, x)]
        metric.update_state(*pair)
        assert float(metric.result()) == pytest.approx(-float(loss(*pair)), abs=1e-4)
        return float(loss(*pair))

    assert scored("uint8") == scored("uint8", 255) == scored("uint8", (0, 255)) == pytest.approx(wanted, abs=1e-4)
    for kind in ("int16", "int32", "int64"):
        assert scored(kind, 255) == pytest.approx(wanted, abs=1e-4)
        assert scored(kind, (-1000, 1550), 10) == pytest.approx(wanted, abs=1e-3)
    if BACKEND != "torch":  # where Keras makes int32 of uint16 before anybody can look
        assert scored("uint16", factor=257) == pytest.approx(wanted, abs=1e-3)
    for data_range in (127, 1, (-1, 1), (0, 256)):
        with pytest.raises(ValueError, match=r"psnr: y_true is uint8, which is always 0-255, but data_range="):
            scored("uint8", data_range)
    for kind in ("int16", "int32"):
        with pytest.raises(TypeError, match=rf"psnr: y_true and y_pred are {kind}, which does not say its range"):
            scored(kind)
    with pytest.raises(TypeError, match="psnr: y_true is bool"):
        scored("bool")


def test_8_bit_images_beside_outputs_are_in_one_range():
    x, y = (255 * last(image) for image in images(3, 16))
    wanted = float(lk.L1Loss(data_range=255)(np.round(y), x))
    assert float(lk.L1Loss(data_range=255)(y.round().astype("uint8"), x)) == pytest.approx(wanted, abs=1e-6)
    for scored in (lk.L1Loss(), lk.L1()):
        with pytest.raises(ValueError, match=r"l1: y_true is uint8, but .* two kinds .*data_range=255"):
            scored(y.astype("uint8"), x)
    two = lk.loss_from("l1 + l2(data_range=255)")
    with pytest.raises(ValueError, match="l1: y_true is uint8"):
        two(y.astype("uint8"), x)
    assert float(two(y.astype("uint8"), y.astype("uint8"))) == 0


WRONG = [
    (None, 255.0, 0.0, r"outside data_range=\(0, 1\); pass data_range=255"),
    (None, 2.0, -1.0, r"outside data_range=\(0, 1\); pass data_range=\(-1, 1\)"),
    (255, 1.0, 0.0, r"a small part of data_range=\(0, 255\); pass data_range=1"),
    ((-1, 1), 255.0, 0.0, r"outside data_range=\(-1, 1\); pass data_range=255"),
]


@pytest.mark.parametrize(("data_range", "factor", "shift", "message"), WRONG, ids=lambda value: str(value)[-20:])
@pytest.mark.parametrize("kind", [lk.PSNRLoss, lk.PSNR])
def test_the_first_references_tell_a_wrong_range_once(kind, data_range, factor, shift, message):
    y = factor * last(images(3, 16)[1]) + shift
    for batch in (y, ops.convert_to_tensor(y)):
        scored = kind(data_range=data_range)
        with pytest.warns(UserWarning, match="psnr: the first targets, y_true, do not fit: .*" + message) as caught:
            scored(batch, batch)
        assert len([each for each in caught if "first targets" in str(each.message)]) == 1
        silent(scored, batch, batch)


def silent(scored, *batches, **options):
    """The value of a call that has nothing to say of ranges."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*first targets.*")
        return scored(*batches, **options)


def test_outputs_may_overshoot_and_bad_batches_say_nothing():
    y = last(images(3, 16)[1])
    silent(lk.L1Loss(), y, 40 * y - 3)
    silent(lk.L1Loss(data_range=255), np.round(255 * y).astype("uint8"), 2000 * y)
    loss = lk.L1Loss()
    silent(loss, np.full_like(y, np.nan), y)  # says nothing of a range: the next one is the first that can be seen
    with pytest.warns(UserWarning, match="pass data_range=255"):
        loss(255 * y, y)


def test_a_sum_tells_each_range_that_does_not_fit():
    y = last(images(3, 16)[1])
    with pytest.warns(UserWarning, match="pass data_range=255") as caught:
        lk.loss_from("l1 + ssim + l2(data_range=255)")(255 * y, y)
    assert len(caught) == 1
    again = copy.deepcopy(lk.L1Loss())
    with pytest.warns(UserWarning, match="pass data_range=255"):
        again(255 * y, y)


@pytest.mark.elsewhere(when=lambda options: BACKEND == "torch" and bool(options))  # it is eager anyway
@pytest.mark.parametrize("options", [{}, {"steps_per_execution": 2}, {"run_eagerly": True}, {"jit_compile": True}])
def test_the_first_step_of_fit_tells_a_wrong_range(options):
    y = np.full((4, 8, 8, 3), 0.5, "float32")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)])
    model.compile(optimizer="sgd", loss=lk.L1Loss(), metrics=[lk.L2()], **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(y, 255 * y, batch_size=2, epochs=2, verbose=0)
        model.evaluate(y, 255 * y, verbose=0)
    said = sorted(str(each.message).split(":")[0] for each in caught if "first targets" in str(each.message))
    # What XLA compiles runs without Python, and JAX would be slower at every step.
    unseen = options.get("jit_compile") or (BACKEND == "jax" and "run_eagerly" not in options)
    assert said == ([] if unseen else ["l1", "l2"])


@pytest.mark.elsewhere(BACKEND != "tensorflow")  # which can ask Python from a graph
def test_a_function_of_ones_own_stays_one_that_can_be_exported(tmp_path):
    import tensorflow as tf

    loss, module = lk.SSIMLoss(), tf.Module()
    module.score = tf.function(loss.__call__, input_signature=[tf.TensorSpec((None, None, None, 3))] * 2)
    x, y = (last(image) for image in images(3, 16))
    wanted = float(module.score(y, x))
    tf.saved_model.save(module, str(tmp_path))
    assert float(tf.saved_model.load(str(tmp_path)).score(y, x)) == wanted
    graph = module.score.get_concrete_function().graph
    assert not [name for name in (op.type for op in graph.get_operations()) if "PyFunc" in name]


@pytest.mark.parametrize("loss", [lk.SSIMLoss(), lk.loss_from("l1 + ssim")], ids=["ssim", "expression"])
def test_a_loss_refuses_integers_before_keras_makes_floats_of_them(loss):
    true, pred = np.zeros((2, 32, 32, 3), "uint8"), np.zeros((2, 32, 32, 3), "float32")
    with pytest.raises(ValueError, match=r"y_true is uint8.*data_range=255"):
        loss(true, pred)
    model = autoencoder(32)
    model.compile(optimizer="adam", loss=loss)
    with pytest.raises(ValueError, match=r"y_true is uint8.*data_range=255"):
        model.fit(pred, true, verbose=0)


def test_weights_are_of_images():
    image = np.ones((4, 16, 16, 3), "float32")
    for scored in (lk.L1Loss(), lk.L1(), lk.loss_from("l1")):
        for weights in (2.0, np.ones(4, "float32"), np.ones((4, 1), "float32")):
            scored(image, image, sample_weight=weights)
        with pytest.raises(ValueError, match=r"l1: sample_weight must be one weight an image.*or a mask"):
            scored(image, image, sample_weight=np.ones((4, 16, 15), "float32"))
    with pytest.raises(ValueError, match=r"cw_ssim: sample_weight .* this score has no pixels to weigh"):
        lk.CWSSIMLoss()(image, image, sample_weight=np.ones((4, 16, 16), "float32"))


MASKED_CASES = [
    ("l1", {}), ("l2", {}), ("rmse", {}), ("psnr", {}), ("psnr", {"cap_db": None}), ("charbonnier", {}),
    ("gaussian_l1", {}), ("gaussian_l2", {"sigma": 1.0}), ("ciede2000", {}),
    ("ssim", {}), ("ssim", {"win_size": 4, "border": "zero"}), ("ssim", {"win_size": (3, 7), "border": "reflect"}),
    ("ssim_structure", {"win_size": 7}), ("ms_ssim", {"weights": (0.5, 0.5), "win_size": 5}),
]  # fmt: skip


def half_masked(side, seed=0):
    """A batch of four and its mask: some of the pixels, weights, one image of which nothing counts, all."""
    x, y = (torch.cat([each, each]) for each in images(3, side))
    mask = torch.rand(4, 1, side, side + 3, generator=torch.Generator().manual_seed(seed))
    mask[0] = mask[0].round()
    mask[:, :, :6] = 0
    mask[2], mask[3] = 0, 1
    return x, y, mask


@pytest.mark.parametrize(("name", "options"), MASKED_CASES, ids=lambda value: str(value)[:24])
def test_masks_are_those_of_pytorch(name, options):
    x, y, mask = half_masked(24)
    metric = registry.get(name, check="shapes", **options)
    x.requires_grad_()
    wanted = metric(x, y, mask)
    [slope] = torch.autograd.grad(wanted[[0, 1, 3]].sum(), x)
    # Whatever lies where nothing counts is not looked at: not the value, not the gradient.
    x, y = (torch.where(mask > 0, image, torch.nan).detach() for image in (x, y))
    score = Score(name, options, data_range=1.0, data_format="channels_last")

    def masked(y_true, y_pred):
        return score(y_true, y_pred, last(mask))[:2]

    value, gradient = value_and_gradient(
        masked, last(y), last(x), "open" if BACKEND == "tensorflow" else "compiled"
    )
    np.testing.assert_allclose(value, wanted[:2].detach(), rtol=VALUE, atol=VALUE)
    np.testing.assert_allclose(gradient[:2], last(slope)[:2], rtol=1e-3, atol=1e-6)
    each = ops.convert_to_numpy(score(last(y), last(x), last(mask)))
    np.testing.assert_allclose(each[[0, 1, 3]], wanted[[0, 1, 3]].detach(), rtol=VALUE, atol=VALUE)
    assert np.isnan(each[2])


def test_an_image_of_which_nothing_counts_is_left_out():
    x, y, mask = (last(image) for image in half_masked(16))
    each = ops.convert_to_numpy(lk.L1Loss(reduction=None)(y, x, mask))
    assert each[2] == 0
    for reduction, wanted in (
        ("sum_over_batch_size", each[[0, 1, 3]].mean()), ("mean", each[[0, 1, 3]].mean()), ("sum", each.sum()),
        ("mean_with_sample_weight", each[[0, 1, 3]].mean()),
    ):  # fmt: skip
        assert float(lk.L1Loss(reduction=reduction)(y, x, mask)) == pytest.approx(wanted, rel=1e-5)
    metric = lk.L1()
    metric.update_state(y, x, sample_weight=mask)
    assert float(metric.result()) == pytest.approx(each[[0, 1, 3]].mean(), rel=1e-5)
    found = value_and_gradient(
        lambda true, pred: lk.PSNRLoss(cap_db=None, reduction="mean")(true, pred, 0 * mask)[None], y, x, "eager"
    )
    assert found[0] == 0
    assert (found[1] == 0).all()


def test_masks_of_every_shape_and_kind():
    x, y, mask = (last(image) for image in half_masked(16))
    for given in (mask, mask[..., 0], np.broadcast_to(mask, x.shape)):
        assert float(lk.L1Loss()(y, x, given)) == pytest.approx(float(lk.L1Loss()(y, x, mask)), rel=1e-5)
    whole = (mask > 0.5).astype("float32")
    wanted = float(lk.L1Loss()(y, x, whole))
    for kind in ("bool", "uint8", "int32", "float64"):
        assert float(lk.L1Loss()(y, x, whole.astype(kind))) == pytest.approx(wanted, rel=1e-5)
    first = [image.transpose(0, 3, 1, 2) for image in (y, x, mask)]
    found = float(lk.L1Loss(data_format="channels_first")(*first))
    assert found == pytest.approx(float(lk.L1Loss()(y, x, mask)), rel=1e-5)
    channels = mask * np.array([1.0, 0.0, 0.0], "float32")
    one = float(lk.L1Loss()(y[..., :1], x[..., :1], mask))
    assert float(lk.L1Loss()(y, x, channels)) == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("bad", [np.nan, -1.0, 255.0])
def test_masks_are_looked_at(bad):
    image = np.zeros((1, 8, 8, 3), "float32")
    mask = np.ones((1, 8, 8, 1), "float32")
    mask[0, 0, 0, 0] = bad
    for scored in (lk.L1Loss(), lk.L1(), lk.loss_from("l1 + l2")):
        with pytest.raises(ValueError, match=r"(l1|loss): sample_weight as a mask must lie in \[0, 1\]"):
            scored(image, image, sample_weight=mask)


def test_what_a_mask_hides_says_nothing_of_the_range():
    y = last(images(1, 16)[1])
    mask = np.ones_like(y)
    mask[:, :4] = 0
    hidden = np.where(mask > 0, y, -9999).astype("float32")
    silent(lk.L1Loss(), hidden, y, sample_weight=mask)
    with pytest.warns(UserWarning, match="pass data_range=255"):
        lk.L1Loss()(255 * y, y, mask)


def test_fit_takes_masks():
    y = last(images(3, 16)[1])
    mask = np.zeros((2, 16, 19, 1), "float32")
    mask[:, 4:12, 4:12] = 1
    model = keras.Sequential([keras.Input((16, 19, 3)), keras.layers.Conv2D(3, 1)])
    model.compile(optimizer="sgd", loss=lk.L2Loss(), weighted_metrics=[lk.PSNR()])
    found = model.evaluate(y, np.where(mask > 0, y, np.nan), sample_weight=mask, verbose=0, return_dict=True)
    outputs = model.predict(y, verbose=0)
    assert found["loss"] == pytest.approx(float(lk.L2Loss()(y, outputs, mask)), rel=1e-5)
    assert found["psnr"] == pytest.approx(-float(lk.PSNRLoss()(y, outputs, mask)), rel=1e-5)
    history = model.fit(y, np.where(mask > 0, y, np.nan), sample_weight=mask, verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_what_keras_decides_is_no_option():
    with pytest.raises(TypeError, match="ssim: a metric under Keras has no option 'check'"):
        lk.SSIMLoss(check="values")
    with pytest.raises(TypeError, match="has no option 'reduction'"):
        lk.SSIM(reduction="mean")
    with pytest.raises(TypeError, match="has no option 'reduction'"):
        lk.loss_from("l1(reduction=mean)")


def test_a_term_may_have_its_own_range_and_an_expression_a_name():
    from lookalike import loss

    x, y = images(3, 32)
    for expression in ("l1(data_range=2) + ssim", "3dgs", "seed/ssim_l1"):
        wanted = float(loss(expression)(x, y))
        assert float(lk.loss_from(expression)(last(y), last(x))) == pytest.approx(wanted, abs=1e-5)
    named = lk.loss_from("3dgs")
    assert lk.ExpressionLoss.from_config(named.get_config()).signature() == named.signature()
    with pytest.raises(ValueError, match="did you mean 'seed/ssim'"):
        lk.loss_from("seed/ssm")
    with pytest.raises(ValueError, match="use 'seed/ssim_l1', or the published one"):
        lk.loss_from("seed/ssim_l1@published")
    with pytest.raises(ValueError, match="3dgs says its own convention"):
        lk.loss_from("3dgs", convention="piq")


def test_options_and_names_are_checked():
    with pytest.raises(TypeError, match="did you mean 'win_size'"):
        lk.SSIMLoss(winsize=7)
    with pytest.raises(ValueError, match="did you mean 'scikit-image'"):
        lk.SSIMLoss(convention="scikit-imag")
    with pytest.raises(ValueError, match="data_format must be one of"):
        lk.SSIMLoss(data_format="channel_last")
    with pytest.raises(ValueError, match="did you mean 'ms_ssim'"):
        lk.loss_from("0.84*mss_ssim")
    with pytest.raises(ValueError, match="dists: not to be had under Keras"):
        lk.loss_from("dists")


@pytest.mark.elsewhere(BACKEND != "tensorflow")  # only it builds graphs of unknown sizes
def test_what_does_not_fit_is_said_when_a_graph_of_unknown_sizes_runs():
    import tensorflow as tf

    loss = lk.SSIMLoss()
    image = tf.ones((1, 32, 32, 3))
    unknown = tf.function(loss.__call__, input_signature=[tf.TensorSpec((None, None, None, 3))] * 2)
    assert float(unknown(image, image)) == 0.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="ssim: y_true and y_pred must have the same shape"):
        unknown(image, image[:, :1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="ssim: needs images of at least 11 px a side"):
        unknown(image[:, :10], image[:, :10])
    channels = tf.function(loss.__call__, input_signature=[tf.TensorSpec((None, 32, 32, None))] * 2)
    with pytest.raises(ValueError, match="ssim: channels must be known when the graph is built"):
        channels(image, image)
    ranks = tf.function(loss.__call__, input_signature=[tf.TensorSpec(None)] * 2)
    with pytest.raises(ValueError, match="ssim: the rank of y_true is not known"):
        ranks(image, image)
    one = tf.function(
        loss.__call__, input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, 32, 32, 3))]
    )
    assert float(one(image, image)) == 0.0


@pytest.mark.parametrize("mode", MODES[-1:])
@pytest.mark.parametrize("distance", ["l1", "cosine"])
def test_perceptual_on_weights_from_a_file(distance, mode, tmp_path):
    file = learned.untrained("vgg16", tmp_path)
    options = {"network_file": file, "layers": {"relu1_2": 1.0, "conv2_2": 0.5}, "distance": distance}
    x, y = images(3, 16)
    score = Score("perceptual", options, data_range=1.0, data_format="channels_last")
    metric = registry.get("perceptual", check="shapes", **options)
    assert_same(value_and_gradient(score, last(y), last(x), mode), reference(metric, x, y), "perceptual")


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_poolings_at_an_edge_that_cuts_their_windows(pooling, tmp_path):
    file = learned.untrained("squeezenet1_1", tmp_path)
    options = {
        "network": "squeezenet1_1", "network_file": file, "layers": ("fire2", "fire4"), "pooling": pooling,
    }  # fmt: skip
    y = torch.cat([texture(52, 3, seed)[:, :, :47, :] for seed in (0, 2)])  # odd and even sides at the pools
    score = Score("perceptual", options, data_range=1.0, data_format="channels_last")
    metric = registry.get("perceptual", check="shapes", **options)
    found = value_and_gradient(score, last(y), last(0.9 * y), COMPILED_ON_JAX)
    assert_same(found, reference(metric, 0.9 * y, y), pooling)


@pytest.mark.parametrize("mode", MODES[-1:])
def test_contextual_on_weights_from_a_file(mode, tmp_path):
    file = learned.untrained("alexnet", tmp_path)
    options = {"features": "alexnet", "network_file": file, "layers": ("relu1", "conv2"), "spatial_weight": 0.1}
    x, y = images(3, 63)
    score = Score("contextual", options, data_range=1.0, data_format="channels_last")
    metric = registry.get("contextual", check="shapes", **options)
    assert_same(value_and_gradient(score, last(y), last(x), mode), reference(metric, x, y), "contextual")


@pytest.mark.parametrize("network", ["alex", "vgg", "squeeze"])
def test_lpips_from_our_weights(network):
    name = f"lpips_{network}"
    reason = learned.weights.missing(*registry.metric_class(name).facts.weights)
    if reason:
        pytest.skip(reason)
    x, y = images(3, 64)
    score = Score(name, {}, data_range=1.0, data_format="channels_last")
    metric = registry.get(name, check="shapes")
    single = reference(metric, x, y)
    double = reference(metric.double(), x.double(), y.double())
    # Maxima that are nearly ties make the gradient as uncertain as single precision leaves it, in torch too.
    own = float(np.linalg.norm(single[1] - double[1]) / np.linalg.norm(double[1]))
    found = value_and_gradient(score, last(y), last(x), COMPILED_ON_JAX)
    assert_same(found, double, name, gradient=max(GRADIENT, 2 * own))
    if network != "alex":  # one is enough: JAX compiles for long
        return
    mask = torch.ones(2, 1, *x.shape[2:])
    mask[:, :, 20:41, 7:] = 0
    masked = ops.convert_to_numpy(score(last(y), last(x), last(mask)))
    np.testing.assert_allclose(masked, metric(x.double(), y.double(), mask).detach(), rtol=1e-4)


def keras_vgg(state):
    """keras.applications' VGG16 down to block2_conv2, with weights under torchvision's names."""
    model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    names = {"block1_conv1": 0, "block1_conv2": 2, "block2_conv1": 5, "block2_conv2": 7}
    for layer, index in names.items():
        kernel = state[f"features.{index}.weight"].permute(2, 3, 1, 0).numpy()
        model.get_layer(layer).set_weights([kernel, state[f"features.{index}.bias"].numpy()])
    return model


def test_a_keras_model_is_a_network_like_ours(tmp_path):
    model = keras_vgg(random_state("vgg16"))
    x, y = images(3, 32)
    x, y = x[..., :32], y[..., :32]
    ours = registry.get("perceptual", network_file=learned.untrained("vgg16", tmp_path), layers="relu2_2")
    loss = lk.PerceptualLoss(network=model, layers="block2_conv2", preprocess="torch")
    assert float(loss(last(y), last(x))) == pytest.approx(float(ours(x, y).mean()), rel=1e-4)
    contextual = lk.ContextualLoss(features=model, layers=("block2_conv2",), preprocess="caffe")
    assert np.isfinite(float(contextual(last(y), last(x))))
    with pytest.raises(ValueError, match=r"network was the model 'vgg16'.*compile=False"):
        lk.PerceptualLoss.from_config(loss.get_config())
    with pytest.raises(ValueError, match="say with preprocess="):
        lk.PerceptualLoss(network=model, layers="block2_conv2")
    with pytest.raises(ValueError, match="has no layer 'relu2_2'"):
        lk.PerceptualLoss(network=model, layers="relu2_2", preprocess="caffe")


def test_a_keras_model_is_frozen_in_training():
    model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    before = [ops.convert_to_numpy(weight).copy() for weight in model.weights[:4]]
    subject, image = autoencoder(32), last(images(3, 32)[1][..., :32])
    subject.compile(
        optimizer="adam", loss=lk.PerceptualLoss(network=model, layers="block2_conv1", preprocess="caffe")
    )
    assert np.isfinite(subject.fit(image, image, verbose=0).history["loss"][0])
    for weight, was in zip(model.weights, before, strict=False):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), was)
    assert len(subject.trainable_weights) == 4
    if BACKEND == "torch":
        assert all(parameter.grad is None for parameter in model.parameters())


def test_what_a_keras_model_does_not_take_is_said():
    options = {"layers": "block5_conv1", "preprocess": "caffe"}
    fixed = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    open_ = keras.applications.VGG16(include_top=False, weights=None)
    for model, shape, message in (
        (fixed, (1, 32, 32, 1), r"perceptual: the model vgg16 takes .None, 32, 32, 3."),
        (fixed, (1, 16, 32, 3), r"perceptual: the model vgg16 takes .None, 32, 32, 3."),
        (open_, (1, 4, 4, 3), r"perceptual: images .4, 4, 3. are too small for the layers of vgg16"),
    ):
        with pytest.raises(ValueError, match=message):
            lk.PerceptualLoss(network=model, **options)(tensor(*shape), tensor(*shape))
    pooled = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D(name="pooled")])
    with pytest.raises(ValueError, match=r"layer 'pooled' of .* no map of positions"):
        lk.PerceptualLoss(network=pooled, layers="pooled", preprocess="unit")

    class Drawn(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="must be functional or sequential"):
        lk.PerceptualLoss(network=Drawn(), layers="any", preprocess="unit")
