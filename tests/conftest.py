"""Every worker of the test run computes on one thread: two that spin for one core slow each other down tenfold."""

import os

import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
