"""What a local similarity is computed with: the one argument that the references and the kernels share."""

from __future__ import annotations

from typing import NamedTuple

from lookalike.conventions import Border, Halving
from lookalike.ops.window import Taps


class Setting(NamedTuple):
    """A window, what lies beyond the border, and the constants of the formula.

    Attributes:
        taps: the separable window along every axis, or one for each axis, summing to 1.
        border: how the images are extended; ``"valid"`` keeps only windows that fit.
        c1, c2: the constants (K1 L)² and (K2 L)² for the unit range; those of Wang et al. 2004.
        unbias: factor of variances, N/(N-1) for the sample covariance of N equal taps.

    Example:
        >>> Setting((0.25, 0.5, 0.25)).border
        'valid'
    """

    taps: Taps
    border: Border = "valid"
    c1: float = 0.01**2
    c2: float = 0.03**2
    unbias: float = 1.0


class Mixture(NamedTuple):
    """A setting, and the share of the structural part in a mix with L1."""

    setting: Setting
    share: float = 0.2


class Scales(NamedTuple):
    """A setting, and how a pyramid is built.

    Attributes:
        setting: of every scale.
        levels: number of scales.
        last_border: border of the coarsest scale, where it differs.
        halving: how odd sides are halved between scales, see `ops.window.halve`.
    """

    setting: Setting
    levels: int
    last_border: Border | None = None
    halving: Halving = "symmetric"

    def at(self, level: int) -> Setting:
        """The setting of one scale, the finest first.

        Example:
            >>> [Scales(Setting((1.0,)), 2, "zero").at(level).border for level in range(2)]
            ['valid', 'zero']
        """
        if self.last_border is None or level < self.levels - 1:
            return self.setting
        return self.setting._replace(border=self.last_border)


AnySetting = Setting | Mixture | Scales
