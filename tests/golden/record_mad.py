"""Write into `mad.json` what vIQA and pyiqa give for MAD on grey pairs of `pairs.py`.

    python tests/golden/record_mad.py

Needs vIQA 3.0.1 (NumPy below 2) or pyiqa 0.1.16, each in an environment of its own; the entries of the other stay.
The tests need neither. vIQA is fed float64 on 0 to 255, pyiqa float32 in the unit range.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pairs

NAMES = ("sk/camera_box5", "sk/camera_lcg", "sk/camera_quant32", "camera_grey_256x256")
CUT = (slice(100, 196), slice(60, 188))  # of each as well, as NAME@cut: small, and not square
RECORDED = Path(__file__).with_name("mad.json")
Score = Callable[[pairs.Image, pairs.Image], float]


def viqa() -> Score:
    """Its function of one plane."""
    from viqa.fr_metrics.mad import most_apparent_distortion

    def score(reference: pairs.Image, judged: pairs.Image) -> float:
        return float(most_apparent_distortion(judged.astype(np.float64), reference.astype(np.float64)))

    return score


def pyiqa() -> Score:
    """Its metric of two batches."""
    import torch
    from torchvision_schemas import register_torchvision_schemas

    register_torchvision_schemas()
    from pyiqa import create_metric

    metric = create_metric("mad", device="cpu")

    def score(reference: pairs.Image, judged: pairs.Image) -> float:
        planes = [torch.from_numpy(image).float()[None, None] / 255 for image in (judged, reference)]
        return float(metric(*planes))

    return score


def main() -> int:
    """Run what is here and write the file."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    recorded = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}
    made = pairs.all_pairs()
    images = {name: made[name] for name in NAMES}
    images |= {f"{name}@cut": (reference[CUT], judged[CUT]) for name, (reference, judged) in images.items()}
    for package, make in (("viqa", viqa), ("pyiqa", pyiqa)):
        try:
            found = version(package)
        except PackageNotFoundError:
            continue
        score = make()
        recorded[package] = {"version": found, "values": {name: score(*pair) for name, pair in images.items()}}
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
