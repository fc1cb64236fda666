"""The study: what the numbers see and what they do not, on any photograph."""

from __future__ import annotations

from lookalike.study.make import run as run
from lookalike.study.printed import table as table

__all__ = ["run", "table"]
