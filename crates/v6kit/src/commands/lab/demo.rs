//! `v6kit lab demo`: the story as it is told on a terminal or in a document.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use v6kit_lab::demo::{DemoSettings, End, Event, Outcome, Scene, Step, StepId, Story, tell};
use v6kit_lab::{Isolation, isolate};
use v6kit_net::Prefix;

use super::{DEFAULT_PREFIX, no_lab};
use crate::asker::{directories, is_executable};
use crate::failure::Exit;
use crate::printer::{Printer, Tone};

/// See the whole story happen in under a minute: refused, set up, proven, crawled, put back.
///
/// A host, a router and a target are built in network namespaces on this machine's kernel; needs no
/// root, no IPv6 and no prefix. Exits with 0 only if every step showed what it claims.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit lab demo\n  \
    v6kit lab demo --items 1000000 --json")]
pub(super) struct DemoArgs {
    /// The prefix that belongs to the host
    #[arg(long, value_name = "P", default_value = DEFAULT_PREFIX, value_parser = crate::shared_args::prefix)]
    prefix: Prefix,
    /// How many items the crawl fetches
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
}

// Neither a runtime nor a second thread may exist before this process has been cloned.
pub(super) fn run(args: &DemoArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let entered = match isolate().map_err(|error| no_lab(&error))? {
        Isolation::Ended(status) => return Ok(Exit::Child(status)),
        Isolation::Entered(entered) => entered,
    };
    let settings = DemoSettings {
        // The file that this process was started from, also where its path is closed to this user.
        program: "/proc/self/exe".into(),
        prefix: args.prefix,
        items: args.items,
    };
    let mut screen = Screen::new(printer);
    let story = tell(&entered, &settings, &mut |event| screen.show(event)).map_err(|error| no_lab(&error))?;
    screen.finish(&story);
    Ok(match story.end {
        End::Shown => Exit::Done,
        End::Failed => Exit::Failed,
        End::Interrupted => Exit::Interrupted,
    })
}

/// Whether nft(8) is where the lab looks for it.
fn has_nft() -> bool {
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    directories()
        .chain(system)
        .any(|directory| is_executable(&directory.join("nft")))
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    seconds: f64,
    steps: &'a [Step],
}

/// What people see while the story is told.
struct Screen<'a> {
    printer: &'a Printer,
    spinner: ProgressBar,
}

impl<'a> Screen<'a> {
    fn new(printer: &'a Printer) -> Self {
        let spinner = if printer.shows_progress() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        // The template is a constant that the tests render.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        Self { printer, spinner }
    }

    fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Built(scene) => self.introduce(scene),
            Event::Begins(id) => {
                self.spinner.reset_elapsed();
                self.spinner.set_message(id.title());
                self.spinner.enable_steady_tick(Duration::from_millis(100));
            }
            Event::Ended(step) => {
                self.spinner.disable_steady_tick();
                self.spinner.suspend(|| self.tell(step));
            }
        }
    }

    fn introduce(&self, Scene { prefix, limit }: Scene) {
        self.printer.line(format_args!(
            "A host, its router and a target, in namespaces of this machine. {prefix} is routed to\n\
             the host; the target answers {} requests per address, then refuses it.\n",
            limit.count
        ));
        if !has_nft() {
            self.printer.hint(
                format_args!(
                    "nft is not installed: the step `{}` cannot be shown. To see it, install it first: `sudo apt install nftables`\n",
                    StepId::Router.title()
                ),
                None,
            );
        }
    }

    fn tell(&self, step: &Step) {
        let printer = self.printer;
        let number = StepId::ALL
            .iter()
            .position(|id| *id == step.id)
            .map_or(0, |position| position + 1);
        let mut heading = format!("{number} {:<13}", step.id.title());
        for row in &step.rows {
            printer.line(format_args!("{heading}{:<35}{}", row.did, row.found));
            heading = format!("{:<15}", "");
        }
        let (label, tone) = match step.outcome {
            Outcome::Shown => return,
            Outcome::Skipped => ("skipped", Tone::Warning),
            Outcome::Failed => ("failed", Tone::Bad),
            Outcome::Interrupted => ("interrupted", Tone::Warning),
        };
        let reason = step
            .reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        printer.line(format_args!("{heading}{}{reason}", printer.paint(label, tone)));
        if let Some(hint) = &step.hint {
            printer.line(format_args!(
                "{:<15}{} {hint}",
                "",
                printer.paint("hint:", Tone::Good)
            ));
        }
    }

    fn finish(&self, story: &Story) {
        self.spinner.finish_and_clear();
        let seconds = story.duration.as_secs_f64();
        self.printer.json(&Document {
            ok: story.end == End::Shown,
            seconds: (seconds * 10.0).round() / 10.0,
            steps: &story.steps,
        });
        let skipped = story
            .steps
            .iter()
            .filter(|step| step.outcome == Outcome::Skipped)
            .count();
        let verdict = match story.end {
            End::Shown if skipped > 0 => {
                let text = format!("Shown but for {skipped} of {} steps", story.steps.len());
                self.printer.paint(text, Tone::Warning)
            }
            End::Shown => self.printer.paint("All shown", Tone::Good),
            End::Failed => self.printer.paint("Not shown", Tone::Bad),
            End::Interrupted => self.printer.paint("Interrupted", Tone::Warning),
        };
        self.printer.line(format_args!(
            "\n{verdict} in {seconds:.1} s; nothing is left of the lab."
        ));
    }
}
