#!/bin/sh
# Installs v6kit @VERSION@ for Linux on x86_64 or aarch64: the program, its manual pages and completions. Changes nothing
# else, starts nothing, and installs nothing that is not signed with the key below.
#
#   sh install.sh [--to DIR] [--from URL]
#       --to         below DIR; /usr/local for root and ~/.local for others where it is left out
#       --from       takes the files from there: a URL, or a directory
#   sh install.sh --uninstall [--to DIR]
#
# Everything is a function, called on the last line: a part of this file does nothing.

version='@VERSION@'
releases='@RELEASES@'
signer='@SIGNER@'

fail() { # what, why, hint
    printf 'error: %s\nwhy: %s\nhint: %s\n' "$1" "$2" "$3" >&2
    exit 1
}

need() { # program, where it comes from
    command -v "$1" >/dev/null 2>&1 || fail "v6kit was not installed" "there is no $1 here" "install $2"
}

# Into the directory of this run. With curl it takes no other protocol than that of the URL, and no endless answer; wget
# has no such options.
fetch() { # name
    case $from in
    https://*) only='=https' ;;
    http://*) only='=http' ;;
    *)
        cp "$from/$1" "$stage/$1" && return
        fail "v6kit was not installed" "$from/$1 cannot be copied" "give --from a directory with the files of a release"
        ;;
    esac
    if command -v curl >/dev/null 2>&1; then
        curl --fail --silent --show-error --location --proto "$only" --connect-timeout 30 --retry 3 \
            --speed-limit 1000 --speed-time 60 --max-filesize 200000000 --output "$stage/$1" "$from/$1" && return
    else
        need wget "curl or wget"
        wget -q -T 60 -O "$stage/$1" "$from/$1" && return
    fi
    fail "v6kit was not installed" "$from/$1 could not be fetched as a whole" \
        "look at the network and at the space in $to, then run it again"
}

# The signature covers the sums, the sums cover the archive.
check() {
    printf 'v6kit %s\n' "$signer" >"$stage/signers"
    ssh-keygen -Y verify -f "$stage/signers" -I v6kit -n v6kit-release -s "$stage/SHA256SUMS.sig" \
        <"$stage/SHA256SUMS" >/dev/null 2>"$stage/said" ||
        fail "v6kit was not installed" "SHA256SUMS is not signed with the key of v6kit ($(tail -n 1 "$stage/said"))" \
            "do not use these files; fetch them and this script anew from where v6kit is released"
    awk -v name="$archive" '$2 == name' "$stage/SHA256SUMS" >"$stage/sum"
    [ -s "$stage/sum" ] ||
        fail "v6kit was not installed" "the signed SHA256SUMS names no $archive: it is of another version" \
            "fetch this script anew from where v6kit is released"
    (cd "$stage" && sha256sum -c sum >/dev/null 2>&1) ||
        fail "v6kit was not installed" "$archive is not what was released: its SHA-256 differs" \
            "run it again; where that does not help, do not use the file"
}

# What goes where, a line for each: the file in the archive, and its place below the directory. The program is the last.
places() {
    for page in "$unpacked"/man/*.1; do
        echo "man/${page##*/} share/man/man1/${page##*/}"
    done
    echo "completions/v6kit.bash share/bash-completion/completions/v6kit"
    echo "completions/_v6kit share/zsh/site-functions/_v6kit"
    echo "completions/v6kit.fish share/fish/vendor_completions.d/v6kit.fish"
    echo "LICENSE-MIT share/doc/v6kit/LICENSE-MIT"
    echo "LICENSE-APACHE share/doc/v6kit/LICENSE-APACHE"
    echo "v6kit bin/v6kit"
}

# The directories that have to be made for a file, the outermost first.
missing_directories() { # file
    path=${1%/*}
    missing=
    while [ -n "$path" ] && [ ! -d "$path" ]; do
        missing="$path/
$missing"
        path=${path%/*}
    done
    printf '%s' "$missing"
}

put_in_place() {
    places >"$stage/places"
    while read -r _ place; do
        if [ -e "$to/$place" ] && ! grep -qxF "$to/$place" "$list" 2>/dev/null; then
            fail "v6kit was not installed" "$to/$place is there, and this script did not put it there" "move it away"
        fi
    done <"$stage/places"
    # What is on the list is ours from the moment on that it is there, and whatever ends this run.
    mkdir -p "$stage/old"
    [ ! -e "$list" ] || cp "$list" "$stage/old/files"
    touch "$stage/old/files"
    {
        cat "$stage/old/files"
        [ -z "$above" ] || printf '%s\n' "$above"
        while read -r _ place; do
            missing_directories "$to/$place"
            echo "$to/$place"
        done <"$stage/places"
        missing_directories "$list"
    } | awk '!seen[$0]++' >"$stage/files"
    mkdir -p "${list%/*}"
    mv "$stage/files" "$list"
    while read -r file place; do
        mkdir -p "$to/${place%/*}"
        chmod 644 "$unpacked/$file"
        [ "$file" != v6kit ] || chmod 755 "$unpacked/$file"
        mv "$unpacked/$file" "$to/$place"
    done <"$stage/places"
    # Files of an older version that this one has not.
    while read -r old; do
        case $old in */) continue ;; esac
        awk -v to="$to/" -v old="$old" 'to $2 == old { found = 1 } END { exit !found }' "$stage/places" && continue
        rm -f "$old"
        grep -vxF "$old" "$list" >"$stage/files" && mv "$stage/files" "$list"
    done <"$stage/old/files"
}

