"""What a column of scores is: a metric with its options, and what is done to the pair for this column alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast, get_args

from torch import Tensor

from lookalike import conventions, registry
from lookalike.conventions import CONVENTIONS
from lookalike.losses import expressions
from lookalike.metric import Metric
from lookalike.ops import colour
from lookalike.options import choice, meant, there_are, whole

LUMAS = (*get_args(conventions.Luma), "ycbcr")
_YCBCR = (65.481, 128.553, 24.966)  # ITU-R BT.601, studio range, as MATLAB's rgb2ycbcr: Y = 16 … 235
_OWN = ("data_range", "reduction", "check")  # what whoever scores decides


class Column(NamedTuple):
    """One column that was asked for.

    Attributes:
        name: of the column: the metric's name, with its options where it has any.
        metric: the metric's name in the catalogue.
        options: of its constructor.
        luma: score this luma of colour images, for metrics without such an option of their own; None: all channels.
        crop_border: pixels cut off at each edge.
    """

    name: str
    metric: str
    options: Mapping[str, Any] = {}
    luma: str | None = None
    crop_border: int = 0

    @property
    def treatment(self) -> tuple[str | None, int]:
        """What is done to a pair before this column."""
        return self.luma, self.crop_border

    def made(self, convention: str | None = None) -> Metric:
        """The metric for pairs that are checked already, under a convention where it has conventions.

        Raises:
            TypeError, ValueError: for options that it does not have.
        """
        has = convention is not None and "convention" in registry.options_of(self.metric)
        options = ({"convention": convention} if has else {}) | {**self.options}
        return registry.get(self.metric, check="shapes", **options)

    def treated(self, image: Tensor) -> Tensor:
        """A batch in the unit range as this column sees it.

        Raises:
            ValueError: when nothing is left of it.
        """
        return luma(cropped(image, self.crop_border), self.luma)


def column(text: str) -> Column:
    """What a word of ``--metrics`` asks for: a name, or a name with options.

    ``luma`` and ``crop_border`` are taken by every metric: what is done to a pair before.

    Args:
        text: such as ``"psnr"``, ``"ssim(convention=wang-matlab)"`` or ``"psnr(luma=ycbcr, crop_border=4)"``.

    Raises:
        TypeError: for what is not text.
        ValueError: for an unknown metric or option, and for a sum of metrics, which is a loss.

    Example:
        >>> column("mse").name, column("ssim( convention = wang-matlab )").name
        ('l2', 'ssim(convention=wang-matlab)')
        >>> column("psnr(luma=ycbcr, crop_border=4)").treatment, column("psnr(luma=matlab)").treatment
        (('ycbcr', 4), ('matlab', 0))
    """
    if not isinstance(text, str):
        raise TypeError(f"measure: metrics are names or made with get; got {type(text).__name__}")
    if text.strip().isidentifier():
        name = registry.metric_class(text.strip()).facts.name
        return Column(name, name)
    try:
        terms = expressions.parse(text)
    except ValueError as error:
        raise ValueError(re.sub(r"\Aloss: ", "score: ", str(error))) from None
    if len(terms) != 1 or terms[0].weight != 1:
        raise ValueError(
            f"score: {text!r} is a sum or has a weight, as losses have; a column is one metric, such as "
            "'ssim(convention=wang-matlab)'"
        )
    [term] = terms
    given = dict(term.options)
    if own := [option for option in _OWN if option in given]:
        raise ValueError(f"score: {own[0]} is not an option of a column, in {text!r}; --data-range is for all")
    named = ", ".join(f"{option}={value}" for option, value in given.items())
    has = registry.options_of(term.name)
    rule = None if "luma" in has and _is_own(term.name, given) else given.pop("luma", None)
    crop = 0 if "crop_border" in has else given.pop("crop_border", 0)
    if rule is not None:
        choice("score", "luma", rule, LUMAS)
    made = Column(f"{term.name}({named})" if named else term.name, term.name, given, rule, checked_crop(crop))
    made.made()  # what is wrong with an option is said before a picture is read
    return made


def _is_own(name: str, given: Mapping[str, Any]) -> bool:
    """Whether a metric with a luma of its own takes the one that is asked for; the others are taken before it."""
    if "luma" not in given or given["luma"] not in LUMAS:
        return True
    try:
        registry.get(name, luma=given["luma"])
    except ValueError:
        return False
    return True


def check_convention(convention: str | None, asked: Sequence[Column | Metric]) -> None:
    """Refuse a convention that nobody knows, or that no metric asked for has: a mistake, no reason to decline."""
    if convention is None:
        return
    if convention not in CONVENTIONS:
        hint = meant(convention, CONVENTIONS)
        raise ValueError(f"measure: no convention {convention!r}{hint}; {there_are(convention, CONVENTIONS)}")
    columns = [entry for entry in asked if isinstance(entry, Column)]
    if not any("convention" in registry.options_of(entry.metric) for entry in columns):
        names = ", ".join(entry.name if isinstance(entry, Column) else entry.facts.name for entry in asked)
        raise ValueError(f"measure: {names} has no conventions, {convention!r} would change nothing")


def checked_crop(crop: object) -> int:
    """How many pixels are cut off at each edge.

    Raises:
        TypeError, ValueError: for what is no such number.
    """
    return whole("score", "crop_border", cast(Any, crop), least=0)


def cropped(image: Tensor, border: int) -> Tensor:
    """A batch without its border.

    Raises:
        ValueError: when nothing is left.
    """
    if not border:
        return image
    if min(image.shape[2:]) <= 2 * border:
        raise ValueError(f"nothing is left of {image.shape[3]}x{image.shape[2]} px without a border of {border} px")
    return image[:, :, border:-border, border:-border]


def luma(image: Tensor, rule: str | None) -> Tensor:
    """``(n, 1, h, w)`` of a batch in the unit range; the batch as it is without a rule.

    Example:
        >>> import torch
        >>> [round(float(luma(torch.full((1, 3, 1, 1), value), "ycbcr") * 255), 3) for value in (0.0, 1.0)]
        [16.0, 235.0]
    """
    if rule is None:
        return image
    if rule != "ycbcr":
        return colour.luma(image, cast(conventions.Luma, rule))
    weights = image.new_tensor(_YCBCR).view(1, 3, 1, 1)
    return ((image.expand(-1, 3, -1, -1) * weights).sum(1, keepdim=True) + 16) / 255
