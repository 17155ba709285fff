//! `v6kit echo`.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize, ParseIntError};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use v6kit_echo::{Echo, EchoError, EchoSettings, Limit, LimitAnswer, LimitScope, Tls};

use crate::failure::{Exit, Failure};
use crate::interrupts::Interrupts;
use crate::printer::Printer;
use crate::shared_args::BadValue;

/// Serve callers their own address, and refuse them on purpose for practice.
///
/// `/` answers with the caller's address as text, or as JSON with `Accept: application/json`;
/// `/items/ID` with a small JSON document made from ID; `/healthz` with `ok`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit echo --listen [::]:8080\n  \
    v6kit echo --listen [::]:8443 --tls self-signed\n  \
    v6kit echo --listen [::]:8080 --limit 100/10s --limit-scope 64 \\\n    \
    --limit-answer captcha")]
pub(crate) struct EchoArgs {
    /// Address and port to listen on; may be given several times
    #[arg(long, value_name = "ADDR", default_value = "[::1]:8080", value_parser = listen_address)]
    listen: Vec<SocketAddr>,
    /// Speak TLS with a certificate made at start
    #[arg(long, value_name = "HOW", conflicts_with = "cert")]
    tls: Option<TlsChoice>,
    /// Speak TLS with the certificate in this PEM file
    #[arg(long, value_name = "F", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, a PEM file
    #[arg(long, value_name = "F", requires = "cert")]
    key: Option<PathBuf>,
    #[command(flatten)]
    limit: LimitArgs,
    /// Threads that serve; as many as there are processors when not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// From when on callers are refused, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LimitArgs {
    /// Refuse a source network after N requests in this time
    #[arg(long, value_name = "N/10s", value_parser = rate)]
    limit: Option<Rate>,
    /// How many leading bits of their address make callers one source network
    #[arg(long, value_name = "BITS", default_value = "128", requires = "limit")]
    limit_scope: ScopeChoice,
    /// What the refused get: a status, or a challenge page with status 200
    #[arg(long, value_name = "HOW", default_value = "429", requires = "limit")]
    limit_answer: AnswerChoice,
}

