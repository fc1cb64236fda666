"""Do the numbers order images as people do? Correlations of scores with opinions, by the field's rules."""

from lookalike.agree.correlation import Agreement, Interval, agreement
from lookalike.agree.opinions import Database, Opinion, load
from lookalike.agree.records import ALL, Records, by_distortion, read, rises, shared
from lookalike.agree.score import score

__all__ = [
    "ALL", "Agreement", "Database", "Interval", "Opinion", "Records",
    "agreement", "by_distortion", "load", "read", "rises", "score", "shared",
]  # fmt: skip
