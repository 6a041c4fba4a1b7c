#!/usr/bin/env bash
# The open recordings: folders speech/{train,dev,test} and noise/{train,dev,test}. Grids beside the paper's systems:
# model_size (kinds of networks), model_size/learning_rates (how their rates were chosen), package_models (what ships),
# unfolded_layers (K = 0, 1, 2 at the size of `small`, with the corpus of package_models).
# The stages, and the options --root, --exp, --grid, --stage, --stop-stage and others, are in ../common.sh.
corpus=folders
. "$(dirname "$0")/../common.sh"
