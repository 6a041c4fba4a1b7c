"""Export of the mask estimator alone: frames of magnitudes in, their masks out, every state an input and output.

The browser page runs it between transforms at the recording's own rate. Unlike the graph of
:mod:`deepnmf.export.onnx`, it takes any number of frames a call: recurrent layers are operators of ONNX, which spare a
call for each hop.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..artifacts import atomic_path
from ..errors import DeepnmfError, require
from ..model import Model
from ..networks.base import FramewiseNetwork, Network
from ..networks.kinds import kind_of
from ..networks.unfolded.deep_nmf import infer
from ..networks.unfolded.prior import bands_read
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.updates import wiener_mask
from ..training.modules import PriorModule
from .onnx import OPSET, TOLERANCE

Shapes = dict[str, tuple[int, ...]]


class MaskGraph(torch.nn.Module):
    """The masks ``(F, N)`` of magnitudes ``(F, N)`` at unit level, and the states after them."""

    states: Shapes
    """Name and shape of the states; initially zero."""


def export_mask(model: Model, path: Path) -> None:
    """Write the model's mask estimator as an ONNX graph and check it against the model.

    The graph's inputs are ``magnitudes`` (F, N) at unit level and the states; its outputs are ``mask`` (F, N) and the
    next states, with ``_next`` after the name. States start as zeros.

    Raises
    ------
    DeepnmfError
        If the ``onnx`` extra is missing, the model is of another kind, or the graph does not agree with the model.
    """
    require("ONNX export", "onnx", "onnxruntime")
    graph = mask_graph(model.network)
    magnitudes = torch.ones(model.features.stft.bins, 3)
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns about shapes, which are constants here
            torch.onnx.export(
                graph,
                (magnitudes, *(torch.zeros(shape) for shape in graph.states.values())),
                str(temporary),
                input_names=["magnitudes", *graph.states],
                output_names=["mask", *(f"{name}_next" for name in graph.states)],
                dynamic_axes={"magnitudes": {1: "frames"}, "mask": {1: "frames"}},
                opset_version=OPSET,
                dynamo=False,
            )
        _share_constants(temporary)
        if (error_found := disagreement(model, temporary)) > TOLERANCE:
            raise DeepnmfError(f"{path}: the exported graph differs from the model by {error_found:.1e}; not written")


def _share_constants(path: Path) -> None:
    """Keep one of equal constants: the tracer copies a dictionary for each layer that uses it."""
    import onnx

    graph = onnx.load(str(path))
    kept: dict[bytes, str] = {}
    names: dict[str, str] = {}
    for node in [node for node in graph.graph.node if node.op_type == "Constant"]:
        tensor = onnx.TensorProto()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.ClearField("name")
        first = kept.setdefault(tensor.SerializeToString(), node.output[0])
        if first != node.output[0]:
            names[node.output[0]] = first
            graph.graph.node.remove(node)
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(graph, str(path))


def disagreement(model: Model, path: Path, frames: int = 50) -> float:
    """Return the largest difference between graph and model over `frames`, in calls of different lengths."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()[1:]}
    magnitudes = np.random.default_rng(0).lognormal(size=(model.features.stft.bins, frames)).astype(np.float32)
    found = []
    for part in np.split(magnitudes, [1, 2, frames // 2], axis=1):
        mask, *following = session.run(None, {"magnitudes": part, **values})
        values = dict(zip(values, following, strict=True))
        found.append(mask)
    return float(np.abs(np.concatenate(found, axis=1) - model.estimator().push(magnitudes)).max())


@functools.singledispatch
def mask_graph(network: Network) -> MaskGraph:
    """Return a network as a module to export.

    Raises
    ------
    DeepnmfError
        If there is none for networks of this kind.
    """
    raise DeepnmfError(f"models of the kind {kind_of(network)} cannot be exported")


@mask_graph.register
def _(network: FramewiseNetwork) -> MaskGraph:
    return FramewiseGraph(network)


@mask_graph.register
def _(network: RecurrentDeepNMF) -> MaskGraph:
    return RecurrentGraph(network)


class FramewiseGraph(MaskGraph):
    """A network of independent frames; ``context`` holds the T − 1 earlier frames, if any."""

    def __init__(self, network: FramewiseNetwork) -> None:
        super().__init__()
        self._network = network.with_arrays({name: _tensor(W) for name, W in network.arrays().items()})
        bins, stacked = network.shape
        self._earlier = stacked // bins - 1
        self.states = {"context": (bins, self._earlier)} if self._earlier else {}

    def forward(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return masks and states (:class:`MaskGraph`)."""
        earlier = self._earlier
        padded = torch.cat([*states, m], 1)  # (F, T − 1 + N)
        shifted = [padded[:, shift : shift - earlier or None] for shift in range(earlier + 1)]
        mask = cast("Tensor", self._network.mask(torch.cat(shifted)))
        return (mask, padded[:, -earlier:]) if states else (mask,)


class RecurrentGraph(MaskGraph):
    """Recurrent deep NMF; the states are outputs and cell states of the full band, all sub-bands and the fusion."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        super().__init__()
        prior = network.prior
        self._network, self._prior = network, _ExportedPrior(prior)
        self._dictionaries = [_tensor(W) for W in network.dictionaries]
        self._output = _tensor(network.output)
        parts = {"fullband": (prior.cells, 1), "subband": (prior.subband, prior.subbands), "fusion": (prior.fusion, 1)}
        self.states = {
            f"{part}_{kind}": (len(cells), streams, cells[0].units)
            for part, (cells, streams) in parts.items()
            if cells
            for kind in ("output", "cell")
        }

    def forward(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return masks and states (:class:`MaskGraph`)."""
        h, _, following = self._prior.run(m[None], *zip(states[::2], states[1::2], strict=True))
        h = infer(m, self._dictionaries, h[:, 0].T, self._network.sparsity, self._network.beta)  # (R, N)
        return wiener_mask(self._output, h, self._network.speech_atoms), *(each for pair in following for each in pair)


class _ExportedPrior(PriorModule):
    """The prior with an index in the place of ``unfold``, which ONNX does not have."""

    def neighbourhoods(self, bands: Tensor) -> Tensor:
        """Return the input bands of each sub-band (:meth:`PriorModule.neighbourhoods`)."""
        read = torch.from_numpy(bands_read(int(bands.shape[2])).T)
        return functional.pad(bands, (0, 1))[:, :, read]


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
