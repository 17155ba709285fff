# shellcheck shell=bash
# A release of this build, served on the loopback of a namespace. $NAME is its archive, without `.tar.gz`.
not() { if "$@"; then return 1; fi; }
says() { grep -q -- "$1" "$T/said" || { echo "does not say: $1"; cat "$T/said"; exit 1; }; }
R=$T/release
URL=http://[::1]:8080
python3 -m http.server --bind ::1 8080 --directory "$R" >"$T/served" 2>&1 &
eventually quietly curl -sf "$URL/"
SH=${SH:-sh}
installs() { curl -sf "$URL/install.sh" | $SH -s -- --from "$URL" --to "$1" >"$T/said" 2>&1; }
# Everything below a directory, with its content.
tree() { (cd "$1" && find . -printf '%p %m %l\n' | sort && find . -type f ! -path ./share/v6kit/files -exec sha256sum {} + | sort); }

# Without a key nothing is signed, and nothing that looks signed is left.
cp -r "$R" "$T/unsigned"
rm -f "$T"/unsigned/{install.sh,SHA256SUMS,SHA256SUMS.sig}
for key in '' /dev/null "$T/none"; do
    not env V6KIT_SIGNING_KEY="$key" "$RELEASE" sign "$T/unsigned" 2>"$T/said"
    says '^hint: '
    test "$(ls "$T/unsigned")" = "$NAME.tar.gz"
done

# Installed, used, installed again, removed: as it was.
mkdir -p "$T/to/share/man" "$T/to/bin"
echo 'of somebody' >"$T/to/bin/other"
tree "$T/to" >"$T/before"
installs "$T/to"
"$T/to/bin/v6kit" --version | grep -q "^v6kit $VERSION"
test -s "$T/to/share/man/man1/v6kit-crawl.1" -a -s "$T/to/share/bash-completion/completions/v6kit"
tree "$T/to" >"$T/installed"
installs "$T/to"
diff "$T/installed" <(tree "$T/to")
removes() { $SH "$R/install.sh" --uninstall --to "$1" >"$T/said" 2>&1; }
removes "$T/to"
diff "$T/before" <(tree "$T/to")
not removes "$T/to"
says '^why: .* is not there'
# Into a directory that is made for it, from a directory; and with wget where there is no curl.
$SH "$R/install.sh" --from "$R" --to "$T/made/for it" >"$T/said"
removes "$T/made/for it"
test ! -e "$T/made"
mkdir "$T/without" && ln -s $(command -v sh tar gzip awk sha256sum ssh-keygen mkdir rm mv cp cat chmod grep sed sort tail \
    touch uname id rmdir env) "$T/without/"
ln -s "$(command -v wget)" "$T/without/"
env PATH="$T/without" sh "$R/install.sh" --from "$URL" --to "$T/to" >"$T/said" 2>&1
removes "$T/to"

