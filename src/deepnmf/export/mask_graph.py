"""Export of the mask estimator alone: frames of magnitudes in, their masks out, every state an input and output.

The browser page runs it between transforms at the recording's own rate. Unlike the graph of
:mod:`deepnmf.export.onnx`, it takes any number of frames a call: recurrent layers are operators of ONNX, which spare a
call for each hop.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..artifacts import atomic_path
from ..errors import DeepnmfError, require
from ..model import Model
from ..networks.base import FilterEstimator, FramewiseNetwork, Network
from ..networks.kinds import kind_of
from ..networks.unfolded.deep_nmf import infer
from ..networks.unfolded.prior import bands_read
from ..networks.unfolded.recurrent_nmf import RecurrentDeepNMF
from ..nmf.updates import wiener_mask
from ..onnx_runtime import open_session
from ..training.modules import PriorModule, multi_frame_module
from .layers import constant
from .onnx import OPSET, TOLERANCE

Shapes = dict[str, tuple[int, ...]]


class MaskGraph(torch.nn.Module):
    """The masks ``(F, N)`` of magnitudes ``(F, N)`` at unit level, and the states after them.

    With a filter over several frames, arguments are the magnitudes and the phase advances ``(2, K, L, N)``, and the
    results masks and weights of the frames ``(2, 1 + K, L, N)``, real and imaginary parts; states follow both.
    """

    states: Shapes
    """Name and shape of the states; initially zero."""


def export_mask(model: Model, path: Path) -> None:
    """Write the model's mask estimator as an ONNX graph and check it against the model.

    The graph's inputs are ``magnitudes`` (F, N) at unit level and the states; its outputs are ``mask`` (F, N) and the
    next states, with ``_next`` after the name. States start as zeros. For a network with a filter over K past frames of
    the L lowest bins there are also an input ``advances`` (2, K, L, N), real and imaginary parts of the phase advances
    (:class:`deepnmf.dsp.past_frames.PastFrames`) from the nearest frame to the oldest, and an output ``filter_weights``
    (2, 1 + K, L, N) from the present frame to the oldest.

    Raises
    ------
    DeepnmfError
        If the ``onnx`` extra is missing, the model is of another kind, or the graph does not agree with the model.
    """
    require("ONNX export", "onnx", "onnxruntime")
    graph = mask_graph(model.network)
    frames = _random_frames(model, 3)
    results = _estimated(model, frames)
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns about shapes, which are constants here
            torch.onnx.export(
                graph,
                (*map(torch.from_numpy, frames.values()), *(torch.zeros(shape) for shape in graph.states.values())),
                str(temporary),
                input_names=[*frames, *graph.states],
                output_names=[*results, *(f"{name}_next" for name in graph.states)],
                dynamic_axes={name: {array.ndim - 1: "frames"} for name, array in (frames | results).items()},
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
    """Return the largest difference between graph and model over `frames`, in calls of different lengths.

    It is relative to the largest value of a result if that is above 1: weights of a filter have no bound.
    """
    session = open_session(path)
    names = [each.name for each in session.get_outputs()]
    given = _random_frames(model, frames)
    expected = _estimated(model, given)
    values = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs() if each.name not in given}
    found: dict[str, list[np.ndarray]] = {name: [] for name in expected}
    for start, stop in itertools.pairwise([0, 1, 2, frames // 2, frames]):
        part = {name: array[..., start:stop] for name, array in given.items()}
        results = dict(zip(names, session.run(None, part | values), strict=True))
        values = {name: results[f"{name}_next"] for name in values}
        for name, arrays in found.items():
            arrays.append(results[name])
    differences = {name: np.abs(np.concatenate(found[name], -1) - array).max() for name, array in expected.items()}
    return max(float(differences[name] / max(1, np.abs(array).max())) for name, array in expected.items())


def _random_frames(model: Model, frames: int) -> dict[str, np.ndarray]:
    """Return inputs of the graph besides the states, by name: magnitudes, and phase advances for a filter."""
    rng = np.random.default_rng(0)
    given = {"magnitudes": rng.lognormal(size=(model.features.stft.bins, frames)).astype(np.float32)}
    if (multi_frame := model.network.multi_frame) is not None:
        shape = multi_frame.past_frames, multi_frame.bins, frames
        given["advances"] = _parts(rng.random(shape) * np.exp(2j * np.pi * rng.random(shape)))
    return given


def _estimated(model: Model, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the model's results for inputs of the graph, by the names of its outputs."""
    if "advances" not in given:
        return {"mask": model.estimator().push(given["magnitudes"])}
    estimator = cast("FilterEstimator", model.estimator())
    oldest_first = given["advances"][:, ::-1].transpose(3, 0, 1, 2)  # (N, 2, K, L)
    mask, weights = estimator.push_with_filter(given["magnitudes"], oldest_first)
    return {"mask": mask, "filter_weights": _parts(weights[:, ::-1].transpose(1, 2, 0))}


