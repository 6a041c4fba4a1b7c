"""Networks as torch modules, for training. Initialisation and saving are by their NumPy classes in `deepnmf.networks`.

A module takes mixtures ``(S, T·F, N)``, S segments of N frames of T stacked ones, and gives masks ``(S, F, N)``. For
frame-wise networks it wraps the same definition that enhancement uses. Recurrent layers are torch's own, which train
many times faster: a second definition, tested to be equal to the first.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from ..config import StftSpec
from ..networks.base import FramewiseNetwork, Network
from ..networks.baselines.mask_rnn import MaskNetwork
from ..networks.cells import LSTM
from ..networks.layers import FEATURE_FLOOR
from ..networks.unfolded.deep_nmf import DeepNMF, starting_activations
from ..networks.unfolded.dr_nmf import DRNMF, canonical_factors, guarded_norms
from ..networks.unfolded.prior import MARGIN, SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.updates import wiener_mask
from .layers import LSTMState, cells_to_numpy, cells_to_torch, layers_in, linear, to_numpy
from .multi_frame import MultiFrameModule, past_of
from .unfolded_updates import Layers, unfolded_updates
from .weights import Weights


class MaskModule(torch.nn.Module):
    """A network in training: ``forward`` gives the masks ``(S, F, N)`` of mixtures ``(S, T·F, N)``."""

    weights: Weights
    """Arrays that are trained by name; the rest of a module is torch's own layers."""

    def estimate(self, spectra: Tensor, spec: StftSpec) -> Tensor:  # noqa: ARG002
        """Return the speech in complex mixtures ``(S, F, N)`` at unit level, of complete recordings or segments."""
        return masked(self(spectra.abs()), spectra)

    def canonicalise(self) -> None:
        """Bring the weights into canonical form, after an update."""

    def to_numpy(self) -> Network:
        """Return the network with the present weights, in NumPy."""
        raise NotImplementedError


class FramewiseModule(MaskModule):
    """Any network of independent frames."""

    def __init__(self, network: FramewiseNetwork, trained: Collection[str], logarithmic: bool) -> None:
        super().__init__()
        self._network = network
        self.weights = Weights(network.arrays(), trained, network.NONNEGATIVE, logarithmic)

    def network(self) -> FramewiseNetwork:
        """Return the network of the present weights, differentiable."""
        return self._network.with_arrays(self.weights.arrays())

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(S, F, N)`` of mixtures ``(S, T·F, N)``."""
        segments, _, frames = m.shape
        mask = cast("Tensor", self.network().mask(m.transpose(0, 1).flatten(1)))  # (T·F, S·N) → (F, S·N)
        return mask.unflatten(1, (segments, frames)).transpose(0, 1)  # (S, F, N)

    def estimate(self, spectra: Tensor, spec: StftSpec) -> Tensor:  # noqa: ARG002
        """Return the speech in complex mixtures ``(S, F, N)`` at unit level, of complete recordings or segments."""
        bins, rows = self._network.shape
        past = rows // bins - 1
        m = functional.pad(spectra.abs(), (past, 0))
        stacked = torch.cat([m[:, :, first : first + spectra.shape[2]] for first in range(past + 1)], 1)  # (S, T·F, N)
        return masked(self(stacked), spectra)

    def to_numpy(self) -> FramewiseNetwork:
        """Return the network with the present weights, in NumPy."""
        return self._network.with_arrays(self.weights.to_numpy())


class DeepNMFModule(FramewiseModule):
    """Deep NMF, with a derivative of its own (:mod:`.unfolded_updates`)."""

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(S, F, N)`` of mixtures ``(S, T·F, N)``."""
        network: Any = self.network()
        columns = m.transpose(0, 1).flatten(1)  # (T·F, S·N)
        dictionaries = [network.dictionaries[index] for index in network.layers]
        start: Any = starting_activations(network)
        h = unfolded_updates(columns, start, dictionaries, Layers.of(network))  # (R, S·N)
        mask = wiener_mask(network.output, h, network.speech_atoms)  # (F, S·N)
        return mask.unflatten(1, (m.shape[0], m.shape[2])).transpose(0, 1)


