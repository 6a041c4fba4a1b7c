"""Evaluation: tables agree with each other and with the metrics; jobs and kills change nothing; bad rows are named."""

import csv
import json
import math
import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deepnmf.artifacts import read_json, write_json
from deepnmf.audio import files as audio
from deepnmf.cli import app
from deepnmf.data.manifest import MixtureEntry, write_manifest
from deepnmf.data.mixing import load_mixture
from deepnmf.errors import DeepnmfError
from deepnmf.evaluation import System, evaluate, evaluate_folders, read_evaluation
from deepnmf.evaluation.folder import check_table
from deepnmf.evaluation.items import Item
from deepnmf.evaluation.metrics import available_metrics, si_sdr
from deepnmf.evaluation.partial_scores import Score
from deepnmf.evaluation.summary import mean_and_interval
from deepnmf.evaluation.workers import score_each
from helpers.platforms import NEEDS_NAMES_OF_BYTES
from helpers.systems import RATE, SMOOTH, do_nothing, fussy, run_endless, score_or_fail, smooth
from helpers.waiting import wait_until

RESULTS = ("scores.csv", "summary.json", "table.md")
INSTALLED = available_metrics()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    t = np.arange(RATE) / RATE
    for name in ("a", "b"):
        bursts = np.convolve(rng.standard_normal(RATE), np.hanning(16), "same") * (1 + np.sin(19 * t))
        audio.write(tmp_path / f"speech/{name}.wav", 0.02 * bursts[None].astype(np.float32), RATE)
    for kind in ("hiss", "hum"):
        noise = rng.standard_normal(RATE) if kind == "hiss" else np.sin(900 * t)
        audio.write(tmp_path / f"noise/{kind}.wav", 0.1 * noise[None].astype(np.float32), RATE)
    rows = [
        MixtureEntry(
            f"{kind}/{name}_{snr}", "test", f"speech/{name}.wav", f"noise/{kind}.wav", snr_db=snr, noise_type=kind
        )
        for snr in (9.0, -6.0)
        for kind in ("hiss", "hum")
        for name in ("a", "b")
    ]
    write_manifest(tmp_path / "m.jsonl", [*rows, MixtureEntry("dev", "dev", "none.wav", "none.wav", snr_db=0.0)])
    return tmp_path / "m.jsonl"


def add_row(manifest: Path, **values: object) -> None:
    manifest.write_text(manifest.read_text() + json.dumps({"split": "test", **values}) + "\n")


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in RESULTS]


