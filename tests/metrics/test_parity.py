"""Every named convention against its library: run here, recorded elsewhere, or written out as a formula.

Both sides compute in float64 where the library can; `benchmarks/parity.py` prints the differences as a table.
"""

import functools
import json
import math

import numpy as np
import pytest
import torch
from pairs import SYNTHETIC, crop, distort, photograph, sk_pairs, synthetic_pairs
from peers import PEERS, SINGLE, AbsentError, RefusedError, ours, unit
from places import GOLDEN_FOLDER
from scipy import ndimage

import lookalike
from lookalike.conventions import CONVENTIONS

RECORD = json.loads((GOLDEN_FOLDER / "recorded.json").read_text(encoding="utf-8"))

# (library of the record, its metric, our convention, our metric, tolerance)
RECORDED = (
    ("tensorflow-float64", "ssim", "tensorflow", "ssim", 1e-9),
    ("tensorflow-float64", "ms_ssim", "tensorflow", "ms_ssim", 1e-9),
    ("keras", "ssim", "keras", "ssim", 1e-9),
    ("torchmetrics-1.4.1", "ssim", "torchmetrics-1.4.1", "ssim", 1e-9),
    ("torchmetrics-1.4.1", "ms_ssim", "torchmetrics-1.4.1", "ms_ssim", 1e-6),
    ("pyiqa", "ssim", "pyiqa-y", "ssim", 1e-6),
    ("pyiqa", "ssimc", "pyiqa-colour", "ssim", 1e-6),
    ("pyiqa", "ms_ssim", "pyiqa-y", "ms_ssim", 1e-6),
)
FULL_HD = ("scikit-image-ssim", "pytorch-msssim-ms_ssim", "fast-ssim-ssim", "blazediff-ssim")
SMALL_PX = 200_000  # height x width x channels


@functools.cache
def all_pairs():
    negative = crop(photograph("chelsea"), 177, 193)
    return {**synthetic_pairs(), "chelsea_rgb_177x193_negative": (negative, distort(negative, "inv"))}


@functools.cache
def recorded_pairs():
    return {**all_pairs(), **sk_pairs()}


def run(peer, reference, distorted):
    try:
        return peer(reference, distorted)
    except AbsentError as absent:
        pytest.skip(str(absent))


def cases():
    """Peers and names of pairs; the pairs are not made to collect the tests."""
    sizes = {f"{name}_{colour}_{h}x{w}": (h, w, 3 if colour == "rgb" else 1) for name, colour, h, w, _ in SYNTHETIC}
    sizes["chelsea_rgb_177x193_negative"] = (177, 193, 3)
    found = []
    for peer in PEERS:
        down = CONVENTIONS[peer.convention].downsample != "no"
        for name, size in sizes.items():
            small = math.prod(size) <= SMALL_PX
            beyond = name == "camera_grey_640x640" and (down or not peer.slow)
            full_hd = name == "chelsea_grey_1080x1920" and peer.name in FULL_HD
            if min(size[:2]) >= peer.least and (small or beyond or full_hd):
                found.append(pytest.param(peer, name, id=f"{peer.name}-{name}"))
    return found


@pytest.mark.peers
@pytest.mark.parametrize(("peer", "name"), cases())
def test_the_library_itself(peer, name):
    reference, distorted = all_pairs()[name]
    theirs = run(peer, reference, distorted)
    if math.isnan(theirs):
        # The one number that is not copied: a negative mean to a fractional power. Ours takes it as 0.
        assert (peer.name, name) == ("blazediff-ms_ssim", "chelsea_rgb_177x193_negative")
        assert ours(peer.convention, peer.metric, reference, distorted) == 0
        return
    assert ours(peer.convention, peer.metric, reference, distorted) == pytest.approx(theirs, abs=peer.tolerance)


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_smallest_side(peer):
    """The smallest image that both take gives the same number; on a smaller one ours raises."""
    reference = crop(photograph("camera"), peer.least, peer.least + 3)
    distorted = distort(reference, "lcg")
    theirs = run(peer, reference, distorted)
    assert ours(peer.convention, peer.metric, reference, distorted) == pytest.approx(theirs, abs=peer.tolerance)
    reference, distorted = reference[:-1], distorted[:-1]
    with pytest.raises(ValueError, match=f"at least {peer.least} px a side, got {peer.least - 1}x{peer.least + 3}"):
        ours(peer.convention, peer.metric, reference, distorted)
    try:
        value = run(peer, reference, distorted)
    except RefusedError:
        return
    assert math.isnan(value) or peer.package == "fast_ssim"


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_identical_images(peer):
    """Exactly 1, but for kornia, whose epsilon makes them a little less."""
    reference = crop(photograph("coffee"), 181, 197)
    value = ours(peer.convention, peer.metric, reference, reference)
    assert value == pytest.approx(run(peer, reference, reference), abs=peer.tolerance)
    assert value == pytest.approx(1, abs=1e-6 if peer.package == "kornia.metrics" else 1e-12)


