//! Who a client is.

pub(crate) mod account;
mod htpasswd;
mod password;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ring::rand::SecureRandom;
use ring::{hmac, rand};

pub use htpasswd::{HtpasswdError, parse as parse_htpasswd};
pub use password::{Password, PasswordError};

use crate::data::limits::UserLimits;
use crate::data::refusal::Refusal;
use account::Account;

/// Who may use the proxy.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody who can connect.
    Open,
    /// Users with a password.
    Users(HashMap<String, Password>),
}

/// Checks credentials for all threads, and remembers for each user what was right.
///
/// bcrypt and argon2 take some 100 ms by design: the HMAC of a password that was right, under a key of
/// this process, is kept, and the next connection with it costs a microsecond. Comparisons take constant
/// time, and an unknown name costs what a wrong password does.
#[derive(Debug)]
pub(crate) struct Authenticator {
    access: Access,
    accounts: Arc<Accounts>,
    everybody: Arc<Account>,
    /// The right passwords of users with slow hashes, as HMAC tags.
    known: Mutex<HashMap<String, hmac::Tag>>,
    key: hmac::Key,
    decoy: Password,
}

/// The users' accounts by name. They outlive a reload.
#[derive(Debug)]
pub(crate) struct Accounts {
    limits: UserLimits,
    by_name: Mutex<HashMap<String, Arc<Account>>>,
}

impl Accounts {
    pub(crate) fn new(limits: UserLimits) -> Self {
        Self {
            limits,
            by_name: Mutex::default(),
        }
    }

    fn of(&self, name: &str) -> Arc<Account> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = by_name.get(name) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(name, self.limits));
        by_name.insert(name.to_owned(), Arc::clone(&account));
        account
    }
}

/// What a check of credentials needs to be finished.
pub(crate) enum Check {
    /// Nothing.
    Done(Result<Arc<Account>, Refusal>),
    /// A slow hash, to be computed by [`Authenticator::finish`] on a thread that may block.
    Slow,
}

impl Authenticator {
    /// # Errors
    /// The system's random generator failing.
    pub(crate) fn new(access: Access, accounts: Arc<Accounts>) -> Result<Self, ring::error::Unspecified> {
        let mut key = [0; 32];
        rand::SystemRandom::new().fill(&mut key)?;
        let decoy = match &access {
            Access::Users(users) => users.values().find(|password| password.is_slow()).cloned(),
            Access::Open => None,
        };
        Ok(Self {
            access,
            everybody: accounts.of(""),
            accounts,
            known: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            decoy: decoy.unwrap_or_else(|| Password::Plain("".into())),
        })
    }

    /// Whether clients need credentials.
    pub(crate) fn wants_credentials(&self) -> bool {
        matches!(self.access, Access::Users(_))
    }

    /// Everybody's account where no credentials are needed. All share its limits.
    pub(crate) fn anonymous(&self) -> Result<Arc<Account>, Refusal> {
        match self.access {
            Access::Open => Ok(Arc::clone(&self.everybody)),
            Access::Users(_) => Err(Refusal::NoCredentials),
        }
    }

    /// The name among `full` (as the client sent it) and `user` (without what is asked for behind it) that is a user.
    ///
    /// A user whose own name contains a mark such as `-session-` is found by the full name.
    pub(crate) fn user_name<'a>(&self, full: &'a str, user: &'a str) -> &'a str {
        match &self.access {
            Access::Users(users) if users.contains_key(full) => full,
            _ => user,
        }
    }

    /// Checks what can be checked at once.
    pub(crate) fn check(&self, user: &str, password: &[u8]) -> Check {
        let Access::Users(users) = &self.access else {
            return Check::Done(Ok(Arc::clone(&self.everybody)));
        };
        match users.get(user) {
            Some(Password::Plain(right)) => {
                let expected = hmac::sign(&self.key, right.reveal().as_bytes());
                Check::Done(self.compare(user, password, &expected))
            }
            Some(_) if self.is_known(user, password) => Check::Done(Ok(self.accounts.of(user))),
            Some(_) => Check::Slow,
            None if self.decoy.is_slow() => Check::Slow,
            None => {
                let never = hmac::sign(&self.key, b"");
                let _ = hmac::verify(&self.key, password, never.as_ref());
                Check::Done(Err(Refusal::WrongCredentials))
            }
        }
    }

