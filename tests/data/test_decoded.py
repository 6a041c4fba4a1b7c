"""Decoded recordings: the samples of the files, decoded once, again when a file changes, written atomically."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.artifacts import read_json, write_json
from deepnmf.audio.files import read_mono
from deepnmf.data import decoded, decoding
from deepnmf.data.decoded import DecodedRecordings
from deepnmf.errors import DeepnmfError

RATE_HZ = 8000


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> str:
    soundfile.write(path, samples, rate_hz, subtype)
    return str(path)


def sound(seed: int, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Return a slow swing, which resampling leaves as it is."""
    seconds_at = np.arange(int(seconds * rate_hz)) / rate_hz
    return 0.3 * np.sin(2 * np.pi * (20 + seed) * seconds_at)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return [write(tmp_path / f"{seed}.wav", sound(seed, 1 + seed / 10)) for seed in range(4)]


def test_excerpts_are_those_of_the_files(paths: list[str], tmp_path: Path) -> None:
    found = DecodedRecordings([(path,) for path in paths], RATE_HZ, tmp_path / "decoded")
    for path in paths:
        samples = read_mono(Path(path), RATE_HZ)
        assert found.length((path,)) == len(samples)
        for start, count in ((0, 50), (1000, 500), (len(samples) - 10, 100)):
            part = found.excerpt((path,), start, count)
            assert part.dtype == np.float32
            np.testing.assert_allclose(part, samples[start : start + count], atol=1.1 * 0.3 / 2 / decoding.FULL_SCALE)


def test_quiet_recordings_keep_their_resolution(tmp_path: Path) -> None:
    path = write(tmp_path / "quiet.wav", 1e-6 * sound(0), subtype="FLOAT")
    part = DecodedRecordings([(path,)], RATE_HZ, tmp_path).excerpt((path,), 0, RATE_HZ)
    np.testing.assert_allclose(part, 1e-6 * sound(0), atol=1e-11)


def test_recordings_below_what_floats_resolve_are_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "faint.wav", 1e-42 * sound(1), subtype="FLOAT")
    assert not decoded.decode_part((path,), 0, RATE_HZ, RATE_HZ).values.any()


