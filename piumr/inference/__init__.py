"""Skeleton-only inference: NumPy and ONNX Runtime, neither torch nor MediaPipe."""

from piumr.inference.model_card import ModelCard
from piumr.inference.recognizer import Prediction, Recognizer

__all__ = ["ModelCard", "Prediction", "Recognizer"]