impl LimitArgs {
    /// The limit that was asked for.
    pub(crate) fn limit(&self) -> Option<Limit> {
        let rate = self.limit?;
        Some(Limit {
            count: rate.count,
            window: rate.window,
            scope: match self.limit_scope {
                ScopeChoice::Address => LimitScope::Address,
                ScopeChoice::Subnet => LimitScope::Subnet,
                ScopeChoice::Site => LimitScope::Site,
            },
            answer: match self.limit_answer {
                AnswerChoice::TooManyRequests => LimitAnswer::TooManyRequests,
                AnswerChoice::Forbidden => LimitAnswer::Forbidden,
                AnswerChoice::PreconditionFailed => LimitAnswer::PreconditionFailed,
                AnswerChoice::Captcha => LimitAnswer::Captcha,
            },
        })
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TlsChoice {
    SelfSigned,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeChoice {
    #[value(name = "128")]
    Address,
    #[value(name = "64")]
    Subnet,
    #[value(name = "48")]
    Site,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AnswerChoice {
    #[value(name = "429")]
    TooManyRequests,
    #[value(name = "403")]
    Forbidden,
    #[value(name = "412")]
    PreconditionFailed,
    Captcha,
}

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    count: NonZeroU32,
    window: Duration,
}

/// Enough for a load test; where not so many are allowed, callers wait their turn.
const FILES: u64 = 65_536;

pub(crate) fn run(args: &EchoArgs, printer: &Printer) -> anyhow::Result<Exit> {
    crate::stderr::write_in_background();
    let _ = v6kit_net::raise_file_limit(FILES);
    let settings = settings(args);
    let echo = Echo::bind(&settings).map_err(|error| failure(&error))?;
    let announcement = Announcement::new(&echo, &settings);
    let stopped = async {
        let interrupts = Interrupts::listen();
        announcement.print(printer);
        match interrupts {
            Ok(mut interrupts) => interrupts.next().await,
            // They keep their default meaning.
            Err(_) => std::future::pending().await,
        }
    };
    echo.run_until(stopped).map_err(|error| failure(&error))?;
    Ok(Exit::Done)
}

fn settings(args: &EchoArgs) -> EchoSettings {
    let tls = match (&args.tls, &args.cert, &args.key) {
        (Some(TlsChoice::SelfSigned), _, _) => Some(Tls::SelfSigned),
        (None, Some(certificate), Some(key)) => Some(Tls::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        _ => None,
    };
    EchoSettings {
        listen: args.listen.clone(),
        tls,
        limit: args.limit.limit(),
        threads: args
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN),
    }
}

/// What is said once callers can connect and signals are waited for.
struct Announcement {
    scheme: &'static str,
    listening: Vec<SocketAddr>,
    certificate: Option<String>,
}

impl Announcement {
    fn new(echo: &Echo, settings: &EchoSettings) -> Self {
        Self {
            scheme: if settings.tls.is_some() { "https" } else { "http" },
            listening: echo.local_addresses().to_vec(),
            certificate: echo.certificate_pem().map(ToOwned::to_owned),
        }
    }

    fn print(&self, printer: &Printer) {
        printer.json_line(&serde_json::json!({
            "listening": self.listening,
            "certificate": self.certificate,
        }));
        for address in &self.listening {
            printer.line(format_args!("listening on {}://{address}/", self.scheme));
        }
    }
}

fn failure(error: &EchoError) -> Failure {
    let exit = match error {
        EchoError::NotPermitted { .. } => Exit::NotPermitted,
        EchoError::AddressInUse { .. } | EchoError::Start(_) | EchoError::Listen { .. } => Exit::Failed,
        _ => Exit::Usage,
    };
    Failure::because(exit, "the echo server cannot start", error)
}

fn listen_address(text: &str) -> Result<SocketAddr, BadValue> {
    let wrong = match text.parse::<SocketAddr>() {
        Ok(address) => return Ok(address),
        Err(wrong) => wrong,
    };
    Err(match text.parse::<IpAddr>() {
        Ok(ip) => BadValue::new(
            "the port is missing",
            format!("add it, such as {}", SocketAddr::new(ip, 8080)),
        ),
        Err(_) => BadValue::new(
            wrong.to_string(),
            "write an IP address and a port, such as [::1]:8080, [::]:8080 or 127.0.0.1:8080",
        ),
    })
}

const RATE_HINT: &str = "write a count and a time, such as 100/10s, 5/1m or 20/s";

fn rate(text: &str) -> Result<Rate, BadValue> {
    let bad = |why: &str| BadValue::new(why, RATE_HINT);
    let (count, time) = text.split_once('/').ok_or_else(|| bad("the time is missing"))?;
    Ok(Rate {
        count: count
            .trim()
            .parse()
            .map_err(|wrong: ParseIntError| bad(&format!("the count is wrong: {wrong}")))?,
        window: window(time.trim())?,
    })
}

/// `10s`, `5m`, or a unit alone for one of it.
fn window(text: &str) -> Result<Duration, BadValue> {
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        crate::shared_args::duration(&format!("1{text}"))
    } else {
        crate::shared_args::duration(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u32, u64)> {
        rate(text)
            .ok()
            .map(|rate| (rate.count.get(), rate.window.as_millis() as u64))
    }

    #[test]
    fn a_limit_is_a_count_and_a_time() {
        assert_eq!(read("100/10s"), Some((100, 10_000)));
        assert_eq!(read("5/1m"), Some((5, 60_000)));
        assert_eq!(read("20/s"), Some((20, 1000)));
        assert_eq!(read("1/500ms"), Some((1, 500)));
        for wrong in [
            "100", "0/10s", "-1/10s", "10/", "10/0s", "10/-5s", "x/10s", "10/10",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