def test_the_map_is_made_once(paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = [(path,) for path in paths]
    first = DecodedRecordings(recordings, RATE_HZ, tmp_path / "decoded").excerpt((paths[1],), 5, 100)
    monkeypatch.setattr(decoded, "decode_parts", None)
    again = DecodedRecordings(reversed(recordings), RATE_HZ, tmp_path / "decoded")
    np.testing.assert_array_equal(again.excerpt((paths[1],), 5, 100), first)
    assert len(list((tmp_path / "decoded").iterdir())) == 2


@pytest.mark.parametrize("same_time", [False, True])
def test_a_file_that_changes_is_decoded_anew(same_time: bool, paths: list[str], tmp_path: Path) -> None:
    recordings = [(path,) for path in paths]
    DecodedRecordings(recordings, RATE_HZ, tmp_path / "decoded")
    times = Path(paths[0]).stat()
    write(Path(paths[0]), sound(9, 0.5))
    if same_time:  # its length differs
        os.utime(paths[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    found = DecodedRecordings(recordings, RATE_HZ, tmp_path / "decoded")
    np.testing.assert_allclose(found.excerpt((paths[0],), 0, RATE_HZ), sound(9, 0.5), atol=1e-4)


def test_maps_of_files_that_have_changed_are_removed_and_others_reported(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "decoded"

    def kept(*chosen: str) -> set[Path]:
        DecodedRecordings([(path,) for path in chosen], RATE_HZ, folder)
        return set(folder.iterdir())

    both = kept(*paths[:2])
    assert "other corpora" not in capsys.readouterr().err
    more = kept(paths[2])  # of another manifest: may be used again
    assert more > both
    assert "other corpora" in capsys.readouterr().err
    Path(paths[3]).unlink()
    write(Path(paths[0]), sound(9, 0.5))
    assert kept(paths[2], paths[3]) >= more - both  # a recording that is gone may come back
    assert not both & set(folder.iterdir())


def test_nothing_is_left_of_a_map_that_was_not_finished(
    paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    recordings, folder = [(path,) for path in paths], tmp_path / "decoded"
    with monkeypatch.context() as patched:
        patched.setattr(decoded, "count_samples", stop)
        with pytest.raises(KeyboardInterrupt):
            DecodedRecordings(recordings, RATE_HZ, folder)
    assert not list(folder.iterdir())
    assert DecodedRecordings(recordings, RATE_HZ, folder).length((paths[0],)) == RATE_HZ


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2 * RATE_HZ, 11025])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_samples_are_the_same_whatever_fits_into_the_map(rate_hz: int, suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stereo = np.cumsum(rng.uniform(-0.01, 0.01, (int(24.7 * rate_hz), 2)), axis=0).clip(-1, 1)
    names = [(write(tmp_path / f"{n}.{suffix}", stereo[: n * 3 * rate_hz], rate_hz),) for n in (1, 5, 9)]
    whole, half, none = (DecodedRecordings(names, RATE_HZ, tmp_path / str(gb), gb) for gb in (2**34, 10**5, 0))
    sizes = [sum(path.stat().st_size for path in (tmp_path / str(gb)).glob("*.int16")) for gb in (2**34, 10**5, 0)]
    assert sizes[0] > sizes[1] > sizes[2] == 0
    for name in names:
        assert whole.length(name) == half.length(name) == none.length(name)
        for start, count in ((0, 10**7), (9 * RATE_HZ, 2 * RATE_HZ), (*rng.integers(0, 10 * RATE_HZ, 2),), (10**6, 5)):
            expected = whole.excerpt(name, start, count)
            for other in (half, none):
                np.testing.assert_array_equal(other.excerpt(name, start, count), expected)
    middle = whole.excerpt(names[2], 9 * RATE_HZ, 2 * RATE_HZ)  # across two parts, without a seam
    np.testing.assert_allclose(middle, read_mono(Path(names[2][0]), RATE_HZ)[9 * RATE_HZ : 11 * RATE_HZ], atol=1e-4)


def test_decoded_parts_in_memory_are_bounded_and_those_used_last(
    paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "KEPT_BYTES", 2 * 2 * int(1.3 * RATE_HZ))  # two recordings
    decode, calls = decoded.decode_part, []

    def counted(files: tuple[str, ...], *how: int) -> decoded.Part:
        calls.append(files[0])
        return decode(files, *how)

    monkeypatch.setattr(decoded, "decode_part", counted)
    found = DecodedRecordings([(path,) for path in paths], RATE_HZ, tmp_path, 0)
    for index in (0, 1, 0, 2, 0, 1, 1):
        found.excerpt((paths[index],), 100, 50)
    assert calls == [paths[index] for index in (0, 1, 2, 1)]


def test_a_pair_is_the_difference_of_its_files(tmp_path: Path) -> None:
    clean, noisy = write(tmp_path / "clean.wav", sound(0)), write(tmp_path / "noisy.wav", sound(0) + 0.25)
    found = DecodedRecordings([(noisy, clean)], RATE_HZ, tmp_path)
    np.testing.assert_allclose(found.excerpt((noisy, clean), 0, 100), 0.25, atol=1e-4)


def test_what_cannot_be_read_has_no_length_and_a_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    bad, gone = str(tmp_path / "bad.wav"), str(tmp_path / "gone.wav")
    short, long = write(tmp_path / "short.wav", sound(0, 0.5)), write(tmp_path / "long.wav", sound(0))
    reasons = {
        (bad,): r"bad\.wav",
        (gone,): r"gone\.wav: no such file",
        (long, short): r"long\.wav: its length differs from .*short\.wav",
        (write(tmp_path / "empty.wav", np.zeros(0)),): r"empty\.wav: no samples in it",
    }
    found = DecodedRecordings(reasons, RATE_HZ, tmp_path / "decoded")
    for files, reason in reasons.items():
        assert found.length(files) == 0
        with pytest.raises(DeepnmfError, match=reason):
            found.excerpt(files, 0, 10)


def test_a_folder_that_cannot_be_written_to_is_named(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DeepnmfError, match="cannot write"):
        DecodedRecordings([(paths[0],)], RATE_HZ, tmp_path / "file")


def test_a_flipped_bit_of_the_map_is_refused_by_name(paths: list[str], tmp_path: Path) -> None:
    DecodedRecordings([(paths[0],)], RATE_HZ, tmp_path / "decoded")
    (data,) = (tmp_path / "decoded").glob("*.int16")
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    with pytest.raises(DeepnmfError, match=data.name):
        DecodedRecordings([(paths[0],)], RATE_HZ, tmp_path / "decoded")


@pytest.mark.parametrize(
    "change",
    [
        {"samples": "3"},
        {"samples": -1},
        {"offset": 10**9},
        {"peaks": None},
        {"peaks": []},
        {"peaks": [None]},
        {"error": 1},
        {"more": 0},
    ],
)
def test_a_made_up_index_is_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.full(RATE_HZ, 0.5), RATE_HZ)
    DecodedRecordings([(str(path),)], RATE_HZ, tmp_path / "decoded")
    index = next((tmp_path / "decoded").glob("*.json"))
    record = read_json(index)
    write_json(index, {**record, "recordings": [{**record["recordings"][0], **change}]})
    with pytest.raises(DeepnmfError, match=index.name):
        DecodedRecordings([(str(path),)], RATE_HZ, tmp_path / "decoded")
    for wrong in ({}, {"recordings": 3}, {"recordings": []}):
        write_json(index, {"samples": record["samples"], **wrong})
        with pytest.raises(DeepnmfError, match=index.name):
            DecodedRecordings([(str(path),)], RATE_HZ, tmp_path / "decoded")
