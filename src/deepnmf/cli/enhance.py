"""`deepnmf enhance`."""

from __future__ import annotations

import os
import re
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DeepnmfError
from ._process import one_thread_per_worker, stop_on_sigterm

if TYPE_CHECKING:
    from ..enhancement.adapt import Profile
    from ..enhancement.files import FileOptions
    from ..enhancement.pipeline import RawFormat
    from ..enhancement.plan import Job
    from ..model import Model


class Channels(str, Enum):
    """Whether channels have one mask together or each its own."""

    SHARED = "shared"
    INDEPENDENT = "independent"


class ProfileMode(str, Enum):
    """What noise atoms that are learnt do to the model's."""

    ADD = "add"
    REPLACE = "replace"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(enhance)


def enhance(
    inputs: Annotated[list[str], typer.Argument(help="Audio files, folders, globs, or - for WAV on stdin.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="File, folder, or - for stdout. [default: NAME_enhanced beside the input]"),
    ] = None,
    model: Annotated[str, typer.Option(help="A model of the package, or a model file.")] = "default",
    max_attenuation_db: Annotated[
        float | None,
        typer.Option(help="Turn nothing down by more than this; 6 is gentle. [default: no limit]", min=0),
    ] = None,
    channels: Annotated[
        Channels, typer.Option(help="One mask for all channels, which keeps the stereo image, or one for each.")
    ] = Channels.SHARED,
    noise_profile: Annotated[
        str | None,
        typer.Option(
            help="Learn the noise from this FILE, or from START:END seconds of each input.", metavar="PROFILE"
        ),
    ] = None,
    profile_mode: Annotated[
        ProfileMode, typer.Option(help="Add the learnt noise to the model's, or put it in its place.")
    ] = ProfileMode.ADD,
    adapt: Annotated[bool, typer.Option("--adapt", help="Learn the noise from each recording itself.")] = False,
    output_noise: Annotated[Path | None, typer.Option(help="Also write what was removed; one input only.")] = None,
    mask_out: Annotated[Path | None, typer.Option(help="Also write the gains as .npy; one input only.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw before, after and gains; one input only.")] = None,
    output_format: Annotated[
        str | None, typer.Option(help="Format of the outputs, such as flac. [default: the input's]")
    ] = None,
    output_subtype: Annotated[
        str | None, typer.Option(help="Sample format, such as PCM_24 or FLOAT. [default: the input's]")
    ] = None,
    raw_format: Annotated[
        str | None, typer.Option(help="stdin is raw samples: s16le, s24le, s32le, f32le or f64le; so is stdout.")
    ] = None,
    raw_rate_hz: Annotated[int, typer.Option(help="Sampling rate of raw samples.")] = 16000,
    raw_channels: Annotated[int, typer.Option(help="Channels of raw samples.", min=1)] = 1,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Files to work on at a time.", min=1)] = 1,
    force: Annotated[bool, typer.Option("--force", help="Also do files whose output is there already.")] = False,
) -> None:
    """Remove noise from speech recordings, keeping rate, channels, length and format.

    The delay of streams (stdin to stdout) is 25 ms. Samples above full scale are clipped, with a warning, unless the
    output holds floats.
    """
    one_thread_per_worker()
    stop_on_sigterm()
    from ..enhancement.files import FileOptions
    from ..enhancement.pipeline import RawFormat
    from ..model import load_model

    options = FileOptions(
        max_attenuation_db,
        channels is Channels.INDEPENDENT,
        output_subtype.upper() if output_subtype else None,
        output_noise,
        mask_out,
        plot,
    )
    profile = _profile(noise_profile, adapt, profile_mode is ProfileMode.REPLACE)
    loaded = load_model(model)
    if profile is not None and isinstance(profile.source, Path):
        loaded, profile = profile.model_for(loaded, None), None
    if "-" in inputs or output == "-":
        raw = RawFormat(raw_format, raw_rate_hz, raw_channels) if raw_format else None
        _enhance_pipe(inputs, output, loaded, profile, options, raw)
    else:
        suffix = f".{output_format.lower().lstrip('.')}" if output_format else None
        _enhance_files(inputs, output, suffix, loaded, profile, options, jobs, force)


def _profile(noise_profile: str | None, adapt: bool, replace: bool) -> Profile | None:
    from ..enhancement.adapt import Profile

    if noise_profile is None:
        return Profile(None, replace) if adapt else None
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
    from ..enhancement.pipeline import enhance_pipe
    from ..enhancement.pipes import OutputClosed

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
    if len(jobs) > 1 and (options.noise or options.mask or options.picture):
        raise DeepnmfError("--output-noise, --mask-out and --plot are for one input file; give one")
    todo = [job for job in jobs if force or not job.done]
    for job in jobs[:1] if len(jobs) == 1 and not todo else []:
        typer.echo(f"deepnmf: {job.target} is there already; --force does it again", err=True)

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
    from ..audio import duration_seconds

    try:
        return duration_seconds(path)
    except DeepnmfError:
        return None  # the work itself will say why
