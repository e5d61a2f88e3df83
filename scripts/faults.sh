#!/usr/bin/env bash
# usage: scripts/faults.sh [memory|files]
#
# Runs every command with each of its allocations failing, then with each of its system calls on
# files, once and from then on, and checks what comes of it: exit code, message, what is on the disk.
# The tests do the same for a part of the calls (tests/cli/test_faults_memory.py, test_faults_files.py).
# Takes half an hour or so. Demonstrations that repeat themselves thousands of times, such as xor, are
# tried at the first two calls and the last from each place: a place is a stack of functions that ask
# for memory or for a file.

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kinds=(files memory)
if [ $# -gt 0 ]; then
    case $1 in
    --help) show_help && exit 0 ;;
    memory | files) kinds=("$1") ;;
    *) die_usage "unknown argument '$1'" ;;
    esac
fi

enter_top
need_packages "${test_packages[@]}"
cmake --preset dev >/dev/null
cmake --build --preset dev --target digits faults
for kind in "${kinds[@]}"; do
    DIGITS=build/dev/digits FAULTS_LIBRARY=$top/build/dev/tests/libfaults.so \
        python3 "tests/cli/test_faults_$kind.py" --all --verbose
done
