"""Every worker of the test run computes on one thread: two that spin for one core slow each other down tenfold."""

import os

import learned  # noqa: F401 - says where learned weights are looked for, before anything asks
import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
