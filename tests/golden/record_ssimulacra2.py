"""Write into `ssimulacra2.json` what the program ssimulacra2 gives on pairs of `pairs.py`.

    python tests/golden/record_ssimulacra2.py PROGRAM

PROGRAM is version 2.1, built from commit 81feacf of https://github.com/cloudinary/ssimulacra2; the tests do not
need it. It is given PNG files, reference first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pairs
from PIL import Image


def main() -> int:
    """Run the program and write the file."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    values: dict[str, float] = {}
    for name, pair in pairs.all_pairs().items():
        if min(pair[0].shape[:2]) < 64 or max(pair[0].shape) > 640:
            continue
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{role}.png" for role in ("reference", "judged")]
            for file, image in zip(files, pair, strict=True):
                Image.fromarray(image).save(file)
            said = subprocess.run([sys.argv[1], *map(str, files)], check=True, capture_output=True, text=True)
        values[name] = float(said.stdout)
    target = Path(__file__).with_name("ssimulacra2.json")
    made_by = {"ssimulacra2": "2.1, commit 81feacf"}
    target.write_text(json.dumps({"made_by": made_by, "values": values}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
