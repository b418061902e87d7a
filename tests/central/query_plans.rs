//! Every question of the store finds its rows by an index: none reads all of a table that grows with the years.

use std::collections::BTreeMap;

use rusqlite::Connection;
use syn::visit::Visit;

/// Tables that grow with boxes and years.
const BIG: [&str; 13] = [
    "log",
    "plays",
    "deliveries",
    "commands",
    "health",
    "acts",
    "signed_heads",
    "airings",
    "airing_tags",
    "day_sums",
    "day_boxes",
    "letters",
    "troubles",
];

/// The words that stand for the holes of a query that is put together, in the files that have them.
const HOLES: [(&str, &str); 15] = [
    ("{UNUSED}", "1"),
    ("{of_campaign}", ""),
    ("{columns}", "began = ?4"),
    ("{table}", "sessions"),
    ("{unsent}", "1"),
    ("{order}", "DESC"),
    ("{NOTICE}", "SELECT * FROM notices"),
    ("IS {which}", "IS NULL"),
    ("LIMIT {}", "LIMIT 10"),
    ("{limit}", "10"),
    ("{joins}", "WHERE"),
    ("{which}", ""),
    ("{asked}", ""),
    ("{not_aired}", "{SLOTS_NOT_AIRED}"),
    ("{}", ""),
];

/// Indexes of what is open now: they hold little, however long the tables are.
const OPEN: [&str; 2] = ["troubles_open", "plays_open"];

/// Begins of questions that are put together of more parts than a text shows; the log's page has tests of its own.
const PARTS: [&str; 2] = ["SELECT airings.*", "SELECT {from}"];

/// Questions that may read a whole table, with what bounds them: the begin of the query, and the reason.
const MAY_SCAN: [(&str, &str); 5] = [
    (
        "SELECT box, coalesce(boxes.title, box) AS box_title, body ->> '$.because'",
        "slots alone, for the threads of reports",
    ),
    ("UPDATE plays SET listed", "once, when a database of an earlier version is opened"),
    ("DELETE FROM troubles WHERE ended", "what it keeps is bounded, and it runs when a trouble ends"),
    ("SELECT * FROM acts WHERE", "page by page backwards by its key"),
    ("SELECT * FROM acts ORDER", "page by page backwards by its key"),
];

/// The texts of a file that are SQL.
#[derive(Default)]
struct Queries {
    found: Vec<String>,
    consts: BTreeMap<String, String>,
}

impl<'ast> Visit<'ast> for Queries {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &*item.expr {
            self.consts.insert(format!("{{{}}}", item.ident), text.value());
        }
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.note(&text.value());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        for token in call.tokens.clone() {
            if let Ok(text) = syn::parse2::<syn::LitStr>(token.into()) {
                self.note(&text.value());
            }
        }
    }
}

impl Queries {
    fn note(&mut self, text: &str) {
        let begins = ["SELECT ", "UPDATE ", "DELETE ", "WITH ", "{NOTICE}", "INSERT INTO"];
        if begins.iter().any(|begin| text.trim_start().starts_with(begin)) {
            self.found.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}

#[test]
fn no_question_reads_a_whole_big_table() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&std::fs::read_to_string("src/central/store/sql/schema.sql").unwrap()).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir("src/central/store/sql").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "rs") {
            files.push((path.clone(), std::fs::read_to_string(path).unwrap()));
        }
    }
    let mut all = Queries::default();
    for (_, text) in &files {
        all.visit_file(&syn::parse_file(text).unwrap());
    }
    let (mut asked, mut unread, mut scans) = (0, Vec::new(), Vec::new());
    for query in &all.found {
        if PARTS.iter().any(|begin| query.replace("{} ", "").starts_with(begin)) {
            continue;
        }
        let mut filled = query.clone();
        for (hole, words) in HOLES
            .iter()
            .map(|(hole, words)| ((*hole).to_owned(), (*words).to_owned()))
            .chain(all.consts.clone())
        {
            filled = filled.replace(&hole, &words);
        }
        let Ok(mut plan) = db.prepare(&format!("EXPLAIN QUERY PLAN {filled}")) else {
            unread.push(filled);
            continue;
        };
        asked += 1;
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get("detail").unwrap();
            let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            let is_big = table.is_some_and(|table| BIG.contains(&table));
            // In the order of an index or of the key, up to a limit.
            let is_page = filled.contains("LIMIT")
                && (step.contains("USING")
                    || [" ORDER BY cursor", " ORDER BY id"].iter().any(|order| filled.contains(order)));
            let is_open = OPEN.iter().any(|index| step.ends_with(index));
            if is_big && !is_page && !is_open && !MAY_SCAN.iter().any(|(begin, _)| filled.starts_with(begin))
            {
                scans.push(format!("{step}: {filled}"));
            }
        }
    }
    assert!(asked > 100, "{asked} queries were found");
    assert!(unread.is_empty(), "not understood: {unread:#?}");
    assert!(scans.is_empty(), "{scans:#?}");
}

/// A condition that may mean nothing hides an index from SQLite.
#[test]
fn no_condition_is_switched_off_by_a_parameter() {
    for entry in std::fs::read_dir("src/central/store/sql").unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let switched = text.lines().find(|line| line.contains("(?") && line.contains("IS NULL OR"));
        let named = text.lines().find(|line| line.contains("(:") && line.contains("IS NULL OR"));
        assert_eq!(switched.or(named), None, "{}", path.display());
    }
}
