//! What somebody sees who types something wrong.

use crate::harness::{in_lab, in_namespace, repository, v6kit};

/// One line of what failed, one of why, one hint, in this order and nothing else.
#[track_caller]
fn assert_explained(stderr: &str) {
    let starts: Vec<&str> = stderr.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(starts, ["error:", "why:", "hint:"], "{stderr}");
}

#[test]
fn a_bad_prefix_is_explained_and_exits_2() {
    for prefix in [
        "2409:1:2:3:abcd::5/80",
        "10.0.0.0/8",
        "foo",
        "2001:db8::1",
        "2000::/8",
    ] {
        let run = v6kit(&["verify", "--prefix", prefix]).expect(2);
        assert_explained(&run.stderr);
        assert!(run.stdout.is_empty(), "{run}");
    }
}

#[test]
fn json_failures_are_one_document_on_standard_output() {
    let run = v6kit(&["verify", "--json", "--prefix", "2409:1:2:3:abcd::5/80"]).expect(2);
    assert_eq!(run.json()["error"]["exit"], 2);
    assert_eq!(run.json()["error"]["hint"], "the network is 2409:1:2:3:abcd::/80");
    assert_explained(&run.stderr);
}

#[test]
fn a_hint_names_the_entry_of_the_catalogue_that_explains_it() {
    let run = v6kit(&["verify", "--json", "--prefix", "2409:1:2:3:abcd::5/80"]).expect(2);
    let code = run.json()["error"]["code"].clone();
    assert_eq!(code, "bad-prefix");
    assert!(run.stderr.contains("(more: `v6kit explain bad-prefix`)"), "{run}");
    let explained = v6kit(&["explain", "bad-prefix"]).expect(0).stdout;
    for part in ["has host bits set behind", "Cause: ", "What to do: "] {
        assert!(explained.contains(part), "{explained}");
    }
    let unknown = v6kit(&["explain", "bad-perfix"]).expect(2);
    assert!(unknown.stderr.contains("did you mean `bad-prefix`?"), "{unknown}");
    let all = v6kit(&["explain"]).expect(0).stdout;
    assert!(all.lines().any(|line| line == "no-route"), "{all}");
}

#[test]
fn an_unknown_subcommand_is_explained_and_exits_2() {
    let run = v6kit(&["sutep"]).expect(2);
    assert_explained(&run.stderr);
    assert!(run.stderr.contains("setup"), "{run}");
}

/// Every subcommand that takes options, with an option that none has.
const COMMANDS: [&[&str]; 14] = [
    &[],
    &["setup"],
    &["status"],
    &["teardown"],
    &["verify"],
    &["echo"],
    &["crawl"],
    &["crawl", "status"],
    &["proxy"],
    &["ndp"],
    &["router"],
    &["router", "push"],
    &["lab", "demo"],
    &["doctor"],
];

#[test]
fn the_hint_of_wrong_usage_runs_as_printed_and_shows_the_command_that_was_typed() {
    for command in COMMANDS {
        let run = v6kit(&[command, &["--qqqqqqqq"]].concat()).expect(2);
        let hint = run
            .stderr
            .lines()
            .find(|line| line.starts_with("hint: "))
            .and_then(|line| line.split('`').nth(1))
            .unwrap_or_else(|| panic!("no command in the hint: {run}"));
        let words: Vec<&str> = hint.split(' ').collect();
        let shown = v6kit(&words[1..]).expect(0).stdout;
        let usage = format!("Usage: v6kit {}", command.join(" "));
        assert!(shown.contains(usage.trim_end()), "`{hint}`: {shown}");
    }
}

/// Lets the commands of hints run as they are printed: `sudo` has the path of Debian's, and its caller v6kit in
/// a directory that sudo does not search.
const PRINTED: &str = include_str!("usage/printed.sh");

#[test]
fn every_hint_of_setup_status_teardown_and_doctor_runs_as_it_is_printed() {
    in_namespace(
        &[
            PRINTED,
            include_str!("usage/every_hint_of_setup_status_teardown_and_doctor_runs_as_it_is_printed.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn what_is_said_of_a_setup_in_a_directory_of_its_own_leads_to_that_setup() {
    in_namespace(&format!(
        "{PRINTED}\n{}",
        include_str!("usage/what_is_said_of_a_setup_in_a_directory_of_its_own_leads_to_that_setup.sh")
    ))
    .expect(0);
}

#[test]
fn with_too_few_open_files_nothing_is_begun_and_the_limit_is_named() {
    in_namespace(&format!(
        r#"{PRINTED}
        # Without the privilege to raise it.
        few() {{ (ulimit -n 12; exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource -- "$V6KIT" "$@"); }}
        for command in "setup --prefix $P --dev up0" status doctor teardown "verify --prefix $P" "ndp --prefix $P --dev up0" \
            "proxy --listen 127.0.0.1:0"; do
            code=0
            few $command >"$T/log" 2>&1 || code=$?
            test $code = 1 || fail "$command: $code: $(cat "$T/log")"
            grep -q '^why: .*12 files open' "$T/log" || fail "$command: $(cat "$T/log")"
            grep -q '^hint: .*ulimit -n' "$T/log" || fail "$command: $(cat "$T/log")"
        done
        test ! -e /var/lib/v6kit
        test -z "$(ip -6 route show table all proto 86)"
        "#
    ))
    .expect(0);
}

#[test]
fn on_a_terminal_of_80_columns_no_line_is_wider() {
    let columns = repository().join("tests/usage/columns.py");
    let run = in_lab(
        "routed",
        &format!(
            "COLUMNS_PY={}\n{}",
            columns.display(),
            include_str!("usage/on_a_terminal_of_80_columns_no_line_is_wider.sh")
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "", "{run}");
    // The check itself: what is planted is found.
    let planted = crate::harness::run(std::process::Command::new("python3").arg(&columns).args([
        "bash",
        "-c",
        "printf 'a word %.0s' {1..20}",
    ]))
    .expect(0);
    assert!(planted.stdout.starts_with("140 columns: a word"), "{planted}");
}

/// What is said to a caller whose PATH holds nothing but what is named.
const CALLER: &str = r#"
    ip link add up0 type veth peer name down0
    ip link set up0 up
    mkdir "$T/path"
    for tool in $TOOLS; do ln -s /bin/true "$T/path/$tool"; done
    PATH=$T/path "$V6KIT" setup --prefix 2001:db8:1::/64 --dev up0
"#;

#[test]
fn what_is_to_be_typed_as_root_names_what_this_caller_has() {
    for (tools, variable, said) in [
        ("''", "", "Undo: "),
        ("doas", "export DOAS_USER=me", "Undo: doas "),
        ("'sudo doas'", "export SUDO_UID=1000", "Undo: sudo "),
        ("'sudo doas'", "export DOAS_USER=me", "Undo: doas "),
    ] {
        let run = in_namespace(&format!("unset SUDO_UID\n{variable}\nTOOLS={tools}\n{CALLER}")).expect(0);
        let expected = format!("{said}{} teardown", crate::harness::V6KIT);
        assert!(run.stdout.contains(&expected), "{expected}: {run}");
        assert!(tools.contains("sudo") || !run.stdout.contains("sudo"), "{run}");
    }
}
