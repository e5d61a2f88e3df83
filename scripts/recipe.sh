#!/usr/bin/env bash
#
# usage: scripts/recipe.sh [--seeds N] [--out DIR] [-- OPTIONS OF digits train]
#
# Measures a training recipe: trains one network a seed (1 to N, 10 unless told) and prints the
# accuracy of each on the validation and on the test images, with mean and standard deviation over
# the seeds. A recipe is chosen by the first; the second only tells what the choice came to.
#
#   scripts/recipe.sh                                    the default recipe
#   scripts/recipe.sh -- --lr 0.1 --decay 0.1 --l2 0     another one
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    sed -n '/^# usage:/,/^set /{/^set /!{s/^# \{0,1\}//;p}}' "${BASH_SOURCE[0]}"
}

seeds=10
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
while [ $# -gt 0 ]; do
    case $1 in
        --seeds) seeds=${2:?--seeds needs a number}; shift 2 ;;
        --help | -h) usage; exit 0 ;;
        --) shift; break ;;
        *) echo "recipe.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
done
if [ ! -x digits ]; then
    echo "recipe.sh: ./digits is not built; run scripts/quickstart.sh first" >&2
    exit 1
fi

printf '%5s  %10s  %10s\n' seed validation test
for ((seed = 1; seed <= seeds; seed++)); do
    ./digits train --seed "$seed" --quiet --json --out "$out/model" "$@" > "$out/train.json"
    ./digits eval --model "$out/model" --no-errors --json > "$out/eval.json"
    python3 - "$seed" "$out" <<'PYTHON'
import json, sys
seed, out = sys.argv[1:]
train = json.load(open(out + "/train.json"))
test = json.load(open(out + "/eval.json"))["accuracy"]
validation = (train.get("validation") or {}).get("accuracy")
print(f"{seed:>5}  {'' if validation is None else f'{100 * validation:8.2f} %':>10}  {100 * test:8.2f} %")
PYTHON
done | tee "$out/table"
python3 - "$out/table" <<'PYTHON'
import statistics, sys
rows = [line.replace("%", "").split()[1:] for line in open(sys.argv[1])]
columns = [[float(value) for value in column] for column in zip(*rows)]
spread = [statistics.stdev(c) if len(c) > 1 else 0 for c in columns]
print(f"{'mean':>5}", *(f"{statistics.mean(c):8.2f} %" for c in columns), sep="  ")
print(f"{'sd':>5}", *(f"{s:8.2f}  " for s in spread), sep="  ")
PYTHON
