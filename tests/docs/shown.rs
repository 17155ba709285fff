//! Commands that the documentation shows with their output, run again and compared.
//!
//! Where runs differ, numbers, units, times and addresses of the lab's prefix may be others. A line `…` stands for
//! any lines, and `…` within a line for any text.

use std::fs;
use std::path::Path;

use regex::Regex;

use super::pages::{Block, Page, pages};
use crate::harness::{V6KIT, in_lab, in_namespace, repository, run};

/// What a block may want to have run before it, on the host side of a lab.
const PREPARATIONS: [(&str, &str); 4] = [
    (
        "limited",
        concat!("LIMIT='--limit 2000/60s'\n", include_str!("shown/target.sh")),
    ),
    ("knobs", concat!("LIMIT=\n", include_str!("shown/target.sh"))),
    (
        "setup",
        r#"v6kit setup --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" >/dev/null"#,
    ),
    (
        "interrupted",
        r#"
        env v6kit crawl "$V6KIT_LAB_TARGET/items/{1..1000000}" -o items -r 5000/s --commit-every 50ms --keep-free 0 -q &
        until v6kit crawl status items --json 2>/dev/null | jq -e '.done > 0' >/dev/null; do :; done
        kill -TERM $!
        wait $! || [ $? = 130 ]
        "#,
    ),
];

/// What the shell of every block knows: the binary is on the PATH, and everybody is root of the lab, whose target is
/// what `verify` asks.
const SHELL: &str = include_str!("shown/shell.sh");

/// A command and what stands below it.
#[derive(Debug)]
struct Step<'a> {
    command: &'a str,
    output: Vec<&'a str>,
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command,
                output: Vec::new(),
            }),
            (None, Some(step)) => step.output.push(line),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    steps
}

/// Runs every step and marks where its output begins. A command in the background is waited for until it has
/// printed as many lines as are shown.
fn script(steps: &[Step<'_>]) -> String {
    let mut script = SHELL.to_owned();
    for (index, step) in steps.iter().enumerate() {
        script.push_str(&format!("printf '\\036%d\\n' {index}\n"));
        match step.command.strip_suffix(" &") {
            Some(command) => script.push_str(&format!(
                "mkfifo out.{index}; {command} >out.{index} 2>&1 & exec {{out}}<out.{index}; \
                 head -n {} <&\"$out\"\n",
                step.output.len()
            )),
            None => script.push_str(&format!(
                "set +e +o pipefail; {{ {}; }} 2>&1; set -e\n",
                step.command
            )),
        }
    }
    script.push_str("for job in $(jobs -p); do kill \"$job\" || true; done; wait || true\n");
    script
}

/// Matches `text` and what differs from it as runs differ.
fn pattern(text: &str) -> Regex {
    let token = Regex::new(
        r"(?x)
        (?P<gap>\ {2,})
        | (?P<any>…)
        | (?P<at>\d{4}-\d\d-\d\dT[\d:.]+Z)
        | (?P<address>2001:db8:6:[0-9a-f:]*[0-9a-f])
        | (?P<fixed>2001:db8[0-9a-f:]*(/\d+)?|[A-Za-z_-]+\d\w*)
        | (?P<size>\d[\d,.]*\ (B|KiB|MiB|GiB)\b)
        | (?P<time>\d[\d,.]*\ (ms|s|seconds?|minutes?|hours?|days?)\b)
        | (?P<number>\d[\d,.]*)
        ",
    )
    .expect("a pattern");
    let mut pattern = String::from("^");
    let mut end = 0;
    for found in token.captures_iter(text) {
        let whole = found.get(0).expect("a match");
        pattern.push_str(&regex::escape(&text[end..whole.start()]));
        end = whole.end();
        let is = |name: &str| found.name(name).is_some();
        pattern.push_str(match whole.as_str() {
            "0" => "0",
            _ if is("gap") => " {2,}",
            _ if is("any") => ".*",
            _ if is("at") => r"\d{4}-\d\d-\d\dT[\d:.]+Z",
            _ if is("address") && !whole.as_str().ends_with(':') => "2001:db8:6:[0-9a-f:]*[0-9a-f]",
            _ if is("size") => r"\d[\d,.]* (B|KiB|MiB|GiB)",
            _ if is("time") => r"\d[\d,.]* (ms|s|seconds?|minutes?|hours?|days?)",
            _ if is("number") => r"\d[\d,.]*",
            fixed => {
                pattern.push_str(&regex::escape(fixed));
                continue;
            }
        });
    }
    pattern.push_str(&regex::escape(&text[end..]));
    pattern.push('$');
    Regex::new(&pattern).expect("a pattern")
}

/// The first line of `expected` that `seen` does not have where it should be.
pub(super) fn difference(expected: &[&str], seen: &[&str]) -> Result<(), String> {
    let Some((first, rest)) = expected.split_first() else {
        return match seen {
            [] => Ok(()),
            [line, ..] => Err(format!("not shown: {line}")),
        };
    };
    if *first == "…" {
        let mut result = difference(rest, seen);
        for skipped in 1..=seen.len() {
            if result.is_ok() {
                break;
            }
            result = difference(rest, &seen[skipped..]);
        }
        return match result {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("no lines such as these follow: {rest:#?}")),
        };
    }
    match seen.split_first() {
        Some((line, further)) if pattern(first).is_match(line.trim_end()) => difference(rest, further),
        Some((line, _)) => Err(format!("shown: {first}\nseen:  {line}")),
        None => Err(format!("shown and not seen: {first}")),
    }
}

