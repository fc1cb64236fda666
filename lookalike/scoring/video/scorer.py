"""The scores of two frames: of what is seen, and of their planes as decoded."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from lookalike.metric import Metric
from lookalike.options import choice
from lookalike.scoring.journal import Entry
from lookalike.scoring.recipe import Decoded, Recipe, Scorer
from lookalike.scoring.video.alignment import Side
from lookalike.scoring.video.frames import Frame
from lookalike.scoring.video.rgb import displayed
from lookalike.scoring.video.treatment import Treatment

_PLANES = {"gray": "y", "yuv": "yuv"}


class FrameScorer:
    """A recipe made ready for the frames of two videos.

    Args:
        recipe: what is done to pictures; its ``before`` says how frames were aligned.
        treatment: how frames become pictures.
        yuv: score the planes as decoded as well, on their own levels: columns ``NAME_y``, ``NAME_u`` and ``NAME_v``
            of each metric that takes a single channel.

    Raises:
        ValueError: for a metric, convention, background or device that is not there, and where ``yuv`` has no
            metric to score, or a border to cut off.
    """

    def __init__(self, recipe: Recipe, treatment: Treatment, yuv: bool = False) -> None:
        if recipe.alpha is not None:
            choice("score", "alpha", recipe.alpha, ("white", "black"))
        if yuv and recipe.crop_border:
            raise ValueError("score: --crop-border counts pixels, and planes of chroma have fewer; leave out --yuv")
        self.treatment = treatment
        several = treatment.turns is None  # videos, others of which may have alpha
        alpha = recipe.alpha if several or treatment.reference.alpha or treatment.judged.alpha else None
        shown = {
            "frames": treatment.frames,
            "depth": treatment.depth,
            "source": treatment.source,
            "rotation": treatment.rotation,
        }
        self.seen = Scorer(
            replace(
                recipe, alpha=alpha, carried=65535.0 if treatment.deep else 255.0,
                before=(*shown.items(), *recipe.before),
            )
        )  # fmt: skip
        self.background = recipe.alpha
        self.planes = [
            (plane, self._of_plane(recipe, plane)) for plane in (_PLANES[treatment.reference.model] if yuv else "")
        ]
        scorers = [("", self.seen), *((f"_{plane}", scorer) for plane, scorer in self.planes)]
        self.signatures = {
            f"{name}{end}": text for end, scorer in scorers for name, text in scorer.signatures.items()
        }
        self.better = {f"{name}{end}": text for end, scorer in scorers for name, text in scorer.better.items()}
        self.names = tuple(self.signatures)

    def of(self, treatment: Treatment) -> FrameScorer:
        """The same for other videos, whose numbers have the same signatures.

        Raises:
            ValueError: where they have not.
        """
        self.treatment.check_like(treatment)
        other = copy(self)
        other.treatment = treatment
        return other

    def __call__(self, key: tuple[str, str], y: Side, x: Side) -> Entry:
        """The scores of two frames, or why there are none.

        Args:
            key: method and pair.
            y, x: of the reference and of the judged video, or why there is none.
        """
        reason = next((side for side in (y, x) if isinstance(side, str) and side), None)
        if reason is not None or isinstance(y, str) or isinstance(x, str):
            return self._failed(key, str(reason))
        for place, frame in enumerate((y, x)):
            if differs := self.treatment.differs(frame, place):
                return self._failed(key, f"the frame of the {('reference', 'judged video')[place]} {differs}")
        entries = [self._seen(key, y, x)]
        entries += [self._plane(key, scorer, index, y, x) for index, (_, scorer) in enumerate(self.planes)]
        errors = dict.fromkeys(entry.error for entry in entries if entry.error)
        ends = ("", *(f"_{plane}" for plane, _ in self.planes))
        return entries[0]._replace(
            values=tuple(value for entry in entries for value in entry.values),
            error="; ".join(errors) or None,
            declined={
                f"{name}{end}": why
                for end, entry in zip(ends, entries, strict=True)
                for name, why in entry.declined.items()
            },
        )

    def _seen(self, key: tuple[str, str], y: Frame, x: Frame) -> Entry:
        pictures = []
        for place, frame in ((0, y), (1, x)):
            try:
                pictures.append(displayed(frame, self.treatment.deep, self.background))
            except ValueError as error:
                return _failed(key, self.seen, f"the frame of the {('reference', 'judged video')[place]} {error}")
        return _scored(key, self.seen, pictures[1], pictures[0])

    def _plane(self, key: tuple[str, str], scorer: Scorer, index: int, y: Frame, x: Frame) -> Entry:
        planes = [np.ascontiguousarray(frame.turn(frame.planes[index])) for frame in (x, y)]
        if scorer.recipe.floats:
            planes = [plane.astype(np.float32) for plane in planes]
        return _scored(key, scorer, *planes)

    def _of_plane(self, recipe: Recipe, plane: str) -> Scorer:
        coding = self.treatment.reference
        stored = ("plane", plane), ("layout", coding.layout), ("rotation", self.treatment.rotation)
        takes = tuple(
            entry.name
            for entry, metric in zip(self.seen.columns, self.seen.metrics, strict=True)
            if _takes_one_channel(metric) and entry.luma is None
        )
        if not takes:
            raise ValueError(
                f"score: --yuv scores planes of one channel, and {', '.join(self.seen.names)} needs colour; "
                "name a metric such as psnr or ssim"
            )
        return Scorer(
            replace(
                recipe, metrics=takes, named=False, luma=None, alpha=None, floats=coding.bits > 8,
                carried=float((1 << coding.bits) - 1), before=(*stored, *recipe.before),
            )
        )  # fmt: skip

    def _failed(self, key: tuple[str, str], error: str) -> Entry:
        return Entry(key, ("", ""), None, (None,) * len(self.names), error, {})


def _takes_one_channel(metric: Metric) -> bool:
    return metric.channels is None or 1 in metric.channels


def _scored(key: tuple[str, str], scorer: Scorer, x: np.ndarray, y: np.ndarray) -> Entry:
    try:
        batches = scorer.pair(x, y)
    except (TypeError, ValueError) as error:
        return _failed(key, scorer, " ".join(str(error).split()))
    [entry] = scorer.score([Decoded(key, ("", ""), batches, None)])
    return entry


def _failed(key: tuple[str, str], scorer: Scorer, error: str) -> Entry:
    return Entry(key, ("", ""), None, (None,) * len(scorer.names), error, {})
