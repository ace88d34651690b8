"""Joint names and edges of MediaPipe's landmarks, from MediaPipe's own enums and connection lists."""

from __future__ import annotations

from dataclasses import dataclass

BODY = 33
"""Landmarks of the body; they come first in both layouts."""

HAND = 21
"""Landmarks of a hand."""


@dataclass(frozen=True)
class LandmarkSet:
    """What an estimator's landmarks are.

    Attributes:
        layout: ``mediapipe-33`` (body) or ``mediapipe-75`` (body, left hand, right hand).
        joints: V unique names, for example ``left_wrist`` and ``left_hand_thumb_cmc``.
        edges: undirected connections, pairs of joint indices, sorted.
    """

    layout: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]


def landmark_set(hands: bool) -> LandmarkSet:
    """The body's landmarks, with both hands' after them if ``hands``. Imports MediaPipe."""
    from mediapipe.python.solutions.hands import HandLandmark
    from mediapipe.python.solutions.hands_connections import HAND_CONNECTIONS
    from mediapipe.python.solutions.pose import PoseLandmark
    from mediapipe.python.solutions.pose_connections import POSE_CONNECTIONS

    joints = [landmark.name.lower() for landmark in PoseLandmark]
    edges = sorted(POSE_CONNECTIONS)
    if hands:
        for side in ("left", "right"):
            first = len(joints)
            # "index_finger_tip" to "index_tip": MediaPipe itself says "pinky_tip"
            joints += [f"{side}_hand_{mark.name.lower().replace('_finger_', '_')}" for mark in HandLandmark]
            edges += [(first + a, first + b) for a, b in sorted(HAND_CONNECTIONS)]
    return LandmarkSet(f"mediapipe-{len(joints)}", tuple(joints), tuple(edges))
