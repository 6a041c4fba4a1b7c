"""Torch modules of a recurrent deep NMF with inputs for profiles."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deepnmf.networks.unfolded.deep_nmf import infer
from deepnmf.networks.unfolded.prior import SUBBAND_STRIDE, SUBBAND_WIDTH, RecurrentPrior, bands_read
from deepnmf.networks.unfolded.profile_input import LOCAL_SCALE, PROFILE_KINDS, ProfileInput
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.nmf.updates import wiener_mask
from deepnmf.training.modules import RecurrentModule, layers_in, log_bands, to_numpy

EMBEDDING, FRAME_FEATURES = 32, 32
ADDED_FEATURES = 6
"""Features to each sub-band for profiles, beside those from the full band."""


def with_inputs(network: RecurrentDeepNMF, rng: np.random.Generator) -> RecurrentDeepNMF:
    """Return the network with inputs for both kinds of profiles, which change nothing yet."""
    prior = network.prior
    if prior.profiles:
        return network
    subbands, cell = prior.subbands, prior.subband[0]
    units, count = prior.fullband_to_subband.shape[1], len(prior.fullband_to_subband) // subbands
    weights = prior.fullband_to_subband.reshape(subbands, count, units)
    added = np.zeros((subbands, ADDED_FEATURES, units), np.float32)
    bias = prior.fullband_to_subband_bias.reshape(subbands, count)
    columns = np.zeros((len(cell.input_weights), ADDED_FEATURES), np.float32)
    prior = dataclasses.replace(
        prior,
        fullband_to_subband=np.concatenate([weights, added], axis=1).reshape(-1, units),
        fullband_to_subband_bias=np.concatenate([bias, added[:, :, 0]], axis=1).ravel(),
        subband=(dataclasses.replace(cell, input_weights=np.concatenate([cell.input_weights, columns], axis=1)),),
    )
    profiles = {kind: _random_input(prior, count + ADDED_FEATURES, rng) for kind in PROFILE_KINDS}
    return dataclasses.replace(network, prior=dataclasses.replace(prior, profiles=profiles))


def _random_input(prior: RecurrentPrior, features: int, rng: np.random.Generator) -> ProfileInput:
    def uniform(rows: int, columns: int) -> np.ndarray:
        return rng.uniform(-1, 1, (rows, columns)).astype(np.float32) / np.float32(np.sqrt(columns))

    bands, local = len(prior.pooling), uniform(features, 2 * SUBBAND_WIDTH)
    local[: features - ADDED_FEATURES] = 0  # the others enter by weights that are zero
    return ProfileInput(
        frame=uniform(FRAME_FEATURES, bands),
        frame_bias=np.zeros(FRAME_FEATURES, np.float32),
        embedding=uniform(EMBEDDING, 2 * bands + FRAME_FEATURES),
        embedding_bias=np.zeros(EMBEDDING, np.float32),
        fullband=np.zeros((len(prior.cells[0].input_bias), EMBEDDING), np.float32),
        subband=local,
        output=np.zeros((len(prior.output), EMBEDDING), np.float32),
    )


class ProfileModule(torch.nn.Module):
    """Torch module of :class:`deepnmf.networks.unfolded.profile_input.ProfileInput`."""

    def __init__(self, profile: ProfileInput) -> None:
        super().__init__()
        for item in dataclasses.fields(profile):
            setattr(self, item.name, torch.nn.Parameter(torch.tensor(getattr(profile, item.name))))

    def forward(self, bands: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings ``(S, E)`` and features ``(S, B, C)`` of log bands ``(P, S, bands)``, 0 if not given."""
        mean, spread = bands.mean(0), bands.std(0)
        frames = bands - bands.mean((0, 2))[None, :, None]
        features = functional.linear(frames, self.frame, self.frame_bias).tanh().mean(0)
        mean = mean - mean.mean(1, keepdim=True)
        embedded = functional.linear(torch.cat([mean, spread, features], 1), self.embedding, self.embedding_bias)
        read = torch.from_numpy(bands_read(mean.shape[1])).T  # (B, W)
        local = torch.cat([functional.pad(part, (0, 1))[:, read] for part in (mean, spread)], 2)  # (S, B, 2·W)
        subband = functional.linear(LOCAL_SCALE * local, self.subband)
        return embedded.tanh() * given[:, None], subband * given[:, None, None]

    def to_numpy(self) -> ProfileInput:
        """Return the input with the present weights, in NumPy."""
        return ProfileInput(
            **{item.name: to_numpy(getattr(self, item.name)) for item in dataclasses.fields(ProfileInput)}
        )


