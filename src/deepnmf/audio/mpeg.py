"""The frames of MP3 files, counted.

For an MP3 without an information frame libsndfile estimates the length from the file size; otherwise it trusts the
count of the information frame. It prints warnings on stderr. Counting the frames gives the true length, and passing
libsndfile the frames alone avoids most warnings.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

from .inputs import ByteStream

SEARCH_BYTES = 1 << 18
"""Most junk skipped before the first frame or between frames."""
DECODER_DELAY = 529
_RATES_HZ = (44100, 48000, 32000)
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class MpegAudio:
    """Location of the audio frames of an MP3 (or MP1, MP2).

    Attributes
    ----------
    start, stop : int
        Positions of the first audio frame and of the end of the last complete one.
    first, frames : int
        Samples of encoder delay, and samples of audio.
    promised : int
        Samples of audio by the information frame; 0 without one.
    partial : bool
        Whether the file ends within a frame.
    """

    start: int
    stop: int
    first: int
    frames: int
    promised: int
    partial: bool


@dataclass(frozen=True)
class _Frame:
    size: int
    samples: int
    kind: tuple[int, int, bool]
    side_bytes: int


def find_mpeg_audio(stream: ByteStream) -> MpegAudio | None:
    """Return the location of the audio frames if the file consists of MPEG audio, else None."""
    try:
        with mmap.mmap(stream.file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _scan(data, _after_tags(data, stream.tell()))
    except (OSError, ValueError):  # not a regular file, if it cannot be mapped
        return None


def _scan(data: mmap.mmap, at: int) -> MpegAudio | None:
    start = _next_frame(data, at)
    if start is None:
        return None
    head = _parse(data[start : start + 4])
    assert head is not None
    promised, delay, padding = _information(data[start : start + head.size], head)
    if promised is not None:
        start += head.size
    count, stop, covered = _walk(data, start)
    if 2 * covered <= len(data) - start:  # random data contains spurious frames
        return None
    first = delay + DECODER_DELAY if delay else 0
    last = max(0, padding - DECODER_DELAY) if delay else 0  # the encoder's padding at the end
    whole = max(0, (promised or 0) * head.samples - first - last)
    frames = count * head.samples - first - (last if count == promised else 0)
    partial = _parse(data[stop : stop + 4]) is not None
    return MpegAudio(start, stop, first, max(0, frames), whole, partial)


def _walk(data: mmap.mmap, at: int) -> tuple[int, int, int]:
    """Return the number of complete frames from `at`, the end of the last one, and their size in bytes."""
    count, stop, covered = 0, at, 0
    while True:
        frame = _parse(data[at : at + 4])
        if frame is None:
            found = _next_frame(data, at)
            if found is None:
                return count, stop, covered
            at = found
        elif at + frame.size > len(data):
            return count, stop, covered
        else:
            count, covered = count + 1, covered + frame.size
            at = stop = at + frame.size


def _next_frame(data: mmap.mmap, at: int) -> int | None:
    """Return the position of the first frame from `at` followed by others of its kind; tags are skipped."""
    at = _after_tags(data, at)
    end = min(len(data), at + SEARCH_BYTES)
    while (at := data.find(b"\xff", at, end)) >= 0:
        if _begins_frames(data, at):
            return at
        at += 1
    return None


def _begins_frames(data: mmap.mmap, at: int) -> bool:
    kind = None
    for _ in range(3):
        frame = _parse(data[at : at + 4])
        if frame is None or (kind is not None and frame.kind != kind):
            return kind is not None and at == len(data)  # a short file may hold fewer
        kind, at = frame.kind, at + frame.size
    return True


def _parse(head: bytes) -> _Frame | None:
    """Parse the four bytes of a frame header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = {3: 1, 2: 2, 0: 2.5}.get(head[1] >> 3 & 3), 4 - (head[1] >> 1 & 3)
    bitrate, rate, padded = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version is None or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    rate_hz = int(_RATES_HZ[rate] / {1: 1, 2: 2, 2.5: 4}[version])
    bits = 1000 * _KBPS[min(2, int(version)), min(layer, 2) if version > 1 else layer][bitrate - 1]
    if layer == 1:
        size, samples = (12 * bits // rate_hz + padded) * 4, 384
    else:
        samples = 576 if layer == 3 and version > 1 else 1152
        size = samples // 8 * bits // rate_hz + padded
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if version == 1 else (9 if mono else 17)
    return _Frame(size, samples, (head[1] & 0xFE, rate, mono), side)


def _information(frame: bytes, head: _Frame) -> tuple[int | None, int, int]:
    """Return the count of frames, and the encoder's delay and padding in samples, of an information frame."""
    at = 4 + head.side_bytes
    if frame[at : at + 4] in (b"Xing", b"Info"):
        counted = frame[at + 7] & 1
        lame = frame[at + 120 : at + 124] in (b"LAME", b"Lavf", b"Lavc")
        delays = int.from_bytes(frame[at + 141 : at + 144], "big") if lame else 0
        return int.from_bytes(frame[at + 8 : at + 12], "big") if counted else 0, delays >> 12, delays & 0xFFF
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54], "big"), 0, 0
    return None, 0, 0


def _after_tags(data: mmap.mmap, at: int) -> int:
    """Return the position after the ID3v2 tags at `at`."""
    while (behind := after_id3(data[at : at + 10], at)) > at:
        at = behind
    return at


def after_id3(head: bytes, at: int) -> int:
    """Return the position after the ID3v2 tag at `at` that begins with `head`, or `at` without one."""
    if head[:3] != b"ID3" or len(head) < 10:
        return at
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return at + 10 + size + (10 if head[5] & 0x10 else 0)
