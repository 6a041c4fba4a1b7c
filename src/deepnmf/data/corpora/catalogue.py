"""The corpora supported by `deepnmf prepare --corpus`, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ...errors import DeepnmfError
from .. import folders
from ..folders import mixture_entries, split_clips
from ..manifest import MixtureEntry, Split
from ..scan import Clip
from . import NAMES, chime2, demand, librispeech, ms_snsd, musan, voicebank_demand, wham
from .download import download
from .layout import CorpusSpec, PrepareOptions

Clips = Callable[[Path, PrepareOptions], dict[Split, list[Clip]]]


def _mixed(speech: Clips, noise: Clips) -> Callable[[Sequence[Path], PrepareOptions], Iterable[MixtureEntry]]:
    """Return the rows of a corpus of speech, the first root, mixed with a corpus of noise, the last."""

    def rows(roots: Sequence[Path], options: PrepareOptions) -> Iterable[MixtureEntry]:
        parts = speech(roots[0], options), noise(roots[-1], options)
        return mixture_entries(*parts, options.config, options.seed)

    return rows


def _recorded(
    pairs: Callable[[Path, PrepareOptions], Iterable[MixtureEntry]],
) -> Callable[[Sequence[Path], PrepareOptions], Iterable[MixtureEntry]]:
    return lambda roots, options: pairs(roots[0], options)


def _folders(roots: Sequence[Path], options: PrepareOptions) -> Iterable[MixtureEntry]:
    speech, noise = roots if len(roots) == 2 else (Path(roots[0], "speech"), Path(roots[0], "noise"))
    speakers = split_clips(speech, options.report, options.seed, options.config.speaker_level)
    return mixture_entries(speakers, split_clips(noise, options.report, options.seed), options.config, options.seed)


CORPORA = {
    "folders": CorpusSpec(
        licence="yours",
        splits=folders.SPLITTING,
        roots=("speech", "noise"),
        rows=_folders,
    ),
    "chime2": CorpusSpec(chime2.LICENCE, chime2.SPLITTING, ("CHiME-2 WSJ0",), _recorded(chime2.rows)),
    "voicebank_demand": CorpusSpec(
        voicebank_demand.LICENCE,
        voicebank_demand.SPLITTING,
        ("VoiceBank-DEMAND",),
        _recorded(voicebank_demand.rows),
        (voicebank_demand.ARCHIVES,),
    ),
    "ms_snsd": CorpusSpec(
        ms_snsd.LICENCE, ms_snsd.SPLITTING, ("MS-SNSD",), _mixed(ms_snsd.speech, ms_snsd.noise), (ms_snsd.ARCHIVES,)
    ),
    "librispeech_musan": CorpusSpec(
        f"speech {librispeech.LICENCE}; {musan.LICENCE}",
        f"{librispeech.SPLITTING}; {musan.SPLITTING}",
        ("LibriSpeech", "MUSAN"),
        _mixed(librispeech.speech, musan.noise),
        (librispeech.ARCHIVES, musan.ARCHIVES),
    ),
    "librispeech_demand": CorpusSpec(
        f"speech {librispeech.LICENCE}; noise {demand.LICENCE}",
        f"{librispeech.SPLITTING}; {demand.SPLITTING}",
        ("LibriSpeech", "DEMAND"),
        _mixed(librispeech.speech, demand.noise),
        (librispeech.ARCHIVES, demand.ARCHIVES),
    ),
    "wham": CorpusSpec(wham.LICENCE, wham.SPLITTING, ("WHAM!",), _recorded(wham.rows)),
}


def find_corpus(name: str, roots: Sequence[Path]) -> CorpusSpec:
    """Return the corpus `name`, having checked the number of its folders.

    A corpus of two folders may have both in one.

    Raises
    ------
    DeepnmfError
        If there is no such corpus, or it has another number of folders.
    """
    if name not in CORPORA:
        raise DeepnmfError(f"{name}: no such corpus; supported: {', '.join(NAMES)}")
    spec = CORPORA[name]
    if len(roots) not in (1, len(spec.roots)):
        raise DeepnmfError(f"{name}: give one root for each of: {', '.join(spec.roots)}")
    return spec


def download_corpus(name: str, roots: Sequence[Path]) -> None:
    """Fetch a free corpus into `roots`.

    Raises
    ------
    DeepnmfError
        If it is not free, or something cannot be fetched.
    """
    spec = find_corpus(name, roots)
    if not spec.archives:
        raise DeepnmfError(f"{name}: cannot be downloaded ({spec.licence}); recipes/ describes how to get it")
    for archives, root in zip(spec.archives, [roots[0], roots[-1]], strict=False):
        download(archives, root)
