//! What to fetch, and in which order.

use std::fs::File;
use std::io::Seek as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use v6kit_model::Order;
use v6kit_model::input::{Items, List, ListError, ListSource, TemplateError};

use crate::commands::crawl::values::Target;
use crate::commands::crawl::{habits, values};
use crate::failure::{Exit, Failure};
use crate::remote;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Items")]
pub(crate) struct ItemArgs {
    /// What to fetch: 'https://example.org/items/{1..1000}'
    ///
    /// A URL, http:// or https://, with ranges and sets in braces; or, with -i, a URL with {} where each line goes;
    /// - reads lines from standard input.
    #[arg(value_name = "URL", required_unless_present_any = ["input", "job"], value_parser = values::url)]
    urls: Vec<Target>,
    /// Take items from a file, a URL per line: -i urls.txt.gz
    ///
    /// The file may be plain or packed with gzip or zstd. A line is a URL, or a JSON object with "url" and perhaps
    /// "method", "headers", "body" and "id". A list that is itself given as a URL, -i https://example.org/urls.zst, is
    /// fetched first: at most 1 GiB, within ten minutes.
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// What -i led to, where it was a URL.
    #[arg(skip)]
    fetched: Option<Fetched>,
    /// Fetch a line of the list once, however often it is there; the list is sorted on the disk for that
    #[arg(long, hide_short_help = true)]
    unique: bool,
    /// Go on with a list to which lines were added at its end since the job began
    #[arg(long, hide_short_help = true)]
    pub(crate) append: bool,
    /// Fetch everything N times, one round after another: --repeat 1000000
    ///
    /// Each time is an item with a position of its own; --store none keeps only their number.
    #[arg(long, value_name = "N", conflicts_with = "append", hide_short_help = true)]
    repeat: Option<NonZeroU64>,
    /// Fetch only the first N items in the order of visiting: --limit 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// The order in which items are visited
    #[arg(
        long,
        value_name = "ORDER",
        default_value = "sequential",
        hide_short_help = true
    )]
    order: OrderChoice,
    /// Makes a shuffle repeatable; also where the draw of addresses begins
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) seed: Option<u64>,
}

/// A list from elsewhere.
#[derive(Debug)]
struct Fetched {
    /// What it says, perhaps packed.
    file: File,
    /// What messages call it.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderChoice {
    Sequential,
    Shuffle,
}

impl ItemArgs {
    /// The order of visiting.
    pub(crate) fn order(&self) -> Order {
        match self.order {
            OrderChoice::Sequential => Order::Sequential,
            // Without a seed, a fixed one: the order belongs to the job, and the next run must find it again.
            OrderChoice::Shuffle => Order::Shuffle {
                seed: self.seed.unwrap_or(0),
            },
        }
    }

    /// What other programs would take otherwise than this one does.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let texts: Vec<&str> = self
            .urls
            .iter()
            .filter_map(|target| match target {
                Target::Template(template) => Some(template.as_str()),
                Target::Substituted(url) => Some(url),
                Target::StandardInput => None,
            })
            .collect();
        let mut remarks: Vec<String> = texts
            .iter()
            .copied()
            .filter_map(habits::brackets)
            .take(1)
            .collect();
        remarks.extend(habits::unquoted_braces(&texts));
        remarks
    }

    /// Fetches the list, where it is given as a URL, into a file without a name in `output`.
    pub(crate) async fn fetch(&mut self, output: &Path) -> anyhow::Result<()> {
        let Some(url) = self.input.as_deref().and_then(remote::url_of) else {
            return Ok(());
        };
        let kept = || format!("a list cannot be kept in {}", output.display());
        std::fs::create_dir_all(output).with_context(kept)?;
        let mut file = tempfile::tempfile_in(output).with_context(kept)?;
        remote::fetch("the list", url, remote::LARGEST_LIST, &mut file).await?;
        file.rewind().with_context(kept)?;
        self.fetched = Some(Fetched {
            file,
            name: remote::shown(url),
        });
        Ok(())
    }

    /// The items: templates, or the lines of a list, of which the job in `output` keeps a copy.
    pub(crate) fn resolve(self, output: &Path) -> Result<Items, Failure> {
        let repeat = self.repeat;
        let items = self.items_of_a_round(output)?;
        match repeat {
            None => Ok(items),
            Some(rounds) => items.repeated(rounds).map_err(|error| too_much(&error)),
        }
    }

    fn items_of_a_round(self, output: &Path) -> Result<Items, Failure> {
        let wrong = |what: &str, hint: &str| {
            Err(Failure::new(Exit::Usage, "it is not clear what to fetch")
                .why(what)
                .hint(hint))
        };
        let (mut templates, mut patterns) = (Vec::new(), Vec::new());
        let mut source = self.input.map(|path| {
            if path == Path::new("-") {
                ListSource::StandardInput
            } else {
                ListSource::File(path)
            }
        });
        for target in self.urls {
            match target {
                Target::Template(template) => templates.push(template),
                Target::Substituted(url) => patterns.push(url),
                Target::StandardInput if source.is_none() => source = Some(ListSource::StandardInput),
                Target::StandardInput => {
                    return wrong(
                        "there are two lists",
                        "give one: -i FILE, or - for standard input",
                    );
                }
            }
        }
        let Some(source) = source else {
            for (is_given, option) in [(self.unique, "--unique"), (self.append, "--append")] {
                if is_given {
                    return wrong(
                        &format!("{option} is about the lines of a list, and none is given"),
                        "add -i FILE, or leave it out",
                    );
                }
            }
            if !patterns.is_empty() {
                return wrong(
                    "a URL holds {}, and no lines are given to put there",
                    "add -i FILE, or - for standard input",
                );
            }
            return Items::templates(templates).map_err(|error| too_much(&error));
        };
        if !templates.is_empty() || patterns.len() > 1 {
            return wrong(
                "a list and other URLs are given",
                "give the list alone, or with one URL that holds {}",
            );
        }
        let is_fetched = self.fetched.is_some();
        let unusable = |error: &ListError| {
            let failure = Failure::because(Exit::Usage, "the list cannot be used", error);
            match is_fetched {
                // The commands that convert a list want a file.
                true => failure.hint("fetch it yourself and give the file"),
                false => failure,
            }
        };
        let list = match self.fetched {
            Some(Fetched { file, name }) => List::receive(file, &name, output, remote::LARGEST_LIST),
            None => List::open(&source, output),
        };
        let mut list = list.map_err(|error| unusable(&error))?;
        if self.unique {
            list = list.unique(output).map_err(|error| unusable(&error))?;
        }
        match patterns.pop() {
            None => {
                let items = Items::lines(list);
                items
                    .check_first_lines()
                    .map_err(|error| Failure::because(Exit::Usage, "the list cannot be used", &error))?;
                Ok(items)
            }
            Some(url) => Items::substituted(list, &url)
                .map_err(|error| Failure::because(Exit::Usage, format!("`{url}` cannot be crawled"), &error)),
        }
    }
}

fn too_much(error: &TemplateError) -> Failure {
    Failure::because(Exit::Usage, "too much to crawl", error)
}
