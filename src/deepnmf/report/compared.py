"""The report of a comparison: a column for each system, and players that change systems while they play."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts import file_hash
from ..config import StftSpec
from ..dsp.stft import stft
from ..errors import DeepnmfError
from ..evaluation import (
    ComparisonFolder,
    EnhancedFiles,
    FolderRecordings,
    ManifestRecordings,
    System,
    model_system,
)
from ..evaluation.items import Item
from ..evaluation.metrics import METRICS
from .example_players import PlayerTrack
from .examples import EXCERPT_SAMPLES, chosen, excerpt_tracks
from .media import sound
from .strips import frequency_axis, spectrogram_strip
from .text import is_negative, number, score, tick


@dataclass(frozen=True)
class Cell:
    """The mean of a system over a group, as text, and its paired difference from the baseline with its interval."""

    mean: str
    difference: str = ""
    interval: str = ""

    @property
    def negative(self) -> bool:
        """Whether the system scores below the baseline."""
        return is_negative(self.difference)


@dataclass(frozen=True)
class ComparedTable:
    """A metric's table: blocks of groups, each with its number of files, the noisy mean and a cell for each system."""

    label: str
    unit: str
    variant: str
    blocks: dict[str, list[tuple[str, int, str, list[Cell]]]]


@dataclass(frozen=True)
class ComparedPlayer:
    """A recording, its scores by system, and a track for each of noisy, systems and clean."""

    number: int
    title: str
    id: str
    gain: str
    facts: list[str]
    scores: list[tuple[str, str]]
    seconds: float
    tracks: list[PlayerTrack]

    @property
    def negative(self) -> bool:
        """Whether the system scores below the baseline."""
        return is_negative(self.gain)


def compared_tables(found: ComparisonFolder) -> list[ComparedTable]:
    """Return a table for each metric."""
    return [_table(name, found) for name in found.metrics]


def _table(name: str, found: ComparisonFolder) -> ComparedTable:
    first = found.summary["systems"][0]["scores"]
    snrs = sorted(first["by_snr"], key=float)
    blocks = {
        "SNR": [_line(name, found, f"{tick(float(snr))} dB", "by_snr", snr) for snr in snrs],
        "Noise type": [_line(name, found, kind, "by_noise_type", kind) for kind in sorted(first["by_noise_type"])],
        "All": [_line(name, found, "all recordings", "overall")],
    }
    metric = METRICS[name]
    kept = {title: lines for title, lines in blocks.items() if lines}
    return ComparedTable(metric.label, metric.unit, str(found.summary["metrics"][name]["variant"]), kept)


def _line(name: str, found: ComparisonFolder, label: str, *keys: str) -> tuple[str, int, str, list[Cell]]:
    """Return a line of a table: the group that `keys` lead to, of every system."""
    groups = [_at(system["scores"], keys) for system in found.summary["systems"]]
    differences = [
        _at(system["differences"], keys)[name]["difference"] if "differences" in system else None
        for system in found.summary["systems"]
    ]
    cells = [
        _cell(name, group[name]["output"]["mean"], difference)
        for group, difference in zip(groups, differences, strict=True)
    ]
    before = groups[0][name].get("input", {}).get("mean")
    return label, groups[0]["files"], "–" if before is None else score(name, before), cells


