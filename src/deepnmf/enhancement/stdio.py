"""Enhancement from stdin, to stdout, or both."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from ..audio.formats import AudioFormat, AudioSource, is_video
from ..audio.pipes import PipeWriter, pipe_encoding, stdout_stream
from ..audio.reader import AudioReader
from ..audio.samples import RAW_FORMATS
from ..errors import DeepnmfError
from ..model import Model
from .files import (
    FileOptions,
    Written,
    clipping_warnings,
    enhance_into_file,
    open_enhancer,
    open_writer,
    refuse_overwriting,
)
from .stream import Progress, enhance_stream
from .warm_up import warmed_up


class RawFormat(NamedTuple):
    """Samples without a header: a name such as ``"s16le"``, the sampling rate and the number of channels."""

    name: str
    rate_hz: int
    channels: int

    def encoding(self) -> AudioFormat:
        """Return it as an encoding."""
        if self.name not in RAW_FORMATS:
            raise DeepnmfError(f"raw format {self.name!r} is unknown; supported: {', '.join(RAW_FORMATS)}")
        samples = RAW_FORMATS[self.name]
        endian = "BIG" if samples.big_endian else "FILE"
        return AudioFormat(self.rate_hz, self.channels, None, "RAW", samples.subtype, endian)


def enhance_pipe(
    source: str,
    target: str,
    model: Model,
    options: FileOptions,
    raw: RawFormat | None = None,
    progress: Progress | None = None,
    written: Written | None = None,
) -> list[str]:
    """Enhance stdin or a file into stdout or a file, block by block as samples arrive.

    Parameters
    ----------
    source, target : str
        A path, or ``"-"`` for stdin and stdout.
    model : Model
        Estimates the masks.
    options : FileOptions
        As for a file.
    raw : RawFormat, optional
        Format of stdin, and of stdout if stdin is read; WAV by default.
    progress, written : callable, optional
        As for :func:`~deepnmf.enhancement.files.enhance_file`, where the target is a file.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    DeepnmfError
        If stdin cannot be decoded.
    OutputClosed
        If the reader of stdout has closed the pipe.
    """
    with contextlib.ExitStack() as stack:
        if source != "-":
            outputs = (options.noise, options.mask, options.picture)
            refuse_overwriting(Path(source), *outputs, None if target == "-" else Path(target))
        is_stream = source == "-"
        encoding = raw.encoding() if raw and is_stream else None
        reader = stack.enter_context(AudioReader(source, encoding, options.salvage, options.track, is_video(target)))
        if target == "-":
            return _into_stdout(reader, model, options, raw is not None and is_stream, is_stream)
        return enhance_into_file(reader, Path(target), model, options, progress, written, is_stream)


def _into_stdout(source: AudioSource, model: Model, options: FileOptions, raw: bool, is_stream: bool) -> list[str]:
    with contextlib.ExitStack() as stack:
        enhancer = open_enhancer(stack, source, model, options)
        noise = None
        if options.noise is not None:
            noise = open_writer(stack, options.noise, source, options.subtype)
        writer = PipeWriter(stdout_stream(), pipe_encoding(source.encoding, options.subtype, raw), raw)
        blocks = source.blocks() if is_stream else warmed_up(enhancer, source.blocks())
        enhance_stream(blocks, enhancer, writer, noise)
    warnings = [*source.notes, *clipping_warnings("stdout", writer)]
    return warnings if options.noise is None or noise is None else warnings + clipping_warnings(options.noise, noise)
