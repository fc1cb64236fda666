"""``lookalike`` and ``python -m lookalike``: the same commands."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130


def run() -> None:
    """Run the command line and end the process; Ctrl-C ends it quietly from the first moment on."""
    before = signal.signal(signal.SIGINT, _end)  # nothing is begun that could be left half done
    from lookalike.cli.main import main

    signal.signal(signal.SIGINT, before)
    code = main()
    if code == INTERRUPTED:  # modules that were being imported, and threads at work, would still complain
        _end(0, None)
    sys.exit(code)


def _end(number: int, frame: FrameType | None) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    run()
