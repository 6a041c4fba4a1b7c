"""The page's modules of signal processing and file formats, in Node: equal to NumPy, libsndfile and the package."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from deepnmf.audio.samples import UNBOUNDED
from deepnmf.config import StftSpec, to_dict
from deepnmf.dsp.pauses import RULES as PAUSES_RULES
from deepnmf.dsp.pauses import Pauses
from deepnmf.enhancement.arrays import enhance_array
from deepnmf.enhancement.rates import spec_at_rate
from deepnmf.errors import DeepnmfError
from deepnmf.page.build import RULES, STATIC, enhancer_settings
from helpers.enhance_models import hum_and_hiss, recurrent_model
from helpers.waiting import PATIENCE_SECONDS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js")

MODELS = {
    "a mask": recurrent_model(2, 2, fusion=5),
    "a filter": recurrent_model(1, 2, filter_units=5, filter_frames=3),
    "pauses": recurrent_model(20, filter_units=5),
}
RATES_HZ = (2000, 8000, 11025, 12345, 16000, 22050, 24000, 32000, 44100, 47999, 48000, 96000, 192000)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the modules, which Node takes as such."""
    folder = tmp_path_factory.mktemp("modules")
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


def run(modules: Path, script: str, *arguments: Any) -> Any:
    """Run a script that sets `result` with `given`, the arguments; return the result."""
    head = 'import { readFileSync, writeFileSync } from "fs";\nlet result = null;\n'
    given = f"const given = {json.dumps(arguments, default=str)};\n"
    (modules / "test.js").write_text(f"{head}{given}{script}\nconsole.log(JSON.stringify(result));", encoding="utf-8")
    command = [str(NODE), "test.js"]
    output = subprocess.run(command, cwd=modules, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert output.returncode == 0, output.stderr[-2000:]
    return json.loads(output.stdout)


def test_transforms_of_any_size_are_numpy_s_and_can_be_inverted(modules: Path) -> None:
    sizes = [4, 5, 7, 12, 30, 97, 256, 353, 512, 706, 1411, 1536]
    script = """
    import { RealPair } from "./fourier.js";
    result = given[0].map(([first, second]) => {
      const pair = new RealPair(first.length);
      pair.re.set(first);
      pair.im.set(second);
      const spectra = pair.forward();
      pair.inverse(...spectra);
      const plain = spectra.map(([re, im]) => [[...re], [...im]]);
      return { spectra: plain, back: [[...pair.re], [...pair.im]] };
    });
    """
    rng = np.random.default_rng(0)
    signals = [rng.standard_normal((2, size)) for size in sizes]
    for signal, found in zip(signals, run(modules, script, [signal.tolist() for signal in signals]), strict=True):
        expected = np.fft.rfft(signal)
        assert np.abs(np.array(found["spectra"]) - np.stack([expected.real, expected.imag], axis=1)).max() < 1e-10
        assert np.abs(np.array(found["back"]) - signal).max() < 1e-12


def test_the_transform_at_another_rate_is_the_package_s_and_reconstructs(modules: Path) -> None:
    script = """
    import { Analyser, Synthesiser, padding, specAtRate } from "./stft.js";
    result = given[1].map((rate) => {
      const spec = specAtRate(given[0], rate);
      const samples = Float32Array.from({ length: 5 * spec.window }, (_, n) => Math.sin(n * n));
      const analyser = new Analyser(spec);
      const blocks = [samples.subarray(0, 7), samples.subarray(7), new Float32Array(padding(spec, samples.length))];
      const synthesiser = new Synthesiser(spec);
      const output = blocks.flatMap((block) => [...synthesiser.push(analyser.push(block))]);
      const errors = [...samples].map((x, n) => Math.abs(x - output[n]));
      return [spec.window, spec.hop, spec.fftSize, spec.bins, Math.max(...errors)];
    });
    """
    found = run(modules, script, to_dict(StftSpec()), RATES_HZ)
    for rate_hz, (*sizes, error) in zip(RATES_HZ, found, strict=True):
        spec = spec_at_rate(StftSpec(), rate_hz)
        assert sizes == [spec.window, spec.hop, spec.fft_size, spec.bins]
        assert error < 1e-6


@pytest.mark.parametrize("bins", [257, 7])
def test_pauses_are_those_of_the_package(modules: Path, bins: int) -> None:
    script = """
    import { Pauses } from "./pauses.js";
    const [rules, bins, pieces] = given;
    const pauses = new Pauses(rules, bins);
    result = pieces.map(([mask, magnitudes]) => {
      const changed = Float32Array.from(mask);
      pauses.push(changed, magnitudes, mask.length / bins);
      return [...changed];
    });
    """
    rng = np.random.default_rng(4)
    mask, magnitudes = rng.uniform(0, 1, (bins, 150)), rng.rayleigh(1, (bins, 150))
    mask[:, 40:120] *= 0.03
    magnitudes[:, 70:75] = 0
    mask, magnitudes = mask.astype(np.float32), magnitudes.astype(np.float32)
    expected = Pauses(bins).push(mask, magnitudes)
    changed = (expected != mask).any(axis=0)
    assert changed[100:120].all()
    assert not changed[:40].any()
    cuts = slice(77), slice(77, 150)
    pieces = [[array[:, cut].ravel().tolist() for array in (mask, magnitudes)] for cut in cuts]
    found = [np.reshape(piece, (bins, -1)) for piece in run(modules, script, PAUSES_RULES, bins, pieces)]
    assert np.abs(np.concatenate(found, axis=1) - expected).max() < 1e-5


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_wav_is_read_and_written_as_by_libsndfile(modules: Path, tmp_path: Path, subtype: str, channels: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (1000, channels))
    container = "WAVEX" if channels > 2 else "WAV"
    soundfile.write(tmp_path / "in.wav", samples, 12345, subtype=subtype, format=container)
    script = """
    import { WavWriter, openWav } from "./wav.js";
    const wav = await openWav(new Blob([readFileSync(given[0])]));
    const writer = new WavWriter(wav.format);
    writer.write(await wav.read(0, 600));
    writer.write(await wav.read(600, 600));
    writeFileSync(given[1], Buffer.from(await writer.finish().arrayBuffer()));
    result = { ...wav.format, frames: wav.frames, samples: (await wav.read(0, 1000)).map((each) => [...each]) };
    """
    found = run(modules, script, tmp_path / "in.wav", tmp_path / "out.wav")
    expected = soundfile.read(tmp_path / "in.wav", always_2d=True, dtype="float32")[0]
    assert (found["rateHz"], found["channels"], found["frames"]) == (12345, channels, 1000)
    assert np.abs(np.array(found["samples"]).T - expected).max() < 1e-7
    info = soundfile.info(tmp_path / "out.wav")
    assert info.subtype == (subtype if subtype not in ("ULAW", "ALAW") else "PCM_16")
    written = soundfile.read(tmp_path / "out.wav", always_2d=True, dtype="float32")[0]
    assert np.abs(written - expected).max() < (1e-7 if subtype in UNBOUNDED else 1e-6)


def test_a_wav_header_that_promises_too_much_is_read_to_the_end(modules: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(1000), 8000)
    whole = (tmp_path / "in.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:-1001])
    (tmp_path / "stream.wav").write_bytes(whole[:40] + b"\xff\xff\xff\xff" + whole[44:])
    script = """
    import { openWav } from "./wav.js";
    result = [];
    for (const path of given) {
      const { frames, lost } = await openWav(new Blob([readFileSync(path)]));
      result.push([frames, lost !== ""]);
    }
    """
    assert run(modules, script, tmp_path / "cut.wav", tmp_path / "stream.wav") == [[499, True], [1000, False]]


RATE_OF = """
import { rateOf } from "./containers.js";
result = given.map((path) => rateOf(new Uint8Array(readFileSync(path))));
"""


def test_rates_of_compressed_files_are_in_their_headers(modules: Path, tmp_path: Path) -> None:
    cases = {
        "a.flac": 22050,
        "b.ogg": 44100,
        "c.mp3": 16000,
        "d.mp3": 44100,
        "e.mp3": 8000,
        "f.flac": 96000,
        "g.ogg": 11025,
    }
    for name, rate_hz in cases.items():
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(2).standard_normal(rate_hz), rate_hz)
    soundfile.write(tmp_path / "h.opus", np.zeros(16000), 16000, format="OGG", subtype="OPUS")
    (tmp_path / "tagged.mp3").write_bytes(b"ID3\x03\0\0\0\0\x02\x00" + bytes(256) + (tmp_path / "d.mp3").read_bytes())
    (tmp_path / "notes.txt").write_bytes(b"no sound in here" * 100)
    names = [*cases, "h.opus", "tagged.mp3", "notes.txt"]
    found = run(modules, RATE_OF, *(tmp_path / name for name in names))
    assert found == [*cases.values(), 48000, 44100, None]


def test_rates_of_mp4_and_webm_are_in_their_headers(modules: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    cases = {"a.m4a": ("aac", 22050), "b.mp4": ("aac", 48000), "c.webm": ("libopus", 48000), "d.aac": ("aac", 32000)}
    for name, (codec, rate_hz) in cases.items():
        with av.open(str(tmp_path / name), "w", format="adts" if name.endswith("aac") else None) as container:
            stream = container.add_stream(codec, rate=rate_hz, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate_hz), np.float32), format="fltp", layout="mono")
            frame.rate = rate_hz
            resampler = av.AudioResampler(stream.format, "mono", rate_hz, frame_size=stream.frame_size or 960)
            for part in [*resampler.resample(frame), None]:
                container.mux(stream.encode(part))
    found = run(modules, RATE_OF, *(tmp_path / name for name in cases))
    assert found == [rate_hz for _, rate_hz in cases.values()]


