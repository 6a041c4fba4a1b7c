"""A headless Chromium, driven by Selenium; tests that need it skip where it is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update "
    "disable-sync"
)


def skip_without_chromium() -> None:
    """Skip the module that calls it, unless Selenium, Chromium and its driver are installed."""
    pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install 'deepnmf[test]'")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Debian's packages chromium and chromium-driver", allow_module_level=True)


def open_chromium(profile: Path, *flags: str) -> Any:
    """Return a driver with a new profile; the console and the requests are logged."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS.split(), *flags, f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(600)
    return driver


def requests(browser: Any) -> Iterator[str]:
    """Yield the address of each request since the last call; only the scheme of data: and blob: addresses."""
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            scheme = url.partition(":")[0]
            yield f"{scheme}:" if scheme in ("data", "blob") else url


def set_screen(browser: Any, width: int, dark: bool = False) -> None:
    """Emulate a screen of this width and colour scheme."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
