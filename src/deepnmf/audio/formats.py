"""Audio files block by block, in bounded memory, with every fault of theirs named."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from ..errors import DeepnmfError

BLOCK_SECONDS = 2.0
CONTAINERS = {".aif": "AIFF", ".opus": "OGG", ".oga": "OGG"}
"""libsndfile's format of suffixes that are not its name."""
SUBTYPES = {".opus": "OPUS"}
"""Subtype of suffixes that are not the default of their format."""
PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
UNBOUNDED = ("FLOAT", "DOUBLE")
"""Subtypes that hold samples above full scale."""
LARGEST_WAV_BYTES = 2**32 - 2**16
PLACEHOLDER_BYTES = 2**31 - 2**16
"""A WAV header that promises at least this much was written by a program that did not know the length."""


@dataclass(frozen=True)
class Encoding:
    """How audio is stored.

    Attributes
    ----------
    rate_hz, channels : int
        Sampling rate and number of channels.
    frames : int or None
        Samples of each channel, if known.
    container, subtype, endian : str
        In libsndfile's names, such as ``"WAV"``, ``"PCM_16"``, ``"FILE"``.
    """

    rate_hz: int
    channels: int
    frames: int | None
    container: str
    subtype: str
    endian: str = "FILE"


class AudioReader:
    """An audio file read in blocks.

    A file that grows while it is read is read up to the length that it had when it was opened.

    Raises
    ------
    DeepnmfError
        If the file is missing, not audio, empty or cut short.
    """

    def __init__(self, path: Path) -> None:
        import soundfile

        self.path = path
        try:
            self._file = soundfile.SoundFile(str(path))
        except (soundfile.SoundFileError, OSError) as error:
            raise unreadable(path, error) from None
        file = self._file
        self.encoding = Encoding(file.samplerate, file.channels, file.frames, file.format, file.subtype, file.endian)
        self.tags: dict[str, str] = file.copy_metadata()
        if not file.frames:
            file.close()
            raise DeepnmfError(f"{path}: no samples in it; leave it out")
        if (promised := _promised_bytes(file.extra_info)) is not None:
            file.close()
            raise DeepnmfError(f"{path}: truncated, its header promises {promised} bytes of audio; fetch it again")

    def blocks(self, seconds: float = BLOCK_SECONDS, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield blocks ``(channels, n)``, float32, of about `seconds`, from sample `start` up to `stop`.

        Raises
        ------
        DeepnmfError
            If the file ends early, cannot be decoded, or holds NaN or infinite samples.
        """
        end = self._file.frames if stop is None else min(stop, self._file.frames)
        step = max(1, int(seconds * self.encoding.rate_hz))
        if start:
            self._file.seek(start)
        for position in range(start, end, step):
            yield self._block(position, min(step, end - position))

    def _block(self, position: int, count: int) -> np.ndarray:
        import soundfile

        try:
            block = self._file.read(count, dtype="float32", always_2d=True).T
        except (soundfile.SoundFileError, OSError) as error:
            raise unreadable(self.path, error) from None
        if block.shape[1] < count:
            found, promised = position + block.shape[1], self._file.frames
            raise DeepnmfError(f"{self.path}: truncated, {found} of {promised} samples can be read; fetch it again")
        if not np.isfinite(block).all():
            at = (position + int(np.argmin(np.isfinite(block).all(axis=0)))) / self.encoding.rate_hz
            raise DeepnmfError(f"{self.path}: holds NaN or infinite samples, the first at {at:.3f} s; repair it first")
        return np.ascontiguousarray(block)

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class AudioWriter:
    """An audio file written in blocks; use it on the temporary name of :func:`deepnmf.artifacts.atomic_path`.

    Samples above full scale are clipped, and counted in `clipped`, unless the subtype holds them. PCM is rounded to
    the nearest step: libsndfile truncates, which would shift every sample of an unchanged recording by half a step.

    Parameters
    ----------
    path : Path
        File to write.
    encoding : Encoding
        How; `frames` is not used.
    tags : dict of str to str, optional
        Title, artist and the like.
    shown : Path, optional
        Name to give in errors.
    """

    def __init__(
        self, path: Path, encoding: Encoding, tags: dict[str, str] | None = None, shown: Path | None = None
    ) -> None:
        import soundfile

        self.encoding = encoding
        self.clipped = 0
        self.peak = 0.0
        self._path, self._shown, self._written = path, shown or path, 0
        with self._faults_named():
            self._file = soundfile.SoundFile(
                str(path),
                "w",
                samplerate=encoding.rate_hz,
                channels=encoding.channels,
                format=encoding.container,
                subtype=encoding.subtype,
                endian=encoding.endian,
            )
        for name, value in (tags or {}).items():
            with contextlib.suppress(soundfile.SoundFileError):  # not every format has every tag
                setattr(self._file, name, value)

    def write(self, block: np.ndarray) -> None:
        """Append ``(channels, n)``."""
        if not block.shape[1]:
            return
        self.peak = max(self.peak, finite_peak(block, self._shown))
        if self.encoding.subtype not in UNBOUNDED:
            self.clipped += int((np.abs(block) > 1).sum())
        frames = self._written + block.shape[1]
        if _too_long(dataclasses.replace(self.encoding, frames=frames)):
            raise DeepnmfError(f"{self._shown}: more than 4 GB do not fit into WAV; choose .w64, .caf or .flac")
        with self._faults_named():
            self._file.write(encoded(block, self.encoding.subtype).T)
        self._written = frames

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._file.close()
            return
        import soundfile

        with self._faults_named():
            self._file.close()
            # libsndfile does not report every failed write, and the last ones happen on closing.
            if soundfile.info(str(self._path)).frames < self._written:
                raise OSError("not all samples arrived; is the disk full?")

    @contextlib.contextmanager
    def _faults_named(self) -> Iterator[None]:
        import soundfile

        try:
            yield
        except AssertionError:  # soundfile's way of saying that fewer samples were written than given
            raise DeepnmfError(f"{self._shown}: cannot write (not all samples arrived; is the disk full?)") from None
        except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
            reason = _reason(error)  # libsndfile's "System error" in writing is mostly a full disk
            reason = "a failed write; is the disk full?" if reason == "System error" else reason
            raise DeepnmfError(f"{self._shown}: cannot write ({reason})") from None


def finite_peak(block: np.ndarray, shown: Path | str) -> float:
    """Return the largest magnitude; raise if a sample is NaN or infinite, which PCM would turn into silence."""
    peak = float(np.abs(block).max())
    if not np.isfinite(peak):
        raise DeepnmfError(f"{shown}: not written, its samples would be NaN or infinite; is the model damaged?")
    return peak


def encoded(block: np.ndarray, subtype: str) -> np.ndarray:
    """Return samples in the dtype that libsndfile should be given for `subtype`: int32 for PCM, else floats.

    Examples
    --------
    >>> (encoded(np.array([0.5, 1.5, -1.0]), "PCM_16") >> 16).tolist()
    [16384, 32767, -32768]
    """
    if subtype in UNBOUNDED:
        return block
    if subtype not in PCM_BITS:
        return np.clip(block, -1, 1)
    steps = 2 ** (PCM_BITS[subtype] - 1)
    whole = np.clip(np.rint(block.astype(np.float64) * steps), -steps, steps - 1)
    return whole.astype(np.int32) << (32 - PCM_BITS[subtype])


def encoding_for(
    path: Path,
    rate_hz: int,
    channels: int,
    frames: int | None,
    *,
    like: Encoding | None = None,
    subtype: str | None = None,
) -> Encoding:
    """Return the encoding of a file to write: by its suffix, and otherwise as close to `like` as that format allows.

    Raises
    ------
    DeepnmfError
        If the suffix names no format, or the format cannot hold the subtype.
    """
    import soundfile

    suffix = Path(path).suffix.lower()
    container = CONTAINERS.get(suffix, suffix[1:].upper())
    if container not in soundfile.available_formats():
        raise DeepnmfError(f"{path}: unknown audio format {suffix!r}; use .wav, .flac, .ogg or .mp3")
    endian = "FILE"
    if like is not None and container == {"WAVEX": "WAV", "RF64": "WAV"}.get(like.container, like.container):
        container, endian = like.container, like.endian
    if subtype is not None:
        if not soundfile.check_format(container, subtype):
            known = ", ".join(soundfile.available_subtypes(container))
            raise DeepnmfError(f"{path}: {container} cannot hold subtype {subtype!r}; it can hold {known}")
    else:
        subtype = _closest_subtype(container, suffix, like)
    encoding = Encoding(rate_hz, channels, frames, container, subtype, endian)
    return dataclasses.replace(encoding, container="RF64") if _too_long(encoding) else encoding


def _closest_subtype(container: str, suffix: str, like: Encoding | None) -> str:
    import soundfile

    default = SUBTYPES.get(suffix) or soundfile.default_subtype(container)
    if like is None or default == "OPUS":
        return str(default)
    finer = ("PCM_24",) if like.subtype in (*UNBOUNDED, "PCM_32") else ()
    return next(str(s) for s in (like.subtype, *finer, default) if soundfile.check_format(container, s))


def _too_long(encoding: Encoding) -> bool:
    """Whether WAV's 32-bit lengths cannot hold it."""
    sample = {"DOUBLE": 8, "FLOAT": 4}.get(encoding.subtype, PCM_BITS.get(encoding.subtype, 16) // 8)
    return (
        encoding.container in ("WAV", "WAVEX")
        and (encoding.frames or 0) * encoding.channels * sample > LARGEST_WAV_BYTES
    )


def _promised_bytes(parse_log: str) -> int | None:
    """Return the length of the audio that a truncated file's header gives, from libsndfile's log, else None."""
    match = re.search(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", parse_log, re.MULTILINE)
    if match and int(match[2]) < int(match[1]) < PLACEHOLDER_BYTES:
        return int(match[1])
    return None


def unreadable(path: Path, error: Exception) -> DeepnmfError:
    """Return the error to raise for a file that cannot be read as audio."""
    if not Path(path).exists():
        return DeepnmfError(f"{path}: no such file")
    if Path(path).is_dir():
        return DeepnmfError(f"{path}: a folder, not an audio file")
    reason = _reason(error)
    try:
        if Path(path).is_file():  # to open a named pipe would wait for its writer
            with Path(path).open("rb") as file:
                reason = reason if file.read(1) else "the file is empty"
    except OSError as refusal:  # libsndfile says no more than "System error"
        return DeepnmfError(f"{path}: cannot read ({refusal.strerror})")
    return DeepnmfError(
        f"{path}: not readable as audio ({reason}); for other formats: "
        f"ffmpeg -i FILE -f wav - | deepnmf enhance - -o OUT.wav"
    )


def _reason(error: Any) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
    return str(text).strip().rstrip(".")


class Source(Protocol):
    """Audio that comes in blocks: :class:`deepnmf.audio.formats.AudioReader` is one."""

    encoding: Encoding
    tags: dict[str, str]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield blocks ``(channels, n)``, float32."""


class Sink(Protocol):
    """Anything that takes blocks ``(channels, n)``: :class:`deepnmf.audio.formats.AudioWriter` is one."""

    def write(self, block: np.ndarray) -> None:
        """Append a block."""
