//! Programs are files that a linter sees, not strings of Rust.

use std::collections::BTreeMap;
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use super::{files_below, rust_files};
use crate::harness::{repository, run};

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

#[test]
fn shell_scripts_satisfy_shellcheck_and_python_compiles() {
    let top = repository();
    let files = files_below(&top.join("tests"));
    let with = |extensions: &[&str]| {
        let found = files.iter().filter(|file| {
            let extension = file.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
        });
        found.collect::<Vec<_>>()
    };
    let shell = with(&["sh", "bash"]);
    assert!(shell.len() > 20, "{shell:?}");
    run(Command::new("shellcheck")
        .args(["--shell", "bash", "--severity", "warning"])
        .args(shell)
        .current_dir(&top))
    .expect(0);
    let python = with(&["py"]);
    assert!(python.len() > 5, "{python:?}");
    let compile = "import ast, sys\nfor name in sys.argv[1:]: ast.parse(open(name).read(), name)";
    run(Command::new("python3").args(["-c", compile]).args(python)).expect(0);
    // Both find a fault.
    let scratch = tempfile::tempdir().unwrap();
    let broken = scratch.path().join("broken");
    std::fs::write(&broken, "for x in 1; do :\n").unwrap();
    assert_ne!(
        run(Command::new("shellcheck").args(["--shell", "bash"]).arg(&broken)).code,
        0
    );
    assert_ne!(
        run(Command::new("python3").args(["-c", compile]).arg(&broken)).code,
        0
    );
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
