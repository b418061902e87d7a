//! Rules for single files: no clock outside its adapter, no world in the heart, nothing unfinished, nothing too long.

use std::fs;
use std::process::Command;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::assert_none;
use crate::source::{Source, files_under, root, sources};

/// The crate without clock, randomness, I/O and unordered maps.
const HEART: &str = "src/heart/";

const CODE_LINES_MAX: usize = 600;

/// Longest file of tests, and longest file with the tests in it.
const TEST_LINES_MAX: usize = 800;

const FUNCTION_LINES_MAX: usize = 80;

const CLOCK: &str = "src/adapters/clock.rs";

const CLOCK_READS: [&str; 5] = ["Utc::now", "Local::now", "SystemTime::now", "Instant::now", "clock_gettime"];

const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

const WORLD: [&str; 5] = ["std::fs", "std::net", "std::process", "std::env", "std::thread"];

/// Folders of the heart that may all the same touch one part of the world.
const MAY_TOUCH_THE_WORLD: [(&str, &str); 1] = [("src/heart/config/", "std::fs")];

const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Paths of `source` that hold one of `words` as whole parts, as `path:line: word`.
fn holding(source: &Source, words: &[&str]) -> Vec<String> {
    let found = source.paths().into_iter().filter_map(|(line, path)| {
        let padded = format!("::{path}::");
        let word = words.iter().find(|word| padded.contains(&format!("::{word}::")))?;
        Some(format!("{}:{line}: {word}", source.path))
    });
    found.collect()
}

fn clock_reads(source: &Source) -> Vec<String> {
    if source.path == CLOCK { Vec::new() } else { holding(source, &CLOCK_READS) }
}

fn impure(source: &Source) -> Vec<String> {
    if !source.path.starts_with(HEART) {
        return Vec::new();
    }
    let excused = |word: &&str| {
        MAY_TOUCH_THE_WORLD.iter().any(|(folder, allowed)| source.path.starts_with(folder) && allowed == word)
    };
    let forbidden: Vec<&str> =
        UNORDERED.iter().chain(&WORLD).copied().filter(|word| !excused(word)).collect();
    holding(source, &forbidden)
}

struct Unfinished<'a> {
    source: &'a Source,
    found: Vec<String>,
}

impl Visit<'_> for Unfinished<'_> {
    fn visit_expr_method_call(&mut self, call: &syn::ExprMethodCall) {
        if call.method == "unwrap" && call.args.is_empty() {
            self.found.push(format!("{}:{}: unwrap", self.source.path, call.method.span().start().line));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, called: &syn::Macro) {
        let name = called.path.segments.last().map(|it| it.ident.to_string()).unwrap_or_default();
        if UNFINISHED.contains(&name.as_str()) {
            self.found.push(format!("{}:{}: {name}!", self.source.path, called.path.span().start().line));
        }
        visit::visit_macro(self, called);
    }
}

fn unfinished(source: &Source) -> Vec<String> {
    let mut visitor = Unfinished { source, found: Vec::new() };
    visitor.visit_file(&source.code);
    visitor.found
}

struct LongFunctions<'a> {
    source: &'a Source,
    found: Vec<String>,
}

impl LongFunctions<'_> {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let lines = block.span().end().line - block.span().start().line + 1;
        if lines > FUNCTION_LINES_MAX {
            self.found.push(format!("{}: {name} has {lines} lines", self.source.path));
        }
    }
}

impl Visit<'_> for LongFunctions<'_> {
    fn visit_item_fn(&mut self, function: &syn::ItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &syn::ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}

fn long_functions(source: &Source) -> Vec<String> {
    let mut visitor = LongFunctions { source, found: Vec::new() };
    visitor.visit_file(&source.code);
    visitor.found
}

#[test]
fn clocks_are_read_in_their_adapter_only() {
    let broken = sources().iter().flat_map(clock_reads).collect();
    assert_none(broken, "time is an argument; a clock is read in src/adapters/clock.rs only");
}

#[test]
fn the_heart_is_pure() {
    let broken = sources().iter().flat_map(impure).collect();
    assert_none(broken, "the heart knows no unordered maps, randomness or I/O");
}

/// Crates that bring a runtime, a network, a database or randomness along.
const WORLDLY_CRATES: [&str; 8] =
    ["tokio", "mio", "socket2", "rusqlite", "libsqlite3-sys", "getrandom", "rand_core", "rustls"];

/// Names of worldly crates in what `cargo tree --prefix none` printed.
fn worldly(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| WORLDLY_CRATES.contains(name)).map(str::to_owned).collect()
}

