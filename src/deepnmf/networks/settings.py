"""Settings of the networks and of their training, dataclasses composed for each kind of network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..config import NetworkConfig, TrainConfig, setting
from ..errors import ConfigError


@dataclass(frozen=True)
class LayeredConfig(NetworkConfig):
    """A network of K layers whose frames are independent."""

    context: int = setting(1, 1, 100)
    """T: frames stacked into one observation, the current one last."""
    layers: int = setting(4, 1, 1000)
    """K, the number of layers before the output, such as unfolded iterations."""
    tied: bool = False
    """Whether the trained layers before the output share their weights."""


@dataclass(frozen=True)
class UnitsConfig(LayeredConfig):
    """A network of K layers of hidden units."""

    units: int = setting(256, 1, 65_536)
    """Hidden units of a layer."""


@dataclass(frozen=True)
class GridConfig(UnitsConfig):
    """K iterations of inference among hidden units on a grid."""

    units: int = setting(256, 5, 65_536)
    """Hidden units; with fewer, two units would be neighbours twice."""


@dataclass(frozen=True)
class DeepNMFConfig(LayeredConfig):
    """Deep NMF."""

    trained_layers: int | None = setting(None, 0, 1001)
    """C, counted from the output backwards: 0 is SNMF, 1 is DNMF; by default all K + 1."""

    @property
    def trained(self) -> int:
        """C as a number."""
        return self.layers + 1 if self.trained_layers is None else self.trained_layers

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trained > self.layers + 1:
            raise ConfigError(
                f"network.trained_layers must be 0 to {self.layers + 1}, the layers and the output, not {self.trained}"
            )


@dataclass(frozen=True)
class RecurrentConfig(NetworkConfig):
    """Recurrent layers over bands."""

    bands: int = setting(64, 2, 32_769)
    """Input bands of the recurrent layers; at most the bins of a frame."""
    units: int = setting(176, 1, 65_536)
    """Units of a full-band recurrent layer."""
    recurrent_layers: int = setting(1, 1, 100)
    """Recurrent layers over the full band."""


@dataclass(frozen=True)
class RecurrentDeepNMFConfig(RecurrentConfig):
    """Recurrent deep NMF: an LSTM prior and K layers of NMF; that of Wisdom et al. (2017) is :class:`DRNMFConfig`."""

    kind: str = "recurrent-deep-nmf"
    subband_units: int = setting(64, 1, 65_536)
    """Units of the recurrent layer that all sub-bands share."""
    fusion_units: int = setting(0, 0, 65_536)
    """Units of the recurrent layer that sees the full band and all sub-bands; 0 leaves it out."""
    layers: int = setting(1, 0, 1000)
    """K ≥ 0, the multiplicative updates between prior and output, each with its own dictionary."""
    filter_units: int = setting(0, 0, 4096)
    """Units of the recurrent layer of the filter over several frames, in each bin below 3 kHz; 0 leaves it out."""
    filter_frames: int = setting(2, 1, 100)
    """Past frames of that filter."""


@dataclass(frozen=True)
class DRNMFConfig(NetworkConfig):
    """DR-NMF of Wisdom et al. (2017): K steps of sparse coding, from the activations of the previous frame."""

    kind: str = "dr-nmf"
    layers: int = setting(4, 1, 1000)
    """K, the steps of soft thresholding of a frame, each with its own dictionary."""


RATES = ("weight_learning_rate", "dictionary_learning_rate", "eta")
"""Step sizes, of which each kind has some."""


@dataclass(frozen=True)
class NonnegativeTraining(TrainConfig):
    """Training of non-negative weights, by Adam on their logarithm or by multiplicative updates."""

    optimiser: Literal["multiplicative", "adam"] = "adam"
    """How non-negative weights are updated; others by Adam."""
    eta: float = setting(0.05, 0, 1, optimiser="multiplicative")
    """η, the exponent of multiplicative updates."""
    gradient_decay: float = setting(0.9, 0, 0.999, optimiser="multiplicative")
    """Share of the gradient's parts kept from one batch to the next."""


@dataclass(frozen=True)
class FramewiseTraining(TrainConfig):
    """Training on stored features, of a network whose frames are independent."""

    batch_frames: int = setting(1000, 0, 10**12)
    """Frames of a mini-batch; 0 is full-batch training."""
    target: Literal["magnitude", "phase-sensitive"] = "phase-sensitive"
    """What the estimate is compared with: clean magnitudes, or those projected on the phase of the mixture."""
    error_beta: float = setting(2.0, 0, 4)
    """The error is this β-divergence between the target and the estimate (β₂ in the paper)."""


