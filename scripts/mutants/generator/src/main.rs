//! Plants a sample of small faults in some folders, each behind the switch of `plant.py`.
//!
//! Usage: `loaxa-mutants ROOT OUT COUNT SEED WITHOUT FOLDER...`. Writes the changed files below `OUT/planted`, and names
//! and meanings of the faults to `OUT/generated.txt`. `WITHOUT` names faults that do not build, with commas between.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Expr, Lit, Stmt, UnOp};

/// Functions that only assert.
const ASSERTIONS: [&str; 3] = ["allows", "invariants", "check_invariants"];

/// Types whose literals count microseconds: one more or less is nothing that anybody could hear or see.
const MICROSECONDS: [&str; 3] = ["Span", "Moment", "Wall"];

/// Parts of paths that are shells or tests, and no rule of a box.
const LEFT_OUT: [&str; 5] = ["simulation", "preview", "tests", "search", "invariants"];

/// Methods that answer yes or no, and so can be turned.
const ANSWERS: [&str; 12] = [
    "is_some",
    "is_none",
    "is_ok",
    "is_err",
    "is_empty",
    "contains",
    "contains_key",
    "is_some_and",
    "is_none_or",
    "was_used",
    "any",
    "all",
];

/// Methods that have an opposite of the same type.
const OPPOSITES: [(&str, &str); 3] = [("min", "max"), ("plus", "minus"), ("min_by_key", "max_by_key")];

/// The switch of a listed fault that is planted already.
const SWITCH: &str = "planted(";

/// A fault that could be planted.
struct Fault {
    range: Range<usize>,
    /// The text for a fault, and whether the old text is a statement, which is left out then.
    new: Option<String>,
    what: String,
}

struct Finder<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Finder<'_> {
    fn source(&self, span: Span) -> &str {
        &self.text[span.byte_range()]
    }

    fn note(&mut self, span: Span, new: String) {
        if self.source(span).contains(SWITCH) {
            return;
        }
        let old: String = self.source(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let what = format!("{old}  ->  {}", new.split_whitespace().collect::<Vec<_>>().join(" "));
        self.faults.push(Fault { range: span.byte_range(), new: Some(new), what });
    }

    fn leave_out(&mut self, span: Span) {
        if self.source(span).contains(SWITCH) {
            return;
        }
        let old: String = self.source(span).split_whitespace().collect::<Vec<_>>().join(" ");
        self.faults.push(Fault { range: span.byte_range(), new: None, what: format!("{old}  left out") });
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
    })
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

