"""Any two folders: speech (by speaker) and noise (by type), or noisy and clean pairs."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config import PrepareConfig
from ..errors import InputError
from .manifest import MixtureEntry, Split
from .scan import Clip, ScanReport, absolute, find_recordings, folder_level, read_clips
from .tars import is_tar_pattern, tar_clips

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EVALUATION_SNRS_DB = (-6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
"""SNRs of dev and test mixtures, those of CHiME-2."""
SPLITTING = (
    "speakers and noise types are the first level of folders below the given ones, or below train, dev and test in "
    "them (prepare.speaker_level has another for speakers); without folders of these names, a tenth of the speakers "
    "and of the noise types each goes to dev and to test, by seed"
)
HELD_OUT_SHARE = 0.1
"""Share of the speakers and of the noise types that go to dev, and to test, where the folders name no splits."""


def split_clips(folder: Path, report: ScanReport, seed: int, level: int = 1) -> dict[Split, list[Clip]]:
    """Return the clips of each split: of the subfolders train, dev and test, or else by :func:`split_by_group`.

    Groups (speakers or noise types) are as :func:`scan_clips` has them, below `folder` or below train, dev and test.
    Training selects its best epoch on dev, so a share of train becomes dev where there is no folder dev. A pattern of
    tar files has no such subfolders.
    """
    if is_tar_pattern(folder):
        return split_by_group(tar_clips(folder, report, level), seed, report=report)
    root = absolute(folder)
    paths = find_recordings(root, report)
    if not (root / "train").is_dir():
        return split_by_group(_grouped(paths, root, root, report, level), seed, report=report)
    bases = {split: root / split for split in SPLITS}
    named = {
        split: _grouped([path for path in paths if base in path.parents], base, root, report, level)
        for split, base in bases.items()
        if base.is_dir()
    }
    if outside := [path for path in paths if not any(base in path.parents for base in bases.values())]:
        report.notes.append(f"{len(outside)} recordings outside train, dev and test are not used, such as {outside[0]}")
    return named if "dev" in named else named | split_by_group(named["train"], seed, ("train", "dev"), report)


def scan_clips(folder: Path, report: ScanReport, level: int = 1) -> list[Clip]:
    """Return the readable recordings under `folder`, each in the group that the folder at a level below it names.

    For the first level, a folder whose only entry is a folder of folders is skipped.
    """
    folder = absolute(folder)
    return _grouped(find_recordings(folder, report), folder, folder, report, level)


def _grouped(paths: list[Path], base: Path, root: Path, report: ScanReport, level: int) -> list[Clip]:
    start = _base_of_groups(paths, base) if level == 1 else base
    clips = read_clips(paths, root, report, folder_level(start, level))
    if not clips:
        raise InputError(f"{base}: no readable audio in it" + "".join(f" ({line})" for line in report.left_out[-1:]))
    return clips


def _base_of_groups(paths: list[Path], base: Path) -> Path:
    """Return `base`, or the first folder below it that does not hold one folder of folders and nothing else."""
    while len(firsts := {path.relative_to(base).parts[:-1][:1] for path in paths}) == 1:
        deeper = base.joinpath(*firsts.pop())
        if deeper == base or all(path.parent == deeper for path in paths):
            break
        base = deeper
    return base


def split_by_group(
    clips: list[Clip], seed: int, splits: Sequence[Split] = SPLITS, report: ScanReport | None = None
) -> dict[Split, list[Clip]]:
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
    whole = len(groups) >= 3
    if not whole and report:
        report.notes.append(f"{', '.join(sorted(groups))}: fewer than three folders, so their files are split")
    units = list(groups.values()) if whole else [[clip] for clip in clips]
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
    turn. Test: each utterance at every SNR. What a row draws depends on its utterance alone, so adding files
    changes no other row.
    """
    shared = _shared_names(speech)
    for split in SPLITS:
        for number, clip in enumerate(speech.get(split, [])):
            prefix = f"{split}/" if clip.name in shared else ""
            for copy, snr_db in enumerate(_snrs(split, number, clip, config, seed)):
                entry = _mixture_entry(clip, noise.get(split) or noise["train"], split, copy, snr_db, seed)
                yield dataclasses.replace(entry, id=prefix + entry.id)


def _shared_names(parts: dict[Split, list[Clip]]) -> set[str]:
    """Return the names of clips in more than one split, as of very few recordings, whose ids name the split."""
    counts = Counter(clip.name for clips in parts.values() for clip in clips)
    return {name for name, count in counts.items() if count > 1}


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
        id=f"{clip.name}/{copy}",
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
    """Return the key of the draws of an utterance: its group, and its path below the folder of that name."""
    *folders, name = clip.name.split("/")
    below = folders[folders.index(clip.group) + 1 :] if clip.group in folders else []
    return "/".join([clip.group, *below, name])


def pair_entries(noisy: Path, clean: Path, report: ScanReport, seed: int, level: int = 1) -> Iterator[MixtureEntry]:
    """Yield an entry for each noisy file with a clean file at the same relative path."""
    noisy, clean = absolute(noisy), absolute(clean)
    parts = split_clips(noisy, report, seed, level)
    shared = _shared_names(parts)
    for split, clips in parts.items():
        for clip in clips:
            partner = clean / clip.path.relative_to(noisy)
            if not partner.is_file():
                report.left_out.append(f"{clip.path}: no clean file {partner}")
                continue
            yield MixtureEntry(
                id=f"{split}/{clip.name}" if clip.name in shared else clip.name,
                split=split,
                speech=str(partner),
                noisy=str(clip.path),
                speaker=clip.group,
                seconds=round(clip.seconds, 3),
            )
