#!/usr/bin/env bash
# usage: scripts/bench.sh [--data DIR] [--only SECTION] [--repeats N] [--core N] [--growth]
#                         [--json] [--peers]
#
# Builds the release and measures it against what this processor can do at all: training, inference,
# loading, wide networks, and the whole program. Times are CPU times on one core.
#
#   --data DIR       the folder that holds the four MNIST files; without it, they are looked for in
#                    $DIGITS_DATA, ./data/mnist and ${XDG_DATA_HOME:-~/.local/share}/digits/mnist;
#                    failing that, generated digits are measured in their stead
#   --only SECTION   one of: train, epoch, predict, load, wide, threads, growth
#   --repeats N      times to measure each; medians are printed (default 5)
#   --core N         the core to stay on (default: the last)
#   --growth         show also how time grows with images, weights and epochs (takes minutes)
#   --json           print JSON instead of tables
#   --peers          install NumPy and PyTorch from Debian if they are missing, and measure them too
#   --help           print this

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The BLAS is named because Debian's NumPy is content with the slow reference one.
peer_packages=(python3 python3-numpy python3-torch libopenblas0-pthread)

data=
only=
core=
peers=
options=() # for both programs
mine=()    # for bench alone

parse_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --data) need_value "$@" && data=$(absolute "$2") && shift ;;
        --only) need_value "$@" && only=$2 && shift ;;
        --repeats) need_value "$@" && options+=("$1" "$2") && shift ;;
        --core) need_value "$@" && core=$2 && shift ;;
        --growth) mine+=("$1") ;;
        --json) options+=("$1") ;;
        --peers) peers=1 ;;
        --help) show_help && exit 0 ;;
        *) die_usage "unknown argument '$1'" ;;
        esac
        shift
    done
}

build() {
    need_packages "${build_packages[@]}"
    cmake --preset release -DBUILD_TESTING=OFF >/dev/null
    cmake --build --preset release --target bench digits >&2
}

# Sets `data` to the folder that holds MNIST, or generated digits.
provide_data() {
    local folder
    [ -z "$data" ] || has_mnist "$data" || die "'$data' does not hold the four MNIST files"
    for folder in "${DIGITS_DATA:-}" data/mnist "$(mnist_home)"; do
        if [ -z "$data" ] && [ -n "$folder" ] && has_mnist "$folder"; then
            data=$folder
        fi
    done
    if [ -z "$data" ]; then
        say "MNIST was not found: measuring GENERATED digits, whose figures are not MNIST's"
        data=build/synth
        has_mnist "$data" || build/release/digits synth --out "$data" >&2
    fi
    say "data: $data"
}

# Runs a command on the chosen core, if one was chosen.
on_core() {
    ${core:+taskset -c "$core"} "$@"
}

# Runs bench, or with --peers the comparison, which runs bench itself beside each peer.
measure() {
    local programs=(--data "$data" --digits build/release/digits ${only:+--only "$only"})
    if [ -z "$peers" ]; then
        on_core build/release/bench "${programs[@]}" ${options[@]+"${options[@]}"} \
            ${mine[@]+"${mine[@]}"}
        return
    fi
    on_core /usr/bin/python3 scripts/bench_peers.py --bench build/release/bench \
        "${programs[@]}" ${options[@]+"${options[@]}"}
}

parse_options "$@"
enter_top
[ -z "$peers" ] || need_packages "${peer_packages[@]}"
build
provide_data
measure
