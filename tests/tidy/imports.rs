//! The graph of imports between files: no circle, and inside a crate only arrows that go down its table of floors.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree, Visibility};

use crate::source::{Source, sources};

/// A file, and what it imports: module paths that are files.
pub type Graph = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

/// Floors inside a crate, the lowest first. A room imports its own floor and those below; a room that is not named may
/// stand anywhere. `docs` of each table: ARCHITECTURE.md.
const FLOORS: [(&str, &[&[&str]]); 2] = [
    ("loaxa_heart", &[&["texts"], &["domain"], &["wire", "config"], &["decide"]]),
    (
        "loaxa_central",
        &[
            &["settings"],
            &["store"],
            &["link", "keyring", "media", "voices", "foreseen"],
            &["app"],
            &["boxes", "orders", "alerts"],
            &["programmes"],
            &["web"],
        ],
    ),
];

fn collect_use(tree: &UseTree, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(path) => {
            let here = [before, &[path.ident.to_string()]].concat();
            collect_use(&path.tree, &here, found);
        }
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => {
            found.push(([before, &[name.ident.to_string()]].concat(), name.ident.to_string()))
        }
        UseTree::Rename(rename) => {
            found.push(([before, &[rename.ident.to_string()]].concat(), rename.rename.to_string()));
        }
        UseTree::Glob(_) => found.push((before.to_vec(), String::new())),
        UseTree::Group(group) => group.items.iter().for_each(|item| collect_use(item, before, found)),
    }
}

/// The path from the root of its crate, or `None` for a crate that is not of the house.
fn absolute(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let first = path.first()?.trim_start_matches("r#");
    match first {
        "crate" => Some([&module[..1], &path[1..]].concat()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => {
            let up = path.iter().take_while(|part| *part == "super").count();
            Some([&module[..module.len().checked_sub(up)?], &path[up..]].concat())
        }
        _ if first.starts_with("loaxa_") => Some(path.to_vec()),
        _ => None,
    }
}

/// Builds the graph. Re-exports (`pub use`) are doors of a room and draw no arrow.
pub fn graph(sources: &[Source]) -> Graph {
    let files: BTreeSet<Vec<String>> = sources.iter().map(|source| source.module.clone()).collect();
    let file_of =
        |path: &[String]| (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|it| files.contains(it));
    let mut graph = Graph::new();
    for source in sources {
        let mut targets = BTreeSet::new();
        let mut names: BTreeMap<String, Vec<String>> = source
            .declares
            .iter()
            .map(|name| (name.clone(), [&source.module[..], std::slice::from_ref(name)].concat()))
            .collect();
        for item in &source.code.items {
            let Item::Use(used) = item else { continue };
            let mut found = Vec::new();
            collect_use(&used.tree, &[], &mut found);
            for (path, name) in found {
                let declared = path.first().and_then(|first| names.get(first)).cloned();
                let whole = declared
                    .map(|start| [&start[..], &path[1..]].concat())
                    .or_else(|| absolute(&path, &source.module));
                let Some(whole) = whole else { continue };
                if matches!(used.vis, Visibility::Inherited) {
                    targets.extend(file_of(&whole));
                }
                names.insert(name, whole);
            }
        }
        for (_, path) in source.paths() {
            let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
            if parts.len() < 2 {
                continue;
            }
            let named = names.get(&parts[0]).map(|start| [&start[..], &parts[1..]].concat());
            // A bare module name is its declaration; a path below it is a use.
            if let Some(whole) = named.or_else(|| absolute(&parts, &source.module)) {
                let door = source.code.items.iter().any(|item| is_door(item, &parts));
                if !door {
                    targets.extend(file_of(&whole));
                }
            }
        }
        targets.remove(&source.module);
        graph.insert(source.module.clone(), targets);
    }
    graph
}

fn is_door(item: &Item, path: &[String]) -> bool {
    let Item::Use(used) = item else { return false };
    let mut found = Vec::new();
    collect_use(&used.tree, &[], &mut found);
    !matches!(used.vis, Visibility::Inherited) && found.iter().any(|(whole, _)| whole == path)
}

/// The groups of files that import each other in a circle (Tarjan's strongly connected components).
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    struct Walk<'a> {
        graph: &'a Graph,
        order: BTreeMap<&'a [String], (usize, usize)>,
        stack: Vec<&'a [String]>,
        found: Vec<Vec<String>>,
    }
    fn visit<'a>(walk: &mut Walk<'a>, node: &'a [String]) {
        let index = walk.order.len();
        walk.order.insert(node, (index, index));
        walk.stack.push(node);
        for target in walk.graph.get(node).into_iter().flatten() {
            match walk.order.get(&target[..]) {
                None => {
                    visit(walk, target);
                    let low = walk.order[&target[..]].1;
                    let own = walk.order.get_mut(node).unwrap();
                    own.1 = own.1.min(low);
                }
                Some((seen, _)) if walk.stack.contains(&&target[..]) => {
                    let seen = *seen;
                    let own = walk.order.get_mut(node).unwrap();
                    own.1 = own.1.min(seen);
                }
                Some(_) => {}
            }
        }
        let (index, low) = walk.order[node];
        if index == low {
            let from = walk.stack.iter().position(|it| *it == node).unwrap();
            let members = walk.stack.split_off(from);
            if members.len() > 1 {
                let mut names: Vec<String> = members.iter().map(|it| it.join("::")).collect();
                names.sort();
                walk.found.push(names);
            }
        }
    }
    let mut walk = Walk { graph, order: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for node in graph.keys() {
        if !walk.order.contains_key(&node[..]) {
            visit(&mut walk, node);
        }
    }
    walk.found
}

