"""The study: which distortions of a photograph the metrics notice and which they do not."""

from __future__ import annotations

from lookalike.study.make import run as run
from lookalike.study.printed import table as table

__all__ = ["run", "table"]
