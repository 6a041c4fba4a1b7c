"""Give a model the inputs for profiles of another one that was trained from its weights.

    python recipes/profiles/attach.py default exp/profiles/profile.safetensors --kinds noise -o exp/default.safetensors

Without a profile, the model is what it was. An input for noise serves it better than the network it was trained with
(README.md); one for voices does not.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from deepnmf import Model, load_model
from deepnmf.model import save_model
from deepnmf.networks.unfolded.profile_input import PROFILE_KINDS


def main() -> None:
    """Write the model with the inputs, with 16 bits per weight."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model of the package, or a model file")
    parser.add_argument("inputs", help="model with the inputs")
    parser.add_argument("--kinds", nargs="+", choices=PROFILE_KINDS, default=["noise"])
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    model = with_inputs_of(load_model(options.model), load_model(options.inputs), options.kinds)
    save_model(options.output, model, half=True)


def with_inputs_of(model: Model, other: Model, kinds: list[str]) -> Model:
    """Return a model with the inputs of these kinds of another, of the same sizes."""
    prior = model.network.prior  # type: ignore[attr-defined]
    inputs = {kind: other.network.prior.profiles[kind] for kind in kinds}  # type: ignore[attr-defined]
    prior = dataclasses.replace(prior, profiles={**prior.profiles, **inputs})
    return dataclasses.replace(model, network=dataclasses.replace(model.network, prior=prior))


if __name__ == "__main__":
    main()
