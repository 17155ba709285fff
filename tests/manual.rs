//! Manual pages and completions, read by the programs that they are made for.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Run, V6KIT, in_namespace, path_with_sbin, repository, run, v6kit};

/// Writes the manual pages into a directory that vanishes with the test.
#[track_caller]
fn pages() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    run(Command::new(V6KIT).arg("man").arg(directory.path().join("man1"))).expect(0);
    directory
}

#[track_caller]
fn sh(script: &str, directory: &Path) -> Run {
    run(Command::new("bash")
        .args(["-c", &format!("set -euo pipefail\n{script}")])
        .env("V6KIT", V6KIT)
        .env("PATH", path_with_v6kit())
        .env("LC_ALL", "C.UTF-8")
        .env("T", directory))
}

/// Where the shell finds the binary by its name.
fn path_with_v6kit() -> String {
    let directory = Path::new(V6KIT).parent().expect("a directory");
    format!("{}:{}", directory.display(), path_with_sbin())
}

#[test]
fn every_manual_page_is_formatted_without_a_warning() {
    let directory = pages();
    let man1 = directory.path().join("man1");
    assert!(fs::read_dir(&man1).expect("pages").count() > 20);
    let run = sh(
        r#"
        cd "$T"
        for page in man1/*.1; do
            MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null
        done
        mandoc -T lint -W error man1/*.1
        "#,
        directory.path(),
    )
    .expect(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{run}");
}

#[test]
fn a_manual_page_is_found_by_man_and_keeps_its_examples_line_by_line() {
    let directory = pages();
    let run = sh(
        r#"MANPATH="$T" MANWIDTH=100 man v6kit-crawl-retry"#,
        directory.path(),
    )
    .expect(0);
    for line in [
        "v6kit crawl retry items",
        "v6kit crawl retry items --outcome transient,blocked -- -r 20/s",
    ] {
        assert!(
            run.stdout.lines().any(|found| found.trim() == line),
            "no line `{line}`: {run}"
        );
    }
    assert!(run.stdout.contains("V6KIT-CRAWL-RETRY(1)"), "{run}");
    assert!(run.stdout.contains("SEE ALSO"), "{run}");
}

#[test]
fn manual_pages_that_cannot_be_written_are_explained() {
    let run = v6kit(&["man", "/proc/nowhere"]).expect(2);
    assert!(run.stderr.contains("hint: "), "{run}");
}

#[test]
fn bash_completes_subcommands_and_options() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = sh(
        r#"
        "$V6KIT" completions bash >"$T/v6kit"
        bash -n "$T/v6kit"
        source "$T/v6kit"
        complete -p v6kit >/dev/null
        reply() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _v6kit v6kit "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[*]}"; }
        reply v6kit doc
        reply v6kit crawl ret
        reply v6kit setup --conn
        "#,
        directory.path(),
    )
    .expect(0);
    assert_eq!(run.stdout, "doctor\nretry\n--conntrack\n", "{run}");
}

#[test]
fn zsh_takes_its_completions() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = sh(
        r#"
        "$V6KIT" completions zsh >"$T/_v6kit"
        zsh -n "$T/_v6kit"
        ZDOTDIR=$T zsh -fc 'fpath=($T $fpath); autoload -Uz compinit; compinit -u -d $T/dump
                            print $_comps[v6kit]; autoload +X _v6kit && whence -w _v6kit'
        "#,
        directory.path(),
    )
    .expect(0);
    assert_eq!(run.stdout, "_v6kit\n_v6kit: function\n", "{run}");
}

#[test]
fn fish_completes_subcommands_and_options() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = sh(
        r#"
        "$V6KIT" completions fish >"$T/v6kit.fish"
        fish --no-execute "$T/v6kit.fish"
        export HOME=$T
        fish --no-config -c 'source $T/v6kit.fish
            complete -C "v6kit doc"; complete -C "v6kit crawl ret"; complete -C "v6kit setup --conn"' | cut -f1
        "#,
        directory.path(),
    )
    .expect(0);
    assert_eq!(run.stdout, "doctor\nretry\n--conntrack\n", "{run}");
}

#[test]
fn a_reader_that_has_seen_enough_of_the_completions_is_no_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    sh(
        r#"set +o pipefail; "$V6KIT" completions zsh | head -1"#,
        directory.path(),
    )
    .expect(0);
    let run = sh(
        r#""$V6KIT" completions zsh --json | jq -r .shell"#,
        directory.path(),
    )
    .expect(0);
    assert_eq!(run.stdout, "zsh\n");
}

/// A host with a prefix that is set up and a crawl, and what completes there: a line, and what TAB makes of it.
const COMPLETED: [(&str, &str); 10] = [
    ("v6kit crawl --format p", "v6kit crawl --format parquet"),
    ("v6kit crawl --format=w", "v6kit crawl --format=warc"),
    ("v6kit setup --conntrack no", "v6kit setup --conntrack notrack"),
    ("v6kit crawl cat --outcome fa", "v6kit crawl cat --outcome fatal"),
    (
        "v6kit verify --prefix 2001:d",
        "v6kit verify --prefix 2001:db8:1::/64",
    ),
    ("v6kit setup --dev up", "v6kit setup --dev up0"),
    ("v6kit crawl status it", "v6kit crawl status items"),
    ("v6kit explain connect_t", "v6kit explain connect_timeout"),
    ("v6kit lab run -- whoam", "v6kit lab run -- whoami"),
    (
        "v6kit setup --prefix 2001:db8:1::/64 -- v6kit crawl --on-limit ro",
        "v6kit setup --prefix 2001:db8:1::/64 -- v6kit crawl --on-limit rotate",
    ),
];

/// Runs `script`, which completes the lines in `$LINES_FILE` and prints what they become, on such a host.
#[track_caller]
fn completes(script: &str) {
    let lines: Vec<&str> = COMPLETED.iter().map(|(line, _)| *line).collect();
    let expected: Vec<&str> = COMPLETED.iter().map(|(_, completed)| *completed).collect();
    let prepare = include_str!("manual/completed.sh");
    let run = in_namespace(&format!(
        "export PATH={}\nTAB={}\nreadarray -t LINES_ <<'LINES'\n{}\nLINES\n{prepare}\n{script}",
        path_with_v6kit(),
        repository().join("tests/manual/tab.py").display(),
        lines.join("\n")
    ))
    .expect(0);
    let found: Vec<&str> = run.stdout.lines().map(str::trim_end).collect();
    assert_eq!(found, expected, "{run}");
}

#[test]
fn bash_completes_values_devices_jobs_and_the_command_behind_two_dashes() {
    completes(r#"timeout 60 python3 "$TAB" bash "$T/v6kit.bash" after "${LINES_[@]}""#);
}

#[test]
fn zsh_completes_the_same_also_where_it_is_read_before_compinit() {
    completes(r#"timeout 60 python3 "$TAB" zsh "$T/v6kit.zsh" after "${LINES_[@]}""#);
    completes(r#"timeout 60 python3 "$TAB" zsh "$T/v6kit.zsh" before "${LINES_[@]}""#);
}

#[test]
fn fish_completes_the_same() {
    completes(
        r#"
        export HOME=$T
        for line in "${LINES_[@]}"; do
            word=$(LINE=$line fish --no-config -c 'source $T/v6kit.fish; complete -C "$LINE"' | head -1 | cut -f1)
            echo "${line% *} $word"
        done"#,
    );
}
