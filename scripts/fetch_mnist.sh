#!/usr/bin/env bash
# usage: scripts/fetch_mnist.sh [--from DIR|URL]... [--to DIR] [--digests FILE] [--quiet]
#
# Brings the four MNIST files to where `digits` finds them, and checks the SHA-256 of what they
# hold once uncompressed. Files that are there and good stay; a bad one is replaced once a good
# one has arrived; a download that was cut short goes on where it stopped.
#
#   --from DIR|URL   take them from this folder or address instead of the public mirrors; when
#                    given several times, each is tried in turn. A folder may hold the files
#                    plain or compressed, with - or . before "idx"; an address must hold NAME.gz
#   --to DIR         put them here, as NAME.gz
#                    (default ${XDG_DATA_HOME:-~/.local/share}/digits/mnist)
#   --digests FILE   fetch other files than MNIST's, Fashion-MNIST for example: FILE has a line
#                    for each, the SHA-256 of its uncompressed content and its name without .gz,
#                    as sha256sum prints them; needs --from and --to
#   --quiet          say nothing but what went wrong
#   --help           print this
#
# Exit code: 0 all files are there and good, 1 failure, 2 wrong usage.

set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mirrors=(https://ossci-datasets.s3.amazonaws.com/mnist/
    https://storage.googleapis.com/cvdf-datasets/mnist/)
mnist_digests="\
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte"

sources=()
to=
digests_file=
quiet=

parse_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --from) need_value "$@" && sources+=("$2") && shift ;;
        --to) need_value "$@" && to=$2 && shift ;;
        --digests) need_value "$@" && digests_file=$2 && shift ;;
        --quiet) quiet=1 ;;
        --help) show_help && exit 0 ;;
        *) die_usage "unknown argument '$1'" ;;
        esac
        shift
    done
    if [ -n "$digests_file" ] && { [ ${#sources[@]} -eq 0 ] || [ -z "$to" ]; }; then
        die_usage "--digests needs --from and --to"
    fi
    [ ${#sources[@]} -gt 0 ] || sources=("${mirrors[@]}")
    [ -n "$to" ] || to=$(mnist_home)
}

# Prints the list of digests and names, checked: a name that led out of the folder would be a trap.
read_digests() {
    if [ -z "$digests_file" ]; then
        printf '%s\n' "$mnist_digests"
        return
    fi
    [ -r "$digests_file" ] || die_usage "cannot read '$digests_file'"
    [ -s "$digests_file" ] || die_usage "'$digests_file' is empty"
    if grep -qvE '^[0-9a-f]{64} [ *][A-Za-z0-9][A-Za-z0-9._-]*$' "$digests_file"; then
        die_usage "'$digests_file' must hold lines of a SHA-256, two spaces and a file name"
    fi
    sed 's/ \*/  /' "$digests_file"
}

tell() {
    [ -n "$quiet" ] || say "$@"
}

# Succeeds if the content of the file $1, uncompressed where it is compressed, has the SHA-256 $2.
is_good() {
    local sum
    [ -f "$1" ] && sum=$(gzip -dcf <"$1" 2>/dev/null | sha256sum) && [ "$sum" = "$2  -" ]
}

is_gzip() {
    [ "$(head -c 2 "$1" | od -An -tx1)" = " 1f 8b" ]
}

# Downloads the address $1 to the file $2, going on where the file ends. Gives curl's exit code.
download() {
    local show=(--silent --show-error)
    if [ -z "$quiet" ] && [ -t 2 ]; then
        show=(--progress-bar)
    fi
    curl --fail --location "${show[@]}" --connect-timeout 5 --speed-limit 1000 --speed-time 20 \
        --continue-at - --output "$2" "$1"
}

# Makes the file $2 from the address $1; its content must have the SHA-256 $3. What is in $2
# already is taken for the start of the file. If that turns out wrong, the download starts again;
# if the network fails, it stays for next time.
take_from_url() {
    local code=0 resumed=
    [ ! -s "$2" ] || resumed=1
    download "$1" "$2" || code=$?
    case $code in
    0) is_good "$2" "$3" && return ;;
    33 | 36) [ -n "$resumed" ] || return 1 ;; # the server cannot go on from there
    *) return 1 ;;
    esac
    rm -f -- "$2" || return
    if [ -n "$resumed" ]; then
        tell "the part of '$1' that was there is of no use, starting again"
        take_from_url "$@"
        return
    fi
    say "'$1' is not the file it should be: its content has another SHA-256"
    return 1
}

# Makes the compressed file $3 from the file $2 of the folder $1; its content must have the
# SHA-256 $4.
take_from_folder() {
    local file
    if ! file=$(find_idx "$1" "$2"); then
        say "there is no '$2' in '$1'"
        return 1
    fi
    if ! is_good "$file" "$4"; then
        say "'$file' is not the file it should be: its content has another SHA-256"
        return 1
    fi
    if is_gzip "$file"; then
        cat <"$file" >"$3" # not cp: the copy need not be read-only
    else
        gzip -nc <"$file" >"$3"
    fi && is_good "$3" "$4" && return
    rm -f -- "$3"
    say "could not copy '$file' to '$3'"
    return 1
}

# Makes the file $3 from the first source that has a file named $1 with the SHA-256 $2.
take() {
    local source
    is_good "$3" "$2" && return # a former run was stopped just before it could put it in place
    for source in "${sources[@]}"; do
        case $source in
        *://*)
            command -v curl >/dev/null || need_packages curl ca-certificates
            tell "fetching ${source%/}/$1.gz"
            take_from_url "${source%/}/$1.gz" "$3" "$2" && return
            ;;
        *)
            tell "taking $1 from $source"
            take_from_folder "$source" "$1" "$3" "$2" && return
            ;;
        esac
    done
    return 1
}

# Puts the good file $1 in the place of $2, whole or not at all, even if the power fails.
put_in_place() {
    sync "$1"
    mv -f -- "$1" "$2"
    sync "$(dirname "$2")"
}

# Sees to it that the file named $1 with the SHA-256 $2 is there; sets `changed` if it was not.
ensure() {
    local target=$to/$1.gz old
    old=$(find_idx "$to" "$1") || old=
    if [ -n "$old" ]; then
        is_good "$old" "$2" && return
        tell "'$old' is not the file it should be; it will be replaced"
    fi
    [ ! -d "$target" ] || die "'$target' is a folder"
    take "$1" "$2" "$target.part" || die "could not get '$1' from any of: ${sources[*]}"
    put_in_place "$target.part" "$target"
    # The bad file may have another of the names that a reader tries.
    [ -z "$old" ] || [ "$old" = "$target" ] || rm -f -- "$old"
    changed=1
}

main() {
    local list digest name changed=
    parse_options "$@"
    list=$(read_digests)
    if [ ! -d "$to" ]; then
        mkdir -p -- "$to"
        trap 'rmdir -- "$to" 2>/dev/null || true' EXIT # goes again if it stays empty
    fi
    while read -r digest name <&3; do
        ensure "$name" "$digest"
    done 3<<<"$list"
    if [ -n "$changed" ]; then
        tell "done: every file is in '$to', and good"
    else
        tell "nothing to do: every file is in '$to' already, and good"
    fi
}

main "$@"
