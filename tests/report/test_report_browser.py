"""The report in a real browser: it plays, follows, switches and fits, reports no error and loads nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepnmf.report import report
from helpers.chromium import skip_without_chromium
from helpers.players import DURATIONS, STATE, advance, find, too_wide, unnamed
from helpers.report_experiment import make_experiment

pytestmark = pytest.mark.slow

skip_without_chromium()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    experiment = make_experiment(folder)
    report(experiment.folder, folder / "pages/report.html")
    return folder / "pages/report.html"


def test_every_sound_can_be_decoded(browser: Any) -> None:
    durations = browser.execute_async_script(DURATIONS)
    assert len(durations) == 12
    assert all(1 <= seconds <= 1.6 for seconds in durations)


def test_it_plays_and_every_playhead_follows(browser: Any) -> None:
    assert browser.execute_script(STATE) == [[1, 0, False]] * 3
    find(browser, ".example .play", 1).click()
    advance(browser, 0.25)
    assert browser.execute_script(STATE)[1] == [1, 0.25, True]
    places = browser.execute_script(
        "return [...document.querySelectorAll('.strip[data-player=\"1\"] .playhead')].map((head) => head.style.left)"
    )
    assert len(places) > 8  # its own four, and those of the sections that follow it
    assert len(set(places)) == 1
    assert float(places[0].rstrip("%")) > 0
    assert find(browser, ".example .play", 1).get_attribute("aria-label") == "Pause the median example"
    find(browser, ".example .play", 1).click()
    assert not browser.execute_script(STATE)[1][2]


def test_one_example_is_heard_at_a_time(browser: Any) -> None:
    for index in (0, 2):
        find(browser, ".example .play", index).click()
        advance(browser, 0.1)
    assert [playing for _, _, playing in browser.execute_script(STATE)] == [False, False, True]


def test_another_signal_goes_on_where_the_last_one_was(browser: Any) -> None:
    find(browser, ".example .play").click()
    advance(browser, 0.25)
    find(browser, "input[name=track-0]").click()
    assert browser.execute_script(STATE)[0] == [0, 0.25, True]
    assert sum(browser.execute_script("return players[0].sounds.map((sound) => !sound.paused)")) == 1


def test_a_click_into_a_spectrogram_plays_from_there(browser: Any) -> None:
    find(browser, ".example .strip", 2).click()  # in the middle
    track, seconds, playing = browser.execute_script(STATE)[0]
    assert (track, playing) == (2, True)
    length = browser.execute_script("return players[0].length")
    assert abs(seconds - length / 2) < 0.05 * length


def test_it_ends_and_starts_again(browser: Any) -> None:
    find(browser, ".example .play").click()
    advance(browser, 9)
    assert not browser.execute_script(STATE)[0][2]
    assert "Play" in find(browser, ".example .play").get_attribute("aria-label")
    find(browser, ".example .play").click()
    assert browser.execute_script(STATE)[0][1:] == [0, True]


def test_the_keyboard_does_it_all(browser: Any) -> None:
    find(browser, ".example .play").send_keys(" ")
    advance(browser, 0.1)
    assert browser.execute_script(STATE)[0][1] == 0.1
    find(browser, "input[name=track-0]", 1).send_keys("\ue015")  # arrow down
    assert browser.execute_script(STATE)[0][0] == 2
    before = browser.execute_script(STATE)[0][1]
    find(browser, ".example .position").send_keys("\ue010")  # end
    assert browser.execute_script(STATE)[0][1] > before


def test_one_table_and_one_dictionary_are_shown_at_a_time(browser: Any) -> None:
    for name in ("metric", "dictionary"):
        panels = browser.find_elements("css selector", f"[data-panel^={name}-]")
        assert [panel.is_displayed() for panel in panels] == [True] + [False] * (len(panels) - 1)
        browser.execute_script(f"document.querySelectorAll('input[name={name}]')[1].click()")
        assert [panel.is_displayed() for panel in panels][:2] == [False, True]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(browser: Any, width: int) -> None:
    assert too_wide(browser, width) == []


def test_every_control_and_picture_has_a_name(browser: Any) -> None:
    found, nameless = unnamed(browser)
    assert found > 40
    assert nameless == []
