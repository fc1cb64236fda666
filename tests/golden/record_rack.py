"""Write into `rack.json` what the packages psnr-hvsm and flip-evaluator give on pairs of `pairs.py`.

    python tests/golden/record_rack.py

Needs psnr-hvsm 0.3.0 and flip-evaluator 1.7; the tests need neither. Grey images are MATLAB's rounded luma, cut to
whole blocks of 8x8 for psnr-hvsm; colour is fed to flip-evaluator in single precision.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pairs
from numpy.typing import NDArray

NAMES = ("sk/chelsea_box5", "sk/camera_quant32", "sk/astronaut_lcg", "sk/coffee_swap")


def grey(image: pairs.Image) -> NDArray[np.float64]:
    """MATLAB's rounded luma in the unit range, cut to whole blocks."""
    if image.ndim == 3:
        weights = np.array([0.298936021293776, 0.587043074451121, 0.114020904255103])
        image = np.floor(image @ weights + 0.5 + 1e-9).astype(np.uint8)
    height, width = (side // 8 * 8 for side in image.shape)
    return image[:height, :width] / 255.0


def main() -> int:
    """Run both packages and write the file."""
    import flip_evaluator
    import psnr_hvsm

    values: dict[str, dict[str, float]] = {}
    for name in NAMES:
        reference, judged = pairs.sk_pairs()[name]
        hvs, masked = psnr_hvsm.psnr_hvs_hvsm(grey(reference), grey(judged))
        values[name] = {"psnr_hvs": float(hvs), "psnr_hvs_m": float(masked)}
        if reference.ndim == 3:
            images = (image.astype(np.float32) / np.float32(255) for image in (reference, judged))
            errors = flip_evaluator.evaluate(*images, "LDR", applyMagma=False)[0]
            values[name]["flip"] = float(errors.astype(np.float64).mean())
    made_by = {"psnr-hvsm": "0.3.0", "flip-evaluator": "1.7"}
    target = Path(__file__).with_name("rack.json")
    target.write_text(json.dumps({"made_by": made_by, "values": values}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
