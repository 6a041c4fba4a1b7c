"""A corpus in tar files is that of its recordings; hostile tars give one line; the shuffle buffer draws by place."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.audio import tar_members
from deepnmf.audio.files import read
from deepnmf.config import FeatureConfig, PrepareConfig
from deepnmf.data import excerpts
from deepnmf.data.dynamic_mixing import DynamicMixtures
from deepnmf.data.features import FeatureSet, features
from deepnmf.data.manifest import MixtureEntry, read_manifest
from deepnmf.data.prepare import prepare
from deepnmf.data.scan import ScanReport
from deepnmf.data.tars import MembersInOrder, tar_clips, tar_paths
from deepnmf.errors import DeepnmfError
from helpers.signals import RATE_HZ, TinyCorpus

pytest.importorskip("webdataset")
CONFIG = FeatureConfig()


def pack(tar: Path, folder: Path, files: list[Path]) -> None:
    tar.parent.mkdir(exist_ok=True)
    with tarfile.open(tar, "w") as file:
        for path in files:
            file.add(path, path.relative_to(folder).as_posix())
            text = tarfile.TarInfo(path.relative_to(folder).with_suffix(".json").as_posix())
            text.size = 2
            file.addfile(text, io.BytesIO(b"{}"))


@pytest.fixture(scope="module")
def packed(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny corpus in two tars of speech and two of noise, in WebDataset's layout."""
    folder = tmp_path_factory.mktemp("packed")
    for kind, source in (("speech", tiny_corpus.speech), ("noise", tiny_corpus.noise)):
        files = sorted(source.rglob("*.wav"))
        for number in range(2):
            pack(folder / f"{kind}-{number:06d}.tar", source, files[number::2])
    return folder


def patterns(packed: Path) -> tuple[Path, Path]:
    return packed / "speech-{000000..000001}.tar", packed / "noise-{000000..000001}.tar"


def test_members_are_the_files(packed: Path, tiny_corpus: TinyCorpus) -> None:
    clips = tar_clips(patterns(packed)[0], ScanReport())
    assert len(clips) == 8
    assert {clip.group for clip in clips} == {f"speaker{index}" for index in range(4)}
    for clip in clips:
        member = clip.path.relative_to(clip.path.parents[1])
        np.testing.assert_array_equal(read(clip.path)[0], read(tiny_corpus.speech / member)[0])


def test_features_of_tars_are_those_of_the_files(packed: Path, tmp_path: Path) -> None:
    assert prepare(tmp_path, *patterns(packed)) == []
    rows = read_manifest(tmp_path / "manifest.jsonl")
    assert {row.split for row in rows} == {"train", "dev", "test"}
    assert features(tmp_path / "manifest.jsonl", tmp_path / "features", CONFIG) == []
    unpacked = tmp_path / "unpacked"
    for kind in ("speech", "noise"):
        for number in range(2):
            with tarfile.open(packed / f"{kind}-{number:06d}.tar") as file:
                file.extractall(unpacked / f"{kind}-{number:06d}.tar", filter="data")
    text = (tmp_path / "manifest.jsonl").read_text().replace(str(packed), str(unpacked))
    (tmp_path / "files.jsonl").write_text(text)
    features(tmp_path / "files.jsonl", tmp_path / "of_files", CONFIG)
    for split in ("train", "dev"):
        sets = [FeatureSet(tmp_path / name, split, 1) for name in ("features", "of_files")]
        for segment in sets[0].segments:
            np.testing.assert_array_equal(*(data.load(segment)[0] for data in sets))


@pytest.mark.parametrize("cache", [0, 2**34])
def test_what_is_drawn_depends_on_generator_and_place_alone(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: int
) -> None:
    monkeypatch.setattr(excerpts, "BUFFERED", 4)
    prepare(tmp_path, *patterns(packed))
    manifest = tmp_path / "manifest.jsonl"

    def draws(places: list[int], map_bytes: int) -> dict[int, bytes]:
        mixtures = DynamicMixtures(manifest, CONFIG, PrepareConfig(), 60, map_bytes)
        return {place: mixtures.draw(np.random.default_rng(place), place).tobytes() for place in places}

    in_turn = draws(list(range(8)), cache)
    assert draws([7, 3, 5], cache) == {place: in_turn[place] for place in (7, 3, 5)}  # resumed, and in other ranks
    assert draws([6, 0], 2**34 - cache) == {place: in_turn[place] for place in (6, 0)}


