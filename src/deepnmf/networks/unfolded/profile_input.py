"""The optional input of the recurrent prior for a profile: a few seconds of the noise, or of the wanted voice.

A profile is constant during a recording, so that all it does is to add to biases: of the full-band layer and of the
output by an embedding of the profile, and of the features that go to each sub-band by the profile in the bands of that
sub-band, with weights that all sub-bands share. A network with a profile is therefore a network of the same size with
other biases, as fast as one without, and without a profile nothing is added.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...artifacts.schema import ArraySpec, Shapes

NOISE, VOICE = "noise", "voice"
PROFILE_KINDS = (NOISE, VOICE)
LOCAL_SCALE = 1 / 3
"""Brings log magnitudes to about unit variance before they enter the sub-bands."""


class Offsets(NamedTuple):
    """What a profile adds to biases."""

    fullband: np.ndarray
    """``(4U,)``, to the gates of the first full-band layer."""
    subband: np.ndarray
    """``(B, C)``, to the features of each sub-band."""
    output: np.ndarray
    """``(R,)``."""


@dataclass(frozen=True)
class ProfileInput:
    """Weights of the input for one kind of profile.

    Attributes
    ----------
    frame, frame_bias : ndarray
        ``(H, bands)`` and ``(H,)``: features of each frame, which are averaged over the profile.
    embedding, embedding_bias : ndarray
        ``(E, 2·bands + H)`` and ``(E,)``: from mean and spread of the log bands and these features.
    fullband : ndarray
        ``(4U, E)``.
    subband : ndarray
        ``(C, 2·W)``: from mean and spread in the W bands that a sub-band reads.
    output : ndarray
        ``(R, E)``.
    """

    frame: np.ndarray
    frame_bias: np.ndarray
    embedding: np.ndarray
    embedding_bias: np.ndarray
    fullband: np.ndarray
    subband: np.ndarray
    output: np.ndarray

    def offsets(self, bands: np.ndarray, read: np.ndarray) -> Offsets:
        """Return what a profile adds.

        Parameters
        ----------
        bands : ndarray
            Log bands ``(N, bands)`` of its N frames at unit level.
        read : ndarray
            ``(W, B)``, the bands that each sub-band reads; the number of bands stands for none.
        """
        mean, spread = bands.mean(axis=0), bands.std(axis=0, ddof=1)
        features = np.tanh((bands - bands.mean()) @ self.frame.T + self.frame_bias).mean(axis=0)  # (H,)
        mean = mean - mean.mean()
        embedded = np.tanh(self.embedding @ np.concatenate([mean, spread, features]) + self.embedding_bias)  # (E,)
        local = np.concatenate([np.append(part, np.float32(0))[read] for part in (mean, spread)])  # (2·W, B)
        subband = (self.subband @ (np.float32(LOCAL_SCALE) * local)).T  # (B, C)
        return Offsets(self.fullband @ embedded, subband, self.output @ embedded)

    @staticmethod
    def array_specs(kind: str, sizes: dict[str, int], shapes: Shapes) -> dict[str, ArraySpec]:
        """Return the arrays of an input in a model file; H and E are those of the file.

        `sizes` has the numbers of ``bands``, ``gates`` 4U, ``features`` C, ``local`` 2·W and ``atoms`` R.
        """
        H, E = shapes.size(name_in_file(kind, "frame"), 0), shapes.size(name_in_file(kind, "embedding"), 0)
        expected = {
            "frame": (H, sizes["bands"]),
            "frame_bias": (H,),
            "embedding": (E, 2 * sizes["bands"] + H),
            "embedding_bias": (E,),
            "fullband": (sizes["gates"], E),
            "subband": (sizes["features"], sizes["local"]),
            "output": (sizes["atoms"], E),
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