install_it() {
    case $(uname -s)-$(uname -m) in
    Linux-x86_64 | Linux-amd64) target=x86_64-unknown-linux-musl ;;
    Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
    *) fail "v6kit was not installed" "there is no program for $(uname -s) on $(uname -m)" "build it from source" ;;
    esac
    need tar tar
    need gzip gzip
    need awk "awk (mawk, gawk or busybox)"
    need sha256sum coreutils
    need ssh-keygen "OpenSSH's client, which checks the signature (Debian: openssh-client, Alpine: openssh-keygen)"
    archive=v6kit-$version-$target.tar.gz
    above=$(missing_directories "$to/")
    mkdir -p "$to" 2>/dev/null || true
    [ -w "$to" ] ||
        fail "v6kit was not installed" "$to cannot be written to" "run it as root, or name another place: --to ~/.local"
    # What earlier runs left that were killed.
    for left in "$to"/.v6kit-install.*; do
        [ ! -d "$left" ] || [ -d "/proc/${left##*.}" ] || rm -rf "$left"
    done
    stage=$to/.v6kit-install.$$
    trap 'rm -rf "$stage"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir "$stage"
    fetch SHA256SUMS
    fetch SHA256SUMS.sig
    fetch "$archive"
    check
    tar -xzf "$stage/$archive" -C "$stage" ||
        fail "v6kit was not installed" "$archive could not be unpacked in $to" "look at the space there"
    rm "$stage/$archive"
    unpacked=$stage/v6kit-$version-$target
    "$unpacked/v6kit" --version >/dev/null ||
        fail "v6kit was not installed" "the program does not run below $to" \
            "where that is mounted noexec, name another place: --to DIR"
    put_in_place
    echo "v6kit $version is installed: $to/bin/v6kit"
    case :$PATH: in
    *:"$to/bin":*) ;;
    *) echo "To have it found by its name: export PATH=\"$to/bin:\$PATH\"" ;;
    esac
    echo "To remove it: sh install.sh --uninstall --to $to"
}

uninstall() {
    [ -e "$list" ] || fail "nothing was removed" "$list is not there: this script installed nothing below $to" "name the place: --to DIR"
    for trace in /var/lib/v6kit/journal.jsonl /var/lib/v6kit/summary.json /etc/systemd/system/v6kit-setup.service; do
        [ ! -e "$trace" ] || fail "nothing was removed" "this host is set up ($trace), and only v6kit puts it back" \
            "$to/bin/v6kit teardown --persist, as root"
    done
    while read -r file; do
        case $file in */) ;; *) rm -f "$file" ;; esac
    done <"$list"
    # Directories that were made for it, the innermost first, where nothing else has come into them.
    directories=$(sed -n 's,/$,,p' "$list" | sort -r)
    rm "$list"
    printf '%s\n' "$directories" | while read -r directory; do
        [ -z "$directory" ] || rmdir "$directory" 2>/dev/null || true
    done
    echo "v6kit is removed from $to"
}

main() {
    set -eu
    umask 022
    to=
    from=$releases/download/v$version
    action=install_it
    while [ $# -gt 0 ]; do
        case $1 in
        --to) to=${2:?a directory} && shift ;;
        --from) from=${2:?a URL or a directory} && shift ;;
        --uninstall) action=uninstall ;;
        *) fail "\`$1\` is not understood" "there are --to DIR, --from URL and --uninstall" "head -n 12 install.sh" ;;
        esac
        shift
    done
    if [ -z "$to" ]; then
        if [ "$(id -u)" = 0 ]; then to=/usr/local; else to=$HOME/.local; fi
    fi
    case $to in /*) ;; *) to=$PWD/$to ;; esac
    to=${to%/}
    list=$to/share/v6kit/files
    $action
}

{ main "$@"; exit; }
