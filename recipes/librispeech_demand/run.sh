#!/usr/bin/env bash
# The stages, and the options --root, --exp, --stage, --stop-stage and others, are in ../common.sh.
corpus=librispeech_demand
. "$(dirname "$0")/../common.sh"