WITH_PAUSES = [(16000, 1), (8000, 1), (48000, 2)]


@pytest.mark.parametrize("rate_hz", [rate_hz for rate_hz, _ in WITH_PAUSES])
def test_recordings_with_pauses_have_some(monkeypatch: pytest.MonkeyPatch, rate_hz: int) -> None:
    model, pause = MODELS["pauses"], slice(rate_hz, None)
    attenuated = enhance_array(hum_and_hiss(rate_hz), rate_hz, model)[pause]
    monkeypatch.setattr(type(model.network), "ATTENUATES_PAUSES", False)
    plain = enhance_array(hum_and_hiss(rate_hz), rate_hz, model)[pause]
    assert np.square(attenuated).sum() < 0.3 * np.square(plain).sum()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_any_rate_and_channel_count_is_enhanced_as_by_the_package(modules: Path, tmp_path: Path, name: str) -> None:
    """In Node, whose ONNX Runtime is that of the page."""
    for package in ("onnxruntime", "platformdirs"):
        pytest.importorskip(package)
    from deepnmf.export.mask_graph import export_mask
    from deepnmf.page.runtime import SCRIPT, runtime_folder

    try:
        runtime = runtime_folder()
    except DeepnmfError as error:
        pytest.skip(str(error))
    model = MODELS[name]
    export_mask(model, tmp_path / "m.onnx")
    cases = [(2000, 1), (8000, 2), (11025, 1), (22050, 3), (32000, 1), (44100, 2), (47999, 1), (96000, 1), (192000, 1)]
    rng = np.random.default_rng(3)
    recordings = [0.1 * rng.standard_normal((channels, rate_hz)).astype(np.float32) for rate_hz, channels in cases]
    recordings += [np.full((1, samples), 0.1, np.float32) for samples in (1, 100, 401)]
    cases += [(16000, 1)] * 3
    recordings += [np.stack([hum_and_hiss(rate_hz)] * channels) for rate_hz, channels in WITH_PAUSES]
    cases += WITH_PAUSES
    np.concatenate([each.reshape(-1) for each in recordings]).tofile(tmp_path / "in.f32")
    lengths = [each.shape[1] for each in recordings]
    run(modules, ENHANCE, str(runtime / SCRIPT), tmp_path, enhancer_settings(model), RULES, cases, lengths)
    found = np.fromfile(tmp_path / "out.f32", np.float32)
    expected = [
        enhance_array(samples, rate_hz, model, max_attenuation_db=12).reshape(-1)
        for samples, (rate_hz, _) in zip(recordings, cases, strict=True)
    ]
    assert np.abs(found - np.concatenate(expected)).max() < 2e-5


