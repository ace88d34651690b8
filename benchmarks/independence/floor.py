"""The floor: a linear SVM on resampled frames and velocities, on the same folds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from independence.tasks import INNER_FOLDS, TaskData
from piumr.data.splits import Split

FRAMES = 16


def linear_svm(data: TaskData, split: Split) -> Tensor:
    """Decision values (N, K) of a fold's test clips; the recipe is chosen by person folds inside training."""
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from piumr.preprocessing import resample

    def features(indices: np.ndarray) -> np.ndarray:
        clips = [resample(*data.store.clip(i), FRAMES)[0] for i in indices]
        return np.stack([np.concatenate([x.ravel(), np.diff(x, axis=0).ravel()]) for x in clips])

    recipes = [
        {"scale": [StandardScaler()], "svm__C": [0.01]},
        {"scale": ["passthrough"], "svm__C": [0.1, 1.0]},
    ]
    persons = data.store.persons.numpy()[split.train]
    folds = GroupKFold(min(INNER_FOLDS, len(np.unique(persons))))
    search = GridSearchCV(Pipeline([("scale", None), ("svm", SVC(kernel="linear"))]), recipes, cv=folds)
    search.fit(features(split.train), data.clips.labels[split.train], groups=persons)
    found = torch.from_numpy(search.decision_function(features(split.test))).float()
    if found.ndim == 1:  # two classes
        found = torch.stack([-found, found], dim=1)
    values = torch.full((len(split.test), len(data.clips.class_names)), found.min().item() - 1)
    values[:, torch.from_numpy(search.classes_)] = found
    return values
