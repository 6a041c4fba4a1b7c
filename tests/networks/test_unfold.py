"""Unfolding is folding an inference step over parameter sets, whatever the instance."""

from __future__ import annotations

import re

import numpy as np

from deepnmf.networks.unfolded.deep_nmf import infer
from deepnmf.networks.unfolded.unfold import layer_parameters, unfold
from deepnmf.nmf.updates import update_activations
from helpers import ROOT


def test_each_layer_takes_its_own_parameters_in_order() -> None:
    assert unfold(lambda state, name: state + name, ["a", "b", "c"], ">") == ">abc"
    assert unfold(lambda state, name: state + name, [], ">") == ">"


def test_tied_layers_share_one_set_and_untied_ones_have_their_own() -> None:
    assert layer_parameters(["a"], 3) == ["a", "a", "a"]
    assert layer_parameters(["a", "b", "c"], 3) == ["a", "b", "c"]


def test_deep_nmf_is_an_instance() -> None:
    rng = np.random.default_rng(0)
    m, h, dictionaries = rng.random((6, 4)), rng.random((3, 4)), rng.random((2, 6, 3))
    by_hand = update_activations(m, dictionaries[0], h, 0.1, 1.0)
    by_hand = update_activations(m, dictionaries[1], by_hand, 0.1, 1.0)
    np.testing.assert_array_equal(infer(m, dictionaries, h, 0.1, 1.0), by_hand)


def test_the_code_of_the_page_is_the_code_of_the_package() -> None:
    root = ROOT
    page = (root / "docs" / "unfolding.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (root / "src/deepnmf/networks/unfolded").glob("*.py")]
    blocks = [block for block in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if ">>>" not in block]
    assert blocks
    for block in blocks:
        assert sum(block in source for source in sources) == 1, block


def test_the_kind_of_network_of_the_page_has_less_than_sixty_lines() -> None:
    page = (ROOT / "docs" / "unfolding.md").read_text(encoding="utf-8")
    (module,) = re.findall(r"^cat > exponentiated.py <<'END'\n(.*?)^END$", page, re.M | re.S)
    assert len([line for line in module.splitlines() if line.strip()]) < 60
