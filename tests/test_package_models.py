"""The models in the package: the first that a newcomer uses."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

import deepnmf
from deepnmf.enhancement.adapt import adapt_to_noise
from deepnmf.evaluation.metrics import si_sdr
from deepnmf.model import ADAPTABLE_MODEL, DEFAULT_MODEL
from helpers import ROOT

MODELS = sorted(path.stem for path in (ROOT / "src/deepnmf/models").glob("*.safetensors"))


def example(name: str) -> np.ndarray:
    return soundfile.read(ROOT / "examples" / f"{name}.wav", dtype="float32")[0]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_makes_speech_clearer_and_has_a_card(name: str) -> None:
    noisy, clean = example("noisy"), example("clean")
    enhanced = deepnmf.enhance(noisy, 16000, deepnmf.load_model(name))
    assert si_sdr(clean, enhanced) > si_sdr(clean, noisy) + 2
    assert (ROOT / "src/deepnmf/models" / f"{name}.md").read_text(encoding="utf-8").startswith(f"# {name}")
    assert (ROOT / "src/deepnmf/models" / f"{name}.safetensors").stat().st_size < 2.2e6


@pytest.mark.parametrize("name", MODELS)
def test_a_card_has_the_number_of_weights(name: str) -> None:
    card = (ROOT / "src/deepnmf/models" / f"{name}.md").read_text(encoding="utf-8")
    (row,) = (line for line in card.splitlines() if line.startswith("| weights |"))
    assert f"{deepnmf.load_model(name).network.parameters:,}".replace(",", " ") in row


def test_the_default_model_has_its_provenance() -> None:
    model = deepnmf.load_model(DEFAULT_MODEL)
    assert {"config", "seed", "history", "manifest", "dictionary", "sha256"} <= set(model.metadata)


def test_a_profile_of_the_noise_makes_the_adaptable_model_better() -> None:
    noisy, clean = example("noisy"), example("clean")
    model = deepnmf.load_model(ADAPTABLE_MODEL)
    with_profile = adapt_to_noise(model, (noisy - clean)[None, : 16000 * 3], 16000)
    plain, better = (deepnmf.enhance(noisy, 16000, m)[16000 * 3 :] for m in (model, with_profile))
    assert si_sdr(clean[16000 * 3 :], better) > si_sdr(clean[16000 * 3 :], plain) + 0.3


@pytest.mark.parametrize("name", MODELS)
def test_noise_alone_is_turned_down(name: str) -> None:
    noise = example("noisy") - example("clean")
    left = deepnmf.enhance(noise, 16000, deepnmf.load_model(name))
    assert np.square(left).mean() < np.square(noise).mean() / 4
