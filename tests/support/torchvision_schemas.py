"""Lets `import torchvision` work where its compiled operators cannot be loaded.

The torchvision wheels of PyPI are compiled against a CUDA build of PyTorch. Beside a CPU build their `_C`
library does not load, which torchvision itself tolerates; but it then registers shape functions for `nms` and
`qnms`, and PyTorch refuses those because the operators were never declared:
`RuntimeError: operator torchvision::nms does not exist`.

The peers that the tests compare with (piq, piqa, pyiqa, torchmetrics, kornia, lpips) import torchvision for
its models and transforms alone, so declaring the two operators, with nothing behind them, is enough for all:

    from torchvision_schemas import register_torchvision_schemas

    register_torchvision_schemas()
    import lpips
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_declared: list[torch.library.Library] = []  # a Library takes its operators with it when it is collected


def register_torchvision_schemas() -> bool:
    """Declare what `import torchvision` needs; call it before that import.

    Does nothing where torchvision is absent, where its own operators load, or on a second call. Returns
    whether the operators are stand-ins, so that calling one (`torchvision.ops.nms`) would fail.
    """
    if _declared:
        return True
    if hasattr(torch.ops.torchvision, "nms") or _own_operators_load():
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return True


def _own_operators_load() -> bool:
    """Load torchvision's compiled operators, as its own import would; true where there is no torchvision."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True
    for library in Path(spec.submodule_search_locations[0]).glob("_C*"):
        try:
            torch.ops.load_library(str(library))
        except (ImportError, OSError):
            continue
        return True
    return False