def _at(table: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys:
        table = table[key]
    return table


def _cell(name: str, mean: float | None, difference: dict[str, Any] | None) -> Cell:
    if mean is None:
        return Cell("–")
    if difference is None:
        return Cell(score(name, mean))
    interval = difference["ci95"]
    text = "" if interval is None else " to ".join(score(name, bound, sign=True) for bound in interval)
    return Cell(score(name, mean), score(name, difference["mean"], sign=True), text)


def compared_players(found: ComparisonFolder) -> tuple[list[ComparedPlayer], list[str]]:
    """Return the recordings on which the first system that is not the baseline gains most, median and least over it.

    Returns
    -------
    players : list of ComparedPlayer
        Empty if the recordings cannot be read again.
    notes : list of str
        Why they cannot.
    """
    try:
        sources = _sources(found)
        ranked = _ranked(found)
        return [_player(number, title, row, found, sources) for number, (title, row) in enumerate(chosen(ranked))], []
    except (DeepnmfError, KeyError) as error:
        return [], [f"no examples: {error}"]


@dataclass(frozen=True)
class _Sources:
    """Systems by name, the recordings of each by id, and the rate at which manifest rows are mixed."""

    systems: dict[str, System | EnhancedFiles]
    items: dict[str, dict[str, Item]]
    rate_hz: int | None


def _sources(found: ComparisonFolder) -> _Sources:
    paths = {name: Path(path) for name, path in found.summary["paths"].items()}
    recordings: ManifestRecordings | FolderRecordings = FolderRecordings(paths.get("clean"), paths.get("noisy"))
    if "manifest" in paths:
        recordings = ManifestRecordings(paths["manifest"], found.summary["split"])
        if file_hash(paths["manifest"]) != found.summary["manifest_sha256"]:
            raise DeepnmfError(f"{paths['manifest']}: changed since it was scored")
    if not recordings.has_reference:
        raise DeepnmfError("recordings without a clean side are not shown")
    systems = {system["name"]: _system(system) for system in found.summary["systems"]}
    items = {
        name: {item.id: item for item in recordings.items(system if isinstance(system, EnhancedFiles) else None)[0]}
        for name, system in systems.items()
    }
    rates = [system["rate_hz"] for system in found.summary["systems"] if system["rate_hz"]]
    return _Sources(systems, items, max(rates, default=None))


def _system(recorded: dict[str, Any]) -> System | EnhancedFiles:
    name, source = str(recorded["name"]), str(recorded["source"])
    if not recorded["model_sha256"]:
        if not source:
            raise DeepnmfError(f"{name} is neither a model nor a folder, so that it cannot be run again")
        return EnhancedFiles(name, Path(source))
    system = model_system(source, name)
    if system.sha256 != recorded["model_sha256"]:
        raise DeepnmfError(f"{source}: another model than the one that was scored")
    return system


def _ranked(found: ComparisonFolder) -> list[dict[str, Any]]:
    """Return the recordings that all have scores of, by ``gain``: that of the first system over the baseline."""
    column, baseline = f"{found.metrics[0]}_output", found.summary["baseline"]
    other = next((name for name in found.rows if name != baseline), baseline)
    by_id = {name: {row["id"]: row for row in rows} for name, rows in found.rows.items()}
    common = set.intersection(*map(set, by_id.values()))
    rows = [{**row, "gain": row[column] - by_id[baseline][row["id"]][column]} for row in found.rows[other]]
    kept = [row for row in rows if row["id"] in common and np.isfinite(row["gain"])]
    return sorted(kept, key=lambda row: (row["gain"], row["id"]))


def _player(place: int, title: str, row: dict[str, Any], found: ComparisonFolder, sources: _Sources) -> ComparedPlayer:
    metric = found.metrics[0]
    signals: dict[str, np.ndarray | None] = {}
    for name, system in sources.systems.items():
        item = sources.items[name][row["id"]]
        made = item.signals(system if isinstance(system, System) else None, sources.rate_hz)
        signals |= {"Noisy": made.noisy, name: made.enhanced, "Clean": made.reference}
    del signals["Clean"]  # to the end
    clean, rate_hz = made.reference, made.rate_hz
    given = {name: samples for name, samples in {**signals, "Clean": clean}.items() if samples is not None}
    spec = StftSpec(rate_hz=rate_hz, fft_size=1 << (round(rate_hz * 0.025) - 1).bit_length())
    tracks = excerpt_tracks(given, lambda samples: stft(samples[None], spec)[0], spec.hop)
    seconds = min(EXCERPT_SAMPLES, len(clean)) / rate_hz
    playing = next(name for name in sources.systems)
    return ComparedPlayer(
        place,
        title,
        row["id"],
        score(metric, row["gain"], sign=True),
        [*([f"{row['noise_type']} noise"] if row["noise_type"] else []), *_snr(row), f"{len(clean) / rate_hz:.1f} s"],
        [(name, score(metric, _by_id(found.rows[name], row["id"])[f"{metric}_output"])) for name in sources.systems],
        seconds,
        [
            PlayerTrack(
                track.name,
                spectrogram_strip(track.spectrogram, f"Spectrogram: {track.name}", frequency_axis(rate_hz), place),
                sound(track.samples, rate_hz),
                track.name == playing,
            )
            for track in tracks
        ],
    )


def _snr(row: dict[str, Any]) -> list[str]:
    return [] if row["snr_db"] is None else [f"{number(row['snr_db'], 1)}\N{NO-BREAK SPACE}dB SNR"]


def _by_id(rows: list[dict[str, Any]], identity: str) -> dict[str, Any]:
    return next(row for row in rows if row["id"] == identity)
