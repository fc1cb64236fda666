"""Contextual similarity of two sets of vectors: ``contextual(x, y) -> (n,)``, streamed unless kernels are off."""

from __future__ import annotations

from lookalike.ops._kernels import Op
from lookalike.ops.contextual import reference, streamed
from lookalike.ops.contextual.reference import Distance

__all__ = ["Distance", "contextual"]

contextual = Op(reference.contextual, streamed.STREAMED)
