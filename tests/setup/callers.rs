//! Whom the command of `v6kit setup … -- CMD` runs as, below sudo, doas and a root login.

use std::process::Command;

use crate::harness::{V6KIT, path_with_sbin, run};

/// A host with the account alice, who may call sudo and doas, in namespaces with an /etc of their own.
const HOST: &str = r#"
set -euo pipefail
mount --make-rprivate /
mount -t tmpfs tmpfs "$T"
chmod 755 "$T"
mkdir "$T/etc" "$T/bin" "$T/state" "$T/home"
cp -a /etc/. "$T/etc/"
mount --bind "$T/etc" /etc
cp "$V6KIT_UNDER_TEST" "$T/bin/v6kit"
chmod 755 "$T/bin" "$T/bin/v6kit"
ip link set lo up
ip link add up0 type veth peer name down0
ip link set up0 up
ip link set down0 up
ip addr add 2001:db8:ffff::2/64 dev up0 nodad
ip -6 route add default via 2001:db8:ffff::1
echo "alice:x:2001:2001::$T/home:/bin/bash" >>/etc/passwd
echo 'alice:*:20000:0:99999:7:::' >>/etc/shadow
printf 'alice:x:2001:\nfriends:x:2002:alice\n' >>/etc/group
mkdir -p /etc/sudoers.d
printf 'Defaults use_pty\nalice ALL=(ALL) NOPASSWD:SETENV: ALL\nroot ALL=(ALL) NOPASSWD: ALL\n' >/etc/sudoers
printf 'permit nopass alice\n' >/etc/doas.conf
chmod 440 /etc/sudoers
LINE="$T/bin/v6kit setup --state-dir $T/state/s --prefix 2001:db8:1::/64 --dev up0 --no-verify"
# A shell of alice's.
alice() { setpriv --reuid 2001 --regid 2001 --init-groups bash -c "$1; exit \$?"; }
gone() {
    timeout 20 bash -c "while [ -e $T/state/s ]; do sleep 0.02; done" ||
        { echo "still set up after $*: $(cat "$T/state/s/journal.jsonl")" >&2; exit 1; }
}
same() { [ "$1" = "$2" ] || { echo "expected: $2
found:    $1" >&2; exit 1; }; }
WHO='id -un; id -Gn; echo $HOME $USER $LOGNAME; env | grep -E "^(SUDO|DOAS|PKEXEC)" || true; grep CapPrm /proc/self/status'
HERS="alice
alice friends
$T/home alice alice
CapPrm:	0000000000000000"
"#;

#[track_caller]
fn with_alice(script: &str) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test calls sudo and doas, which only root can prepare: sudo tests/run"
    );
    let scratch = tempfile::tempdir().expect("a temporary directory");
    run(Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["bash", "-c", &format!("{HOST}\n{script}")])
        .env("V6KIT_UNDER_TEST", V6KIT)
        .env_remove("V6KIT_STATE_DIR")
        .env("PATH", path_with_sbin())
        .env("LC_ALL", "C")
        .env("T", scratch.path()))
    .expect(0);
}

#[test]
fn below_sudo_and_doas_a_command_is_the_callers_whatever_the_environment_says() {
    with_alice(
        r#"
        for tool in sudo doas 'sudo sudo' 'sudo SUDO_UID=0 SUDO_GID=0' 'sudo env SUDO_UID=0'; do
            same "$(alice "$tool $LINE -- bash -c '$WHO'")" "$HERS"
            gone "$tool"
        done"#,
    );
}

#[test]
fn without_sudo_in_front_a_command_keeps_everything_that_it_was_given() {
    with_alice(
        r#"
        same "$(alice "export FOO=bar HOME=/elsewhere; exec 5<<<'a descriptor'; $LINE -- bash -c 'id -Gn; echo \$FOO \$HOME; cat <&5'")" \
            $'alice friends\nbar /elsewhere\na descriptor'
        gone 'no sudo in front'
        # Whoever is given no root is told, and the command does not run.
        echo 'root ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers
        code=0
        alice "$LINE -- echo ran" >"$T/out" 2>"$T/err" </dev/null || code=$?
        same "$code $(cat "$T/out")" '125 '
        grep -q '^why: sudo gave no root' "$T/err"
        gone 'no root'"#,
    );
}

#[test]
fn a_root_login_stays_root_and_says_so_also_in_an_old_root_shell() {
    with_alice(
        r#"
        same "$(SUDO_UID=2001 SUDO_GID=2001 SUDO_USER=alice DOAS_USER=alice PKEXEC_UID=2001 $LINE -- id -un 2>"$T/err")" root
        grep -q 'runs as root' "$T/err"
        gone 'a root shell'
        same "$(alice "sudo bash -c '$LINE -- id -un; true'")" root
        gone 'a root shell of sudo'
        same "$(setsid $LINE --as alice -- bash -c "$WHO" </dev/null)" "$HERS"
        gone 'as alice'
        for none in 4294967295 -1 3999 nobody-there; do
            code=0
            $LINE "--as=$none" -- echo ran >"$T/out" 2>"$T/err" || code=$?
            same "$code $(cat "$T/out")" '125 '
            grep -q "there is no account .$none" "$T/err"
        done
        code=0
        alice "$LINE --as root -- echo ran" >"$T/out" 2>"$T/err" || code=$?
        same "$code $(cat "$T/out")" '125 '"#,
    );
}

#[test]
fn what_is_killed_below_sudo_is_undone_at_once() {
    with_alice(
        r#"
        for victim in sudo sleep; do
            alice "sudo $LINE -- sleep 1000" 2>"$T/err" &
            until pgrep -u 2001 -x sleep >/dev/null; do sleep 0.02; done
            pkill -KILL -x $victim || true
            wait $! || true
            # What sudo's end leaves running is ended here, as its terminal would.
            pkill -KILL -x sleep || true
            gone "kill -9 of $victim"
        done"#,
    );
}
