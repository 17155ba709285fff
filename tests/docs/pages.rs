//! Pages of the documentation, taken apart.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page in Markdown.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Where it lies, from the top of the repository.
    pub(crate) path: PathBuf,
    /// The texts of its headings.
    pub(crate) headings: Vec<String>,
    /// Where its links and pictures lead.
    pub(crate) links: Vec<String>,
    /// Its fenced blocks.
    pub(crate) blocks: Vec<Block>,
    /// What stands in backquotes in its text.
    pub(crate) code: Vec<String>,
}

/// A fenced block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// `sh`, `console`, `toml`.
    pub(crate) language: String,
    /// What the comment before it says behind `checked:`.
    pub(crate) check: Option<String>,
    /// The text.
    pub(crate) text: String,
}

impl Page {
    /// Reads a page of the repository at `top`.
    pub(crate) fn read(top: &Path, path: &Path) -> Self {
        let text =
            fs::read_to_string(top.join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(path, &text)
    }

    /// Takes `text` apart.
    pub(crate) fn parse(path: &Path, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut heading: Option<String> = None;
        let mut block: Option<Block> = None;
        let mut check = None;
        for event in Parser::new_ext(text, Options::ENABLE_GFM | Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.headings.extend(heading.take()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(info) => info.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some(Block {
                        language,
                        check: check.take(),
                        ..Block::default()
                    });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Html(html) => {
                    let comment = html.trim().strip_prefix("<!-- checked: ");
                    if let Some(said) = comment.and_then(|rest| rest.strip_suffix(" -->")) {
                        check = Some(said.to_owned());
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    page.code.push(code.into_string());
                }
                Event::Text(text) => match (&mut block, &mut heading) {
                    (Some(block), _) => block.text.push_str(&text),
                    (None, Some(heading)) => heading.push_str(&text),
                    (None, None) => {}
                },
                _ => {}
            }
        }
        page
    }

    /// The anchors of its headings, as the forge and as the book make them.
    pub(crate) fn anchors(&self) -> [Vec<String>; 2] {
        [forge_slug as fn(&str) -> String, book_slug]
            .map(|slug| numbered(self.headings.iter().map(|text| slug(text))))
    }
}

/// GitHub's: lower case, no punctuation but `-` and `_`, a hyphen for each space.
fn forge_slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|char| char.is_alphanumeric() || ['-', '_', ' '].contains(char))
        .map(|char| if char == ' ' { '-' } else { char })
        .collect()
}

/// mdBook's (`normalize_id` of its utilities): as the forge's, but lower case in ASCII only, and a hyphen for any
/// white space.
fn book_slug(heading: &str) -> String {
    heading
        .chars()
        .filter(|char| char.is_alphanumeric() || ['-', '_'].contains(char) || char.is_whitespace())
        .map(|char| {
            if char.is_whitespace() {
                '-'
            } else {
                char.to_ascii_lowercase()
            }
        })
        .collect()
}

/// The second heading with the same text gets `-1`, the third `-2`.
fn numbered(slugs: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    slugs
        .map(|slug| {
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            match *count {
                1 => slug,
                count => format!("{slug}-{}", count - 1),
            }
        })
        .collect()
}

/// Every page that is checked: README, the pages of the book, and what else stands at the top.
pub(crate) fn pages(top: &Path) -> Vec<Page> {
    let at_the_top = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "examples/README.md",
        "openwrt/README.md",
    ];
    let mut paths: Vec<PathBuf> = at_the_top
        .map(PathBuf::from)
        .into_iter()
        .filter(|path| top.join(path).exists())
        .collect();
    paths.extend(book(top));
    paths.iter().map(|path| Page::read(top, path)).collect()
}

/// The pages in docs/, from the top of the repository.
pub(crate) fn book(top: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(top.join("docs"))
        .expect("docs")
        .map(|entry| Path::new("docs").join(entry.expect("an entry").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_page_is_taken_apart_into_headings_links_and_blocks() {
    let page = Page::parse(
        Path::new("docs/a.md"),
        "# What `v6kit` is: *this*\n\n[a](b.md#c) ![d](e.svg)\n\n<!-- checked: lab; after: setup -->\n```console\n$ x\n```\n\
         ```sh\ny\n```\n## Twice\n## Twice\n",
    );
    assert_eq!(page.headings, ["What v6kit is: this", "Twice", "Twice"]);
    assert_eq!(page.links, ["b.md#c", "e.svg"]);
    assert_eq!(page.blocks[0].check.as_deref(), Some("lab; after: setup"));
    assert_eq!(
        (page.blocks[0].text.as_str(), page.blocks[0].language.as_str()),
        ("$ x\n", "console")
    );
    assert_eq!(page.blocks[1].check, None);
    for anchors in page.anchors() {
        assert_eq!(anchors, ["what-v6kit-is-this", "twice", "twice-1"]);
    }
}
