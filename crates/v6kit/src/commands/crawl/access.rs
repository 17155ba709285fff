//! Who asks, and on which way.

use std::path::PathBuf;

use v6kit_crawl::{Identity, Pin, Proxy};
use v6kit_model::input::RequestSpec;
use v6kit_net::Secret;

use crate::command_line::NOT_STORED;
use crate::failure::{Exit, Failure};
use crate::shared_args::BadValue;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Request")]
pub(super) struct AccessArgs {
    /// Who asks, with a password (HTTP basic authentication); without one it is taken from V6KIT_PASSWORD
    #[arg(short, long, value_name = "USER[:PASS]", value_parser = user, conflicts_with = "bearer_file", hide_short_help = true)]
    user: Option<User>,
    /// The password of -u
    #[arg(long, env = "V6KIT_PASSWORD", hide = true, hide_env_values = true, value_parser = secret)]
    password: Option<Secret>,
    /// Show the bearer token that this file holds
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    bearer_file: Option<PathBuf>,
    /// Show this certificate to servers that ask for one: PEM, with those between it and the authority
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    cert: Option<PathBuf>,
    /// The key of --cert: PEM without a passphrase; by default in the same file
    #[arg(long, value_name = "FILE", requires = "cert", hide_short_help = true)]
    key: Option<PathBuf>,
    /// Where a host is: HOST:PORT:ADDR, with commas between several addresses; * for every host; may be
    /// given several times
    #[arg(long, value_name = "HOST:PORT:ADDR", value_parser = pin, hide_short_help = true)]
    resolve: Vec<Pin>,
    /// Send everything through a proxy: http://HOST:PORT, socks5://HOST:PORT, or socks5h://HOST:PORT, which
    /// looks names up; with USER:PASS@ before HOST where it asks for that
    #[arg(short = 'x', long, value_name = "URL", value_parser = proxy, hide_short_help = true)]
    proxy: Option<Proxy>,
}

/// The way to the destinations.
pub(super) struct Way {
    pub(super) identity: Option<Identity>,
    pub(super) resolve: Vec<Pin>,
    pub(super) proxy: Option<Proxy>,
}

/// A user, and perhaps the password.
#[derive(Debug, Clone)]
struct User {
    name: String,
    password: Option<Secret>,
}

impl AccessArgs {
    /// Lets `request` say who asks.
    pub(super) fn log_in(&self, request: &mut RequestSpec) -> Result<(), Failure> {
        if let Some(user) = &self.user {
            let password = user.password.as_ref().or(self.password.as_ref());
            let password = password.ok_or_else(|| no_password(&user.name))?;
            require_secret(
                password.reveal(),
                "the password of -u",
                "give -u USER:PASS again, or -u USER with V6KIT_PASSWORD set",
            )?;
            request.log_in(&user.name, password);
        }
        if let Some(path) = &self.bearer_file {
            let what = || format!("{} cannot be used as a bearer token", path.display());
            let text = std::fs::read_to_string(path).map(Secret::from).map_err(|error| {
                Failure::new(Exit::Usage, what())
                    .why(error.to_string())
                    .hint("give --bearer-file the file that holds the token and nothing else")
            })?;
            request
                .bear(text.reveal().trim())
                .map_err(|error| Failure::because(Exit::Usage, what(), &error))?;
        }
        for (name, value) in request.headers.iter().filter(|(_, value)| value.is_sensitive()) {
            require_secret(
                &String::from_utf8_lossy(value.as_bytes()),
                &format!("the header {name}"),
                &format!("give -H '{name}: …' again"),
            )?;
        }
        Ok(())
    }

    pub(super) fn way(self) -> Result<Way, Failure> {
        if let Some(password) = self.proxy.as_ref().and_then(Proxy::password) {
            require_secret(
                password.reveal(),
                "the password of -x",
                "give -x with USER:PASS@ again",
            )?;
        }
        Ok(Way {
            identity: self.cert.map(|certificate| Identity {
                key: self.key.unwrap_or_else(|| certificate.clone()),
                certificate,
            }),
            resolve: self.resolve,
            proxy: self.proxy,
        })
    }
}

fn no_password(user: &str) -> Failure {
    Failure::new(Exit::Usage, format!("there is no password for {user}"))
        .why("-u holds none, and V6KIT_PASSWORD is not set")
        .hint(format!("write -u {user}:PASS, or set V6KIT_PASSWORD"))
}

/// Refuses what stands for a secret in a command that was stored or printed.
fn require_secret(value: &str, what: &str, hint: &str) -> Result<(), Failure> {
    if value == NOT_STORED {
        return Err(Failure::new(Exit::Usage, format!("{what} is missing"))
            .why("passwords and the like are kept out of what is stored and printed")
            .hint(hint));
    }
    Ok(())
}

/// Parses `USER` or `USER:PASS`.
fn user(text: &str) -> Result<User, BadValue> {
    let (name, password) = match text.split_once(':') {
        Some((name, password)) => (name, Some(password.into())),
        None => (text, None),
    };
    if name.is_empty() || text.contains(char::is_control) {
        return Err(BadValue::new(
            "it names no user",
            "write -u USER:PASS, or -u USER and set V6KIT_PASSWORD",
        ));
    }
    Ok(User {
        name: name.to_owned(),
        password,
    })
}

/// Takes a password as it is.
#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn secret(text: &str) -> Result<Secret, BadValue> {
    Ok(text.into())
}

/// Parses `HOST:PORT:ADDR`.
fn pin(text: &str) -> Result<Pin, BadValue> {
    text.parse()
        .map_err(|error: v6kit_crawl::PinError| BadValue::from(&error))
}

/// Parses the URL of a proxy.
fn proxy(text: &str) -> Result<Proxy, BadValue> {
    text.parse()
        .map_err(|error: v6kit_crawl::ProxyError| BadValue::from(&error))
}
