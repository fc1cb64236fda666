"""Losses by name: each against its formula in NumPy and SciPy, and the promises that the published ones break."""

import numpy as np
import pytest
import torch
from pairs import crop, distort, photograph
from scipy import ndimage

import lookalike
from lookalike import audit
from lookalike.losses import presets
from lookalike.losses.presets import PRESETS

SEED = ("l1", "l2", "ssim", "ssim_l1", "ssim_l2_a", "ssim_l2_b", "l1_l2", "ssim_l1l2_a", "ssim_l1l2_b")


def signed(kinds=("lcg",), side=128):
    """Photographs as the seeds' program fed them: RGB of 128 px, from −1 to 1."""
    reference = crop(photograph("astronaut"), side, side)
    batch = [np.stack([image for _ in kinds]) for image in (reference,)]
    judged = np.stack([distort(reference, kind) for kind in kinds])
    return tuple(torch.from_numpy(np.moveaxis(one / 127.5 - 1, -1, 1).copy()) for one in (judged, batch[0]))


def by_numpy(x, y):
    """The nine formulas of the program on one pair ``(c, h, w)``, in float64."""
    _, height, width = x.shape
    rows, columns = np.mgrid[:height, :width]
    g = np.exp(-((rows - height // 2) ** 2 + (columns - width // 2) ** 2) / (2 * 0.5**2))
    g /= g.sum()
    d = x - y

    def mean(image):
        return ndimage.gaussian_filter(image, (0, 1.5, 1.5), radius=5)[:, 5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    luminance = (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
    structure = (2 * (mean(x * y) - mx * my) + 9e-4) / (mean(x * x) - mx**2 + mean(y * y) - my**2 + 9e-4)
    ssim = (luminance * structure).mean()
    centre_l1, centre_l2 = (g * abs(d)).sum() / 3, (g * d**2).sum() / 3
    return {
        "l1": abs(d).mean(),
        "l2": (d**2).sum(),
        "l1_l2": abs(d).sum() + (d**2).sum(),
        "ssim": 1 - ssim,
        "ssim_l1": 0.84 * (1 - ssim) + 0.16 * centre_l1,
        "ssim_l2_a": 1 - ssim + 0.00005 * (d**2).sum(),
        "ssim_l2_b": 0.84 * (1 - ssim) + 0.16 * centre_l2 / 2,
        "ssim_l1l2_a": 0.84 * (1 - ssim) + 0.16 * centre_l1 + 0.00005 * (d**2).sum(),
        "ssim_l1l2_b": 0.84 * (1 - ssim) + 2 / 3 * 0.16 * centre_l1 + 1 / 3 * 0.16 * centre_l2 / 2,
    }


def test_the_nine_are_there_as_meant_and_as_published():
    assert set(PRESETS) == {f"seed/{name}{as_}" for name in SEED for as_ in ("", "@published")} | {"zhao", "3dgs"}


@pytest.mark.parametrize("name", SEED)
def test_published_is_what_the_program_computes(name):
    x, y = signed()
    for image in (x, -y, y + 0.1):
        wanted = by_numpy(image[0].numpy(), y[0].numpy())[name]
        found = lookalike.loss(f"seed/{name}@published")(image, y)
        assert float(found) == pytest.approx(wanted, rel=1e-9)
        assert float(lookalike.loss(f"seed/{name}@published")(image.float(), y.float())) == pytest.approx(
            wanted, rel=1e-5
        )


def test_published_ssim_sees_the_first_image_alone():
    x, y = signed(("lcg", "box5"))
    loss = lookalike.loss("seed/ssim@published")
    assert float(loss(x, y)) == pytest.approx(float(loss(x[:1], y[:1])), abs=1e-12)


def test_published_sees_no_cast_outside_the_centre():
    y = torch.zeros(1, 3, 128, 128)
    x = y + 0.5
    x[..., 60:69, 60:69] = 0
    for term in ("centre_l1", "centre_l2"):
        assert float(presets.Published(term)(x, y)) < 1e-17
    assert float(lookalike.loss("gaussian_l1")(x, y)) > 0.49


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("seed/ssim_l1", "0.84*ssim + 0.16*gaussian_l1(sigma=1.5)"),
        ("seed/ssim_l1l2_b", "0.84*ssim + 0.106667*gaussian_l1 + 0.0266667*gaussian_l2"),
        ("zhao", "zhao_mix(alpha=0.84)"),
        ("3dgs", "0.8*l1 + 0.2*ssim(convention='fused-ssim-same')"),
    ],
)
def test_as_meant_is_its_expression(name, formula):
    x, y = (image / 2 + 0.5 for image in signed())
    torch.testing.assert_close(lookalike.loss(name)(x, y), lookalike.loss(formula)(x, y))
    torch.testing.assert_close(
        lookalike.loss(name, data_range=(-1, 1))(2 * x - 1, 2 * y - 1), lookalike.loss(name)(x, y)
    )


def test_the_pixel_term_over_the_whole_image_pulls_as_published():
    x, y = signed()
    published, meant = lookalike.loss("seed/ssim_l2_a@published"), lookalike.loss("seed/ssim_l2_a")
    published(x, y)
    meant(x / 2 + 0.5, y / 2 + 0.5)
    torch.testing.assert_close(published.weighted_terms["sum_l2"], meant.weighted_terms["l2"])


@pytest.mark.parametrize("name", PRESETS)
def test_the_audit_finds_exactly_what_a_preset_breaks(name):
    broken = {finding.promise for finding in audit.run(name) if finding.verdict == "broken"}
    assert broken == set(PRESETS[name].breaks)


def test_published_terms_are_logged_and_signed():
    x, y = signed()
    loss = lookalike.loss("seed/ssim_l1@published")
    total = loss(x, y)
    assert list(loss.terms) == ["ssim", "centre_l1"]
    torch.testing.assert_close(sum(loss.weighted_terms.values()), total)
    assert loss.signature() == "0.84*[published (1 − S)] + 0.16*[published Σ g·|x − y| / (N·C)]"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("seed/sim", {}, "did you mean 'seed/ssim'"),
        ("seed/ssim@publishd", {}, "did you mean 'seed/ssim@published'"),
        ("zaho", {}, "did you mean 'zhao'"),
        ("3dg", {}, "did you mean '3dgs'"),
        ("1/2", {}, "'1/2' divides, which is not part of the grammar"),
        ("3dgs", {"convention": "piq"}, "says its own convention"),
        ("seed/ssim@published", {"data_range": 255}, "takes values as they are"),
        ("seed/ssim@published", {"check": "values"}, "takes values as they are"),
    ],
)
def test_what_a_preset_does_not_take_is_said(name, options, words):
    with pytest.raises(ValueError, match=words):
        lookalike.loss(name, **options)


def test_a_published_loss_refuses_what_does_not_fit():
    loss = lookalike.loss("seed/ssim@published")
    with pytest.raises(ValueError, match="at least 11 px"):
        loss(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="same shape"):
        loss(torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))
