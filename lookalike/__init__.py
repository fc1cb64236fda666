"""lookalike: one ruler for image similarity – measured, trusted, used as losses.

The face; every name is imported on first use, so that ``import lookalike`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.losses import calibrate as calibrate
    from lookalike.losses import loss as loss
    from lookalike.losses import prepare as prepare
    from lookalike.ops._kernels import use_kernels as use_kernels
    from lookalike.registry import catalog as catalog
    from lookalike.registry import get as get
    from lookalike.scoring.pair import measure as measure

__version__ = "0.1.0"
__all__ = ["__version__", "calibrate", "catalog", "get", "loss", "measure", "prepare", "use_kernels"]

_ROOMS = {
    "calibrate": "lookalike.losses",
    "catalog": "lookalike.registry",
    "get": "lookalike.registry",
    "loss": "lookalike.losses",
    "measure": "lookalike.scoring.pair",
    "prepare": "lookalike.losses",
    "use_kernels": "lookalike.ops._kernels",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return __all__
