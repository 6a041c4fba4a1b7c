"""Samples as bytes: linear PCM, floats and the two laws of telephony, decoded and encoded with NumPy.

libsndfile does this for files. Streams with a latency of 25 ms cannot wait for its full buffers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
UNBOUNDED = ("FLOAT", "DOUBLE")
"""Subtypes that hold samples above full scale."""
BYTES = {"PCM_U8": 1, "PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}


@dataclass(frozen=True)
class SampleFormat:
    """How one sample is stored.

    Attributes
    ----------
    subtype : str
        In libsndfile's names, such as ``"PCM_16"``; a key of :data:`BYTES`.
    big_endian : bool
        Order of its bytes.
    shift : int
        Left shift of the samples in bits: 8 for 24 bits in the low bytes of 32.
    """

    subtype: str
    big_endian: bool = False
    shift: int = 0

    @property
    def size(self) -> int:
        """Bytes of a sample."""
        return BYTES[self.subtype]


RAW_FORMATS = {
    "u8": SampleFormat("PCM_U8"),
    "s8": SampleFormat("PCM_S8"),
    "mulaw": SampleFormat("ULAW"),
    "alaw": SampleFormat("ALAW"),
    **{
        f"{name}{order}": SampleFormat(subtype, order == "be")
        for name, subtype in {
            "s16": "PCM_16",
            "s24": "PCM_24",
            "s32": "PCM_32",
            "f32": "FLOAT",
            "f64": "DOUBLE",
        }.items()
        for order in ("le", "be")
    },
}
"""Headerless sample formats, by ffmpeg's names."""


def encoded(block: np.ndarray, subtype: str) -> np.ndarray:
    """Return samples in the dtype to pass to libsndfile for `subtype`: int32 for PCM, else floats.

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


def unpacked(data: bytes, layout: SampleFormat, channels: int) -> np.ndarray:
    """Return interleaved samples as ``(channels, n)``, float32."""
    raw = np.frombuffer(data, np.uint8).reshape(-1, layout.size)
    if layout.big_endian:
        raw = np.ascontiguousarray(raw[:, ::-1])
    values = _values(raw, layout.subtype)
    if layout.shift:
        values *= np.float32(2**layout.shift)
    return np.ascontiguousarray(values.reshape(-1, channels).T)


def _values(raw: np.ndarray, subtype: str) -> np.ndarray:
    """Return little-endian samples ``(n, bytes)`` as float32, ``(n,)``."""
    if subtype in UNBOUNDED:
        with np.errstate(over="ignore", invalid="ignore"):  # the reader rejects infinite samples later
            return raw.reshape(-1).view("<f4" if subtype == "FLOAT" else "<f8").astype(np.float32)
    if subtype in ("ULAW", "ALAW"):
        return np.asarray(law_values(subtype)[raw[:, 0]])
    if subtype == "PCM_U8":
        raw = raw ^ 0x80
    bits = 8 * raw.shape[1]
    if bits == 24:  # NumPy has no 24-bit integers: use the high bytes of 32
        raw, bits = np.pad(raw, ((0, 0), (1, 0))), 32
    return raw.reshape(-1).view(f"<i{bits // 8}").astype(np.float32) * np.float32(2.0 ** (1 - bits))


def packed(block: np.ndarray, layout: SampleFormat) -> bytes:
    r"""Return ``(channels, n)`` as interleaved samples.

    Examples
    --------
    >>> packed(np.array([[0.5], [-1.0]]), SampleFormat("PCM_16"))
    b'\x00@\x00\x80'
    """
    values = np.ascontiguousarray(encoded(block, layout.subtype).T).reshape(-1)
    raw: np.ndarray
    if layout.subtype in UNBOUNDED:
        raw = values.astype("<f4" if layout.subtype == "FLOAT" else "<f8").view(np.uint8).reshape(-1, layout.size)
    elif layout.subtype in ("ULAW", "ALAW"):
        raw = _nearest(values, law_values(layout.subtype))[:, None]
    else:
        raw = values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 4 - layout.size :]
    if layout.subtype == "PCM_U8":
        raw = raw ^ 0x80
    return (raw[:, ::-1] if layout.big_endian else raw).tobytes()


def law_values(subtype: str) -> np.ndarray:
    """Return the 256 values of ITU-T G.711's mu-law (``"ULAW"``) or A-law (``"ALAW"``), float32, full scale 1.

    Examples
    --------
    >>> (law_values("ULAW")[[0x00, 0x80, 0xFF]] * 32768).tolist()
    [-32124.0, 32124.0, 0.0]
    """
    code = np.arange(256)
    code = (~code & 0xFF) if subtype == "ULAW" else code ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    if subtype == "ULAW":
        size = ((2 * mantissa + 33) << (exponent + 2)) - 132
        sign = np.where(code & 0x80, -1, 1)
    else:
        size = np.where(exponent, (2 * mantissa + 33) << (exponent + 2), (2 * mantissa + 1) << 3)
        sign = np.where(code & 0x80, 1, -1)
    return (sign * size / 32768).astype(np.float32)


def _nearest(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the index of the nearest entry of `table` for each value, uint8."""
    order = np.argsort(table, kind="stable")
    between = (table[order][1:] + table[order][:-1]) / 2
    return order[np.searchsorted(between, values)].astype(np.uint8)
