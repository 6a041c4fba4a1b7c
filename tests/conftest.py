"""Fixtures: a tiny corpus of made-up voices and noises, and the shared real recordings where they are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

RATE_HZ = 16000
SPEECH_SECONDS = 1.5
NOISE_SECONDS = 3.0

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of torch: on busy cores, threads that wait for each other take minutes

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@dataclass(frozen=True)
class TinyCorpus:
    """Two folders as a user would have them: speech by speaker, noise by type."""

    speech: Path
    noise: Path


def voice(pitch_hz: float, formant_hz: float, seed: int, seconds: float = SPEECH_SECONDS) -> np.ndarray:
    """Return syllables of a gliding harmonic complex under one formant, with pauses between, shape ``(samples,)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    glide = 1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz * glide) / RATE_HZ
    harmonics = np.arange(1, int(0.45 * RATE_HZ / (1.1 * pitch_hz)))
    gains = np.exp(-(((harmonics * pitch_hz - formant_hz) / 600) ** 2)) + 0.2 / harmonics
    sound = sum(gain * np.sin(k * phase) for k, gain in zip(harmonics, gains, strict=True))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(1.5, 2.5) * t + rng.uniform(0, 6)), 0, None)
    return (0.3 * syllables * sound / np.abs(sound).max()).astype(np.float32)


def noise(kind: str, seed: int, seconds: float = NOISE_SECONDS) -> np.ndarray:
    """Return noise of a kind: ``hiss`` (white), ``rumble`` (low and modulated) or ``hum`` (mains and hiss)."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(int(seconds * RATE_HZ))
    t = np.arange(len(white)) / RATE_HZ
    if kind == "rumble":
        spectrum = np.fft.rfft(white)
        spectrum /= np.maximum(1, np.arange(len(spectrum)) / (100 * seconds)) ** 1.5
        white = np.fft.irfft(spectrum, len(white)) * (1.2 + np.sin(2 * np.pi * 0.7 * t))
    if kind == "hum":
        white = 0.1 * white + sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) for k in (1, 2, 3, 5))
    return (0.2 * white / np.abs(white).max()).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    """Eight clips of 1.5 s by four speakers and three types of noise of 3 s, 16 kHz, 16 bit; do not change it."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus = TinyCorpus(folder / "speech", folder / "noise")
    for index, (pitch_hz, formant_hz) in enumerate([(110, 600), (140, 900), (190, 1200), (230, 1500)]):
        speaker = corpus.speech / f"speaker{index}"
        speaker.mkdir(parents=True)
        for clip in range(2):
            samples = voice(pitch_hz, formant_hz, seed=10 * index + clip)
            soundfile.write(speaker / f"clip{clip}.wav", samples, RATE_HZ, "PCM_16")
    for index, kind in enumerate(("hiss", "rumble", "hum")):
        (corpus.noise / kind).mkdir(parents=True)
        soundfile.write(corpus.noise / kind / f"{kind}.wav", noise(kind, seed=index), RATE_HZ, "PCM_16")
    return corpus


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real recordings beside the repository (`../shared/data`); tests that need them are skipped without."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DEEPNMF_SHARED_DATA", beside))
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no shared recordings at {folder}")
    return folder
