//! Commands in hints, so that they run as they are printed.
//!
//! The crates write `sudo v6kit …`. Some things only this process knows: whether sudo finds the program by that
//! name, what was typed, which `…` stands for, in which directory the state of setup lies, where that is not the
//! usual one, and what asks for root here.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use v6kit_net::{shell_path, shell_word};

use crate::asker::{Asker, installer, installing};
use crate::command_line::{texts, without_secrets};

/// Where sudo looks for programs (`secure_path` of sudoers(5), as Debian and Fedora set it).
pub(crate) const SECURE_PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

const WRITTEN: &str = "sudo v6kit";

/// The commands that look at the state directory of setup.
const WITH_STATE: [&str; 7] = ["setup", "status", "teardown", "verify", "doctor", "ndp", "proxy"];

/// `text` with its commands as they can be typed here.
pub(crate) fn runnable(text: &str) -> Cow<'_, str> {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    static TYPED: OnceLock<String> = OnceLock::new();
    static CALLER: OnceLock<(Asker, Option<&'static str>)> = OnceLock::new();
    static STATE_DIR: OnceLock<Option<StateDir>> = OnceLock::new();
    let text = match STATE_DIR.get_or_init(StateDir::here) {
        Some(state_dir) if text.contains("v6kit ") => Cow::Owned(state_dir.put_into(text)),
        _ => Cow::Borrowed(text),
    };
    let text = if text.contains(WRITTEN) {
        let program = PROGRAM.get_or_init(program);
        let typed = TYPED.get_or_init(typed);
        Cow::Owned(rewritten(&text, program, typed))
    } else {
        text
    };
    if !text.contains("sudo") && !text.contains("apt install ") {
        return text;
    }
    let (asker, installer) = CALLER.get_or_init(|| (Asker::here(), installer()));
    let changed = installing(&asker.rewrite(&text), *installer).into_owned();
    if changed == *text {
        return text;
    }
    Cow::Owned(changed)
}

/// A state directory that is not the usual one.
#[derive(Debug)]
struct StateDir {
    /// As a shell takes it, absolute.
    path: String,
    origin: Origin,
}

/// How this process was told its state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Option,
    /// What is started by the same user has it too, and what sudo starts does not. In a lab it is the lab's, where
    /// nobody needs sudo.
    Environment,
}

impl StateDir {
    fn here() -> Option<Self> {
        let (path, origin) = match option_in(&texts()) {
            Some(path) => (path, Origin::Option),
            None if is_in_lab() => return None,
            None => (state_dir_of_environment()?, Origin::Environment),
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        (path != Path::new(v6kit_host::boot::STATE_DIR)).then(|| Self {
            path: shell_path(&path),
            origin,
        })
    }

    /// Adds the directory to the commands in `text` that would look elsewhere. Those are commands that stand in
    /// backticks or behind `Next:`, and all behind `sudo`.
    fn put_into(&self, text: &str) -> String {
        const NAME: &str = "v6kit ";
        let mut result = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(NAME) {
            let (before, behind) = rest.split_at(at + NAME.len());
            result.push_str(before);
            let name_end = behind
                .find(|letter: char| !letter.is_ascii_lowercase())
                .unwrap_or(behind.len());
            let (command, arguments) = behind.split_at(name_end);
            result.push_str(command);
            // A command in backticks ends there; elsewhere a sentence goes on behind its name.
            let is_quoted = result.matches('`').count() % 2 == 1;
            let whole = &arguments[..command_end(arguments)];
            let (arguments, left) = arguments.split_at(if is_quoted { whole.len() } else { 0 });
            result.push_str(arguments);
            let is_said = whole.contains("--state-dir") || whole.contains('…');
            if self.is_for(&before[..at]) && WITH_STATE.contains(&command) && !is_said {
                result.push_str(" --state-dir ");
                result.push_str(&self.path);
            }
            rest = left;
        }
        result.push_str(rest);
        result
    }

    /// Whether a command behind `before` is one to type that does not know of the directory.
    fn is_for(&self, before: &str) -> bool {
        let is_typed = before.ends_with('`') || before.ends_with("Next: ");
        before.ends_with("sudo ") || is_typed && self.origin == Origin::Option
    }
}

/// Where the arguments of a command end: at what a shell ends it by, or at the backtick behind it, unless these are quoted.
fn command_end(arguments: &str) -> usize {
    let mut quote = None;
    let end = arguments.find(|letter| match (quote, letter) {
        (None, '`' | '\n' | ';' | '&' | '|') => true,
        (None, '\'' | '"') => {
            quote = Some(letter);
            false
        }
        (Some(open), letter) => {
            if open == letter {
                quote = None;
            }
            false
        }
        (None, _) => false,
    });
    arguments[..end.unwrap_or(arguments.len())].trim_end().len()
}

/// The value of `--state-dir` among the words of a command line.
fn option_in(words: &[String]) -> Option<PathBuf> {
    const OPTION: &str = "--state-dir";
    let own = words.iter().take_while(|word| *word != "--");
    let mut words = own.skip_while(|word| *word != OPTION && !word.starts_with("--state-dir="));
    let found = words.next()?;
    match found.split_once('=') {
        Some((_, value)) => Some(value.into()),
        None => words.next().map(PathBuf::from),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what clap made of it is not at hand where hints are printed"
)]
fn state_dir_of_environment() -> Option<PathBuf> {
    let value = std::env::var_os("V6KIT_STATE_DIR").filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the lab tells it to the command that it runs"
)]
fn is_in_lab() -> bool {
    std::env::var_os("V6KIT_LAB_DEV").is_some()
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
    let state_dir = state_dir_of_environment();
    typed_with(words.get(1..).unwrap_or_default(), state_dir.as_deref())
}

