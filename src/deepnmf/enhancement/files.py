"""Enhancement of one audio file into another, in bounded memory; outputs are written atomically."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ..artifacts import atomic_path
from ..artifacts.paths import resolved
from ..audio.formats import AudioSource, is_m4a, is_video
from ..audio.reader import AudioReader
from ..audio.writer import AudioWriter
from ..errors import DeepnmfError
from ..model import Model
from .encodings import FileWriter, codec_notes, is_ogg_flac, output_encoding, resampled
from .enhancer import Enhancer, Observer
from .masks import mask_file
from .plot import Picture
from .stream import Progress, enhance_stream
from .warm_up import warmed_up

if TYPE_CHECKING:
    from ..audio.container import ContainerWriter

Written = Callable[[Path, Path], None]
"""Called with the temporary and the final name of a finished file."""


class ClipCounter(Protocol):
    """A writer that counts clipped samples."""

    @property
    def clipped(self) -> int:
        """Samples clipped."""

    @property
    def peak(self) -> float:
        """Largest sample."""


class FileOptions(NamedTuple):
    """Options of the enhancement of a file.

    Attributes
    ----------
    max_attenuation_db : float or None
        Maximum attenuation.
    independent : bool
        Whether each channel has its own mask.
    subtype : str or None
        libsndfile subtype of the output, such as ``"PCM_24"``; that of the input by default.
    noise, mask, picture : Path, str or None
        Where to write the removed signal (audio), the gains (``.npy``), and the plot (``.png``).
    salvage : bool
        Whether to use the readable part of a truncated recording.
    track : int
        Number of the audio track to enhance, from 1.
    """

    max_attenuation_db: float | None = None
    independent: bool = False
    subtype: str | None = None
    noise: Path | None = None
    mask: Path | None = None
    picture: Path | None = None
    salvage: bool = False
    track: int = 1


def enhance_file(
    source: Path | str,
    target: Path | str,
    model: Model,
    options: FileOptions | None = None,
    progress: Progress | None = None,
    written: Written | None = None,
) -> list[str]:
    """Enhance `source` into `target`, keeping rate, channels, length and, where the format allows, codec and tags.

    Level and states are warmed up over the first seconds, as in :func:`deepnmf.enhance`.

    Parameters
    ----------
    source, target : Path or str
        Audio files or videos; the suffix of `target` gives its format. A video is a copy of `source` but for the sound.
    model : Model
        Estimates the masks.
    options : FileOptions, optional
        Options.
    progress : callable, optional
        Called after each block with its length in seconds; may raise to abort, which leaves no output behind.
    written : callable, optional
        Called with the temporary and the final name of each finished audio file before it is renamed.

    Returns
    -------
    list of str
        Warnings, one line each.

    Raises
    ------
    DeepnmfError
        If the input is damaged, an output cannot be written, or an output is the input.
    """
    source, target, options = Path(source), Path(target), _with_paths(options or FileOptions())
    refuse_overwriting(source, target, options.noise, options.mask, options.picture)
    with AudioReader(source, None, options.salvage, options.track, in_time=is_video(target)) as reader:
        return enhance_into_file(reader, target, model, options, progress, written)


def _with_paths(options: FileOptions) -> FileOptions:
    """Return options whose files are paths, if some were given as texts."""
    noise, mask, picture = (
        Path(file) if file is not None else None for file in (options.noise, options.mask, options.picture)
    )
    return options._replace(noise=noise, mask=mask, picture=picture)


def enhance_into_file(
    source: AudioSource,
    target: Path,
    model: Model,
    options: FileOptions,
    progress: Progress | None = None,
    written: Written | None = None,
    is_stream: bool = False,
) -> list[str]:
    """Enhance an open source of blocks into `target`; see :func:`enhance_file`. There is no warm-up on a stream."""
    with contextlib.ExitStack() as stack:
        enhancer = open_enhancer(stack, source, model, options)
        writers = {
            path: open_writer(stack, path, source, options.subtype, written)
            for path in (target, options.noise)
            if path is not None
        }
        noise = writers[options.noise] if options.noise is not None else None
        blocks = source.blocks() if is_stream else warmed_up(enhancer, source.blocks())
        enhance_stream(blocks, enhancer, writers[target], noise, progress)
    notes = [output_notes(path, writer, source, options.subtype) for path, writer in writers.items()]
    return [*source.notes, *(line for lines in notes for line in lines)]


def open_enhancer(stack: contextlib.ExitStack, source: AudioSource, model: Model, options: FileOptions) -> Enhancer:
    """Return an enhancer for a stream; its mask file and plot are finished with `stack`."""
    encoding, observers = source.encoding, list[Observer]()
    if options.mask is not None:
        observers.append(stack.enter_context(mask_file(options.mask)))
    if options.picture is not None:
        hop_seconds = model.features.stft.hop_ms / 1000
        picture = Picture(options.picture, encoding.rate_hz, hop_seconds, Path(source.path).name)
        observers.append(stack.enter_context(picture).push)

    def observe(spectrum: np.ndarray, gains: np.ndarray, enhanced: np.ndarray) -> None:
        for observer in observers:
            observer(spectrum, gains, enhanced)

    return Enhancer(
        model,
        encoding.rate_hz,
        encoding.channels,
        max_attenuation_db=options.max_attenuation_db,
        independent=options.independent,
        observer=observe if observers else None,
    )


def open_writer(
    stack: contextlib.ExitStack,
    path: Path,
    source: AudioSource,
    subtype: str | None,
    written: Written | None = None,
) -> FileWriter:
    """Return a writer whose file is renamed into place when `stack` exits without an error."""
    like, in_container = source.encoding, is_video(path) or is_m4a(path)
    if in_container and subtype is not None:
        raise DeepnmfError(f"{path}: {path.suffix} has no sample format such as {subtype}; leave it out")
    in_container |= subtype is None and is_ogg_flac(path, like) and source.container is not None
    encoding = None if in_container else output_encoding(path, like, subtype)
    temporary = stack.enter_context(atomic_path(path))
    stack.enter_context(_then(written, temporary, path))
    writer: AudioWriter | ContainerWriter
    if encoding is not None:
        writer = AudioWriter(temporary, encoding, source.tags, shown=path)
    else:
        writer = _container_writer(temporary, path, source)
    stack.enter_context(writer)
    return stack.enter_context(resampled(writer, like.rate_hz))


def _container_writer(temporary: Path, path: Path, source: AudioSource) -> ContainerWriter:
    """Return a writer of FFmpeg's."""
    if is_video(path):
        from ..audio.video import VideoWriter

        return VideoWriter(temporary, source.encoding, source.container, shown=path)
    if is_ogg_flac(path, source.encoding) and source.container is not None:
        from ..audio.ogg_flac import OggFlacWriter

        return OggFlacWriter(temporary, source.encoding, source.container, shown=path)
    from ..audio.m4a import M4aWriter

    return M4aWriter(temporary, source.encoding, source.tags, source.container, shown=path)


