"""Stage 1: from folders of audio, or a supported corpus, to a manifest of mixtures."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..artifacts import read_json, write_json
from ..artifacts.outputs import check_writable
from ..artifacts.records import is_text
from ..config import PrepareConfig
from ..errors import DeepnmfError
from .corpora.catalogue import find_corpus
from .corpora.layout import PrepareOptions
from .folders import SPLITTING as FOLDERS_SPLITTING
from .folders import mixture_entries, pair_entries, split_clips
from .inventory import INVENTORY, folder_names, read_inventory, recording_changes, write_inventory
from .manifest import CORPUS as CORPUS
from .manifest import MANIFEST as MANIFEST
from .manifest import MixtureEntry, manifest_hash, read_manifest, write_manifest
from .overview import cautions, figures_table, split_figures
from .scan import ScanReport, absolute


def prepare(
    output: Path,
    speech: Path | None = None,
    noise: Path | None = None,
    noisy: Path | None = None,
    clean: Path | None = None,
    config: PrepareConfig | None = None,
    seed: int = 0,
    update: bool = False,
) -> list[str]:
    """Write ``manifest.jsonl``, ``corpus.json`` and ``recordings.json`` into `output`.

    Parameters
    ----------
    output : Path
        Folder to write to.
    speech, noise : Path, optional
        Folders to mix, searched recursively and through links. Speakers and noise types are the first level of folders
        below them. Subfolders named train, dev and test are taken as splits; otherwise speakers and noise types are
        split by seed.
    noisy, clean : Path, optional
        Folders of recorded pairs with equal relative paths, instead of `speech` and `noise`.
    config : PrepareConfig, optional
        How many mixtures to make, at which SNRs.
    seed : int
        Decides splits, noises, offsets and SNRs.
    update : bool
        Whether to replace a manifest that is there, of recordings that have changed since or of other settings.

    Returns
    -------
    list of str
        One line for each file that was left out, and why.

    Raises
    ------
    DeepnmfError
        If the folders are missing, empty, or leave no training mixture, or `output` has another manifest that is not
        to be updated.
    """
    config, output = config or PrepareConfig(), Path(output)
    report = ScanReport()
    folders = [folder for folder in (speech, noise, noisy, clean) if folder]
    _check_output(output, folders, update)
    for one, other in ((speech, noise), (noisy, clean)):
        if one and other and absolute(one) == absolute(other) and Path(one).exists():
            raise DeepnmfError(f"{one}: given twice, as if it were two folders; give one of each kind")
    if speech and noise and not (noisy or clean):
        parts = split_clips(speech, report, seed, config.speaker_level), split_clips(noise, report, seed)
        rows = list(mixture_entries(*parts, config, seed))
    elif noisy and clean and not (speech or noise):
        rows = list(pair_entries(noisy, clean, report, seed, config.speaker_level))
    else:
        raise DeepnmfError("give speech and noise, to mix, or noisy and clean, for recorded pairs")
    _write(output, rows, report, folders, {"seed": seed, "split_rule": FOLDERS_SPLITTING}, update)
    return report.left_out


def prepare_corpus(
    output: Path,
    name: str,
    roots: Sequence[Path],
    config: PrepareConfig | None = None,
    seed: int = 0,
    dev_speakers: Sequence[str] = (),
    update: bool = False,
) -> list[str]:
    """Write the output of :func:`prepare` for a supported corpus into `output`.

    An incomplete corpus is prepared as far as possible: one line on stderr, also kept in ``corpus.json``, lists the
    differences from the published numbers of files.

    Parameters
    ----------
    output : Path
        Folder to write to.
    name : str
        One of `deepnmf.data.corpora.NAMES`.
    roots : sequence of Path
        The folders of the corpus, as in :data:`deepnmf.data.corpora.catalogue.CORPORA`.
    config, seed
        As for :func:`prepare`.
    dev_speakers : sequence of str
        VoiceBank-DEMAND: speakers of the training set that make up dev.
    update : bool
        As for :func:`prepare`.

    Returns
    -------
    list of str
        One line for each file that was left out, and why.

    Raises
    ------
    DeepnmfError
        If the corpus is unknown, its folders have another layout, no training mixture is left, or `output` has another
        manifest that is not to be updated.
    """
    spec = find_corpus(name, roots)
    if dev_speakers and name != "voicebank_demand":
        raise DeepnmfError(f"{name}: dev speakers can be chosen for voicebank_demand only")
    _check_output(Path(output), roots, update)
    options = PrepareOptions(config or PrepareConfig(), seed, tuple(dev_speakers))
    rows, report = list(spec.rows(roots, options)), options.report
    record = {
        "seed": seed,
        "corpus": name,
        "licence": spec.licence,
        "split_rule": spec.splits,
        "counts": [dataclasses.asdict(count) for count in report.counts],
    }
    _write(Path(output), rows, report, roots, record, update)
    return report.left_out


def _write(
    output: Path,
    entries: list[MixtureEntry],
    report: ScanReport,
    folders: Sequence[Path],
    record: dict[str, Any],
    update: bool,
) -> None:
    figures = split_figures(entries)
    if "train" not in figures:
        why = report.left_out[0] if report.left_out else "the folders have no train split"
        raise DeepnmfError(f"no training mixture is left; {why}")
    if (output / MANIFEST).exists() and not update:
        _check_unchanged(output, entries)
    record = {
        **record,
        "splits": figures,
        "warnings": report.warnings(),
        "cautions": cautions(entries),
        "left_out": report.left_out,
        "manifest_sha256": manifest_hash(entries),
    }
    for line in record["warnings"] + record["cautions"]:
        print(f"deepnmf: {line}", file=sys.stderr)
    write_json(output / CORPUS, record)
    write_inventory(output, folders)
    write_manifest(output / MANIFEST, entries)  # last: its presence marks this stage as done


def _check_output(output: Path, folders: Sequence[Path], update: bool) -> None:
    """Refuse, before the recordings are read, an output that cannot be written, or has a manifest of other folders."""
    check_writable(*(output / name for name in (CORPUS, INVENTORY, MANIFEST)))
    if update or not ((output / MANIFEST).exists() and (output / INVENTORY).exists()):
        return
    recorded = [Path(name) for name in read_inventory(output / INVENTORY)["folders"]]
    for given in map(Path, folder_names(folders)):  # a corpus may be given as one folder or as the parts of it
        if not any(given == one or given in one.parents or one in given.parents for one in recorded):
            raise _not_replaced(output, f"it was not made of {given}")


def _check_unchanged(output: Path, entries: list[MixtureEntry]) -> None:
    """Refuse to replace a manifest, which would invalidate all later stages."""
    changes = recording_changes(output)
    if changes or read_manifest(output / MANIFEST) != entries:
        what = f"recordings have changed since: {changes}" if changes else "it was made of other folders or settings"
        raise _not_replaced(output, what)


def _not_replaced(output: Path, what: str) -> DeepnmfError:
    return DeepnmfError(
        f"{output / MANIFEST}: {what}; prepare into another folder, or update it, and make features and all "
        "later stages again"
    )


def read_left_out(output: Path) -> list[str]:
    """Return one line for each recording that :func:`prepare` left out.

    Raises
    ------
    DeepnmfError
        If ``corpus.json`` is missing, damaged or not one of :func:`prepare`.
    """
    left_out = read_json(Path(output) / CORPUS).get("left_out")
    if not isinstance(left_out, list) or not all(map(is_text, left_out)):
        raise DeepnmfError(f"{Path(output) / CORPUS}: left_out must be a list of texts; prepare into another folder")
    return left_out


def describe(output: Path) -> str:
    """Return a table of the splits (mixtures, recordings, speakers, minutes, noise types), and the split rule.

    Parameters
    ----------
    output : Path
        Output folder of :func:`prepare`.
    """
    record = read_json(Path(output) / CORPUS)
    return f"{figures_table(record['splits'])}\nSplits: {record['split_rule']}."