class PriorModule(torch.nn.Module):
    """Torch module of :class:`deepnmf.networks.unfolded.prior.RecurrentPrior`, for batches of complete segments.

    Inputs for profiles are kept as they are: training is without profiles.
    """

    pooling: Tensor

    def __init__(self, prior: RecurrentPrior, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.precision = precision
        self.register_buffer("pooling", torch.tensor(prior.pooling), persistent=False)
        self.subbands, self._profiles = prior.subbands, prior.profiles
        self.cells = cells_to_torch(prior.cells)
        self.fullband_to_subband = linear(prior.fullband_to_subband, prior.fullband_to_subband_bias)
        self.subband = cells_to_torch(prior.subband)
        self.subband_embedding = linear(prior.subband_embedding, prior.subband_embedding_bias)
        self.fusion = cells_to_torch(prior.fusion) if prior.fusion else None
        self.output = linear(prior.output, prior.output_bias)

    def forward(self, m: Tensor) -> Tensor:
        """Return h⁰ ``(N, S, R)`` of magnitudes ``(S, F, N)``; states start at zero."""
        return self.run(m)[0]

    def run(self, m: Tensor, *states: LSTMState) -> tuple[Tensor, Tensor, list[LSTMState]]:
        """Return h⁰, the outputs of the sub-bands ``(N, S, B, V)``, and the states after them.

        The states are those of full band, sub-bands and fusion if any; without `states`, they start at zero.
        """
        segments, _, frames = m.shape
        before = iter(states or (None, None, None))
        bands = log_bands(m, self.pooling)  # (N, S, bands)
        with layers_in(self.precision, m):
            z, state = self.cells(bands, next(before))  # (N, S, U)
            from_full_band = self.fullband_to_subband(z).tanh()  # (N, S, B·C)
            from_full_band = from_full_band.reshape(frames, segments, self.subbands, -1)  # (N, S, B, C)
            local = torch.cat([self.neighbourhoods(bands), from_full_band], 3)  # (N, S, B, SUBBAND_WIDTH + C)
            local = local.reshape(frames, segments * self.subbands, -1)
            y, subband_state = self.subband(local, next(before))  # (N, S·B, V)
            after = [state, subband_state]
            embedding = self.subband_embedding(y).reshape(frames, segments, -1)  # (N, S, B·S')
            known = torch.cat([z, embedding], 2)  # (N, S, U + B·S')
            if self.fusion is not None:
                fused, fusion_state = self.fusion(known, next(before))  # (N, S, D)
                known = torch.cat([known, fused], 2)  # (N, S, U + B·S' + D)
                after.append(fusion_state)
            h = self.output(known)  # (N, S, R)
        return functional.softplus(h.to(m.dtype)), y.reshape(frames, segments, self.subbands, -1), after

    def neighbourhoods(self, bands: Tensor) -> Tensor:
        """Return the input bands of each sub-band, ``(N, S, B, SUBBAND_WIDTH)``, of bands ``(N, S, bands)``."""
        return functional.pad(bands, (MARGIN, MARGIN)).unfold(2, SUBBAND_WIDTH, SUBBAND_STRIDE)

    def to_numpy(self) -> RecurrentPrior:
        """Return the prior with the present weights, in NumPy."""
        return RecurrentPrior(
            pooling=to_numpy(self.pooling),
            cells=cells_to_numpy(self.cells, LSTM),
            fullband_to_subband=to_numpy(self.fullband_to_subband.weight),
            fullband_to_subband_bias=to_numpy(self.fullband_to_subband.bias),
            subband=cells_to_numpy(self.subband, LSTM),
            subband_embedding=to_numpy(self.subband_embedding.weight),
            subband_embedding_bias=to_numpy(self.subband_embedding.bias),
            fusion=cells_to_numpy(self.fusion, LSTM) if self.fusion is not None else (),
            output=to_numpy(self.output.weight),
            output_bias=to_numpy(self.output.bias),
            profiles=self._profiles,
        )


class RecurrentModule(MaskModule):
    """Torch module of :class:`deepnmf.networks.unfolded.recurrent_nmf.RecurrentDeepNMF`."""

    def __init__(
        self, network: RecurrentDeepNMF, logarithmic: bool = True, precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self._network = network
        self.prior = PriorModule(network.prior, precision)
        self.multi_frame = multi_frame_module(network, precision)
        arrays = {f"dictionary.{index}": W for index, W in enumerate(network.dictionaries)} | {"output": network.output}
        self.weights = Weights(arrays, list(arrays), network.NONNEGATIVE, logarithmic)

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(S, F, N)`` of magnitudes of that shape; states start at zero."""
        return self._mask(m)[0]

    def estimate(self, spectra: Tensor, spec: StftSpec) -> Tensor:
        """Return the speech in complex mixtures ``(S, F, N)`` at unit level, masked and filtered."""
        return self.masked_and_filtered(spectra, *self._mask(spectra.abs()), spec)

    def masked_and_filtered(self, spectra: Tensor, mask: Tensor, units: Tensor, spec: StftSpec) -> Tensor:
        """Return the speech, given masks ``(S, F, N)`` and the outputs of the prior's sub-bands ``(N, S, B, V)``."""
        estimate = masked(mask, spectra)
        if (multi_frame := self.multi_frame) is None:
            return estimate
        low = spectra[:, : multi_frame.bins]
        past = past_of(low, spec, multi_frame.past_frames)
        added = masked(mask[:, : multi_frame.bins], multi_frame.added(low, past, spectra.abs(), mask, units))
        return estimate + functional.pad(added, (0, 0, 0, spectra.shape[1] - multi_frame.bins))

    def _mask(self, m: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masks, and the outputs of the sub-bands of the prior ``(N, S, B, V)``."""
        segments, bins, frames = m.shape
        network, (*dictionaries, output) = self._network, self.weights.arrays().values()
        columns = m.permute(1, 2, 0).reshape(bins, -1)  # (F, N·S)
        h, units, _ = self.prior.run(m)
        h = h.reshape(frames * segments, -1).T  # (R, N·S)
        if depth := len(dictionaries):
            layers = Layers([network.sparsity] * depth, [None] * depth, network.beta)
            h = unfolded_updates(columns, h, dictionaries, layers)  # (R, N·S)
        mask = wiener_mask(output, h, network.speech_atoms)  # (F, N·S)
        return mask.reshape(bins, frames, segments).permute(2, 0, 1).contiguous(), units

    def to_numpy(self) -> RecurrentDeepNMF:
        """Return the network with the present weights, in NumPy."""
        *dictionaries, output = self.weights.to_numpy().values()
        network = self._network
        return dataclasses.replace(
            network,
            prior=self.prior.to_numpy(),
            dictionaries=tuple(dictionaries),
            output=output,
            multi_frame=self.multi_frame.to_numpy() if self.multi_frame is not None else None,
        )


def multi_frame_module(network: RecurrentDeepNMF, precision: torch.dtype = torch.float32) -> MultiFrameModule | None:
    """Return the filter of a network as a module, if it has one."""
    if (multi_frame := network.multi_frame) is None:
        return None
    subbands = torch.from_numpy(network.prior.subband_of_bins(multi_frame.bins))
    return MultiFrameModule(multi_frame, subbands, precision)


class DRNMFModule(MaskModule):
    """Torch module of :class:`deepnmf.networks.unfolded.dr_nmf.DRNMF`: gradients go back through layers and frames."""

    def __init__(self, network: DRNMF, logarithmic: bool = True) -> None:
        super().__init__()
        self._network = network.canonical()
        arrays = self._network.arrays()
        self.weights = Weights(arrays, list(arrays), network.NONNEGATIVE, logarithmic)

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(S, F, N)`` of magnitudes of that shape; activations start at zero."""
        present = self.weights.arrays()
        W, steps = present["atoms"], present["steps"][:, None, None]  # (K, F, R), (K, 1, 1)
        atoms = W / guarded_norms(W)  # of unit norm already, but so that gradients have no component along an atom
        inhibition = torch.eye(atoms.shape[2]).to(m) - steps * (atoms.mT @ atoms)  # (K, R, R)
        drives = steps[:, None] * (m.permute(2, 0, 1) @ atoms[:, None]) - present["thresholds"][:, None, None]
        h, last = m.new_zeros(len(m), atoms.shape[2]), []  # (S, R)
        for drive in drives.unbind(1):  # (K, S, R), one frame of all segments
            h = h @ present["transition"].T
            for layer, d in zip(inhibition.unbind(), drive.unbind(), strict=True):
                h = torch.addmm(d, h, layer).relu()
            last.append(h)
        columns = torch.stack(last, 2).transpose(0, 1).flatten(1)  # (R, S·N)
        mask = wiener_mask(present["output"], columns, self._network.speech_atoms)  # (F, S·N)
        return mask.unflatten(1, (len(m), -1)).transpose(0, 1)

    @torch.no_grad()
    def canonicalise(self) -> None:
        """Bring the weights into canonical form, in which activations and gradients do not grow with the frames."""
        self.weights.scale(canonical_factors(self.weights.arrays()))

    def to_numpy(self) -> DRNMF:
        """Return the network with the present weights, in NumPy."""
        return DRNMF(**self.weights.to_numpy(), speech_atoms=self._network.speech_atoms)


class MaskRNNModule(MaskModule):
    """Torch module of :class:`deepnmf.networks.baselines.mask_rnn.MaskNetwork`."""

    pooling: Tensor

    def __init__(self, network: MaskNetwork, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._kind, self.precision = type(network), precision
        self.register_buffer("pooling", torch.tensor(network.pooling), persistent=False)
        self.cells = cells_to_torch(network.cells)
        self.output = linear(network.output, network.output_bias)
        self.weights = Weights({}, (), (), False)

    def forward(self, m: Tensor) -> Tensor:
        """Return the masks ``(S, F, N)`` of magnitudes of that shape; states start at zero."""
        bands = log_bands(m, self.pooling)  # (N, S, bands)
        with layers_in(self.precision, m):
            z, _ = self.cells(bands)  # (N, S, U)
            y = self.output(z)  # (N, S, F)
        return y.to(m.dtype).sigmoid().permute(1, 2, 0)

    def to_numpy(self) -> MaskNetwork:
        """Return the network with the present weights, in NumPy."""
        cells = cells_to_numpy(self.cells, self._kind.CELL)
        return self._kind(to_numpy(self.pooling), cells, to_numpy(self.output.weight), to_numpy(self.output.bias))


@functools.singledispatch
def module_of(network: Network, trained: Collection[str], logarithmic: bool, precision: torch.dtype) -> MaskModule:
    """Return the torch module of a network, by its class; those of recurrent kinds are registered here."""
    raise NotImplementedError(type(network).__name__)


@module_of.register
def _(network: FramewiseNetwork, trained: Collection[str], logarithmic: bool, _: torch.dtype) -> MaskModule:
    return FramewiseModule(network, trained, logarithmic)


@module_of.register
def _(network: DeepNMF, trained: Collection[str], logarithmic: bool, _: torch.dtype) -> MaskModule:
    return DeepNMFModule(network, trained, logarithmic)


@module_of.register
def _(network: RecurrentDeepNMF, _: Collection[str], logarithmic: bool, precision: torch.dtype) -> MaskModule:
    return RecurrentModule(network, logarithmic, precision)


@module_of.register
def _(network: DRNMF, _: Collection[str], logarithmic: bool, __: torch.dtype) -> MaskModule:
    return DRNMFModule(network, logarithmic)


@module_of.register
def _(network: MaskNetwork, _: Collection[str], __: bool, precision: torch.dtype) -> MaskModule:
    return MaskRNNModule(network, precision)


def masked(mask: Tensor, spectra: Tensor) -> Tensor:
    """Return the product of a mask and complex spectra; torch is ten times slower where one factor is real."""
    return torch.complex(mask, torch.zeros_like(mask)) * spectra


def log_bands(m: Tensor, pooling: Tensor) -> Tensor:
    """Return the input of recurrent layers, ``(N, S, bands)``, from magnitudes ``(S, F, N)``."""
    return (pooling @ m + FEATURE_FLOOR).log().permute(2, 0, 1)
