"""The network: streams, a backbone and its classifier, and TFAM, which looks at one stage's features again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

from gcn import create_backbone, downsample_valid, list_backbones
from piumr.errors import PiumrError
from piumr.girl import style_statistics
from piumr.inference.model_card import MAX_FRAMES
from piumr.layouts import Layout
from piumr.streams import STREAMS, Streams
from piumr.tfam import TFAM


@dataclass(frozen=True)
class ModelConfig:
    """Everything that determines the network but its layout and its classes.

    Attributes:
        backbone: name of a registered backbone (``gcn.list_backbones()``).
        backbone_options: overrides of the backbone, such as ``channels``.
        streams: input channels derived from the joints: joint, bone, motion, each at most once.
        frames: frames T that every clip is resampled to, 1..4096; where TFAM is used, enough that at least 2 are left
            at its stage.
        tfam_stage: backbone stage (from 0) whose features TFAM is given; an earlier stage has more frames.
        tfam_options: arguments of TFAM, such as ``bands``.
    """

    backbone: str = "stgcnpp-small"
    backbone_options: dict[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = STREAMS
    frames: int = 32
    tfam_stage: int = 1
    tfam_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what no part of the network does.

        Raises:
            PiumrError: if the frames are out of range or a stream comes twice.
        """
        if not isinstance(self.frames, int) or not 1 <= self.frames <= MAX_FRAMES:
            raise PiumrError(f"Expected `frames` to be a whole number in 1..{MAX_FRAMES}, but got {self.frames!r}.")
        if len(set(self.streams)) < len(self.streams):
            raise PiumrError(f"Expected every one of `streams` once, but got {', '.join(self.streams)}.")


class NetOutput(NamedTuple):
    """What the network makes of a batch.

    Attributes:
        logits: (N, K).
        embedding: (N, F) pooled features, which the backbone's classifier is given.
        style: (N, 2 C) statistics of the first stage's features, without gradient: what GIRL groups by.
        transport_cost: L_W, or None without TFAM.
        inconsistency: L_C, or None without TFAM.
    """

    logits: Tensor
    embedding: Tensor
    style: Tensor
    transport_cost: Tensor | None
    inconsistency: Tensor | None


class ActionNet(nn.Module):
    """Skeleton clips in, action logits out.

    Shapes:
        - points: (N, C, T, V), normalised and resampled (see :mod:`piumr.preprocessing`), finite everywhere
        - valid: bool (N, T, V)

    Args:
        layout: the V joints.
        num_classes: K.
        dimensions: C, 2 for image coordinates, 3 for metres.
        config: the rest.
        tfam: give the features of stage ``config.tfam_stage`` to TFAM.

    Raises:
        PiumrError: if the configuration names a backbone, a stage, a stream or an option that does not exist.
    """

    def __init__(self, layout: Layout, num_classes: int, dimensions: int, config: ModelConfig, *, tfam: bool) -> None:
        super().__init__()
        if config.backbone not in list_backbones():
            raise PiumrError(
                f"Expected `backbone` to be one of {', '.join(list_backbones())}, but got {config.backbone!r}."
            )
        try:
            self.streams = Streams(layout.parents, config.streams)
            self.backbone = create_backbone(
                config.backbone,
                dimensions * len(config.streams),
                num_classes,
                layout.edges,
                layout.parents,
                **config.backbone_options,
            )
        except (TypeError, ValueError) as error:
            raise PiumrError(f"Expected a usable model configuration, but got: {error}") from None
        self.config = config
        self.style_features = 2 * self.backbone.stage_channels[0]
        self.tfam: TFAM | None = None
        if tfam:
            stages = len(self.backbone.stages)
            if not 0 <= config.tfam_stage < stages:
                raise PiumrError(f"Expected `tfam_stage` to lie in 0..{stages - 1}, but got {config.tfam_stage}.")
            channels = self.backbone.stage_channels[config.tfam_stage]
            frames = self.backbone.stage_frames(config.frames)[config.tfam_stage]
            if frames < 2:
                raise PiumrError(
                    f"Expected `frames` to leave at least 2 at `tfam_stage` {config.tfam_stage}, but {config.frames} "
                    f"leave {frames}: take more, or an earlier stage."
                )
            try:
                self.tfam = TFAM(channels, frames, num_classes, **config.tfam_options)
            except TypeError as error:
                raise PiumrError(f"Expected `tfam_options` to hold arguments of TFAM, but got: {error}.") from None

    def forward(self, points: Tensor, valid: Tensor) -> NetOutput:
        """Classify clips; see the class for shapes."""
        x = self.streams(points)
        self.backbone.check_input(x)
        x = self.backbone.stem(x)
        seen = None
        for index, stage in enumerate(self.backbone.stages):
            x = stage(x)
            valid = downsample_valid(valid, x.shape[2])  # stage by stage, as the strides do
            if index == 0:
                style = style_statistics(x, valid)
            if index == self.config.tfam_stage:
                seen = x, valid
        embedding = self.backbone.forward_head(x, valid, pre_logits=True)
        logits = self.backbone.classifier(self.backbone.dropout(embedding))
        if self.tfam is None or seen is None:
            return NetOutput(logits, embedding, style, None, None)
        aligned = self.tfam(seen[0], logits, seen[1])
        return NetOutput(aligned.logits, embedding, style, aligned.transport_cost, aligned.inconsistency)
