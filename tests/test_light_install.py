"""Without the packages that only training, scores and plots need: what still works, and one line for what does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepnmf.errors import DeepnmfError, MissingExtra, require
from helpers import ROOT
from helpers.signals import TinyCorpus

SCORES = ("fast_bss_eval", "librosa", "llvmlite", "numba", "pesq", "pystoi", "scipy", "sklearn")
HEAVY = (*SCORES, "av", "jinja2", "markupsafe", "matplotlib", "onnx", "onnxruntime", "sounddevice", "torch")
"""What `requirements-light.txt` leaves out."""

BLOCKED = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from deepnmf.cli import main
main()
"""


def light(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: TinyCorpus) -> Path:
    """Return a folder with a manifest and features, both written without the heavy packages."""
    folder = tmp_path_factory.mktemp("stages")
    corpus = ("--speech", tiny_corpus.speech, "--noise", tiny_corpus.noise)
    for arguments in (
        ("prepare", *corpus, "-o", folder),
        ("features", folder / "manifest.jsonl", "-o", folder / "features", "--set", "network.kind=deep-nmf"),
    ):
        result = light(*arguments)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("model", ["default", "framewise"])
def test_it_enhances_and_shows(model: str, tmp_path: Path) -> None:
    for arguments in (
        ("enhance", ROOT / "examples" / "noisy.wav", "-o", tmp_path / "out.wav", "--model", model),
        ("show", model),
    ):
        result = light(*arguments)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.wav").stat().st_size > 1000


def test_it_prepares_features_and_pretrains(stages: Path) -> None:
    dictionary = stages / "dictionary.safetensors"
    few = ("--set", "snmf.iterations=2", "--set", "snmf.speech_atoms=4", "--set", "snmf.noise_atoms=4")
    result = light("pretrain", stages / "features", "-o", dictionary, *few)
    assert (result.returncode, dictionary.exists()) == (0, True), result.stderr


def test_dynamic_mixing_names_what_it_needs_before_any_work(stages: Path) -> None:
    assert light("features", stages / "manifest.jsonl", "-o", stages / "dev").returncode == 0
    result = light("pretrain", stages / "dev", "-o", stages / "none.safetensors")
    assert result.returncode == 1
    assert re.fullmatch(r"deepnmf: dynamic mixing needs scipy.*\n", result.stderr)


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("train", "--speech", "none", "--noise", "none", "-o", "{out}"), "torch"),
        (("train", "--manifest", "{stages}/manifest.jsonl", "-o", "{out}"), "torch"),
        (("evaluate", "--manifest", "{stages}/manifest.jsonl", "-o", "{out}"), "pystoi"),
        (("evaluate", "--manifest", "{stages}/manifest.jsonl", "-o", "{out}", "--metric", "sdr"), "fast-bss-eval"),
        (("export", "{out}.onnx"), "torch"),
        (("show", "framewise", "--plot", "{out}.png"), "matplotlib"),
        (("report", "{stages}", "-o", "{out}.html"), "jinja2"),
        (("live",), "sounddevice"),
        (("live", "--list-devices"), "sounddevice"),
        (("serve", "--no-open"), "torch"),
    ],
    ids=lambda value: " ".join(value[:1] + value[-1:]) if isinstance(value, tuple) else value,
)
def test_one_line_names_what_is_missing(arguments: tuple[str, ...], package: str, stages: Path, tmp_path: Path) -> None:
    result = light(*(word.format(stages=stages, out=tmp_path / "out") for word in arguments))
    lines = [line for line in result.stderr.splitlines() if "PESQ" not in line]
    assert result.returncode == 1
    assert len(lines) == 1, result.stderr
    assert "pip install" in lines[0]
    assert package in lines[0].split("pip install")[1].split()
    assert list(tmp_path.iterdir()) == []


def test_scores_that_need_no_package_are_had(stages: Path, tmp_path: Path) -> None:
    result = light(
        "evaluate", "--manifest", stages / "manifest.jsonl", "--metric", "si_sdr", "--limit", "1", "-o", tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "SI-SDR" in (tmp_path / "table.md").read_text()


def test_a_missing_package_is_an_import_error_with_its_name() -> None:
    with pytest.raises(ImportError, match="pip install no-such-package") as caught:
        require("a test", "sys", "no_such_package")
    assert isinstance(caught.value, DeepnmfError)
    assert isinstance(caught.value, MissingExtra)
    assert caught.value.name == "no_such_package"


def test_the_light_requirements_are_those_of_the_package_less_the_heavy_ones() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = project.partition("\ndependencies = [")[2].partition("\n]")[0]
    declared = set(re.findall(r'"(.+)"', dependencies))
    light = {line for line in (ROOT / "requirements-light.txt").read_text().splitlines() if line[:1] != "#"}
    assert light <= declared
    assert {re.split("[>=;]", line)[0].replace("-", "_") for line in declared - light} <= set(HEAVY)
