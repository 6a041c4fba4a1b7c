"""`deepnmf enhance` on what FFmpeg's libraries decode: telephones' recordings and videos."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.enhancement.files import enhance_file
from deepnmf.enhancement.plan import plan_outputs
from deepnmf.errors import DeepnmfError
from deepnmf.model import save_model
from helpers.enhance_cli import leftovers, run
from helpers.enhance_models import small_model
from helpers.signals import voice

RATE_HZ = 44100
pytest.importorskip("av")
pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg to make the recordings")


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *arguments], check=True)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A second of stereo, losslessly in an .m4a."""
    samples = np.stack([voice(130, 900, seed, 1.0) for seed in (0, 1)], axis=1)
    soundfile.write(tmp_path / "x.wav", samples, RATE_HZ, "PCM_16")
    ffmpeg("-i", tmp_path / "x.wav", "-c:a", "alac", tmp_path / "talk.m4a")
    return tmp_path / "talk.m4a"


def test_it_is_enhanced_as_the_same_samples_in_wav_are(recording: Path, tmp_path: Path) -> None:
    for source in (recording, tmp_path / "x.wav"):
        enhance_file(source, source.with_suffix(".out.wav"), small_model())
    decoded, plain = (tmp_path / f"{name}.out.wav" for name in ("talk", "x"))
    assert soundfile.info(str(decoded)).samplerate == RATE_HZ
    np.testing.assert_array_equal(soundfile.read(decoded)[0], soundfile.read(plain)[0])


def test_the_sound_of_a_video_is_enhanced_from_the_command_line(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, model = tmp_path / "film.mp4", tmp_path / "model.safetensors"
    save_model(model, small_model())
    colour = ("-f", "lavfi", "-i", "color=size=16x16:duration=1")
    ffmpeg(*colour, "-i", recording, "-c:v", "mpeg4", "-c:a", "aac", "-shortest", video)
    assert run(monkeypatch, "enhance", video, "--model", model, "-o", tmp_path / "film_enhanced.wav") == 0
    written, rate_hz = soundfile.read(tmp_path / "film_enhanced.wav")
    enhance_file(tmp_path / "x.wav", tmp_path / "y.wav", small_model())
    expected = soundfile.read(tmp_path / "y.wav")[0]
    assert (rate_hz, written.shape[1]) == (RATE_HZ, 2)
    assert np.corrcoef(written[: len(expected)].ravel(), expected.ravel())[0, 1] > 0.98  # AAC loses something


def test_folders_are_searched_for_them_and_no_two_results_share_a_name(recording: Path, tmp_path: Path) -> None:
    shutil.copy(recording, tmp_path / "x.m4a")
    plan = plan_outputs([str(tmp_path)])
    assert not plan.faults
    targets = {job.source.name: job.target.name for job in plan.jobs}
    assert targets == {"talk.m4a": "talk.wav", "x.m4a": "x.m4a.wav", "x.wav": "x.wav"}


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "silent film"])
def test_damage_is_named_and_leaves_nothing_behind(damage: str, recording: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.m4a"
    data = recording.read_bytes()
    bad.write_bytes({"cut": data[: len(data) // 2], "text": b"no audio", "empty": b"", "silent film": b""}[damage])
    if damage == "silent film":
        bad = tmp_path / "bad.mp4"
        ffmpeg("-f", "lavfi", "-i", "color=size=16x16:duration=0.2", "-c:v", "mpeg4", bad)
    with pytest.raises(DeepnmfError, match=r"bad\.m.*: not readable as audio \("):
        enhance_file(bad, tmp_path / "out.wav", small_model())
    assert not (tmp_path / "out.wav").exists()
    assert not leftovers(tmp_path)


def test_without_pyav_the_error_says_what_to_install(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DeepnmfError, match=r"talk\.m4a: .* pip install av"):
        enhance_file(recording, tmp_path / "out.wav", small_model())
