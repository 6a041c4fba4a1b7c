"""The corpus of the package's models: nothing that may not ship gets into training, and made-up noise comes by seed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from helpers import ROOT

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
]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
    return tmp_path / "data"


def build(script: ModuleType, data: Path, output: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(sys, "argv", ["corpus.py", "--data", str(data), "-o", str(output), "--seed", str(seed)])
    script.main()
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in sorted(output.rglob("*.flac"))}


def test_only_what_may_ship_is_there(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = build(script, data, tmp_path / "a", 0, monkeypatch)
    taken = {path for path in files if "/made-" not in path}
    assert taken == {path for path, _, split, ship in ROWS if split == "dev" or (split == "train" and ship == "yes")}
    kinds = {path.split("/")[2] for path in files if "/made-" in path}
    assert kinds == set(script.MAKERS)


def test_made_up_noise_comes_by_seed(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, other = (
        build(script, data, tmp_path / name, seed, monkeypatch) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    made = [path for path in first if "/made-" in path]
    assert all(first[path] != other[path] for path in made)
    for path in made:
        samples, rate_hz = soundfile.read(tmp_path / "a" / path)
        assert (rate_hz, len(samples)) == (16000, 16000)
        assert np.abs(samples).max() == pytest.approx(0.5, abs=1e-3)
