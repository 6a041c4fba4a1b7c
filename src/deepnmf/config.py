"""Settings of every stage as frozen dataclasses; a TOML file holds only what differs from the defaults."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from .errors import DeepnmfError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
NetworkKind = Literal[
    "deep-nmf", "sigmoid", "mean-field", "belief-propagation", "ista", "recurrent-deep-nmf", "gru", "lstm"
]
NETWORKS: tuple[str, ...] = typing.get_args(NetworkKind)
"""Kinds of networks that can be trained, the default first."""


@dataclass(frozen=True)
class StftSpec:
    """Short-time Fourier transform with square-root Hann windows at both ends."""

    rate_hz: int = 16000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    fft_size: int = 512

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
        if not 0 < self.hop < self.window <= self.fft_size:  # a Hann window with no overlap loses its zeros for good
            raise DeepnmfError(
                f"STFT: 0 < hop {self.hop} < window {self.window} ≤ fft_size {self.fft_size} samples must hold; "
                "change window_ms, hop_ms or fft_size"
            )


@dataclass(frozen=True)
class PrepareConfig:
    """Mixtures of speech and noise for training."""

    speaker_level: int = 1
    """Speakers are the folders at this level below the folder of speech, or below train, dev and test in it."""
    mixtures_per_utterance: int = 2
    """Mixtures made of each training utterance."""
    snr_db_low: float = -6.0
    snr_db_high: float = 9.0
    """Bounds of the uniformly drawn SNR of training mixtures, in dB."""


@dataclass(frozen=True)
class FeatureConfig:
    """Magnitudes that the model sees."""

    stft: StftSpec = field(default_factory=StftSpec)
    level_seconds: float = 3.0
    """Time constant of the causal level that magnitudes are divided by."""


@dataclass(frozen=True)
class SnmfConfig:
    """Sparse NMF dictionaries, trained apart on speech and on noise."""

    speech_atoms: int = 100
    noise_atoms: int = 100
    context: int = 1
    """T: frames stacked into one observation, the current one last."""
    beta: float = 1.0
    sparsity: float = 3.0
    """μ, in units of the level-normalised magnitude."""
    iterations: int = 100
    max_frames: int = 40000
    """Active frames drawn from the corpus for each dictionary; bounds memory."""


@dataclass(frozen=True)
class NetworkConfig:
    """The network: K layers, such as the unfolded iterations of deep NMF, and an output layer."""

    kind: NetworkKind = "deep-nmf"
    """What follows is for kinds whose frames are independent; :class:`RecurrentConfig` is for the others."""
    layers: int = 4
    """K."""
    trained: int | None = None
    """Deep NMF: C, counted from the output backwards: 0 is SNMF, 1 is DNMF; by default all K + 1."""
    tied: bool = False
    """Whether the trained layers before the output share their weights."""
    units: int = 256
    """Hidden units of a layer; deep NMF has the atoms of its dictionaries instead."""

    @property
    def trained_layers(self) -> int:
        """C as a number."""
        return self.layers + 1 if self.trained is None else self.trained

    def __post_init__(self) -> None:
        if self.kind != "deep-nmf" and self.trained is not None:
            raise DeepnmfError(f"network: trained is for deep-nmf; all layers of {self.kind} are trained, leave it out")
        if self.units < 1:
            raise DeepnmfError(f"network: units must be ≥ 1, not {self.units}")
        if self.layers < 1 or not 0 <= self.trained_layers <= self.layers + 1:
            raise DeepnmfError(
                f"network: layers ≥ 1 and 0 ≤ trained ≤ layers + 1 must hold, not {self.layers} and {self.trained}"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Discriminative training of the network."""

    optimiser: Literal["multiplicative", "adam"] = "multiplicative"
    """Of deep NMF; any other network learns by Adam."""
    epochs: int = 12
    epoch_frames: int = 200_000
    """Frames of an epoch, drawn anew at each from the corpus; 0 takes the whole corpus."""
    batch_frames: int = 1000
    """Frames of a mini-batch; 0 takes the whole epoch as one batch."""
    target: Literal["magnitude", "phase-sensitive"] = "phase-sensitive"
    error_beta: float = 2.0
    """The error is this β-divergence between the target and the estimate (β₂ in the paper)."""
    splitting: Literal["weights", "activations", "none"] = "weights"
    """Multiplicative: where the gradient's parts are split anew; "none" is the paper's rule."""
    exponent: float = 0.05
    """Multiplicative: η. The paper's rule has 1; less damps the update, which new splits need."""
    memory: float = 0.9
    """Multiplicative: share of the statistics kept from one batch to the next."""
    learning_rate: float = 0.2
    """Adam: step in log W. The steps and η are those of the start; they fall to zero along a cosine."""
    weight_rate: float = 3e-3
    """Adam: step in the weights that may be negative, which networks other than deep NMF have."""
    seed: int = 0


