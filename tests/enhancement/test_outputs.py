"""What is an output: over its own earlier ones, never over an input, in the form that the name gives."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from deepnmf.audio import files as audio
from deepnmf.enhancement.encodings import output_encoding
from deepnmf.enhancement.files import enhance_file
from deepnmf.enhancement.plan import is_file_name, plan_outputs
from deepnmf.enhancement.record import NAME, FolderRecord, Origin, Records
from deepnmf.errors import DeepnmfError
from deepnmf.model import save_model
from helpers.enhance_cli import leftovers, program, run, write_endless
from helpers.enhance_models import constant_model, small_model
from helpers.platforms import NEEDS_NAMES_OF_BYTES, NEEDS_POSIX
from helpers.waiting import wait_until

Enhance = Callable[..., int]


def noise(samples: int = 8000, channels: int = 1, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


def sound(path: Path) -> np.ndarray:
    return audio.read(path)[0]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder, with a recording in it; models lie elsewhere."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    audio.write(Path("x.wav"), noise(), 16000)
    save_model(tmp_path / "model.safetensors", small_model())
    save_model(tmp_path / "other.safetensors", small_model(layers=2))
    return tmp_path / "work"


@pytest.fixture
def enhance(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Enhance:
    def call(*arguments: Any, model: str = "model") -> int:
        return run(monkeypatch, "enhance", *arguments, "--model", folder.parent / f"{model}.safetensors")

    return call


CHANGES: list[tuple[list[Any], str]] = [
    (["--max-attenuation-db", 3], "model"),
    ([], "other"),
    (["--output-subtype", "FLOAT"], "model"),
    (["--channels", "independent"], "model"),
]


@pytest.mark.parametrize(("options", "model"), CHANGES)
@pytest.mark.parametrize("skip", [[], ["--skip-existing"]])
def test_what_shapes_the_output_is_never_passed_over(
    enhance: Enhance, folder: Path, options: list[Any], model: str, skip: list[str]
) -> None:
    audio.write(folder / "x.wav", np.concatenate([noise(), noise(seed=1)]), 16000)
    assert enhance("x.wav") == 0
    before = (folder / "x_enhanced.wav").read_bytes()
    assert enhance("x.wav", *options, *skip, model=model) == 0
    assert (folder / "x_enhanced.wav").read_bytes() != before


def test_only_skip_existing_skips_and_only_what_would_come_out_equal(
    enhance: Enhance, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def written(*options: str) -> bool:
        before = (folder / "x_enhanced.wav").stat().st_ino if (folder / "x_enhanced.wav").exists() else None
        os.link(folder / "x_enhanced.wav", folder / "kept") if before else None  # so that its number is not used again
        assert enhance("x.wav", *options) == 0
        (folder / "kept").unlink(missing_ok=True)
        return (folder / "x_enhanced.wav").stat().st_ino != before

    assert written("--skip-existing")
    assert written()
    assert not written("--skip-existing")
    assert "1 skipped" in capsys.readouterr().err
    stat = (folder / "x.wav").stat()
    audio.write(folder / "x.wav", noise(seed=1), 16000)  # another recording of the same size and time
    os.utime(folder / "x.wav", (stat.st_atime, stat.st_mtime))
    assert written("--skip-existing")
    (folder / "x_enhanced.wav").write_bytes(b"damaged")
    assert written("--skip-existing")
    shutil.copytree(folder, folder.parent / "copy")  # what is copied, with new times, is as it was
    assert FolderRecord(folder.parent / "copy").holds(folder.parent / "copy/x_enhanced.wav")


def test_a_pattern_does_not_take_what_runs_have_written(enhance: Enhance, folder: Path) -> None:
    audio.write(folder / "y.wav", noise(), 16000)
    assert enhance("x.wav", "-o", "clean.wav") == 0
    for _ in range(3):
        assert enhance("*.wav") == 0
        assert enhance(*sorted(map(str, Path().glob("[xy]*.wav")))) == 0  # as the shell gives it
        assert enhance(".", "-o", "out") == 0
    assert visible(folder) == ["clean.wav", "out", "x.wav", "x_enhanced.wav", "y.wav", "y_enhanced.wav"]
    assert visible(folder / "out") == ["x.wav", "y.wav"]
    assert enhance("out", "-o", "twice") == 0  # nothing but outputs: asked for
    assert visible(folder / "twice") == ["x.wav", "y.wav"]
    assert enhance("x_enhanced.wav") == 0
    assert (folder / "x_enhanced_enhanced.wav").exists()


def test_a_recording_that_only_has_the_name_of_an_output_is_an_input_and_kept(
    enhance: Enhance, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio.write(folder / "x_enhanced.wav", noise(seed=2), 16000)
    mine = (folder / "x_enhanced.wav").read_bytes()
    assert enhance("x.wav") == 1
    assert "not written by deepnmf" in capsys.readouterr().err
    assert enhance("*.wav") == 1  # one of the two has no name to go to
    assert (folder / "x_enhanced_enhanced.wav").exists()
    assert (folder / "x_enhanced.wav").read_bytes() == mine
    assert enhance("x.wav", "-o", "x_enhanced.wav") == 0  # named by the user


def test_a_folder_of_other_recordings_is_not_written_over(enhance: Enhance, folder: Path) -> None:
    (folder / "noisy").mkdir()
    (folder / "clean").mkdir()
    audio.write(folder / "noisy/1.wav", noise(), 16000)
    audio.write(folder / "noisy/2.wav", noise(), 16000)
    audio.write(folder / "clean/1.wav", noise(seed=3), 16000)
    mine = (folder / "clean/1.wav").read_bytes()
    for _ in range(2):
        assert enhance("noisy", "-o", "clean") == 1
        assert (folder / "clean/1.wav").read_bytes() == mine
        assert (folder / "clean/2.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["x.wav"], "clean.wma"),
        (["x.wav"], "video.mp4"),
        (["x.wav"], "x.docx"),
        (["x.wav", "y.wav"], "out.wav"),
        (["x.wav", "missing.wav"], "out.wav"),
        (["."], "out.flac"),
        (["x.wav", "--output-format", "flac"], "out.wav"),
        (["x.wav", "--output-format", "aac"], "folder"),
        (["x.wav"], "taken"),
    ],
)
def test_a_name_that_cannot_be_what_it_says_is_refused(
    enhance: Enhance, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], output: str
) -> None:
    audio.write(folder / "y.wav", noise(), 16000)
    (folder / "taken").touch()
    assert enhance(*arguments, "-o", output) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert visible(folder) == ["taken", "x.wav", "y.wav"]


@pytest.mark.parametrize("output", ["out/", "out.wav/", "v1.2", "2024.05.01", "Dr. Who", "exists.wav"])
def test_a_name_without_a_suffix_or_with_a_slash_is_a_folder(enhance: Enhance, folder: Path, output: str) -> None:
    (folder / "exists.wav").mkdir()
    assert not is_file_name(output)
    assert enhance("x.wav", "-o", output) == 0
    assert visible(folder / output) == ["x.wav"]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au", ".caf", ".w64"])
@pytest.mark.parametrize(
    ("source", "subtype", "rate_hz"),
    [("x.mp3", None, 44100), ("x.wav", "DOUBLE", 22050), ("x.opus", None, 16000), ("x.wav", "IMA_ADPCM", 8000)],
)
def test_every_format_goes_into_every_other(
    tmp_path: Path, source: str, subtype: str | None, rate_hz: int, suffix: str
) -> None:
    audio.write(tmp_path / source, noise(rate_hz), rate_hz, subtype)
    notes = enhance_file(tmp_path / source, tmp_path / f"y{suffix}", constant_model(1.0))
    info = soundfile.info(str(tmp_path / f"y{suffix}"))
    assert info.duration == pytest.approx(1, abs=0.1)
    assert (info.samplerate != rate_hz) == any("resampled" in line for line in notes)


@pytest.mark.parametrize(
    ("name", "rate_hz", "expected"),
    [("x.opus", 44100, 48000), ("x.mp3", 96000, 48000), ("x.mp3", 7350, 8000), ("x.ogg", 384000, 192000)],
)
def test_a_rate_that_the_format_lacks_is_resampled(tmp_path: Path, name: str, rate_hz: int, expected: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)[None].astype(np.float32)
    audio.write(tmp_path / "x.wav", tone, rate_hz)
    (remark,) = enhance_file(tmp_path / "x.wav", tmp_path / name, constant_model(1.0))
    assert f"resampled from {rate_hz} to {expected} Hz" in remark
    samples, found_hz = audio.read(tmp_path / name)
    assert found_hz == expected
    assert np.abs(np.fft.rfft(samples[0])).argmax() * found_hz / samples.shape[1] == pytest.approx(440, abs=3)
    assert np.sqrt(2 * np.square(samples).mean()) == pytest.approx(0.5, abs=0.05)


def test_channels_that_a_format_lacks_are_named() -> None:
    from deepnmf.audio.formats import AudioFormat

    for name, channels in (("x.mp3", 3), ("x.flac", 9)):
        with pytest.raises(DeepnmfError, match=f"at most {channels - 1} channels"):
            output_encoding(Path(name), AudioFormat(16000, channels, None, "WAV", "PCM_16"))


@NEEDS_POSIX
def test_what_a_folder_holds_is_done_or_named(
    enhance: Enhance, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = folder / "in"
    (there / "linked").mkdir(parents=True)
    audio.write(there / "a.wav", noise(), 16000)
    audio.write(folder / "apart/b.wav", noise(), 16000)
    (there / "deep").symlink_to(folder / "apart")
    (there / "linked/loop").symlink_to(there)
    (there / "gone.wav").symlink_to("nowhere.wav")
    (there / "notes.txt").touch()
    (there / ".DS_Store").touch()
    os.mkfifo(there / "pipe.wav")
    assert enhance("in", "-v") == 1
    errors = capsys.readouterr().err
    for name in ("gone.wav", "pipe.wav", "notes.txt", ".DS_Store"):
        assert name in errors
    assert sorted(p.relative_to("in_enhanced").as_posix() for p in audio.find_audio(Path("in_enhanced"))) == [
        "a.wav",
        "deep/b.wav",
    ]
    assert enhance("in") == 1
    assert "1 (no audio suffix)" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "fault"), [("", "variable"), (" ", "variable"), ("https://x.org/a.wav", "download")])
def test_names_that_are_no_files_get_a_remedy(
    enhance: Enhance, capsys: pytest.CaptureFixture[str], name: str, fault: str
) -> None:
    assert enhance(name) == 1
    assert fault in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no such device on this system")
@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
def test_devices_of_stdin_are_stdin(folder: Path, name: str) -> None:
    with Path("x.wav").open("rb") as source:
        process = program("enhance", name, "--model", folder.parent / "model.safetensors", stdin=source)
        output, _ = process.communicate(timeout=120)
    assert len(output) == Path("x.wav").stat().st_size
    assert visible(folder) == ["x.wav"]


def test_a_folder_that_cannot_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    plan = plan_outputs(["."], "out")
    assert [job.source.name for job in plan.jobs] == ["x.wav"]
    assert [("closed" in str(fault), "Permission denied" in str(fault)) for _, fault in plan.faults] == [(True, True)]


def test_an_input_is_never_written_over(enhance: Enhance, folder: Path) -> None:
    audio.write(folder / "sub/x.wav", noise(seed=5), 16000)
    os.link(folder / "x.wav", folder / "twin.wav")
    before = {name: Path(name).read_bytes() for name in ("x.wav", "sub/x.wav")}
    for arguments in (
        ["x.wav", "-o", "twin.wav"],
        [".", "-o", "."],
        ["sub/x.wav", "x.wav", "-o", "."],
        ["x.wav", "-o", "./"],
    ):
        assert enhance(*arguments) == 1
        assert {name: Path(name).read_bytes() for name in before} == before


ORIGIN = Origin("a" * 64, "b" * 64, "()")


def test_the_record_survives_a_killed_run_and_grows_no_further_than_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepnmf.enhancement.record.MOST_STALE_LINES", 5)
    (tmp_path / "x.wav").write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    for _ in range(20):
        with Records() as records:
            records.of(tmp_path).add(tmp_path / "x.wav", digest, ORIGIN)
    assert len((tmp_path / NAME).read_text().splitlines()) < 12
    with (tmp_path / NAME).open("a") as file:
        file.write('\n{"output": "x.w')  # cut short
    with Records() as records:
        records.of(tmp_path).add(tmp_path / "y.wav", digest, ORIGIN)
    record = FolderRecord(tmp_path)
    assert record.wrote(tmp_path / "y.wav")
    assert record.is_current(tmp_path / "x.wav", ORIGIN)
    assert not record.is_current(tmp_path / "x.wav", Origin("c", "b" * 64, "()"))


def test_a_run_that_writes_nothing_leaves_no_record(enhance: Enhance, folder: Path) -> None:
    (folder / "bad.wav").write_text("no sound")
    assert enhance("bad.wav") == 1
    assert enhance("bad.wav", "-o", "out") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["bad.wav", "x.wav"]


@NEEDS_POSIX
def test_two_runs_do_not_write_the_same_names_at_once(enhance: Enhance, folder: Path) -> None:
    write_endless(folder / "in/long.wav")
    audio.write(folder / "in/short.wav", noise(), 16000)
    first = program("enhance", "in", "-o", "out", "--model", folder.parent / "model.safetensors", cwd=folder)
    wait_until(lambda: leftovers(folder), first)
    first.send_signal(signal.SIGSTOP)  # at work, however slow the others are
    other = ["--model", folder.parent / "other.safetensors"]
    second = program("enhance", "in", "-o", "out", *other, cwd=folder)
    _, errors = second.communicate()
    assert second.returncode == 1
    assert b"another run" in errors
    aside = program("enhance", "x.wav", "-o", "out/aside.wav", *other, cwd=folder)  # other names may be written
    aside.communicate()
    assert aside.returncode == 0
    first.kill()
    first.communicate()
    assert leftovers(folder)
    audio.write(folder / "in/long.wav", noise(), 16000)
    assert enhance("in", "-o", "out", model="other") == 0  # the dead run holds nothing, and its leftovers go
    assert not leftovers(folder)


@pytest.mark.parametrize("count", [3, 300])
def test_locks_hold_whatever_the_folder_is_called_until_the_run_ends(tmp_path: Path, count: int) -> None:
    code = (
        "import sys; from pathlib import Path; from deepnmf.enhancement.record import Records\n"
        "Records().lock([(Path(sys.argv[1]), Path(sys.argv[1]) / 'x1.wav')])"
    )

    def another_run() -> int:
        return subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False).returncode

    (tmp_path / "link").symlink_to(tmp_path)
    with Records() as records:
        records.lock((tmp_path, tmp_path / f"x{i}.wav") for i in range(count))
        assert records.of(tmp_path / "link") is records.of(tmp_path)
        records.of(tmp_path / "link").add(tmp_path / "link/x0.wav", "0" * 64, ORIGIN)
        assert records.wrote(tmp_path / "x0.wav")
        assert another_run() != 0
    assert another_run() == 0


@NEEDS_NAMES_OF_BYTES
def test_json_has_the_status_of_each_file(enhance: Enhance, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"odd\nna\xffme.wav")
    audio.write(folder / "y.wav", noise(), 16000)
    (folder / odd).write_text("no sound")
    assert enhance("y.wav") == 0
    capsys.readouterr()
    assert enhance("x.wav", "y.wav", odd, "none.wav", "*.txt", "--skip-existing", "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    status = {line["input"]: line["status"] for line in lines}
    assert status == {"x.wav": "enhanced", "y.wav": "skipped", odd: "failed", "none.wav": "failed", "*.txt": "failed"}
    assert {line["output"] for line in lines if line["status"] != "failed"} == {"x_enhanced.wav", "y_enhanced.wav"}
    assert all(line["reason"] for line in lines if line["status"] == "failed")


@NEEDS_NAMES_OF_BYTES
def test_a_list_of_files(enhance: Enhance, folder: Path, tmp_path: Path) -> None:
    names = [b"x.wav", b"  spaced name.wav", b"na\xffme.wav"]
    for name in names[1:]:
        shutil.copy(folder / "x.wav", os.fsencode(folder) + b"/" + name)
    for separator in (b"\n", b"\r\n", b"\0"):
        (tmp_path / "list").write_bytes(separator.join(names) + separator)
        assert enhance("-q", "--files-from", tmp_path / "list", "-o", f"out{len(separator)}{separator[-1]}") == 0
        assert len(visible(folder / f"out{len(separator)}{separator[-1]}")) == 3
    (tmp_path / "list").write_bytes("x.wav\r\n".encode("utf-16"))
    assert enhance("--files-from", tmp_path / "list") == 0
    (tmp_path / "list").write_bytes(b"\n\n")
    assert enhance("--files-from", tmp_path / "list") == 1
    assert enhance("--files-from", tmp_path / "none") == 1
    assert enhance("--files-from", folder / "x.wav") == 1  # a recording is no list
    listed = subprocess.Popen(["printf", "x.wav"], stdout=subprocess.PIPE)
    process = program(
        "enhance", "--files-from", "-", "-o", "piped", "--model", tmp_path / "model.safetensors", stdin=listed.stdout
    )
    process.communicate()
    listed.wait()
    assert visible(folder / "piped") == ["x.wav"]


def test_a_dry_run_names_outputs_and_writes_none(
    enhance: Enhance, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enhance("x.wav", "none.wav", "-o", "out", "--dry-run", model="no such") == 1
    captured = capsys.readouterr()
    assert captured.out == "x.wav -> out/x.wav\n"
    assert "none.wav" in captured.err
    assert visible(folder) == ["x.wav"]


def test_quiet_prints_errors_only(enhance: Enhance, capsys: pytest.CaptureFixture[str]) -> None:
    assert enhance("x.wav", "none.wav", "-q", "-j", 0) == 1
    captured = capsys.readouterr()
    assert not captured.out
    assert len(captured.err.splitlines()) == 1


def from_stdin(folder: Path, source: Path, *arguments: Any) -> subprocess.CompletedProcess[bytes]:
    with source.open("rb") as stdin:
        process = program(
            "enhance", "-", *arguments, "--model", folder.parent / "model.safetensors", stdin=stdin, cwd=folder
        )
        output, errors = process.communicate()
    return subprocess.CompletedProcess([], process.returncode, output, errors)


def test_outputs_of_stdin_follow_the_same_rule(enhance: Enhance, folder: Path) -> None:
    result = from_stdin(folder, folder / "x.wav", "-o", "clean.flac", "--json")
    assert json.loads(result.stdout)["output"] == "clean.flac"
    assert enhance("*.*") == 0
    assert visible(folder) == ["clean.flac", "x.wav", "x_enhanced.wav"]
    before = (folder / "x.wav").read_bytes()
    for refused in (["-o", "x.wav"], ["-o", "x.aac"], ["-o", "folder"], ["-o", "folder/"], ["--json"], ["--dry-run"]):
        result = from_stdin(folder, folder / "x.wav", *refused)
        assert result.returncode == 1, refused
        assert result.stderr.count(b"\n") == 1
    assert (folder / "x.wav").read_bytes() == before
    assert visible(folder) == ["clean.flac", "x.wav", "x_enhanced.wav"]


@pytest.mark.parametrize("damage", [b"\xff\x00garbage\n", b'[1]\n{"output": []}\n', b"[" * 100000, None])
def test_a_record_that_is_damaged_or_no_file_stops_nothing(
    enhance: Enhance, folder: Path, damage: bytes | None
) -> None:
    if damage is None:
        (folder / NAME).mkdir()
    else:
        (folder / NAME).write_bytes(damage)
    assert enhance("x.wav") == 0
    assert (folder / "x_enhanced.wav").exists()
    assert Records().wrote(folder / "x_enhanced.wav") == (damage is not None)


def test_a_record_that_is_a_link_is_not_followed(enhance: Enhance, folder: Path) -> None:
    (folder.parent / "precious").write_text("mine")
    (folder / NAME).symlink_to(folder.parent / "precious")
    assert enhance("x.wav") == 0
    assert (folder.parent / "precious").read_text() == "mine"


@NEEDS_POSIX
def test_devices_and_fifos_are_not_replaced(enhance: Enhance, folder: Path) -> None:
    os.mkfifo(folder / "out.wav")
    assert enhance("x.wav", "-o", "out.wav") == 1
    assert (folder / "out.wav").is_fifo()