/// Words of a command line for a shell, with the state directory among the options of a command that has that one, before
/// a command of the user's own.
fn typed_with(words: &[String], state_dir: Option<&Path>) -> String {
    let own = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (own, others) = words.split_at(own);
    // No option before the command takes a value.
    let is_looking = own
        .iter()
        .find(|word| !word.starts_with('-'))
        .is_some_and(|command| WITH_STATE.contains(&command.as_str()));
    let is_said = own.iter().any(|word| word.starts_with("--state-dir"));
    let state_dir = state_dir
        .filter(|_| is_looking && !is_said)
        .map(|directory| ["--state-dir".to_owned(), shell_path(directory)]);
    let shell_words = |words: &[String]| {
        words
            .iter()
            .map(|word| shell_word(word).into_owned())
            .collect::<Vec<_>>()
    };
    [
        shell_words(own),
        state_dir.into_iter().flatten().collect(),
        shell_words(others),
    ]
    .concat()
    .iter()
    .fold(String::new(), |text, word| text + " " + word)
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
    fn the_state_directory_of_the_environment_comes_behind_sudo_where_the_command_has_such_an_option() {
        let typed = |line: &str| {
            let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            typed_with(&words, Some(Path::new("/srv/state")))
        };
        assert_eq!(
            typed("-q setup --dev eth0"),
            " -q setup --dev eth0 --state-dir /srv/state"
        );
        assert_eq!(
            typed("setup --dev eth0 -- v6kit crawl URL"),
            " setup --dev eth0 --state-dir /srv/state -- v6kit crawl URL"
        );
        for other in [
            "lab run -- true",
            "lab demo",
            "crawl status items",
            "lab run -- v6kit setup",
            "status --state-dir=/x",
        ] {
            assert_eq!(typed(other), format!(" {other}"));
        }
    }

    #[test]
    fn a_state_directory_of_ones_own_is_part_of_every_command_that_would_look_elsewhere() {
        let state_dir = |origin| StateDir {
            path: "'/srv/a b'".to_owned(),
            origin,
        };
        let said = "set up. Next: v6kit verify. Undo: sudo v6kit teardown --prefix P";
        let hint = "`sudo v6kit setup --prefix P --dev eth0` (more: `v6kit explain drifted`)";
        assert_eq!(
            state_dir(Origin::Option).put_into(said),
            "set up. Next: v6kit verify --state-dir '/srv/a b'. Undo: sudo v6kit teardown --state-dir '/srv/a b' --prefix P"
        );
        assert_eq!(
            state_dir(Origin::Option).put_into(hint),
            "`sudo v6kit setup --prefix P --dev eth0 --state-dir '/srv/a b'` (more: `v6kit explain drifted`)"
        );
        assert_eq!(
            state_dir(Origin::Environment).put_into("`sudo v6kit setup --dev 'a;b' && sudo v6kit status`"),
            "`sudo v6kit setup --dev 'a;b' --state-dir '/srv/a b' && sudo v6kit status --state-dir '/srv/a b'`"
        );
        // sudo hands no environment on; everybody else has it.
        assert_eq!(
            state_dir(Origin::Environment).put_into(said),
            "set up. Next: v6kit verify. Undo: sudo v6kit teardown --state-dir '/srv/a b' --prefix P"
        );
        for left in [
            "`sudo v6kit status …`",
            "`sudo v6kit status --state-dir /srv/x`",
            "on-link (v6kit ndp answers for it)",
            "`v6kit help setup` and `v6kit crawl status DIR`",
        ] {
            assert_eq!(state_dir(Origin::Option).put_into(left), left);
        }
    }

    #[test]
    fn the_state_directory_is_found_among_the_words() {
        let found = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            option_in(&words).map(|path| path.display().to_string())
        };
        assert_eq!(found("v6kit status --state-dir /a -q").as_deref(), Some("/a"));
        assert_eq!(found("v6kit status --state-dir=/a=b").as_deref(), Some("/a=b"));
        assert_eq!(found("v6kit status"), None);
        assert_eq!(found("v6kit lab run -- v6kit status --state-dir /a"), None);
    }

    #[test]
    fn what_names_no_command_is_left_alone() {
        assert!(matches!(
            runnable("`v6kit help setup` shows it"),
            Cow::Borrowed(_)
        ));
    }
}
