"""Stage 4: training of a network, resumable at every epoch."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..artifacts import save_tensors
from ..artifacts.schema import ArraySpec, check_arrays, shown
from ..artifacts.tensor_file import about
from ..data.features import FeatureSet
from ..dsp.stft import istft
from ..errors import DeepnmfError, InputError
from ..evaluation.metrics import si_sdr
from ..model import BEST, Model, save_model
from ..networks.base import Network
from ..networks.kinds import Config
from ..networks.settings import RATES
from ..nmf.dictionary import Dictionary
from ..progress import Progress
from .ahead import killed_workers_named
from .batches import Batches, DynamicBatches, StoredBatches
from .curves import Curves, EpochCurves
from .duration import TimeLeft, has_stalled
from .files import CHECKPOINT, LAST
from .initial import Initial
from .inputs import Run, check_inputs, check_output, checkpoint_of
from .memory import keep_freed_memory
from .processes import ALONE, Processes, joined
from .step import Diverged, State, TrainingStep

History: TypeAlias = list[dict[str, Any]]
"""Error and dev score of each epoch."""


def on_stderr(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr, flush=True)


def train_network(
    features: Path,
    output: Path,
    config: Config | None = None,
    dictionary: Path | None = None,
    device: str = "cpu",
    report: Callable[[str], None] = on_stderr,
    tensorboard: bool = False,
    accumulate: int = 1,
    workers: int = 0,
    initial: Initial | None = None,
) -> Path:
    """Train a network and write ``best.safetensors`` and ``last.safetensors`` into the folder `output`.

    ``curves.csv`` grows by a line with each epoch (:class:`deepnmf.training.curves.EpochCurves`). The best epoch is the
    one with the highest dev score (:func:`dev_score`); epoch 0 is the network at the start. A run that was stopped
    resumes from its last complete epoch and gives the same bytes. The process keeps the memory that training frees.

    Parameters
    ----------
    features : Path
        What :func:`deepnmf.data.features.features` wrote.
    output : Path
        Folder of the models and the checkpoint.
    config : Config, optional
        Settings of the network and of its training; those of features and dictionary replace its own.
    dictionary : Path, optional
        What :func:`deepnmf.training.pretrain.pretrain` wrote, for kinds that start from it.
    report : callable
        Called with one line for each epoch and each warning.
    device, tensorboard, accumulate, workers, initial
        As for :func:`deepnmf.training.experiment.train`.

    Returns
    -------
    Path
        The best model.

    Raises
    ------
    DeepnmfError
        If the inputs do not belong together, `output` holds another run, or an error or a weight is no longer finite.
    """
    output = Path(output)
    keep_freed_memory()
    with joined(device) as processes:
        report = processes.only_first(report)
        config, source, run = check_inputs(Path(features), config or Config(), dictionary, initial)
        processes.from_first(lambda: check_output(output, run))
        inputs = Path(features), config, processes, accumulate, workers
        batches = processes.first_alone(lambda: batches_of(*inputs))  # it may decode the recordings
        start = initial.model.network if initial else _untrained(config, source)
        step = TrainingStep(start, config, _updates(config, batches), processes.device, processes)
        run = run | _precision(step, config, report)
        history, state = processes.from_first(lambda: _resume(output, run, step, report))
        step.load_state_dict(state)
        epochs = config.train.epochs if start.trained_arrays(config.network) else 0
        training = _Training(output, run, config, step, FeatureSet(features, "dev", config.context), history, epochs)
        _train_epochs(training, batches, Curves(output, history, tensorboard and not processes.rank), report)
    return output / BEST


class _Training(NamedTuple):
    """A run in progress; its `history` grows."""

    output: Path
    run: Run
    config: Config
    step: TrainingStep
    dev: FeatureSet
    history: History
    epochs: int


def _train_epochs(training: _Training, batches: Batches, curves: Curves, report: Callable[[str], None]) -> None:
    """Train the epochs that are left, each kept as soon as it is complete, until the dev score has stalled."""
    output, _, config, step, dev, history, epochs = training
    if not history:
        report(f"input: dev SI-SDR {input_score(dev, step.processes):.2f} dB")
    clock = TimeLeft()

    def keep(updates: EpochCurves) -> None:
        curves.add(history[-1]["dev_si_sdr_db"], updates)
        _save(training)
        done = len(history) - 1
        report(_line(done, epochs, **history[-1]) + (clock.after_epoch(epochs - done) if done else ""))

    with killed_workers_named(), contextlib.closing(curves):
        for epoch in range(len(history), epochs + 1):
            if has_stalled(history, config.train.patience):
                report(f"stopped early: the dev score has not risen for {config.train.patience} epochs")
                break
            updates = _epoch(step, batches, epoch, epochs, output, config) if epoch else EpochCurves()
            history.append({"error": updates.loss, "dev_si_sdr_db": _finite_score(step, dev, epoch, output, config)})
            step.processes.from_first(functools.partial(keep, updates))


def _untrained(config: Config, dictionary: Dictionary | None) -> Network:
    rng = np.random.default_rng(config.train.seed)
    return config.kind.start(config.network, config.features, dictionary, rng)


def batches_of(
    features: Path, config: Config, processes: Processes = ALONE, accumulate: int = 1, workers: int = 0
) -> Batches:
    """Return the source of batches for a kind of network."""
    train: Any = config.train
    split = processes, accumulate
    if config.kind.DYNAMIC_MIXING:
        return DynamicBatches(FeatureSet(features, "dev", 1).recordings, config, train.batch_segments, *split, workers)
    return StoredBatches(features, config.context, train.batch_frames, train.epoch_frames, train.seed, *split)


def _updates(config: Config, batches: Batches) -> int:
    """Return the approximate number of updates of the run, the length of the step-size schedules."""
    return config.train.epochs * (batches.epoch_frames // batches.batch_frames + 1 if batches.batch_frames else 1)


def _precision(step: TrainingStep, config: Config, report: Callable[[str], None]) -> Run:
    """Return the training precision of recurrent layers, for the record; report if it is not the requested one."""
    wanted = getattr(config.train, "precision", None)
    if wanted is None:
        return {}
    used = str(step.precision).removeprefix("torch.")
    if used != wanted:
        report(f"train.precision: this device cannot train with {wanted}; {used} is used")
    return {"precision": used}


def _resume(output: Path, run: Run, step: TrainingStep, report: Callable[[str], None]) -> tuple[History, State]:
    """Restore the step from the checkpoint, if there is one; return the history, and the state of the step."""
    file = checkpoint_of(output, run)
    if file is None:
        return [], step.state_dict()
    with about(file.path, "delete it and train again"):
        _check_state(file.arrays, step)
        try:
            step.load_state_dict(file.copy())
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError):
            raise InputError("its state is not that of this optimiser") from None
    before, now = file.metadata.get("processes"), step.processes.size
    if before not in (None, now):
        report(f"resume: number of processes: {now}, {shown(before)} before; results agree to rounding")
    return file.metadata["history"], step.state_dict()


def _check_state(arrays: dict[str, np.ndarray], step: TrainingStep) -> None:
    """Raise unless the weights and their mean are those of the network, and the optimiser's state has their shapes."""
    of_network = ("weight.", "mean.")
    specs = {
        name: ArraySpec(array.shape, dtypes=(array.dtype.name,))
        for name, array in step.state_dict().items()
        if name.startswith(of_network)
    }
    check_arrays(specs, {name: array for name, array in arrays.items() if name.startswith(of_network)})
    shapes = {(), *(spec.shape for spec in specs.values())}
    for name, array in arrays.items():
        if array.shape not in shapes or not np.isfinite(array).all():
            raise InputError(f"array {name} is not finite, or has the shape of no weight")


