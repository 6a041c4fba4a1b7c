"""`deepnmf enhance`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import DeepnmfError
from ._enhance_options import (
    Adapt,
    ChannelMode,
    Channels,
    Device,
    Force,
    Inputs,
    Jobs,
    MaskOut,
    MaxAttenuationDb,
    ModelName,
    NoiseProfile,
    Output,
    OutputFormat,
    OutputNoise,
    OutputSubtype,
    Plot,
    ProfileMode,
    ProfileUse,
    RawChannels,
    RawFormatName,
    RawRateHz,
    Salvage,
)
from ._process import one_thread_per_worker, stop_on_sigterm

if TYPE_CHECKING:
    from ..enhancement.adapt import Profile
    from ..enhancement.files import FileOptions
    from ..enhancement.plan import Job
    from ..enhancement.stdio import RawFormat
    from ..model import Model


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(enhance)


def enhance(
    inputs: Inputs,
    output: Output = None,
    model: ModelName = None,
    max_attenuation_db: MaxAttenuationDb = None,
    channels: ChannelMode = Channels.SHARED,
    noise_profile: NoiseProfile = None,
    profile_mode: ProfileUse = ProfileMode.ADD,
    adapt: Adapt = False,
    output_noise: OutputNoise = None,
    mask_out: MaskOut = None,
    plot: Plot = None,
    output_format: OutputFormat = None,
    output_subtype: OutputSubtype = None,
    raw_format: RawFormatName = None,
    raw_rate_hz: RawRateHz = 16000,
    raw_channels: RawChannels = 1,
    device: Device = "cpu",
    jobs: Jobs = 1,
    force: Force = False,
    salvage: Salvage = False,
) -> None:
    """Remove noise from speech recordings, keeping rate, channels, length and format.

    The delay of streams (stdin to stdout) is 25 ms. Samples above full scale are clipped, with a warning, unless the
    output holds floats.
    """
    one_thread_per_worker()
    stop_on_sigterm()
    from ..enhancement.files import FileOptions
    from ..enhancement.stdio import RawFormat
    from ..model import ADAPTABLE_MODEL, DEFAULT_MODEL, load_model

    options = FileOptions(
        max_attenuation_db,
        channels is Channels.INDEPENDENT,
        output_subtype.upper() if output_subtype else None,
        output_noise,
        mask_out,
        plot,
        salvage,
    )
    profile = _profile(noise_profile, adapt, profile_mode is ProfileMode.REPLACE)
    loaded = load_model(model or (DEFAULT_MODEL if profile is None else ADAPTABLE_MODEL))
    if profile is not None and isinstance(profile.source, Path):
        loaded, profile = profile.model_for(loaded, None), None
    if device != "cpu":
        from ..enhancement.device import on_device

        if profile is not None:
            raise DeepnmfError("learning from each recording runs on the CPU; leave --device out")
        loaded = on_device(loaded, device)
    if "-" in inputs or output == "-":
        raw = RawFormat(raw_format, raw_rate_hz, raw_channels) if raw_format else None
        _enhance_pipe(inputs, output, loaded, profile, options, raw)
    else:
        suffix = f".{output_format.lower().lstrip('.')}" if output_format else None
        _enhance_files(inputs, output, suffix, loaded, profile, options, jobs, force)


def _profile(noise_profile: str | None, adapt: bool, replace: bool) -> Profile | None:
    if noise_profile is None and not adapt:
        return None
    from ..enhancement.adapt import Profile

    if noise_profile is None:
        return Profile(None, replace)
    if adapt:
        raise DeepnmfError("--adapt and --noise-profile exclude each other; give one")
    if span := re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", noise_profile):
        return Profile((float(span[1]), float(span[2])), replace)
    return Profile(Path(noise_profile), replace)


def _enhance_pipe(
    inputs: list[str],
    output: str | None,
    model: Model,
    profile: Profile | None,
    options: FileOptions,
    raw: RawFormat | None,
) -> None:
    from ..audio.pipes import OutputClosed
    from ..enhancement.stdio import enhance_pipe

    if len(inputs) > 1:
        raise DeepnmfError("stdin or stdout carries one recording; give one input")
    if profile is not None:
        model = profile.model_for(model, None if inputs[0] == "-" else Path(inputs[0]))
    try:
        warnings = enhance_pipe(inputs[0], output or "-", model, options, raw)
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet
        return
    for line in warnings:
        typer.echo(f"deepnmf: warning: {line}", err=True)


def _enhance_files(
    inputs: list[str],
    output: str | None,
    suffix: str | None,
    model: Model,
    profile: Profile | None,
    options: FileOptions,
    workers: int,
    force: bool,
) -> None:
    from ..enhancement.batch import run_jobs
    from ..enhancement.files import enhance_file
    from ..enhancement.plan import plan

    jobs, errors = plan(inputs, Path(output) if output else None, suffix)
    beside = [path for path in (options.noise, options.mask, options.picture) if path is not None]
    if len(jobs) > 1 and beside:
        raise DeepnmfError("--output-noise, --mask-out and --plot are for one input file; give one")
    todo = [job for job in jobs if force or not job.done or not all(path.exists() for path in beside)]
    if len(jobs) == 1 and not todo:
        typer.echo(f"deepnmf: {jobs[0].target} is there already; --force does it again", err=True)

    def work(job: Job, progress: Any) -> list[str]:
        fitted = profile.model_for(model, job.source) if profile is not None else model
        return enhance_file(job.source, job.target, fitted, options, progress)

    done = 0
    with _Bar(todo) as bar:
        for outcome in run_jobs(todo, work, workers, bar.seconds):
            bar.file()
            for line in outcome.warnings:
                bar.say(f"deepnmf: warning: {line}")
            if outcome.error is not None:
                errors.append(outcome.error)
            else:
                done += 1
                bar.say(str(outcome.job.target), error=False)
    _finish(done, len(jobs) - len(todo), errors)


def _finish(done: int, skipped: int, errors: list[DeepnmfError]) -> None:
    if done + skipped + len(errors) > 1:
        typer.echo(f"deepnmf: {done} enhanced, {skipped} there already, {len(errors)} failed", err=True)
    for error in errors:
        typer.echo(f"deepnmf: {error}", err=True)
    if errors:
        raise typer.Exit(1)


class _Bar:
    """Progress over files, or over the seconds of a single one; silent unless stderr is a terminal."""

    def __init__(self, jobs: list[Job]) -> None:
        from tqdm import tqdm

        self._single = len(jobs) == 1
        total = None if not self._single or sys.stderr is None else _seconds(jobs[0].source)
        self._bar = tqdm(
            total=total if self._single else len(jobs),
            unit="s" if self._single else "file",
            disable=None if jobs else True,
            bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}]" if total else None,
        )

    def seconds(self, seconds: float) -> None:
        if self._single:
            self._bar.update(seconds)

    def file(self) -> None:
        if not self._single:
            self._bar.update(1)

    def say(self, line: str, error: bool = True) -> None:
        self._bar.write(line, file=sys.stderr if error else sys.stdout)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _seconds(path: Path) -> float | None:
    from ..audio.files import duration_seconds

    try:
        return duration_seconds(path)
    except DeepnmfError:
        return None  # the work itself will say why
