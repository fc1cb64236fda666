"""Whether a metric or loss keeps its promises (`promises`), and how far it reaches, in figures (`figures`)."""

from lookalike.audit.promises import Finding as Finding
from lookalike.audit.promises import run as run
from lookalike.audit.subjects import Subject as Subject
from lookalike.audit.subjects import degenerate as degenerate
from lookalike.audit.subjects import distorted as distorted
from lookalike.audit.subjects import subject_of as subject_of
from lookalike.audit.subjects import texture as texture
