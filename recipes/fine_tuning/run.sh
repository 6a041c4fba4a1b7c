#!/usr/bin/env bash
# run.sh DATA [EXP]: train on a narrow corpus from scratch and from `default`, and score both on its test split.
# DATA is the folder of the open recordings, with its second part in DATA/more; everything is written to EXP.
set -euo pipefail
here=$(dirname "$0") data=$1 exp=${2:-exp/fine_tuning}
python "$here/corpus.py" "$data" -o "$exp"
deepnmf train --speech "$exp/speech" --noise "$exp/noise" -o "$exp/scratch"
deepnmf train --speech "$exp/speech" --noise "$exp/noise" -o "$exp/fine" --init default
deepnmf evaluate --manifest "$exp/scratch/manifest.jsonl" -o "$exp/test" --model default=default \
  --model "scratch=$exp/scratch" --model "fine=$exp/fine" \
  --metric si_sdr --metric sdr --metric stoi --metric estoi
python "$here/../../benchmarks/distortion.py" "$exp/scratch/manifest.jsonl" --models "$exp/scratch" "$exp/fine" default
