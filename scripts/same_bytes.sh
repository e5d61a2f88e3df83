#!/usr/bin/env bash
# usage: scripts/same_bytes.sh [--full]
#
# Proves that the same seed, data and options give the same bits, whatever compiled the program and
# wherever it runs. tests/digest.c trains networks of many shapes and prints a digest of each; it
# is built and run
#
#   by gcc and clang, at -O0, -O2 and -O3;
#   with each of the kernels that this processor has;
#   with 1, 2 and 3 threads;
#   in one go, and stopped again and again;
#   for a processor whose fused multiply-add the compiler may use everywhere (-march=haswell);
#   on a processor that has none (Nehalem, emulated by qemu);
#   for ARM, with the NEON and the reference kernels (emulated where this is no ARM).
#
# What it prints must be tests/golden/digest.txt each time. Installs what is missing (on Debian and
# its relatives), and says what had to be left out. Builds in build/same_bytes/.
#
#   --full   besides, let the same networks learn from MNIST's images (whatever gcc -O2 makes of
#            them, the others must make too), and compare the SHA-256 of the model that
#            `digits train --seed 1` writes, for both compilers, each level of optimisation, all
#            kernels and 1, 2 and 3 threads, with that in tests/golden/models.sha256
#   --help   print this

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

out=build/same_bytes
machine=$(uname -m)
expected=tests/golden/digest.txt
data=()     # options of the digest: where its pictures come from
left_out=() # what cannot be compared here

# --- jobs, as many at a time as there are processors ------------------------------------

names=() # of those started

# Starts a job by the name $1: a function and its arguments. What it prints goes to $out/$1.log.
start() {
    local name=$1
    shift
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
        wait -n || true
    done
    rm -f "$out/$name.done"
    ("$@" >"$out/$name.log" 2>&1 && touch "$out/$name.done") &
    names+=("$name")
}

# Waits for all jobs and shows what came of them. Fails if one failed.
conclude() {
    local name failed=
    wait
    for name in "${names[@]}"; do
        if [ -e "$out/$name.done" ]; then
            sed -n "s/^same  */same       $(printf '%-15s' "$name") /p" "$out/$name.log"
        else
            failed=true
            printf 'DIFFERENT  %s\n' "$name"
            sed 's/^/    /' "$out/$name.log"
        fi
    done
    names=()
    [ -z "$failed" ]
}

# --- building the digest ----------------------------------------------------------------

# Those flags of the project that can change what is computed.
flags=(-std=c11 -D_POSIX_C_SOURCE=200809L -I nnlib -I app -ffp-contract=off
    -fno-math-errno -fno-trapping-math -ffunction-sections)

