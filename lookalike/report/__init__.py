"""Reports: run folders in, self-contained html pages out. Nothing here reaches torch."""

from __future__ import annotations

from lookalike.report.study import study_page as study_page

__all__ = ["study_page"]
