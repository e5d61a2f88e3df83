#!/usr/bin/env bash
# usage: scripts/recipe.sh [--seeds N] [-- OPTIONS OF digits train]
#
# Measures a training recipe: trains one network a seed (1 to N, 10 unless told) and prints the
# accuracy of each on the validation and on the test images, with mean and standard deviation over
# the seeds. A recipe is chosen by the first; the second only tells what the choice came to.
#
#   scripts/recipe.sh                                    the default recipe
#   scripts/recipe.sh -- --lr 0.1 --decay 0.1 --l2 0     another one

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seeds=10
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) need_value "$@" && seeds=$2 && shift ;;
    --help) show_help && exit 0 ;;
    --) shift && break ;;
    *) die_usage "unknown argument '$1'" ;;
    esac
    shift
done

enter_top
[ -x digits ] || die "./digits is not built: scripts/quickstart.sh builds it"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

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
