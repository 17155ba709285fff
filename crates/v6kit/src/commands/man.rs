//! `v6kit man`.

use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};
use crate::manual;
use crate::printer::Printer;

/// Write a manual page for every command into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit man ~/.local/share/man/man1 && man v6kit-crawl\n  \
    v6kit man . && man ./v6kit.1")]
pub(crate) struct ManArgs {
    /// Where the pages go, as in share/man/man1; made where it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `root`, the whole command line.
pub(crate) fn run(args: &ManArgs, root: clap::Command, printer: &Printer) -> anyhow::Result<Exit> {
    let pages = manual::pages(root);
    std::fs::create_dir_all(&args.directory).map_err(|error| unwritable(&args.directory, &error))?;
    for page in &pages {
        let path = args.directory.join(&page.file_name);
        std::fs::write(&path, &page.text).map_err(|error| unwritable(&path, &error))?;
    }
    let names: Vec<&str> = pages.iter().map(|page| page.file_name.as_str()).collect();
    printer.json(&serde_json::json!({ "directory": args.directory, "pages": names }));
    printer.line(format_args!(
        "{} pages written to {}",
        pages.len(),
        args.directory.display()
    ));
    Ok(Exit::Done)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::of_io(error),
        format!("{} cannot be written", path.display()),
    )
    .why(error.to_string())
    .hint("name a directory that you may write to")
}
