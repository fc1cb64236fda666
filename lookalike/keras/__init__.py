"""The Keras 3 face: losses and metrics for ``model.compile``, on TensorFlow, JAX and PyTorch.

    from lookalike.keras import PSNR, SSIM, SSIMLoss
    model.compile(optimizer="adam", loss=SSIMLoss(), metrics=[PSNR(), SSIM(), "mae"])

``y_true`` is the reference. The backend is Keras's (``KERAS_BACKEND``); the numbers are those of PyTorch.
"""

from __future__ import annotations

try:
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise ModuleNotFoundError(
            f"lookalike.keras: Keras is here but its backend is not ({error}); set KERAS_BACKEND to one of "
            "tensorflow, jax and torch that is installed",
            name=error.name,
        ) from error
    raise ModuleNotFoundError(
        "lookalike.keras needs Keras 3: pip install 'lookalike[keras]', and TensorFlow or JAX "
        "unless KERAS_BACKEND=torch",
        name="keras",
    ) from None

if _keras.__version__.startswith("2."):
    raise ImportError(f"lookalike.keras needs Keras 3, found {_keras.__version__}: pip install 'lookalike[keras]'")

from lookalike.keras.losses import (
    CharbonnierLoss as CharbonnierLoss,
)
from lookalike.keras.losses import (
    CIEDE2000Loss as CIEDE2000Loss,
)
from lookalike.keras.losses import (
    ContextualLoss as ContextualLoss,
)
from lookalike.keras.losses import (
    ContextualPatchesLoss as ContextualPatchesLoss,
)
from lookalike.keras.losses import (
    CWSSIMLoss as CWSSIMLoss,
)
from lookalike.keras.losses import (
    ExpressionLoss as ExpressionLoss,
)
from lookalike.keras.losses import (
    GaussianL1Loss as GaussianL1Loss,
)
from lookalike.keras.losses import (
    GaussianL2Loss as GaussianL2Loss,
)
from lookalike.keras.losses import (
    L1Loss as L1Loss,
)
from lookalike.keras.losses import (
    L2Loss as L2Loss,
)
from lookalike.keras.losses import (
    LPIPSAlexLoss as LPIPSAlexLoss,
)
from lookalike.keras.losses import (
    LPIPSSqueezeLoss as LPIPSSqueezeLoss,
)
from lookalike.keras.losses import (
    LPIPSVGGLoss as LPIPSVGGLoss,
)
from lookalike.keras.losses import (
    MixCodeLoss as MixCodeLoss,
)
from lookalike.keras.losses import (
    MixLoss as MixLoss,
)
from lookalike.keras.losses import (
    MSSSIML1Loss as MSSSIML1Loss,
)
from lookalike.keras.losses import (
    MSSSIMLoss as MSSSIMLoss,
)
from lookalike.keras.losses import (
    PerceptualLoss as PerceptualLoss,
)
from lookalike.keras.losses import (
    PSNRLoss as PSNRLoss,
)
from lookalike.keras.losses import (
    RMSELoss as RMSELoss,
)
from lookalike.keras.losses import (
    SSIMLoss as SSIMLoss,
)
from lookalike.keras.losses import (
    loss_from as loss_from,
)
from lookalike.keras.metrics import (
    CIEDE2000 as CIEDE2000,
)
from lookalike.keras.metrics import (
    CWSSIM as CWSSIM,
)
from lookalike.keras.metrics import (
    L1 as L1,
)
from lookalike.keras.metrics import (
    L2 as L2,
)
from lookalike.keras.metrics import (
    LPIPSVGG as LPIPSVGG,
)
from lookalike.keras.metrics import (
    MSSSIM as MSSSIM,
)
from lookalike.keras.metrics import (
    PSNR as PSNR,
)
from lookalike.keras.metrics import (
    RMSE as RMSE,
)
from lookalike.keras.metrics import (
    SSIM as SSIM,
)
from lookalike.keras.metrics import (
    Charbonnier as Charbonnier,
)
from lookalike.keras.metrics import (
    Contextual as Contextual,
)
from lookalike.keras.metrics import (
    LPIPSAlex as LPIPSAlex,
)
from lookalike.keras.metrics import (
    LPIPSSqueeze as LPIPSSqueeze,
)
from lookalike.keras.metrics import (
    Perceptual as Perceptual,
)