/// Runs a block as its check says, and compares.
fn check_block(page: &Page, block: &Block, check: &str) -> Result<(), String> {
    let place = page.path.display();
    let mut parts = check.split("; ");
    let scene = parts.next().unwrap_or_default();
    let steps = steps(&block.text);
    let mut script = script(&steps);
    for part in parts {
        let name = part
            .strip_prefix("after: ")
            .unwrap_or_else(|| panic!("{place}: {check}"));
        let (_, preparation) = PREPARATIONS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("{place}: there is no preparation `{name}`"));
        script = format!("{SHELL}\n{preparation}\n{script}");
    }
    let run = match scene.split_once(' ') {
        None if scene == "here" => {
            let scratch = tempfile::tempdir().expect("a directory");
            run(std::process::Command::new("bash")
                .args(["-c", &format!("set -euo pipefail\n{script}")])
                .env("V6KIT", V6KIT)
                .env("PATH", crate::harness::path_with_sbin())
                .env("V6KIT_STATE_DIR", scratch.path().join("state"))
                .env("T", scratch.path()))
        }
        None if scene == "lab" => in_lab("routed", &script),
        Some(("lab", topology)) => in_lab(topology, &script),
        _ => panic!("{place}: `{scene}` is no place to run it"),
    };
    if run.code != 0 {
        return Err(format!("{place}: {run}"));
    }
    let progress = Regex::new(r"^[\d,]+/[\d,]+ \d+/s ").expect("a pattern");
    for (index, step) in steps.iter().enumerate() {
        let begin = format!("\u{1e}{index}\n");
        let output = run
            .stdout
            .split_once(&begin)
            .unwrap_or_else(|| panic!("{place}: {run}"))
            .1;
        // Installed, it is what sudo finds by its name.
        let output = output
            .split('\u{1e}')
            .next()
            .unwrap_or_default()
            .replace(&format!("sudo {V6KIT}"), "sudo v6kit");
        let seen: Vec<&str> = output
            .trim_end()
            .lines()
            .filter(|line| !progress.is_match(line))
            .collect();
        let length = step
            .output
            .iter()
            .rposition(|line| !line.is_empty())
            .map_or(0, |last| last + 1);
        let shown = &step.output[..length];
        difference(shown, &seen).map_err(|difference| {
            format!(
                "{place}: `{}` prints something else\n{difference}\n\nall of it:\n{output}",
                step.command
            )
        })?;
    }
    Ok(())
}

/// The blocks whose check begins with one of `words`.
fn blocks_checked(words: &[&str]) -> Vec<(Page, Block, String)> {
    let mut found = Vec::new();
    for mut page in pages(&repository()) {
        for block in std::mem::take(&mut page.blocks) {
            let check = block.check.clone().unwrap_or_default();
            let word = check.split([' ', ';']).next().unwrap_or_default();
            if words.contains(&word) {
                let page = Page::parse(&page.path, "");
                found.push((page, block, check));
            }
        }
    }
    found
}

