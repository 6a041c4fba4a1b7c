# The stages that the recipes share; sourced by recipes/NAME/run.sh, which sets `corpus`. Run again, it goes on.
#
#   run.sh --root DIR [--root DIR] [options] [-- ARGS]
#     --root DIR        folder of the corpus; a second one for its noise, where README.md names two
#     --download        fetch a free corpus into --root first
#     --exp DIR         where everything is written (exp/NAME)
#     --stage N         first stage to run (1), --stop-stage N the last (6): 1 manifest, 2 features, 3 dictionaries,
#                       4 networks, 5 scores, 6 table
#     --grid DIR        folder of systems.tsv, and of config.toml and results.py where they differ from the recipe's
#     --only REGEX      only the systems whose name matches it, of systems.tsv
#     --metric NAME     score only by this metric; may be given several times
#     --limit N         score only the first N recordings
#     --device NAME     torch device that networks are trained on (cpu)
#     ARGS              for every stage, after config.toml: --set KEY=VALUE
#
# A file that cannot be read stops stage 1 or 2 once the others are done; go on without it by --stage 2 or 3.
# shellcheck shell=bash
set -euo pipefail

recipe=$(cd "$(dirname "$0")" && pwd)
roots=() exp=exp/$(basename "$recipe") grid=$recipe stage=1 stop_stage=6 only=. scoring=() device=cpu download=()
while [ $# -gt 0 ]; do
  case "$1" in
    --root) roots+=(--root "$2"); shift 2 ;;
    --exp) exp=$2; shift 2 ;;
    --stage) stage=$2; shift 2 ;;
    --stop-stage) stop_stage=$2; shift 2 ;;
    --grid) grid=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --metric) scoring+=(--metric "$2"); shift 2 ;;
    --limit) scoring+=(--limit "$2"); shift 2 ;;
    --device) device=$2; shift 2 ;;
    --download) download=(--download); shift ;;
    --) shift; break ;;
    *) echo "unknown option $1; recipes/common.sh lists them" >&2; exit 2 ;;
  esac
done
extra=("$@")
# of_grid NAME PLACES: the file of this name in the grid's folder, or else in the first of the places that has it.
of_grid() {
  local name=$1 place
  shift
  for place in "$grid" "$@"; do
    [ ! -e "$place/$name" ] || { echo "$place/$name"; return; }
  done
}
config=(--set network.kind=deep-nmf --config "$(of_grid config.toml "$recipe")") # unless a system has another kind
systems=$(of_grid systems.tsv "$recipe" "$recipe/..")
results=$(of_grid results.py "$recipe" "$recipe/../open")
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# stage N TITLE: whether it is to run; prints its title then.
stage() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ] && echo "stage $1: $2"; }
# each_system COMMAND: runs it with name, dictionary, settings of both and split to score; "-" stands for none.
# A system that fails is reported and left out of the stages that follow; the others go on.
failed=()
each_system() {
  local name dictionary snmf network split
  while IFS=$'\t' read -r name dictionary snmf network split <&3; do
    [[ " ${failed[*]-} " != *" $name "* ]] || continue
    "$1" "$name" "$dictionary" "$snmf" "$network" "${split:-test}" || {
      failed+=("$name")
      echo "$name: stage $1 failed; the other systems go on" >&2
    }
  done 3< <(grep -v '^#' "$systems" | awk -F'\t' -v only="$only" '$1 ~ only')
}
# choose WORDS: fills the array `settings`, the command line's after the system's because the last one counts.
choose() {
  settings=("${config[@]}")
  local word
  for word in ${1#-}; do settings+=(--set "$word"); done
  settings+=(${extra[@]+"${extra[@]}"})
}

pretrain() {
  [ "$2" != - ] || return 0
  choose "$3"
  [ -e "$exp/dictionary-$2.safetensors" ] ||
    deepnmf pretrain "$exp/features" -o "$exp/dictionary-$2.safetensors" "${settings[@]}"
}
train() {
  choose "$4"
  local begin=$SECONDS dictionary=()
  [ "$2" = - ] || dictionary=(--dictionary "$exp/dictionary-$2.safetensors")
  deepnmf train --features "$exp/features" ${dictionary[@]+"${dictionary[@]}"} -o "$exp/$1" \
    --device "$device" "${settings[@]}" || return
  [ -e "$exp/$1/minutes" ] || awk "BEGIN {print ($SECONDS - $begin) / 60}" >"$exp/$1/minutes"
}
score() {
  [ "$5" = - ] || [ -e "$exp/$1/$5/summary.json" ] ||
    deepnmf evaluate --manifest "$exp/manifest.jsonl" --split "$5" --model "$exp/$1" -o "$exp/$1/$5" \
      ${scoring[@]+"${scoring[@]}"}
}

if stage 1 manifest; then
  deepnmf prepare --corpus "$corpus" ${roots[@]+"${roots[@]}"} ${download[@]+"${download[@]}"} -o "$exp" \
    "${config[@]}" ${extra[@]+"${extra[@]}"}
fi
if stage 2 features; then
  deepnmf features "$exp/manifest.jsonl" -o "$exp/features" "${config[@]}" ${extra[@]+"${extra[@]}"}
fi
if stage 3 dictionaries; then each_system pretrain; fi
if stage 4 networks; then each_system train; fi
if stage 5 scores; then each_system score; fi
if stage 6 table; then python "$results" "$exp" "$systems"; fi
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
