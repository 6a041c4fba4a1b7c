"""`deepnmf enhance`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import DeepnmfError
from ._console import Console
from ._enhance_options import (
    Adapt,
    AudioTrack,
    ChannelMode,
    Channels,
    Debug,
    Device,
    DryRun,
    FilesFrom,
    Inputs,
    Jobs,
    Json,
    MaxAttenuationDb,
    ModelName,
    NoiseProfile,
    Output,
    OutputFormat,
    OutputMask,
    OutputNoise,
    OutputSubtype,
    Plot,
    ProfileMode,
    ProfileUse,
    Quiet,
    RawChannels,
    RawFormatName,
    RawRateHz,
    Salvage,
    SkipExisting,
    Verbose,
    VoiceProfile,
)
from ._help import USE, add
from ._process import one_thread_per_worker, silence, uncollected
from ._shard import ShardName, chosen_shard
from ._suggestions import EnhanceCommand

if TYPE_CHECKING:
    from ..enhancement.files import FileOptions
    from ..enhancement.plan import Job, Plan
    from ..enhancement.record import Records
    from ..enhancement.setup import ModelSetup
    from ..enhancement.stdio import RawFormat
    from ..shards import Shard


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add(
        app,
        USE,
        "deepnmf enhance noisy.wav -o clean.wav",
        "deepnmf enhance recordings -o enhanced -j 4 --max-attenuation-db 12",
        cls=EnhanceCommand,
    )(enhance)


def enhance(
    inputs: Inputs = None,
    output: Output = None,
    model: ModelName = None,
    max_attenuation_db: MaxAttenuationDb = None,
    channels: ChannelMode = Channels.SHARED,
    noise_profile: NoiseProfile = None,
    profile_mode: ProfileUse = ProfileMode.ADD,
    adapt: Adapt = False,
    voice_profile: VoiceProfile = None,
    output_noise: OutputNoise = None,
    output_mask: OutputMask = None,
    plot: Plot = None,
    output_format: OutputFormat = None,
    output_subtype: OutputSubtype = None,
    salvage: Salvage = False,
    audio_track: AudioTrack = 1,
    device: Device = "cpu",
    jobs: Jobs = 1,
    files_from: FilesFrom = None,
    skip_existing: SkipExisting = False,
    shard: ShardName = None,
    dry_run: DryRun = False,
    raw_format: RawFormatName = None,
    raw_rate_hz: RawRateHz = 16000,
    raw_channels: RawChannels = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove noise from speech recordings, keeping rate, channels, length and format.

    The delay of streams (stdin to stdout) is 25 ms. Samples above full scale are clipped, with a warning, unless the
    output holds floats. A run writes over its own earlier outputs, never over an input.
    """
    one_thread_per_worker()
    with uncollected():
        from ..enhancement.batch import Batch  # noqa: F401 - here, as it imports most
        from ..enhancement.files import FileOptions
        from ..enhancement.setup import parse_profile, set_up_model

    subtype, independent = output_subtype.upper() if output_subtype else None, channels is Channels.INDEPENDENT
    beside = output_noise, output_mask, plot
    options = FileOptions(max_attenuation_db, independent, subtype, *beside, salvage, audio_track)
    profile = parse_profile(noise_profile, adapt, profile_mode is ProfileMode.REPLACE, salvage)
    load = functools.partial(set_up_model, model, profile, device, voice_profile)
    output = _as_dash(output)
    names = _names(inputs or [], files_from, output)
    console = Console(quiet, verbose, as_json, debug)
    raw, part = _raw(raw_format, raw_rate_hz, raw_channels), chosen_shard(shard, quiet)
    read = _read_besides(beside, model, noise_profile, voice_profile, files_from)
    if output == "-" or (names == ["-"] and output is None):
        _check_stdout(part, for_files=as_json or dry_run or skip_existing)
        _enhance_pipe(names[0], _loaded(load, console), options, raw, console)
    else:
        run = _dry_run if dry_run else functools.partial(_run, load, options, raw, jobs, skip_existing)
        _plan_and(run, names, output, output_format, console, part, read)
    if code := console.finish():
        raise typer.Exit(code)


def _as_dash(output: str | None) -> str | None:
    """Return the output, ``-`` for all names of stdout."""
    from ..audio.inputs import STDOUT, STDOUT_NAMES

    return STDOUT if output in STDOUT_NAMES else output


def _read_besides(
    outputs: tuple[Path | None, ...], model: str | None, *files: Path | str | None
) -> tuple[Path | str | None, ...]:
    """Return the files that are read besides recordings; raise if one of the outputs is among them."""
    from ..artifacts.outputs import check_not_read
    from ..model import BEST

    read = model, Path(model or "") / BEST, *files
    check_not_read(outputs, *read)
    return read


