"""The learning curve: whole speakers and types of noise are kept, each network has the same length of training."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from deepnmf.data.features import features
from deepnmf.data.manifest import MixtureEntry
from deepnmf.data.prepare import MANIFEST, prepare
from helpers import ROOT
from helpers.scripts import loaded
from helpers.signals import TinyCorpus

SCRIPT = ROOT / "recipes" / "open" / "package_models" / "learning_curve.py"


@pytest.fixture
def script() -> ModuleType:
    return loaded(SCRIPT)


def corpus(speakers: int = 16, utterances: int = 3, types: int = 8, recordings: int = 5) -> list[MixtureEntry]:
    """Return entries with all recordings of speech, and all of noise."""
    return [
        MixtureEntry(
            str(number),
            "train",
            speech=f"s{number % (speakers * utterances)}",
            noise=f"n{number % (types * recordings)}",
            snr_db=0.0,
            speaker=f"speaker{number % speakers}",
            noise_type=f"type{number % types}",
        )
        for number in range(speakers * utterances * types * recordings)
    ]


@pytest.mark.parametrize(("speech_share", "noise_share"), [(1, 1), (1 / 4, 1 / 4), (1 / 16, 1), (1, 1 / 16)])
def test_a_share_has_all_recordings_of_some_speakers_and_types(
    script: ModuleType, speech_share: float, noise_share: float
) -> None:
    kept = script.thinned(corpus(), speech_share, noise_share, np.random.default_rng(0))
    speakers = max(1, round(16 * speech_share))
    types = max(1, round(8 * noise_share))
    assert len({entry.speaker for entry in kept}) == speakers
    assert len({entry.speech for entry in kept}) == 3 * speakers
    assert len({entry.noise_type for entry in kept}) == types
    assert len({entry.noise for entry in kept}) == 5 * types
    assert len({entry.id for entry in kept}) == len(kept) == max(3 * speakers, 5 * types)


def test_each_share_is_a_row_and_a_network_and_is_trained_once(
    script: ModuleType,
    tiny_corpus: TinyCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(tmp_path, tiny_corpus.speech, tiny_corpus.noise)
    features(tmp_path / MANIFEST, tmp_path / "features")
    monkeypatch.setattr(script, "SHARES", [(1, 1), (1 / 2, 1)])
    monkeypatch.setattr(script, "NETWORK", {**script.NETWORK, "bands": 32, "units": 8, "subband_units": 8})
    monkeypatch.setattr(
        sys, "argv", ["learning_curve.py", str(tmp_path), "-o", str(tmp_path / "curve"), "--frames", "9600"]
    )
    script.main()
    table = capsys.readouterr().out
    models = sorted((tmp_path / "curve").glob("*/model.safetensors"))
    assert len(models) == 2
    assert len(table.splitlines()) == 4
    written = [path.stat().st_mtime_ns for path in models]
    script.main()
    assert capsys.readouterr().out == table
    assert [path.stat().st_mtime_ns for path in models] == written
