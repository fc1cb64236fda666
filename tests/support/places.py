"""Where the tests find things: the project, the values others gave, and the folder `shared`."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN_FOLDER = ROOT / "tests" / "golden"
# What may not be copied into the project. A test that needs it skips where it is absent.
SHARED = Path(os.environ.get("LOOKALIKE_SHARED", ROOT.parent / "shared"))
# Seconds after which another process counts as hanging. No test may end for want of a faster machine.
PATIENCE = 1200
