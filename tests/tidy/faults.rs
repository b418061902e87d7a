//! The faults of `scripts/mutants/faults.toml` can be planted, so that whoever counts them finds a tree that builds.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use crate::assert_none;
use crate::source::{files_under, root};

#[derive(Deserialize)]
struct Faults {
    fault: Vec<Fault>,
}

#[derive(Clone, Deserialize)]
struct Fault {
    name: String,
    file: String,
    old: String,
    new: String,
    kind: Option<String>,
    tests: String,
}

/// Names in a filter of tests, as `simulation` in `package(loaxa-heart) & test(simulation)`; of `tests::clocks` the last.
fn named_tests(filter: &str) -> Vec<&str> {
    let named = filter.split("test(").skip(1).filter_map(|rest| rest.split(')').next());
    named.filter_map(|name| name.rsplit("::").next()).collect()
}

/// Names of the functions and modules of a source, as far as a test may be called by them.
fn called(text: &str) -> Vec<String> {
    let named = text.lines().filter_map(|line| line.split_once("fn ").or_else(|| line.split_once("mod ")));
    named.map(|(_, rest)| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

/// The text with the fault behind a switch, as `scripts/mutants/plant.py` makes it; none, where its old text is not
/// there once.
fn planted(text: &str, fault: &Fault) -> Option<String> {
    let (old, new) = (fault.old.trim_matches('\n'), fault.new.trim_matches('\n'));
    if text.matches(old).count() != 1 {
        return None;
    }
    let is_statement = old.ends_with([';', '}']) && fault.kind.as_deref() != Some("expression");
    let both = match (new.contains("$ON"), is_statement) {
        (true, _) => new.replace("$ON", "on()"),
        (false, true) => format!("if on() {{ {new} }} else {{ {old} }}"),
        (false, false) => format!("(if on() {{ {new} }} else {{ {old} }})"),
    };
    Some(text.replace(old, &both))
}

/// Faults that fit their file no more, or leave text there that no compiler reads.
fn misfits(faults: &[Fault], texts: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for fault in faults {
        let text = texts.get(&fault.file).map_or("", String::as_str);
        match planted(text, fault) {
            None => found.push(format!("{}: its old text is not once in {}", fault.name, fault.file)),
            Some(_) if fault.old.starts_with("let ") => {
                found.push(format!("{}: the name that it binds ends with the branch", fault.name));
            }
            Some(text) => {
                if let Err(error) = syn::parse_file(&text) {
                    found.push(format!("{}: planted in {}: {error}", fault.name, fault.file));
                }
            }
        }
    }
    found
}

fn listed() -> Vec<Fault> {
    let list = fs::read_to_string(root().join("scripts/mutants/faults.toml")).unwrap();
    toml::from_str::<Faults>(&list).unwrap().fault
}

#[test]
fn every_listed_fault_fits_the_source() {
    let faults = listed();
    let read = |fault: &Fault| Some((fault.file.clone(), fs::read_to_string(root().join(&fault.file)).ok()?));
    let texts = faults.iter().filter_map(read).collect();
    assert_none(misfits(&faults, &texts), "faults that can't be planted");
}

#[test]
fn every_listed_fault_names_a_test_that_there_is() {
    let names: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|folder| files_under(folder, "rs"))
        .flat_map(|path| called(&fs::read_to_string(root().join(path)).unwrap()))
        .collect();
    let broken = listed().into_iter().flat_map(|fault| {
        let lost = |name: &&str| !names.iter().any(|known| known.contains(name));
        let lost: Vec<String> =
            named_tests(&fault.tests).into_iter().filter(lost).map(str::to_owned).collect();
        lost.into_iter().map(move |name| format!("{}: no test is called {name}", fault.name))
    });
    assert_none(broken.collect(), "faults whose tests are gone");
    assert_eq!(named_tests("package(a) & (test(b) | test(c::d))"), ["b", "d"]);
    assert_eq!(called("    async fn b_c() {\nmod d;\n"), ["b_c", "d"]);
}

#[test]
fn a_fault_that_does_not_fit_is_found() {
    let text = "fn f(x: Option<u8>) -> bool {\n    let y = x;\n    match x {\n        Some(1) => true,\n        _ => false,\n    }\n}\n";
    let fault = |old: &str, new: &str| Fault {
        name: "a".to_owned(),
        file: "a.rs".to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
        kind: None,
        tests: "test(a)".to_owned(),
    };
    let texts = BTreeMap::from([("a.rs".to_owned(), text.to_owned())]);
    for (old, new, fits) in [
        ("Some(1) => true", "Some(n) if n == 1 || $ON => true", true),
        ("Some(1) => true", "Some(_) => true", false),
        ("Some(2) => true", "Some(_) if $ON => true", false),
        ("=> ", "=> $ON || ", false),
        ("let y = x;", "let y = None;", false),
    ] {
        assert_eq!(misfits(&[fault(old, new)], &texts).is_empty(), fits, "{old}  ->  {new}");
    }
}
