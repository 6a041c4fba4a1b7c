"""VoiceBank-DEMAND (Valentini-Botinhao 2017): recorded pairs, 48 kHz or a copy at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import DeepnmfError
from ..manifest import MixtureEntry, Split
from ..scan import Clip
from .download import Archive
from .layout import PrepareOptions, locate, pair_entry, pairs

LICENCE = "CC-BY-4.0"
SPLITTING = "test as published; dev is the training speakers p226 and p287, or those chosen"
DEV_SPEAKERS = ("p226", "p287")
PUBLISHED = {"trainset_28spk": 11572, "trainset_56spk": 23075, "testset": 824}

_DATASHARE = "https://datashare.ed.ac.uk/bitstream/handle/10283/2791"
ARCHIVES = (
    Archive(f"{_DATASHARE}/logfiles.zip", "md5:0d16f5b6afe12d64238d1e4a0e6ff6e8", 115_932),
    Archive(f"{_DATASHARE}/clean_testset_wav.zip", "md5:34eb1c0ba7ef667e9b966866c542fc16"),
    Archive(f"{_DATASHARE}/noisy_testset_wav.zip", "md5:fb1b86caa31e8ba5b506c0c64da9aab5"),
    Archive(f"{_DATASHARE}/clean_trainset_28spk_wav.zip", "md5:d2d5a45ec32f8fcbf201bde0447e20ba"),
    Archive(f"{_DATASHARE}/noisy_trainset_28spk_wav.zip", "md5:1fca9e8bafb8cd069f6653c6d92f9e9c"),
)


def rows(root: Path, options: PrepareOptions) -> Iterator[MixtureEntry]:
    """Yield the pairs of the training set (28 speakers if it is there, else 56) and of the test set."""
    root = locate(root, "noisy_*set*_wav*", "VoiceBank-DEMAND", "noisy-vctk-16k")
    held_out = options.dev_speakers or DEV_SPEAKERS
    training = "trainset_28spk" if any(root.glob("noisy_trainset_28spk_wav*")) else "trainset_56spk"
    seen = set()
    for part in (training, "testset"):
        conditions = _conditions(root, part, options)
        found = 0
        for clip, clean, name in _pairs(root, part, options):
            split: Split = "test" if part == "testset" else "dev" if clip.group in held_out else "train"
            noise_type, snr_db = conditions.get(clip.path.stem, ("", None))
            seen.add(clip.group)
            found += 1
            yield pair_entry(split, clip, clean, name, snr_db=snr_db, noise_type=noise_type)
        options.report.count(part, found, PUBLISHED[part])
    if missing := sorted(set(held_out) - seen):
        raise DeepnmfError(f"{root}: no recordings of {', '.join(missing)}; choose other dev speakers")


def _pairs(root: Path, part: str, options: PrepareOptions) -> Iterator[tuple[Clip, Path, str]]:
    noisy = min(
        root.glob(f"noisy_{part}_wav*"), default=root / f"noisy_{part}_wav"
    )  # resampled copies: "_16k" after it
    clean = noisy.with_name(noisy.name.replace("noisy_", "clean_", 1))
    return pairs(noisy, clean, options.report, lambda path: path.stem.partition("_")[0])


def _conditions(root: Path, part: str, options: PrepareOptions) -> dict[str, tuple[str, float | None]]:
    """Read the log of a part, lines of utterance, noise type and SNR in dB; copies of the corpus often lack it."""
    for log in (root / f"log_{part}.txt", root / "logfiles" / f"log_{part}.txt"):
        if log.is_file():
            try:
                lines = (line.split() for line in log.read_text(encoding="utf-8").splitlines())
                return {words[0]: (words[1], float(words[2])) for words in lines if len(words) == 3}
            except (OSError, ValueError) as error:
                raise DeepnmfError(f"{log}: cannot read the conditions ({error}); fetch it again") from None
    options.report.notes.append(f"no log_{part}.txt (in logfiles.zip): SNR and noise type stay unknown")
    return {}