#[test]
fn every_command_prints_what_the_documentation_shows() {
    let blocks = blocks_checked(&["here", "lab"]);
    assert!(blocks.len() >= 8, "only {} blocks are run", blocks.len());
    let faults: Vec<String> = blocks
        .iter()
        .filter_map(|(page, block, check)| check_block(page, block, check).err())
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_job_file_of_the_documentation_is_one() {
    let blocks = blocks_checked(&["job"]);
    assert!(!blocks.is_empty());
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("job.toml");
    for (page, block, _) in blocks {
        fs::write(&file, &block.text).expect("a job file");
        let run = crate::harness::v6kit(&["crawl", "--job", file.to_str().expect("a path"), "--print-job"])
            .expect(0);
        assert!(run.stdout.contains("output = "), "{}: {run}", page.path.display());
    }
}

#[test]
fn every_file_of_wishes_in_the_documentation_is_one() {
    let blocks = blocks_checked(&["config"]);
    assert!(!blocks.is_empty());
    for (page, block, _) in blocks {
        let run = in_namespace(&format!(
            "ip link add eth0 type veth peer name eth1; ip link set eth0 up\ncat >\"$T/host.toml\" <<'TOML'\n{}TOML\n\
             \"$V6KIT\" setup --config \"$T/host.toml\" --dry-run",
            block.text
        ))
        .expect(0);
        assert!(
            run.stdout.contains("2001:db8:6::/64"),
            "{}: {run}",
            page.path.display()
        );
    }
}

#[test]
fn every_block_of_the_documentation_is_checked() {
    let top = repository();
    let tests = test_names(&top.join("tests"));
    for page in pages(&top) {
        // The package's page is checked by hand: its commands run on a router.
        if page.path.starts_with("openwrt") {
            continue;
        }
        for block in &page.blocks {
            let place = format!(
                "{}: {}",
                page.path.display(),
                block.text.lines().next().unwrap_or_default()
            );
            match (block.language.as_str(), block.check.as_deref()) {
                ("sh" | "mermaid", None) => {}
                (_, None) => panic!("{place}: nothing says how it is checked"),
                (_, Some(check)) => {
                    if let Some(test) = check.strip_prefix("by ") {
                        assert!(
                            tests.contains(&format!("fn {test}()")),
                            "{place}: there is no test {test}"
                        );
                    }
                }
            }
        }
    }
}

/// The text of every test of the suite.
fn test_names(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).expect("tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&test_names(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a test"));
        }
    }
    text
}

#[test]
fn what_runs_differ_in_is_let_through_and_nothing_else() {
    for (shown, seen) in [
        ("time  0.8 s, 132611.9 items/s", "time     1.2 s, 9 items/s"),
        (
            "stored       3.31 MiB in 2 segments",
            "stored       310 KiB in 1 segments",
        ),
        ("from 2001:db8:6:0:fa52:6ff:7961:5cb4", "from 2001:db8:6::1"),
        (
            r#""at":"2026-11-22T03:29:32.651Z","body":{"id":1,…}}"#,
            r#""at":"2027-01-01T00:00:00Z","body":{"id":1,"x":2}}"#,
        ),
    ] {
        assert_eq!(difference(&[shown], &[seen]), Ok(()));
    }
    assert_eq!(difference(&["a", "…", "b"], &["a", "x", "y", "b"]), Ok(()));
    for (shown, seen) in [
        ("blocked      0", "blocked      7"),
        (
            "route      2001:db8:6::/64 is delivered",
            "route      2001:db8:7::/64 is delivered",
        ),
        (
            "listening on 127.0.0.1:1234 for HTTP",
            "listening on 127.0.0.1:1234 for HTTP and SOCKS5",
        ),
        ("ok           100,000", "okay         100,000"),
    ] {
        assert!(difference(&[shown], &[seen]).is_err(), "{shown} is not {seen}");
    }
    assert!(difference(&["a"], &["a", "b"]).is_err());
    assert!(difference(&["a", "b"], &["a"]).is_err());
    assert!(difference(&["a", "…", "b"], &["a", "x"]).is_err());
}
