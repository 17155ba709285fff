//! What every crate stands on, whether it opens sockets or not: codes and hints of errors, an error with its sources
//! on one line, addresses as text, words for a shell, secrets that hide themselves, the processor time of this process.

mod address_text;
mod code;
mod secret;
mod shell;
mod usage;

pub use address_text::push_address;
pub use code::Code;
pub use secret::Secret;
pub use shell::{shell_path, shell_word};
pub use usage::cpu_time;

/// What somebody should type or change after an error.
///
/// Every error that a user can meet implements this next to [`std::error::Error`]: the error's text
/// says what failed, its source says why, and the hint says what to do.
pub trait Hint {
    /// Where the catalogue says more about it. Matched variant by variant, so that a new one is not forgotten.
    fn code(&self) -> Code;

    /// One line of advice, without a full stop, or `None` where there is nothing sensible to say.
    fn hint(&self) -> Option<String>;
}

/// An error and its sources on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    line
}
