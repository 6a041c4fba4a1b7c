"""Players of a report in a browser: a clock that only `advance` moves, and what every page must satisfy."""

from __future__ import annotations

from typing import Any

from .chromium import set_screen

STATE = "return players.map((player) => [player.current, player.sound.currentTime, !player.sound.paused])"


MANUAL_CLOCK = """
const states = new WeakMap();
const state = (sound) => states.get(sound) ?? states.set(sound, {time: 0, paused: true}).get(sound);
Object.defineProperties(HTMLMediaElement.prototype, {
  paused: {get() { return state(this).paused; }},
  currentTime: {
    get() { return state(this).time; },
    set(seconds) { state(this).time = seconds; this.dispatchEvent(new Event("seeked")); },
  },
  play: {value() { state(this).paused = false; return Promise.resolve(); }},
  pause: {value() { state(this).paused = true; }},
});
function advance(seconds) {
  for (const player of players) for (const sound of player.sounds.filter((each) => !each.paused)) {
    state(sound).time = Math.min(state(sound).time + seconds, player.length);
    state(sound).paused = state(sound).time === player.length;
    if (sound.paused) sound.dispatchEvent(new Event("ended"));
  }
}
"""
"""Sounds play by `advance` alone: the clips last 1.5 s, and would be over before a busy machine has looked."""
AFTER_A_FRAME = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
DURATIONS = """
const done = arguments[0];
const loaded = (sound) => new Promise((resolve) => {
  sound.addEventListener("loadedmetadata", () => resolve(sound.duration));
  sound.addEventListener("error", () => resolve(0));
  sound.load();
});
Promise.all([...document.querySelectorAll("audio")].map(loaded)).then(done);
"""


def find(browser: Any, selector: str, index: int = 0) -> Any:
    return browser.find_elements("css selector", selector)[index]


def advance(browser: Any, seconds: float) -> None:
    """Let this much of a sound pass, and the page draw it."""
    browser.execute_script(f"advance({seconds})")
    browser.execute_async_script(AFTER_A_FRAME)


def too_wide(browser: Any, width: int, scrolling: str = ":not(*)") -> list[str]:
    """Return the elements that stick out of a screen of this width, except those inside of what scrolls."""
    set_screen(browser, width)
    wide = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter((element) => "
        "element.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && "
        "!element.closest(arguments[0]))"
        ".map((element) => element.outerHTML.slice(0, 200))",
        scrolling,
    )
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    return list(wide)


def unnamed(browser: Any) -> tuple[int, list[Any]]:
    """Return the number of controls and pictures, and those of them that have no accessible name."""
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    needed = {"button", "radio", "slider", "image", "img", "link", "radiogroup"}
    found = [node for node in nodes if not node["ignored"] and node["role"]["value"] in needed]
    return len(found), [node for node in found if not node.get("name", {}).get("value")]
