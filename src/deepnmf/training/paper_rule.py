"""The paper's own rule in place of autograd: parts of the gradient carried backwards through every layer (§4.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks.kinds import Config
from ..networks.settings import DeepNMFConfig, DeepNMFTraining
from ..networks.unfolded.deep_nmf import DeepNMF
from .losses import beta_loss, framewise_target
from .modules import FramewiseModule, MaskModule
from .multiplicative import backpropagate
from .optimisers import MultiplicativeUpdate


class PaperRule:
    """Gives a :class:`MultiplicativeUpdate` the parts that :func:`deepnmf.training.multiplicative.backpropagate` finds.

    Parts are sums over frames, so that any pieces of a batch add up.
    """

    def __init__(
        self, module: FramewiseModule, optimiser: MultiplicativeUpdate, train: DeepNMFTraining, trained: int
    ) -> None:
        self._module, self._optimiser, self._train, self._trained = module, optimiser, train, trained

    @classmethod
    def of(cls, module: MaskModule, optimisers: list[torch.optim.Optimizer], config: Config) -> PaperRule | None:
        """Return the rule if the settings select it."""
        train, network, multiplicative = config.train, config.network, optimisers[0] if optimisers else None
        if not (isinstance(train, DeepNMFTraining) and isinstance(network, DeepNMFConfig)):
            return None
        if train.split_at == "weights" or not isinstance(multiplicative, MultiplicativeUpdate):
            return None
        assert isinstance(module, FramewiseModule)
        return cls(module, multiplicative, train, network.trained)

    def parts(self) -> list[Tensor]:
        """Return the parts of all gradients so far, which the next update takes; a change in place changes them."""
        nonnegative = self._module.weights.nonnegative
        return [part.detach() for W in nonnegative for part in self._optimiser.given(W)]

    def backward(self, mixture: Tensor, speech: Tensor, noise: Tensor) -> float:
        """Add the parts of the gradient over these frames, ``(S, ·, N)``; return their summed error."""
        train, network = self._train, self._module.network()
        assert isinstance(network, DeepNMF)
        target = framewise_target(train, mixture[:, -speech.shape[1] :], speech, noise)
        m, s = (x.transpose(0, 1).flatten(1) for x in (mixture, target))  # (T·F, S·N) and (F, S·N)
        names = self._module.weights.names["nonnegative"]
        with torch.no_grad():
            found = backpropagate(network, m, s, self._trained, train.error_beta, train.split_at == "activations")
            error = float(beta_loss(s, found.estimate, train.error_beta))
        parts = {f"dictionary.{index}": both for index, both in found.dictionaries.items()} | {"output": found.output}
        for name, W in zip(names, self._module.weights.nonnegative, strict=True):
            self._optimiser.add_parts(W, parts[name])
        return error
