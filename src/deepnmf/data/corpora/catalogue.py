"""The corpora that `deepnmf prepare --corpus` knows, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ...errors import DeepnmfError
from ..folders import Clip, mix_rows, split_clips
from ..manifest import Row, Split
from . import NAMES, chime2, demand, librispeech, ms_snsd, musan, voicebank_demand, wham
from .download import download
from .layout import Request, Source

Clips = Callable[[Path, Request], dict[Split, list[Clip]]]


def _mixed(speech: Clips, noise: Clips) -> Callable[[Sequence[Path], Request], Iterable[Row]]:
    """Return the rows of a corpus of speech, the first root, mixed with a corpus of noise, the last."""

    def rows(roots: Sequence[Path], request: Request) -> Iterable[Row]:
        parts = speech(roots[0], request), noise(roots[-1], request)
        return mix_rows(*parts, request.config, request.seed)

    return rows


def _recorded(pairs: Callable[[Path, Request], Iterable[Row]]) -> Callable[[Sequence[Path], Request], Iterable[Row]]:
    return lambda roots, request: pairs(roots[0], request)


def _folders(roots: Sequence[Path], request: Request) -> Iterable[Row]:
    speech, noise = roots if len(roots) == 2 else (Path(roots[0], "speech"), Path(roots[0], "noise"))
    parts = [split_clips(folder, request.survey.left_out, request.seed) for folder in (speech, noise)]
    return mix_rows(parts[0], parts[1], request.config, request.seed)


CORPORA = {
    "folders": Source(
        licence="yours",
        splits="folders named train, dev and test, or a tenth of speakers and noise types to dev and test, by seed",
        roots=("speech", "noise"),
        rows=_folders,
    ),
    "chime2": Source(chime2.LICENCE, chime2.SPLITTING, ("CHiME-2 WSJ0",), _recorded(chime2.rows)),
    "voicebank_demand": Source(
        voicebank_demand.LICENCE,
        voicebank_demand.SPLITTING,
        ("VoiceBank-DEMAND",),
        _recorded(voicebank_demand.rows),
        (voicebank_demand.ARCHIVES,),
    ),
    "ms_snsd": Source(
        ms_snsd.LICENCE, ms_snsd.SPLITTING, ("MS-SNSD",), _mixed(ms_snsd.speech, ms_snsd.noise), (ms_snsd.ARCHIVES,)
    ),
    "librispeech_musan": Source(
        f"speech {librispeech.LICENCE}; {musan.LICENCE}",
        f"{librispeech.SPLITTING}; {musan.SPLITTING}",
        ("LibriSpeech", "MUSAN"),
        _mixed(librispeech.speech, musan.noise),
        (librispeech.ARCHIVES, musan.ARCHIVES),
    ),
    "librispeech_demand": Source(
        f"speech {librispeech.LICENCE}; noise {demand.LICENCE}",
        f"{librispeech.SPLITTING}; {demand.SPLITTING}",
        ("LibriSpeech", "DEMAND"),
        _mixed(librispeech.speech, demand.noise),
        (librispeech.ARCHIVES, demand.ARCHIVES),
    ),
    "wham": Source(wham.LICENCE, wham.SPLITTING, ("WHAM!",), _recorded(wham.rows)),
}


def find(name: str, roots: Sequence[Path]) -> Source:
    """Return the corpus `name`, having checked the number of its folders.

    A corpus of two folders may have both in one.

    Raises
    ------
    DeepnmfError
        If there is no such corpus, or it has another number of folders.
    """
    if name not in CORPORA:
        raise DeepnmfError(f"{name}: no such corpus; known are {', '.join(NAMES)}")
    source = CORPORA[name]
    if len(roots) not in (1, len(source.roots)):
        raise DeepnmfError(f"{name}: give --root once for each of: {', '.join(source.roots)}")
    return source


def download_corpus(name: str, roots: Sequence[Path]) -> None:
    """Fetch a free corpus into `roots`.

    Raises
    ------
    DeepnmfError
        If it is not free, or something cannot be fetched.
    """
    source = find(name, roots)
    if not source.archives:
        raise DeepnmfError(f"{name}: cannot be downloaded ({source.licence}); recipes/ says how to get it")
    for archives, root in zip(source.archives, [roots[0], roots[-1]], strict=False):
        download(archives, root)
