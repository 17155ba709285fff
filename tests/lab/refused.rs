//! Where the kernel or its security module refuses namespaces to plain users, the lab says which setting it is, and
//! what works without changing it.

use crate::harness::in_namespace;

/// Runs the lab as a plain user where `file` below /proc/sys holds `value` and a system call fails as `inject` says
/// (strace(1)); `$said` is what it wrote.
#[track_caller]
fn as_a_plain_user(file: &str, value: &str, inject: &str, script: &str) {
    in_namespace(&format!(
        r#"
        directory=/proc/sys/{file}
        directory=${{directory%/*}}
        mount -t tmpfs none "$directory"
        echo {value} >/proc/sys/{file}
        said=$T/said
        status=0
        unshare --user --map-user=1000 --map-group=1000 \
            strace --follow-forks --output "$T/calls" --inject {inject} \
            "$V6KIT" lab run -- true 2>"$said" || status=$?
        [ $status = 4 ] || {{ echo "status $status"; cat "$said"; exit 1; }}
        not() {{ if "$@"; then return 1; fi; }}
        says() {{ grep -q -- "$1" "$said" || {{ echo "does not say: $1"; cat "$said"; exit 1; }}; }}
        {script}
        "#
    ))
    .expect(0);
}

#[test]
fn ubuntus_restriction_is_named_and_only_root_or_a_profile_is_offered() {
    // What Ubuntu's kernel does: the namespaces are made, and capabilities in them are refused.
    for errno in ["EACCES", "EPERM"] {
        as_a_plain_user(
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            &format!("mount:error={errno}:when=1"),
            r#"
            says '^why: .*kernel.apparmor_restrict_unprivileged_userns is 1'
            says '^hint: run it as root: `sudo .*lab run -- true`.*AppArmor profile'
            not grep -E 'sysctl|container|privileged`' "$said"
            "#,
        );
    }
}

#[test]
fn other_settings_that_refuse_namespaces_are_named_and_not_to_be_changed_for_all() {
    for (file, value) in [
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
    ] {
        as_a_plain_user(
            file,
            value,
            "clone:error=EPERM:when=1",
            &format!(
                r#"
                says '^why: .*{} is {value}'
                says '^hint: run it as root: `sudo .*lab run -- true`'
                not grep -E 'sysctl|container' "$said"
                "#,
                file.replace('/', ".")
            ),
        );
    }
}

#[test]
fn a_refusal_without_a_setting_behind_it_is_laid_to_none() {
    as_a_plain_user(
        "kernel/apparmor_restrict_unprivileged_userns",
        "0",
        "mount:error=EACCES:when=1",
        r#"
        not grep -E 'apparmor|AppArmor|Ubuntu' "$said"
        says '^hint: .*container'
        "#,
    );
}
