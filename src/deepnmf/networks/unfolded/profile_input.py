"""The optional input of the recurrent prior for a profile: a few seconds of the noise, or of the wanted voice.

A small network turns the profile into an embedding. It shifts the gates of the full-band layer and of the fusion and
the output, and scales what goes to fusion and output; what the profile has in the bands of a sub-band is a constant
input of that sub-band. As a profile is constant during a recording, all of this is folded into the weights, once: a
network with a profile is a network of the same form, as fast as one without but for a few constant inputs of the
sub-bands. Without a profile nothing changes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...artifacts.schema import ArraySpec, Shapes

NOISE, VOICE = "noise", "voice"
PROFILE_KINDS = (NOISE, VOICE)
BAND_SCALE = 1 / 3
"""Brings log magnitudes to about unit variance."""
LEAST_VARIANCE = 1e-4
"""Added to variances: the square root has no slope at zero."""
BAND_STATISTICS = 3
"""Of each band: mean, spread, and spread of the differences of neighbouring frames."""


class Modulation(NamedTuple):
    """What a profile does to a prior of U, B·S and D units, whose sub-bands have V."""

    gates: np.ndarray
    """``(4U + 4D,)``, added to the gates of the first full-band layer and of the fusion."""
    gains: np.ndarray
    """``(U + B·S + D,)``, gains of full band, sub-bands and fusion on the way to what comes after them."""
    local: np.ndarray
    """``(B, K)``, constant inputs of each sub-band."""
    output: np.ndarray
    """``(R,)``, added to the output."""


@dataclass(frozen=True, eq=False)
class ProfileInput:
    """Weights of the input for one kind of profile.

    Attributes
    ----------
    frame, frame_bias : ndarray
        ``(H, 2·bands)`` and ``(H,)``: first layer of frame features, from log bands and their differences.
    hidden, hidden_bias : ndarray
        ``(H, H)`` and ``(H,)``: second layer.
    attention : ndarray
        ``(H,)``: from frame features to the weight of the frame in their mean and spread.
    embedding, embedding_bias : ndarray
        ``(E, 3·bands + 2H)`` and ``(E,)``: from statistics of the bands and of the frame features.
    gates : ndarray
        ``(4U + 4D, E)``: see :class:`Modulation`.
    gains : ndarray
        ``(U + B·S + D, E)``.
    output : ndarray
        ``(R, E)``.
    local : ndarray
        ``(K, 3·W)``: from the statistics of the W bands that a sub-band reads to K constant inputs.
    local_gates : ndarray
        ``(4V, K)``: their weights in the layer of the sub-bands.
    """

    frame: np.ndarray
    frame_bias: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    attention: np.ndarray
    embedding: np.ndarray
    embedding_bias: np.ndarray
    gates: np.ndarray
    gains: np.ndarray
    output: np.ndarray
    local: np.ndarray
    local_gates: np.ndarray

    def modulation(self, bands: np.ndarray, read: np.ndarray) -> Modulation:
        """Return what a profile does.

        Parameters
        ----------
        bands : ndarray
            Log bands ``(N, bands)`` of its N frames at unit level.
        read : ndarray
            ``(W, B)``, the bands that each sub-band reads; the number of bands stands for none.
        """
        x = (bands - bands.mean()) * np.float32(BAND_SCALE)
        steps = np.diff(x, axis=0, prepend=x[:1])
        statistics = np.stack([x.mean(axis=0), _spread(x), _spread(steps)])  # (3, bands)
        e = self._embedding(np.concatenate([x, steps], axis=1), statistics.ravel())
        around = np.pad(statistics, ((0, 0), (0, 1)))[:, read].reshape(-1, read.shape[1])  # (3·W, B)
        return Modulation(self.gates @ e, 1 + self.gains @ e, np.tanh(self.local @ around).T, self.output @ e)

    def _embedding(self, frames: np.ndarray, statistics: np.ndarray) -> np.ndarray:
        """Return the embedding ``(E,)`` of frames ``(N, 2·bands)`` and of statistics of all of them."""
        y = np.tanh(frames @ self.frame.T + self.frame_bias)
        y = np.tanh(y @ self.hidden.T + self.hidden_bias)  # (N, H)
        scores = y @ self.attention
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        mean = shares @ y
        spread = np.sqrt(shares @ np.square(y - mean) + np.float32(LEAST_VARIANCE))
        return np.tanh(self.embedding @ np.concatenate([statistics, mean, spread]) + self.embedding_bias)

    @staticmethod
    def array_specs(kind: str, sizes: dict[str, int], shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays of an input in a model file; H, E and K are those of the file.

        `sizes` has the numbers of ``bands``, ``gates`` 4U + 4D, ``known`` U + B·S + D, ``atoms`` R, ``around`` W and
        ``local_gates`` 4V.
        """
        H, E, K = (shapes.size(name_in_file(kind, name), 0) for name in ("frame", "embedding", "local"))
        bands = sizes["bands"]
        expected = {
            "frame": (H, 2 * bands),
            "frame_bias": (H,),
            "hidden": (H, H),
            "hidden_bias": (H,),
            "attention": (H,),
            "embedding": (E, BAND_STATISTICS * bands + 2 * H),
            "embedding_bias": (E,),
            "gates": (sizes["gates"], E),
            "gains": (sizes["known"], E),
            "output": (sizes["atoms"], E),
            "local": (K, BAND_STATISTICS * sizes["around"]),
            "local_gates": (sizes["local_gates"], K),
        }
        return {name_in_file(kind, attribute): ArraySpec(shape) for attribute, shape in expected.items()}

    def arrays(self, kind: str) -> dict[str, np.ndarray]:
        """Return the arrays by their names in a model file."""
        return {name_in_file(kind, item.name): getattr(self, item.name) for item in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, kind: str, arrays: dict[str, np.ndarray]) -> ProfileInput:
        """Put together what :meth:`arrays` returned."""
        return cls(**{item.name: arrays[name_in_file(kind, item.name)] for item in dataclasses.fields(cls)})


def name_in_file(kind: str, attribute: str) -> str:
    """Return the name of an array in a model file."""
    return f"{kind}_profile.{attribute}"


def _spread(x: np.ndarray) -> np.ndarray:
    """Return the standard deviation over frames of ``(N, bands)``."""
    return np.sqrt(x.var(axis=0) + np.float32(LEAST_VARIANCE))
