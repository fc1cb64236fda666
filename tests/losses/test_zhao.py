"""The three mixes, each against its formula written out with SciPy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

import lookalike
from lookalike.metrics.zhao import MSSSIML1, SIGMAS, ZhaoMix, ZhaoMixCode


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    y = ndimage.gaussian_filter(random.random((1, 3, 176, 190)), (0, 0, 2, 2))
    y = (y - y.min()) / np.ptp(y)
    x = np.clip(y + 0.1 * random.standard_normal(y.shape), 0, 1)
    return torch.from_numpy(x), torch.from_numpy(y)


def by_scipy(x, y, alpha, border, sum_of_channels):
    """Equations 13 and 14 for one pair ``(c, h, w)``."""
    widest = 3 * int(SIGMAS[-1])
    inner = slice(widest, -widest) if border == "valid" else slice(None)

    def blur(image, sigma):
        return ndimage.gaussian_filter(image, sigma, radius=int(np.ceil(3 * sigma)), mode="mirror")

    similarity, errors = [], []
    for a, b in zip(x, y, strict=True):
        product = np.ones_like(a)
        for sigma in SIGMAS:
            va, vb, cov = (
                blur(p * q, sigma) - blur(p, sigma) * blur(q, sigma) for p, q in ((a, a), (b, b), (a, b))
            )
            product *= (2 * cov + 9e-4) / (va + vb + 9e-4)
        ma, mb = blur(a, SIGMAS[-1]), blur(b, SIGMAS[-1])
        product *= (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
        similarity.append(product[inner, inner].mean())
        errors.append(blur(np.abs(a - b), SIGMAS[-1])[inner, inner].mean())
    l1 = np.sum(errors) if sum_of_channels else np.mean(errors)
    return alpha * (1 - np.mean(similarity)) + (1 - alpha) * l1


@pytest.mark.parametrize("border", ["reflect", "valid"])
@pytest.mark.parametrize(("kind", "alpha", "summed"), [(ZhaoMix, 0.84, False), (ZhaoMixCode, 0.025, True)])
def test_the_mix_is_its_formula(pair, border, kind, alpha, summed):
    x, y = pair
    found = float(kind(border=border)(x, y))
    assert abs(found - by_scipy(x[0].numpy(), y[0].numpy(), alpha, border, summed)) < 1e-12


def test_the_common_mix_is_ms_ssim_and_l1(pair):
    x, y = pair
    wanted = 0.84 * (1 - lookalike.get("ms_ssim")(x, y)) + 0.16 * lookalike.get("l1")(x, y)
    torch.testing.assert_close(MSSSIML1()(x, y), wanted)


def test_three_losses_of_one_name_are_three_numbers(pair):
    values = [float(lookalike.get(name)(*pair)) for name in ("zhao_mix", "zhao_mix_code", "ms_ssim_l1")]
    assert min(abs(a - b) for i, a in enumerate(values) for b in values[:i]) > 0.01


@pytest.mark.parametrize("permutation", [[1, 2, 0], [2, 1, 0]])
def test_channels_are_alike(pair, permutation):
    x, y = pair
    torch.testing.assert_close(ZhaoMix()(x[:, permutation], y[:, permutation]), ZhaoMix()(x, y))


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (ZhaoMix, {"alpha": 1.5}, "alpha must be a number from 0 to 1"),
        (MSSSIML1, {"alpha": -0.1}, "alpha must be a number from 0 to 1"),
        (ZhaoMix, {"sigmas": ()}, "sigmas must"),
        (ZhaoMix, {"sigmas": (2.0, 1.0)}, "sigmas must"),
        (ZhaoMix, {"border": "zero"}, "border must be one of reflect, valid"),
    ],
)
def test_a_wrong_option_is_named(kind, options, words):
    with pytest.raises(ValueError, match=words):
        kind(**options)


def test_small_images_are_refused_by_size():
    small = torch.rand(1, 1, 24, 24)
    with pytest.raises(ValueError, match="at least 25 px"):
        ZhaoMix()(small, small)
    with pytest.raises(ValueError, match="at least 49 px"):
        ZhaoMix(border="valid")(small, small)
