"""Tiny trees in each corpus' own layout, of made-up voices and noises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from helpers.signals import RATE_HZ, noise, voice

SECONDS = 0.6
LEVELS = {"m6dB": -6, "m3dB": -3, "0dB": 0, "3dB": 3, "6dB": 6, "9dB": 9}
VOICEBANK_SPEAKERS = ("p226", "p287", "p227", "p228", "p232", "p257")
ENVIRONMENTS = {"DKITCHEN": "hum", "NPARK": "hiss", "TBUS": "rumble", "OOFFICE": "hiss"}


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> None:
    """Write ``(samples,)`` or ``(samples, channels)``; at another rate than ours, as if recorded at it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, "PCM_16")


def speech(seed: int) -> np.ndarray:
    return voice(110 + 20 * (seed % 6), 600 + 150 * (seed % 5), seed, SECONDS)


def mixture(clean: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    disturbance = noise("hiss", seed, SECONDS)
    gain = np.sqrt(np.square(clean).mean() / np.square(disturbance).mean()) * 10 ** (-snr_db / 20)
    return clean + gain * disturbance


def chime2(root: Path) -> Path:
    """Train: two utterances at an SNR each; dev and test: one utterance at all six. Two channels that differ."""
    cases = [("si_tr_s", "011", "011c0201", "m6dB"), ("si_tr_s", "012", "012c0201", "9dB")]
    cases += [("si_dt_05", "050", "050c0101", level) for level in LEVELS]
    cases += [("si_et_05", "440", "440c0201", level) for level in LEVELS]
    for seed, (split, speaker, name, level) in enumerate(cases):
        below = Path(split, level, "wsj0", split, speaker, f"{name}.wav")
        clean = 0.3 * speech(seed)
        sides = [mixture(0.8 * clean, LEVELS[level], seed), mixture(clean, LEVELS[level], 100 + seed)]
        write(root / "scaled" / below, np.stack([0.8 * clean, clean], axis=1))
        write(root / "isolated" / below, np.stack(sides, axis=1))
    return root


def voicebank_demand(root: Path) -> Path:
    """Training speakers (two of them for dev) and the two test speakers, one utterance each at 48 kHz, with logs."""
    lines: dict[str, list[str]] = {"trainset_28spk": [], "testset": []}
    for seed, speaker in enumerate(VOICEBANK_SPEAKERS):
        part = "testset" if speaker in ("p232", "p257") else "trainset_28spk"
        clean = np.repeat(0.3 * speech(seed), 3)
        write(root / f"clean_{part}_wav" / f"{speaker}_001.wav", clean, 48000)
        write(
            root / f"noisy_{part}_wav" / f"{speaker}_001.wav",
            clean + np.repeat(0.1 * noise("hum", seed, SECONDS), 3),
            48000,
        )
        lines[part].append(
            f"{speaker}_001 {'bus' if part == 'testset' else 'cafeteria'} {2.5 if part == 'testset' else 10}\n"
        )
    for part, log in lines.items():
        (root / f"log_{part}.txt").write_text("".join(log))
    return root


def ms_snsd(root: Path) -> Path:
    """Four training speakers and one for test; noise types with numbers, one of them in both parts."""
    for seed, name in enumerate(("p234_001", "p238_001", "p245_001", "p248_001")):
        write(root / "clean_train" / f"{name}.wav", speech(seed))
    write(root / "clean_test" / "clnsp1.wav", speech(9))
    for seed, (name, kind) in enumerate((("AirConditioner_1", "hum"), ("Babble_3", "rumble"), ("Typing_10", "hiss"))):
        write(root / "noise_train" / f"{name}.wav", noise(kind, seed, SECONDS))
    write(root / "noise_test" / "Babble_9.wav", noise("rumble", 9, SECONDS))
    return root


def librispeech(root: Path) -> Path:
    """Two training speakers and one each for dev and test."""
    for seed, (part, speaker, chapter) in enumerate(
        (("train-clean-100", "103", "1240"), ("train-clean-100", "26", "495"), ("dev-clean", "84", "121123"))
    ):
        write(root / "LibriSpeech" / part / speaker / chapter / f"{speaker}-{chapter}-0000.flac", speech(seed))
    write(root / "LibriSpeech" / "test-clean" / "61" / "70968" / "61-70968-0000.flac", speech(5))
    return root


def musan(root: Path) -> Path:
    """Noise of both sources, and a piece of music that must be left alone."""
    for seed in range(4):
        source = "free-sound" if seed < 3 else "sound-bible"
        write(root / "musan" / "noise" / source / f"noise-{source}-{seed:04d}.wav", noise("hiss", seed, SECONDS))
    write(root / "musan" / "music" / "fma" / "music-fma-0000.wav", noise("hum", 0, SECONDS))
    return root


def demand(root: Path) -> Path:
    """Four environments with two of the sixteen channels."""
    for seed, (name, kind) in enumerate(ENVIRONMENTS.items()):
        for channel in (1, 2):
            write(root / name / f"ch{channel:02d}.wav", noise(kind, 10 * seed + channel, SECONDS))
    return root


def wham(root: Path) -> Path:
    """Two mixtures to train on, one each for dev and test, with their parts."""
    names = {"tr": ("40na010x_1.98_01xo031a_-1.98", "01ac0201_0.5_404o030b_-0.5"), "cv": ("20ga010m_1_050c0104_-1",)}
    for split, files in {**names, "tt": ("440c020a_2.1_22ho010d_-2.1",)}.items():
        for seed, name in enumerate(files):
            clean = 0.3 * speech(seed + len(split))
            for part, samples in (("s1", clean), ("mix_single", mixture(clean, 0, seed)), ("mix_both", 0 * clean)):
                write(root / "wav16k" / "min" / split / part / f"{name}.wav", samples)
    return root


def two_folders(root: Path) -> Path:
    """Speech of three speakers, two utterances each, and three types of noise."""
    for seed, speaker in enumerate(("ann", "ben", "cem")):
        for take in range(2):
            write(root / "speech" / speaker / f"{take}.wav", speech(10 * seed + take))
    for seed, kind in enumerate(("hiss", "rumble", "hum")):
        write(root / "noise" / kind / f"{kind}.wav", noise(kind, seed, SECONDS))
    return root