# From here on nothing may change: neither an empty place, nor one with an older version.
mkdir "$T/empty"
installs "$T/to"
tree "$T/to" >"$T/installed"
refused() { # what it says
    for place in "$T/empty" "$T/to"; do
        not installs "$place"
        says "$1"
        says '^hint: '
    done
    test -z "$(ls -A "$T/empty")"
    diff "$T/installed" <(tree "$T/to")
}
cp -r "$R" "$T/kept"
again() { cp "$T"/kept/* "$R/"; }
echo >>"$R/$NAME.tar.gz"
refused '^why: .*SHA-256 differs'
# Whoever puts a file and its sum there lacks the key.
(cd "$R" && sha256sum "$NAME.tar.gz" install.sh >SHA256SUMS)
refused '^why: SHA256SUMS is not signed'
ssh-keygen -q -t ed25519 -N '' -f "$T/another"
rm "$R/SHA256SUMS.sig"
refused 'SHA256SUMS.sig could not be fetched'
ssh-keygen -q -Y sign -f "$T/another" -n v6kit-release "$R/SHA256SUMS"
refused '^why: SHA256SUMS is not signed'
# The right key, for another purpose, and for another version.
rm "$R/SHA256SUMS.sig"
ssh-keygen -q -Y sign -f "$T/key" -n file "$R/SHA256SUMS"
refused '^why: SHA256SUMS is not signed'
rm "$R/SHA256SUMS.sig"
sed -i "s/$NAME/v6kit-0.0.0-other/" "$R/SHA256SUMS"
ssh-keygen -q -Y sign -f "$T/key" -n v6kit-release "$R/SHA256SUMS"
refused '^why: the signed SHA256SUMS names no'
again
truncate -s 100000 "$R/$NAME.tar.gz"
refused '^why: .*SHA-256 differs'
rm "$R/$NAME.tar.gz"
refused 'tar.gz could not be fetched'
again
# What checks is not there.
rm "$T/without/ssh-keygen"
not env PATH="$T/without" sh "$R/install.sh" --from "$R" --to "$T/empty" 2>"$T/said"
says '^why: there is no ssh-keygen'
test -z "$(ls -A "$T/empty")"

# Cut anywhere, the script does nothing.
size=$(stat -c %s "$R/install.sh")
last=$(tail -n 1 "$R/install.sh" | wc -c)
for ((cut = 0; cut < size - 1; cut += (cut < size - last - 2 ? 173 : 1))); do
    head -c "$cut" "$R/install.sh" | $SH -s -- --from "$R" --to "$T/empty" >"$T/said" 2>&1 || true
    [ -z "$(ls -A "$T/empty")" ] || { echo "does something when cut after $cut of $size bytes"; exit 1; }
done

# No space, for the archive and for what is in it.
archive=$(stat -c %s "$R/$NAME.tar.gz")
for room in $((archive / 2)) $((archive * 3 / 2)); do
    mkdir -p "$T/small"
    mount -t tmpfs -o size=$room none "$T/small"
    not installs "$T/small"
    says '^hint: .*space'
    test -z "$(ls -A "$T/small")"
    umount "$T/small"
done

# A file that is somebody's stays theirs.
mkdir -p "$T/theirs/bin"
echo theirs >"$T/theirs/bin/v6kit"
tree "$T/theirs" >"$T/before"
not installs "$T/theirs"
says '^hint: move it away'
diff "$T/before" <(tree "$T/theirs")

# Killed at every step that puts something in place: the program that is there is whole, and the next run completes it.
rm -rf "$T/to"
installs "$T/to"
tree "$T/to" >"$T/installed"
mkdir "$T/killing"
cat >"$T/killing/mv" <<'KILL'
#!/bin/sh
count=$(($(cat "$T/count") - 1))
echo $count >"$T/count"
[ $count != 0 ] || kill -KILL $PPID
exec /bin/mv "$@"
KILL
chmod 755 "$T/killing/mv"
export T
for older in no yes; do
    for ((step = 1; ; step += 11)); do
        rm -rf "$T/to"
        [ $older = no ] || { installs "$T/to" && echo older >>"$T/to/bin/v6kit"; }
        echo $step >"$T/count"
        PATH=$T/killing:$PATH installs "$T/to" && break
        if [ -e "$T/to/bin/v6kit" ]; then "$T/to/bin/v6kit" --version >/dev/null; else [ $older = no ]; fi
        installs "$T/to"
        diff "$T/installed" <(tree "$T/to")
        [ $((step % 3)) != 1 ] || { removes "$T/to" && [ ! -e "$T/to" ]; }
    done
    [ $step -gt 12 ]
done

# Not below a host that is set up.
mount -t tmpfs none /var/lib
mkdir /var/lib/v6kit
touch /var/lib/v6kit/journal.jsonl
not removes "$T/to"
says '^hint: .*teardown'
"$T/to/bin/v6kit" --version >/dev/null
