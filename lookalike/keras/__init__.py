"""The Keras 3 face: losses and metrics for ``model.compile``, on TensorFlow, JAX and PyTorch.

    from lookalike.keras import PSNR, SSIM, SSIMLoss
    model.compile(optimizer="adam", loss=SSIMLoss(), metrics=[PSNR(), SSIM(), "mae"])

``y_true`` is the reference. The backend is Keras's (``KERAS_BACKEND``); the numbers are those of lookalike on PyTorch.
"""

from __future__ import annotations

try:
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise ModuleNotFoundError(
            f"lookalike.keras: Keras is here but its backend is not ({error}); set KERAS_BACKEND to tensorflow, jax or "
            "torch, whichever is installed",
            name=error.name,
        ) from error
    raise ModuleNotFoundError(
        "lookalike.keras needs Keras 3: pip install 'lookalike[keras]', and TensorFlow or JAX unless KERAS_BACKEND=torch",
        name="keras",
    ) from None

if _keras.__version__.startswith("2."):
    raise ImportError(f"lookalike.keras needs Keras 3, found {_keras.__version__}: pip install 'lookalike[keras]'")

from lookalike.keras.losses import (
    CIEDE2000Loss as CIEDE2000Loss,
    CWSSIMLoss as CWSSIMLoss,
    CharbonnierLoss as CharbonnierLoss,
    ContextualLoss as ContextualLoss,
    ContextualPatchesLoss as ContextualPatchesLoss,
    ExpressionLoss as ExpressionLoss,
    GaussianL1Loss as GaussianL1Loss,
    GaussianL2Loss as GaussianL2Loss,
    L1Loss as L1Loss,
    L2Loss as L2Loss,
    LPIPSAlexLoss as LPIPSAlexLoss,
    LPIPSSqueezeLoss as LPIPSSqueezeLoss,
    LPIPSVGGLoss as LPIPSVGGLoss,
    MSSSIML1Loss as MSSSIML1Loss,
    MSSSIMLoss as MSSSIMLoss,
    MixCodeLoss as MixCodeLoss,
    MixLoss as MixLoss,
    PSNRLoss as PSNRLoss,
    PerceptualLoss as PerceptualLoss,
    RMSELoss as RMSELoss,
    SSIMLoss as SSIMLoss,
    loss_from as loss_from,
)
from lookalike.keras.metrics import (
    CIEDE2000 as CIEDE2000,
    CWSSIM as CWSSIM,
    Charbonnier as Charbonnier,
    Contextual as Contextual,
    L1 as L1,
    L2 as L2,
    LPIPSAlex as LPIPSAlex,
    LPIPSSqueeze as LPIPSSqueeze,
    LPIPSVGG as LPIPSVGG,
    MSSSIM as MSSSIM,
    PSNR as PSNR,
    Perceptual as Perceptual,
    RMSE as RMSE,
    SSIM as SSIM,
)
