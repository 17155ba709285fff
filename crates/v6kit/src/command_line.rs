//! The words of this process's command line, and what of them is a secret.
//!
//! Whoever may look at `/proc` reads the words of every process. They are taken from there once, at the start of the
//! program, and secrets are overwritten where the kernel shows them, as curl(1) does. Between the start and then there
//! is a moment in which they can be read.

mod memory;
mod secrets;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;

pub(crate) use secrets::{NOT_STORED, said_of, shown, without_secrets};

static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// The words, secrets among them.
#[allow(clippy::disallowed_methods, reason = "before anything is overwritten")]
pub(crate) fn words() -> &'static [OsString] {
    WORDS.get_or_init(|| std::env::args_os().collect())
}

/// The words as text, secrets among them.
pub(crate) fn texts() -> Vec<String> {
    let words = words().iter();
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Overwrites the secrets among the words where `ps` reads them. What else the program does with them, it does with
/// [`words`].
///
/// # Errors
/// They can still be read there; the error says why.
pub(crate) fn hide_secrets() -> io::Result<()> {
    let words: Vec<&[u8]> = words().iter().map(|word| word.as_bytes()).collect();
    let parts = secrets::parts(&words);
    if parts.iter().all(Option::is_none) {
        return Ok(());
    }
    memory::overwrite(&words, &parts)
}

/// `words` as a line for a shell.
pub(crate) fn quoted(words: &[String]) -> String {
    let typed: Vec<_> = words.iter().map(|word| v6kit_net::shell_word(word)).collect();
    typed.join(" ")
}
