"""What a viewer shows: one reference, what is judged against it, where they differ and by how much; the contract
between scoring, which makes it, and the page.

Pictures and maps are PNG files in memory, ready to be put into a page. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of map, the same for every picture: what its levels mean and where it lies.

    Attributes:
        name: of the metric whose map it is.
        title: in words.
        signature: how its values were made.
        low, high: the values of level 0 and level `LEVELS`; what lies outside has the level of the nearer end.
        alike: the value where two pictures are alike, one of the two.
        left, top: the pixel of the picture on which the map's first value lies.
        width, height: of the map in pixels; smaller than the picture where only windows that fit have a value.
    """

    name: str
    title: str
    signature: str
    low: float
    high: float
    alike: float
    left: int
    top: int
    width: int
    height: int


LEVELS = 254
"""The highest level of a map: an even number, so that the middle of the scale has a level of its own."""


class Picture(NamedTuple):
    """One picture.

    Attributes:
        name: as it is to be shown; of text that UTF-8 can hold.
        png: 8 bits a channel, grey or RGB: the values, or the high bytes of 16-bit values.
        low_bytes: of 16-bit values, a PNG likewise; None where there are 8 bits.
        maps: for each kind by name, a grey PNG of levels.
    """

    name: str
    png: bytes
    low_bytes: bytes | None
    maps: Mapping[str, bytes]


class Number(NamedTuple):
    """One metric of every judged picture.

    Attributes:
        metric, better, unit: its name, which direction is better, and the unit of its values.
        signature: how they were made, "" where there are none.
        values: one for each judged picture, None where the metric declined it.
        reason: why it declined, "" where it did not.
    """

    metric: str
    better: str
    unit: str
    signature: str
    values: tuple[float | None, ...]
    reason: str


class View(NamedTuple):
    """All that one page shows.

    Attributes:
        width, height: of every picture, in pixels.
        bits: of a channel, 8 or 16.
        channels: 1 for grey, 3 for RGB.
        reference: the picture that is right.
        judged: the others, at least one.
        kinds: of maps that there are.
        absent: kinds that there are not, each with the reason.
        numbers: one entry a metric.
    """

    width: int
    height: int
    bits: int
    channels: int
    reference: Picture
    judged: tuple[Picture, ...]
    kinds: tuple[Kind, ...]
    absent: Mapping[str, str]
    numbers: tuple[Number, ...]
