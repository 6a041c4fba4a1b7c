"""`deepnmf enhance` on files and folders: everything is kept but the noise, and bad input harms nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio import files as audio
from deepnmf.enhancement.files import FileOptions, enhance_file
from deepnmf.enhancement.plan import plan_outputs
from deepnmf.errors import DeepnmfError
from deepnmf.model import save_model
from helpers.enhance_cli import leftovers, run
from helpers.enhance_models import constant_model, small_model

Enhance = Callable[..., int]


def noise(channels: int = 1, samples: int = 8000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


@pytest.fixture
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(path, small_model())
    return path


@pytest.fixture
def enhance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_path: Path) -> Enhance:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(monkeypatch, "enhance", *arguments, "--model", model_path)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_rate_channels_and_length_are_kept(tmp_path: Path, rate_hz: int, channels: int) -> None:
    audio.write(tmp_path / "x.wav", noise(channels, 4321), rate_hz)
    enhance_file(tmp_path / "x.wav", tmp_path / "y.wav", small_model())
    info = soundfile.info(str(tmp_path / "y.wav"))
    assert (info.samplerate, info.channels, info.frames) == (rate_hz, channels, 4321)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        *(("x.wav", subtype) for subtype in ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE", "ULAW")),
        *(("x.flac", "PCM_24"), ("x.aiff", "PCM_16"), ("x.ogg", "VORBIS"), ("x.mp3", None)),
    ],
)
def test_an_unchanged_recording_is_unchanged_in_its_own_format(tmp_path: Path, name: str, subtype: str) -> None:
    audio.write(tmp_path / name, noise(), 16000, subtype)
    enhance_file(tmp_path / name, tmp_path / f"y{name}", constant_model(1.0))
    before, after = (soundfile.info(str(tmp_path / n)) for n in (name, f"y{name}"))
    assert (before.format, before.subtype, before.frames) == (after.format, after.subtype, after.frames)
    if name.endswith(("wav", "flac", "aiff")):
        assert np.abs(audio.read(tmp_path / f"y{name}")[0] - audio.read(tmp_path / name)[0]).max() <= 1e-6


def test_a_file_gives_what_its_array_gives(tmp_path: Path) -> None:
    import deepnmf

    audio.write(tmp_path / "x.wav", noise(2, 100000), 16000, "FLOAT")
    enhance_file(tmp_path / "x.wav", tmp_path / "y.wav", small_model())
    expected = deepnmf.enhance(noise(2, 100000), 16000, small_model())
    assert np.abs(audio.read(tmp_path / "y.wav")[0] - expected).max() <= 1e-6


def test_names_may_be_texts(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(), 16000)
    beside = FileOptions(noise=f"{tmp_path}/n.wav", mask=f"{tmp_path}/m.npy")
    assert enhance_file(f"{tmp_path}/x.wav", f"{tmp_path}/y.wav", small_model(), beside) == []
    assert {path.name for path in tmp_path.iterdir()} == {"x.wav", "y.wav", "n.wav", "m.npy"}


def test_tags_are_kept(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "x.flac", "w", 16000, 1) as file:
        file.title = "Épisode 1"
        file.write(noise()[0])
    enhance_file(tmp_path / "x.flac", tmp_path / "y.flac", small_model())
    assert soundfile.SoundFile(tmp_path / "y.flac").title == "Épisode 1"


def test_one_file_goes_beside_itself_or_where_told(enhance: Enhance, tmp_path: Path) -> None:
    audio.write(tmp_path / "my talk.wav", noise(), 16000)
    assert enhance("my talk.wav") == 0
    assert enhance("my talk.wav", "-o", "deep/er/out.flac") == 0
    assert enhance("my talk.wav", "-o", "folder/") == 0
    assert (tmp_path / "my talk_enhanced.wav").is_file()
    assert soundfile.info(str(tmp_path / "deep/er/out.flac")).format == "FLAC"
    assert (tmp_path / "folder/my talk.wav").is_file()


def test_a_folder_keeps_its_tree(enhance: Enhance, tmp_path: Path) -> None:
    names = ["a/x.wav", "b/c d/ünï – 音.flac", "b/x.wav"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        audio.write(tmp_path / "in" / name, noise(), 16000)
    assert enhance("in") == 0
    assert enhance("in", "-o", "in/out", "--jobs", 2) == 0
    assert enhance("in", "-o", "in/out") == 0  # its own results are not inputs
    for root in ("in_enhanced", "in/out"):
        found = audio.find_audio(tmp_path / root)
        assert sorted(p.relative_to(tmp_path / root).as_posix() for p in found) == names


def test_equal_names_never_meet(tmp_path: Path) -> None:
    for name in ("a/x.wav", "b/x.wav", "b/x.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inputs = [str(tmp_path / name) for name in ("a/x.wav", "b/x.wav", "b", "a/../b/x.wav")]
    plan = plan_outputs(inputs, tmp_path / "out", ".flac")
    targets = [job.target.relative_to(tmp_path / "out").as_posix() for job in plan.jobs]
    assert targets == ["a/x.flac", "b/x.wav.flac", "b/x.mp3.flac"]
    assert not plan.faults


def test_globs(enhance: Enhance, tmp_path: Path) -> None:
    for name in ("a/1.wav", "a/b/2.wav", "a/b/note.txt", "a/[3].wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        audio.write(tmp_path / name, noise(), 16000) if name.endswith("wav") else (tmp_path / name).touch()
    everything = plan_outputs(["a/**/*"])
    assert [job.source.as_posix() for job in everything.jobs] == ["a/1.wav", "a/[3].wav", "a/b/2.wav"]
    assert sorted(path.name for path, _ in everything.left_out) == ["b", "note.txt"]
    assert [job.source.as_posix() for job in plan_outputs(["a/[3].wav"]).jobs] == ["a/[3].wav"]
    assert enhance("a/**/*.wav", "-o", "out", "--output-format", "flac", "--output-subtype", "pcm_24") == 0
    assert soundfile.info(str(tmp_path / "out/b/2.flac")).subtype == "PCM_24"
    assert enhance("nothing/*.wav", "-o", "out") == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_bad_files_are_listed_and_the_good_ones_done(
    enhance: Enhance, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("1.wav", "9.wav"):
        audio.write(folder / name, noise(), 16000)
    audio.write(folder / "cut.wav", noise(), 16000)
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:5000])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("hello")
    soundfile.write(folder / "nan.wav", np.array([0.0, np.nan] * 50000), 16000, "FLOAT")
    soundfile.write(folder / "none.wav", np.zeros((0, 2)), 16000)
    (folder / "folder.wav").mkdir()
    assert enhance("in", "missing.wav", "-o", "out", "--jobs", workers) == 1
    errors = capsys.readouterr().err.splitlines()
    assert any("2 enhanced, 0 skipped, 6 failed" in line for line in errors)
    for name in ("cut.wav", "empty.wav", "text.wav", "nan.wav", "none.wav", "missing.wav"):
        assert sum(name in line for line in errors) == 1, name
    assert [path.name for path in audio.find_audio(tmp_path / "out")] == ["1.wav", "9.wav"]
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("samples", [1, 2, 100])
def test_very_short_files(enhance: Enhance, tmp_path: Path, samples: int) -> None:
    audio.write(tmp_path / "x.wav", noise(1, samples), 44100)
    assert enhance("x.wav") == 0
    assert soundfile.info(str(tmp_path / "x_enhanced.wav")).frames == samples


def test_the_output_must_not_be_the_input(enhance: Enhance, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio.write(tmp_path / "x.wav", noise(), 16000)
    (tmp_path / "link.wav").symlink_to("x.wav")
    before = (tmp_path / "x.wav").read_bytes()
    for arguments in (["-o", "x.wav"], ["-o", "link.wav"], ["--output-noise", "x.wav"], ["-o", "."]):
        assert enhance("x.wav", *arguments) == 1
        assert "is the input" in capsys.readouterr().err
    assert enhance("x.wav", "-o", "y.wav", "--output-noise", "y.wav") == 1
    for other in ("missing.wav", "x.wav/below.wav", "y.wav"):  # a second input, which may fail
        assert enhance("x.wav", other, "-o", "new", "--output-noise", "z.wav") == 1
        assert not Path("z.wav").exists()
    assert (tmp_path / "x.wav").read_bytes() == before


def test_an_output_that_cannot_be_written(enhance: Enhance, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio.write(tmp_path / "x.wav", noise(), 16000)
    (tmp_path / "file").touch()
    assert enhance("x.wav", "-o", "file/y.wav") == 1
    assert enhance("x.wav", "-o", "y.wav", "--output-subtype", "VORBIS") == 1
    assert enhance("x.wav", "--output-format", "docx") == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("deepnmf: ") for line in errors)
    assert not leftovers(tmp_path)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let writes beyond 16 kB fail, as on a full disk."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_a_full_disk_is_noticed(tmp_path: Path, suffix: str) -> None:
    audio.write(tmp_path / "x.wav", noise(1, 160000), 16000)
    with full_disk(), pytest.raises(DeepnmfError, match=rf"y{suffix}: cannot write"):
        enhance_file(tmp_path / "x.wav", tmp_path / f"y{suffix}", small_model())
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_a_full_disk_beside_is_noticed(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(1, 6000), 16000)
    with full_disk(), pytest.raises(DeepnmfError, match=r"gains\.npy: cannot write"):
        enhance_file(tmp_path / "x.wav", tmp_path / "y.wav", small_model(), FileOptions(mask=tmp_path / "gains.npy"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_samples_above_full_scale_are_clipped_with_a_warning(
    enhance: Enhance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = 1.5 * np.sin(2 * np.pi * 500 * np.arange(16000) / 16000)[None].astype(np.float32)
    audio.write(tmp_path / "x.wav", loud, 16000, "FLOAT")
    assert enhance("x.wav", "--max-attenuation-db", 0, "--output-subtype", "PCM_16") == 0
    assert "samples above full scale were clipped, the highest at +3.5 dB" in capsys.readouterr().err
    assert enhance("x.wav", "--max-attenuation-db", 0) == 0  # the input's own floats hold them
    assert "clipped" not in capsys.readouterr().err
    assert np.abs(audio.read(tmp_path / "x_enhanced.wav")[0]).max() > 1.4


def test_speech_and_noise_add_up_to_the_input(enhance: Enhance, tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(2, 70000), 44100)
    assert enhance("x.wav", "-o", "speech.wav", "--output-noise", "noise.wav", "--channels", "independent") == 0
    parts = [audio.read(tmp_path / name)[0] for name in ("speech.wav", "noise.wav")]
    assert np.abs(sum(parts) - audio.read(tmp_path / "x.wav")[0]).max() <= 1e-4
    assert np.abs(parts[1]).max() > 0.01


@pytest.mark.parametrize("channels", ["shared", "independent"])
def test_the_gains_written_are_the_gains_applied(enhance: Enhance, tmp_path: Path, channels: str) -> None:
    from deepnmf.dsp.stft import istft, stft
    from deepnmf.enhancement.rates import spec_at_rate

    audio.write(tmp_path / "x.wav", noise(2, 200000), 48000, "FLOAT")
    assert enhance("x.wav", "--output-mask", "m.npy", "--channels", channels) == 0
    gains = np.load(tmp_path / "m.npy")
    gains = np.moveaxis(gains, 0, -1)  # (F, N) or (channels, F, N)
    spec = spec_at_rate(small_model().features.stft, 48000)
    expected = istft(stft(noise(2, 200000), spec) * gains, spec, 200000)
    assert np.abs(audio.read(tmp_path / "x_enhanced.wav")[0] - expected).max() < 1e-5


def test_the_picture(enhance: Enhance, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    audio.write(tmp_path / "x.wav", noise(1, 48000), 16000)
    assert enhance("x.wav") == 0
    assert enhance("x.wav", "--plot", "p.png", "--skip-existing") == 0  # the audio is there, but the picture is not
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert enhance("x.wav", "--plot", "p.xyz") == 1
    audio.write(tmp_path / "y.wav", noise(1, 48000), 16000)
    assert enhance("x.wav", "y.wav", "-o", "out", "--plot", "q.png") == 1


def test_an_interrupted_job_leaves_nothing(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(1, 160000), 16000)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    options = FileOptions(noise=tmp_path / "n.wav", mask=tmp_path / "m.npy")
    with pytest.raises(KeyboardInterrupt):
        enhance_file(tmp_path / "x.wav", tmp_path / "y.wav", small_model(), options, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


@pytest.mark.slow
def test_ten_thousand_files(enhance: Enhance, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    audio.write(tmp_path / "in/0.wav", noise(1, 1), 8000)  # one sample: it is the number that matters here
    for index in range(1, 10000):
        os.link(tmp_path / "in/0.wav", tmp_path / f"in/{index}.wav")
    plan = plan_outputs(["in"], Path("out"))
    assert len({job.target for job in plan.jobs}) == len(plan.jobs) == 10000
    assert not plan.faults
    assert enhance("in/1*.wav", "in/missing.wav", "-o", "out") == 1
    assert "1,111 enhanced, 0 skipped, 1 failed" in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*.wav"))) == 1111
