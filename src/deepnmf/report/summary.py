"""The summary of a model: scores, structure, cost and provenance."""

from __future__ import annotations

import textwrap
from typing import Any

from ..model import Model
from ..model_cards import limitations
from ..networks.base import DictionaryNetwork
from ..networks.kinds import changed_settings

Facts = list[tuple[str, str]]
LABEL_WIDTH = 13
LINE_WIDTH = 98


def model_summary(model: Model, card: str = "") -> Facts:
    """Return names and values that describe a model: scores and limitations first, hashes last.

    Parameters
    ----------
    model : Model
        The model; fields that it lacks are left out.
    card : str
        Its card in Markdown, which may have a section "Limitations".
    """
    facts = [
        ("network", model.title()),
        ("dev score", _dev_score(model.metadata.get("history", []))),
        ("limitations", limitations(card)),
        *_features(model),
        *_network(model),
        *_training(model.metadata),
        *_provenance(model.metadata),
    ]
    return [(name, value) for name, value in facts if value]


def summary_text(facts: Facts) -> str:
    """Return facts as lines for a terminal, long ones wrapped."""
    lines, indent = [], " " * LABEL_WIDTH
    for name, value in facts:
        label = f"{name:{LABEL_WIDTH}}"
        for line in value.split("\n"):
            lines += textwrap.wrap(line, LINE_WIDTH, initial_indent=label, subsequent_indent=indent)
            label = indent
    return "\n".join(lines)


def _network(model: Model) -> Facts:
    network, atoms, stft = model.network, model.network.with_atoms(), model.features.stft
    macs = network.multiplications_per_frame * stft.rate_hz / stft.hop
    return [
        *(_dictionaries(atoms) if atoms is not None else []),
        ("parameters", f"{network.parameters:,}"),
        ("cost", f"{macs / 1e6:,.1f} million MACs per second of audio"),
        *network.describe(),
    ]


def _dictionaries(network: DictionaryNetwork) -> Facts:
    bins, atoms = network.output.shape
    speech = network.speech_atoms
    return [
        ("context", _count(network.dictionaries[0].shape[0] // bins, "frame") if network.dictionaries else ""),
        ("atoms", f"{speech} speech, {atoms - speech} noise"),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _features(model: Model) -> Facts:
    features, stft = model.features, model.features.stft
    return [
        ("latency", f"{stft.window_ms:g} ms"),
        ("STFT", f"{stft.rate_hz} Hz, window {stft.window_ms:g} ms, hop {stft.hop_ms:g} ms, FFT {stft.fft_size}"),
        ("level", f"causal, time constant {features.level_seconds:g} s"),
    ]


def _training(metadata: dict[str, Any]) -> Facts:
    changed = [f"{name} = {value}" for name, value in changed_settings(metadata.get("config", {})).items()]
    facts = [
        ("settings", "\n".join(changed) or ("all at their defaults" if "config" in metadata else "")),
    ]
    return [*facts, ("seed", str(metadata["seed"]) if "seed" in metadata else "")]


def _dev_score(history: list[dict[str, Any]]) -> str:
    scores = [entry["dev_si_sdr_db"] for entry in history]
    if not scores:
        return ""
    best = scores.index(max(scores))
    if not best:
        return f"{scores[0]:.2f} dB SI-SDR at the start, without warm-up"
    return f"{scores[best]:.2f} dB SI-SDR at epoch {best}, {scores[0]:.2f} dB at the start, without warm-up"


def _provenance(metadata: dict[str, Any]) -> Facts:
    names = (("manifest", "manifest"), ("dictionary", "dictionary"), ("written by", "deepnmf"), ("sha256", "sha256"))
    facts = [(label, str(metadata.get(name) or "")) for label, name in names]
    return [(label, f"deepnmf {value}" if label == "written by" and value else value) for label, value in facts]
