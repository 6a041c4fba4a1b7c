"""The registry of kinds of networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Network

MODULES = {
    "deep-nmf": "deepnmf.networks.unfolded.deep_nmf:DeepNMF",
    "sigmoid": "deepnmf.networks.baselines.sigmoid:SigmoidNetwork",
    "mean-field": "deepnmf.networks.unfolded.markov:MeanFieldNetwork",
    "belief-propagation": "deepnmf.networks.unfolded.markov:BeliefPropagationNetwork",
    "ista": "deepnmf.networks.unfolded.ista:IstaNetwork",
    "recurrent-deep-nmf": "deepnmf.networks.unfolded.recurrent_nmf:RecurrentDeepNMF",
    "dr-nmf": "deepnmf.networks.unfolded.dr_nmf:DRNMF",
    "gru": "deepnmf.networks.baselines.mask_rnn:GRUNetwork",
    "lstm": "deepnmf.networks.baselines.mask_rnn:LSTMNetwork",
}
"""Where each kind of network is defined, by its name in model files and settings.

Names are resolved when they are used: a model file imports its own kind of network and no other.
"""


class _Kinds(Mapping[str, "type[Network]"]):
    """The classes of `MODULES`, imported on first use."""

    def __getitem__(self, kind: str) -> type[Network]:
        module, _, name = MODULES[kind].partition(":")
        return getattr(import_module(module), name)

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


KINDS = _Kinds()
"""The class of each kind of network."""


def kind_of(network: Network) -> str:
    """Return the name of a network's kind."""
    names = {where: kind for kind, where in MODULES.items()}
    found = (names.get(f"{cls.__module__}:{cls.__qualname__}") for cls in type(network).__mro__)
    return next(kind for kind in found if kind)
