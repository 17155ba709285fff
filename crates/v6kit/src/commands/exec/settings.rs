//! From the arguments, and what is known of this host, to the settings of a run.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use v6kit_exec::{Ipv4, Per, Pool, Settings};
use v6kit_host::{Summary, is_delivered};
use v6kit_net::{Prefix, SessionKey, SourcePool};

use super::{ExecArgs, V4Choice};
use crate::commands::proxy;
use crate::commands::sources::{self, setup_command};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::runtime::block_on;

const WHAT: &str = "the program did not run";

/// What `args` mean. When it returns, this process has a single thread again.
pub(super) fn read(args: &ExecArgs, printer: &Printer) -> Result<Settings, Failure> {
    if args.session.is_some() && !matches!(args.per, Per::Connection | Per::Host) {
        return Err(Failure::new(Exit::NotRun, WHAT)
            .why("a session has one address, or one for each host; --per says otherwise")
            .hint("leave --per out, or write --per host")
            .code(v6kit_net::Code::Usage));
    }
    let prefixes = prefixes(args)?;
    let reserved = block_on::<_, Failure>(async {
        for prefix in &prefixes {
            warn_if_not_delivered(*prefix, &args.state.state_dir, printer).await;
        }
        v6kit_host::reserved_addresses()
            .await
            .map_err(|error| Failure::because(Exit::NotRun, "this host's addresses are not known", &error))
    })?;
    let pools = prefixes.iter().map(|prefix| {
        Ok(Pool {
            addresses: SourcePool::new(*prefix, rand::random(), reserved.iter().copied())
                .map_err(|error| Failure::because(Exit::NotRun, WHAT, &error))?,
            places: sources::addresses(args.addresses, Some(*prefix), printer),
        })
    });
    Ok(Settings {
        pools: pools.collect::<Result<_, Failure>>()?,
        per: args.per,
        session: args.session.clone(),
        key: key(args)?,
        connect_rate: args.connect_rate,
        log: args.log.as_deref().map(log).transpose()?,
        v4: match args.v4 {
            V4Choice::Refuse => Ipv4::Refuse,
            V4Choice::Direct => Ipv4::Direct,
        },
        except: args.except.clone(),
        name_servers: v6kit_net::name_servers(),
    })
}

/// The prefixes that were asked for, or all that are set up.
fn prefixes(args: &ExecArgs) -> Result<Vec<Prefix>, Failure> {
    let mut prefixes = args.prefix.clone();
    if prefixes.is_empty() {
        let summary = Summary::read(&args.state.state_dir)
            .map_err(|error| Failure::because(Exit::NotRun, "the last setup is not known", &error))?;
        let set_up = summary.into_iter().flat_map(|summary| summary.setups);
        prefixes.extend(
            set_up
                .map(|set_up| set_up.prefix)
                .filter(|prefix| !prefix.is_this_host()),
        );
    }
    let mut seen = Vec::new();
    prefixes.retain(|prefix| {
        let is_new = !seen.contains(prefix);
        seen.push(*prefix);
        is_new
    });
    if prefixes.is_empty() {
        return Err(Failure::new(Exit::NotRun, WHAT)
            .why("no prefix is set up and none is given, so that it would leave from this host's own address")
            .hint("run `sudo v6kit setup`, which lists what this host has, or give --prefix P")
            .code(v6kit_net::Code::NotSetUp));
    }
    Ok(prefixes)
}

/// Says that no answer would arrive, and what is to be done about that.
async fn warn_if_not_delivered(prefix: Prefix, state_dir: &Path, printer: &Printer) {
    match is_delivered(prefix).await {
        Ok(false) => printer.warning(format_args!(
            "{prefix} is not delivered to this host, so no answer would arrive; run `{}`",
            setup_command(prefix, state_dir)
        )),
        Ok(true) => {}
        Err(error) => tracing::debug!("no look at the routes: {error}"),
    }
}

/// The key of sessions, or one for this run alone.
fn key(args: &ExecArgs) -> Result<SessionKey, Failure> {
    if args.session.is_none() {
        return Ok(SessionKey::new(rand::random()));
    }
    let path = match &args.session_key {
        Some(path) => path.clone(),
        None => default_key()?,
    };
    proxy::session_key(Some(&path)).map_err(|failure| Failure {
        exit: Exit::NotRun,
        ..failure
    })
}

/// In the user's directory for state (XDG Base Directory Specification), which is made.
#[allow(
    clippy::disallowed_methods,
    reason = "where the user keeps state is a fact of the user, no option"
)]
fn default_key() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let failed = |why: String| {
        Failure::new(Exit::NotRun, "no session key")
            .why(why)
            .hint("give a path where one can be made: --session-key FILE")
            .code(v6kit_net::Code::System)
    };
    let directory = state
        .ok_or_else(|| failed("HOME is not set".to_owned()))?
        .join("v6kit");
    std::fs::create_dir_all(&directory)
        .map_err(|error| failed(format!("{}: {error}", directory.display())))?;
    Ok(directory.join("session-key"))
}

fn log(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|error| {
            Failure::new(Exit::NotRun, format!("{} cannot be written", path.display()))
                .why(error.to_string())
                .hint("check the path of --log and its permissions")
                .code(v6kit_net::Code::Output)
        })
}
