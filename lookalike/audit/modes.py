"""Calls of a metric in modes of torch that could leave something behind, and under defaults that might count."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lookalike import modes
from lookalike.audit.subjects import Subject

Call = Callable[[Subject, Tensor, Tensor], Tensor | None]


class _Called(nn.Module):
    """A subject as a module, for what takes modules alone."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.inner = subject.module

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.inner(x, y).mean()


def _export(subject: Subject, x: Tensor, y: Tensor) -> None:
    torch.export.export(_Called(subject), (x, y))


def _fake(subject: Subject, x: Tensor, y: Tensor) -> None:
    with modes.fake_tensors() as fake:
        subject(fake(x), fake(y))


def _inference(subject: Subject, x: Tensor, y: Tensor) -> None:
    with torch.inference_mode():
        subject(x, y)


def _transforms(subject: Subject, x: Tensor, y: Tensor) -> None:
    torch.func.grad(lambda x: subject(x, y))(x)
    torch.func.vmap(lambda x, y: subject(x[None], y[None]))(x, y)


def _half_dtype(subject: Subject, x: Tensor, y: Tensor) -> Tensor:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        return subject(x, y)
    finally:
        torch.set_default_dtype(before)


def _foreign_device(subject: Subject, x: Tensor, y: Tensor) -> Tensor:
    with torch.device("meta"):  # what set_default_device does, until the end of the block
        return subject(x, y)


DEFAULTS: Mapping[str, Call] = {
    "a default dtype of bfloat16": _half_dtype,
    "a default device of meta": _foreign_device,
}
MODES: Mapping[str, Call] = {
    "torch.export": _export,
    "fake tensors": _fake,
    "inference mode": _inference,
    "torch.func": _transforms,
    **DEFAULTS,
}