@dataclass(frozen=True)
class SignedTraining(FramewiseTraining):
    """Training by Adam of weights that may be negative."""

    weight_learning_rate: float = setting(3e-3, 0, 1)
    """Initial step size of Adam; step sizes have a cosine decay to zero."""


@dataclass(frozen=True)
class SparseCodingTraining(NonnegativeTraining, FramewiseTraining):
    """Training of sparse coding, whose weights are all non-negative."""

    dictionary_learning_rate: float = setting(0.2, 0, 10, optimiser="adam")
    """Initial step size of Adam in log W; step sizes have a cosine decay to zero."""


@dataclass(frozen=True)
class DeepNMFTraining(FramewiseTraining):
    """Training of the dictionaries of deep NMF, by multiplicative updates or by Adam on their logarithm."""

    optimiser: Literal["multiplicative", "adam"] = "multiplicative"
    """How the weights are updated."""
    split_at: Literal["weights", "activations", "none"] = setting("weights", optimiser="multiplicative")
    """Where the gradient is split into its parts: at the weights; at every activation, on the way back; or nowhere
    after the output, which is the paper's rule."""
    eta: float = setting(0.05, 0, 1, optimiser="multiplicative")
    """η, the exponent of the update. The paper's rule has 1; less damps it, which recomputed splits need."""
    gradient_decay: float = setting(0.9, 0, 0.999, optimiser="multiplicative", split_at="weights")
    """Share of the gradient's parts kept from one batch to the next. Other splits keep none: parts taken at other
    weights share a factor that would be applied again at every update."""
    dictionary_learning_rate: float = setting(0.2, 0, 10, optimiser="adam")
    """Initial step size of Adam in log W; step sizes have a cosine decay to zero."""


SEGMENT_FRAMES = 300
"""Frames of a segment: 3 s with the default transform."""


@dataclass(frozen=True)
class SegmentTraining(TrainConfig):
    """Training on segments of consecutive frames, with dynamic mixing."""

    batch_segments: int = setting(8, 1, 4096)
    """Segments of 300 frames (3 s with the default transform) in a mini-batch."""
    cache_gb: float = setting(16.0, 0, 1e6, recorded=False)
    """Gigabytes of decoded recordings on disk, 8.7 hours each at 16 kHz. The rest of a larger corpus is decoded when it
    is drawn. Changes the speed and no result: a run may be resumed with another value."""
    loss_power: float = setting(0.4, 0.05, 1)
    """Magnitudes are raised to this power before they are compared."""
    loss_phase: float = setting(0.3, 0, 1)
    """Share of the phase-aware term in the compressed error."""
    loss_uncompressed: float = setting(0.1, 0, 1000)
    """Weight of the squared error of uncompressed spectra, which SI-SDR follows."""
    loss_intelligibility: float = setting(50.0, 0, 10_000)
    """Weight of 1 − d, where d is the correlation of band envelopes that ESTOI averages."""
    loss_distortion: float = setting(0.0, 0, 1000)
    """Weight of the negative SI-SDR in dB, averaged over the segments."""
    loss_residue: float = setting(0.0, 0, 1000)
    """Weight of the residual noise of segments without speech, in dB, averaged over all segments."""
    loss_perceptual: float = setting(0.0, 0, 1000)
    """Weight of what audible differences of loudness take from PESQ, averaged over the segments."""


@dataclass(frozen=True)
class SequenceTraining(SegmentTraining):
    """Training of a recurrent network by Adam, with dynamic mixing."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the recurrent layers. Processors with bfloat16 units (AMX) train 1.6 times as fast with it; others fall back
    to float32."""
    weight_learning_rate: float = setting(2e-3, 0, 1)
    """Peak step size of Adam; step sizes have a linear warm-up and a cosine decay to zero."""


@dataclass(frozen=True)
class DRNMFTraining(NonnegativeTraining, SegmentTraining):
    """Training of DR-NMF through time; all its weights are non-negative."""

    dictionary_learning_rate: float = setting(2e-2, 0, 10, optimiser="adam")
    """Peak step size of Adam in the logarithm of all weights."""


@dataclass(frozen=True)
class RecurrentDeepNMFTraining(NonnegativeTraining, SequenceTraining):
    """Training of recurrent deep NMF: Adam for the prior, for the dictionaries Adam or multiplicative updates."""

    dictionary_learning_rate: float = setting(1e-2, 0, 10, optimiser="adam")
    """Peak step size of Adam in log W."""
