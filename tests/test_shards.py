"""Shards of a list: disjoint, complete, in order, of equal length; chosen by option, by torchrun or by Slurm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnmf.errors import InputError
from deepnmf.shards import MOST_SHARDS, WHOLE, Shard, choose_shard

COUNTS = st.integers(1, 40)


@given(COUNTS, st.integers(0, 200))
def test_the_shards_of_a_list_hold_each_item_once_in_order_and_differ_by_one(count: int, items: int) -> None:
    parts = [Shard(index, count).of(range(items)) for index in range(count)]
    assert sorted(item for part in parts for item in part) == list(range(items))
    assert all(part == sorted(part) for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(COUNTS, COUNTS, st.data())
def test_a_shard_within_another_is_that_part_of_its_part(outer: int, inner: int, data: st.DataObject) -> None:
    one = Shard(data.draw(st.integers(0, outer - 1)), outer)
    two = Shard(data.draw(st.integers(0, inner - 1)), inner)
    assert two.within(one).of(range(500)) == two.of(one.of(range(500)))


@given(st.integers(1, MOST_SHARDS), st.data())
def test_a_shard_is_read_as_it_is_printed(count: int, data: st.DataObject) -> None:
    shard = Shard(data.draw(st.integers(0, count - 1)), count)
    assert choose_shard(str(shard), {}) == shard


def test_torchrun_splits_the_given_part() -> None:
    torchrun = {"RANK": "1", "WORLD_SIZE": "2"}
    assert choose_shard(None, torchrun) == Shard(1, 2)
    assert choose_shard("3/4", torchrun).of(range(16)) == Shard(2, 4).of(range(16))[1::2]
    assert choose_shard(None, {"WORLD_SIZE": "2"}) == choose_shard(None, {"RANK": "0"}) == WHOLE


@pytest.mark.parametrize(("first", "step"), [(0, 1), (1, 1), (7, 3)])
def test_a_slurm_array_is_split_only_on_demand(first: int, step: int) -> None:
    names = {"MIN": first, "COUNT": 3, "STEP": step}
    for index in range(3):
        values = {**names, "ID": first + index * step}
        array = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}
        assert choose_shard("slurm", array) == Shard(index, 3)
        assert choose_shard(None, array) == WHOLE


@pytest.mark.parametrize(
    "text", ["", "0/4", "5/4", "1/0", "-1/4", "1", "1/", "/2", "a/b", "1.0/2", "1/2/3", "²/4", "٣/4"]
)
def test_what_is_no_shard_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="shard"):
        choose_shard(text, {})


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        (None, {"RANK": "2", "WORLD_SIZE": "2"}, "RANK"),
        (None, {"RANK": "-1", "WORLD_SIZE": "2"}, "RANK"),
        (None, {"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE"),
        ("slurm", {}, "SLURM_ARRAY_TASK_ID"),
        ("slurm", {"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_MIN is not set"),
        ("slurm", {f"SLURM_ARRAY_TASK_{n}": v for n, v in (("ID", "9"), ("MIN", "1"), ("COUNT", "3"))}, "I/N"),
    ],
)
def test_variables_that_do_not_fit_are_named(text: str | None, environment: dict[str, str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        choose_shard(text, environment)
