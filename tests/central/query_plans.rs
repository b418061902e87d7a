//! Every question of the store finds its rows by an index: none reads all of a table that grows with the years.

use std::collections::BTreeMap;

use loaxa_central::store::sql::{SqlStore, for_postgres};
use rusqlite::Connection;
use syn::visit::Visit;

use crate::support::postgres::Cluster;

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
const HOLES: [(&str, &str); 27] = [
    ("{UNUSED}", "TRUE"),
    ("{of_campaign}", ""),
    ("{columns}", "began = ?4"),
    ("{table}", "sessions"),
    ("{unsent}", "TRUE"),
    ("{order}", "DESC"),
    ("{NOTICE}", "SELECT * FROM notices"),
    ("IS {which}", "IS NULL"),
    ("LIMIT {}", "LIMIT 10"),
    ("{limit}", "10"),
    ("{title}", "village_title"),
    ("{titles}", "village_title"),
    ("{joins}", "WHERE"),
    ("{which}", ""),
    ("{asked}", ""),
    ("{not_aired}", "{SLOTS_NOT_AIRED}"),
    ("{lock}", ""),
    ("{fields}", "*"),
    ("{number}", "seen"),
    ("{part}", "log"),
    ("{page}", "ORDER BY changed DESC, id LIMIT 10"),
    ("{asked_of}", ""),
    ("{wanted}", "10"),
    ("{behind}", "0"),
    ("{begins}", "1"),
    ("{told}", "plays"),
    ("{}", ""),
];

/// Indexes of what is open now: they hold little, however long the tables are.
const OPEN: [&str; 2] = ["troubles_open", "plays_open"];

/// Begins of questions that are put together of more parts than a text shows; the log's page has tests of its own.
const PARTS: [&str; 4] = [
    "SELECT airings.*",
    "SELECT {from}",
    "SELECT FROM {table} WHERE {of_them}",
    "INSERT INTO {table} ({}) VALUES",
];

/// Questions that may read a whole table, with what bounds them: the begin of the query, and the reason.
const MAY_SCAN: [(&str, &str); 6] = [
    ("INSERT INTO days_to_settle (day, box, mark) SELECT DISTINCT", "once, while no day was planned yet"),
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
    /// The tables that are copied for times without a server are read now.
    reads_copied: bool,
    copied: usize,
}

impl<'ast> Visit<'ast> for Queries {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &*item.expr {
            self.consts.insert(format!("{{{}}}", item.ident), text.value());
        }
        if item.ident == "COPIED" {
            self.reads_copied = true;
            self.visit_expr(&item.expr);
            self.reads_copied = false;
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            syn::visit::visit_item_mod(self, module);
        }
    }

    /// A table that is copied, with the rows of it that are.
    fn visit_expr_tuple(&mut self, pair: &'ast syn::ExprTuple) {
        let text = |expr: &syn::Expr| match expr {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        };
        let texts: Vec<_> = pair.elems.iter().filter_map(text).collect();
        if let [table, of_them] = &texts[..]
            && self.reads_copied
        {
            self.copied += 1;
            self.note(&format!("SELECT * FROM {table} WHERE {of_them} LIMIT 5000"));
        }
        syn::visit::visit_expr_tuple(self, pair);
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

    /// Puts words into the holes of a query: first these, then those that fit SQLite.
    fn filled(&self, query: &str, first: &[(&str, &str)]) -> String {
        let holes = first.iter().chain(&HOLES).map(|(hole, words)| ((*hole).to_owned(), (*words).to_owned()));
        holes
            .chain(self.consts.clone())
            .fold(query.to_owned(), |query, (hole, words)| query.replace(&hole, &words))
    }
}

fn all_queries() -> Queries {
    let mut all = Queries::default();
    for entry in std::fs::read_dir("src/central/store/sql").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "rs") {
            all.visit_file(&syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap());
        }
    }
    assert!(all.copied > 10, "{} copied tables were found", all.copied);
    all
}

