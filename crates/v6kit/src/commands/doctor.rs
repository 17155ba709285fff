//! `v6kit doctor`.

mod installed;

use std::net::Ipv6Addr;

use serde::Serialize;
use v6kit_host::{Examination, Finding, FindingState};
use v6kit_net::Hint;

use self::installed::{Installed, installed};
use super::block_on;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};
use crate::shared_args::StateArgs;

/// Show what this host is and what is wrong with it, on one screen, for a report of a fault.
///
/// Changes nothing and contacts nobody. Works as a plain user; as root it sees the firewall too. It shows the
/// prefix, device names and gateways, and nothing secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit doctor\n  \
    v6kit doctor --json > doctor.json\n\n\
    Exit: 0 nothing is wrong (warnings, and what cannot be seen from here, do not count), 1 something is.")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    state: StateArgs,
}

/// Which v6kit this is.
#[derive(Debug, Serialize)]
struct Build {
    version: &'static str,
    /// The commit, in builds of the release script.
    commit: Option<&'static str>,
    target: String,
    profile: &'static str,
    linked: &'static str,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    v6kit: &'a Build,
    installed: &'a [Installed],
    #[serde(flatten)]
    examination: &'a Examination,
}

impl Build {
    fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("V6KIT_COMMIT"),
            target: format!(
                "{}-{}{}",
                std::env::consts::ARCH,
                std::env::consts::OS,
                if cfg!(target_env = "musl") {
                    "-musl"
                } else {
                    "-gnu"
                }
            ),
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            linked: if cfg!(target_feature = "crt-static") {
                "static"
            } else {
                "dynamic"
            },
        }
    }

    fn describe(&self) -> String {
        let Self {
            version,
            commit,
            target,
            profile,
            linked,
        } = self;
        let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
        format!("{version}{commit}, {profile} build, {target}, {linked}")
    }
}

pub(crate) fn run(args: &DoctorArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let build = Build::this();
    let mut examination =
        block_on::<_, Failure>(async { Ok(v6kit_host::examine(&args.state.state_dir).await) })?;
    examination.findings.push(exec());
    let installed = installed();
    if let Some(finding) = installed::finding(&installed) {
        examination.findings.insert(0, finding);
    }
    printer.json(&Document {
        v6kit: &build,
        installed: &installed,
        examination: &examination,
    });
    print(&build, &examination, printer);
    Ok(if examination.ok { Exit::Done } else { Exit::Failed })
}

/// Whether `v6kit exec` can be used here: a child that is thrown away tries it, with an address that nobody has
/// (RFC 3849). No packet is sent.
fn exec() -> Finding {
    let from = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xe);
    let (state, detail, hint, code) = match v6kit_exec::look(from) {
        Ok(()) => (
            FindingState::Ok,
            "the connections of other programs can be seen and bound".to_owned(),
            None,
            None,
        ),
        Err(error) => (
            FindingState::Warning,
            v6kit_net::chain(&error),
            error.hint(),
            Some(error.code()),
        ),
    };
    Finding {
        id: "exec",
        state,
        detail,
        hint,
        code,
    }
}

fn print(build: &Build, examination: &Examination, printer: &Printer) {
    let first = vec![
        word(FindingState::Ok, printer),
        "v6kit".to_owned(),
        build.describe(),
    ];
    let rows = examination.findings.iter().map(|finding| {
        vec![
            word(finding.state, printer),
            finding.id.to_owned(),
            finding.detail.clone(),
        ]
    });
    printer.table(std::iter::once(first).chain(rows));
    for Finding { id, hint, code, .. } in &examination.findings {
        if let Some(hint) = hint {
            printer.hint(format_args!("{id}: {hint}"), *code);
        }
    }
    let failed: Vec<&str> = examination
        .findings
        .iter()
        .filter(|finding| finding.state == FindingState::Failed)
        .map(|finding| finding.id)
        .collect();
    printer.line(if failed.is_empty() {
        "\nNothing is wrong that can be seen from here.".to_owned()
    } else {
        format!("\nWrong: {}", failed.join(", "))
    });
}

fn word(state: FindingState, printer: &Printer) -> String {
    let (text, tone) = match state {
        FindingState::Ok => ("ok", Tone::Good),
        FindingState::Warning => ("warning", Tone::Warning),
        FindingState::Failed => ("failed", Tone::Bad),
        FindingState::Unknown => ("unknown", Tone::Faint),
    };
    printer.paint(text, tone)
}