fn turned(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Lt(_) => &["<=", ">="],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<="],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) && item.sig.constness.is_none() {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let asserts = ASSERTIONS.iter().any(|name| item.sig.ident == name);
        if !asserts && !is_test(&item.attrs) && item.sig.constness.is_none() {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        if self.source(branch.cond.span()).contains(SWITCH) {
            // A listed fault stands in the first branch.
            if let Some((_, otherwise)) = &branch.else_branch {
                self.visit_expr(otherwise);
            }
            return;
        }
        if !has_let(&branch.cond) {
            self.note(branch.cond.span(), "true".to_owned());
            self.note(branch.cond.span(), "false".to_owned());
        }
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let [left, right] = [&binary.left, &binary.right].map(|side| self.source(side.span()).to_owned());
            for op in turned(&binary.op) {
                self.note(binary.span(), format!("({left}) {op} ({right})"));
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_)) {
            self.note(unary.span(), self.source(unary.expr.span()).to_owned());
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let named = self.source(call.func.span()).to_owned();
        if !MICROSECONDS.contains(&named.as_str()) {
            visit::visit_expr_call(self, call);
        }
    }

    fn visit_expr_lit(&mut self, literal: &'ast syn::ExprLit) {
        match &literal.lit {
            Lit::Int(number) => {
                if let Ok(value) = number.base10_parse::<u64>() {
                    self.note(literal.span(), format!("{}{}", value + 1, number.suffix()));
                }
            }
            Lit::Bool(answer) => self.note(literal.span(), (!answer.value).to_string()),
            _ => {}
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        let text = self.source(call.span()).to_owned();
        if ANSWERS.contains(&method.as_str()) {
            self.note(call.span(), format!("!({text})"));
        }
        let begin = call.span().byte_range().start;
        let name = call.method.span().byte_range();
        for (one, other) in OPPOSITES.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            if method == *one {
                let (before, after) = (&text[..name.start - begin], &text[name.end - begin..]);
                self.note(call.span(), format!("{before}{other}{after}"));
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(_)) = statement {
            let can_go = match expr {
                Expr::MethodCall(_) | Expr::Call(_) | Expr::Try(_) => true,
                Expr::Assign(assign) => matches!(*assign.left, Expr::Field(_)),
                _ => false,
            };
            let asserts = matches!(expr, Expr::MethodCall(call) if ASSERTIONS.iter().any(|name| call.method == name));
            if can_go && !asserts {
                self.leave_out(statement.span());
            }
        }
        visit::visit_stmt(self, statement);
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).expect("a folder of the source").flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for path in entries.into_iter().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if LEFT_OUT.iter().any(|part| name.contains(part)) {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn main() {
    let [root, out, count, seed, without, folders @ ..] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        panic!("usage: loaxa-mutants ROOT OUT COUNT SEED WITHOUT FOLDER...")
    };
    let (root, out) = (Path::new(root), Path::new(out));
    let without: Vec<&str> = without.split(',').collect();
    let count: usize = count.parse().expect("a number of faults");
    let mut state: u64 = seed.parse().expect("a seed");
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| files(&root.join(folder), &mut paths));
    let texts: Vec<_> = paths.iter().map(|path| std::fs::read_to_string(path).expect("a source")).collect();
    let mut all = Vec::new();
    for (file, text) in texts.iter().enumerate() {
        let mut finder = Finder { text, faults: Vec::new() };
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", paths[file].display()));
        finder.visit_file(&parsed);
        all.extend(finder.faults.into_iter().map(|fault| (file, fault)));
    }
    eprintln!("{} faults could be planted in {} files", all.len(), paths.len());
    let mut chosen: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
    let mut planted = 0;
    while planted < count && !all.is_empty() {
        let at = (next(&mut state) % all.len() as u64) as usize;
        let (file, fault) = all.swap_remove(at);
        let others = chosen.entry(file).or_default();
        let overlaps =
            |other: &Fault| other.range.start < fault.range.end && fault.range.start < other.range.end;
        if !others.iter().any(overlaps) {
            others.push(fault);
            planted += 1;
        }
    }
    let (mut list, mut number) = (String::new(), 0);
    let folder = out.join("planted");
    let _ = std::fs::remove_dir_all(&folder);
    for (file, mut faults) in chosen {
        let name = paths[file].strip_prefix(root).expect("a path below the root");
        let mut text = texts[file].clone();
        let home = if name.starts_with("src/heart") { "crate" } else { "loaxa_heart" };
        faults.sort_by_key(|fault| std::cmp::Reverse(fault.range.start));
        for Fault { range, new, what } in faults {
            number += 1;
            if without.contains(&format!("g{number}").as_str()) {
                continue;
            }
            let line = texts[file][..range.start].matches('\n').count() + 1;
            writeln!(list, "g{number}\t{}:{line}\t{what}", name.display()).expect("a string takes all");
            let (old, on) = (&texts[file][range.clone()], format!("{home}::planted(\"g{number}\")"));
            let both = match new {
                Some(new) => format!("(if {on} {{ {new} }} else {{ {old} }})"),
                None => format!("if !{on} {{ {old} }}"),
            };
            text.replace_range(range, &both);
        }
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the disk takes it");
        std::fs::write(path, text).expect("the disk takes it");
    }
    std::fs::write(out.join("generated.txt"), list).expect("the disk takes it");
}
