"""Settings of every stage as frozen dataclasses with ranges; a TOML file holds only non-default values.

Which settings a network and its training have depends on the kind of network: :mod:`deepnmf.networks.kinds`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import numbers
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from .errors import ConfigError, DeepnmfError, unread
from .text_files import read_bounded

T = TypeVar("T")


def setting(
    default: Any, low: float | None = None, high: float | None = None, *, recorded: bool = True, **only: str
) -> Any:
    """Return a dataclass field with a default, a range, and the values of other settings under which it has an effect.

    Parameters
    ----------
    default : Any
        Its default.
    low, high : float, optional
        Least and greatest value; `None` as a value is always in range.
    recorded : bool
        Whether it identifies a run; not if it has no effect on results.
    **only : str
        Settings of the same section and the value that they must have: ``optimiser="adam"``.
    """
    metadata = {"range": None if low is None else (low, high), "only": only, "recorded": recorded}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """A section of the configuration: a frozen dataclass whose values are always checked."""

    SECTION: ClassVar[str]
    """Its name, for messages."""

    def __post_init__(self) -> None:
        section: Any = type(self)
        hints = _hints(section)
        for item in dataclasses.fields(self):
            value, name = getattr(self, item.name), f"{self.SECTION}.{item.name}"
            value = _typed(hints[item.name], value, name)
            object.__setattr__(self, item.name, value)
            _check_range(item.metadata.get("range"), value, name)

    def has_effect(self, name: str) -> bool:
        """Return whether a setting has an effect, given the others."""
        only = next(f for f in dataclasses.fields(self) if f.name == name).metadata.get("only", {})
        return all(self.has_effect(other) and getattr(self, other) == value for other, value in only.items())


MOST_NAMES = 8
"""Of tables around a setting: more than any has, and less than can be nested."""
TYPE_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text"}


@functools.cache
def _hints(section: type[Settings]) -> dict[str, Any]:
    """Return the types of a section's values, which are strings in its annotations."""
    return typing.get_type_hints(section)


def _typed(hint: Any, value: Any, name: str) -> Any:
    """Return the value, a number as Python's int or float, by its type hint; raise if it has another type."""
    if dataclasses.is_dataclass(hint):
        return value
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(f"{name} must be one of {', '.join(typing.get_args(hint))}, not {value!r}")
        return value
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):  # NumPy's scalars, too
        if int in allowed and isinstance(value, numbers.Integral):
            return int(value)
        value = float(value) if float in allowed else value
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} must be finite, not {value!r}")
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        wanted = " or ".join(TYPE_NAMES[kind] for kind in allowed if kind in TYPE_NAMES)
        raise ConfigError(f"{name} must be {wanted}, not {value!r}")
    return value


def _check_range(bounds: tuple[float, float] | None, value: Any, name: str) -> None:
    if bounds is not None and value is not None and not bounds[0] <= value <= bounds[1]:
        raise ConfigError(f"{name} must be {bounds[0]:.12g} to {bounds[1]:.12g}, not {value!r}")


