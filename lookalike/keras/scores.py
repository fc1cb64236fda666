"""A metric of lookalike as Keras needs it: one score an image, on whichever backend runs.

What is computed – options, defaults, checks of them, smallest side, direction, signature – is stated once, by the
class in `lookalike.metrics`. On the torch backend that class computes, with its kernels; on the others the formula
of this room does, written with `keras.ops`, held to the same numbers by the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import Any, cast

import keras

from lookalike import ranges, registry
from lookalike.keras import batches, colour, cw_ssim, deep, mix, networks, pixel, planes, ssim
from lookalike.ops.features import Features
from lookalike.ranges import DataRange

Formula = Callable[..., Any]  # (definition, x, y), and a mask where the definition takes one

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
# Those whose formula takes a mask after the pair.
MASKED = frozenset({
    "l1", "l2", "rmse", "psnr", "charbonnier", "gaussian_l1", "gaussian_l2", "ciede2000", "lpips_alex", "lpips_vgg",
    "lpips_squeeze", "ssim", "ssim_luminance", "ssim_contrast", "ssim_structure", "ms_ssim",
})  # fmt: skip
# Where two images differ, (n, c, h', w'); of networks the maps of each layer.
MAPS: Mapping[str, Formula] = {
    "l1": pixel.l1_map,
    "l2": pixel.l2_map,
    "charbonnier": pixel.charbonnier_map,
    "gaussian_l1": pixel.gaussian_map,
    "gaussian_l2": pixel.gaussian_map,
    "ssim": ssim.ssim_map,
    "ssim_luminance": ssim.ssim_map,
    "ssim_contrast": ssim.ssim_map,
    "ssim_structure": ssim.ssim_map,
    "ciede2000": colour.ciede2000_map,
    "lpips_alex": deep.lpips_maps,
    "lpips_vgg": deep.lpips_maps,
    "lpips_squeeze": deep.lpips_maps,
    "perceptual": deep.perceptual_maps,
}


class Score:
    """One metric for Keras: ``score(y_true, y_pred) -> (n,)``.

    Args:
        name: in the catalogue of lookalike, one of `FORMULAS`, or an alias.
        options: the metric's own. A network may be a Keras model; then ``preprocess`` says what it was trained on,
            see `networks.Cut`.
        data_range: of the values, None for what their dtypes say, see `batches.range_of`.
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
        self, name: str, options: Mapping[str, Any], *, data_range: DataRange | None, data_format: str | None
    ) -> None:
        self.data_format: batches.DataFormat = batches.data_format(data_format, name)
        self.data_range = data_range
        if data_range is not None:
            ranges.bounds(data_range, name)
        known = registry.metric_class(name).facts.name
        if known not in FORMULAS:
            raise ValueError(f"{name}: not to be had under Keras; there are {', '.join(sorted(FORMULAS))}")
        self.formula = FORMULAS[known]
        options = dict(options)
        for reserved in ("check", "reduction", "data_range"):
            if reserved in options:
                raise TypeError(
                    f"{name}: a metric under Keras has no option {reserved!r}: its checks are those of shapes; "
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
            feature_networks = [part for part in self.metric.children() if isinstance(part, Features)]
            self.maps = networks.Walk(feature_networks[0]) if feature_networks else None

    @property
    def who(self) -> str:
        """The metric's name."""
        return self.metric.facts.name

    @property
    def masks(self) -> bool:
        """Whether it takes a mask on this backend."""
        return self.metric.facts.masks and (keras.backend.backend() == "torch" or self.who in MASKED)

    @property
    def ends(self) -> DataRange:
        """The range in which floats are."""
        return 1.0 if self.data_range is None else self.data_range

    def __call__(self, y_true: Any, y_pred: Any, mask: Any = None) -> Any:
        """Scores ``(n,)`` of a batch.

        Args:
            y_true: references, in the data format.
            y_pred: images judged, same shape.
            mask: what counts, as `batches.weights_of` finds it in ``sample_weight``. An image without a pixel that
                counts scores NaN.

        Raises:
            TypeError, ValueError: as `batches.pair` says; for a mask that the metric does not take.
        """
        if mask is not None and not self.masks:
            raise TypeError(f"{self.who}: takes no mask under Keras on {keras.backend.backend()}")
        x, y, weights = self._enter(y_true, y_pred, mask)
        if weights is None:
            return self._of(x, y)
        scores = self._of(x, y, weights)
        return keras.ops.where(planes.counts(weights), scores, math.nan)

    def _of(self, x: Any, y: Any, *mask: Any) -> Any:
        if batches.shape_alone(x, self.who):
            return planes.mean(x + y)
        if self.maps is not None:
            return self.formula(self.metric, self.maps(x), self.maps(y), *mask)
        if keras.backend.backend() == "torch":
            return self.metric.to(x.device)(x, y, *mask)
        return self.formula(self.metric, x, y, *mask)

    def map(self, y_true: Any, y_pred: Any) -> Any:
        """Where the images differ, in the direction of the score, as the metric's ``map`` in lookalike has it.

        Returns:
            ``(n, h', w', c)``, or ``(n, c, h', w')`` where the channels are first.

        Raises:
            TypeError: for a metric without a map.
            TypeError, ValueError: as `batches.pair` says.

        Example:
            >>> import numpy as np
            >>> score = Score("l1", {}, data_range=255, data_format="channels_last")
            >>> y_true = np.zeros((1, 1, 2, 1), "uint8")
            >>> [round(float(value), 3) for value in score.map(y_true, y_true + np.uint8(51))[0, 0, :, 0]]
            [0.2, 0.2]
        """
        if self.who not in MAPS:
            raise TypeError(f"{self.who}: has no map; {', '.join(MAPS)} have one")
        x, y, _ = self._enter(y_true, y_pred, None)
        if self.maps is not None:
            layers = MAPS[self.who](self.metric, self.maps(x), self.maps(y))
            result = reduce(add, (planes.enlarge(layer, *planes.sides(x)) for layer in layers))
        elif keras.backend.backend() == "torch":
            result = self.metric.to(x.device).map(x, y)
        else:
            result = MAPS[self.who](self.metric, x, y)
        if self.data_format == "channels_first":
            return result
        return keras.ops.transpose(result, (0, *range(2, len(result.shape)), 1))

    def loss(self, y_true: Any, y_pred: Any, mask: Any = None) -> Any:
        """The scores turned so that lower is better and identical images are best, as `algebra.as_loss` does."""
        facts = self.metric.facts
        scores = self(y_true, y_pred, mask)
        if facts.better == "lower":
            return scores
        return -scores if facts.unit == "dB" or math.isinf(facts.identical) else facts.identical - scores

    def _enter(self, y_true: Any, y_pred: Any, mask: Any) -> tuple[Any, Any, Any]:
        return batches.pair(
            y_true, y_pred, who=self.who, mask=mask, data_range=self.data_range, data_format=self.data_format,
            channels=self.metric.channels, min_side=self.metric.min_side, volumes=self.metric.facts.volumes,
        )  # fmt: skip

    @property
    def signature(self) -> str:
        """How a number of this score was made."""
        return self.metric.signature(self.ends)
