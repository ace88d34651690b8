"""Runs tried on test clips: one run, several on the same clips (an ensemble), several on other clips each (folds)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from piumr.data.clips import ClipTable
from piumr.data.source import DataConfig
from piumr.errors import PiumrError
from piumr.evaluation.latency import measure_latency
from piumr.evaluation.result import Evaluation, Member
from piumr.evaluation.runs import NAMES_THE_SET, TrainedRun, load_run
from piumr.evaluation.scored import score
from piumr.evaluation.sets import Chosen, TestSet, choose_clips, load_for, match_classes
from piumr.metrics import class_figures, evaluate, reliability
from piumr.training.fit import predict
from piumr.training.module import parameter_count


@dataclass(frozen=True, eq=False)
class Trial:
    """One run's predictions on its test clips.

    Attributes:
        run: the run.
        test_set: the set.
        chosen: its test clips.
        clips: the same, with the classes that count.
        probabilities: float32 (n, K).
        notes: sentences.
    """

    run: TrainedRun
    test_set: TestSet
    chosen: Chosen
    clips: ClipTable
    probabilities: Tensor
    notes: tuple[str, ...]


def evaluate_runs(
    folders: Sequence[Path],
    given: Mapping[str, Any] | None = None,
    loaded: TestSet | None = None,
    logits: Tensor | None = None,
) -> Evaluation:
    """Predict the test clips of one or more runs and compute all figures.

    Runs with the same test clips are an ensemble: their probabilities are averaged. Runs with test clips of their own,
    such as the folds of a protocol, are pooled: every clip is predicted by the runs that did not train on it. Both may
    be combined, as in three streams of five folds.

    Args:
        folders: run folders.
        given: options of :class:`piumr.data.source.DataConfig` that the user gave; the runs' own for the others.
        loaded: the set, where it is in memory already.
        logits: (n, K) of the only run's own test clips, where they are known already.

    Raises:
        PiumrError: if a run, the set or the options are wrong, or the test clips of two runs overlap in part.
    """
    if not folders or len({folder.resolve() for folder in folders}) < len(folders):
        raise PiumrError(f"Expected run folders, each once, but got {', '.join(map(str, folders)) or 'none'}.")
    options = given or {}
    trials = []
    sets: dict[Any, TestSet] = {}
    for run in [load_run(folder) for folder in folders]:
        config = run.choose(options)
        key = (run.card.layout, run.card.frames, run.card.coordinates, replace(config, protocol="", fold=1))
        if key not in sets:
            sets[key] = loaded or _load(run, config, options)
        trials.append(_try(run, sets[key], options, logits))
    return _assess(trials)


def predict_clips(run: TrainedRun, test_set: TestSet, test: np.ndarray) -> Tensor:
    """Logits float32 (n, K) of the model's own classes, on the CPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    logits = predict(run.net.to(device), test_set.store.to(device), test)
    run.net.cpu()  # where it was
    return logits


def _load(run: TrainedRun, config: DataConfig, given: Mapping[str, Any]) -> TestSet:
    """The set, or, where the run's own cannot be read, what to do about it."""
    try:
        return load_for(run.card, config)
    except PiumrError as error:
        if set(NAMES_THE_SET) & set(given):
            raise
        raise PiumrError(
            f"{str(error).rstrip('.')}. So {run.folder / 'config.yaml'} names the clips; if they moved, say where with "
            "--data, --poses or --dataset."
        ) from None


def _try(run: TrainedRun, test_set: TestSet, given: Mapping[str, Any], logits: Tensor | None) -> Trial:
    """Predict a run's test clips, as probabilities of the classes that the set has."""
    chosen = choose_clips(run, test_set.declaration, test_set.table, given)
    clips, columns, note = match_classes(run.card, test_set.table, chosen.split.test)
    if logits is None:
        logits = predict_clips(run, test_set, chosen.split.test)
    probabilities = logits[:, columns].softmax(dim=1)
    return Trial(run, test_set, chosen, clips, probabilities, (*chosen.notes, test_set.note, note))


