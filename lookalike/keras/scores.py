"""A metric of lookalike as Keras needs it: one score an image, on whichever backend runs.

What is computed – options, defaults, checks of them, smallest side, direction, signature – is said once, by the
class in `lookalike.metrics`. On the torch backend that class computes, with its kernels; on the others the formula
of this room does, written with `keras.ops`, held to the same numbers by the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import keras

from lookalike import ranges, registry
from lookalike.keras import batches, colour, cw_ssim, deep, mix, networks, pixel, ssim
from lookalike.ops.features import Features
from lookalike.ranges import DataRange

Formula = Callable[[Any, Any, Any], Any]

FORMULAS: Mapping[str, Formula] = {
    "l1": pixel.l1,
    "l2": pixel.l2,
    "rmse": pixel.rmse,
    "psnr": pixel.psnr,
    "charbonnier": pixel.charbonnier,
    "gaussian_l1": pixel.gaussian,
    "gaussian_l2": pixel.gaussian,
    "ssim": ssim.ssim,
    "ssim_luminance": ssim.ssim,
    "ssim_contrast": ssim.ssim,
    "ssim_structure": ssim.ssim,
    "ms_ssim": ssim.ms_ssim,
    "zhao_mix": mix.zhao_mix,
    "zhao_mix_code": mix.zhao_mix,
    "ms_ssim_l1": mix.ms_ssim_l1,
    "cw_ssim": cw_ssim.cw_ssim,
    "ciede2000": colour.ciede2000,
    "contextual_patches": deep.contextual_patches,
    "lpips_alex": deep.lpips,
    "lpips_vgg": deep.lpips,
    "lpips_squeeze": deep.lpips,
    "perceptual": deep.perceptual,
    "contextual": deep.contextual,
}
# Of these the formula takes the maps that a network makes of both images, and the option that names the network.
NETWORKS: Mapping[str, str] = {
    "lpips_alex": "", "lpips_vgg": "", "lpips_squeeze": "", "perceptual": "network", "contextual": "features",
}  # fmt: skip


class Score:
    """One metric for Keras: ``score(y_true, y_pred) -> (n,)``.

    Args:
        name: in the catalogue of lookalike, one of `FORMULAS`, or an alias.
        options: the metric's own. A network may be a Keras model; then ``preprocess`` says what it was trained on,
            see `networks.Cut`.
        data_range: of the values, whatever their dtype.
        data_format: ``"channels_last"``, ``"channels_first"``, or None for that of ``keras.config``.

    Attributes:
        metric: the definition, of `lookalike.metrics`.

    Raises:
        ValueError: for a name without a formula here, with the nearest one, and for bad options.
        TypeError: for an unknown option, with the nearest one, and for what Keras decides.

    Example:
        >>> from keras import ops
        >>> score = Score("psnr", {}, data_range=1.0, data_format="channels_last")
        >>> round(float(score(ops.ones((1, 2, 2, 1)), 0.9 * ops.ones((1, 2, 2, 1)))[0]), 3)
        20.0
    """

    def __init__(
        self, name: str, options: Mapping[str, Any], *, data_range: DataRange, data_format: str | None
    ) -> None:
        self.data_format: batches.DataFormat = batches.data_format(data_format, name)
        self.data_range = data_range
        ranges.bounds(data_range, name)
        known = registry.metric_class(name).facts.name
        if known not in FORMULAS:
            raise ValueError(f"{name}: not to be had under Keras; there are {', '.join(sorted(FORMULAS))}")
        self.formula = FORMULAS[known]
        options = dict(options)
        for taken in ("check", "reduction", "data_range"):
            if taken in options:
                raise TypeError(
                    f"{name}: a metric under Keras has no option {taken!r}: shapes are checked, values are not; "
                    "data_range= and reduction= belong to the loss"
                )
        option = NETWORKS.get(known, "")
        model = options.get(option)
        preprocess = options.pop("preprocess", None) if option else None
        if isinstance(model, keras.Model):
            default = (registry.metric_class(known).__init__.__kwdefaults__ or {})["layers"]
            layers = options.setdefault("layers", default)
            options |= {option: networks.stand_in(layers), "normalise": False}
        elif preprocess is not None:
            raise ValueError(f"{name}: preprocess belongs to a Keras model; the known networks bring their own")
        # The pair comes in the unit range, and a graph has no values that could be checked.
        self.metric = registry.get(known, **options, check="shapes")
        self.maps: networks.Maps | None = None
        if isinstance(model, keras.Model):
            self.maps = networks.Cut(model, list(cast(Any, self.metric).weights), preprocess, known)
        elif known in NETWORKS and keras.backend.backend() != "torch":
            found = [part for part in self.metric.children() if isinstance(part, Features)]
            self.maps = networks.Walk(found[0]) if found else None

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Scores ``(n,)`` of a batch.

        Raises:
            ValueError: as `batches.pair` says.
        """
        x, y = batches.pair(
            y_true, y_pred, who=self.metric.facts.name, data_range=self.data_range, data_format=self.data_format,
            channels=self.metric.channels, min_side=self.metric.min_side,
        )  # fmt: skip
        if self.maps is not None:
            return self.formula(self.metric, self.maps(x), self.maps(y))
        if keras.backend.backend() == "torch":
            if x.device.type == "meta":  # Keras asks for the shape alone
                return x.mean((1, 2, 3))
            return self.metric.to(x.device)(x, y)
        return self.formula(self.metric, x, y)

    def loss(self, y_true: Any, y_pred: Any) -> Any:
        """The scores turned so that lower is better and identical images are best, as `algebra.as_loss` does."""
        facts = self.metric.facts
        scores = self(y_true, y_pred)
        if facts.better == "lower":
            return scores
        return -scores if facts.unit == "dB" or math.isinf(facts.identical) else facts.identical - scores

    @property
    def signature(self) -> str:
        """How a number of this score was made."""
        return self.metric.signature(self.data_range)
