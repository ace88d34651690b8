"""PIUmr: person-independent micro-action recognition from skeletons.

``from piumr import Recognizer`` loads a trained model and predicts, without torch. Training lives in
``piumr.training``, the method in ``piumr.tfam`` and ``piumr.girl``.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from piumr.girl import GIRL
    from piumr.inference import Prediction, Recognizer
    from piumr.tfam import TFAM

_LAZY = {"Recognizer": "piumr.inference", "Prediction": "piumr.inference", "TFAM": "piumr.tfam", "GIRL": "piumr.girl"}

__all__ = ["GIRL", "TFAM", "Prediction", "Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import exports when they are asked for: ``import piumr`` alone costs next to nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'piumr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
