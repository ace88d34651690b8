"""Just Train Twice: Liu et al., "Just Train Twice: Improving Group Robustness without Training Group Information".

ICML 2021. A first, short plain training shows which training clips are hard; a second one sees those more often:

    J(theta, E) = factor * sum over E of l(x, y) + sum over the others of l(x, y),   E = {i: the first errs on i}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from piumr.errors import PiumrError


@dataclass(frozen=True)
class JustTrainTwice:
    """The two numbers of the method.

    Attributes:
        share: length of the first training, as a share of the schedule, 0 to 1.
        factor: how often a clip that the first training gets wrong is in the second one's set, at least 1.
    """

    share: float = 0.25
    factor: int = 5

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            PiumrError: if one is out of range.
        """
        if not 0 < self.share <= 1 or not isinstance(self.factor, int) or self.factor < 1:
            raise PiumrError(
                "Expected `share` within 0..1 and `factor` to be a whole number of at least 1, but got "
                f"{self.share} and {self.factor}."
            )

    def first_epochs(self, epochs: int) -> int:
        """Epochs of the first training."""
        return max(1, round(self.share * epochs))

    def second_set(self, train: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """Indices that the second training draws from: ``train`` (N,), those that are ``wrong`` repeated."""
        return np.repeat(train, np.where(wrong, self.factor, 1))

    def second_epochs(self, epochs: int, train: np.ndarray, second: np.ndarray) -> int:
        """Epochs of the second training, so that it takes as many steps as a plain one."""
        return max(1, round(epochs * len(train) / len(second)))