def _save(training: _Training) -> None:
    """Write the models, then the checkpoint that completes the epoch."""
    output, run, config, step, dev, history, _ = training
    network = step.to_numpy().canonical()
    network = network.calibrated(dev.sample, network.trained_arrays(config.network))
    model = Model(network, config.features, {**run, "history": history})
    scores = [entry["dev_si_sdr_db"] for entry in history]
    if scores.index(max(scores)) == len(scores) - 1:
        save_model(output / BEST, model)
    save_model(output / LAST, model)
    record = {"run": run, "history": history, "processes": step.processes.size}
    save_tensors(output / CHECKPOINT, step.state_dict(), "checkpoint", record)


def _epoch(step: TrainingStep, batches: Batches, epoch: int, epochs: int, output: Path, config: Config) -> EpochCurves:
    """Run one pass over the data, in an order drawn by seed and epoch."""
    total, seen, start = 0.0, 0, time.perf_counter()
    with Progress(f"epoch {epoch}/{epochs}", batches.epoch_frames, "frames", scaled=True, brief=True) as progress:
        for number, batch in enumerate(batches.epoch(epoch), 1):
            try:
                error, frames = step.step(batch)
            except Diverged as what:
                raise _diverged(output, f"epoch {epoch}, batch {number}", what, config) from None
            total += error
            seen += frames
            progress.update(frames, f"error {total / seen:.4f}")
    throughput = seen / (time.perf_counter() - start)
    return EpochCurves(total / seen, step.learning_rate, step.take_gradient_norm(), throughput)


def _diverged(output: Path, where: str, what: object, config: Config) -> DeepnmfError:
    rates = [f"train.{name}" for name in RATES if name in config.to_dict()["train"]]
    return DeepnmfError(
        f"{output}: training diverged in {where}: {what}; the epochs before are kept. Train again with a lower "
        f"{' or '.join(rates)}, in another folder or after emptying this one"
    )


def _finite_score(step: TrainingStep, dev: FeatureSet, epoch: int, output: Path, config: Config) -> float:
    score = dev_score(step, dev)
    if not math.isfinite(score):
        raise _diverged(output, f"epoch {epoch}", "the dev score is not a number", config)
    return score


def _line(epoch: int, epochs: int, error: float | None, dev_si_sdr_db: float) -> str:
    """Return the log line of an epoch."""
    step = "start" if error is None else f"error {error:.4f}"
    return f"epoch {epoch}/{epochs}: {step}, dev SI-SDR {dev_si_sdr_db:.2f} dB"


def dev_score(step: TrainingStep, data: FeatureSet) -> float:
    """Return the mean SI-SDR of the estimates of the split's utterances, in dB, of waveforms."""
    return _mean_si_sdr(step.estimate, data, step.processes)


def input_score(data: FeatureSet, processes: Processes = ALONE) -> float:
    """Return the mean SI-SDR of the mixtures themselves, in dB, as :func:`dev_score` has it of estimates."""
    return _mean_si_sdr(lambda mixture: mixture, data, processes)


def _mean_si_sdr(estimate_of: Callable[[np.ndarray], np.ndarray], data: FeatureSet, processes: Processes) -> float:
    scores, spec = [], data.config.stft
    for segment in processes.share(data.segments):
        (mixture, speech), level = data.spectra(segment)  # (F, past + N)
        spectra = level * np.stack([estimate_of(mixture), speech])
        estimate, clean = istft(spectra[..., segment.past :], spec, spec.hop * len(level))
        if clean.any():  # of a long recording, a part may be silent
            scores.append(si_sdr(clean, estimate))
    return float(np.mean(processes.gathered(np.array(scores, np.float64))))
