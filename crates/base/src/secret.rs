//! Passwords and tokens.

use std::fmt;
use std::ops::Deref;

use zeroize::{Zeroize, Zeroizing};

/// What stands for a secret wherever one would be printed.
const HIDDEN: &str = "<hidden>";

/// A password, a token or the like, as text or as bytes: no form of printing shows it, and its memory is overwritten
/// when it is dropped. What reads it says so with [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize = String>(Zeroizing<T>);

impl<T: Zeroize + Deref> Secret<T> {
    /// The text or the bytes: for the wire, or for a comparison.
    #[must_use]
    pub fn reveal(&self) -> &T::Target {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(HIDDEN)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_printing_shows_a_secret() {
        #[derive(Debug)]
        struct Login {
            #[allow(dead_code, reason = "it is read by Debug")]
            password: Option<Secret>,
        }
        let secret = Secret::from("s3cret");
        assert_eq!(
            format!("{secret} {secret:>10} {secret:?}"),
            "<hidden>   <hidden> <hidden>"
        );
        let login = Login {
            password: Some(secret.clone()),
        };
        let printed = format!("{login:?} {login:#?}");
        assert!(
            !printed.contains("s3cret") && printed.contains("<hidden>"),
            "{printed}"
        );
        assert_eq!(secret.reveal(), "s3cret");
    }
}
