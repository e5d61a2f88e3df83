#!/usr/bin/env bash
# usage: scripts/fuzz.sh [SECONDS] [TARGET...]
#
# Builds the fuzz targets of tests/fuzz/ with libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer, and lets each look for SECONDS (60 without it) for inputs that break
# a promise. Prints how often each was run, and which share of the lines under attack it reached.
#
# What was learned is kept in build/fuzz/corpus/ and is where the next run starts. An input that
# breaks something is written as text to tests/fuzz/finds/, where each run of the tests feeds it to
# the target again, and the exit code is 1. Installs what is missing (on Debian and its relatives).
#
#   TARGET   checkpoint, gzip, idx, model, options, picture, prepare...; all without it
#   --help   print this

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The sources that each target attacks.
declare -A attacked=(
    [checkpoint]=nnlib/checkpoint.c
    [gzip]=nnlib/idx.c
    [idx]=nnlib/idx.c
    [model]=nnlib/model.c
    [options]=app/options.c
    [picture]='app/picture/image*.c'
    [prepare]='app/picture/light.c app/picture/normalise.c app/picture/prepare.c app/picture/segment.c app/picture/shape.c'
)

# Fuzzes the target $1 for $2 seconds. Leaves libFuzzer's words in $work/$1.log, the seconds of
# processor time in $work/$1.time; inputs that break a promise in $work/$1-*.
run_target() {
    local what=$1 seconds=$2 corpus=$folder/corpus/$1 TIMEFORMAT='%U %S'
    mkdir -p "$corpus"
    "$folder/tests/fuzz/fuzz_${what}_replay" --write "$corpus"
    { time TMPDIR=$work "$folder/tests/fuzz/fuzz_$what" "$corpus" \
        -dict="tests/fuzz/$what.dict" -artifact_prefix="$work/$what-" -max_total_time="$seconds" \
        -max_len=4096 -len_control=0 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
        >"$work/$what.log" 2>&1 || true; } 2>"$work/$what.time"
}

# Prints the number that libFuzzer gives the name $2 in its log of the target $1.
statistic() {
    sed -n "s/^stat::$2: *//p" "$work/$1.log" | tail -n 1
}

# Reports whether the find $2 of the target $1 was slow, but only because the machine was busy:
# libFuzzer's seconds go by on the clock, these do not.
only_waited() {
    case $(basename "$2") in
    "$1"-slow-unit-* | "$1"-timeout-*) ;;
    *) return 1 ;;
    esac
    (ulimit -t 10 && exec "$folder/tests/fuzz/fuzz_$1_replay" --mutants 0 "$2") >/dev/null 2>&1
}

# Writes what broke the target $1 to tests/fuzz/finds/$1/ as text; prints how many there were.
keep_finds() {
    local what=$1 find name n=0
    for find in "$work/$what"-*; do
        [ -f "$find" ] || continue
        only_waited "$what" "$find" && continue
        name=tests/fuzz/finds/$what/$(basename "$find" | sed "s/^$what-//" | cut -c 1-20).hex
        mkdir -p "tests/fuzz/finds/$what"
        {
            grep -m 1 -E 'broken promise|ERROR: |runtime error' "$work/$what.log" |
                sed 's|^.*/tests/fuzz/||; s/^/# /; s/==[0-9]*==//'
            od -An -v -tx1 "$find"
        } >"$name"
        say "    $name: $(sed -n 1p "$name")"
        n=$((n + 1))
    done
    echo "$n"
}

# Prints the share of the lines of the files $2 that the inputs of the target $1 reach.
line_coverage() {
    local what=$1 pattern filters=() patterns
    read -ra patterns <<<"$2"
    for pattern in "${patterns[@]}"; do
        filters+=(--filter "${pattern//\*/.*}")
    done
    find "$covered" -name '*.gcda' -delete
    find "$folder/corpus/$what" -type f -print0 |
        TMPDIR=$work xargs -0 "$covered/tests/fuzz/fuzz_${what}_replay" --mutants 0 >/dev/null
    gcovr --root . --object-directory "$covered" "${filters[@]}" "$covered/CMakeFiles" \
        --exclude-directories '.*double.*' 2>/dev/null |
        awk '$1 == "TOTAL" { print $4 }'
}

seconds=60
case ${1:-} in
--help) show_help && exit 0 ;;
[0-9]*) seconds=$1 && shift ;;
esac
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(checkpoint gzip idx model options picture prepare)
for what in "${targets[@]}"; do
    [ -n "${attacked[$what]:-}" ] || die_usage "unknown target '$what'"
done

enter_top
need_packages "${test_packages[@]}" clang libclang-rt-dev gcovr
folder=build/fuzz covered=build/fuzz-coverage
say "building $folder and $covered"
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz >&2
cmake --preset dev -B "$covered" -DNN_COVERAGE=ON -DCMAKE_C_COMPILER=gcc \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0 -g" >/dev/null
cmake --build "$covered" --target fuzzers >&2
# The targets write files and wait until they are on the disk; in memory that takes no time.
[ ! -w /dev/shm ] || export TMPDIR=${TMPDIR:-/dev/shm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '| target | executions | a second | CPU-hours | inputs kept | lines reached | finds |\n'
printf '|---|---:|---:|---:|---:|---:|---:|\n'
total=0
for what in "${targets[@]}"; do
    say "fuzz_$what: $seconds seconds"
    run_target "$what" "$seconds"
    finds=$(keep_finds "$what")
    total=$((total + finds))
    printf '| %s | %s | %s | %s | %s | %s of %s | %s |\n' "$what" \
        "$(statistic "$what" number_of_executed_units)" \
        "$(statistic "$what" average_exec_per_sec)" \
        "$(awk '{ printf "%.3f", ($1 + $2) / 3600 }' "$work/$what.time")" \
        "$(find "$folder/corpus/$what" -type f | wc -l)" \
        "$(line_coverage "$what" "${attacked[$what]}")" "${attacked[$what]}" "$finds"
done
[ "$total" -eq 0 ] || die "$total inputs break a promise: see tests/fuzz/finds/"
