#!/usr/bin/env bash
# usage: scripts/soak.sh [--kills N] [--seed N]
#
# Kills the program N times (default 10000) with SIGKILL at random instants, while it trains and
# writes models, checkpoints, logs, pictures and data sets, and checks after each kill that every
# file is the old one or the new one, whole; that a training which is resumed ends in the same
# bytes; that nothing stays behind. tests/cli/test_killed.py does it, a few dozen times in each run
# of the tests.
#
#   --kills N   how often
#   --seed N    which instants (default: another one each time, which is printed)
#   --help      print this
#
# TMPDIR=/dev/shm is quicker: most of the time is spent waiting for the disk.

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kills=10000
seed=$(date +%s)
while [ $# -gt 0 ]; do
    case $1 in
    --kills) need_value "$@" && kills=$2 && shift ;;
    --seed) need_value "$@" && seed=$2 && shift ;;
    --help) show_help && exit 0 ;;
    *) die_usage "unknown argument '$1'" ;;
    esac
    shift
done
case $kills$seed in
*[!0-9]*) die_usage "'--kills' and '--seed' take whole numbers" ;;
esac

enter_top
need_packages "${build_packages[@]}" python3
cmake --preset release >/dev/null
cmake --build --preset release --target digits
say "$kills kills, seed $seed"
KILLS=$kills SEED=$seed DIGITS=build/release/digits python3 tests/cli/test_killed.py --verbose
