"""The report of several systems in a real browser: they change in play; the page fits, and loads nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepnmf.audio import files as audio
from deepnmf.data.manifest import read_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.evaluation import EnhancedFiles, compare, model_system
from deepnmf.report import report
from helpers.chromium import skip_without_chromium
from helpers.players import DURATIONS, STATE, advance, find, too_wide, unnamed
from helpers.report_experiment import HOSTILE, RATE_HZ, make_experiment

pytestmark = pytest.mark.slow

skip_without_chromium()

TRACKS = ["Noisy", HOSTILE, "mine", "louder", "Clean"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_experiment(tmp_path_factory.mktemp("compared")).folder
    for name, gain in ((HOSTILE, 0.5), ("louder", 1.5)):
        for row in read_manifest(folder / "manifest.jsonl"):
            samples = gain * load_mixture(row, RATE_HZ).noisy[None]
            audio.write(folder / name / f"{row.id}.wav", samples, RATE_HZ, "FLOAT")
    halved, louder = (EnhancedFiles(name, folder / name) for name in (HOSTILE, "louder"))
    systems = [halved, model_system(folder, "mine"), louder]
    compare(folder / "manifest.jsonl", folder / "all", systems, only=["si_sdr", "sdr"])
    report(folder / "all", folder / "all.html")
    return folder / "all.html"


def test_every_example_has_a_sound_and_a_picture_of_each_system(browser: Any) -> None:
    examples = browser.find_elements("css selector", ".example")
    assert examples
    for example in examples:
        names = [name.text for name in example.find_elements("css selector", ".track .name")]
        assert names == TRACKS
        assert len(example.find_elements("css selector", ".track .strip")) == len(TRACKS)
    durations = browser.execute_async_script(DURATIONS)
    assert len(durations) == len(TRACKS) * len(examples)
    assert min(durations) >= 1


def test_systems_change_while_they_play(browser: Any) -> None:
    find(browser, ".example .play").click()
    assert browser.execute_script(STATE)[0] == [1, 0, True]  # the first system
    for place in (3, 0, 2, 4):
        before = browser.execute_script(STATE)[0][1]
        advance(browser, 0.125)
        find(browser, "input[name=track-0]", place).click()
        assert browser.execute_script(STATE)[0] == [place, before + 0.125, True]
        assert browser.execute_script("return players[0].sounds.map((sound) => !sound.paused)").count(True) == 1


def test_one_score_is_shown_at_a_time_with_a_column_for_each_system(browser: Any) -> None:
    panels = browser.find_elements("css selector", "[data-panel^=metric-]")
    assert [panel.is_displayed() for panel in panels] == [True, False]
    heads = [head.text for head in panels[0].find_elements("css selector", "thead th")]
    assert heads[-3:] == TRACKS[1:-1]
    browser.execute_script("document.querySelectorAll('input[name=metric]')[1].click()")
    assert [panel.is_displayed() for panel in panels] == [False, True]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen_but_tables_that_scroll(browser: Any, width: int) -> None:
    assert too_wide(browser, width, ".scroll table") == []


def test_every_control_and_picture_has_a_name(browser: Any) -> None:
    found, nameless = unnamed(browser)
    assert found > 20
    assert nameless == []
