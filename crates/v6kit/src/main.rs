//! v6kit: fetch a very large number of things over IPv6 from one Linux box.

mod allocator;
mod args;
mod asker;
mod catalogue;
mod command_line;
mod commands;
mod completion;
mod descriptors;
#[cfg(test)]
mod documented;
mod failure;
mod habits;
#[cfg(test)]
mod help;
#[cfg(test)]
mod hinted;
mod interrupts;
mod logs;
mod manual;
mod options;
mod printer;
#[cfg(test)]
mod recorded;
mod remote;
mod runnable;
mod runtime;
mod service;
mod shared_args;
mod stderr;
mod table;
mod usage;

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Args, Command};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[global_allocator]
static ALLOCATOR: allocator::Told = allocator::Told(mimalloc::MiMalloc);

fn main() -> ExitCode {
    let hidden = command_line::hide_secrets();
    let args = match args::parse() {
        Ok(args) => args,
        Err(stop) => return stop.finish(),
    };
    let printer = Printer::new(&args.output).with(args.command.results());
    if let Err(error) = hidden {
        printer.warning(format!(
            "who may look at processes can read the password or token on this command line, which cannot be overwritten: {error}; a file or V6KIT_PASSWORD hides it"
        ));
    }
    let begun = descriptors::require()
        .and_then(|()| logs::to_standard_error(&args.output))
        .map_err(anyhow::Error::from);
    let exit = match begun.and_then(|()| run(args.command, &printer)) {
        Ok(exit) => printer.finish(exit),
        Err(error) => printer.failure(&Failure::of(error)),
    };
    stderr::settle();
    exit.into()
}

fn run(command: Command, printer: &Printer) -> anyhow::Result<Exit> {
    match command {
        Command::Setup(args) => commands::setup::run(*args, printer),
        Command::Status(args) => commands::status::run(&args, printer),
        Command::Teardown(args) => commands::teardown::run(&args, printer),
        Command::Verify(args) => commands::verify::run(&args, printer),
        Command::Echo(args) => commands::echo::run(&args, printer),
        Command::Crawl(args) => commands::crawl::run(*args, printer),
        Command::Exec(args) => commands::exec::run(*args, printer),
        Command::Ndp(args) => commands::ndp::run(args, printer),
        Command::Proxy(args) => commands::proxy::run(*args, printer),
        Command::Router(args) => commands::router::run(args, printer),
        Command::Lab(args) => commands::lab::run(args, printer),
        Command::Doctor(args) => commands::doctor::run(&args, printer),
        Command::Explain(args) => commands::explain::run(&args, printer),
        Command::Man(args) => commands::man::run(&args, Args::command(), printer),
        Command::Completions(args) => commands::completions::run(&args, Args::command(), printer),
    }
}
