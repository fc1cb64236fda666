"""Losses with gradients of equal strength: equal weights are not equal influence, as SSIM spans 2, L1 only 1.

The pull of a loss is the norm of its gradient to the output, the mean over images and over four outputs on the way
from what the untrained network draws to the target: at the start alone, a loss that is steep only far from the
target, or only near it, would be misjudged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.algebra import Loss
from lookalike.losses import loss as loss_of

WAY = (0.0, 0.25, 0.5, 0.75)


def pull(loss: Loss, start: Tensor, target: Tensor) -> float:
    """The mean norm of the gradient to one image's output.

    Args:
        loss: of images in [0, 1].
        start: outputs of the untrained network, ``(n, 3, h, w)``.
        target: what they should be.

    Example:
        >>> start, target = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
        >>> round(pull(loss_of("l1"), start, target) * 48**0.5, 6)
        1.0
    """
    norms = []
    for share in WAY:
        output = torch.lerp(start, target, share).requires_grad_()
        # the batch's mean times n: each image's gradient is then that of its own value
        [gradient] = torch.autograd.grad(loss(output, target) * len(target), output)
        norms.append(gradient.flatten(1).norm(dim=1).mean())
    return float(torch.stack(norms).mean())


def calibrated(loss: Loss, start: Tensor, target: Tensor) -> Loss:
    """The same mix, scaled as a whole until its gradient is as strong as that of L1.

    Raises:
        ValueError: for a loss without a gradient here.

    Example:
        >>> start, target = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.5)
        >>> {name: round(weight, 3) for name, weight in calibrated(loss_of("3*l1"), start, target).weights.items()}
        {'l1': 1.0}
    """
    own = pull(loss, start, target)
    if not 0 < own < float("inf"):
        raise ValueError(
            f"calibrate: {loss.extra_repr()} has a gradient of {own:g} here; train it with --no-calibrate"
        )
    return loss * (pull(loss_of("l1"), start, target) / own)
