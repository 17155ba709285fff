//! The imports of a crate's sources, in every form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::visit::Visit;
use syn::{Attribute, Item, UseTree};

use super::rust_files;

/// A file, its module, and the paths in it that lead into its crate, from the root on.
pub(super) type Imported = (PathBuf, Vec<String>, BTreeSet<Vec<String>>);

/// Each file of a crate, but for tests, with what it imports from the crate.
pub(super) fn imports_of(sources: &Path) -> Vec<Imported> {
    let exports = reexports(&root_of(sources));
    let files: Vec<(PathBuf, Vec<String>)> = rust_files(sources)
        .into_iter()
        .map(|file| (file.clone(), module_of(sources, &file)))
        .collect();
    let modules: BTreeSet<&[String]> = files.iter().map(|(_, module)| module.as_slice()).collect();
    files
        .iter()
        .filter(|(_, module)| !module.iter().any(|part| part == "tests"))
        .map(|(file, module)| {
            let mut imports = Imports::new(module.clone());
            imports.visit_file(&syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap());
            let below = |path: &Vec<String>| modules.contains(&path[..module.len() + 1]);
            let named = imports
                .named
                .into_iter()
                .filter(|path| path.len() > module.len() && below(path));
            let mut found: BTreeSet<Vec<String>> = named.collect();
            for path in imports.found {
                found.insert(match exports.get(&path[0]) {
                    Some(within) => [within, &path[1..]].concat(),
                    None => path,
                });
            }
            (file.clone(), module.clone(), found)
        })
        .collect()
}

/// `["site", "pace"]` for `site/pace.rs`; nothing for `lib.rs`.
fn module_of(sources: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(sources).unwrap().with_extension("");
    let mut module: Vec<String> = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The root of a crate: of a library, or of a program.
fn root_of(sources: &Path) -> PathBuf {
    let lib = sources.join("lib.rs");
    if lib.exists() {
        lib
    } else {
        sources.join("main.rs")
    }
}

/// The names that the root of a crate re-exports, and what they are within it.
fn reexports(root: &Path) -> BTreeMap<String, Vec<String>> {
    let file = syn::parse_file(&std::fs::read_to_string(root).unwrap()).unwrap();
    let mut exports = BTreeMap::new();
    for item in file.items {
        if let Item::Use(item) = item {
            leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
                let within = path.iter().filter(|part| *part != "crate" && *part != "self");
                exports.insert(name.to_owned(), within.cloned().collect());
            });
        }
    }
    exports
}

/// Gives each name that a `use` brings, with the whole path that it comes from.
fn leaves(tree: &UseTree, before: &mut Vec<String>, take: &mut dyn FnMut(&[String], &str)) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            leaves(&path.tree, before, take);
            before.pop();
        }
        UseTree::Name(name) => leaf(before, &name.ident.to_string(), None, take),
        UseTree::Rename(rename) => {
            leaf(
                before,
                &rename.ident.to_string(),
                Some(&rename.rename.to_string()),
                take,
            );
        }
        UseTree::Glob(_) => take(before, "*"),
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, before, take);
            }
        }
    }
}

fn leaf(before: &mut Vec<String>, name: &str, renamed: Option<&str>, take: &mut dyn FnMut(&[String], &str)) {
    before.push(name.to_owned());
    take(before, renamed.unwrap_or(name));
    before.pop();
}

/// All paths in a file that lead into its crate, from its root on.
struct Imports {
    /// The module that is read: its path from the root of the crate.
    module: Vec<String>,
    /// What `crate`, `self` and `super` begin.
    found: BTreeSet<Vec<String>>,
    /// What begins with a name: a module below, a crate, or what an import has brought.
    named: BTreeSet<Vec<String>>,
}

impl Imports {
    fn new(module: Vec<String>) -> Self {
        Self {
            module,
            found: BTreeSet::new(),
            named: BTreeSet::new(),
        }
    }

    fn add(&mut self, path: &[String]) {
        let mut base = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                base.clear();
                rest = &path[1..];
            }
            Some("self" | "super") => {
                while let Some(first) = rest.first() {
                    match first.as_str() {
                        "self" => {}
                        "super" => drop(base.pop()),
                        _ => break,
                    }
                    rest = &rest[1..];
                }
            }
            _ => {
                base.extend_from_slice(path);
                self.named.insert(base);
                return;
            }
        }
        base.extend_from_slice(rest);
        if !base.is_empty() {
            self.found.insert(base);
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    })
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_for_tests(&module.attrs) {
            return;
        }
        self.module.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        leaves(&item.tree, &mut Vec::new(), &mut |path, _| {
            paths.push(path.to_vec());
        });
        paths.iter().for_each(|path| self.add(path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.add(&names);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What a macro makes of its words is unknown; a path in them is one all the same.
        let text = call.tokens.to_string().replace(' ', "");
        for part in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let names: Vec<String> = part.split("::").map(str::to_owned).collect();
            if names.len() > 1 {
                self.add(&names);
            }
        }
    }
}
