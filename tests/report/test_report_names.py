"""Names from outside are text in the report: whatever a user or a corpus names, the page has the same elements."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest

from deepnmf.data.manifest import read_manifest
from deepnmf.model import load_model
from deepnmf.report import charts
from deepnmf.report.examples import make_examples
from deepnmf.report.layers import trace_layers
from deepnmf.report.page import _environment, page
from deepnmf.report.scores import load_scores
from deepnmf.report.strips import spectrogram_strip
from deepnmf.report.text import plain
from helpers.report_experiment import make_experiment

NAMES = [
    "<script>alert(1)</script>&\"'",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></script><!-- ]]>",
    "{{ 7 * 7 }}{% raw %}{# $name ${name}",
    "&lt;b&gt;&#60;b&#62;",
    "a\x00b\x1b[2Jc\udcff\x85d",
    "line\nbreak",
]


class Structure(HTMLParser):
    """Elements with the names of their attributes, in order, and all text and attribute values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attributes)))
        self.text += "".join(value or "" for _, value in attributes)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def named_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function that makes a page on which everything that can be named has one name."""
    folder = make_experiment(tmp_path_factory.mktemp("names")).folder
    model = load_model(folder)
    scores = load_scores(folder / "test", model, folder)
    rows = {row.id: row for row in read_manifest(folder / "manifest.jsonl")}
    examples = make_examples(scores.ranked(), rows, model)
    trace = trace_layers(model, examples[1].mixture.noisy, examples[1].mixture.speech)

    def make(name: str) -> str:
        names = {"noise_type": name, "speech": name}
        summary = {
            **scores.summary,
            "split": name,
            "by_noise_type": {f"{name}{i}": g for i, g in enumerate(scores.summary["by_noise_type"].values())},
            "metrics": {metric: {"variant": name} for metric in scores.metrics},
        }
        metadata = dict.fromkeys(("seed", "manifest", "dictionary", "deepnmf", name), name)
        metadata |= {"config": {name: {name: name}}, "history": model.metadata["history"]}
        return page(
            name,
            dataclasses.replace(model, metadata=metadata),
            dataclasses.replace(
                scores, summary=summary, rows=[{**r, "id": f"{name}{r['id']}", **names} for r in scores.rows]
            ),
            model.metadata["history"],
            [dataclasses.replace(e, title=name, row={**e.row, "id": name, **names}) for e in examples],
            trace,
            [name],
        )

    return make


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_markup(named_page: Callable[[str], str], name: str) -> None:
    found, expected = Structure(named_page(name)), Structure(named_page("a\nb" if "\n" in name else "plain"))
    assert found.elements == expected.elements
    assert found.text.count(plain(name)) >= 20
    assert found.text.encode("utf-8")


def test_no_name_becomes_markup_in_parts() -> None:
    for name in NAMES:
        chart = charts.scatter([(0.0, 1.0, name), (1.0, 0.0, name)], name, name, {0: name})
        drawn = Structure(str(_environment().get_template("chart.svg.j2").module.draw(chart)))
        assert {tag for tag, *_ in drawn.elements} == {"svg", "circle", "title", "path", "line", "text"}
        parts = _environment().get_template("parts.html.j2").module
        strip = Structure(str(parts.named_strip(name, spectrogram_strip(np.zeros((2, 2)), name, [name], 0))))
        assert [tag for tag, *_ in strip.elements] == ["div", "span", "div", "span", "div", "img", "span"]
        tabs = Structure(str(parts.tab_buttons("tab", name, [name, name])))
        assert [tag for tag, *_ in tabs.elements] == ["fieldset", "legend", *["label", "input", "span"] * 2]
