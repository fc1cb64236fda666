"""Silence about what Pillow remarks on, for several threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_block: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of Pillow's while any thread is inside: a damaged EXIF block, say, is read or refused.

    ``warnings.catch_warnings`` alone is not for threads: of two that overlap, the second puts back what the first
    had changed, and the process is silent for ever.
    """
    global _inside, _block
    with _lock:
        if _inside == 0:
            _block = warnings.catch_warnings()
            _block.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.|tifffile|lookalike\.files")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _block is not None:
                _block.__exit__(None, None, None)
                _block = None
