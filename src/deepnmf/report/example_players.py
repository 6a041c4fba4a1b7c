"""Examples on the page: players with spectrograms, and one example traced through the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..evaluation.metrics import METRICS
from .atoms import centre_frequencies, sorted_atoms
from .charts import Chart, curve
from .examples import RANGE_DB, Example
from .layers import LayerTrace
from .media import sound
from .strips import ColourBar, Strip, decibels, frequency_axis, kilohertz, spectrogram_strip
from .text import is_negative, number, score, tick

ACTIVATION_RANGE_DB = 60.0
SPECTROGRAM_COLOURS = decibels(RANGE_DB, "the peak of the noisy recording")
ACTIVATION_COLOURS = decibels(ACTIVATION_RANGE_DB, "the loudest activation")
MASK_COLOURS = ColourBar("0", "1", "mask, gain as a ratio of amplitudes")


@dataclass(frozen=True)
class PlayerTrack:
    """One signal of a player: its name, strip, sound as a data URI, and whether it is the one played at first."""

    name: str
    strip: Strip
    sound: str
    checked: bool


@dataclass(frozen=True)
class ExamplePlayer:
    """An example of the page.

    Attributes
    ----------
    number : int
        Of the player.
    title : str
        ``"Best"`` and so on.
    id : str
        Of the recording.
    gain, measure : str
        Improvement in the leading metric; its unit and name.
    facts : list of str
        Noise type, SNR and length.
    scores : list of (str, str, str, str)
        Metric, input, output and unit.
    seconds : float
        Length of the excerpt.
    tracks : list of PlayerTrack
        Its signals.
    """

    number: int
    title: str
    id: str
    gain: str
    measure: str
    facts: list[str]
    scores: list[tuple[str, str, str, str]]
    seconds: float
    tracks: list[PlayerTrack]

    @property
    def negative(self) -> bool:
        """Whether the recording came out worse."""
        return is_negative(self.gain)


def example_player(example: Example, player: int, metrics: tuple[str, ...]) -> ExamplePlayer:
    """Return an example as the page shows it."""
    row, rate_hz = example.row, example.mixture.rate_hz
    seconds = len(example.tracks[0].samples) / rate_hz
    return ExamplePlayer(
        number=player,
        title=example.title,
        id=row["id"],
        gain=score(metrics[0], row[f"{metrics[0]}_improvement"], sign=True),
        measure=f"{METRICS[metrics[0]].unit} {METRICS[metrics[0]].label}".strip(),
        facts=_facts(row, len(example.mixture.noisy) / rate_hz, seconds),
        scores=[_scores(name, row) for name in metrics],
        seconds=seconds,
        tracks=[
            PlayerTrack(
                track.name,
                spectrogram_strip(track.spectrogram, _spectrogram(track.name), frequency_axis(rate_hz), player),
                sound(track.samples, rate_hz),
                track.name == "Enhanced",
            )
            for track in example.tracks
        ],
    )


def _spectrogram(name: str) -> str:
    return f"Spectrogram: {name.lower()}"


def _facts(row: dict[str, Any], whole: float, seconds: float) -> list[str]:
    noise = f"{row['noise_type']} noise" if row["noise_type"] else ""
    snr = "" if row["snr_db"] is None else f"{tick(row['snr_db'])}\N{NO-BREAK SPACE}dB SNR"
    length = f"{whole:.1f} s" + (f", the first {seconds:g} s here" if whole > seconds + 0.05 else "")
    return [fact for fact in (noise, snr, length) if fact]


def _scores(name: str, row: dict[str, Any]) -> tuple[str, str, str, str]:
    before, after = (score(name, row[f"{name}_{part}"]) for part in ("input", "output"))
    return METRICS[name].label, before, after, METRICS[name].unit


@dataclass(frozen=True)
class LayersSection:
    """One example traced through the layers: named strips of activations and of masks, and SI-SDR by layer."""

    player: ExamplePlayer
    activations: list[tuple[str, Strip]]
    masks: list[tuple[str, Strip]]
    quality: Chart


def layers_section(player: ExamplePlayer, trace: LayerTrace, rate_hz: int, frames: int) -> LayersSection:
    """Return activations over time, and the mask layer by layer, of the first `frames` of an example."""
    axis = frequency_axis(rate_hz)
    masks = [
        (
            _after(layer, trace),
            spectrogram_strip(mask[:, :frames], f"Mask: {_after(layer, trace)}", axis, player.number),
        )
        for layer, mask in trace.masks.items()
    ]
    last = len(trace.si_sdr_db) - 1
    quality = curve(trace.si_sdr_db, "number of layers", "SI-SDR (dB)", marked=(last, "output of the network"))
    return LayersSection(player, _activations(trace, rate_hz, frames, player.number), masks, quality)


def _after(layer: int, trace: LayerTrace) -> str:
    name = "Before layer 1" if layer == 0 else f"After layer {layer}"
    return f"{name}: {number(trace.si_sdr_db[layer], 1)}\N{NO-BREAK SPACE}dB"


def _activations(trace: LayerTrace, rate_hz: int, frames: int, player: int) -> list[tuple[str, Strip]]:
    output, speech = trace.network.output, trace.network.speech_atoms
    loudness = trace.activations[:, :frames] * np.linalg.norm(output, axis=0)[:, None]
    peak = max(float(loudness.max(initial=0.0)), 1e-12)
    shades = 1 + 20 * np.log10(np.maximum(loudness / peak, 10 ** (-ACTIVATION_RANGE_DB / 20))) / ACTIVATION_RANGE_DB
    order = sorted_atoms(output, speech, rate_hz)
    centres = centre_frequencies(output, rate_hz)[order]
    halves = (("Speech", slice(None, speech)), ("Noise", slice(speech, None)))
    return [
        (f"{name} atoms", _atom_strip(shades[order][half], f"{name.lower()} atoms", centres[half], player))
        for name, half in halves
        if len(centres[half])
    ]


def _atom_strip(shades: np.ndarray, name: str, centres: np.ndarray, player: int) -> Strip:
    places = (len(centres) - 1, len(centres) // 2, 0)
    return spectrogram_strip(shades, f"Activations of the {name}", [kilohertz(centres[at]) for at in places], player)
