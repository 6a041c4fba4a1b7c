"""From folders to a manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deepnmf.artifacts import read_json
from deepnmf.config import PrepareConfig
from deepnmf.data.inventory import recording_changes
from deepnmf.data.manifest import MixtureEntry, read_manifest
from deepnmf.data.overview import cautions
from deepnmf.data.prepare import describe, prepare
from deepnmf.errors import DeepnmfError
from helpers.signals import TinyCorpus


def test_train_without_dev_beside_it_gives_some_of_its_speakers_to_dev(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    shutil.copytree(tiny_corpus.speech, tmp_path / "speech" / "train")
    prepare(tmp_path, tmp_path / "speech", tiny_corpus.noise)
    speakers = {
        split: {row.speaker for row in read_manifest(tmp_path / "manifest.jsonl", split)} for split in ("train", "dev")
    }
    assert len(speakers["dev"]) == 1
    assert len(speakers["train"]) == 3
    assert not speakers["dev"] & speakers["train"]


def test_pairs_are_found_by_path_and_the_others_named(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        shutil.copytree(tiny_corpus.speech, tmp_path / side)
    (tmp_path / "clean" / "speaker0" / "clip0.wav").unlink()
    left_out = prepare(tmp_path, noisy=tmp_path / "noisy", clean=tmp_path / "clean")
    assert len(left_out) == 1
    assert "speaker0/clip0.wav: no clean file" in left_out[0]
    rows = read_manifest(tmp_path / "manifest.jsonl")
    assert len(rows) == 7
    assert all(
        Path(str(row.noisy)).relative_to(tmp_path / "noisy") == Path(row.speech).relative_to(tmp_path / "clean")
        for row in rows
    )


@pytest.mark.parametrize(("speakers", "files"), [(1, 1), (1, 2), (2, 1)])
def test_fewer_recordings_than_splits_have_ids_of_their_own(
    tiny_corpus: TinyCorpus, tmp_path: Path, speakers: int, files: int
) -> None:
    recordings = sorted(tiny_corpus.speech.rglob("*.wav"))
    for speaker in range(speakers):
        for file in range(files):
            (tmp_path / f"speech/{speaker}").mkdir(parents=True, exist_ok=True)
            shutil.copy(recordings[2 * speaker + file], tmp_path / f"speech/{speaker}/{file}.wav")
    assert prepare(tmp_path / "mixed", tmp_path / "speech", tiny_corpus.noise) == []
    shutil.copytree(tmp_path / "speech", tmp_path / "clean")
    assert prepare(tmp_path / "pairs", noisy=tmp_path / "speech", clean=tmp_path / "clean") == []
    for name in ("mixed", "pairs"):
        assert {entry.split for entry in read_manifest(tmp_path / name / "manifest.jsonl")} == {"train", "dev", "test"}


def test_one_folder_for_two_sides_is_refused_and_overlap_reported(
    tiny_corpus: TinyCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = tiny_corpus.speech
    for sides in ({"speech": speech, "noise": speech / ".." / speech.name}, {"noisy": speech, "clean": speech}):
        with pytest.raises(DeepnmfError, match="two folders"):
            prepare(tmp_path, **sides)
    prepare(tmp_path, speech, speech / "speaker0")
    assert "both speech and noise" in capsys.readouterr().err


def test_half_a_source_is_refused(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="give speech and noise"):
        prepare(tmp_path, speech=tiny_corpus.speech, clean=tiny_corpus.speech)


def test_linked_pairs_are_found_by_the_names_of_the_links(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        shutil.copytree(tiny_corpus.speech, tmp_path / "store" / side)
        (tmp_path / side).mkdir()
        for speaker in (tmp_path / "store" / side).iterdir():
            (tmp_path / side / speaker.name).symlink_to(speaker)
    (tmp_path / "noisy" / "more").mkdir()
    (tmp_path / "noisy" / "more" / "a.wav").symlink_to(tmp_path / "store/noisy/speaker0/clip0.wav")
    assert prepare(tmp_path / "exp", noisy=tmp_path / "noisy", clean=tmp_path / "clean") == []
    entries = read_manifest(tmp_path / "exp/manifest.jsonl")
    assert {entry.id for entry in entries} >= {"speaker0/clip0", "speaker3/clip1"}
    assert len(entries) == 8
    assert all(Path(str(entry.noisy)).is_relative_to(tmp_path / "noisy") for entry in entries)


@pytest.fixture
def copied(tiny_corpus: TinyCorpus, tmp_path: Path) -> TinyCorpus:
    for name in ("speech", "noise"):
        shutil.copytree(getattr(tiny_corpus, name), tmp_path / name)
    return TinyCorpus(tmp_path / "speech", tmp_path / "noise")


def test_preparing_again_changes_nothing_unless_the_recordings_have_changed(copied: TinyCorpus, tmp_path: Path) -> None:
    output = tmp_path / "exp"
    for _ in "twice":
        prepare(output, copied.speech, copied.noise)
    before = (output / "manifest.jsonl").read_bytes()
    shutil.copytree(copied.speech / "speaker0", copied.speech / "speaker9")
    (copied.speech / "speaker1/clip0.wav").unlink()
    shutil.copyfile(copied.speech / "speaker2/clip0.wav", copied.noise / "hum/hum.wav")
    changes = recording_changes(output)
    assert (len(changes.new), len(changes.gone), len(changes.changed)) == (2, 1, 1)
    with pytest.raises(DeepnmfError, match=r"2 new .*1 gone .*1 changed .*another folder.*update"):
        prepare(output, copied.speech, copied.noise)
    assert (output / "manifest.jsonl").read_bytes() == before
    prepare(output, copied.speech, copied.noise, update=True)
    assert any("speaker9" in entry.id for entry in read_manifest(output / "manifest.jsonl"))
    assert not recording_changes(output)


def test_a_manifest_of_other_settings_or_folders_is_not_replaced(copied: TinyCorpus, tmp_path: Path) -> None:
    prepare(tmp_path / "exp", copied.speech, copied.noise)
    for config, noise in ((PrepareConfig(snr_db_low=0), copied.noise), (PrepareConfig(), copied.noise / "hiss")):
        with pytest.raises(DeepnmfError, match="other folders or settings"):
            prepare(tmp_path / "exp", copied.speech, noise, config=config)
    with pytest.raises(DeepnmfError, match="not made of"):  # and so refused before it is searched
        prepare(tmp_path / "exp", copied.speech, tmp_path / "elsewhere")


def test_the_table_has_the_figures_of_each_split(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    prepare(tmp_path, tiny_corpus.speech, tiny_corpus.noise)
    lines = describe(tmp_path).splitlines()
    assert lines[0].split() == ["split", "mixtures", "recordings", "speakers", "minutes", "noise", "types"]
    assert lines[1].split()[:4] == ["train", "8", "4", "2"]
    assert "first level" in lines[-1]
    assert any("test has fewer than 4" in line for line in read_json(tmp_path / "corpus.json")["cautions"])


def entries(split: str, count: int, **values: str) -> list[MixtureEntry]:
    made = (
        {"speech": f"{split}{n}", "noise": f"{split}n{n}", "noise_type": f"t{n}", "speaker": f"{split}{n}"} | values
        for n in range(count)
    )
    return [MixtureEntry(f"{split}/{n}", split, snr_db=0.0, seconds=200, **one) for n, one in enumerate(made)]  # type: ignore[arg-type]


def test_figures_to_be_trusted_have_no_caution() -> None:
    assert cautions([*entries("train", 9), *entries("dev", 4), *entries("test", 4)]) == []


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (entries("test", 3), "fewer than 4 recordings"),
        (entries("test", 4, noise_type="hum"), "one noise type"),
        (entries("test", 4, speaker="ann"), "one speaker"),
        (entries("test", 4, speaker="train0"), "shares speakers"),
        (entries("test", 4, speech="train0"), "shares recordings of speech"),
        (entries("test", 4, noise="trainn0"), "shares recordings of noise"),
    ],
)
def test_a_figure_that_cannot_be_trusted_is_named(odd: list[MixtureEntry], words: str) -> None:
    found = cautions([*entries("train", 9), *entries("dev", 4), *odd])
    assert any(line.startswith("test") and words in line for line in found)


def test_too_little_training_speech_and_no_dev_are_named() -> None:
    found = cautions(entries("train", 2))
    assert "no dev split" in found[0]
    assert "minutes" in found[1]