#[test]
fn the_heart_needs_no_crate_of_the_world() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "loaxa-heart", "-e", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8(tree.stdout).unwrap();
    assert!(said.contains("serde"), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    assert_none(worldly(&said), "crates below the heart that touch the world");
    assert_eq!(worldly("chrono v0.4\nuuid v1.0\ngetrandom v0.4 (*)\n"), ["getrandom"]);
}

#[test]
fn nothing_is_unfinished() {
    let broken = sources().iter().flat_map(unfinished).collect();
    assert_none(broken, "outside tests: `expect` states the invariant, and nothing is left to do");
}

#[test]
fn files_and_functions_stay_readable() {
    let sources = sources();
    let long = sources.iter().filter(|source| source.lines_before_tests > CODE_LINES_MAX);
    let mut broken: Vec<String> =
        long.map(|source| format!("{}: {} lines", source.path, source.lines_before_tests)).collect();
    broken.extend(sources.iter().flat_map(long_functions));
    assert_none(broken, "a file or a function asks to be two");
}

/// Says that `text` has more lines than a file may have with its tests.
fn long_file(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > TEST_LINES_MAX).then(|| format!("{path}: {lines} lines"))
}

#[test]
fn files_with_tests_stay_readable() {
    let files = ["src", "tests", "benches", "fuzz"].into_iter().flat_map(|folder| files_under(folder, "rs"));
    let ours = files.filter(|path| !path.starts_with(root().join("fuzz/target")));
    let long = ours.filter_map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        long_file(path.strip_prefix(root()).unwrap().to_str().unwrap(), &text)
    });
    assert_none(long.collect(), "a file of tests asks to be two");
}

#[test]
fn planted_violations_are_found() {
    let check = |rule: fn(&Source) -> Vec<String>, path: &str, text: &str, expected: &[&str]| {
        assert_eq!(rule(&Source::parse(path, text)), expected, "{text}");
    };
    let now = "use std::time::Instant;\nfn f() { Instant::now(); }";
    check(clock_reads, "src/box/a.rs", now, &["src/box/a.rs:2: Instant::now"]);
    check(clock_reads, CLOCK, now, &[]);
    check(clock_reads, "src/box/a.rs", "#[test]\nfn f() { Instant::now(); }", &[]);
    check(impure, "src/heart/wire/a.rs", "use std::{fs, io};", &["src/heart/wire/a.rs:1: std::fs"]);
    check(impure, "src/heart/config/a.rs", "use std::fs;", &[]);
    check(
        impure,
        "src/heart/wire/a.rs",
        "use std::collections::HashMap;",
        &["src/heart/wire/a.rs:1: HashMap"],
    );
    check(
        unfinished,
        "src/box/a.rs",
        "fn f() { g().unwrap(); todo!() }",
        &["src/box/a.rs:1: unwrap", "src/box/a.rs:1: todo!"],
    );
    check(unfinished, "src/box/a.rs", "/// x.unwrap()\nfn f() { g().unwrap_or(1); }", &[]);
    let long = format!("fn f() {{\n{}}}", "g();\n".repeat(90));
    check(long_functions, "src/box/a.rs", &long, &["src/box/a.rs: f has 92 lines"]);
    assert_eq!(long_file("tests/a.rs", &"\n".repeat(801)).as_deref(), Some("tests/a.rs: 801 lines"));
    assert_eq!(long_file("tests/a.rs", &"\n".repeat(800)), None);
}