@contextlib.contextmanager
def _then(written: Written | None, temporary: Path, path: Path) -> Iterator[None]:
    yield
    if written is not None:
        written(temporary, path)


def output_notes(path: Path, writer: FileWriter, source: AudioSource, subtype: str | None = None) -> list[str]:
    """Return the warnings on an output: another codec (unless `subtype` asks for one), resampling, losses, clipping."""
    like, written = source.encoding, writer.encoding
    lines = [] if subtype is not None else codec_notes(path, written, like, Path(source.path))
    if written.rate_hz != like.rate_hz:
        why = "as its format does not support the input's rate"
        lines.append(f"{path}: resampled from {like.rate_hz} to {written.rate_hz} Hz, {why}")
    return [*lines, *writer.notes, *clipping_warnings(path, writer)]


def clipping_warnings(path: Path | str, writer: ClipCounter) -> list[str]:
    """Return the warning on clipped samples, if any."""
    if not writer.clipped:
        return []
    peak_db = 20 * np.log10(writer.peak)
    return [
        f"{path}: {writer.clipped} samples above full scale were clipped, the highest at {peak_db:+.1f} dB; "
        "a WAV with subtype FLOAT keeps them"
    ]


def refuse_overwriting(source: Path, *outputs: Path | None) -> None:
    """Raise if an output is the input, or two outputs are one file."""
    given = [path for path in outputs if path is not None]
    for path in given:
        if _same_file(path, source):
            raise DeepnmfError(f"{path}: the output is the input; choose another name")
    if len({resolved(path) for path in given}) < len(given):
        raise DeepnmfError(f"{given[0]}: named for two outputs; choose another name")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return False
