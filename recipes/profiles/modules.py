"""Torch modules of a recurrent deep NMF with inputs for profiles."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, pad, softplus

from deepnmf.config import StftSpec
from deepnmf.networks.unfolded.deep_nmf import infer
from deepnmf.networks.unfolded.prior import SUBBAND_WIDTH, RecurrentPrior, bands_read
from deepnmf.networks.unfolded.profile_input import (
    BAND_SCALE,
    BAND_STATISTICS,
    LEAST_VARIANCE,
    NOISE,
    PROFILE_KINDS,
    VOICE,
    ProfileInput,
)
from deepnmf.networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from deepnmf.nmf.updates import wiener_mask
from deepnmf.training.layers import layers_in, to_numpy
from deepnmf.training.modules import RecurrentModule, log_bands

EMBEDDING = {NOISE: 32, VOICE: 48}
FRAME_FEATURES, LOCAL_INPUTS = 64, 6
EMBEDDING_ARRAYS = ("frame", "frame_bias", "hidden", "hidden_bias", "attention", "embedding", "embedding_bias")
"""Of an input: what makes the embedding, apart from what is done with it."""


def with_inputs(
    network: RecurrentDeepNMF, rng: np.random.Generator, embedded: RecurrentDeepNMF | None = None
) -> RecurrentDeepNMF:
    """Return the network with inputs for both kinds of profiles; those that it lacks are added, and change nothing yet.

    Their embeddings are random, or those of another network with the same bands.
    """
    prior, profiles = network.prior, dict(network.prior.profiles)
    for kind in PROFILE_KINDS:
        if kind in profiles:
            continue
        profiles[kind] = _random_input(prior, EMBEDDING[kind], rng)
        if embedded is not None:
            found = {name: getattr(embedded.prior.profiles[kind], name) for name in EMBEDDING_ARRAYS}
            profiles[kind] = dataclasses.replace(profiles[kind], **found)
    return dataclasses.replace(network, prior=dataclasses.replace(prior, profiles=profiles))


def _random_input(prior: RecurrentPrior, embedding: int, rng: np.random.Generator) -> ProfileInput:
    """Return an input with a random embedding and heads of zeros."""

    def uniform(rows: int, columns: int) -> np.ndarray:
        return rng.uniform(-1, 1, (rows, columns)).astype(np.float32) / np.float32(np.sqrt(columns))

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    bands, H = len(prior.pooling), FRAME_FEATURES
    atoms, known = prior.output.shape
    gates = len(prior.cells[0].input_bias) + sum(len(cell.input_bias) for cell in prior.fusion)
    return ProfileInput(
        frame=uniform(H, 2 * bands),
        frame_bias=zeros(H),
        hidden=uniform(H, H),
        hidden_bias=zeros(H),
        attention=zeros(H),
        embedding=uniform(embedding, BAND_STATISTICS * bands + 2 * H),
        embedding_bias=zeros(embedding),
        gates=zeros(gates, embedding),
        gains=zeros(known, embedding),
        output=zeros(atoms, embedding),
        local=uniform(LOCAL_INPUTS, BAND_STATISTICS * SUBBAND_WIDTH),
        local_gates=zeros(len(prior.subband[0].input_bias), LOCAL_INPUTS),
    )


class ProfileModule(torch.nn.Module):
    """Torch module of :class:`deepnmf.networks.unfolded.profile_input.ProfileInput`."""

    read: Tensor

    def __init__(self, profile: ProfileInput) -> None:
        super().__init__()
        for item in dataclasses.fields(profile):
            setattr(self, item.name, torch.nn.Parameter(torch.tensor(getattr(profile, item.name))))
        bands = profile.frame.shape[1] // 2
        self.register_buffer("read", torch.tensor(bands_read(bands)), persistent=False)  # (W, B)

    def forward(self, bands: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings ``(S, E)`` and local inputs ``(S, B, K)`` of log bands ``(S, P, bands)``, or zeros."""
        x = (bands - bands.mean((1, 2), keepdim=True)) * BAND_SCALE
        steps = pad(x.diff(dim=1), (0, 0, 1, 0))
        statistics = torch.stack([x.mean(1), _spread(x), _spread(steps)], 1)  # (S, 3, bands)
        around = pad(statistics, (0, 1))[:, :, self.read].flatten(1, 2).mT  # (S, B, 3·W)
        e = self._embedding(torch.cat([x, steps], 2), statistics.flatten(1))
        return e * given[:, None], linear(around, self.local).tanh() * given[:, None, None]

    def _embedding(self, frames: Tensor, statistics: Tensor) -> Tensor:
        y = linear(frames, self.frame, self.frame_bias).tanh()
        y = linear(y, self.hidden, self.hidden_bias).tanh().float()  # (S, P, H)
        shares = (y @ self.attention).float().softmax(1)[:, :, None]
        mean = (shares * y).sum(1)  # (S, H)
        spread = ((shares * (y - mean[:, None]).square()).sum(1) + LEAST_VARIANCE).sqrt()
        return linear(torch.cat([statistics, mean, spread], 1), self.embedding, self.embedding_bias).tanh()

    def to_numpy(self) -> ProfileInput:
        """Return the input with the present weights, in NumPy."""
        return ProfileInput(
            **{item.name: to_numpy(getattr(self, item.name)) for item in dataclasses.fields(ProfileInput)}
        )


