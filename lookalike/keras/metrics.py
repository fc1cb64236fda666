"""Metrics: `keras.metrics.Metric` subclasses, the mean over images of a score.

Names, options and defaults are those of `lookalike.metrics`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from lookalike.keras import batches, planes
from lookalike.keras.config import at_least_single, plain, restored
from lookalike.keras.scores import Score
from lookalike.keras.targets import Look
from lookalike.ranges import DataRange

_register: Any = keras.saving.register_keras_serializable("lookalike")


class ImageMetric(keras.metrics.Mean):
    """A metric of lookalike as a metric of Keras: ``update_state(y_true, y_pred, sample_weight=None)``.

    Args:
        data_range: of the values, as in `losses.ImageLoss`.
        data_format: ``"channels_last"``, ``"channels_first"``, or None for that of ``keras.config``.
        name: None for that of lookalike's catalogue.
        dtype: of the mean, at least float32; scores are computed in float32 (float64 stays float64).
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
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name or self.metric, dtype=at_least_single(dtype))
        self.options = options
        self.score = Score(self.metric, options, data_range=data_range, data_format=data_format)
        self._look = Look()
        # The direction that callbacks such as EarlyStopping(mode="auto") read.
        self._direction = "up" if self.score.metric.facts.better == "higher" else "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count the scores of a batch, each with its weight.

        Args:
            y_true: references.
            y_pred: images judged, same shape.
            sample_weight: one weight an image, or a mask of pixels, see `batches.weights_of`. An image of which a
                mask leaves nothing has no score and is left out. Keras gives it to ``weighted_metrics`` alone.

        Raises:
            TypeError, ValueError: as `batches.pair` and `batches.weights_of` say.
        """
        references = y_true
        y_true, y_pred = (batches.as_tensor(batch) for batch in (y_true, y_pred))
        score = self.score
        weights, mask = batches.weights_of(
            sample_weight, y_true, self.metric, data_format=score.data_format, masks=score.masks
        )
        self._look.at(references, mask, {score.ends}, self.metric)
        values = score(y_true, y_pred, mask)
        if mask is not None:
            counts = planes.counts(keras.ops.cast(mask, "float32"))
            values, weights = keras.ops.where(counts, values, 0.0), keras.ops.cast(counts, values.dtype)
        return super().update_state(values, weights)

    def map(self, y_true: Any, y_pred: Any) -> Any:
        """Where the images differ, as `Score.map` has it; nothing is counted."""
        return self.score.map(y_true, y_pred)

    def signature(self) -> str:
        """How the number is made: the signature of lookalike."""
        return self.score.signature

    def get_config(self) -> dict[str, Any]:
        """What makes the same metric again."""
        own = {"data_range": self.score.data_range, "data_format": self.score.data_format, **self.options}
        return super().get_config() | {name: plain(value) for name, value in own.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageMetric:
        """The metric of a configuration."""
        return cls(**restored(config, cls.__name__))


@_register
class L1(ImageMetric):
    """Mean absolute error in the unit range; see `metrics.pixel.L1`."""

    metric = "l1"


@_register
class L2(ImageMetric):
    """Mean squared error in the unit range; see `metrics.pixel.L2`."""

    metric = "l2"


@_register
class RMSE(ImageMetric):
    """Mean over images of the root of the mean squared error; see `metrics.pixel.RMSE`."""

    metric = "rmse"


@_register
class PSNR(ImageMetric):
    """Mean over images of the peak signal-to-noise ratio in decibels; see `metrics.pixel.PSNR`.

    Example:
        >>> from keras import ops
        >>> psnr = PSNR()
        >>> _ = psnr.update_state(ops.ones((2, 4, 4, 1)), 0.9 * ops.ones((2, 4, 4, 1)))
        >>> round(float(psnr.result()), 3)
        20.0
    """

    metric = "psnr"


@_register
class Charbonnier(ImageMetric):
    """Mean of √(d² + ε²); see `metrics.pixel.Charbonnier`."""

    metric = "charbonnier"


@_register
class SSIM(ImageMetric):
    """Structural similarity; see `metrics.ssim.SSIM`."""

    metric = "ssim"


@_register
class MSSSIM(ImageMetric):
    """Multi-scale structural similarity; see `metrics.ssim.MSSSIM`."""

    metric = "ms_ssim"


@_register
class CWSSIM(ImageMetric):
    """Complex wavelet structural similarity; see `metrics.cw_ssim.CWSSIM`."""

    metric = "cw_ssim"


@_register
class CIEDE2000(ImageMetric):
    """Mean colour difference of sRGB images; see `metrics.colour.CIEDE2000`."""

    metric = "ciede2000"


@_register
class Contextual(ImageMetric):
    """The contextual loss as a metric; see `losses.ContextualLoss`."""

    metric = "contextual"


@_register
class Perceptual(ImageMetric):
    """Distance of deep features; see `losses.PerceptualLoss`."""

    metric = "perceptual"


@_register
class LPIPSAlex(ImageMetric):
    """LPIPS on AlexNet, which its authors recommend as a metric; see `metrics.lpips.LPIPSAlex`."""

    metric = "lpips_alex"


@_register
class LPIPSVGG(ImageMetric):
    """LPIPS on VGG16; see `metrics.lpips.LPIPSVGG`."""

    metric = "lpips_vgg"


@_register
class LPIPSSqueeze(ImageMetric):
    """LPIPS on SqueezeNet 1.1; see `metrics.lpips.LPIPSSqueeze`."""

    metric = "lpips_squeeze"
