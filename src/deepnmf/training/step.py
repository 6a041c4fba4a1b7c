"""One training step for every kind of network: network → loss → backward → clip → optimisers → schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..errors import DeepnmfError
from ..networks.base import Network
from ..networks.kinds import Config
from .averaging import AveragedWeights
from .batches import Batch, Example, MixedExample
from .gradients import Gradients
from .losses import BatchSize, Loss, active_windows, loss_of
from .modules import MaskModule, module_of
from .optimisers import (
    Schedule,
    load_optimiser_state,
    make_optimisers,
    optimiser_state,
)
from .paper_rule import PaperRule
from .precision import usable_precision
from .processes import ALONE, Processes
from .spectral_error import Parts
from .unfolded_updates import block_frames

State: TypeAlias = dict[str, np.ndarray]
"""Weights and optimisers in NumPy, by name."""
Placed: TypeAlias = tuple[Tensor, ...]
"""Mixture, speech and, of stored features, noise of :mod:`deepnmf.training.batches`, on the device."""
COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
WARM_UP_UPDATES, WARM_UP_SHARE = 100, 0.05
"""Updates of a warm-up, and its largest share of a run (:func:`warm_up_of`)."""
LARGEST_GRADIENT = 10.0
"""Of recurrent kinds: clipping norm of the gradient of the mean error per frame; about the typical norm."""


class Diverged(DeepnmfError):  # noqa: N818 - what has happened, not an error of the program
    """Weights, or the error, that are no longer finite."""


class TrainingStep:
    """A network in training.

    Parameters
    ----------
    network : Network
        Initial network, in NumPy.
    config : Config
        Settings of the training.
    updates : int
        Number of updates of the run, after which step sizes are zero.
    device : str
        A torch device.
    processes : Processes
        Those that share the batches: gradients, statistics and errors are summed over them.
    loss : callable, optional
        By default, that of the settings.
    """

    def __init__(
        self,
        network: Network,
        config: Config,
        updates: int,
        device: str = "cpu",
        processes: Processes = ALONE,
        loss: Loss | None = None,
    ) -> None:
        train: Any = config.train
        trained = network.trained_arrays(config.network)
        logarithmic = getattr(train, "optimiser", "adam") == "adam"
        self.precision = _common_precision(getattr(train, "precision", "float32"), device, processes)
        self.module = module_of(network, trained, logarithmic, self.precision).to(device)
        self._averaged = AveragedWeights(self.module, train.average_share) if train.average_share else None
        self._dtype = getattr(torch, next(iter(network.arrays().values())).dtype.name)
        self._loss, self._spec = loss or loss_of(train, config.features), config.features.stft
        self._optimisers = make_optimisers(self.module, train, not getattr(train, "batch_frames", 1))
        dynamic = network.DYNAMIC_MIXING
        self._schedule = Schedule(self._optimisers, updates, warm_up_of(updates) if dynamic else 0)
        self._largest_gradient = LARGEST_GRADIENT if dynamic else None
        self._paper_rule = PaperRule.of(self.module, self._optimisers, config)
        self._gradients = None if self._paper_rule else Gradients(self.module)
        self._device, self._done, self.processes = device, 0, processes
        self._is_sequence = dynamic
        self._norms: list[Tensor] = []

    def step(self, batch: Batch) -> tuple[float, int]:
        """Make one update from a batch, of which each process has a share, maybe none.

        Returns
        -------
        float
            The error, summed over the frames of all processes.
        int
            Their number.

        Raises
        ------
        Diverged
            If the error or a weight is no longer finite.
        """
        frames, size, errors = 0, None, []
        placed: Iterable[Placed] = map(self._placed, batch)
        if self._is_sequence:
            placed = kept = list(placed)
            size = self._size(kept)
        for example in placed:
            errors += [self._backward(block, size) for block in self._blocks(example)]
            frames += _frames(example)
        error, frames = self._added_up(sum(map(float, errors)), frames)  # a GPU has all its work before this waits
        self._clip(frames)
        self._schedule.set_rates(self._done)
        for optimiser in self._optimisers:
            optimiser.step()
        if self._gradients is not None:
            self._gradients.clear()
        self._done += 1
        self._check(error)
        self.module.canonicalise()
        if self._averaged is not None:
            self._averaged.add(self._done)
        return error, frames

    def _placed(self, example: Example | MixedExample) -> Placed:
        """Return the arrays of an example on the device."""
        dtype = COMPLEX[self._dtype] if self._is_sequence else self._dtype
        return tuple(torch.from_numpy(x).to(self._device, dtype, non_blocking=True) for x in example)

    def _size(self, batch: Sequence[Placed]) -> BatchSize:
        """Return the size of a batch, with the shares of the other processes."""
        windows = sum(active_windows(Parts.of(speech).power(), self._spec) for _, speech in batch)
        return BatchSize(*self.processes.sum(np.array([sum(map(_frames, batch)), windows])).tolist())

    @torch.no_grad()
    def _added_up(self, error: float, frames: int) -> tuple[float, int]:
        """Add up what the update is computed from over the processes; return the sums of error and frames."""
        if self.processes.size == 1:
            return error, frames
        totals = torch.tensor([error, frames], dtype=torch.float64)
        self.processes.add_up([*self._statistics(), totals])
        return float(totals[0]), int(totals[1])

    def _statistics(self) -> list[Tensor]:
        """Return what the update is computed from, zeros where this process had no share of the batch."""
        if self._gradients is not None:
            return self._gradients.arrays
        return self._paper_rule.parts() if self._paper_rule else []

    def _blocks(self, example: Placed) -> Iterable[Placed]:
        """Return the frames in blocks, which bound memory, if they are independent."""
        if self._is_sequence:
            return [example]
        return zip(*(x.split(block_frames(x), 2) for x in example), strict=True)

    def _backward(self, block: Placed, size: BatchSize | None) -> float | Tensor:
        """Add the gradient of the error of a part of a batch of that size; return the error."""
        if self._paper_rule is not None:
            return self._paper_rule.backward(*block)
        error = self._error(block, size)
        torch.autograd.backward(error)
        return error.detach()

    def _error(self, block: Placed, size: BatchSize | None) -> Tensor:
        """Return the error of a part of a batch of that size."""
        mixture, speech, *noise = block
        if self._is_sequence:
            return self._loss(self.module.estimate(mixture, self._spec), mixture, speech, size)
        present = mixture[:, -speech.shape[1] :]  # (S, F, N), the current frames
        return self._loss(self.module(mixture), present, speech, *noise)

    def _clip(self, frames: int) -> None:
        if self._gradients is None or not self._gradients.arrays:
            return
        norm = self._gradients.norm()
        self._norms.append(norm / frames)
        if self._largest_gradient is not None:
            self._gradients.clip(norm, self._largest_gradient * frames)

    @property
    def learning_rate(self) -> float | None:
        """Step size of the last update, of the first group of parameters."""
        return self._optimisers[0].param_groups[0]["lr"] if self._optimisers else None

    def take_gradient_norm(self) -> float | None:
        """Return the mean norm of the gradient per frame, before clipping, of the updates since the last call."""
        norms, self._norms = self._norms, []
        return float(torch.stack(norms).mean()) if norms else None

    def _check(self, error: float) -> None:
        sums = [weight.detach().sum() for weight in self.module.parameters()]  # one pass
        if np.isfinite(error) and (not sums or torch.stack(sums).isfinite().all()):
            return
        for name, weight in self.module.named_parameters():
            if not torch.isfinite(weight).all():
                raise Diverged(f"layer {self.module.weights.name_of(weight) or name} is no longer finite")
        if not np.isfinite(error):
            raise Diverged("the error is no longer finite")

    @property
    def scored(self) -> MaskModule:
        """The network that is scored and stored: of the present weights, or of their mean if the settings want it."""
        return self._averaged.module if self._averaged is not None else self.module

    def estimate(self, mixture: np.ndarray) -> np.ndarray:
        """Return the speech in the complex spectrum ``(F, N)`` of a recording at unit level, by :attr:`scored`."""
        with torch.inference_mode():
            spectra = torch.from_numpy(mixture).to(self._device)[None]
            return self.scored.estimate(spectra, self._spec)[0].cpu().numpy()

    def to_numpy(self) -> Network:
        """Return :attr:`scored` in NumPy."""
        return self.scored.to_numpy()

    def state_dict(self) -> State:
        """Return the state that a resumed run needs."""
        weights = {f"weight.{name}": value.detach() for name, value in self.module.named_parameters()}
        if self._averaged is not None:
            weights |= {f"mean.{name}": value for name, value in self._averaged.module.named_parameters()}
        state = weights | {f"optimiser.{name}": value for name, value in optimiser_state(self._optimisers).items()}
        return {name: value.cpu().numpy() for name, value in state.items()} | {"updates": np.array(self._done)}

    def load_state_dict(self, state: State) -> None:
        """Restore what :meth:`state_dict` returned."""
        tensors = {name: torch.tensor(value, device=self._device) for name, value in state.items()}
        with torch.no_grad():
            for name, value in self.module.named_parameters():
                value.copy_(tensors[f"weight.{name}"])
            for name, value in self.scored.named_parameters() if self._averaged is not None else ():
                value.copy_(tensors[f"mean.{name}"])
        prefix = "optimiser."
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        load_optimiser_state(self._optimisers, own)
        self._done = int(state["updates"])


def warm_up_of(updates: int) -> int:
    """Return the number of updates of the warm-up of a kind with dynamic mixing, short in short runs.

    On two minutes of speech, whose run has 440 updates, a warm-up of 100 put off 90 % of the final dev score from the
    12th to the 20th of 40 epochs.

    Examples
    --------
    >>> warm_up_of(440), warm_up_of(10_000)
    (22, 100)
    """
    return min(WARM_UP_UPDATES, round(WARM_UP_SHARE * updates))


def _frames(example: Placed) -> int:
    """Return the number of frames of all segments."""
    segments, _, frames = example[1].shape
    return segments * frames


def _common_precision(wanted: str, device: str, processes: Processes) -> torch.dtype:
    """Return the precision that the devices of all processes can train at."""
    precision = usable_precision(wanted, device)
    others = processes.sum(np.array([precision == torch.float32], np.int64))
    return torch.float32 if others[0] else precision