def _spread(x: Tensor) -> Tensor:
    return (x.var(1, unbiased=False) + LEAST_VARIANCE).sqrt()


class ConditionedModule(torch.nn.Module):
    """A recurrent deep NMF with inputs for profiles, in training; of one full-band layer."""

    def __init__(self, network: RecurrentDeepNMF, precision: torch.dtype) -> None:
        super().__init__()
        self.base = RecurrentModule(network, True, precision)
        self.profiles = torch.nn.ModuleDict({kind: ProfileModule(p) for kind, p in network.prior.profiles.items()})
        self._network = network

    def estimate(self, spectra: Tensor, profiles: Tensor, given: dict[str, Tensor], spec: StftSpec) -> Tensor:
        """Return the speech in complex mixtures ``(S, F, N)`` at unit level, masked and filtered.

        `profiles` are log bands ``(S, P, bands)``; `given`, ``(S,)`` for each kind, is 1 where they are of this kind.
        """
        network, prior, m = self._network, self.base.prior, spectra.abs()
        segments, bins, frames = m.shape
        bands = log_bands(m, prior.pooling)  # (N, S, bands)
        with layers_in(prior.precision, m):
            h, units = self._prior(bands, {kind: own(profiles, given[kind]) for kind, own in self.profiles.items()})
        h = softplus(h.float()).reshape(frames * segments, -1).T  # (R, N·S)
        *dictionaries, output = self.base.weights.arrays().values()
        columns = m.permute(1, 2, 0).reshape(bins, -1)  # (F, N·S)
        h = infer(columns, dictionaries, h, network.sparsity, network.beta)
        mask = wiener_mask(output, h, network.speech_atoms).reshape(bins, frames, segments).permute(2, 0, 1)
        return self.base.masked_and_filtered(spectra, mask, units, spec)

    def _prior(self, bands: Tensor, parts: dict[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the arguments of the activations ``(N, S, R)`` of log bands ``(N, S, bands)``.

        With them, the outputs of the sub-bands ``(N, S, B, V)``.
        """
        prior, (frames, segments, _) = self.base.prior, bands.shape
        gates, gains = self._heads("gates"), self._heads("gains")
        embedded = torch.cat([e for e, _ in parts.values()], 1)  # (S, ΣE)
        product = bands.new_ones(segments, len(gains[0]))  # (S, U + B·S' + D)
        for (e, _), head in zip(parts.values(), gains, strict=True):
            product = product * (1 + linear(e, head))
        units, fullband_gates = prior.cells.hidden_size, 4 * prior.cells.hidden_size
        z = _lstm(prior.cells, bands, embedded, [head[:fullband_gates] for head in gates])  # (N, S, U)
        z = z * product[:, :units]
        features = prior.fullband_to_subband(z).tanh().reshape(frames, segments, prior.subbands, -1)
        local = torch.cat([prior.neighbourhoods(bands), features], 3).reshape(frames, segments * prior.subbands, -1)
        constants = torch.cat([k for _, k in parts.values()], 2).flatten(0, 1)  # (S·B, ΣK)
        y = _lstm(prior.subband, local, constants, self._heads("local_gates"))  # (N, S·B, V)
        embedding = prior.subband_embedding(y).reshape(frames, segments, -1)
        known = torch.cat([z, embedding * product[:, units : units + embedding.shape[2]]], 2)
        if prior.fusion is not None:
            fused = _lstm(prior.fusion, known, embedded, [head[fullband_gates:] for head in gates])
            known = torch.cat([known, fused * product[:, known.shape[2] :]], 2)
        added = [linear(e, head) for (e, _), head in zip(parts.values(), self._heads("output"), strict=True)]
        h = prior.output(known) + torch.stack(added).sum(0)
        return h, y.reshape(frames, segments, prior.subbands, -1)

    def _heads(self, name: str) -> list[Tensor]:
        return [getattr(module, name) for module in self.profiles.values()]

    def to_numpy(self) -> RecurrentDeepNMF:
        """Return the network with the present weights, in NumPy."""
        network = self.base.to_numpy()
        profiles = {kind: module.to_numpy() for kind, module in self.profiles.items()}
        return dataclasses.replace(network, prior=dataclasses.replace(network.prior, profiles=profiles))


def _lstm(layer: torch.nn.LSTM, x: Tensor, constants: Tensor, added: list[Tensor]) -> Tensor:
    """Return the outputs ``(N, S, U)`` of a layer that has more inputs, constant in time, ``(S, J)``."""
    x = torch.cat([x, constants.to(x.dtype).expand(len(x), *constants.shape)], 2)
    weights, *others = (getattr(layer, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    zeros = x.new_zeros(1, x.shape[1], layer.hidden_size)
    return torch._VF.lstm(
        x, (zeros, zeros), [torch.cat([weights, *added], 1), *others], True, 1, 0.0, True, False, False
    )[0]
