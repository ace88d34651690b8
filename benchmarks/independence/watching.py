"""What GIRL's groups hold while a network is trained: persons, classes, or neither; and how hard the groups are."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from piumr.data.batches import EVALUATION_BATCH
from piumr.data.store import ClipStore
from piumr.girl import StyleGroups
from piumr.training.module import ActionModule


class GroupWatch(Callback):
    """After every epoch, groups the training clips, whole and unaugmented, as GIRL would.

    ``rows`` has for each epoch: ``epoch`` from 1; ``sizes`` and ``risks`` of the groups (None where a group has none
    yet); and with the groups ``person`` and ``label``: mutual information in nats and, as ``.._adjusted``, corrected
    for chance (0 for random groups, 1 for groups that are the persons or classes). Groups that an ablation put in
    GIRL's place are not watched.

    Args:
        store: all clips.
        train: indices of the training clips.
    """

    def __init__(self, store: ClipStore, train: np.ndarray) -> None:
        self.points, self.valid = store.evaluation(train)
        chosen = torch.as_tensor(train)
        self.labels, self.persons = store.labels[chosen], store.persons[chosen]
        self.rows: list[dict[str, Any]] = []

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Group and measure."""
        assert isinstance(pl_module, ActionModule)
        if pl_module.girl is None or not isinstance(pl_module.girl.style_groups, StyleGroups):
            return
        pl_module.eval()
        groups = pl_module.girl.style_groups(self._styles(pl_module), self.labels).cpu().numpy()
        pl_module.train()
        risks = pl_module.girl.risks.cpu().numpy()
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "sizes": np.bincount(groups[groups >= 0], minlength=len(risks)).tolist(),
                "risks": [float(risk) if np.isfinite(risk) else None for risk in risks],
                **_information("person", groups, self.persons.cpu().numpy()),
                **_information("label", groups, self.labels.cpu().numpy()),
            }
        )

    def _styles(self, module: ActionModule) -> Tensor:
        batches = zip(self.points.split(EVALUATION_BATCH), self.valid.split(EVALUATION_BATCH), strict=True)
        return torch.cat([module.net(points, valid).style for points, valid in batches])


def _information(name: str, groups: np.ndarray, facts: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

    return {
        name: float(mutual_info_score(facts, groups)),
        f"{name}_adjusted": float(adjusted_mutual_info_score(facts, groups)),
    }
