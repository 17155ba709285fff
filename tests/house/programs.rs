//! Programs are files that a linter sees, not strings of Rust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use super::{files_below, rust_files};
use crate::harness::{Run, repository, run};

/// A string of more lines that are not empty is a program, and has a file of its own.
const MOST_LINES: usize = 15;

/// How many longer strings there still are, by file. None may be added; who makes files of some lowers the number.
const STILL_LONG: &[(&str, usize)] = &[
    // The layout of the ledger, in SQL, and of a table, in the language of Parquet.
    ("crates/store/src/ledger/sqlite/rows.rs", 1),
    ("crates/store/src/table.rs", 1),
];

#[test]
fn programs_are_files_and_no_string_holds_another_one() {
    let top = repository();
    let mut found = BTreeMap::new();
    for file in rust_files(&top.join("tests"))
        .into_iter()
        .chain(rust_files(&top.join("crates")))
    {
        let lines = long_strings(&std::fs::read_to_string(&file).unwrap());
        if !lines.is_empty() {
            let name = file.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
            found.insert(name, lines);
        }
    }
    let mut wrong = Vec::new();
    for (name, lines) in &found {
        let known = STILL_LONG.iter().find(|(known, _)| known == name);
        if lines.len() > known.map_or(0, |(_, count)| *count) {
            wrong.push(format!(
                "{name} has strings of more than {MOST_LINES} lines, which begin with {lines:?}: make files of them for include_str!"
            ));
        }
    }
    for (name, count) in STILL_LONG {
        let left = found.get(*name).map_or(0, Vec::len);
        if left < *count {
            wrong.push(format!("{name} has only {left} long strings left: say so here"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_program_in_a_string_is_found_wherever_it_stands() {
    let program = "true\n".repeat(MOST_LINES + 1);
    for planted in [
        format!("const SCRIPT: &str = r#\"{program}\"#;"),
        format!("fn f() {{ run(&format!(\"{program}\")); }}"),
        format!("fn f() {{ run(concat!(\"set -e\", r\"{program}\")); }}"),
        format!("#[cfg(test)] mod tests {{ fn f() {{ run(b\"{program}\"); }} }}"),
        format!("fn f() {{ run(\"{}\"); }}", program.replace('\n', "\\n")),
    ] {
        assert_eq!(long_strings(&planted).len(), 1, "{planted}");
    }
    let short = "true\n\n".repeat(MOST_LINES);
    for fine in [
        format!("const SCRIPT: &str = r#\"{short}\"#;"),
        format!("/// {}\nfn f() {{}}", "a word\n/// ".repeat(MOST_LINES + 1)),
    ] {
        assert_eq!(long_strings(&fine), Vec::<String>::new(), "{fine}");
    }
}

/// Where programs lie that are no Rust. Those for routers are looked at in their own dialect by tests/openwrt.
const PROGRAMS: [&str; 4] = [".ci", "crates", "examples", "tests"];

#[test]
fn shell_scripts_satisfy_shellcheck_and_python_compiles() {
    let top = repository();
    let (shell, python) = programs(&PROGRAMS.map(|directory| top.join(directory)));
    for known in [
        ".ci/run",
        "tests/run",
        "tests/bench/store.sh",
        "crates/v6kit/debian/postinst",
    ] {
        assert!(shell.contains(&top.join(known)), "{known} is not seen: {shell:?}");
    }
    for known in ["tests/openwrt/stubs/ubus", "tests/harness/wait.py"] {
        assert!(
            python.contains(&top.join(known)),
            "{known} is not seen: {python:?}"
        );
    }
    checked_shell(&shell).expect(0);
    compiled(&python).expect(0);
}

#[test]
fn a_program_is_known_by_its_ending_or_its_first_line_and_its_faults_are_found() {
    for (name, text) in [
        ("a.sh", "for x in 1; do :\n"),
        ("b.bash", "rm -rf $1/*\ncd \"$1\"\n"),
        ("c", "#!/usr/bin/env bash\ncd \"$1\"\nread x\n"),
        ("d/run", "#!/bin/sh\n[[ -e x ]] && echo y\n"),
    ] {
        let house = one_file(name, text);
        let (shell, python) = programs(&[house.path().to_owned()]);
        assert_eq!((shell.len(), python.len()), (1, 0), "{name}");
        assert_ne!(checked_shell(&shell).code, 0, "{name}");
    }
    for (name, text) in [("a.py", "if x\n"), ("b", "#!/usr/bin/python3 -I\nprint 1\n")] {
        let house = one_file(name, text);
        let (shell, python) = programs(&[house.path().to_owned()]);
        assert_eq!((shell.len(), python.len()), (0, 1), "{name}");
        assert_ne!(compiled(&python).code, 0, "{name}");
    }
    for (name, text) in [
        ("a.rs", "#!/bin/sh\n"),
        ("b", "#! no program"),
        ("c", "sh\n"),
        ("d.md", ""),
    ] {
        let house = one_file(name, text);
        let found = programs(&[house.path().to_owned()]);
        assert_eq!(found, (Vec::new(), Vec::new()), "{name}");
    }
}

fn one_file(name: &str, text: &str) -> tempfile::TempDir {
    let house = tempfile::tempdir().unwrap();
    let path = house.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    house
}

/// The programs below `directories` that a shell runs, and those that Python runs.
fn programs(directories: &[PathBuf]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut shell, mut python) = (Vec::new(), Vec::new());
    for file in directories.iter().flat_map(|directory| files_below(directory)) {
        match interpreter(&file).as_deref() {
            Some("sh" | "bash" | "dash") => shell.push(file),
            Some("python3") => python.push(file),
            _ => {}
        }
    }
    (shell, python)
}

/// What runs a file: by its ending, and where it has none by its first line.
fn interpreter(file: &Path) -> Option<String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("sh" | "bash") => return Some("bash".to_owned()),
        Some("py") => return Some("python3".to_owned()),
        Some(_) => return None,
        None => {}
    }
    let text = std::fs::read(file).ok()?;
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line
        .split_whitespace()
        .filter_map(|word| Path::new(word).file_name()?.to_str())
        .filter(|word| *word != "env");
    words.next().map(ToOwned::to_owned)
}

fn checked_shell(files: &[PathBuf]) -> Run {
    let (by_ending, by_first_line): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().partition(|file| file.extension().is_some());
    // What others include has no first line: all of ours is bash.
    let check = |options: &[&str], files: &[&PathBuf]| {
        let mut shellcheck = Command::new("shellcheck");
        run(shellcheck
            .args(["--severity", "warning"])
            .args(options)
            .args(files)
            .current_dir(repository()))
    };
    match (by_ending.as_slice(), by_first_line.as_slice()) {
        (files, []) => check(&["--shell", "bash"], files),
        ([], files) => check(&[], files),
        (first, second) => {
            let first = check(&["--shell", "bash"], first);
            if first.code == 0 {
                check(&[], second)
            } else {
                first
            }
        }
    }
}

fn compiled(files: &[PathBuf]) -> Run {
    let compile = "import ast, sys\nfor name in sys.argv[1:]: ast.parse(open(name).read(), name)";
    run(Command::new("python3").args(["-c", compile]).args(files))
}

/// The first lines of the strings that are longer than they may be.
fn long_strings(text: &str) -> Vec<String> {
    let mut strings = Strings::default();
    strings.visit_file(&syn::parse_file(text).unwrap());
    strings.long
}

/// Strings of the code, also in macros; documentation is none.
#[derive(Default)]
struct Strings {
    /// Their first lines.
    long: Vec<String>,
}

impl Strings {
    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = match syn::parse_str::<syn::Lit>(&literal.to_string()) {
                        Ok(syn::Lit::Str(text)) => text.value(),
                        Ok(syn::Lit::ByteStr(text)) => String::from_utf8_lossy(&text.value()).into_owned(),
                        _ => continue,
                    };
                    self.add(&text);
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, text: &str) {
        if text.lines().filter(|line| !line.trim().is_empty()).count() > MOST_LINES {
            let first = text.lines().find(|line| !line.trim().is_empty());
            self.long.push(first.unwrap_or_default().trim().to_owned());
        }
    }
}

impl<'ast> Visit<'ast> for Strings {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.add(&text.value());
    }

    fn visit_lit_byte_str(&mut self, text: &'ast syn::LitByteStr) {
        self.add(&String::from_utf8_lossy(&text.value()));
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}