def _assess(trials: Sequence[Trial]) -> Evaluation:
    """Average the runs with the same test clips, pool the others, and compute the figures."""
    groups = _groups(trials)
    first = trials[0]
    rows = np.concatenate([group[0].chosen.split.test for group in groups])
    fold = torch.cat([torch.full((len(group[0].clips),), number) for number, group in enumerate(groups)])
    probabilities = torch.cat([torch.stack([one.probabilities for one in group]).mean(dim=0) for group in groups])
    clips = match_classes(first.run.card, first.test_set.table, rows)[0]
    members = tuple(_member(trial) for trial in trials)
    notes = [note for trial in trials for note in trial.notes]
    if 1 < len(groups) < first.chosen.splits:
        notes.append(f"These are {len(groups)} of the {first.chosen.splits} splits of {first.chosen.protocol}.")
    names = [group[0].chosen.split.name for group in groups]
    if len(set(names)) < len(names):
        names = [" + ".join(one.run.name for one in group) for group in groups]
    labels, calibrated = torch.from_numpy(clips.labels), reliability(probabilities, torch.from_numpy(clips.labels))
    costs = [member.latency for member in members]
    facts = {
        "dataset": first.test_set.declaration.name,
        "protocol": first.chosen.protocol,
        "person_disjoint": all(one.chosen.split.person_disjoint for one in trials) if first.chosen.own else None,
        "trained_on": first.run.card.summary.get("dataset"),
        "ensemble": max(len(group) for group in groups),
        "parameters": sum(member.parameters for member in members) // len(groups),
        "latency_ms": None if None in costs else sum(cost.median for cost in costs if cost) / len(groups),
    }
    return Evaluation(
        title=first.test_set.declaration.title,
        clips=clips,
        probabilities=probabilities,
        scored=score(clips, probabilities, fold, names, facts, notes),
        classes=class_figures(probabilities.argmax(dim=1), labels, len(clips.class_names)),
        reliability=calibrated,
        members=members,
        store=first.test_set.store,
        rows=rows,
        fps=first.test_set.declaration.fps,
    )


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Runs with the same test clips together.

    Raises:
        PiumrError: if the runs have other sets or classes, or the test clips of two overlap in part.
    """
    first = trials[0]
    groups: dict[bytes, list[Trial]] = {}
    for trial in trials:
        if trial.test_set.table.names != first.test_set.table.names:
            raise PiumrError(
                f"Expected runs that are tested on one set, but {first.run.folder} is on "
                f"{first.test_set.declaration.name} and {trial.run.folder} on {trial.test_set.declaration.name}: name "
                "one with --dataset."
            )
        if trial.clips.class_names != first.clips.class_names:
            raise PiumrError(
                f"Expected runs of the same classes, but {first.run.folder} and {trial.run.folder} have others."
            )
        groups.setdefault(trial.chosen.split.test.tobytes(), []).append(trial)
    owner = np.full(len(first.test_set.table), -1)
    for number, group in enumerate(groups.values()):
        test = group[0].chosen.split.test
        if (owner[test] >= 0).any():
            other = list(groups.values())[int(owner[test].max())][0]
            raise PiumrError(
                "Expected runs that are tested on the same clips (an ensemble) or on other clips each (folds), but "
                f"{other.run.folder} and {group[0].run.folder} share {int((owner[test] >= 0).sum())} of {len(test)}: "
                "choose one split with --protocol and --fold."
            )
        owner[test] = number
    return list(groups.values())


def _member(trial: Trial) -> Member:
    model = trial.run.folder / "model.onnx"
    return Member(
        run=trial.run,
        metrics=evaluate(
            trial.probabilities, torch.from_numpy(trial.clips.labels), trial.clips.persons, trial.clips.coarse
        ),
        parameters=parameter_count(trial.run.net),
        latency=measure_latency(model) if model.is_file() else None,
    )
