#!/usr/bin/env bash
# usage: scripts/own_pictures.sh [--calibrate] [--n N] [MODEL]
#
# Measures how well a model (model.safetensors unless told) reads digits in pictures that people
# take: turns MNIST's test digits into such pictures, lets the program prepare them, and prints the
# accuracy of each kind beside that on MNIST's own. Takes about twelve minutes of CPU time, or with
# --n 1000 a good minute.
#
#   --calibrate   print what the limits for "no digit" and "unsure" let pass, on validation images
#   --n N         take the first N test digits only
#   --help        print this

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

n=0
calibrate=()
model=model.safetensors
while [ $# -gt 0 ]; do
    case $1 in
    --calibrate) calibrate=(--calibrate) ;;
    --n) need_value "$@" && n=$2 && shift ;;
    --help) show_help && exit 0 ;;
    -*) die_usage "unknown option '$1'" ;;
    *) model=$1 ;;
    esac
    shift
done

[ -f "$model" ] || die "no model '$model': ./digits train --seed 1 makes it"
model=$(absolute "$(dirname "$model")")/$(basename "$model")
enter_top
data=${DIGITS_DATA:-data/mnist}
[ -n "${DIGITS_DATA:-}" ] || has_mnist "$data" || data=$(mnist_home)
has_mnist "$data" || die "no MNIST in '$data': scripts/fetch_mnist.sh fetches it"
set_names=("${mnist_names[@]:2:2}") # of the test set
[ ${#calibrate[@]} -eq 0 ] || set_names=("${mnist_names[@]:0:2}")

need_packages "${build_packages[@]}"
cmake --preset release -DBUILD_TESTING=OFF >/dev/null
cmake --build --preset release --target own_pictures >/dev/null
build/release/own_pictures "$model" "$(find_idx "$data" "${set_names[0]}")" \
    "$(find_idx "$data" "${set_names[1]}")" "$n" ${calibrate[@]+"${calibrate[@]}"}
