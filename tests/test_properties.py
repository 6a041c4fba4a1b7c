"""Any arguments of public functions: a result, or one line of `DeepnmfError`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import deepnmf
from deepnmf.audio.files import duration_seconds, read
from deepnmf.audio.tar_members import tar_index
from deepnmf.config import FeatureConfig, PrepareConfig, SnmfConfig, StftSpec, from_dict, parse_setting, to_dict
from deepnmf.data.manifest import read_manifest
from deepnmf.errors import DeepnmfError, printable
from deepnmf.networks.kinds import configuration
from deepnmf.shards import choose_shard
from helpers.enhance_models import small_model

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
MODEL = small_model()
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def tried(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Return the result of a function, or the message of the error that it is meant to raise."""
    try:
        return function(*arguments), ""
    except DeepnmfError as error:
        return None, str(error)


@given(
    hnp.arrays(st.sampled_from(["float32", "float64", "int16", "complex64", "bool"]), hnp.array_shapes(max_dims=3)),
    st.sampled_from([16000, 8000, 44100, 1, 0, -16000]),
)
@settings(suppress_health_check=SLOW)
def test_any_array_is_enhanced_to_its_shape_or_refused(samples: np.ndarray, rate_hz: int) -> None:
    found, error = tried(deepnmf.enhance, samples, rate_hz, MODEL)
    assert error or (found.shape == samples.shape and np.isfinite(found).all())


@given(st.binary(max_size=300), st.sampled_from(["wav", "flac", "mp3", "tar", "m4a", ""]))
@settings(suppress_health_check=SLOW)
def test_any_bytes_are_a_recording_or_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    for function in (read, duration_seconds, read_manifest, deepnmf.load_model, tar_index):
        assert path.name in (tried(function, path)[1] or path.name)


@given(st.sampled_from([FeatureConfig, PrepareConfig, SnmfConfig, StftSpec]), st.data())
@settings(suppress_health_check=SLOW)
def test_any_table_is_a_section_that_comes_back_or_an_error(cls: Any, data: st.DataObject) -> None:
    names = st.sampled_from([*to_dict(cls()), "colour"])
    section, error = tried(from_dict, cls, data.draw(st.dictionaries(names, JSON, max_size=3)))
    assert error or from_dict(cls, to_dict(section)) == section


@given(st.dictionaries(st.sampled_from(["network", "train", "features", "snmf", "x"]), JSON, max_size=3))
@settings(suppress_health_check=SLOW)
def test_any_tables_are_a_configuration_that_comes_back_or_an_error(tables: dict[str, Any]) -> None:
    found, error = tried(configuration, tables)
    assert error or configuration(found.to_dict()).to_dict() == found.to_dict()


@given(st.text(max_size=40))
def test_any_text_is_an_option_or_an_error(text: str) -> None:
    assert "\n" not in printable(text)
    setting, error = tried(parse_setting, text)
    assert error or len(setting) >= 3
    shard, error = tried(choose_shard, text, {})
    assert error or str(shard) in text
