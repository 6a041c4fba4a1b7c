"""Comparison of systems: differences are paired and antisymmetric, their order is free, one failure stops nobody."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deepnmf.artifacts import read_csv, read_json, write_json
from deepnmf.audio import files as audio
from deepnmf.cli import app
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.errors import DeepnmfError
from deepnmf.evaluation import EnhancedFiles, FolderRecordings, System, compare, evaluate, read_comparison
from deepnmf.evaluation.comparison import check_comparison_table, summarise_comparison
from deepnmf.shards import Shard
from deepnmf.training.verify import verify
from helpers.systems import RATE, SMOOTH, fussy

ONLY = ("si_sdr", "sdr")
NOTHING = System("nothing", RATE, lambda samples, _: samples)
FILES = ("scores.csv", "summary.json", "table.md")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        bursts = np.convolve(rng.standard_normal(RATE), np.hanning(16), "same")
        audio.write(tmp_path / f"speech/{name}.wav", 0.02 * bursts[None].astype(np.float32), RATE)
    audio.write(tmp_path / "hiss.wav", 0.1 * rng.standard_normal((1, RATE)).astype(np.float32), RATE)
    rows = [
        MixtureEntry(f"{name}/{snr}", "test", f"speech/{name}.wav", "hiss.wav", snr_db=snr, noise_type="hiss")
        for snr in (9.0, -6.0)
        for name in ("a", "b", "c")
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    return tmp_path / "m.jsonl"


def rows_of(scores: dict[str, float], shift: float = 0.0) -> list[dict[str, object]]:
    return [
        {"id": name, "speech": name[0], "noise_type": "", "snr_db": None, "sdr_output": value + shift}
        for name, value in scores.items()
    ]


def overall(summary: dict[str, object], name: str) -> dict[str, object]:
    (system,) = (system for system in summary["systems"] if system["name"] == name)  # type: ignore[attr-defined]
    return system["differences"]["overall"]["sdr"]["difference"]


SCORES = dict(zip("abcdefghij", np.random.default_rng(1).normal(size=10).round(6), strict=True))
OTHER = dict(zip("abcdefghij", np.random.default_rng(2).normal(size=10).round(6), strict=True))


def test_differences_are_antisymmetric() -> None:
    rows = {"x": rows_of(SCORES), "y": rows_of(OTHER)}
    forth = overall(summarise_comparison(rows, "x", ("sdr",)), "y")
    back = overall(summarise_comparison(rows, "y", ("sdr",)), "x")
    assert forth["mean"] == pytest.approx(-back["mean"], abs=2e-6)  # type: ignore[operator]
    assert forth["ci95"] == pytest.approx([-bound for bound in reversed(back["ci95"])], abs=2e-6)  # type: ignore[call-overload]


def test_a_constant_gain_is_certain_however_the_recordings_scatter() -> None:
    found = overall(summarise_comparison({"x": rows_of(SCORES), "y": rows_of(SCORES, 0.25)}, "x", ("sdr",)), "y")
    assert found == {"mean": 0.25, "ci95": [0.25, 0.25]}


def test_neither_order_of_recordings_nor_of_systems_changes_a_difference() -> None:
    ways = [
        {"x": rows_of(SCORES), "y": rows_of(OTHER), "z": rows_of(SCORES, 1)},
        {"z": rows_of(SCORES, 1)[::-1], "y": rows_of(OTHER)[::-1], "x": rows_of(SCORES)},
    ]
    first, second = (summarise_comparison(rows, "x", ("sdr",)) for rows in ways)
    assert overall(first, "y") == overall(second, "y")
    assert overall(first, "z") == overall(second, "z")


def test_means_are_those_of_recordings_that_all_have_scores_of() -> None:
    rows = {"x": rows_of(SCORES), "y": rows_of({**OTHER, "c": math.nan})[1:]}
    found = summarise_comparison(rows, "x", ("sdr",))
    for system, scores in zip(found["systems"], (SCORES, OTHER), strict=True):
        kept = [value for name, value in scores.items() if name not in "ac"]
        assert system["scores"]["overall"]["sdr"]["output"]["mean"] == pytest.approx(np.mean(kept), abs=1e-6)
        assert (system["scores"]["overall"]["sdr"]["count"], system["scores"]["overall"]["sdr"]["undefined"]) == (8, 1)
    with pytest.raises(DeepnmfError, match="no recording"):
        summarise_comparison({"x": rows_of(SCORES)[:2], "y": rows_of(OTHER)[2:]}, "x", ("sdr",))


def test_a_system_compared_with_itself_has_no_difference(manifest: Path, tmp_path: Path) -> None:
    again = System("again", RATE, SMOOTH.enhance)
    found = compare(manifest, tmp_path / "out", [SMOOTH, again], only=ONLY)
    for group in (
        found.summary["systems"][1]["differences"]["overall"],
        *found.summary["systems"][1]["differences"]["by_snr"].values(),
    ):
        assert all(group[name]["difference"] == {"mean": 0, "ci95": [0, 0]} for name in ONLY)


def test_each_system_has_the_files_of_a_run_of_its_own(manifest: Path, tmp_path: Path) -> None:
    found = compare(manifest, tmp_path / "both", [NOTHING, SMOOTH], only=ONLY)
    for system in (NOTHING, SMOOTH):
        evaluate(manifest, tmp_path / system.name, model=system, only=ONLY)
        for name in FILES:
            assert (tmp_path / "both" / system.name / name).read_bytes() == (tmp_path / system.name / name).read_bytes()
    rows = read_csv(tmp_path / "both/comparison.csv")
    assert [row["system"] for row in rows] == ["nothing"] * 6 + ["smooth"] * 6
    assert {row["sdr_improvement"] for row in rows[:6]} == {"0.0"}
    back = read_comparison(tmp_path / "both")
    assert back.rows["smooth"] == found.evaluations["smooth"].rows
    assert back.metrics == ONLY


def test_the_noisy_input_is_scored_once(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepnmf.evaluation import metrics

    calls = []
    sdr = metrics.METRICS["sdr"]

    def counted(reference: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
        calls.append(rate_hz)
        return sdr.score(reference, estimate, rate_hz)

    monkeypatch.setitem(metrics.METRICS, "sdr", __import__("dataclasses").replace(sdr, score=counted))
    compare(manifest, tmp_path / "out", [NOTHING, SMOOTH], only=["sdr"])
    assert len(calls) == 6 * 3 + 2  # input, two outputs; and a warm-up for each system


def test_a_system_that_fails_is_listed_and_the_others_are_scored(manifest: Path, tmp_path: Path) -> None:
    broken = System("broken", RATE, lambda samples, _: samples[:-1])
    some = System("some", RATE, fussy)
    found = compare(manifest, tmp_path / "out", [NOTHING, broken, some, SMOOTH], only=["si_sdr"])
    assert list(found.evaluations) == ["nothing", "some", "smooth"]
    assert any(line.startswith("broken: ") for line in found.failures)
    lost = sum(line.startswith("some: ") for line in found.failures)
    assert 0 < lost < 6
    assert found.summary["systems"][0]["scores"]["overall"]["files"] == 6 - lost
    assert f"nothing has scores of 6 files; means are those of the {6 - lost}" in found.table
    with pytest.raises(DeepnmfError, match="baseline broken"):
        compare(manifest, tmp_path / "o", [broken, SMOOTH], only=["si_sdr"])


@pytest.mark.parametrize(
    ("systems", "baseline", "message"),
    [
        ([NOTHING, NOTHING], None, "two systems are named nothing"),
        ([NOTHING, System("no/thing", RATE, fussy), System("no thing", RATE, fussy)], None, "two systems"),
        ([NOTHING, SMOOTH], "other", "none of the systems: nothing, smooth"),
        ([NOTHING, EnhancedFiles("gone", Path("gone"))], None, "gone"),
        ([], None, "no systems"),
    ],
)
def test_what_cannot_be_compared_is_named_before_anything_is_scored(
    systems: list[System], baseline: str | None, message: str, manifest: Path, tmp_path: Path
) -> None:
    with pytest.raises(DeepnmfError, match=message):
        compare(manifest, tmp_path / "out", systems, baseline=baseline)
    assert not (tmp_path / "out").exists()


def test_systems_of_other_rates_get_the_same_mixtures(manifest: Path, tmp_path: Path) -> None:
    half = System("half", RATE // 2, lambda samples, _: samples)
    found = compare(manifest, tmp_path / "out", [NOTHING, half], only=["si_sdr"])
    for one, other in zip(found.evaluations["nothing"].rows, found.evaluations["half"].rows, strict=True):
        assert one["si_sdr_input"] == other["si_sdr_input"]
    assert found.summary["systems"][1]["rate_hz"] == RATE // 2


def test_shards_give_the_bytes_of_one_run(manifest: Path, tmp_path: Path) -> None:
    systems = [NOTHING, SMOOTH]
    compare(manifest, tmp_path / "whole", systems, only=ONLY)
    first, second = (compare(manifest, tmp_path / "parts", systems, only=ONLY, shard=Shard(i, 2)) for i in (0, 1))
    assert (first.remaining, first.table, second.remaining) == (6, "", 0)
    for name in ("comparison.csv", "comparison.json", "comparison.md", *(f"smooth/{name}" for name in FILES)):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def enhanced_files(tmp_path: Path, shape: Callable[[np.ndarray], np.ndarray], name: str) -> EnhancedFiles:
    for path in (tmp_path / "speech").glob("*.wav"):
        samples, _ = audio.read(path)
        audio.write(tmp_path / name / path.name, shape(samples), RATE)
    return EnhancedFiles(name, tmp_path / name)


def test_files_and_functions_can_be_compared_on_folders(manifest: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(3).standard_normal((1, RATE)).astype(np.float32)
    enhanced_files(tmp_path, lambda x: x + 0.02 * noise, "noisy")
    better = enhanced_files(tmp_path, lambda x: x + 0.01 * noise, "better")
    recordings = FolderRecordings(manifest.parent / "speech", tmp_path / "noisy")
    found = compare(recordings, tmp_path / "out", [NOTHING, better], only=["si_sdr"])
    difference = found.summary["systems"][1]["differences"]["overall"]["si_sdr"]["difference"]["mean"]
    assert difference == pytest.approx(20 * math.log10(2), abs=0.1)
    assert set(found.summary["systems"][0]["scores"]["overall"]) == {"files", "si_sdr"}


def test_files_with_the_ids_of_a_manifest_score_as_the_system_that_made_them(manifest: Path, tmp_path: Path) -> None:
    evaluate(manifest, tmp_path / "one", model=SMOOTH, save_audio=True, only=ONLY)
    found = compare(manifest, tmp_path / "out", [SMOOTH, EnhancedFiles("files", tmp_path / "one/audio")], only=ONLY)
    for name in ONLY:
        assert found.summary["systems"][1]["differences"]["overall"][name]["difference"]["mean"] == pytest.approx(
            0, abs=1e-4
        )
    (tmp_path / "one/audio/a/9.0.wav").unlink()
    found = compare(manifest, tmp_path / "less", [SMOOTH, EnhancedFiles("files", tmp_path / "one/audio")], only=ONLY)
    assert found.failures == [f"files: a/9.0: no file of this name in {tmp_path / 'one/audio'}"]


def test_damage_is_named_and_verified(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare(manifest, out, [NOTHING, SMOOTH], only=["si_sdr"])
    assert verify(out).problems == []
    for name in ("comparison.csv", "comparison.json", "comparison.md"):
        whole = (out / name).read_bytes()
        (out / name).write_bytes(whole.replace(b"1", b"2"))
        with pytest.raises(DeepnmfError, match=name.replace(".", r"\.")):
            check_comparison_table(out)
        assert any(name in str(problem) for problem in verify(out).problems)
        (out / name).write_bytes(whole)


@pytest.mark.parametrize("value", [None, 5, [], {}, [{}], [{"name": "nothing"}], [5]])
@pytest.mark.parametrize("key", ["systems", "metrics", "baseline"])
def test_a_made_up_comparison_is_one_line(key: str, value: object, manifest: Path, tmp_path: Path) -> None:
    compare(manifest, tmp_path / "out", [NOTHING, SMOOTH], only=["si_sdr"], limit=1)
    path = tmp_path / "out/comparison.json"
    write_json(path, {**read_json(path), key: value})
    with pytest.raises(DeepnmfError, match=r"comparison\.json"):
        read_comparison(tmp_path / "out")


def command(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert isinstance(result.exception, DeepnmfError | None), result.exception
    return result.stdout + str(result.exception or "")


@pytest.mark.usefixtures("manifest")
def test_the_command_compares_models_and_folders_by_name(tmp_path: Path) -> None:
    enhanced_files(tmp_path, lambda x: 0.5 * x, "noisy")
    enhanced_files(tmp_path, lambda x: x, "a=b")
    files = ("--clean", tmp_path / "speech", "--noisy", tmp_path / "noisy", "--metric", "si_sdr")
    folders = ("--enhanced", tmp_path / "a=b", "--enhanced", f"copy={tmp_path / 'noisy'}")
    text = command(*files, "--model", "mine=snmf", *folders, "--baseline", "copy", "-o", tmp_path / "out")
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:8]] == [
        "noisy", "mine", "a=b", "copy", "mine − copy", "a=b − copy",
    ]  # fmt: skip
    assert "3 systems compared" in text
    one = command(*files, "--enhanced", tmp_path / "noisy", "-o", tmp_path / "one")
    assert "3 files scored" in one
    assert not (tmp_path / "one/comparison.json").exists()
    assert "two systems are named noisy" in command(
        *files, *["--enhanced", tmp_path / "noisy"] * 2, "-o", tmp_path / "x"
    )
