"""What unfolded networks share beside their inference: arrays and numbers, to and from files."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..network import Estimator, MaskEstimator
from ..numerics import Array

if TYPE_CHECKING:
    from typing_extensions import Self


class UnfoldedNetwork(ABC):
    """A mask estimator whose frames are independent; a subclass is a frozen dataclass of arrays and numbers."""

    NONNEGATIVE: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """F and T·F, the bins of the mask and of the stacked magnitudes."""

    @abstractmethod
    def mask(self, m: Array) -> Array:
        """Return the speech mask in [0, 1], ``(F, N)``, for stacked magnitudes at unit level ``(T·F, N)``."""

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(math.prod(array.shape) for array in self.tensors().values())

    def estimator(self) -> Estimator:
        """Return a fresh streaming mask estimator."""
        bins, stacked = self.shape
        return MaskEstimator(self.mask, bins, stacked // bins)

    def tensors(self) -> dict[str, Array]:
        """Return all arrays by name, as the model file holds them."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, int | float)}

    def settings(self) -> dict[str, Any]:
        """Return what the model file says beside the arrays."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int | float)}

    @classmethod
    def from_file(cls, tensors: dict[str, Array], settings: dict[str, Any]) -> Self:
        """Put together what :meth:`tensors` and :meth:`settings` returned."""
        return cls(**tensors, **{name: value for name, value in settings.items() if name != "kind"})