# Prints the files that a digest is made of: all of the library but for what needs other libraries,
# to read IDX files, models and checkpoints. The linker leaves out what would call them.
sources() {
    printf '%s\n' tests/digest.c app/synth.c nnlib/*.c nnlib/kernels/{dispatch,ref}.c |
        grep -v -e /idx.c -e /model.c -e /checkpoint.c -e /safetensors.c
}

# Prints the kernels of a machine; their flags are those of CMakeLists.txt.
kernels_of() {
    case $1 in
    x86_64) echo avx2 avx512 ;;
    aarch64) echo neon ;;
    esac
}

kernel_flags() {
    case $1 in
    avx2) echo -mavx2 -mfma -mbmi -mbmi2 ;;
    avx512)
        echo -mavx2 -mfma -mbmi -mbmi2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi2 -mprfchw -mprefer-vector-width=512
        ;;
    esac
}

# Builds $out/$1/digest for the machine $2 with a compiler and its flags, which follow.
build_digest() {
    local folder=$out/$1 target=$2 kernel files=()
    shift 2
    mkdir -p "$folder"
    rm -f "$folder/digest"
    case $target in
    x86_64) set -- "$@" -DNN_HAVE_X86 ;;
    aarch64) set -- "$@" -DNN_HAVE_NEON ;;
    esac
    for kernel in $(kernels_of "$target"); do
        # shellcheck disable=SC2046 # several flags
        "$@" "${flags[@]}" $(kernel_flags "$kernel") -c "nnlib/kernels/$kernel.c" \
            -o "$folder/$kernel.o" || return
        files+=("$folder/$kernel.o")
    done
    mapfile -t -O "${#files[@]}" files < <(sources)
    "$@" "${flags[@]}" "${files[@]}" -Wl,--gc-sections -pthread -lm -o "$folder/digest"
}

# --- running it -------------------------------------------------------------------------

# Runs $out/$1/digest with the kernels $2 and $3 threads, by the emulator that may follow.
run_digest() {
    local name=$1 kernel=$2 threads=$3 code=0
    shift 3
    NN_KERNEL=$kernel "$@" "$out/$name/digest" -t "$threads" ${data[@]+"${data[@]}"} "$expected" &&
        NN_KERNEL=$kernel "$@" "$out/$name/digest" -s -t "$threads" ${data[@]+"${data[@]}"} \
            "$expected" || code=$?
    case $code in
    0) echo "same $kernel, threads: $threads, in one go and stopped" ;;
    77) ;; # this processor has not these kernels
    *) echo "^ kernels: $kernel, threads: $threads, exit code $code" && return 1 ;;
    esac
}

# Builds with a compiler, and runs with all kernels of this machine and the numbers of threads $2.
compare_native() {
    local name=$1 counts=$2 kernel threads failed=
    shift 2
    build_digest "$name" "$machine" "$@" || return
    for kernel in $(kernels_of "$machine") ref; do
        for threads in $counts; do
            run_digest "$name" "$kernel" "$threads" || failed=true
        done
    done
    [ -z "$failed" ]
}

# A processor without fused multiply-add: the C library computes it, and the kernels are ref.c's.
compare_without_fma() {
    build_digest without-fma x86_64 gcc -O2 && run_digest without-fma ref 1 qemu-x86_64 -cpu Nehalem
}

compare_arm() {
    build_digest arm-O2 aarch64 aarch64-linux-gnu-gcc -O2 -static &&
        run_digest arm-O2 neon 1 qemu-aarch64 && run_digest arm-O2 ref 1 qemu-aarch64
}

# The slow ones first, so that the others fill the gaps.
compare_digests() {
    local compiler
    [ -z "$without_fma" ] || start without-fma compare_without_fma
    [ -z "$arm" ] || start arm-O2 compare_arm
    for compiler in "${compilers[@]}"; do
        start "$compiler-O0" compare_native "$compiler-O0" 1 "$compiler" -O0
        start "$compiler-O2" compare_native "$compiler-O2" "1 2 3" "$compiler" -O2
        start "$compiler-O3" compare_native "$compiler-O3" "1 2 3" "$compiler" -O3
        [ -z "$with_fma" ] || start "$compiler-O3-fma" \
            compare_native "$compiler-O3-fma" 1 "$compiler" -O3 -march=haswell
    done
    conclude
}

# --- MNIST ------------------------------------------------------------------------------

# Prints the folder that holds MNIST, looked for as the program does.
mnist_folder() {
    local folder
    for folder in "${DIGITS_DATA:-data/mnist}" data/mnist "$(mnist_home)"; do
        if has_mnist "$folder"; then
            printf '%s\n' "$folder"
            return
        fi
    done
    die "--full needs MNIST; scripts/fetch_mnist.sh fetches it"
}

# Lets the digests learn from MNIST; what gcc -O2 makes of it is what is expected.
take_mnist() {
    local name
    for name in "${mnist_names[@]:0:2}"; do
        gzip -dcf "$(find_idx "$mnist" "$name")" >"$out/$name"
    done
    data=(-i "$out/${mnist_names[0]}" -l "$out/${mnist_names[1]}")
    expected=$out/mnist.txt
    "$out/gcc-O2/digest" "${data[@]}" >"$expected"
}

# Succeeds if this processor has the kernels $1: the digest looks for them first of all.
has_kernel() {
    local code=0
    NN_KERNEL=$1 "$out/gcc-O2/digest" "$out/none" 2>/dev/null || code=$?
    [ "$code" -ne 77 ]
}

# Trains with the program in $out/$1, the kernels $2 and $3 threads, and compares the model.
compare_model() {
    local folder=$out/$1 kernel=$2 threads=$3 wanted found options=()
    wanted=$(sed -n 's/  mnist-seed-1$//p' tests/golden/models.sha256)
    [ "$threads" -eq 1 ] || options=(--threads "$threads")
    NN_KERNEL=$kernel "$folder/digits" train --seed 1 --quiet --force --data "$mnist" \
        --out "$folder/model" ${options[@]+"${options[@]}"} >/dev/null || return
    found=$(sha256sum <"$folder/model")
    if [ "${found%% *}" != "$wanted" ]; then
        echo "expected $wanted, found ${found%% *}; kernels: $kernel, threads: $threads"
        return 1
    fi
    echo "same $kernel, threads: $threads, SHA-256 of the model: $wanted"
}

# Builds the program in $out/$1 with the compiler $2 at the level $3, and compares the models of
# all kernels with the numbers of threads $4.
compare_models() {
    local name=$1 kernel threads failed=
    cmake -S . -B "$out/$name" -G Ninja -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_COMPILER="$2" -DCMAKE_C_FLAGS_DEBUG="$3" || return
    cmake --build "$out/$name" --target digits --parallel 1 || return
    "$out/$name/digits" train --help | grep -q -e --threads || set -- "$1" "$2" "$3" 1
    for kernel in $(kernels_of "$machine") ref; do
        has_kernel "$kernel" || continue
        for threads in $4; do
            compare_model "$name" "$kernel" "$threads" || failed=true
        done
    done
    [ -z "$failed" ]
}

compare_program() {
    local compiler level
    for compiler in "${compilers[@]}"; do
        start "digits-$compiler-O0" compare_models "digits-$compiler-O0" "$compiler" -O0 1
        for level in -O2 -O3; do
            start "digits-$compiler$level" \
                compare_models "digits-$compiler$level" "$compiler" "$level" "1 2 3"
        done
    done
    conclude
}

# --- the whole --------------------------------------------------------------------------

# Installs packages if need be; where they are not to be had, notes what is left out: $1.
have_packages() {
    local what=$1
    shift
    if ! (need_packages "$@"); then
        left_out+=("$what")
        return 1
    fi
}

# Finds out what can be compared here.
prepare() {
    need_packages gcc libc6-dev
    compilers=(gcc) arm='' with_fma='' without_fma=''
    if have_packages clang clang; then
        compilers+=(clang)
    fi
    if [ "$machine" != aarch64 ] &&
        have_packages ARM gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user; then
        arm=true
    fi
    if [ "$machine" != x86_64 ]; then
        left_out+=("x86-64: this machine is none")
        return
    fi
    if have_packages "a processor without fused multiply-add" qemu-user; then
        without_fma=true
    fi
    if grep -q -w avx2 /proc/cpuinfo && grep -q -w fma /proc/cpuinfo; then
        with_fma=true
    else
        left_out+=("AVX2: this processor has it not")
    fi
    grep -q -w avx512_vbmi2 /proc/cpuinfo || left_out+=("AVX-512: this processor has it not")
}

full=
while [ $# -gt 0 ]; do
    case $1 in
    --full) full=true ;;
    --help) show_help && exit 0 ;;
    *) die_usage "unknown argument '$1'" ;;
    esac
    shift
done

enter_top
mkdir -p "$out"
prepare
same=true
compare_digests || same=
if [ -n "$full" ]; then
    need_packages "${build_packages[@]}"
    mnist=$(mnist_folder)
    take_mnist
    compare_digests || same=
    compare_program || same=
fi
[ ${#left_out[@]} -eq 0 ] || printf 'left out   %s\n' "${left_out[@]}"
[ -n "$same" ] || die "not the same bytes everywhere"
say "the same bytes everywhere"
