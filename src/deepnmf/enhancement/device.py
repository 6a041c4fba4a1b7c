"""Masks computed by torch on another device; everything else stays in NumPy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import DeepnmfError, InputError, require
from ..model import Model
from ..networks.base import Estimator, FramewiseNetwork, MaskEstimator

if TYPE_CHECKING:
    import torch


class DeviceNetwork:
    """A network of independent frames evaluated on a torch device, with NumPy arrays in and out.

    Parameters
    ----------
    network : FramewiseNetwork
        With NumPy weights.
    device : str
        A torch device; kept as an attribute.
    """

    def __init__(self, network: FramewiseNetwork, device: str) -> None:
        import torch

        arrays = {name: torch.from_numpy(np.array(W)).to(device) for name, W in network.arrays().items()}
        self._network, self.device = network.with_arrays(arrays), device

    def mask(self, m: np.ndarray) -> np.ndarray:
        """Return the mask of stacked magnitudes ``(T·F, N)``, shape ``(F, N)``."""
        import torch

        with torch.inference_mode():
            mask = self._network.mask(torch.from_numpy(np.ascontiguousarray(m)).to(self.device))
            return cast("torch.Tensor", mask).cpu().numpy()

    def estimator(self) -> Estimator:
        """Return a new streaming mask estimator."""
        bins, stacked = self._network.shape
        return MaskEstimator(self.mask, bins, stacked // bins)


@dataclasses.dataclass(frozen=True)
class DeviceModel(Model):
    """A model whose masks come from a :class:`DeviceNetwork`."""

    on: DeviceNetwork = dataclasses.field(kw_only=True)

    def estimator(self) -> Estimator:
        """Return a new streaming mask estimator."""
        return self.on.estimator()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the device by its name: another process has its own copy of the weights there."""
        return on_device, (Model(self.network, self.features, self.metadata), self.on.device)


def on_device(model: Model, device: str) -> Model:
    """Return the model with its masks computed by torch on a device, such as ``"cuda"`` or ``"mps"``.

    NumPy on one core is fast enough for single recordings; a device pays for wide networks and large blocks.

    Raises
    ------
    DeepnmfError
        If torch does not support the device, or the model's frames are not independent.
    """
    network = model.network.framewise()
    if network is None:
        raise InputError("this model runs on the CPU only: its frames are not independent")
    check_device(device)
    return DeviceModel(model.network, model.features, model.metadata, on=DeviceNetwork(network, device))


def check_device(device: str) -> None:
    """Check that torch is installed and can compute on a device; for the CPU, torch need not be imported.

    Raises
    ------
    DeepnmfError
        If it cannot.
    """
    require(f"device {device!r}", "torch")
    if device == "cpu":
        return
    import torch

    try:
        torch.ones(1, device=device).add(1).cpu()
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise DeepnmfError(f"device {device!r} cannot be used ({str(error).splitlines()[0]})") from None
