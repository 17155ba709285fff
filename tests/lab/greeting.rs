//! A shell in the lab tells where it is, and shows it in its prompt.

use std::fs;
use std::process::Command;

use crate::harness::{Run, V6KIT, repository, run, v6kit};

/// A shell on a terminal of its own in a lab. Its own files set MARK.
fn shell(topology: &str, words: &[&str]) -> Run {
    let home = tempfile::tempdir().expect("a directory");
    for (file, text) in [
        (".bashrc", "MARK=bash; PS1='mine> '"),
        (".zshrc", "MARK=zsh; PROMPT='mine> '"),
        (".shrc", "MARK=sh; PS1='mine> '"),
    ] {
        fs::write(home.path().join(file), text).expect("a file");
    }
    run(Command::new("timeout")
        .args(["60", "python3"])
        .arg(repository().join("tests/lab/greeting.py"))
        .args([V6KIT, topology])
        .args(words)
        .env("HOME", home.path())
        .env("ENV", home.path().join(".shrc"))
        .env_remove("ZDOTDIR")
        .env("LC_ALL", "C.UTF-8"))
}

#[test]
fn a_shell_in_the_lab_greets_and_keeps_what_its_own_files_set() {
    for (words, mark) in [
        (&["bash"][..], "bash"),
        (&["bash", "-i"], "bash"),
        (&["sh"], "sh"),
        (&["zsh"], "zsh"),
    ] {
        let run = shell("routed", words);
        // dash gives the terminal back to a process group of outside, which it cannot name here.
        assert!(run.code == 3 || words == ["sh"], "{run}");
        for said in [
            "This is the lab: 2001:db8:6::/64 is routed to this host, on eth0.",
            "The target is http://[2001:db8:80::80]. `exit` leaves, and nothing stays.",
            "v6kit setup --prefix $V6KIT_LAB_PREFIX",
            "(v6kit lab) mine> ",
            &format!("mark={mark}"),
        ] {
            assert!(run.stdout.contains(said), "{words:?}: {said}: {run}");
        }
    }
}

#[test]
fn the_greeting_says_what_the_router_does_and_no_program_is_greeted() {
    let run = shell("on-link", &["bash"]).expect(3);
    assert!(
        run.stdout
            .contains("lies on the link of eth0: the router asks for each address"),
        "{run}"
    );
    let run = v6kit(&["lab", "run", "--", "bash", "-c", "echo $PS1"]).expect(0);
    assert_eq!((run.stdout.trim(), run.stderr.as_str()), ("", ""), "{run}");
}

#[test]
fn the_example_of_an_on_link_lab_shows_on_link() {
    let help = v6kit(&["lab", "run", "--help"]).expect(0).stdout;
    let (_, example) = help
        .split_once("v6kit lab run --topology on-link")
        .expect("the example");
    let line = format!("{V6KIT} lab run --topology on-link{}", example.trim_end());
    let directory = std::path::Path::new(V6KIT).parent().expect("a directory");
    let run = run(Command::new("bash").args(["-c", &line]).env(
        "PATH",
        format!("{}:{}", directory.display(), crate::harness::path_with_sbin()),
    ));
    assert!(run.stdout.contains("on-link: "), "{line}: {run}");
}
