//! Passwords as the operator gives them.

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use v6kit_net::Secret;

/// A password, or its hash.
#[derive(Debug, Clone)]
pub enum Password {
    /// The password itself.
    Plain(Secret),
    /// A bcrypt hash, `$2a$`, `$2b$` or `$2y$`.
    Bcrypt(Secret),
    /// An argon2 hash in PHC form, `$argon2id$`, `$argon2i$` or `$argon2d$`.
    Argon2(Secret),
}

/// Why a hash is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// A hash that is broken or too quick to guess.
    #[error("{kind} is not taken: it is too quick to guess")]
    Weak {
        /// What it looks like.
        kind: &'static str,
    },
    /// A bcrypt or argon2 hash that does not parse.
    #[error("the {kind} hash is damaged")]
    Damaged {
        /// `bcrypt` or `argon2`.
        kind: &'static str,
    },
}

impl Password {
    /// A hash as it stands in a password file.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn parse(hash: &str) -> Result<Self, PasswordError> {
        if ["$2a$", "$2b$", "$2y$"]
            .iter()
            .any(|prefix| hash.starts_with(prefix))
        {
            return match hash.parse::<bcrypt::HashParts>() {
                Ok(_) => Ok(Self::Bcrypt(hash.into())),
                Err(_unreadable) => Err(PasswordError::Damaged { kind: "bcrypt" }),
            };
        }
        if hash.starts_with("$argon2") {
            return match PasswordHash::new(hash) {
                Ok(parsed) if parsed.hash.is_some() => Ok(Self::Argon2(hash.into())),
                _ => Err(PasswordError::Damaged { kind: "argon2" }),
            };
        }
        Err(PasswordError::Weak {
            kind: if hash.starts_with("$apr1$") {
                "an MD5 hash"
            } else if hash.starts_with("{SHA}") {
                "a SHA-1 hash"
            } else if hash.starts_with('$') {
                "a crypt(3) hash"
            } else {
                "a password that is not a bcrypt or argon2 hash"
            },
        })
    }

    pub(super) fn is_slow(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Whether `password` is right. Takes the time that the hash asks for.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Bcrypt(hash) => bcrypt::verify(password, hash.reveal()).unwrap_or(false),
            Self::Argon2(hash) => PasswordHash::new(hash.reveal())
                .is_ok_and(|hash| argon2::Argon2::default().verify_password(password, &hash).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcrypt_hashes_of_htpasswd_are_taken() {
        // `htpasswd -nbB -C 4 alice secret`
        let hash = bcrypt::hash_with_result("secret", 4)
            .unwrap()
            .format_for_version(bcrypt::Version::TwoY);
        let password = Password::parse(&hash).unwrap();
        assert!(password.matches(b"secret"));
        assert!(!password.matches(b"Secret"));
    }

    #[test]
    fn argon2_hashes_are_taken_with_their_own_parameters() {
        // `printf secret | argon2 somesalt12345678 -id -e -t 2 -m 10 -p 1`
        use argon2::password_hash::PasswordHasher;
        let params = argon2::Params::new(1024, 2, 1, None).unwrap();
        let hash = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_with_salt(b"secret", b"somesalt12345678")
            .unwrap()
            .to_string();
        let password = Password::parse(&hash).unwrap();
        assert!(password.matches(b"secret"));
        assert!(!password.matches(b""));
    }

    #[test]
    fn weak_and_damaged_hashes_are_refused() {
        for hash in ["$apr1$abc$def", "{SHA}abc", "$6$salt$hash", "plain", ""] {
            assert!(
                matches!(Password::parse(hash), Err(PasswordError::Weak { .. })),
                "{hash}"
            );
        }
        for hash in ["$2y$05$short", "$argon2id$v=19$m=1", "$argon2id$"] {
            assert!(
                matches!(Password::parse(hash), Err(PasswordError::Damaged { .. })),
                "{hash}"
            );
        }
    }
}
