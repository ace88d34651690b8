"""The built-in synthetic persons, as a format: no file is read, the generator's factors are the options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from piumr.data.clips import SkeletonSet
from piumr.errors import PiumrError

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration


MAX_CLIPS = 100_000
"""Most clips of a class that are generated: already more than fits into a machine's memory."""


@dataclass(frozen=True)
class Synthetic:
    """Calls :func:`piumr.synthetic.generator.synthetic_set`.

    Attributes:
        persons: number of persons.
        takes: clips of every class by every person.
        seed: seed of persons and takes.
    """

    carries_layout: ClassVar[bool] = True
    takes_labels: ClassVar[bool] = False

    persons: int
    takes: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if there would be no clip or too many, or the seed is negative.
        """
        if self.persons < 1 or self.takes < 1 or self.seed < 0:
            raise PiumrError("expected `persons` and `takes` to be at least 1 and `seed` at least 0")
        if self.persons * self.takes > MAX_CLIPS:
            raise PiumrError(
                f"expected `persons` times `takes` to be at most {MAX_CLIPS} in all, but got "
                f"{self.persons} x {self.takes}"
            )

    def files(self, data: Path, poses: Path, labels: Path | None) -> list[Path]:
        """None: the set is computed."""
        return []

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Generate the set; see :class:`piumr.data.formats.Format`."""
        from piumr.synthetic.generator import synthetic_set

        return synthetic_set(persons=self.persons, takes=self.takes, seed=self.seed)
