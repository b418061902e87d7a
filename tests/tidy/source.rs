//! The sources of the house as syntax: every file of `src/`, without its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Item};

/// The crates of the house: the folder, and the name that others import it by.
pub const CRATES: [(&str, &str); 7] = [
    ("src/heart", "loaxa_heart"),
    ("src/adapters", "loaxa_adapters"),
    ("src/sound", "loaxa_sound"),
    ("src/box", "loaxa_box"),
    ("src/fleet", "loaxa_fleet"),
    ("src/central", "loaxa_central"),
    ("src", "loaxa"),
];

/// A file of `src/`, parsed, with everything under `#[cfg(test)]` and all comments taken out.
pub struct Source {
    /// From the root of the repository, for instance `src/heart/domain/ids.rs`.
    pub path: String,
    /// The crate that it belongs to, then the modules down to it.
    pub module: Vec<String>,
    pub code: syn::File,
    /// Modules that it declares by `mod name;`, outside tests.
    pub declares: BTreeSet<String>,
    /// Lines before the first item under `#[cfg(test)]` that stands at the margin.
    pub lines_before_tests: usize,
}

impl Source {
    /// Parses `text` as the file at `path`.
    pub fn parse(path: &str, text: &str) -> Self {
        let mut code = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        WithoutTests.visit_file_mut(&mut code);
        let declares = code.items.iter().filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
            _ => None,
        });
        let declares = declares.map(|name| name.trim_start_matches("r#").to_owned()).collect();
        let lines_before_tests = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        Self { path: path.to_owned(), module: module_of(path), code, declares, lines_before_tests }
    }

    /// Every identifier of the code, also inside macros.
    pub fn idents(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_idents(self.code.to_token_stream(), &mut found);
        found
    }

    /// Paths in the code as written, such as `std :: fs :: read` without its spaces, each with its line.
    pub fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        collect_paths(self.code.to_token_stream(), &mut found);
        found
    }
}

struct WithoutTests;

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string();
        text == "test" || (text.starts_with("cfg") && text.contains("test") && !text.contains("not"))
    })
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

impl VisitMut for WithoutTests {
    /// Comments are no code.
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| !attribute.path().is_ident("doc"));
    }

    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_test(attributes_of(item)));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_test(attributes_of(item)));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(function) => !is_test(&function.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }
}

fn collect_idents(tokens: TokenStream, found: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => found.push(ident.to_string()),
            TokenTree::Group(group) => collect_idents(group.stream(), found),
            // What serde and clap name by a text, for instance `default = "some_function"`.
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let text = text.trim_matches('"');
                if text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                    found.extend(text.split("::").map(str::to_owned));
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
}

fn collect_paths(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut path = String::new();
    let mut line = 0;
    let mut colons = 0;
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) => {
                if colons != 2 && !path.is_empty() {
                    found.push((line, std::mem::take(&mut path)));
                }
                if path.is_empty() {
                    line = ident.span().start().line;
                } else {
                    path.push_str("::");
                }
                path.push_str(&ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            TokenTree::Group(group) => {
                let mut inner = Vec::new();
                collect_paths(group.stream(), &mut inner);
                if colons == 2 {
                    inner.iter_mut().for_each(|(_, rest)| *rest = format!("{path}::{rest}"));
                    path.clear();
                } else if !path.is_empty() {
                    found.push((line, std::mem::take(&mut path)));
                }
                found.extend(inner);
                colons = 0;
            }
            _ => {
                if !path.is_empty() {
                    found.push((line, std::mem::take(&mut path)));
                }
                colons = 0;
            }
        }
    }
    if !path.is_empty() {
        found.push((line, path));
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folder` with this extension, sorted.
pub fn files_under(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The module path of a file: `src/heart/domain/ids.rs` is `loaxa_heart, domain, ids`.
pub fn module_of(path: &str) -> Vec<String> {
    let (folder, name) = CRATES.iter().find(|(folder, _)| path.starts_with(&format!("{folder}/"))).unwrap();
    let inside = path[folder.len() + 1..].trim_end_matches(".rs");
    let below = inside.split('/').filter(|part| !["lib", "main", "mod"].contains(part));
    [*name].into_iter().chain(below).map(str::to_owned).collect()
}

/// All files of `src/` that are no tests: a file that only `#[cfg(test)]` declares is left out.
pub fn sources() -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Source::parse(path.strip_prefix(root()).unwrap().to_str().unwrap(), &text)
    };
    let all: Vec<Source> = files_under("src", "rs").into_iter().map(read).collect();
    let declared = declared(&all);
    all.into_iter().filter(|source| declared.contains(&source.module)).collect()
}

/// The modules that can be reached from the roots of the crates by `mod name;`.
fn declared(all: &[Source]) -> BTreeSet<Vec<String>> {
    let by_module: BTreeMap<_, _> = all.iter().map(|source| (source.module.clone(), source)).collect();
    let mut reached = BTreeSet::new();
    let mut next: Vec<Vec<String>> = CRATES.iter().map(|(_, name)| vec![(*name).to_owned()]).collect();
    while let Some(module) = next.pop() {
        let Some(source) = by_module.get(&module) else { continue };
        let below = source.declares.iter().map(|name| [&module[..], std::slice::from_ref(name)].concat());
        next.extend(below);
        reached.insert(module);
    }
    reached
}

/// Files of `src/` that no `mod` names, neither in the program nor in its tests.
pub fn orphans() -> Vec<String> {
    let mut named = BTreeSet::new();
    let files = files_under("src", "rs");
    for path in &files {
        let module = module_of(path.strip_prefix(root()).unwrap().to_str().unwrap());
        for line in fs::read_to_string(path).unwrap().lines() {
            let line = line.trim_start();
            let line = line
                .strip_prefix("pub")
                .map_or(line, |rest| rest.split_once(") ").map_or(rest, |(_, rest)| rest).trim_start());
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                named.insert([&module[..], &[name.trim_start_matches("r#").to_owned()]].concat());
            }
        }
    }
    let relative = files.iter().map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap());
    let orphan = |path: &&str| module_of(path).len() > 1 && !named.contains(&module_of(path));
    relative.filter(orphan).map(str::to_owned).collect()
}

#[test]
fn tests_are_no_code() {
    let text =
        "use a::b; #[cfg(test)] mod tests { use c::d; } impl X { #[cfg(test)] fn e() {} fn f() { g::h() } }";
    let source = Source::parse("src/box/x.rs", text);
    let paths: Vec<String> = source.paths().into_iter().map(|(_, path)| path).collect();
    assert!(paths.contains(&"a::b".to_owned()) || paths.contains(&"use".to_owned()), "{paths:?}");
    assert!(!source.idents().iter().any(|ident| ["c", "d", "e"].contains(&ident.as_str())));
    assert!(paths.contains(&"g::h".to_owned()), "{paths:?}");
    assert_eq!(source.module, ["loaxa_box", "x"]);
}