def test_csv_summary_and_table_agree(manifest: Path, tmp_path: Path) -> None:
    result = evaluate(manifest, tmp_path / "out", model=SMOOTH)
    with (tmp_path / "out/scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    summary = read_json(tmp_path / "out/summary.json")
    assert [row["id"] for row in rows][:2] == ["hiss/a_9.0", "hiss/b_9.0"]
    assert summary.pop("scores_sha256")
    assert summary == json.loads(json.dumps(result.summary))
    groups = [(summary["overall"], rows)]
    groups += [(g, [r for r in rows if float(r["snr_db"]) == float(snr)]) for snr, g in summary["by_snr"].items()]
    groups += [(g, [r for r in rows if r["noise_type"] == kind]) for kind, g in summary["by_noise_type"].items()]
    assert [group["files"] for group, _ in groups] == [8, 4, 4, 4, 4]
    for group, members in groups:
        for name in INSTALLED:
            for part in ("input", "output", "improvement"):
                mean = np.mean([float(r[f"{name}_{part}"]) for r in members])
                assert group[name][part]["mean"] == pytest.approx(mean, abs=1e-6)
                low, high = group[name][part]["ci95"]
                assert low <= group[name][part]["mean"] <= high
    best = summary["overall"]["si_sdr"]
    cell = f"{best['input']['mean']:.2f} → {best['output']['mean']:.2f} ({best['improvement']['mean']:+.2f})"
    mean_line = next(line for line in result.table.splitlines() if line.startswith("| mean"))
    assert cell in mean_line
    assert [line.split()[1] for line in result.table.splitlines()[2:7]] == ["-6", "9", "hiss", "hum", "mean"]
    assert (tmp_path / "out/table.md").read_text() == result.table


def test_rows_hold_the_scores_of_their_mixture(manifest: Path, tmp_path: Path) -> None:
    row = evaluate(manifest, tmp_path / "out", model=SMOOTH, limit=1).rows[0]
    folder = manifest.parent
    mixture = load_mixture(
        MixtureEntry("x", "test", str(folder / "speech/a.wav"), str(folder / "noise/hiss.wav"), snr_db=9.0), RATE
    )
    assert row["si_sdr_input"] == pytest.approx(si_sdr(mixture.speech, mixture.noisy), abs=1e-6)
    assert row["si_sdr_output"] == pytest.approx(si_sdr(mixture.speech, smooth(mixture.noisy, RATE)), abs=1e-6)
    for name in INSTALLED:
        improvement = row[f"{name}_output"] - row[f"{name}_input"]
        assert row[f"{name}_improvement"] == pytest.approx(improvement, abs=1e-9)


@pytest.mark.slow
def test_two_jobs_give_the_bytes_of_one(manifest: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        evaluate(manifest, tmp_path / str(jobs), model=SMOOTH, jobs=jobs)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_the_first_rows_only(manifest: Path, tmp_path: Path) -> None:
    result = evaluate(manifest, tmp_path / "out", model=SMOOTH, limit=3)
    assert [row["id"] for row in result.rows] == ["hiss/a_9.0", "hiss/b_9.0", "hum/a_9.0"]
    with pytest.raises(DeepnmfError, match="limit"):
        evaluate(manifest, tmp_path / "out", model=SMOOTH, limit=0)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(manifest: Path, tmp_path: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / "out/scores.partial.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=run_endless, args=(manifest, out), daemon=True)
    process.start()
    wait_until(
        lambda: (partial.exists() and len(re.findall(".\n", partial.read_text())) == 3) or not process.is_alive()
    )
    process.kill()
    process.join()
    done = partial.read_text()
    assert not any((out / name).exists() for name in RESULTS)
    partial.write_text(done + done.strip().splitlines()[-1][:40])  # as a kill in the middle of a line would leave it
    calls: list[int] = []

    def counted(samples: np.ndarray, rate_hz: int) -> np.ndarray:
        calls.append(len(samples))
        return smooth(samples, rate_hz)

    evaluate(manifest, out, model=System("slow", RATE, counted))
    finished = sum(bool(line) for line in done.splitlines())
    assert finished == 3
    assert len(calls) == 1 + 8 - finished  # the one to warm up
    evaluate(manifest, tmp_path / "whole", model=System("slow", RATE, smooth))
    assert contents(out) == contents(tmp_path / "whole")
    assert not partial.exists()


def test_scores_of_another_system_or_changed_file_are_not_reused(manifest: Path, tmp_path: Path) -> None:
    add_row(manifest, id="bad", speech="gone.wav", noise="noise/hum.wav", snr_db=0.0)  # keeps the partial file
    first = evaluate(manifest, tmp_path / "out", model=SMOOTH)
    assert (tmp_path / "out/scores.partial.jsonl").exists()
    other = evaluate(manifest, tmp_path / "out", model=System("same", RATE, lambda x, _: x))
    assert other.rows[0]["si_sdr_improvement"] == 0 != first.rows[0]["si_sdr_improvement"]
    speech = manifest.parent / "speech/a.wav"
    samples, _ = audio.read(speech)
    audio.write(speech, samples[:, ::-1], RATE)
    changed = evaluate(manifest, tmp_path / "out", model=SMOOTH)
    assert changed.rows[0]["si_sdr_output"] != first.rows[0]["si_sdr_output"]
    assert changed.rows[1] == first.rows[1]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_bad_rows_are_named_and_others_done(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: int
) -> None:
    (manifest.parent / "text.wav").write_text("not audio")
    add_row(manifest, id="missing", speech="gone.wav", noise="noise/hum.wav", snr_db=0.0)
    add_row(manifest, id="text", speech="text.wav", noise="noise/hum.wav", snr_db=0.0)
    result = evaluate(manifest, tmp_path / "out", model=System("fussy", RATE, fussy), jobs=jobs)
    assert len(result.rows) + len(result.failures) == 10
    assert result.failures[-2].startswith("missing: ")
    assert "not readable as audio" in result.failures[-1]
    assert any("fussy failed (ValueError: too loud)" in line for line in result.failures)
    errors = capsys.readouterr().err
    assert all(errors.count(f"deepnmf: {line}\n") == 1 for line in result.failures)


@pytest.mark.parametrize("output", [lambda x: x[:-1], lambda x: x * np.nan])
def test_a_system_that_breaks_the_contract_is_named(manifest: Path, tmp_path: Path, output: object) -> None:
    with pytest.raises(DeepnmfError, match="none of 8"):
        evaluate(manifest, tmp_path / "out", model=System("odd", RATE, lambda x, _: output(x)))  # type: ignore[operator]
    assert not (tmp_path / "out/scores.csv").exists()


def test_enhanced_audio_is_kept_on_request(manifest: Path, tmp_path: Path) -> None:
    loud = System("loud", RATE, lambda x, _: 9 * x)
    evaluate(manifest, tmp_path / "out", model=loud, save_audio=True, limit=2)
    samples, rate_hz = audio.read(tmp_path / "out/audio/hiss/b_9.0.wav")
    assert (samples.shape, rate_hz) == ((1, RATE), RATE)
    assert np.abs(samples).max() > 1
    add_row(manifest, id="../../evil", speech="speech/a.wav", noise="noise/hum.wav", snr_db=0.0)
    assert "outside" in evaluate(manifest, tmp_path / "out", model=loud, save_audio=True).failures[0]
    assert not (tmp_path / "evil.wav").exists()


def test_undefined_scores_are_counted_and_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, gain in (("silent", 0), ("loud", 0.1)):
        x = (gain * rng.standard_normal((1, RATE))).astype(np.float32)
        audio.write(tmp_path / f"clean/{name}.wav", x, RATE)
        audio.write(tmp_path / f"enhanced/{name}.wav", x + np.float32(0.01), RATE)
    result = evaluate_folders(tmp_path / "clean", tmp_path / "enhanced", tmp_path / "out")
    for name in INSTALLED:
        assert (result.summary["overall"][name]["count"], result.summary["overall"][name]["undefined"]) == (1, 1)
    loud, silent = result.rows
    assert math.isnan(silent["sdr_output"])
    assert result.summary["overall"]["sdr"]["output"] == {"mean": loud["sdr_output"], "ci95": None}
    assert "SDR: undefined for 1 of 2 files" in result.table
    assert ",nan" in (tmp_path / "out/scores.csv").read_text()
    assert "NaN" not in (tmp_path / "out/summary.json").read_text()


def folders(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    for index, name in enumerate(("x/one", "two", "three")):
        clean = rng.standard_normal((2, RATE)).astype(np.float32) * 0.1
        audio.write(tmp_path / f"clean/{name}.flac", clean, RATE)
        audio.write(tmp_path / f"noisy/{name}.wav", clean + 0.1 * rng.standard_normal(clean.shape), RATE)
        cut = (0, 100, 4000)[index]
        audio.write(tmp_path / f"enhanced/{name}.wav", clean[:, : RATE - cut], RATE)
    return [f"--{kind}={tmp_path / kind}" for kind in ("clean", "enhanced", "noisy")]


def test_folders_pair_by_path_whatever_the_suffix(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", *folders(tmp_path), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, DeepnmfError)
    assert "1 files could not be scored" in str(result.exception)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["overall"]["files"] == 2
    assert "three" in summary["failed"][0]
    assert summary["overall"]["si_sdr"]["improvement"]["mean"] > 10
    assert "| mean" in result.stdout


def test_unpaired_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = folders(tmp_path)
    (tmp_path / "enhanced/two.wav").unlink()
    (tmp_path / "noisy/three.wav").rename(tmp_path / "noisy/four.wav")
    result = evaluate_folders(tmp_path / "clean", tmp_path / "enhanced", tmp_path / "out", noisy=tmp_path / "noisy")
    assert [row["id"] for row in result.rows] == ["x/one"]
    errors = capsys.readouterr().err
    for lost, where in (("clean/two.flac", "enhanced"), ("enhanced/three.wav", "noisy"), ("noisy/four.wav", "clean")):
        assert f"{tmp_path / lost}: no file of this name in {tmp_path / where}" in errors
    with pytest.raises(DeepnmfError, match="no file has the same relative path"):
        evaluate_folders(tmp_path / "clean", tmp_path / "enhanced/x", tmp_path / "out")
    (tmp_path / "enhanced/x/one.flac").write_bytes(b"")
    with pytest.raises(DeepnmfError, match="same name"):
        evaluate_folders(tmp_path / "clean", tmp_path / "enhanced", tmp_path / "out")
    assert options


@pytest.mark.parametrize(
    "options",
    [[], ["--clean", "c"], ["--manifest", "m", "--clean", "c"], ["--clean", "c", "--enhanced", "e", "--save-audio"]],
)
def test_exactly_one_form(options: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", *options, "-o", str(tmp_path)])
    assert re.search("give either --manifest|--save-audio", str(result.exception))


def test_without_pesq_one_message_and_no_column(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    result = evaluate(manifest, tmp_path / "out", model=SMOOTH, limit=2)
    assert capsys.readouterr().err.count("PESQ left out") == 1
    assert not any("pesq" in key for key in [*result.rows[0], *result.summary["overall"]])
    assert "PESQ" not in result.table


def test_the_interval_follows_speech_not_mixtures() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.standard_normal(40), 6)[:, None]  # six equal scores of each of 40 recordings
    names = [str(i // 6) for i in range(240)]
    (by_speech,) = mean_and_interval(values, names)
    (once,) = mean_and_interval(values[::6], names[::6])
    assert by_speech == once
    assert np.ptp(by_speech["ci95"]) == pytest.approx(2 * 1.96 * values.std() / math.sqrt(40), rel=0.15)


def test_an_output_that_cannot_be_written_is_one_line(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeepnmfError, match="cannot write"):
        evaluate(manifest, tmp_path / "file", model=SMOOTH, limit=1)


@pytest.mark.slow
def test_a_folder_evaluation_loads_no_torch(tmp_path: Path) -> None:
    options = folders(tmp_path)
    code = (
        "import sys\nfrom deepnmf.cli import app\n"
        f"try: app(['evaluate', *{options}, '-o', {str(tmp_path / 'o')!r}])\n"
        "except Exception: print('torch' in sys.modules)"  # one of them is too short
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.splitlines()[-2:] == [f"2 files scored: {tmp_path / 'o/scores.csv'}", "False"]


def test_only_the_chosen_metrics_are_scored(manifest: Path, tmp_path: Path) -> None:
    result = evaluate(manifest, tmp_path / "a", model=SMOOTH, limit=1, only=["sdr"])
    assert {key for key in result.rows[0] if key.endswith("_output")} == {"sdr_output"}
    assert "PESQ" not in result.table
    with pytest.raises(DeepnmfError, match="metric mos is unknown; there are: si_sdr, sdr"):
        evaluate(manifest, tmp_path / "b", model=SMOOTH, only=["mos", "sdr"])


def test_the_folder_comes_back_and_damage_is_named(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = evaluate(manifest, out, model=SMOOTH, only=["si_sdr", "sdr"])
    found = read_evaluation(out)
    assert (found.rows, found.metrics) == (result.rows, ("si_sdr", "sdr"))
    for name in ("scores.csv", "summary.json"):
        whole = (out / name).read_bytes()
        for at in range(0, len(whole), 37):
            (out / name).write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            with pytest.raises(DeepnmfError, match=name):
                read_evaluation(out)
        (out / name).write_bytes(whole)
    check_table(out)
    (out / "table.md").write_text("| nothing |")
    with pytest.raises(DeepnmfError, match=r"table\.md"):
        check_table(out)


@pytest.mark.parametrize("value", [None, 5, [], {}, {"overall": {}}, {"files": "8"}])
@pytest.mark.parametrize("key", ["overall", "by_snr", "by_noise_type", "metrics"])
def test_a_made_up_summary_is_one_line(manifest: Path, tmp_path: Path, key: str, value: object) -> None:
    out = tmp_path / "out"
    evaluate(manifest, out, model=SMOOTH, limit=1, only=["si_sdr"])
    write_json(out / "summary.json", {**read_json(out / "summary.json"), key: value})
    if value == {} and key.startswith("by"):
        return  # no groups are a summary, too
    with pytest.raises(DeepnmfError, match=r"summary\.json"):
        read_evaluation(out)


def test_damaged_partial_scores_are_dropped_with_a_line(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_row(manifest, id="bad", speech="gone.wav", noise="noise/hum.wav", snr_db=0.0)  # keeps the partial file
    first = evaluate(manifest, tmp_path / "out", model=SMOOTH, only=["si_sdr"])
    partial = tmp_path / "out/scores.partial.jsonl"
    lines = partial.read_bytes().splitlines()
    for number, line in enumerate(lines):
        odd = [line[:20], b"\xff\xfe", b"[]", b"{}", line.replace(b"si_sdr_output", b"si_sdr_outpuu"), b"[" * 10**5]
        lines[number] = odd[number % len(odd)]
    partial.write_bytes(b"\n".join(lines))
    capsys.readouterr()
    assert evaluate(manifest, tmp_path / "out", model=SMOOTH, only=["si_sdr"]).rows == first.rows
    assert f"{partial}: 9 damaged" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_that_nobody_expected_is_one_line_and_the_others_are_done(jobs: int) -> None:
    items = {number: Item(name, "x") for number, name in enumerate(("a", "odd\nname", "c"))}
    found = dict(score_each(items, None, jobs, score_or_fail, do_nothing))
    assert all(isinstance(found[number], Score) for number in (0, 2))
    assert found[1] == "odd\\nname: unexpected ZeroDivisionError (division by zero)"


ODD_NAMES = [
    "caf\udce9",
    "=1+1",
    "<b>x",
    "a|b",
    "two\nlines",
    "\x1b[31mred",
    "'quoted",
    " spaced ",
    "x" * 200,
    "漢字\u3000",
]


@NEEDS_NAMES_OF_BYTES
def test_odd_names_are_scored_and_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ODD_NAMES:
        x = 0.1 * rng.standard_normal((1, 4000)).astype(np.float32)
        for kind in ("clean", "enhanced"):
            audio.write(tmp_path / kind / f"{name}.wav", x, RATE)
    out = tmp_path / "out"
    result = evaluate_folders(tmp_path / "clean", tmp_path / "enhanced", out, only=["si_sdr"])
    assert len(result.rows) == len(ODD_NAMES)
    assert all(row["id"].isprintable() or "\u3000" in row["id"] for row in result.rows)
    assert read_evaluation(out).rows == result.rows


def test_markup_in_the_table_is_text(manifest: Path, tmp_path: Path) -> None:
    hostile = "<script>x</script>|[a](b)*_`"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps({**row, "noise_type": hostile}) + "\n" for row in rows))
    lines = evaluate(manifest, tmp_path / "out", model=SMOOTH, limit=2, only=["si_sdr"]).table.splitlines()
    (line,) = (line for line in lines if "script" in line)
    assert not re.search(r"(?<!\\)[<>\[\]*`_]", line)
    assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", lines[0]))


def test_a_full_disk_is_one_line(manifest: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    out, limits = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 300, 1000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))  # files grow no further, as on a full disk
        try:
            with pytest.raises(DeepnmfError, match=r"partial\.jsonl: cannot write"):
                evaluate(manifest, out, model=SMOOTH, only=["si_sdr"])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not (out / "scores.csv").exists()
    evaluate(manifest, out, model=SMOOTH, only=["si_sdr"])
    evaluate(manifest, tmp_path / "whole", model=SMOOTH, only=["si_sdr"])
    assert contents(out) == contents(tmp_path / "whole")


def test_partial_scores_that_are_no_file_are_one_line(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "out/scores.partial.jsonl").mkdir(parents=True)
    with pytest.raises(DeepnmfError, match=r"partial\.jsonl"):
        evaluate(manifest, tmp_path / "out", model=SMOOTH, only=["si_sdr"])


def test_a_log_gets_no_bars(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(manifest, tmp_path / "out", model=SMOOTH, only=["si_sdr"])
    errors = capsys.readouterr().err
    assert "\r" not in errors
    assert len(errors.splitlines()) <= 3
