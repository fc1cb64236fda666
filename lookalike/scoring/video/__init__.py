"""Numbers for two videos, frame by frame, or for folders of them.

A video is opened (`streams`), decoded (`frames`) and brought to what is seen (`rgb`); frames are put together
(`alignment`), read as the first ones tell (`treatment`) and scored (`scorer`). ``score_videos`` and
``score_video_folders`` are imported on first use: what knows videos by their endings needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.scoring.video.folders import score_video_folders as score_video_folders
    from lookalike.scoring.video.score import score_videos as score_videos

_ROOMS = {"score_video_folders": "folders", "score_videos": "score"}
__all__ = ["score_video_folders", "score_videos"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
