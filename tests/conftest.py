"""What holds for the whole test run.

Every worker computes on one thread: two that spin for one core slow each other down tenfold. Ctrl-C is listened to,
also where the run was started in the background of a shell, whose children ignore it: tests send it.
"""

import os
import signal

import learned  # noqa: F401 - says where learned weights are looked for, before anything asks
import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
