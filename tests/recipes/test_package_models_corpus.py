"""The corpus of the package's models: nothing that may not ship gets into training, and made-up noise comes by seed."""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from deepnmf.data.manifest import read_manifest
from helpers import ROOT
from helpers.scripts import loaded

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "recipes" / "open" / "package_models" / "corpus.py"
ROWS = [
    ("speech/train/a/1/1.flac", "speech", "train", "yes"),
    ("speech/train/a/2/2.flac", "speech", "train", "no"),
    ("speech/dev/a/3/3.flac", "speech", "dev", "yes"),
    ("speech/test/a/4/4.flac", "speech", "test", "yes"),
    ("noise/train/rain/1.flac", "noise", "train", "yes"),
    ("noise/train/city/1.flac", "noise", "train", "no"),
    ("noise/dev/crowd/1.flac", "noise", "dev", "no"),
    ("noise/test/bus/1.flac", "noise", "test", "no"),
    ("more/speech/train/picovoice/unknown/4.flac", "speech", "train", "yes"),
    ("more/speech/train/picovoice/unknown/5.flac", "speech", "train", "yes"),
    ("more/noise/train/rain/2.flac", "noise", "train", "yes"),
    ("more/noise/train/owl/1.flac", "noise", "train", "yes"),
    ("more/noise/train/siren/1.flac", "noise", "train", "no"),
]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module = loaded(SCRIPT)
    monkeypatch.setattr(module, "CLIP_SECONDS", 1)
    monkeypatch.setattr(module, "MAKERS", {kind: (make, 2) for kind, (make, _) in module.MAKERS.items()})
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["path,kind,split,source,label,seconds,licence,ship"]
    for path, kind, split, ship in ROWS:
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / path, 0.1 * rng.standard_normal(8000), 16000)
        lines.append(f"{path},{kind},{split},a,x,0.5,free,{ship}")
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "data" / "more" / "rir").mkdir()
    for name in ("kitchen", "hall"):
        soundfile.write(tmp_path / "data" / "more" / "rir" / f"{name}.flac", np.array([1.0, 0.5]), 16000)
    table = "path,source,licence,ship\nrir/kitchen.flac,b,free,yes\nrir/hall.flac,b,free,no\n"
    (tmp_path / "data" / "more" / "rir.csv").write_text(table, encoding="utf-8")
    return tmp_path / "data"


def build(script: ModuleType, data: Path, output: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Return the recordings of the corpus that the script builds."""
    monkeypatch.setattr(sys, "argv", ["corpus.py", "--data", str(data), "-o", str(output), "--seed", str(seed)])
    script.main()
    corpus = output / "corpus"
    return {p.relative_to(corpus).as_posix(): p.read_bytes() for p in sorted(corpus.rglob("*.flac"))}


def test_only_what_may_ship_is_there(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = build(script, data, tmp_path / "a", 0, monkeypatch)
    taken = {path for path in files if "/made-" not in path}
    expected = {path for path, _, split, ship in ROWS if split == "dev" or (split == "train" and ship == "yes")}
    assert taken == {path.removeprefix("more/") for path in expected}
    kinds = {path.split("/")[2] for path in files if "/made-" in path}
    assert kinds == set(script.MAKERS)
    assert [path.name for path in (tmp_path / "a" / "rooms").iterdir()] == ["kitchen.flac"]


def test_synthetic_noise_comes_by_seed(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, other = (
        build(script, data, tmp_path / name, seed, monkeypatch) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    made = [path for path in first if "/made-" in path]
    assert all(first[path] != other[path] for path in made)
    for path in made:
        samples, rate_hz = soundfile.read(tmp_path / "a" / "corpus" / path)
        assert (rate_hz, len(samples)) == (16000, 16000)
        assert np.abs(samples).max() == pytest.approx(0.5, abs=1e-3)


def test_the_manifest_names_every_recording(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = build(script, data, tmp_path / "a", 0, monkeypatch)
    train, dev = (read_manifest(tmp_path / "a" / "manifest.jsonl", split) for split in ("train", "dev"))
    named = {path for entry in train for path in (entry.speech, str(entry.noise))}
    corpus = (tmp_path / "a" / "corpus").resolve()
    assert {Path(path).resolve().relative_to(corpus).as_posix() for path in named} == {
        path for path in files if "/train/" in path
    }
    assert {entry.noise_type for entry in train} == {"rain", "owl", *script.MAKERS}
    assert [(Path(entry.speech).name, entry.noise_type, entry.snr_db) for entry in dev] == [("3.flac", "crowd", -6.0)]


def test_unlabelled_speech_is_in_groups(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(script, data, tmp_path / "a", 0, monkeypatch)
    groups = {entry.speaker for entry in read_manifest(tmp_path / "a" / "manifest.jsonl", "train")}
    assert "a-1" in groups
    assert len([group for group in groups if group.startswith("picovoice-")]) == 2


def test_sources_give_licence_and_hash_of_what_is_trained_on(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(script, data, tmp_path / "a", 0, monkeypatch)
    with (tmp_path / "a" / "sources.csv").open(encoding="utf-8") as file:
        sources = {row["path"]: row for row in csv.DictReader(file)}
    trained = {path for path, _, split, ship in ROWS if split == "train" and ship == "yes"}
    assert set(sources) == trained | {"rir/kitchen.flac"}
    for path in trained:
        digest = hashlib.sha256((data / path).read_bytes()).hexdigest()
        assert digest.startswith(sources[path]["sha256"])
        assert (sources[path]["licence"], len(sources[path]["sha256"])) == ("free", 16)


def test_the_package_names_the_authors_that_licences_require(capsys: pytest.CaptureFixture[str]) -> None:
    loaded(SCRIPT.parent / "attribution.py").main()
    page = capsys.readouterr().out
    assert page == (ROOT / "src" / "deepnmf" / "models" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for name in ("V. Panayotov", "K. J. Piczak", "Maxim Topal", "University of York", "InspectorJ", "klankbeeld"):
        assert name in page
    for wrong in ("http", "freesound.org/", "[", "()", ", ,"):
        assert wrong not in page
