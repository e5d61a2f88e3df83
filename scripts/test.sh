#!/usr/bin/env bash
# usage: scripts/test.sh [--preset NAME] [--compiler CC] [--] [CTEST-OPTION...]
#
# Installs what is missing (on Debian and its relatives), builds everything and runs all tests. Where
# Chromium cannot be had, the report's page is not tried in a browser, and the test is skipped.
# Needs neither MNIST nor a network; with DIGITS_DATA set, what takes MNIST to test is tested too.
#
#   --preset NAME   one of CMakePresets.json: release, dev (default), asan, ubsan, tsan or
#                   msan
#   --compiler CC   build with this compiler, in a folder of its own: build/CC-NAME
#   --help          print this
#
# What follows goes to ctest: scripts/test.sh -- --tests-regex idx
# With CI=true in the environment, compiler warnings are errors.

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

preset=dev
compiler=
while [ $# -gt 0 ]; do
    case $1 in
    --preset) need_value "$@" && preset=$2 && shift ;;
    --compiler) need_value "$@" && compiler=$2 && shift ;;
    --help) show_help && exit 0 ;;
    --) shift && break ;;
    *) die_usage "unknown argument '$1'" ;;
    esac
    shift
done

folder=build/${compiler:+$compiler-}$preset
configure=(--preset "$preset" -B "$folder" -DBUILD_TESTING=ON -DNN_WERROR=OFF)
[ "${CI:-}" != true ] || configure+=(-DNN_WERROR=ON)
[ -z "$compiler" ] || configure+=("-DCMAKE_C_COMPILER=$compiler")

run=()
if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
    run=(setarch -R) # where addresses are very random, ThreadSanitizer finds no room for its own
fi

enter_top
need_packages "${test_packages[@]}"
case $preset in
release | dev) want_packages "the report's page in a browser" "${browser_packages[@]}" ;;
esac
cmake "${configure[@]}"
cmake --build "$folder"
${run[@]+"${run[@]}"} \
    ctest --test-dir "$folder" --output-on-failure --no-tests=error --parallel 2 "$@"
