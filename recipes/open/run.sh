#!/usr/bin/env bash
# Train and score the paper's systems on a corpus of speech/{train,dev,test} and noise/{train,dev,test}.
# Usage: recipes/open/run.sh [--data DIR] [--exp DIR] [--grid DIR] [--metric NAME] [--stage N] [--stop-stage N]
# The grid is what dictionaries.tsv and systems.tsv of --grid say (recipes/open/claim compares kinds of networks).
# Every stage goes on where an earlier run stopped.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=../shared/data exp=exp/open grid=$here stage=1 stop_stage=6 metrics=()
while [ $# -gt 0 ]; do
  case "$1" in
    --data) data=$2 ;; --exp) exp=$2 ;; --grid) grid=$2 ;;
    --metric) metrics+=(--metric "$2") ;;
    --stage) stage=$2 ;; --stop-stage) stop_stage=$2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
config=(--config "$here/config.toml")
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }
# shellcheck disable=SC2086 # one word a setting
set_each() { printf -- '--set %s ' $1; }
each_system() { grep -v '^#' "$grid/systems.tsv" | cut -f"$1"; }

if wanted 1; then
  echo "stage 1: manifest"
  deepnmf prepare --speech "$data/speech" --noise "$data/noise" -o "$exp" "${config[@]}"
fi
if wanted 2; then
  echo "stage 2: features"
  deepnmf features "$exp/manifest.jsonl" -o "$exp/features" "${config[@]}"
fi
if wanted 3; then
  echo "stage 3: dictionaries"
  grep -v '^#' "$grid/dictionaries.tsv" | while IFS=$'\t' read -r name settings; do
    each_system 2 | grep -qx "$name" || continue
    [ -e "$exp/dictionary-$name.safetensors" ] ||
      deepnmf pretrain "$exp/features" -o "$exp/dictionary-$name.safetensors" "${config[@]}" $(set_each "$settings") </dev/null
  done
fi
if wanted 4; then
  echo "stage 4: networks"
  each_system 1,2,3 | while IFS=$'\t' read -r name dictionary settings; do
    begin=$(date +%s)
    deepnmf train --features "$exp/features" --dictionary "$exp/dictionary-$dictionary.safetensors" \
      -o "$exp/$name" "${config[@]}" $(set_each "$settings") </dev/null
    [ -e "$exp/$name/minutes" ] || awk "BEGIN {print ($(date +%s) - $begin) / 60}" >"$exp/$name/minutes"
  done
fi
if wanted 5; then
  echo "stage 5: scores on test"
  each_system 1,4 | while IFS=$'\t' read -r name split; do
    [ "$split" != test ] || [ -e "$exp/$name/test/summary.json" ] || deepnmf evaluate \
      --manifest "$exp/manifest.jsonl" --model "$exp/$name/best.safetensors" -o "$exp/$name/test" \
      ${metrics[@]+"${metrics[@]}"} </dev/null
  done
fi
if wanted 6; then
  echo "stage 6: table"
  results=$here/results.py
  [ ! -e "$grid/results.py" ] || results=$grid/results.py
  python "$results" "$exp" "$grid/systems.tsv"
fi
