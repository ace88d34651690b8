"""OpenPose's JSON files (``--write_json``): a folder a clip, in it a file ``clip_000000000012_keypoints.json`` a frame.

Points are pixels (``--keypoint_scale 0``, OpenPose's default); with one that scales x and y differently, shapes would
be distorted.
"""

from __future__ import annotations

import math
import string
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import check_plain, labels_from_names, pack
from piumr.data.formats.people import follow, most_prominent, over_time
from piumr.data.formats.skeleton_json import read_json
from piumr.data.labels import class_indices, columns_of, find_labels, missing_clips, persons_of
from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout
from piumr.preprocessing import LIMIT, Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

SUFFIX = "_keypoints.json"

MAX_BYTES = 4 << 20
"""Largest file of a frame: a thousand people."""

MAX_FRAMES = 100_000
"""Longest clip: an hour."""

MAX_PEOPLE = 100
"""Most people in a frame."""

BODIES = {len(layout): layout.joints for layout in (LAYOUTS["openpose-18"], LAYOUTS["openpose-25"])}
HANDS = {"left": "hand_left_keypoints_2d", "right": "hand_right_keypoints_2d"}


@dataclass(frozen=True)
class OpenPoseJson:
    """Reader of a folder of such folders.

    Joints are found by name: the layout may be any whose joints OpenPose gives, with 18 or 25 points of the body and
    with or without hands. Points with confidence 0, which OpenPose puts at (0, 0), are missing.

    Frames are placed by the number in their file's name, from the first one; where a number is missing nobody is seen.
    Numbers in steps, as with ``--frame_step``, are successive frames.

    **Of several people the most prominent one is taken**: people are followed from frame to frame by where they are,
    and the one with the highest sum of confidences over the clip is taken.

    Labels: the declaration's ``label`` pattern on the folder's name if there is one; else as for cached poses, a label
    file, the lists, ``labels.csv`` in the data folder, or folders ``label/person/clip``.

    Attributes:
        lists: the set's list files in the data folder (``name label`` per line), by the name of their split.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = True

    lists: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if a list is no plain file name.
        """
        check_plain("lists", self.lists.values())

    def files(self, data: Path, poses: Path, labels: Path | None) -> list[Path]:
        """The files that a set is read from, whether they are there or not: frames, and whatever may label them."""
        named = [data / name for name in ("labels.csv", *self.lists.values())]
        return [*data.rglob(f"*{SUFFIX}"), *named, *([] if labels is None else [labels])]

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every folder with frames under ``data``; see :class:`piumr.data.formats.Format`."""
        layout = declaration.layout
        assert layout is not None
        folders: dict[str, list[Path]] = defaultdict(list)
        for file in sorted(data.rglob(f"*{SUFFIX}")):
            folders[file.parent.relative_to(data).as_posix()].append(file)
        if not folders:
            raise PiumrError(f"Expected folders of *{SUFFIX} files under {data}, but there are none.")
        if declaration.label is not None and labels is None:
            names = sorted(folders)
            indices, class_names = labels_from_names(declaration, names)
            return pack(declaration, names, [_clip(folders[name], layout) for name in names], indices, class_names)
        found = find_labels(declaration, sorted(folders), self.lists, data, data, labels)
        listed = [label.split or "" for label in found.values()]
        indices, class_names = class_indices([label.text for label in found.values()], declaration.class_names)
        return pack(
            declaration,
            list(found),
            [_clip(folders[name], layout) for name in found],
            indices,
            class_names,
            persons=persons_of(declaration, found),
            splits=listed if any(listed) else None,
            columns=columns_of(found),
            missing=missing_clips(declaration, self.lists, data, found, class_names),
        )


def _clip(files: list[Path], layout: Layout) -> tuple[Points, Mask]:
    """The most prominent person of a clip: pixels (T, V, 2) and their mask."""
    frames = _by_time(files)
    length = max(frames) + 1
    if length > MAX_FRAMES:
        raise PiumrError(
            f"{files[0].parent}: expected at most {MAX_FRAMES} frames, but got {length} by the numbers in their names."
        )
    nobody = np.zeros((0, len(layout), 3), dtype=np.float32)
    tracks = follow(_frame(frames[t], layout) if t in frames else nobody for t in range(length))
    if not tracks:
        return np.zeros((length, len(layout), 2), np.float32), np.zeros((length, len(layout)), np.bool_)
    joints = [track.stacked() for track in tracks]
    people = [(person[..., :2].astype(np.float32), person[..., 2] > 0) for person in joints]
    chosen = most_prominent(people, [person[..., 2] for person in joints])
    return over_time(tracks[chosen].times, people[chosen], length)


def _by_time(files: list[Path]) -> dict[int, Path]:
    """The files of a clip by their place in time, from 0.

    Raises:
        PiumrError: if they are of several clips, or two of one frame.
    """
    stems = [file.name.removesuffix(SUFFIX) for file in files]
    clips = sorted({stem.rstrip(string.digits) for stem in stems})
    if len(clips) > 1:
        raise PiumrError(
            f"{files[0].parent}: expected the frames of one clip, named `clip_number{SUFFIX}`, but got those of "
            f"{clips[0]!r} and {clips[1]!r}; put every clip into a folder of its own."
        )
    numbers = [int(stem.removeprefix(clips[0]) or 0) for stem in stems]
    twice, times = Counter(numbers).most_common(1)[0]
    if times > 1:
        raise PiumrError(f"{files[0].parent}: expected one file a frame, but got two with the number {twice}.")
    first = min(numbers)
    step = math.gcd(*(number - first for number in numbers)) or 1  # 0 of a single file
    return {(number - first) // step: file for number, file in zip(numbers, files, strict=True)}


def _frame(file: Path, layout: Layout) -> np.ndarray:
    """The people in a frame, float32 (M, V, 3): x, y, confidence."""
    content = read_json(file, MAX_BYTES)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise PiumrError(f"{file}: expected OpenPose's JSON with a list of `people`, but got another.")
    if len(people) > MAX_PEOPLE:
        raise PiumrError(f"{file}: expected at most {MAX_PEOPLE} people, but got {len(people)}.")
    if not people:
        return np.zeros((0, len(layout), 3), dtype=np.float32)
    return np.stack([_person(person, layout, file) for person in people])


def _person(person: dict[str, Any], layout: Layout, file: Path) -> np.ndarray:
    """One person in a frame, float32 (V, 3), in the layout's order."""
    body = _keypoints(person, "pose_keypoints_2d", file)
    if len(body) not in BODIES:
        raise PiumrError(
            f"{file}: expected `pose_keypoints_2d` to hold 18 or 25 points (--model_pose COCO or BODY_25), but got "
            f"{len(body)}."
        )
    points = dict(zip(BODIES[len(body)], body, strict=True))
    hand_joints = LAYOUTS["hand-21"].joints
    for side, key in HANDS.items():
        hand = _keypoints(person, key, file)
        if len(hand) == len(hand_joints):  # empty without --hand
            points |= {f"{side}_hand_{joint}": point for joint, point in zip(hand_joints, hand, strict=True)}
    absent = [joint for joint in layout.joints if joint not in points]
    if absent:
        raise PiumrError(
            f"{file}: expected the joints of layout {layout.name}, but {len(absent)} are not there, such as "
            f"{absent[0]}: it has {len(body)} points of the body and {len(points) - len(body)} of the hands."
        )
    return np.stack([points[joint] for joint in layout.joints])


def _keypoints(person: dict[str, Any], key: str, file: Path) -> np.ndarray:
    """Points (V, 3) of a flat list x, y, confidence, x, ...; none if there is no list."""
    try:
        points = np.array(person.get(key, []), dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        points = np.full(1, np.nan, dtype=np.float32)
    if points.ndim != 1 or len(points) % 3 or not (np.abs(points) < LIMIT).all():
        raise PiumrError(f"{file}: expected `{key}` to be a flat list of x, y, confidence, but got another.")
    return points.reshape(-1, 3)