    /// Computes a slow hash: some 100 ms of this thread.
    pub(crate) fn finish(&self, user: &str, password: &[u8]) -> Result<Arc<Account>, Refusal> {
        let Access::Users(users) = &self.access else {
            return self.anonymous();
        };
        let Some(right) = users.get(user) else {
            self.decoy.matches(password);
            return Err(Refusal::WrongCredentials);
        };
        if !right.matches(password) {
            return Err(Refusal::WrongCredentials);
        }
        let tag = hmac::sign(&self.key, password);
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user.to_owned(), tag);
        Ok(self.accounts.of(user))
    }

    fn is_known(&self, user: &str, password: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(user)
            .is_some_and(|tag| hmac::verify(&self.key, password, tag.as_ref()).is_ok())
    }

    fn compare(&self, user: &str, password: &[u8], expected: &hmac::Tag) -> Result<Arc<Account>, Refusal> {
        match hmac::verify(&self.key, password, expected.as_ref()) {
            Ok(()) => Ok(self.accounts.of(user)),
            Err(ring::error::Unspecified) => Err(Refusal::WrongCredentials),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator(users: &[(&str, Password)]) -> Authenticator {
        let users = users
            .iter()
            .map(|(name, password)| ((*name).to_owned(), password.clone()))
            .collect();
        let accounts = Arc::new(Accounts::new(UserLimits::default()));
        Authenticator::new(Access::Users(users), accounts).unwrap()
    }

    fn bcrypt_of(text: &str) -> Password {
        Password::parse(&bcrypt::hash_with_salt(text, 4, [1; 16]).unwrap().to_string()).unwrap()
    }

    #[test]
    fn a_plain_password_is_checked_at_once() {
        let authenticator = authenticator(&[("alice", Password::Plain("pw".into()))]);
        assert!(matches!(authenticator.check("alice", b"pw"), Check::Done(Ok(_))));
        for (user, password) in [("alice", "pw2"), ("alice", ""), ("bob", "pw"), ("", "")] {
            assert!(
                matches!(
                    authenticator.check(user, password.as_bytes()),
                    Check::Done(Err(Refusal::WrongCredentials))
                ),
                "{user}:{password}"
            );
        }
    }

    #[test]
    fn a_slow_hash_is_computed_once_and_a_wrong_password_never_remembered() {
        let authenticator = authenticator(&[("alice", bcrypt_of("pw"))]);
        assert!(matches!(authenticator.check("alice", b"wrong"), Check::Slow));
        assert!(authenticator.finish("alice", b"wrong").is_err());
        assert!(matches!(authenticator.check("alice", b"wrong"), Check::Slow));
        assert!(matches!(authenticator.check("alice", b"pw"), Check::Slow));
        assert!(authenticator.finish("alice", b"pw").is_ok());
        assert!(matches!(authenticator.check("alice", b"pw"), Check::Done(Ok(_))));
        assert!(matches!(authenticator.check("alice", b"wrong"), Check::Slow));
    }

    #[test]
    fn an_unknown_user_costs_a_slow_hash_too() {
        let authenticator = authenticator(&[("alice", bcrypt_of("pw"))]);
        assert!(matches!(authenticator.check("nobody", b"pw"), Check::Slow));
        assert!(authenticator.finish("nobody", b"pw").is_err());
    }

    #[test]
    fn accounts_outlive_a_reload() {
        let accounts = Accounts::new(UserLimits::default());
        assert!(Arc::ptr_eq(&accounts.of("alice"), &accounts.of("alice")));
    }
}
