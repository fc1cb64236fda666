"""Losses: `keras.losses.Loss` subclasses, one value an image, reduced and weighted by Keras.

Names, options and defaults are those of `lookalike.metrics`; a score becomes a loss as in `lookalike.algebra`:
higher is better with identical = v gives v − s, PSNR gives −PSNR, lower is better gives s.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from lookalike.keras import batches, planes
from lookalike.keras.config import at_least_single, plain, restored
from lookalike.keras.scores import Score
from lookalike.keras.targets import Look
from lookalike.losses import is_preset, parse
from lookalike.losses.presets import preset
from lookalike.ranges import DataRange
from lookalike.registry import options_of

_register: Any = keras.saving.register_keras_serializable("lookalike")


class _Loss(keras.losses.Loss):
    """What Keras' own losses lack: integers, masks of pixels, a look at the first references, the dtype saved."""

    def __init__(self, *, name: str | None, reduction: str | None, dtype: Any) -> None:
        super().__init__(name=name, reduction=reduction, dtype=at_least_single(dtype))
        self._look = Look()

    def scores(self) -> list[Score]:
        """The scores it is made of."""
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any, mask: Any = None) -> Any:
        """The loss of each image, ``(n,)``; NaN where a mask leaves nothing of it."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch, weighted and reduced by Keras.

        Args:
            y_true: references.
            y_pred: images judged, same shape.
            sample_weight: one weight an image, or a mask of pixels, see `batches.weights_of`. An image of which a
                mask leaves nothing is left out of the mean.

        Raises:
            TypeError, ValueError: as `batches.pair` and `batches.weights_of` say.
        """
        first, masks = self.scores()[0], all(score.masks for score in self.scores())
        references = y_true
        y_true, y_pred = (batches.as_tensor(batch, self.dtype) for batch in (y_true, y_pred))
        weights, mask = batches.weights_of(
            sample_weight, y_true, first.who, data_format=first.data_format, masks=masks
        )
        who = first.who if len(self.scores()) == 1 else "loss"
        self._look.at(references, mask, {score.ends for score in self.scores()}, who)
        with keras.name_scope(self.name):
            values = self.call(y_true, y_pred, mask)
        if mask is not None:
            counts = planes.counts(keras.ops.cast(mask, "float32"))
            values = keras.ops.where(counts, values, 0.0)
            weights = keras.ops.cast(counts, values.dtype)
            if self.reduction in ("sum_over_batch_size", "mean"):  # which divide by the number of all images
                weights = keras.ops.divide_no_nan(weights, keras.ops.mean(weights))
        return _Reduction(self.name, self.reduction, self.dtype)(values, values, weights)

    def get_config(self) -> dict[str, Any]:
        """What Keras keeps, and the dtype."""
        return super().get_config() | {"dtype": self.dtype}


