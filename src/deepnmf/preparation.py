"""Stage 1: from folders of audio to a manifest of mixtures."""

from __future__ import annotations

from pathlib import Path

from .artifacts import write_json
from .config import FeatureConfig
from .corpus.folders import mix_rows, pair_rows, split_clips, summary
from .corpus.manifest import write_manifest
from .errors import DeepnmfError

MANIFEST = "manifest.jsonl"


def prepare(
    output: Path,
    speech: Path | None = None,
    noise: Path | None = None,
    noisy: Path | None = None,
    clean: Path | None = None,
    config: FeatureConfig | None = None,
    seed: int = 0,
) -> list[str]:
    """Write ``manifest.jsonl`` and ``corpus.json`` into `output`.

    Parameters
    ----------
    output : Path
        Folder to write to.
    speech, noise : Path, optional
        Folders to mix, searched recursively. Subfolders named train, dev and test are taken as splits; otherwise
        speakers (parent folders of speech) and noise types (parent folders of noise) are dealt out by seed.
    noisy, clean : Path, optional
        Folders of recorded pairs with equal relative paths, instead of `speech` and `noise`.
    config : FeatureConfig, optional
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
    config = config or FeatureConfig()
    bad: list[str] = []
    if speech and noise and not (noisy or clean):
        parts = split_clips(speech, bad, seed), split_clips(noise, bad, seed)
        rows = list(mix_rows(*parts, config, seed))
    elif noisy and clean and not (speech or noise):
        rows = list(pair_rows(noisy, clean, bad, seed))
    else:
        raise DeepnmfError("give --speech and --noise, to mix, or --noisy and --clean, for recorded pairs")
    counts = summary(rows)
    if "train" not in counts:
        raise DeepnmfError("no training mixture is left; " + (bad[0] if bad else "the folders have no train split"))
    write_manifest(Path(output) / MANIFEST, rows)
    write_json(Path(output) / "corpus.json", {"seed": seed, "splits": counts, "left_out": bad})
    return bad