ENHANCE = """
const [script, folder, describe, rules, cases, lengths] = given;
const ort = await import(script);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL(".", `file://${script}`).href;
const { Enhancer } = await import("./enhancer.js");
const { Estimator } = await import("./model.js");
const session = await ort.InferenceSession.create(readFileSync(`${folder}/m.onnx`));
const estimator = () => new Estimator(ort, session, describe);
const bytes = readFileSync(`${folder}/in.f32`);
const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const output = [];
let at = 0;
for (const [index, [rate, channels]] of cases.entries()) {
  const block = Array.from({ length: channels }, () => all.subarray(at, (at += lengths[index])));
  const enhancer = new Enhancer({ describe, estimator }, rules, rate, channels, { maxAttenuationDb: 12 });
  await enhancer.warmUp(block.map((samples) => samples.subarray(0, Math.floor(rules.warm_up_seconds * rate))));
  const parts = [
    await enhancer.process(block.map((samples) => samples.subarray(0, 77))),
    await enhancer.process(block.map((samples) => samples.subarray(77))),
    await enhancer.flush(),
  ];
  for (let channel = 0; channel < channels; channel++) output.push(...parts.map((part) => part[channel]));
}
const parts = output.map((each) => Buffer.from(each.buffer, each.byteOffset, each.byteLength));
writeFileSync(`${folder}/out.f32`, Buffer.concat(parts));
"""
