"""The promises of a fact sheet, as checks that run on any metric or loss, ours or not.

A metric of the catalogue is held to its `Facts`; anything else (a class of another package, a `Loss`) to the same
promises with direction and best value measured on identical images. Each check is one function below; the
docstring is the promise.
"""

from __future__ import annotations

import copy
import io
import math
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lookalike.audit.modes import DEFAULTS, MODES
from lookalike.audit.subjects import Subject, degenerate, distorted, subject_of
from lookalike.distortions import DISTORTIONS
from lookalike.metric import PROMISES
from lookalike.options import there_are

Verdict = Literal["kept", "broken", "declined"]
TOLERANCE = 1e-5  # of float32 values of order one
STEP = 1e-6  # of a difference quotient, along a direction of length 1


@dataclass(frozen=True)
class Finding:
    """The result of checking one promise.

    Attributes:
        promise: one of `metric.PROMISES`.
        verdict: kept, broken, or declined by the facts.
        detail: the figure or the reason.
    """

    promise: str
    verdict: Verdict
    detail: str


def run(
    target: str | nn.Module | Subject, promises: Sequence[str] = PROMISES, *, device: str = "cpu"
) -> list[Finding]:
    """Check the promises of a metric or loss.

    Args:
        target: a metric's name, an expression or preset, ``"package.module:Class"``, an object, or a `Subject`.
        promises: which ones, all by default.
        device: where to compute, such as ``"cuda"``; a `Subject` brings its own.

    Returns:
        One `Finding` a promise, in order.

    Raises:
        ValueError: for an unknown target or promise.

    Example:
        >>> [finding.verdict for finding in run("l2", ["identical", "symmetric"])]
        ['kept', 'kept']
    """
    unknown = [promise for promise in promises if promise not in PROMISES]
    if unknown:
        raise ValueError(f"audit: no promise is called {unknown[0]!r}; {there_are(unknown[0], PROMISES)}")
    subject = target if isinstance(target, Subject) else subject_of(target, device)
    findings = []
    for promise in promises:
        if promise in subject.declines:
            findings.append(Finding(promise, "declined", subject.declines[promise]))
            continue
        try:
            problems = list(_CHECKS[promise](subject))
        except Exception as error:  # a crash breaks this promise, not the audit
            problems = [f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"]
        findings.append(Finding(promise, "broken" if problems else "kept", "; ".join(problems)))
    return findings


def _identical(subject: Subject) -> Iterator[str]:
    """Identical images have the identical score, whatever they show."""
    cases = degenerate(subject)
    for name in ("identical", "black", "white", "flat", "one pixel against itself"):
        score = float(subject(*cases[name]))
        if not abs(score - subject.best) <= 1e-6 * max(1.0, abs(subject.best)):
            yield f"{name}: {score:.9g} instead of {subject.best:g}"


def _range(subject: Subject) -> Iterator[str]:
    """No pair scores outside the stated range."""
    if subject.facts is None:
        return
    low, high = subject.facts.range
    y = subject.picture()
    pairs = degenerate(subject) | {
        name: (distorted(y, name, kind.strengths[-1]), y) for name, kind in DISTORTIONS.items()
    }
    for name, pair in pairs.items():
        score = float(subject(*pair))
        if not low - 1e-6 <= score <= high + 1e-6:
            yield f"{name}: {score:.9g} outside [{low:g}, {high:g}]"


def _symmetric(subject: Subject) -> Iterator[str]:
    """Swapping the images changes nothing, or the facts say that it does."""
    if subject.facts is not None and not subject.facts.symmetric:
        return
    x, y = _noisy_pair(subject)
    forward, backward = float(subject(x, y)), float(subject(y, x))
    if not _close(forward, backward):
        yield f"{forward:.9g} one way, {backward:.9g} the other"


def _monotone(subject: Subject) -> Iterator[str]:
    """More of a distortion never scores better, and much of it scores worse than none."""
    y = subject.picture()
    for name, kind in DISTORTIONS.items():
        if name == "negative" or name in subject.tolerates:
            continue
        scores = [float(subject(distorted(y, name, strength), y)) for strength in kind.strengths]
        order = [subject.badness(score) for score in (subject.best, *scores)]
        slack = 1e-6 * max(1.0, *map(abs, scores))
        if any(later < earlier - slack for earlier, later in pairwise(order)):
            yield f"{name}: {', '.join(f'{score:.5g}' for score in scores)} at rising strength"
        elif not order[-1] > order[0] + slack:
            yield f"{name}: not seen ({scores[-1]:.6g})"


def _negative(subject: Subject) -> Iterator[str]:
    """A photographic negative never scores better than mild noise, of a twentieth of the range."""
    y = subject.picture()
    negative, noisy = float(subject(1 - y, y)), float(subject(distorted(y, "gaussian_noise", 0.05), y))
    if not subject.badness(negative) > subject.badness(noisy):
        yield f"negative {negative:.6g}, mild noise {noisy:.6g}"


def _batch(subject: Subject) -> Iterator[str]:
    """A batch scores as its images one by one."""
    y = torch.cat([subject.picture(seed) for seed in (0, 1)])
    x = torch.cat([distorted(y[:1], "blur", 1.0), distorted(y[1:], "gaussian_noise", 0.2)])
    together = subject.scores(x, y)
    apart = [float(subject(x[i : i + 1], y[i : i + 1])) for i in range(2)]
    scores = together.flatten().tolist() if together.numel() == 2 else [float(together.mean())]
    expected = apart if together.numel() == 2 else [sum(apart) / 2]
    if not all(_close(a, b) for a, b in zip(scores, expected, strict=True)):
        yield f"together {scores}, apart {expected}"


def _pure(subject: Subject) -> Iterator[str]:
    """The inputs are left as they were, and the same call gives the same number."""
    x, y = _noisy_pair(subject)
    inputs = x.clone(), y.clone()
    subject.module(*inputs)
    pairs = zip("xy", inputs, (x, y), strict=True)
    changed = [name for name, image, before in pairs if not torch.equal(image, before)]
    if changed:
        yield f"it changes {' and '.join(changed)} in place"
    first, second = float(subject(x, y)), float(subject(x, y))
    if first != second:
        yield f"{first!r}, then {second!r}"


def _data_range(subject: Subject) -> Iterator[str]:
    """The data range only scales: 0–255, −1–1 and uint8 give the number of 0–1."""
    if subject.rebuilt is None:
        return
    x, y = (image.mul(255).round() for image in _noisy_pair(subject))
    expected = float(subject(x / 255, y / 255))
    cases: list[tuple[str, Any, tuple[Tensor, Tensor]]] = [
        ("255", 255.0, (x, y)),
        ("uint8", 255.0, (x.to(torch.uint8), y.to(torch.uint8))),
    ]
    if subject.facts is not None:
        cases.append(("(-1, 1)", (-1.0, 1.0), (x / 127.5 - 1, y / 127.5 - 1)))
    for name, data_range, scaled in cases:
        score = float(subject.rebuilt(data_range)(*scaled).mean())
        if not _close(score, expected):
            yield f"{name}: {score:.9g} instead of {expected:.9g}"


def _channels(subject: Subject) -> Iterator[str]:
    """All colour channels count alike."""
    if subject.channels != 3:
        return
    x, y = _noisy_pair(subject)
    expected, swapped = float(subject(x, y)), float(subject(x.flip(1), y.flip(1)))
    if not _close(expected, swapped):
        yield f"RGB {expected:.9g}, BGR {swapped:.9g}"


def _gradcheck(subject: Subject) -> Iterator[str]:
    """The gradients to both images are those of the values, in float64."""
    yield from _check_gradient(subject, _scaled_score(subject))


def _gradgradcheck(subject: Subject) -> Iterator[str]:
    """The second derivatives are right too."""
    yield from _check_gradient(subject, _directional_derivative(subject))


def _reach(subject: Subject) -> Iterator[str]:
    """Every pixel of the judged image has a gradient."""
    x, y = (image.double() for image in _noisy_pair(subject))
    [gradient] = torch.autograd.grad(subject(x.requires_grad_(), y), x)
    share = float((gradient != 0).double().mean())
    if share < 1:
        yield f"{share:.2%} of the pixels"


def _finite(subject: Subject) -> Iterator[str]:
    """Value and both gradients are finite on degenerate pairs, in float32 and under bfloat16 autocast."""
    for name, pair in degenerate(subject).items():
        for autocast in (False, True):
            x, y = (image.clone().requires_grad_() for image in pair)
            with torch.autocast(y.device.type, torch.bfloat16, enabled=autocast):
                score = subject(x, y)
            gradients = torch.autograd.grad(score, (x, y), allow_unused=True)
            bad = [gradient is not None and not bool(gradient.isfinite().all()) for gradient in gradients]
            kind = "bf16" if autocast else "fp32"
            if not bool(score.isfinite()):
                yield f"{name} ({kind}): value {float(score.detach())}"
            elif any(bad):
                yield f"{name} ({kind}): gradient not finite"


def _nan(subject: Subject) -> Iterator[str]:
    """A NaN among the pixels gives NaN or an error, never a number."""
    x, y = (image.clone() for image in _noisy_pair(subject))
    x[..., subject.side // 2, subject.side // 2] = math.nan
    try:
        score = float(subject(x, y))
    except (ValueError, RuntimeError, AssertionError):
        return
    if not math.isnan(score):
        yield f"{score:.6g}"


def _autocast(subject: Subject) -> Iterator[str]:
    """Under bfloat16 autocast the value is the same, and half-precision input is computed in float32."""
    x, y = _noisy_pair(subject)
    plain = float(subject(x, y))
    with torch.autocast(y.device.type, torch.bfloat16):
        mixed = float(subject(x, y))
    if not abs(mixed - plain) < 1e-6 * max(1.0, abs(plain)):
        yield f"{mixed:.6g} instead of {plain:.6g} under autocast"
    for dtype in (torch.bfloat16, torch.float16):
        half = x.to(dtype), y.to(dtype)
        expected, score = float(subject(half[0].float(), half[1].float())), float(subject(*half))
        if not _close(score, expected):
            yield f"{score:.6g} instead of {expected:.6g} for {dtype} input"


def _compile(subject: Subject) -> Iterator[str]:
    """``torch.compile(fullgraph=True)`` traces it whole and gives the same number."""
    x, y = _noisy_pair(subject)
    torch.compiler.reset()
    compiled = torch.compile(subject.module, fullgraph=True, backend="eager")
    score, expected = float(compiled(x.clone(), y.clone()).mean()), float(subject(x, y))
    if not _close(score, expected):
        yield f"{score:.9g} instead of {expected:.9g}"


def _copies(subject: Subject) -> Iterator[str]:
    """A deep copy, a pickle and a loaded state dict give the same number."""
    x, y = _noisy_pair(subject)
    expected = float(subject(x, y))
    copies = {"deepcopy": copy.deepcopy(subject.module)}
    if isinstance(subject.module, nn.Module):
        copies["pickle"] = pickle.loads(pickle.dumps(subject.module))
        buffer = io.BytesIO()
        torch.save(subject.module.state_dict(), buffer)
        buffer.seek(0)
        copies["state_dict"] = copy.deepcopy(subject.module)
        copies["state_dict"].load_state_dict(torch.load(buffer, weights_only=True))
    for name, twin in copies.items():
        score = float(twin(x.clone(), y.clone()).mean())
        if score != expected:
            yield f"{name}: {score!r} instead of {expected!r}"


def _threads(subject: Subject) -> Iterator[str]:
    """Eight threads that call one object get the numbers that one thread gets, to the last bit."""
    y = subject.picture()
    pairs = [(distorted(y, "gaussian_noise", 0.02 * number), y) for number in range(1, 9)]
    expected = [float(subject(*pair)) for pair in pairs]
    count, together = torch.get_num_threads(), threading.Barrier(len(pairs))

    def scores(number: int) -> list[float]:
        torch.set_num_threads(count)  # per thread: their number may change the last bits
        together.wait()
        return [float(subject(*pairs[number])) for _ in range(2)]

    with torch.no_grad(), ThreadPoolExecutor(len(pairs)) as pool:
        for number, results in enumerate(pool.map(scores, range(len(pairs)))):
            wrong = [score for score in results if score != expected[number]]
            if wrong:
                yield f"{wrong[0]!r} instead of {expected[number]!r}"
                return


def _modes(subject: Subject) -> Iterator[str]:
    """A call in one of torch's modes leaves the next as it would have been, and torch's defaults change nothing."""
    for number, (name, call) in enumerate(MODES.items()):
        # A size of its own for each mode, as what a metric keeps between calls depends on the size.
        x, y = (image[..., : subject.side + number] for image in _noisy_pair(subject, subject.side + len(MODES)))
        try:
            scores = call(subject, x, y)
        except Exception as error:
            if name in DEFAULTS:
                yield f"{name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            scores = None  # a failure inside a mode is no fault; leaving something behind would be
        leaf = x.clone().requires_grad_()
        score = subject(leaf, y)
        [gradient] = torch.autograd.grad(score, leaf, allow_unused=True)
        if not (bool(score.isfinite()) and (gradient is None or bool(gradient.isfinite().all()))):
            yield f"after {name}: {float(score.detach()):.6g}, or a gradient that is not finite"
        if scores is None or name not in DEFAULTS:
            continue
        value, plain, exact = float(scores), float(subject(x, y)), float(subject(x.double(), y.double()))
        if value != plain or not abs(plain - exact) <= 1e-3 * max(1.0, abs(exact)):
            yield f"{name}: {value:.9g} under it, {plain:.9g} after it, {exact:.9g} in float64"


def _moves(subject: Subject) -> Iterator[str]:
    """``half()``, ``bfloat16()`` and ``float()`` again change no number that was learned."""
    if not isinstance(subject.module, nn.Module):
        return
    x, y = _noisy_pair(subject)
    expected = float(subject(x, y))
    for name in ("half", "bfloat16"):
        moved = getattr(copy.deepcopy(subject.module), name)().float()
        score = float(moved(x.clone(), y.clone()).mean())
        if score != expected:
            yield f"{score!r} instead of {expected!r} after {name}() and float()"


def _checkpoint(subject: Subject) -> Iterator[str]:
    """The state dict holds tensors alone, and none but single numbers that no training changes."""
    if not isinstance(subject.module, nn.Module):
        return
    trained = {name for name, parameter in subject.module.named_parameters() if parameter.requires_grad}
    for name, value in subject.module.state_dict().items():
        if not isinstance(value, Tensor):
            yield f"{name} is of type {type(value).__name__}"
        elif value.numel() > 1 and name not in trained:
            yield f"{name}, {value.numel()} numbers, is frozen"


def _noisy_pair(subject: Subject, side: int | None = None) -> tuple[Tensor, Tensor]:
    y = subject.picture(side=side)
    return distorted(y, "gaussian_noise", 0.08), y


def _scaled_score(subject: Subject) -> Callable[[Tensor, Tensor], Tensor]:
    """The score, on the scale of one pixel's share of the mean."""
    return lambda x, y: subject(x, y) * y.numel()


def _directional_derivative(subject: Subject) -> Callable[[Tensor, Tensor], Tensor]:
    """The derivative of the score along one direction, made of both gradients."""
    score = _scaled_score(subject)

    def along(x: Tensor, y: Tensor) -> Tensor:
        inputs = [image if image.requires_grad else image.detach().requires_grad_() for image in (x, y)]
        gradients = torch.autograd.grad(score(*inputs), inputs, create_graph=True)
        return torch.stack([(part * _direction(part, 2)).sum() for part in gradients]).sum()

    return along


def _check_gradient(subject: Subject, function: Callable[[Tensor, Tensor], Tensor]) -> Iterator[str]:
    """Compare the gradient to each image, along a direction, with a central difference in float64."""
    pair = [image.double() for image in _noisy_pair(subject)]
    for index, name in enumerate(("x", "y")):
        inputs = [image.clone() for image in pair]
        inputs[index].requires_grad_()
        [gradient] = torch.autograd.grad(function(*inputs), inputs[index])
        direction = _direction(pair[index], index)
        slope = float((gradient * direction).sum())
        ends = []
        for sign in (1, -1):
            moved = list(pair)
            moved[index] = pair[index] + sign * STEP * direction
            ends.append(float(function(*moved).detach()))
        quotient = (ends[0] - ends[1]) / (2 * STEP)
        if not abs(quotient - slope) <= 1e-4 + 1e-3 * abs(quotient):
            yield f"to {name}: {slope:.6g} instead of {quotient:.6g}, the difference quotient"


def _direction(like: Tensor, seed: int) -> Tensor:
    """A random direction of length 1, the same for the same seed and shape."""
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64, device="cpu").to(like)
    return drawn / drawn.norm()


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


_CHECKS: dict[str, Callable[[Subject], Iterator[str]]] = {promise: globals()[f"_{promise}"] for promise in PROMISES}
