"""Learned numbers that a metric measures with: never trained, never rounded, in no checkpoint.

They are known by a hash, which stands in the signature. So they are buffers that a state dict does not hold, and
``half()``, ``bfloat16()`` or ``to(dtype)`` of any module around them moves them to another device, and no more: a
number once rounded would stay so after ``float()``, under the same signature.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Frozen(nn.Module):
    """A module whose floating numbers, and those of all modules in it, keep their dtype wherever they go.

    Example:
        >>> head = Frozen()
        >>> head.keep("weight", torch.tensor([0.1]))
        >>> head.half().get_buffer("weight").dtype, len(head.state_dict())
        (torch.float32, 0)
    """

    def keep(self, name: str, numbers: Tensor | None) -> None:
        """Take learned numbers as a buffer, in float32 on the CPU, that no state dict holds; None for none."""
        with torch.inference_mode(False):  # else they could serve no training
            if numbers is not None:
                numbers = numbers.detach().to("cpu", torch.float32).clone()
            self.register_buffer(name, numbers, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frozen:
        """What ``to``, ``half``, ``cuda`` and the like do: dtypes of floating numbers stay."""

        def moved(numbers: Tensor) -> Tensor:
            result = fn(numbers)
            return result if result.dtype == numbers.dtype else numbers.to(result.device)

        return super()._apply(moved, recurse)
