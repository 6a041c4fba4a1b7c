"""Files that somebody made up, with checksums that fit: one line each, before anything is allocated or run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from deepnmf.artifacts import load_tensors, save_tensors
from deepnmf.config import FeatureConfig, SnmfConfig, to_dict
from deepnmf.errors import DeepnmfError
from deepnmf.model import Model, load_model, save_model
from deepnmf.networks.kinds import KINDS, Config
from deepnmf.nmf.dictionary import load_dictionary
from deepnmf.report.summary import model_summary
from helpers.made_up_files import made_up_files
from helpers.networks import FEATURES, F, untrained

HISTORY = [{"error": None, "dev_si_sdr_db": 1.0}, {"error": 2.0, "dev_si_sdr_db": 3.0}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    metadata = {"config": Config().to_dict(), "history": HISTORY, "seed": 1, "deepnmf": "1", "manifest": "a" * 64}
    for kind in list(KINDS):
        save_model(folder / f"{kind}.safetensors", Model(untrained(kind), FEATURES, metadata))
    return sorted(folder.iterdir())


@pytest.mark.slow
def test_a_thousand_made_up_models_are_one_line_or_harmless(models: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "made_up.safetensors"
    found: Counter[str] = Counter()
    for what, content in made_up_files(models, 1000, seed=1):
        path.write_bytes(content)
        try:
            model = load_model(path)
        except DeepnmfError as error:
            message = str(error)
            assert message.startswith(str(path)), what
            assert message.isprintable(), what
            assert len(message) < 500, what
            found["refused"] += 1
        else:
            mask = model.estimator().push(np.random.default_rng(0).random((F, 3), np.float32))
            assert np.isfinite(mask).all(), what
            assert model_summary(model), what
            found["harmless"] += 1
    assert found["refused"] > 600


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"layers": 10**9}, "layers"),
        ({"sparsity": float("nan")}, "sparsity"),
        ({"beta": -1}, "beta"),
        ({"speech_atoms": 5}, "speech_atoms"),
        ({"speech_atoms": "3"}, "speech_atoms"),
        ({"depth": 4}, "depth"),
    ],
)
def test_a_hyperparameter_out_of_range_is_named(
    models: list[Path], tmp_path: Path, network: dict[str, object], message: str
) -> None:
    arrays, metadata = load_tensors(next(path for path in models if path.stem == "recurrent-deep-nmf"), "model")
    save_tensors(tmp_path / "m.safetensors", arrays, "model", {**metadata, "network": metadata["network"] | network})
    with pytest.raises(DeepnmfError, match=message):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("stft", "key"),
    [({"fft_size": 2**40}, "fft_size"), ({"rate_hz": 0}, "rate_hz"), ({"rate_hz": 2**50, "hop_ms": 1e-12}, "rate_hz")],
)
def test_an_stft_out_of_range_is_named(models: list[Path], tmp_path: Path, stft: dict[str, object], key: str) -> None:
    arrays, metadata = load_tensors(models[0], "model")
    metadata["features"]["stft"] |= stft
    save_tensors(tmp_path / "m.safetensors", arrays, "model", metadata)
    with pytest.raises(DeepnmfError, match=key):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "arrays",
    [
        {"speech": -np.ones((257, 3), np.float32)},
        {"speech": np.full((257, 3), np.nan, np.float32)},
        {"speech": np.ones((257, 3))},
        {"speech": np.ones((3, 257), np.float32)},
        {"noise": np.ones((257, 0), np.float32)},
        {"music": np.ones((257, 2), np.float32)},
    ],
)
def test_a_made_up_dictionary_is_one_line(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    valid = {name: np.ones((257, 3), np.float32) for name in ("speech", "noise")}
    metadata = {"features": to_dict(FeatureConfig()), "snmf": to_dict(SnmfConfig(3, 3))}
    save_tensors(tmp_path / "d.safetensors", valid, "dictionary", metadata)
    assert load_dictionary(tmp_path / "d.safetensors").speech.shape == (257, 3)
    save_tensors(tmp_path / "d.safetensors", valid | arrays, "dictionary", metadata)
    with pytest.raises(DeepnmfError, match=f"array '?{next(iter(arrays))}"):
        load_dictionary(tmp_path / "d.safetensors")


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    network = untrained("gru")
    network.output[0, 0] = np.nan  # type: ignore[attr-defined]
    with pytest.raises(DeepnmfError, match="array output has entries that are NaN"):
        save_model(tmp_path / "m.safetensors", Model(network, FEATURES))
    assert not list(tmp_path.iterdir())


def test_a_made_up_model_costs_no_memory(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = tmp_path / "m.safetensors"
    content = b'{"a": {"dtype": "F32", "shape": [1099511627776, 1048576], "data_offsets": [0, 4611686018427387904]}}'
    path.write_bytes(len(content).to_bytes(8, "little") + content + b"\0" * 64)
    code = (
        "import resource\nfrom deepnmf.model import load_model\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + 2**26\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (size, size))\nload_model({str(path)!r})"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "DeepnmfError" in result.stderr.strip().splitlines()[-1]
