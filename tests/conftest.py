"""Fixtures: a tiny corpus of made-up voices and noises, and the shared real recordings where they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import soundfile
from hypothesis import settings

from helpers import ROOT
from helpers.signals import RATE_HZ, TinyCorpus, noise, voice

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of torch: on busy cores, threads that wait for each other take minutes

# A job in the background may have been started with these ignored, and what tests start would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("thorough", max_examples=2000, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case that is given by bytes after its argument: contents such as gzip's differ from process to process."""
    return argname if isinstance(val, bytes) else None


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
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("DEEPNMF_SHARED_DATA", beside))
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no shared recordings at {folder}")
    return folder
