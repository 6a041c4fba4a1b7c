"""The page in a real browser: equality with the command line, playing, download, and no request to another origin."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from deepnmf.enhancement.files import FileOptions, enhance_file
from deepnmf.errors import DeepnmfError
from deepnmf.model import load_model
from helpers import ROOT
from helpers.chromium import open_chromium, requests, set_screen, skip_without_chromium
from helpers.enhance_models import recurrent_model, small_model
from helpers.waiting import wait_until

pytestmark = pytest.mark.slow

skip_without_chromium()
for package in ("onnx", "onnxruntime", "platformdirs"):
    pytest.importorskip(package)

from deepnmf.page.build import build_page  # noqa: E402
from deepnmf.page.runtime import runtime_folder  # noqa: E402
from deepnmf.page.server import HEADERS, address, page_server  # noqa: E402

MODELS = {
    "default": load_model(),
    "recurrent": recurrent_model(2, 2, fusion=5),
    "context": small_model(3),
    "filter": recurrent_model(filter_units=5),
}
FAKE_MICROPHONE = ("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")
STOPPED_WORKER = """
window.Worker = class { postMessage() { setTimeout(() => this.onerror(new Event("error"))); } terminate() {} };
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the page."""
    try:
        runtime_folder()
    except DeepnmfError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("page")
    build_page(folder, MODELS, example=ROOT / "examples/noisy.wav")
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """Return the address of the page, served on this machine."""
    with served(folder) as url:
        yield url


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    with page_server(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address(server)
        server.shutdown()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = open_chromium(tmp_path_factory.mktemp("profile"), *FAKE_MICROPHONE)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any, url: str, tmp_path: Path) -> Iterator[Any]:
    """Return a browser that has just opened the page; afterwards, no request may have left its origin."""
    chromium.get("about:blank")
    for log in ("browser", "performance"):
        chromium.get_log(log)
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    chromium.execute_cdp_cmd("Page.setDownloadBehavior", behaviour)
    open_page(chromium, url)
    yield chromium
    assert chromium.get_log("browser") == []
    assert {each for each in requests(chromium) if not each.startswith(url)} <= {"blob:", "data:"}


def open_page(browser: Any, url: str) -> None:
    browser.get(url)
    wait_until(lambda: find(browser, "choose").is_displayed())


def find(browser: Any, name: str) -> Any:
    return browser.find_element("id", name)


def drop(browser: Any, path: Path) -> None:
    """Drop a file on the page, as a hand would."""
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": 200, "y": 200, "data": data}
        browser.execute_cdp_cmd("Input.dispatchDragEvent", event)


def finished(browser: Any) -> None:
    wait_until(lambda: find(browser, "download").is_displayed() or find(browser, "error").is_displayed())
    assert find(browser, "error").text == ""


def press(browser: Any, keys: str) -> None:
    browser.switch_to.active_element.send_keys(keys)


def set_slider(browser: Any, value: int) -> None:
    """Set the attenuation limit and let go of the slider."""
    script = """
    const slider = document.getElementById("attenuation");
    slider.value = arguments[0];
    for (const type of ["input", "change"]) slider.dispatchEvent(new Event(type, {bubbles: true}));
    """
    browser.execute_script(script, value)


def downloaded(browser: Any, tmp_path: Path) -> Path:
    find(browser, "download").click()
    folder = tmp_path / "downloads"
    wait_until(lambda: [path for path in folder.glob("*.wav") if path.stat().st_size])  # it reserves the name first
    return next(folder.glob("*.wav"))


def choose_model(browser: Any, name: str) -> None:
    browser.find_element("css selector", f"#model option[value={name}]").click()


def recording(path: Path, rate_hz: int, channels: int, subtype: str = "PCM_16", repeat: int = 1) -> Path:
    """Write 3.7 s of the example at another rate, different in each channel, `repeat` times."""
    samples, original_hz = soundfile.read(ROOT / "examples/noisy_48k_stereo.flac", frames=177_600, always_2d=True)
    mono = soxr.resample(samples[:, 0], original_hz, rate_hz)
    mixed = np.stack([np.roll(mono, 7 * channel) * 0.8**channel for channel in range(channels)], axis=1)
    soundfile.write(path, np.tile(mixed, (repeat, 1)), rate_hz, subtype=subtype)
    return path


def enhanced_by_python(path: Path, model: str = "default", limit_db: float | None = None) -> np.ndarray:
    target = path.with_name("expected.wav")
    enhance_file(path, target, MODELS[model], FileOptions(max_attenuation_db=limit_db, subtype="FLOAT"))
    return np.asarray(soundfile.read(target, always_2d=True)[0])


def assert_same(path: Path, source: Path, model: str = "default", limit_db: float | None = None) -> np.ndarray:
    """Compare a download with what the command line writes; return its samples."""
    samples, rate_hz = soundfile.read(path, always_2d=True)
    assert rate_hz == soundfile.info(source).samplerate
    expected = enhanced_by_python(source, model, limit_db)
    assert samples.shape == expected.shape
    assert np.abs(samples - expected).max() <= 1e-4
    return np.asarray(samples)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype", "model"),
    [
        (16000, 1, "PCM_16", "default"),
        (48000, 2, "PCM_16", "default"),
        (8000, 1, "ULAW", "default"),
        (44100, 2, "PCM_24", "recurrent"),
        (11025, 3, "FLOAT", "context"),
        (48000, 2, "FLOAT", "filter"),
    ],
)
def test_it_enhances_as_the_command_line_does(
    browser: Any, tmp_path: Path, rate_hz: int, channels: int, subtype: str, model: str
) -> None:
    source = recording(tmp_path / "talk.wav", rate_hz, channels, subtype)
    choose_model(browser, model)
    drop(browser, source)
    finished(browser)
    path = downloaded(browser, tmp_path)
    assert path.name == "talk_enhanced.wav"
    samples = assert_same(path, source, model)
    assert np.abs(samples).max() > 0.05
    assert f"{rate_hz / 1000:g} kHz" in find(browser, "facts").text


def test_the_attenuation_limit_has_the_effect_of_the_command_line_s(browser: Any, tmp_path: Path) -> None:
    source = recording(tmp_path / "talk.wav", 16000, 1)
    drop(browser, source)
    finished(browser)
    set_slider(browser, 6)
    finished(browser)
    assert find(browser, "attenuation-text").text == "6 dB"
    samples = assert_same(downloaded(browser, tmp_path), source, limit_db=6)
    assert np.abs(samples - enhanced_by_python(source)).max() > 0.01


def test_flac_is_decoded_at_its_own_rate(browser: Any, tmp_path: Path) -> None:
    source = recording(tmp_path / "talk.flac", 22050, 2)
    drop(browser, source)
    finished(browser)
    assert_same(downloaded(browser, tmp_path), source)


def test_one_key_plays_and_one_switches(browser: Any) -> None:
    find(browser, "example").click()
    finished(browser)
    state = """return [...document.querySelectorAll("audio")].map((sound) => [sound.currentTime, sound.paused])"""
    press(browser, " ")  # the focus is on the button
    wait_until(lambda: browser.execute_script(state)[1][0] > 0.1)
    assert [paused for _, paused in browser.execute_script(state)] == [False, False]
    track = """return document.querySelector("[name=track]:checked").value"""
    assert browser.execute_script(track) == "after"
    press(browser, "b")
    assert browser.execute_script(track) == "before"
    browser.execute_script("document.activeElement.blur()")
    press(browser, " ")  # and the key works without
    (before, before_paused), (after, after_paused) = browser.execute_script(state)
    assert before_paused
    assert after_paused
    assert abs(before - after) < 0.5
    press(browser, "\ue012")  # the left arrow seeks back
    assert browser.execute_script(state)[0][0] < before


def test_progress_and_cancel(browser: Any, tmp_path: Path) -> None:
    drop(browser, recording(tmp_path / "long.wav", 16000, 2, repeat=40))
    wait_until(lambda: "%" in find(browser, "status").text)
    assert not find(browser, "download").is_displayed()
    find(browser, "cancel").click()
    wait_until(lambda: not find(browser, "result").is_displayed())
    assert find(browser, "error").text == ""
    find(browser, "example").click()  # and it goes on with the next
    finished(browser)
    drawn = (
        "const c = document.getElementById('after'); return [...c.getContext('2d').getImageData(0, 0, 99, 128).data]"
    )
    assert len(set(browser.execute_script(drawn))) > 50


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"no sound in here", "not a recording"),
        ("empty.wav", b"", "empty"),
        ("cut.wav", b"RIFF\x24\0\0\0WAVEfmt ", "cut short"),
        ("broken.flac", b"fLaC" + bytes(99), "not a recording"),
    ],
)
def test_what_cannot_be_read_gives_one_line(
    browser: Any, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    drop(browser, tmp_path / name)
    wait_until(lambda: find(browser, "error").is_displayed())
    text = find(browser, "error").text
    assert words in text
    assert name in text
    assert len(text.splitlines()) == 1


def test_samples_that_are_no_sound_give_one_line(browser: Any, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    drop(browser, tmp_path / "nan.wav")
    wait_until(lambda: find(browser, "error").is_displayed())
    assert "NaN" in find(browser, "error").text
    assert not find(browser, "result").is_displayed()


def test_a_crash_of_the_worker_gives_one_line(browser: Any, url: str, tmp_path: Path) -> None:
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": STOPPED_WORKER})
    try:
        open_page(browser, url)
        drop(browser, recording(tmp_path / "talk.wav", 16000, 1))
        wait_until(lambda: find(browser, "error").is_displayed())
        assert "try again" in find(browser, "error").text
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_where_webassembly_is_forbidden_one_line_reports_it(
    chromium: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = HEADERS["Content-Security-Policy"].replace("'wasm-unsafe-eval'", "")
    monkeypatch.setitem(HEADERS, "Content-Security-Policy", policy)
    with served(folder) as url:
        open_page(chromium, url)
        drop(chromium, recording(tmp_path / "talk.wav", 16000, 1))
        wait_until(lambda: find(chromium, "error").is_displayed())
        text = find(chromium, "error").text
        assert "another browser" in text
        assert len(text.splitlines()) == 1


def test_the_microphone_signal_is_enhanced(browser: Any) -> None:
    find(browser, "microphone").click()
    wait_until(lambda: "headphones" in find(browser, "live-facts").text)
    level = "return document.getElementById(arguments[0]).value"
    wait_until(lambda: browser.execute_script(level, "level-out") > -60)
    press(browser, "b")
    assert find(browser, "live-dry").get_attribute("aria-pressed") == "true"
    press(browser, "\ue00c")  # escape
    assert not find(browser, "live").is_displayed()


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(browser: Any, width: int) -> None:
    set_screen(browser, width)
    find(browser, "example").click()
    finished(browser)
    wide = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter((element) => "
        "element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
        ".map((element) => element.outerHTML.slice(0, 200))"
    )
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide == []


def test_every_control_and_picture_has_a_name(browser: Any) -> None:
    find(browser, "example").click()
    finished(browser)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    needed = {"button", "radio", "slider", "image", "img", "link", "group", "combobox"}
    found = [node for node in nodes if not node["ignored"] and node["role"]["value"] in needed]
    assert len(found) > 10
    assert [node for node in found if not node.get("name", {}).get("value")] == []


def test_another_origin_is_refused_and_the_runtime_cached(browser: Any, tmp_path: Path) -> None:
    refused = """
    const done = arguments[0];
    addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
    fetch("http://127.0.0.2/").catch(() => {});
    """
    assert browser.execute_async_script(refused) == "connect-src"
    browser.get_log("browser")
    drop(browser, recording(tmp_path / "talk.wav", 16000, 1))
    finished(browser)
    cached = "caches.open('deepnmf').then((cache) => cache.keys()).then((keys) => arguments[0](keys.map((k) => k.url)))"
    addresses = browser.execute_async_script(cached)
    assert any(".wasm?" in each for each in addresses)
    assert any(".onnx?" in each for each in addresses)
