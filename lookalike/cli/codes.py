"""Exit codes, worded once; README.md says the same."""

from __future__ import annotations

import signal

DONE = 0
NO = 1
USAGE = 2
FAILED_ROWS = 3
INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + 13  # as a shell reports a program ended by SIGPIPE

MEANING = (
    "Exit codes: 0 done; 1 the answer is no: a promise broke, a limit was passed, no convention gives the number; "
    "2 usage or unreadable input; 3 finished, but something has no number or methods lack images; 130 interrupted."
)
