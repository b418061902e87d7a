//! Things that nobody uses: public items that no other line names, files that no `mod` names, dependencies without a
//! `use`.

use std::collections::BTreeMap;
use std::fs;

use syn::{ImplItem, Item, Visibility};

use crate::source::{CRATES, Source, files_under, orphans, root, sources};

/// Public items that only tests, benches or another program name, and why they stand all the same. An entry that is not
/// needed fails.
const KEPT: &[(&str, &str)] = &[
    ("governed", "the simulation's lives under changing laws, run by its tests"),
    ("orders_waiting", "the tests of the box's player, in a crate above"),
];

/// Names of the public items of a file, methods among them.
fn public_items(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let public = |vis: &Visibility| matches!(vis, Visibility::Public(_));
    for item in &source.code.items {
        let (vis, ident) = match item {
            Item::Const(it) => (&it.vis, &it.ident),
            Item::Enum(it) => (&it.vis, &it.ident),
            Item::Fn(it) => (&it.vis, &it.sig.ident),
            Item::Static(it) => (&it.vis, &it.ident),
            Item::Struct(it) => (&it.vis, &it.ident),
            Item::Trait(it) => (&it.vis, &it.ident),
            Item::Type(it) => (&it.vis, &it.ident),
            Item::Impl(block) => {
                for item in &block.items {
                    match item {
                        ImplItem::Fn(it) if public(&it.vis) => found.push(it.sig.ident.to_string()),
                        ImplItem::Const(it) if public(&it.vis) => found.push(it.ident.to_string()),
                        _ => {}
                    }
                }
                continue;
            }
            _ => continue,
        };
        if public(vis) {
            found.push(ident.to_string());
        }
    }
    found
}

/// Public items that nothing names but their own definition; `outside` holds the identifiers of tests and benches.
fn dead_items(sources: &[Source], outside: &[String]) -> Vec<String> {
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for ident in sources.iter().flat_map(Source::idents).chain(outside.iter().cloned()) {
        *named.entry(ident).or_default() += 1;
    }
    let mut defined: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for source in sources {
        for name in public_items(source) {
            defined.entry(name).or_default().push(&source.path);
        }
    }
    let dead = defined.into_iter().filter(|(name, places)| named[name] <= places.len());
    dead.map(|(name, places)| format!("{}: {name}", places.join(", "))).collect()
}

#[test]
fn no_public_item_is_dead() {
    let mut outside = Vec::new();
    for folder in ["tests", "benches", "fuzz"] {
        // The list above names what it keeps.
        for path in files_under(folder, "rs").into_iter().filter(|path| !path.ends_with("tidy/dead.rs")) {
            let text = fs::read_to_string(&path).unwrap();
            outside.extend(text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
        }
    }
    let dead = dead_items(&sources(), &outside);
    let kept = |line: &String| KEPT.iter().any(|(name, _)| line.ends_with(&format!(": {name}")));
    let needed = KEPT.iter().filter(|(name, _)| dead.iter().any(|line| line.ends_with(&format!(": {name}"))));
    assert_eq!(needed.count(), KEPT.len(), "an exception that is not needed");
    crate::assert_none(
        dead.into_iter().filter(|line| !kept(line)).collect(),
        "public items that nobody uses",
    );
}

#[test]
fn every_file_is_part_of_a_crate() {
    crate::assert_none(orphans(), "files that no `mod` names");
}

/// Crates of `[dependencies]` in `manifest` that `code` never names.
fn unused_dependencies(manifest: &str, code: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let sections = ["dependencies", "dev-dependencies"].into_iter().filter_map(|name| manifest.get(name));
    let names = sections.flat_map(|section| section.as_table().unwrap().keys());
    let used = |name: &str| {
        let name = name.replace('-', "_");
        code.match_indices(&name).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + name.len()..].chars().next();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '/')
                && after.is_some_and(|c| c == ':' || c == ';' || c == ' ')
        })
    };
    names.filter(|name| !used(name)).cloned().collect()
}

#[test]
fn every_dependency_is_used() {
    let mut broken = Vec::new();
    for (folder, _) in CRATES {
        let (manifest, folders) = match folder {
            "src" => ("Cargo.toml".to_owned(), vec!["src/commands", "tests", "benches"]),
            _ => (format!("{folder}/Cargo.toml"), vec![folder]),
        };
        let files = folders.into_iter().flat_map(|folder| files_under(folder, "rs"));
        let code: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
        let text = fs::read_to_string(root().join(&manifest)).unwrap();
        broken
            .extend(unused_dependencies(&text, &code).into_iter().map(|name| format!("{manifest}: {name}")));
    }
    crate::assert_none(broken, "dependencies that no line names");
}

#[test]
fn planted_dead_things_are_found() {
    let planted = [
        ("src/box/a.rs", "pub fn used() {} pub fn forgotten() {} impl X { pub fn also_forgotten(&self) {} }"),
        ("src/box/b.rs", "/// forgotten\nfn f() { super::a::used() }"),
    ];
    let planted = planted.map(|(path, text)| Source::parse(path, text));
    let dead = dead_items(&planted, &[]);
    assert_eq!(dead, ["src/box/a.rs: also_forgotten", "src/box/a.rs: forgotten"]);
    let manifest = "[dependencies]\nserde = \"1\"\nserde-json = \"1\"\nlog = \"1\"\n";
    assert_eq!(unused_dependencies(manifest, "use serde::Serialize; catalog::x()"), ["log", "serde-json"]);
}
