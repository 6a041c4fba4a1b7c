"""Recordings are found through links, once each, by the names that the user gave; what cannot be read is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.config import PrepareConfig
from deepnmf.data.folders import mixture_entries, split_clips
from deepnmf.data.manifest import read_manifest
from deepnmf.data.prepare import prepare
from deepnmf.data.scan import ScanReport, find_recordings, read_clips
from deepnmf.errors import DeepnmfError
from helpers.platforms import NEEDS_POSIX


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(800, 0.1), 8000)
    return path


def names(folder: Path, report: ScanReport | None = None) -> list[str]:
    found = find_recordings(folder, report or ScanReport())
    return [path.relative_to(folder).as_posix() for path in found]


def test_linked_folders_and_files_are_found_by_the_names_of_the_links(tmp_path: Path) -> None:
    sound(tmp_path / "store/ann/1.wav")
    sound(tmp_path / "store/7.wav")
    sound(tmp_path / "speech/ben/1.wav")
    (tmp_path / "speech/ann").symlink_to(tmp_path / "store/ann")
    (tmp_path / "speech/ben/2.wav").symlink_to("../../store/7.wav")
    (tmp_path / "linked").symlink_to("speech")
    assert names(tmp_path / "speech") == names(tmp_path / "linked") == ["ann/1.wav", "ben/1.wav", "ben/2.wav"]


@pytest.mark.parametrize("target", [".", "..", "ann", "/", "loop"])
def test_links_in_circles_end_and_no_file_counts_twice(tmp_path: Path, target: str) -> None:
    sound(tmp_path / "speech/ann/1.wav")
    (tmp_path / "speech/loop").symlink_to({"..": tmp_path, "/": tmp_path / "speech"}.get(target, target))
    (tmp_path / "speech/ann/twin.wav").symlink_to("1.wav")
    sound(tmp_path / "noise/hum/1.wav")
    os.link(tmp_path / "speech/ann/1.wav", tmp_path / "speech/ann/hard.wav")
    report = ScanReport()
    assert len(names(tmp_path / "speech", report)) == 1
    assert any("once" in note for note in report.notes)


def test_the_real_name_is_preferred_to_that_of_a_link(tmp_path: Path) -> None:
    sound(tmp_path / "speech/zoe/1.wav")
    (tmp_path / "speech/alias").symlink_to("zoe")
    assert names(tmp_path / "speech") == ["zoe/1.wav"]


@NEEDS_POSIX
def test_links_that_lead_nowhere_pipes_and_unreadable_folders_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound(tmp_path / "speech/ann/1.wav")
    sound(tmp_path / "speech/locked/2.wav")
    sound(tmp_path / "speech/unentered/3.wav")
    (tmp_path / "speech/gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(tmp_path / "speech/pipe.wav")

    def listdir(path: Path) -> list[str]:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return [entry.name for entry in os.scandir(path)]

    def lstat(path: Path, real: Callable[[Path], os.stat_result] = os.lstat) -> os.stat_result:
        if Path(path).parent.name == "unentered":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("deepnmf.data.scan.os.listdir", listdir)
    monkeypatch.setattr("deepnmf.data.scan.os.lstat", lstat)
    report = ScanReport()
    assert names(tmp_path / "speech", report) == ["ann/1.wav"]
    assert sorted(Path(line.split(":")[0]).name for line in report.left_out) == [
        "gone.wav",
        "locked",
        "pipe.wav",
        "unentered",
    ]


def test_recordings_without_a_single_frame_are_left_out(tmp_path: Path) -> None:
    paths = [tmp_path / f"{samples}.wav" for samples in (1, 199, 200, 800)]
    for path in paths:
        soundfile.write(path, np.full(int(path.stem), 0.1), 8000)
    report = ScanReport()
    clips = read_clips(paths, tmp_path, report, lambda path: path.parent.name)
    assert [clip.name for clip in clips] == ["200", "800"]
    assert ["1.wav: " in report.left_out[0], "199.wav: " in report.left_out[1]] == [True, True]


def test_a_folder_without_audio_names_what_it_has(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c"):
        (tmp_path / name).touch()
    with pytest.raises(DeepnmfError, match=r"no audio.*2 \.txt"):
        find_recordings(tmp_path, ScanReport())
    with pytest.raises(DeepnmfError, match="no such folder"):
        find_recordings(tmp_path / "none", ScanReport())


@pytest.mark.parametrize("tree", ["site{}/ann/1.wav", "ann/{}/1.wav", "{}.wav", "ann/x.{}", "train/ann{}/x.wav"])
def test_ids_are_distinct_and_come_from_the_path(tmp_path: Path, tree: str) -> None:
    for part in ("wav", "flac", "aiff"):
        path = sound(tmp_path / "speech/a.wav")
        (tmp_path / "speech" / tree.format(part)).parent.mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "speech" / tree.format(part))
    sound(tmp_path / "noise/hum/1.wav")
    prepare(tmp_path / "exp", tmp_path / "speech", tmp_path / "noise")
    entries = read_manifest(tmp_path / "exp/manifest.jsonl")
    assert len({entry.id for entry in entries}) == len(entries)
    assert len({entry.speech for entry in entries}) == 3


@pytest.mark.parametrize("prefix", ["", "corpus/wav/", "train/"])
def test_speakers_are_the_first_level_however_deep_the_tree(tmp_path: Path, prefix: str) -> None:
    for speaker in ("ann", "ben", "cem", "dee"):
        for session in ("monday", "tuesday"):
            sound(tmp_path / f"{prefix}{speaker}/{session}/1.wav")
    splits = split_clips(tmp_path, ScanReport(), seed=0)
    speakers = {split: {clip.group for clip in clips} for split, clips in splits.items()}
    assert set.union(*speakers.values()) == {"ann", "ben", "cem", "dee"}
    assert sum(map(len, speakers.values())) == 4
    assert sum(map(len, splits.values())) == 8


def test_recordings_outside_the_named_splits_are_counted(tmp_path: Path) -> None:
    for place in ("train/ann", "train/ben", "dev/cem", "extra/dee"):
        sound(tmp_path / place / "1.wav")
    report = ScanReport()
    splits = split_clips(tmp_path, report, seed=0)
    assert {split: len(clips) for split, clips in splits.items()} == {"train": 2, "dev": 1}
    assert "1 recordings outside" in report.notes[0]


def test_deeper_folders_of_one_speaker_draw_apart(tmp_path: Path) -> None:
    for session in range(40):
        sound(tmp_path / f"speech/train/ann/{session}/1.wav")
    sound(tmp_path / "noise/hum/1.wav")
    parts = (split_clips(tmp_path / name, ScanReport(), 0) for name in ("speech", "noise"))
    entries = mixture_entries(*parts, PrepareConfig(mixtures_per_utterance=1), 0)
    train = [entry for entry in entries if entry.split == "train"]
    assert len({entry.snr_db for entry in train}) > len(train) // 2