#[test]
fn no_question_reads_a_whole_big_table() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&std::fs::read_to_string("src/central/store/sql/schema.sql").unwrap()).unwrap();
    let all = all_queries();
    let (mut asked, mut unread, mut scans) = (0, Vec::new(), Vec::new());
    for query in &all.found {
        let is_part = PARTS.iter().any(|begin| query.replace("{} ", "").starts_with(begin));
        if is_part || OF_A_SERVER.iter().any(|words| query.contains(words)) {
            continue;
        }
        let filled = all.filled(query, &[]);
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

/// Words in questions that only one of the engines is asked.
const OF_SQLITE: [&str; 6] = [
    "log_ahead",
    "sqlite_schema",
    "sqlite_sequence",
    "pragma_table_info",
    "UPDATE plays SET listed",
    "SELECT date(made",
];
const OF_A_SERVER: [&str; 14] = [
    "FROM {part}",
    "log_ahead",
    "pg_class",
    "pg_database_size",
    "pg_notify",
    "current_setting",
    "schema_made",
    "information_schema",
    "{CLOCK}",
    "{LASTS}",
    "log_parts",
    "now()",
    "log_is_free",
    "pg_get_serial_sequence",
];

/// Words that a server needs in other places than SQLite.
const HOLES_OF_A_SERVER: [(&str, &str); 3] = [
    ("{rows}", "('watch', 'a', 1)"),
    ("{title}", "(array_agg(village_title ORDER BY day DESC))[1]"),
    ("{titles}", "(array_agg(village_title ORDER BY day DESC))[1]"),
];

#[test]
fn every_question_is_understood_by_a_server() {
    let cluster = Cluster::start();
    cluster.create("central");
    drop(SqlStore::open_at(&cluster.database("central"), None).unwrap());
    let all = all_queries();
    let mut script = String::new();
    let mut asked = 0;
    for query in &all.found {
        let is_part = PARTS.iter().any(|begin| query.replace("{} ", "").starts_with(begin));
        if is_part || OF_SQLITE.iter().any(|words| query.contains(words)) {
            continue;
        }
        asked += 1;
        let whole = query.replace("{UNUSED}", &all.consts["{UNUSED}"]);
        let filled = for_postgres(&all.filled(&whole, &HOLES_OF_A_SERVER));
        script.push_str(&format!("PREPARE question_{asked} AS {filled};\n"));
    }
    assert!(asked > 100, "{asked} queries were found");
    let refused = cluster.refused("central", &script);
    assert!(refused.is_empty(), "{refused}");
    // A large table is read by several workers, and what catches an error fails in them.
    let unfit = "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
                 AND prosrc LIKE '%EXCEPTION WHEN%' AND proparallel <> 'u'";
    assert_eq!(cluster.sql("central", unfit), "");
}

/// Tables that a server reads by an index, or the parts of which it does.
const LONG: [&str; 3] = ["log", "plays", "deliveries"];

/// Half a year of 60 boxes.
const HALF_A_YEAR: &str = r#"
    DO $$ DECLARE month timestamp; BEGIN
        FOR month IN SELECT generate_series(timestamp '2026-06-01', '2026-11-01', '1 month') LOOP
            EXECUTE format('CREATE TABLE log_%s (LIKE log INCLUDING ALL)', to_char(month, 'YYYY_MM'));
            EXECUTE format('ALTER TABLE log ATTACH PARTITION log_%s FOR VALUES FROM (%s) TO (%s)', to_char(month, 'YYYY_MM'),
                extract(epoch FROM month)::bigint * 1000000, extract(epoch FROM month + interval '1 month')::bigint * 1000000);
        END LOOP;
    END $$;
    INSERT INTO boxes (id, title) SELECT 'loa-' || n, 'Loa' FROM generate_series(1, 60) AS n;
    INSERT INTO log (box, epoch, seq, hash, arrived, wall, event, command, body)
        SELECT 'loa-' || n % 60, '0000000000000001', n, '', at, at, (ARRAY['play_started', 'slot_ended', 'not_played'])[1 + n % 3],
               CASE n % 10 WHEN 0 THEN 'lenh-' || n / 100 END,
               format('{"key":{"slot":"sang","date":"2026-%s"},"outcome":"aired","filler":"%s"}', n % 365, repeat('x', 300))
        FROM generate_series(1, 60000) AS n, LATERAL (SELECT 1780272000000000 + n * 263000000::bigint) AS made (at);
    INSERT INTO heads SELECT DISTINCT ON (box) box, epoch, seq, hash, 0 FROM log ORDER BY box, seq DESC;
    INSERT INTO plays (box, epoch, play, start, subject, subject_id, title, rung, source, language, repetition, volume_percent, opened,
                       outcome, arrived, listed)
        SELECT box, epoch, to_hex(seq), 1, 'slot', 'sang/' || seq / 60, repeat('x', 100), 'programme', 'a.mp3', 'vi', 1, 80, wall,
               'finished', arrived, arrived FROM log;
    INSERT INTO commands SELECT 'lenh-' || n, 'announce', 'an', n, n, n, '[]', 'Họp', 'normal', NULL, 'An', NULL, NULL, '{}', ''
        FROM generate_series(1, 600) AS n;
    INSERT INTO deliveries (command, box, step, reason, sent)
        SELECT 'lenh-' || command, 'loa-' || n, 'finished', repeat('x', 100), command
        FROM generate_series(1, 600) AS command, generate_series(1, 60) AS n;
    ANALYZE;
"#;

#[test]
fn no_question_reads_a_whole_long_table_of_a_server() {
    let cluster = Cluster::start();
    cluster.create("central");
    drop(SqlStore::open_at(&cluster.database("central"), None).unwrap());
    cluster.sql("central", HALF_A_YEAR);
    let all = all_queries();
    let (mut asked, mut scans) = (0, Vec::new());
    for query in &all.found {
        let is_part = PARTS.iter().any(|begin| query.replace("{} ", "").starts_with(begin));
        if is_part || OF_SQLITE.iter().any(|words| query.contains(words)) {
            continue;
        }
        let whole = query.replace("{UNUSED}", &all.consts["{UNUSED}"]);
        let filled = for_postgres(&all.filled(&whole, &HOLES_OF_A_SERVER));
        if !LONG
            .iter()
            .any(|table| filled.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *table))
        {
            continue;
        }
        asked += 1;
        let marks = (1..20)
            .take_while(|n| filled.contains(&format!("${n}")))
            .map(|_| "NULL")
            .collect::<Vec<_>>()
            .join(", ");
        let values = if marks.is_empty() { String::new() } else { format!("({marks})") };
        let plan = cluster.sql(
            "central",
            &format!("SET plan_cache_mode = force_generic_plan; PREPARE asked AS {filled}; EXPLAIN EXECUTE asked{values}"),
        );
        let is_whole = plan.lines().any(|line| {
            let table = line.split("Seq Scan on ").nth(1).and_then(|rest| rest.split(' ').next());
            table.is_some_and(|table| LONG.contains(&table) || table.starts_with("log_2"))
        });
        let may = MAY_SCAN.iter().chain(&MAY_SCAN_ON_A_SERVER).any(|(begin, _)| query.starts_with(begin));
        if is_whole && !may {
            scans.push(format!("{filled}\n{plan}"));
        }
    }
    assert!(asked > 20, "{asked} queries were found");
    assert!(scans.is_empty(), "{}", scans.join("\n\n"));
}

/// Questions that may read a whole table on a server, with what bounds them: the begin of the query, and the reason.
const MAY_SCAN_ON_A_SERVER: [(&str, &str); 2] = [
    ("SELECT count(*) AS held FROM {table}", "once, when a database is carried over"),
    ("SELECT {fields} FROM {table}", "once, when a database is carried over"),
];

/// A condition that may mean nothing hides an index from SQLite.
#[test]
fn no_condition_is_switched_off_by_a_parameter() {
    for entry in std::fs::read_dir("src/central/store/sql").unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let switched = text.lines().find(|line| line.contains("(?") && line.contains("IS NULL OR"));
        let named = text.lines().find(|line| line.contains("(:") && line.contains("IS NULL OR"));
        assert_eq!(switched.or(named), None, "{}", path.display());
    }
}
