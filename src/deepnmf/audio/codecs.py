"""Codecs: which one a recording has, which ones are written into which container, and which keep every sample."""

from __future__ import annotations

from .formats import AudioFormat

NAMES = {
    **{"alac": "ALAC", "ac3": "AC-3", "eac3": "E-AC-3", "truehd": "TrueHD", "wavpack": "WavPack", "tta": "True Audio"},
    **{"opus": "Opus", "speex": "Speex", "vorbis": "Vorbis", "wmav1": "WMA", "wmav2": "WMA", "ape": "Monkey's Audio"},
    **{"pcm_alaw": "A-law", "pcm_mulaw": "mu-law"},
}
"""Names for users; those of other codecs are FFmpeg's in capitals."""
ENCODERS = {
    **{name: name for name in ("aac", "ac3", "eac3", "alac", "flac")},
    **{"mp3": "libmp3lame", "opus": "libopus"},
}
"""FFmpeg's encoders, by its names of the codecs."""
PCM_ENCODERS = {
    "PCM_U8": "pcm_u8",
    "PCM_16": "pcm_s16le",
    "PCM_24": "pcm_s24le",
    "PCM_32": "pcm_s32le",
    "FLOAT": "pcm_f32le",
    "DOUBLE": "pcm_f64le",
}
"""FFmpeg's encoders of PCM, by libsndfile's subtypes."""
WRITTEN = {
    ".mp4": ("aac", "flac", "alac", "opus", "mp3", "ac3", "eac3"),
    ".m4v": ("aac", "alac", "ac3"),
    ".mov": ("aac", "alac", "pcm", "mp3", "ac3", "eac3"),
    ".mkv": ("aac", "flac", "alac", "pcm", "opus", "mp3", "ac3", "eac3"),
    ".webm": ("opus",),
    ".m4a": ("aac", "alac"),
}
"""Codecs that are written into each container of FFmpeg, and that players expect there; the usual one first."""
MOST_CHANNELS = {"ac3": 6, "eac3": 6}
"""Of encoders that take fewer than the decoder of the same codec gives."""
BITS = {
    "ALAC_16": 16,
    "ALAC_20": 24,
    "ALAC_24": 24,
    "ALAC_32": 32,
    "PCM_24": 24,
    "PCM_32": 32,
    "FLOAT": 24,
    "DOUBLE": 24,
    "DWVW_24": 24,
}
"""Bits of a sample that a subtype is worth, where they are not 16."""
_LOSSLESS = ("pcm", "flac", "alac", "wavpack", "tta", "truehd", "mlp", "ape", "tak", "wmalossless", "shorten", "mp4als")
_OF_SUBTYPE = {
    **{"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_III": "mp3", "VORBIS": "vorbis", "OPUS": "opus"},
    **{"ULAW": "pcm_mulaw", "ALAW": "pcm_alaw", "FLOAT": "pcm", "DOUBLE": "pcm"},
}


def codec_of(encoding: AudioFormat) -> str:
    """Return FFmpeg's name of the codec, ``"pcm"`` for all linear PCM and floats.

    Examples
    --------
    >>> codec_of(AudioFormat(16000, 1, None, "FLAC", "PCM_16"))
    'flac'
    """
    if encoding.codec:
        return encoding.codec
    if encoding.container == "FLAC":
        return "flac"
    kind = encoding.subtype.partition("_")[0]
    return {"PCM": "pcm", "ALAC": "alac"}.get(kind, _OF_SUBTYPE.get(encoding.subtype, encoding.subtype.lower()))


def codec_title(codec: str) -> str:
    """Return the name of a codec for users.

    Examples
    --------
    >>> [codec_title(codec) for codec in ("flac", "opus", "adpcm_yamaha")]
    ['FLAC', 'Opus', 'ADPCM YAMAHA']
    """
    return NAMES.get(codec, codec.upper().replace("_", " "))


def is_lossless(codec: str) -> bool:
    """Whether a codec keeps every sample."""
    return codec in _LOSSLESS


def written_codec(suffix: str, like: AudioFormat) -> str:
    """Return the codec of an output in a container of FFmpeg: that of `like`, else a lossless one for a lossless one.

    Into .m4a, the name under which people ask for AAC, no other codec goes than that of `like`.

    Examples
    --------
    >>> film = AudioFormat(48000, 2, None, "matroska", "PCM_24", codec="truehd")
    >>> [written_codec(suffix, film) for suffix in (".mkv", ".webm", ".m4a")]
    ['flac', 'opus', 'aac']
    """
    codec, written = codec_of(like), WRITTEN[suffix]
    if codec in written and like.channels <= MOST_CHANNELS.get(codec, like.channels):
        return codec
    if is_lossless(codec) and suffix != ".m4a":
        return next((other for other in written if is_lossless(other)), written[0])
    return written[0]


def written_subtype(codec: str, like: AudioFormat) -> str:
    """Return what an encoder of FFmpeg is given: the sample format of PCM and of lossless codecs, else their name."""
    if codec == "pcm":
        return like.subtype if like.subtype in PCM_ENCODERS else "PCM_16"
    if is_lossless(codec):
        return "PCM_24" if BITS.get(like.subtype, 16) > 16 else "PCM_16"
    return codec.upper()