def test_the_buffer_moves_through_every_recording_in_the_order_of_its_tar(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excerpts, "BUFFERED", 4)
    clips = tar_clips(patterns(packed)[0], ScanReport())
    noise = str(packed / "noise-000000.tar/hiss/hiss.wav")
    rows = [MixtureEntry(c.name, "train", str(c.path), noise, snr_db=0.0, speaker=c.group) for c in clips]
    sampler = excerpts.ExcerptSampler(rows, RATE_HZ, tmp_path, map_bytes=0)
    for first in (0, 8):  # two passes
        seen = []
        for segment in range(first, first + 8, 4):
            sampler.move_to(segment)
            seen += [files[0] for group in sampler._speech.groups._groups for files in group._members]
            assert set(sampler._speech.members.held) == set(seen[-4:])
        assert sorted(seen) == sorted(str(clip.path) for clip in clips)


def test_members_are_read_once_in_order_and_forgotten(packed: Path) -> None:
    tar = packed / "speech-000000.tar"
    names = sorted(str(tar / name) for name in tar_members.tar_index(tar).members if name.endswith(".wav"))
    members = MembersInOrder()
    members.load(names[:2])
    assert list(members.held) == names[:2]
    members.load(names[1:])
    assert list(members.held) == names[1:]
    assert all(members.held[name] == tar_members.open_member(name).read(10**7) for name in names[1:])
    members.load(names[:1])  # behind: left to whoever opens it
    assert members.held == {}


def entry(name: str, data: bytes = b"", **values: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in values.items():
        setattr(info, key, value)
    return info, data


def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal(8000), RATE_HZ, format="WAV")
    return file.getvalue()


HOSTILE: dict[str, Callable[[], tuple[tarfile.TarInfo, bytes]]] = {
    "outside": lambda: entry("../../evil.wav", wav()),
    "leads outside": lambda: entry("/etc/evil.wav", wav()),
    "a link": lambda: entry("link.wav", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "link, device": lambda: entry("hard.wav", type=tarfile.LNKTYPE, linkname="good/1.wav"),
    "device": lambda: entry("null.wav", type=tarfile.CHRTYPE),
    "device or": lambda: entry("pipe.wav", type=tarfile.FIFOTYPE),
    "not readable as audio": lambda: entry("text.wav", b"no audio at all " * 99),
    "empty": lambda: entry("nothing.wav"),
    "several files": lambda: entry("good/1.wav", wav()),
    "truncated": lambda: entry("short.wav", wav()[:9000]),
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_entry_is_one_line_and_the_rest_is_used(tmp_path: Path, reason: str) -> None:
    with tarfile.open(tmp_path / "h.tar", "w") as file:
        for info, data in (entry("good/1.wav", wav()), entry("good/2.wav", wav()), HOSTILE[reason]()):
            file.addfile(info, io.BytesIO(data))
    report = ScanReport()
    clips = tar_clips(tmp_path / "h.tar", report)
    assert {clip.path.name for clip in clips} >= {"2.wav"}
    assert len(clips) + len(report.left_out) == (2 if reason == "several files" else 3)
    (line,) = report.left_out
    assert reason in line
    assert str(tmp_path / "h.tar") in line
    assert list(tmp_path.parent.rglob("evil*")) == []


def test_a_huge_member_is_left_out_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_members, "LARGEST_MEMBER", 20_000)
    with tarfile.open(tmp_path / "h.tar", "w") as file:
        for info, data in (entry("good.wav", wav()), entry("huge.wav", bytes(30_000))):
            file.addfile(info, io.BytesIO(data))
    report = ScanReport()
    assert len(tar_clips(tmp_path / "h.tar", report)) == 1
    assert "huge.wav: 30,000 bytes" in report.left_out[0]


def damaged(change: Callable[[bytearray], object]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in "abc":
            info, data = entry(f"{name}.wav", wav())
            tar.addfile(info, io.BytesIO(data))
    content = bytearray(file.getvalue())
    change(content)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no tar " * 1000,
        damaged(lambda data: data.__delitem__(slice(40_000, None))),
        damaged(lambda data: data.__setitem__(slice(16_896, 17_000), b"x" * 104)),
        damaged(lambda data: data.__setitem__(slice(124, 136), b"77777777777\0")),
        gzip.compress(damaged(len)),
    ],
)
def test_a_damaged_tar_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.tar").write_bytes(content)
    with pytest.raises(DeepnmfError, match=r"d\.tar"):
        tar_clips(tmp_path / "d.tar", ScanReport())


@pytest.mark.parametrize(
    "pattern",
    ["none-{0..3}.tar", "x{.tar", "x-{0..99999999}.tar", "pipe:cat x.tar", "http://host/x.tar", "x.tar.gz", "*.tar"],
)
def test_a_pattern_that_names_no_tars_is_one_line(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(DeepnmfError):
        tar_paths(tmp_path / pattern)


def test_without_webdataset_it_is_named(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(DeepnmfError, match="pip install webdataset"):
        prepare(tmp_path, *patterns(packed))
