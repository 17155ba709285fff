//! Password files: `user:hash` per line (htpasswd(1)).

use std::collections::HashMap;

use v6kit_net::{Code, Hint};

use super::password::{Password, PasswordError};

/// Why a password file is not taken. The file in force stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HtpasswdError {
    /// A line without a colon, or without a name before it.
    #[error("line {line} is not `user:hash`")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A hash that is not taken.
    #[error("line {line}, user `{user}`")]
    Hash {
        /// Counted from 1.
        line: usize,
        /// The user.
        user: String,
        /// Why not.
        #[source]
        source: PasswordError,
    },
    /// The same user twice.
    #[error("line {line} names `{user}` again")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The user.
        user: String,
    },
    /// Nobody.
    #[error("it names no user")]
    Empty,
}

impl Hint for HtpasswdError {
    fn code(&self) -> Code {
        match self {
            Self::Line { .. } | Self::Hash { .. } | Self::Twice { .. } | Self::Empty => Code::Htpasswd,
        }
    }

    fn hint(&self) -> Option<String> {
        Some("make the lines with `htpasswd -B FILE USER`, or `argon2 SALT -id -e`".to_owned())
    }
}

/// Reads a password file. Empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// [`HtpasswdError`], with the line.
pub fn parse(text: &str) -> Result<HashMap<String, Password>, HtpasswdError> {
    let mut users = HashMap::new();
    for (index, content) in text.lines().enumerate() {
        let line = index + 1;
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (user, hash) = content
            .split_once(':')
            .filter(|(user, _)| !user.is_empty())
            .ok_or(HtpasswdError::Line { line })?;
        let password = Password::parse(hash).map_err(|source| HtpasswdError::Hash {
            line,
            user: user.to_owned(),
            source,
        })?;
        if users.insert(user.to_owned(), password).is_some() {
            return Err(HtpasswdError::Twice {
                line,
                user: user.to_owned(),
            });
        }
    }
    if users.is_empty() {
        return Err(HtpasswdError::Empty);
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let users = parse(&format!("# us\n\nalice:{hash}\r\nbob:{hash}\n")).unwrap();
        assert_eq!(users.len(), 2);
        assert!(users["alice"].matches(b"x"));
    }

    #[test]
    fn errors_name_the_line() {
        let hash = bcrypt::hash("x", 4).unwrap();
        assert_eq!(parse("alice\n").unwrap_err(), HtpasswdError::Line { line: 1 });
        assert_eq!(parse("\n:x\n").unwrap_err(), HtpasswdError::Line { line: 2 });
        assert_eq!(parse("# nobody").unwrap_err(), HtpasswdError::Empty);
        assert!(matches!(
            parse("alice:$apr1$x$y").unwrap_err(),
            HtpasswdError::Hash { line: 1, .. }
        ));
        assert!(matches!(
            parse(&format!("a:{hash}\na:{hash}")).unwrap_err(),
            HtpasswdError::Twice { line: 2, .. }
        ));
    }
}
