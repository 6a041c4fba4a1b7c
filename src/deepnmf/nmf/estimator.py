"""scikit-learn's conventions of an estimator, without scikit-learn."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

RandomState = int | np.integer[Any] | np.random.Generator | np.random.RandomState | None


class Estimator:
    """Parameters that are the arguments of `__init__`, readable, settable and shown by name."""

    n_features_in_: int

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - nothing is nested here
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set some of the parameters.

        Raises
        ------
        InputError
            If there is no parameter of that name.
        """
        for name, value in params.items():
            if name not in self._parameters():
                raise InputError(f"{type(self).__name__} has no parameter {name!r}: {', '.join(self._parameters())}")
            setattr(self, name, value)
        return self

    @classmethod
    def _parameters(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        shown = {name: v for name, v in self.get_params().items() if repr(v) != repr(defaults[name].default)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __sklearn_tags__(self) -> Any:
        """Return the estimator tags of scikit-learn, its only caller."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(positive_only=True),
        )

    def _check_features(self, X: np.ndarray) -> np.ndarray:
        """Return `X` if it has as many features as the fitted data."""
        if X.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input"
            )
        return X


def check_magnitudes(X: Any) -> np.ndarray:
    """Return data as a matrix of floats, float32 if it is that already.

    Raises
    ------
    InputError
        If it is not a non-empty matrix of finite, non-negative numbers.
    """
    if hasattr(X, "toarray"):
        raise InputError("sparse matrices are not supported: give X.toarray()")
    X = np.asarray(X)
    if np.iscomplexobj(X):
        raise InputError("Complex data not supported: give magnitudes, such as np.abs(X)")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    if X.ndim != 2:
        raise InputError(f"X must have the shape (n_samples, n_features), not {X.shape}. Reshape your data")
    for count, noun in zip(X.shape, ("sample", "feature"), strict=True):
        if not count:
            raise InputError(f"Found array with 0 {noun}(s) (shape={X.shape}) while a minimum of 1 is required.")
    low, high = X.min(), X.max()  # NaN if there is one: a mask of all entries would cost a copy
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("X contains NaN or infinity: all magnitudes must be finite")
    if low < 0:
        raise InputError("Negative values in data: magnitudes must be non-negative")
    return X


def random_generator(random_state: RandomState) -> np.random.Generator:
    """Return a generator for a seed, for a `RandomState`, or for None (not reproducible)."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.Generator(random_state._bit_generator)
    return np.random.default_rng(random_state)
