"""The sections to listen to: players with spectrograms, and what the network did inside."""

from __future__ import annotations

import numpy as np

from .atoms import sorted_atoms
from .examples import Example
from .html_parts import esc, frequency_marks, lane, number, score, time_axis, transport, unit
from .layers import Anatomy
from .media import sound

ACTIVATION_RANGE_DB = 60.0


def example_html(example: Example, player: int, metrics: tuple[str, ...]) -> str:
    """Return an example: what it is, its scores, a player, and four spectrograms on one axis of time."""
    rate_hz = example.mixture.rate_hz
    seconds = len(example.tracks[0].samples) / rate_hz
    tracks = "".join(_track(example, index, player) for index in range(len(example.tracks)))
    return (
        f'<article class="example"><h3>{esc(example.title)} <small>{_improvement(example)}</small></h3>'
        f'<p class="about">{_about(example, seconds)}</p><p class="about">{_scores(example, metrics)}</p>'
        f"{transport(player, seconds, f'the {example.title.lower()} example')}"
        f'<div class="tracks" role="radiogroup" aria-label="Signal to hear">{tracks}{time_axis(seconds)}</div>'
        "</article>"
    )


def _improvement(example: Example) -> str:
    return f"{score('si_sdr', example.row['si_sdr_improvement'], sign=True)} dB SI-SDR"


def _about(example: Example, seconds: float) -> str:
    row = example.row
    whole = len(example.mixture.noisy) / example.mixture.rate_hz
    length = f"{whole:.1f} s" + (f", the first {seconds:g} s here" if whole > seconds + 0.05 else "")
    snr = "" if row["snr_db"] is None else f"{row['snr_db']:g}\N{NO-BREAK SPACE}dB SNR".replace("-", "−")
    facts = [row["noise_type"] and f"{row['noise_type']} noise", snr, length]
    return f"<code>{esc(row['id'])}</code> · " + " · ".join(esc(fact) for fact in facts if fact)


def _scores(example: Example, metrics: tuple[str, ...]) -> str:
    from ..evaluation.metrics import METRICS

    row = example.row
    return " · ".join(
        f"{METRICS[name].label} {score(name, row[f'{name}_input'])} → "
        f"<b>{score(name, row[f'{name}_output'])}</b>{unit(name)}"
        for name in metrics
    ).replace("nan", "–")


def _track(example: Example, index: int, player: int) -> str:
    track = example.tracks[index]
    checked = " checked" if track.name == "Enhanced" else ""
    rate_hz = example.mixture.rate_hz
    description = f"Spectrogram: {track.name.lower()}, 0 to {rate_hz / 2000:g} kHz, over time"
    return (
        f'<div class="track"><label class="name"><input type="radio" name="track-{player}" value="{index}"{checked}>'
        f"<span>{track.name}</span></label>{lane(track.spectrogram, description, frequency_marks(rate_hz), player)}"
        f'<audio controls preload="auto" data-player="{player}" aria-label="{track.name}" '
        f'src="{sound(track.samples, rate_hz)}"></audio></div>'
    )


def inside(example: Example, anatomy: Anatomy, player: int) -> tuple[str, str]:
    """Return activations over time, and the mask layer by layer, of one example that `player` plays."""
    rate_hz = example.mixture.rate_hz
    seconds = len(example.tracks[0].samples) / rate_hz
    frames = example.tracks[0].spectrogram.shape[1]
    bar = transport(player, seconds, f"the {example.title.lower()} example")
    noisy, _, clean, _ = example.tracks
    marks = frequency_marks(rate_hz)
    masks = "".join(
        _row(_after(layer, anatomy), lane(mask[:, :frames], f"Mask: {_after(layer, anatomy)}", marks, player))
        for layer, mask in anatomy.masks.items()
    )
    ends = [_row(t.name, lane(t.spectrogram, f"Spectrogram: {t.name.lower()}", marks, player)) for t in (noisy, clean)]
    stack = f'<div class="tracks">{ends[0]}{masks}{ends[1]}{time_axis(seconds)}</div>'
    return f"{bar}{_activations(anatomy, rate_hz, frames, player)}{time_axis(seconds)}</div>", bar + stack


def _after(layer: int, anatomy: Anatomy) -> str:
    name = "Before layer 1" if layer == 0 else f"After layer {layer}"
    return f"{name}: {number(anatomy.si_sdr_db[layer], 1)}\N{NO-BREAK SPACE}dB"


def _row(name: str, content: str) -> str:
    return f'<div class="track"><span class="name">{esc(name)}</span>{content}</div>'


def _activations(anatomy: Anatomy, rate_hz: int, frames: int, player: int) -> str:
    network = anatomy.network
    speech = network.speech_atoms
    loudness = anatomy.activations[:, :frames] * np.linalg.norm(network.output, axis=0)[:, None]
    peak = max(float(loudness.max(initial=0.0)), 1e-12)
    shades = 1 + 20 * np.log10(np.maximum(loudness / peak, 10 ** (-ACTIVATION_RANGE_DB / 20))) / ACTIVATION_RANGE_DB
    shades = shades[sorted_atoms(network.output, speech, rate_hz)]
    rows = [
        _row(f"{name} atoms", lane(part, f"Activations of the {name.lower()} atoms", ["high", "", "low"], player))
        for name, part in (("Speech", shades[:speech]), ("Noise", shades[speech:]))
        if len(part)
    ]
    return f'<div class="tracks">{"".join(rows)}'