class ConditionedModule(torch.nn.Module):
    """A recurrent deep NMF with inputs for profiles, in training; of one full-band layer."""

    def __init__(self, network: RecurrentDeepNMF, precision: torch.dtype) -> None:
        super().__init__()
        self.base = RecurrentModule(network, True, precision)
        self.profiles = torch.nn.ModuleDict({kind: ProfileModule(p) for kind, p in network.prior.profiles.items()})
        self._network = network

    def forward(self, m: Tensor, profiles: Tensor, given: dict[str, Tensor]) -> Tensor:
        """Return masks ``(S, F, N)`` of magnitudes of that shape.

        `profiles` are magnitudes ``(S, F, P)``; `given`, ``(S,)`` for each kind, is 1 where they are of this kind.
        """
        network, prior = self._network, self.base.prior
        segments, bins, frames = m.shape
        bands = log_bands(m, prior.pooling)  # (N, S, bands)
        with layers_in(prior.precision, m):
            own = log_bands(profiles, prior.pooling)  # (P, S, bands)
            parts = {kind: module(own, given[kind]) for kind, module in self.profiles.items()}
            z = self._full_band(bands, torch.cat([embedded for embedded, _ in parts.values()], 1))  # (N, S, U)
            features = prior.fullband_to_subband(z).reshape(frames, segments, prior.subbands, -1)
            features = (features + torch.stack([local for _, local in parts.values()]).sum(0)).tanh()  # (N, S, B, C)
            margin = (SUBBAND_WIDTH - SUBBAND_STRIDE) // 2
            near = functional.pad(bands, (margin, margin)).unfold(2, SUBBAND_WIDTH, SUBBAND_STRIDE)
            local = torch.cat([near, features], 3).reshape(frames, segments * prior.subbands, -1)
            y, _ = prior.subband(local)
            known = torch.cat([z, prior.subband_embedding(y).reshape(frames, segments, -1)], 2)
            if prior.fusion is not None:
                known = torch.cat([known, prior.fusion(known)[0]], 2)
            added = [functional.linear(parts[kind][0], module.output) for kind, module in self.profiles.items()]
            h = prior.output(known) + torch.stack(added).sum(0)  # (N, S, R)
        h = functional.softplus(h.float()).reshape(frames * segments, -1).T
        *dictionaries, output = self.base.weights.arrays().values()
        columns = m.permute(1, 2, 0).reshape(bins, -1)  # (F, N·S)
        h = infer(columns, dictionaries, h, network.sparsity, network.beta)
        return wiener_mask(output, h, network.speech_atoms).reshape(bins, frames, segments).permute(2, 0, 1)

    def _full_band(self, bands: Tensor, embedded: Tensor) -> Tensor:
        """Return the outputs of the full-band layer, whose bias differs from segment to segment: constant inputs."""
        layer = self.base.prior.cells
        x = torch.cat([bands, embedded.to(bands.dtype).expand(len(bands), *embedded.shape)], 2)
        weights, *others = (getattr(layer, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        weights = torch.cat([weights, *(module.fullband for module in self.profiles.values())], 1)
        zeros = x.new_zeros(1, x.shape[1], layer.hidden_size)
        return torch._VF.lstm(x, (zeros, zeros), [weights, *others], True, 1, 0.0, True, False, False)[0]

    def to_numpy(self) -> RecurrentDeepNMF:
        """Return the network with the present weights, in NumPy."""
        network = self.base.to_numpy()
        profiles = {kind: module.to_numpy() for kind, module in self.profiles.items()}
        return dataclasses.replace(network, prior=dataclasses.replace(network.prior, profiles=profiles))
