//! The command line: every subcommand with its options.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command_line;
use crate::commands;
use crate::printer::Results;
use crate::shared_args::OutputArgs;
use crate::usage::{self, Stop};

/// Fetch a very large number of things over IPv6 from one Linux box.
#[derive(Debug, Parser)]
#[command(
    name = "v6kit",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Try it without owning a prefix, or with one that is routed to this host.\n\n\
                  Examples:\n  \
                  v6kit lab demo\n  \
                  sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0\n  \
                  v6kit verify\n  \
                  v6kit crawl 'https://api.example.org/items/{1..1000000}' -o items\n  \
                  sudo v6kit teardown"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepare this host to send from every address of a prefix
    Setup(Box<commands::setup::SetupArgs>),
    /// Say whether everything that setup did is still in order
    Status(commands::status::StatusArgs),
    /// Put back everything that setup changed
    Teardown(commands::teardown::TeardownArgs),
    /// Prove that connections leave from addresses of the prefix, or name what is wrong
    Verify(commands::verify::VerifyArgs),
    /// Serve callers their own address, and refuse them on purpose for practice
    Echo(commands::echo::EchoArgs),
    /// Fetch everything that a URL template names
    Crawl(Box<commands::crawl::CrawlArgs>),
    /// Let other programs send from addresses of the prefix: HTTP and SOCKS5
    Proxy(Box<commands::proxy::ProxyArgs>),
    /// Run a program whose connections leave from addresses of the prefix
    Exec(Box<commands::exec::ExecArgs>),
    /// Answer neighbour solicitations for a prefix that is on-link rather than routed
    Ndp(commands::ndp::NdpArgs),
    /// Have the router route a prefix to this host and spare it connection tracking
    Router(commands::router::RouterArgs),
    /// Try it all on a host, a router and a target in network namespaces, without root
    Lab(commands::lab::LabArgs),
    /// Show what this host is and what is wrong with it, for a report of a fault
    Doctor(commands::doctor::DoctorArgs),
    /// Say what an error means: messages, cause, what to do
    Explain(commands::explain::ExplainArgs),
    /// Write the manual pages
    Man(commands::man::ManArgs),
    /// Print the completion script of a shell
    Completions(commands::completions::CompletionsArgs),
}

impl Command {
    /// Where its results go: before another program runs, standard output is that program's.
    pub(crate) fn results(&self) -> Results {
        match self {
            Self::Setup(args) if args.is_for_program() => Results::Aside,
            Self::Exec(_) => Results::Aside,
            _ => Results::Output,
        }
    }
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Args, Stop> {
    let mut words: Vec<OsString> = command_line::words().to_vec();
    // What other programs call it.
    if words.len() == 2 && words[1] == "version" {
        words[1] = "--version".into();
    }
    parse_from(&words)
}

fn parse_from(words: &[OsString]) -> Result<Args, Stop> {
    let mut root = Args::command();
    if words.iter().any(|word| word == "-h") {
        root = for_short_help(root);
    }
    let matches = usage::matches_of(&root, words)?;
    match commands::crawl::expanded(&matches) {
        Ok(Some((output, crawl))) => Ok(Args {
            output,
            command: Command::Crawl(Box::new(crawl)),
        }),
        Ok(None) => Args::from_arg_matches(&matches)
            .map_err(|error| usage::stop(error.format(&mut root), &root, words)),
        Err(stop) => Err(stop.told_as(words)),
    }
}

/// `v6kit crawl -h` fits a screen: the few options that it shows need no headings.
pub(crate) fn for_short_help(command: clap::Command) -> clap::Command {
    command.mut_subcommand("crawl", |crawl| {
        crawl.mut_args(|arg| {
            if arg.is_hide_short_help_set() {
                arg
            } else {
                arg.help_heading(None::<&'static str>)
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_bad_prefix_is_explained_with_the_right_network() {
        let words = ["v6kit", "verify", "--prefix", "2409:1:2:3:abcd::5/80"];
        let Err(Stop::Usage(failure, _)) = parse_from(&words.map(OsString::from)) else {
            panic!("a usage failure")
        };
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.what,
            "`2409:1:2:3:abcd::5/80` is not a value for --prefix"
        );
        assert_eq!(
            failure.hint.as_deref(),
            Some("the network is 2409:1:2:3:abcd::/80")
        );
    }

    #[test]
    fn a_refused_value_is_not_repeated_where_it_may_be_a_secret() {
        for words in [
            &["crawl", "http://[::1]/", "-o", "x", "-x", "http://u:S3CRET@h:bad"][..],
            &[
                "crawl",
                "http://[::1]/",
                "-o",
                "x",
                "-H",
                "Authorization Bearer S3CRET",
            ],
            &["crawl", "http://[::1]/", "-o", "x", "-qH", "Cookie\u{1}: S3CRET"],
            &["crawl", "http://[::1]/", "-o", "x", "-u", ":S3CRET"],
            &["crawl", "http://u:S3CRET@h/", "-o", "x"],
            &["crawl", "http://u:S3/CRET@h/", "-o", "x"],
            &["crawl", "http://u:{S3CRET@h/", "-o", "x"],
            &["crawl", "u:S3CRET@h/", "-o", "x"],
            &["proxy", "--auth", "S3CRET"],
            &["proxy", "--listen", "http://u:S3CRET@[::1]:1"],
        ] {
            let words: Vec<OsString> = ["v6kit"].iter().chain(words).map(OsString::from).collect();
            let Err(Stop::Usage(failure, _)) = parse_from(&words) else {
                panic!("a usage failure: {words:?}")
            };
            let told = failure.on_one_line();
            assert!(
                !told.contains("S3CRET") && !told.contains("CRET@") && told.contains("is not a value for "),
                "{told}"
            );
        }
    }

    #[test]
    fn wrong_usage_names_the_help_of_the_command_that_was_typed() {
        for (words, hint) in [
            (&["v6kit", "verify", "--frobnicate"][..], "`v6kit help verify` "),
            (
                &["v6kit", "--json", "crawl", "status", "--oops"],
                "`v6kit help crawl status` ",
            ),
            (&["v6kit", "--frobnicate"], "`v6kit help` "),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let Err(Stop::Usage(failure, _)) = parse_from(&words) else {
                panic!("a usage failure: {words:?}")
            };
            let told = failure.hint.unwrap();
            assert!(told.starts_with(hint), "{words:?}: {told}");
        }
    }

    #[test]
    fn a_misspelt_option_is_answered_with_the_nearest() {
        let words = ["v6kit", "verify", "--perfix", "2001:db8::/64"];
        let Err(Stop::Usage(failure, _)) = parse_from(&words.map(OsString::from)) else {
            panic!("a usage failure")
        };
        assert_eq!(failure.hint.as_deref(), Some("did you mean `--prefix`?"));
    }
}
