"""Settings that follow from the corpus: size of the network, length of the training, batch, step sizes, averaging."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import StftSpec, overlaid, to_dict
from ..data.manifest import read_manifest
from ..networks.kinds import Config, configuration
from ..networks.settings import RATES, SEGMENT_FRAMES

PASSES = 40
"""Epochs, each as long as the speech of the corpus: dynamic mixing makes other mixtures of it each time."""
LONGEST_EPOCH = 625_000
"""Frames; with more than 1.7 hours of speech an epoch is a part of it, and 25 million frames are seen in all."""
LEAST_UPDATES = 3000
"""Wanted number of updates: smaller corpora are trained in smaller batches."""
SMALLEST_BATCH, LARGEST_BATCH = 2, 8
"""Segments. On two minutes of speech, 2 reached 6.2 dB on dev and 4 reached 5.8 (one seed)."""
PATIENCE = 10
LARGEST_RATE = 2.0
"""Peak step sizes, relative to the defaults, which suit the most units; those of fewer are larger by the root of the
ratio, up to this. With 48 units, on 4.5 minutes of one voice, 1.9 times the default ended at 9.10 and 9.21 dB on dev,
the default at 8.74 and 8.71 (mean of the weights, two seeds)."""
AVERAGE_SHARE = 0.1
"""Share of the updates so far over which the weights are averaged. On the same corpus, after a third of the epochs the
mean was 1.2 and 0.5 dB above the last weights (two seeds), and level with them at the end; shares of 0.05 and 0.2 were
up to 0.1 dB worse after a third, 0.2 also at the end."""
FILTER_UNITS = 16
"""Of the filter over several frames, as in `default`. On the same corpus, SI-SDR on dev rose from 9.2 to 9.6 dB and
from 11.3 to 11.8 dB (two seeds, thus two splits), for 1.6 times the time."""
LOSSES = {"loss_distortion": 4.0, "loss_residue": 2.0, "loss_perceptual": 5.0}
"""Weights of terms of the loss, as for `small`. On the corpus above (two seeds), and on 40 minutes of 191 voices, they
raised SI-SDR on dev by 0.05, 0.33 and 0.28 dB, PESQ by 0.03, 0.08 and 0.05, and SI-SDR of clean speech by 3.5 to
5 dB; ESTOI fell by 0.004 to 0.009. The perceptual term alone cost 0.4 dB SI-SDR, for 0.12 and 0.21 PESQ."""
UNITS, SUBBAND_UNITS, ATOMS = (48, 176), (24, 64), (30, 100)
"""Least number, for a few minutes of speech, and the most, from two hours on."""
UNITS_A_ROOT_MINUTE, SUBBAND_UNITS_A_ROOT_MINUTE, ATOMS_A_ROOT_MINUTE = 16.0, 6.0, 9.0
"""Sizes grow with the root of the minutes, so that the weights, which grow with the square of the units, grow with the
minutes: a larger network overfits."""


def settings_from_corpus(given: Config | Mapping[str, Any] | None, manifest: Path | None) -> Config:
    """Return the settings of a run: those given, and values that suit the corpus for the others.

    Parameters
    ----------
    given : Config or dict or None
        Complete settings, which are returned, or nested dictionaries of some.
    manifest : Path, optional
        The corpus; without it, settings that are not given have their defaults. Only kinds of network that are trained
        with dynamic mixing depend on it.

    Raises
    ------
    DeepnmfError
        If a setting is not valid.
    """
    if isinstance(given, Config):
        return given
    values = dict(given or {})
    config = configuration(values)
    if manifest is None or not config.kind.DYNAMIC_MIXING:
        return config
    suited = _suited(speech_seconds(manifest), config.features.stft)
    known = {name: to_dict(getattr(config, name)) for name in suited}  # those with an effect
    suited = {name: {k: v for k, v in part.items() if k in known[name]} for name, part in suited.items()}
    if not config.kind.FROM_DICTIONARY:
        suited.pop("snmf")
    sized = overlaid(suited, values)
    return configuration(overlaid({"train": _higher_rates(configuration(sized))}, sized))


def _suited(seconds: float, stft: StftSpec) -> dict[str, dict[str, Any]]:
    """Return the settings for so many seconds of training speech, less the step sizes, which follow from the units."""
    root, frames = math.sqrt(seconds / 60), round(seconds * stft.rate_hz / stft.hop)
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, PASSES * frames // (SEGMENT_FRAMES * LEAST_UPDATES)))
    atoms = _within(ATOMS, ATOMS_A_ROOT_MINUTE * root)
    return {
        "snmf": {"speech_atoms": atoms, "noise_atoms": atoms},
        "network": {
            "units": _within(UNITS, UNITS_A_ROOT_MINUTE * root),
            "subband_units": _within(SUBBAND_UNITS, SUBBAND_UNITS_A_ROOT_MINUTE * root),
            "filter_units": FILTER_UNITS,
        },
        "train": {
            "epochs": PASSES,
            "epoch_frames": min(LONGEST_EPOCH, max(batch * SEGMENT_FRAMES, frames)),
            "batch_segments": batch,
            "patience": PATIENCE,
            "average_share": AVERAGE_SHARE,
            **LOSSES,
        },
    }


def _higher_rates(config: Config) -> dict[str, float]:
    """Return the step sizes of kinds with recurrent layers, for their number of units."""
    units = getattr(config.network, "units", UNITS[1])
    factor = round(min(LARGEST_RATE, max(1.0, math.sqrt(UNITS[1] / units))), 1)
    rates = {name: value for name, value in to_dict(type(config.train)()).items() if name in RATES}
    return {name: factor * value for name, value in rates.items() if config.train.has_effect(name)}


def _within(bounds: tuple[int, int], wanted: float) -> int:
    return min(bounds[1], max(bounds[0], round(wanted)))


def speech_seconds(manifest: Path) -> float:
    """Return the seconds of training speech in a manifest, each recording counted once."""
    return sum({entry.speech: entry.seconds for entry in read_manifest(manifest, "train")}.values())
