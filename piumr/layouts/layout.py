"""What a joint layout is, and the checks every table must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from piumr.errors import PiumrError

PARTS = ("head", "torso", "left arm", "right arm", "left leg", "right leg", "left hand", "right hand", "hand")
"""Names of the body parts a joint can belong to; ``hand`` is one that may be either, in a layout of a single hand."""

MAX_JOINTS = 1000
"""Adjacency matrices grow with the square of the joints; the largest body models have a few hundred."""


@dataclass(frozen=True)
class Layout:
    """A named skeleton: its joints, how they connect, and what normalising needs to know of it.

    Attributes:
        name: registry name, for example ``mediapipe-75``.
        joints: V unique joint names, 1..1000.
        edges: undirected connections drawn as bones, pairs of joint indices. They may contain cycles.
        parents: index of each joint's parent, V numbers; the root is its own parent. A tree: bones, hole filling
            and the graph's connectivity come from it.
        partners: index of each joint's left-right partner, V numbers; a joint on the midline is its own partner.
        parts: body part of each joint, V of :data:`PARTS`.
        centres: groups of joints; the mean of the first group that is visible is the origin of a clip.
        units: pairs of joints; the distance of the first pair that is visible is the unit of length of a clip.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    parents: tuple[int, ...]
    partners: tuple[int, ...]
    parts: tuple[str, ...]
    centres: tuple[tuple[int, ...], ...]
    units: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Check the table; a wrong one is refused by name.

        Raises:
            PiumrError: if a length, an index, the tree or the partners are wrong.
        """
        v = len(self.joints)
        self._require(0 < v <= MAX_JOINTS, f"1 to {MAX_JOINTS} joints")
        self._require(all(isinstance(joint, str) for joint in self.joints), "`joints` to be names")
        self._require(len(set(self.joints)) == v, "`joints` to be unique names")
        for key in ("parents", "partners", "parts"):
            self._require(len(getattr(self, key)) == v, f"`{key}` to have {v} entries, one for each joint")
        self._require(bool(self.centres) and all(self.centres), "`centres` of at least one group, and none empty")
        indices = [
            *self.parents,
            *self.partners,
            *(i for group in (*self.edges, *self.centres, *self.units) for i in group),
        ]
        self._require(all(0 <= i < v for i in indices), f"every joint index to lie in 0..{v - 1}")
        self._require(all(self.partners[p] == i for i, p in enumerate(self.partners)), "`partners` to be mutual")
        self._require(set(self.parts) <= set(PARTS), f"`parts` to be among {', '.join(PARTS)}")
        self._require(len(self.topological_order()) == v, "`parents` to form a tree from one root")

    def _require(self, condition: bool, expectation: str) -> None:
        if not condition:
            raise PiumrError(f"Expected layout {self.name!r} to have {expectation}.")

    def __len__(self) -> int:
        """Number of joints V."""
        return len(self.joints)

    @property
    def root(self) -> int:
        """Index of the joint that is its own parent."""
        return next(i for i, p in enumerate(self.parents) if i == p)

    def topological_order(self) -> tuple[int, ...]:
        """Joints ordered so that every parent comes before its children; shorter than V if there is no tree."""
        roots = [i for i, p in enumerate(self.parents) if i == p]
        if len(roots) != 1:
            return ()
        children: list[list[int]] = [[] for _ in self.parents]
        for i, p in enumerate(self.parents):
            if i != p:
                children[p].append(i)
        order = roots
        for joint in order:  # grows while it is walked: breadth first
            order.extend(children[joint])
        return tuple(order)

    def indices_in(self, joints: Sequence[str]) -> tuple[int, ...]:
        """Where each of this layout's joints stands in a longer list of joint names, in this layout's order.

        Raises:
            PiumrError: if a joint is not in the list.
        """
        places = {name: i for i, name in enumerate(joints)}
        absent = [name for name in self.joints if name not in places]
        if absent:
            raise PiumrError(
                f"Expected joints that include all {len(self)} of layout {self.name}, but {len(absent)} are not there, "
                f"such as {absent[0]!r}."
            )
        return tuple(places[name] for name in self.joints)

    def subset(self, name: str, joints: Sequence[str]) -> Layout:
        """A layout of some of the joints.

        A joint whose parent is left out hangs from, and is connected with, its nearest ancestor that is kept. Groups of
        ``centres`` and ``units`` stay where all their joints are kept.

        Args:
            name: of the new layout.
            joints: names of the joints to keep, the root among them, in their new order.

        Raises:
            PiumrError: if a name is no joint of this layout, or what is left is no layout.
        """
        unknown = sorted(set(joints) - set(self.joints))
        if unknown:
            raise PiumrError(f"Expected joints of layout {self.name}, but got {unknown[0]!r}.")
        old = [self.joints.index(joint) for joint in joints]
        new = {i: place for place, i in enumerate(old)}
        parents: list[int] = []
        edges = {(new[a], new[b]): None for a, b in self.edges if a in new and b in new}
        for i in old:
            parent = self.parents[i]
            while parent not in new and parent != self.root:
                parent = self.parents[parent]
            self._require(parent in new, f"its root {self.joints[self.root]!r} among the joints of a subset")
            parents.append(new[parent])
            if parent != self.parents[i]:
                edges[new[parent], new[i]] = None
        self._require(all(self.partners[i] in new for i in old), "both partners, or none, in a subset")
        return Layout(
            name=name,
            joints=tuple(joints),
            edges=tuple(edges),
            parents=tuple(parents),
            partners=tuple(new[self.partners[i]] for i in old),
            parts=tuple(self.parts[i] for i in old),
            centres=tuple(tuple(new[i] for i in group) for group in self.centres if set(group) <= set(new)),
            units=tuple((new[a], new[b]) for a, b in self.units if {a, b} <= set(new)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The table as plain lists, for JSON; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Layout:
        """Build a layout from :meth:`to_dict`'s form.

        Raises:
            PiumrError: if keys are missing or the table is wrong.
        """
        try:
            return cls(
                name=str(table["name"]),
                joints=tuple(table["joints"]),
                edges=tuple((int(a), int(b)) for a, b in table["edges"]),
                parents=tuple(int(p) for p in table["parents"]),
                partners=tuple(int(p) for p in table["partners"]),
                parts=tuple(table["parts"]),
                centres=tuple(tuple(int(i) for i in group) for group in table["centres"]),
                units=tuple((int(a), int(b)) for a, b in table["units"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, PiumrError):
                raise
            raise PiumrError(
                f"Expected a layout table with the fields of Layout, but got an unusable one ({error})."
            ) from None


def bones(parents: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The links of a tree as edges (parent, child)."""
    return tuple((parent, joint) for joint, parent in enumerate(parents) if parent != joint)


def same_joints(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether both name the same joints in the same order; ``hand_left`` is another way to write ``left_hand``."""
    return [sorted(name.split("_")) for name in names] == [sorted(name.split("_")) for name in others]


def partners_by_name(joints: tuple[str, ...]) -> tuple[int, ...]:
    """Left-right partners from names: ``left`` and ``right`` swapped anywhere in the name.

    A name without a partner in ``joints`` is its own.
    """
    index = {name: i for i, name in enumerate(joints)}
    swap = {"left": "right", "right": "left"}
    return tuple(
        index.get("_".join(swap.get(word, word) for word in name.split("_")), i) for i, name in enumerate(joints)
    )
