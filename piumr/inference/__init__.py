"""Skeleton-only inference: NumPy and ONNX Runtime, neither torch nor MediaPipe."""

from piumr.inference.model_card import ModelCard
from piumr.inference.recognizer import Prediction, Recognizer
from piumr.inference.shipped import DEFAULT_MODEL, shipped_models

__all__ = ["DEFAULT_MODEL", "ModelCard", "Prediction", "Recognizer", "shipped_models"]
