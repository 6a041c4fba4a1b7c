"""Make the clips of this folder: an espeak-ng voice in noise from a seeded generator. Needs espeak-ng on the path.

Usage: ``python examples/make_examples.py`` (writes beside this file).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from deepnmf.audio.files import read, resample
from deepnmf.data.mixing import mix

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Clip:
    """One noisy clip and its clean version."""

    noisy: str
    clean: str
    rate_hz: int
    channels: int
    snr_db: float
    voice: str
    words_per_minute: int
    text: str
    seed: int


CLIPS = [
    Clip(
        noisy="noisy.wav",
        clean="clean.wav",
        rate_hz=16000,
        channels=1,
        snr_db=3.0,
        voice="en-gb",
        words_per_minute=150,
        text="Hello. I am sitting next to a fan, with a mains hum in the room. Can you still hear every word?",
        seed=1,
    ),
    Clip(
        noisy="noisy_48k_stereo.flac",
        clean="clean_48k_stereo.flac",
        rate_hz=48000,
        channels=2,
        snr_db=6.0,
        voice="en-us+f3",
        words_per_minute=155,
        text="Welcome back to the show. We are on a train today, so please forgive the rumble.",
        seed=2,
    ),
]


def main() -> None:
    """Write every clip, and ``clips.json`` with what each of them is."""
    for clip in CLIPS:
        write_clip(clip)
    text = json.dumps([asdict(clip) for clip in CLIPS], indent=2)
    (FOLDER / "clips.json").write_text(text + "\n", encoding="utf-8")


def write_clip(clip: Clip) -> None:
    """Mix the voice with made-up noise at the clip's SNR and write both versions, 16 bit."""
    speech = placed(spoken(clip), clip)
    noise = made_up_noise(speech.shape, clip.rate_hz, np.random.default_rng(clip.seed))
    mixture = mix(speech.ravel(), noise.ravel(), clip.snr_db, clip.rate_hz)
    for name, samples in ((clip.noisy, mixture.noisy), (clip.clean, mixture.speech)):
        soundfile.write(FOLDER / name, samples.reshape(speech.shape).T, clip.rate_hz, "PCM_16")


def spoken(clip: Clip) -> np.ndarray:
    """Return the clip's text spoken by espeak-ng, with half a second of pause before and after, ``(samples,)``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.wav"
        command = ["espeak-ng", "-v", clip.voice, "-s", str(clip.words_per_minute), "-w", str(path), clip.text]
        subprocess.run(command, check=True)
        samples, rate_hz = read(path)
    voice = resample(samples[0], rate_hz, clip.rate_hz)
    return np.pad(0.35 * voice / np.abs(voice).max(), clip.rate_hz // 2)


def placed(voice: np.ndarray, clip: Clip) -> np.ndarray:
    """Return ``(channels, samples)``; in stereo the voice is nearer to the right ear: louder, and 0.3 ms earlier."""
    if clip.channels == 1:
        return voice[None]
    return np.stack([0.6 * np.roll(voice, int(0.0003 * clip.rate_hz)), voice])


def made_up_noise(shape: tuple[int, int], rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``(channels, samples)`` of coloured noise that swells and ebbs, steady hiss and a mains hum."""
    seconds = np.arange(shape[1]) / rate_hz
    swell = 1 + 0.6 * np.sin(2 * np.pi * 0.4 * seconds + rng.uniform(0, 6)) * np.sin(2 * np.pi * 3.1 * seconds)
    hum = sum(
        gain * np.sin(2 * np.pi * 50 * k * seconds + rng.uniform(0, 6))
        for k, gain in ((1, 0.3), (2, 0.6), (3, 0.3), (5, 0.2))
    )
    noise = [
        swell * coloured(shape[1], rate_hz, rng) + 0.02 * rng.standard_normal(shape[1]) + hum for _ in range(shape[0])
    ]
    return np.stack(noise).astype(np.float32)


def coloured(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of unit power that is flat to 300 Hz and falls by 6 dB an octave above, ``(samples,)``."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / rate_hz)
    noise = np.fft.irfft(spectrum / np.maximum(1, frequency_hz / 300), samples)
    return noise / noise.std()


if __name__ == "__main__":
    main()
