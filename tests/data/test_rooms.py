"""Rooms: early and late parts that add up, the direct sound where it was, measured ones if there are any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepnmf.data import rooms
from deepnmf.data.rooms import Rooms, convolved, from_onset, simulated, split

RATE_HZ = 8000


def decay_seconds(response: np.ndarray) -> float:
    """Return the time of a decay by 60 dB, from where the energy that remains has fallen by 5 and by 25 dB."""
    remaining = 10 * np.log10(np.cumsum(np.square(response[::-1]))[::-1] / np.square(response).sum() + 1e-12)
    return 3 * float(np.argmax(remaining < -25) - np.argmax(remaining < -5)) / RATE_HZ


@pytest.mark.parametrize("decay", [0.2, 0.8])
def test_simulated_rooms_decay_as_they_should(decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "DECAY_SECONDS", (decay, decay))
    monkeypatch.setattr(rooms, "DIRECT_TO_REVERBERANT_DB", (6.0, 6.0))
    response = simulated(np.random.default_rng(0), RATE_HZ)
    assert response[0] == 1
    assert 10 * np.log10(1 / np.square(response[1:]).sum()) == pytest.approx(6, abs=0.01)
    assert not response[1:8].any()
    assert decay_seconds(response[8:]) == pytest.approx(decay, rel=0.2)


def test_the_parts_add_up_and_the_early_one_has_the_direct_sound() -> None:
    response = simulated(np.random.default_rng(0), RATE_HZ)
    room = split(response, RATE_HZ)
    whole = room.late.copy()
    whole[: len(room.early)] += room.early
    np.testing.assert_array_equal(whole, response)
    assert not room.late[: len(room.early)].any()
    assert room.early[0] == 1


def test_a_measured_room_begins_with_its_direct_sound() -> None:
    response = np.zeros(400, np.float32)
    response[[100, 150]] = -0.2, 0.1
    found = from_onset(response, RATE_HZ)
    assert found[8] == 1  # a millisecond before it is kept
    assert found[58] == pytest.approx(-0.5)


@pytest.mark.parametrize("response", [np.ones(1), np.ones(3), np.arange(50.0)])
def test_convolution(response: np.ndarray) -> None:
    samples = np.random.default_rng(0).standard_normal(101).astype(np.float32)
    found = convolved(samples, response)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.convolve(samples, response)[:101], rtol=1e-4, atol=1e-3)


def test_measured_rooms_are_drawn_if_there_are_any(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    assert len({len(Rooms(tmp_path / "none", RATE_HZ).draw(rng).late) for _ in range(20)}) > 10
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms" / "a.wav", np.r_[np.zeros(20), 0.5, np.full(3000, 0.01)], 2 * RATE_HZ)
    found = Rooms(tmp_path / "rooms", RATE_HZ)
    lengths = [len(found.draw(rng).late) for _ in range(60)]
    measured = max(set(lengths), key=lengths.count)
    assert 15 < lengths.count(measured) < 45
    assert measured == pytest.approx(1500, abs=12)
