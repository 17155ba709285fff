//! Links lead somewhere: on the forge, which shows files of the repository, and in the book, which holds docs/ only.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::pages::{Page, book, pages};
use crate::harness::repository;

/// Directories whose paths are written in backquotes.
const ROOTS: [&str; 7] = [
    ".ci/",
    "crates/",
    "docs/",
    "examples/",
    "openwrt/",
    "systemd/",
    "tests/",
];

/// What is wrong with the links of `page` in the repository at `top`, whose book holds `chapters`.
fn complaints(top: &Path, page: &Page, chapters: &[PathBuf]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(format!("{}: {what}", page.path.display()));
    let is_in_book = page.path.starts_with("docs");
    for link in &page.links {
        if link.starts_with("https://") {
            continue;
        }
        if link.contains("://") || link.starts_with('/') {
            complain(format!("`{link}` is neither https:// nor a path from here"));
            continue;
        }
        let (file, anchor) = link
            .split_once('#')
            .map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let target = if file.is_empty() {
            page.path.clone()
        } else {
            normal(&page.path.parent().unwrap_or(Path::new("")).join(file))
        };
        if !top.join(&target).exists() {
            complain(format!("`{link}` leads nowhere"));
            continue;
        }
        if is_in_book && !target.starts_with("docs") {
            complain(format!("`{link}` leads out of the book"));
        }
        let is_page = target.extension().is_some_and(|extension| extension == "md");
        if is_in_book && is_page && !chapters.contains(&target) {
            complain(format!(
                "`{link}` leads to a page that docs/SUMMARY.md does not name"
            ));
        }
        if let (Some(anchor), true) = (anchor, is_page) {
            let [forge, book] = Page::read(top, &target).anchors();
            if !forge.iter().any(|known| known == anchor) {
                complain(format!("`{link}` names no heading of the forge's page"));
            }
            if is_in_book && !book.iter().any(|known| known == anchor) {
                complain(format!("`{link}` names no heading of the book's page"));
            }
        }
    }
    for code in &page.code {
        let path = code.split(' ').next().unwrap_or_default();
        let is_path = ROOTS.iter().any(|root| path.starts_with(root)) && !path.contains(['*', '{', '$', '…']);
        if is_path && !top.join(path).exists() {
            complain(format!("there is no `{path}`"));
        }
    }
    complaints
}

/// `docs/../README.md` is `README.md`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            component => normal.push(component),
        }
    }
    normal
}

/// The pages that the book's table of contents names.
fn chapters(top: &Path) -> Vec<PathBuf> {
    let summary = Page::read(top, Path::new("docs/SUMMARY.md"));
    summary
        .links
        .iter()
        .map(|link| Path::new("docs").join(link))
        .collect()
}

#[test]
fn every_link_leads_somewhere_on_the_forge_and_in_the_book() {
    let top = repository();
    let chapters = chapters(&top);
    let pages = pages(&top);
    let complaints: Vec<String> = pages
        .iter()
        .flat_map(|page| complaints(&top, page, &chapters))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let count: usize = pages.iter().map(|page| page.links.len()).sum();
    assert!(count > 60, "only {count} links were found");
}

#[test]
fn every_page_is_a_chapter_of_the_book() {
    let top = repository();
    let mut chapters = chapters(&top);
    chapters.push("docs/SUMMARY.md".into());
    chapters.sort();
    assert_eq!(chapters, book(&top));
}

#[test]
fn the_checker_finds_planted_faults() {
    let directory = tempfile::tempdir().expect("a directory");
    let top = directory.path();
    fs::create_dir(top.join("docs")).expect("docs");
    for (path, text) in [
        ("README.md", "# Top\n"),
        ("docs/a.md", "# A\n"),
        ("docs/b.md", "# B: `x`\n"),
        ("docs/left-out.md", "# C\n"),
    ] {
        fs::write(top.join(path), text).expect(path);
    }
    let chapters = [PathBuf::from("docs/a.md"), "docs/b.md".into()];
    for (text, complaint) in [
        (
            "[good](b.md) [too](b.md#b-x) [here](#a) [out](https://example.org/) `docs/a.md`",
            None,
        ),
        ("[x](missing.md)", Some("leads nowhere")),
        ("![x](missing.svg)", Some("leads nowhere")),
        ("[x][1]\n\n[1]: missing.md", Some("leads nowhere")),
        ("[x](b.md#c)", Some("names no heading")),
        ("[x](#b)", Some("names no heading")),
        ("[x](../README.md)", Some("leads out of the book")),
        ("[x](left-out.md)", Some("SUMMARY.md does not name")),
        ("[x](/docs/a.md)", Some("nor a path")),
        ("[x](http://example.org/)", Some("nor a path")),
        ("`tests/missing.rs --all`", Some("there is no")),
    ] {
        let page = Page::parse(Path::new("docs/a.md"), &format!("# A\n\n{text}\n"));
        let found = complaints(top, &page, &chapters);
        match complaint {
            None => assert!(found.is_empty(), "{text}: {found:?}"),
            Some(complaint) => assert!(
                matches!(found.as_slice(), [found, ..] if found.contains(complaint)),
                "{text}: {found:?}"
            ),
        }
    }
}

#[test]
fn the_readme_is_one_page() {
    let length = fs::metadata(repository().join("README.md"))
        .expect("README.md")
        .len();
    assert!(
        length <= 12 * 1024,
        "README.md has {length} bytes: move what is more into a page of docs/"
    );
}
