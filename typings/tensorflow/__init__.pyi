# What tensorflow returns depends on its backend and version: to the type checker it is anything.
from typing import Any

def __getattr__(name: str) -> Any: ...
