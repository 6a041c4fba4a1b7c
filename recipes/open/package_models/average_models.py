"""Average the weights of models of one structure, such as those of runs that started from the same model.

    python recipes/open/package_models/average_models.py default=0.5 exp/package_models/perceptual=0.5 \
        -o exp/package_models/mean/best.safetensors

Each share follows the model's name or path. All other properties are those of the last model.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from deepnmf import Model, load_model
from deepnmf.errors import InputError
from deepnmf.model import save_model


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL=SHARE")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    named = [each.rpartition("=") for each in options.models]
    save_model(options.output, mean_of([(load_model(name), float(share)) for name, _, share in named]))


def mean_of(shares: list[tuple[Model, float]]) -> Model:
    """Return the model whose weights are the weighted mean of those of models.

    Raises
    ------
    InputError
        If they differ in structure.
    """
    last = shares[-1][0]
    total = sum(share for _, share in shares)
    sizes = {name: W.shape for name, W in last.network.arrays().items()}
    weights = {name: np.zeros(shape) for name, shape in sizes.items()}
    for model, share in shares:
        arrays = model.network.arrays()
        if sizes != {name: W.shape for name, W in arrays.items()}:
            raise InputError("these models differ in structure: average only models that started from the same one")
        for name, W in arrays.items():
            weights[name] += share / total * W
    single = {name: W.astype(np.float32) for name, W in weights.items()}
    return dataclasses.replace(last, network=type(last.network).from_arrays(single, last.network.hyperparameters()))


if __name__ == "__main__":
    main()
