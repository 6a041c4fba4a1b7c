"""Profiles of the noise or of the wanted voice: where they come from, and the file that holds one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._version import __version__
from ..artifacts import save_tensors
from ..artifacts.outputs import check_not_read, check_suffix, check_writable
from ..artifacts.records import read_features
from ..artifacts.schema import ArraySpec, Shapes, check_arrays
from ..artifacts.tensor_file import about, open_tensors
from ..audio.reader import AudioReader
from ..config import FeatureConfig, difference, to_dict
from ..errors import DeepnmfError, InputError
from ..model import BEST, DEFAULT_MODEL, Model, load_model
from ..networks.unfolded.profile_input import NOISE

SUFFIX = ".safetensors"
SAMPLED_SECONDS = 60.0
SAMPLE_PARTS = 12
"""Of a longer recording a minute is used, in equal parts spread over it."""


class Adapted(NamedTuple):
    """A model adapted to a profile, and warnings about the profile, one line each."""

    model: Model
    warnings: list[str]


@dataclass(frozen=True)
class Profile:
    """Source of a profile.

    Attributes
    ----------
    source : Path, (float, float) or None
        A file of noise or of the voice alone, or what :func:`profile` wrote; the start and end of noise alone in each
        recording, in seconds; or, if ``None``, the pauses of each recording.
    replace : bool
        Whether learned atoms replace the model's noise atoms.
    salvage : bool
        Whether to use the readable part of a truncated recording.
    kind : str
        ``noise`` or ``voice``.
    """

    source: Path | tuple[float, float] | None
    replace: bool = False
    salvage: bool = False
    kind: str = NOISE

    def model_for(self, model: Model, recording: Path | None) -> Adapted:
        """Return `model` adapted for a recording, or for any if the profile is a file and `recording` is ``None``."""
        path = self.source if isinstance(self.source, Path) else recording
        if path is None:
            raise DeepnmfError("-: stdin cannot be read twice; give the noise profile as a file")
        if path == recording and path.exists() and not path.is_file():
            raise DeepnmfError(f"{path}: a stream cannot be read twice; give the noise profile as a file")
        from .adapt import TooLittleSound, adapt_to_magnitudes, profile_warnings

        with_speech = self.source is None
        try:
            m = self.magnitudes(model.features, path)
        except TooLittleSound:
            if not with_speech:
                raise
            return Adapted(model, [f"{path}: too little sound to adapt to; enhanced without"])
        try:
            adapted = adapt_to_magnitudes(model, m, kind=self.kind, replace=self.replace, with_speech=with_speech)
        except DeepnmfError as error:
            raise DeepnmfError(f"{path}: {error}") from None
        warnings = [] if with_speech else profile_warnings(model, m, self.kind)
        return Adapted(adapted, [f"{path}: {line}" for line in warnings])

    def magnitudes(self, features: FeatureConfig, path: Path) -> np.ndarray:
        """Return the magnitudes ``(F, N)`` at unit level of the profile in a recording or a file of :func:`profile`."""
        if path.suffix == SUFFIX:
            return load_profile(path, features)
        from .adapt import TooLittleSound, profile_magnitudes

        with AudioReader(path, salvage=self.salvage) as reader:
            parts, rate_hz = self._parts(reader), reader.encoding.rate_hz
        if not parts:
            raise TooLittleSound(f"{path}: no samples to take the profile from")
        try:
            return profile_magnitudes(features, np.concatenate(parts, axis=1), rate_hz)
        except DeepnmfError as error:
            raise type(error)(f"{path}: {error}") from None

    def _parts(self, reader: AudioReader) -> list[np.ndarray]:
        rate_hz, frames = reader.encoding.rate_hz, reader.count_frames()
        if isinstance(self.source, tuple):
            start, stop = (round(seconds * rate_hz) for seconds in self.source)
            if not 0 <= start < min(stop, frames):
                raise DeepnmfError(
                    f"{reader.path}: no samples from {self.source[0]:g} to {self.source[1]:g} s; "
                    f"it is {frames / rate_hz:.2f} s long"
                )
            return list(reader.blocks(start=start, stop=stop))
        length = int(SAMPLED_SECONDS * rate_hz)
        if frames <= length:
            return list(reader.blocks())
        starts = np.linspace(0, frames - length // SAMPLE_PARTS, SAMPLE_PARTS).astype(int).tolist()
        return [b for start in starts for b in reader.blocks(start=start, stop=start + length // SAMPLE_PARTS)]


def profile(source: Path | str, output: Path | str, model: str | Path = DEFAULT_MODEL, span: str | None = None) -> Path:
    """Write the profile of a recording to a file: magnitudes at unit level, for models of the same features.

    Parameters
    ----------
    source : Path or str
        A recording of noise alone, or of the wanted voice alone. Of more than a minute, a minute is used.
    output : Path or str
        File to write (``.safetensors``).
    model : str or Path
        The model it is for, or one of the same features.
    span : str, optional
        ``START:END`` in seconds, the part of the recording to use.

    Raises
    ------
    DeepnmfError
        If the recording cannot be read, is silent or too short, or the name of the output has another suffix.
    """
    source, output = Path(source), Path(output)
    check_suffix(output, "a profile", SUFFIX)
    check_not_read([output], source, model, Path(model) / BEST)
    check_writable(output)
    if source.suffix == SUFFIX:
        raise InputError(f"{source}: not a recording, but a file of arrays such as a profile; give the recording")
    part = None if span is None else parse_span(span)
    if span is not None and part is None:
        raise InputError(f"{span}: a span has the form START:END in seconds, such as 0:5")
    features = load_model(model).features
    m = Profile(source if part is None else part).magnitudes(features, source)
    arrays = {"magnitudes": np.minimum(m, np.finfo(np.float16).max).astype(np.float16)}
    save_tensors(output, arrays, "profile", {"features": to_dict(features), "deepnmf": __version__})
    return output


def parse_span(text: str) -> tuple[float, float] | None:
    """Return ``START:END`` in seconds, or None if the text is something else.

    Examples
    --------
    >>> parse_span("0:0.5"), parse_span("noise.wav")
    ((0.0, 0.5), None)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", text)
    return (float(found[1]), float(found[2])) if found else None


def load_profile(path: Path, features: FeatureConfig | None = None) -> np.ndarray:
    """Return the magnitudes ``(F, N)`` of what :func:`profile` wrote.

    Raises
    ------
    DeepnmfError
        If the file is missing, damaged, not a profile, or has other features than these.
    """
    file = open_tensors(path, "profile")
    with about(path, "make it again with `deepnmf profile`"):
        recorded = read_features(file.metadata.get("features"))
        frames = max(1, Shapes(file.shapes).size("magnitudes", 1))
        check_arrays({"magnitudes": ArraySpec((recorded.stft.bins, frames), nonnegative=True)}, file.arrays)
        if features is not None and (found := difference(to_dict(features), to_dict(recorded))):
            raise InputError(f"made for a model of other features ({found})")
    return np.array(file.arrays["magnitudes"], np.float32)
