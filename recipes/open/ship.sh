#!/usr/bin/env bash
# Train the models of the package from what may ship of the shared data, and score them on dev.
# Usage: recipes/open/ship.sh [--data DIR] [--exp DIR] [--stage N] [--stop-stage N]
# Every stage goes on where an earlier run stopped. One core: 6 minutes for stages 1 to 4, about 90 for stage 5.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=../shared/data exp=exp/ship stage=1 stop_stage=6
while [ $# -gt 0 ]; do
  case "$1" in
    --data) data=$2 ;; --exp) exp=$2 ;; --stage) stage=$2 ;; --stop-stage) stop_stage=$2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
config=(--config "$here/ship.toml")
inputs=(--features "$exp/features" --dictionary "$exp/dictionary.safetensors")
small=(--set snmf.speech_atoms=24 --set snmf.noise_atoms=24)
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

if wanted 1; then
  echo "stage 1: corpus"
  [ -e "$exp/manifest.jsonl" ] || python "$here/ship_corpus.py" --data "$data" -o "$exp/corpus"
  [ -e "$exp/manifest.jsonl" ] ||
    deepnmf prepare --speech "$exp/corpus/speech" --noise "$exp/corpus/noise" -o "$exp" "${config[@]}"
fi
if wanted 2; then
  echo "stage 2: features"
  deepnmf features "$exp/manifest.jsonl" -o "$exp/features" "${config[@]}"
fi
if wanted 3; then
  echo "stage 3: dictionaries"
  [ -e "$exp/dictionary.safetensors" ] ||
    deepnmf pretrain "$exp/features" -o "$exp/dictionary.safetensors" "${config[@]}"
  [ -e "$exp/dictionary-small.safetensors" ] ||
    deepnmf pretrain "$exp/features" -o "$exp/dictionary-small.safetensors" "${config[@]}" "${small[@]}"
fi
if wanted 4; then
  echo "stage 4: frame-wise network (models/framewise.safetensors)"
  deepnmf train "${inputs[@]}" -o "$exp/framewise" --epochs 8
fi
if wanted 5; then
  echo "stage 5: recurrent networks (models/default.safetensors and small.safetensors)"
  deepnmf train "${inputs[@]}" -o "$exp/recurrent" "${config[@]}"
  deepnmf train --features "$exp/features" --dictionary "$exp/dictionary-small.safetensors" -o "$exp/small" \
    "${config[@]}" --epochs 16 --set recurrent.learning_rate=0.004 \
    --set recurrent.bands=32 --set recurrent.units=44 --set recurrent.subband_units=24
fi
if wanted 6; then
  echo "stage 6: scores on dev"
  for name in framewise recurrent small; do
    deepnmf evaluate --manifest "$exp/manifest.jsonl" --split dev --model "$exp/$name/best.safetensors" -o "$exp/$name/dev"
  done
fi
