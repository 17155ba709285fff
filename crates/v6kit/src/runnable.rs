//! Commands in hints, so that they run as they are printed.
//!
//! The crates write `sudo v6kit …`. Two things only this process knows: whether sudo finds the program by that
//! name, and what was typed, which `…` stands for.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use v6kit_net::{shell_path, shell_word};

use crate::command_line::{texts, without_secrets};

/// Where sudo looks for programs (`secure_path` of sudoers(5), as Debian and Fedora set it).
const SECURE_PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

const WRITTEN: &str = "sudo v6kit";

/// `text` with its commands as they can be typed here.
pub(crate) fn runnable(text: &str) -> Cow<'_, str> {
    if !text.contains(WRITTEN) {
        return Cow::Borrowed(text);
    }
    static PROGRAM: OnceLock<String> = OnceLock::new();
    static TYPED: OnceLock<String> = OnceLock::new();
    let program = PROGRAM.get_or_init(program);
    let typed = TYPED.get_or_init(typed);
    Cow::Owned(rewritten(text, program, typed))
}

/// Replaces the program's name, and with what was typed a command that ends in `…`.
fn rewritten(text: &str, program: &str, typed: &str) -> String {
    let mut pieces = text.split(WRITTEN);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        result.push_str("sudo ");
        result.push_str(program);
        let command = piece.split('`').next().unwrap_or_default();
        match command.strip_suffix('…') {
            Some(_) => {
                result.push_str(typed);
                result.push_str(&piece[command.len()..]);
            }
            None => result.push_str(piece),
        }
    }
    result
}

/// The name by which sudo finds this program: its path, unless it is installed.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else {
        return "v6kit".to_owned();
    };
    let is_found = SECURE_PATH.iter().any(|directory| {
        let there = Path::new(directory).join("v6kit");
        there.canonicalize().is_ok_and(|found| found == path)
    });
    if is_found {
        "v6kit".to_owned()
    } else {
        shell_path(&path)
    }
}

/// What was typed behind the program's name, without secrets. sudo hands no environment on: what was said there is said as an
/// option.
fn typed() -> String {
    let words = without_secrets(texts());
    let words = words.get(1..).unwrap_or_default();
    #[allow(
        clippy::disallowed_methods,
        reason = "what clap made of it is not at hand where hints are printed"
    )]
    let state_dir = std::env::var_os("V6KIT_STATE_DIR").map(PathBuf::from);
    let mut text = String::new();
    for word in words {
        text.push(' ');
        text.push_str(&shell_word(word));
    }
    match state_dir {
        Some(directory) if !words.iter().any(|word| word.starts_with("--state-dir")) => {
            format!("{text} --state-dir {}", shell_path(&directory))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_printed_with_the_path_that_sudo_needs_and_with_what_was_typed() {
        let here = |text: &str| rewritten(text, "/opt/v6kit", " setup --prefix P");
        assert_eq!(
            here("run it with sudo: `sudo v6kit setup …` (more: `v6kit explain x`)"),
            "run it with sudo: `sudo /opt/v6kit setup --prefix P` (more: `v6kit explain x`)"
        );
        assert_eq!(here("`sudo v6kit …`"), "`sudo /opt/v6kit setup --prefix P`");
        assert_eq!(
            here("Undo: sudo v6kit teardown, or `sudo v6kit status`"),
            "Undo: sudo /opt/v6kit teardown, or `sudo /opt/v6kit status`"
        );
        assert_eq!(
            rewritten("`sudo v6kit status`", "v6kit", ""),
            "`sudo v6kit status`"
        );
    }

    #[test]
    fn what_names_no_command_is_left_alone() {
        assert!(matches!(
            runnable("`v6kit help setup` shows it"),
            Cow::Borrowed(_)
        ));
    }
}
