"""``Recognizer``: a ``model.onnx`` and pose sequences in, predictions out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.model_card import METADATA_KEY, ModelCard
from piumr.inference.shipped import DEFAULT_MODEL, find_model
from piumr.layouts.mapping import find_mapping
from piumr.preprocessing import NORMALISATION, Mask, Points, image_points, normalise, resample
from pose_extract.schema import PoseSequence

BATCH = 64
"""Clips that go through the network at once: memory stays flat however many are asked for."""

MAX_BATCH_POINTS = 1 << 20
"""Joints times frames that go through the network at once: a card may name more of both than any real one."""


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one clip.

    Attributes:
        label: name of the most probable class, or None where no landmark was seen: then there is nothing to say.
        probabilities: float32 (K,), summing to one; zeros where the label is None.
        class_names: K names.
        coarse: name of the label's coarse class (in MA-52 the body part), where the set has coarse classes.
        embedding: float32 (F,), the backbone's pooled features of the clip, where asked for; 0 where nobody is seen.
    """

    label: str | None
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    coarse: str | None = None
    embedding: NDArray[np.float32] | None = None

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
        model: path of a ``model.onnx`` written by PIUmr, or the name of a shipped model. By default the one that knows
            the synthetic persons only, which ``card.notice`` says.
        threads: threads of ONNX Runtime, at least 1; None lets it choose.

    Attributes:
        card: classes, layout and preprocessing.

    Raises:
        PiumrError: if the file is missing, is no ONNX model or none of ours, or its card describes another network or
            another preprocessing than this version's.
    """

    def __init__(self, model: str | os.PathLike[str] = DEFAULT_MODEL, threads: int | None = None) -> None:
        path = find_model(model)
        if threads is not None and (type(threads) is not int or threads < 1):
            raise PiumrError(f"Expected `threads` to be a whole number of at least 1, or None, but got {threads!r}.")
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
        self._batch = min(BATCH, max(1, MAX_BATCH_POINTS // (self.card.frames * len(self.card.layout))))

    def predict(self, poses: PoseSequence | Iterable[PoseSequence], *, embedding: bool = False) -> list[Prediction]:
        """Classify pose sequences, each as one clip.

        Args:
            poses: one or several, of the model's layout or of one that maps to it
                (:func:`piumr.layouts.mapping.find_mapping`).
            embedding: give the clips' features as well.

        Returns:
            One prediction a sequence, in order.

        Raises:
            PiumrError: if a layout does not map to the model's, or the model takes metric skeletons.
        """
        return list(self.stream([poses] if isinstance(poses, PoseSequence) else poses, embedding=embedding))

    def stream(self, poses: Iterable[PoseSequence], *, embedding: bool = False) -> Iterator[Prediction]:
        """The predictions of :meth:`predict` one by one, in constant memory: sequences are taken a batch at a time.

        Args:
            poses: any number, as an iterator that reads them when asked.
            embedding: as there.

        Raises:
            PiumrError: as there, when the sequence's batch has its turn.
        """
        yield from self._stream(map(self.points_of, poses), embedding)

    def points_of(self, poses: PoseSequence) -> tuple[Points, Mask]:
        """Model coordinates (T, V, 2) and mask (T, V) of a cached pose sequence.

        Raises:
            PiumrError: see :meth:`predict`.
        """
        if not isinstance(poses, PoseSequence):
            raise PiumrError(
                f"Expected `poses` to be a PoseSequence, as pose_extract.read_poses gives, or several, but got "
                f"{type(poses).__name__}."
            )
        layout = self.card.layout
        joints = tuple(poses.meta.get("joints", ()))
        mapping = None if joints == layout.joints else find_mapping(joints, layout)
        if mapping is None and joints != layout.joints:
            raise PiumrError(
                f"Expected poses of layout {layout.name} ({len(layout)} joints), which the model was trained on, but "
                f"got {poses.meta.get('layout', 'an unnamed layout')} ({len(joints)} joints)."
            )
        if self.card.coordinates != "image":
            raise PiumrError(
                "Expected a model of image coordinates, but this one takes metric skeletons: use `predict_clips`."
            )
        points, valid = image_points(poses.landmarks, poses.valid, poses.meta["width"], poses.meta["height"])
        return (points, valid) if mapping is None else mapping(points, valid)

    def predict_clips(self, clips: Iterable[tuple[Points, Mask]], *, embedding: bool = False) -> list[Prediction]:
        """Classify clips in model coordinates.

        Args:
            clips: points float32 (T, V, C) and valid bool (T, V) of each, T >= 1 as it comes.
            embedding: give the clips' features as well.

        Returns:
            One prediction a clip, in order.

        Raises:
            PiumrError: if a clip is of another shape, or a valid point of it is not finite.
        """
        return list(self._stream(clips, embedding))

    def logits(self, points: Points, valid: Mask) -> NDArray[np.float32]:
        """Logits (N, K) of a batch that is already normalised and resampled: points (N, C, T, V), valid (N, T, V).

        Raises:
            PiumrError: if the network cannot run on the batch, or what it gives is not finite.
        """
        return self._run(["logits"], points, valid)[0]

    def _stream(self, clips: Iterable[tuple[Points, Mask]], embedding: bool) -> Iterator[Prediction]:
        outputs = ["logits", "embedding"] if embedding else ["logits"]
        waiting = iter(clips)
        while batch := list(islice(waiting, self._batch)):
            prepared = [self._prepare(points, valid) for points, valid in batch]
            points = np.stack([p for p, _ in prepared]).transpose(0, 3, 1, 2)  # (N, C, T, V)
            valid = np.stack([v for _, v in prepared])
            logits, *features = self._run(outputs, points, valid)
            for i, scores in enumerate(logits):
                yield self._prediction(scores, bool(valid[i].any()), features[0][i] if features else None)

    def _run(self, outputs: list[str], points: Points, valid: Mask) -> list[NDArray[np.float32]]:
        feed = {"points": np.ascontiguousarray(points, dtype=np.float32), "valid": np.ascontiguousarray(valid)}
        try:
            got: list[NDArray[np.float32]] = self._session.run(outputs, feed)
        except Exception as error:  # as above
            reason = str(error).splitlines()[0]
            raise PiumrError(f"Expected the model to run on points {points.shape}, but got: {reason}") from None
        if not all(np.isfinite(values).all() for values in got):
            raise PiumrError("Expected finite logits, but the model gave NaN or infinity: its weights are damaged.")
        return got

    def _check_network(self) -> None:
        """Refuse a network with other inputs and outputs than its card says, or trained on clips prepared otherwise."""
        frames, joints = self.card.frames, len(self.card.layout)
        expected = {
            "points": ("tensor(float)", [self.card.dimensions, frames, joints]),
            "valid": ("tensor(bool)", [frames, joints]),
            "logits": ("tensor(float)", [len(self.card.class_names)]),
            "embedding": ("tensor(float)", [self.card.embedding]),
        }
        # the first dimension is the batch
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        got = {end.name: (end.type, end.shape[1:]) for end in ends}
        if got != expected:
            raise PiumrError(
                f"Expected inputs and outputs {expected}, as the model's card says, but got {got}: export it again."
            )
        ours, theirs = NORMALISATION.partition(":")[0], self.card.normalisation.partition(":")[0]
        if self.card.normalisation != NORMALISATION:
            raise PiumrError(
                f"Expected a model of clips normalised by {ours!r}, as this version does, but got {theirs!r}: use the "
                f"version that made it, {self.card.version!r}, or train it again."
            )

    def _prepare(self, points: Points, valid: Mask) -> tuple[Points, Mask]:
        if points.ndim != 3 or points.shape[2] != self.card.dimensions:
            raise PiumrError(f"Expected points (T, V, {self.card.dimensions}), but got shape {points.shape}.")
        return resample(*normalise(points, valid, self.card.layout), self.card.frames)

    def _prediction(self, logits: NDArray[np.float32], seen: bool, embedding: NDArray[np.float32] | None) -> Prediction:
        names = self.card.class_names
        if not seen:
            nothing = None if embedding is None else np.zeros_like(embedding)
            return Prediction(None, np.zeros(len(names), dtype=np.float32), names, embedding=nothing)
        exponent = np.exp(logits - logits.max())
        probabilities = (exponent / exponent.sum()).astype(np.float32)
        best = int(probabilities.argmax())
        coarse = None
        if self.card.coarse is not None and self.card.coarse_names is not None:
            coarse = self.card.coarse_names[self.card.coarse[best]]
        return Prediction(names[best], probabilities, names, coarse, embedding)