@dataclass(frozen=True)
class RecurrentConfig:
    """Recurrent networks and their training by Adam; of :class:`TrainConfig` epochs, epoch_frames and seed hold too."""

    bands: int = 64
    """Bands that the recurrent layers read."""
    units: int = 176
    """Units of a recurrent layer over the full band."""
    recurrent_layers: int = 1
    subband_units: int = 64
    """Units of the recurrent layer that all sub-bands share."""
    layers: int = 1
    """Deep NMF: K ≥ 0, the multiplicative updates between prior and output, each with its own dictionary."""
    batch_segments: int = 8
    """Segments of 3 s in a mini-batch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the recurrent layers in training. Processors with bfloat16 units (AMX) train 1.6 times as fast with it."""
    learning_rate: float = 2e-3
    """Highest step; steps rise to it along a line and fall to zero along a cosine."""
    dictionary_rate: float = 1e-2
    """The same for log W of the dictionaries."""
    loss_power: float = 0.4
    """Magnitudes are raised to this power before they are compared."""
    loss_phase: float = 0.3
    """Share of the compressed error that counts the phase of the estimate, which is the mixture's, too."""
    loss_plain: float = 0.1
    """Weight of the squared error of uncompressed magnitudes, which SI-SDR follows."""
    loss_intelligibility: float = 50.0
    """Weight of 1 − d, where d is the correlation of band envelopes that ESTOI is the mean of."""

    def __post_init__(self) -> None:
        sizes = self.units, self.recurrent_layers, self.subband_units, self.batch_segments
        if self.layers < 0 or self.bands < 2 or min(sizes) < 1:
            raise DeepnmfError(
                "recurrent: layers must be ≥ 0, bands ≥ 2, units, recurrent_layers, subband_units, batch_segments ≥ 1"
            )


@dataclass(frozen=True)
class Config:
    """Everything that decides what a training run gives."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    snmf: SnmfConfig = field(default_factory=SnmfConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)
    prepare: PrepareConfig = field(default_factory=PrepareConfig)


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration dataclass as nested plain dictionaries."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], values: dict[str, Any], where: str = "config") -> T:
    """Build the dataclass `cls` from nested dictionaries; missing keys keep their defaults.

    Raises
    ------
    DeepnmfError
        If a key is unknown or a value has the wrong type; the message names the key.

    Examples
    --------
    >>> from_dict(Config, {"network": {"layers": 25}}).network.layers
    25
    >>> from_dict(Config, {"network": {"depth": 25}})
    Traceback (most recent call last):
    deepnmf.errors.DeepnmfError: config: unknown key network.depth; known: kind, layers, trained, tied, units
    """
    return _build(cls, values, where, "")


def _build(cls: Any, values: dict[str, Any], where: str, prefix: str) -> Any:
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]
    built = {}
    for key, value in values.items():
        path = prefix + key
        if key not in known:
            raise DeepnmfError(f"{where}: unknown key {path}; known: {', '.join(known)}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise DeepnmfError(f"{where}: {path} is a table, not {value!r}")
            built[key] = _build(hints[key], value, where, path + ".")
        else:
            built[key] = _check(hints[key], value, where, path)
    return cls(**built)


def _check(hint: Any, value: Any, where: str, path: str) -> Any:
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise DeepnmfError(f"{where}: {path} must be one of {', '.join(typing.get_args(hint))}, not {value!r}")
        return value
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise DeepnmfError(f"{where}: {path} must be finite, not {value!r}")
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise DeepnmfError(f"{where}: {path} must be {getattr(hint, '__name__', hint)}, not {value!r}")
    return value


def with_defaults(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a configuration recorded in `where` with the settings that did not exist yet when it was recorded.

    Raises
    ------
    DeepnmfError
        If it has settings that exist no more.
    """
    try:
        return to_dict(from_dict(Config, values, where))
    except DeepnmfError as error:
        raise DeepnmfError(f"{error}; an earlier deepnmf began this run: choose another folder") from None


def load(path: Path | None, overrides: dict[str, Any] | None = None) -> Config:
    """Read a TOML file of differences and lay `overrides` (nested, ``None`` left out) over it."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise DeepnmfError(f"{path}: cannot read the configuration ({error})") from None
        except tomllib.TOMLDecodeError as error:
            raise DeepnmfError(f"{path}: not valid TOML ({error})") from None
    return from_dict(Config, _merged(values, overrides or {}), str(path) if path else "config")


def parse_setting(text: str) -> tuple[str, str, Any]:
    """Split ``section.key=value``, the value as TOML has it (a bare word is a string).

    Examples
    --------
    >>> parse_setting("network.layers=25"), parse_setting("train.optimiser=adam")
    (('network', 'layers', 25), ('train', 'optimiser', 'adam'))
    """
    path, equals, value = text.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (equals and dot):
        raise DeepnmfError(f"{text!r}: a setting has the form SECTION.KEY=VALUE, such as network.layers=25")
    try:
        return section, key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return section, key, value.strip()


def _merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Lay nested `overrides` over `values`, table by table; ``None`` overrides nothing."""
    merged = dict(values)
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(merged.get(key, {}), dict):
            merged[key] = _merged(merged.get(key, {}), value)
        elif value is not None and not isinstance(value, dict):
            merged[key] = value
    return merged


def fingerprint(*parts: Any) -> str:
    """Return a short hash of dataclasses, dictionaries and strings, equal on every machine."""
    plain = [dataclasses.asdict(p) if dataclasses.is_dataclass(p) and not isinstance(p, type) else p for p in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


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