@dataclass(frozen=True)
class StftSpec(Settings):
    """Short-time Fourier transform with square-root Hann windows at both ends."""

    SECTION: ClassVar[str] = "features.stft"

    rate_hz: int = setting(16000, 100, 768_000)
    """Sampling rate of the model; recordings of other rates are transformed at their own."""
    window_ms: float = setting(25.0, 0.1, 1000)
    """Length of the window, which is the latency."""
    hop_ms: float = setting(10.0, 0.1, 1000)
    """Distance of two windows."""
    fft_size: int = setting(512, 4, 65_536)
    """Length of the transform, at least the window's."""

    @property
    def window(self) -> int:
        """Window length in samples."""
        return round(self.rate_hz * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Hop in samples."""
        return round(self.rate_hz * self.hop_ms / 1000)

    @property
    def bins(self) -> int:
        """Frequency bins of a frame, F."""
        return self.fft_size // 2 + 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.hop < self.window <= self.fft_size:  # without overlap, a Hann window loses samples
            raise ConfigError(
                f"STFT: 0 < hop {self.hop} < window {self.window} ≤ fft_size {self.fft_size} samples must hold; "
                "change window_ms, hop_ms or fft_size"
            )


@dataclass(frozen=True)
class FeatureConfig(Settings):
    """Magnitudes, the input of the model."""

    SECTION: ClassVar[str] = "features"

    stft: StftSpec = field(default_factory=StftSpec)
    level_seconds: float = setting(3.0, 0.01, 1000)
    """Time constant of the causal level normalisation."""


@dataclass(frozen=True)
class PrepareConfig(Settings):
    """Mixtures of a manifest; the SNR of dynamic mixing too."""

    SECTION: ClassVar[str] = "prepare"

    speaker_level: int = setting(1, 1, 100)
    """Speakers are the folders at this level below the folder of speech, or below train, dev and test in it."""
    mixtures_per_utterance: int = setting(2, 1, 10_000)
    """Mixtures of each training utterance."""
    snr_db_low: float = setting(-6.0, -100, 100)
    snr_db_high: float = setting(9.0, -100, 100)
    """Bounds of the uniformly drawn SNR of training mixtures, in dB."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.snr_db_low > self.snr_db_high:
            raise ConfigError(
                f"prepare.snr_db_low must be at most prepare.snr_db_high, not {self.snr_db_low} and {self.snr_db_high}"
            )


@dataclass(frozen=True)
class SnmfConfig(Settings):
    """Sparse NMF dictionaries, trained separately on speech and on noise."""

    SECTION: ClassVar[str] = "snmf"

    speech_atoms: int = setting(100, 1, 100_000)
    """R_s, atoms of the dictionary of speech."""
    noise_atoms: int = setting(100, 1, 100_000)
    """Atoms of the dictionary of noise."""
    beta: float = setting(1.0, 0, 4)
    """β of the divergence: 0 is Itakura-Saito, 1 Kullback-Leibler, 2 Euclidean."""
    sparsity: float = setting(3.0, 0, 10_000)
    """μ, in units of the level-normalised magnitude."""
    iterations: int = setting(100, 1, 100_000)
    """Multiplicative updates of each dictionary."""
    max_frames: int = setting(40_000, 1, 10_000_000)
    """Active frames drawn from the corpus for each dictionary; bounds memory."""


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """Settings of every kind of network."""

    SECTION: ClassVar[str] = "network"

    kind: str = "deep-nmf"


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Training settings of every kind of network."""

    SECTION: ClassVar[str] = "train"

    epochs: int = setting(12, 0, 1_000_000)
    """Passes of training, each with a dev score."""
    epoch_frames: int = setting(200_000, 0, 10**12)
    """Frames of an epoch, drawn again for each epoch; 0 takes as many as the corpus has."""
    patience: int = setting(0, 0, 1_000_000)
    """Epochs without a better dev score after which training stops; 0 is without limit."""
    average_share: float = setting(0.0, 0, 1)
    """Share of the updates so far over which the weights that are scored and stored are averaged (an exponential mean);
    0 takes those of the last update."""
    seed: int = setting(0, 0, 2**32 - 1)
    """Seed of all random numbers, including the earlier stages."""


def to_dict(config: Any) -> dict[str, Any]:
    """Return a section of the configuration as nested plain dictionaries: those settings with an effect on results."""
    values = {
        item.name: getattr(config, item.name)
        for item in dataclasses.fields(config)
        if config.has_effect(item.name) and item.metadata.get("recorded", True)
    }
    return {name: to_dict(value) if dataclasses.is_dataclass(value) else value for name, value in values.items()}


def from_dict(cls: type[T], values: dict[str, Any], where: str = "config") -> T:
    """Build the section `cls` from nested dictionaries; missing keys keep their defaults.

    Raises
    ------
    DeepnmfError
        If a key is unknown or has no effect, or a value has the wrong type or is out of range; the message names the
        key.

    Examples
    --------
    >>> from_dict(SnmfConfig, {"beta": 2}).beta
    2.0
    >>> from_dict(SnmfConfig, {"atoms": 25})
    Traceback (most recent call last):
    deepnmf.errors.ConfigError: config: unknown key snmf.atoms; known: speech_atoms, noise_atoms, beta, ...
    """
    try:
        return _built(cls, values)
    except DeepnmfError as error:
        raise ConfigError(f"{where}: {error}") from None


def _built(cls: Any, values: Any) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{cls.SECTION} is a table, not {values!r}")
    hints = _hints(cls)
    known = [item.name for item in dataclasses.fields(cls)]
    if unknown := [key for key in values if key not in known]:
        raise ConfigError(f"unknown key {cls.SECTION}.{unknown[0]}; known: {', '.join(known)}")
    section = cls(
        **{k: _built(hints[k], value) if dataclasses.is_dataclass(hints[k]) else value for k, value in values.items()}
    )
    for key in values:
        if not section.has_effect(key):
            raise ConfigError(f"{cls.SECTION}.{key} has no effect {_why(section, key)}; leave it out")
    return section


def _why(section: Any, key: str) -> str:
    """Return which other setting disables a setting."""
    only = next(item for item in dataclasses.fields(section) if item.name == key).metadata["only"]
    other = next(
        name for name, value in only.items() if not (section.has_effect(name) and getattr(section, name) == value)
    )
    return f"with {section.SECTION}.{other} = {getattr(section, other)}"


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises
    ------
    DeepnmfError
        If it cannot be read or is not TOML.
    """
    try:
        with Path(path).open("rb") as file:
            return _parse_toml(read_bounded(file).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the configuration ({unread(error)})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML ({error})") from None


def parse_setting(text: str) -> tuple[Any, ...]:
    """Split ``section.key=value`` into names and the value as TOML has it (a bare word is a string).

    Examples
    --------
    >>> parse_setting("network.layers=25"), parse_setting("features.stft.hop_ms=8"), parse_setting("network.kind=gru")
    (('network', 'layers', 25), ('features', 'stft', 'hop_ms', 8), ('network', 'kind', 'gru'))
    """
    path, equals, value = text.partition("=")
    names = [name.strip() for name in path.split(".")]
    if not equals or not 2 <= len(names) <= MOST_NAMES or not all(names):
        raise ConfigError(f"{text!r}: a setting has the form SECTION.KEY=VALUE, such as network.layers=25")
    try:
        return (*names, _parse_toml(f"value = {value}")["value"])
    except ValueError:
        return (*names, value.strip())


def _parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of TOML; a ``ValueError`` is raised if it is none."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def overlaid(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Merge nested `overrides` into `values`, table by table; ``None`` is ignored."""
    merged = dict(values)
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(merged.get(key, {}), dict):
            merged[key] = overlaid(merged.get(key, {}), value)
        elif value is not None and not isinstance(value, dict):
            merged[key] = value
    return merged


def fingerprint(*parts: Any) -> str:
    """Return a short hash of JSON values, equal on every machine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def difference(expected: dict[str, Any], found: dict[str, Any], prefix: str = "") -> str | None:
    """Return ``"path: found X, expected Y"`` for the first field in which two nested dictionaries differ, else None.

    Examples
    --------
    >>> difference({"stft": {"hop_ms": 10.0}}, {"stft": {"hop_ms": 8.0}})
    'stft.hop_ms: found 8.0, expected 10.0'
    """
    for key in sorted(expected.keys() | found.keys()):
        a, b = expected.get(key), found.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if inner := difference(a, b, f"{prefix}{key}."):
                return inner
        elif a != b:
            return f"{prefix}{key}: found {b!r}, expected {a!r}"
    return None
