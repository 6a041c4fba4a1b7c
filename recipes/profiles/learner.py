"""The updates of a network with inputs for profiles: loss, optimiser, step sizes, and the running mean of weights."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from mixtures import KINDS
from modules import ConditionedModule

from deepnmf.model import Model
from deepnmf.networks.settings import RecurrentDeepNMFTraining
from deepnmf.networks.unfolded.profile_input import PROFILE_KINDS
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.training.losses import BatchSize, sequence_loss
from deepnmf.training.optimisers import load_optimiser_state, optimiser_state
from deepnmf.training.precision import usable_precision
from deepnmf.training.resynthesis import complete_frames, resynthesised
from deepnmf.training.spectral_error import Parts

WARM_UP, LARGEST_GRADIENT = 60, 10.0
DICTIONARY_RATE, PROFILE_RATE = 3.0, 2.0
"""Step sizes of dictionaries and of inputs for profiles, relative to that of the other weights."""


class Batch(NamedTuple):
    """S segments of N frames, in half precision where that is enough: they pass from process to process."""

    spectra: np.ndarray | torch.Tensor
    """``(2, S, F, 2·N)`` of mixture and speech, real and imaginary parts in turn."""
    profiles: np.ndarray | torch.Tensor
    """Log bands ``(S, P, bands)``."""
    kinds: np.ndarray | torch.Tensor
    """``(S,)``, indices into `KINDS`."""
    windows: int
    """Windows with speech (:func:`deepnmf.training.losses.active_windows`)."""


class Rates(NamedTuple):
    """Step size and averaging."""

    peak: float
    average: float


class Learner:
    """A network in training.

    Parameters
    ----------
    network : RecurrentDeepNMF
        With inputs for profiles.
    model : Model
        What it comes from: the settings of its loss are those of its training.
    rates : Rates
        Peak step size of its own weights, and the share of the running mean that an update keeps.
    device, precision : str
        A torch device, and the precision of recurrent layers on it.
    """

    def __init__(self, network: RecurrentDeepNMF, model: Model, rates: Rates, device: str, precision: str) -> None:
        torch.set_float32_matmul_precision("high")
        self._device, self.done = torch.device(device), 0
        self._module = ConditionedModule(network, usable_precision(precision, device)).to(self._device)
        self._mean, self._kept = copy.deepcopy(self._module).requires_grad_(False), rates.average
        self._optimiser = torch.optim.Adam(self._groups(rates.peak), fused=self._device.type == "cuda")
        self._peaks = [group["lr"] for group in self._optimiser.param_groups]
        trained = model.metadata.get("config", {}).get("train", {})
        losses = {name: value for name, value in trained.items() if name.startswith("loss_")}
        self._train, self._spec = RecurrentDeepNMFTraining(**losses), model.features.stft
        self._sums = torch.zeros(3, len(KINDS), device=self._device)
        """Of SI-SDR before and after, and the numbers of segments, by kind."""

    def _groups(self, peak: float) -> list[dict[str, Any]]:
        dictionaries = list(self._module.base.weights.nonnegative)
        own = {id(W) for W in dictionaries}
        return [
            {"params": [W for W in self._module.base.parameters() if id(W) not in own], "lr": peak},
            {"params": dictionaries, "lr": DICTIONARY_RATE * peak},
            {"params": list(self._module.profiles.parameters()), "lr": PROFILE_RATE * peak},
        ]

    def step(self, batch: Batch, share: float) -> None:
        """Make one update, after this share of the training; nothing here waits for a GPU."""
        parts, profiles, kinds = (torch.as_tensor(x).to(self._device, non_blocking=True) for x in batch[:3])
        mixture, speech = torch.view_as_complex(parts.float().unflatten(3, (-1, 2)))
        given = {kind: (kinds == KINDS.index(kind)).float() for kind in PROFILE_KINDS}
        estimate = self._module.estimate(mixture, profiles.float(), given, self._spec)
        frames = mixture.shape[0] * mixture.shape[2]
        size = BatchSize(frames, max(1, batch.windows))
        error = sequence_loss(self._train, self._spec, estimate, mixture, speech, size)
        torch.autograd.backward(error)
        torch.nn.utils.clip_grad_norm_(self._module.parameters(), LARGEST_GRADIENT * frames)
        for weight in self._module.parameters():
            if weight.grad is not None:
                torch.nan_to_num_(weight.grad, 0.0, 0.0, 0.0)  # an overflow is an update of nothing
        rate = min(1.0, (self.done + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * rate
        self._optimiser.step()
        self._optimiser.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(list(self._mean.parameters()), list(self._module.parameters()), 1 - self._kept)
        self._count(estimate, mixture, speech, kinds)
        self.done += 1

    @torch.no_grad()
    def _count(self, estimate: torch.Tensor, mixture: torch.Tensor, speech: torch.Tensor, kinds: torch.Tensor) -> None:
        complete = complete_frames(self._spec, mixture.shape[2])
        output, mixture, speech = (x[..., complete] for x in (resynthesised(estimate, self._spec), mixture, speech))
        before, after = (si_sdr(Parts.of(spectra), Parts.of(speech)) for spectra in (mixture, output))
        counted = (speech.abs().amax((1, 2)) > 0).float()
        values = torch.stack([before * counted, after * counted, counted])
        self._sums.index_add_(1, kinds, values)

    def line(self) -> str:
        """Return a line for the log: mean SI-SDR before and after, by kind, since the last line."""
        before, after, counts = self._sums.cpu().numpy().copy()
        self._sums.zero_()
        cells = [
            f"{kind} {b / n:.2f} -> {a / n:.2f}"
            for kind, b, a, n in zip(KINDS, before, after, counts, strict=True)
            if n
        ]
        return f"{self.done} updates; SI-SDR in dB by profile: {', '.join(cells)}"

    def averaged(self) -> RecurrentDeepNMF:
        """Return the network of averaged weights, in NumPy."""
        return self._mean.to_numpy()

    def state(self) -> dict[str, np.ndarray]:
        """Return weights, their means and the optimiser's state."""
        state = {f"weight.{name}": value.detach() for name, value in self._module.named_parameters()}
        state |= {f"mean.{name}": value.detach() for name, value in self._mean.named_parameters()}
        state |= {f"optimiser.{name}": value for name, value in optimiser_state([self._optimiser]).items()}
        return {name: value.cpu().numpy() for name, value in state.items()}

    def restore(self, arrays: dict[str, np.ndarray], done: int) -> None:
        """Put back what :meth:`state` returned after `done` updates."""
        with torch.no_grad():
            for prefix, module in (("weight", self._module), ("mean", self._mean)):
                for name, value in module.named_parameters():
                    value.copy_(torch.tensor(arrays[f"{prefix}.{name}"]))
        prefix = "optimiser."
        state = {name.removeprefix(prefix): torch.tensor(v) for name, v in arrays.items() if name.startswith(prefix)}
        load_optimiser_state([self._optimiser], state)
        self.done = done


def si_sdr(estimate: Parts, speech: Parts) -> torch.Tensor:
    """Return SI-SDR in dB of estimated spectra ``(S, F, N)``, ``(S,)``; at most 50 dB."""
    energy, estimated = (spectra.power().sum((1, 2)) for spectra in (speech, estimate))
    target = estimate.inner(speech).sum((1, 2)).square() / energy.clamp_min(1e-5)
    return 10 * ((target + 1e-5) / (estimated - target).clamp_min(1e-5 * estimated + 1e-5)).log10()
