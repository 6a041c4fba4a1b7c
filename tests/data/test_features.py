"""Feature shards, the segments cut from them, and the targets made of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.artifacts import load_tensors, read_json, save_tensors, write_json
from deepnmf.config import FeatureConfig
from deepnmf.data import pieces, shards
from deepnmf.data.features import FeatureSet, features
from deepnmf.data.manifest import MixtureEntry, read_manifest, write_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.data.pieces import LAYOUTS
from deepnmf.data.prepare import prepare
from deepnmf.dsp.stft import stack_context, stft
from deepnmf.errors import DeepnmfError
from deepnmf.networks.kinds import configuration
from deepnmf.training import pretrain
from deepnmf.training.processes import ALONE
from deepnmf.training.targets import phase_sensitive
from helpers.signals import TinyCorpus

CONFIG = FeatureConfig()
PLACE = {"left_out": [], "rows": 1, "start": [0, 0], "end": [1, 0], "continued": False}


@pytest.fixture(scope="module")
def prepared(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    assert prepare(folder, tiny_corpus.speech, tiny_corpus.noise) == []
    assert features(folder / "manifest.jsonl", folder / "features", CONFIG) == []
    return folder


def test_a_speaker_is_in_one_split_and_test_has_every_snr(prepared: Path) -> None:
    rows = read_manifest(prepared / "manifest.jsonl")
    splits = {row.speaker: {other.split for other in rows if other.speaker == row.speaker} for row in rows}
    assert all(len(found) == 1 for found in splits.values())
    assert {row.snr_db for row in rows if row.split == "test"} == {-6, -3, 0, 3, 6, 9}
    assert all(-6 <= row.snr_db <= 9 for row in rows if row.split == "train" and row.snr_db is not None)


def test_a_new_file_changes_no_other_mixture(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    shutil.copytree(tiny_corpus.speech, tmp_path / "train" / "speech" / "train")
    for split in ("dev", "test"):
        shutil.copytree(tiny_corpus.speech / "speaker0", tmp_path / "train" / "speech" / split / "speaker0")
    prepare(tmp_path / "a", tmp_path / "train" / "speech", tiny_corpus.noise)
    first = {row.id: row for row in read_manifest(tmp_path / "a" / "manifest.jsonl", "train")}
    extra = tmp_path / "train" / "speech" / "train" / "speaker9"
    shutil.copytree(tiny_corpus.speech / "speaker0", extra)
    prepare(tmp_path / "b", tmp_path / "train" / "speech", tiny_corpus.noise)
    second = {row.id: row for row in read_manifest(tmp_path / "b" / "manifest.jsonl", "train")}
    assert len(second) > len(first)
    assert all(second[name] == row for name, row in first.items())


def test_an_example_is_the_mixture_of_its_row(prepared: Path) -> None:
    data = FeatureSet(prepared / "features", "train", context=3)
    row = read_manifest(prepared / "manifest.jsonl", "train")[0]
    mixture = load_mixture(row, 16000)
    expected = np.abs(stft(np.stack([mixture.noisy, mixture.speech, mixture.noise]), CONFIG.stft))
    stacked, speech, noise = data.example(data.segments[0])
    level = data.load(data.segments[0])[1]
    np.testing.assert_allclose(speech * level, expected[1], atol=1e-6)
    np.testing.assert_allclose(noise * level, expected[2], atol=1e-6)
    np.testing.assert_allclose(stacked, stack_context(expected[0] / level, 3), rtol=1e-4, atol=1e-5)


def test_dev_keeps_the_phases(prepared: Path) -> None:
    data = FeatureSet(prepared / "features", "dev", context=2)
    row = read_manifest(prepared / "manifest.jsonl", "dev")[0]
    mixture = load_mixture(row, 16000)
    expected = stft(np.stack([mixture.noisy, mixture.speech, mixture.noise]), CONFIG.stft)
    spectra, level = data.spectra(data.segments[0])
    np.testing.assert_allclose(spectra * level, expected[:2], atol=1e-6)
    stacked, speech, noise = data.example(data.segments[0])
    np.testing.assert_allclose(stacked[-257:], np.abs(spectra[0]), rtol=1e-6)
    np.testing.assert_allclose(speech, np.abs(spectra[1]), rtol=1e-6)
    np.testing.assert_allclose(noise * level, np.abs(expected[2]), atol=1e-6)


def test_features_of_an_earlier_version_are_refused_in_one_line(prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared / "features", tmp_path / "features")
    for name in ("plan.json", "features.json"):
        write_json(folder / name, read_json(folder / name) | {"format": 3})
    with pytest.raises(DeepnmfError, match=r"format 3 .*delete its folder"):
        FeatureSet(folder, "dev", 1)
    with pytest.raises(DeepnmfError, match=r"format: found 3.*delete"):
        features(prepared / "manifest.jsonl", folder, CONFIG)


@pytest.mark.parametrize("context", [1, 2, 9])
def test_segments_keep_the_context_of_their_utterance_and_no_other(prepared: Path, context: int) -> None:
    whole = FeatureSet(prepared / "features", "train", context)
    pieces = FeatureSet(prepared / "features", "train", context, segment_frames=37)
    joined = np.concatenate([pieces.stacked(segment) for segment in pieces.segments], axis=1)
    expected = np.concatenate([whole.stacked(segment) for segment in whole.segments], axis=1)
    assert np.array_equal(joined, expected)
    assert whole.frames == pieces.frames == joined.shape[1]


def test_an_epoch_visits_every_segment_once_in_an_order_of_its_seed(prepared: Path) -> None:
    data = FeatureSet(prepared / "features", "train", 1, segment_frames=20)
    orders = [
        [segment for batch in data.batches(100, 0, np.random.default_rng(seed)) for segment in batch]
        for seed in (0, 0, 1)
    ]
    assert sorted(orders[0], key=str) == sorted(data.segments, key=str)
    assert orders[0] == orders[1] != orders[2]
    some = [segment for batch in data.batches(50, 150, np.random.default_rng(0)) for segment in batch]
    assert 150 <= sum(segment.stop - segment.start for segment in some) <= 170


def test_frames_for_pretraining_are_bounded(prepared: Path) -> None:
    config = configuration({"network": {"kind": "deep-nmf", "context": 2}, "snmf": {"max_frames": 120}})
    dev = FeatureSet(prepared / "features", "dev", 2)
    assert pretrain._sample(prepared / "features", dev, config, 1, ALONE).shape == (2 * 257, 120)


def test_interrupted_extraction_goes_on(prepared: Path, tmp_path: Path) -> None:
    features(prepared / "manifest.jsonl", tmp_path, CONFIG)
    shard = tmp_path / "train-000000-0000.safetensors"
    expected = shard.read_bytes()
    shard.unlink()
    (tmp_path / "features.json").unlink()
    with pytest.raises(DeepnmfError, match=r"features\.json"):
        FeatureSet(tmp_path, "train", 1)
    features(prepared / "manifest.jsonl", tmp_path, CONFIG)
    assert shard.read_bytes() == expected


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of less than an utterance, which are cut every 40 frames."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 100)
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 40)


@pytest.mark.usefixtures("small_shards")
def test_recordings_that_are_cut_between_shards_keep_level_and_context(prepared: Path, tmp_path: Path) -> None:
    features(prepared / "manifest.jsonl", tmp_path, CONFIG)
    for split in ("train", "dev"):
        whole = FeatureSet(prepared / "features", split, context=9)
        cut = FeatureSet(tmp_path, split, context=9, segment_frames=37)
        assert cut.frames == whole.frames
        assert max(segment.stop for segment in cut.segments) <= 240
        for source in ("mixture", "speech", "noise"):
            found, expected = (
                np.concatenate([data.stacked(segment, source) for segment in data.segments], axis=1)
                for data in (cut, whole)
            )
            np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("lost", [["0-0000"], ["0-0001"], ["1-0000", "1-0001"], ["0-0001", "2-0000"]])
def test_shards_that_are_lost_are_written_again_as_they_were(prepared: Path, tmp_path: Path, lost: list[str]) -> None:
    features(prepared / "manifest.jsonl", tmp_path, CONFIG)
    expected = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in lost:
        (tmp_path / f"train-00000{name}.safetensors").unlink()
    features(prepared / "manifest.jsonl", tmp_path, CONFIG)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == expected


def test_the_list_of_shards_has_their_checksums(prepared: Path) -> None:
    record = read_json(prepared / "features" / "features.json")
    for split in ("train", "dev"):
        for name, sha256 in record["shards"][split].items():
            tensors, metadata = load_tensors(prepared / "features" / name, "features")
            assert sha256 == metadata["sha256"]
            assert tensors["frames"].sum() == len(tensors["level"]) == tensors[LAYOUTS[split].name].shape[1]


@pytest.mark.usefixtures("small_shards")
def test_a_shard_that_does_not_belong_there_is_named(prepared: Path, tmp_path: Path) -> None:
    features(prepared / "manifest.jsonl", tmp_path, CONFIG)
    shutil.copyfile(tmp_path / "train-000000-0000.safetensors", tmp_path / "train-000001-0000.safetensors")
    with pytest.raises(DeepnmfError, match=r"train-000001-0000.*delete"):
        features(prepared / "manifest.jsonl", tmp_path, CONFIG)


def test_a_manifest_without_the_split_that_is_needed_leaves_the_folder_to_another(
    prepared: Path, tmp_path: Path
) -> None:
    write_manifest(tmp_path / "m.jsonl", read_manifest(prepared / "manifest.jsonl", "dev"))
    with pytest.raises(DeepnmfError, match="no mixtures in split train"):
        features(tmp_path / "m.jsonl", tmp_path / "features", CONFIG)
    assert not (tmp_path / "features").exists()


@pytest.mark.usefixtures("small_shards")
def test_what_cannot_be_mixed_is_left_out_by_name(prepared: Path, tmp_path: Path) -> None:
    rows = read_manifest(prepared / "manifest.jsonl")
    soundfile.write(tmp_path / "zeros.wav", np.zeros(8000), 16000)
    bad = [
        MixtureEntry("silent", "train", str(tmp_path / "zeros.wav"), rows[0].noise, snr_db=0.0),
        MixtureEntry("silent again", "train", str(tmp_path / "zeros.wav"), rows[0].noise, snr_db=3.0),
        MixtureEntry("gone", "train", str(tmp_path / "gone.wav"), rows[0].noise, snr_db=0.0),
    ]
    write_manifest(tmp_path / "m.jsonl", [bad[0], *rows, *bad[1:]])
    left_out = features(tmp_path / "m.jsonl", tmp_path / "features", CONFIG)
    assert [name in line for name, line in zip(("zeros.wav", "gone.wav"), left_out, strict=True)] == [True, True]
    frames = FeatureSet(prepared / "features", "train", 1).frames
    assert FeatureSet(tmp_path / "features", "train", 1).frames == frames


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("at", [3, 60, -1, -3000, 200_000])
def test_a_flipped_bit_of_a_shard_is_refused_by_name(prepared: Path, tmp_path: Path, at: int) -> None:
    folder = shutil.copytree(prepared / "features", tmp_path / "features")
    shard = next(folder.glob("dev-*.safetensors"))
    flip(shard, at)
    FeatureSet(folder, "train", 1)
    with pytest.raises(DeepnmfError, match=shard.name):
        FeatureSet(folder, "dev", 1)
    with pytest.raises(DeepnmfError, match=shard.name):
        features(prepared / "manifest.jsonl", folder, CONFIG)


def test_a_shard_in_the_place_of_another_is_refused(prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared / "features", tmp_path / "features")
    shutil.copyfile(folder / "train-000000-0000.safetensors", folder / "dev-000000-0000.safetensors")
    with pytest.raises(DeepnmfError, match=r"dev-000000-0000.*another shard"):
        FeatureSet(folder, "dev", 1)


@pytest.mark.parametrize(
    "arrays",
    [
        {"level": np.zeros(4, np.float32)},
        {"magnitudes": np.full((3, 4, 257), -1, np.float32)},
        {"magnitudes": np.full((3, 4, 257), np.inf, np.float32)},
        {"magnitudes": np.ones((3, 4, 100), np.float32)},
        {"frames": np.array([4.0])},
        {"frames": np.array([3])},
        {"frames": np.array([-1, 5])},
        {"frames": np.array([2**62, 2**62, 2**62, 2**62 + 4])},
    ],
)
def test_a_made_up_shard_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "s.safetensors"
    valid = {"magnitudes": np.ones((3, 4, 257), np.float32), "level": np.ones(4, np.float32), "frames": np.array([4])}
    save_tensors(path, valid, "features", PLACE)
    assert shards.open_shard(path, "train", 257).arrays["level"].sum() == 4
    with pytest.raises(DeepnmfError, match=r"s\.safetensors.*magnitudes"):
        shards.open_shard(path, "dev", 257)
    made_up = valid | arrays
    save_tensors(path, made_up, "features", PLACE | {"rows": len(made_up["frames"])})
    with pytest.raises(DeepnmfError, match=r"s\.safetensors"):
        shards.open_shard(path, "train", 257)


@pytest.mark.parametrize("spectra", [np.full((2, 4, 514), np.nan), np.ones((3, 4, 514)), np.ones((2, 4, 257))])
def test_a_made_up_shard_of_dev_is_refused(tmp_path: Path, spectra: np.ndarray) -> None:
    valid = {"spectra": np.full((2, 4, 514), -1, np.float32), "level": np.ones(4, np.float32), "frames": np.array([4])}
    save_tensors(tmp_path / "s.safetensors", valid, "features", PLACE)
    shards.open_shard(tmp_path / "s.safetensors", "dev", 257)
    save_tensors(tmp_path / "s.safetensors", valid | {"spectra": spectra.astype(np.float32)}, "features", PLACE)
    with pytest.raises(DeepnmfError, match=r"s\.safetensors.*spectra"):
        shards.open_shard(tmp_path / "s.safetensors", "dev", 257)


def test_the_recordings_are_found_unless_the_manifest_is_another_one(prepared: Path, tmp_path: Path) -> None:
    data = FeatureSet(prepared / "features", "train", context=1)
    assert data.recordings == (prepared / "manifest.jsonl").resolve()
    copy = tmp_path / "manifest.jsonl"
    data.record["recordings"] = str(copy)
    with pytest.raises(DeepnmfError, match=f"{copy}: cannot read"):
        _ = data.recordings
    lines = (prepared / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    copy.write_bytes(b"".join(lines))
    assert data.recordings == copy
    copy.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(DeepnmfError, match=f"{copy}: has changed since the features were made; run .deepnmf features"):
        _ = data.recordings


def test_the_phase_sensitive_target_is_the_cosine_of_the_phases() -> None:
    rng = np.random.default_rng(0)
    speech, noise = (rng.standard_normal((5, 40)) + 1j * rng.standard_normal((5, 40)) for _ in "sn")
    mixture = speech + noise
    found = phase_sensitive(np.abs(mixture), np.abs(speech), np.abs(noise))
    cosine = np.cos(np.angle(speech) - np.angle(mixture))
    np.testing.assert_allclose(found, np.clip(np.abs(speech) * cosine, 0, np.abs(mixture)), atol=1e-12)
