"""An experiment to report on: a small model, its scores on a manifest with awkward names, and how to read the page."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import soundfile

from deepnmf import evaluation
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.model import save_model
from helpers.enhance_models import small_model
from helpers.signals import noise, voice

RATE_HZ = 16000
HOSTILE = "<script>alert(1)<" + "script>&\"'"  # no slash: it is also a file's name
HISTORY = [
    {"error": None, "dev_si_sdr_db": 1.0},
    {"error": 2.5, "dev_si_sdr_db": 3.0},
    {"error": 2.0, "dev_si_sdr_db": 2.75},
]


@dataclass(frozen=True)
class Experiment:
    """Paths of what was made."""

    folder: Path

    @property
    def scores(self) -> Path:
        return self.folder / "test"


def make_experiment(folder: Path) -> Experiment:
    """Write a corpus of four mixtures, a model of two layers and its scores below `folder`."""
    for index, name in enumerate((HOSTILE, "b")):
        _write(folder / f"{name}.wav", 0.3 * voice(120 + 60 * index, 700 + 300 * index, index, 1.0 + 0.5 * index))
    for kind in ("hiss", "hum"):
        _write(folder / f"{kind}.wav", noise(kind, 1))
    rows = [
        MixtureEntry(
            f"{speech}/{kind}", "test", f"{speech}.wav", f"{kind}.wav", snr_db=snr_db, noise_type=f"{kind} & co"
        )
        for kind, snr_db in (("hiss", -6.0), ("hum", 9.0))
        for speech in (HOSTILE, "b")
    ]
    write_manifest(folder / "manifest.jsonl", rows)
    model = small_model(context=2, layers=3)
    config = {"network": {"layers": 3, "trained": 0}, "train": {"seed": 7}}
    metadata = {"config": config, "seed": 7, "history": HISTORY[:2], "manifest": "m" * 64, "dictionary": "d" * 64}
    save_model(folder / "best.safetensors", dataclasses.replace(model, metadata=metadata))
    save_model(folder / "last.safetensors", dataclasses.replace(model, metadata={**metadata, "history": HISTORY}))
    evaluation.evaluate(folder / "manifest.jsonl", folder / "test", model=folder)
    return Experiment(folder)


def _write(path: Path, samples: np.ndarray) -> None:
    soundfile.write(path, samples, RATE_HZ, "PCM_16")


class Page(HTMLParser):
    """What a page holds: ids, links, sources, tags, and the text of every table row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.rows: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.append(tag)
        self.ids |= {value for key, value in attributes if key == "id" and value}
        self.links += [value for key, value in attributes if key == "href" and value]
        self.sources += [value for key, value in attributes if key in {"src", "srcset", "poster", "data"} and value]
        if tag == "tr":
            self.rows.append("")
        assert not any(key.startswith("on") for key in values)

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows:
            self.rows[-1] += data


def sounds(html: str) -> list[np.ndarray]:
    """Return the recordings in a page, decoded."""
    found = re.findall(r'src="data:audio/flac;base64,([^"]+)"', html)
    return [soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")[0] for data in found]
