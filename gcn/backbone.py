"""The contract every backbone keeps: stem, stages, pooled features, classifier (after timm's image models)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gcn.deploy import deploy
from gcn.masking import downsample_valid, masked_mean


class Backbone(nn.Module):
    """Base of all backbones: ``stem`` and ``stages`` make features, a linear layer on their masked mean classifies.

    Subclasses hand over a stem, the stages and the channels each stage leaves. Callers that put something between two
    stages walk them themselves: ``x = stem(x)``, then ``x = stage(x)`` for each.

    Shapes:
        - input: (N, C, T, V), and a mask bool (N, T, V) where joints are missing
        - features: (N, num_features, T', V)
        - logits: (N, num_classes)

    Attributes:
        stem: (N, C, T, V) -> (N, C_0, T, V).
        stages: each (N, C_i, T_i, V) -> (N, C_i+1, ceil(T_i / stride), V).
        stage_channels: channels that each stage leaves.
        stage_strides: temporal stride of each stage.
        num_joints: V.
        num_features: channels of the features.

    Raises:
        ValueError: if the dropout rate lies outside 0..1.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        *,
        stage_channels: Sequence[int],
        stage_strides: Sequence[int],
        in_channels: int,
        num_joints: int,
        num_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if not 0 <= dropout <= 1:
            raise ValueError(f"Expected `dropout` to lie in 0..1, but got {dropout!r}.")
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.stage_channels = tuple(stage_channels)
        self.stage_strides = tuple(stage_strides)
        self.in_channels = in_channels
        self.num_joints = num_joints
        self.num_features = self.stage_channels[-1]
        self.dropout = nn.Dropout(dropout)
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a fresh one for ``num_classes`` classes; 0 leaves none, logits are features."""
        self.num_classes = num_classes
        self.classifier: nn.Module = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        if isinstance(self.classifier, nn.Linear):
            nn.init.normal_(self.classifier.weight, std=0.01)
            nn.init.zeros_(self.classifier.bias)

    def deploy(self) -> Backbone:
        """A copy for inference: the same function in evaluation mode, merged and folded; see :func:`gcn.deploy`."""
        return deploy(self)

    def stage_frames(self, frames: int) -> tuple[int, ...]:
        """Frames that each stage leaves of a clip of ``frames`` frames."""
        left = []
        for stride in self.stage_strides:
            frames = -(-frames // stride)
            left.append(frames)
        return tuple(left)

    def check_input(self, x: Tensor) -> None:
        """Refuse an input of another shape than (N, in_channels, T, num_joints).

        Raises:
            ValueError: with the expected and the actual shape.
        """
        if x.dim() != 4 or x.shape[1] != self.in_channels or x.shape[3] != self.num_joints:
            raise ValueError(
                f"Expected `x` of shape (N, C={self.in_channels}, T, V={self.num_joints}), but got {tuple(x.shape)}."
            )

    def forward_features(self, x: Tensor) -> Tensor:
        """Features (N, num_features, T', V) of clips (N, C, T, V)."""
        self.check_input(x)
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x

    def forward_head(self, features: Tensor, valid: Tensor | None = None, pre_logits: bool = False) -> Tensor:
        """Pool features (N, F, T', V) over valid joints and classify.

        Args:
            features: output of :meth:`forward_features`.
            valid: bool (N, T, V) at any stage's number of frames, or None. That of the clip stands for the last
                stage's exactly where T is a multiple of all strides together; :meth:`forward` takes it there by stages.
            pre_logits: return the pooled features (N, F) instead of logits (N, K).
        """
        if valid is not None:
            valid = downsample_valid(valid, features.shape[2])
        pooled = masked_mean(features, valid)
        return pooled if pre_logits else self.classifier(self.dropout(pooled))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits (N, num_classes) of clips (N, C, T, V)."""
        features = self.forward_features(x)
        if valid is not None:
            for frames in self.stage_frames(valid.shape[1]):
                valid = downsample_valid(valid, frames)
        return self.forward_head(features, valid)
