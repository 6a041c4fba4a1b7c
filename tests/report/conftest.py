"""A browser for the pages of a report; each module has its fixture ``page``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.chromium import open_chromium, requests
from helpers.players import MANUAL_CLOCK


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = open_chromium(tmp_path_factory.mktemp("profile"))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MANUAL_CLOCK})
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any, page: Path) -> Iterator[Any]:
    """Return a browser that has just opened the page; whatever the test did, the console must be empty after it."""
    chromium.get("about:blank")
    for log in ("browser", "performance"):
        chromium.get_log(log)
    chromium.get(page.as_uri())
    yield chromium
    assert chromium.get_log("browser") == []
    assert set(requests(chromium)) <= {page.as_uri(), "data:"}
