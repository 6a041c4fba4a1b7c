"""Add to a model what further training changed in another one, where both were trained from the same model.

    python recipes/open/package_models/add_change.py profile --from OLD --to default -o exp/profile.safetensors

Weights that only the first model has stay, and so do its other properties. The change of a weight that is not negative
is added down to zero.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from deepnmf import Model, load_model
from deepnmf.errors import InputError
from deepnmf.model import save_model


def main() -> None:
    """Write the changed model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--from", dest="old", required=True, metavar="MODEL", help="before the further training")
    parser.add_argument("--to", dest="new", required=True, metavar="MODEL", help="after it")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    save_model(options.output, changed(*map(load_model, (options.model, options.old, options.new))), half=True)


def changed(model: Model, old: Model, new: Model) -> Model:
    """Return a model with the change from `old` to `new` in the weights that all three have.

    Raises
    ------
    InputError
        If `old` and `new` differ in structure, or the model lacks one of their weights.
    """
    weights, before, after = (each.network.arrays() for each in (model, old, new))
    sizes = {name: W.shape for name, W in before.items()}
    shared = {name: weights[name].shape for name in sizes if name in weights}
    if not shared == sizes == {name: W.shape for name, W in after.items()}:
        raise InputError("these models differ in structure: the change is that of a model which all are trained from")
    for name in sizes:
        W = weights[name] + (after[name] - before[name])
        weights[name] = W.clip(0) if min(weights[name].min(), after[name].min()) >= 0 else W
    network = type(model.network).from_arrays(weights, model.network.hyperparameters())
    return dataclasses.replace(model, network=network)


if __name__ == "__main__":
    main()