/// Imports that run up the table of floors of their crate.
pub fn climbing(graph: &Graph) -> Vec<String> {
    let floor_of = |module: &[String]| {
        let (_, floors) = FLOORS.iter().find(|(name, _)| *name == module[0])?;
        floors.iter().position(|rooms| module.get(1).is_some_and(|room| rooms.contains(&room.as_str())))
    };
    let mut found = Vec::new();
    for (from, targets) in graph {
        for to in targets.iter().filter(|to| to[0] == from[0]) {
            if let (Some(low), Some(high)) = (floor_of(from), floor_of(to))
                && high > low
            {
                found.push(format!("{} imports {}", from.join("::"), to.join("::")));
            }
        }
    }
    found
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let graph = graph(&sources());
    if std::env::var_os("LOAXA_PRINT_IMPORTS").is_some() {
        for (from, targets) in &graph {
            let targets: Vec<String> = targets.iter().map(|to| to.join("::")).collect();
            println!("{} -> {}", from.join("::"), targets.join(" "));
        }
    }
    let found: Vec<String> = circles(&graph).iter().map(|circle| circle.join(", ")).collect();
    crate::assert_none(found, "files that import each other in a circle");
}

#[test]
fn imports_go_down_the_floors() {
    crate::assert_none(climbing(&graph(&sources())), "a room imports its own floor and those below");
}

#[test]
fn every_room_of_a_table_stands() {
    let sources = sources();
    for (name, floors) in FLOORS {
        for room in floors.concat() {
            let stands = sources
                .iter()
                .any(|it| it.module[0] == name && it.module.get(1).is_some_and(|it| it == room));
            assert!(stands, "{name} has no room {room}: mend the table");
        }
    }
}

#[test]
fn a_planted_circle_and_a_planted_climb_are_found() {
    let planted = [
        ("src/heart/domain/ids.rs", "use crate::decide::guard::Guard;"),
        ("src/heart/decide/guard.rs", "pub struct Guard(crate::domain::ids::BoxId);"),
        ("src/heart/decide/mod.rs", "pub mod guard; pub use guard::Guard;"),
        ("src/heart/domain/mod.rs", "pub mod ids;"),
    ];
    let planted = planted.map(|(path, text)| Source::parse(path, text));
    let graph = graph(&planted);
    assert_eq!(circles(&graph), [["loaxa_heart::decide::guard", "loaxa_heart::domain::ids"]]);
    assert_eq!(climbing(&graph), ["loaxa_heart::domain::ids imports loaxa_heart::decide::guard"]);
}