@pytest.mark.parametrize(("library", "key", "convention", "metric", "tolerance"), RECORDED)
def test_recorded_values(library, key, convention, metric, tolerance):
    compared = 0
    for name, expected in RECORD["values"][library][key].items():
        pair = recorded_pairs().get(name)
        if pair is None or (pair[0].size > SMALL_PX and name != "sk/chelsea_inv"):
            continue
        reference, distorted = pair
        value = ours(convention, metric, reference, distorted)
        assert value == pytest.approx(expected, abs=tolerance), name
        compared += 1
    assert compared >= 8


def test_recorded_tensorflow_as_it_is():
    """tf.image rounds to float32, which moves its SSIM by up to 3e-4; that, and no more, is between us."""
    for key in ("ssim", "ms_ssim"):
        exact = RECORD["values"]["tensorflow-float64"][key]
        for name, rounded in RECORD["values"]["tensorflow"][key].items():
            if name in all_pairs() and all_pairs()[name][0].size <= SMALL_PX:
                value = ours("tensorflow", key, *all_pairs()[name])
                assert abs(value - rounded) <= abs(exact[name] - rounded) + 1e-9, name
                assert abs(value - rounded) < 3e-4, name


@pytest.mark.parametrize(("library", "key", "convention", "metric", "tolerance"), RECORDED)
def test_recorded_refusals(library, key, convention, metric, tolerance):
    for name in RECORD["refused"].get(library, {}).get(key, {}):
        with pytest.raises(ValueError, match="at least"):
            ours(convention, metric, *recorded_pairs()[name])


def fused_ssim(x, y, padding):
    """fused-ssim's documented rule: an 11-tap Gaussian of sigma 1.5 over zeros outside; "valid" crops that map."""
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(plane):
        for axis in (-1, -2):
            plane = ndimage.correlate1d(plane, taps, axis, mode="constant")
        return plane

    mu_x, mu_y = blur(x), blur(y)
    sigma_xx = np.maximum(blur(x * x) - mu_x**2, 0)
    sigma_yy = np.maximum(blur(y * y) - mu_y**2, 0)
    sigma_xy = blur(x * y) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + 0.01**2) / (mu_x**2 + mu_y**2 + 0.01**2)
    values = np.clip(luminance * (2 * sigma_xy + 0.03**2) / (sigma_xx + sigma_yy + 0.03**2), -1, 1)
    return values[..., 5:-5, 5:-5].mean() if padding == "valid" else values.mean()


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_fused_ssim_formula_not_run(padding):
    for reference, distorted in all_pairs().values():
        if reference.size <= SMALL_PX:
            expected = fused_ssim(unit(distorted).numpy(), unit(reference).numpy(), padding)
            assert ours(f"fused-ssim-{padding}", "ssim", reference, distorted) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("metric", ["ssim", "ms_ssim"])
def test_uint8_images_give_the_number_of_float64(convention, metric):
    if metric == "ms_ssim" and not CONVENTIONS[convention].ms:
        with pytest.raises(ValueError, match="has no MS-SSIM"):
            lookalike.get(metric, convention=convention)
        return
    for name in ("astronaut_rgb_256x256", "coffee_grey_301x199"):
        reference, distorted = all_pairs()[name]
        pair = [(unit(image) * 255).round().to(torch.uint8) for image in (distorted, reference)]
        value = float(lookalike.get(metric, convention=convention)(*pair))
        assert value == pytest.approx(ours(convention, metric, reference, distorted), abs=SINGLE)


def test_piq_divides_only_weights_that_a_user_gives():
    piq = next(peer for peer in PEERS if peer.name == "piq-ms_ssim")
    reference, distorted = all_pairs()["astronaut_grey_176x176"]
    run(piq, reference, distorted)
    weights = (1.0, 2.0, 3.0)
    x, y = unit(distorted), unit(reference)
    theirs = float(piq._load().multi_scale_ssim(x, y, scale_weights=torch.tensor(weights, dtype=x.dtype)))
    value = float(lookalike.get("ms_ssim", convention="piq", weights=weights)(x, y))
    assert value == pytest.approx(theirs, abs=1e-9)


def test_every_convention_has_its_proof():
    run_here = {(peer.convention, peer.metric) for peer in PEERS}
    recorded = {(convention, metric) for _, _, convention, metric, _ in RECORDED}
    for name, row in CONVENTIONS.items():
        metrics = ("ssim", "ms_ssim") if row.ms else ("ssim",)
        proved = {"parity test": run_here, "recorded values": recorded}.get(row.proof)
        for metric in metrics:
            assert proved is None or (name, metric) in proved, (name, metric)
