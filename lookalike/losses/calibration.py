"""Weights with which the terms of a loss pull equally: equal weights are not equal influence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lookalike.algebra import Loss, as_loss
from lookalike.options import real


def calibrate(
    loss: Loss,
    x: Tensor,
    y: Tensor,
    *,
    ratio: Mapping[str, float] | None = None,
    report: Callable[[str], object] | None = print,
) -> Loss:
    """The same terms with weights that make their gradients equally strong: equal weights are not equal influence.

    The strength of a term is the mean over the images of the norm of its gradient to ``x``. The first weighted term
    keeps its weight.

    Args:
        loss: with at least one weighted term.
        x, y: images such as the training will see, outputs and targets, ``(n, c, h, w)``.
        ratio: name → wanted share of the pull, more than 0; terms not named get 1.
        report: called with each line of the table of before and after; None for silence.

    Returns:
        A new loss; watched terms (weight 0) stay watched.

    Raises:
        TypeError: for what is no loss, or integer images, which have no gradient.
        ValueError: when a term has no finite gradient at these images, or the ratio names no term or is not
            positive; for a loss with schedules, which say their weights themselves.

    Example:
        >>> from lookalike.metrics.pixel import L1, L2
        >>> y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> equal = calibrate(L1() + L2(), y * 0.5, y, report=None)
        >>> [round(strength, 6) for strength in strengths(equal, y * 0.5, y).values()]
        [0.125, 0.125]
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"calibrate: needs a loss, such as lookalike.loss('ssim + l1'); got {type(loss).__name__}")
    loss.refuse_schedules("calibrate")
    ratios = dict.fromkeys(loss.weights, 1.0)
    for name, share in (ratio or {}).items():
        if name not in loss.weights:
            raise ValueError(f"calibrate: no term is called {name!r}; there are {', '.join(loss.weights)}")
        ratios[name] = real("calibrate", f"the ratio of {name}", share, above=0)
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"calibrate: x must be a float tensor, for it needs gradients; got {kind}. Use x / 255")
    if len(x) == 0:
        raise ValueError("calibrate: needs at least one image, got an empty batch")
    before = strengths(loss, x, y)
    active = [name for name, weight in loss.weights.items() if weight]
    for name in active:
        if not math.isfinite(before[name]):
            raise ValueError(
                f"calibrate: the gradient of {name} is not finite at these images; do they hold NaN or infinity?"
            )
        if not before[name] > 0:
            raise ValueError(f"calibrate: {name} has no gradient at these images; use some that differ")
    weights = dict.fromkeys(loss.weights, 0.0)
    for name in active:
        scale = before[active[0]] / ratios[active[0]]
        weights[name] = loss.weights[name] * scale * ratios[name] / before[name]
    balanced = Loss(
        {name: (weights[name], metric) for name, metric in zip(loss.weights, loss.metrics, strict=True)}
    )
    if report is not None:
        after = strengths(balanced, x, y)
        report(f"{'term':<20}{'weight':>12}{'pull':>12}{'→ weight':>14}{'pull':>12}")
        for name in loss.weights:
            report(
                f"{name:<20}{loss.weights[name]:>12.5g}{before[name]:>12.5g}{weights[name]:>14.5g}{after[name]:>12.5g}"
            )
    return balanced


def strengths(loss: Loss, x: Tensor, y: Tensor) -> dict[str, float]:
    """How hard each term pulls: the mean over images of the norm of its weighted gradient to ``x``.

    Example:
        >>> y = torch.rand(1, 1, 16, 16)
        >>> from lookalike import registry
        >>> round(strengths(2.0 * registry.get("l1"), y * 0.5, y)["l1"], 6)
        0.125
    """
    pulls = {}
    for (name, weight), metric in zip(loss.weights.items(), loss.metrics, strict=True):
        image = x.detach().clone().requires_grad_()
        # The sum over the batch: each image's gradient is then that of its own value.
        [gradient] = torch.autograd.grad(as_loss(metric, image, y) * len(x), image)
        pulls[name] = abs(weight) * float(gradient.flatten(1).norm(dim=1).mean())
    return pulls