def _names(inputs: list[str], files_from: str | None, output: str | None) -> list[str]:
    from ..audio.inputs import STDIN, STDIN_NAMES
    from ..enhancement.inputs import read_file_list

    names = [STDIN if name in STDIN_NAMES else name for name in inputs]
    names += read_file_list(files_from) if files_from else []
    if not names:
        raise DeepnmfError("nothing to enhance: name files, folders or patterns, or - for stdin; see -h")
    if STDIN in (*names, output) and len(names) > 1:
        raise DeepnmfError("stdin or stdout carries one recording; give one input")
    return names


def _check_stdout(shard: Shard, for_files: bool) -> None:
    if not shard.is_whole:
        raise DeepnmfError("stdin or stdout carries one recording, which cannot be split; give files")
    if for_files:
        raise DeepnmfError("--json, --dry-run and --skip-existing are for outputs that are files; give -o FILE")


def _loaded(load: Callable[[], ModelSetup], console: Console) -> ModelSetup:
    setup = load()
    for line in setup.warnings:
        console.warn(line)
    return setup


def _raw(name: str | None, rate_hz: int, channels: int) -> RawFormat | None:
    from ..enhancement.stdio import RawFormat

    return RawFormat(name, rate_hz, channels) if name else None


def _enhance_pipe(
    source: str, setup: ModelSetup, options: FileOptions, raw: RawFormat | None, console: Console
) -> None:
    from ..audio.pipes import OutputClosed
    from ..enhancement.stdio import enhance_pipe

    model = setup.model
    if setup.profile is not None:
        model, doubts = setup.profile.model_for(model, None if source == "-" else Path(source))
        for line in doubts:
            console.warn(line)
    try:
        warnings = enhance_pipe(source, "-", model, options, raw)
    except OutputClosed:
        silence(sys.stdout)
        return
    for line in warnings:
        console.warn(line)


def _plan_and(
    run: Callable[[Plan, Records, Console], None],
    names: list[str],
    output: str | None,
    output_format: str | None,
    console: Console,
    shard: Shard,
    read: tuple[Path | str | None, ...],
) -> None:
    from ..artifacts.outputs import check_not_read
    from ..enhancement.plan import plan_outputs
    from ..enhancement.record import Records

    suffix = f".{output_format.lower().lstrip('.')}" if output_format else None
    with Records() as records:
        plan = plan_outputs(names, output, suffix, records, shard)
        check_not_read((job.target for job in plan.jobs), *read)
        console.not_planned(plan)
        if plan.jobs:
            run(plan, records, console)
        elif not plan.total and shard.index == 0:
            raise DeepnmfError("nothing to enhance: all that was found is left out")
        console.records(records)


def _dry_run(plan: Plan, _: Records, console: Console) -> None:
    console.planned(plan)


def _run(
    load: Callable[[], ModelSetup],
    options: FileOptions,
    raw: RawFormat | None,
    workers: int,
    skip_existing: bool,
    plan: Plan,
    records: Records,
    console: Console,
) -> None:
    from ..enhancement.batch import Batch

    setup = _loaded(load, console)
    batch = Batch(setup.model, options, setup.profile, setup.label, skip_existing, raw)
    with _Bar(plan.jobs, console.quiet) as bar:
        for outcome in batch.run(plan, records, workers, bar.seconds):
            bar.file()
            console.outcome(outcome)


class _Bar:
    """Progress over files, or over the seconds of a single one."""

    def __init__(self, jobs: list[Job], quiet: bool) -> None:
        from ..progress import Progress

        self._seconds = 0.0
        self._by_seconds = len(jobs) == 1
        total = _whole_seconds(jobs[0].source) if self._by_seconds else len(jobs)
        unit = "seconds" if self._by_seconds else "files"
        self._progress = None if quiet else Progress("enhance", total, unit, brief=True)

    def seconds(self, seconds: float) -> None:
        if self._by_seconds and self._progress is not None:
            self._seconds += seconds
            self._progress.update(int(self._seconds) - self._progress.count)

    def file(self) -> None:
        if not self._by_seconds and self._progress is not None:
            self._progress.update()

    def __enter__(self) -> _Bar:
        if self._progress is not None:
            self._progress.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self._progress is not None:
            self._progress.__exit__(*details)


def _whole_seconds(path: Path) -> int | None:
    from ..audio.files import duration_seconds

    try:
        return int(duration_seconds(path)) if path.is_file() else None
    except DeepnmfError:
        return None  # enhancement itself reports the error
