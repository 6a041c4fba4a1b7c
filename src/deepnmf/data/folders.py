"""Any two folders: speech (speaker = parent folder) and noise (type = parent folder), or noisy and clean pairs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..audio.files import duration_seconds, find_audio
from ..config import PrepareConfig
from ..errors import DeepnmfError
from .manifest import MixtureEntry, Split

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EVALUATION_SNRS_DB = (-6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
"""SNRs of dev and test mixtures, those of CHiME-2."""
HELD_OUT_SHARE = 0.1
"""Share of the speakers and of the noise types that go to dev, and to test, where the folders name no splits."""


@dataclass(frozen=True)
class Clip:
    """An audio file of a corpus; `group` is its speaker or noise type."""

    path: Path
    group: str
    seconds: float


def scan(folder: Path, left_out: list[str]) -> list[Clip]:
    """Return the readable audio files under `folder`; one line for each other file is added to `left_out`."""
    clips = read_clips(find_audio(folder), left_out)
    if not clips:
        raise DeepnmfError(f"{folder}: no readable audio in it ({left_out[-1]})")
    return clips


def _parent(path: Path) -> str:
    return path.parent.name


def read_clips(paths: Iterable[Path], left_out: list[str], group: Callable[[Path], str] = _parent) -> list[Clip]:
    """Return the readable ones of `paths`, grouped by `group`; one line for each other file is added to `left_out`."""
    clips = []
    for path in paths:
        try:
            seconds = duration_seconds(path)
            if seconds == 0:
                raise DeepnmfError(f"{path}: no samples in it")
            clips.append(Clip(path.resolve(), group(path), seconds))
        except DeepnmfError as error:
            left_out.append(str(error))
    return clips


def split_clips(folder: Path, left_out: list[str], seed: int) -> dict[Split, list[Clip]]:
    """Return the clips of each split: of the subfolders train, dev and test, or else by :func:`split_by_group`.

    Training chooses its best epoch on dev, so where train has no dev beside it a share of train becomes dev.
    """
    folder = Path(folder)
    if not (folder / "train").is_dir():
        return split_by_group(scan(folder, left_out), seed)
    named = {split: scan(folder / split, left_out) for split in SPLITS if (folder / split).is_dir()}
    return named if "dev" in named else named | split_by_group(named["train"], seed, ("train", "dev"))


def split_by_group(clips: list[Clip], seed: int, splits: Sequence[Split] = SPLITS) -> dict[Split, list[Clip]]:
    """Split whole groups of clips into `splits` by seed: a tenth to each but the first, which has the rest.

    With fewer than three groups the files are split; with fewer files than splits every split has them all.

    Examples
    --------
    >>> clips = [Clip(Path(f"{name}.wav"), name, 1.0) for name in "abcd"]
    >>> {split: len(part) for split, part in split_by_group(clips, seed=0).items()}
    {'train': 2, 'dev': 1, 'test': 1}
    """
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.group, []).append(clip)
    units = list(groups.values()) if len(groups) >= 3 else [[clip] for clip in clips]
    if len(units) < len(splits):
        return dict.fromkeys(splits, clips)
    random.Random(f"{seed}/split").shuffle(units)
    held = max(1, round(len(units) * HELD_OUT_SHARE))
    parts: dict[Split, list[list[Clip]]] = {}
    for split in reversed(splits[1:]):
        parts[split], units = units[:held], units[held:]
    parts[splits[0]] = units
    return {split: [clip for unit in parts[split] for clip in unit] for split in splits}


def mixture_entries(
    speech: dict[Split, list[Clip]], noise: dict[Split, list[Clip]], config: PrepareConfig, seed: int
) -> Iterator[MixtureEntry]:
    """Yield the mixtures to make of each split.

    Train: `config.mixtures_per_utterance` of each utterance at a uniform SNR. Dev: each utterance once, the SNRs in
    turn. Test: each utterance at every SNR. What a row draws depends on its utterance alone, so that adding files
    changes no other row.
    """
    for split in SPLITS:
        for number, clip in enumerate(speech.get(split, [])):
            for copy, snr_db in enumerate(_snrs(split, number, clip, config, seed)):
                yield _mixture_entry(clip, noise.get(split) or noise["train"], split, copy, snr_db, seed)


def _snrs(split: Split, number: int, clip: Clip, config: PrepareConfig, seed: int) -> Sequence[float]:
    if split == "test":
        return EVALUATION_SNRS_DB
    if split == "dev":
        return EVALUATION_SNRS_DB[number % len(EVALUATION_SNRS_DB) :][:1]
    rng = random.Random(f"{seed}/snr/{_name(clip)}")
    return [round(rng.uniform(config.snr_db_low, config.snr_db_high), 2) for _ in range(config.mixtures_per_utterance)]


def _mixture_entry(clip: Clip, noises: list[Clip], split: Split, copy: int, snr_db: float, seed: int) -> MixtureEntry:
    rng = random.Random(f"{seed}/{split}/{_name(clip)}/{copy}")
    kind = rng.choice(sorted({noise.group for noise in noises}))
    noise = rng.choice([noise for noise in noises if noise.group == kind])
    return MixtureEntry(
        id=f"{_name(clip)}/{copy}",
        split=split,
        speech=str(clip.path),
        noise=str(noise.path),
        noise_start=round(rng.random(), 4),
        snr_db=snr_db,
        noise_type=kind,
        speaker=clip.group,
        seconds=round(clip.seconds, 3),
    )


def _name(clip: Clip) -> str:
    return f"{clip.group}/{clip.path.stem}"


def pair_entries(noisy: Path, clean: Path, left_out: list[str], seed: int) -> Iterator[MixtureEntry]:
    """Yield a row for each noisy file with a clean file at the same relative path."""
    root = Path(noisy).resolve()
    for split, clips in split_clips(noisy, left_out, seed).items():
        for clip in clips:
            relative = clip.path.relative_to(root)
            partner = Path(clean).resolve() / relative
            if not partner.is_file():
                left_out.append(f"{clip.path}: no clean file {partner}")
                continue
            yield MixtureEntry(
                id=relative.with_suffix("").as_posix(),
                split=split,
                speech=str(partner),
                noisy=str(clip.path),
                speaker=clip.group,
                seconds=round(clip.seconds, 3),
            )


def summary(rows: Iterable[MixtureEntry]) -> dict[str, dict[str, float]]:
    """Return the number of mixtures and hours of each split.

    Examples
    --------
    >>> summary([MixtureEntry("a", "train", "s.wav", "n.wav", snr_db=0, seconds=36)])
    {'train': {'mixtures': 1, 'hours': 0.01}}
    """
    counts: dict[str, dict[str, float]] = {}
    for row in rows:
        entry = counts.setdefault(row.split, {"mixtures": 0, "hours": 0.0})
        entry["mixtures"] += 1
        entry["hours"] = round(entry["hours"] + row.seconds / 3600, 6)
    return counts
