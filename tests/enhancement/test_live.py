"""Live sound, with a device that is made up."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepnmf import Enhancer
from deepnmf.enhancement.live import LiveProcessor, run_live
from deepnmf.errors import DeepnmfError
from deepnmf.model import save_model
from helpers.enhance_cli import run
from helpers.enhance_models import constant_model, small_model

RATE = 16000


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((1, samples))).astype(np.float32)


@pytest.mark.parametrize("size", [1, 64, 160, 441, 4000])
def test_blocks_come_back_at_their_size_with_the_stated_delay(size: int) -> None:
    samples = noise(8000 - 8000 % size)
    processor = LiveProcessor(Enhancer(small_model(), RATE))
    blocks = [processor.process(block) for block in np.split(samples, samples.shape[1] // size, axis=1)]
    assert all(block.shape == (1, size) for block in blocks)
    output = np.concatenate(blocks, axis=1)[:, 400:]
    expected = Enhancer(small_model(), RATE).process(samples)[:, : output.shape[1]]
    assert np.abs(output - expected).max() < 1e-6


def test_wet_and_dry_are_in_step_and_switch_without_a_click() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)[None].astype(np.float32)
    processor = LiveProcessor(Enhancer(constant_model(1.0), RATE))
    pieces = []
    for index, block in enumerate(np.split(tone, 100, axis=1)):
        processor.wet = index % 7 < 3
        pieces.append(processor.process(block))
    output = np.concatenate(pieces, axis=1)
    assert np.abs(output[:, 400:] - tone[:, :-400]).max() < 1e-5
    silent = LiveProcessor(Enhancer(constant_model(0.0), RATE))
    silent.process(tone[:, :1600])
    silent.wet = False
    step = np.diff(np.concatenate([silent.process(tone[:, 1600:3200]), silent.process(tone[:, 3200:4800])], axis=1))
    assert np.abs(step).max() < 1.1 * np.abs(np.diff(tone)).max()


class FakeStream:
    """Calls back with three blocks, one of them late, and then ends as if unplugged."""

    latency = (0.01, 0.01)

    def __init__(self, *, callback: Any, blocksize: int, channels: int, **_: Any) -> None:
        self._callback, self._shape, self._left = callback, (blocksize, channels), 3
        self.played: list[np.ndarray] = []

    @property
    def active(self) -> bool:
        self._left -= 1
        output = np.empty(self._shape, np.float32)
        self._callback(np.full(self._shape, 0.1, np.float32), output, self._shape[0], None, self._left == 1)
        self.played.append(output)
        return self._left > 0

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def fake_sounddevice(stream: Any) -> types.ModuleType:
    module = types.ModuleType("sounddevice")
    module.PortAudioError = type("PortAudioError", (Exception,), {})  # type: ignore[attr-defined]
    module.Stream = stream  # type: ignore[attr-defined]
    return module


def test_a_device_that_stops_is_told_and_the_meter_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(FakeStream))
    with pytest.raises(DeepnmfError, match="device stopped"):
        run_live(small_model(), channels=2)
    shown = capsys.readouterr().err
    assert "delay: 25 ms enhancement, 20 ms devices" in shown
    assert "dropped 1" in shown
    assert "-20 dB" in shown


def test_what_is_missing_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save_model(tmp_path / "m.safetensors", small_model())
    module = fake_sounddevice(None)

    def no_device(**_: Any) -> None:
        raise module.PortAudioError("Error querying device -1")

    module.Stream = no_device  # type: ignore[attr-defined]
    for found, line in ((None, "pip install sounddevice"), (module, "no usable audio device")):
        monkeypatch.setitem(sys.modules, "sounddevice", found)
        assert run(monkeypatch, "live", "--model", tmp_path / "m.safetensors") == 1
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 1
        assert line in errors[0]


@pytest.mark.parametrize("devices", ["", "  0 microphone", None])
def test_devices_are_listed_or_their_absence_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], devices: str | None
) -> None:
    module = fake_sounddevice(None)

    def query() -> str:
        if devices is None:
            raise module.PortAudioError("PortAudio not initialized")
        return devices

    module.query_devices = query  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    assert run(monkeypatch, "live", "--list-devices") == (0 if devices else 1)
    printed = capsys.readouterr()
    assert printed.out.strip() == (devices or "").strip()
    assert len(printed.err.splitlines()) == (0 if devices else 1)
