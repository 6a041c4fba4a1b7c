"""The committed clips are as their README describes them, and the script still makes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from deepnmf.audio.files import read
from helpers import ROOT
from helpers.scripts import loaded

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"
CLIPS: list[dict[str, Any]] = json.loads((EXAMPLES / "clips.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip["noisy"])
def test_a_clip_is_as_listed(clip: dict[str, Any]) -> None:
    (noisy, rate_hz), (clean, clean_hz) = read(EXAMPLES / clip["noisy"]), read(EXAMPLES / clip["clean"])
    assert rate_hz == clean_hz == clip["rate_hz"]
    assert noisy.shape == clean.shape
    assert len(noisy) == clip["channels"]
    assert 6 <= noisy.shape[1] / rate_hz <= 8
    assert soundfile.info(EXAMPLES / clip["noisy"]).subtype == "PCM_16"
    powers = [float(np.square(x, dtype=np.float64).mean()) for x in (clean, noisy - clean)]
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(clip["snr_db"], abs=0.01)
    assert np.abs(noisy).max() < 1


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip["noisy"])
def test_the_readme_has_the_same_list(clip: dict[str, Any]) -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{clip['noisy']}`")]
    seconds = soundfile.info(EXAMPLES / clip["noisy"]).duration
    assert f"| {seconds:.1f} | {clip['snr_db']:.0f} dB |" in row
    assert f"`{clip['clean']}` | {clip['rate_hz'] // 1000} kHz, {'stereo' if clip['channels'] == 2 else 'mono'}" in row


def test_every_clip_is_there_and_together_they_are_small() -> None:
    known = {name for clip in CLIPS for name in (clip["noisy"], clip["clean"])}
    clips = [path for path in EXAMPLES.iterdir() if path.name in known]
    assert len(clips) == len(known)
    assert sum(path.stat().st_size for path in clips) < 2_000_000


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_the_script_makes_the_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded(EXAMPLES / "make_examples.py")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    module.main()
    assert json.loads((tmp_path / "clips.json").read_text(encoding="utf-8")) == CLIPS
    for clip in CLIPS:
        noisy, clean = (soundfile.read(tmp_path / clip[name])[0] for name in ("noisy", "clean"))
        assert noisy.shape == clean.shape
        snr_db = 10 * np.log10(np.square(clean).sum() / np.square(noisy - clean).sum())
        assert snr_db == pytest.approx(clip["snr_db"], abs=0.01)
