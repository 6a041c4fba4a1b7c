"""Masks computed by torch on another device; everything else stays as it is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DeepnmfError, require
from ..model import Model
from ..networks.unfolded.deep_nmf import DeepNMF


@dataclass(frozen=True)
class DeviceNetwork(DeepNMF):
    """A network whose weights are torch tensors on `device`; NumPy magnitudes in, NumPy masks out."""

    device: str = "cpu"

    def mask(self, m: np.ndarray) -> Any:
        """Return the mask of stacked magnitudes ``(T·F, N)``, shape ``(F, N)``."""
        import torch

        with torch.inference_mode():
            return super().mask(torch.from_numpy(np.ascontiguousarray(m)).to(self.device)).cpu().numpy()


def on_device(model: Model, device: str) -> Model:
    """Return the model with its masks computed by torch on a device, such as ``"cuda"`` or ``"mps"``.

    NumPy on one core is fast enough for single recordings; a device pays for wide networks and large blocks.

    Raises
    ------
    DeepnmfError
        If torch does not have the device, or the model is not a deep NMF.
    """
    require("another device than the CPU", "torch")
    import torch

    network = model.network
    if type(network) is not DeepNMF:
        raise DeepnmfError("this model runs on the CPU only; leave --device out")
    try:
        moved = [torch.from_numpy(np.ascontiguousarray(W)).to(device) for W in (*network.dictionaries, network.output)]
    except (RuntimeError, AssertionError, ValueError) as error:  # torch's ways of saying that a device is not there
        raise DeepnmfError(f"device {device!r} cannot be used ({str(error).splitlines()[0]})") from None
    fields = {field.name: getattr(network, field.name) for field in dataclasses.fields(network)}
    fields.update(dictionaries=tuple(moved[:-1]), output=moved[-1])
    return dataclasses.replace(model, network=DeviceNetwork(**fields, device=device))
