"""Backbones by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gcn.backbone import Backbone

Builder = TypeVar("Builder", bound=Callable[..., Backbone])

_BUILDERS: dict[str, Callable[..., Backbone]] = {}


def register_backbone(name: str) -> Callable[[Builder], Builder]:
    """Decorator that makes a function known to :func:`create_backbone` as ``name``."""

    def register(builder: Builder) -> Builder:
        _BUILDERS[name] = builder
        return builder

    return register


def list_backbones() -> list[str]:
    """Names of all backbones, sorted."""
    return sorted(_BUILDERS)


def create_backbone(
    name: str,
    in_channels: int,
    num_classes: int,
    edges: Sequence[tuple[int, int]],
    parents: Sequence[int],
    **overrides: object,
) -> Backbone:
    """Build the backbone called ``name`` for one layout.

    Args:
        name: one of :func:`list_backbones`.
        in_channels: C of the input (N, C, T, V).
        num_classes: K; 0 for features only.
        edges: pairs of joint indices.
        parents: parent of each of the V joints; the root is its own.
        **overrides: arguments of the backbone's class, such as ``channels``.

    Raises:
        ValueError: if there is no such backbone.
    """
    if name not in _BUILDERS:
        raise ValueError(f"Expected `name` to be a backbone among {', '.join(list_backbones())}, but got {name!r}.")
    return _BUILDERS[name](in_channels, num_classes, edges, parents, **overrides)
