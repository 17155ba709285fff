//! The words that a crawl was started with.

use std::ffi::OsString;

/// The words of this command.
pub(super) fn words() -> Vec<String> {
    std::env::args_os()
        .map(|word: OsString| word.to_string_lossy().into_owned())
        .collect()
}

/// `words` as a line for a shell.
pub(super) fn quoted(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_nul| words.join(" "))
}