def _parts(values: np.ndarray) -> np.ndarray:
    """Return real and imaginary parts as the first axis, float32."""
    return np.stack([values.real, values.imag]).astype(np.float32)


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
    return RecurrentGraph(network) if network.multi_frame is None else FilterGraph(network)


class FramewiseGraph(MaskGraph):
    """A network of independent frames; ``context`` holds the T − 1 earlier frames, if any."""

    def __init__(self, network: FramewiseNetwork) -> None:
        super().__init__()
        self._network = network.with_arrays({name: constant(W) for name, W in network.arrays().items()})
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
        self._dictionaries = [constant(W) for W in network.dictionaries]
        self._output = constant(network.output)
        parts = {"fullband": (prior.cells, 1), "subband": (prior.subband, prior.subbands), "fusion": (prior.fusion, 1)}
        self.states = {
            f"{part}_{kind}": (len(cells), streams, cells[0].units)
            for part, (cells, streams) in parts.items()
            if cells
            for kind in ("output", "cell")
        }

    def forward(self, m: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return masks and states (:class:`MaskGraph`)."""
        mask, _, following = self.masked(m, states)
        return (mask, *following)

    def masked(self, m: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return masks, outputs of the sub-bands of the prior ``(N, 1, B, V)``, and states."""
        h, units, following = self._prior.run(m[None], *zip(states[::2], states[1::2], strict=True))
        h = infer(m, self._dictionaries, h[:, 0].T, self._network.sparsity, self._network.beta)  # (R, N)
        mask = wiener_mask(self._output, h, self._network.speech_atoms)
        return mask, units, [each for pair in following for each in pair]


class FilterGraph(RecurrentGraph):
    """Recurrent deep NMF with a filter over several frames, whose outputs and cell states are the last states."""

    def __init__(self, network: RecurrentDeepNMF) -> None:
        super().__init__(network)
        module, multi_frame = multi_frame_module(network), network.multi_frame
        assert module is not None
        assert multi_frame is not None
        self._filter = module
        self.states |= {f"filter_{kind}": (1, multi_frame.bins, multi_frame.cell.units) for kind in ("output", "cell")}

    def forward(self, m: Tensor, advances: Tensor, *states: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Return masks, weights and states (:class:`MaskGraph`)."""
        *of_prior, output, cell = states
        mask, units, following = self.masked(m, of_prior)
        pairs = advances.permute(2, 3, 1, 0).flatten(2)[None]  # (1, L, N, 2K)
        weights, (output, cell) = self._filter.run(m[None], mask[None], units, pairs, (output, cell))
        weights = weights[0].unflatten(2, (-1, 2)).permute(3, 2, 0, 1)  # (2, 1 + K, L, N)
        return mask, weights, *following, output, cell


class _ExportedPrior(PriorModule):
    """The prior with an index in the place of ``unfold``, which ONNX does not have."""

    def neighbourhoods(self, bands: Tensor) -> Tensor:
        """Return the input bands of each sub-band (:meth:`PriorModule.neighbourhoods`)."""
        read = torch.from_numpy(bands_read(int(bands.shape[2])).T)
        return functional.pad(bands, (0, 1))[:, :, read]
