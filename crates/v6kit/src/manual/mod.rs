//! The manual: a page in man(7) form for every command, made from the same text as `--help`.

mod sections;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

const SECTION: &str = "1";
/// No hyphenation, and a ragged right margin: options can be searched for and copied.
const AS_TYPED: &str = ".nh\n.ad l\n";

/// A page of the manual.
#[derive(Debug)]
pub(crate) struct Page {
    /// `v6kit-crawl-status.1`.
    pub(crate) file_name: String,
    /// In man(7) form.
    pub(crate) text: Vec<u8>,
}

/// The page of a command and those of all commands below it.
pub(crate) fn pages(command: Command) -> Vec<Page> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, None, &mut pages);
    pages
}

fn add(command: &Command, parent: Option<&str>, pages: &mut Vec<Page>) {
    let name = page_name(command);
    pages.push(Page {
        file_name: format!("{name}.{SECTION}"),
        text: page(command, &name, parent),
    });
    for below in visible(command) {
        add(below, Some(&name), pages);
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

fn page_name(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

fn page(command: &Command, name: &str, parent: Option<&str>) -> Vec<u8> {
    let man = Man::new(command.clone());
    // No date: the version says it, and the same binary always writes the same pages.
    let mut text = format!(
        ".TH \"{}\" \"{SECTION}\" \"\" \"v6kit {}\" \"v6kit\"\n{AS_TYPED}",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes();
    let mut sections = vec![
        Man::render_name_section as fn(&Man, &mut dyn std::io::Write) -> std::io::Result<()>,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    if visible(command).next().is_some() {
        sections.push(Man::render_subcommands_section);
    }
    for section in sections {
        // Writing to memory does not fail.
        let _ = section(&man, &mut text);
    }
    let mut roff = Roff::new();
    let after = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    for paragraph in after.split("\n\n") {
        add_paragraph(&mut roff, paragraph);
    }
    let below = name.strip_prefix("v6kit").unwrap_or(name).trim_start_matches('-');
    let is_exit = |line: &str| line.starts_with("Exit:") || line.starts_with("Exit status:");
    sections::add(&mut roff, below, after.lines().any(is_exit));
    add_see_also(&mut roff, command, name, parent);
    text.extend_from_slice(roff.render().as_bytes());
    text
}

/// A paragraph of the text behind the options. `Examples:` and what else ends in a colon stand above
/// indented lines, which stay as they are; `Exit: …` has a section of its own.
fn add_paragraph(roff: &mut Roff, paragraph: &str) {
    let mut lines = paragraph.lines().peekable();
    match lines.peek() {
        None => return,
        Some(&"Examples:") => {
            lines.next();
            roff.control("SH", ["EXAMPLES"]);
        }
        Some(line) if line.starts_with("Exit:") || line.starts_with("Exit status:") => {
            roff.control("SH", ["EXIT STATUS"]);
        }
        Some(_) => {
            roff.control("PP", []);
        }
    }
    let mut is_verbatim = false;
    for (at, line) in lines.enumerate() {
        // Also where it stands below other lines.
        if at > 0 && (line.starts_with("Exit:") || line.starts_with("Exit status:")) {
            if is_verbatim {
                roff.control("fi", []).control("RE", []);
                is_verbatim = false;
            }
            roff.control("SH", ["EXIT STATUS"]);
        }
        let is_indented = line.starts_with(' ');
        if is_indented != is_verbatim {
            if is_indented {
                roff.control("RS", ["4"]).control("nf", []);
            } else {
                roff.control("fi", []).control("RE", []);
            }
            is_verbatim = is_indented;
        }
        let line = line
            .trim_start()
            .trim_start_matches("Exit status: ")
            .trim_start_matches("Exit: ");
        roff.text([roman(line)]);
    }
    if is_verbatim {
        roff.control("fi", []).control("RE", []);
    }
}

fn add_see_also(roff: &mut Roff, command: &Command, name: &str, parent: Option<&str>) {
    let mut names: Vec<String> = parent.map(ToOwned::to_owned).into_iter().collect();
    names.extend(visible(command).map(|below| format!("{name}-{}", below.get_name())));
    if names.is_empty() {
        return;
    }
    let names: Vec<String> = names.iter().map(|name| format!("{name}({SECTION})")).collect();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(names.join(", "))]);
}
