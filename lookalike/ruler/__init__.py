"""The ruler: one pair of images under every convention, and which convention a printed number is."""

from __future__ import annotations

from lookalike.ruler.reading import Reading as Reading
from lookalike.ruler.reading import of_folders as of_folders
from lookalike.ruler.reading import run as run
from lookalike.ruler.saying import distance as distance
from lookalike.ruler.saying import giving as giving
from lookalike.ruler.saying import nearest as nearest
from lookalike.ruler.saying import printed as printed
from lookalike.ruler.saying import summary as summary

__all__ = ["Reading", "distance", "giving", "nearest", "of_folders", "printed", "run", "summary"]
