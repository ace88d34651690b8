"""``Recognizer``: a ``model.onnx`` and pose sequences in, predictions out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.model_card import METADATA_KEY, ModelCard
from piumr.preprocessing import Mask, Points, image_points, normalise, resample
from pose_extract.schema import PoseSequence

BATCH = 64
"""Clips that go through the network at once: memory stays flat however many are asked for."""


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one clip.

    Attributes:
        label: name of the most probable class, or None where no landmark was seen: then there is nothing to say.
        probabilities: float32 (K,), summing to one; zeros where the label is None.
        class_names: K names.
        coarse: name of the label's coarse class, where the set has coarse classes.
    """

    label: str | None
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    coarse: str | None = None

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The ``count`` most probable classes and their probabilities, best first; none where nothing was seen."""
        if self.label is None:
            return []
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.class_names[i], float(self.probabilities[i])) for i in best]

    def to_dict(self, count: int = 5) -> dict[str, Any]:
        """Plain types for JSON: label, confidence, coarse class, top classes."""
        top = [{"label": name, "probability": round(p, 6)} for name, p in self.top(count)]
        coarse = {"coarse": self.coarse} if self.coarse is not None else {}
        return {"label": self.label, "confidence": top[0]["probability"] if top else None, **coarse, "top": top}


class Recognizer:
    """A trained model, ready to predict. Needs NumPy and ONNX Runtime only.

    Example::

        recognizer = Recognizer("model.onnx")
        prediction = recognizer.predict(read_poses("poses/clip.npz"))[0]
        print(prediction.label, prediction.top(3))

    Args:
        model: path of a ``model.onnx`` written by PIUmr.
        threads: threads of ONNX Runtime; None lets it choose.

    Attributes:
        card: classes, layout and preprocessing.

    Raises:
        PiumrError: if the file is missing, is no ONNX model or none of ours, or its card describes another network.
    """

    def __init__(self, model: str | os.PathLike[str], threads: int | None = None) -> None:
        path = Path(model)
        if not path.is_file():
            raise PiumrError(f"Expected `model` to be a model.onnx, but there is no file {str(path)!r}.")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is said below, in one line
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception:  # ONNX Runtime's errors share no base class
            raise PiumrError(
                f"Expected `model` to be an ONNX model, but {str(path)!r} cannot be loaded: it is damaged or not one."
            ) from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise PiumrError(
                f"Expected a model written by piumr-train-gcn or piumr-export, but {str(path)!r} carries no PIUmr card."
            )
        self.card = ModelCard.from_json(metadata[METADATA_KEY])
        self._check_network()

    def predict(self, poses: PoseSequence | Sequence[PoseSequence]) -> list[Prediction]:
        """Classify pose sequences, each as one clip.

        Args:
            poses: one or several; their joints must include the model's.

        Returns:
            One prediction a sequence, in order.

        Raises:
            PiumrError: if a sequence lacks a joint of the model's layout, or the model takes metric skeletons.
        """
        sequences = [poses] if isinstance(poses, PoseSequence) else list(poses)
        return self.predict_clips([self.points_of(sequence) for sequence in sequences])

    def points_of(self, poses: PoseSequence) -> tuple[Points, Mask]:
        """Model coordinates (T, V, 2) and mask (T, V) of a cached pose sequence.

        Raises:
            PiumrError: see :meth:`predict`.
        """
        layout = self.card.layout
        joints = tuple(poses.meta.get("joints", ()))
        if not set(layout.joints) <= set(joints):
            raise PiumrError(
                f"Expected poses of layout {layout.name} ({len(layout)} joints), which the model was trained on, but "
                f"got {poses.meta.get('layout', 'an unnamed layout')} ({len(joints)} joints)."
            )
        if self.card.coordinates != "image":
            raise PiumrError(
                "Expected a model of image coordinates, but this one takes metric skeletons: use `predict_clips`."
            )
        chosen = list(layout.indices_in(joints))
        landmarks, valid = poses.landmarks[:, chosen], poses.valid[:, chosen]
        return image_points(landmarks, valid, poses.meta["width"], poses.meta["height"])

    def predict_clips(self, clips: Sequence[tuple[Points, Mask]]) -> list[Prediction]:
        """Classify clips in model coordinates.

        Args:
            clips: points float32 (T, V, C) and valid bool (T, V) of each, T >= 1 as it comes.

        Returns:
            One prediction a clip, in order.
        """
        predictions: list[Prediction] = []
        for start in range(0, len(clips), BATCH):
            prepared = [self._prepare(points, valid) for points, valid in clips[start : start + BATCH]]
            points = np.stack([p for p, _ in prepared]).transpose(0, 3, 1, 2)  # (N, C, T, V)
            valid = np.stack([v for _, v in prepared])
            logits = self.logits(points, valid)
            seen = np.any(valid, axis=(1, 2)).tolist()
            predictions += [self._prediction(*pair) for pair in zip(logits, seen, strict=True)]
        return predictions

    def logits(self, points: Points, valid: Mask) -> NDArray[np.float32]:
        """Logits (N, K) of a batch that is already normalised and resampled: points (N, C, T, V), valid (N, T, V).

        Raises:
            PiumrError: if the network cannot run on the batch, or what it gives is not finite.
        """
        feed = {"points": np.ascontiguousarray(points, dtype=np.float32), "valid": np.ascontiguousarray(valid)}
        try:
            logits: NDArray[np.float32] = self._session.run(["logits"], feed)[0]
        except Exception as error:  # as above
            reason = str(error).splitlines()[0]
            raise PiumrError(f"Expected the model to run on points {points.shape}, but got: {reason}") from None
        if not np.isfinite(logits).all():
            raise PiumrError("Expected finite logits, but the model gave NaN or infinity: its weights are damaged.")
        return logits

    def _check_network(self) -> None:
        """Refuse a network whose inputs and output are not those of its card."""
        frames, joints = self.card.frames, len(self.card.layout)
        expected = {
            "points": [self.card.dimensions, frames, joints],
            "valid": [frames, joints],
            "logits": [len(self.card.class_names)],
        }
        # the first dimension is the batch
        got = {end.name: end.shape[1:] for end in (*self._session.get_inputs(), *self._session.get_outputs())}
        if got != expected:
            raise PiumrError(
                f"Expected a network of shapes {expected}, as its card says, but got {got}: export it again."
            )

    def _prepare(self, points: Points, valid: Mask) -> tuple[Points, Mask]:
        if points.ndim != 3 or points.shape[2] != self.card.dimensions:
            raise PiumrError(f"Expected points (T, V, {self.card.dimensions}), but got shape {points.shape}.")
        return resample(*normalise(points, valid, self.card.layout), self.card.frames)

    def _prediction(self, logits: NDArray[np.float32], seen: bool) -> Prediction:
        names = self.card.class_names
        if not seen:
            return Prediction(None, np.zeros(len(names), dtype=np.float32), names)
        exponent = np.exp(logits - logits.max())
        probabilities = (exponent / exponent.sum()).astype(np.float32)
        best = int(probabilities.argmax())
        coarse = None
        if self.card.coarse is not None and self.card.coarse_names is not None:
            coarse = self.card.coarse_names[self.card.coarse[best]]
        return Prediction(names[best], probabilities, names, coarse)
