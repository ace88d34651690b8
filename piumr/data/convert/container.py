"""The ``.npz`` container of a whole set: :mod:`piumr.data.formats.npz` reads it for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from piumr.data.convert.clips import Clip, Collection
from piumr.data.formats.npz import load_arrays
from piumr.data.formats.packing import MAX_LABEL
from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout, get_layout, same_joints
from pose_extract.atomic import atomic_write

COLUMNS = ("label", "subject", "sample_id", "split", "width", "height")
"""Arrays with an entry for each clip that every container may have."""

OWN = frozenset({*COLUMNS, *"frames offsets timestamps class_names layout joint_names edges".split()})
"""Names of arrays with a meaning of their own; any other with an entry for each clip is a further fact."""


def read_container(path: Path, layout: Layout | None) -> Collection:
    """The clips of a container with packed ``frames``.

    A frame of zeros, and a joint that is not finite, are missing. With ``width`` and ``height`` frames are landmarks in
    pictures, else metres.

    Args:
        path: of the container.
        layout: its joints; None for those it names.

    Raises:
        PiumrError: if it is damaged, arrays do not fit together, or its joints are no known layout's.
    """
    arrays = load_arrays(path)
    if "landmarks" in arrays:
        raise PiumrError(f"{path}: expected a container of clips, but got one cached clip: give the folder it lies in.")
    frames, offsets = arrays.get("frames", np.empty(0)), arrays.get("offsets", np.empty(0))
    if frames.ndim != 3 or frames.dtype.kind not in "fiu" or offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise PiumrError(
            f"{path}: expected numbers `frames` (sum T, V, C) and integers `offsets` (N + 1,), but got "
            f"{', '.join(f'{key} {value.shape}' for key, value in arrays.items())}."
        )
    count = len(offsets) - 1
    if count < 1 or offsets[0] != 0 or offsets[-1] != len(frames) or (np.diff(offsets.astype(np.int64)) < 1).any():
        raise PiumrError(f"{path}: expected `offsets` to rise from 0 to {len(frames)}, but got others.")
    columns = {key: _column(arrays, key, count, path) for key in COLUMNS if key in arrays}
    further = {
        key: array
        for key, array in arrays.items()
        if key not in OWN and array.shape == (count,) and array.dtype.kind in "biuU"
    }
    joints = _layout(arrays, frames.shape[1], layout, path)
    metric = "width" not in columns or "height" not in columns
    if frames.shape[2] != (3 if metric else 4):
        raise PiumrError(
            f"{path}: expected three columns of metres, or x, y, z and visibility with the arrays `width` and "
            f"`height`, but got {frames.shape[2]} columns{' without these' if metric else ''}."
        )
    times = arrays.get("timestamps")
    if times is not None and (times.shape != (len(frames),) or times.dtype.kind != "f"):
        raise PiumrError(f"{path}: expected `timestamps` of shape ({len(frames)},), but got {times.shape}.")
    seen = np.isfinite(frames).all(axis=2) & np.any(frames, axis=(1, 2), keepdims=True)[..., 0]
    values = np.where(seen[..., None], frames, np.nan).astype(np.float32)
    class_names = _class_names(arrays, columns.get("label"), path)
    clips = []
    for i in range(count):
        clip = slice(offsets[i], offsets[i + 1])
        clips.append(
            Clip(
                str(columns["sample_id"][i]) if "sample_id" in columns else f"clip {i}",
                values[clip],
                None if metric else (int(columns["width"][i]), int(columns["height"][i])),
                None if times is None else times[clip].astype(np.float64),
                class_names[columns["label"][i]] if class_names is not None else None,
                str(columns["subject"][i]) if "subject" in columns else None,
                (str(columns["split"][i]) or None) if "split" in columns else None,  # empty: in none
                columns={key: str(array[i]) for key, array in further.items()},
            )
        )
    return Collection(tuple(clips), joints, class_names)


def write_container(collection: Collection, path: Path) -> list[str]:
    """Write a container, whole or not at all.

    Returns:
        What it cannot carry.
    """
    clips, layout = collection.clips, collection.layout
    arrays = {
        "frames": np.concatenate([clip.joints for clip in clips]),
        "offsets": np.cumsum([0, *(len(clip.joints) for clip in clips)]),
        "sample_id": np.array([clip.name for clip in clips]),
        "layout": np.array(layout.name),
        "joint_names": np.array(layout.joints),
        "edges": np.array(layout.edges, dtype=np.int64).reshape(-1, 2),
    }
    if not collection.metric:
        sizes = np.array([clip.size for clip in clips], dtype=np.int64)
        arrays |= {"width": sizes[:, 0], "height": sizes[:, 1]}
    if collection.has("timestamps"):
        arrays["timestamps"] = np.concatenate([clip.timestamps for clip in clips if clip.timestamps is not None])
    if collection.class_names is not None:
        index = {name: i for i, name in enumerate(collection.class_names)}
        arrays["label"] = np.array([index[clip.label] for clip in clips if clip.label is not None], dtype=np.int64)
        arrays["class_names"] = np.array(collection.class_names)
    for key, attribute in (("subject", "person"), ("split", "split")):
        if collection.has(attribute):
            arrays[key] = np.array([getattr(clip, attribute) or "" for clip in clips])
    lost = [name for name in collection.columns if name in OWN or name in ("file", "allow_pickle")]  # np.savez's own
    arrays |= {
        name: np.array([clip.columns[name] for clip in clips]) for name in collection.columns if name not in lost
    }
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return [f"The container carries no {', '.join(f'column {name}' for name in lost)}."] if lost else []


def _column(arrays: dict[str, np.ndarray], key: str, count: int, path: Path) -> np.ndarray:
    """An array with an entry for each clip."""
    kinds = {"label": "iu", "width": "iu", "height": "iu"}.get(key, "iufUS")
    column = arrays[key]
    if column.shape != (count,) or column.dtype.kind not in kinds:
        raise PiumrError(
            f"{path}: expected `{key}` to have an entry for each of the {count} clips, but got {column.dtype} "
            f"{column.shape}."
        )
    if key in ("width", "height") and not (column > 0).all():
        raise PiumrError(f"{path}: expected `{key}` to be positive, but got {column.min()}.")
    return column


def _layout(arrays: dict[str, np.ndarray], count: int, layout: Layout | None, path: Path) -> Layout:
    names = tuple(str(name) for name in np.atleast_1d(arrays["joint_names"])) if "joint_names" in arrays else None
    if layout is None and names is not None:
        layout = next((known for known in LAYOUTS.values() if same_joints(known.joints, names)), None)
    if layout is None and "layout" in arrays:
        layout = get_layout(str(arrays["layout"]))
    if layout is None:
        raise PiumrError(f"{path}: its joints are not those of a known layout: name it with --layout.")
    if len(layout) != count:
        raise PiumrError(f"{path}: expected the {len(layout)} joints of layout {layout.name}, but got {count}.")
    return layout


def _class_names(arrays: dict[str, np.ndarray], labels: np.ndarray | None, path: Path) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if "class_names" not in arrays and labels.max() > MAX_LABEL:
        raise PiumrError(
            f"{path}: expected labels up to {MAX_LABEL}, but got {labels.max()}; number the classes from 0."
        )
    names = (
        tuple(str(name) for name in np.atleast_1d(arrays["class_names"]))
        if "class_names" in arrays
        else tuple(str(i) for i in range(int(labels.max()) + 1))
    )
    if labels.min() < 0 or labels.max() >= len(names):
        raise PiumrError(f"{path}: expected labels within 0..{len(names) - 1}, but got {labels.min()}..{labels.max()}.")
    return names
