"""Stage 1: from folders of audio, or a known corpus, to a manifest of mixtures."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..artifacts import write_json
from ..config import PrepareConfig
from ..errors import DeepnmfError
from .corpora.catalogue import find_corpus
from .corpora.layout import PrepareOptions
from .folders import mixture_entries, pair_entries, split_clips, summary
from .manifest import MixtureEntry, write_manifest

MANIFEST = "manifest.jsonl"


def prepare(
    output: Path,
    speech: Path | None = None,
    noise: Path | None = None,
    noisy: Path | None = None,
    clean: Path | None = None,
    config: PrepareConfig | None = None,
    seed: int = 0,
) -> list[str]:
    """Write ``manifest.jsonl`` and ``corpus.json`` into `output`.

    Parameters
    ----------
    output : Path
        Folder to write to.
    speech, noise : Path, optional
        Folders to mix, searched recursively. Subfolders named train, dev and test are taken as splits; otherwise
        speakers (parent folders of speech) and noise types (parent folders of noise) are split by seed.
    noisy, clean : Path, optional
        Folders of recorded pairs with equal relative paths, instead of `speech` and `noise`.
    config : PrepareConfig, optional
        How many mixtures to make, at which SNRs.
    seed : int
        Decides splits, noises, offsets and SNRs.

    Returns
    -------
    list of str
        One line for each file that was left out, and why.

    Raises
    ------
    DeepnmfError
        If the folders are missing, empty, or leave no training mixture.
    """
    config = config or PrepareConfig()
    left_out: list[str] = []
    if speech and noise and not (noisy or clean):
        parts = split_clips(speech, left_out, seed), split_clips(noise, left_out, seed)
        rows = list(mixture_entries(*parts, config, seed))
    elif noisy and clean and not (speech or noise):
        rows = list(pair_entries(noisy, clean, left_out, seed))
    else:
        raise DeepnmfError("give --speech and --noise, to mix, or --noisy and --clean, for recorded pairs")
    _write(output, rows, left_out, {"seed": seed})
    return left_out


def prepare_corpus(
    output: Path,
    name: str,
    roots: Sequence[Path],
    config: PrepareConfig | None = None,
    seed: int = 0,
    dev_speakers: Sequence[str] = (),
) -> list[str]:
    """Write ``manifest.jsonl`` and ``corpus.json`` of a known corpus into `output`.

    A corpus that is not whole is prepared as far as it is there: one line on stderr says what differs from the
    published numbers of files, and ``corpus.json`` keeps it.

    Parameters
    ----------
    output : Path
        Folder to write to.
    name : str
        One of `deepnmf.data.corpora.NAMES`.
    roots : sequence of Path
        The folders of the corpus, as :data:`deepnmf.data.corpora.catalogue.CORPORA` has them.
    config, seed
        As for :func:`prepare`.
    dev_speakers : sequence of str
        VoiceBank-DEMAND: speakers of the training set that make up dev.

    Returns
    -------
    list of str
        One line for each file that was left out, and why.

    Raises
    ------
    DeepnmfError
        If the corpus is unknown, its folders have another layout, or no training mixture is left.
    """
    spec = find_corpus(name, roots)
    if dev_speakers and name != "voicebank_demand":
        raise DeepnmfError(f"{name}: dev speakers can be chosen for voicebank_demand only")
    options = PrepareOptions(config or PrepareConfig(), seed, tuple(dev_speakers))
    rows, report = list(spec.rows(roots, options)), options.report
    warnings = report.warnings()
    for line in warnings:
        print(f"deepnmf: {name}: {line}", file=sys.stderr)
    _write(
        output,
        rows,
        report.left_out,
        {
            "seed": seed,
            "corpus": name,
            "licence": spec.licence,
            "split_rule": spec.splits,
            "counts": [dataclasses.asdict(count) for count in report.counts],
            "warnings": warnings,
        },
    )
    return report.left_out


def _write(output: Path, rows: Iterable[MixtureEntry], left_out: list[str], record: dict[str, Any]) -> None:
    rows = list(rows)
    counts = summary(rows)
    if "train" not in counts:
        why = left_out[0] if left_out else "the folders have no train split"
        raise DeepnmfError(f"no training mixture is left; {why}")
    write_json(Path(output) / "corpus.json", {**record, "splits": counts, "left_out": left_out})
    write_manifest(Path(output) / MANIFEST, rows)  # last: whoever finds it takes this stage for done
