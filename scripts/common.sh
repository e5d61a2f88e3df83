# What the scripts share: messages, folders, names of the MNIST files, packages.
# Sourced by bash, never run.
# shellcheck shell=bash

unset CDPATH # a cd in here says nothing and goes where it is told
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# --- messages ---------------------------------------------------------------------------

# Says something to the user: on stderr, so that stdout is left to results.
say() {
    printf '%s\n' "$*" >&2
}

# Stops: something failed.
die() {
    say "error: $*"
    exit 1
}

# Stops: the script was called wrongly.
die_usage() {
    say "error: $*; see --help"
    exit 2
}

# Prints the comment at the top of the running script.
show_help() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

# Stops unless the option $1 is followed by a value: need_value "$@".
need_value() {
    [ $# -ge 2 ] || die_usage "option '$1' needs a value"
}

# --- folders ----------------------------------------------------------------------------

# Prints the absolute path of the folder $1, or $1 itself where there is no such folder.
absolute() {
    (cd -- "$1" 2>/dev/null && pwd) || printf '%s\n' "$1"
}

# Enters the top of the repository; a relative DIGITS_DATA keeps its meaning.
enter_top() {
    if [ -n "${DIGITS_DATA:-}" ]; then
        DIGITS_DATA=$(absolute "$DIGITS_DATA")
        export DIGITS_DATA
    fi
    cd "$top" || exit
}

# --- MNIST files ------------------------------------------------------------------------

mnist_names=(train-images-idx3-ubyte train-labels-idx1-ubyte
    t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)

# Prints where the user's own data folder keeps MNIST; `digits` looks there too.
mnist_home() {
    printf '%s\n' "${XDG_DATA_HOME:-$HOME/.local/share}/digits/mnist"
}

# Prints the path of the file $2 in the folder $1, with - or . before idx, with or without .gz.
# Fails if there is none.
find_idx() {
    local name
    for name in "$2.gz" "$2" "${2/-idx/.idx}.gz" "${2/-idx/.idx}"; do
        if [ -f "$1/$name" ]; then
            printf '%s\n' "$1/$name"
            return
        fi
    done
    return 1
}

# Succeeds if the folder $1 has a file for each of the four names.
has_mnist() {
    local name
    for name in "${mnist_names[@]}"; do
        find_idx "$1" "$name" >/dev/null || return 1
    done
}

# --- packages, by their Debian names ----------------------------------------------------

build_packages=(cmake ninja-build gcc libc6-dev pkg-config
    zlib1g-dev libstb-dev libcjson-dev libpng-dev libjpeg62-turbo-dev
    nettle-dev)
# shellcheck disable=SC2034 # for those who source this
test_packages=("${build_packages[@]}" libcriterion-dev python3 python3-numpy
    curl ca-certificates strace nodejs locales)
# shellcheck disable=SC2034 # for those who source this
browser_packages=(chromium chromium-driver python3-selenium)

# Succeeds on Debian and its relatives.
has_apt() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

# Succeeds if what the package $1 brings is on this machine.
is_present() {
    if has_apt; then
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
        return
    fi
    case $1 in
    ninja-build) command -v ninja ;;
    gcc) command -v "${CC:-cc}" ;;
    libc6-dev) has_header stdio.h ;;
    zlib1g-dev) pkg-config --exists zlib ;;
    libstb-dev) has_header stb/stb_image_write.h ;;
    libcjson-dev) pkg-config --exists libcjson ;;
    libpng-dev) pkg-config --exists libpng ;;
    libjpeg62-turbo-dev) pkg-config --exists libjpeg ;;
    nettle-dev) pkg-config --exists nettle ;;
    libcriterion-dev) pkg-config --exists criterion ;;
    python3-numpy) python3 -c 'import numpy' ;;
    chromium) command -v chromium || command -v chromium-browser ;;
    chromium-driver) command -v chromedriver ;;
    python3-selenium) python3 -c 'import selenium' ;;
    locales) command -v localedef ;;
    ca-certificates | libclang-rt-dev) true ;; # come with curl and clang
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

# Succeeds if the compiler finds the header $1.
has_header() {
    printf '#include <%s>\n' "$1" | "${CC:-cc}" -E -x c -
}

# Installs those of the named packages that are missing; without apt, names them and stops.
need_packages() {
    local package missing=()
    for package in "$@"; do
        is_present "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    has_apt || die "please install what Debian calls: ${missing[*]}"
    say "installing from Debian: ${missing[*]}"
    apt_install "${missing[@]}" || die "could not install: ${missing[*]}"
}

# Installs the named packages if that is possible, and says what goes without them if not.
want_packages() {
    local what=$1
    shift
    (need_packages "$@") || say "going on without: $what"
}

# Installs packages, reading the package lists anew if they are absent or too old to be of use.
apt_install() {
    apt-get install --simulate "$@" >/dev/null 2>&1 || apt_get update
    apt_get install --no-install-recommends "$@" ||
        { apt_get update && apt_get install --no-install-recommends "$@"; }
}

# Runs apt-get as root, without questions, and without hanging on a dead network or a lock.
apt_get() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "apt-get $1 needs root, and there is no sudo"
        as_root=(sudo)
    fi
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -y -q \
        -o Acquire::http::Timeout=15 -o DPkg::Lock::Timeout=300 "$@" >&2
}
