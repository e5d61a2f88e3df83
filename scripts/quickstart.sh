#!/usr/bin/env bash
# usage: scripts/quickstart.sh [--data DIR]
#
# From a fresh clone to a trained network: installs what is missing (on Debian and its relatives),
# builds ./digits, finds MNIST or fetches it, trains, and shows how well the network reads.
#
#   --data DIR   the folder that holds the four MNIST files; without it, they are looked for in
#                $DIGITS_DATA, ./data/mnist and ${XDG_DATA_HOME:-~/.local/share}/digits/mnist, then
#                fetched into the last; failing that, digits are generated in their stead
#   --help       print this

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

data=
synthetic=

# Says what step comes next.
step() {
    say ""
    say "==> $*"
}

build() {
    step "building ./digits"
    need_packages "${build_packages[@]}"
    cmake --preset release -DBUILD_TESTING=OFF >&2
    cmake --build --preset release >&2
}

# Sets `data` to the folder that holds MNIST, fetched or generated if need be.
provide_data() {
    step "looking for MNIST"
    [ -n "$data" ] || find_data || fetch_data || make_data
    say "taking the digits from '$data'"
}

find_data() {
    local folder
    if [ -n "${DIGITS_DATA:-}" ] && ! has_mnist "$DIGITS_DATA"; then
        say "DIGITS_DATA names '$DIGITS_DATA', which does not hold MNIST; looking further"
    fi
    for folder in ${DIGITS_DATA:+"$DIGITS_DATA"} data/mnist "$(mnist_home)"; do
        if has_mnist "$folder"; then
            data=$folder
            return
        fi
    done
    return 1
}

fetch_data() {
    scripts/fetch_mnist.sh --to "$(mnist_home)" && data=$(mnist_home)
}

make_data() {
    warn_synthetic
    rm -rf build/synth
    ./digits synth --out build/synth
    data=build/synth
    synthetic=1
}

warn_synthetic() {
    cat >&2 <<'END'

    ############################################################################
    ##                                                                        ##
    ##                 WARNING: THESE DIGITS ARE  N O T  MNIST                ##
    ##                                                                        ##
    ##  MNIST was not found and could not be fetched. What follows is done    ##
    ##  with digits that a program drew. Whatever accuracy it shows cannot    ##
    ##  be compared with any figure for MNIST.                                ##
    ##                                                                        ##
    ##  With a network: scripts/fetch_mnist.sh                                ##
    ##  With the files: scripts/quickstart.sh --data DIR                      ##
    ##                                                                        ##
    ############################################################################

END
}

# Says what there is now, and what to do with it.
show_what_next() {
    local with_data=
    case $data in
    data/mnist | "$(mnist_home)") ;; # where `digits` looks by itself
    *) with_data=" --data $(printf '%q' "$data")" ;;
    esac
    step "done"
    cat >&2 <<END
The network is in model.safetensors. Each digit that it misread is a picture in errors/, whose name
says what it is and what it was read as; a contact sheet there shows them all.

To try next:
    ./digits predict errors/0*.png
    ./digits train --hidden 100$with_data
    ./digits eval$with_data
    ./digits --help
END
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in
        --data) need_value "$@" && data=$(absolute "$2") && shift ;;
        --help) show_help && exit 0 ;;
        *) die_usage "unknown argument '$1'" ;;
        esac
        shift
    done
    enter_top
    [ -z "$data" ] || has_mnist "$data" || die "'$data' does not hold the four MNIST files"

    build
    provide_data
    step "training"
    ./digits train --seed 1 --data "$data"
    step "reading the test digits"
    ./digits eval --data "$data"
    show_what_next
    [ -z "$synthetic" ] || warn_synthetic
}

main "$@"
