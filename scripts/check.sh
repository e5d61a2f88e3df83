#!/usr/bin/env bash
# usage: scripts/check.sh [PART...]
#
# Everything that can be checked before a commit; all parts without arguments, else the ones named:
#
#   format     clang-format: every C file is formatted as .clang-format says
#   shell      shellcheck: the scripts
#   cppcheck   cppcheck: app/ and nnlib/
#   tidy       clang-tidy: app/ and nnlib/, with the checks of .clang-tidy
#   analyzer   gcc -fanalyzer: app/ and nnlib/
#   valgrind   memcheck: digits are drawn, learned, tested, read and looked at, on the kernels that
#              Valgrind can run, ref and avx2
#   gcc        every preset built with gcc and tested, warnings being errors
#   clang      the same with clang, and preset msan
#
# Installs what is missing (on Debian and its relatives). Stops at the first part that fails.

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

presets=(release dev asan ubsan tsan)

check_format() {
    need_packages clang-format
    find app nnlib scripts tests -name '*.[ch]' -print0 | xargs -0 -r clang-format --dry-run -Werror
}

check_shell() {
    need_packages shellcheck
    shellcheck --external-sources scripts/*.sh .ci/run
}

check_cppcheck() {
    need_packages cppcheck
    cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
        --std=c11 --library=posix --library=gnu -j "$(nproc)" -I nnlib -I app app nnlib
}

check_tidy() {
    need_packages "${test_packages[@]}" clang clang-tidy
    # Of a build by clang, so that clang-tidy understands every flag.
    cmake --preset dev -B build/clang-dev -DCMAKE_C_COMPILER=clang >/dev/null
    sed -n 's|^ *"file": "\(.*\)",*$|\1|p' build/clang-dev/compile_commands.json | sort -u |
        awk -v top="$top" 'index($0, top "/app/") == 1 || index($0, top "/nnlib/") == 1' |
        xargs -r -d '\n' -n 1 -P "$(nproc)" clang-tidy -p build/clang-dev --quiet
}

check_analyzer() {
    need_packages "${test_packages[@]}"
    cmake --preset dev -B build/analyzer -DCMAKE_C_COMPILER=gcc -DCMAKE_C_FLAGS=-fanalyzer \
        -DBUILD_TESTING=OFF -DNN_WERROR=ON >/dev/null
    cmake --build build/analyzer --target digits
}

# Runs ./digits of the build for Valgrind; a leak or an error gives exit code 99.
memcheck() {
    valgrind --quiet --leak-check=full --errors-for-leak-kinds=all --error-exitcode=99 \
        --track-origins=yes "$top/build/valgrind/digits" "$@" >/dev/null
}

check_valgrind() {
    need_packages "${test_packages[@]}" valgrind
    cmake --preset dev -B build/valgrind -DBUILD_TESTING=OFF >/dev/null
    cmake --build build/valgrind --target digits
    local kernel work
    work=$(mktemp -d)
    for kernel in ref avx2; do
        say "    NN_KERNEL=$kernel"
        (
            export NN_KERNEL=$kernel DIGITS_DATA=data
            cd "$work" && # a list: where || follows, a failure inside does not stop by itself
                memcheck synth --out data --train 120 --test 40 --force --quiet &&
                memcheck train --hidden 20,12 --epochs 2 --batch 7 --dropout 0.1 --force --quiet \
                    --log log.jsonl --checkpoint train.checkpoint &&
                memcheck train --resume train.checkpoint --hidden 20,12 --epochs 3 --batch 7 \
                    --dropout 0.1 --force --quiet &&
                memcheck eval &&
                memcheck predict errors/00*.png &&
                memcheck inspect model.safetensors &&
                memcheck inspect --json data/t10k-labels-idx1-ubyte.gz
        ) || die "Valgrind has found something, or the program failed: NN_KERNEL=$kernel"
    done
    rm -rf "$work"
}

# Builds every preset with the compiler $1, and runs the tests; also what is built only when asked
# for.
check_builds() {
    local preset
    for preset in "${presets[@]}"; do
        CI=true scripts/test.sh --preset "$preset" --compiler "$1"
    done
    cmake --build "build/$1-release" --target bench own_pictures
}

check_gcc() {
    check_builds gcc
}

check_clang() {
    need_packages clang libclang-rt-dev
    check_builds clang
    CI=true scripts/test.sh --preset msan
}

parts=()
for part in "$@"; do
    case $part in
    --help) show_help && exit 0 ;;
    format | shell | cppcheck | tidy | analyzer | valgrind | gcc | clang) parts+=("$part") ;;
    *) die_usage "unknown part '$part'" ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(format shell cppcheck tidy analyzer valgrind gcc clang)

enter_top
for part in "${parts[@]}"; do
    say "==> $part"
    "check_$part"
done
say "all good: ${parts[*]}"