class _Reduction(keras.losses.Loss):
    """Keras' weighting and reduction of values that are computed already."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


class ImageLoss(_Loss):
    """A metric of lookalike as a loss of Keras: ``loss(y_true, y_pred, sample_weight=None)``.

    Args:
        data_range: of the values, a width from 0 or ``(low, high)``. None: floats are in [0, 1], uint8 in 0-255,
            uint16 in 0-65535. Values of integers and floats together, such as 8-bit images beside a model's output,
            need one for both. The first references are looked at: where they do not fit, a warning says what to
            pass, see `targets`.
        data_format: ``"channels_last"``, ``"channels_first"``, or None for that of ``keras.config``.
        reduction, name, dtype: as in `keras.losses.Loss`; formula and value are in float32 whatever the policy
            ("float64" is kept).
        options: those of the metric in `lookalike.metrics`.

    Raises:
        ValueError, TypeError: for options that do not fit; on the first batch for shapes that do not.
    """

    metric: ClassVar[str]

    def __init__(
        self,
        *,
        data_range: DataRange | None = None,
        data_format: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.options = options
        self.score = Score(self.metric, options, data_range=data_range, data_format=data_format)

    def scores(self) -> list[Score]:
        """The one score."""
        return [self.score]

    def call(self, y_true: Any, y_pred: Any, mask: Any = None) -> Any:
        """The loss of each image, ``(n,)``; NaN where a mask leaves nothing of it."""
        return self.score.loss(y_true, y_pred, mask)

    def map(self, y_true: Any, y_pred: Any) -> Any:
        """Where the images differ, as `Score.map` has it."""
        return self.score.map(y_true, y_pred)

    def signature(self) -> str:
        """How the metric's number is made: the signature of lookalike."""
        return self.score.signature

    def get_config(self) -> dict[str, Any]:
        """What makes the same loss again."""
        own = {"data_range": self.score.data_range, "data_format": self.score.data_format, **self.options}
        return super().get_config() | {name: plain(value) for name, value in own.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageLoss:
        """The loss of a configuration."""
        return cls(**restored(config, cls.__name__))


@_register
class L1Loss(ImageLoss):
    """Mean absolute error in the unit range; see `metrics.pixel.L1`.

    Example:
        >>> from keras import ops
        >>> round(float(L1Loss(data_range=255)(ops.zeros((1, 2, 2, 1)), 51 * ops.ones((1, 2, 2, 1)))), 6)
        0.2
    """

    metric = "l1"


@_register
class L2Loss(ImageLoss):
    """Mean squared error in the unit range; see `metrics.pixel.L2`."""

    metric = "l2"


@_register
class RMSELoss(ImageLoss):
    """Root of each image's mean squared error; see `metrics.pixel.RMSE`."""

    metric = "rmse"


@_register
class PSNRLoss(ImageLoss):
    """−PSNR in decibels; option ``cap_db``; see `metrics.pixel.PSNR`."""

    metric = "psnr"


@_register
class CharbonnierLoss(ImageLoss):
    """Mean of √(d² + ε²); option ``epsilon``; see `metrics.pixel.Charbonnier`."""

    metric = "charbonnier"


@_register
class GaussianL1Loss(ImageLoss):
    """Gaussian-filtered absolute error; option ``sigma``; see `metrics.pixel.GaussianL1`."""

    metric = "gaussian_l1"


@_register
class GaussianL2Loss(ImageLoss):
    """Gaussian-filtered squared error; option ``sigma``; see `metrics.pixel.GaussianL2`."""

    metric = "gaussian_l2"


@_register
class SSIMLoss(ImageLoss):
    """1 − SSIM; options as for `metrics.ssim.SSIM`: ``convention``, ``win_size``, ``sigma``, ``border`` …

    Example:
        >>> from keras import ops
        >>> ramp = ops.broadcast_to(ops.reshape(ops.linspace(0.0, 1.0, 16), (1, 1, 16, 1)), (1, 16, 16, 1))
        >>> round(float(SSIMLoss()(ramp, ops.flip(ramp, 2))), 5)
        1.82662
    """

    metric = "ssim"


@_register
class MSSSIMLoss(ImageLoss):
    """1 − MS-SSIM; options as for `metrics.ssim.MSSSIM`: ``convention``, ``weights``, ``small``, ``negative`` …"""

    metric = "ms_ssim"


@_register
class MixLoss(ImageLoss):
    """The mix of Zhao et al. 2017 as in the paper, α = 0.84; options ``alpha``, ``sigmas``, ``border``.

    See `metrics.zhao.ZhaoMix`; `MixCodeLoss` is that of the authors' code, `MSSSIML1Loss` the common one.

    Example:
        >>> from keras import ops
        >>> grey = ops.ones((1, 32, 32, 1))
        >>> round(float(MixLoss()(0.5 * grey, 0.4 * grey)), 4)
        0.0365
    """

    metric = "zhao_mix"


@_register
class MixCodeLoss(ImageLoss):
    """The mix of Zhao et al. 2017 as in the authors' code, α = 0.025; see `metrics.zhao.ZhaoMixCode`."""

    metric = "zhao_mix_code"


@_register
class MSSSIML1Loss(ImageLoss):
    """0.84·(1 − MS-SSIM) + 0.16·L1 with the dyadic MS-SSIM; option ``alpha``; see `metrics.zhao.MSSSIML1`."""

    metric = "ms_ssim_l1"


@_register
class CWSSIMLoss(ImageLoss):
    """1 − CW-SSIM; options as for `metrics.cw_ssim.CWSSIM`: ``levels``, ``orientations``, ``win_size`` …"""

    metric = "cw_ssim"


@_register
class CIEDE2000Loss(ImageLoss):
    """Mean CIEDE2000 difference of sRGB images; see `metrics.colour.CIEDE2000`."""

    metric = "ciede2000"


@_register
class PerceptualLoss(ImageLoss):
    """Distance of deep features; options as for `metrics.perceptual.Perceptual`, with its defaults.

    Args:
        network: a known network by name (weights as everywhere in lookalike, or ``network_file``), or a Keras
            model, such as ``keras.applications.VGG19(include_top=False, weights="vgg19.weights.h5")``. A model is
            not part of what is saved with the loss.
        layers: of it; of a Keras model the names of layers, whose outputs in keras.applications are after the ReLU.
        preprocess: what a Keras model was trained on: ``"caffe"`` (keras.applications' VGGs), ``"tf"``, ``"torch"``
            or ``"unit"``.
        distance, network_file, pooling, normalise: as there; of a Keras model ``distance`` alone.
    """

    metric = "perceptual"


@_register
class ContextualLoss(ImageLoss):
    """Contextual loss and CoBi; options as for `metrics.contextual.Contextual`, with its defaults.

    Args:
        features: a known network by name, or a Keras model, as `PerceptualLoss` has it.
        layers, preprocess: as in `PerceptualLoss`.
        distance, bandwidth, spatial_weight, sampling, positions, seed: as there. On TensorFlow and JAX the matrix
            of all pairs of positions is held; ``sampling="paired"`` bounds it.
    """

    metric = "contextual"


@_register
class ContextualPatchesLoss(ImageLoss):
    """The contextual loss on raw patches, without a network; see `metrics.contextual.ContextualPatches`."""

    metric = "contextual_patches"


@_register
class LPIPSAlexLoss(ImageLoss):
    """LPIPS on AlexNet; options ``network_file``, ``heads_file``; see `metrics.lpips.LPIPSAlex`."""

    metric = "lpips_alex"


@_register
class LPIPSVGGLoss(ImageLoss):
    """LPIPS on VGG16, which its authors recommend as a loss; see `metrics.lpips.LPIPSVGG`."""

    metric = "lpips_vgg"


@_register
class LPIPSSqueezeLoss(ImageLoss):
    """LPIPS on SqueezeNet 1.1, the smallest; see `metrics.lpips.LPIPSSqueeze`."""

    metric = "lpips_squeeze"


@_register
class ExpressionLoss(_Loss):
    """A weighted sum of metrics as a loss; made by `loss_from`.

    Attributes:
        expression: as it was given.
        terms: (weight, score) of each term, in reading order.
    """

    def __init__(
        self,
        expression: str,
        *,
        data_range: DataRange | None = None,
        convention: str | None = None,
        data_format: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.expression, self.convention = expression, convention
        self.data_range, self.data_format = data_range, data_format
        self.terms: list[tuple[float, Score]] = []
        for term in parse(_formula_of(expression, convention)):
            options = {"data_range": data_range, **term.options}
            if convention is not None and "convention" in options_of(term.name):
                options.setdefault("convention", convention)
            score = Score(term.name, options, data_format=data_format, data_range=options.pop("data_range"))
            self.terms.append((term.weight, score))

    def scores(self) -> list[Score]:
        """Those of the terms."""
        return [score for _, score in self.terms]

    def call(self, y_true: Any, y_pred: Any, mask: Any = None) -> Any:
        """The loss of each image, ``(n,)``; NaN where a mask leaves nothing of it."""
        return sum(weight * score.loss(y_true, y_pred, mask) for weight, score in self.terms)

    def signature(self) -> str:
        """The formula with each term's signature."""
        return " + ".join(f"{weight:g}*[{score.signature}]" for weight, score in self.terms)

    def get_config(self) -> dict[str, Any]:
        """What makes the same loss again."""
        own = ("expression", "data_range", "convention", "data_format")
        return super().get_config() | {name: plain(getattr(self, name)) for name in own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ExpressionLoss:
        """The loss of a configuration."""
        return cls(**restored(config, cls.__name__))


def loss_from(expression: str, **options: Any) -> ExpressionLoss:
    """A loss from an expression, in the grammar of `lookalike.loss`: ``loss_from("0.84*ms_ssim + 0.16*l1")``.

    Args:
        expression: numbers, ``+ - *``, parentheses, metric names, ``name(option=value)``; or a preset's name, such
            as ``"3dgs"`` or ``"seed/ssim_l1"``.
        options: ``data_range``, ``convention`` (for every term that has conventions and names none itself),
            ``data_format``, ``reduction``, ``name``, ``dtype``.

    Raises:
        ValueError: for another grammar, or a name that is unknown or has no formula here, with the nearest one; for
            a published preset, whose value is of a batch and not of its images.
        TypeError: for an unknown option.

    Example:
        >>> from keras import ops
        >>> round(float(loss_from("2*l1 - l2")(ops.zeros((1, 4, 4, 3)), 0.5 * ops.ones((1, 4, 4, 3)))), 6)
        0.75
    """
    return ExpressionLoss(expression, **options)


def _formula_of(expression: str, convention: str | None) -> str:
    """The expression, or that of the preset it names."""
    if not isinstance(expression, str) or not is_preset(expression.strip()):
        return expression
    row = preset(expression.strip())
    if row.parts:
        raise ValueError(
            f"loss: {row.name} scores a whole batch and not its images, so Keras cannot weigh them; use "
            f"{row.name.removesuffix('@published')!r}, or the published one as lookalike.loss"
        )
    if convention is not None:
        raise ValueError(f"loss: {row.name} says its own convention: {row.formula}")
    return row.expression
