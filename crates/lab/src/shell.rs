//! A shell that somebody types into shows in its prompt that it is the lab's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::LabCommand;
use crate::error::LabError;
use crate::lab::Lab;

/// What stands before the prompt.
const MARK: &str = "(v6kit lab) ";

/// Reads what the shell of that name reads, and marks the prompt after it.
const BASH: &str =
    "for file in /etc/bash.bashrc ~/.bashrc; do [ -r \"$file\" ] && . \"$file\"; done; unset file\n";
const ZSH: &str = "ZDOTDIR=${V6KIT_LAB_ZDOTDIR:-$HOME}; unset V6KIT_LAB_ZDOTDIR\n\
    [ -r \"$ZDOTDIR/.zshrc\" ] && . \"$ZDOTDIR/.zshrc\"\n";
const ZSHENV: &str =
    "[ -r \"${V6KIT_LAB_ZDOTDIR:-$HOME}/.zshenv\" ] && . \"${V6KIT_LAB_ZDOTDIR:-$HOME}/.zshenv\"\n";
const POSIX: &str = "[ -z \"$V6KIT_LAB_ENV\" ] || . \"$V6KIT_LAB_ENV\"; unset V6KIT_LAB_ENV\n";
const FISH: &str = "functions --copy fish_prompt v6kit_lab_prompt; \
    function fish_prompt; printf '(v6kit lab) '; v6kit_lab_prompt; end";

/// Whether the words start a shell that reads what is typed.
#[must_use]
pub fn is_shell(words: &[OsString]) -> bool {
    kind(words).is_some()
}

/// The shell's name, where it is one and is given no program.
fn kind(words: &[OsString]) -> Option<&'static str> {
    let (program, arguments) = words.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    let known = ["bash", "zsh", "fish", "sh", "dash", "ash", "ksh", "mksh"];
    let is_plain = arguments.iter().all(|argument| argument == "-i");
    known
        .into_iter()
        .find(|shell| *shell == name)
        .filter(|_| is_plain)
}

impl Lab {
    /// The command `words`, with a mark in its prompt where it is a shell that reads what is typed. `zdotdir` and
    /// `env` are the caller's variables ZDOTDIR of zsh(1) and ENV of sh(1).
    ///
    /// # Errors
    /// [`LabError`] where a file cannot be written into the lab's directory.
    pub fn with_prompt(
        &self,
        words: Vec<OsString>,
        zdotdir: Option<OsString>,
        env: Option<OsString>,
    ) -> Result<LabCommand, LabError> {
        let Some(shell) = kind(&words) else {
            return Ok(LabCommand::new(words));
        };
        let mut command = LabCommand::new(words);
        match shell {
            "bash" => {
                let file = self.written("bashrc", &format!("{BASH}PS1=\"{MARK}$PS1\"\n"))?;
                command.words.splice(1..1, ["--rcfile".into(), file.into()]);
            }
            "zsh" => {
                self.written(".zshrc", &format!("{ZSH}PROMPT=\"{MARK}$PROMPT\"\n"))?;
                self.written(".zshenv", ZSHENV)?;
                command
                    .variables
                    .extend(zdotdir.map(|value| ("V6KIT_LAB_ZDOTDIR", value)));
                command.variables.push(("ZDOTDIR", self.directory.clone().into()));
            }
            "fish" => command.words.extend(["--init-command".into(), FISH.into()]),
            _ => {
                let file = self.written("shrc", &format!("{POSIX}PS1=\"{MARK}$PS1\"\n"))?;
                command
                    .variables
                    .extend(env.map(|value| ("V6KIT_LAB_ENV", value)));
                command.variables.push(("ENV", file.into()));
            }
        }
        Ok(command)
    }

    fn written(&self, name: &str, text: &str) -> Result<PathBuf, LabError> {
        let file = self.directory.join(name);
        fs::write(&file, text).map_err(|source| LabError::system("write the shell's prompt", source))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_is_given_a_program_is_none_that_is_typed_into() {
        let is = |line: &str| is_shell(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(is("bash") && is("/bin/sh") && is("zsh -i"));
        assert!(!is("sh -c true") && !is("bash script") && !is("curl") && !is("dash.old"));
        assert!(!is_shell(&[]));
    }
}
