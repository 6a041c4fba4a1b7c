"""A recording cannot make the decoder read another file, decode without end, or hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepnmf.audio import ffmpeg as decoder
from deepnmf.audio.files import read
from deepnmf.errors import DeepnmfError
from helpers.odd_audio import ODD_WAV, ffmpeg

pytest.importorskip("av")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Another recording on the disk."""
    (tmp_path / "secret.wav").write_bytes(ODD_WAV["plain"]())
    return tmp_path / "secret.wav"


@pytest.mark.parametrize("name", ["memo.m4a", "memo.webm", "memo.m3u8", "memo.mkv", "memo.wav"])
@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile '{0}'\n",
        "ffconcat version 1.0\nfile {0.name}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{0}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0.name}\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        'mimeType="audio/wav"><Representation id="1"><BaseURL>file://{0}</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "[playlist]\nFile1={0}\n",
        "{0}\n",
    ],
)
def test_a_playlist_is_no_recording(name: str, text: str, secret: Path) -> None:
    path = secret.with_name(name)
    path.write_text(text.format(secret))
    with pytest.raises(DeepnmfError, match="not readable") as raised:
        read(path)
    assert "\n" not in str(raised.value)


@pytest.fixture
def recording(secret: Path) -> Path:
    """A second of sound that only FFmpeg decodes."""
    path = secret.with_name("talk.m4a")
    if not ffmpeg("-i", secret, "-c:a", "alac", path):
        pytest.skip("no ffmpeg")
    return path


def test_what_decodes_to_too_many_hours_is_refused(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "LARGEST_SECONDS", 0.1)
    with pytest.raises(DeepnmfError, match="hours"):
        read(recording)


def test_a_decoder_without_results_is_stopped(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "STALL_SECONDS", -1.0)
    with pytest.raises(DeepnmfError, match="no sound was decoded"):
        read(recording)
