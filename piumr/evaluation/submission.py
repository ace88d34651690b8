"""The submission to MA-52: of files of predictions, or of runs, on the test clips whose labels are withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from piumr.data.clips import SkeletonSet
from piumr.data.declaration import Declaration, load_declaration
from piumr.data.formats import read_set
from piumr.data.labels import listed_clips
from piumr.data.source import find_set
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.evaluation.runs import TrainedRun, load_run
from piumr.evaluation.sets import TestSet, match_classes, to_layout
from piumr.evaluation.trials import predict_clips
from piumr.predictions import Predictions, find_clips, read_predictions, write_submission

TEST_LIST = "test_list_videos.txt"
"""List of MA-52's test clips, whose labels are withheld."""


def submit_files(
    files: Sequence[Path], dataset: str, data: Path | None, labels: Path | None, out: Path
) -> tuple[Declaration, int]:
    """Write the submission; its clips have no labels that could be scored, but a list to be compared with.

    Args:
        files: files of predictions with scores.
        dataset: name of the set.
        data: folder that may hold the list of test clips.
        labels: another list of test clips; None for :data:`TEST_LIST` in that folder, if it is there.
        out: the zip.

    Returns:
        the set's declaration, and the number of clips.

    Raises:
        PiumrError: if a file is wrong, the set has no coarse classes, or the clips are not those of the list.
    """
    declaration = _with_coarse(load_declaration(dataset))
    found = read_predictions(files, declaration.class_names, declaration.coarse_names)
    if labels is None and data is not None and (data / TEST_LIST).is_file():
        labels = data / TEST_LIST
    if labels is not None:
        _compare(found, declaration, labels, str(files[0]))
    assert declaration.coarse is not None
    write_submission(out, found, declaration.coarse)
    return declaration, len(found.clips)


def submit_runs(folders: Sequence[Path], given: Mapping[str, Any], out: Path) -> tuple[Declaration, int]:
    """Predict the clips of the test list with one or more runs, averaged, and write the submission.

    Args:
        folders: run folders.
        given: options of :class:`piumr.data.source.DataConfig` that the user gave; the runs' own for the others.
            `labels` may name another list than :data:`TEST_LIST` in the data folder.
        out: the zip.

    Returns:
        the set's declaration, and the number of clips.

    Raises:
        PiumrError: if a run or the list is wrong, or clips of the list have no poses.
    """
    runs = [load_run(folder) for folder in folders]
    config = runs[0].choose(given)
    declaration = _with_coarse(find_set(config))
    data = config.data or declaration.folder
    path = given.get("labels") or data / TEST_LIST  # the run's own labels are of its training clips
    if not path.is_file():
        raise PiumrError(
            f"Expected the list of the test clips, but there is no file {str(path)!r}: name its folder with --data, or "
            "a list with --labels."
        )
    # the list's labels are placeholders, and its names tell no person
    clips = read_set(replace(declaration, person=None), data, config.pose_folder, path)
    scores = torch.stack([_scores(run, declaration, clips) for run in runs]).mean(dim=0)
    found = Predictions(clips.names, scores, scores.shape[1], clips.class_names, None, None, None)
    _compare(found, declaration, path, str(config.pose_folder))
    assert declaration.coarse is not None
    write_submission(out, found, declaration.coarse)
    return declaration, len(clips)


def _scores(run: TrainedRun, declaration: Declaration, clips: SkeletonSet) -> torch.Tensor:
    """Probabilities (N, K) of the set's classes."""
    everything = np.arange(len(clips))
    mapped = clips if clips.layout.joints == run.card.layout.joints else to_layout(clips, run.card.layout)[0]
    matched, columns, _ = match_classes(run.card, clips, everything)
    if matched.class_names != clips.class_names:
        raise PiumrError(
            f"Expected a model of all {len(clips.class_names)} classes of {declaration.name} for a submission, but "
            f"{run.folder} knows {len(columns)} of them."
        )
    test_set = TestSet(declaration, clips.table, ClipStore.pack(mapped, run.card.frames))
    return predict_clips(run, test_set, everything)[:, columns].softmax(dim=1)


def _with_coarse(declaration: Declaration) -> Declaration:
    """The declaration, if its set has coarse classes.

    Raises:
        PiumrError: if it has none.
    """
    if declaration.coarse is None:
        raise PiumrError(f"Expected a set with coarse classes for a submission, but {declaration.name} has none.")
    return declaration


def _compare(found: Predictions, declaration: Declaration, path: Path, source: str) -> None:
    """Refuse predictions that are not of exactly the clips in a list.

    Raises:
        PiumrError: with counts and the first name.
    """
    listed = listed_clips(replace(declaration, person=None), {}, path.parent, path)  # its names tell none
    assert listed is not None
    rows = find_clips(found.clips, listed, source)
    if len(rows) < len(listed):
        lacking = listed.names[np.setdiff1d(np.arange(len(listed)), rows)[0]]
        raise PiumrError(
            f"Expected predictions of all {len(listed)} clips in {path}, but {len(listed) - len(rows)} are missing, "
            f"such as {lacking!r}."
        )
