#!/usr/bin/env bash
# usage: scripts/coverage.sh [--help]
#
# Builds without optimisation in build/coverage, runs all tests, and prints for nnlib/ and for app/
# which lines they reached. Fails if that is less than 95 % of nnlib/ or 85 % of app/.
# Installs what is missing (on Debian and its relatives).

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Prints the lines of the folder $1 that no test reached; fails below $2 per cent. The rest are the
# CMake targets that hold its code: some tests compile parts of it anew, for double precision or to
# make calls fail, and gcovr cannot add those up.
report() {
    local folders=("${@:3}")
    say "==> $1/"
    gcovr --root . --object-directory "$folder" --filter "$1/" --print-summary \
        --fail-under-line "$2" "${folders[@]/#/$folder/CMakeFiles/}"
}

case ${1:-} in
'') ;;
--help) show_help && exit 0 ;;
*) die_usage "unknown argument '$1'" ;;
esac

enter_top
need_packages "${test_packages[@]}" gcovr
folder=build/coverage
cmake --preset dev -B "$folder" -DBUILD_TESTING=ON -DNN_COVERAGE=ON -DCMAKE_C_COMPILER=gcc \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0 -g -fprofile-update=atomic"
cmake --build "$folder"
find "$folder" -name '*.gcda' -delete # of a former run
ctest --test-dir "$folder" --output-on-failure --no-tests=error --parallel 2

failed=
report nnlib 95 nnlib.dir || failed=1
report app 85 digits_app.dir digits.dir || failed=1
[ -z "$failed" ] || die "too little is tested"
